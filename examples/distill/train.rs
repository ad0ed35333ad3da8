//! Training: the rows move until the sums point where the teacher's vectors do, and are as alike as those.

use crate::Result;
use crate::bags::{Bags, sum};
use crate::matrix::{Matrix, add};

const BATCH: usize = 512;
/// Sharpness of the likenesses within a batch.
const TEMPERATURE: f32 = 0.1;
/// How much the likenesses count beside the directions.
const ALIKE: f32 = 0.5;
const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;

pub(crate) struct Plan {
    pub(crate) epochs: usize,
    pub(crate) rate: f32,
    pub(crate) seed: u64,
}

/// Moments of Adam, and the step at which each row was last touched: a row learns only from texts that it is in.
struct Adam {
    first: Matrix,
    second: Matrix,
    steps: Vec<i32>,
}

impl Adam {
    fn step(&mut self, table: &mut Matrix, id: usize, gradient: &[f32], rate: f32) {
        self.steps[id] += 1;
        let (one, two) = (
            1.0 - BETA1.powi(self.steps[id]),
            1.0 - BETA2.powi(self.steps[id]),
        );
        let (first, second) = (self.first.row_mut(id), self.second.row_mut(id));
        for (at, x) in table.row_mut(id).iter_mut().enumerate() {
            let slope = gradient[at];
            first[at] += (1.0 - BETA1) * (slope - first[at]);
            second[at] += (1.0 - BETA2) * (slope * slope - second[at]);
            *x -= rate * (first[at] / one) / ((second[at] / two).sqrt() + 1e-8);
        }
    }
}

/// Trains `table`; `each` hears the mean loss of every pass.
pub(crate) fn run(
    mut table: Matrix,
    bags: &Bags<'_>,
    targets: &Matrix,
    plan: &Plan,
    mut each: impl FnMut(f32),
) -> Result<Matrix> {
    let mut order: Vec<usize> = (0..bags.all().len())
        .filter(|at| !bags.all()[*at].is_empty())
        .collect();
    let mut random = Random(plan.seed);
    let mut adam = Adam {
        first: Matrix::zeros(table.rows(), table.width),
        second: Matrix::zeros(table.rows(), table.width),
        steps: vec![0; table.rows()],
    };
    let steps = plan.epochs * order.len().div_ceil(BATCH);
    let mut done = 0;
    for _ in 0..plan.epochs {
        random.shuffle(&mut order);
        let mut losses = 0.0;
        for batch in order.chunks(BATCH) {
            let rate = plan.rate * (1.0 - done as f32 / steps as f32);
            losses += step(&mut table, &mut adam, bags, targets, batch, rate)? * batch.len() as f32;
            done += 1;
        }
        each(losses / order.len() as f32);
    }
    Ok(table)
}

/// One batch: forward, backward, one step of the rows that were in it. Returns the loss.
fn step(
    table: &mut Matrix,
    adam: &mut Adam,
    bags: &Bags<'_>,
    targets: &Matrix,
    batch: &[usize],
    rate: f32,
) -> Result<f32> {
    let (count, width) = (batch.len(), table.width);
    let share = 1.0 / count as f32;
    let (mut sums, mut lengths, mut taught) = (Vec::new(), Vec::new(), Vec::new());
    for at in batch {
        let (vector, length) = sum(table, &bags.all()[*at]);
        sums.extend(vector);
        lengths.push(length.max(1e-9));
        taught.extend_from_slice(targets.row(*at));
    }
    let (sums, taught) = (Matrix::new(sums, width), Matrix::new(taught, width));
    let own = sums.tensor()?;
    let (mine, theirs) = (alike(&sums)?, alike(&taught)?);
    // The slope of each likeness of two sums: what theirs lack of mine.
    let mut slopes = Matrix::zeros(count, count);
    let mut loss = 0.0;
    for row in 0..count {
        for column in 0..count {
            let (p, q) = (theirs.row(row)[column], mine.row(row)[column]);
            if p > 0.0 {
                loss += ALIKE * share * p * (p / q.max(1e-12)).ln();
            }
            slopes.row_mut(row)[column] = ALIKE * share * (q - p) / TEMPERATURE;
        }
    }
    let slopes = slopes.tensor()?;
    let slopes = (&slopes + &slopes.t()?)?.contiguous()?;
    let mut gradient = Matrix::of_tensor(&slopes.matmul(&own)?)?;
    let mut touched: std::collections::BTreeMap<u32, Vec<f32>> = std::collections::BTreeMap::new();
    for (row, at) in batch.iter().enumerate() {
        let (vector, target) = (sums.row(row), taught.row(row));
        loss += share * (1.0 - dot(vector, target));
        let slope = gradient.row_mut(row);
        add(slope, target, -share);
        // Through the scaling to length 1.
        let along = dot(slope, vector);
        add(slope, vector, -along);
        slope.iter_mut().for_each(|x| *x /= lengths[row]);
        for id in &bags.all()[*at] {
            let sum = touched.entry(*id).or_insert_with(|| vec![0.0; width]);
            add(sum, slope, 1.0);
        }
    }
    for (id, slope) in touched {
        adam.step(table, id as usize, &slope, rate);
    }
    Ok(loss)
}

/// For each row, how its likeness is spread over the other rows.
fn alike(rows: &Matrix) -> Result<Matrix> {
    let tensor = rows.tensor()?;
    let mut all = Matrix::of_tensor(&tensor.matmul(&tensor.t()?.contiguous()?)?)?;
    for at in 0..all.rows() {
        let row = all.row_mut(at);
        row[at] = f32::NEG_INFINITY;
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut()
            .for_each(|x| *x = ((*x - most) / TEMPERATURE).exp());
        let whole: f32 = row.iter().sum();
        row.iter_mut().for_each(|x| *x /= whole.max(1e-12));
    }
    Ok(all)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// SplitMix64: the same seed gives the same order.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn shuffle(&mut self, order: &mut [usize]) {
        for at in (1..order.len()).rev() {
            order.swap(at, (self.next() % (at as u64 + 1)) as usize);
        }
    }
}
