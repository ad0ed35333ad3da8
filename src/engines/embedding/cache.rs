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

/// First 16 bytes of a BLAKE3 hash.
type Key = [u8; 16];

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
    entries:
        Cache<Key, CachedVector, ByBytes, DefaultHashBuilder, DefaultLifecycle<Key, CachedVector>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, CachedVector> for ByBytes {
    fn weight(&self, _key: &Key, value: &CachedVector) -> u64 {
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

    /// Returns the vector of `text` by the model of `fingerprint`, when it is known.
    pub fn get(&self, fingerprint: &str, text: &str) -> Option<CachedVector> {
        let found = self.entries.get(&key(fingerprint, text));
        let counter = if found.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Remembers `vector`; an older one of the same text is replaced.
    pub fn insert(&self, fingerprint: &str, text: &str, vector: Arc<[f32]>, tokens: u32) {
        self.entries
            .insert(key(fingerprint, text), CachedVector { vector, tokens });
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

fn key(fingerprint: &str, text: &str) -> Key {
    let mut hasher = blake3::Hasher::new();
    // The length keeps ("ab", "c") apart from ("a", "bc").
    hasher.update(&(fingerprint.len() as u64).to_le_bytes());
    hasher
        .update(fingerprint.as_bytes())
        .update(text.as_bytes());
    let mut key = Key::default();
    hasher.finalize_xof().fill(&mut key);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(dim: usize, value: f32) -> Arc<[f32]> {
        vec![value; dim].into()
    }

    #[test]
    fn a_vector_is_found_by_its_own_model_and_text_only() {
        let cache = EmbeddingCache::new(1 << 20);
        cache.insert("ab", "c", vector(4, 1.0), 7);
        assert_eq!(
            cache.get("ab", "c"),
            Some(CachedVector {
                vector: vector(4, 1.0),
                tokens: 7
            })
        );
        for (fingerprint, text) in [("a", "bc"), ("abc", ""), ("", "abc"), ("ab", "C")] {
            assert_eq!(
                cache.get(fingerprint, text),
                None,
                "{fingerprint:?} {text:?}"
            );
        }
        cache.insert("ab", "c", vector(4, 2.0), 8);
        assert_eq!(cache.get("ab", "c").map(|hit| hit.tokens), Some(8));
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
                cache.insert("m", &text.to_string(), vector(256, 0.0), 1);
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
        cache.insert("m", "small", vector(4, 1.0), 1);
        cache.insert("m", "large", vector(100_000, 1.0), 1);
        assert_eq!(cache.get("m", "large"), None);
        assert!(cache.get("m", "small").is_some());
        // A replacement that does not fit must not leave the old vector behind.
        cache.insert("m", "small", vector(100_000, 1.0), 1);
        assert_eq!(cache.get("m", "small"), None);
    }
}
