//! Vectors in one byte a number, for steering only: what is answered is ranked by the real ones.
//!
//! Each vector has its own scale. A query keeps more bits, so nearly all of the error is the rows'.
//!
//! All that a walk reads of a row lies side by side, from the start of a cache line on: codes, mark, how many neighbours,
//! neighbours.

use super::graph::Lists;
use crate::engines::index::distance;
use crate::engines::index::pages::Pages;
use crate::engines::index::rows::Rows;
use crate::engines::index::simd::{self, Kernel, STRIDE, Whole, Work};
use crate::types::point::Metric;

const MAX_CODE: f32 = 127.0;
/// A query's numbers, at most: the sum over the longest vectors then fits 32 bits.
const MAX_WIDE: f32 = 8_191.0;

/// Rows that are asked for their neighbours, to find out whether codes will do.
const PROBES: usize = 16;
/// Neighbours of each that must be among the first twice as many by codes.
const NEIGHBOURS: usize = 10;
/// The share of them that must.
const ENOUGH: f64 = 0.9;

/// Bytes of a mark, and of a number that stands beside it.
const MARK: usize = 8;
const NUMBER: usize = 4;
/// Neighbours that are kept beside the codes, at most; longer lists are only where all are.
const MOST_LINKS: usize = 128;

/// The codes of a table's first rows.
#[derive(Debug)]
pub(super) struct Quantised {
    metric: Metric,
    /// Bytes of a row's codes, with the zeros that fill its last line, and of all that is kept of it.
    codes: usize,
    stride: usize,
    pages: Pages,
    /// Rows that there are.
    len: usize,
    /// Taken off every vector before: with Euclidean distance that changes none, and the codes need not
    /// tell where all of them are.
    middle: Vec<f32>,
}

/// What a row's codes do not tell.
#[derive(Debug, Clone, Copy)]
struct Mark {
    scale: f32,
    /// Half the squared length with Euclidean distance, the lift with inner products.
    bias: f32,
}

/// A query, or a row as one.
#[derive(Debug, Default, Clone)]
pub(super) struct Aim {
    whole: Whole,
    scale: f32,
    /// Factor of the rows' biases.
    by_bias: f32,
    plus: f32,
}

impl Quantised {
    /// `lifts` has a number for each row with [`Metric::Dot`], and is empty otherwise; `lists` has the neighbours, once
    /// they are known. `None` when the system has no memory for them.
    pub(super) fn of(
        rows: &Rows,
        metric: Metric,
        len: u32,
        lifts: &[f32],
        lists: Option<&Lists>,
    ) -> Option<Self> {
        let dim = rows.dim();
        let codes = dim.next_multiple_of(STRIDE);
        let room = lists.map_or(0, |lists| lists.longest().min(MOST_LINKS));
        let stride = (codes + MARK + NUMBER + NUMBER * room).next_multiple_of(STRIDE);
        let mut quantised = Self {
            metric,
            codes,
            stride,
            pages: Pages::zeroed(stride * len as usize)?,
            len: len as usize,
            middle: match metric {
                Metric::L2 => middle(rows, len),
                Metric::Cosine | Metric::Dot => Vec::new(),
            },
        };
        let mut moved = Vec::with_capacity(dim);
        for row in 0..len {
            quantised.moved(rows.vector(row), &mut moved);
            let at = row as usize;
            let scale = largest(&moved) / MAX_CODE;
            let by = if scale > 0.0 { scale.recip() } else { 0.0 };
            let bias = match metric {
                Metric::Cosine => 0.0,
                Metric::Dot => lifts.get(at).copied().unwrap_or_default(),
                Metric::L2 => half_square(&moved),
            };
            let links = lists.map_or(&[][..], |lists| lists.of(at));
            let kept = if links.len() <= room { links } else { &[] };
            let (own, rest) = quantised.pages[at * stride..(at + 1) * stride].split_at_mut(codes);
            for (code, x) in own.iter_mut().zip(&moved) {
                *code = (x * by).round() as i8;
            }
            let words = [scale.to_bits(), bias.to_bits(), kept.len() as u32];
            let words = words.iter().chain(kept);
            for (word, out) in words.zip(bytemuck::cast_slice_mut::<i8, u32>(rest)) {
                *out = *word;
            }
        }
        Some(quantised)
    }

    /// Whether codes find what the vectors would: not where many points are nearer to each other than a
    /// code's step. Compares some rows with all.
    pub(super) fn steer(&self, rows: &Rows, metric: Metric) -> bool {
        let live = self.points(rows).count();
        let every = live.div_ceil(PROBES).max(1);
        let (mut kept, mut all) = (0, 0);
        let (mut aim, mut moved) = (Aim::default(), Vec::new());
        for probe in self.points(rows).step_by(every) {
            let vector = rows.vector(probe);
            self.aim(vector, &mut aim, &mut moved);
            let by_codes = simd::run(Ranking {
                codes: self,
                aim: &aim,
                rows,
            });
            let exact = |row| distance::likeness(metric, vector, rows.vector(row));
            let mut likenesses: Vec<f32> = self.points(rows).map(exact).collect();
            likenesses.sort_unstable_by(|a, b| b.total_cmp(a));
            let wanted = NEIGHBOURS.min(live);
            // Of equal ones any will do.
            let worst = likenesses[wanted - 1];
            let found = by_codes.iter().take(2 * wanted);
            kept += found
                .filter(|(_, row)| exact(*row) >= worst)
                .count()
                .min(wanted);
            all += wanted;
        }
        kept as f64 >= ENOUGH * all as f64
    }

    /// The live ones of its rows.
    fn points<'a>(&self, rows: &'a Rows) -> impl Iterator<Item = u32> + use<'a> {
        let len = self.len;
        let alive = rows.alive().iter();
        alive.take_while(move |row| (*row as usize) < len)
    }

    /// Memory that it takes, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.pages.len() + 4 * self.middle.len()
    }

    #[inline(always)]
    fn moved(&self, vector: &[f32], out: &mut Vec<f32>) {
        out.clear();
        out.extend_from_slice(vector);
        for (x, middle) in out.iter_mut().zip(&self.middle) {
            *x -= middle;
        }
    }

    /// Aims at a vector that is no row.
    #[inline(always)]
    pub(super) fn aim(&self, vector: &[f32], aim: &mut Aim, moved: &mut Vec<f32>) {
        self.moved(vector, moved);
        // Keeps `dim` products within 31 bits.
        let most = MAX_WIDE.min(i32::MAX as f32 / 2.0 / MAX_CODE / self.codes as f32);
        aim.scale = largest(moved) / most;
        let by = if aim.scale > 0.0 {
            aim.scale.recip()
        } else {
            0.0
        };
        let whole = moved.iter().map(|x| nearest(x * by));
        aim.whole.set(whole, self.codes);
        (aim.by_bias, aim.plus) = match self.metric {
            Metric::Cosine | Metric::Dot => (0.0, 0.0),
            Metric::L2 => (-1.0, -half_square(moved)),
        };
    }

    #[inline(always)]
    fn codes(&self, row: u32) -> &[i8] {
        let at = row as usize * self.stride;
        &self.pages[at..at + self.codes]
    }

    #[inline(always)]
    fn mark(&self, row: u32) -> Mark {
        let at = row as usize * self.stride + self.codes;
        let [scale, bias] = match self.pages[at..].first_chunk::<MARK>() {
            Some(bytes) => bytemuck::cast(*bytes),
            None => [0.0; 2],
        };
        Mark { scale, bias }
    }

    /// What a comparison with a row reads.
    #[inline(always)]
    pub(super) fn compared(&self, row: u32) -> &[i8] {
        let at = row as usize * self.stride;
        &self.pages[at..at + self.codes + MARK]
    }

    /// A row's neighbours, and the room for more.
    #[inline(always)]
    fn beside(&self, row: u32) -> &[u32] {
        let at = row as usize * self.stride;
        bytemuck::cast_slice(&self.pages[at + self.codes + MARK..at + self.stride])
    }

    /// A row's neighbours, as far as they are kept here.
    #[inline(always)]
    pub(super) fn links(&self, row: u32) -> Option<&[u32]> {
        let (count, links) = self.beside(row).split_first()?;
        links
            .get(..*count as usize)
            .filter(|links| !links.is_empty())
    }

    /// How alike the aim and a row are.
    #[inline(always)]
    pub(super) fn likeness(&self, kernel: impl Kernel, aim: &Aim, row: u32) -> f32 {
        let (product, mark) = (
            kernel.dot_codes(&aim.whole, self.codes(row)),
            self.mark(row),
        );
        aim.scale * mark.scale * product as f32 + aim.by_bias * mark.bias + aim.plus
    }

    /// Aims at a row, as builds do.
    #[inline(always)]
    pub(super) fn aim_at(&self, row: u32, aim: &mut Aim) {
        let mark = self.mark(row);
        aim.whole.set_codes(self.codes(row));
        aim.scale = mark.scale;
        (aim.by_bias, aim.plus) = match self.metric {
            Metric::Cosine => (0.0, 0.0),
            Metric::Dot => (mark.bias, 0.0),
            Metric::L2 => (-1.0, -mark.bias),
        };
    }
}

/// All live rows, the most alike first.
struct Ranking<'a> {
    codes: &'a Quantised,
    aim: &'a Aim,
    rows: &'a Rows,
}

impl Work for Ranking<'_> {
    type Output = Vec<(f32, u32)>;

    #[inline(always)]
    fn run(self, kernel: impl Kernel) -> Self::Output {
        let near = |row| (self.codes.likeness(kernel, self.aim, row), row);
        let mut ranked: Vec<_> = self.codes.points(self.rows).map(near).collect();
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        ranked
    }
}

fn middle(rows: &Rows, len: u32) -> Vec<f32> {
    let mut sums = vec![0.0_f64; rows.dim()];
    for row in 0..len {
        for (sum, x) in sums.iter_mut().zip(rows.vector(row)) {
            *sum += f64::from(*x);
        }
    }
    sums.iter()
        .map(|sum| (sum / f64::from(len.max(1))) as f32)
        .collect()
}

/// The nearest whole number, the even one of two. `x` is small: added to this, only its whole part has a place, and the
/// processor rounds it. `f32::round_ties_even` is a call where the kernels are not compiled for it.
#[inline(always)]
fn nearest(x: f32) -> i16 {
    const HIGH: f32 = 12_582_912.0;
    ((x + HIGH).to_bits() as i32 - HIGH.to_bits() as i32) as i16
}

#[inline(always)]
fn largest(vector: &[f32]) -> f32 {
    vector.iter().fold(0.0, |most, x| x.abs().max(most))
}

#[inline(always)]
fn half_square(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>() / 2.0
}
