//! The best few of many candidates.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A candidate. The greater one is the worse: lower score, or on a tie the later id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked<'a> {
    pub(super) score: f32,
    pub(super) id: &'a str,
    pub(super) row: u32,
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .score
            .total_cmp(&self.score)
            .then_with(|| self.id.cmp(other.id))
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked<'_> {}

/// Keeps the `limit` best of what it is given.
pub(super) struct Top<'a> {
    limit: usize,
    heap: BinaryHeap<Ranked<'a>>,
}

impl<'a> Top<'a> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            heap: BinaryHeap::with_capacity(limit.min(4_096) + 1),
        }
    }

    /// Considers a candidate; `id` is asked for only when the score is good enough.
    pub(super) fn offer(&mut self, score: f32, row: u32, id: impl FnOnce() -> &'a str) {
        if self.heap.len() >= self.limit {
            match self.heap.peek() {
                Some(worst) if score >= worst.score => {}
                _ => return,
            }
        }
        self.heap.push(Ranked {
            score,
            id: id(),
            row,
        });
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    /// Returns what was kept, best first.
    pub(super) fn into_sorted(self) -> Vec<Ranked<'a>> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_best_and_breaks_ties_by_id_whatever_the_order() {
        let given = [(0.5, "b"), (0.9, "z"), (0.5, "a"), (0.1, "c"), (0.5, "d")];
        for shift in 0..given.len() {
            let mut top = Top::new(3);
            for (score, id) in given.iter().cycle().skip(shift).take(given.len()) {
                top.offer(*score, 0, || id);
            }
            let ids: Vec<_> = top.into_sorted().iter().map(|ranked| ranked.id).collect();
            assert_eq!(ids, ["z", "a", "b"], "from {shift}");
        }
        let mut none = Top::new(0);
        none.offer(1.0, 0, || "a");
        assert!(none.into_sorted().is_empty());
    }
}
