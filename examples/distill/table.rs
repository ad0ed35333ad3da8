//! The table as it is compiled in: turned so that the first dimensions say most, one byte a number.

use std::fs;
use std::path::Path;

use boathouse::engines::embedding::MAX_PIECES;
use nalgebra::{DMatrix, SymmetricEigen};
use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::Result;
use crate::bags::{Bags, sum};
use crate::matrix::Matrix;

/// Turns the table to the principal axes of its texts, not centred, and keeps the first `dim`.
pub(crate) fn rotated(table: &Matrix, bags: &Bags<'_>, dim: usize) -> Result<Matrix> {
    let width = table.width;
    let mut squares = DMatrix::<f64>::zeros(width, width);
    for chunk in bags.all().chunks(4_096) {
        let sums = chunk.iter().flat_map(|bag| sum(table, bag).0).collect();
        let sums = Matrix::new(sums, width).tensor()?;
        let part = Matrix::of_tensor(&sums.t()?.contiguous()?.matmul(&sums)?)?;
        for row in 0..width {
            for column in 0..width {
                squares[(row, column)] += f64::from(part.row(row)[column]);
            }
        }
    }
    let found = SymmetricEigen::new(squares);
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|a, b| found.eigenvalues[*b].total_cmp(&found.eigenvalues[*a]));
    let mut axes = Matrix::zeros(width, dim);
    for (column, axis) in order.into_iter().take(dim).enumerate() {
        // An axis has no sign of its own; this one makes the table the same on every machine.
        let axis = found.eigenvectors.column(axis);
        let sign = if axis.sum() < 0.0 { -1.0 } else { 1.0 };
        for row in 0..width {
            axes.row_mut(row)[column] = (sign * axis[row]) as f32;
        }
    }
    Matrix::of_tensor(&table.tensor()?.matmul(&axes.tensor()?)?)
}

/// One byte for each number, and a scale for each row.
pub(crate) struct Table {
    codes: Vec<i8>,
    /// Half precision.
    scales: Vec<u16>,
    dim: usize,
}

impl Table {
    pub(crate) fn rounded(table: &Matrix) -> Self {
        let (mut codes, mut scales) = (Vec::new(), Vec::new());
        for id in 0..table.rows() {
            let row = table.row(id);
            let most = row.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let half = half::f16::from_f32(most / 127.0);
            let scale = half.to_f32();
            codes.extend(row.iter().map(|x| match scale > 0.0 {
                true => (x / scale).round().clamp(-127.0, 127.0) as i8,
                false => 0,
            }));
            scales.push(half.to_bits());
        }
        Self {
            codes,
            scales,
            dim: table.width,
        }
    }

    /// What the codes stand for.
    pub(crate) fn numbers(&self) -> Matrix {
        let rows = self.codes.chunks(self.dim).zip(&self.scales);
        let numbers = rows.flat_map(|(row, scale)| {
            let scale = half::f16::from_bits(*scale).to_f32();
            row.iter().map(move |code| scale * f32::from(*code))
        });
        Matrix::new(numbers.collect(), self.dim)
    }

    /// Writes `embeddings` I8 [tokens, dim] and `scales` F16 [tokens]; for whole words `word_embeddings` and
    /// `word_scales` likewise, and `words` U16 [words, MAX_PIECES]: the ids of their pieces, filled up with 0.
    pub(crate) fn save(&self, path: &Path, words: &[Vec<u32>]) -> Result<()> {
        let codes: Vec<u8> = self.codes.iter().map(|code| code.cast_unsigned()).collect();
        let scales: Vec<u8> = self
            .scales
            .iter()
            .flat_map(|scale| scale.to_le_bytes())
            .collect();
        let tokens = self.scales.len() - words.len();
        let (codes, word_codes) = codes.split_at(tokens * self.dim);
        let (scales, word_scales) = scales.split_at(tokens * 2);
        let view = |of, shape: &[usize], bytes| TensorView::new(of, shape.to_vec(), bytes);
        let mut tensors = vec![
            ("embeddings", view(Dtype::I8, &[tokens, self.dim], codes)?),
            ("scales", view(Dtype::F16, &[tokens], scales)?),
        ];
        let mut ids = Vec::new();
        for word in words {
            let mut word = word.clone();
            word.resize(MAX_PIECES, 0);
            for id in word {
                ids.extend(u16::try_from(id)?.to_le_bytes());
            }
        }
        if !words.is_empty() {
            let rows = words.len();
            tensors.extend([
                ("words", view(Dtype::U16, &[rows, MAX_PIECES], &ids)?),
                (
                    "word_embeddings",
                    view(Dtype::I8, &[rows, self.dim], word_codes)?,
                ),
                ("word_scales", view(Dtype::F16, &[rows], word_scales)?),
            ]);
        }
        fs::write(path, serialize(tensors, None)?)?;
        Ok(())
    }
}
