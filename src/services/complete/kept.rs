//! Answers that were kept: whether a request may have one, and which.

use std::sync::Arc;

use serde_json::{Value, json};

use super::input::{CacheInput, RetrievalInput};
use crate::engines::chat::{
    Asked, CacheMode, Candidate, Kept, Near, ResponseKey, Route, check_threshold,
};
use crate::engines::embedding::EMBEDDED;
use crate::services::{ServiceError, Services, collections, embed, now_ms};
use crate::types::chat::{ChatReply, ChatRequest, Passage};
use crate::types::trace::Trace;

use super::caller::Caller;

/// What the cache did for a request that wanted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// It held the answer to this request.
    Hit,
    /// It held the answer to a similar question.
    Semantic,
    /// It held none, or was not to be asked.
    Miss,
}

impl CacheStatus {
    /// The word in headers and evidence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Semantic => "semantic",
            Self::Miss => "miss",
        }
    }
}

/// How a request uses the cache.
#[derive(Debug)]
pub(super) struct Wish {
    mode: CacheMode,
    threshold: f32,
    tool_calls: bool,
    reads: bool,
    writes: bool,
    /// Whose answers are served and kept.
    candidates: Vec<Candidate>,
    asker: String,
    /// The state of the collection that passages come from.
    snapshot: Value,
}

impl Wish {
    /// What a request wants of the cache, by its own words, else by its route; `None`: nothing.
    ///
    /// Errors: a threshold that makes no sense.
    pub(super) fn of(
        services: &Services,
        route: &Route,
        input: Option<CacheInput>,
        caller: &Caller,
    ) -> Result<Option<Self>, ServiceError> {
        let input = input.unwrap_or(CacheInput {
            mode: Some(route.cache),
            ..CacheInput::default()
        });
        let threshold = input.threshold.unwrap_or(services.limits.cache_threshold);
        check_threshold(threshold).map_err(|problem| {
            ServiceError::bad_request(format!("cache.threshold: {problem}"))
                .param("cache.threshold")
        })?;
        let mode = input.mode.unwrap_or(CacheMode::Exact);
        if mode == CacheMode::Off || !services.kept.is_on() {
            return Ok(None);
        }
        Ok(Some(Self {
            mode,
            threshold,
            tool_calls: input.tool_calls,
            reads: !caller.no_cache && !caller.no_store,
            writes: !caller.no_store,
            candidates: route.equals().cloned().collect(),
            asker: caller.key.clone(),
            snapshot: Value::Null,
        }))
    }

    /// Notes the position of the collection before passages are looked for, so that every later write
    /// makes a difference. `None`, and no cache, when nobody can tell it.
    pub(super) async fn look_at(
        self,
        services: &Services,
        retrieval: &RetrievalInput,
    ) -> Option<Self> {
        // A collection that does not answer is the retrieval's to tell.
        let found = collections::get(services, &retrieval.collection).await;
        self.at(
            retrieval,
            found.ok().and_then(|state| state.info.position()),
        )
    }

    fn at(mut self, retrieval: &RetrievalInput, lsn: Option<u64>) -> Option<Self> {
        self.snapshot = json!({"asked": retrieval, "lsn": lsn?});
        Some(self)
    }

    /// Looks for an answer. What comes with it keeps the answer that will be given, if there is none.
    pub(super) async fn find(
        self,
        services: &Services,
        request: &ChatRequest,
        passages: Option<&[Passage]>,
    ) -> (Option<(Arc<Kept>, CacheStatus)>, Keeping) {
        let semantic = self.mode == CacheMode::Semantic;
        let similar = semantic.then_some(self.asker.as_str());
        let mut asked = Asked::new(request, passages, &self.snapshot, similar);
        let cache = &services.kept;
        let now = now_ms();
        let mut found = None;
        if self.reads {
            let keys = self.candidates.iter().map(|candidate| asked.key(candidate));
            let mut exact = keys.filter_map(|key| cache.exact(&key, self.tool_calls, now));
            found = exact.next().map(|kept| (kept, CacheStatus::Hit));
        }
        let mut vector = None;
        if let Some(question) = asked.take_question().filter(|_| found.is_none()) {
            vector = question_vector(services, question, request.trace()).await;
        }
        if let Some(vector) = vector.as_ref().filter(|_| self.reads) {
            let near = self.candidates.iter().filter_map(|candidate| {
                let key = asked.near(candidate)?;
                Some(Near {
                    key,
                    vector: Arc::clone(vector),
                })
            });
            let mut similar =
                near.filter_map(|near| cache.nearest(&near, self.threshold, self.tool_calls, now));
            found = similar.next().map(|kept| (kept, CacheStatus::Semantic));
        }
        if self.reads && found.is_none() {
            cache.missed();
        }
        let keeping = Keeping {
            wish: self,
            asked,
            vector,
        };
        (found, keeping)
    }
}

/// The vector of a question; `None` when it is longer than the model reads.
async fn question_vector(
    services: &Services,
    text: String,
    trace: Option<&Trace>,
) -> Option<Arc<[f32]>> {
    let model = services.embedders.resolve(EMBEDDED).ok()?;
    let vectors = embed::vectors(services, &model, &[text], false, trace).await;
    Some(vectors.ok()?.into_iter().next()?.vector)
}

/// Where the answer to a request is kept.
pub(super) struct Keeping {
    wish: Wish,
    asked: Asked,
    vector: Option<Arc<[f32]>>,
}

impl Keeping {
    /// Keeps an answer, when it is one that may be kept and comes from who would be asked first.
    pub(super) fn keep(
        &self,
        services: &Services,
        candidate: &Candidate,
        reply: &ChatReply,
        passages: &[Passage],
    ) {
        if !self.wish.writes || !self.wish.candidates.contains(candidate) {
            return;
        }
        let kept = Kept::new(reply, candidate, passages, self.wish.tool_calls, now_ms());
        let Some(kept) = kept else { return };
        let key: ResponseKey = self.asked.key(candidate);
        let near = self.vector.as_ref().and_then(|vector| {
            Some(Near {
                key: self.asked.near(candidate)?,
                vector: Arc::clone(vector),
            })
        });
        services.kept.keep(key, kept, near);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_position_there_is_no_cache() {
        let retrieval: RetrievalInput =
            serde_json::from_value(json!({"collection": "docs"})).unwrap();
        let at = |lsn| {
            let wish = Wish {
                mode: CacheMode::Exact,
                threshold: 0.9,
                tool_calls: false,
                reads: true,
                writes: true,
                candidates: Vec::new(),
                asker: "k".to_owned(),
                snapshot: Value::Null,
            };
            wish.at(&retrieval, lsn).map(|wish| wish.snapshot)
        };
        assert_eq!(at(None), None);
        assert_eq!(at(Some(7)).unwrap()["lsn"], 7);
        assert_ne!(at(Some(7)), at(Some(8)));
    }
}
