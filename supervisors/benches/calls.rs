//! What supervision costs, as ratios measured in one run: the two sides of each take turns, round by round,
//! and the median of the rounds' ratios is printed.
//!
//! `cargo bench -p boathouse-supervisors`

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and ends when something is wrong"
)]

use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::future::join_all;
use supervisors::{
    ActorRef, AsyncWorker, Backoff, BatchCx, BatchWorker, BlackBox, CellRef, ChildPolicy,
    ChildSpec, Cx, Deadline, Digest, Fault, Jitter, Policy, Protocol, SupervisorSpec, Tree,
    TreeOptions, Worker,
};

const ROUNDS: usize = 41;
const CALLS: u64 = 4_000;

struct Echo;

impl Protocol for Echo {
    type Req = u64;
    type Rep = u64;
    type Err = String;
}

impl Worker for Echo {
    fn handle(&mut self, n: u64, _: &Cx) -> Result<u64, String> {
        if n == u64::MAX {
            std::panic::panic_any("on demand");
        }
        Ok(n + 1)
    }
}

impl AsyncWorker for Echo {
    async fn handle(self: Rc<Self>, n: u64, _: Cx) -> Result<u64, String> {
        if n == u64::MAX {
            std::panic::panic_any("on demand");
        }
        Ok(n + 1)
    }
}

impl BatchWorker for Echo {
    const IDEMPOTENT: bool = true;
    fn handle(&mut self, batch: &[u64], _: &BatchCx) -> Vec<Result<u64, String>> {
        batch.iter().map(|n| Ok(n + 1)).collect()
    }
}

/// Requests have a digest, which a black box notes. The first waits until all are queued, the last tells how many
/// nanoseconds the worker took for all of them, free of callers and wake-ups.
struct Named {
    gate: Arc<Barrier>,
    started: Instant,
}

impl Protocol for Named {
    type Req = u64;
    type Rep = u64;
    type Err = String;

    fn digest(n: &u64) -> Option<Digest> {
        Some(Digest::of(&n.to_le_bytes()))
    }
}

impl Worker for Named {
    fn handle(&mut self, n: u64, _: &Cx) -> Result<u64, String> {
        if n == 0 {
            self.gate.wait();
            self.started = Instant::now();
        }
        Ok(u64::try_from(self.started.elapsed().as_nanos()).unwrap())
    }
}

struct Bare;

impl Actor for Bare {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(u64)]
struct Ask(u64);

impl Handler<Ask> for Bare {
    type Result = u64;
    fn handle(&mut self, Ask(n): Ask, _: &mut Self::Context) -> u64 {
        n + 1
    }
}

/// Something that can be called.
#[derive(Clone)]
enum Side {
    Bare(Addr<Bare>),
    Adopted(ActorRef<Bare>),
    Echo(CellRef<Echo>),
}

fn far() -> Deadline {
    Deadline::after(Duration::from_secs(600))
}

impl Side {
    async fn call(&self, n: u64) -> u64 {
        match self {
            Self::Bare(actor) => actor.send(Ask(n)).await.unwrap(),
            Self::Adopted(actor) => actor.send(Ask(n), far()).await.unwrap(),
            Self::Echo(cell) => cell.ask(n, far()).await.unwrap(),
        }
    }

    /// Nanoseconds per call when `callers` take turns.
    async fn round(&self, callers: u64) -> f64 {
        let started = Instant::now();
        let each = CALLS / callers;
        join_all((0..callers).map(|_| async move {
            for n in 0..each {
                assert_eq!(self.call(n).await, n + 1);
            }
        }))
        .await;
        started.elapsed().as_nanos() as f64 / (each * callers) as f64
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn compare(name: &str, base: &Side, with: &Side, callers: u64) {
    base.round(callers).await;
    with.round(callers).await;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((base.round(callers).await, with.round(callers).await));
    }
    let ratio = median(rounds.iter().map(|(base, with)| with / base).collect());
    let (base, with): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    figure(
        &format!("supervision.{}.{callers}", name.replace(' ', "_")),
        ratio,
    );
    println!(
        "{name:<44} {callers:>3} callers  {:>8.0} ns vs {:>8.0} ns  ratio {ratio:.2}",
        median(with),
        median(base)
    );
}

async fn tree(children: Vec<ChildSpec>, black_box: Option<BlackBox>) -> Tree {
    let policy = Policy {
        intensity: u32::MAX,
        backoff: Backoff {
            first_ms: 0,
            base_ms: 1,
            max_ms: 1,
            jitter: Jitter::None,
            reset_after_ms: 0,
        },
        ..Policy::default()
    };
    let root = children
        .into_iter()
        .fold(SupervisorSpec::new("root", policy), SupervisorSpec::child);
    let options = TreeOptions { seed: 7, black_box };
    Tree::start_with(root, options).await.unwrap()
}

/// Nanoseconds of worker time per request.
async fn queue_of_named(cell: &CellRef<Named>, gate: &Barrier) -> f64 {
    let answers: Vec<_> = (0..CALLS)
        .map(|n| cell.try_ask(n, far()).unwrap())
        .collect();
    gate.wait();
    let mut last = 0;
    for answer in answers {
        last = answer.await.unwrap();
    }
    last as f64 / CALLS as f64
}

async fn black_box_cost(path: &Path) {
    let gate = Arc::new(Barrier::new(2));
    let policy = ChildPolicy {
        inbox: usize::try_from(CALLS).unwrap(),
        ..ChildPolicy::default()
    };
    let cell = || {
        let gate = Arc::clone(&gate);
        ChildSpec::sync("named", policy.clone(), move |_| {
            let (gate, started) = (Arc::clone(&gate), Instant::now());
            Ok(Named { gate, started })
        })
    };
    let ((off_spec, off), (on_spec, on)) = (cell(), cell());
    let (black_box, _) = BlackBox::open(path).unwrap();
    let _trees = (
        tree(vec![off_spec], None).await,
        tree(vec![on_spec], Some(black_box)).await,
    );
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(queue_of_named(&off, &gate).await);
        with.push(queue_of_named(&on, &gate).await);
    }
    let (without, with) = (median(without), median(with));
    println!("worker time per request with a black box: {with:.0} ns, without: {without:.0} ns");
}

/// A line for the comparison, where `BOATHOUSE_FIGURES` names its file.
fn figure(id: &str, value: f64) {
    if let Some(path) = std::env::var_os("BOATHOUSE_FIGURES") {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        let line =
            format!(r#"{{"id": "{id}", "median": {value}, "low": {value}, "high": {value}}}"#);
        writeln!(file.unwrap(), "{line}").unwrap();
    }
}

/// From the panic's request to the first reply of the fresh worker.
async fn crash_and_restart(name: &str, cell: &CellRef<Echo>) {
    let mut samples = Vec::new();
    for _ in 0..400 {
        let started = Instant::now();
        let crash = cell.try_ask(u64::MAX, far()).unwrap();
        let next = cell.try_ask(1, far()).unwrap();
        if !matches!(crash.await, Err(Fault::Crashed(_))) {
            panic!("expected a crash");
        }
        assert_eq!(next.await.unwrap(), 2);
        samples.push(started.elapsed().as_nanos() as f64 / 1_000.0);
    }
    let us = median(samples);
    figure(
        &format!("supervision.restart_us.{}", name.replace(' ', "_")),
        us,
    );
    println!("{name:<44} median {us:.1} us");
}

async fn run() {
    let policy = ChildPolicy::default;
    let (sync, sync_cell) = ChildSpec::sync("sync", policy(), |_| Ok(Echo));
    let (tasks, tasks_cell) = ChildSpec::asynchronous("tasks", policy(), |_| Ok(Echo));
    let (batch, batch_cell) = ChildSpec::batch("batch", policy(), 32, |_| Ok(Echo));
    let (adopted, adopted_ref) = ChildSpec::actor("adopted", policy(), |_| Ok(Bare));
    let _tree = tree(vec![sync, tasks, batch, adopted], None).await;
    let arbiter = Arbiter::new();
    let bare = Side::Bare(Bare::start_in_arbiter(&arbiter.handle(), |_| Bare));

    println!("supervised, against a bare actix actor on another arbiter");
    for callers in [1, 32] {
        for (name, side) in [
            ("sync cell", Side::Echo(sync_cell.clone())),
            ("async cell", Side::Echo(tasks_cell.clone())),
            (
                "batch cell, up to 32 at once",
                Side::Echo(batch_cell.clone()),
            ),
            ("adopted actor", Side::Adopted(adopted_ref.clone())),
        ] {
            compare(name, &bare, &side, callers).await;
        }
    }

    let path = std::env::temp_dir().join(format!("black-box-{}", std::process::id()));
    black_box_cost(&path).await;
    let _ = std::fs::remove_file(&path);

    println!("the watchdog with 200 more cells to look at, against it with one");
    let (only, only_cell) = ChildSpec::sync("only", policy(), |_| Ok(Echo));
    let (one, one_cell) = ChildSpec::sync("one", policy(), |_| Ok(Echo));
    let mut many: Vec<_> = (0..200)
        .map(|n| ChildSpec::sync(format!("idle-{n}"), policy(), |_| Ok(Echo)).0)
        .collect();
    many.push(one);
    let trees = (tree(vec![only], None).await, tree(many, None).await);
    let (alone, among) = (Side::Echo(only_cell), Side::Echo(one_cell));
    compare("sync cell among 200 idle", &alone, &among, 32).await;
    drop(trees);

    println!("restart with trivial state, from the request that panics to the next reply");
    crash_and_restart("sync cell", &sync_cell).await;
    crash_and_restart("async cell", &tasks_cell).await;
}

fn main() {
    System::new().block_on(run());
}
