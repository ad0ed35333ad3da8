//! What a collection is: name, dimension, metric, embedder, and what its payloads hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::point::Metric;

/// Properties of a collection, fixed when it is created; only the indexed fields come and go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
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
    /// What it declares of its payloads.
    #[serde(flatten)]
    pub schema: Schema,
    /// What keeps and searches its points.
    #[serde(default, skip_serializing_if = "Backend::is_own")]
    pub backend: Backend,
    /// Unix time of its creation, milliseconds.
    pub created_ms: u64,
}

/// What keeps and searches the points of a collection.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// This process, in its data folder: exact scans and a graph.
    #[default]
    Hnsw,
    /// A Qdrant, beside this process or a cluster.
    Qdrant,
    /// Lance tables in a folder or on object storage.
    Lance,
}

impl Backend {
    /// Returns the name that requests and settings use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hnsw => "hnsw",
            Self::Qdrant => "qdrant",
            Self::Lance => "lance",
        }
    }

    /// Whether it is this process.
    pub fn is_own(&self) -> bool {
        *self == Self::Hnsw
    }
}

impl std::fmt::Display for Backend {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The model of a collection's second vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Refiner {
    /// Its name or alias.
    pub model: String,
    /// Identifies its weights.
    pub fingerprint: String,
    /// Length of its vectors.
    pub dim: usize,
}

/// What a collection declares of its points' payloads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = PayloadFields))]
pub struct Schema {
    /// Fields that are indexed, by their dotted paths.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, FieldKind>,
    /// The field that says whose a point is; always indexed. `None`: points are everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_field: Option<String>,
    /// Whether a search must say for whom it is; false without a role field.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub role_required: bool,
    /// The field that says until when a point is there; always indexed. `None`: points stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_field: Option<String>,
}

/// What an indexed field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Strings that are compared whole.
    Keyword,
    /// Whole numbers, -2^63 to 2^63 - 1.
    Integer,
    /// Numbers.
    Float,
    /// True or false.
    Bool,
    /// Moments: RFC 3339 text, or Unix seconds as a number. Compared as moments, whatever their offset.
    Datetime,
}

impl FieldKind {
    /// Returns the name that requests use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Datetime => "datetime",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_that_declares_nothing_reads_and_writes_as_before_there_was_anything_to_declare()
    {
        let before = r#"{"name":"docs","dim":3,"metric":"cosine","embedder":null,"fingerprint":null,"created_ms":7}"#;
        let read: CollectionSpec = serde_json::from_str(before).unwrap();
        assert_eq!(read.schema, Schema::default());
        assert_eq!(serde_json::to_string(&read).unwrap(), before);
    }

    #[test]
    fn what_is_declared_stands_beside_the_rest() {
        let text = r#"{"name":"docs","dim":3,"metric":"l2","embedder":null,"fingerprint":null,"fields":{"until":"datetime","who":"keyword"},"role_field":"who","role_required":true,"ttl_field":"until","created_ms":7}"#;
        let read: CollectionSpec = serde_json::from_str(text).unwrap();
        assert_eq!(read.schema.ttl_field.as_deref(), Some("until"));
        assert_eq!(read.schema.fields["who"].as_str(), "keyword");
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
