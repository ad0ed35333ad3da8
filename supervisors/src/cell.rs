//! A cell: a queue that outlives crashes, the workers that pull from it, and the handle that callers keep.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::blackbox::{BlackBox, Mark};
use crate::chaos::{FailPoint, Strike};
use crate::crew::{Crew, Slot};
use crate::fault::{CrashReport, CrashSummary, Deadline, Digest, Fault};
use crate::fence::{Panic, fenced};
use crate::inbox::{Inbox, Job, Reply};
use crate::kernel::Event;
use crate::policy::ChildPolicy;
use crate::quarantine::{DeadLetter, Quarantine};
use crate::supervisor::Command;

/// What a cell is asked and answers.
pub trait Protocol: 'static {
    /// A request.
    type Req: Send + 'static;
    /// Its reply.
    type Rep: Send + 'static;
    /// The worker's own error, after which it goes on.
    type Err: Send + Display + 'static;

    /// Names a request for quarantine. `None` (the default): never quarantined.
    fn digest(_request: &Self::Req) -> Option<Digest> {
        None
    }
}

/// Handles one request at a time on a thread of its own; may block, and need not be `Send`.
pub trait Worker: Protocol {
    /// Handles a request. A panic costs this request alone; the worker is then rebuilt by its factory.
    fn handle(&mut self, request: Self::Req, cx: &Cx) -> Result<Self::Rep, Self::Err>;
}

/// Handles many requests at once on an arbiter; must not block.
pub trait AsyncWorker: Protocol {
    /// Handles a request. A panic costs this request alone; those in flight finish on the old state.
    fn handle(
        self: Rc<Self>,
        request: Self::Req,
        cx: Cx,
    ) -> impl Future<Output = Result<Self::Rep, Self::Err>> + 'static;
}

/// What a factory knows of the worker it builds.
#[derive(Debug, Clone)]
pub struct StartCx {
    /// The cell.
    pub cell: Arc<str>,
    /// Which incarnation, from 1.
    pub epoch: u64,
}

/// A worker that could not be built. Counts as a failure; it is tried again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

impl StartError {
    /// Says why.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// One call, seen from both sides.
pub(crate) struct Call {
    cancelled: AtomicBool,
    gone: Notify,
    /// Milliseconds from `EPOCH` to the last sign of life.
    progress_ms: AtomicU64,
}

/// Where signs of life are counted from.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Call {
    fn new() -> Self {
        Self {
            cancelled: AtomicBool::new(false),
            gone: Notify::new(),
            progress_ms: AtomicU64::new(0),
        }
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.gone.notify_one();
    }

    fn beat(&self, now: Instant) {
        let since = now.saturating_duration_since(*EPOCH);
        let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.progress_ms.store(ms, Ordering::Release);
    }

    fn last_beat(&self) -> Instant {
        *EPOCH + Duration::from_millis(self.progress_ms.load(Ordering::Acquire))
    }

    pub(crate) async fn cancelled(&self) {
        while !self.cancelled.load(Ordering::Acquire) {
            self.gone.notified().await;
        }
    }
}

/// What a worker knows of the request it handles.
#[derive(Clone)]
pub struct Cx {
    cell: Arc<str>,
    epoch: u64,
    deadline: Deadline,
    call: Arc<Call>,
    abandoned: Arc<AtomicBool>,
    finished: Arc<AtomicBool>,
}

impl Cx {
    /// The cell's id.
    pub fn cell(&self) -> &str {
        &self.cell
    }

    /// The incarnation of the worker.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// When the caller stops waiting.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Says that long work goes on: the child's `deadline_ms` counts from here.
    pub fn progress(&self) {
        self.call.beat(Instant::now());
    }

    /// Whether the caller has gone away.
    pub fn is_cancelled(&self) -> bool {
        self.call.cancelled.load(Ordering::Acquire)
    }

    /// Ends the cell, normally, once this request is answered: what follows depends on its restart type.
    ///
    /// A permanent cell starts again with fresh state. A transient or temporary one ends for good, with all
    /// workers of its pool; what it has queued gets `ShuttingDown`.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::Release);
    }

    /// Whether this worker was given up as hung: it must have no further effect.
    pub fn is_stale(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }
}

/// A request that a worker holds.
pub(crate) struct Flight<P: Protocol> {
    reply: Reply<P>,
    deadline: Deadline,
    started: Instant,
    call: Arc<Call>,
}

impl<P: Protocol> Flight<P> {
    /// How long it has run.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Admitting,
    Open { until: Instant },
    Parked,
    Closed,
}

/// The kinds of node in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// Has children.
    Supervisor,
    /// Workers on threads.
    Sync,
    /// Many requests in flight on an arbiter.
    Async,
    /// Workers on threads that take several requests at once.
    Batch,
    /// A plain actix actor on an arbiter.
    Actor,
}

/// The part of a cell that outlives its workers.
pub(crate) struct Core<P: Protocol> {
    pub(crate) id: Arc<str>,
    policy: RwLock<Arc<ChildPolicy>>,
    /// The policy's, where the watchdog and every async call read it.
    deadline_ms: AtomicU64,
    pub(crate) kind: NodeKind,
    pub(crate) inbox: Inbox<P>,
    quarantine: Quarantine,
    gate: Mutex<Gate>,
    /// Whether the gate admits: the hot path reads only this.
    admitting: AtomicBool,
    next_key: AtomicU64,
    crew: Mutex<Crew<P>>,
    pub(crate) zombies: AtomicUsize,
    crash_next: AtomicBool,
    last_crash: Mutex<Option<Arc<CrashReport>>>,
    /// Why the last start failed; empty when it did not.
    pub(crate) start_failure: Mutex<Option<Arc<str>>>,
    black_box: OnceLock<BlackBox>,
    pub(crate) fail_point: FailPoint,
    events: Mutex<Option<mpsc::UnboundedSender<Command>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No user code runs under these locks, so a poisoned one is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a worker does with the next job.
pub(crate) struct Admitted<P: Protocol> {
    pub(crate) request: P::Req,
    pub(crate) cx: Cx,
    pub(crate) key: u64,
    pub(crate) digest: Option<Digest>,
    pub(crate) crash: bool,
    pub(crate) strike: Option<Strike>,
    /// Held for as long as the request can end the process.
    pub(crate) mark: Option<Mark>,
}

impl<P: Protocol> Core<P> {
    pub(crate) fn new(id: Arc<str>, policy: ChildPolicy, kind: NodeKind) -> Self {
        Self {
            inbox: Inbox::new(policy.inbox),
            quarantine: Quarantine::new(policy.quarantine_after),
            id,
            deadline_ms: AtomicU64::new(policy.deadline_ms),
            policy: RwLock::new(Arc::new(policy)),
            kind,
            gate: Mutex::new(Gate::Admitting),
            admitting: AtomicBool::new(true),
            next_key: AtomicU64::new(0),
            crew: Mutex::new(Crew::new()),
            zombies: AtomicUsize::new(0),
            crash_next: AtomicBool::new(false),
            last_crash: Mutex::new(None),
            start_failure: Mutex::new(None),
            black_box: OnceLock::new(),
            fail_point: FailPoint::default(),
            events: Mutex::new(None),
        }
    }

    pub(crate) fn policy(&self) -> Arc<ChildPolicy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_policy(&self, policy: ChildPolicy) {
        self.inbox.set_capacity(policy.inbox);
        self.quarantine.set_after(policy.quarantine_after);
        self.deadline_ms
            .store(policy.deadline_ms, Ordering::Release);
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    pub(crate) fn emit(&self, event: Event) {
        if let Some(events) = &*lock(&self.events) {
            // A supervisor that is gone needs no news.
            let _ = events.send(Command::Event(event));
        }
    }

    pub(crate) fn crew(&self) -> MutexGuard<'_, Crew<P>> {
        lock(&self.crew)
    }

    pub(crate) fn admit_again(&self) {
        self.set_gate(Gate::Admitting);
    }

    fn set_gate(&self, gate: Gate) {
        let mut current = lock(&self.gate);
        *current = gate;
        self.admitting
            .store(gate == Gate::Admitting, Ordering::Release);
    }

    fn refusal(&self) -> Option<Fault<P::Err>> {
        if self.admitting.load(Ordering::Acquire) {
            return None;
        }
        match *lock(&self.gate) {
            Gate::Admitting => None,
            Gate::Open { until } => Some(Fault::Unavailable {
                retry_after: until.saturating_duration_since(Instant::now()),
                reason: lock(&self.start_failure).clone(),
            }),
            Gate::Parked => Some(Fault::Unavailable {
                retry_after: Duration::from_secs(60),
                reason: lock(&self.start_failure).clone(),
            }),
            Gate::Closed => Some(Fault::ShuttingDown),
        }
    }

    fn submit(&self, request: P::Req, deadline: Deadline) -> Result<Pending<P>, Fault<P::Err>> {
        if let Some(fault) = self.refusal() {
            return Err(fault);
        }
        let digest = P::digest_fenced(&request, self.quarantine.after());
        if let Some(digest) = digest.filter(|digest| self.quarantine.refuses(*digest)) {
            return Err(Fault::Quarantined(digest));
        }
        let (reply, receiver) = oneshot::channel();
        let call = Arc::new(Call::new());
        let crash = self.crash_next.load(Ordering::Relaxed)
            && self.crash_next.swap(false, Ordering::AcqRel);
        let job = Job {
            request,
            reply,
            deadline,
            digest,
            crash,
            call: Arc::clone(&call),
        };
        self.inbox.push(job).map_err(|_| Fault::Busy)?;
        // The gate may have closed meanwhile, after its queue was emptied: nobody would answer.
        if self.refusal().is_some() {
            self.refuse_queue();
        }
        Ok(Pending {
            receiver,
            call,
            done: false,
        })
    }

    /// Answers all that is queued with the gate's refusal.
    fn refuse_queue(&self) {
        for job in self.inbox.drain() {
            self.inbox.release();
            let fault = self.refusal().unwrap_or(Fault::ShuttingDown);
            drop_quietly(job.request);
            let _ = job.reply.send(Err(fault));
        }
    }

    /// Prepares a job for its worker; `None` when it is not worth running.
    pub(crate) fn admit(&self, slot: &Slot<P>, job: Job<P>) -> Option<Admitted<P>> {
        if job.reply.is_closed() {
            self.inbox.release();
            drop_quietly(job.request);
            return None;
        }
        let now = Instant::now();
        if job.deadline.0 <= now {
            self.inbox.release();
            drop_quietly(job.request);
            let _ = job.reply.send(Err(Fault::Expired));
            return None;
        }
        let mut flights = slot.lock();
        // Given up between taking this job and here: whoever comes next runs it.
        if slot.abandoned.load(Ordering::Acquire) {
            drop(flights);
            self.inbox.put_back(job);
            if self.refusal().is_some() {
                self.refuse_queue();
            }
            return None;
        }
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        job.call.beat(now);
        let cx = Cx {
            cell: Arc::clone(&self.id),
            epoch: slot.epoch,
            deadline: job.deadline,
            call: Arc::clone(&job.call),
            abandoned: Arc::clone(&slot.abandoned),
            finished: Arc::clone(&slot.finished),
        };
        let flight = Flight {
            reply: job.reply,
            deadline: job.deadline,
            started: now,
            call: job.call,
        };
        flights.insert(key, flight);
        drop(flights);
        let black_box = self.black_box.get().zip(job.digest);
        Some(Admitted {
            request: job.request,
            cx,
            key,
            digest: job.digest,
            crash: job.crash,
            strike: self.fail_point.draw(),
            mark: black_box.and_then(|(black_box, digest)| black_box.begin(&self.id, digest)),
        })
    }

    /// Sends the one answer of a flight.
    pub(crate) fn answer(&self, flight: Flight<P>, answer: Result<P::Rep, Fault<P::Err>>) {
        self.inbox.release();
        if let Err(unwanted) = flight.reply.send(answer) {
            drop_quietly(unwanted);
        }
    }

    /// Writes the report of a crash.
    pub(crate) fn report(
        &self,
        epoch: u64,
        panic: Panic,
        digest: Option<Digest>,
    ) -> Arc<CrashReport> {
        let report = Arc::new(CrashReport::new(&self.id, epoch, panic, digest));
        if let Some(digest) = digest {
            self.quarantine.crashed(digest, &report);
        }
        *lock(&self.last_crash) = Some(Arc::clone(&report));
        tracing::warn!(
            cell = &*self.id,
            crash = report.id,
            message = report.message,
            location = report.location,
            "a worker crashed, its request failed"
        );
        report
    }

    /// Whether a request crashed a worker before.
    pub(crate) fn suspects(&self, digest: Option<Digest>) -> bool {
        digest.is_some_and(|digest| self.quarantine.suspects(digest))
    }

    /// Notes a request of a batch that crashed.
    pub(crate) fn suspected(&self, digest: Digest, report: &Arc<CrashReport>) {
        self.quarantine.suspected(digest, report);
    }

    /// Answers those of a batch whose own time is over, while others still have time. When all are late,
    /// the batch as a whole counts as hung.
    fn answer_late(&self, slot: &Slot<P>, now: Instant) {
        let mut flights = slot.lock();
        if flights.values().all(|flight| flight.deadline.0 <= now) {
            return;
        }
        let late: Vec<_> = flights
            .extract_if(|_, flight| flight.deadline.0 <= now)
            .collect();
        drop(flights);
        for (_, flight) in late {
            let after = flight.elapsed();
            self.answer(flight, Err(Fault::Hung { after }));
        }
    }

    /// A request that was running when the process died, too often: refused from the start.
    fn condemn(&self, black_box: &BlackBox) {
        for suspect in black_box.condemned(&self.id) {
            let panic = Panic {
                message: format!("the process died {} times while this ran", suspect.times),
                location: String::new(),
                backtrace: None,
            };
            let report = CrashReport::new(&self.id, 0, panic, Some(suspect.digest));
            self.quarantine.condemn(suspect.digest, &Arc::new(report));
        }
    }

    pub(crate) fn pulse(&self, flight_deadline: Deadline, call_last: Instant) -> Instant {
        flight_deadline
            .0
            .min(call_last + Duration::from_millis(self.deadline_ms.load(Ordering::Acquire)))
    }

    /// When a call counts as hung, as far as is known now.
    pub(crate) fn limit(&self, cx: &Cx) -> Instant {
        self.pulse(cx.deadline, cx.call.last_beat())
    }

    /// Waits for work on a request; `None` when its caller is gone or its time is over.
    pub(crate) async fn within_limit<F: Future + Unpin>(
        &self,
        work: &mut F,
        cx: &Cx,
    ) -> Option<F::Output> {
        // Most work is done at once and needs no timer.
        if let Poll::Ready(outcome) = poll_fn(|cx| Poll::Ready(Pin::new(&mut *work).poll(cx))).await
        {
            return Some(outcome);
        }
        loop {
            let limit = self.limit(cx);
            tokio::select! {
                outcome = &mut *work => return Some(outcome),
                () = cx.call.cancelled() => return None,
                () = tokio::time::sleep_until(limit.into()) => {
                    // Progress may have moved the limit while this timer ran.
                    if self.limit(cx) <= Instant::now() {
                        return None;
                    }
                }
            }
        }
    }
}

/// Drops what belongs to the user; a panic in its drop goes no further.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(panic) = fenced(move || drop(value)) {
        tracing::warn!(
            message = panic.message,
            location = panic.location,
            "a drop panicked"
        );
    }
}

trait DigestFenced: Protocol {
    fn digest_fenced(request: &Self::Req, quarantine_after: u32) -> Option<Digest> {
        if quarantine_after == 0 {
            return None;
        }
        fenced(|| Self::digest(request)).ok().flatten()
    }
}

impl<P: Protocol> DigestFenced for P {}

/// What the supervisor does with a cell whose types it does not know.
pub(crate) trait CellControl: Send + Sync {
    fn id(&self) -> &Arc<str>;
    fn policy(&self) -> Arc<ChildPolicy>;
    /// Swaps the policy; `workers` applies when the cell next restarts.
    fn set_policy(&self, policy: ChildPolicy);
    fn bind(&self, events: mpsc::UnboundedSender<Command>);
    fn start(&self);
    /// Returns the number of this stop.
    fn stop(&self, close: bool) -> u64;
    /// The shutdown budget of a stop is over.
    fn abandon(&self, stop: u64);
    fn open(&self, wait: Duration);
    fn park(&self);
    fn close(&self);
    fn crash_next(&self);
    /// Notes what runs, and refuses what ended the process before.
    fn record_in(&self, black_box: &BlackBox);
    /// Where chaos is injected.
    #[cfg(feature = "chaos")]
    fn fail_point(&self) -> &FailPoint;
    fn check(&self, now: Instant);
    fn view(&self) -> CellView;
    fn dead_letters(&self) -> Vec<DeadLetter>;
    fn release(&self, digest: &str) -> bool;
    fn delete(&self, digest: &str) -> bool;
}

/// What a snapshot shows of a cell.
pub(crate) struct CellView {
    pub(crate) kind: NodeKind,
    pub(crate) epoch: u64,
    pub(crate) workers: usize,
    pub(crate) queue: usize,
    pub(crate) capacity: usize,
    pub(crate) in_flight: usize,
    pub(crate) zombies: usize,
    pub(crate) last_crash: Option<CrashSummary>,
    pub(crate) start_failure: Option<Arc<str>>,
}

/// A core and what builds its workers.
pub(crate) struct Cell<P: Protocol> {
    pub(crate) core: Arc<Core<P>>,
    /// Builds workers for the slots given.
    pub(crate) spawn: Spawn<P>,
}

/// Starts the workers of fresh slots.
pub(crate) type Spawn<P> = Box<dyn Fn(&Arc<Core<P>>, Arc<Slot<P>>) + Send + Sync>;

/// How long after its deadline an async call is left to its own timer before its arbiter counts as stuck.
const ARBITER_GRACE: Duration = Duration::from_millis(250);

impl<P: Protocol> CellControl for Cell<P> {
    fn id(&self) -> &Arc<str> {
        &self.core.id
    }

    fn policy(&self) -> Arc<ChildPolicy> {
        self.core.policy()
    }

    fn set_policy(&self, policy: ChildPolicy) {
        self.core.set_policy(policy);
    }

    fn bind(&self, events: mpsc::UnboundedSender<Command>) {
        *lock(&self.core.events) = Some(events);
    }

    fn start(&self) {
        let workers = match self.core.kind {
            NodeKind::Sync | NodeKind::Batch => self.core.policy().workers,
            _ => 1,
        };
        for slot in self.core.prepare_start(workers) {
            (self.spawn)(&self.core, slot);
        }
    }

    fn stop(&self, close: bool) -> u64 {
        if close {
            self.core.set_gate(Gate::Closed);
            self.core.refuse_queue();
        }
        self.core.stop_crew()
    }

    fn abandon(&self, stop: u64) {
        self.core.abandon_crew(stop);
    }

    fn open(&self, wait: Duration) {
        self.core.set_gate(Gate::Open {
            until: Instant::now() + wait,
        });
        self.core.refuse_queue();
    }

    fn park(&self) {
        self.core.set_gate(Gate::Parked);
        self.core.refuse_queue();
    }

    fn close(&self) {
        self.core.set_gate(Gate::Closed);
        self.core.refuse_queue();
    }

    fn crash_next(&self) {
        self.core.crash_next.store(true, Ordering::Release);
    }

    fn record_in(&self, black_box: &BlackBox) {
        if self.core.black_box.set(black_box.clone()).is_ok() {
            self.core.condemn(black_box);
        }
    }

    #[cfg(feature = "chaos")]
    fn fail_point(&self) -> &FailPoint {
        &self.core.fail_point
    }

    fn check(&self, now: Instant) {
        let core = &self.core;
        for job in core.inbox.expired(now) {
            core.inbox.release();
            drop_quietly(job.request);
            let _ = job.reply.send(Err(Fault::Expired));
        }
        let grace = if matches!(core.kind, NodeKind::Async | NodeKind::Actor) {
            ARBITER_GRACE
        } else {
            Duration::ZERO
        };
        let slots = core.crew().slots.clone();
        for slot in &slots {
            if core.kind == NodeKind::Batch {
                core.answer_late(slot, now);
            }
            let hung = slot
                .lock()
                .values()
                .any(|flight| core.pulse(flight.deadline, flight.call.last_beat()) + grace <= now);
            if !hung {
                continue;
            }
            tracing::warn!(
                cell = &*core.id,
                epoch = slot.epoch,
                "a worker hangs, it is replaced"
            );
            core.abandon_slot(slot, |flight| Fault::Hung {
                after: flight.started.elapsed(),
            });
        }
    }

    fn view(&self) -> CellView {
        let core = &self.core;
        let (slots, epoch) = {
            let crew = core.crew();
            (crew.slots.clone(), crew.epoch())
        };
        CellView {
            kind: core.kind,
            epoch,
            workers: slots.iter().filter(|slot| !slot.is_retired()).count(),
            queue: core.inbox.queued(),
            capacity: core.inbox.capacity(),
            in_flight: slots.iter().map(|slot| slot.in_flight()).sum(),
            zombies: core.zombies.load(Ordering::Acquire),
            last_crash: lock(&core.last_crash).as_deref().map(Into::into),
            start_failure: lock(&core.start_failure).clone(),
        }
    }

    fn dead_letters(&self) -> Vec<DeadLetter> {
        self.core.quarantine.dead_letters(&self.core.id)
    }

    fn release(&self, digest: &str) -> bool {
        if let Some(black_box) = self.core.black_box.get() {
            black_box.forget(&self.core.id, digest);
        }
        self.core.quarantine.release(digest)
    }

    fn delete(&self, digest: &str) -> bool {
        self.core.quarantine.delete(digest)
    }
}

/// A handle to a cell: stable across its restarts, cheap to clone.
pub struct CellRef<P: Protocol> {
    pub(crate) core: Arc<Core<P>>,
}

impl<P: Protocol> Clone for CellRef<P> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
        }
    }
}

impl<P: Protocol> CellRef<P> {
    /// The cell's id.
    pub fn id(&self) -> &str {
        &self.core.id
    }

    /// Asks and waits for the one answer.
    ///
    /// Cancel safety: dropping the future takes the request out of the queue, or tells the worker.
    pub async fn ask(&self, request: P::Req, deadline: Deadline) -> Result<P::Rep, Fault<P::Err>> {
        self.try_ask(request, deadline)?.await
    }

    /// Puts the request into the queue and returns its answer to come.
    ///
    /// Errors: `Busy`, `Unavailable`, `Quarantined` or `ShuttingDown`, at once.
    pub fn try_ask(
        &self,
        request: P::Req,
        deadline: Deadline,
    ) -> Result<Pending<P>, Fault<P::Err>> {
        self.core.submit(request, deadline)
    }
}

/// An answer to come.
pub struct Pending<P: Protocol> {
    receiver: oneshot::Receiver<Result<P::Rep, Fault<P::Err>>>,
    call: Arc<Call>,
    done: bool,
}

impl<P: Protocol> Future for Pending<P> {
    type Output = Result<P::Rep, Fault<P::Err>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(Pin::new(&mut self.receiver).poll(cx));
        self.done = true;
        Poll::Ready(answer.unwrap_or(Err(Fault::ShuttingDown)))
    }
}

impl<P: Protocol> Drop for Pending<P> {
    fn drop(&mut self) {
        if !self.done {
            self.call.cancel();
        }
    }
}
