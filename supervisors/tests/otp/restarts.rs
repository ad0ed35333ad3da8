//! The strategies, and what happens past the intensity.

use supervisors::kernel::Event;
use supervisors::{Phase, Restart, Strategy};

use crate::sim::{Sim, child, failed, otp};

#[test]
fn multiple_restarts() {
    let mut sim = Sim::permanent(otp(Strategy::OneForAll, 1), &["a", "b", "c"]);
    // All at once is one restart, and all run again.
    sim.tell_all([failed("c"), failed("b"), failed("a")]);
    assert_eq!(sim.log(), "-c -b -a +a +b +c");
    assert_eq!(sim.restarts("c"), 1);
}

#[test]
fn one_for_one() {
    let mut sim = Sim::permanent(otp(Strategy::OneForOne, 2), &["a", "b"]);
    sim.crash("a");
    assert_eq!(sim.log(), "+a");
    sim.crash("a");
    assert_eq!(sim.log(), "+a");
    sim.crash("a");
    assert_eq!(sim.log(), "-b -a failed");
}

#[test]
fn one_for_one_escalation() {
    let mut sim = Sim::permanent(otp(Strategy::OneForOne, 4), &["a", "b"]);
    sim.broken.insert("a");
    sim.crash("a");
    assert_eq!(sim.log(), "+a +a +a +a -b -a failed");
}

#[test]
fn one_for_all() {
    let mut sim = Sim::permanent(otp(Strategy::OneForAll, 2), &["a", "b"]);
    for id in ["a", "b"] {
        sim.crash(id);
        assert_eq!(sim.log(), "-b -a +a +b");
    }
    sim.crash("a");
    assert_eq!(sim.log(), "-b -a failed");
}

#[test]
fn one_for_all_escalation() {
    let mut sim = Sim::permanent(otp(Strategy::OneForAll, 1), &["a", "b"]);
    sim.broken.insert("b");
    sim.crash("a");
    assert_eq!(sim.log(), "-b -a +a +b -b -a failed");
}

#[test]
fn one_for_all_other_child_fails_restart() {
    let mut sim = Sim::permanent(otp(Strategy::OneForAll, 2), &["a", "b"]);
    sim.broken.insert("b");
    sim.crash("a");
    // `a` was restarted, and goes down again with `b`.
    assert!(sim.log().starts_with("-b -a +a +b -b -a +a +b"));
}

#[test]
fn simple_one_for_one() {
    let mut sim = Sim::new(otp(Strategy::OneForOne, 2), Vec::new());
    sim.add(child("a", Restart::Permanent));
    sim.add(child("b", Restart::Permanent));
    sim.log();
    sim.crash("a");
    sim.crash("b");
    assert_eq!(sim.log(), "+a +b");
    sim.crash("a");
    assert_eq!(sim.log(), "-b -a failed");
}

#[test]
fn simple_one_for_one_escalation() {
    let mut sim = Sim::new(otp(Strategy::OneForOne, 4), Vec::new());
    sim.add(child("a", Restart::Permanent));
    sim.add(child("b", Restart::Permanent));
    sim.log();
    sim.broken.insert("a");
    sim.crash("a");
    assert_eq!(sim.log(), "+a +a +a +a -b -a failed");
}

#[test]
fn rest_for_one() {
    let mut sim = Sim::permanent(otp(Strategy::RestForOne, 2), &["a", "b", "c"]);
    sim.crash("b");
    assert_eq!(sim.log(), "-c -b +b +c");
    sim.crash("c");
    assert_eq!(sim.log(), "-c +c");
    sim.crash("b");
    assert_eq!(sim.log(), "-c -b -a failed");
}

#[test]
fn rest_for_one_escalation() {
    let mut sim = Sim::permanent(otp(Strategy::RestForOne, 1), &["a", "b"]);
    sim.broken.insert("b");
    sim.crash("a");
    assert_eq!(sim.log(), "-b -a +a +b -b -a failed");
}

#[test]
fn rest_for_one_other_child_fails_restart() {
    let mut sim = Sim::permanent(otp(Strategy::RestForOne, 2), &["a", "b"]);
    sim.broken.insert("b");
    sim.crash("a");
    // `a` was restarted and is left alone when `b` fails to.
    assert!(sim.log().starts_with("-b -a +a +b -b +b"));
}

#[test]
fn hanging_restart_loop_rest_for_one() {
    let mut sim = Sim::permanent(otp(Strategy::RestForOne, u32::MAX), &["a", "b", "c"]);
    sim.broken.insert("b");
    // The simulation gives up on it, the loop is under way when the shutdown arrives.
    sim.crash("b");
    assert!(sim.restarts("b") > 1_000);
    sim.tell(Event::Shutdown { close: true });
    assert!(sim.log().ends_with("-a done"));
    assert_eq!(sim.phase("b"), Some(Phase::Stopped));
}
