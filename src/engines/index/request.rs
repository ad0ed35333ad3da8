//! A search, and how it was answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Filter, FilterUse};
use crate::types::point::Hit;

/// What a search goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = SearchMode))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Likeness of vectors. Scores as [`Metric`](crate::types::point::Metric) says.
    Dense,
    /// Words in common. Scores are BM25: above 0, without an upper end.
    Lexical,
    /// Both, fused. Scores are in `[0, 1]`; 1 is first in both.
    Hybrid,
}

impl Mode {
    /// Returns the name that requests use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Lexical => "lexical",
            Self::Hybrid => "hybrid",
        }
    }
}

/// What each hit carries beside its id and score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct With {
    /// The stored text.
    pub text: bool,
    /// The stored payload.
    pub payload: bool,
    /// The stored vector.
    pub vector: bool,
}

/// What to search for.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// `[dim]`, finite; needed by dense and hybrid.
    pub query_vector: Option<Vec<f32>>,
    /// Fingerprint of the model that made it; where it is given, a collection of another one refuses it.
    pub made_by: Option<String>,
    /// Needed by lexical and hybrid.
    pub query_text: Option<String>,
    /// Points to be like, in place of a query; dense only.
    pub like: Option<Like>,
    /// Most hits, or groups, 1 to 1,000.
    pub k: usize,
    /// Only points that match.
    pub filter: Option<Filter>,
    /// Only points of this role; needed where the collection says so.
    pub role: Option<String>,
    /// What to go by.
    pub mode: Mode,
    /// Scan every point instead of walking the graph.
    pub exact: bool,
    /// Rank the first hits by the second vectors. Scores are then their cosines, in `[-1, 1]`.
    pub refine: Option<Refine>,
    /// How hybrid makes one list of two.
    pub fusion: Fusion,
    /// Leave out hits that score less.
    pub min_score: Option<f32>,
    /// Choose hits that differ from each other.
    pub mmr: Option<Mmr>,
    /// Group the hits by a field.
    pub group: Option<GroupBy>,
    /// What each hit carries.
    pub with: With,
}

impl Default for SearchRequest {
    fn default() -> Self {
        Self {
            query_vector: None,
            made_by: None,
            query_text: None,
            like: None,
            k: 10,
            filter: None,
            role: None,
            mode: Mode::Dense,
            exact: false,
            refine: None,
            fusion: Fusion::default(),
            min_score: None,
            mmr: None,
            group: None,
            with: With::default(),
        }
    }
}

/// How two lists become one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fusion {
    /// By reciprocal ranks.
    Rrf {
        /// How much the first ranks outweigh those after; 1 to 1,000.
        k: u16,
    },
    /// By scores, each list's scaled to `[0, 1]`.
    Weighted {
        /// Share of the dense score, 0 to 1; the lexical one has the rest.
        dense: f32,
    },
}

impl Fusion {
    /// The constant of the paper.
    pub const RRF_K: u16 = 60;
}

impl Default for Fusion {
    fn default() -> Self {
        Self::Rrf { k: Self::RRF_K }
    }
}

/// Maximal marginal relevance: hits that are relevant, and unlike those before them.
///
/// Source: Carbonell & Goldstein, SIGIR 1998.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mmr {
    /// Weight of relevance, 0 to 1; 1 changes nothing.
    pub lambda: f32,
    /// First hits to choose from, `k` at least and 1,000 at most.
    pub candidates: usize,
}

impl Mmr {
    /// Hits to choose from where nothing else is asked for.
    pub const CANDIDATES: usize = 100;
}

/// How hits are grouped.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupBy {
    /// The payload's field: its strings, whole numbers and booleans name groups.
    pub path: String,
    /// Most hits of a group, 1 to 100.
    pub size: usize,
}

/// Points to be like, and points to be unlike.
#[derive(Debug, Clone, PartialEq)]
pub struct Like {
    /// Ids; they are not among the hits.
    pub positive: Vec<String>,
    /// Ids; they are not among the hits.
    pub negative: Vec<String>,
    /// How they become a query.
    pub strategy: Strategy,
}

/// How examples become a query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = RecommendStrategy))]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// One vector: the mean of the positive ones, moved away from that of the negative ones by their difference.
    #[default]
    AverageVector,
    /// The likest example counts: `0.5 * (s / (1 + |s|) + 1)` of its score, below 0 when it is a negative one.
    /// Every point is compared.
    BestScore,
}

/// How the first hits are ranked anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Refine {
    /// The query, as the collection's refiner embeds it.
    pub vector: Vec<f32>,
    /// How many of the first hits are ranked anew; all `k` at least.
    pub depth: usize,
}

impl Refine {
    /// The depth where nothing else is asked for: below it a refiner seldom finds more.
    pub const DEPTH: usize = 50;
}

/// Hits that share a value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct HitGroup {
    /// The value: a string, a whole number or a boolean.
    pub id: Value,
    /// Best first.
    pub hits: Vec<Hit>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchResult {
    /// Best first; equal scores in order of id. Empty when they are grouped.
    pub hits: Vec<Hit>,
    /// The groups, that of the best hit first, when asked for.
    pub groups: Option<Vec<HitGroup>>,
    /// How it was answered.
    pub plan: Plan,
}

/// The way a search went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SearchPath {
    /// Every point, or every match, was compared.
    ExactScan,
    /// The graph was walked, and points newer than it were scanned.
    Hnsw,
    /// The inverted index was read.
    Lexical,
    /// Both lists were made and fused.
    Hybrid,
    /// The engine that keeps the collection was asked.
    Engine,
}

/// How a search was answered, and why so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = SearchPlan))]
pub struct Plan {
    /// The way it went.
    pub path: SearchPath,
    /// Points that were compared or scored.
    pub candidates: usize,
    /// Width of the walk through the graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ef: Option<usize>,
    /// Points that match the filter and may be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<usize>,
    /// How the filter was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterUse>,
    /// First hits that were ranked by their second vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refined: Option<usize>,
    /// Why this way.
    pub reason: String,
}

impl Plan {
    /// A way that compared so many points.
    pub(super) fn new(path: SearchPath, candidates: usize, reason: impl Into<String>) -> Self {
        Self {
            path,
            candidates,
            ef: None,
            matches: None,
            filter: None,
            refined: None,
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_code_and_on_the_wire() {
        for mode in [Mode::Dense, Mode::Lexical, Mode::Hybrid] {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.as_str());
        }
        assert!(serde_json::from_str::<Mode>("\"fuzzy\"").is_err());
    }
}
