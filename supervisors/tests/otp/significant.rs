//! Auto-shutdown.

use supervisors::kernel::Event;
use supervisors::{AutoShutdown, ChildPolicy, ChildSpec, Phase, Restart, Strategy, SupervisorSpec};

use crate::puppet::{Do, grow, puppet, run, soon, until, with};
use crate::sim::{Sim, auto, child, otp, significant};

use AutoShutdown::{AllSignificant, AnySignificant, Never};

fn pair(mode: AutoShutdown, restart: Restart) -> Sim {
    let mut sim = Sim::new(auto(mode), Vec::new());
    sim.add(significant("a", restart));
    sim.add(significant("b", restart));
    sim.add(child("c", restart));
    sim.log();
    sim
}

#[test]
fn nonsignificant_temporary() {
    for mode in [Never, AnySignificant, AllSignificant] {
        let mut sim = pair(mode, Restart::Temporary);
        sim.crash("c");
        assert_eq!(sim.log(), "-c removed c");
        sim.add(child("c", Restart::Temporary));
        sim.end("c");
        assert_eq!(sim.log(), "+c -c removed c");
    }
}

#[test]
fn nonsignificant_transient() {
    for mode in [Never, AnySignificant, AllSignificant] {
        let mut sim = pair(mode, Restart::Transient);
        sim.crash("c");
        assert_eq!(sim.log(), "+c");
        sim.end("c");
        assert_eq!(sim.log(), "-c removed c");
    }
}

#[test]
fn significant_temporary() {
    let mut sim = pair(AnySignificant, Restart::Temporary);
    // Taking it out is no end of its own.
    sim.tell(Event::Remove("a".into()));
    assert_eq!(sim.log(), "-a removed a");
    sim.crash("b");
    assert_eq!(sim.log(), "-b removed b -c removed c done");
    let mut sim = pair(AllSignificant, Restart::Temporary);
    sim.end("a");
    assert_eq!(sim.log(), "-a removed a");
    sim.end("b");
    assert_eq!(sim.log(), "-b removed b -c removed c done");
}

#[test]
fn significant_transient() {
    let mut sim = pair(AnySignificant, Restart::Transient);
    sim.tell(Event::Remove("a".into()));
    sim.log();
    sim.crash("b");
    assert_eq!(sim.log(), "+b");
    sim.end("b");
    assert_eq!(sim.log(), "-b removed b -c done");
    let mut sim = pair(AllSignificant, Restart::Transient);
    sim.end("a");
    assert_eq!(sim.log(), "-a removed a");
    sim.end("b");
    assert_eq!(sim.log(), "-b removed b -c done");
}

#[test]
fn significant_simple() {
    // OTP refuses it with simple_one_for_one; here children added at run time may be significant.
    let mut sim = Sim::new(auto(AnySignificant), Vec::new());
    sim.add(significant("a", Restart::Temporary));
    sim.end("a");
    assert_eq!(sim.log(), "+a -a removed a done");
}

#[test]
fn significant_bystander() {
    for mode in [AnySignificant, AllSignificant] {
        for restart in [Restart::Transient, Restart::Temporary] {
            for strategy in [
                Strategy::OneForOne,
                Strategy::OneForAll,
                Strategy::RestForOne,
            ] {
                let mut policy = otp(strategy, 5);
                policy.auto_shutdown = mode;
                let children = vec![
                    significant("a", restart),
                    child("b", Restart::Transient),
                    significant("c", restart),
                ];
                let mut sim = Sim::new(policy, children);
                sim.crash("b");
                assert!(!sim.log().contains("done"));
                assert_eq!(sim.phase("b"), Some(Phase::Ready));
            }
        }
    }
}

fn ends_alone(is_significant: bool) {
    run(|| async {
        let policy = ChildPolicy {
            significant: true,
            ..with(Restart::Transient)
        };
        let (job, cell) = puppet("job", policy);
        let mut branch = SupervisorSpec::new("branch", auto(AnySignificant))
            .restart(Restart::Transient)
            .child(job);
        if is_significant {
            branch = branch.significant();
        }
        let tree = grow(auto(AnySignificant), [ChildSpec::supervisor(branch)]).await;
        cell.ask(Do::Finish, soon()).await.unwrap();
        if is_significant {
            until(&tree, |root| root.state == Phase::Stopped).await;
        } else {
            until(&tree, |root| root.children[0].state == Phase::Ended).await;
            assert_eq!(tree.snapshot().state, Phase::Ready);
        }
    });
}

#[test]
fn significant_escalation() {
    ends_alone(true);
    ends_alone(false);
}

/// Swaps the mode between the end of `a` and that of `b`.
fn upgrade(before: AutoShutdown, after: AutoShutdown, (first, second): (&str, &str)) {
    let mut sim = pair(before, Restart::Transient);
    sim.end("a");
    assert_eq!(sim.log(), first);
    if !first.ends_with("done") {
        sim.tell(Event::Policy(auto(after)));
        sim.end("b");
        assert_eq!(sim.log(), second);
    }
    let mut sim = pair(before, Restart::Transient);
    sim.tell(Event::Policy(auto(after)));
    sim.end("a");
    let ended = sim.log().ends_with("done");
    assert_eq!(ended, after == AnySignificant);
}

const GOES_ON: &str = "-a removed a";
const ENDS: &str = "-b removed b -c done";

#[test]
fn significant_upgrade_never_any() {
    upgrade(Never, AnySignificant, (GOES_ON, ENDS));
}

#[test]
fn significant_upgrade_any_never() {
    upgrade(AnySignificant, Never, ("-a removed a -c -b done", ""));
}

#[test]
fn significant_upgrade_never_all() {
    upgrade(Never, AllSignificant, (GOES_ON, ENDS));
}

#[test]
fn significant_upgrade_all_never() {
    upgrade(AllSignificant, Never, (GOES_ON, "-b removed b"));
}

#[test]
fn significant_upgrade_any_all() {
    upgrade(
        AnySignificant,
        AllSignificant,
        ("-a removed a -c -b done", ""),
    );
}

#[test]
fn significant_upgrade_all_any() {
    upgrade(AllSignificant, AnySignificant, (GOES_ON, ENDS));
}

#[test]
fn significant_upgrade_child() {
    let mut sim = pair(AnySignificant, Restart::Transient);
    sim.tell(Event::Child(child("a", Restart::Transient)));
    sim.end("a");
    assert_eq!(sim.log(), "-a removed a");
    sim.tell(Event::Child(significant("c", Restart::Transient)));
    sim.end("c");
    assert_eq!(sim.log(), "-c removed c -b done");
}
