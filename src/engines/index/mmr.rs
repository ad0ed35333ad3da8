//! Maximal marginal relevance: the next hit is relevant, and unlike those before it.
//!
//! Source: Carbonell & Goldstein, SIGIR 1998.

use super::contents::Contents;
use super::fusion;
use super::simd::dot;
use super::top::Ranked;
use crate::types::point::Metric;

/// Chooses `k` of `found`, in the order they are chosen; their scores stay.
///
/// Likeness of two points is the cosine of their vectors. So is relevance where there is a `query` that the
/// points were ranked by; else it is their score, scaled so that the best of them is 1 and the worst 0.
pub(super) fn choose<'a>(
    contents: &Contents,
    found: Vec<Ranked<'a>>,
    query: Option<&[f32]>,
    lambda: f32,
    k: usize,
) -> Vec<Ranked<'a>> {
    let cosine = Cosine(contents);
    let relevance: Vec<f32> = match query {
        Some(query) => {
            let row = |found: &Ranked<'_>| cosine.of(query, contents.rows.vector(found.row));
            found.iter().map(row).collect()
        }
        None => {
            let mut scaled = found.clone();
            fusion::spread(&mut scaled);
            scaled.iter().map(|found| found.score).collect()
        }
    };
    // For each that is left: its place, and its likeness to the likest that is chosen.
    let mut left: Vec<(usize, Option<f32>)> = (0..found.len()).map(|at| (at, None)).collect();
    let mut chosen = Vec::with_capacity(k.min(found.len()));
    while chosen.len() < k {
        let worth = |&(at, likest): &(usize, Option<f32>)| {
            lambda * relevance[at] - (1.0 - lambda) * likest.unwrap_or(0.0)
        };
        let mut best: Option<(usize, f32)> = None;
        for (place, candidate) in left.iter().enumerate() {
            let worth = worth(candidate);
            // The earlier one of equals.
            if best.is_none_or(|(_, most)| worth > most) {
                best = Some((place, worth));
            }
        }
        let Some((place, _)) = best else { break };
        let next = found[left.remove(place).0];
        let vector = contents.rows.vector(next.row);
        for (at, likest) in &mut left {
            let like = cosine.of(vector, contents.rows.vector(found[*at].row));
            *likest = Some(likest.map_or(like, |before| before.max(like)));
        }
        chosen.push(next);
    }
    chosen
}

struct Cosine<'a>(&'a Contents);

impl Cosine<'_> {
    fn of(&self, a: &[f32], b: &[f32]) -> f32 {
        let product = dot(a, b);
        // Those are of length 1 already.
        if self.0.spec.metric == Metric::Cosine {
            return product;
        }
        let lengths = (dot(a, a) * dot(b, b)).sqrt();
        match lengths > 0.0 && lengths.is_finite() {
            true => product / lengths,
            false => 0.0,
        }
    }
}
