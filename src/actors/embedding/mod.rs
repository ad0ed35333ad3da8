//! The embedding cell, and the way to it: the cache, and one flight for equal texts.

mod cache;
mod dispatch;
mod flights;
mod worker;

#[cfg(test)]
mod tests;

use supervisors::{ChildPolicy, ChildSpec};

pub use cache::SavedCache;
pub use dispatch::{EmbedFailure, Embedding};
pub use worker::{EmbedJob, EmbeddingWorker};

/// Describes the cell to its supervisor, and returns what stands before it.
pub fn child_spec(policy: ChildPolicy, cache: SavedCache) -> (ChildSpec, Embedding) {
    let (spec, cell) = ChildSpec::sync("embedding", policy, |_| Ok(EmbeddingWorker));
    (spec, Embedding::new(cache, cell))
}
