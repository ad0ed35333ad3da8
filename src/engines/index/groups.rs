//! Hits that share a payload value, together.

use std::collections::HashMap;

use serde_json::Value;

use super::contents::Contents;
use super::filter::visit;
use super::search::Ranking;
use super::top::Ranked;
use super::{GroupBy, HitGroup, Plan, SearchRequest};
use crate::types::plain::counted;

/// Most hits that groups are made of.
pub(super) const MAX_CANDIDATES: usize = 10_000;
/// Hits that are ranked at first, for each that may be shown.
pub(super) const AHEAD: usize = 4;

/// A group on its way.
pub(super) struct Found<'a> {
    id: Value,
    hits: Vec<Ranked<'a>>,
}

impl Found<'_> {
    pub(super) fn read(self, contents: &Contents, request: &SearchRequest) -> HitGroup {
        HitGroup {
            id: self.id,
            hits: contents.hits(&self.hits, request),
        }
    }
}

/// Makes up to `k` groups of the best hits, that of the best first. Ranks deeper and deeper until all are
/// full, no hit is left, or there are [`MAX_CANDIDATES`].
pub(super) fn find<'a>(
    ranking: &Ranking<'a, '_>,
    group: &GroupBy,
    k: usize,
) -> (Vec<Found<'a>>, Plan) {
    let mut depth = (AHEAD * k * group.size).min(MAX_CANDIDATES);
    loop {
        let (found, mut plan) = ranking.first(depth);
        let groups = gather(ranking.contents, &found, group, k);
        if are_full(&groups, group, k) || found.len() < depth || depth == MAX_CANDIDATES {
            let (hits, by) = (counted(found.len(), "hit"), &group.path);
            plan.reason = format!("{}; {hits} grouped by {by}", plan.reason);
            return (groups, plan);
        }
        depth = (AHEAD * depth).min(MAX_CANDIDATES);
    }
}

/// Whether more hits would change nothing.
pub(super) fn are_full(groups: &[Found<'_>], group: &GroupBy, k: usize) -> bool {
    groups.len() == k && groups.iter().all(|found| found.hits.len() == group.size)
}

pub(super) fn gather<'a>(
    contents: &Contents,
    found: &[Ranked<'a>],
    group: &GroupBy,
    k: usize,
) -> Vec<Found<'a>> {
    let mut groups: Vec<Found<'a>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for hit in found {
        for id in ids_of(contents, hit.row, &group.path) {
            // As JSON: the number 1 and the text "1" are two groups.
            let place = *places.entry(id.to_string()).or_insert(groups.len());
            if place == groups.len() && place < k {
                let hits = Vec::new();
                groups.push(Found { id, hits });
            }
            // Beyond the last group: its place is never taken.
            let Some(group_found) = groups.get_mut(place) else {
                continue;
            };
            if group_found.hits.len() < group.size {
                group_found.hits.push(*hit);
            }
        }
    }
    groups
}

/// The groups of a row, each once.
fn ids_of(contents: &Contents, row: u32, path: &str) -> Vec<Value> {
    let mut ids: Vec<Value> = Vec::new();
    let mut add = |value: &Value| {
        let names = match value {
            Value::String(_) | Value::Bool(_) => true,
            Value::Number(number) => number.is_i64() || number.is_u64(),
            _ => false,
        };
        if names && !ids.contains(value) {
            ids.push(value.clone());
        }
    };
    visit(&contents.rows.doc(row).payload, path, &mut |value| {
        match value {
            Value::Array(items) => items.iter().for_each(&mut add),
            value => add(value),
        }
        false
    });
    ids
}
