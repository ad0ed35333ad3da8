//! `changes.json`: what was done to the journal's files other than to append to them.
//!
//! It is no evidence: that an erasure or a removal was asked for, the chain says. It says whether one is under way, so that
//! a crash does not leave it half done, and lets a reader see that files were replaced while it read.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::EvidenceLogError;
use crate::storage::disk::write_atomic;

/// The file's name.
pub(super) const FILE_NAME: &str = "changes.json";
/// The shape of the file.
const FORMAT: u8 = 1;

/// The state of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    format: u8,
    /// Grows with every change that is begun and every one that is completed.
    pub count: u64,
    /// The number of the first file; what is before it may go.
    pub begins: u64,
    /// While a change is under way: what its records say, from this sequence number on, may not be done yet.
    pub pending: Option<u64>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            format: FORMAT,
            count: 0,
            begins: 1,
            pending: None,
        }
    }
}

impl Changes {
    /// Reads them; a journal without the file had none.
    ///
    /// Errors: the file cannot be read, or makes no sense.
    pub fn read(dir: &Path) -> Result<Self, EvidenceLogError> {
        let path = dir.join(FILE_NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(EvidenceLogError::io("read", &path, &error)),
        };
        let changes: Self = serde_json::from_slice(&bytes)
            .map_err(|error| EvidenceLogError::damaged(FILE_NAME, 1, 0, error))?;
        if changes.format != FORMAT {
            let reason = format!("format {} is not {FORMAT}", changes.format);
            return Err(EvidenceLogError::damaged(FILE_NAME, 1, 0, reason));
        }
        Ok(changes)
    }

    /// Notes that a change begins, whose records will have this number and later ones. One that is pending already stays
    /// so with it.
    pub(super) fn begin(&mut self, dir: &Path, seq: u64) -> Result<(), EvidenceLogError> {
        self.pending = Some(self.pending.unwrap_or(seq).min(seq));
        self.write(dir)
    }

    /// Notes that all is done.
    pub(super) fn end(&mut self, dir: &Path) -> Result<(), EvidenceLogError> {
        self.pending = None;
        self.write(dir)
    }

    /// Replaces the file.
    pub(super) fn write(&mut self, dir: &Path) -> Result<(), EvidenceLogError> {
        self.count += 1;
        let path = dir.join(FILE_NAME);
        let text = serde_json::to_string(self).map_err(|error| EvidenceLogError::Io {
            action: "encode",
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        write_atomic(&path, format!("{text}\n").as_bytes()).map_err(EvidenceLogError::of_storage)
    }
}
