//! Many requests over a pool, an async cell and a batch cell, some of which panic or hang.

use std::rc::Rc;
use std::time::{Duration, Instant};

use supervisors::{
    AsyncWorker, Backoff, BatchCx, BatchWorker, ChildPolicy, ChildSpec, Cx, Deadline, Fault,
    Jitter, Pending, Policy, Protocol, SupervisorSpec, Tree, TreeError, Worker,
};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Fine,
    Panic,
    Hang,
}

/// What came of it all.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) ok: u64,
    pub(crate) crashed: u64,
    pub(crate) hung: u64,
    /// Answers that do not fit the request.
    pub(crate) wrong: Vec<String>,
    pub(crate) restarts: u64,
    /// Still stuck when all answers were there.
    pub(crate) zombies: usize,
    pub(crate) took: Duration,
    pub(crate) drained: bool,
}

struct Sailor;

impl Protocol for Sailor {
    type Req = (u64, Fate);
    type Rep = u64;
    type Err = String;
}

#[expect(clippy::panic, reason = "that is what the storm is about")]
fn sail(n: u64, fate: Fate, is_stale: impl Fn() -> bool) -> u64 {
    match fate {
        Fate::Fine => n,
        Fate::Panic => std::panic::panic_any("overboard"),
        Fate::Hang => {
            while !is_stale() {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            n
        }
    }
}

impl Worker for Sailor {
    fn handle(&mut self, (n, fate): (u64, Fate), cx: &Cx) -> Result<u64, String> {
        Ok(sail(n, fate, || cx.is_stale()))
    }
}

impl AsyncWorker for Sailor {
    async fn handle(self: Rc<Self>, (n, fate): (u64, Fate), _: Cx) -> Result<u64, String> {
        tokio::task::yield_now().await;
        if fate == Fate::Hang {
            std::future::pending::<()>().await;
        }
        Ok(sail(n, fate, || true))
    }
}

impl BatchWorker for Sailor {
    const IDEMPOTENT: bool = true;

    fn handle(&mut self, batch: &[(u64, Fate)], cx: &BatchCx) -> Vec<Result<u64, String>> {
        let each = batch.iter();
        each.map(|(n, fate)| Ok(sail(*n, *fate, || cx.is_stale())))
            .collect()
    }
}

/// One in a hundred panics; `hangs` of those that go to the pool or the async cell hang.
fn fate(n: u64, requests: u64, hangs: u64, seed: u64) -> Fate {
    let every = requests / (hangs + 1);
    // Those of the batch cell would take the rest of their batch with them.
    if n % every == every / 2 && n % 3 != 2 && n / every < hangs {
        return Fate::Hang;
    }
    // The finalizer of SplitMix64.
    let mixed = (n ^ seed).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    if (mixed >> 33).is_multiple_of(100) {
        Fate::Panic
    } else {
        Fate::Fine
    }
}

fn judge(n: u64, fate: Fate, answer: Result<u64, Fault<String>>, figures: &mut Figures) {
    match (fate, answer) {
        (Fate::Fine, Ok(m)) if m == n => figures.ok += 1,
        (Fate::Panic, Err(Fault::Crashed(_))) => figures.crashed += 1,
        (Fate::Hang, Err(Fault::Hung { .. })) => figures.hung += 1,
        (fate, answer) => figures.wrong.push(format!("{n}, {fate:?}: {answer:?}")),
    }
}

/// Runs it and drains the tree.
pub(crate) async fn run(requests: u64, hangs: u64, seed: u64) -> Result<Figures, TreeError> {
    let child = ChildPolicy {
        workers: 4,
        inbox: 1_000_000,
        deadline_ms: 1_000,
        max_zombies: 1_000,
        ..ChildPolicy::default()
    };
    let (pool, pool_ref) = ChildSpec::sync("pool", child.clone(), |_| Ok(Sailor));
    let (tasks, tasks_ref) = ChildSpec::asynchronous("tasks", child.clone(), |_| Ok(Sailor));
    let (batch, batch_ref) = ChildSpec::batch("batch", child, 32, |_| Ok(Sailor));
    let policy = Policy {
        intensity: 1_000_000,
        backoff: Backoff {
            base_ms: 1,
            max_ms: 1,
            jitter: Jitter::None,
            ..Backoff::default()
        },
        ..Policy::default()
    };
    let root = SupervisorSpec::new("root", policy)
        .child(pool)
        .child(tasks)
        .child(batch);
    let tree = Tree::start(root, seed).await?;
    let cells = [pool_ref, tasks_ref, batch_ref];
    let mut figures = Figures {
        requests,
        ..Figures::default()
    };
    let started = Instant::now();
    let mut pending: Vec<(u64, Fate, Pending<Sailor>)> = Vec::new();
    for n in 0..requests {
        let fate = fate(n, requests, hangs, seed);
        let deadline = Deadline::after(Duration::from_secs(300));
        let cell = &cells[usize::try_from(n % 3).unwrap_or_default()];
        match cell.try_ask((n, fate), deadline) {
            Ok(answer) => pending.push((n, fate, answer)),
            Err(refused) => judge(n, fate, Err(refused), &mut figures),
        }
    }
    for (n, fate, answer) in pending {
        judge(n, fate, answer.await, &mut figures);
    }
    figures.took = started.elapsed();
    let seen = tree.snapshot();
    figures.restarts = seen.children.iter().map(|cell| cell.restarts).sum();
    figures.zombies = seen.children.iter().filter_map(|cell| cell.zombies).sum();
    figures.drained = tree.drain(Duration::from_secs(60)).await.complete;
    Ok(figures)
}
