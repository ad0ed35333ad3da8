//! The exact scan.

use super::space::{Exact, ExactAim, Space as _};
use crate::engines::index::rows::Rows;
use crate::engines::index::simd::{self, Kernel, Work};
use crate::engines::index::top::Top;
use crate::types::point::Metric;

/// Rows that are fetched before they are compared. Those that match a filter lie apart, so that the processor does not see
/// the next one coming.
const AHEAD: usize = 4;

/// Offers each of `candidates` to `top`; returns how many there were.
pub(in crate::engines::index) fn scan<'a>(
    rows: &'a Rows,
    metric: Metric,
    query: &[f32],
    candidates: impl Iterator<Item = u32>,
    top: &mut Top<'a>,
) -> usize {
    simd::run(Scan {
        rows,
        metric,
        query,
        candidates,
        top,
    })
}

struct Scan<'a, 's, I> {
    rows: &'a Rows,
    metric: Metric,
    query: &'s [f32],
    candidates: I,
    top: &'s mut Top<'a>,
}

impl<I: Iterator<Item = u32>> Work for Scan<'_, '_, I> {
    type Output = usize;

    #[inline(always)]
    fn run(self, kernel: impl Kernel) -> usize {
        let Self {
            rows, query, top, ..
        } = self;
        let space = Exact {
            kernel,
            rows,
            metric: self.metric,
            lifts: &[],
        };
        let aim = ExactAim {
            vector: query,
            lift: 0.0,
        };
        let mut compare = |row| {
            let found = space.likeness(&aim, row);
            top.offer(found, row, || &rows.doc(row).id);
        };
        let mut fetched = [0; AHEAD];
        let mut read = 0;
        for row in self.candidates {
            kernel.prefetch(rows.vector(row));
            let at = read % AHEAD;
            if read >= AHEAD {
                compare(fetched[at]);
            }
            fetched[at] = row;
            read += 1;
        }
        for at in read.saturating_sub(AHEAD)..read {
            compare(fetched[at % AHEAD]);
        }
        read
    }
}
