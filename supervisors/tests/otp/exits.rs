//! Permanent, transient and temporary children, and how each of them ends.

use supervisors::{
    AutoShutdown, ChildPolicy, ChildSpec, Fault, Phase, Restart, Strategy, SupervisorSpec,
};

use crate::puppet::{Do, count, crash, grow, puppet, run, soon, until, with};
use crate::sim::{auto, otp};

/// Ends or crashes a static child; expects it to run again, or to stay as ended.
fn exits(restart: Restart, normally: bool, runs_again: bool) {
    run(|| async {
        let (spec, cell) = puppet("a", with(restart));
        let tree = grow(otp(Strategy::OneForOne, 2), [spec]).await;
        assert_eq!(count(&cell).await, 1);
        if normally {
            assert_eq!(cell.ask(Do::Finish, soon()).await.unwrap(), 2);
        } else {
            crash(&cell).await;
        }
        if runs_again {
            until(&tree, |root| root.children[0].epoch == Some(2)).await;
            assert_eq!(count(&cell).await, 1);
        } else {
            until(&tree, |root| root.children[0].state == Phase::Ended).await;
            let asked = cell.ask(Do::Count, soon()).await;
            assert!(matches!(asked, Err(Fault::ShuttingDown)));
            // What ended as it should is not missing.
            assert!(tree.health().ready);
        }
    });
}

#[test]
fn permanent_normal() {
    exits(Restart::Permanent, true, true);
}

#[test]
fn transient_normal() {
    exits(Restart::Transient, true, false);
}

#[test]
fn temporary_normal() {
    exits(Restart::Temporary, true, false);
}

#[test]
fn permanent_abnormal() {
    exits(Restart::Permanent, false, true);
}

#[test]
fn transient_abnormal() {
    exits(Restart::Transient, false, true);
}

#[test]
fn temporary_abnormal() {
    exits(Restart::Temporary, false, false);
}

/// A supervisor that ends by auto-shutdown, which is what ends with the reason `shutdown` here.
fn shuts_down(restart: Restart, runs_again: bool) {
    run(|| async {
        let job = ChildPolicy {
            significant: true,
            ..with(Restart::Transient)
        };
        let (job, cell) = puppet("job", job);
        let branch = SupervisorSpec::new("branch", auto(AutoShutdown::AnySignificant));
        let branch = ChildSpec::supervisor(branch.restart(restart).child(job));
        let tree = grow(otp(Strategy::OneForOne, 2), [branch]).await;
        assert_eq!(cell.ask(Do::Finish, soon()).await.unwrap(), 1);
        if runs_again {
            until(&tree, |root| {
                root.children[0].children[0].epoch == Some(2)
                    && root.children[0].state == Phase::Ready
            })
            .await;
            assert_eq!(count(&cell).await, 1);
        } else {
            until(&tree, |root| root.children[0].state == Phase::Ended).await;
            assert!(matches!(
                cell.ask(Do::Count, soon()).await,
                Err(Fault::ShuttingDown)
            ));
        }
    });
}

#[test]
fn permanent_shutdown() {
    shuts_down(Restart::Permanent, true);
}

#[test]
fn transient_shutdown() {
    shuts_down(Restart::Transient, false);
}

#[test]
fn temporary_shutdown() {
    shuts_down(Restart::Temporary, false);
}

#[test]
fn temporary_bystander() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let mut sim = crate::sim::Sim::new(otp(strategy, 2), Vec::new());
        sim.add(crate::sim::child("a", Restart::Permanent));
        sim.add(crate::sim::child("b", Restart::Temporary));
        sim.log();
        sim.crash("a");
        assert_eq!(sim.log(), "-b -a removed b +a");
    }
}
