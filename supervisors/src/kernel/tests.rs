use proptest::prelude::*;

use super::*;
use crate::policy::{Backoff, Strategy};

fn kernel(policy: Policy, names: &[&str]) -> Kernel {
    let children = names
        .iter()
        .map(|name| spec(name, Restart::Permanent))
        .collect();
    Kernel::new(policy, children, 7)
}

fn spec(name: &str, restart: Restart) -> KernelChild {
    KernelChild {
        id: name.into(),
        restart,
        significant: false,
    }
}

fn policy(strategy: Strategy, intensity: u32, on_exhausted: OnExhausted) -> Policy {
    let backoff = Backoff {
        jitter: Jitter::None,
        ..Backoff::default()
    };
    Policy {
        strategy,
        intensity,
        period_ms: 1_000,
        backoff,
        on_exhausted,
    }
}

fn failed(name: &str) -> Event {
    Event::Failed {
        child: name.into(),
        final_straw: false,
    }
}

/// Effects as short words: `+a` start, `-a` stop, `-a!` stop for good, `a@t` timer.
fn words(effects: Vec<Effect>) -> String {
    let word = |effect| match effect {
        Effect::Start(id) => format!("+{id}"),
        Effect::Stop { child, close } => format!("-{child}{}", if close { "!" } else { "" }),
        Effect::Timer(id, at) => format!("{id}@{at}"),
        Effect::Open(id, until) => format!("open:{id}@{until}"),
        Effect::Park(id) => format!("park:{id}"),
        Effect::Booted => "booted".to_owned(),
        Effect::Removed(id) => format!("removed:{id}"),
        Effect::Done { failed } => format!("done:{failed}"),
    };
    effects.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

fn run(kernel: &mut Kernel, steps: &[(Tick, Event, &str)]) {
    for (index, (now, event, expected)) in steps.iter().enumerate() {
        let got = words(kernel.step(*now, event.clone()));
        assert_eq!(&got, expected, "step {index}: {event:?}");
    }
}

fn booted(policy: Policy, names: &[&str]) -> Kernel {
    let mut kernel = kernel(policy, names);
    let mut effects = kernel.step(0, Event::Boot);
    while let Some(Effect::Start(id)) = effects.pop() {
        effects = kernel.step(0, Event::Started(id));
    }
    kernel
}

#[test]
fn children_start_in_order_and_stop_in_reverse() {
    let mut kernel = kernel(
        policy(Strategy::OneForOne, 3, OnExhausted::Open),
        &["a", "b"],
    );
    run(
        &mut kernel,
        &[
            (0, Event::Boot, "+a"),
            (1, Event::Started("a".into()), "+b"),
            (2, Event::Started("b".into()), "booted"),
            (3, Event::Shutdown { close: true }, "-b!"),
            (4, Event::Stopped("b".into()), "-a!"),
            (5, Event::Stopped("a".into()), "done:false"),
        ],
    );
}

#[test]
fn one_for_one_restarts_at_once_then_backs_off() {
    let mut kernel = booted(
        policy(Strategy::OneForOne, 5, OnExhausted::Open),
        &["a", "b"],
    );
    run(
        &mut kernel,
        &[
            (10, failed("a"), "+a"),
            (11, Event::Started("a".into()), ""),
            (12, failed("a"), "a@62"),
            (62, Event::Due("a".into()), "+a"),
            (63, failed("a"), "a@163"),
        ],
    );
}

#[test]
fn stable_uptime_resets_the_backoff() {
    let mut kernel = booted(policy(Strategy::OneForOne, 5, OnExhausted::Open), &["a"]);
    run(
        &mut kernel,
        &[
            (10, failed("a"), "+a"),
            (11, Event::Started("a".into()), ""),
            (60_011, failed("a"), "+a"),
        ],
    );
}

#[test]
fn one_for_all_stops_in_reverse_and_starts_in_order() {
    let mut kernel = booted(
        policy(Strategy::OneForAll, 5, OnExhausted::Open),
        &["a", "b", "c"],
    );
    run(
        &mut kernel,
        &[
            (10, failed("b"), "-c -a"),
            (11, Event::Stopped("a".into()), ""),
            (12, Event::Stopped("c".into()), "+a"),
            (13, Event::Started("a".into()), "+b"),
            (14, Event::Started("b".into()), "+c"),
            (15, Event::Started("c".into()), ""),
        ],
    );
}

#[test]
fn rest_for_one_leaves_the_earlier_alone() {
    let mut kernel = booted(
        policy(Strategy::RestForOne, 5, OnExhausted::Open),
        &["a", "b", "c"],
    );
    run(
        &mut kernel,
        &[
            (10, failed("b"), "-c"),
            (11, Event::Stopped("c".into()), "+b"),
            (12, Event::Started("b".into()), "+c"),
        ],
    );
}

#[test]
fn a_failure_inside_a_group_restart_extends_it() {
    let mut kernel = booted(
        policy(Strategy::OneForAll, 5, OnExhausted::Open),
        &["a", "b"],
    );
    run(
        &mut kernel,
        &[
            (10, failed("a"), "-b"),
            (11, Event::Stopped("b".into()), "+a"),
            (12, failed("a"), "a@62"),
            (62, Event::Due("a".into()), "+a"),
            (63, Event::Started("a".into()), "+b"),
            (64, Event::Started("b".into()), ""),
        ],
    );
}

#[test]
fn past_the_intensity_the_cell_opens_and_is_probed() {
    let mut kernel = booted(policy(Strategy::OneForOne, 2, OnExhausted::Open), &["a"]);
    run(
        &mut kernel,
        &[
            (10, failed("a"), "+a"),
            (11, Event::Started("a".into()), ""),
            (12, failed("a"), "a@62"),
            (62, Event::Due("a".into()), "+a"),
            (63, Event::Started("a".into()), ""),
            (64, failed("a"), "open:a@164 a@164"),
            (164, Event::Due("a".into()), "+a"),
            (165, Event::Started("a".into()), ""),
            // The probe fails: open again, twice as long, without a new count.
            (166, failed("a"), "open:a@366 a@366"),
        ],
    );
}

#[test]
fn escalation_stops_the_others_and_fails() {
    let mut kernel = booted(
        policy(Strategy::OneForOne, 0, OnExhausted::Escalate),
        &["a", "b"],
    );
    run(
        &mut kernel,
        &[
            (10, failed("a"), "-b"),
            (11, Event::Stopped("b".into()), "done:true"),
        ],
    );
}

#[test]
fn stop_parks_the_child_until_an_operator_acts() {
    let mut kernel = booted(
        policy(Strategy::OneForOne, 0, OnExhausted::Stop),
        &["a", "b"],
    );
    run(
        &mut kernel,
        &[
            (10, failed("a"), "park:a"),
            (20, Event::Restart("a".into()), "+a"),
        ],
    );
}

#[test]
fn transient_and_temporary_children_end_for_good() {
    for (restart, event, expected) in [
        (Restart::Transient, Event::Ended("t".into()), "removed:t"),
        (Restart::Transient, failed("t"), "+t"),
        (Restart::Temporary, failed("t"), "removed:t"),
        (Restart::Permanent, Event::Ended("t".into()), "+t"),
    ] {
        let mut kernel = booted(policy(Strategy::OneForOne, 5, OnExhausted::Open), &["a"]);
        kernel.step(1, Event::Add(spec("t", restart)));
        kernel.step(2, Event::Started("t".into()));
        run(&mut kernel, &[(3, event, expected)]);
    }
}

#[test]
fn a_significant_child_takes_the_supervisor_along() {
    let mut kernel = booted(policy(Strategy::OneForOne, 5, OnExhausted::Open), &["a"]);
    let mut job = spec("job", Restart::Transient);
    job.significant = true;
    kernel.step(1, Event::Add(job));
    kernel.step(2, Event::Started("job".into()));
    run(
        &mut kernel,
        &[
            (3, Event::Ended("job".into()), "removed:job -a!"),
            (4, Event::Stopped("a".into()), "done:false"),
        ],
    );
}

#[test]
fn an_operators_restart_does_not_count() {
    let mut kernel = booted(policy(Strategy::OneForOne, 1, OnExhausted::Open), &["a"]);
    for now in 1..20 {
        run(
            &mut kernel,
            &[
                (now, Event::Restart("a".into()), "-a"),
                (now, Event::Stopped("a".into()), "+a"),
                (now, Event::Started("a".into()), ""),
            ],
        );
    }
    assert_eq!(kernel.restarts_in_window(20), 0);
}

#[test]
fn removal_forgets_a_child_also_while_it_rests() {
    let mut kernel = booted(policy(Strategy::OneForOne, 0, OnExhausted::Open), &["a"]);
    run(
        &mut kernel,
        &[
            (1, failed("a"), "open:a@51 a@51"),
            (2, Event::Remove("a".into()), "-a!"),
            (3, Event::Stopped("a".into()), "removed:a"),
            (51, Event::Due("a".into()), ""),
        ],
    );
}

#[test]
fn the_zombie_cap_counts_as_exhausted() {
    let mut kernel = booted(policy(Strategy::OneForOne, 5, OnExhausted::Open), &["a"]);
    let straw = Event::Failed {
        child: "a".into(),
        final_straw: true,
    };
    run(&mut kernel, &[(1, straw, "open:a@51 a@51")]);
}

/// What the outside world does: starts succeed or fail, stops complete, timers fire, workers crash.
fn world(strategy: Strategy, on_exhausted: OnExhausted, choices: Vec<u8>) -> Vec<(Tick, String)> {
    let names = ["a", "b", "c", "d"];
    let mut kernel = kernel(policy(strategy, 3, on_exhausted), &names);
    let mut running: Vec<ChildId> = Vec::new();
    let mut pending: Vec<(Tick, Event)> = vec![(0, Event::Boot)];
    let mut log = Vec::new();
    let mut now = 0;
    for choice in choices {
        now += u64::from(choice % 7);
        let event = if !pending.is_empty() && choice & 8 == 0 {
            let (at, event) = pending.remove(usize::from(choice) % pending.len());
            now = now.max(at);
            match (event, choice & 0x30) {
                (Event::Started(id), 0x30) => Event::Failed {
                    child: id,
                    final_straw: false,
                },
                (event, _) => event,
            }
        } else if let Some(id) = running.get(usize::from(choice) % running.len().max(1)) {
            Event::Failed {
                child: id.clone(),
                final_straw: false,
            }
        } else {
            continue;
        };
        match &event {
            Event::Started(id) => running.push(id.clone()),
            Event::Failed { child, .. } | Event::Stopped(child) => running.retain(|id| id != child),
            _ => {}
        }
        for effect in kernel.step(now, event) {
            match &effect {
                Effect::Start(id) => {
                    assert!(!running.contains(id), "{id} started while it runs: {log:?}");
                    pending.push((now, Event::Started(id.clone())));
                }
                Effect::Stop { child, .. } => {
                    // A stop overtakes a start that was under way.
                    let overtaken =
                        |event: &Event| matches!(event, Event::Started(id) if id == child);
                    pending.retain(|(_, event)| !overtaken(event));
                    pending.push((now, Event::Stopped(child.clone())));
                }
                Effect::Timer(id, at) => pending.push((*at, Event::Due(id.clone()))),
                _ => {}
            }
            log.push((now, words(vec![effect])));
        }
    }
    log
}

proptest! {
    #[test]
    fn nothing_starts_twice_and_restarts_stay_within_the_intensity(
        choices in proptest::collection::vec(any::<u8>(), 0..400),
        strategy in prop_oneof![
            Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)],
    ) {
        let log = world(strategy, OnExhausted::Escalate, choices);
        // After giving up nothing starts.
        if let Some(end) = log.iter().position(|(_, word)| word.starts_with("done")) {
            prop_assert!(log[end..].iter().all(|(_, word)| !word.starts_with('+')));
        }
    }

    #[test]
    fn one_for_one_never_exceeds_the_intensity(
        gaps in proptest::collection::vec(0_u64..600, 1..200),
    ) {
        let mut kernel = booted(policy(Strategy::OneForOne, 3, OnExhausted::Open), &["a"]);
        let (mut now, mut restarts): (u64, Vec<u64>) = (0, Vec::new());
        for gap in gaps {
            now += gap;
            for effect in kernel.step(now, failed("a")) {
                match effect {
                    Effect::Start(_) => restarts.push(now),
                    Effect::Timer(id, at) => {
                        now = now.max(at);
                        if kernel.step(now, Event::Due(id)).contains(&Effect::Start("a".into())) {
                            restarts.push(now);
                        }
                    }
                    _ => {}
                }
            }
            kernel.step(now, Event::Started("a".into()));
            let recent = restarts.iter().filter(|&&at| at + 1_000 > now).count();
            // Three within the period, and a probe after an opening.
            prop_assert!(recent <= 3 + 3, "{restarts:?}");
        }
    }
}
