//! What a caller gets instead of a reply, and what is kept of a crash.

use std::backtrace::Backtrace;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::fence::Panic;

/// Why a request has no reply. `E` is the worker's own error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault<E> {
    /// The queue is full. Retry soon.
    #[error("busy: the queue is full")]
    Busy,
    /// The cell failed too often and rests. Retry after the time given.
    #[error("unavailable for another {} ms", retry_after.as_millis())]
    Unavailable {
        /// When it is tried again.
        retry_after: Duration,
        /// Why its worker could not start the last time, if that is what is wrong.
        reason: Option<Arc<str>>,
    },
    /// The worker panicked on this request. Others are not affected.
    #[error("crashed: {0}")]
    Crashed(Arc<CrashReport>),
    /// The worker did not answer in time and was replaced.
    #[error("no answer within {} ms", after.as_millis())]
    Hung {
        /// How long it ran.
        after: Duration,
    },
    /// This request crashed its worker too often and is refused.
    #[error("quarantined as {0}")]
    Quarantined(Digest),
    /// The deadline passed in the queue; the request never ran.
    #[error("the deadline passed in the queue")]
    Expired,
    /// The cell is stopping or gone.
    #[error("shutting down")]
    ShuttingDown,
    /// The worker's own error; it goes on.
    #[error("{0}")]
    App(E),
}

/// Names a request for quarantine: the same poison gives the same digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Digests bytes.
    pub fn of(bytes: &[u8]) -> Self {
        blake3::hash(bytes).into()
    }
}

impl Digest {
    pub(crate) fn words(self) -> [u64; 2] {
        let whole = u128::from_le_bytes(self.0);
        [whole as u64, (whole >> 64) as u64]
    }

    pub(crate) fn from_words([low, high]: [u64; 2]) -> Self {
        Self((u128::from(low) | u128::from(high) << 64).to_le_bytes())
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        let mut short = [0; 16];
        short.copy_from_slice(&hash.as_bytes()[..16]);
        Self(short)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is known of one crash.
#[derive(Debug)]
pub struct CrashReport {
    /// Unique in this process; in logs and error messages.
    pub id: String,
    /// The cell.
    pub child: Arc<str>,
    /// Which incarnation of the cell.
    pub epoch: u64,
    /// Unix time, milliseconds.
    pub at_ms: u64,
    /// The panic's message.
    pub message: String,
    /// File and line of the panic.
    pub location: String,
    /// Resolved only when it is printed.
    pub backtrace: Option<Backtrace>,
    /// The request's digest, if it has one.
    pub request: Option<Digest>,
}

impl fmt::Display for CrashReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {} at {}",
            self.id, self.message, self.location
        )
    }
}

impl CrashReport {
    pub(crate) fn new(child: &Arc<str>, epoch: u64, panic: Panic, request: Option<Digest>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            id: format!(
                "crash-{:x}-{}",
                since.as_secs(),
                NEXT.fetch_add(1, Ordering::Relaxed)
            ),
            child: Arc::clone(child),
            epoch,
            at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            message: panic.message,
            location: panic.location,
            backtrace: panic.backtrace,
            request,
        }
    }
}

/// The part of a crash that a snapshot shows.
#[derive(Debug, Clone, Serialize)]
pub struct CrashSummary {
    /// See [`CrashReport::id`].
    pub id: String,
    /// Unix time, milliseconds.
    pub at_ms: u64,
    /// The panic's message.
    pub message: String,
    /// File and line of the panic.
    pub location: String,
}

impl From<&CrashReport> for CrashSummary {
    fn from(report: &CrashReport) -> Self {
        Self {
            id: report.id.clone(),
            at_ms: report.at_ms,
            message: report.message.clone(),
            location: report.location.clone(),
        }
    }
}

/// When a request is no longer worth answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub(crate) Instant);

impl Deadline {
    /// So long from now.
    pub fn after(time: Duration) -> Self {
        let now = Instant::now();
        // A hundred years stand for "no deadline" where the clock cannot hold more.
        let far = Duration::from_secs(100 * 365 * 24 * 3600);
        Self(now.checked_add(time).unwrap_or_else(|| now + far))
    }

    /// At a point in time.
    pub fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// What is left; zero when it has passed.
    pub fn remaining(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn is_past(&self) -> bool {
        self.0 <= Instant::now()
    }
}
