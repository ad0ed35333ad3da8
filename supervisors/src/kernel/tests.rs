use proptest::prelude::*;

use super::*;
use crate::policy::{AutoShutdown, Backoff, Jitter, OnExhausted, Strategy};

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
        auto_shutdown: AutoShutdown::AnySignificant,
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
        Effect::Done { failed, .. } => format!("done:{failed}"),
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
            (10, failed("b"), "-c -b -a"),
            (11, Event::Stopped("a".into()), ""),
            (11, Event::Stopped("b".into()), ""),
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
            (10, failed("b"), "-c -b"),
            (11, Event::Stopped("b".into()), ""),
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
            (10, failed("a"), "-b -a"),
            (10, Event::Stopped("a".into()), ""),
            (11, Event::Stopped("b".into()), "+a"),
            (12, failed("a"), "-a a@62"),
            (12, Event::Stopped("a".into()), ""),
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
            (11, Event::Stopped("b".into()), "-a"),
            (11, Event::Stopped("a".into()), "done:true"),
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
            (10, failed("a"), "park:a -a"),
            (11, Event::Stopped("a".into()), ""),
            (20, Event::Restart("a".into()), "+a"),
        ],
    );
}

#[test]
fn transient_and_temporary_children_end_for_good() {
    for (restart, event, expected) in [
        (Restart::Transient, Event::Ended("t".into()), "-t!"),
        (Restart::Transient, failed("t"), "+t"),
        (Restart::Temporary, failed("t"), "-t!"),
        (Restart::Permanent, Event::Ended("t".into()), "+t"),
    ] {
        let mut kernel = booted(policy(Strategy::OneForOne, 5, OnExhausted::Open), &["a"]);
        kernel.step(1, Event::Add(spec("t", restart)));
        kernel.step(2, Event::Started("t".into()));
        run(&mut kernel, &[(3, event, expected)]);
        if expected == "-t!" {
            run(&mut kernel, &[(4, Event::Stopped("t".into()), "removed:t")]);
        }
    }
}

#[test]
fn a_static_child_that_ended_can_be_restarted() {
    let children = vec![spec("t", Restart::Transient)];
    let mut kernel = Kernel::new(
        policy(Strategy::OneForOne, 5, OnExhausted::Open),
        children,
        7,
    );
    run(
        &mut kernel,
        &[
            (0, Event::Boot, "+t"),
            (1, Event::Started("t".into()), "booted"),
            (2, Event::Ended("t".into()), "-t!"),
            (3, Event::Stopped("t".into()), ""),
        ],
    );
    assert_eq!(kernel.view("t").unwrap().phase, Phase::Ended);
    run(&mut kernel, &[(4, Event::Restart("t".into()), "+t")]);
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
            (3, Event::Ended("job".into()), "-job!"),
            (3, Event::Stopped("job".into()), "removed:job -a!"),
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

proptest! {
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

#[test]
fn a_boot_that_regroups_still_boots() {
    let mut kernel = kernel(
        policy(Strategy::OneForAll, 5, OnExhausted::Open),
        &["a", "b"],
    );
    run(
        &mut kernel,
        &[
            (0, Event::Boot, "+a"),
            (1, Event::Started("a".into()), "+b"),
            (2, failed("a"), "-b -a"),
            (3, Event::Stopped("b".into()), ""),
            (3, Event::Stopped("a".into()), "+a"),
            (4, Event::Started("a".into()), "+b"),
            (5, Event::Started("b".into()), "booted"),
        ],
    );
}

#[test]
fn a_group_does_not_wait_for_a_child_that_was_removed_meanwhile() {
    let mut kernel = booted(
        policy(Strategy::OneForAll, 5, OnExhausted::Open),
        &["a", "b"],
    );
    run(
        &mut kernel,
        &[
            (10, failed("a"), "-b -a"),
            (10, Event::Stopped("a".into()), ""),
            (11, Event::Remove("b".into()), ""),
            (12, Event::Stopped("b".into()), "removed:b +a"),
        ],
    );
}

#[test]
fn a_timer_of_an_earlier_failure_does_not_cut_a_later_backoff_short() {
    let mut kernel = booted(policy(Strategy::OneForOne, 9, OnExhausted::Open), &["a"]);
    run(
        &mut kernel,
        &[
            (10, failed("a"), "+a"),
            (11, failed("a"), "a@61"),
            (12, Event::Restart("a".into()), "-a"),
            (13, Event::Stopped("a".into()), "+a"),
            (58, failed("a"), "+a"),
            (59, failed("a"), "a@109"),
            (61, Event::Due("a".into()), ""),
            (109, Event::Due("a".into()), "+a"),
        ],
    );
}

#[test]
fn a_removal_during_a_shutdown_is_final_and_keeps_the_order() {
    let mut kernel = booted(
        policy(Strategy::OneForOne, 5, OnExhausted::Open),
        &["a", "b"],
    );
    run(
        &mut kernel,
        &[
            (1, Event::Shutdown { close: false }, "-b"),
            (2, Event::Remove("a".into()), ""),
            (3, Event::Stopped("b".into()), "-a"),
            (4, Event::Stopped("a".into()), "removed:a done:false"),
        ],
    );
}

#[test]
fn a_new_policy_keeps_the_history() {
    let mut kernel = booted(policy(Strategy::OneForOne, 3, OnExhausted::Open), &["a"]);
    kernel.step(10, failed("a"));
    kernel.step(11, failed("a"));
    kernel.step(61, Event::Due("a".into()));
    kernel.step(62, Event::Started("a".into()));
    let stricter = policy(Strategy::OneForOne, 2, OnExhausted::Stop);
    run(
        &mut kernel,
        &[
            (63, Event::Policy(stricter), ""),
            (64, failed("a"), "park:a -a"),
        ],
    );
}
