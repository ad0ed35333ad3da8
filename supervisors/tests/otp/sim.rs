//! A supervisor's kernel and a world that does what it says at once: starts and stops succeed, timers fire.

use std::collections::{BTreeSet, VecDeque};

use supervisors::kernel::{Effect, Event, Kernel, KernelChild, Tick};
use supervisors::{
    AutoShutdown, Backoff, ChildId, Jitter, OnExhausted, Phase, Policy, Restart, Strategy,
};

/// What OTP has: no delay between restarts, and past the intensity the supervisor gives up.
pub(crate) fn otp(strategy: Strategy, intensity: u32) -> Policy {
    let backoff = Backoff {
        base_ms: 1,
        max_ms: 1,
        jitter: Jitter::None,
        ..Backoff::default()
    };
    Policy {
        strategy,
        intensity,
        period_ms: 3_600_000,
        backoff,
        on_exhausted: OnExhausted::Escalate,
        ..Policy::default()
    }
}

pub(crate) fn auto(mode: AutoShutdown) -> Policy {
    Policy {
        auto_shutdown: mode,
        ..otp(Strategy::OneForOne, 5)
    }
}

pub(crate) fn child(id: &str, restart: Restart) -> KernelChild {
    KernelChild {
        id: id.into(),
        restart,
        significant: false,
    }
}

pub(crate) fn significant(id: &str, restart: Restart) -> KernelChild {
    KernelChild {
        significant: true,
        ..child(id, restart)
    }
}

pub(crate) struct Sim {
    kernel: Kernel,
    now: Tick,
    news: VecDeque<Event>,
    timers: Vec<(Tick, ChildId)>,
    /// Children whose factory fails.
    pub(crate) broken: BTreeSet<&'static str>,
    /// `+a` started, `-a` told to stop, `removed a`, `done`, `failed`.
    log: Vec<String>,
}

impl Sim {
    /// Boots a supervisor with static children.
    pub(crate) fn new(policy: Policy, children: Vec<KernelChild>) -> Self {
        let mut sim = Self {
            kernel: Kernel::new(policy, children, 7),
            now: 0,
            news: VecDeque::new(),
            timers: Vec::new(),
            broken: BTreeSet::new(),
            log: Vec::new(),
        };
        sim.tell(Event::Boot);
        sim.log.clear();
        sim
    }

    /// Boots a supervisor with permanent children.
    pub(crate) fn permanent(policy: Policy, names: &[&str]) -> Self {
        let children = names.iter().map(|name| child(name, Restart::Permanent));
        Self::new(policy, children.collect())
    }

    /// Gives the kernel an event and lets the world react until nothing happens any more.
    pub(crate) fn tell(&mut self, event: Event) {
        self.tell_all([event]);
    }

    /// Several at once: each before the world reacts to an earlier one.
    pub(crate) fn tell_all(&mut self, events: impl IntoIterator<Item = Event>) {
        self.news.extend(events);
        for _ in 0..10_000 {
            if let Some(event) = self.news.pop_front() {
                for effect in self.kernel.step(self.now, event) {
                    self.carry_out(effect);
                }
            } else if let Some((at, id)) = self.timers.pop() {
                self.now = self.now.max(at);
                self.news.push_back(Event::Due(id));
            } else {
                return;
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Start(id) => {
                self.log.push(format!("+{id}"));
                self.news.push_back(if self.broken.contains(&*id) {
                    failed(&id)
                } else {
                    Event::Started(id)
                });
            }
            Effect::Stop { child, .. } => {
                self.log.push(format!("-{child}"));
                self.news.push_back(Event::Stopped(child));
            }
            Effect::Timer(id, at) => self.timers.push((at, id)),
            Effect::Removed(id) => self.log.push(format!("removed {id}")),
            Effect::Done { failed, .. } => {
                self.log
                    .push(if failed { "failed" } else { "done" }.to_owned());
            }
            Effect::Open(..) | Effect::Park(_) | Effect::Booted => {}
        }
    }

    pub(crate) fn crash(&mut self, id: &str) {
        self.tell(failed(id));
    }

    pub(crate) fn end(&mut self, id: &str) {
        self.tell(Event::Ended(id.into()));
    }

    pub(crate) fn add(&mut self, child: KernelChild) {
        self.tell(Event::Add(child));
    }

    pub(crate) fn phase(&self, id: &str) -> Option<Phase> {
        self.kernel.view(id).map(|view| view.phase)
    }

    pub(crate) fn restarts(&self, id: &str) -> u64 {
        self.kernel.view(id).unwrap().restarts
    }

    /// What happened since this was last asked.
    pub(crate) fn log(&mut self) -> String {
        std::mem::take(&mut self.log).join(" ")
    }
}

pub(crate) fn failed(id: &str) -> Event {
    Event::Failed {
        child: id.into(),
        final_straw: false,
    }
}
