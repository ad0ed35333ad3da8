//! Batch workers: each request has its own answer, and poison is narrowed down to itself.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use supervisors::{
    Backoff, BatchCx, BatchWorker, Batching, CellRef, ChildPolicy, ChildSpec, Deadline, Digest,
    Fault, NodeKind, Pending, Policy, Protocol, SupervisorSpec, Tree,
};

/// What a request does to its batch.
#[derive(Clone)]
enum Do {
    Add(u32),
    Fail,
    Panic,
    Poison,
    /// The batch has one result too few.
    Swallow,
    /// Meets the test twice.
    Block(Arc<Barrier>),
    /// Goes on until the worker is given up.
    Hang,
}

type Sizes = Arc<Mutex<Vec<usize>>>;

struct Adder<const IDEMPOTENT: bool>(Sizes);

impl<const IDEMPOTENT: bool> Protocol for Adder<IDEMPOTENT> {
    type Req = Do;
    type Rep = u32;
    type Err = String;

    fn digest(request: &Do) -> Option<Digest> {
        matches!(request, Do::Poison).then(|| Digest::of(b"poison"))
    }
}

impl<const IDEMPOTENT: bool> BatchWorker for Adder<IDEMPOTENT> {
    const IDEMPOTENT: bool = IDEMPOTENT;

    fn handle(&mut self, batch: &[Do], cx: &BatchCx) -> Vec<Result<u32, String>> {
        self.0.lock().unwrap().push(batch.len());
        assert_eq!(cx.each().len(), batch.len());
        let mut results = Vec::new();
        for request in batch {
            results.push(match request {
                Do::Add(n) => Ok(n + 1),
                Do::Fail => Err("no".to_owned()),
                Do::Panic | Do::Poison => std::panic::panic_any("in a batch"),
                Do::Swallow => continue,
                Do::Block(barrier) => {
                    barrier.wait();
                    barrier.wait();
                    Ok(0)
                }
                Do::Hang => {
                    while !cx.is_stale() {
                        std::thread::yield_now();
                    }
                    Ok(0)
                }
            });
        }
        results
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

struct Rig<const IDEMPOTENT: bool> {
    tree: Tree,
    cell: CellRef<Adder<IDEMPOTENT>>,
    sizes: Sizes,
}

async fn rig<const IDEMPOTENT: bool>(policy: ChildPolicy, batching: Batching) -> Rig<IDEMPOTENT> {
    let sizes = Sizes::default();
    let kept = Arc::clone(&sizes);
    let (spec, cell) =
        ChildSpec::batch("b", policy, batching, move |_| Ok(Adder(Arc::clone(&kept))));
    let policy = Policy {
        intensity: 1_000,
        backoff: Backoff {
            base_ms: 1,
            max_ms: 1,
            ..Backoff::default()
        },
        ..Policy::default()
    };
    let tree = Tree::start(SupervisorSpec::new("root", policy).child(spec), 7)
        .await
        .unwrap();
    Rig { tree, cell, sizes }
}

impl<const IDEMPOTENT: bool> Rig<IDEMPOTENT> {
    /// Queues requests behind one that blocks, so that they are taken together.
    async fn together(&self, requests: Vec<Do>) -> Vec<Pending<Adder<IDEMPOTENT>>> {
        let gate = Arc::new(Barrier::new(2));
        let blocked = self
            .cell
            .try_ask(Do::Block(Arc::clone(&gate)), soon())
            .unwrap();
        gate.wait();
        let answers = requests
            .into_iter()
            .map(|request| self.cell.try_ask(request, soon()).unwrap())
            .collect();
        gate.wait();
        assert_eq!(blocked.await.unwrap(), 0);
        answers
    }

    fn sizes(&self) -> Vec<usize> {
        self.sizes.lock().unwrap().clone()
    }
}

fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    actix::System::new().block_on(test());
}

#[test]
fn what_is_queued_is_taken_together_up_to_the_bound() {
    run(|| async {
        let rig = rig::<true>(ChildPolicy::default(), 4.into()).await;
        let mut requests: Vec<_> = (0..6).map(Do::Add).collect();
        requests.push(Do::Fail);
        let answers = rig.together(requests).await;
        for (n, answer) in answers.into_iter().enumerate() {
            match answer.await {
                Ok(sum) => assert_eq!(sum as usize, n + 1),
                Err(Fault::App(no)) => assert_eq!((no.as_str(), n), ("no", 6)),
                Err(other) => panic!("{n}: {other}"),
            }
        }
        assert_eq!(rig.sizes(), [1, 4, 3]);
        assert_eq!(rig.tree.snapshot().children[0].kind, NodeKind::Batch);
        assert_eq!(rig.tree.snapshot().children[0].in_flight, Some(0));
    });
}

#[test]
fn a_window_waits_for_more() {
    run(|| async {
        let batching = Batching {
            max: 2,
            window: Duration::from_secs(60),
        };
        let rig = rig::<true>(ChildPolicy::default(), batching).await;
        let first = rig.cell.try_ask(Do::Add(1), soon()).unwrap();
        let second = rig.cell.try_ask(Do::Add(2), soon()).unwrap();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (2, 3));
        assert_eq!(rig.sizes(), [2]);
    });
}

#[test]
fn poison_is_bisected_and_counts_as_one_restart() {
    run(|| async {
        let rig = rig::<true>(ChildPolicy::default(), 8.into()).await;
        let mut requests: Vec<_> = (0..8).map(Do::Add).collect();
        requests[2] = Do::Panic;
        requests[7] = Do::Panic;
        for (n, answer) in rig.together(requests).await.into_iter().enumerate() {
            match answer.await {
                Ok(sum) => assert_eq!(sum as usize, n + 1),
                Err(Fault::Crashed(report)) => {
                    assert!(n == 2 || n == 7, "{n}");
                    assert_eq!(report.message, "in a batch");
                }
                Err(other) => panic!("{n}: {other}"),
            }
        }
        assert_eq!(rig.sizes(), [1, 8, 4, 2, 2, 1, 1, 4, 2, 2, 1, 1]);
        assert_eq!(rig.cell.ask(Do::Add(1), soon()).await.unwrap(), 2);
        assert_eq!(rig.tree.snapshot().children[0].restarts, 1);
    });
}

#[test]
fn without_idempotence_the_whole_batch_fails_and_suspects_run_alone_next() {
    run(|| async {
        let policy = ChildPolicy {
            quarantine_after: 1,
            ..ChildPolicy::default()
        };
        let rig = rig::<false>(policy, 8.into()).await;
        for answer in rig.together(vec![Do::Add(1), Do::Poison, Do::Add(2)]).await {
            assert!(matches!(answer.await, Err(Fault::Crashed(_))));
        }
        assert!(rig.tree.dead_letters().is_empty(), "three had a part in it");
        let mut answers = rig.together(vec![Do::Poison, Do::Add(1), Do::Add(2)]).await;
        assert_eq!(answers.pop().unwrap().await.unwrap(), 3);
        assert_eq!(answers.pop().unwrap().await.unwrap(), 2);
        assert!(matches!(
            answers.pop().unwrap().await,
            Err(Fault::Crashed(_))
        ));
        assert_eq!(rig.sizes(), [1, 3, 1, 2, 1]);
        let refused = rig.cell.ask(Do::Poison, soon()).await;
        assert!(matches!(refused, Err(Fault::Quarantined(_))));
    });
}

#[test]
fn a_wrong_number_of_results_is_a_crash() {
    run(|| async {
        let rig = rig::<true>(ChildPolicy::default(), 8.into()).await;
        let mut answers = rig
            .together(vec![Do::Add(1), Do::Swallow, Do::Add(2)])
            .await;
        assert_eq!(answers.remove(2).await.unwrap(), 3);
        let Err(Fault::Crashed(report)) = answers.remove(1).await else {
            panic!("expected a crash")
        };
        assert_eq!(report.message, "0 results for 1 requests");
        assert_eq!(answers.remove(0).await.unwrap(), 2);
    });
}

#[test]
fn a_crash_on_purpose_costs_its_own_request() {
    run(|| async {
        let rig = rig::<true>(ChildPolicy::default(), 8.into()).await;
        let gate = Arc::new(Barrier::new(2));
        let blocked = rig
            .cell
            .try_ask(Do::Block(Arc::clone(&gate)), soon())
            .unwrap();
        gate.wait();
        let first = rig.cell.try_ask(Do::Add(1), soon()).unwrap();
        rig.tree.crash_next("b").unwrap();
        let second = rig.cell.try_ask(Do::Add(2), soon()).unwrap();
        gate.wait();
        blocked.await.unwrap();
        assert_eq!(first.await.unwrap(), 2);
        assert!(matches!(second.await, Err(Fault::Crashed(_))));
    });
}

#[test]
fn one_that_is_late_is_answered_alone_and_the_batch_goes_on() {
    run(|| async {
        let rig = rig::<true>(ChildPolicy::default(), 8.into()).await;
        let gate = Arc::new(Barrier::new(2));
        let first = rig
            .cell
            .try_ask(Do::Block(Arc::clone(&gate)), soon())
            .unwrap();
        gate.wait();
        let inner = Arc::new(Barrier::new(2));
        let blocked = rig
            .cell
            .try_ask(Do::Block(Arc::clone(&inner)), soon())
            .unwrap();
        let short = Deadline::after(Duration::from_millis(500));
        let late = rig.cell.try_ask(Do::Add(1), short).unwrap();
        gate.wait();
        inner.wait();
        assert!(matches!(late.await, Err(Fault::Hung { .. })));
        inner.wait();
        first.await.unwrap();
        blocked.await.unwrap();
        let seen = rig.tree.snapshot();
        assert_eq!(
            (seen.children[0].restarts, seen.children[0].zombies),
            (0, Some(0))
        );
    });
}

#[test]
fn a_batch_that_hangs_is_answered_and_replaced() {
    run(|| async {
        let policy = ChildPolicy {
            deadline_ms: 30,
            ..ChildPolicy::default()
        };
        let rig = rig::<true>(policy, 8.into()).await;
        let batch = [Do::Add(1), Do::Hang].map(|one| rig.cell.try_ask(one, soon()).unwrap());
        for (n, answer) in batch.into_iter().enumerate() {
            match answer.await {
                // Taken alone, before the second was there.
                Ok(sum) => assert_eq!((n, sum), (0, 2)),
                Err(fault) => assert!(matches!(fault, Fault::Hung { .. }), "{fault}"),
            }
        }
        assert_eq!(rig.cell.ask(Do::Add(2), soon()).await.unwrap(), 3);
        while rig.tree.snapshot().children[0].zombies != Some(0) {
            tokio::task::yield_now().await;
        }
        assert!(rig.tree.drain(Duration::from_secs(20)).await.complete);
    });
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn only_the_poisoned_fail(
        poisoned in proptest::collection::vec(proptest::bool::weighted(0.1), 1..60),
        max in 1_usize..20,
        workers in 1_usize..4,
    ) {
        run(|| async {
            let policy = ChildPolicy { workers, ..ChildPolicy::default() };
            let rig = rig::<true>(policy, max.into()).await;
            let answers: Vec<_> = poisoned
                .iter()
                .map(|bad| {
                    let request = if *bad { Do::Panic } else { Do::Add(1) };
                    rig.cell.try_ask(request, soon()).unwrap()
                })
                .collect();
            for (bad, answer) in poisoned.iter().zip(answers) {
                match answer.await {
                    Ok(_) => assert!(!bad),
                    Err(Fault::Crashed(_)) => assert!(bad),
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
}
