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
/// embedding; each number centred and scaled over the vocabulary, then weighted by how rare the token is. Whole words
/// follow; of their pieces, which the teacher reads together, it is the mean.
pub(crate) fn of_rows(teacher: &Minilm, bags: &Bags<'_>) -> Result<Matrix> {
    let dim = teacher.info().dim;
    let tokens = (0..bags.vocabulary() as u32).map(|id| vec![id]);
    let all: Vec<Vec<u32>> = tokens.chain(bags.words().iter().cloned()).collect();
    let mut features = Matrix::zeros(all.len(), 3 * dim);
    for (at, batch) in all.chunks(BATCH).enumerate() {
        let texts: Vec<Vec<u32>> = batch
            .iter()
            .map(|pieces| [&[CLS], pieces.as_slice(), &[SEP]].concat())
            .collect();
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let states = teacher.hidden_states(&texts)?;
        let words = teacher.word_embeddings(&batch.concat())?;
        let (mut states, mut words) = (states.chunks(dim), words.chunks(dim));
        for (row, pieces) in (at * BATCH..).zip(batch) {
            let row = features.row_mut(row);
            let share = 1.0 / pieces.len() as f32;
            for (place, state) in states.by_ref().take(pieces.len() + 2).enumerate() {
                add(&mut row[..dim], state, 1.0 / (pieces.len() + 2) as f32);
                if (1..=pieces.len()).contains(&place) {
                    add(&mut row[dim..2 * dim], state, share);
                }
            }
            for word in words.by_ref().take(pieces.len()) {
                add(&mut row[2 * dim..], word, share);
            }
        }
    }
    let known: Vec<usize> = (0..bags.vocabulary())
        .filter(|id| !bags.is_special(*id))
        .collect();
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
        for row in 0..all.len() {
            let x = &mut features.row_mut(row)[column];
            *x = (*x - mean) / deviation;
        }
    }
    for id in 0..all.len() {
        let weight = match bags.is_special(id) {
            true => 0.0,
            false => SIF / (SIF + bags.frequency(id)),
        };
        features.row_mut(id).iter_mut().for_each(|x| *x *= weight);
    }
    Ok(features)
}

/// Regresses the teacher's vectors on the unit sums of the features, and gives each token what that makes of its own.
pub(crate) fn fit(features: &Matrix, bags: &Bags<'_>, targets: &Matrix) -> Result<Matrix> {
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
