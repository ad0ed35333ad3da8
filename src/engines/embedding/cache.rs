//! Vectors of texts seen before, bounded in bytes. Texts themselves are not kept, only their
//! hashes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use serde::Serialize;

use super::encoding::Written;
use crate::storage::vector_cache::{KeptModel, KeptVector};

/// Bytes of an entry besides its floats: key, value, the two counts of the `Arc`, and the cache's
/// own table, which `quick_cache` documents as 21 bytes an entry and up to twice as many slots as
/// entries.
const ENTRY_BYTES: u64 = 144;

/// Bytes of a [`Written`] besides its texts, with the counts of two `Arc`s.
const WRITTEN_BYTES: u64 = 32 + size_of::<Written>() as u64;

/// Bytes of an entry of a common model, to size the table of evicted keys.
const TYPICAL_ENTRY_BYTES: u64 = ENTRY_BYTES + 4 * 256;

/// Locks of a cache large enough to need several; a power of two, as `quick_cache` rounds to one.
const SHARDS: u64 = 16;

/// Bytes that are hashed in one piece.
const SHORT: usize = 512;

/// Names a text under a model: the first 16 bytes of a BLAKE3 hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 16]);

impl CacheKey {
    /// Names `text` under the model of `fingerprint`.
    pub fn of(fingerprint: &str, text: &str) -> Self {
        // The length keeps ("ab", "c") apart from ("a", "bc").
        let len = (fingerprint.len() as u64).to_le_bytes();
        let parts = [&len, fingerprint.as_bytes(), text.as_bytes()];
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let mut short = [0; SHORT];
        let hash = match short.get_mut(..bytes) {
            // A third of the time that the streaming hasher takes, which is made for long inputs.
            Some(short) => {
                let mut rest = &mut *short;
                for part in parts {
                    let (own, later) = rest.split_at_mut(part.len());
                    own.copy_from_slice(part);
                    rest = later;
                }
                blake3::hash(short)
            }
            None => {
                let mut hasher = blake3::Hasher::new();
                for part in parts {
                    hasher.update(part);
                }
                hasher.finalize()
            }
        };
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_bytes()[..16]);
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
    /// The answer that it was last sent in, once it was found here.
    pub written: Option<Arc<Written>>,
}

impl CachedVector {
    /// A vector that no answer holds yet.
    pub fn new(vector: Arc<[f32]>, tokens: u32) -> Self {
        Self {
            vector,
            tokens,
            written: None,
        }
    }

    /// Bytes that it and its place in the cache take.
    fn weight(&self) -> u64 {
        let written = self.written.as_ref();
        let written = written.map_or(0, |written| {
            WRITTEN_BYTES + (written.json.len() + written.model.len()) as u64
        });
        ENTRY_BYTES + size_of_val(&*self.vector) as u64 + written
    }
}

/// What the cache has done since the start, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// Texts found.
    pub hits: u64,
    /// Texts not found.
    pub misses: u64,
    /// Vectors dropped for want of room.
    pub evictions: u64,
    /// Vectors held.
    pub entries: u64,
    /// Their size with what it takes to keep them.
    pub bytes: u64,
}

/// Remembers vectors by model and text. Safe to share between threads.
pub struct EmbeddingCache {
    entries: Cache<CacheKey, Entry, ByBytes, DefaultHashBuilder, Evictions>,
    /// Fingerprints; an entry holds the place of its own.
    models: RwLock<Vec<String>>,
    hits: AtomicU64,
    misses: AtomicU64,
    inserts: AtomicU64,
    evictions: Evictions,
}

#[derive(Clone)]
struct Entry {
    found: CachedVector,
    model: u32,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<CacheKey, Entry> for ByBytes {
    fn weight(&self, _key: &CacheKey, entry: &Entry) -> u64 {
        entry.found.weight()
    }
}

/// Counts what the cache drops.
#[derive(Clone, Default)]
struct Evictions(Arc<AtomicU64>);

impl Lifecycle<CacheKey, Entry> for Evictions {
    type RequestState = ();

    fn on_evict(&self, _state: &mut (), _key: CacheKey, _entry: Entry) {
        self.0.fetch_add(1, Ordering::Relaxed);
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
        let evictions = Evictions::default();
        let entries = match options {
            Ok(options) => Cache::with_options(
                options,
                ByBytes,
                DefaultHashBuilder::default(),
                evictions.clone(),
            ),
            // `build` fails only when a capacity is not set.
            Err(_) => Cache::with(
                items,
                bytes,
                ByBytes,
                DefaultHashBuilder::default(),
                evictions.clone(),
            ),
        };
        Self {
            entries,
            models: RwLock::default(),
            inserts: AtomicU64::new(0),
            evictions,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Returns a vector that is known. Counts nothing: see [`Self::count_hits`].
    pub fn find(&self, key: &CacheKey) -> Option<CachedVector> {
        self.entries.get(key).map(|entry| entry.found)
    }

    /// Counts texts that [`Self::find`] found.
    pub fn count_hits(&self, texts: u64) {
        self.hits.fetch_add(texts, Ordering::Relaxed);
    }

    /// Keeps an answer beside the vector that it holds, in place of that of another form. The sum of the sizes stays
    /// within that of the cache; what would fill it alone is not kept.
    pub fn keep_written(&self, key: &CacheKey, written: Arc<Written>) {
        let Some(mut entry) = self.entries.peek(key) else {
            return;
        };
        entry.found.written = Some(written);
        // One that is heavier than a shard would be dropped, with its vector.
        if entry.found.weight() * SHARDS <= self.entries.capacity() {
            self.entries.insert(*key, entry);
            // What is replaced counts as dropped, and was not.
            self.evictions.0.fetch_sub(1, Ordering::Relaxed);
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
        found.map(|entry| entry.found)
    }

    /// The same for a text that was counted already.
    pub fn peek(&self, key: &CacheKey) -> Option<CachedVector> {
        self.entries.peek(key).map(|entry| entry.found)
    }

    /// Remembers a vector by the model of `fingerprint`; an older one of the same key is replaced.
    pub fn insert(&self, fingerprint: &str, key: CacheKey, found: CachedVector) {
        let model = self.model(fingerprint);
        self.entries.insert(key, Entry { found, model });
        self.inserts.fetch_add(1, Ordering::Relaxed);
    }

    /// How many vectors were inserted since the start: tells whether there is something to save.
    pub fn inserts(&self) -> u64 {
        self.inserts.load(Ordering::Relaxed)
    }

    /// Lists what is held, by model. Vectors are shared, not copied.
    pub fn export(&self) -> Vec<KeptModel> {
        let names = self
            .models
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut models: Vec<KeptModel> = names
            .into_iter()
            .map(|fingerprint| KeptModel {
                fingerprint,
                dim: 0,
                rows: Vec::new(),
            })
            .collect();
        for (key, Entry { found, model }) in self.entries.iter() {
            // A model that came after the names were read is for the next time.
            if let Some(kept) = models.get_mut(model as usize) {
                kept.dim = found.vector.len();
                kept.rows.push(KeptVector {
                    key: key.0,
                    tokens: found.tokens,
                    vector: found.vector,
                });
            }
        }
        models.retain(|model| !model.rows.is_empty());
        models
    }

    /// Takes a vector back that [`Self::export`] gave. Returns false when there is no more room.
    pub fn import(&self, fingerprint: &str, kept: KeptVector) -> bool {
        let bytes = ENTRY_BYTES + size_of_val(&*kept.vector) as u64;
        if self.entries.weight() + bytes > self.entries.capacity() {
            return false;
        }
        let model = self.model(fingerprint);
        let found = CachedVector::new(kept.vector, kept.tokens);
        self.entries
            .insert(CacheKey(kept.key), Entry { found, model });
        true
    }

    /// The place of a fingerprint, which it gets when it is new.
    fn model(&self, fingerprint: &str) -> u32 {
        let place = |models: &[String]| models.iter().position(|known| known == fingerprint);
        let known = place(&self.models.read().unwrap_or_else(PoisonError::into_inner));
        let place = known.unwrap_or_else(|| {
            let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
            place(&models).unwrap_or_else(|| {
                models.push(fingerprint.to_owned());
                models.len() - 1
            })
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Reads the counters.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.0.load(Ordering::Relaxed),
            entries: self.entries.len() as u64,
            bytes: self.entries.weight(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoding::Form;
    use super::*;

    fn vector(dim: usize, value: f32, tokens: u32) -> CachedVector {
        CachedVector::new(vec![value; dim].into(), tokens)
    }

    fn key(text: &str) -> CacheKey {
        CacheKey::of("m", text)
    }

    #[test]
    fn a_vector_is_found_by_its_own_model_and_text_only() {
        let cache = EmbeddingCache::new(1 << 20);
        let own = CacheKey::of("ab", "c");
        cache.insert("m", own, vector(4, 1.0, 7));
        assert_eq!(cache.get(&own), Some(vector(4, 1.0, 7)));
        for (fingerprint, text) in [("a", "bc"), ("abc", ""), ("", "abc"), ("ab", "C")] {
            let other = CacheKey::of(fingerprint, text);
            assert_eq!(cache.get(&other), None, "{fingerprint:?} {text:?}");
        }
        cache.insert("m", own, vector(4, 2.0, 8));
        assert_eq!(cache.get(&own).map(|hit| hit.tokens), Some(8));
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses, stats.entries), (2, 4, 1));
        assert_eq!(stats.bytes, ENTRY_BYTES + 16);
    }

    #[test]
    fn short_and_long_texts_are_named_by_the_hash_of_the_same_bytes() {
        for len in [0, 1, SHORT - 9, SHORT - 8, 3_000] {
            let text = "x".repeat(len);
            let mut hasher = blake3::Hasher::new();
            hasher.update(&1_u64.to_le_bytes()).update(b"m");
            hasher.update(text.as_bytes());
            let hash = hasher.finalize();
            assert_eq!(CacheKey::of("m", &text).0, hash.as_bytes()[..16], "{len}");
        }
    }

    #[test]
    fn what_was_written_counts_and_makes_room_like_a_vector() {
        let written = |len: usize| {
            let form = Form {
                base64: true,
                dims: None,
            };
            Arc::new(Written {
                form,
                model: "".into(),
                json: vec![b'x'; len].into(),
                vector: 0..len,
            })
        };
        let cache = EmbeddingCache::new(1 << 20);
        cache.insert("m", key("a"), vector(4, 1.0, 1));
        cache.keep_written(&key("a"), written(100));
        cache.keep_written(&key("b"), written(100));
        let found = cache.find(&key("a")).unwrap();
        assert_eq!(found.written, Some(written(100)));
        let stats = cache.stats();
        assert_eq!(stats.bytes, ENTRY_BYTES + 16 + WRITTEN_BYTES + 100);
        assert_eq!((stats.entries, stats.evictions, stats.hits), (1, 0, 0));
        for text in 0..1_000 {
            let key = key(&text.to_string());
            cache.insert("m", key, vector(256, 0.0, 1));
            cache.keep_written(&key, written(3_000));
            assert!(cache.stats().bytes <= 1 << 20);
        }
        // A text that would fill the cache alone costs nothing that is there.
        let small = EmbeddingCache::new(10_000);
        small.insert("m", key("a"), vector(4, 1.0, 1));
        small.keep_written(&key("a"), written(9_900));
        assert_eq!(small.find(&key("a")), Some(vector(4, 1.0, 1)));
    }

    #[test]
    fn it_never_grows_past_its_size() {
        for bytes in [0, 1, 1_000, 1_000_003, 10_000_019] {
            let cache = EmbeddingCache::new(bytes);
            assert!(cache.entries.capacity() <= bytes, "{bytes}");
            for text in 0..12_000 {
                cache.insert("m", key(&text.to_string()), vector(256, 0.0, 1));
                assert!(cache.stats().bytes <= bytes, "{bytes}");
            }
            let kept = cache.stats().entries;
            assert_eq!(cache.stats().evictions, 12_000 - kept, "{bytes}");
            assert!(
                kept >= bytes.min(10_000_000) / TYPICAL_ENTRY_BYTES * 9 / 10,
                "{bytes}: {kept}"
            );
        }
    }

    #[test]
    fn an_entry_larger_than_the_cache_is_not_kept() {
        let cache = EmbeddingCache::new(10_000);
        cache.insert("m", key("small"), vector(4, 1.0, 1));
        cache.insert("m", key("large"), vector(100_000, 1.0, 1));
        assert_eq!(cache.get(&key("large")), None);
        assert!(cache.get(&key("small")).is_some());
        // A replacement that does not fit must not leave the old vector behind.
        cache.insert("m", key("small"), vector(100_000, 1.0, 1));
        assert_eq!(cache.get(&key("small")), None);
    }

    #[test]
    fn what_is_exported_is_found_by_another_cache_as_far_as_it_has_room() {
        let cache = EmbeddingCache::new(1 << 20);
        for text in 0..50 {
            let key = CacheKey::of("a", &text.to_string());
            cache.insert("a", key, vector(4, 0.5, text));
        }
        cache.insert("b", key("x"), vector(2, 1.0, 1));
        let exported = cache.export();
        let sizes: Vec<(&str, usize, usize)> = exported
            .iter()
            .map(|model| (model.fingerprint.as_str(), model.dim, model.rows.len()))
            .collect();
        assert_eq!(sizes, [("a", 4, 50), ("b", 2, 1)]);
        let other = EmbeddingCache::new(1 << 20);
        for model in exported.clone() {
            for row in model.rows {
                assert!(other.import(&model.fingerprint, row));
            }
        }
        let found = other.get(&CacheKey::of("a", "7"));
        assert_eq!(found, Some(vector(4, 0.5, 7)));
        assert_eq!((other.export().len(), other.inserts()), (2, 0));
        let small = EmbeddingCache::new(1_000);
        let rows = exported[0].rows.iter().cloned();
        let taken = rows
            .take_while(|row| small.import("a", row.clone()))
            .count();
        assert_eq!((taken, small.stats().evictions), (6, 0));
    }
}
