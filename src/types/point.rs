//! One stored point and one search hit.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How two vectors are compared. Scores grow with likeness under each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Cosine of the angle, in `[-1, 1]`. Vectors are normalised when they are stored.
    #[default]
    Cosine,
    /// Inner product of the vectors as given.
    Dot,
    /// `1 / (1 + distance)` of the Euclidean distance, in `(0, 1]`.
    L2,
}

/// What a collection stores under one id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Point {
    /// Unique in its collection, 1 to 512 bytes.
    pub id: String,
    /// `[dim]`, finite.
    pub vector: Vec<f32>,
    /// Searched by words, and given back with hits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Searched by filters, and given back with hits.
    #[serde(default)]
    pub payload: Map<String, Value>,
}

/// A point that a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Hit {
    /// The point.
    pub id: String,
    /// The higher the better; its scale depends on the mode and the metric.
    pub score: f32,
    /// The stored text, when asked for and present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The stored payload, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Map<String, Value>>,
    /// The stored vector, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
}
