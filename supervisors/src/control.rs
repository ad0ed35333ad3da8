//! What a supervisor, the watchdog and snapshots do with a cell, whatever its types.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc;

use crate::blackbox::BlackBox;
use crate::cell::{Core, Gate, Protocol, drop_quietly, lock};
#[cfg(feature = "chaos")]
use crate::chaos::FailPoint;
use crate::crew::CrewSlot;
use crate::fault::{CrashSummary, Fault};
use crate::policy::ChildPolicy;
use crate::quarantine::DeadLetter;
use crate::supervisor::Command;

/// The kinds of node in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// Has children.
    Supervisor,
    /// Workers on threads.
    Sync,
    /// Many requests in flight on an arbiter.
    Async,
    /// Workers on threads that take several requests at once.
    Batch,
    /// A plain actix actor on an arbiter.
    Actor,
}

/// What the supervisor does with a cell whose types it does not know.
pub(crate) trait CellControl: Send + Sync {
    fn id(&self) -> &Arc<str>;
    fn policy(&self) -> Arc<ChildPolicy>;
    /// Swaps the policy; `workers` applies when the cell next restarts.
    fn set_policy(&self, policy: ChildPolicy);
    fn bind(&self, events: mpsc::UnboundedSender<Command>);
    fn start(&self);
    /// Returns the number of this stop.
    fn stop(&self, close: bool) -> u64;
    /// The shutdown budget of a stop is over.
    fn abandon(&self, stop: u64);
    fn open(&self, wait: Duration);
    fn park(&self);
    fn close(&self);
    fn crash_next(&self);
    /// Notes what runs, and refuses what ended the process before.
    fn record_in(&self, black_box: &BlackBox);
    /// Where chaos is injected.
    #[cfg(feature = "chaos")]
    fn fail_point(&self) -> &FailPoint;
    fn check(&self, now: Instant);
    fn view(&self) -> CellView;
    fn dead_letters(&self) -> Vec<DeadLetter>;
    fn release(&self, digest: &str) -> bool;
    fn delete(&self, digest: &str) -> bool;
}

/// What a snapshot shows of a cell.
pub(crate) struct CellView {
    pub(crate) kind: NodeKind,
    pub(crate) epoch: u64,
    pub(crate) workers: usize,
    pub(crate) queue: usize,
    pub(crate) capacity: usize,
    pub(crate) in_flight: usize,
    pub(crate) zombies: usize,
    pub(crate) last_crash: Option<CrashSummary>,
    pub(crate) start_failure: Option<Arc<str>>,
}

/// A core and what builds its workers.
pub(crate) struct Cell<P: Protocol> {
    pub(crate) core: Arc<Core<P>>,
    /// Builds workers for the slots given.
    pub(crate) spawn: Spawn<P>,
}

/// Starts the workers of fresh slots.
pub(crate) type Spawn<P> = Box<dyn Fn(&Arc<Core<P>>, Arc<CrewSlot<P>>) + Send + Sync>;

/// How long after its deadline an async call is left to its own timer before its arbiter counts as stuck.
const ARBITER_GRACE: Duration = Duration::from_millis(250);

impl<P: Protocol> CellControl for Cell<P> {
    fn id(&self) -> &Arc<str> {
        &self.core.id
    }

    fn policy(&self) -> Arc<ChildPolicy> {
        self.core.policy()
    }

    fn set_policy(&self, policy: ChildPolicy) {
        self.core.set_policy(policy);
    }

    fn bind(&self, events: mpsc::UnboundedSender<Command>) {
        *lock(&self.core.events) = Some(events);
    }

    fn start(&self) {
        let workers = match self.core.kind {
            NodeKind::Sync | NodeKind::Batch => self.core.policy().workers,
            _ => 1,
        };
        for slot in self.core.prepare_start(workers) {
            (self.spawn)(&self.core, slot);
        }
    }

    fn stop(&self, close: bool) -> u64 {
        if close {
            self.core.shut(Gate::Closed);
        }
        self.core.stop_crew()
    }

    fn abandon(&self, stop: u64) {
        self.core.abandon_crew(stop);
    }

    fn open(&self, wait: Duration) {
        self.core.shut(Gate::Open {
            until: Instant::now() + wait,
        });
    }

    fn park(&self) {
        self.core.shut(Gate::Parked);
    }

    fn close(&self) {
        self.core.shut(Gate::Closed);
    }

    fn crash_next(&self) {
        self.core.crash_next.store(true, Ordering::Release);
    }

    fn record_in(&self, black_box: &BlackBox) {
        if self.core.black_box.set(black_box.clone()).is_ok() {
            self.core.condemn(black_box);
        }
    }

    #[cfg(feature = "chaos")]
    fn fail_point(&self) -> &FailPoint {
        &self.core.fail_point
    }

    fn check(&self, now: Instant) {
        let core = &self.core;
        for job in core.inbox.take_if(|job| job.deadline.0 <= now) {
            core.inbox.release();
            drop_quietly(job.request);
            let _ = job.reply.send(Err(Fault::Expired));
        }
        let grace = if matches!(core.kind, NodeKind::Async | NodeKind::Actor) {
            ARBITER_GRACE
        } else {
            Duration::ZERO
        };
        let slots = core.crew().slots.clone();
        for slot in &slots {
            if core.kind == NodeKind::Batch {
                core.answer_late(slot, now);
            }
            let hung = slot
                .any(|flight| core.pulse(flight.deadline, flight.call.last_beat()) + grace <= now);
            if !hung {
                continue;
            }
            tracing::warn!(
                cell = &*core.id,
                epoch = slot.epoch(),
                "a worker hangs, it is replaced"
            );
            core.abandon_slot(slot, |flight| Fault::Hung {
                after: flight.started.elapsed(),
            });
        }
    }

    fn view(&self) -> CellView {
        let core = &self.core;
        let (slots, epoch) = {
            let crew = core.crew();
            (crew.slots.clone(), crew.epoch())
        };
        CellView {
            kind: core.kind,
            epoch,
            workers: slots.iter().filter(|slot| !slot.is_retired()).count(),
            queue: core.inbox.queued(),
            capacity: core.inbox.capacity(),
            in_flight: slots.iter().map(|slot| slot.in_flight()).sum(),
            zombies: core.zombies.load(Ordering::Acquire),
            last_crash: lock(&core.last_crash).as_deref().map(Into::into),
            start_failure: lock(&core.start_failure).clone(),
        }
    }

    fn dead_letters(&self) -> Vec<DeadLetter> {
        self.core.quarantine.dead_letters(&self.core.id)
    }

    fn release(&self, digest: &str) -> bool {
        if let Some(black_box) = self.core.black_box.get() {
            black_box.forget(&self.core.id, digest);
        }
        self.core.quarantine.release(digest)
    }

    fn delete(&self, digest: &str) -> bool {
        self.core.quarantine.delete(digest)
    }
}
