//! The decisions of one supervisor: time and events in, effects out. No threads, no clock, seeded randomness.
//!
//! Invariants: a child is started only when it is not running; children start in order and stop in
//! reverse; restarts within `period_ms` never exceed `intensity` without `on_exhausted` being applied.

use std::collections::VecDeque;

use crate::policy::{Jitter, OnExhausted, Policy, Restart, Strategy};

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
    /// When it ends for good, the supervisor ends too.
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
    /// Adds a child after the others and starts it.
    Add(KernelChild),
    /// Stops and forgets a child.
    Remove(ChildId),
    /// An operator wants fresh state; does not count against the intensity.
    Restart(ChildId),
    /// Stops everything, in reverse order.
    Shutdown {
        /// For good: queues are answered `ShuttingDown`. Otherwise they wait for the next start.
        close: bool,
    },
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Build the child's workers; report `Started` or `Failed`.
    Start(ChildId),
    /// Stop its workers; report `Stopped`. With `close`, its queue is answered `ShuttingDown`.
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
    /// All static children run.
    Booted,
    /// A child is gone for good.
    Removed(ChildId),
    /// Everything is stopped. `failed`: the supervisor gave up, so its parent must act.
    Done {
        /// Whether it gave up.
        failed: bool,
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
    /// Ended for good, or given up.
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterStop {
    Start,
    Wait,
    Remove,
}

#[derive(Debug)]
struct Child {
    spec: KernelChild,
    phase: Phase,
    after_stop: AfterStop,
    /// Failures since it last was stable: the exponent of the backoff.
    failures: u32,
    started_at: Tick,
    /// Started from `Open` and not yet stable: one more failure opens it again.
    probing: bool,
    restarts: u64,
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
    window: VecDeque<Tick>,
    mode: Mode,
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
            rng: seed | 1,
        }
    }

    /// Shows a child.
    pub fn view(&self, id: &str) -> Option<ChildView> {
        let child = self.children.iter().find(|child| &*child.spec.id == id)?;
        Some(ChildView {
            phase: child.phase,
            restarts: child.restarts,
        })
    }

    /// Restarts that count against the intensity at `now`.
    pub fn restarts_in_window(&self, now: Tick) -> usize {
        self.window
            .iter()
            .filter(|&&at| at + self.policy.period_ms > now)
            .count()
    }

    /// Takes one event; returns what to do, in order.
    pub fn step(&mut self, now: Tick, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Boot => self.start_next(now, &mut effects),
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
            Event::Shutdown { close } => self.shutdown(false, close, &mut effects),
        }
        effects
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.children.iter().position(|child| &*child.spec.id == id)
    }

    /// Starts the first child that waits, unless one is starting already: children start one after another.
    fn start_next(&mut self, now: Tick, effects: &mut Vec<Effect>) {
        if self
            .children
            .iter()
            .any(|child| child.phase == Phase::Starting)
        {
            return;
        }
        match self
            .children
            .iter_mut()
            .find(|child| child.phase == Phase::Waiting)
        {
            Some(child) => child.start(now, effects),
            None => {
                if self.mode == Mode::Booting {
                    effects.push(Effect::Booted);
                }
                self.mode = Mode::Running;
            }
        }
    }

    fn started(&mut self, now: Tick, id: &str, effects: &mut Vec<Effect>) {
        let Some(index) = self.position(id) else {
            return;
        };
        if self.children[index].phase != Phase::Starting {
            return;
        }
        self.children[index].phase = Phase::Ready;
        self.children[index].started_at = now;
        if matches!(self.mode, Mode::Booting | Mode::Running) {
            self.start_next(now, effects);
        }
    }

    fn failed(&mut self, now: Tick, id: &str, final_straw: bool, effects: &mut Vec<Effect>) {
        let Some(index) = self.position(id) else {
            return;
        };
        match (self.mode, self.children[index].phase) {
            // A child that fails while it is being stopped has stopped.
            (_, Phase::Stopping) => return self.stopped(now, id, effects),
            (_, Phase::Stopped | Phase::Open) | (Mode::Done, _) => return,
            // Its turn to be stopped comes; until then it stays down.
            (Mode::Stopping { .. }, _) => return self.children[index].phase = Phase::Backoff,
            _ => {}
        }
        if self.children[index].spec.restart == Restart::Temporary {
            return self.gone(now, index, effects);
        }
        let reset_after = self.policy.backoff.reset_after_ms;
        let child = &mut self.children[index];
        if child.phase == Phase::Ready && now.saturating_sub(child.started_at) >= reset_after {
            child.failures = 0;
            child.probing = false;
        }
        while self
            .window
            .front()
            .is_some_and(|&at| at + self.policy.period_ms <= now)
        {
            self.window.pop_front();
        }
        let over = self.window.len() >= self.policy.intensity as usize;
        if over || final_straw || self.children[index].probing {
            return self.exhausted(now, index, effects);
        }
        self.window.push_back(now);
        let at = now + self.delay(index);
        let child = &mut self.children[index];
        child.failures = child.failures.saturating_add(1);
        child.restarts += 1;
        match self.policy.strategy {
            Strategy::OneForOne => {
                // A second worker of a pool that fails meanwhile waits for the same timer.
                if self.children[index].phase != Phase::Backoff {
                    self.children[index].phase = Phase::Backoff;
                    let id = self.children[index].spec.id.clone();
                    if at <= now {
                        self.due(now, &id, effects);
                    } else {
                        effects.push(Effect::Timer(id, at));
                    }
                }
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
        self.children[failed].phase = Phase::Waiting;
        for index in (first..self.children.len()).rev() {
            let child = &mut self.children[index];
            match child.phase {
                Phase::Ready | Phase::Starting | Phase::Backoff => {
                    child.stop(AfterStop::Wait, false, effects);
                }
                Phase::Stopping if child.after_stop == AfterStop::Start => {
                    child.after_stop = AfterStop::Wait;
                }
                _ => {}
            }
        }
        self.mode = Mode::Regrouping { at };
        let id = self.children[failed].spec.id.clone();
        if at > now {
            effects.push(Effect::Timer(id, at));
        } else {
            self.start_group(now, effects);
        }
    }

    fn start_group(&mut self, now: Tick, effects: &mut Vec<Effect>) {
        let Mode::Regrouping { at } = self.mode else {
            return;
        };
        let stopping = self
            .children
            .iter()
            .any(|child| child.phase == Phase::Stopping && child.after_stop == AfterStop::Wait);
        if at <= now && !stopping {
            self.mode = Mode::Running;
            self.start_next(now, effects);
        }
    }

    fn exhausted(&mut self, now: Tick, index: usize, effects: &mut Vec<Effect>) {
        self.window.clear();
        match self.policy.on_exhausted {
            OnExhausted::Open => {
                // The backoff's whole ceiling, not a jittered part: the point is to leave it alone.
                let child = &mut self.children[index];
                let wait = self.policy.backoff.ceiling_ms(child.failures.max(1));
                child.failures = child.failures.saturating_add(1);
                child.phase = Phase::Open;
                effects.push(Effect::Open(child.spec.id.clone(), now + wait));
                effects.push(Effect::Timer(child.spec.id.clone(), now + wait));
                // Siblings that wait for their turn must not wait for this one.
                if self.mode == Mode::Booting || self.mode == Mode::Running {
                    self.start_next(now, effects);
                }
            }
            OnExhausted::Escalate => {
                self.children[index].phase = Phase::Stopped;
                // The queues outlive the branch: its parent starts it anew.
                self.shutdown(true, false, effects);
            }
            OnExhausted::Stop => {
                self.children[index].phase = Phase::Stopped;
                effects.push(Effect::Park(self.children[index].spec.id.clone()));
                if self.mode == Mode::Booting || self.mode == Mode::Running {
                    self.start_next(now, effects);
                }
            }
        }
    }

    fn ended(&mut self, now: Tick, id: &str, effects: &mut Vec<Effect>) {
        let Some(index) = self.position(id) else {
            return;
        };
        match (
            self.children[index].phase,
            self.children[index].spec.restart,
        ) {
            (Phase::Stopping, _) => self.stopped(now, id, effects),
            (_, Restart::Permanent) => self.failed(now, id, false, effects),
            _ => self.gone(now, index, effects),
        }
    }

    /// A child that ended for good is forgotten; a significant one takes the supervisor along.
    fn gone(&mut self, now: Tick, index: usize, effects: &mut Vec<Effect>) {
        let child = self.children.remove(index);
        effects.push(Effect::Removed(child.spec.id.clone()));
        if child.spec.significant {
            self.shutdown(false, true, effects);
        } else if matches!(self.mode, Mode::Booting | Mode::Running) {
            self.start_next(now, effects);
        }
    }

    fn stopped(&mut self, now: Tick, id: &str, effects: &mut Vec<Effect>) {
        let Some(index) = self.position(id) else {
            return;
        };
        if self.children[index].phase != Phase::Stopping {
            return;
        }
        if let Mode::Stopping { .. } = self.mode {
            self.children[index].phase = Phase::Stopped;
            return self.stop_next(effects);
        }
        match self.children[index].after_stop {
            AfterStop::Remove => self.gone(now, index, effects),
            AfterStop::Start => self.children[index].start(now, effects),
            AfterStop::Wait => {
                self.children[index].phase = Phase::Waiting;
                self.start_group(now, effects);
            }
        }
    }

    fn due(&mut self, now: Tick, id: &str, effects: &mut Vec<Effect>) {
        if let Mode::Regrouping { .. } = self.mode {
            self.start_group(now, effects);
        }
        let Some(index) = self.position(id) else {
            return;
        };
        if matches!(self.mode, Mode::Stopping { .. } | Mode::Done) {
            return;
        }
        match self.children[index].phase {
            Phase::Backoff => self.children[index].start(now, effects),
            Phase::Open => {
                self.children[index].probing = true;
                self.children[index].restarts += 1;
                self.children[index].start(now, effects);
            }
            _ => {}
        }
    }

    fn add(&mut self, now: Tick, spec: KernelChild, effects: &mut Vec<Effect>) {
        if matches!(self.mode, Mode::Stopping { .. } | Mode::Done) {
            effects.push(Effect::Removed(spec.id));
            return;
        }
        let mut child = Child::new(spec);
        // Dynamic children do not wait for each other: one slow start must not hold up the rest.
        if matches!(self.mode, Mode::Running) {
            child.start(now, effects);
        }
        self.children.push(child);
    }

    fn remove(&mut self, id: &str, effects: &mut Vec<Effect>) {
        let Some(index) = self.position(id) else {
            return;
        };
        match self.children[index].phase {
            Phase::Stopping => self.children[index].after_stop = AfterStop::Remove,
            // Also a child that is not running is told: its queue must be answered.
            _ => self.children[index].stop(AfterStop::Remove, true, effects),
        }
    }

    fn operator_restart(&mut self, now: Tick, id: &str, effects: &mut Vec<Effect>) {
        let Some(index) = self.position(id) else {
            return;
        };
        if !matches!(self.mode, Mode::Running | Mode::Booting) {
            return;
        }
        let child = &mut self.children[index];
        match child.phase {
            Phase::Ready => child.stop(AfterStop::Start, false, effects),
            Phase::Backoff | Phase::Open | Phase::Stopped => {
                child.failures = 0;
                child.start(now, effects);
            }
            Phase::Waiting | Phase::Starting | Phase::Stopping => {}
        }
        self.children[index].restarts += 1;
    }

    fn shutdown(&mut self, failed: bool, close: bool, effects: &mut Vec<Effect>) {
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
                Phase::Stopped => {}
            }
        }
        self.mode = Mode::Done;
        effects.push(Effect::Done { failed });
    }

    fn delay(&mut self, index: usize) -> u64 {
        let ceiling = self
            .policy
            .backoff
            .ceiling_ms(self.children[index].failures);
        match self.policy.backoff.jitter {
            Jitter::None => ceiling,
            Jitter::Full if ceiling == 0 => 0,
            Jitter::Full => self.random() % (ceiling + 1),
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

impl Child {
    fn new(spec: KernelChild) -> Self {
        Self {
            spec,
            phase: Phase::Waiting,
            after_stop: AfterStop::Wait,
            failures: 0,
            started_at: 0,
            probing: false,
            restarts: 0,
        }
    }

    fn start(&mut self, now: Tick, effects: &mut Vec<Effect>) {
        self.phase = Phase::Starting;
        self.started_at = now;
        effects.push(Effect::Start(self.spec.id.clone()));
    }

    fn stop(&mut self, after: AfterStop, close: bool, effects: &mut Vec<Effect>) {
        self.phase = Phase::Stopping;
        self.after_stop = after;
        effects.push(Effect::Stop {
            child: self.spec.id.clone(),
            close,
        });
    }
}

#[cfg(test)]
mod tests;
