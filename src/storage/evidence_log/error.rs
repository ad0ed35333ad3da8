//! What can go wrong with the journal.

use std::fmt::Display;
use std::io;
use std::path::Path;

use crate::storage::disk::StorageError;
use crate::types::error_kind::ErrorKind;

/// A failed journal operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceLogError {
    /// The disk failed. Stop: the journal refuses to append until it is reopened.
    #[error("evidence journal: cannot {action} {path}: {reason}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: String,
        /// What the operating system said.
        reason: String,
    },
    /// An earlier write or sync failed. Restart the evidence cell: reopening checks the tail.
    #[error("evidence journal takes no more records until it is reopened: {reason}")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// The files are not what was written. Stop; restore them from a backup.
    #[error("evidence journal is damaged at {file} line {line} (seq {seq} expected): {reason}")]
    Damaged {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: u64,
        /// The sequence number that belongs there.
        seq: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Records that `heads.log` has seen are gone. Stop; restore them.
    #[error(
        "evidence journal was cut: it ends at seq {found}, but heads.log has seen seq {seen}; \
         restore the records, or remove heads.log to accept the loss"
    )]
    TailCut {
        /// The last record that is there.
        found: u64,
        /// The last record that was there.
        seen: u64,
    },
    /// A record is too large. Skip it.
    #[error("evidence record of {bytes} bytes is larger than max_record_bytes = {max}")]
    TooLarge {
        /// Size of its line.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// A record is nested too deeply to be read back. Skip it.
    #[error("evidence record is nested deeper than {max} levels")]
    TooDeep {
        /// The bound.
        max: usize,
    },
    /// A record is of a type that JSON does not have. A fault of ours.
    #[error("evidence record is no JSON: {0}")]
    NotJson(String),
    /// The settings are out of range. Stop.
    #[error("evidence settings: {0}")]
    Config(String),
    /// Files of the journal were replaced again and again while it was read. Retry.
    #[error("files of the evidence journal were replaced while it was read; try again")]
    Replaced,
}

impl EvidenceLogError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Damaged { .. } | Self::TailCut { .. } | Self::NotJson(_) => ErrorKind::Internal,
            // A full disk gets room again, and the cell reopens the journal.
            Self::Io { .. } | Self::Poisoned { .. } | Self::Replaced => ErrorKind::Unavailable,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::TooDeep { .. } | Self::Config(_) => ErrorKind::BadRequest,
        }
    }

    /// Names what was tried on which file.
    pub(super) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io {
            action,
            path: path.display().to_string(),
            reason: error.to_string(),
        }
    }

    /// What a file that is replaced whole met.
    pub(super) fn of_storage(error: StorageError) -> Self {
        match error {
            StorageError::Io {
                action,
                file,
                reason,
            } => Self::Io {
                action,
                path: file,
                reason,
            },
            other => Self::Io {
                action: "replace",
                path: "a file".to_owned(),
                reason: other.to_string(),
            },
        }
    }

    /// Names the place of the damage.
    pub(super) fn damaged(file: &str, line: u64, seq: u64, reason: impl Display) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            line,
            seq,
            reason: reason.to_string(),
        }
    }
}
