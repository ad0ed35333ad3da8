//! A move that is written down, so that a start goes on with it.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::storage::disk::{self, StorageError};
use crate::types::collection::{Backend, CollectionSpec};

/// Names one move of one collection: what is not its own is never removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::actors::index) struct MoveNote {
    pub(in crate::actors::index) name: String,
    /// Differs from move to move, and stands in the draft.
    pub(in crate::actors::index) id: String,
    pub(in crate::actors::index) from: Backend,
    pub(in crate::actors::index) to: Backend,
    /// When the collection was made: another of that name was made at another moment.
    pub(in crate::actors::index) created_ms: u64,
    /// Whether it was given up, and only what it made is to be cleared away.
    #[serde(default)]
    pub(in crate::actors::index) cancelled: bool,
}

impl MoveNote {
    pub(in crate::actors::index) fn new(spec: &CollectionSpec, from: Backend, to: Backend) -> Self {
        Self {
            name: spec.name.clone(),
            id: format!("{:016x}", RandomState::new().hash_one(spec.created_ms)),
            from,
            to,
            created_ms: spec.created_ms,
            cancelled: false,
        }
    }

    fn path(root: &Path, name: &str) -> PathBuf {
        root.join(format!(".move-{name}.json"))
    }

    pub(in crate::actors::index) fn store(&self, root: &Path) -> Result<(), StorageError> {
        let text = serde_json::to_vec(self).map_err(|error| StorageError::Codec {
            action: "encode",
            reason: error.to_string(),
        })?;
        disk::write_atomic(&Self::path(root, &self.name), &text)
    }

    /// The note of a collection's move, if there is one that can be read.
    pub(in crate::actors::index) fn load(root: &Path, name: &str) -> Option<Self> {
        read(&Self::path(root, name))
    }

    pub(in crate::actors::index) fn forget(root: &Path, name: &str) {
        if let Err(error) = disk::remove_if_there(&Self::path(root, name)) {
            tracing::warn!(collection = name, %error, "the note of its move stays");
        }
    }

    /// Those that were under way when the process ended, or wait for an engine.
    pub(in crate::actors::index) fn all(root: &Path) -> std::io::Result<Vec<Self>> {
        let mut notes = Vec::new();
        for entry in std::fs::read_dir(root)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(".move-") && name.ends_with(".json") {
                notes.extend(read(&path));
            }
        }
        Ok(notes)
    }
}

fn read(path: &Path) -> Option<MoveNote> {
    let text = std::fs::read(path).ok()?;
    match serde_json::from_slice(&text) {
        Ok(note) => Some(note),
        Err(error) => {
            tracing::warn!(file = %disk::short(path), %error, "no note of a move, left alone");
            None
        }
    }
}

/// A collection here that another backend has taken over, until it is removed.
pub(in crate::actors::index) fn moved_dir(root: &Path, name: &str) -> PathBuf {
    root.join(format!(".moved-{name}"))
}

/// A collection that is being brought here.
pub(in crate::actors::index) fn coming_dir(root: &Path, name: &str) -> PathBuf {
    root.join(format!(".moving-{name}"))
}
