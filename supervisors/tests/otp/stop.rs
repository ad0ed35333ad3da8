//! Stopping: within the budget, past it, and while children exit by themselves.

use std::time::Duration;

use supervisors::kernel::Event;
use supervisors::{CellRef, ChildPolicy, ChildSpec, Fault, Restart, Strategy, Tree};

use crate::puppet::{Do, Puppet, block, grow, puppet, run, soon};
use crate::sim::{Sim, child, failed, otp};

fn budget(id: &str, shutdown_ms: u64) -> (ChildSpec, CellRef<Puppet>) {
    puppet(
        id,
        ChildPolicy {
            shutdown_ms,
            ..ChildPolicy::default()
        },
    )
}

/// Stops `a` while it runs a request that never ends by itself: its caller is answered, its thread a zombie.
async fn is_given_up(tree: &Tree, cell: &CellRef<Puppet>) {
    let (gate, running) = block(cell);
    assert!(tree.drain(Duration::from_secs(20)).await.complete);
    assert!(matches!(running.await, Err(Fault::ShuttingDown)));
    assert_eq!(tree.snapshot().children[0].zombies, Some(1));
    gate.wait();
}

#[test]
fn sup_stop_infinity() {
    run(|| async {
        let (spec, cell) = budget("a", u64::from(u32::MAX));
        let tree = std::rc::Rc::new(grow(otp(Strategy::OneForOne, 2), [spec]).await);
        let (gate, running) = block(&cell);
        let draining = std::rc::Rc::clone(&tree);
        let drained =
            actix::spawn(async move { draining.drain(Duration::from_secs(20)).await.complete });
        while cell.try_ask(Do::Count, soon()).is_ok() {
            tokio::task::yield_now().await;
        }
        gate.wait();
        assert_eq!(running.await.unwrap(), 1);
        assert!(drained.await.unwrap());
        assert_eq!(tree.snapshot().children[0].zombies, Some(0));
    });
}

#[test]
fn sup_stop_timeout() {
    run(|| async {
        let (a, cell) = budget("a", 20);
        let tree = grow(otp(Strategy::OneForOne, 2), [a, budget("b", 1_000).0]).await;
        is_given_up(&tree, &cell).await;
    });
}

#[test]
fn sup_stop_timeout_dynamic() {
    run(|| async {
        let tree = grow(otp(Strategy::OneForOne, 2), []).await;
        let (spec, cell) = budget("a", 20);
        tree.supervisor("root")
            .unwrap()
            .start_child(spec)
            .await
            .unwrap();
        is_given_up(&tree, &cell).await;
    });
}

#[test]
fn sup_stop_brutal_kill() {
    run(|| async {
        let (spec, cell) = budget("a", 0);
        let tree = grow(otp(Strategy::OneForOne, 2), [spec]).await;
        is_given_up(&tree, &cell).await;
    });
}

#[test]
fn sup_stop_brutal_kill_dynamic() {
    run(|| async {
        let tree = grow(otp(Strategy::OneForOne, 2), []).await;
        let (spec, cell) = budget("a", 0);
        tree.supervisor("root")
            .unwrap()
            .start_child(spec)
            .await
            .unwrap();
        is_given_up(&tree, &cell).await;
    });
}

#[test]
fn sup_stop_race() {
    let children = vec![
        child("a", Restart::Temporary),
        child("b", Restart::Transient),
        child("c", Restart::Permanent),
    ];
    let mut sim = Sim::new(otp(Strategy::OneForOne, 2), children);
    // All exit by themselves as the shutdown begins.
    sim.tell_all([
        Event::Shutdown { close: true },
        failed("a"),
        Event::Ended("b".into()),
        failed("c"),
    ]);
    assert_eq!(sim.log(), "-c -b -a done");
}

#[test]
fn sup_stop_non_shutdown_exit_dynamic() {
    let mut sim = Sim::new(otp(Strategy::OneForOne, 2), Vec::new());
    sim.add(child("a", Restart::Permanent));
    sim.add(child("b", Restart::Permanent));
    sim.tell_all([Event::Shutdown { close: true }, failed("b"), failed("a")]);
    assert_eq!(sim.log(), "+a +b -b -a done");
}

#[test]
fn simple_one_for_one_shutdown() {
    let mut sim = Sim::new(otp(Strategy::OneForOne, 2), Vec::new());
    for id in ["a", "b", "c"] {
        sim.add(child(id, Restart::Permanent));
    }
    sim.log();
    sim.tell(Event::Shutdown { close: true });
    assert_eq!(sim.log(), "-c -b -a done");
}
