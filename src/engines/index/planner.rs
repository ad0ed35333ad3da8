//! How a search is answered: which way, over which points, and what is told about it.

use super::admission::{prepare, within};
use super::backends::{self, Graph};
use super::contents::Contents;
use super::top::{Ranked, Top};
use super::{
    Bits, IndexConfig, IndexError, Mode, Plan, Refine, SearchPath, SearchRequest, SearchResult,
    distance, fusion,
};
use crate::types::collection::CollectionSpec;
use crate::types::point::{Hit, Metric};

const MAX_K: usize = 1_000;
/// Fewest hits that each list brings into a fusion.
const MIN_FUSION_DEPTH: usize = 100;
/// Rows of a walk that are ranked by their vectors, for each hit: it may have gone by codes.
const RESCORED: usize = 2;
const MIN_RESCORED: usize = 16;

impl Contents {
    /// Answers a search.
    ///
    /// Errors: for a request that cannot be answered. An empty collection has no hits.
    pub fn search(
        &self,
        request: &SearchRequest,
        config: &IndexConfig,
    ) -> Result<SearchResult, IndexError> {
        let k = request.k;
        if !(1..=MAX_K).contains(&k) {
            return Err(IndexError::BadQuery(format!(
                "k must be 1 to {MAX_K}, got {k}"
            )));
        }
        if let Some(bad) = request.min_score.filter(|score| !score.is_finite()) {
            return Err(IndexError::BadQuery(format!(
                "min_score must be finite, got {bad}"
            )));
        }
        let query = self.vector_of(request)?;
        let text = text_of(request, config)?;
        let matches = request.filter.as_ref().map(|filter| self.matches(filter));
        let search = Search {
            contents: self,
            config,
            matches,
            exact: request.exact,
        };
        let refine = self.refine_of(request)?;
        // What is ranked anew must be found first.
        let wanted = refine.as_ref().map_or(k, |refine| refine.depth.max(k));
        let depth = MIN_FUSION_DEPTH.max(4 * k).max(wanted);
        let (mut found, mut plan) = match (query, text) {
            (Some(query), Some(text)) => {
                let (dense, plan) = search.dense(&query, depth);
                let (lexical, scored) = search.lexical(text, depth);
                let reason = format!(
                    "dense {} ({}) and {} lexical candidates, fused by rank",
                    path_name(plan.path),
                    plan.reason,
                    lexical.len()
                );
                let candidates = plan.candidates + scored;
                let plan = Plan {
                    path: SearchPath::Hybrid,
                    candidates,
                    reason,
                    ..plan
                };
                (fusion::fuse(&[dense, lexical]), plan)
            }
            (Some(query), None) => search.dense(&query, wanted),
            (None, Some(text)) => {
                let (found, candidates) = search.lexical(text, wanted);
                let reason = match candidates {
                    0 => "no word of the query is in any text".to_owned(),
                    _ => "texts that share a word with the query".to_owned(),
                };
                (
                    found,
                    Plan {
                        path: SearchPath::Lexical,
                        candidates,
                        ef: None,
                        matches: None,
                        refined: None,
                        reason,
                    },
                )
            }
            (None, None) => {
                return Err(IndexError::BadQuery("nothing to search for".to_owned()));
            }
        };
        if let Some(refine) = refine {
            found.truncate(wanted);
            let refined = search.rank_anew(&mut found, &refine.vector);
            plan.reason = format!(
                "{}; {refined} of the first {} ranked by their second vectors",
                plan.reason,
                found.len()
            );
            plan.refined = Some(refined);
        }
        plan.matches = search.matches.as_ref().map(Bits::count);
        let good = |found: &&Ranked<'_>| request.min_score.is_none_or(|min| found.score >= min);
        let hits = found
            .iter()
            .take(k)
            .filter(good)
            .map(|found| self.hit(found, request));
        Ok(SearchResult {
            hits: hits.collect(),
            plan,
        })
    }

    /// The query's vector, ready to be compared, when the mode goes by vectors.
    fn vector_of(&self, request: &SearchRequest) -> Result<Option<Vec<f32>>, IndexError> {
        if request.mode == Mode::Lexical {
            return Ok(None);
        }
        match &request.query_vector {
            Some(vector) => prepare(vector.clone(), &self.spec, "query vector").map(Some),
            None => Err(missing(request.mode, "vector")),
        }
    }

    /// The second query vector, ready to be compared.
    fn refine_of(&self, request: &SearchRequest) -> Result<Option<Refine>, IndexError> {
        let Some(refine) = &request.refine else {
            return Ok(None);
        };
        let Some(refiner) = &self.spec.refiner else {
            return Err(IndexError::BadQuery(
                "the collection has no refiner; name one when it is created".to_owned(),
            ));
        };
        let spec = CollectionSpec {
            dim: refiner.dim,
            metric: Metric::Cosine,
            ..self.spec.clone()
        };
        let vector = prepare(refine.vector.clone(), &spec, "refining vector")?;
        let depth = refine.depth;
        Ok(Some(Refine { vector, depth }))
    }

    fn hit(&self, found: &Ranked<'_>, request: &SearchRequest) -> Hit {
        let (doc, with) = (self.rows.doc(found.row), request.with);
        Hit {
            id: found.id.to_owned(),
            score: found.score,
            text: doc.text.clone().filter(|_| with.text),
            payload: with.payload.then(|| doc.payload.clone()),
            vector: with.vector.then(|| self.rows.vector(found.row).to_vec()),
        }
    }
}

/// The query's text, when the mode goes by words.
fn text_of<'a>(
    request: &'a SearchRequest,
    config: &IndexConfig,
) -> Result<Option<&'a str>, IndexError> {
    if request.mode == Mode::Dense {
        return Ok(None);
    }
    let text = request
        .query_text
        .as_deref()
        .ok_or_else(|| missing(request.mode, "text"))?;
    within("query text bytes", text.len(), config.max_text_bytes)?;
    Ok(Some(text))
}

fn missing(mode: Mode, what: &str) -> IndexError {
    IndexError::BadQuery(format!("mode {} needs a query {what}", mode.as_str()))
}

fn path_name(path: SearchPath) -> &'static str {
    match path {
        SearchPath::ExactScan => "exact scan",
        SearchPath::Hnsw => "graph",
        SearchPath::Lexical => "lexical",
        SearchPath::Hybrid => "hybrid",
    }
}

/// One search on its way.
struct Search<'a> {
    contents: &'a Contents,
    config: &'a IndexConfig,
    /// Live rows that match the filter; `None` without one.
    matches: Option<Bits>,
    exact: bool,
}

impl<'a> Search<'a> {
    /// Rows that may be found.
    fn allowed(&self) -> &Bits {
        self.matches.as_ref().unwrap_or(self.contents.rows.alive())
    }

    /// Sorts those that have a second vector by it, among the places that they hold; the others keep
    /// their places, and take the score of the one before. Returns how many were sorted.
    fn rank_anew(&self, found: &mut [Ranked<'a>], query: &[f32]) -> usize {
        let codes = self.contents.rows.refined();
        let places: Vec<usize> = (0..found.len())
            .filter(|&at| codes.get(found[at].row).is_some())
            .collect();
        let mut refined: Vec<Ranked<'a>> = places
            .iter()
            .map(|&at| Ranked {
                score: codes.likeness(found[at].row, query).unwrap_or_default(),
                ..found[at]
            })
            .collect();
        refined.sort_unstable();
        let mut score = refined.first().map_or(0.0, |best| best.score);
        let mut next = places.iter().zip(&refined).peekable();
        for (at, found) in found.iter_mut().enumerate() {
            match next.next_if(|(place, _)| **place == at) {
                Some((_, refined)) => {
                    *found = *refined;
                    score = refined.score;
                }
                None => found.score = score,
            }
        }
        places.len()
    }

    fn lexical(&self, text: &str, k: usize) -> (Vec<Ranked<'a>>, usize) {
        let (contents, allowed) = (self.contents, self.allowed());
        let scores = contents.lexical.scores(text, |row| allowed.contains(row));
        let mut top = Top::new(k);
        for (row, score) in &scores {
            top.offer(*score, *row, || &contents.rows.doc(*row).id);
        }
        (top.into_sorted(), scores.len())
    }

    fn dense(&self, query: &[f32], k: usize) -> (Vec<Ranked<'a>>, Plan) {
        let walked = match self.graph_for(k) {
            Err(reason) => Err((reason.to_owned(), 0)),
            Ok((graph, ef)) => self.walk(graph, query, k, ef),
        };
        walked.unwrap_or_else(|(reason, wasted)| {
            let contents = self.contents;
            let mut top = Top::new(k);
            let rows = self.allowed().iter();
            let compared =
                backends::scan(&contents.rows, contents.spec.metric, query, rows, &mut top);
            let candidates = compared + wasted;
            let path = SearchPath::ExactScan;
            (
                self.scored(top),
                Plan {
                    path,
                    candidates,
                    ef: None,
                    matches: None,
                    refined: None,
                    reason,
                },
            )
        })
    }

    /// The graph and the width of the walk, or why every point is compared instead.
    fn graph_for(&self, k: usize) -> Result<(&'a Graph, usize), &'static str> {
        if self.exact {
            return Err("asked for");
        }
        let Some(graph) = self.contents.graph.as_deref() else {
            return Err(
                match self.contents.rows.live() < self.config.hnsw_threshold {
                    true => "the collection is small",
                    false => "the graph is not built yet",
                },
            );
        };
        let ef = self.config.ef_search.max(k + k / 2);
        let Some(matches) = &self.matches else {
            return Ok((graph, ef));
        };
        let (count, all) = (matches.count(), self.contents.rows.live());
        // A walk compares about `ef * m` points, and in proportion more when only some of those it
        // comes by match; a scan compares all matches.
        let walk = (ef * self.config.m) as f64 * all as f64 / count.max(1) as f64;
        if count <= self.config.hnsw_threshold || (count as f64) < walk {
            return Err("few points match the filter");
        }
        Ok((graph, ef))
    }

    /// Walks the graph and scans what is newer. `Err` tells why, and after how many comparisons,
    /// the walk did not find enough.
    fn walk(
        &self,
        graph: &Graph,
        query: &[f32],
        k: usize,
        ef: usize,
    ) -> Result<(Vec<Ranked<'a>>, Plan), (String, usize)> {
        let (contents, metric) = (self.contents, self.contents.spec.metric);
        let allowed = self.allowed();
        let newer = allowed.iter_from(graph.rows());
        let count = match &self.matches {
            None => contents.rows.live(),
            Some(matches) => matches.count(),
        };
        let accept = |row| allowed.contains(row);
        let (rows, keep) = (&contents.rows, MIN_RESCORED.max(RESCORED * k));
        let walk = graph.search(rows, metric, query, ef, keep, count, accept);
        if walk.gave_up {
            return Err((
                "walking the graph compared as much as a scan".to_owned(),
                walk.compared,
            ));
        }
        let mut top = Top::new(k);
        let old = walk.rows.len();
        let mut compared = walk.compared;
        backends::scan(
            &contents.rows,
            metric,
            query,
            walk.rows.into_iter(),
            &mut top,
        );
        let scanned = backends::scan(&contents.rows, metric, query, newer, &mut top);
        compared += scanned;
        // Fewer than there are to find: what is left lies beyond rows that do not match.
        if old < k.min(count - scanned) {
            return Err((format!("the graph led to only {old} points"), compared));
        }
        let reason = match scanned {
            0 => "the collection is large".to_owned(),
            _ => format!("the collection is large; {scanned} newer points were scanned"),
        };
        let path = SearchPath::Hnsw;
        let plan = Plan {
            path,
            candidates: compared,
            ef: Some(ef),
            matches: None,
            refined: None,
            reason,
        };
        Ok((self.scored(top), plan))
    }

    /// Turns likenesses into scores, which may make neighbours equal: then their ids decide anew.
    fn scored(&self, top: Top<'a>) -> Vec<Ranked<'a>> {
        let mut found = top.into_sorted();
        for ranked in &mut found {
            ranked.score = distance::score(self.contents.spec.metric, ranked.score);
        }
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests;
