//! Stops: of one child, of all in reverse order, and ends for good.

use super::{AfterStop, Effect, Kernel, Mode, Phase, Tick};
use crate::policy::AutoShutdown;

impl Kernel {
    pub(super) fn stopped(&mut self, now: Tick, id: &str, effects: &mut Vec<Effect>) {
        let Some(index) = self.position(id) else {
            return;
        };
        let child = &mut self.children[index];
        if child.phase != Phase::Stopping {
            return;
        }
        if let Mode::Stopping { .. } = self.mode {
            return self.stopped_for_shutdown(index, effects);
        }
        match child.after_stop {
            AfterStop::Start => return child.start(now, effects),
            AfterStop::Wait => child.phase = Phase::Waiting,
            AfterStop::Park => child.phase = Phase::Stopped,
            AfterStop::Remove => self.forget(index, effects),
            AfterStop::End { by_itself } => {
                let significant = child.spec.significant && by_itself;
                child.phase = Phase::Ended;
                if child.added {
                    self.forget(index, effects);
                }
                if significant && self.ends_with_its_children() {
                    return self.shutdown(false, true, effects);
                }
            }
        }
        self.settle(now, effects);
    }

    fn stopped_for_shutdown(&mut self, index: usize, effects: &mut Vec<Effect>) {
        let child = &mut self.children[index];
        let ended = matches!(child.after_stop, AfterStop::End { .. }) || child.temporary();
        let removed = child.after_stop == AfterStop::Remove || child.doomed;
        child.phase = Phase::Stopped;
        // What is gone must not come back when the parent starts this supervisor anew.
        if removed || (ended && child.added) {
            self.forget(index, effects);
        }
        self.stop_next(effects);
    }

    fn forget(&mut self, index: usize, effects: &mut Vec<Effect>) {
        let child = self.children.remove(index);
        effects.push(Effect::Removed(child.spec.id));
    }

    /// Whether the end of a significant child ends the supervisor.
    fn ends_with_its_children(&self) -> bool {
        match self.policy.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => !self.children.iter().any(|child| {
                child.spec.significant && !matches!(child.phase, Phase::Ended | Phase::Stopped)
            }),
        }
    }

    pub(super) fn remove(&mut self, id: &str, effects: &mut Vec<Effect>) {
        let Some(index) = self.position(id) else {
            return;
        };
        let child = &mut self.children[index];
        match (self.mode, child.phase) {
            (_, Phase::Stopping) => child.after_stop = AfterStop::Remove,
            (Mode::Stopping { .. }, Phase::Waiting | Phase::Stopped | Phase::Ended) => {
                self.forget(index, effects);
            }
            // The shutdown keeps its order.
            (Mode::Stopping { .. }, _) => child.doomed = true,
            // Also a child that is not running is told: its queue must be answered.
            _ => child.stop(AfterStop::Remove, true, effects),
        }
    }

    pub(super) fn shutdown(&mut self, failed: bool, close: bool, effects: &mut Vec<Effect>) {
        match self.mode {
            Mode::Done => {}
            Mode::Stopping {
                failed: already,
                close: closing,
            } => {
                self.mode = Mode::Stopping {
                    failed: failed || already,
                    close: close || closing,
                };
            }
            _ => {
                self.mode = Mode::Stopping { failed, close };
                self.stop_next(effects);
            }
        }
    }

    /// Stops the last child that is not stopped, one at a time.
    fn stop_next(&mut self, effects: &mut Vec<Effect>) {
        let Mode::Stopping { failed, close } = self.mode else {
            return;
        };
        for child in self.children.iter_mut().rev() {
            match child.phase {
                Phase::Stopping => return,
                Phase::Ready | Phase::Starting | Phase::Backoff | Phase::Open => {
                    return child.stop(AfterStop::Wait, close, effects);
                }
                Phase::Waiting => child.phase = Phase::Stopped,
                Phase::Stopped | Phase::Ended => {}
            }
        }
        self.mode = Mode::Done;
        effects.push(Effect::Done { failed, close });
    }
}
