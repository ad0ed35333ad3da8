//! Starts: at boot and within a group one after another, otherwise each by itself.

use super::{AfterStop, Child, Effect, Kernel, KernelChild, Mode, Phase, Tick};

impl Kernel {
    pub(super) fn boot(&mut self, now: Tick, effects: &mut Vec<Effect>) {
        if self.mode == Mode::Booting {
            self.start_next(now, effects);
        }
    }

    /// Starts the first child that waits, unless one is starting already: children start one after another.
    fn start_next(&mut self, now: Tick, effects: &mut Vec<Effect>) {
        let mut children = self.children.iter();
        if children.any(|child| child.phase == Phase::Starting) {
            return;
        }
        let mut children = self.children.iter_mut();
        if let Some(child) = children.find(|child| child.phase == Phase::Waiting) {
            return child.start(now, effects);
        }
        self.mode = Mode::Running;
        if !self.booted {
            self.booted = true;
            effects.push(Effect::Booted);
        }
    }

    /// Goes on with what waits, now that a child has come to rest.
    pub(super) fn settle(&mut self, now: Tick, effects: &mut Vec<Effect>) {
        match self.mode {
            Mode::Booting | Mode::Running => self.start_next(now, effects),
            Mode::Regrouping { at } => {
                let stopping = self.children.iter().any(|child| {
                    child.phase == Phase::Stopping && child.after_stop == AfterStop::Wait
                });
                if at <= now && !stopping {
                    self.mode = Mode::Running;
                    self.start_next(now, effects);
                }
            }
            Mode::Stopping { .. } | Mode::Done => {}
        }
    }

    pub(super) fn started(&mut self, now: Tick, id: &str, effects: &mut Vec<Effect>) {
        let Some(index) = self.position(id) else {
            return;
        };
        let child = &mut self.children[index];
        if child.phase == Phase::Starting {
            child.phase = Phase::Ready;
            child.started_at = now;
            self.settle(now, effects);
        }
    }

    pub(super) fn add(&mut self, now: Tick, spec: KernelChild, effects: &mut Vec<Effect>) {
        if self.position(&spec.id).is_some() {
            return;
        }
        if matches!(self.mode, Mode::Stopping { .. }) {
            effects.push(Effect::Removed(spec.id));
            return;
        }
        let mut child = Child::added(spec);
        // Dynamic children do not wait for each other: one slow start must not hold up the rest.
        if self.mode == Mode::Running {
            child.start(now, effects);
        }
        self.children.push(child);
    }
}
