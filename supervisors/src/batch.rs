//! Workers that take several requests at once. A crash is narrowed down to the requests that cause it.

use std::sync::Arc;
use std::time::Duration;

use crate::blackbox::Mark;
use crate::call::Cx;
use crate::cell::{Admitted, CellRef, Core, Protocol, StartCx, StartError, drop_quietly};
use crate::chaos::Strike;
use crate::control::{Cell, NodeKind};
use crate::crew::{CrewSlot, Exit};
use crate::fault::{CrashReport, Digest, Fault};
use crate::fence::{Panic, fenced, install_hook};
use crate::policy::ChildPolicy;
use crate::workers::{build, crash_on_purpose, thread_per_worker};

/// Handles several requests in one call, on a thread of its own; may block, and need not be `Send`.
///
/// Each request keeps its own caller, deadline and answer. One whose deadline passes while the batch runs gets
/// `Hung`, and the batch goes on. When all are late, or nothing moves for the child's `deadline_ms`, the whole batch
/// gets `Hung` and the worker is replaced: the stuck thread holds the requests, so they cannot be run again.
pub trait BatchWorker: Protocol {
    /// Whether a request may be run again after a crash of the batch it was in.
    ///
    /// If so, a batch that crashes is halved on fresh workers until only the requests that crash alone fail.
    /// If not, all of the batch get `Crashed`, and each of them with a digest runs alone the next time.
    const IDEMPOTENT: bool;

    /// Handles a batch: one result per request, in the same order.
    ///
    /// A panic or a wrong number of results is a crash of the batch; the worker is then rebuilt by its factory.
    fn handle(&mut self, batch: &[Self::Req], cx: &BatchCx) -> Vec<Result<Self::Rep, Self::Err>>;
}

/// How many requests make a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Most requests in one call; 0 counts as 1.
    pub max: usize,
    /// How long a batch that is not full waits for more. Zero: it takes what is queued.
    pub window: Duration,
}

impl From<usize> for Batching {
    fn from(max: usize) -> Self {
        Self {
            max,
            window: Duration::ZERO,
        }
    }
}

/// What a worker knows of the batch it handles.
#[derive(Clone)]
pub struct BatchCx {
    each: Vec<Cx>,
}

impl BatchCx {
    /// What is known of each request, in the order of the batch.
    pub fn each(&self) -> &[Cx] {
        &self.each
    }

    /// Says that long work goes on, for all requests of the batch.
    pub fn progress(&self) {
        self.each.iter().for_each(Cx::progress);
    }

    /// Whether this worker was given up as hung: it must have no further effect.
    pub fn is_stale(&self) -> bool {
        self.each.iter().any(Cx::is_stale)
    }
}

/// What is kept of a request while its batch runs.
struct Held {
    key: u64,
    digest: Option<Digest>,
    crash: bool,
    strike: Option<Strike>,
    mark: Option<Mark>,
}

/// Requests that run together.
struct Batch<P: Protocol> {
    requests: Vec<P::Req>,
    cx: BatchCx,
    held: Vec<Held>,
}

impl<P: Protocol> Batch<P> {
    fn new(admitted: impl IntoIterator<Item = Admitted<P>>) -> Self {
        let mut batch = Self {
            requests: Vec::new(),
            cx: BatchCx { each: Vec::new() },
            held: Vec::new(),
        };
        for one in admitted {
            batch.push(
                one.request,
                one.cx,
                Held {
                    key: one.key,
                    digest: one.digest,
                    crash: one.crash,
                    strike: one.strike,
                    mark: one.mark,
                },
            );
        }
        batch
    }

    fn push(&mut self, request: P::Req, cx: Cx, held: Held) {
        self.requests.push(request);
        self.cx.each.push(cx);
        self.held.push(held);
    }

    fn len(&self) -> usize {
        self.requests.len()
    }

    /// The later half of it.
    fn split_half(&mut self) -> Self {
        let at = self.len().div_ceil(2);
        Self {
            requests: self.requests.split_off(at),
            cx: BatchCx {
                each: self.cx.each.split_off(at),
            },
            held: self.held.split_off(at),
        }
    }

    /// Leaves out those that nobody waits for any more.
    fn still_wanted(self, core: &Core<P>, slot: &CrewSlot<P>) -> Self {
        let mut wanted = Self::new([]);
        let each = self.cx.each.into_iter().zip(self.held);
        for (request, (cx, held)) in self.requests.into_iter().zip(each) {
            if slot.holds(held.key) && !cx.is_cancelled() {
                wanted.push(request, cx, held);
                continue;
            }
            if let Some(flight) = slot.take(held.key) {
                core.answer(flight, Err(Fault::Expired));
            }
            drop_quietly(request);
        }
        wanted
    }
}

/// Builds a cell whose workers take up to `batching.max` requests at once.
pub(crate) fn batch_cell<W: BatchWorker>(
    id: Arc<str>,
    policy: ChildPolicy,
    batching: Batching,
    factory: impl Fn(&StartCx) -> Result<W, StartError> + Send + Sync + 'static,
) -> (Cell<W>, CellRef<W>) {
    install_hook();
    let core = Arc::new(Core::new(id, policy, NodeKind::Batch));
    let spawn = thread_per_worker(move |core, slot| {
        run_batches(core, slot, batching, &factory);
    });
    let handle = CellRef {
        core: Arc::clone(&core),
    };
    (Cell { core, spawn }, handle)
}

fn run_batches<W: BatchWorker>(
    core: &Arc<Core<W>>,
    slot: &Arc<CrewSlot<W>>,
    batching: Batching,
    factory: &dyn Fn(&StartCx) -> Result<W, StartError>,
) {
    let worker = match build(core, slot, factory) {
        Ok(worker) => worker,
        Err(reason) => return core.worker_not_started(slot, &reason),
    };
    core.worker_started(slot);
    let mut runner = Runner {
        core,
        slot,
        factory,
        worker: Some(worker),
        last_crash: None,
    };
    while let Some(jobs) = core
        .inbox
        .pop_batch(&slot.stop, batching.max, batching.window)
    {
        let admitted: Vec<_> = jobs
            .into_iter()
            .filter_map(|job| core.admit(slot, job))
            .collect();
        runner.run(admitted);
        // However often it was halved, a batch that crashed is one failure to the supervisor.
        if runner.last_crash.is_some() {
            drop_quietly(runner.worker);
            return core.leave(slot, Exit::Failed);
        }
        if slot.is_finished() {
            break;
        }
    }
    drop_quietly(runner.worker);
    let ended = slot.is_finished();
    core.leave(slot, if ended { Exit::Ended } else { Exit::Quiet });
}

/// Runs batches on one thread, and what is left of them after a crash.
struct Runner<'a, W: BatchWorker> {
    core: &'a Arc<Core<W>>,
    slot: &'a Arc<CrewSlot<W>>,
    factory: &'a dyn Fn(&StartCx) -> Result<W, StartError>,
    /// `None` after a crash, until the next part needs one.
    worker: Option<W>,
    last_crash: Option<Arc<CrashReport>>,
}

impl<W: BatchWorker> Runner<'_, W> {
    fn run(&mut self, admitted: Vec<Admitted<W>>) {
        let (suspects, others): (Vec<_>, Vec<_>) = admitted
            .into_iter()
            .partition(|one| self.core.suspects(one.digest));
        // Taken from the end: the others first, then the suspects one by one.
        let mut parts: Vec<_> = suspects
            .into_iter()
            .rev()
            .map(|one| Batch::new([one]))
            .collect();
        parts.push(Batch::new(others));
        while let Some(part) = parts.pop() {
            let mut part = part.still_wanted(self.core, self.slot);
            // Those who wait for their part do not hang.
            parts.iter().for_each(|part| part.cx.progress());
            part.cx.progress();
            if part.len() == 0 || !self.has_worker(&part) {
                continue;
            }
            let Err(panic) = self.attempt(&mut part) else {
                continue;
            };
            drop_quietly(self.worker.take());
            let halve = W::IDEMPOTENT && part.len() > 1;
            self.crashed(panic, &part, !halve);
            if halve {
                let later = part.split_half();
                parts.push(later);
                parts.push(part);
            } else {
                drop_quietly(part.requests);
            }
        }
    }

    /// Makes sure of a worker; without one, the requests share the fate of the crash before.
    fn has_worker(&mut self, part: &Batch<W>) -> bool {
        if self.worker.is_none() {
            self.worker = build(self.core, self.slot, self.factory).ok();
        }
        if self.worker.is_none()
            && let Some(report) = &self.last_crash
        {
            self.fail(part, report);
        }
        self.worker.is_some()
    }

    fn attempt(&mut self, part: &mut Batch<W>) -> Result<(), Panic> {
        let Some(worker) = &mut self.worker else {
            return Ok(());
        };
        let results = fenced(|| {
            for (held, cx) in part.held.iter().zip(part.cx.each()) {
                if held.crash {
                    crash_on_purpose();
                }
                if let Some(strike) = held.strike {
                    strike.on_thread(cx);
                }
            }
            worker.handle(&part.requests, &part.cx)
        })?;
        if results.len() != part.len() {
            let message = format!("{} results for {} requests", results.len(), part.len());
            drop_quietly(results);
            return Err(Panic {
                message,
                location: String::new(),
                backtrace: None,
            });
        }
        for (held, result) in part.held.iter_mut().zip(results) {
            drop(held.mark.take());
            match self.slot.take(held.key) {
                Some(flight) => self.core.answer(flight, result.map_err(Fault::App)),
                None => drop_quietly(result),
            }
        }
        Ok(())
    }

    /// Reports a crash; when it is final, its requests are answered.
    fn crashed(&mut self, panic: Panic, part: &Batch<W>, is_final: bool) {
        let digest = match part.held.as_slice() {
            [alone] => alone.digest,
            _ => None,
        };
        let report = self.core.report(self.slot.epoch(), panic, digest);
        if is_final {
            if part.len() > 1 {
                let digests = part.held.iter().filter_map(|held| held.digest);
                digests.for_each(|digest| self.core.suspected(digest, &report));
            }
            self.fail(part, &report);
        }
        self.last_crash = Some(report);
    }

    fn fail(&self, part: &Batch<W>, report: &Arc<CrashReport>) {
        for held in &part.held {
            if let Some(flight) = self.slot.take(held.key) {
                let fault = Fault::Crashed(Arc::clone(report));
                self.core.answer(flight, Err(fault));
            }
        }
    }
}
