//! Asking the upstreams of remote models: breakers, retries, fallback.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use supervisors::{CellRef, Deadline, Fault};

use super::dispatch::EmbedFailure;
use super::remote::{RemoteJob, RemoteWorker};
use crate::actors::upstream::WithoutWords;
use crate::engines::embedding::{EmbedError, Embedded, EmbeddingConfig, RemoteModel};
use crate::engines::upstream::{Breaker, Reaction, RetryConfig, UpstreamError, backoff_ms};
use crate::types::trace::{SpanKind, Story, Trace};

/// The cells of the remote models.
pub(super) struct Upstreams {
    backends: BTreeMap<String, Backend>,
    retry: RetryConfig,
    started: Instant,
    /// Differs for every delay, so that many requests do not retry at once.
    seed: AtomicU64,
}

struct Backend {
    model: Arc<RemoteModel>,
    cell: CellRef<RemoteWorker>,
    breaker: Mutex<Breaker>,
}

impl Backend {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // Its transitions do not panic, so a poisoned one is whole.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upstreams {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.backends.is_empty()
    }

    pub(super) fn new(
        config: &EmbeddingConfig,
        cells: Vec<(Arc<RemoteModel>, CellRef<RemoteWorker>)>,
    ) -> Self {
        let backends = cells.into_iter().map(|(model, cell)| {
            let breaker = Mutex::new(Breaker::new(&config.breaker));
            let backend = Backend {
                model,
                cell,
                breaker,
            };
            (backend.model.name().to_owned(), backend)
        });
        let since = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default();
        Self {
            backends: backends.collect(),
            retry: config.retry.clone(),
            started: Instant::now(),
            seed: AtomicU64::new(u64::from(since.subsec_nanos())),
        }
    }

    /// Gets the vectors of one batch from the model, or from its fallbacks in turn. Each try is a span below `trace`.
    ///
    /// Errors: what happened to the model itself; a fallback's troubles are logged only.
    /// Cancel safety: dropping the future cancels the call that is under way.
    pub(super) async fn embed(
        &self,
        model: &str,
        texts: &[String],
        truncate: bool,
        deadline: Deadline,
        trace: Option<&Trace>,
    ) -> Result<Embedded, EmbedFailure> {
        let mut failure: Option<EmbedFailure> = None;
        let mut next = self.backends.get(model);
        // Bounds a circle of fallbacks.
        for _ in 0..self.backends.len() {
            let Some(backend) = next else { break };
            let fault = match self.ask(backend, texts, truncate, deadline, trace).await {
                Ok(embedded) => return Ok(embedded),
                Err(fault) => fault,
            };
            let last = deadline.is_past() || reaction(&fault) == Reaction::Final;
            failure = failure.or(Some(EmbedFailure {
                cell: backend.cell.id().to_owned(),
                fault,
            }));
            if last {
                break;
            }
            let fallback = backend.model.config().fallback.as_ref();
            next = fallback.and_then(|name| self.backends.get(name));
        }
        Err(failure.unwrap_or_else(|| EmbedFailure {
            cell: model.to_owned(),
            fault: Fault::ShuttingDown,
        }))
    }

    /// Asks one upstream, again where that may help.
    async fn ask(
        &self,
        backend: &Backend,
        texts: &[String],
        truncate: bool,
        deadline: Deadline,
        trace: Option<&Trace>,
    ) -> Result<Embedded, Fault<EmbedError>> {
        let mut tries = 0;
        loop {
            tries += 1;
            let span = trace.map(|trace| trace.open(SystemTime::now()));
            let rests = backend.breaker().admit(self.now_ms());
            let outcome = match rests {
                Ok(()) => {
                    let job = RemoteJob {
                        texts: texts.to_vec(),
                        truncate,
                        trace: span.as_ref().map(|span| span.trace().clone()),
                    };
                    backend.cell.ask(job, deadline).await
                }
                Err(retry_after_ms) => Err(Fault::App(EmbedError::from(UpstreamError::Open {
                    provider: backend.model.name().to_owned(),
                    retry_after_ms,
                }))),
            };
            self.report(backend, outcome.as_ref().err());
            if let Some(span) = span {
                let told = attempt_story(&backend.model, tries, outcome.as_ref().err());
                span.end(SystemTime::now(), told);
            }
            let fault = match outcome {
                Ok(embedded) => return Ok(embedded),
                Err(fault) => fault,
            };
            let embedder = backend.model.name();
            tracing::warn!(
                embedder,
                attempt = tries,
                error = fault.without_words(),
                "embedding call failed"
            );
            if reaction(&fault) != Reaction::Retry || tries >= self.retry.max_attempts {
                return Err(fault);
            }
            let wish = match &fault {
                Fault::App(error) => error.retry_after_ms(),
                _ => None,
            };
            let seed = self.seed.fetch_add(1, Ordering::Relaxed);
            let wait = backoff_ms(&self.retry, tries, wish, seed).map(Duration::from_millis);
            match wait {
                Some(wait) if wait < deadline.remaining() => tokio::time::sleep(wait).await,
                _ => return Err(fault),
            }
        }
    }

    /// Tells the breaker of an upstream how a call went.
    fn report(&self, backend: &Backend, fault: Option<&Fault<EmbedError>>) {
        match fault {
            None => backend.breaker().succeeded(),
            Some(Fault::App(error)) if error.counts_as_failure() => {
                backend.breaker().failed(self.now_ms());
            }
            Some(Fault::Crashed(_) | Fault::Hung { .. }) => {
                backend.breaker().failed(self.now_ms());
            }
            // It judged the texts, so it works.
            Some(Fault::App(EmbedError::Upstream(
                UpstreamError::Rejected { .. }
                | UpstreamError::NoModel { .. }
                | UpstreamError::TooLong { .. },
            ))) => backend.breaker().succeeded(),
            Some(_) => {}
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What the span of one try tells, as that of one at a chat upstream does.
fn attempt_story(model: &RemoteModel, tries: u32, fault: Option<&Fault<EmbedError>>) -> Story {
    let word = match fault {
        None => "ok",
        Some(Fault::App(EmbedError::Upstream(error))) => error.word(),
        Some(Fault::App(_)) => "invalid",
        Some(_) => "cell",
    };
    let mut attributes = vec![
        ("gen_ai.provider.name", model.name().into()),
        ("gen_ai.request.model", model.config().model.as_str().into()),
        ("boathouse.attempt", u64::from(tries).into()),
        ("boathouse.outcome", word.into()),
    ];
    if fault.is_some() {
        attributes.push(("error.type", word.into()));
    }
    Story {
        name: format!("upstream {}", model.name()),
        kind: SpanKind::Client,
        attributes,
        error: fault.map(WithoutWords::without_words),
    }
}

/// What is done about a fault.
fn reaction(fault: &Fault<EmbedError>) -> Reaction {
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
