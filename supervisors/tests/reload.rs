//! Policies swapped under load, dead letters, and what a stop or a rest leaves behind.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test, and a worker crashes on demand"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use supervisors::{
    Backoff, CellRef, ChildPolicy, ChildSpec, Cx, Deadline, Digest, Fault, OnExhausted, Phase,
    Policy, Protocol, ReloadPlan, Restart, SupervisorSpec, Tree, TreeSnapshot, Worker,
};

enum Do {
    Nothing,
    Crash(&'static str),
    Block(Arc<Barrier>),
}

/// Counts its workers that are alive.
struct Puppet(Arc<AtomicUsize>);

impl Puppet {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(alive))
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Protocol for Puppet {
    type Req = Do;
    type Rep = ();
    type Err = String;

    fn digest(request: &Do) -> Option<Digest> {
        match request {
            Do::Crash(text) => Some(Digest::of(text.as_bytes())),
            _ => None,
        }
    }
}

impl Worker for Puppet {
    fn handle(&mut self, request: Do, _: &Cx) -> Result<(), String> {
        match request {
            Do::Nothing => {}
            Do::Crash(text) => std::panic::panic_any(text),
            Do::Block(gate) => {
                gate.wait();
                gate.wait();
            }
        }
        Ok(())
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

fn counted(id: &str, policy: ChildPolicy) -> (ChildSpec, CellRef<Puppet>, Arc<AtomicUsize>) {
    let alive = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&alive);
    let (spec, cell) = ChildSpec::sync(id, policy, move |_| Ok(Puppet::new(&counter)));
    (spec, cell, alive)
}

fn quick(intensity: u32, on_exhausted: OnExhausted) -> Policy {
    let backoff = Backoff {
        base_ms: 1,
        max_ms: 1,
        ..Backoff::default()
    };
    Policy {
        intensity,
        on_exhausted,
        backoff,
        ..Policy::default()
    }
}

fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    actix::System::new().block_on(test());
}

async fn grow(policy: Policy, child: ChildSpec) -> Tree {
    let root = SupervisorSpec::new("root", policy).child(child);
    Tree::start(root, 7).await.unwrap()
}

async fn until(wanted: impl Fn() -> bool) {
    while !wanted() {
        tokio::task::yield_now().await;
    }
}

async fn seen(tree: &Tree, wanted: impl Fn(&TreeSnapshot) -> bool) {
    until(|| wanted(&tree.snapshot())).await;
}

fn block(cell: &CellRef<Puppet>) -> (Arc<Barrier>, supervisors::Pending<Puppet>) {
    let gate = Arc::new(Barrier::new(2));
    let running = cell.try_ask(Do::Block(Arc::clone(&gate)), soon()).unwrap();
    gate.wait();
    (gate, running)
}

fn plan(id: &str, policy: ChildPolicy) -> ReloadPlan {
    ReloadPlan {
        children: [(id.to_owned(), policy)].into(),
        ..ReloadPlan::default()
    }
}

#[test]
fn a_new_quarantine_counts_the_crashes_so_far() {
    run(|| async {
        let (spec, cell, _) = counted("p", ChildPolicy::default());
        let tree = grow(quick(100, OnExhausted::Open), spec).await;
        for _ in 0..2 {
            let crashed = cell.ask(Do::Crash("poison"), soon()).await;
            assert!(matches!(crashed, Err(Fault::Crashed(_))));
        }
        assert!(tree.dead_letters().is_empty());
        let strict = |quarantine_after| ChildPolicy {
            quarantine_after,
            ..ChildPolicy::default()
        };
        tree.reload(&plan("p", strict(2))).unwrap();
        let refused = cell.ask(Do::Crash("poison"), soon()).await;
        assert!(matches!(refused, Err(Fault::Quarantined(_))));
        // Zero lets everything through, without forgetting.
        tree.reload(&plan("p", strict(0))).unwrap();
        let crashed = cell.ask(Do::Crash("poison"), soon()).await;
        assert!(matches!(crashed, Err(Fault::Crashed(_))));
        assert!(tree.dead_letters().is_empty());
        tree.reload(&plan("p", strict(2))).unwrap();
        assert_eq!(tree.dead_letters().len(), 1);
    });
}

#[test]
fn a_released_letter_keeps_its_history_and_a_deleted_one_does_not() {
    run(|| async {
        let policy = ChildPolicy {
            quarantine_after: 1,
            ..ChildPolicy::default()
        };
        let (spec, cell, _) = counted("p", policy);
        let tree = grow(quick(100, OnExhausted::Open), spec).await;
        let crash = || cell.ask(Do::Crash("poison"), soon());
        let digest = Digest::of(b"poison").to_string();
        let letter = || {
            let letters = tree.dead_letters();
            (letters[0].crashes, letters[0].reports.len())
        };
        assert!(matches!(crash().await, Err(Fault::Crashed(_))));
        assert!(tree.release(&digest));
        assert!(tree.dead_letters().is_empty());
        assert!(matches!(crash().await, Err(Fault::Crashed(_))));
        assert_eq!(letter(), (1, 2));
        assert!(tree.delete_letter(&digest));
        assert!(!tree.delete_letter(&digest));
        assert!(matches!(crash().await, Err(Fault::Crashed(_))));
        assert_eq!(letter(), (1, 1));
    });
}

#[test]
fn a_new_deadline_applies_to_what_runs() {
    run(|| async {
        let (spec, cell, _) = counted("p", ChildPolicy::default());
        let tree = grow(quick(100, OnExhausted::Open), spec).await;
        let (gate, running) = block(&cell);
        let impatient = ChildPolicy {
            deadline_ms: 1,
            ..ChildPolicy::default()
        };
        tree.reload(&plan("p", impatient)).unwrap();
        assert!(matches!(running.await, Err(Fault::Hung { .. })));
        gate.wait();
    });
}

#[test]
fn more_workers_come_with_the_next_restart() {
    run(|| async {
        let (spec, cell, alive) = counted("p", ChildPolicy::default());
        let tree = grow(quick(100, OnExhausted::Open), spec).await;
        let with = |workers| ChildPolicy {
            workers,
            ..ChildPolicy::default()
        };
        tree.reload(&plan("p", with(3))).unwrap();
        cell.ask(Do::Nothing, soon()).await.unwrap();
        assert_eq!(alive.load(Ordering::SeqCst), 1);
        tree.restart("p").await.unwrap();
        until(|| alive.load(Ordering::SeqCst) == 3).await;
        tree.reload(&plan("p", with(1))).unwrap();
        tree.restart("p").await.unwrap();
        until(|| alive.load(Ordering::SeqCst) == 1).await;
    });
}

#[test]
fn a_new_restart_type_applies_at_the_next_exit() {
    run(|| async {
        let (spec, cell, alive) = counted("p", ChildPolicy::default());
        let tree = grow(quick(100, OnExhausted::Open), spec).await;
        let temporary = ChildPolicy {
            restart: Restart::Temporary,
            workers: 2,
            ..ChildPolicy::default()
        };
        tree.reload(&plan("branch/p", temporary.clone()))
            .unwrap_err();
        tree.reload(&plan("root/p", temporary)).unwrap();
        tree.restart("p").await.unwrap();
        until(|| alive.load(Ordering::SeqCst) == 2).await;
        let crashed = cell.ask(Do::Crash("x"), soon()).await;
        assert!(matches!(crashed, Err(Fault::Crashed(_))));
        seen(&tree, |root| root.children[0].state == Phase::Ended).await;
        // The other worker of the pool is not left behind.
        until(|| alive.load(Ordering::SeqCst) == 0).await;
    });
}

#[test]
fn a_budget_ends_only_the_stop_that_it_was_given_for() {
    run(|| async {
        let patient = |shutdown_ms| ChildPolicy {
            shutdown_ms,
            ..ChildPolicy::default()
        };
        let (spec, cell, _) = counted("p", patient(100));
        let tree = grow(quick(100, OnExhausted::Open), spec).await;
        // The first stop ends at once; its budget runs on.
        tree.restart("p").await.unwrap();
        seen(&tree, |root| root.children[0].epoch == Some(2)).await;
        tree.reload(&plan("p", patient(600_000))).unwrap();
        let (gate, running) = block(&cell);
        tree.restart("p").await.unwrap();
        seen(&tree, |root| root.children[0].state == Phase::Stopping).await;
        // A second cell's budget of the same length, given later, ends later.
        let (spec, other, _) = counted("q", patient(100));
        tree.supervisor("root")
            .unwrap()
            .start_child(spec)
            .await
            .unwrap();
        let (other_gate, stuck) = block(&other);
        tree.restart("q").await.unwrap();
        assert!(matches!(stuck.await, Err(Fault::ShuttingDown)));
        other_gate.wait();
        gate.wait();
        running.await.unwrap();
    });
}

#[test]
fn a_branch_that_rests_refuses_at_once() {
    run(|| async {
        let (leaf, cell, _) = counted("leaf", ChildPolicy::default());
        let branch = SupervisorSpec::new("branch", quick(0, OnExhausted::Escalate)).child(leaf);
        let mut policy = quick(0, OnExhausted::Open);
        policy.backoff.base_ms = 600_000;
        policy.backoff.max_ms = 600_000;
        let tree = grow(policy, ChildSpec::supervisor(branch)).await;
        let crashed = cell.ask(Do::Crash("x"), soon()).await;
        assert!(matches!(crashed, Err(Fault::Crashed(_))));
        seen(&tree, |root| root.children[0].state == Phase::Open).await;
        until(|| {
            matches!(
                cell.try_ask(Do::Nothing, soon()),
                Err(Fault::Unavailable { .. })
            )
        })
        .await;
        // An operator need not wait.
        tree.restart("branch").await.unwrap();
        seen(&tree, |root| root.children[0].state == Phase::Ready).await;
        cell.ask(Do::Nothing, soon()).await.unwrap();
    });
}

#[test]
fn what_waits_below_a_branch_that_is_removed_is_answered() {
    run(|| async {
        let (leaf, cell, _) = counted("leaf", ChildPolicy::default());
        let mut policy = quick(9, OnExhausted::Open);
        policy.backoff.first_ms = 600_000;
        policy.backoff.max_ms = 600_000;
        policy.backoff.jitter = supervisors::Jitter::None;
        let branch = SupervisorSpec::new("branch", policy).child(leaf);
        let tree = grow(quick(0, OnExhausted::Open), ChildSpec::supervisor(branch)).await;
        let _ = cell.ask(Do::Crash("x"), soon()).await;
        let waiting = cell.try_ask(Do::Nothing, soon()).unwrap();
        tree.supervisor("root")
            .unwrap()
            .stop_child("branch")
            .await
            .unwrap();
        assert!(matches!(waiting.await, Err(Fault::ShuttingDown)));
    });
}

#[test]
fn the_last_of_a_pool_ends_with_its_tree() {
    run(|| async {
        let policy = ChildPolicy {
            workers: 3,
            ..ChildPolicy::default()
        };
        let (spec, cell, alive) = counted("p", policy);
        // The first crash ends the root: the pool's other workers must not stay.
        let tree = grow(quick(0, OnExhausted::Escalate), spec).await;
        until(|| alive.load(Ordering::SeqCst) == 3).await;
        let _ = cell.ask(Do::Crash("x"), soon()).await;
        tree.wait_exhausted().await;
        until(|| alive.load(Ordering::SeqCst) == 0).await;
        // A tree that is dropped ends what runs.
        let (spec, _, alive) = counted("p", ChildPolicy::default());
        let tree = grow(quick(0, OnExhausted::Escalate), spec).await;
        drop(tree);
        until(|| alive.load(Ordering::SeqCst) == 0).await;
    });
}

#[test]
fn the_window_empties_as_time_goes_by() {
    run(|| async {
        let (spec, cell, _) = counted("p", ChildPolicy::default());
        let policy = Policy {
            period_ms: 30,
            ..quick(5, OnExhausted::Open)
        };
        let tree = grow(policy, spec).await;
        let _ = cell.ask(Do::Crash("x"), soon()).await;
        seen(&tree, |root| root.children[0].restarts == 1).await;
        // Nothing more happens, and yet it no longer counts.
        seen(&tree, |root| {
            root.restarts_in_window == 0 && root.children[0].restarts_in_window == 0
        })
        .await;
        assert_eq!(tree.snapshot().children[0].restarts, 1);
    });
}
