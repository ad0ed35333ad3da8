//! The cells that embed, and the way to them: the cache, one flight for equal texts, and one message for the texts of
//! several requests.

mod cache;
mod dispatch;
mod flights;
mod gatherings;
mod remote;
mod under_way;
mod upstreams;
mod worker;

#[cfg(test)]
mod tests;

use supervisors::{ChildPolicy, ChildSpec};

pub use cache::SavedCache;
use dispatch::Here;
pub use dispatch::{EmbedFailure, Embedding};
pub use remote::{RemoteJob, RemoteWorker};
pub use under_way::Answering;
pub use worker::{EmbedJob, EmbeddingWorker};

use crate::engines::embedding::{Embedders, EmbeddingConfig};
use upstreams::Upstreams;

/// Describes the cells to their supervisor, and returns what stands before them: one for the fast models
/// that compute here, one for each slow one, and one for each model of an upstream.
pub fn child_specs(
    here: ChildPolicy,
    upstream: &ChildPolicy,
    config: &EmbeddingConfig,
    embedders: &Embedders,
    cache: SavedCache,
) -> (Vec<ChildSpec>, Embedding) {
    let (spec, cell) = ChildSpec::sync("embedding", here.clone(), |_| Ok(EmbeddingWorker));
    let mut specs = vec![spec];
    // A slow model's messages would hold up those of a fast one.
    let slow = embedders.locals().filter(|model| model.gathers());
    let slow = slow.map(|model| {
        let name = &model.info().name;
        let id = format!("embedding.{name}");
        let (spec, cell) = ChildSpec::sync(id, here.clone(), |_| Ok(EmbeddingWorker));
        specs.push(spec);
        (name.clone(), cell)
    });
    let slow = slow.collect();
    let mut cells = Vec::new();
    for model in embedders.remotes() {
        let (spec, cell) = remote::child_spec(model, upstream);
        specs.push(spec);
        cells.push((model.clone(), cell));
    }
    let upstreams = Upstreams::new(config, cells);
    let here = Here { cell, slow };
    (specs, Embedding::new(cache, here, upstreams, config))
}
