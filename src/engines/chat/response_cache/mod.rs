//! Answers that were given, kept for requests that ask the same; bounded in bytes, each for a while.

mod config;
mod key;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use serde::Serialize;

pub use config::{CacheMode, ResponseCacheConfig, check_threshold};
pub use key::{Asked, ResponseKey};

use super::routing::Candidate;
use crate::types::chat::{ChatReply, FinishReason, Passage};

/// Bytes of an entry besides its texts: keys, counts, the cache's own table.
const ENTRY_BYTES: usize = 256;
/// Bytes of a common answer, to size the table of evicted keys.
const TYPICAL_BYTES: u64 = 2_048;
/// Similar questions that are compared; one more takes the place of the oldest.
const MAX_NEAR: usize = 64;

/// An answer that was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The answer.
    pub reply: ChatReply,
    /// Who gave it.
    pub candidate: Candidate,
    /// Collection and id of the passages, in the order of their numbers.
    order: Vec<(String, String)>,
    kept_ms: u64,
    bytes: usize,
}

impl Kept {
    /// An answer that may be kept; `None` for one that may not: a refusal, one that was cut, one that
    /// says nothing, and calls of tools unless `tool_calls`.
    pub fn new(
        reply: &ChatReply,
        candidate: &Candidate,
        passages: &[Passage],
        tool_calls: bool,
        now_ms: u64,
    ) -> Option<Self> {
        let calls = !reply.tool_calls.is_empty() || reply.finish == FinishReason::ToolCalls;
        let whole = match reply.finish {
            FinishReason::Stop | FinishReason::ToolCalls => reply.refusal.is_none(),
            FinishReason::Length | FinishReason::ContentFilter => false,
        };
        let says = !reply.text.trim().is_empty() || !reply.tool_calls.is_empty();
        if !whole || !says || (calls && !tool_calls) {
            return None;
        }
        let order: Vec<(String, String)> = passages
            .iter()
            .map(|passage| (passage.collection.clone(), passage.id.clone()))
            .collect();
        let written = |value: serde_json::Result<String>| value.map_or(0, |text| text.len());
        let bytes = ENTRY_BYTES
            + reply.text.len()
            + reply.reasoning.as_ref().map_or(0, String::len)
            + written(serde_json::to_string(&reply.thinking_blocks))
            + written(serde_json::to_string(&reply.tool_calls))
            + candidate.provider.len()
            + candidate.model.len()
            + order
                .iter()
                .map(|(collection, id)| 48 + collection.len() + id.len())
                .sum::<usize>();
        Some(Self {
            reply: reply.clone(),
            candidate: candidate.clone(),
            order,
            kept_ms: now_ms,
            bytes,
        })
    }

    /// Puts passages, which are the same ones, into the order of the answer's numbers.
    pub fn arrange(&self, passages: &mut [Passage]) {
        passages.sort_by_key(|passage| {
            let own = |(collection, id): &(String, String)| {
                *collection == passage.collection && *id == passage.id
            };
            self.order.iter().position(own)
        });
    }

    fn suits(&self, tool_calls: bool) -> bool {
        tool_calls || self.reply.tool_calls.is_empty()
    }
}

/// Where an answer to a similar question is looked for.
#[derive(Debug, Clone)]
pub struct Near {
    /// The questions that differ in their words only.
    pub key: ResponseKey,
    /// The question's vector, normalised.
    pub vector: Arc<[f32]>,
}

/// What the cache holds under a key.
#[derive(Debug, Clone)]
enum Entry {
    Answer(Arc<Kept>),
    /// Vectors of questions, the oldest first, and the keys of their answers.
    Questions(Arc<Vec<(Arc<[f32]>, ResponseKey)>>),
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<ResponseKey, Entry> for ByBytes {
    fn weight(&self, _key: &ResponseKey, entry: &Entry) -> u64 {
        let bytes = match entry {
            Entry::Answer(kept) => kept.bytes,
            Entry::Questions(questions) => {
                let vectors = questions.iter();
                let vectors = vectors.map(|(vector, _)| 64 + size_of_val(&**vector));
                ENTRY_BYTES + vectors.sum::<usize>()
            }
        };
        bytes as u64
    }
}

/// Counts the answers that are dropped.
#[derive(Debug, Clone, Default)]
struct Evictions(Arc<AtomicU64>);

impl Lifecycle<ResponseKey, Entry> for Evictions {
    type RequestState = ();

    fn on_evict(&self, _state: &mut (), _key: ResponseKey, entry: Entry) {
        if matches!(entry, Entry::Answer(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What the cache has done since the start, and what it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ResponseCacheStats {
    /// Requests that were answered from it, being the same.
    pub hits: u64,
    /// Requests that were answered from it, being similar.
    pub semantic_hits: u64,
    /// Requests that were looked for and not found.
    pub misses: u64,
    /// Answers dropped for want of room.
    pub evictions: u64,
    /// Size of what it holds.
    pub bytes: u64,
}

/// The cache. Safe to share between threads.
pub struct ResponseCache {
    entries: Cache<ResponseKey, Entry, ByBytes, DefaultHashBuilder, Evictions>,
    ttl_ms: u64,
    hits: AtomicU64,
    semantic_hits: AtomicU64,
    misses: AtomicU64,
    evictions: Evictions,
}

impl ResponseCache {
    /// Makes an empty cache.
    pub fn new(config: &ResponseCacheConfig) -> Self {
        let items = usize::try_from(config.bytes / TYPICAL_BYTES).unwrap_or(usize::MAX);
        let evictions = Evictions::default();
        // One lock: an answer of a model is far slower than any wait for it.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(items)
            .weight_capacity(config.bytes)
            .build();
        let hashes = DefaultHashBuilder::default();
        let entries = match options {
            Ok(options) => Cache::with_options(options, ByBytes, hashes, evictions.clone()),
            // `build` fails only when a capacity is not set.
            Err(_) => Cache::with(items, config.bytes, ByBytes, hashes, evictions.clone()),
        };
        Self {
            entries,
            ttl_ms: config.ttl_ms,
            hits: AtomicU64::new(0),
            semantic_hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            evictions,
        }
    }

    /// Whether it can keep anything.
    pub fn is_on(&self) -> bool {
        self.entries.capacity() > 0
    }

    /// Finds the answer to the same request, and counts it; calls of tools only with `tool_calls`.
    pub fn exact(&self, key: &ResponseKey, tool_calls: bool, now_ms: u64) -> Option<Arc<Kept>> {
        let found = self.answer(key, tool_calls, now_ms)?;
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(found)
    }

    /// Finds the answer to the most similar question of a cosine of at least `threshold`, and counts it.
    pub fn nearest(
        &self,
        near: &Near,
        threshold: f32,
        tool_calls: bool,
        now_ms: u64,
    ) -> Option<Arc<Kept>> {
        let Some(Entry::Questions(questions)) = self.entries.get(&near.key) else {
            return None;
        };
        let mut alike: Vec<(f32, &ResponseKey)> = questions
            .iter()
            .map(|(vector, key)| (cosine(vector, &near.vector), key))
            .filter(|(likeness, _)| *likeness >= threshold)
            .collect();
        alike.sort_by(|one, two| two.0.total_cmp(&one.0));
        let found = alike
            .into_iter()
            .find_map(|(_, key)| self.answer(key, tool_calls, now_ms))?;
        self.semantic_hits.fetch_add(1, Ordering::Relaxed);
        Some(found)
    }

    /// Forgets every answer.
    pub fn clear(&self) {
        self.entries.clear();
    }

    /// Counts a request that was not found.
    pub fn missed(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps an answer, in place of an older one to the same request; with `near`, for similar
    /// questions too.
    pub fn keep(&self, key: ResponseKey, kept: Kept, near: Option<Near>) {
        // What is replaced would count as dropped.
        self.entries.remove(&key);
        self.entries.insert(key, Entry::Answer(Arc::new(kept)));
        let Some(near) = near else { return };
        let mut questions = match self.entries.get(&near.key) {
            Some(Entry::Questions(questions)) => (*questions).clone(),
            _ => Vec::new(),
        };
        questions.retain(|(_, known)| *known != key);
        if questions.len() >= MAX_NEAR {
            questions.remove(0);
        }
        questions.push((near.vector, key));
        // Of two that come at once one may be lost, and is a miss more.
        let questions = Entry::Questions(Arc::new(questions));
        self.entries.insert(near.key, questions);
    }

    /// Reads the counters.
    pub fn stats(&self) -> ResponseCacheStats {
        ResponseCacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            semantic_hits: self.semantic_hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.0.load(Ordering::Relaxed),
            bytes: self.entries.weight(),
        }
    }

    fn answer(&self, key: &ResponseKey, tool_calls: bool, now_ms: u64) -> Option<Arc<Kept>> {
        let Some(Entry::Answer(kept)) = self.entries.get(key) else {
            return None;
        };
        if now_ms.saturating_sub(kept.kept_ms) >= self.ttl_ms {
            self.entries.remove(key);
            return None;
        }
        kept.suits(tool_calls).then_some(kept)
    }
}

/// The cosine of two normalised vectors; -1 when they cannot be compared.
fn cosine(one: &[f32], two: &[f32]) -> f32 {
    if one.len() != two.len() {
        return -1.0;
    }
    one.iter().zip(two).map(|(one, two)| one * two).sum()
}

#[cfg(test)]
mod tests;
