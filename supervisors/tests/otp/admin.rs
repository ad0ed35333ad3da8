//! Children added, removed, restarted, listed and counted; policies swapped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use supervisors::kernel::Event;
use supervisors::{
    ChildPolicy, ChildSpec, Fault, OnExhausted, Phase, Policy, ReloadError, ReloadPlan, Restart,
    StartError, Strategy, SupervisorSpec, Tree, TreeError,
};

use crate::puppet::{
    Do, Puppet, block, count, counts, crash, grow, names, puppet, run, soon, until, with,
};
use crate::sim::{Sim, child, otp};

fn permanent(id: &str) -> (ChildSpec, supervisors::CellRef<Puppet>) {
    puppet(id, ChildPolicy::default())
}

#[test]
fn child_adm() {
    run(|| async {
        let (a, cell) = permanent("a");
        let tree = grow(otp(Strategy::OneForOne, 2), [a]).await;
        let root = tree.supervisor("root").unwrap();
        let again = root.start_child(permanent("a").0).await;
        assert_eq!(again, Err(TreeError::Exists { id: "a".to_owned() }));
        assert_eq!(count(&cell).await, 1);
        tree.restart("a").await.unwrap();
        until(&tree, |root| root.children[0].epoch == Some(2)).await;
        assert_eq!(count(&cell).await, 1);
        root.stop_child("a").await.unwrap();
        let unknown = Err(TreeError::Unknown { id: "a".to_owned() });
        assert_eq!(root.stop_child("a").await, unknown);
        assert_eq!(tree.restart("a").await, unknown);
        assert_eq!(counts(&tree.snapshot()), (0, 0));
        // The name is free again, and the old handle stays closed.
        let (a, fresh) = permanent("a");
        root.start_child(a).await.unwrap();
        assert_eq!(count(&fresh).await, 1);
        assert!(matches!(
            cell.ask(Do::Count, soon()).await,
            Err(Fault::ShuttingDown)
        ));
    });
}

#[test]
fn child_adm_simple() {
    run(|| async {
        let tree = grow(otp(Strategy::OneForOne, 2), []).await;
        let root = tree.supervisor("root").unwrap();
        for id in ["a", "b"] {
            root.start_child(permanent(id).0).await.unwrap();
        }
        assert_eq!(counts(&tree.snapshot()), (2, 2));
        root.stop_child("a").await.unwrap();
        assert_eq!(names(&tree.snapshot()), ["b"]);
    });
}

#[test]
fn child_specs() {
    run(|| async {
        let twice = SupervisorSpec::new("root", Policy::default())
            .child(permanent("a").0)
            .child(permanent("a").0);
        let started = Tree::start(twice, 7).await.err();
        assert_eq!(started, Some(TreeError::Exists { id: "a".to_owned() }));
        let tree = grow(Policy::default(), []).await;
        let bad = ChildPolicy {
            workers: 0,
            ..ChildPolicy::default()
        };
        let root = tree.supervisor("root").unwrap();
        let refused = root.start_child(puppet("a", bad).0).await;
        assert!(matches!(refused, Err(TreeError::Invalid { .. })));
        assert!(tree.snapshot().children.is_empty());
    });
}

#[test]
fn tree() {
    run(|| async {
        let ((a, cell_a), (b, _), (c, cell_c), (d, cell_d)) = (
            permanent("a"),
            permanent("b"),
            permanent("c"),
            permanent("d"),
        );
        let one = SupervisorSpec::new("one", otp(Strategy::OneForOne, 4))
            .child(a)
            .child(b);
        let two = SupervisorSpec::new("two", otp(Strategy::OneForOne, 1));
        let tree = grow(
            otp(Strategy::OneForAll, 4),
            [ChildSpec::supervisor(one), ChildSpec::supervisor(two)],
        )
        .await;
        let two = tree.supervisor("two").unwrap();
        two.start_child(c).await.unwrap();
        two.start_child(d).await.unwrap();
        let seen = tree.snapshot();
        assert_eq!(
            (counts(&seen.children[0]), counts(&seen.children[1])),
            ((2, 2), (2, 2))
        );
        // Only the one that crashed is restarted.
        crash(&cell_d).await;
        assert_eq!(count(&cell_d).await, 1);
        assert_eq!((count(&cell_a).await, count(&cell_c).await), (1, 1));
        // The branch gives up: everything is restarted. Unlike in OTP, dynamic children come back too.
        crash(&cell_d).await;
        let back = until(&tree, |root| {
            root.children.iter().all(|branch| counts(branch) == (2, 2))
                && root.children[0].children[0].epoch == Some(2)
        })
        .await;
        assert_eq!(names(&back.children[1]), ["c", "d"]);
        assert_eq!((count(&cell_a).await, count(&cell_c).await), (1, 1));
    });
}

#[test]
fn count_children() {
    run(|| async {
        let tree = grow(otp(Strategy::OneForOne, 2), []).await;
        let root = tree.supervisor("root").unwrap();
        for n in 0..20 {
            let (spec, _) = puppet(&format!("{n}"), with(Restart::Temporary));
            root.start_child(spec).await.unwrap();
        }
        assert_eq!(counts(&tree.snapshot()), (20, 20));
        for n in 0..20 {
            root.stop_child(&format!("{n}")).await.unwrap();
        }
        assert_eq!(counts(&tree.snapshot()), (0, 0));
    });
}

#[test]
fn count_children_supervisor() {
    run(|| async {
        let tree = grow(otp(Strategy::OneForOne, 2), []).await;
        let root = tree.supervisor("root").unwrap();
        for n in 0..20 {
            let branch = SupervisorSpec::new(format!("{n}"), Policy::default());
            root.start_child(ChildSpec::supervisor(branch))
                .await
                .unwrap();
        }
        assert_eq!(counts(&tree.snapshot()), (20, 20));
    });
}

/// A child that starts once, and then only when the switch allows it.
fn fragile(id: &str) -> (ChildSpec, supervisors::CellRef<Puppet>, Arc<AtomicBool>) {
    let broken = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&broken);
    let (spec, cell) = ChildSpec::sync(id, ChildPolicy::default(), move |_| {
        if switch.load(Ordering::SeqCst) {
            return Err(StartError::new("broken"));
        }
        Ok(Puppet::default())
    });
    (spec, cell, broken)
}

fn endless() -> Policy {
    otp(Strategy::OneForOne, u32::MAX)
}

#[test]
fn count_restarting_children() {
    run(|| async {
        let ((a, cell, broken), (b, _)) = (fragile("a"), permanent("b"));
        let tree = grow(endless(), [a, b]).await;
        broken.store(true, Ordering::SeqCst);
        crash(&cell).await;
        let seen = until(&tree, |root| root.children[0].restarts > 5).await;
        assert_eq!(counts(&seen), (2, 1));
        broken.store(false, Ordering::SeqCst);
        until(&tree, |root| counts(root) == (2, 2)).await;
    });
}

#[test]
fn hanging_restart_loop() {
    run(|| async {
        let (spec, cell, broken) = fragile("a");
        let tree = grow(endless(), [spec]).await;
        broken.store(true, Ordering::SeqCst);
        crash(&cell).await;
        until(&tree, |root| root.children[0].restarts > 5).await;
        assert!(tree.drain(Duration::from_secs(20)).await.complete);
        assert_eq!(tree.snapshot().children[0].state, Phase::Stopped);
    });
}

#[test]
fn hanging_restart_loop_simple() {
    run(|| async {
        let tree = grow(endless(), []).await;
        let root = tree.supervisor("root").unwrap();
        let (spec, cell, broken) = fragile("a");
        root.start_child(spec).await.unwrap();
        broken.store(true, Ordering::SeqCst);
        crash(&cell).await;
        until(&tree, |root| root.children[0].restarts > 5).await;
        root.stop_child("a").await.unwrap();
        assert_eq!(counts(&tree.snapshot()), (0, 0));
    });
}

#[test]
fn do_not_save_start_parameters_for_temporary_children() {
    run(|| async {
        let held = Arc::new(());
        let parameter = Arc::clone(&held);
        let (spec, cell) = ChildSpec::sync("a", with(Restart::Temporary), move |_| {
            let _held = &parameter;
            Ok(Puppet::default())
        });
        let tree = grow(otp(Strategy::OneForOne, 2), []).await;
        tree.supervisor("root")
            .unwrap()
            .start_child(spec)
            .await
            .unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        crash(&cell).await;
        // The factory is dropped with the child, though a handle is left.
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn do_not_save_child_specs_for_temporary_children() {
    for strategy in [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
    ] {
        let mut sim = Sim::new(otp(strategy, 2), Vec::new());
        for _ in 0..3 {
            sim.add(child("a", Restart::Temporary));
            sim.crash("a");
            assert_eq!(sim.phase("a"), None);
            sim.add(child("a", Restart::Temporary));
            sim.end("a");
            assert_eq!(sim.phase("a"), None);
        }
    }
}

#[test]
fn simple_one_for_one_scale_many_temporary_children() {
    let mut sim = Sim::new(otp(Strategy::OneForOne, 2), Vec::new());
    for n in 0..2_000 {
        sim.add(child(&format!("{n}"), Restart::Temporary));
    }
    for n in 0..2_000 {
        sim.tell(Event::Remove(format!("{n}").into()));
    }
    sim.log();
    sim.tell(Event::Shutdown { close: true });
    assert_eq!(sim.log(), "done");
}

#[test]
fn scale_start_stop_many_children() {
    let names: Vec<String> = (0..2_000).map(|n| format!("{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut sim = Sim::permanent(otp(Strategy::OneForOne, 2), &names);
    assert_eq!(sim.phase("1999"), Some(Phase::Ready));
    sim.tell(Event::Shutdown { close: true });
    let log = sim.log();
    assert!(log.starts_with("-1999 -1998 ") && log.ends_with(" -1 -0 done"));
}

#[test]
fn order_of_children() {
    run(|| async {
        let tree = grow(
            otp(Strategy::RestForOne, 2),
            [permanent("a").0, permanent("b").0],
        )
        .await;
        let root = tree.supervisor("root").unwrap();
        root.start_child(permanent("c").0).await.unwrap();
        assert_eq!(names(&tree.snapshot()), ["a", "b", "c"]);
    });
}

#[test]
fn which_children() {
    run(|| async {
        let (job, cell) = puppet("job", with(Restart::Transient));
        let branch = ChildSpec::supervisor(SupervisorSpec::new("branch", Policy::default()));
        let tree = grow(otp(Strategy::OneForOne, 2), [job, branch]).await;
        cell.ask(Do::Finish, soon()).await.unwrap();
        let seen = until(&tree, |root| root.children[0].state == Phase::Ended).await;
        assert_eq!(names(&seen), ["job", "branch"]);
        // Its spec is kept: an operator can start it again.
        tree.restart("job").await.unwrap();
        until(&tree, |root| root.children[0].state == Phase::Ready).await;
        assert_eq!(count(&cell).await, 1);
    });
}

#[test]
fn which_children_simple_one_for_one() {
    run(|| async {
        let tree = grow(otp(Strategy::OneForOne, 2), []).await;
        let root = tree.supervisor("root").unwrap();
        let (spec, cell) = puppet("job", with(Restart::Transient));
        root.start_child(spec).await.unwrap();
        cell.ask(Do::Finish, soon()).await.unwrap();
        until(&tree, |root| root.children.is_empty()).await;
    });
}

#[test]
fn code_change() {
    run(|| async {
        let (a, cell) = puppet(
            "a",
            ChildPolicy {
                inbox: 3,
                ..ChildPolicy::default()
            },
        );
        let branch = SupervisorSpec::new("branch", endless()).child(a);
        let tree = grow(Policy::default(), [ChildSpec::supervisor(branch)]).await;
        crash(&cell).await;
        let before = until(&tree, |root| root.children[0].children[0].epoch == Some(2)).await;
        let (gate, running) = block(&cell);
        let queued = cell.try_ask(Do::Count, soon()).unwrap();

        let smaller = ChildPolicy {
            inbox: 1,
            ..ChildPolicy::default()
        };
        let strict = Policy {
            on_exhausted: OnExhausted::Stop,
            ..otp(Strategy::OneForOne, 1)
        };
        let mut plan = ReloadPlan {
            supervisors: [("branch".to_owned(), strict)].into(),
            children: [("branch/a".to_owned(), smaller.clone())].into(),
        };
        // One wrong name, and nothing changes.
        plan.children.insert("b".to_owned(), smaller);
        let refused = tree.reload(&plan);
        let known = vec!["branch/a".to_owned()];
        assert_eq!(
            refused,
            Err(ReloadError::UnknownChild {
                id: "b".to_owned(),
                known
            })
        );
        assert_eq!(tree.snapshot().children[0].children[0].capacity, Some(3));
        plan.children.remove("b");
        tree.reload(&plan).unwrap();

        // What was admitted stays, and the smaller inbox admits again when there is room.
        assert!(matches!(cell.try_ask(Do::Count, soon()), Err(Fault::Busy)));
        gate.wait();
        assert_eq!((running.await.unwrap(), queued.await.unwrap()), (1, 2));
        assert_eq!(count(&cell).await, 3);
        let after = tree.snapshot();
        let seen = |root: &supervisors::TreeSnapshot| {
            let cell = &root.children[0].children[0];
            (cell.epoch, cell.restarts, cell.restarts_in_window)
        };
        assert_eq!(seen(&after), seen(&before));
        // The earlier crash counts under the new policy.
        crash(&cell).await;
        until(&tree, |root| {
            root.children[0].children[0].state == Phase::Stopped
        })
        .await;
    });
}

#[test]
fn code_change_map() {
    run(|| async {
        let tree = grow(Policy::default(), [permanent("a").0]).await;
        let bad = Policy {
            period_ms: 0,
            ..Policy::default()
        };
        let plan = |supervisor: &str, policy| ReloadPlan {
            supervisors: [(supervisor.to_owned(), policy)].into(),
            ..ReloadPlan::default()
        };
        assert!(matches!(
            tree.reload(&plan("root", bad)),
            Err(ReloadError::Invalid { id, .. }) if id == "root"
        ));
        let unknown = tree.reload(&plan("a", Policy::default())).unwrap_err();
        assert_eq!(unknown.to_string(), "no supervisor named a; known: root");
        assert_eq!(tree.reload(&plan("root", Policy::default())), Ok(()));
    });
}
