//! Vectors in one byte a number, for steering only: what is answered is ranked by the real ones.
//!
//! Each vector has its own scale. A query keeps more bits, so nearly all of the error is the rows'.

use crate::engines::index::distance;
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

/// The codes of a table's first rows.
#[derive(Debug)]
pub(super) struct Quantised {
    metric: Metric,
    stride: usize,
    codes: Vec<i8>,
    marks: Vec<Mark>,
    /// Taken off every vector before: with Euclidean distance that changes none, and the codes need not
    /// tell where all of them are.
    middle: Vec<f32>,
}

/// What a row's codes do not tell.
#[derive(Debug, Clone, Copy, Default)]
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
    /// `lifts` has a number for each row with [`Metric::Dot`], and is empty otherwise.
    pub(super) fn of(rows: &Rows, metric: Metric, len: u32, lifts: &[f32]) -> Self {
        let dim = rows.dim();
        let stride = dim.next_multiple_of(STRIDE);
        let mut quantised = Self {
            metric,
            stride,
            codes: vec![0; stride * len as usize],
            marks: vec![Mark::default(); len as usize],
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
            let codes = &mut quantised.codes[at * stride..at * stride + dim];
            let by = if scale > 0.0 { scale.recip() } else { 0.0 };
            for (code, x) in codes.iter_mut().zip(&moved) {
                *code = (x * by).round() as i8;
            }
            let bias = match metric {
                Metric::Cosine => 0.0,
                Metric::Dot => lifts.get(at).copied().unwrap_or_default(),
                Metric::L2 => half_square(&moved),
            };
            quantised.marks[at] = Mark { scale, bias };
        }
        quantised
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
        let len = self.marks.len();
        let alive = rows.alive().iter();
        alive.take_while(move |row| (*row as usize) < len)
    }

    /// Memory that it takes, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.codes.len() + size_of_val(&self.marks[..]) + 4 * self.middle.len()
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
        let most = MAX_WIDE.min(i32::MAX as f32 / 2.0 / MAX_CODE / self.stride as f32);
        aim.scale = largest(moved) / most;
        let by = if aim.scale > 0.0 {
            aim.scale.recip()
        } else {
            0.0
        };
        let whole = moved.iter().map(|x| (x * by).round_ties_even() as i16);
        aim.whole.set(whole, self.stride);
        (aim.by_bias, aim.plus) = match self.metric {
            Metric::Cosine | Metric::Dot => (0.0, 0.0),
            Metric::L2 => (-1.0, -half_square(moved)),
        };
    }

    /// Aims at a row, as builds do.
    #[inline(always)]
    pub(super) fn aim_at(&self, row: u32, aim: &mut Aim) {
        let mark = self.marks[row as usize];
        aim.whole.set_codes(self.codes(row));
        aim.scale = mark.scale;
        (aim.by_bias, aim.plus) = match self.metric {
            Metric::Cosine => (0.0, 0.0),
            Metric::Dot => (mark.bias, 0.0),
            Metric::L2 => (-1.0, -mark.bias),
        };
    }

    #[inline(always)]
    pub(super) fn codes(&self, row: u32) -> &[i8] {
        let at = row as usize * self.stride;
        &self.codes[at..at + self.stride]
    }

    /// How alike the aim and a row are, given the product of their codes.
    #[inline(always)]
    pub(super) fn likeness(&self, aim: &Aim, row: u32, product: i32) -> f32 {
        let mark = self.marks[row as usize];
        aim.scale * mark.scale * product as f32 + aim.by_bias * mark.bias + aim.plus
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
        let near = |row| {
            let product = kernel.dot_codes(self.aim.whole(), self.codes.codes(row));
            (self.codes.likeness(self.aim, row, product), row)
        };
        let mut ranked: Vec<_> = self.codes.points(self.rows).map(near).collect();
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        ranked
    }
}

impl Aim {
    #[inline(always)]
    pub(super) fn whole(&self) -> &Whole {
        &self.whole
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

#[inline(always)]
fn largest(vector: &[f32]) -> f32 {
    vector.iter().fold(0.0, |most, x| x.abs().max(most))
}

#[inline(always)]
fn half_square(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>() / 2.0
}
