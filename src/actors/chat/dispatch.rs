//! Asking candidates in turn: routing, breakers, retries, fallback.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use supervisors::{CellRef, Deadline, Fault};

use super::backend::{Backend, lock};
use super::messages::{ProviderJob, ProviderReply};
use super::open_stream::{ChatStream, OpenStream};
use super::tried::Tried;
use super::worker::ProviderWorker;
use crate::actors::upstream::WithoutWords as _;
use crate::engines::chat::{
    Candidate, ChatConfig, ChatError, Latencies, Prefer, PriceTable, Reaction, RetryConfig, Route,
    Router, backoff_ms, by_rank, by_weight, mix,
};
use crate::types::chat::{ChatReply, ChatRequest};
use crate::types::demand::Demand;
use crate::types::evidence::{AttemptEvidence, TokenUsage};
use crate::types::trace::{SpanKind, Story, Trace};

/// The dispatcher: knows the names and the cells behind them. Cheap to clone.
#[derive(Clone)]
pub struct Chat {
    inner: Arc<Inner>,
}

struct Inner {
    router: Router,
    providers: BTreeMap<String, Backend>,
    retry: RetryConfig,
    prices: PriceTable,
    latencies: Mutex<Latencies>,
    deadline_ms: u64,
    context_tokens: usize,
    started: Instant,
    /// Differs for every delay, so that many clients do not retry at once.
    seed: AtomicU64,
}

/// An answer, whole or begun, and how it was reached.
pub(super) struct Won<T> {
    pub(super) answer: T,
    pub(super) candidate: Candidate,
    /// For [`Chat::settle`].
    pub(super) ticket: u64,
    /// The answer's own comes last.
    pub(super) attempts: Vec<AttemptEvidence>,
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
        let providers = cells.into_iter().map(|(name, cell)| {
            let backend = Backend::new(cell, &config.breaker, config.providers.get(&name));
            (name, backend)
        });
        let providers = providers.collect();
        let since = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default();
        let inner = Inner {
            router: Router::new(config),
            providers,
            retry: config.retry.clone(),
            prices: PriceTable::new(config),
            latencies: Mutex::new(Latencies::default()),
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

    /// The name that stands for a request that gives none.
    pub fn default_name(&self) -> &str {
        self.inner.router.default_name()
    }

    /// Finds who may answer, and in which way they are asked.
    ///
    /// Errors: [`ChatError::UnknownModel`].
    pub fn route(&self, model: &str) -> Result<Route, ChatError> {
        self.inner.router.route(model)
    }

    /// What the route of this name demands of its answers, if any.
    pub fn demand(&self, model: &str) -> Option<&Demand> {
        self.inner.router.demand(model)
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

    /// What models cost.
    pub fn prices(&self) -> &PriceTable {
        &self.inner.prices
    }

    /// Gets the whole answer from the first candidate that gives one.
    ///
    /// Cancel safety: dropping the future cancels the call that is under way.
    pub async fn complete(
        &self,
        request: &ChatRequest,
        deadline: Deadline,
    ) -> Result<ChatAnswer, ChatFailure> {
        let ask = async |cell: &CellRef<ProviderWorker>,
                         request: Arc<ChatRequest>,
                         trace: Option<Trace>| {
            match cell
                .ask(
                    ProviderJob {
                        request,
                        events: None,
                        trace,
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
        let won = self.dispatch(request, false, deadline, ask).await?;
        self.report(&won.candidate.provider, Ok(()));
        self.settle(&won.candidate.provider, won.ticket, won.answer.usage);
        Ok(ChatAnswer {
            reply: won.answer,
            candidate: won.candidate,
            attempts: won.attempts,
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
        let started = Instant::now();
        let ask = async |cell: &CellRef<ProviderWorker>,
                         request: Arc<ChatRequest>,
                         trace: Option<Trace>| {
            OpenStream::open(cell, request, trace, deadline).await
        };
        let won = self.dispatch(request, true, deadline, ask).await?;
        Ok(ChatStream::new(self.clone(), won, started))
    }

    /// Asks the candidates in turn, or beside each other where the route hedges.
    async fn dispatch<T>(
        &self,
        request: &ChatRequest,
        stream: bool,
        deadline: Deadline,
        ask: impl AsyncFn(&CellRef<ProviderWorker>, Arc<ChatRequest>, Option<Trace>) -> Answer<T>,
    ) -> Result<Won<T>, ChatFailure> {
        let route = match self.inner.router.route(&request.model) {
            Ok(route) => route,
            Err(error) => {
                return Err(ChatFailure {
                    cell: "chat".to_owned(),
                    fault: Fault::App(error),
                    attempts: Vec::new(),
                });
            }
        };
        let hedge_after = route.hedge_after_ms.map(Duration::from_millis);
        let tried = Tried::default();
        let mut waiting = self.ordered(route).into_iter();
        let mut asked = FuturesUnordered::new();
        let mut worst: Option<(String, Fault<ChatError>)> = None;
        loop {
            if asked.is_empty() {
                let Some(candidate) = waiting.next() else {
                    return Err(self.failure(worst, tried.attempts(None)));
                };
                asked.push(self.try_candidate(candidate, request, stream, deadline, &ask, &tried));
            }
            // With nobody left to ask beside, only the answers are waited for.
            let hedge = hedge_after.filter(|_| !waiting.as_slice().is_empty());
            let ended = match hedge {
                None => asked.next().await,
                Some(after) => match tokio::time::timeout(after, asked.next()).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        let next = waiting.next();
                        asked.extend(next.map(|candidate| {
                            self.try_candidate(candidate, request, stream, deadline, &ask, &tried)
                        }));
                        continue;
                    }
                },
            };
            match ended {
                Some(Ok((answer, candidate, ticket, place))) => {
                    drop(asked);
                    return Ok(Won {
                        answer,
                        candidate,
                        ticket,
                        attempts: tried.attempts(Some(place)),
                    });
                }
                Some(Err((provider, fault, reaction))) => {
                    if worst
                        .as_ref()
                        .is_none_or(|(_, known)| is_minor(known) || !is_minor(&fault))
                    {
                        worst = Some((provider, fault));
                    }
                    if reaction == Reaction::Final {
                        drop(asked);
                        return Err(self.failure(worst, tried.attempts(None)));
                    }
                }
                None => {}
            }
        }
    }

    /// Asks one candidate, again where that makes sense. What it tries is noted in `tried`.
    ///
    /// Errors: the provider, its last fault, and what to do about it.
    async fn try_candidate<T>(
        &self,
        candidate: Candidate,
        request: &ChatRequest,
        stream: bool,
        deadline: Deadline,
        ask: &impl AsyncFn(&CellRef<ProviderWorker>, Arc<ChatRequest>, Option<Trace>) -> Answer<T>,
        tried: &Tried,
    ) -> Result<(T, Candidate, u64, usize), (String, Fault<ChatError>, Reaction)> {
        let provider = candidate.provider.clone();
        let Some(backend) = self.inner.providers.get(&provider) else {
            return Err((provider, Fault::ShuttingDown, Reaction::Next));
        };
        let own = Arc::new(ChatRequest {
            model: candidate.model.clone(),
            stream,
            ..request.clone()
        });
        let tokens = backend.estimate(request);
        let mut tries = 0;
        loop {
            tries += 1;
            let started = Instant::now();
            let place = tried.begin(&candidate);
            let span = own.origin.as_ref().and_then(|origin| {
                let trace = origin.trace.as_ref()?;
                Some(trace.open(SystemTime::now()))
            });
            let trace = span.as_ref().map(|span| span.trace().clone());
            let now = millis_since(self.inner.started);
            let admitted = backend.admit(&provider, now, tokens);
            let outcome = match admitted {
                Ok(ticket) => ask(&backend.cell, Arc::clone(&own), trace)
                    .await
                    .map(|answer| (answer, ticket)),
                Err(error) => Err(Fault::App(error)),
            };
            tried.end(place, outcome.as_ref().map(|_| ()), millis_since(started));
            if let Some(span) = span {
                let told = attempt_story(&candidate, tries, outcome.as_ref().map(|_| ()));
                span.end(SystemTime::now(), told);
            }
            let fault = match outcome {
                Ok((answer, ticket)) => {
                    self.latencies().push(&candidate, millis_since(started));
                    return Ok((answer, candidate, ticket, place));
                }
                Err(fault) => fault,
            };
            self.report(&provider, Err(&fault));
            let request_id = own.origin.as_ref().map(|origin| origin.request_id.as_str());
            tracing::warn!(
                request_id, candidate = %candidate, attempt = tries, error = fault.without_words(), "chat call failed"
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
            if reaction != Reaction::Retry || tries >= self.inner.retry.max_attempts {
                return Err((provider, fault, reaction));
            }
            let wait = backoff_ms(&self.inner.retry, tries, wish, self.seed());
            match wait.map(Duration::from_millis) {
                Some(wait) if wait < deadline.remaining() => tokio::time::sleep(wait).await,
                _ => return Err((provider, fault, Reaction::Next)),
            }
        }
    }

    /// Puts the candidates of a route in the order in which they are asked.
    fn ordered(&self, route: Route) -> Vec<Candidate> {
        let mut candidates = route.candidates;
        match route.prefer {
            Prefer::Order => {}
            Prefer::Weight => {
                // 53 bits of chance are what fits into a float's fraction.
                let draws = std::iter::repeat_with(|| (mix(self.seed()) >> 11) as f64 + 1.0);
                let draws = draws.map(|draw| draw / (1_u64 << 53) as f64);
                by_weight(&mut candidates, &route.weights, draws);
            }
            Prefer::Cost => by_rank(&mut candidates, |candidate| {
                let price = self.inner.prices.of(candidate);
                price.map_or(f64::INFINITY, |price| price.input + price.output)
            }),
            Prefer::Latency => {
                let latencies = self.latencies();
                by_rank(&mut candidates, |candidate| latencies.of(candidate));
            }
        }
        candidates
    }

    fn seed(&self) -> u64 {
        self.inner.seed.fetch_add(1, Ordering::Relaxed)
    }

    /// Times to the first piece so far.
    pub(super) fn latencies(&self) -> MutexGuard<'_, Latencies> {
        lock(&self.inner.latencies)
    }

    /// Tells a provider's bounds what an answer really took.
    pub(super) fn settle(&self, provider: &str, ticket: u64, usage: Option<TokenUsage>) {
        let backend = self.inner.providers.get(provider);
        if let (Some(backend), Some(usage)) = (backend, usage) {
            let tokens = usage.prompt_tokens.saturating_add(usage.completion_tokens);
            backend.pace().settle(ticket, tokens);
        }
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
            ChatError::Open { .. }
                | ChatError::Paced { .. }
                | ChatError::NoKey { .. }
                | ChatError::Unsupported { .. }
        ),
        Fault::Busy | Fault::Unavailable { .. } => true,
        _ => false,
    }
}

/// What the span of one try tells; that of a stream ends with its first piece.
fn attempt_story(
    candidate: &Candidate,
    tries: u32,
    outcome: Result<(), &Fault<ChatError>>,
) -> Story {
    let told = outcome_of(outcome);
    let word = told.split(':').next().unwrap_or_default();
    let mut attributes = vec![
        ("gen_ai.provider.name", candidate.provider.as_str().into()),
        ("gen_ai.request.model", candidate.model.as_str().into()),
        ("boathouse.attempt", u64::from(tries).into()),
        ("boathouse.outcome", word.into()),
    ];
    if outcome.is_err() {
        attributes.push(("error.type", word.into()));
    }
    Story {
        name: format!("upstream {}", candidate.provider),
        kind: SpanKind::Client,
        attributes,
        // Not the upstream's own words: they may repeat what it was asked.
        error: outcome.is_err().then(|| word.to_owned()),
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
