//! Whether the process lives, serves, and how it is doing.

use serde::Serialize;
pub use supervisors::Health;

use super::Services;
use super::push::PushTally;
use crate::engines::chat::ResponseCacheStats;
use crate::engines::embedding::CacheStats;
use crate::types::usage::UsageSums;

/// Reads liveness and readiness from the tree.
pub fn health(services: &Services) -> Health {
    services.tree.health()
}

/// Figures for `/metrics` that the services know.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// The embedding cache.
    pub cache: CacheStats,
    /// The cache of answers.
    pub kept: ResponseCacheStats,
    /// Chat calls since the start: key, model, sums.
    pub chat: Vec<(String, String, UsageSums)>,
    /// How many collections there are.
    pub collections: usize,
    /// Whether every critical cell is ready.
    pub ready: bool,
    /// Pushes to object storage, where there is one.
    pub push: Option<PushTally>,
}

/// Reads the figures.
pub fn figures(services: &Services) -> Figures {
    Figures {
        cache: services.embedding.cache().stats(),
        kept: services.kept.stats(),
        chat: services.usage.counters(),
        collections: services.collections.names().len(),
        ready: health(services).ready,
        push: services.push.tally(),
    }
}
