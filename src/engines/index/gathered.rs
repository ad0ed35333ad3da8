//! Hits that another engine found, shaped as our own search shapes its own.

use std::collections::HashSet;
use std::sync::Arc;

use super::contents::Contents;
use super::lexical::Words;
use super::rows::Doc;
use super::search::{MIN_FUSION_DEPTH, check, text_of};
use super::top::Ranked;
use super::{
    Filter, IndexConfig, IndexError, Mode, Plan, Scope, SearchPath, SearchRequest, SearchResult,
    Strategy, fusion, groups, mmr,
};
use crate::types::collection::CollectionSpec;
use crate::types::point::Point;

/// A point that an engine found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Without its vector where that was not asked for.
    pub point: Point,
    /// As [`Metric`](crate::types::point::Metric) says, or BM25.
    pub score: f32,
}

/// A search as an engine is to be asked.
#[derive(Debug)]
pub struct Lookup {
    spec: Arc<CollectionSpec>,
    /// `[dim]`, ready to be compared; `None`: not by vectors.
    pub query: Option<Vec<f32>>,
    /// `None`: not by words.
    pub text: Option<String>,
    /// Of the points that may be found.
    pub filter: Option<Filter>,
    /// Examples, which are not to be found.
    left_out: HashSet<String>,
}

/// What hits amount to.
#[derive(Debug)]
pub enum Shaped {
    /// The answer.
    Whole(SearchResult),
    /// More hits must be ranked: so many.
    Deeper(usize),
}

impl Lookup {
    /// Checks a search. `examples` are the points that it names, as they are stored.
    ///
    /// Errors: for a request that cannot be answered, or only by points that are here.
    pub fn new(
        spec: &Arc<CollectionSpec>,
        config: &IndexConfig,
        request: &SearchRequest,
        examples: Vec<Point>,
        now_ms: u64,
    ) -> Result<Self, IndexError> {
        let unsupported = |reason: &str| {
            Err(IndexError::Unsupported {
                name: spec.name.clone(),
                backend: spec.backend,
                reason: reason.to_owned(),
            })
        };
        check(request)?;
        let mut contents = Contents::new(Arc::clone(spec));
        contents.check_model(request.made_by.as_deref())?;
        contents.check_role(request.role.as_deref())?;
        let scope = Scope {
            role: request.role.as_deref(),
            now_ms,
        };
        if request.refine.is_some() {
            return unsupported("there are no second vectors; leave refine out");
        }
        let mut left_out = HashSet::new();
        let query;
        match &request.like {
            Some(like) if request.mode == Mode::Dense => {
                if like.strategy == Strategy::BestScore {
                    return unsupported(
                        "strategy best_score compares every point; use average_vector",
                    );
                }
                for point in examples {
                    put(&mut contents, point, spec.dim);
                }
                let visible = contents.visible(scope)?;
                let (positive, negative) = contents.examples(like, &visible)?;
                query = Some(contents.average(&positive, &negative)?);
                left_out.extend(like.positive.iter().chain(&like.negative).cloned());
            }
            Some(_) => {
                return Err(IndexError::BadQuery(
                    "examples are compared by vectors: leave mode out".to_owned(),
                ));
            }
            None => {
                contents.visible(scope)?;
                query = contents.vector_of(request)?;
            }
        }
        let text = match request.like {
            Some(_) => None,
            None => text_of(request, config)?.map(str::to_owned),
        };
        Ok(Self {
            query,
            text,
            filter: Filter::scoped(request.filter.as_ref(), &spec.schema, scope),
            left_out,
            spec: Arc::clone(spec),
        })
    }

    /// Whether hits must come with their vectors.
    pub fn needs_vectors(request: &SearchRequest) -> bool {
        request.with.vector || request.mmr.is_some()
    }

    /// How many hits are ranked at first.
    pub fn wanted(&self, request: &SearchRequest) -> usize {
        let k = request.k;
        match (&request.mmr, &request.group) {
            (Some(mmr), _) => mmr.candidates.max(k),
            (None, Some(group)) => (groups::AHEAD * k * group.size).min(groups::MAX_CANDIDATES),
            (None, None) => k,
        }
    }

    /// How many hits of each list it takes to rank so many.
    pub fn depth(&self, request: &SearchRequest, wanted: usize) -> usize {
        let fused = match (&self.query, &self.text) {
            (Some(_), Some(_)) => MIN_FUSION_DEPTH.max(4 * request.k),
            _ => 0,
        };
        wanted.max(fused) + self.left_out.len()
    }

    /// Makes the answer of what the engine found, each list best first and as [deep](Self::depth) as it takes to rank
    /// `wanted`, where there are so many.
    pub fn shape(
        &self,
        request: &SearchRequest,
        dense: Option<Vec<Found>>,
        lexical: Option<Vec<Found>>,
        wanted: usize,
    ) -> Shaped {
        let mut contents = Contents::new(Arc::clone(&self.spec));
        let dense = dense.map(|found| self.gather(&mut contents, found));
        let lexical = lexical.map(|found| self.gather(&mut contents, found));
        let dense = dense.map(|found| ranked(&contents, found));
        let lexical = lexical.map(|found| ranked(&contents, found));
        let backend = self.spec.backend;
        let candidates = dense.as_ref().map_or(0, Vec::len) + lexical.as_ref().map_or(0, Vec::len);
        let (mut found, path) = match (dense, lexical) {
            (Some(dense), Some(lexical)) => (
                fusion::fuse(request.fusion, dense, lexical),
                SearchPath::Hybrid,
            ),
            (Some(dense), None) => (dense, SearchPath::Engine),
            (None, lexical) => (lexical.unwrap_or_default(), SearchPath::Lexical),
        };
        let mut plan = Plan::new(path, candidates, format!("asked of {backend}"));
        found.truncate(wanted);
        if let Some(min) = request.min_score {
            found.retain(|found| found.score >= min);
        }
        if let Some(group) = &request.group {
            let gathered = groups::gather(&contents, &found, group, request.k);
            let full = groups::are_full(&gathered, group, request.k);
            if !full && found.len() >= wanted && wanted < groups::MAX_CANDIDATES {
                return Shaped::Deeper((groups::AHEAD * wanted).min(groups::MAX_CANDIDATES));
            }
            let groups = gathered
                .into_iter()
                .map(|found| found.read(&contents, request));
            return Shaped::Whole(SearchResult {
                hits: Vec::new(),
                groups: Some(groups.collect()),
                plan,
            });
        }
        if let Some(mmr) = request.mmr {
            plan.reason = format!("{}; {} to choose from by mmr", plan.reason, found.len());
            // Beside words, relevance is the score.
            let query = self.query.as_deref().filter(|_| self.text.is_none());
            found = mmr::choose(&contents, found, query, mmr.lambda, request.k);
        }
        found.truncate(request.k);
        Shaped::Whole(SearchResult {
            hits: contents.hits(&found, request),
            groups: None,
            plan,
        })
    }

    /// Takes the points in, each once, and returns their ids with the scores of this list.
    fn gather(&self, contents: &mut Contents, found: Vec<Found>) -> Vec<(String, f32)> {
        let mut scores = Vec::with_capacity(found.len());
        for Found { point, score } in found {
            if self.left_out.contains(&point.id) {
                continue;
            }
            scores.push((point.id.clone(), score));
            if !contents.contains(&point.id) {
                put(contents, point, self.spec.dim);
            }
        }
        scores
    }
}

fn put(contents: &mut Contents, point: Point, dim: usize) {
    let mut vector = point.vector;
    // One that was not asked for is not looked at.
    vector.resize(dim, 0.0);
    let doc = Doc {
        id: point.id.into(),
        text: point.text,
        payload: point.payload,
    };
    contents.put(&vector, Arc::new(doc), Words::default());
}

/// The hits as rows, best first; equal scores in order of id.
fn ranked(contents: &Contents, found: Vec<(String, f32)>) -> Vec<Ranked<'_>> {
    let mut ranked: Vec<Ranked<'_>> = found
        .into_iter()
        .filter_map(|(id, score)| {
            let (id, row) = contents.ids.get_key_value(id.as_str())?;
            Some(Ranked {
                score,
                id,
                row: *row,
            })
        })
        .collect();
    ranked.sort_unstable();
    ranked
}
