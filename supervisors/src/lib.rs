//! OTP-style supervision on actix: a crash or a hang costs the one request that met it.
//!
//! A *cell* owns a bounded queue that outlives every crash and the workers that pull from it; a
//! *supervisor* restarts cells by its [`Policy`]; a [`Tree`] is the whole. User code always runs behind a
//! fence, on its own thread ([`Worker`]) or on an arbiter of its own ([`AsyncWorker`]).
//!
//! ```
//! use std::time::Duration;
//! use supervisors::{ChildPolicy, ChildSpec, Cx, Deadline, Fault, Policy, Protocol, SupervisorSpec, Tree, Worker};
//!
//! struct Divider;
//! impl Protocol for Divider { type Req = (i32, i32); type Rep = i32; type Err = String; }
//! impl Worker for Divider {
//!     fn handle(&mut self, (a, b): (i32, i32), _: &Cx) -> Result<i32, String> { Ok(a / b) }
//! }
//!
//! actix::System::new().block_on(async {
//!     let (spec, divider) = ChildSpec::sync("divider", ChildPolicy::default(), |_| Ok(Divider));
//!     let tree = Tree::start(SupervisorSpec::new("root", Policy::default()).child(spec), 7).await.unwrap();
//!     let soon = || Deadline::after(Duration::from_secs(5));
//!     assert!(matches!(divider.ask((1, 0), soon()).await, Err(Fault::Crashed(_))));
//!     assert_eq!(divider.ask((6, 3), soon()).await.unwrap(), 2); // a fresh worker, the same handle
//!     tree.drain(Duration::from_secs(1)).await;
//! });
//! ```
//!
//! Besides these there are workers that take several requests at once ([`BatchWorker`]), plain actix actors as
//! children ([`ChildSpec::actor`]), and a [`BlackBox`] that names what ran when the process died. The feature
//! `chaos` injects faults into any of them.
//!
//! What it promises: unwinding panics are contained, in handlers, factories and drops; hangs are
//! contained up to [`ChildPolicy::max_zombies`]. What it cannot: an abort, a double panic, a stack overflow,
//! running out of memory and undefined behaviour end the process.

#[cfg(not(panic = "unwind"))]
compile_error!(
    "supervision needs panic = \"unwind\": with abort, the first panic ends the process"
);

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod adopt;
mod batch;
mod blackbox;
mod call;
mod cell;
#[cfg(feature = "chaos")]
mod chaos;
#[cfg(not(feature = "chaos"))]
#[path = "calm.rs"]
mod chaos;
mod control;
mod crew;
mod fault;
mod fence;
mod inbox;
pub mod kernel;
mod node;
mod policy;
mod quarantine;
mod reload;
mod slot;
mod supervisor;
mod sync;
mod tree;
mod watchdog;
mod workers;

pub use adopt::ActorRef;
pub use batch::{BatchCx, BatchWorker, Batching};
pub use blackbox::{BlackBox, BlackBoxError, Suspect};
pub use call::{Cx, Pending};
pub use cell::{AsyncWorker, CellRef, Protocol, StartCx, StartError, Worker};
#[cfg(feature = "chaos")]
pub use chaos::{Chaos, Struck, When};
pub use control::NodeKind;
pub use fault::{CrashReport, CrashSummary, Deadline, Digest, Fault};
pub use kernel::{ChildId, Phase};
pub use policy::{
    AutoShutdown, Backoff, ChildPolicy, Jitter, OnExhausted, Policy, PolicyError, Restart, Strategy,
};
pub use quarantine::DeadLetter;
pub use reload::{ReloadError, ReloadPlan};
pub use supervisor::{ChildSpec, SupervisorSpec};
pub use tree::{DrainReport, Health, SupervisorRef, Tree, TreeError, TreeOptions, TreeSnapshot};
