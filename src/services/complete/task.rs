//! One chat request on its way: what it asks, what was found for it, and the evidence it leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::caller::Caller;
use super::id::completion_id;
use super::input::{ChatInput, RetrievalInput};
use super::kept::{CacheStatus, Keeping, Wish};
use super::retrieval::retrieve;
use super::story::story;
use super::{failure, fit};
use crate::engines::chat::{Candidate, NOTHING_FOUND, citations, ground};
use crate::services::search::millis_since;
use crate::services::{ServiceError, Services, evidence, now_ms, usage};
use crate::types::chat::{ChatReply, ChatRequest, Citation, FinishReason, Passage};
use crate::types::evidence::{AttemptEvidence, ChatEvidence, PassageEvidence};
use crate::types::trace::{OpenSpan, Origin};

/// A request that someone could answer.
pub(super) struct Task {
    pub(super) services: Arc<Services>,
    pub(super) id: String,
    pub(super) created: u64,
    /// With the passages, once they are found.
    pub(super) request: ChatRequest,
    /// An answer that needs no provider.
    pub(super) ready: Option<Ready>,
    /// What the cache did, for a request that wanted it.
    pub(super) cache: Option<CacheStatus>,
    keeping: Option<Keeping>,
    started: Instant,
    span: Option<OpenSpan>,
    evidence: ChatEvidence,
}

/// An answer that needs no provider.
pub(super) struct Ready {
    pub(super) reply: ChatReply,
    /// Who gave it to an earlier request; `None` when nobody had to.
    pub(super) candidate: Option<Candidate>,
}

/// How a request ended.
pub(super) struct Ending {
    /// What was answered, complete or not.
    pub(super) reply: ChatReply,
    /// Why it ended; `None` when it failed or was cut.
    pub(super) finish: Option<FinishReason>,
    /// Who answered.
    pub(super) answered_by: Option<Candidate>,
    /// What was tried.
    pub(super) attempts: Vec<AttemptEvidence>,
    /// What went wrong.
    pub(super) error: Option<String>,
}

impl Ending {
    /// No answer.
    pub(super) fn failed(attempts: Vec<AttemptEvidence>, error: &str) -> Self {
        Self {
            reply: ChatReply::default(),
            finish: None,
            answered_by: None,
            attempts,
            error: Some(error.to_owned()),
        }
    }
}

impl Task {
    /// Reads the request and finds its passages.
    ///
    /// Errors: a request that nobody could answer, or that its budget does not allow, which leave no
    /// evidence; a failed retrieval, which does.
    pub(super) async fn prepare(
        services: Arc<Services>,
        caller: Caller,
        mut input: Box<ChatInput>,
    ) -> Result<Self, ServiceError> {
        let started = Instant::now();
        let span = caller
            .trace
            .as_ref()
            .map(|trace| trace.open(SystemTime::now()));
        let id = completion_id(input.id_prefix);
        let cache = input.cache.take();
        let given = input.given.take();
        let (mut request, retrieval) = input.into_request()?;
        if request.model.is_empty() {
            services.chat.default_name().clone_into(&mut request.model);
        }
        request.origin = Some(Arc::new(Origin {
            request_id: caller.request_id.clone(),
            trace: span.as_ref().map(|span| span.trace().clone()),
        }));
        let route = services
            .chat
            .route(&request.model)
            .map_err(failure::of_error)?;
        let wish = Wish::of(&services, &route, cache, &caller)?;
        usage::check_budget(&services, &caller.key, caller.tokens_per_day)?;
        let as_json = |error: serde_json::Error| ServiceError::bad_request(error.to_string());
        let evidence = ChatEvidence {
            request_id: caller.request_id,
            model: request.model.clone(),
            answered_by: None,
            messages: request
                .messages
                .iter()
                .map(serde_json::to_value)
                .collect::<Result<_, _>>()
                .map_err(as_json)?,
            answer: String::new(),
            tools: request
                .tools
                .iter()
                .map(serde_json::to_value)
                .collect::<Result<_, _>>()
                .map_err(as_json)?,
            tool_calls: Vec::new(),
            finish_reason: None,
            passages: Vec::new(),
            usage: None,
            cost_usd: None,
            attempts: Vec::new(),
            stream: request.stream,
            error: None,
            user: request.user.clone(),
            key: Some(caller.key),
            cache: None,
            imported: None,
            replay: caller.replay,
            repairs: caller.repairs,
            latency_ms: 0,
        };
        fit::check(&evidence, &id, services.limits.max_record_bytes)?;
        let mut task = Self {
            services,
            id,
            created: now_ms() / 1_000,
            request,
            ready: None,
            cache: wish.as_ref().map(|_| CacheStatus::Miss),
            keeping: None,
            started,
            span,
            evidence,
        };
        if let Some(passages) = given {
            task.rest_on(passages);
        } else if wish.is_some() || retrieval.is_some() {
            // In a box, so that requests without it need no room for it.
            Box::pin(task.answer_early(wish, retrieval)).await?;
        }
        Ok(task)
    }

    /// Finds the passages, then an answer that needs no provider.
    ///
    /// Errors: the retrieval failed, of which the evidence tells.
    async fn answer_early(
        &mut self,
        mut wish: Option<Wish>,
        retrieval: Option<RetrievalInput>,
    ) -> Result<(), ServiceError> {
        let mut found = None;
        if let Some(retrieval) = retrieval {
            if let Some(wanted) = wish {
                wish = wanted.look_at(&self.services, &retrieval).await;
            }
            match retrieve(&self.services, &self.request, retrieval).await {
                Ok(passages) if passages.is_empty() => {
                    self.rest_on(passages);
                    return Ok(());
                }
                Ok(passages) => found = Some(passages),
                Err(error) => {
                    let ending = Ending::failed(Vec::new(), &error.message);
                    self.record_failure(ending).await;
                    return Err(error);
                }
            }
        }
        if let Some(wish) = wish {
            let asked = wish.find(&self.services, &self.request, found.as_deref());
            let (kept, keeping) = asked.await;
            self.keeping = Some(keeping);
            if let Some((kept, status)) = kept {
                if let Some(passages) = &mut found {
                    kept.arrange(passages);
                }
                self.cache = Some(status);
                self.ready = Some(Ready {
                    reply: kept.reply.clone(),
                    candidate: Some(kept.candidate.clone()),
                });
            }
        }
        if let Some(passages) = found {
            self.rest_on(passages);
        }
        Ok(())
    }

    /// Has the answer rest on passages; without any no model is asked: it could only invent.
    fn rest_on(&mut self, passages: Vec<Passage>) {
        if !passages.is_empty() {
            return ground(&mut self.request, passages);
        }
        self.request.passages = Some(passages);
        let reply = ChatReply {
            text: NOTHING_FOUND.to_owned(),
            ..ChatReply::default()
        };
        self.ready = Some(Ready {
            reply,
            candidate: None,
        });
    }

    /// Keeps the answer for requests that ask the same, when this one wants that and it is one that may
    /// be kept. What was kept already stays as old as it is.
    pub(super) fn keep(&self, ending: &Ending) {
        if self.is_kept() || ending.error.is_some() || ending.finish.is_none() {
            return;
        }
        if let (Some(keeping), Some(candidate)) = (&self.keeping, &ending.answered_by) {
            keeping.keep(&self.services, candidate, &ending.reply, self.passages());
        }
    }

    /// Whether the answer is one of an earlier request.
    fn is_kept(&self) -> bool {
        matches!(self.cache, Some(CacheStatus::Hit | CacheStatus::Semantic))
    }

    /// The passages that the answer may cite.
    pub(super) fn passages(&self) -> &[Passage] {
        self.request.passages.as_deref().unwrap_or_default()
    }

    /// Writes the evidence, which leaves none for a second time, and reads the citations out of the answer.
    ///
    /// Errors: the journal could not be written.
    pub(super) async fn record(&mut self, ending: &Ending) -> Result<Vec<Citation>, ServiceError> {
        let cites = citations(&ending.reply.text, self.passages());
        let cited: BTreeSet<usize> = cites.iter().map(|citation| citation.index).collect();
        let passages = self
            .passages()
            .iter()
            .enumerate()
            .map(|(index, passage)| PassageEvidence {
                collection: passage.collection.clone(),
                id: passage.id.clone(),
                score: passage.score,
                text: passage.text.clone(),
                cited: cited.contains(&(index + 1)),
            });
        let calls = ending.reply.tool_calls.iter();
        let mut record = ChatEvidence {
            answered_by: ending.answered_by.as_ref().map(ToString::to_string),
            answer: ending.reply.text.clone(),
            tool_calls: calls
                .filter_map(|call| serde_json::to_value(call).ok())
                .collect(),
            finish_reason: ending.finish.map(|reason| reason.as_str().to_owned()),
            passages: passages.collect(),
            usage: ending.reply.usage,
            cost_usd: self.cost(ending),
            attempts: ending.attempts.clone(),
            error: ending.error.clone(),
            cache: self
                .cache
                .filter(|_| self.is_kept())
                .map(|status| status.as_str().to_owned()),
            latency_ms: millis_since(self.started),
            ..std::mem::take(&mut self.evidence)
        };
        if let Some(span) = self.span.take() {
            let with_content = span.trace().wants_content();
            let by = ending.answered_by.as_ref();
            let told = story(&self.id, &self.request, by, &record, with_content);
            span.end(SystemTime::now(), told);
        }
        let max = self.services.limits.max_record_bytes;
        let entry = fit::shorten(&mut record, &self.id, max)?;
        evidence::append(&self.services, entry).await?;
        Ok(cites)
    }

    /// What the answer cost, US dollars; `None` when that is not known, or there was none.
    pub(super) fn cost(&self, ending: &Ending) -> Option<f64> {
        match &ending.answered_by {
            Some(_) if self.is_kept() => Some(0.0),
            Some(candidate) => self
                .services
                .chat
                .prices()
                .cost(candidate, ending.reply.usage),
            // Nobody had to be asked.
            None => ending.finish.map(|_| 0.0),
        }
    }

    /// Writes the evidence of a failure; when that fails too, the first failure is the one to tell.
    pub(super) async fn record_failure(&mut self, ending: Ending) {
        if let Err(error) = self.record(&ending).await {
            tracing::error!(id = self.id, %error, "evidence of a failed answer was not written");
        }
    }
}
