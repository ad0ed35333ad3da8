//! Starting: what is right, what is refused, what fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use supervisors::{
    ChildPolicy, ChildSpec, OnExhausted, Phase, Policy, Restart, StartError, Strategy,
    SupervisorSpec, Tree, TreeError,
};

use crate::puppet::{Puppet, count, counts, grow, names, puppet, run, until, with};
use crate::sim::otp;

#[test]
fn sup_start_normal() {
    run(|| async {
        let tree = grow(otp(Strategy::OneForOne, 2), []).await;
        assert_eq!(tree.snapshot().state, Phase::Ready);
        assert!(tree.drain(Duration::from_secs(20)).await.complete);
        assert_eq!(tree.snapshot().state, Phase::Stopped);
    });
}

#[test]
fn sup_start_error_return() {
    run(|| async {
        let policy = Policy {
            period_ms: 0,
            ..Policy::default()
        };
        let started = Tree::start(SupervisorSpec::new("root", policy), 7).await;
        let Err(TreeError::Invalid { id, error }) = started else {
            unreachable!("a window of no length");
        };
        assert_eq!((&*id, error.field), ("root", "period_ms"));
    });
}

#[test]
fn sup_start_fail() {
    run(|| async {
        let (spec, _) = ChildSpec::sync("a", ChildPolicy::default(), |_| {
            Err::<Puppet, _>(StartError::new("no"))
        });
        let root = SupervisorSpec::new("root", otp(Strategy::OneForOne, 2)).child(spec);
        assert_eq!(Tree::start(root, 7).await.err(), Some(TreeError::Stopped));
    });
}

/// A child whose factory fails for as long as the switch says so.
fn switched(
    id: &str,
    restart: Restart,
) -> (ChildSpec, supervisors::CellRef<Puppet>, Arc<AtomicBool>) {
    let broken = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&broken);
    let (spec, cell) = ChildSpec::sync(id, with(restart), move |_| {
        if switch.load(Ordering::SeqCst) {
            return Err(StartError::new("broken"));
        }
        Ok(Puppet::default())
    });
    (spec, cell, broken)
}

fn patient() -> Policy {
    Policy {
        intensity: u32::MAX,
        on_exhausted: OnExhausted::Open,
        ..otp(Strategy::OneForOne, 0)
    }
}

#[test]
fn sup_start_child_returns_error() {
    run(|| async {
        let tree = grow(patient(), []).await;
        let (spec, cell, broken) = switched("a", Restart::Permanent);
        let started = tree.supervisor("root").unwrap().start_child(spec).await;
        assert_eq!(started, Err(TreeError::NotStarted { id: "a".to_owned() }));
        // Unlike in OTP it stays, and is tried again.
        assert_eq!(names(&tree.snapshot()), ["a"]);
        broken.store(false, Ordering::SeqCst);
        assert_eq!(count(&cell).await, 1);
    });
}

#[test]
fn sup_start_child_returns_error_simple() {
    run(|| async {
        let tree = grow(patient(), []).await;
        let (spec, _, _) = switched("a", Restart::Temporary);
        let started = tree.supervisor("root").unwrap().start_child(spec).await;
        assert_eq!(started, Err(TreeError::NotStarted { id: "a".to_owned() }));
        until(&tree, |root| root.children.is_empty()).await;
    });
}

#[test]
fn sup_start_restart_child_returns_error() {
    run(|| async {
        let (spec, cell, broken) = switched("a", Restart::Permanent);
        broken.store(false, Ordering::SeqCst);
        let tree = grow(patient(), [spec]).await;
        broken.store(true, Ordering::SeqCst);
        tree.restart("a").await.unwrap();
        until(&tree, |root| root.children[0].restarts > 2).await;
        assert_eq!(counts(&tree.snapshot()).0, 1);
        broken.store(false, Ordering::SeqCst);
        assert_eq!(count(&cell).await, 1);
    });
}

#[test]
fn sup_start_map() {
    let child = ChildPolicy::default();
    assert_eq!(
        (child.restart, child.shutdown_ms),
        (Restart::Permanent, 5_000)
    );
    assert_eq!(child.validate(), Ok(()));
    let policy = Policy::default();
    assert_eq!(policy.strategy, Strategy::OneForOne);
    assert_eq!(policy.validate(), Ok(()));
}

#[test]
fn sup_start_map_faulty_specs() {
    run(|| async {
        let faulty = |field: &'static str, policy: ChildPolicy| async move {
            let (spec, _) = puppet("a", policy);
            let root = SupervisorSpec::new("root", Policy::default()).child(spec);
            let Err(TreeError::Invalid { id, error }) = Tree::start(root, 7).await else {
                unreachable!("{field} is faulty");
            };
            assert_eq!((&*id, error.field), ("a", field));
        };
        let good = ChildPolicy::default;
        faulty(
            "workers",
            ChildPolicy {
                workers: 0,
                ..good()
            },
        )
        .await;
        faulty("inbox", ChildPolicy { inbox: 0, ..good() }).await;
        faulty(
            "deadline_ms",
            ChildPolicy {
                deadline_ms: 0,
                ..good()
            },
        )
        .await;
        faulty(
            "significant",
            ChildPolicy {
                significant: true,
                ..good()
            },
        )
        .await;
    });
}

#[test]
fn sup_flags() {
    for (policy, field) in [
        (
            Policy {
                period_ms: 0,
                ..Policy::default()
            },
            "period_ms",
        ),
        (
            Policy {
                backoff: supervisors::Backoff {
                    base_ms: 0,
                    ..Default::default()
                },
                ..Policy::default()
            },
            "backoff.base_ms",
        ),
        (
            Policy {
                backoff: supervisors::Backoff {
                    max_ms: 1,
                    ..Default::default()
                },
                ..Policy::default()
            },
            "backoff.max_ms",
        ),
    ] {
        assert_eq!(policy.validate().unwrap_err().field, field);
    }
}
