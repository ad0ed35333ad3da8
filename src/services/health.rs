//! Whether the process lives, serves, and how it is doing.

use serde::Serialize;
use supervisors::Health;

use super::Services;
use crate::engines::embedding::CacheStats;

/// Reads liveness and readiness from the tree.
pub fn health(services: &Services) -> Health {
    services.tree.health()
}

/// Figures for `/metrics` that the services know.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// The embedding cache.
    pub cache: CacheStats,
    /// How many collections there are.
    pub collections: usize,
}

/// Reads the figures.
pub fn figures(services: &Services) -> Figures {
    Figures {
        cache: services.embedding.cache().stats(),
        collections: services.collections.names().len(),
    }
}
