//! Calls to one Qdrant: within their deadline, again where that helps, and not at all while it rests.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix::Arbiter;
use qdrant_client::{Qdrant, QdrantError};

use crate::engines::upstream::{Breaker, BreakerConfig, RetryConfig, backoff_ms};

/// Codes of gRPC (github.com/grpc/grpc, `doc/statuscodes.md`), as numbers: the client does not export their type.
mod code {
    pub(super) const CANCELLED: i32 = 1;
    pub(super) const UNKNOWN: i32 = 2;
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const DEADLINE_EXCEEDED: i32 = 4;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const ALREADY_EXISTS: i32 = 6;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const INTERNAL: i32 = 13;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// Longest text of an error that is passed on.
const MAX_WORDS: usize = 300;

/// A call without an answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum CallError {
    /// There is no such collection.
    #[error("{0}")]
    NotFound(String),
    /// There is one already.
    #[error("{0}")]
    Exists(String),
    /// It refuses what it was asked.
    #[error("{0}")]
    Refused(String),
    /// It refuses our key.
    #[error("{0}")]
    Denied(String),
    /// It has too much to do, or cannot be reached.
    #[error("{0}")]
    Unavailable(String),
    /// It failed repeatedly, and is left alone for so long.
    #[error("it failed repeatedly, and is left alone for a while")]
    Resting(u64),
    /// It did not answer in time.
    #[error("no answer within {0} ms")]
    Timeout(u128),
    /// It answered what makes no sense.
    #[error("{0}")]
    Failed(String),
}

impl CallError {
    fn of(error: &QdrantError) -> Self {
        let QdrantError::ResponseError { status } = error else {
            return match error {
                QdrantError::ResourceExhaustedError { status, .. } => {
                    Self::Unavailable(words(status.message()))
                }
                other => Self::Failed(words(&other.to_string())),
            };
        };
        let message = words(status.message());
        match i32::from(status.code()) {
            code::NOT_FOUND => Self::NotFound(message),
            code::ALREADY_EXISTS => Self::Exists(message),
            code::INVALID_ARGUMENT if message.contains("already exists") => Self::Exists(message),
            code::INVALID_ARGUMENT => Self::Refused(message),
            code::PERMISSION_DENIED | code::UNAUTHENTICATED => Self::Denied(message),
            code::UNAVAILABLE | code::RESOURCE_EXHAUSTED => Self::Unavailable(message),
            // So the client tells that it could not connect, and where to, or that the connection broke.
            code::INTERNAL if message.starts_with("Failed to connect") => Self::unreachable(),
            code::UNKNOWN if message.contains("transport error") => Self::unreachable(),
            code::CANCELLED | code::DEADLINE_EXCEEDED => Self::Unavailable(message),
            _ => Self::Failed(message),
        }
    }

    fn unreachable() -> Self {
        Self::Unavailable("it could not be reached".to_owned())
    }

    /// Whether the same call may fare better.
    fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether it says that the server, not the call, is at fault.
    fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Timeout(_))
    }
}

fn words(message: &str) -> String {
    let line = message.chars().filter(|c| !c.is_control());
    line.take(MAX_WORDS).collect()
}

/// The one way to ask a Qdrant. Only what changes nothing when it comes twice is asked: all of it is so.
pub(super) struct Calls {
    client: Qdrant,
    timeout: Duration,
    retry: RetryConfig,
    breaker: Mutex<Breaker>,
    began: Instant,
    /// Differs for every delay, so that many calls do not go out again at once.
    seed: AtomicU64,
    /// Where its connections live: those who ask come and go.
    arbiter: Arbiter,
}

impl Calls {
    pub(super) fn new(client: Qdrant, timeout: Duration) -> Self {
        Self {
            client,
            timeout,
            retry: RetryConfig {
                max_attempts: 3,
                base_ms: 50,
                max_ms: 1_000,
            },
            breaker: Mutex::new(Breaker::new(&BreakerConfig::default())),
            began: Instant::now(),
            seed: AtomicU64::new(0),
            arbiter: Arbiter::new(),
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // Its transitions do not panic, so a poisoned one is whole.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Asks, again where that helps.
    pub(super) async fn ask<T, F>(&self, call: impl Fn(Qdrant) -> F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, QdrantError>> + Send + 'static,
    {
        let end = Instant::now() + self.timeout;
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match self.once(end, Box::pin(call(self.client.clone()))).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !error.is_passing() || tries >= self.retry.max_attempts {
                return Err(error);
            }
            let seed = self.seed.fetch_add(1, Ordering::Relaxed);
            let wait = backoff_ms(&self.retry, tries, None, seed).unwrap_or_default();
            let wait = Duration::from_millis(wait);
            if Instant::now() + wait >= end {
                return Err(error);
            }
            tracing::debug!(tries, %error, "qdrant call failed, will retry");
            tokio::time::sleep(wait).await;
        }
    }

    async fn once<T, F>(&self, end: Instant, call: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, QdrantError>> + Send + 'static,
    {
        let admitted = self.breaker().admit(self.now_ms());
        admitted.map_err(CallError::Resting)?;
        let answer = match tokio::time::timeout_at(end.into(), self.run(call)).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::Timeout(self.timeout.as_millis())),
        };
        match &answer {
            Err(error) if error.is_outage() => self.breaker().failed(self.now_ms()),
            _ => self.breaker().succeeded(),
        }
        answer
    }

    /// Runs a call where the connections are; it ends when nobody waits for it any more.
    async fn run<T, F>(&self, call: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, QdrantError>> + Send + 'static,
    {
        let (mut tell, told) = tokio::sync::oneshot::channel();
        self.arbiter.spawn(async move {
            let answer = tokio::select! {
                answer = call => answer,
                () = tell.closed() => return,
            };
            // Who asked may have gone in this moment.
            drop(tell.send(answer.map_err(|error| CallError::of(&error))));
        });
        let stopped = || CallError::Failed("the server is shutting down".to_owned());
        told.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.arbiter.stop();
    }
}
