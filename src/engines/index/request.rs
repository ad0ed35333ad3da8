//! A search, and how it was answered.

use serde::{Deserialize, Serialize};

use super::Filter;
use crate::types::point::Hit;

/// What a search goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Likeness of vectors. Scores as [`Metric`](crate::types::point::Metric) says.
    Dense,
    /// Words in common. Scores are BM25: above 0, without an upper end.
    Lexical,
    /// Both, fused by their ranks. Scores are in `(0, 1]`; 1 is first in both.
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
    /// Needed by lexical and hybrid.
    pub query_text: Option<String>,
    /// Most hits, 1 to 1,000.
    pub k: usize,
    /// Only points that match.
    pub filter: Option<Filter>,
    /// What to go by.
    pub mode: Mode,
    /// Scan every point instead of walking the graph.
    pub exact: bool,
    /// Rank the first hits by the second vectors. Scores are then their cosines, in `[-1, 1]`.
    pub refine: Option<Refine>,
    /// Leave out hits that score less.
    pub min_score: Option<f32>,
    /// What each hit carries.
    pub with: With,
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

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchResult {
    /// Best first; equal scores in order of id.
    pub hits: Vec<Hit>,
    /// How it was answered.
    pub plan: Plan,
}

/// The way a search went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// How a search was answered, and why so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The way it went.
    pub path: SearchPath,
    /// Points that were compared or scored.
    pub candidates: usize,
    /// Width of the walk through the graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ef: Option<usize>,
    /// Points that match the filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<usize>,
    /// First hits that were ranked by their second vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refined: Option<usize>,
    /// Why this way.
    pub reason: String,
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
