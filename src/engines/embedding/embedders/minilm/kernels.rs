//! What stands between the matrix products, each in one pass over memory.
//!
//! The loops are plain; `pulp` compiles them for the widest registers that it knows and picks at
//! run time. They use sixteen sums that do not depend on each other, so that the compiler can.

use candle_core::{CpuStorage, CustomOp2, Error, InplaceOp2, InplaceOp3, Layout, Result, Shape};
use pulp::{Arch, NullaryFnOnce};

/// Numbers that are worked on at once.
const LANES: usize = 16;

/// `x = gelu(x + bias)` for each row of `x`.
pub(super) struct BiasGelu;

/// `x = norm(x + other + bias) * gain + shift` for each row of `x`; the last operand's rows are
/// bias, gain and shift.
pub(super) struct AddNorm {
    pub(super) eps: f64,
}

/// From queries, keys and values `[tokens, 3 * hidden]`, without their bias, to `[tokens, hidden]`.
/// A token attends to those of its own text.
pub(super) struct Attention {
    pub(super) heads: usize,
    /// Tokens of each text.
    pub(super) lengths: Vec<usize>,
}

impl InplaceOp2 for BiasGelu {
    fn name(&self) -> &'static str {
        "bias-gelu"
    }

    fn cpu_fwd(
        &self,
        x: &mut CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<()> {
        let (x, bias) = (whole_mut(x, x_layout)?, whole(bias, bias_layout)?);
        Arch::new().dispatch(GeluRows { x, bias });
        Ok(())
    }
}

impl InplaceOp3 for AddNorm {
    fn name(&self) -> &'static str {
        "add-norm"
    }

    fn cpu_fwd(
        &self,
        x: &mut CpuStorage,
        x_layout: &Layout,
        other: &CpuStorage,
        other_layout: &Layout,
        rows: &CpuStorage,
        rows_layout: &Layout,
    ) -> Result<()> {
        let x = whole_mut(x, x_layout)?;
        let (other, rows) = (whole(other, other_layout)?, whole(rows, rows_layout)?);
        let eps = self.eps as f32;
        Arch::new().dispatch(NormRows {
            x,
            other,
            rows,
            eps,
        });
        Ok(())
    }
}

impl CustomOp2 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        mixed: &CpuStorage,
        mixed_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mixed = whole(mixed, mixed_layout)?;
        let bias = whole(bias, bias_layout)?;
        let hidden = bias.len() / 3;
        let tokens: usize = self.lengths.iter().sum();
        if !hidden.is_multiple_of(self.heads) || tokens * bias.len() != mixed.len() {
            return Err(Error::Msg(
                "attention over another number of tokens".to_owned(),
            ));
        }
        let mut out = vec![0.0; tokens * hidden];
        Arch::new().dispatch(AttendTexts {
            mixed,
            bias,
            lengths: &self.lengths,
            head: hidden / self.heads,
            out: &mut out,
        });
        Ok((CpuStorage::F32(out), Shape::from((tokens, hidden))))
    }
}

fn whole<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) = bounds(layout)?;
    let numbers = storage.as_slice::<f32>()?.get(start..end);
    numbers.ok_or_else(|| Error::Msg("a tensor is shorter than its layout".to_owned()))
}

fn whole_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let (start, end) = bounds(layout)?;
    let numbers = match storage {
        CpuStorage::F32(numbers) => numbers.get_mut(start..end),
        _ => None,
    };
    numbers.ok_or_else(|| Error::Msg("a tensor is not of f32".to_owned()))
}

fn bounds(layout: &Layout) -> Result<(usize, usize)> {
    let bounds = layout.contiguous_offsets();
    bounds.ok_or_else(|| Error::Msg("a tensor is not contiguous".to_owned()))
}

struct GeluRows<'a> {
    x: &'a mut [f32],
    bias: &'a [f32],
}

impl NullaryFnOnce for GeluRows<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for row in self.x.chunks_exact_mut(self.bias.len().max(1)) {
            for (x, bias) in row.iter_mut().zip(self.bias) {
                *x = gelu(*x + bias);
            }
        }
    }
}

struct NormRows<'a> {
    x: &'a mut [f32],
    other: &'a [f32],
    rows: &'a [f32],
    eps: f32,
}

impl NullaryFnOnce for NormRows<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let hidden = self.rows.len() / 3;
        let (bias, rest) = self.rows.split_at(hidden);
        let (gain, shift) = rest.split_at(hidden);
        let count = hidden as f32;
        let rows = self.x.chunks_exact_mut(hidden.max(1));
        for (row, other) in rows.zip(self.other.chunks_exact(hidden.max(1))) {
            for ((x, other), bias) in row.iter_mut().zip(other).zip(bias) {
                *x += other + bias;
            }
            let mean = sum(row, |x| x) / count;
            let variance = sum(row, |x| (x - mean) * (x - mean)) / count;
            let scale = 1.0 / (variance + self.eps).sqrt();
            for ((x, gain), shift) in row.iter_mut().zip(gain).zip(shift) {
                *x = (*x - mean) * scale * gain + shift;
            }
        }
    }
}

struct AttendTexts<'a> {
    mixed: &'a [f32],
    bias: &'a [f32],
    lengths: &'a [usize],
    /// Numbers of one head.
    head: usize,
    out: &'a mut [f32],
}

impl NullaryFnOnce for AttendTexts<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let hidden = self.bias.len() / 3;
        let head = self.head;
        let longest = self.lengths.iter().copied().max().unwrap_or(0);
        let scale = 1.0 / (head as f32).sqrt();
        // One head of one text: a query, the keys turned around and padded to whole lanes, the
        // values, and how much each counts.
        let mut query = vec![0.0; head];
        let mut keys = vec![0.0; head * longest.next_multiple_of(LANES)];
        let mut values = vec![0.0; head * longest];
        let mut shares = vec![0.0; longest.next_multiple_of(LANES)];
        let (mut mixed, mut out) = (self.mixed, self.out);
        for &len in self.lengths {
            let (text, later) = mixed.split_at(len * 3 * hidden);
            let (text_out, later_out) = out.split_at_mut(len * hidden);
            (mixed, out) = (later, later_out);
            let padded = len.next_multiple_of(LANES);
            let shares = &mut shares[..padded];
            let keys = &mut keys[..head * padded];
            for from in (0..hidden).step_by(head.max(1)) {
                let part = |token: usize, which: usize| {
                    let at = which * hidden + from;
                    let numbers = &text[token * 3 * hidden + at..][..head];
                    numbers.iter().zip(&self.bias[at..][..head])
                };
                for token in 0..len {
                    for (dim, (x, bias)) in part(token, 1).enumerate() {
                        keys[dim * padded + token] = x + bias;
                    }
                    let values = &mut values[token * head..][..head];
                    for (value, (x, bias)) in values.iter_mut().zip(part(token, 2)) {
                        *value = x + bias;
                    }
                }
                for token in 0..len {
                    for (query, (x, bias)) in query.iter_mut().zip(part(token, 0)) {
                        *query = (x + bias) * scale;
                    }
                    scores(&query, keys, shares);
                    let total = exponentials(&mut shares[..len]);
                    let out = &mut text_out[token * hidden + from..][..head];
                    mean(&shares[..len], &values[..len * head], 1.0 / total, out);
                }
            }
        }
    }
}

/// Inner products of the query with every key; `keys` is `[head, scores]`.
#[inline(always)]
fn scores(query: &[f32], keys: &[f32], scores: &mut [f32]) {
    const WIDE: usize = 4 * LANES;
    let padded = scores.len();
    let (wide, narrow) = scores.as_chunks_mut::<WIDE>();
    let done = wide.len() * WIDE;
    for (at, block) in wide.iter_mut().enumerate() {
        *block = weighted::<WIDE>(query, keys, padded, at * WIDE);
    }
    let (narrow, _) = narrow.as_chunks_mut::<LANES>();
    for (at, block) in narrow.iter_mut().enumerate() {
        *block = weighted::<LANES>(query, keys, padded, done + at * LANES);
    }
}

/// Mean of the values with the given weights; `values` is `[shares, head]`.
#[inline(always)]
fn mean(shares: &[f32], values: &[f32], scale: f32, out: &mut [f32]) {
    const WIDE: usize = 2 * LANES;
    let head = out.len();
    let (wide, rest) = out.as_chunks_mut::<WIDE>();
    let done = wide.len() * WIDE;
    for (at, block) in wide.iter_mut().enumerate() {
        *block = weighted::<WIDE>(shares, values, head, at * WIDE).map(|x| x * scale);
    }
    for (at, out) in rest.iter_mut().enumerate() {
        let column = values.iter().skip(done + at).step_by(head);
        let total: f32 = shares.iter().zip(column).map(|(a, b)| a * b).sum();
        *out = total * scale;
    }
}

/// Sum of the rows of a matrix `width` wide, from column `at` on, each times its factor.
#[inline(always)]
fn weighted<const N: usize>(factors: &[f32], matrix: &[f32], width: usize, at: usize) -> [f32; N] {
    let mut sums = [0.0; N];
    for (factor, row) in factors.iter().zip(matrix.chunks_exact(width)) {
        if let Some(row) = row.get(at..).and_then(|row| row.first_chunk::<N>()) {
            for lane in 0..N {
                sums[lane] += factor * row[lane];
            }
        }
    }
    sums
}

/// Replaces scores by their exponentials, the largest becoming 1, and returns the sum.
#[inline(always)]
fn exponentials(scores: &mut [f32]) -> f32 {
    let mut largest = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = scores.as_chunks::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            largest[lane] = if block[lane] > largest[lane] {
                block[lane]
            } else {
                largest[lane]
            };
        }
    }
    let all = largest.iter().chain(rest);
    let largest = all.fold(
        f32::NEG_INFINITY,
        |most, &x| if x > most { x } else { most },
    );
    for score in scores.iter_mut() {
        *score = exp(*score - largest);
    }
    sum(scores, |x| x)
}

#[inline(always)]
fn sum(numbers: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = numbers.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for block in blocks {
        for lane in 0..LANES {
            sums[lane] += of(block[lane]);
        }
    }
    let rest: f32 = rest.iter().map(|&x| of(x)).sum();
    sums.iter().sum::<f32>() + rest
}

/// `x * Φ(x)`, the form with the error function. Off by less than 1e-6 times `x`.
///
/// Source: Abramowitz and Stegun 7.1.26.
#[inline(always)]
fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let tail = t
        * (0.254_829_6
            + t * (-0.284_496_74 + t * (1.421_413_8 + t * (-1.453_152 + t * 1.061_405_4))));
    // 1 - erf(z), of which half is Φ below zero.
    let outside = 0.5 * tail * exp(-z * z);
    let inside = if x < 0.0 { outside } else { 1.0 - outside };
    x * inside
}

/// The exponential of a number that is not above zero, off by less than 1e-6 of itself.
///
/// 2^k of the whole part goes into the exponent's bits, the rest through the series of e^r with
/// |r| ≤ ln 2 / 2.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Below, the result would be denormal; it counts as the smallest normal one.
    let x = if x < -87.0 { -87.0 } else { x };
    // 1.5 * 2^23: adding it rounds to a whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // ln 2 in two parts, so that the product with the first is exact.
    let r = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let series = 1.0
        + r * (1.0
            + r * (0.5
                + r * (0.166_666_67 + r * (0.041_666_67 + r * (0.008_333_34 + r * 0.001_388_89)))));
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()) << 23;
    f32::from_bits(series.to_bits().wrapping_add(exponent))
}
