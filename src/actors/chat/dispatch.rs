//! Asking candidates in turn: routing, breakers, retries, fallback.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use supervisors::{CellRef, Deadline, Fault};

use super::messages::{ProviderJob, ProviderReply};
use super::open_stream::{ChatStream, OpenStream};
use super::worker::ProviderWorker;
use crate::engines::chat::{
    Breaker, Candidate, ChatConfig, ChatError, Reaction, RetryConfig, Router, backoff_ms,
};
use crate::types::chat::{ChatReply, ChatRequest};
use crate::types::evidence::AttemptEvidence;

/// The dispatcher: knows the names and the cells behind them. Cheap to clone.
#[derive(Clone)]
pub struct Chat {
    inner: Arc<Inner>,
}

struct Inner {
    router: Router,
    providers: BTreeMap<String, Backend>,
    retry: RetryConfig,
    deadline_ms: u64,
    context_tokens: usize,
    started: Instant,
    /// Differs for every delay, so that many clients do not retry at once.
    seed: AtomicU64,
}

struct Backend {
    cell: CellRef<ProviderWorker>,
    breaker: Mutex<Breaker>,
}

impl Backend {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // Its transitions do not panic, so a poisoned one is whole.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one call of a cell brings.
type Answer<T> = Result<T, Fault<ChatError>>;

/// A complete answer, and how it was reached.
#[derive(Debug)]
pub struct ChatAnswer {
    /// The answer.
    pub reply: ChatReply,
    /// Who gave it.
    pub candidate: Candidate,
    /// What was tried, in order.
    pub attempts: Vec<AttemptEvidence>,
}

/// No answer.
#[derive(Debug)]
pub struct ChatFailure {
    /// The cell at fault.
    pub cell: String,
    /// What happened to the attempt that tells most.
    pub fault: Fault<ChatError>,
    /// What was tried, in order.
    pub attempts: Vec<AttemptEvidence>,
}

impl Chat {
    /// Puts the dispatcher before the cells of its providers.
    pub(super) fn new(
        config: &ChatConfig,
        cells: BTreeMap<String, CellRef<ProviderWorker>>,
    ) -> Self {
        let backend = |cell| Backend {
            cell,
            breaker: Mutex::new(Breaker::new(&config.breaker)),
        };
        let providers = cells
            .into_iter()
            .map(|(name, cell)| (name, backend(cell)))
            .collect();
        let since = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default();
        let inner = Inner {
            router: Router::new(config),
            providers,
            retry: config.retry.clone(),
            deadline_ms: config.deadline_ms,
            context_tokens: config.context_tokens,
            started: Instant::now(),
            seed: AtomicU64::new(u64::from(since.subsec_nanos())),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Lists the names that can be asked for, each with who stands behind it.
    pub fn models(&self) -> Vec<(String, String)> {
        self.inner.router.models()
    }

    /// Finds who would be asked, in order.
    ///
    /// Errors: [`ChatError::UnknownModel`].
    pub fn candidates(&self, model: &str) -> Result<Vec<Candidate>, ChatError> {
        self.inner.router.resolve(model)
    }

    /// When a request that starts now is over.
    pub fn deadline(&self) -> Deadline {
        Deadline::after(Duration::from_millis(self.inner.deadline_ms))
    }

    /// Most tokens of passages in a request.
    pub fn context_tokens(&self) -> usize {
        self.inner.context_tokens
    }

    /// Gets the whole answer from the first candidate that gives one.
    ///
    /// Cancel safety: dropping the future cancels the call that is under way.
    pub async fn complete(
        &self,
        request: &ChatRequest,
        deadline: Deadline,
    ) -> Result<ChatAnswer, ChatFailure> {
        let request = ChatRequest {
            stream: false,
            ..request.clone()
        };
        let ask = async |cell: &CellRef<ProviderWorker>, request: Arc<ChatRequest>| {
            match cell
                .ask(
                    ProviderJob {
                        request,
                        events: None,
                    },
                    deadline,
                )
                .await?
            {
                ProviderReply::Answer(reply) => Ok(*reply),
                // Pairs with the request: a job without a channel is not streamed.
                ProviderReply::Streamed => Err(Fault::ShuttingDown),
            }
        };
        let (reply, candidate, attempts) = self.dispatch(request, deadline, ask).await?;
        self.report(&candidate.provider, Ok(()));
        Ok(ChatAnswer {
            reply,
            candidate,
            attempts,
        })
    }

    /// Gets a stream from the first candidate whose answer begins.
    ///
    /// Cancel safety: dropping the future, or later the stream, cancels the call that is under way.
    pub async fn stream(
        &self,
        request: &ChatRequest,
        deadline: Deadline,
    ) -> Result<ChatStream, ChatFailure> {
        let request = ChatRequest {
            stream: true,
            ..request.clone()
        };
        let started = Instant::now();
        let ask = async |cell: &CellRef<ProviderWorker>, request: Arc<ChatRequest>| {
            OpenStream::open(cell, request, deadline).await
        };
        let (stream, candidate, attempts) = self.dispatch(request, deadline, ask).await?;
        Ok(ChatStream::new(
            self.clone(),
            candidate,
            attempts,
            stream,
            started,
        ))
    }

    async fn dispatch<T>(
        &self,
        request: ChatRequest,
        deadline: Deadline,
        ask: impl AsyncFn(&CellRef<ProviderWorker>, Arc<ChatRequest>) -> Answer<T>,
    ) -> Result<(T, Candidate, Vec<AttemptEvidence>), ChatFailure> {
        let mut attempts = Vec::new();
        let candidates = match self.candidates(&request.model) {
            Ok(candidates) => candidates,
            Err(error) => {
                return Err(ChatFailure {
                    cell: "chat".to_owned(),
                    fault: Fault::App(error),
                    attempts,
                });
            }
        };
        let mut worst: Option<(String, Fault<ChatError>)> = None;
        for candidate in candidates {
            let Some(backend) = self.inner.providers.get(&candidate.provider) else {
                continue;
            };
            let own = ChatRequest {
                model: candidate.model.clone(),
                ..request.clone()
            };
            let own = Arc::new(own);
            let mut tries = 0;
            loop {
                tries += 1;
                let started = Instant::now();
                let rests = backend.breaker().admit(millis_since(self.inner.started));
                let outcome = match rests {
                    Ok(()) => ask(&backend.cell, Arc::clone(&own)).await,
                    Err(retry_after_ms) => Err(Fault::App(ChatError::Open {
                        provider: candidate.provider.clone(),
                        retry_after_ms,
                    })),
                };
                attempts.push(AttemptEvidence {
                    candidate: candidate.to_string(),
                    outcome: outcome_of(outcome.as_ref().map(|_| ())),
                    latency_ms: millis_since(started),
                });
                let fault = match outcome {
                    Ok(answer) => return Ok((answer, candidate, attempts)),
                    Err(fault) => fault,
                };
                self.report(&candidate.provider, Err(&fault));
                tracing::warn!(
                    candidate = %candidate, attempt = tries, error = %fault, "chat call failed"
                );
                let wish = match &fault {
                    Fault::App(error) => error.retry_after_ms(),
                    _ => None,
                };
                let reaction = if deadline.is_past() {
                    Reaction::Final
                } else {
                    reaction(&fault)
                };
                if worst
                    .as_ref()
                    .is_none_or(|(_, known)| is_minor(known) || !is_minor(&fault))
                {
                    worst = Some((candidate.provider.clone(), fault));
                }
                if reaction == Reaction::Final {
                    return Err(self.failure(worst, attempts));
                }
                if reaction == Reaction::Next || tries >= self.inner.retry.max_attempts {
                    break;
                }
                let seed = self.inner.seed.fetch_add(1, Ordering::Relaxed);
                let wait =
                    backoff_ms(&self.inner.retry, tries, wish, seed).map(Duration::from_millis);
                match wait {
                    Some(wait) if wait < deadline.remaining() => tokio::time::sleep(wait).await,
                    _ => break,
                }
            }
        }
        Err(self.failure(worst, attempts))
    }

    fn failure(
        &self,
        worst: Option<(String, Fault<ChatError>)>,
        attempts: Vec<AttemptEvidence>,
    ) -> ChatFailure {
        let (cell, fault) = worst.unwrap_or_else(|| ("chat".to_owned(), Fault::ShuttingDown));
        let fault = match fault {
            // The whole deadline was used up, not a cell's own.
            Fault::Expired => Fault::App(ChatError::Expired {
                after_ms: self.inner.deadline_ms,
            }),
            fault => fault,
        };
        ChatFailure {
            cell,
            fault,
            attempts,
        }
    }

    /// Tells the breaker of a provider how a call went.
    pub(super) fn report(&self, provider: &str, outcome: Result<(), &Fault<ChatError>>) {
        let Some(backend) = self.inner.providers.get(provider) else {
            return;
        };
        let now = millis_since(self.inner.started);
        match outcome {
            Ok(()) => backend.breaker().succeeded(),
            Err(Fault::App(error)) if error.counts_as_failure() => backend.breaker().failed(now),
            Err(Fault::Crashed(_) | Fault::Hung { .. }) => backend.breaker().failed(now),
            // It judged the request, so it works.
            Err(Fault::App(
                ChatError::Rejected { .. } | ChatError::NoModel { .. } | ChatError::TooLong { .. },
            )) => backend.breaker().succeeded(),
            Err(_) => {}
        }
    }
}

/// What is done about a fault.
fn reaction(fault: &Fault<ChatError>) -> Reaction {
    match fault {
        Fault::App(error) => error.reaction(),
        Fault::Busy
        | Fault::Unavailable { .. }
        | Fault::Crashed(_)
        | Fault::Hung { .. }
        | Fault::Quarantined(_) => Reaction::Next,
        Fault::Expired | Fault::ShuttingDown => Reaction::Final,
    }
}

/// Whether a fault tells less than one of a candidate that was really asked.
fn is_minor(fault: &Fault<ChatError>) -> bool {
    match fault {
        Fault::App(error) => matches!(
            error,
            ChatError::Open { .. } | ChatError::NoKey { .. } | ChatError::Unsupported { .. }
        ),
        Fault::Busy | Fault::Unavailable { .. } => true,
        _ => false,
    }
}

/// `ok`, or what went wrong.
pub(super) fn outcome_of(outcome: Result<(), &Fault<ChatError>>) -> String {
    match outcome {
        Ok(()) => "ok".to_owned(),
        Err(Fault::App(error)) => format!("{}: {error}", error.word()),
        Err(fault) => fault.to_string(),
    }
}

pub(super) fn millis_since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
