//! A cell: a queue that outlives crashes, the workers that pull from it, and the handle that callers keep.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::blackbox::{BlackBox, Mark};
use crate::call::{Call, Cx, Flight, Job, Pending};
use crate::chaos::{FailPoint, Strike};
use crate::control::NodeKind;
use crate::crew::{Crew, CrewSlot};
use crate::fault::{CrashReport, Deadline, Digest, Fault};
use crate::fence::{Panic, fenced, poll_fenced};
use crate::inbox::Inbox;
use crate::kernel::Event;
use crate::policy::ChildPolicy;
use crate::quarantine::Quarantine;
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

/// Whether requests are admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Admitting,
    Open { until: Instant },
    Parked,
    Closed,
}

/// The part of a cell that outlives its workers.
pub(crate) struct Core<P: Protocol> {
    pub(crate) id: Arc<str>,
    policy: RwLock<Arc<ChildPolicy>>,
    /// The policy's, where the watchdog and every async call read it.
    deadline_ms: AtomicU64,
    pub(crate) kind: NodeKind,
    pub(crate) inbox: Inbox<Job<P>>,
    pub(crate) quarantine: Quarantine,
    gate: Mutex<Gate>,
    /// Whether the gate admits: the hot path reads only this.
    admitting: AtomicBool,
    crew: Mutex<Crew<P>>,
    pub(crate) zombies: AtomicUsize,
    pub(crate) crash_next: AtomicBool,
    pub(crate) last_crash: Mutex<Option<Arc<CrashReport>>>,
    /// Why the last start failed; empty when it did not.
    pub(crate) start_failure: Mutex<Option<Arc<str>>>,
    pub(crate) black_box: OnceLock<BlackBox>,
    pub(crate) fail_point: FailPoint,
    pub(crate) events: Mutex<Option<mpsc::UnboundedSender<Command>>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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

    pub(crate) fn set_policy(&self, policy: ChildPolicy) {
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

    /// Closes the gate and answers what is queued behind it.
    pub(crate) fn shut(&self, gate: Gate) {
        self.set_gate(gate);
        self.refuse_queue();
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
        let call = Arc::new(Call::new(Instant::now()));
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

    /// See [`CellRef::is_crowded`].
    fn is_crowded(&self, few: usize, max: Duration) -> bool {
        let waits = |job: &Job<P>| job.call.last_beat().elapsed() > max;
        self.inbox.admitted() > few && self.inbox.first(waits).unwrap_or(false)
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
    pub(crate) fn admit(&self, slot: &CrewSlot<P>, job: Job<P>) -> Option<Admitted<P>> {
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
        job.call.beat(now);
        let cx = Cx {
            incarnation: Arc::clone(&slot.incarnation),
            deadline: job.deadline,
            call: Arc::clone(&job.call),
        };
        let flight = Flight {
            reply: job.reply,
            deadline: job.deadline,
            started: now,
            call: job.call,
        };
        let key = match slot.begin(flight) {
            Ok(key) => key,
            // Given up between taking this job and here: whoever comes next runs it.
            Err(flight) => {
                self.inbox.put_back(Job {
                    request: job.request,
                    reply: flight.reply,
                    deadline: flight.deadline,
                    digest: job.digest,
                    crash: job.crash,
                    call: flight.call,
                });
                if self.refusal().is_some() {
                    self.refuse_queue();
                }
                return None;
            }
        };
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
    pub(crate) fn answer_late(&self, slot: &CrewSlot<P>, now: Instant) {
        for flight in slot.take_some(|flight| flight.deadline.0 <= now) {
            let after = flight.elapsed();
            self.answer(flight, Err(Fault::Hung { after }));
        }
    }

    /// A request that was running when the process died, too often: refused from the start.
    pub(crate) fn condemn(&self, black_box: &BlackBox) {
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

    /// Runs fenced work on a request, then drops it; `None` when its caller is gone or its time is over.
    pub(crate) async fn run_within_limit<T>(
        &self,
        work: impl Future<Output = T>,
        cx: &Cx,
    ) -> Option<Result<T, Panic>> {
        let mut work = pin!(Some(work));
        let mut polls = poll_fn(|cx| poll_fenced(work.as_mut(), cx));
        let outcome = self.within_limit(&mut polls, cx).await;
        quietly(|| work.set(None));
        outcome
    }

    async fn within_limit<F: Future + Unpin>(&self, work: &mut F, cx: &Cx) -> Option<F::Output> {
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
    quietly(move || drop(value));
}

fn quietly(drop: impl FnOnce()) {
    if let Err(panic) = fenced(drop) {
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

    /// Whether more than `few` requests are admitted, and the first of those that wait has waited for longer than
    /// `max`: another one would wait as long.
    pub fn is_crowded(&self, few: usize, max: Duration) -> bool {
        self.core.is_crowded(few, max)
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
