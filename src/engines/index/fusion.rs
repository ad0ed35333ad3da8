//! Reciprocal rank fusion: two ranked lists become one.
//!
//! Source: Cormack, Clarke & Büttcher, SIGIR 2009.

use std::collections::BTreeMap;

use super::top::Ranked;

/// The paper's constant: how much the first ranks outweigh those after.
const K: f32 = 60.0;

/// Fuses lists that are sorted best first. Scores are in `(0, 1]`: 1 is first in every list.
pub(super) fn fuse<'a>(lists: &[Vec<Ranked<'a>>]) -> Vec<Ranked<'a>> {
    let best = lists.len() as f32 / (K + 1.0);
    let mut sums: BTreeMap<u32, Ranked<'a>> = BTreeMap::new();
    for list in lists {
        for (at, found) in list.iter().enumerate() {
            let share = 1.0 / (K + 1.0 + at as f32) / best;
            sums.entry(found.row)
                .and_modify(|sum| sum.score += share)
                .or_insert(Ranked {
                    score: share,
                    ..*found
                });
        }
    }
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

    #[test]
    fn first_in_both_is_one_and_ranks_add_up() {
        let fused = fuse(&[list(&["a", "b", "c"]), list(&["a", "d", "b"])]);
        let ids: Vec<_> = fused.iter().map(|found| found.id).collect();
        assert_eq!(ids, ["a", "b", "d", "c"]);
        assert!((fused[0].score - 1.0).abs() < 1e-6);
        let b = (1.0 / 62.0 + 1.0 / 63.0) / (2.0 / 61.0);
        assert!((fused[1].score - b).abs() < 1e-6);
    }

    #[test]
    fn a_point_in_one_list_has_at_most_half_and_ties_go_by_id() {
        let fused = fuse(&[list(&["y"]), list(&["x"])]);
        assert_eq!(
            fused.iter().map(|found| found.id).collect::<Vec<_>>(),
            ["x", "y"]
        );
        assert!(fused.iter().all(|found| (found.score - 0.5).abs() < 1e-6));
        assert!(fuse(&[vec![], vec![]]).is_empty());
    }
}
