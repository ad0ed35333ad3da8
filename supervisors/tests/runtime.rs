//! The runtime, driven by one worker that panics, hangs, blocks or counts on demand.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use supervisors::{
    AsyncWorker, Backoff, CellRef, ChildPolicy, ChildSpec, Cx, Deadline, Digest, Fault,
    OnExhausted, Phase, Policy, Protocol, StartError, Strategy, SupervisorSpec, Tree, Worker,
};

/// What the worker is told to do.
enum Do {
    Count,
    Panic,
    Fail,
    /// Meets the test twice: when it runs, and when it may go on.
    Block(Arc<Barrier>),
    PoisonWithDigest,
    DropBomb,
}

struct Bomb;
impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::panic_any("bomb");
    }
}

struct Puppet {
    count: u64,
    bomb: Option<Bomb>,
}

impl Puppet {
    fn new() -> Self {
        Self {
            count: 0,
            bomb: None,
        }
    }
}

impl Protocol for Puppet {
    type Req = Do;
    type Rep = u64;
    type Err = String;

    fn digest(request: &Do) -> Option<Digest> {
        matches!(request, Do::PoisonWithDigest).then(|| Digest::of(b"poison"))
    }
}

impl Worker for Puppet {
    fn handle(&mut self, request: Do, _: &Cx) -> Result<u64, String> {
        match request {
            Do::Count => {
                self.count += 1;
                Ok(self.count)
            }
            Do::Panic | Do::PoisonWithDigest => std::panic::panic_any("on demand"),
            Do::Fail => Err("no".to_owned()),
            Do::Block(barrier) => {
                barrier.wait();
                barrier.wait();
                Ok(0)
            }
            Do::DropBomb => {
                self.bomb = Some(Bomb);
                std::panic::panic_any("with a bomb in the state")
            }
        }
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

fn quick(intensity: u32, on_exhausted: OnExhausted) -> Policy {
    let backoff = Backoff {
        base_ms: 1,
        max_ms: 5,
        ..Backoff::default()
    };
    Policy {
        intensity,
        on_exhausted,
        backoff,
        ..Policy::default()
    }
}

fn puppet(id: &str, policy: ChildPolicy) -> (ChildSpec, CellRef<Puppet>) {
    ChildSpec::sync(id, policy, |_| Ok(Puppet::new()))
}

fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    actix::System::new().block_on(test());
}

async fn tree(policy: Policy, child: ChildSpec) -> Tree {
    Tree::start(SupervisorSpec::new("root", policy).child(child), 7)
        .await
        .unwrap()
}

#[test]
fn a_cell_is_crowded_while_many_wait_and_the_first_of_them_for_long() {
    run(|| async {
        let (spec, cell) = puppet("p", ChildPolicy::default());
        let _tree = tree(quick(100, OnExhausted::Open), spec).await;
        let (few, long) = (2, Duration::from_secs(3_600));
        let gate = Arc::new(Barrier::new(2));
        let blocked = cell.try_ask(Do::Block(Arc::clone(&gate)), soon()).unwrap();
        gate.wait();
        let mut waiting = vec![cell.try_ask(Do::Count, soon()).unwrap()];
        assert!(!cell.is_crowded(few, Duration::ZERO), "few are no crowd");
        waiting.push(cell.try_ask(Do::Count, soon()).unwrap());
        // A wait is told in milliseconds.
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(2) {}
        assert!(cell.is_crowded(few, Duration::ZERO));
        assert!(!cell.is_crowded(few, long), "none has waited for long");
        gate.wait();
        assert_eq!(blocked.await.unwrap(), 0);
        for waiting in waiting {
            waiting.await.unwrap();
        }
        assert!(!cell.is_crowded(0, Duration::ZERO), "nobody waits");
    });
}

#[test]
fn a_crash_costs_one_request_and_the_queue_goes_on() {
    run(|| async {
        let (spec, cell) = puppet("p", ChildPolicy::default());
        let tree = tree(quick(100, OnExhausted::Open), spec).await;
        let gate = Arc::new(Barrier::new(2));
        let blocked = cell.try_ask(Do::Block(Arc::clone(&gate)), soon()).unwrap();
        let first = cell.try_ask(Do::Count, soon()).unwrap();
        let poison = cell.try_ask(Do::Panic, soon()).unwrap();
        let second = cell.try_ask(Do::Count, soon()).unwrap();
        let third = cell.try_ask(Do::Count, soon()).unwrap();
        gate.wait();
        gate.wait();
        assert_eq!(blocked.await.unwrap(), 0);
        assert_eq!(first.await.unwrap(), 1);
        let Err(Fault::Crashed(report)) = poison.await else {
            panic!("expected a crash")
        };
        assert_eq!(report.message, "on demand");
        assert!(report.location.contains("runtime.rs"));
        // Fresh state, and first in first out among the survivors.
        assert_eq!(second.await.unwrap(), 1);
        assert_eq!(third.await.unwrap(), 2);
        let seen = tree.snapshot();
        assert_eq!(seen.children[0].restarts, 1);
        assert_eq!(seen.children[0].epoch, Some(2));
        assert_eq!(seen.children[0].last_crash.as_ref().unwrap().id, report.id);
    });
}

#[test]
fn an_error_is_an_answer_and_keeps_the_state() {
    run(|| async {
        let (spec, cell) = puppet("p", ChildPolicy::default());
        let _tree = tree(quick(5, OnExhausted::Open), spec).await;
        assert_eq!(cell.ask(Do::Count, soon()).await.unwrap(), 1);
        assert!(matches!(cell.ask(Do::Fail, soon()).await, Err(Fault::App(no)) if no == "no"));
        assert_eq!(cell.ask(Do::Count, soon()).await.unwrap(), 2);
    });
}

#[test]
fn a_full_inbox_is_busy_at_once() {
    run(|| async {
        let (spec, cell) = puppet(
            "p",
            ChildPolicy {
                inbox: 2,
                ..ChildPolicy::default()
            },
        );
        let _tree = tree(quick(5, OnExhausted::Open), spec).await;
        let gate = Arc::new(Barrier::new(2));
        let running = cell.try_ask(Do::Block(Arc::clone(&gate)), soon()).unwrap();
        let queued = cell.try_ask(Do::Count, soon()).unwrap();
        assert!(matches!(cell.try_ask(Do::Count, soon()), Err(Fault::Busy)));
        gate.wait();
        gate.wait();
        running.await.unwrap();
        queued.await.unwrap();
        cell.ask(Do::Count, soon()).await.unwrap();
    });
}

#[test]
fn a_hang_is_answered_and_the_next_is_served_while_the_zombie_lives() {
    run(|| async {
        let (spec, cell) = puppet("p", ChildPolicy::default());
        let tree = tree(quick(5, OnExhausted::Open), spec).await;
        let gate = Arc::new(Barrier::new(2));
        let hung = cell.ask(
            Do::Block(Arc::clone(&gate)),
            Deadline::after(Duration::from_millis(20)),
        );
        assert!(matches!(hung.await, Err(Fault::Hung { .. })));
        assert_eq!(cell.ask(Do::Count, soon()).await.unwrap(), 1);
        assert_eq!(tree.snapshot().children[0].zombies, Some(1));
        // The zombie comes back to life: nobody hears of it, and it ends.
        gate.wait();
        gate.wait();
        while tree.snapshot().children[0].zombies != Some(0) {
            tokio::task::yield_now().await;
        }
        assert_eq!(cell.ask(Do::Count, soon()).await.unwrap(), 2);
    });
}

#[test]
fn what_waits_too_long_expires_without_running() {
    run(|| async {
        let (spec, cell) = puppet("p", ChildPolicy::default());
        let _tree = tree(quick(5, OnExhausted::Open), spec).await;
        let gate = Arc::new(Barrier::new(2));
        let running = cell.try_ask(Do::Block(Arc::clone(&gate)), soon()).unwrap();
        let late = cell
            .ask(Do::Count, Deadline::after(Duration::from_millis(5)))
            .await;
        assert!(matches!(late, Err(Fault::Expired)));
        gate.wait();
        gate.wait();
        running.await.unwrap();
        assert_eq!(cell.ask(Do::Count, soon()).await.unwrap(), 1);
    });
}

#[test]
fn a_caller_that_goes_away_frees_its_place() {
    run(|| async {
        let (spec, cell) = puppet(
            "p",
            ChildPolicy {
                inbox: 2,
                ..ChildPolicy::default()
            },
        );
        let _tree = tree(quick(5, OnExhausted::Open), spec).await;
        let gate = Arc::new(Barrier::new(2));
        let running = cell.try_ask(Do::Block(Arc::clone(&gate)), soon()).unwrap();
        drop(cell.try_ask(Do::Panic, soon()).unwrap());
        gate.wait();
        gate.wait();
        running.await.unwrap();
        assert_eq!(cell.ask(Do::Count, soon()).await.unwrap(), 1);
    });
}

#[test]
fn poison_is_quarantined_until_released() {
    run(|| async {
        let policy = ChildPolicy {
            quarantine_after: 2,
            ..ChildPolicy::default()
        };
        let (spec, cell) = puppet("p", policy);
        let tree = tree(quick(100, OnExhausted::Open), spec).await;
        for _ in 0..2 {
            let crashed = cell.ask(Do::PoisonWithDigest, soon()).await;
            assert!(matches!(crashed, Err(Fault::Crashed(_))));
        }
        let Err(Fault::Quarantined(digest)) = cell.ask(Do::PoisonWithDigest, soon()).await else {
            panic!("expected quarantine");
        };
        let letters = tree.dead_letters();
        assert_eq!(
            (letters.len(), letters[0].digest, letters[0].crashes),
            (1, digest, 2)
        );
        assert_eq!(cell.ask(Do::Count, soon()).await.unwrap(), 1);
        assert!(tree.release(&digest.to_string()));
        assert!(!tree.release(&digest.to_string()));
        let crashed = cell.ask(Do::PoisonWithDigest, soon()).await;
        assert!(matches!(crashed, Err(Fault::Crashed(_))));
    });
}

#[test]
fn past_the_intensity_it_rests_and_recovers_by_itself() {
    run(|| async {
        let (spec, cell) = puppet("p", ChildPolicy::default());
        let backoff = Backoff {
            base_ms: 40,
            max_ms: 40,
            ..Backoff::default()
        };
        let policy = Policy {
            backoff,
            ..quick(1, OnExhausted::Open)
        };
        let tree = tree(policy, spec).await;
        let mut unavailable = 0;
        for _ in 0..2 {
            let _ = cell.ask(Do::Panic, soon()).await;
        }
        let recovered = loop {
            match cell.ask(Do::Count, soon()).await {
                Ok(count) if unavailable > 0 => break count,
                Err(Fault::Unavailable { .. }) => unavailable += 1,
                _ => {}
            }
            tokio::task::yield_now().await;
        };
        assert!(recovered >= 1);
        assert!(tree.health().live);
    });
}

#[test]
fn a_factory_that_fails_or_panics_is_tried_again() {
    run(|| async {
        let tries = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&tries);
        let (spec, cell) = ChildSpec::sync("p", ChildPolicy::default(), move |_| {
            match counter.fetch_add(1, Ordering::SeqCst) {
                0 => Err(StartError::new("not yet")),
                1 => std::panic::panic_any("factory"),
                _ => Ok(Puppet::new()),
            }
        });
        let _tree = tree(quick(10, OnExhausted::Open), spec).await;
        assert_eq!(cell.ask(Do::Count, soon()).await.unwrap(), 1);
        assert_eq!(tries.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn a_panic_in_a_drop_is_contained() {
    run(|| async {
        let (spec, cell) = puppet("p", ChildPolicy::default());
        let _tree = tree(quick(10, OnExhausted::Open), spec).await;
        assert!(matches!(
            cell.ask(Do::DropBomb, soon()).await,
            Err(Fault::Crashed(_))
        ));
        assert_eq!(cell.ask(Do::Count, soon()).await.unwrap(), 1);
    });
}

#[test]
fn rest_for_one_gives_later_siblings_fresh_state() {
    run(|| async {
        let (a, cell_a) = puppet("a", ChildPolicy::default());
        let (b, cell_b) = puppet("b", ChildPolicy::default());
        let (c, cell_c) = puppet("c", ChildPolicy::default());
        let policy = Policy {
            strategy: Strategy::RestForOne,
            ..quick(10, OnExhausted::Open)
        };
        let spec = SupervisorSpec::new("root", policy)
            .child(a)
            .child(b)
            .child(c);
        let tree = Tree::start(spec, 7).await.unwrap();
        for cell in [&cell_a, &cell_b, &cell_c] {
            assert_eq!(cell.ask(Do::Count, soon()).await.unwrap(), 1);
        }
        let _ = cell_b.ask(Do::Panic, soon()).await;
        while tree.snapshot().children[2].epoch != Some(2) {
            tokio::task::yield_now().await;
        }
        assert_eq!(cell_a.ask(Do::Count, soon()).await.unwrap(), 2);
        assert_eq!(cell_b.ask(Do::Count, soon()).await.unwrap(), 1);
        assert_eq!(cell_c.ask(Do::Count, soon()).await.unwrap(), 1);
    });
}

#[test]
fn a_snapshot_never_shows_an_epoch_without_its_restart() {
    run(|| async {
        let (spec, cell) = puppet("cell", ChildPolicy::default());
        let tree = Arc::new(tree(quick(u32::MAX, OnExhausted::Open), spec).await);
        let done = Arc::new(AtomicBool::new(false));
        let (seen, stop) = (Arc::clone(&tree), Arc::clone(&done));
        let reader = std::thread::spawn(move || {
            while !stop.load(Ordering::Acquire) {
                let cell = seen.snapshot().children.remove(0);
                let started = 1 + cell.restarts;
                assert!(cell.epoch.unwrap() <= started, "{:?}", cell.epoch);
                assert_eq!(cell.restarts_in_window as u64, cell.restarts);
            }
        });
        for _ in 0..300 {
            let _ = cell.ask(Do::Panic, soon()).await;
        }
        done.store(true, Ordering::Release);
        reader.join().unwrap();
    });
}

#[test]
fn escalation_restarts_the_branch_and_at_the_root_gives_up() {
    run(|| async {
        let (leaf, cell) = puppet("leaf", ChildPolicy::default());
        let branch = SupervisorSpec::new("branch", quick(0, OnExhausted::Escalate)).child(leaf);
        let root = SupervisorSpec::new("root", quick(1, OnExhausted::Escalate))
            .child(ChildSpec::supervisor(branch));
        let tree = Tree::start(root, 7).await.unwrap();
        let _ = cell.ask(Do::Panic, soon()).await;
        // The branch was restarted by the root, and the handle still works.
        assert_eq!(cell.ask(Do::Count, soon()).await.unwrap(), 1);
        let _ = cell.ask(Do::Panic, soon()).await;
        tree.wait_exhausted().await;
        assert!(!tree.health().live);
    });
}

#[test]
fn dynamic_children_come_and_go() {
    run(|| async {
        let root = SupervisorSpec::new("root", quick(5, OnExhausted::Open)).child(
            ChildSpec::supervisor(SupervisorSpec::new("pool", quick(5, OnExhausted::Open))),
        );
        let tree = Tree::start(root, 7).await.unwrap();
        let pool = tree.supervisor("pool").unwrap();
        let (spec, cell) = puppet("x", ChildPolicy::default());
        pool.start_child(spec).await.unwrap();
        assert_eq!(cell.ask(Do::Count, soon()).await.unwrap(), 1);
        let (again, _) = puppet("x", ChildPolicy::default());
        assert!(pool.start_child(again).await.is_err());
        tree.restart("pool/x").await.unwrap();
        assert_eq!(cell.ask(Do::Count, soon()).await.unwrap(), 1);
        pool.stop_child("x").await.unwrap();
        assert!(matches!(
            cell.ask(Do::Count, soon()).await,
            Err(Fault::ShuttingDown)
        ));
        assert!(pool.stop_child("x").await.is_err());
        assert!(tree.snapshot().children[0].children.is_empty());
    });
}

#[test]
fn drain_stops_in_reverse_and_answers_what_is_left() {
    run(|| async {
        struct Noted(Arc<Mutex<Vec<&'static str>>>, &'static str);
        impl Drop for Noted {
            fn drop(&mut self) {
                self.0.lock().unwrap().push(self.1);
            }
        }
        impl Protocol for Noted {
            type Req = Arc<Barrier>;
            type Rep = ();
            type Err = String;
        }
        impl Worker for Noted {
            fn handle(&mut self, barrier: Arc<Barrier>, _: &Cx) -> Result<(), String> {
                barrier.wait();
                barrier.wait();
                Ok(())
            }
        }
        let order = Arc::new(Mutex::new(Vec::new()));
        let noted = |name: &'static str| {
            let order = Arc::clone(&order);
            ChildSpec::sync(name, ChildPolicy::default(), move |_| {
                Ok(Noted(Arc::clone(&order), name))
            })
        };
        let ((a, cell_a), (b, _)) = (noted("a"), noted("b"));
        let spec = SupervisorSpec::new("root", Policy::default())
            .child(a)
            .child(b);
        let tree = Arc::new(Tree::start(spec, 7).await.unwrap());
        let gate = Arc::new(Barrier::new(2));
        let running = cell_a.try_ask(Arc::clone(&gate), soon()).unwrap();
        let queued = cell_a.try_ask(Arc::clone(&gate), soon()).unwrap();
        gate.wait();
        let draining = Arc::clone(&tree);
        let drained = actix::spawn(async move { draining.drain(Duration::from_secs(20)).await });
        assert!(matches!(queued.await, Err(Fault::ShuttingDown)));
        gate.wait();
        running.await.unwrap();
        assert!(drained.await.unwrap().complete);
        assert_eq!(*order.lock().unwrap(), ["b", "a"]);
        assert!(matches!(
            cell_a.try_ask(gate, soon()),
            Err(Fault::ShuttingDown)
        ));
        assert_eq!(tree.snapshot().state, Phase::Stopped);
    });
}

/// Many at once: each request says what becomes of it.
struct Juggler;
impl Protocol for Juggler {
    type Req = &'static str;
    type Rep = &'static str;
    type Err = String;
}
impl AsyncWorker for Juggler {
    async fn handle(
        self: std::rc::Rc<Self>,
        request: &'static str,
        _: Cx,
    ) -> Result<&'static str, String> {
        match request {
            "panic" => {
                tokio::task::yield_now().await;
                std::panic::panic_any("async")
            }
            "never" => std::future::pending().await,
            other => Ok(other),
        }
    }
}

#[test]
fn async_cells_lose_only_the_one_that_panics_or_hangs() {
    run(|| async {
        let (spec, cell) = ChildSpec::asynchronous("j", ChildPolicy::default(), |_| Ok(Juggler));
        let tree = tree(quick(100, OnExhausted::Open), spec).await;
        let short = Deadline::after(Duration::from_millis(30));
        let never = cell.try_ask("never", short).unwrap();
        let poison = cell.try_ask("panic", soon()).unwrap();
        let fine = cell.try_ask("fine", soon()).unwrap();
        assert!(matches!(poison.await, Err(Fault::Crashed(_))));
        assert_eq!(fine.await.unwrap(), "fine");
        assert!(matches!(never.await, Err(Fault::Hung { .. })));
        assert_eq!(cell.ask("again", soon()).await.unwrap(), "again");
        assert_eq!(tree.snapshot().children[0].restarts, 1);
    });
}

#[test]
fn async_work_is_dropped_when_its_caller_goes_away() {
    run(|| async {
        struct Guarded(tokio::sync::mpsc::UnboundedSender<&'static str>);
        struct Held(tokio::sync::mpsc::UnboundedSender<&'static str>);
        impl Drop for Held {
            fn drop(&mut self) {
                let _ = self.0.send("dropped");
            }
        }
        impl Protocol for Guarded {
            type Req = ();
            type Rep = ();
            type Err = String;
        }
        impl AsyncWorker for Guarded {
            async fn handle(self: std::rc::Rc<Self>, (): (), _: Cx) -> Result<(), String> {
                let _held = Held(self.0.clone());
                let _ = self.0.send("running");
                std::future::pending().await
            }
        }
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let (spec, cell) = ChildSpec::asynchronous("g", ChildPolicy::default(), move |_| {
            Ok(Guarded(sender.clone()))
        });
        let _tree = tree(quick(5, OnExhausted::Open), spec).await;
        let pending = cell.try_ask((), soon()).unwrap();
        assert_eq!(events.recv().await, Some("running"));
        drop(pending);
        assert_eq!(events.recv().await, Some("dropped"));
    });
}

#[test]
fn every_request_gets_exactly_one_answer_under_random_panics() {
    run(|| async {
        let policy = ChildPolicy {
            workers: 4,
            inbox: 10_000,
            ..ChildPolicy::default()
        };
        let (spec, cell) = puppet("p", policy);
        let _tree = tree(quick(1_000_000, OnExhausted::Open), spec).await;
        let answers: Vec<_> = (0..2_000_u32)
            .map(|n| {
                let what = if n % 97 == 3 { Do::Panic } else { Do::Count };
                (n, cell.try_ask(what, soon()).unwrap())
            })
            .collect();
        for (n, answer) in answers {
            match answer.await {
                Ok(_) => assert_ne!(n % 97, 3),
                Err(Fault::Crashed(_)) => assert_eq!(n % 97, 3),
                Err(other) => panic!("{n}: {other}"),
            }
        }
    });
}
