//! What a walk compares: real vectors, or their codes.

use super::quantised::{self, Quantised};
use crate::engines::index::rows::Rows;
use crate::engines::index::simd::Kernel;
use crate::types::point::Metric;

/// Numbers of a vector that are fetched ahead: the processor sees the rest coming.
const FIRST: usize = 64;

/// Rows that can be compared with something aimed at.
pub(super) trait Space: Copy {
    /// What rows are compared with.
    type Aim: Default;

    /// Aims at a row.
    fn aim_at(self, row: u32, aim: &mut Self::Aim);

    /// The more alike, the greater.
    fn likeness(self, aim: &Self::Aim, row: u32) -> f32;

    /// Starts to fetch a row.
    fn prefetch(self, row: u32);

    /// Starts to fetch a list.
    fn prefetch_links(self, links: &[u32]);
}

/// The real vectors.
#[derive(Clone, Copy)]
pub(super) struct Exact<'a, K> {
    pub(super) kernel: K,
    pub(super) rows: &'a Rows,
    pub(super) metric: Metric,
    /// One more coordinate of each row, in a build with [`Metric::Dot`]; see [`lifts`].
    pub(super) lifts: &'a [f32],
}

#[derive(Clone, Copy, Default)]
pub(super) struct ExactAim<'a> {
    pub(super) vector: &'a [f32],
    pub(super) lift: f32,
}

impl<'a, K: Kernel> Space for Exact<'a, K> {
    type Aim = ExactAim<'a>;

    #[inline(always)]
    fn aim_at(self, row: u32, aim: &mut ExactAim<'a>) {
        *aim = ExactAim {
            vector: self.rows.vector(row),
            lift: self.lifts.get(row as usize).copied().unwrap_or_default(),
        };
    }

    #[inline(always)]
    fn likeness(self, aim: &ExactAim<'a>, row: u32) -> f32 {
        let vector = self.rows.vector(row);
        match self.metric {
            Metric::Cosine => self.kernel.dot(aim.vector, vector),
            Metric::Dot => {
                let lift = self.lifts.get(row as usize).copied().unwrap_or_default();
                self.kernel.dot(aim.vector, vector) + aim.lift * lift
            }
            Metric::L2 => -self.kernel.l2_squared(aim.vector, vector),
        }
    }

    #[inline(always)]
    fn prefetch(self, row: u32) {
        let vector = self.rows.vector(row);
        self.kernel.prefetch(&vector[..vector.len().min(FIRST)]);
    }

    #[inline(always)]
    fn prefetch_links(self, links: &[u32]) {
        self.kernel.prefetch(links);
    }
}

/// Their codes.
#[derive(Clone, Copy)]
pub(super) struct Coded<'a, K> {
    pub(super) kernel: K,
    pub(super) codes: &'a Quantised,
}

impl<K: Kernel> Space for Coded<'_, K> {
    type Aim = quantised::Aim;

    #[inline(always)]
    fn aim_at(self, row: u32, aim: &mut quantised::Aim) {
        self.codes.aim_at(row, aim);
    }

    #[inline(always)]
    fn likeness(self, aim: &quantised::Aim, row: u32) -> f32 {
        self.codes.likeness(self.kernel, aim, row)
    }

    #[inline(always)]
    fn prefetch(self, row: u32) {
        self.kernel.prefetch(self.codes.compared(row));
    }

    #[inline(always)]
    fn prefetch_links(self, links: &[u32]) {
        self.kernel.prefetch(links);
    }
}

/// With one more coordinate all vectors are equally long, and the nearest by distance is the one with
/// the largest inner product. Source: Bachrach et al., RecSys 2014.
pub(super) fn lifts(rows: &Rows, metric: Metric) -> Vec<f32> {
    if metric != Metric::Dot {
        return Vec::new();
    }
    let squares: Vec<f32> = (0..rows.len())
        .map(|row| rows.vector(row).iter().map(|x| x * x).sum())
        .collect();
    let alive = rows.alive().iter();
    let longest = alive.map(|row| squares[row as usize]).fold(0.0, f32::max);
    squares
        .iter()
        .map(|square| (longest - square).max(0.0).sqrt())
        .collect()
}
