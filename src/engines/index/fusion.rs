//! Two ranked lists become one: by their ranks, or by their scores.
//!
//! Source of the first: Cormack, Clarke & Büttcher, SIGIR 2009.

use std::collections::BTreeMap;

use super::Fusion;
use super::top::Ranked;

/// Fuses lists that are sorted best first. Scores are in `[0, 1]`: 1 is first in both.
pub(super) fn fuse<'a>(
    fusion: Fusion,
    dense: Vec<Ranked<'a>>,
    lexical: Vec<Ranked<'a>>,
) -> Vec<Ranked<'a>> {
    match fusion {
        Fusion::Rrf { k } => by_rank(f32::from(k), &[dense, lexical]),
        Fusion::Weighted { dense: weight } => by_score(weight, dense, lexical),
    }
}

/// Adds the scores up, each weighed. A cosine has no zero of its own, so the dense list's worst is 0 and
/// its best 1; a word's score has one, so the lexical list is only scaled by its best.
fn by_score<'a>(
    weight: f32,
    mut dense: Vec<Ranked<'a>>,
    mut lexical: Vec<Ranked<'a>>,
) -> Vec<Ranked<'a>> {
    spread(&mut dense);
    let best = lexical.first().map_or(1.0, |best| best.score);
    for found in &mut lexical {
        found.score /= best;
    }
    let mut sums: BTreeMap<u32, Ranked<'a>> = BTreeMap::new();
    for (list, weight) in [(dense, weight), (lexical, 1.0 - weight)] {
        for found in list {
            let share = weight * found.score;
            sums.entry(found.row)
                .and_modify(|sum| sum.score += share)
                .or_insert(Ranked {
                    score: share,
                    ..found
                });
        }
    }
    sorted(sums)
}

/// Scales the scores of a list that is sorted best first: the best is 1, the worst 0. All are 1 when they
/// are equal.
pub(super) fn spread(found: &mut [Ranked<'_>]) {
    let (Some(best), Some(worst)) = (found.first(), found.last()) else {
        return;
    };
    let (worst, range) = (worst.score, best.score - worst.score);
    for found in found {
        found.score = match range > 0.0 {
            true => (found.score - worst) / range,
            false => 1.0,
        };
    }
}

fn by_rank<'a>(k: f32, lists: &[Vec<Ranked<'a>>]) -> Vec<Ranked<'a>> {
    let best = lists.len() as f32 / (k + 1.0);
    let mut sums: BTreeMap<u32, Ranked<'a>> = BTreeMap::new();
    for list in lists {
        for (at, found) in list.iter().enumerate() {
            let share = 1.0 / (k + 1.0 + at as f32) / best;
            sums.entry(found.row)
                .and_modify(|sum| sum.score += share)
                .or_insert(Ranked {
                    score: share,
                    ..*found
                });
        }
    }
    sorted(sums)
}

fn sorted(sums: BTreeMap<u32, Ranked<'_>>) -> Vec<Ranked<'_>> {
    let mut fused: Vec<_> = sums.into_values().collect();
    for found in &mut fused {
        found.score = found.score.min(1.0);
    }
    fused.sort_unstable();
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list<'a>(ids: &[&'a str]) -> Vec<Ranked<'a>> {
        ids.iter()
            .map(|id| Ranked {
                score: 9.0,
                id,
                row: u32::from(id.as_bytes()[0]),
            })
            .collect()
    }

    fn rrf<'a>(dense: &[&'a str], lexical: &[&'a str]) -> Vec<Ranked<'a>> {
        fuse(Fusion::default(), list(dense), list(lexical))
    }

    #[test]
    fn first_in_both_is_one_and_ranks_add_up() {
        let fused = rrf(&["a", "b", "c"], &["a", "d", "b"]);
        let ids: Vec<_> = fused.iter().map(|found| found.id).collect();
        assert_eq!(ids, ["a", "b", "d", "c"]);
        assert!((fused[0].score - 1.0).abs() < 1e-6);
        let b = (1.0 / 62.0 + 1.0 / 63.0) / (2.0 / 61.0);
        assert!((fused[1].score - b).abs() < 1e-6);
        // A small constant: being first once outweighs being third and second.
        let k = Fusion::Rrf { k: 1 };
        let fused = fuse(k, list(&["a", "x", "b"]), list(&["c", "b", "x"]));
        assert_eq!(fused[0].id, "b");
        let b = (1.0 / 4.0 + 1.0 / 3.0) / (2.0 / 2.0);
        assert!((fused[0].score - b).abs() < 1e-6);
    }

    #[test]
    fn a_point_in_one_list_has_at_most_half_and_ties_go_by_id() {
        let fused = rrf(&["y"], &["x"]);
        assert_eq!(
            fused.iter().map(|found| found.id).collect::<Vec<_>>(),
            ["x", "y"]
        );
        assert!(fused.iter().all(|found| (found.score - 0.5).abs() < 1e-6));
        assert!(rrf(&[], &[]).is_empty());
    }

    fn scored<'a>(found: &[(&'a str, f32)]) -> Vec<Ranked<'a>> {
        let ranked = found.iter().map(|(id, score)| Ranked {
            score: *score,
            id,
            row: u32::from(id.as_bytes()[0]),
        });
        ranked.collect()
    }

    #[test]
    fn weighted_scores_are_scaled_then_added() {
        let fused = fuse(
            Fusion::Weighted { dense: 0.75 },
            scored(&[("a", 0.9), ("b", 0.8), ("c", 0.5)]),
            scored(&[("b", 8.0), ("d", 2.0)]),
        );
        let got: Vec<_> = fused.iter().map(|found| (found.id, found.score)).collect();
        let expected = [
            ("b", 0.75 * 0.75 + 0.25),
            ("a", 0.75),
            ("d", 0.25 * 0.25),
            ("c", 0.0),
        ];
        for ((id, score), (wanted, value)) in got.iter().zip(expected) {
            assert_eq!(*id, wanted);
            assert!((score - value).abs() < 1e-6, "{id} {score}");
        }
        // All of the weight on one side leaves the other's order out.
        let one = |dense| {
            let (a, b) = (
                scored(&[("a", 0.9), ("b", 0.1)]),
                scored(&[("b", 3.0), ("a", 1.0)]),
            );
            fuse(Fusion::Weighted { dense }, a, b)[0].id
        };
        assert_eq!((one(1.0), one(0.0)), ("a", "b"));
        // Equal scores, or a single hit, are the best there is.
        let equal = fuse(
            Fusion::Weighted { dense: 1.0 },
            scored(&[("a", -0.2), ("b", -0.2)]),
            vec![],
        );
        assert!(equal.iter().all(|found| found.score == 1.0));
    }
}
