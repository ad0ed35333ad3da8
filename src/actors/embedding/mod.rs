//! The cells that embed, and the way to them: the cache, one flight for equal texts, and one message for the texts of
//! several requests.

mod cache;
mod dispatch;
mod flights;
mod gatherings;
mod remote;
mod upstreams;
mod worker;

#[cfg(test)]
mod tests;

use supervisors::{ChildPolicy, ChildSpec};

pub use cache::SavedCache;
pub use dispatch::{EmbedFailure, Embedding};
pub use remote::{RemoteJob, RemoteWorker};
pub use worker::{EmbedJob, EmbeddingWorker};

use crate::engines::embedding::{Embedders, EmbeddingConfig};
use upstreams::Upstreams;

/// Describes the cells to their supervisor, and returns what stands before them: one for the models
/// that compute here, and one for each model of an upstream.
pub fn child_specs(
    here: ChildPolicy,
    upstream: &ChildPolicy,
    config: &EmbeddingConfig,
    embedders: &Embedders,
    cache: SavedCache,
) -> (Vec<ChildSpec>, Embedding) {
    let (spec, cell) = ChildSpec::sync("embedding", here, |_| Ok(EmbeddingWorker));
    let mut specs = vec![spec];
    let mut cells = Vec::new();
    for model in embedders.remotes() {
        let (spec, cell) = remote::child_spec(model, upstream);
        specs.push(spec);
        cells.push((model.clone(), cell));
    }
    let upstreams = Upstreams::new(config, cells);
    (specs, Embedding::new(cache, cell, upstreams, config))
}
