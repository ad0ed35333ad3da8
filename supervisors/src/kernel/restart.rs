//! Failures, and what follows by strategy, intensity and backoff.

use super::{AfterStop, Effect, Kernel, Mode, Phase, Tick};
use crate::policy::{Jitter, OnExhausted, Restart, Strategy};

impl Kernel {
    pub(super) fn failed(
        &mut self,
        now: Tick,
        id: &str,
        final_straw: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(index) = self.position(id) else {
            return;
        };
        let child = &mut self.children[index];
        if !matches!(child.phase, Phase::Starting | Phase::Ready | Phase::Backoff) {
            // It is down already, or its `Stopped` follows.
            return;
        }
        if let Mode::Stopping { .. } = self.mode {
            // Its turn to be stopped comes; until then it stays down.
            child.phase = Phase::Backoff;
            return;
        }
        if child.temporary() {
            return child.end(effects);
        }
        let uptime = now.saturating_sub(child.started_at);
        if child.phase == Phase::Ready && uptime >= self.policy.backoff.reset_after_ms {
            child.failures = 0;
            child.probing = false;
        }
        let probing = child.probing;
        let period = self.policy.period_ms;
        let mut window = self.window.iter();
        let old = window
            .position(|(at, _)| at.saturating_add(period) > now)
            .unwrap_or(self.window.len());
        self.window.drain(..old);
        let over = self.window.len() >= self.policy.intensity as usize;
        if over || final_straw || probing {
            return self.exhausted(now, index, effects);
        }
        self.restart_after_failure(now, index, effects);
    }

    fn restart_after_failure(&mut self, now: Tick, index: usize, effects: &mut Vec<Effect>) {
        let at = now.saturating_add(self.delay(index));
        let child = &mut self.children[index];
        child.failures = child.failures.saturating_add(1);
        child.restarts += 1;
        self.window.push_back((now, child.spec.id.clone()));
        match self.policy.strategy {
            // A second worker of a pool that fails meanwhile waits for the same timer.
            Strategy::OneForOne if child.phase == Phase::Backoff => {}
            Strategy::OneForOne if at <= now => child.start(now, effects),
            Strategy::OneForOne => {
                child.phase = Phase::Backoff;
                child.due_at = at;
                effects.push(Effect::Timer(child.spec.id.clone(), at));
            }
            Strategy::OneForAll => self.regroup(now, index, 0, at, effects),
            Strategy::RestForOne => self.regroup(now, index, index, at, effects),
        }
    }

    /// Stops the group of `failed` in reverse; when all have stopped and `at` has come, it starts in order.
    fn regroup(
        &mut self,
        now: Tick,
        failed: usize,
        first: usize,
        at: Tick,
        effects: &mut Vec<Effect>,
    ) {
        for index in (first..self.children.len()).rev() {
            let child = &mut self.children[index];
            match child.phase {
                // Also the one that failed: a pool's other workers have the old state.
                Phase::Ready | Phase::Starting | Phase::Backoff => {
                    if child.temporary() && index != failed {
                        child.stop(AfterStop::End { by_itself: false }, true, effects);
                    } else {
                        child.stop(AfterStop::Wait, false, effects);
                    }
                }
                Phase::Stopping if child.after_stop == AfterStop::Start => {
                    child.after_stop = AfterStop::Wait;
                }
                _ => {}
            }
        }
        let at = match self.mode {
            Mode::Regrouping { at: earlier } => earlier.max(at),
            _ => at,
        };
        self.mode = Mode::Regrouping { at };
        if at > now {
            effects.push(Effect::Timer(self.children[failed].spec.id.clone(), at));
        }
    }

    fn exhausted(&mut self, now: Tick, index: usize, effects: &mut Vec<Effect>) {
        self.window.clear();
        let child = &mut self.children[index];
        let id = child.spec.id.clone();
        match self.policy.on_exhausted {
            OnExhausted::Open => {
                // The backoff's whole ceiling, not a jittered part: the point is to leave it alone.
                let wait = self.policy.backoff.ceiling_ms(child.failures.max(1));
                child.failures = child.failures.saturating_add(1);
                child.phase = Phase::Open;
                child.due_at = now.saturating_add(wait);
                effects.push(Effect::Open(id.clone(), child.due_at));
                effects.push(Effect::Timer(id, child.due_at));
                // Siblings that wait for their turn must not wait for this one.
                self.settle(now, effects);
            }
            OnExhausted::Escalate => {
                // The shutdown stops what is left of it in its turn.
                child.phase = Phase::Backoff;
                // The queues outlive the branch: its parent starts it anew.
                self.shutdown(true, false, effects);
            }
            OnExhausted::Stop => {
                effects.push(Effect::Park(id));
                child.stop(AfterStop::Park, false, effects);
            }
        }
    }

    pub(super) fn ended(&mut self, now: Tick, id: &str, effects: &mut Vec<Effect>) {
        let Some(index) = self.position(id) else {
            return;
        };
        let child = &mut self.children[index];
        if child.spec.restart == Restart::Permanent {
            return self.failed(now, id, false, effects);
        }
        if !matches!(
            child.phase,
            Phase::Starting | Phase::Ready | Phase::Backoff | Phase::Open
        ) {
            return;
        }
        if let Mode::Stopping { .. } = self.mode {
            child.phase = Phase::Backoff;
            child.doomed |= child.added;
        } else {
            child.end(effects);
        }
    }

    pub(super) fn due(&mut self, now: Tick, id: &str, effects: &mut Vec<Effect>) {
        if let Mode::Stopping { .. } = self.mode {
            return;
        }
        if let Mode::Regrouping { .. } = self.mode {
            self.settle(now, effects);
        }
        let Some(index) = self.position(id) else {
            return;
        };
        let child = &mut self.children[index];
        if now < child.due_at {
            return;
        }
        match child.phase {
            Phase::Backoff => child.start(now, effects),
            Phase::Open => {
                child.probing = true;
                child.restarts += 1;
                child.start(now, effects);
            }
            _ => {}
        }
    }

    pub(super) fn operator_restart(&mut self, now: Tick, id: &str, effects: &mut Vec<Effect>) {
        let Some(index) = self.position(id) else {
            return;
        };
        if let Mode::Stopping { .. } = self.mode {
            return;
        }
        let child = &mut self.children[index];
        match child.phase {
            // Also one that is down: other workers of its pool may run on.
            Phase::Ready | Phase::Starting | Phase::Backoff | Phase::Open => {
                child.stop(AfterStop::Start, false, effects);
            }
            Phase::Stopped | Phase::Ended => child.start(now, effects),
            Phase::Stopping if child.after_stop == AfterStop::Park => {
                child.after_stop = AfterStop::Start;
            }
            // It gets fresh state anyway, or is going for good.
            Phase::Waiting | Phase::Stopping => return,
        }
        child.failures = 0;
        child.probing = false;
        child.restarts += 1;
    }

    fn delay(&mut self, index: usize) -> u64 {
        let failures = self.children[index].failures;
        let ceiling = self.policy.backoff.ceiling_ms(failures);
        match self.policy.backoff.jitter {
            Jitter::None => ceiling,
            Jitter::Full => self.random() % ceiling.saturating_add(1),
        }
    }

    /// xorshift64*: Vigna, arXiv:1402.6246. Spread, not secrecy, is what jitter needs.
    fn random(&mut self) -> u64 {
        self.rng ^= self.rng >> 12;
        self.rng ^= self.rng << 25;
        self.rng ^= self.rng >> 27;
        self.rng.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}
