//! One child as its supervisor sees it.

use super::{Effect, KernelChild, Phase, Tick};
use crate::policy::Restart;

/// What becomes of a child when it has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterStop {
    /// It starts at once.
    Start,
    /// It starts in its turn.
    Wait,
    /// It stays down until an operator acts.
    Park,
    /// It has ended for good. Only an end of its own counts for auto-shutdown.
    End { by_itself: bool },
    /// It is forgotten.
    Remove,
}

#[derive(Debug)]
pub(super) struct Child {
    pub(super) spec: KernelChild,
    pub(super) phase: Phase,
    pub(super) after_stop: AfterStop,
    /// Added at run time: forgotten when it ends, where a static child stays as `Ended`.
    pub(super) added: bool,
    /// To be forgotten when the shutdown reaches it.
    pub(super) doomed: bool,
    /// Failures since it last was stable: the exponent of the backoff.
    pub(super) failures: u32,
    pub(super) started_at: Tick,
    /// When it starts again; an earlier timer is of an earlier failure.
    pub(super) due_at: Tick,
    /// Started from `Open` and not yet stable: one more failure opens it again.
    pub(super) probing: bool,
    pub(super) restarts: u64,
}

impl Child {
    pub(super) fn new(spec: KernelChild) -> Self {
        Self {
            spec,
            phase: Phase::Waiting,
            after_stop: AfterStop::Wait,
            added: false,
            doomed: false,
            failures: 0,
            started_at: 0,
            due_at: 0,
            probing: false,
            restarts: 0,
        }
    }

    pub(super) fn added(spec: KernelChild) -> Self {
        Self {
            added: true,
            ..Self::new(spec)
        }
    }

    pub(super) fn temporary(&self) -> bool {
        self.spec.restart == Restart::Temporary
    }

    pub(super) fn start(&mut self, now: Tick, effects: &mut Vec<Effect>) {
        self.phase = Phase::Starting;
        self.started_at = now;
        effects.push(Effect::Start(self.spec.id.clone()));
    }

    pub(super) fn stop(&mut self, after: AfterStop, close: bool, effects: &mut Vec<Effect>) {
        self.phase = Phase::Stopping;
        self.after_stop = after;
        effects.push(Effect::Stop {
            child: self.spec.id.clone(),
            close,
        });
    }

    /// Ends for good by itself: what still runs of it stops, its queue is answered.
    pub(super) fn end(&mut self, effects: &mut Vec<Effect>) {
        self.stop(AfterStop::End { by_itself: true }, true, effects);
    }
}
