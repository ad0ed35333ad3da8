//! The first table: what the teacher knows of each token alone, turned by ridge regression to where its texts are.

use boathouse::engines::embedding::{Embedder, Minilm};
use nalgebra::DMatrix;

use crate::Result;
use crate::bags::{Bags, sum};
use crate::matrix::{Matrix, add, normalise};

const CLS: u32 = 101;
const SEP: u32 = 102;
/// Tokens that go through the teacher together.
const BATCH: usize = 256;
/// Weights frequent tokens down: a / (a + frequency).
const SIF: f32 = 1e-3;
/// Keeps the regression's weights small, in parts of the mean square of the features.
const RIDGE: f64 = 1e-3;

/// Three vectors for each token, behind one another: the mean over `[CLS] token [SEP]`, the token's own, and its input
/// embedding; each number centred and scaled over the vocabulary, then weighted by how rare the token is.
pub(crate) fn of_tokens(teacher: &Minilm, bags: &Bags) -> Result<Matrix> {
    let dim = teacher.info().dim;
    let ids: Vec<u32> = (0..bags.vocabulary() as u32).collect();
    let mut features = Matrix::zeros(ids.len(), 3 * dim);
    for batch in ids.chunks(BATCH) {
        let texts: Vec<[u32; 3]> = batch.iter().map(|id| [CLS, *id, SEP]).collect();
        let texts: Vec<&[u32]> = texts.iter().map(<[u32; 3]>::as_slice).collect();
        let states = teacher.hidden_states(&texts)?;
        let words = teacher.word_embeddings(batch)?;
        for (at, id) in batch.iter().enumerate() {
            let states = &states[3 * dim * at..3 * dim * (at + 1)];
            let row = features.row_mut(*id as usize);
            for state in states.chunks(dim) {
                add(&mut row[..dim], state, 1.0 / 3.0);
            }
            row[dim..2 * dim].copy_from_slice(&states[dim..2 * dim]);
            row[2 * dim..].copy_from_slice(&words[dim * at..dim * (at + 1)]);
        }
    }
    let known: Vec<usize> = (0..ids.len()).filter(|id| !bags.is_special(*id)).collect();
    let count = known.len() as f32;
    for column in 0..features.width {
        let mean = known
            .iter()
            .map(|id| features.row(*id)[column])
            .sum::<f32>()
            / count;
        let square = |id: &usize| (features.row(*id)[column] - mean).powi(2);
        let deviation = (known.iter().map(square).sum::<f32>() / count)
            .sqrt()
            .max(1e-6);
        for id in &ids {
            let x = &mut features.row_mut(*id as usize)[column];
            *x = (*x - mean) / deviation;
        }
    }
    for id in 0..ids.len() {
        let weight = match bags.is_special(id) {
            true => 0.0,
            false => SIF / (SIF + bags.frequency(id)),
        };
        features.row_mut(id).iter_mut().for_each(|x| *x *= weight);
    }
    Ok(features)
}

/// Regresses the teacher's vectors on the unit sums of the features, and gives each token what that makes of its own.
pub(crate) fn fit(features: &Matrix, bags: &Bags, targets: &Matrix) -> Result<Matrix> {
    const CHUNK: usize = 4_096;
    let (width, dim) = (features.width, targets.width);
    let mut squares = DMatrix::<f64>::zeros(width, width);
    let mut products = DMatrix::<f64>::zeros(width, dim);
    for (at, chunk) in bags.all().chunks(CHUNK).enumerate() {
        let sums = chunk.iter().flat_map(|bag| sum(features, bag).0).collect();
        let sums = Matrix::new(sums, width).tensor()?;
        let from = at * CHUNK * dim;
        let numbers = targets.numbers[from..from + chunk.len() * dim].to_vec();
        let targets = Matrix::new(numbers, dim).tensor()?;
        let turned = sums.t()?.contiguous()?;
        accumulate(&mut squares, &Matrix::of_tensor(&turned.matmul(&sums)?)?);
        accumulate(
            &mut products,
            &Matrix::of_tensor(&turned.matmul(&targets)?)?,
        );
    }
    let ridge = RIDGE * squares.trace() / width as f64;
    for at in 0..width {
        squares[(at, at)] += ridge;
    }
    let solved = squares
        .cholesky()
        .ok_or("the features are not independent")?
        .solve(&products);
    let weights: Vec<f32> = (0..width)
        .flat_map(|row| (0..dim).map(move |column| (row, column)))
        .map(|at| solved[at] as f32)
        .collect();
    let table = features
        .tensor()?
        .matmul(&Matrix::new(weights, dim).tensor()?)?;
    let mut table = Matrix::of_tensor(&table)?;
    // Rows of length one on average: the step of the training is in that measure.
    let mut lengths = 0.0;
    for id in 0..table.rows() {
        lengths += normalise(&mut table.row(id).to_vec());
    }
    let mean = lengths / table.rows() as f32;
    table.numbers.iter_mut().for_each(|x| *x /= mean.max(1e-9));
    Ok(table)
}

fn accumulate(sum: &mut DMatrix<f64>, part: &Matrix) {
    for row in 0..part.rows() {
        for (column, x) in part.row(row).iter().enumerate() {
            sum[(row, column)] += f64::from(*x);
        }
    }
}
