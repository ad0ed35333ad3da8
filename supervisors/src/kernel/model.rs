//! The kernel against a naive world: it does what the effects say, in any order, and checks each of them.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::policy::{AutoShutdown, Backoff, Jitter, OnExhausted, Strategy};

/// What really runs of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Real {
    /// Nothing runs.
    Down,
    Starting,
    Up,
    /// Told to stop; `Stopped` is on its way.
    Stopping,
}

/// One child of the world, and what it has reported that the kernel has not read.
#[derive(Debug)]
struct Actual {
    real: Real,
    news: VecDeque<Event>,
    restart: Restart,
    /// Static children have their place in the order of start.
    place: Option<usize>,
    ever_started: bool,
    /// An operator wants it to run again.
    asked: bool,
    /// The timer that was asked for last.
    due: Tick,
}

impl Actual {
    fn new(restart: Restart, place: Option<usize>) -> Self {
        Self {
            real: Real::Down,
            news: VecDeque::new(),
            restart,
            place,
            ever_started: false,
            asked: false,
            due: 0,
        }
    }
}

#[derive(Debug, Clone)]
enum Choice {
    /// Deliver the oldest news of a child, `true`: a start fails instead.
    Deliver(usize, bool),
    Fire(usize),
    Crash(usize, bool),
    End(usize),
    Add(u8),
    Remove(usize),
    Restart(usize),
    Policy(Box<Policy>),
    Shutdown(bool),
    Wait(u64),
}

struct World {
    kernel: Kernel,
    policy: Policy,
    now: Tick,
    actual: BTreeMap<ChildId, Actual>,
    timers: Vec<(Tick, ChildId)>,
    /// Restarts granted since the last time that `on_exhausted` was applied.
    granted: Vec<Tick>,
    booted: bool,
    shutting: bool,
    done: bool,
    log: Vec<String>,
}

impl World {
    fn new(policy: Policy, children: &[(Restart, bool)]) -> Self {
        let specs: Vec<_> = (0..)
            .zip(children)
            .map(|(place, (restart, significant))| KernelChild {
                id: format!("static-{place}").into(),
                restart: *restart,
                significant: *significant,
            })
            .collect();
        let actual = |(place, spec): (usize, &KernelChild)| {
            (spec.id.clone(), Actual::new(spec.restart, Some(place)))
        };
        let mut world = Self {
            actual: specs.iter().enumerate().map(actual).collect(),
            kernel: Kernel::new(policy.clone(), specs, 7),
            policy,
            now: 0,
            timers: Vec::new(),
            granted: Vec::new(),
            booted: false,
            shutting: false,
            done: false,
            log: Vec::new(),
        };
        world.feed(Event::Boot);
        world
    }

    fn pick(&self, index: usize) -> Option<ChildId> {
        self.actual
            .keys()
            .nth(index % self.actual.len().max(1))
            .cloned()
    }

    fn feed(&mut self, event: Event) {
        self.log.push(format!("{}: {event:?}", self.now));
        let failed = match &event {
            Event::Failed { child, .. } => Some(child.clone()),
            Event::Ended(child) => Some(child.clone()),
            _ => None,
        };
        let resting = match &event {
            Event::Due(id) => self.kernel.view(id).map(|view| (id.clone(), view.phase)),
            _ => None,
        };
        if let Event::Restart(id) = &event {
            self.actual.get_mut(id).unwrap().asked = true;
        }
        let before = failed
            .as_ref()
            .and_then(|id| self.kernel.view(id))
            .map(|view| view.restarts);
        let effects = self.kernel.step(self.now, event);
        self.log.push(format!("    {effects:?}"));
        let after = failed
            .as_ref()
            .and_then(|id| self.kernel.view(id))
            .map(|view| view.restarts);
        if before < after {
            self.granted.push(self.now);
            let recent = |&&at: &&Tick| at + self.policy.period_ms > self.now;
            let recent = self.granted.iter().filter(recent).count();
            assert!(
                recent <= self.policy.intensity as usize,
                "{recent} restarts"
            );
        }
        if let Some((id, Phase::Backoff | Phase::Open)) = resting
            && effects.contains(&Effect::Start(id.clone()))
        {
            assert!(self.now >= self.actual[&id].due, "{id} starts too early");
        }
        self.shutting |= matches!(self.kernel.mode, Mode::Stopping { .. } | Mode::Done);
        for effect in effects {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        assert!(!self.done, "{effect:?} after the end");
        match effect {
            Effect::Start(id) => {
                assert!(!self.shutting, "{id} starts during a shutdown");
                let place = self.actual[&id].place;
                let actual = self.actual.get_mut(&id).unwrap();
                assert_eq!(actual.real, Real::Down, "{id} starts while it runs");
                let first = !std::mem::replace(&mut actual.ever_started, true);
                let asked = std::mem::replace(&mut actual.asked, false);
                assert!(
                    first || asked || actual.restart != Restart::Temporary,
                    "{id} is temporary and starts again"
                );
                actual.real = Real::Starting;
                actual.news.push_back(Event::Started(id));
                if let Some(place) = place.filter(|_| first) {
                    // One that is removed before its turn is not waited for.
                    let overtaken = |other: &Actual| {
                        let earlier = other.place.is_some_and(|at| at < place);
                        earlier && !other.ever_started && other.real != Real::Stopping
                    };
                    assert!(
                        !self.actual.values().any(overtaken),
                        "{place} starts before an earlier one"
                    );
                }
            }
            Effect::Stop { child, .. } => {
                if self.shutting {
                    let place = self.kernel.position(&child).unwrap();
                    let later = self.kernel.children.iter().skip(place + 1);
                    for later in later.map(|later| &self.actual[&later.spec.id]) {
                        assert_eq!(later.real, Real::Down, "{child} stops before a later one");
                    }
                }
                let actual = self.actual.get_mut(&child).unwrap();
                assert_ne!(actual.real, Real::Stopping, "{child} is stopped twice");
                actual.real = Real::Stopping;
                actual.news.push_back(Event::Stopped(child));
            }
            Effect::Timer(id, at) => {
                assert!(at > self.now);
                self.actual.get_mut(&id).unwrap().due = at;
                self.timers.push((at, id));
            }
            Effect::Open(id, _) | Effect::Park(id) => {
                assert!(self.actual.contains_key(&id));
                self.granted.clear();
            }
            Effect::Booted => assert!(!std::mem::replace(&mut self.booted, true)),
            Effect::Removed(id) => {
                let gone = self.actual.remove(&id).unwrap();
                assert_eq!(gone.real, Real::Down, "{id} is forgotten while it runs");
            }
            Effect::Done { .. } => {
                self.done = true;
                for (id, child) in &self.actual {
                    assert_eq!(child.real, Real::Down, "{id} runs after the end");
                    let spent = child.restart == Restart::Temporary && child.ever_started;
                    let spent = spent && !child.asked;
                    assert!(child.place.is_some() || !spent, "{id} would come back");
                }
            }
        }
    }

    fn deliver(&mut self, id: &ChildId, fails: bool) {
        let actual = self.actual.get_mut(id).unwrap();
        let Some(mut event) = actual.news.pop_front() else {
            return;
        };
        match event {
            Event::Started(_) if fails => {
                if actual.real == Real::Starting {
                    actual.real = Real::Down;
                }
                event = failure(id, false);
            }
            Event::Started(_) if actual.real == Real::Starting => actual.real = Real::Up,
            Event::Stopped(_) => actual.real = Real::Down,
            _ => {}
        }
        self.feed(event);
    }

    fn step(&mut self, choice: Choice) {
        match choice {
            Choice::Deliver(index, fails) => {
                if let Some(id) = self.pick(index) {
                    self.deliver(&id, fails);
                }
            }
            Choice::Fire(index) if !self.timers.is_empty() => {
                let (at, id) = self.timers.remove(index % self.timers.len());
                self.now = self.now.max(at);
                self.feed(Event::Due(id));
            }
            Choice::Fire(_) => {}
            Choice::Crash(index, final_straw) => {
                self.exit(index, |id| failure(id, final_straw));
            }
            Choice::End(index) => self.exit(index, |id| Event::Ended(id.clone())),
            Choice::Add(kind) if !self.done => {
                let id: ChildId = format!("added-{}", kind % 4).into();
                let restart = [Restart::Permanent, Restart::Transient, Restart::Temporary];
                let restart = restart[usize::from(kind) % 3];
                // Adding a name that is taken must change nothing.
                self.actual
                    .entry(id.clone())
                    .or_insert_with(|| Actual::new(restart, None));
                let significant = kind & 0x30 == 0x30 && restart != Restart::Permanent;
                self.feed(Event::Add(KernelChild {
                    id,
                    restart,
                    significant,
                }));
            }
            Choice::Add(_) => {}
            Choice::Remove(index) => self.name(index, Event::Remove),
            Choice::Restart(index) => self.name(index, Event::Restart),
            Choice::Policy(policy) => {
                self.policy = *policy;
                self.granted.clear();
                self.feed(Event::Policy(self.policy.clone()));
            }
            Choice::Shutdown(close) => self.feed(Event::Shutdown { close }),
            Choice::Wait(time) => self.now += time,
        }
    }

    fn name(&mut self, index: usize, event: impl Fn(ChildId) -> Event) {
        if let Some(id) = self.pick(index) {
            self.feed(event(id));
        }
    }

    /// A running child exits; the news of it may cross a stop.
    fn exit(&mut self, index: usize, event: impl Fn(&ChildId) -> Event) {
        let Some(id) = self.pick(index) else { return };
        let actual = self.actual.get_mut(&id).unwrap();
        if actual.real == Real::Up {
            actual.real = Real::Down;
            let news = event(&id);
            actual.news.push_back(news);
        }
    }

    /// Answers all that is asked for, until nothing is under way.
    fn quiesce(&mut self) {
        for _ in 0..10_000 {
            let busy = self.actual.iter().find(|(_, child)| !child.news.is_empty());
            if let Some(id) = busy.map(|(id, _)| id.clone()) {
                self.deliver(&id, false);
            } else if self.timers.is_empty() {
                return;
            } else {
                self.step(Choice::Fire(0));
            }
        }
        panic!("no end: {:#?}", self.log);
    }

    fn check_rest(&self) {
        if self.done {
            return;
        }
        assert!(self.booted, "never booted");
        for (id, child) in &self.actual {
            let phase = self.kernel.view(id).unwrap().phase;
            let rests = match phase {
                Phase::Ready => child.real == Real::Up,
                Phase::Stopped => child.real == Real::Down,
                Phase::Ended => {
                    child.real == Real::Down
                        && child.restart != Restart::Permanent
                        && child.place.is_some()
                }
                _ => false,
            };
            assert!(rests, "{id} rests as {phase:?} and is {child:?}");
        }
    }
}

fn failure(id: &ChildId, final_straw: bool) -> Event {
    Event::Failed {
        child: id.clone(),
        final_straw,
    }
}

fn policies() -> impl Generator<Value = Policy> {
    (
        prop_oneof![
            Just(Strategy::OneForOne),
            Just(Strategy::OneForAll),
            Just(Strategy::RestForOne)
        ],
        0_u32..5,
        prop_oneof![
            3 => Just(OnExhausted::Open),
            1 => Just(OnExhausted::Escalate),
            2 => Just(OnExhausted::Stop)
        ],
        prop_oneof![
            Just(AutoShutdown::Never),
            Just(AutoShutdown::AnySignificant),
            Just(AutoShutdown::AllSignificant)
        ],
        prop_oneof![Just(Jitter::None), Just(Jitter::Full)],
        1_u64..2_000,
    )
        .prop_map(
            |(strategy, intensity, on_exhausted, auto_shutdown, jitter, period_ms)| Policy {
                strategy,
                intensity,
                period_ms,
                backoff: Backoff {
                    jitter,
                    max_ms: 400,
                    reset_after_ms: 1_000,
                    ..Backoff::default()
                },
                on_exhausted,
                auto_shutdown,
            },
        )
}

fn choices() -> impl Generator<Value = Choice> {
    let at = || 0_usize..16;
    prop_oneof![
        30 => (at(), prop::bool::weighted(0.2)).prop_map(|(i, fails)| Choice::Deliver(i, fails)),
        10 => at().prop_map(Choice::Fire),
        10 => (at(), prop::bool::weighted(0.1)).prop_map(|(i, straw)| Choice::Crash(i, straw)),
        2 => at().prop_map(Choice::End),
        4 => any::<u8>().prop_map(Choice::Add),
        2 => at().prop_map(Choice::Remove),
        2 => at().prop_map(Choice::Restart),
        1 => policies().prop_map(|policy| Choice::Policy(Box::new(policy))),
        1 => prop::bool::weighted(0.1).prop_map(|now| if now {
            Choice::Shutdown(true)
        } else {
            Choice::Wait(5_000)
        }),
        8 => (0_u64..300).prop_map(Choice::Wait),
    ]
}

fn children() -> impl Generator<Value = Vec<(Restart, bool)>> {
    let child = prop_oneof![
        5 => Just((Restart::Permanent, false)),
        2 => (Just(Restart::Transient), prop::bool::weighted(0.3)),
        2 => (Just(Restart::Temporary), prop::bool::weighted(0.3)),
    ];
    proptest::collection::vec(child, 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_order_of_events_keeps_the_promises_and_comes_to_rest(
        policy in policies(),
        children in children(),
        choices in proptest::collection::vec(choices(), 0..200),
    ) {
        let mut world = World::new(policy, &children);
        for choice in choices {
            world.step(choice);
        }
        world.quiesce();
        world.check_rest();
        world.step(Choice::Shutdown(true));
        world.quiesce();
        prop_assert!(world.done);
        let left = world.actual.keys().cloned().collect::<Vec<_>>();
        for id in left {
            let phase = world.kernel.view(&id).map(|view| view.phase);
            prop_assert!(matches!(phase, Some(Phase::Stopped | Phase::Ended)), "{id}: {phase:?}");
        }
    }

    #[test]
    fn a_shutdown_at_any_moment_ends_everything_once(
        policy in policies(),
        children in children(),
        before in proptest::collection::vec(choices(), 0..60),
        after in proptest::collection::vec(choices(), 0..60),
        close in any::<bool>(),
    ) {
        let mut world = World::new(policy, &children);
        for choice in before {
            world.step(choice);
        }
        world.step(Choice::Shutdown(close));
        for choice in after {
            world.step(choice);
        }
        world.quiesce();
        prop_assert!(world.done);
    }
}
