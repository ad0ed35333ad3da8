//! One call, from the caller's side and from the worker's.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use crate::cell::Protocol;
use crate::fault::{Deadline, Digest, Fault};
use crate::slot::Incarnation;

/// One call, seen from both sides.
pub(crate) struct Call {
    cancelled: AtomicBool,
    gone: Notify,
    /// Milliseconds from `EPOCH` to the last sign of life; while it waits, to when it was asked.
    progress_ms: AtomicU64,
}

/// Where signs of life are counted from.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Call {
    pub(crate) fn new(now: Instant) -> Self {
        let call = Self {
            cancelled: AtomicBool::new(false),
            gone: Notify::new(),
            progress_ms: AtomicU64::new(0),
        };
        call.beat(now);
        call
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.gone.notify_one();
    }

    pub(crate) fn beat(&self, now: Instant) {
        let since = now.saturating_duration_since(*EPOCH);
        let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.progress_ms.store(ms, Ordering::Release);
    }

    pub(crate) fn last_beat(&self) -> Instant {
        *EPOCH + Duration::from_millis(self.progress_ms.load(Ordering::Acquire))
    }

    pub(crate) async fn cancelled(&self) {
        while !self.cancelled.load(Ordering::Acquire) {
            self.gone.notified().await;
        }
    }
}

/// Where a request's one answer goes.
pub(crate) type Reply<P> =
    oneshot::Sender<Result<<P as Protocol>::Rep, Fault<<P as Protocol>::Err>>>;

/// A request in the queue.
pub(crate) struct Job<P: Protocol> {
    pub(crate) request: P::Req,
    pub(crate) reply: Reply<P>,
    pub(crate) deadline: Deadline,
    pub(crate) digest: Option<Digest>,
    /// Panics in the worker's fence instead of running: a crash on purpose.
    pub(crate) crash: bool,
    pub(crate) call: Arc<Call>,
}

/// What a worker knows of the request it handles.
#[derive(Clone)]
pub struct Cx {
    pub(crate) incarnation: Arc<Incarnation>,
    pub(crate) deadline: Deadline,
    pub(crate) call: Arc<Call>,
}

impl Cx {
    /// The cell's id.
    pub fn cell(&self) -> &str {
        &self.incarnation.cell
    }

    /// The incarnation of the worker.
    pub fn epoch(&self) -> u64 {
        self.incarnation.epoch
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
        self.incarnation.finished.store(true, Ordering::Release);
    }

    /// Whether this worker was given up as hung: it must have no further effect.
    pub fn is_stale(&self) -> bool {
        self.incarnation.abandoned.load(Ordering::Acquire)
    }
}

/// A request that a worker holds.
pub(crate) struct Flight<P: Protocol> {
    pub(crate) reply: Reply<P>,
    pub(crate) deadline: Deadline,
    pub(crate) started: Instant,
    pub(crate) call: Arc<Call>,
}

impl<P: Protocol> Flight<P> {
    /// How long it has run.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// An answer to come.
pub struct Pending<P: Protocol> {
    pub(crate) receiver: oneshot::Receiver<Result<P::Rep, Fault<P::Err>>>,
    pub(crate) call: Arc<Call>,
    pub(crate) done: bool,
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
