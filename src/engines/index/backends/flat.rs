//! The exact scan.

use crate::engines::index::distance::likeness;
use crate::engines::index::rows::Rows;
use crate::engines::index::top::Top;
use crate::types::point::Metric;

/// Offers each of `candidates` to `top`; returns how many there were.
pub(in crate::engines::index) fn scan<'a>(
    rows: &'a Rows,
    metric: Metric,
    query: &[f32],
    candidates: impl Iterator<Item = u32>,
    top: &mut Top<'a>,
) -> usize {
    let mut compared = 0;
    for row in candidates {
        compared += 1;
        let found = likeness(metric, query, rows.vector(row));
        top.offer(found, row, || &rows.doc(row).id);
    }
    compared
}
