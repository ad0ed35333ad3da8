//! The decisions of one supervisor: time and events in, effects out. No threads, no clock, seeded randomness.
//!
//! Invariants: a child is started only when it is not running; children start in order and stop in
//! reverse; restarts within `period_ms` never exceed `intensity` without `on_exhausted` being applied;
//! a child that is gone is never named again; nothing follows [`Effect::Done`].
//!
//! What the shell owes: every [`Effect::Stop`] is answered by exactly one [`Event::Stopped`], and what the
//! child reported before it arrives before it.

use std::collections::VecDeque;

use crate::policy::{Policy, Restart};

mod child;
#[cfg(test)]
mod model;
mod restart;
mod start;
mod stop;
#[cfg(test)]
mod tests;

use child::{AfterStop, Child};

/// A point in time, milliseconds since an arbitrary start.
pub type Tick = u64;

/// Names a child within its supervisor.
pub type ChildId = std::sync::Arc<str>;

/// What the kernel must know of a child.
#[derive(Debug, Clone)]
pub struct KernelChild {
    /// Its name.
    pub id: ChildId,
    /// Which exits lead to a restart.
    pub restart: Restart,
    /// When it ends for good, the supervisor may end too: see [`crate::AutoShutdown`].
    pub significant: bool,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Start the static children, in order.
    Boot,
    /// A child runs.
    Started(ChildId),
    /// A child crashed, hung or could not start. `final_straw`: no further try makes sense now.
    Failed {
        /// Which.
        child: ChildId,
        /// Treat as exhausted whatever the intensity says (the zombie cap).
        final_straw: bool,
    },
    /// A child ended by itself, normally.
    Ended(ChildId),
    /// A child that was told to stop has stopped.
    Stopped(ChildId),
    /// A timer asked for by [`Effect::Timer`] is due.
    Due(ChildId),
    /// Adds a child after the others and starts it; nothing when there is one of this name.
    Add(KernelChild),
    /// Stops and forgets a child.
    Remove(ChildId),
    /// An operator wants fresh state; does not count against the intensity.
    Restart(ChildId),
    /// Another policy from now on; what happened so far still counts.
    Policy(Policy),
    /// Another restart type for a known child, from its next exit on.
    Child(KernelChild),
    /// Stops everything, in reverse order.
    Shutdown {
        /// For good: queues are answered `ShuttingDown`. Otherwise they wait for the next start.
        close: bool,
    },
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Build the child's missing workers; report `Started` or `Failed`.
    Start(ChildId),
    /// Stop all its workers; report `Stopped`, also when none runs. With `close`, its queue is answered
    /// `ShuttingDown`.
    Stop {
        /// Which.
        child: ChildId,
        /// For good.
        close: bool,
    },
    /// Report `Due` at this time.
    Timer(ChildId, Tick),
    /// Refuse requests until this time.
    Open(ChildId, Tick),
    /// Refuse requests until an operator acts.
    Park(ChildId),
    /// All static children run, or rest after failing.
    Booted,
    /// A child is gone for good.
    Removed(ChildId),
    /// Everything is stopped.
    Done {
        /// The supervisor gave up, so its parent must act.
        failed: bool,
        /// For good: whatever is still queued is answered `ShuttingDown`.
        close: bool,
    },
}

/// Where a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not started yet, or waiting for its turn.
    Waiting,
    /// Told to start.
    Starting,
    /// Runs.
    Ready,
    /// Restarts when its timer is due.
    Backoff,
    /// Failed too often; refuses until its timer is due.
    Open,
    /// Told to stop.
    Stopping,
    /// Given up or shut down.
    Stopped,
    /// Ended for good, as its restart type allows.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Booting,
    Running,
    /// Children that restart together wait until all of them have stopped, then for `at`.
    Regrouping {
        at: Tick,
    },
    Stopping {
        failed: bool,
        close: bool,
    },
    Done,
}

/// The pure state machine of one supervisor.
#[derive(Debug)]
pub struct Kernel {
    policy: Policy,
    children: Vec<Child>,
    /// Restarts that may still count against the intensity, oldest first.
    window: VecDeque<(Tick, ChildId)>,
    mode: Mode,
    booted: bool,
    rng: u64,
}

/// What a snapshot shows of a child.
#[derive(Debug, Clone, Copy)]
pub struct ChildView {
    /// Where it is.
    pub phase: Phase,
    /// Restarts since the supervisor started.
    pub restarts: u64,
}

impl Kernel {
    /// Prepares a supervisor; nothing starts before [`Event::Boot`].
    pub fn new(policy: Policy, children: Vec<KernelChild>, seed: u64) -> Self {
        let children = children.into_iter().map(Child::new).collect();
        Self {
            policy,
            children,
            window: VecDeque::new(),
            mode: Mode::Booting,
            booted: false,
            rng: seed | 1,
        }
    }

    /// Shows a child.
    pub fn view(&self, id: &str) -> Option<ChildView> {
        let mut views = self.views();
        views
            .find(|(known, _)| &***known == id)
            .map(|found| found.1)
    }

    /// Shows all children.
    pub fn views(&self) -> impl Iterator<Item = (&ChildId, ChildView)> {
        self.children.iter().map(|child| {
            let view = ChildView {
                phase: child.phase,
                restarts: child.restarts,
            };
            (&child.spec.id, view)
        })
    }

    /// The restarts that count against the intensity: of whom, and until when.
    pub fn counted(&self) -> impl Iterator<Item = (&ChildId, Tick)> {
        let period = self.policy.period_ms;
        let until = move |at: Tick| at.saturating_add(period);
        self.window.iter().map(move |(at, id)| (id, until(*at)))
    }

    /// How many restarts count against the intensity at `now`.
    pub fn restarts_in_window(&self, now: Tick) -> usize {
        self.counted().filter(|(_, until)| *until > now).count()
    }

    /// Takes one event; returns what to do, in order.
    pub fn step(&mut self, now: Tick, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.mode == Mode::Done {
            return effects;
        }
        match event {
            Event::Boot => self.boot(now, &mut effects),
            Event::Started(id) => self.started(now, &id, &mut effects),
            Event::Failed { child, final_straw } => {
                self.failed(now, &child, final_straw, &mut effects);
            }
            Event::Ended(id) => self.ended(now, &id, &mut effects),
            Event::Stopped(id) => self.stopped(now, &id, &mut effects),
            Event::Due(id) => self.due(now, &id, &mut effects),
            Event::Add(spec) => self.add(now, spec, &mut effects),
            Event::Remove(id) => self.remove(&id, &mut effects),
            Event::Restart(id) => self.operator_restart(now, &id, &mut effects),
            Event::Policy(policy) => self.policy = policy,
            Event::Child(spec) => {
                if let Some(index) = self.position(&spec.id) {
                    self.children[index].spec = spec;
                }
            }
            Event::Shutdown { close } => self.shutdown(false, close, &mut effects),
        }
        effects
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.children.iter().position(|child| &*child.spec.id == id)
    }
}
