//! What a search is asked.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::DEFAULT_K;
use crate::engines::index::{Fusion, GroupBy, Mmr, Mode, SearchRequest, With};
use crate::services::filter::FilterSchema;
use crate::services::{ServiceError, collections};

/// Hits of a group when the request does not say how many.
const DEFAULT_GROUP_SIZE: usize = 3;
/// The dense share of weighted fusion when the request does not say so.
const DEFAULT_WEIGHT: f32 = 0.5;

/// A request to `POST /v1/collections/{name}/search`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchInput {
    /// A text: embedded by the collection's model, and matched by its words.
    #[schema(min_length = 1, example = "what do wiccans worship?")]
    pub query: Option<String>,
    /// A vector of the collection's dimension.
    pub vector: Option<Vec<f32>>,
    /// Most hits, or groups: 1 to 1,000, default 10.
    #[schema(minimum = 1, maximum = 1000)]
    pub k: Option<usize>,
    /// `$eq $ne $gt $gte $lt $lte $in $nin $exists $and $or $not` over the payload.
    #[schema(value_type = Option<FilterSchema>)]
    pub filter: Option<Value>,
    /// Only points of this role, or of none, as the collection's `role_field` says.
    pub role: Option<String>,
    /// `dense`, `lexical` or `hybrid`; default `hybrid` with a query, `dense` with only a vector.
    #[schema(example = "hybrid")]
    pub mode: Option<Mode>,
    /// Scan every point instead of walking the graph.
    #[serde(default)]
    pub exact: bool,
    /// Rank the first hits by the vectors of the collection's refiner; scores are then their cosines. Left out: in
    /// hybrid mode, where the collection has a refiner.
    pub refine: Option<bool>,
    /// How hybrid makes one list of two; default reciprocal ranks.
    pub fusion: Option<FusionInput>,
    /// Leave out hits that score less.
    pub min_score: Option<f32>,
    /// Choose hits that differ from each other.
    pub mmr: Option<MmrInput>,
    /// Group the hits by this field of the payload; `k` is then the number of groups.
    pub group_by: Option<String>,
    /// Most hits of a group: 1 to 100, default 3.
    #[schema(minimum = 1, maximum = 100)]
    pub group_size: Option<usize>,
    /// What each hit carries: `text`, `payload`, `vector`; default text and payload.
    pub with: Option<Vec<WithField>>,
    /// Tell in the answer how the search was planned.
    #[serde(default)]
    pub explain: bool,
}

/// How hybrid makes one list of two.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FusionInput {
    /// `rrf`: by ranks. `weighted`: by scores, each list's scaled to 0 to 1.
    #[schema(example = "weighted")]
    pub method: FusionMethod,
    /// With `rrf`: how much the first ranks outweigh those after, 1 to 1,000, default 60; lower: more.
    #[schema(minimum = 1, maximum = 1000)]
    pub k: Option<u16>,
    /// With `weighted`: share of the dense score, 0 to 1, default 0.5; the lexical one has the rest.
    #[schema(minimum = 0, maximum = 1)]
    pub dense_weight: Option<f32>,
}

/// A way to fuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FusionMethod {
    /// Reciprocal ranks.
    Rrf,
    /// Weighted scores.
    Weighted,
}

/// Maximal marginal relevance.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MmrInput {
    /// Weight of relevance against difference, 0 to 1; 1 changes nothing.
    #[schema(minimum = 0, maximum = 1, example = 0.5)]
    pub lambda: f32,
    /// First hits to choose from: `k` to 1,000, default 100, or `k` when that is more.
    #[schema(minimum = 1, maximum = 1000)]
    pub candidates: Option<usize>,
}

/// A part of a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WithField {
    /// The stored text.
    Text,
    /// The stored payload.
    Payload,
    /// The stored vector.
    Vector,
}

impl SearchInput {
    /// What the search goes by.
    pub(super) fn mode(&self) -> Result<Mode, ServiceError> {
        let mode = match (&self.query, &self.vector, self.mode) {
            (None, None, _) => {
                return Err(ServiceError::bad_request("give a query (text) or a vector"));
            }
            (_, _, Some(mode)) => mode,
            (Some(_), _, None) => Mode::Hybrid,
            (None, Some(_), None) => Mode::Dense,
        };
        if self
            .query
            .as_ref()
            .is_some_and(|query| query.trim().is_empty())
        {
            return Err(ServiceError::bad_request("query is empty").param("query"));
        }
        if self.query.is_none() && mode != Mode::Dense {
            return Err(ServiceError::bad_request(format!(
                "mode {} needs a query (text)",
                mode.as_str()
            ))
            .param("query"));
        }
        Ok(mode)
    }

    /// All that is not the query: what may be found, and in which form.
    pub(super) fn choices(&self, mode: Mode) -> Result<SearchRequest, ServiceError> {
        let k = self.k.unwrap_or(DEFAULT_K);
        let filter = self.filter.as_ref().map(collections::parse_filter);
        if self.fusion.is_some() && mode != Mode::Hybrid {
            let mode = mode.as_str();
            let message =
                format!("mode {mode} has one list, and nothing to fuse: leave fusion out");
            return Err(ServiceError::bad_request(message).param("fusion"));
        }
        if self.group_size.is_some() && self.group_by.is_none() {
            let message = "group_size says nothing without group_by";
            return Err(ServiceError::bad_request(message).param("group_size"));
        }
        let with = self
            .with
            .as_deref()
            .unwrap_or(&[WithField::Text, WithField::Payload]);
        Ok(SearchRequest {
            k,
            filter: filter.transpose()?,
            role: self.role.clone(),
            fusion: self.fusion.map_or(Ok(Fusion::default()), fusion)?,
            min_score: self.min_score,
            mmr: self.mmr.map(|mmr| Mmr {
                lambda: mmr.lambda,
                candidates: mmr.candidates.unwrap_or(Mmr::CANDIDATES.max(k)),
            }),
            group: self.group_by.clone().map(|path| GroupBy {
                path,
                size: self.group_size.unwrap_or(DEFAULT_GROUP_SIZE),
            }),
            with: With {
                text: with.contains(&WithField::Text),
                payload: with.contains(&WithField::Payload),
                vector: with.contains(&WithField::Vector),
            },
            ..SearchRequest::default()
        })
    }
}

fn fusion(input: FusionInput) -> Result<Fusion, ServiceError> {
    let FusionInput {
        method,
        k,
        dense_weight,
    } = input;
    match (method, k, dense_weight) {
        (FusionMethod::Rrf, k, None) => Ok(Fusion::Rrf {
            k: k.unwrap_or(Fusion::RRF_K),
        }),
        (FusionMethod::Weighted, None, dense) => Ok(Fusion::Weighted {
            dense: dense.unwrap_or(DEFAULT_WEIGHT),
        }),
        (FusionMethod::Rrf, ..) => Err(ServiceError::bad_request(
            "fusion rrf goes by ranks: dense_weight belongs to weighted",
        )
        .param("fusion.dense_weight")),
        (FusionMethod::Weighted, ..) => Err(ServiceError::bad_request(
            "fusion weighted goes by scores: k belongs to rrf",
        )
        .param("fusion.k")),
    }
}
