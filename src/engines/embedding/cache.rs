//! Vectors of texts seen before, bounded in bytes. Texts themselves are not kept, only their
//! hashes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use serde::Serialize;

/// Bytes of an entry besides its floats: key, value, the two counts of the `Arc`, and the cache's
/// own table, which `quick_cache` documents as 21 bytes an entry and up to twice as many slots as
/// entries.
const ENTRY_BYTES: u64 = 144;

/// Bytes of an entry of a common model, to size the table of evicted keys.
const TYPICAL_ENTRY_BYTES: u64 = ENTRY_BYTES + 4 * 256;

/// Locks of a cache large enough to need several; a power of two, as `quick_cache` rounds to one.
const SHARDS: u64 = 16;

/// Names a text under a model: the first 16 bytes of a BLAKE3 hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 16]);

impl CacheKey {
    /// Names `text` under the model of `fingerprint`.
    pub fn of(fingerprint: &str, text: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        // The length keeps ("ab", "c") apart from ("a", "bc").
        hasher.update(&(fingerprint.len() as u64).to_le_bytes());
        hasher
            .update(fingerprint.as_bytes())
            .update(text.as_bytes());
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        Self(key)
    }
}

/// A remembered vector.
#[derive(Debug, Clone, PartialEq)]
pub struct CachedVector {
    /// L2-normalised.
    pub vector: Arc<[f32]>,
    /// Tokens read of the text.
    pub tokens: u32,
}

/// What the cache has done since the start, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// Texts found.
    pub hits: u64,
    /// Texts not found.
    pub misses: u64,
    /// Vectors held.
    pub entries: u64,
    /// Their size with what it takes to keep them.
    pub bytes: u64,
}

/// Remembers vectors by model and text. Safe to share between threads.
pub struct EmbeddingCache {
    entries: Cache<
        CacheKey,
        CachedVector,
        ByBytes,
        DefaultHashBuilder,
        DefaultLifecycle<CacheKey, CachedVector>,
    >,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<CacheKey, CachedVector> for ByBytes {
    fn weight(&self, _key: &CacheKey, value: &CachedVector) -> u64 {
        ENTRY_BYTES + size_of_val(&*value.vector) as u64
    }
}

impl EmbeddingCache {
    /// Makes an empty cache of at most `bytes`. An entry that does not fit is not kept; 0 keeps
    /// nothing.
    pub fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / TYPICAL_ENTRY_BYTES).unwrap_or(usize::MAX);
        // Small caches get fewer locks, so that one large vector still fits under one of them.
        let shards = (bytes / (TYPICAL_ENTRY_BYTES * 256)).clamp(1, SHARDS);
        let shards = if shards.is_power_of_two() {
            shards
        } else {
            shards.next_power_of_two() / 2
        };
        let options = OptionsBuilder::new()
            .shards(usize::try_from(shards).unwrap_or(1))
            .estimated_items_capacity(items)
            // `quick_cache` rounds each shard up; a multiple keeps the sum within `bytes`.
            .weight_capacity(bytes - bytes % shards)
            .build();
        let entries = match options {
            Ok(options) => Cache::with_options(
                options,
                ByBytes,
                DefaultHashBuilder::default(),
                Default::default(),
            ),
            // `build` fails only when a capacity is not set.
            Err(_) => Cache::with_weighter(items, bytes, ByBytes),
        };
        Self {
            entries,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Returns a vector that is known, and counts whether it was.
    pub fn get(&self, key: &CacheKey) -> Option<CachedVector> {
        let found = self.entries.get(key);
        let counter = if found.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// The same for a text that was counted already.
    pub fn peek(&self, key: &CacheKey) -> Option<CachedVector> {
        self.entries.peek(key)
    }

    /// Remembers `vector`; an older one of the same key is replaced.
    pub fn insert(&self, key: CacheKey, vector: CachedVector) {
        self.entries.insert(key, vector);
    }

    /// Reads the counters.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: self.entries.len() as u64,
            bytes: self.entries.weight(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(dim: usize, value: f32, tokens: u32) -> CachedVector {
        CachedVector {
            vector: vec![value; dim].into(),
            tokens,
        }
    }

    fn key(text: &str) -> CacheKey {
        CacheKey::of("m", text)
    }

    #[test]
    fn a_vector_is_found_by_its_own_model_and_text_only() {
        let cache = EmbeddingCache::new(1 << 20);
        let own = CacheKey::of("ab", "c");
        cache.insert(own, vector(4, 1.0, 7));
        assert_eq!(cache.get(&own), Some(vector(4, 1.0, 7)));
        for (fingerprint, text) in [("a", "bc"), ("abc", ""), ("", "abc"), ("ab", "C")] {
            let other = CacheKey::of(fingerprint, text);
            assert_eq!(cache.get(&other), None, "{fingerprint:?} {text:?}");
        }
        cache.insert(own, vector(4, 2.0, 8));
        assert_eq!(cache.get(&own).map(|hit| hit.tokens), Some(8));
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses, stats.entries), (2, 4, 1));
        assert_eq!(stats.bytes, ENTRY_BYTES + 16);
    }

    #[test]
    fn it_never_grows_past_its_size() {
        for bytes in [0, 1, 1_000, 1_000_003, 10_000_019] {
            let cache = EmbeddingCache::new(bytes);
            assert!(cache.entries.capacity() <= bytes, "{bytes}");
            for text in 0..12_000 {
                cache.insert(key(&text.to_string()), vector(256, 0.0, 1));
                assert!(cache.stats().bytes <= bytes, "{bytes}");
            }
            let kept = cache.stats().entries;
            assert!(
                kept >= bytes.min(10_000_000) / TYPICAL_ENTRY_BYTES * 9 / 10,
                "{bytes}: {kept}"
            );
        }
    }

    #[test]
    fn an_entry_larger_than_the_cache_is_not_kept() {
        let cache = EmbeddingCache::new(10_000);
        cache.insert(key("small"), vector(4, 1.0, 1));
        cache.insert(key("large"), vector(100_000, 1.0, 1));
        assert_eq!(cache.get(&key("large")), None);
        assert!(cache.get(&key("small")).is_some());
        // A replacement that does not fit must not leave the old vector behind.
        cache.insert(key("small"), vector(100_000, 1.0, 1));
        assert_eq!(cache.get(&key("small")), None);
    }
}
