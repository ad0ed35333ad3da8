//! What a collection is: name, dimension, metric, embedder.

use serde::{Deserialize, Serialize};

use super::point::Metric;

/// Properties of a collection, fixed when it is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionSpec {
    /// 1 to 64 of `a-z A-Z 0-9 _ -`, not starting with `-`; also the name of its folder.
    pub name: String,
    /// Length of every vector.
    pub dim: usize,
    /// How vectors are compared.
    pub metric: Metric,
    /// The model that embeds its texts and queries; `None`: vectors are given.
    pub embedder: Option<String>,
    /// Identifies the model's weights: vectors of another fingerprint are never mixed in.
    pub fingerprint: Option<String>,
    /// The better model that ranks the first hits; `None`: searches are not refined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refiner: Option<Refiner>,
    /// Unix time of its creation, milliseconds.
    pub created_ms: u64,
}

/// The model of a collection's second vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refiner {
    /// Its name or alias.
    pub model: String,
    /// Identifies its weights.
    pub fingerprint: String,
    /// Length of its vectors.
    pub dim: usize,
}
