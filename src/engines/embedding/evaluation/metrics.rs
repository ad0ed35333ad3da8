//! Figures of merit over ranks.

use std::collections::HashMap;

/// Returns the discounted gain of `found`, best first, over that of the best possible order; both
/// cut at `cutoff`.
///
/// `relevant` holds the gain of each relevant document; a found document outside it gains nothing.
/// 0 when nothing is relevant. Source: Järvelin & Kekäläinen 2002, with gain = relevance and
/// discount = log2(rank + 1), as trec_eval.
pub fn ndcg(found: &[u32], relevant: &HashMap<u32, f64>, cutoff: usize) -> f64 {
    let mut ideal: Vec<f64> = relevant.values().copied().collect();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let best = discounted(ideal.into_iter().take(cutoff));
    if best <= 0.0 {
        return 0.0;
    }
    let gains = found
        .iter()
        .take(cutoff)
        .map(|id| relevant.get(id).copied().unwrap_or_default());
    discounted(gains) / best
}

fn discounted(gains: impl Iterator<Item = f64>) -> f64 {
    (2_u32..)
        .zip(gains)
        .map(|(place, gain)| gain / f64::from(place).log2())
        .sum()
}

/// Returns the part of the relevant documents that the first `cutoff` of `found` hold; 0 when
/// nothing is relevant.
pub fn recall(found: &[u32], relevant: &HashMap<u32, f64>, cutoff: usize) -> f64 {
    if relevant.is_empty() {
        return 0.0;
    }
    let hits = found
        .iter()
        .take(cutoff)
        .filter(|id| relevant.contains_key(id))
        .count();
    hits as f64 / relevant.len() as f64
}

/// Returns Spearman's rank correlation of two lists, equal values sharing their mean rank.
///
/// NaN when the lists differ in length, are shorter than two, or one holds a single value
/// throughout.
pub fn spearman(left: &[f64], right: &[f64]) -> f64 {
    if left.len() != right.len() || left.len() < 2 {
        return f64::NAN;
    }
    let (left, right) = (ranks(left), ranks(right));
    let mean = (left.len() as f64 + 1.0) / 2.0;
    let (mut both, mut lefts, mut rights) = (0.0, 0.0, 0.0);
    for (x, y) in left.iter().zip(&right) {
        both += (x - mean) * (y - mean);
        lefts += (x - mean).powi(2);
        rights += (y - mean).powi(2);
    }
    both / (lefts * rights).sqrt()
}

/// Ranks from 1, ties at their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        for &place in tied {
            ranks[place] = rank;
        }
        before += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-9, "{got} for {expected}");
    }

    #[test]
    fn ndcg_by_hand() {
        let binary = HashMap::from([(1, 1.0), (2, 1.0)]);
        close(ndcg(&[1, 2, 9], &binary, 10), 1.0);
        close(
            ndcg(&[9, 1], &binary, 10),
            (1.0 / 3_f64.log2()) / (1.0 + 1.0 / 3_f64.log2()),
        );
        close(ndcg(&[9, 1], &binary, 1), 0.0);
        close(ndcg(&[1], &binary, 1), 1.0);
        let graded = HashMap::from([(1, 1.0), (2, 3.0)]);
        let ideal = 3.0 + 1.0 / 3_f64.log2();
        close(
            ndcg(&[1, 2], &graded, 10),
            (1.0 + 3.0 / 3_f64.log2()) / ideal,
        );
        close(ndcg(&[1], &HashMap::new(), 10), 0.0);
        close(ndcg(&[], &binary, 10), 0.0);
    }

    #[test]
    fn recall_by_hand() {
        let relevant = HashMap::from([(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0)]);
        close(recall(&[1, 9, 2], &relevant, 10), 0.5);
        close(recall(&[1, 9, 2], &relevant, 2), 0.25);
        close(recall(&[], &relevant, 2), 0.0);
        close(recall(&[1], &HashMap::new(), 2), 0.0);
    }

    #[test]
    fn spearman_by_hand() {
        close(spearman(&[1.0, 2.0, 3.0], &[10.0, 100.0, 1000.0]), 1.0);
        close(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
        close(
            spearman(&[1.0, 2.0, 3.0, 4.0, 5.0], &[5.0, 6.0, 7.0, 8.0, 7.0]),
            0.820_782_681_7,
        );
        for (left, right) in [
            (&[1.0, 1.0][..], &[1.0, 2.0][..]),
            (&[1.0], &[1.0]),
            (&[], &[1.0]),
        ] {
            assert!(spearman(left, right).is_nan());
        }
    }
}
