//! Buckets, and folders that stand for one: whole objects in, whole objects out.
//!
//! Of S3, Google Cloud Storage and Azure it is `object_store` that speaks: it signs, retries with backoff what may go better,
//! and takes credentials from the environment or from the machine's role, which is the only case in which a link-local address
//! is asked. An object is there whole or not at all. Without the feature `object-storage` no bucket can be opened.

#[cfg_attr(feature = "object-storage", path = "objects/bucket.rs")]
#[cfg_attr(not(feature = "object-storage"), path = "objects/absent.rs")]
mod bucket;
#[cfg(test)]
#[cfg(feature = "object-storage")]
mod tests;

use std::time::Duration;

pub use bucket::Bucket;

use crate::types::error_kind::ErrorKind;

/// Waits for an answer so long at most; `None`: it takes longer.
pub async fn within<T>(wait: Duration, answer: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(wait, answer).await.ok()
}

/// An object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Below the bucket's prefix.
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

/// A call that failed. No variant holds a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The build has no object storage. Use another one.
    #[error(
        "this build has no object storage: build with --features object-storage, or use one that has it"
    )]
    Absent,
    /// The address or a setting of the environment cannot be used. Change it.
    #[error("object storage: {0}")]
    Config(String),
    /// There is no such object, or no such bucket.
    #[error("object storage: {path} is not there: {reason}")]
    NotFound {
        /// What was asked for.
        path: String,
        /// What the other side said.
        reason: String,
    },
    /// The credentials are missing, wrong, or not enough. Change them.
    #[error("object storage: not allowed to {action} {path}: {reason}")]
    Denied {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// What the other side said.
        reason: String,
    },
    /// It could not be done, after retries. Retry later.
    #[error("object storage: cannot {action} {path}: {reason}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// What the other side said.
        reason: String,
    },
    /// An object is larger than is read.
    #[error("object storage: {path} has more than {max} bytes")]
    TooLarge {
        /// Which.
        path: String,
        /// The bound.
        max: usize,
    },
    /// A file here is not what was to be sent: it was replaced meanwhile. Look again.
    #[error("{0} was replaced while it was sent")]
    Changed(String),
    /// Somebody stopped it. Begin it again when it is wanted.
    #[error("it was stopped")]
    Stopped,
    /// A file here cannot be read or written.
    #[error("cannot {action} {path}: {reason}")]
    Disk {
        /// What was tried.
        action: &'static str,
        /// Which.
        path: String,
        /// What the operating system said.
        reason: String,
    },
}

impl ObjectError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Absent | Self::Config(_) => ErrorKind::Unprocessable,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Changed(_) | Self::Stopped => ErrorKind::Conflict,
            Self::Denied { .. } | Self::Failed { .. } | Self::Disk { .. } => ErrorKind::Unavailable,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
        }
    }

    /// Names what was tried on which file here.
    pub fn disk(action: &'static str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Disk {
            action,
            path: path.display().to_string(),
            reason: error.to_string(),
        }
    }
}
