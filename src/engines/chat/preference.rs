//! In which order the candidates of a route are asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::routing::Candidate;

/// What decides who of a route is asked first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Prefer {
    /// The order in the settings.
    #[default]
    Order,
    /// Chance, in proportion to `weights`.
    Weight,
    /// The lowest price; candidates without one come last.
    Cost,
    /// The shortest time to the first piece, as seen so far; who was not asked yet comes first.
    Latency,
}

/// How much the newest time counts against those before.
const NEWEST: f64 = 0.2;

/// Times to the first piece of each candidate, smoothed. Milliseconds.
#[derive(Debug, Default)]
pub struct Latencies(BTreeMap<String, f64>);

impl Latencies {
    /// Takes one more time.
    pub fn push(&mut self, candidate: &Candidate, millis: u64) {
        let millis = millis as f64;
        let known = self.0.entry(candidate.to_string()).or_insert(millis);
        *known += (millis - *known) * NEWEST;
    }

    /// The time that is to be expected; 0 for who was not asked yet.
    pub fn of(&self, candidate: &Candidate) -> f64 {
        self.0
            .get(&candidate.to_string())
            .copied()
            .unwrap_or_default()
    }
}

/// Sorts by a rank, the lowest first; equals keep their order.
pub fn by_rank(candidates: &mut [Candidate], rank: impl Fn(&Candidate) -> f64) {
    candidates.sort_by(|one, two| rank(one).total_cmp(&rank(two)));
}

/// Shuffles so that each stands first as often as its weight says: `weights` pairs with
/// `candidates`, and `draws` are uniform in (0, 1]. A weight of 0 comes last.
pub fn by_weight(
    candidates: &mut Vec<Candidate>,
    weights: &[u32],
    draws: impl Iterator<Item = f64>,
) {
    // The keys of Efraimidis and Spirakis, 2006: u^(1/w), largest first.
    let keyed = std::mem::take(candidates)
        .into_iter()
        .zip(weights)
        .zip(draws);
    let mut keyed: Vec<(f64, Candidate)> = keyed
        .map(|((candidate, weight), draw)| match weight {
            0 => (-1.0, candidate),
            weight => (draw.powf(1.0 / f64::from(*weight)), candidate),
        })
        .collect();
    keyed.sort_by(|one, two| two.0.total_cmp(&one.0));
    candidates.extend(keyed.into_iter().map(|(_, candidate)| candidate));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates() -> Vec<Candidate> {
        ["a", "b", "c"]
            .map(|name| Candidate {
                provider: name.to_owned(),
                model: "m".to_owned(),
            })
            .to_vec()
    }

    fn names(candidates: &[Candidate]) -> String {
        candidates
            .iter()
            .map(|candidate| candidate.provider.as_str())
            .collect()
    }

    #[test]
    fn the_lowest_rank_comes_first_and_equals_keep_their_order() {
        let mut found = candidates();
        by_rank(&mut found, |candidate| {
            if candidate.provider == "c" { 1.0 } else { 2.0 }
        });
        assert_eq!(names(&found), "cab");
        by_rank(&mut found, |_| f64::INFINITY);
        assert_eq!(names(&found), "cab");
    }

    #[test]
    fn weights_say_how_often_each_comes_first() {
        let mut first: BTreeMap<String, u32> = BTreeMap::new();
        // A grid over the draws of two stands for chance.
        for one in 1..=100 {
            for two in 1..=100 {
                let mut found = candidates();
                let draws = [one, two, 50].map(|draw| f64::from(draw) / 100.0);
                by_weight(&mut found, &[3, 1, 0], draws.into_iter());
                assert_eq!(found[2].provider, "c", "a weight of 0 is the last resort");
                *first.entry(found[0].provider.clone()).or_default() += 1;
            }
        }
        let share = f64::from(first["a"]) / 10_000.0;
        assert!((share - 0.75).abs() < 0.02, "{share}");
    }

    #[test]
    fn times_are_smoothed() {
        let mut latencies = Latencies::default();
        let one = &candidates()[0];
        assert!(latencies.of(one).abs() < f64::EPSILON);
        latencies.push(one, 100);
        assert!((latencies.of(one) - 100.0).abs() < 1e-9);
        latencies.push(one, 200);
        assert!((latencies.of(one) - 120.0).abs() < 1e-9);
    }
}
