//! The exact search: every query against every document.

use crate::engines::embedding::vector::dot;

/// Documents that stay in the processor's cache while a group of queries passes over them (64 KiB
/// of 256 floats).
const TILE: usize = 64;

/// Returns the `k` nearest documents of each query by inner product, nearest first, the earlier one
/// first among equals.
pub(super) fn nearest(
    documents: &[Vec<f32>],
    queries: &[Vec<f32>],
    k: usize,
    threads: usize,
) -> Vec<Vec<u32>> {
    let share = queries.len().div_ceil(threads.max(1)).max(1);
    let mut best: Vec<Best> = queries.iter().map(|_| Best::new(k)).collect();
    std::thread::scope(|scope| {
        for (queries, best) in queries.chunks(share).zip(best.chunks_mut(share)) {
            scope.spawn(move || scan(documents, queries, best));
        }
    });
    best.into_iter()
        .map(|best| best.found.into_iter().map(|(_, id)| id).collect())
        .collect()
}

fn scan(documents: &[Vec<f32>], queries: &[Vec<f32>], best: &mut [Best]) {
    for (tile, documents) in documents.chunks(TILE).enumerate() {
        for (query, best) in queries.iter().zip(best.iter_mut()) {
            for (at, document) in documents.iter().enumerate() {
                best.offer(dot(query, document), tile * TILE + at);
            }
        }
    }
}

/// The best documents so far.
struct Best {
    k: usize,
    // Invariant: at most `k`, scores falling.
    found: Vec<(f32, u32)>,
}

impl Best {
    fn new(k: usize) -> Self {
        Self {
            k,
            found: Vec::with_capacity(k + 1),
        }
    }

    fn offer(&mut self, score: f32, document: usize) {
        if self.found.len() == self.k && self.found.last().is_none_or(|last| score <= last.0) {
            return;
        }
        let Ok(id) = u32::try_from(document) else {
            return;
        };
        let place = self.found.partition_point(|known| known.0 >= score);
        self.found.insert(place, (score, id));
        self.found.truncate(self.k);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scan_agrees_with_sorting_all_scores() {
        let at = |index: u32| f64::from(index.wrapping_mul(2_654_435_761) >> 24) as f32;
        let documents: Vec<Vec<f32>> = (0..300)
            .map(|row| (0..5).map(|column| at(row * 5 + column) - 128.0).collect())
            .collect();
        let queries = &documents[..7];
        let expected: Vec<Vec<u32>> = queries
            .iter()
            .map(|query| {
                let mut all: Vec<u32> = (0..300).collect();
                let score = |id: u32| dot(query, &documents[id as usize]);
                all.sort_by(|&a, &b| score(b).total_cmp(&score(a)).then(a.cmp(&b)));
                all[..10].to_vec()
            })
            .collect();
        for threads in [0, 1, 2, 100] {
            assert_eq!(
                nearest(&documents, queries, 10, threads),
                expected,
                "{threads} threads"
            );
        }
        assert_eq!(nearest(&[], queries, 10, 2), vec![Vec::<u32>::new(); 7]);
        assert_eq!(nearest(&documents, &[], 10, 2), Vec::<Vec<u32>>::new());
        assert_eq!(
            nearest(&documents, &queries[..1], 0, 1),
            vec![Vec::<u32>::new()]
        );
    }

    #[test]
    fn equals_keep_the_order_of_the_corpus() {
        let documents = vec![vec![1.0], vec![2.0], vec![1.0], vec![2.0]];
        assert_eq!(nearest(&documents, &[vec![1.0]], 3, 1), [[1, 3, 0]]);
    }
}
