//! How a search finds its candidates: which way, over which points, and what is told about it.

use std::borrow::Cow;

use super::backends::{self, Graph};
use super::contents::Contents;
use super::top::{Ranked, Top};
use super::{Bits, IndexConfig, Plan, SearchPath, distance};
use crate::types::plain::counted;

/// Rows of a walk that are ranked by their vectors, for each hit: it may have gone by codes.
const RESCORED: usize = 2;
const MIN_RESCORED: usize = 16;

/// One search on its way.
pub(super) struct Search<'a> {
    contents: &'a Contents,
    config: &'a IndexConfig,
    /// Rows that may be found: what cannot be seen, or does not match, is in no list.
    allowed: Cow<'a, Bits>,
    /// How many they are, when not all live rows.
    matches: Option<usize>,
    exact: bool,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        contents: &'a Contents,
        config: &'a IndexConfig,
        allowed: Cow<'a, Bits>,
        exact: bool,
    ) -> Self {
        let matches = match &allowed {
            Cow::Borrowed(_) => None,
            Cow::Owned(rows) => Some(rows.count()),
        };
        Self {
            contents,
            config,
            allowed,
            matches,
            exact,
        }
    }

    pub(super) fn contents(&self) -> &'a Contents {
        self.contents
    }

    /// Rows that may be found.
    pub(super) fn allowed(&self) -> &Bits {
        &self.allowed
    }

    /// How many they are, when not all live rows.
    pub(super) fn matches(&self) -> Option<usize> {
        self.matches
    }

    /// Sorts those that have a second vector by it, among the places that they hold; the others keep
    /// their places, and take the score of the one before. Returns how many were sorted.
    pub(super) fn rank_anew(&self, found: &mut [Ranked<'a>], query: &[f32]) -> usize {
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

    pub(super) fn lexical(&self, text: &str, k: usize) -> (Vec<Ranked<'a>>, usize) {
        let (contents, allowed) = (self.contents, self.allowed());
        let scores = contents.lexical.scores(text, |row| allowed.contains(row));
        let mut top = Top::new(k);
        for (row, score) in &scores {
            top.offer(*score, *row, || &contents.rows.doc(*row).id);
        }
        (top.into_sorted(), scores.len())
    }

    pub(super) fn dense(&self, query: &[f32], k: usize) -> (Vec<Ranked<'a>>, Plan) {
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
            let plan = Plan::new(SearchPath::ExactScan, candidates, reason);
            (self.scored(top), plan)
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
        let Some(count) = self.matches else {
            return Ok((graph, ef));
        };
        let all = self.contents.rows.live();
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
        let count = self.matches.unwrap_or(contents.rows.live());
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
            let led = counted(old, "point");
            return Err((format!("the graph led to only {led}"), compared));
        }
        let reason = match scanned {
            0 => "the collection is large".to_owned(),
            _ => format!(
                "the collection is large; {} scanned besides",
                counted(scanned, "newer point")
            ),
        };
        let plan = Plan {
            ef: Some(ef),
            ..Plan::new(SearchPath::Hnsw, compared, reason)
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
