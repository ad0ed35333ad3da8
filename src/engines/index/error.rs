//! What can go wrong in a collection.

use crate::storage::disk::StorageError;
use crate::types::collection::Backend;
use crate::types::error_kind::ErrorKind;
use crate::types::plain::counted;

/// A failed operation on a collection.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// A vector of another length than the collection's. Embed with the collection's model.
    #[error("{place}: wrong dimension: expected {expected}, got {got}")]
    WrongDimension {
        /// `points[3]` or `query vector`.
        place: String,
        /// The collection's dimension.
        expected: usize,
        /// The vector's length.
        got: usize,
    },
    /// A point that cannot be stored. Change it; nothing of its batch was stored.
    #[error("{place}: {reason}")]
    BadPoint {
        /// `points[3]`.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A search that cannot be answered. Change it.
    #[error("{0}")]
    BadQuery(String),
    /// A filter that cannot be read. Change it.
    #[error("filter at {path}: {reason}")]
    BadFilter {
        /// Where in the filter, as a JSON Pointer; `/` for the top.
        path: String,
        /// What is wrong there, and what would be right.
        reason: String,
    },
    /// Properties that no collection can have. Change them.
    #[error("{0}")]
    BadSpec(String),
    /// Points that no model can embed. Give them a text or delete them; nothing was changed.
    #[error(
        "without a text and so not to be embedded anew: {}: {}{}; give each a text, or delete it",
        counted(count, "point"),
        ids.join(", "),
        if *count > ids.len() { ", …" } else { "" }
    )]
    NoText {
        /// How many there are.
        count: usize,
        /// The first of them, in order.
        ids: Vec<String>,
    },
    /// The collection is being embedded anew. Retry when that is done, or cancel it.
    #[error(
        "collection {name} is being embedded anew, {done} of {of} points done: retry then, or cancel it by DELETE /v1/collections/{name}/reembed"
    )]
    Reembedding {
        /// The collection.
        name: String,
        /// Points that have their new vector.
        done: usize,
        /// All points.
        of: usize,
    },
    /// The collection has another model than the one that made the vectors. Retry: it embeds with the new one.
    #[error("collection {0} has another model since this moment; retry")]
    OtherModel(String),
    /// Settings that make no sense. Change the configuration.
    #[error("index settings: {0}")]
    BadConfig(String),
    /// More than a limit of the configuration allows. Send less, or raise the limit.
    #[error("{what}: {got} is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// How large it is.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// The folder is taken. Use another name.
    #[error("collection {0} exists already")]
    Exists(String),
    /// Another process, or a thread that still hangs, has the collection open. Retry later.
    #[error("collection {0} is open elsewhere; stop the other process or retry")]
    Locked(String),
    /// A failure left the memory behind the disk. Open it anew.
    #[error("collection {0} failed while writing and is being reopened; retry")]
    Poisoned(String),
    /// The engine that keeps the collection cannot be asked, or fails. Retry later; nothing is known of a write.
    #[error("{backend}: {reason}")]
    Engine {
        /// Which one.
        backend: Backend,
        /// What it said, or why it did not.
        reason: String,
        /// When it will be asked again at the earliest.
        retry_after_ms: Option<u64>,
    },
    /// The collection is going over to another engine. Retry when it is there, or cancel the move.
    #[error(
        "the collection is moving to another backend: only points are written meanwhile; retry when it is there, or cancel that by DELETE /v1/collections/NAME/move"
    )]
    Moving,
    /// The engine has no such collection any more.
    #[error("collection {name} is not in {backend} any more: it was removed there")]
    Gone {
        /// The collection.
        name: String,
        /// The engine.
        backend: Backend,
    },
    /// What the engine that keeps the collection cannot do. Leave it out, or move the collection.
    #[error(
        "collection {name} is kept by {backend}, which cannot do this: {reason}; `boathouse collection move {name} --to hnsw` brings it here"
    )]
    Unsupported {
        /// The collection.
        name: String,
        /// The engine.
        backend: Backend,
        /// What, and what can be done instead.
        reason: String,
    },
    /// The graph could not be built. Searches stay exact, only slower.
    #[error("graph was not built: {0}")]
    Graph(String),
    /// The disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl IndexError {
    /// Returns what the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::WrongDimension { .. }
            | Self::BadPoint { .. }
            | Self::BadQuery(_)
            | Self::BadFilter { .. }
            | Self::BadSpec(_)
            | Self::Unsupported { .. } => ErrorKind::BadRequest,
            Self::Gone { .. } => ErrorKind::NotFound,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Exists(_) | Self::NoText { .. } | Self::Reembedding { .. } | Self::Moving => {
                ErrorKind::Conflict
            }
            Self::Locked(_) | Self::Poisoned(_) | Self::OtherModel(_) | Self::Engine { .. } => {
                ErrorKind::Unavailable
            }
            Self::BadConfig(_) | Self::Graph(_) => ErrorKind::Internal,
            Self::Storage(error) => error.kind(),
        }
    }

    /// Returns when a retry makes sense, if that is known.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Engine { retry_after_ms, .. } => *retry_after_ms,
            _ => None,
        }
    }
}
