//! The cache with the file that keeps it between two runs.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::engines::embedding::{Embedders, EmbeddingCache};
use crate::storage::disk::StorageError;
use crate::storage::vector_cache;

/// A cache, and where it is saved. What is in the file counts for nothing but speed: a damaged one
/// is written anew.
pub struct SavedCache {
    cache: EmbeddingCache,
    file: Option<PathBuf>,
    /// Inserts when it was last saved. Held while saving: one writer at a time.
    saved: Mutex<u64>,
}

impl Deref for SavedCache {
    type Target = EmbeddingCache;

    fn deref(&self) -> &EmbeddingCache {
        &self.cache
    }
}

impl SavedCache {
    /// Makes an empty cache; without a `file` it is never saved.
    pub fn new(cache: EmbeddingCache, file: Option<PathBuf>) -> Self {
        Self {
            cache,
            file,
            saved: Mutex::new(0),
        }
    }

    /// Takes from the file what `embedders` would still give, and returns how many vectors.
    /// Blocks.
    ///
    /// Errors: the file is damaged, or another version's; then nothing was taken.
    pub fn load(&self, embedders: &Embedders) -> Result<u64, StorageError> {
        let Some(file) = self.file.as_ref().filter(|file| file.exists()) else {
            return Ok(0);
        };
        let mut taken = 0;
        vector_cache::read(file, |fingerprint, kept| {
            if !embedders.knows(fingerprint, kept.vector.len()) {
                return true;
            }
            let fits = self.cache.import(fingerprint, kept);
            taken += u64::from(fits);
            fits
        })?;
        Ok(taken)
    }

    /// Saves what is new since the last time; returns whether there was something. Blocks.
    ///
    /// Errors: the disk's. The former file is still there.
    pub fn save(&self) -> Result<bool, StorageError> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let inserts = self.cache.inserts();
        if inserts == *saved {
            return Ok(false);
        }
        vector_cache::write(file, &self.cache.export())?;
        *saved = inserts;
        Ok(true)
    }
}
