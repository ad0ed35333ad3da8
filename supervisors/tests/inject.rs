//! Injected faults strike as often as they say, and cost the requests that they strike.

#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::rc::Rc;
use std::time::Duration;

use supervisors::{
    AsyncWorker, Backoff, BatchCx, BatchWorker, CellRef, Chaos, ChildPolicy, ChildSpec, Cx,
    Deadline, Fault, Policy, Protocol, SupervisorSpec, Tree, TreeError, When, Worker,
};

struct Echo;

impl Protocol for Echo {
    type Req = u64;
    type Rep = u64;
    type Err = String;
}

impl Worker for Echo {
    fn handle(&mut self, n: u64, _: &Cx) -> Result<u64, String> {
        Ok(n)
    }
}

impl AsyncWorker for Echo {
    async fn handle(self: Rc<Self>, n: u64, _: Cx) -> Result<u64, String> {
        Ok(n)
    }
}

impl BatchWorker for Echo {
    const IDEMPOTENT: bool = true;
    fn handle(&mut self, batch: &[u64], _: &BatchCx) -> Vec<Result<u64, String>> {
        batch.iter().map(|n| Ok(*n)).collect()
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

async fn start(deadline_ms: u64) -> (Tree, Vec<CellRef<Echo>>) {
    let policy = ChildPolicy {
        inbox: 10_000,
        deadline_ms,
        ..ChildPolicy::default()
    };
    let cells = [
        ChildSpec::sync("sync", policy.clone(), |_| Ok(Echo)),
        ChildSpec::asynchronous("async", policy.clone(), |_| Ok(Echo)),
        ChildSpec::batch("batch", policy, 16, |_| Ok(Echo)),
    ];
    let policy = Policy {
        intensity: 100_000,
        backoff: Backoff {
            base_ms: 1,
            max_ms: 1,
            ..Backoff::default()
        },
        ..Policy::default()
    };
    let mut root = SupervisorSpec::new("root", policy);
    let mut handles = Vec::new();
    for (spec, cell) in cells {
        root = root.child(spec);
        handles.push(cell);
    }
    (Tree::start(root, 7).await.unwrap(), handles)
}

fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    actix::System::new().block_on(test());
}

#[test]
fn chances_cost_as_many_requests_as_they_strike() {
    run(|| async {
        let (tree, cells) = start(60_000).await;
        for cell in &cells {
            for (what, seed) in [(Chaos::Panic, 1), (Chaos::DropPanic, 2)] {
                let probability = 0.01;
                let when = When::Chance { probability, seed };
                tree.inject(cell.id(), what, when).unwrap();
            }
            let answers: Vec<_> = (0..1_000)
                .map(|n| (n, cell.try_ask(n, soon()).unwrap()))
                .collect();
            let mut crashed = 0;
            for (n, answer) in answers {
                match answer.await {
                    Ok(m) => assert_eq!(m, n),
                    Err(Fault::Crashed(_)) => crashed += 1,
                    Err(other) => panic!("{n}: {other}"),
                }
            }
            assert!(crashed > 0, "{}", cell.id());
            assert_eq!(tree.struck(cell.id()).unwrap().panics, crashed);
            tree.calm(cell.id()).unwrap();
            assert_eq!(cell.ask(7, soon()).await.unwrap(), 7);
        }
    });
}

#[test]
fn one_shots_strike_the_next_request_alone() {
    run(|| async {
        let (tree, cells) = start(40).await;
        for cell in &cells {
            tree.inject(cell.id(), Chaos::Hang, When::Next).unwrap();
            let hung = cell.ask(1, soon()).await;
            assert!(matches!(hung, Err(Fault::Hung { .. })), "{}", cell.id());
            assert_eq!(cell.ask(2, soon()).await.unwrap(), 2);
            let slow = Chaos::Slow(Duration::from_millis(1));
            tree.inject(cell.id(), slow, When::Next).unwrap();
            assert_eq!(cell.ask(3, soon()).await.unwrap(), 3);
            let struck = tree.struck(cell.id()).unwrap();
            assert_eq!((struck.hangs, struck.slow, struck.panics), (1, 1, 0));
        }
        let zombies = |tree: &Tree| -> usize {
            let cells = tree.snapshot().children;
            cells.iter().filter_map(|cell| cell.zombies).sum()
        };
        while zombies(&tree) > 0 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn starts_fail_so_many_times_and_then_no_more() {
    run(|| async {
        let (tree, cells) = start(60_000).await;
        for cell in &cells {
            let what = Chaos::FactoryFailure { times: 3 };
            tree.inject(cell.id(), what, When::Next).unwrap();
            tree.restart(cell.id()).await.unwrap();
            // Queued while nobody is there, and answered by the fourth.
            assert_eq!(cell.ask(1, soon()).await.unwrap(), 1);
            while tree.struck(cell.id()).unwrap().factories < 3 {
                tokio::task::yield_now().await;
            }
            assert_eq!(cell.ask(2, soon()).await.unwrap(), 2);
        }
    });
}

#[test]
fn only_cells_that_exist_can_be_struck() {
    run(|| async {
        let (tree, _) = start(60_000).await;
        let unknown = tree.inject("nobody", Chaos::Panic, When::Next);
        assert!(matches!(unknown, Err(TreeError::Unknown { .. })));
    });
}
