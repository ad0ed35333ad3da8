//! Rows of numbers.

use candle_core::{Device, Tensor};

use crate::Result;

/// A matrix, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Matrix {
    pub(crate) numbers: Vec<f32>,
    pub(crate) width: usize,
}

impl Matrix {
    pub(crate) fn new(numbers: Vec<f32>, width: usize) -> Self {
        Self { numbers, width }
    }

    pub(crate) fn zeros(rows: usize, width: usize) -> Self {
        Self::new(vec![0.0; rows * width], width)
    }

    pub(crate) fn rows(&self) -> usize {
        self.numbers.len() / self.width
    }

    pub(crate) fn row(&self, at: usize) -> &[f32] {
        &self.numbers[at * self.width..(at + 1) * self.width]
    }

    pub(crate) fn row_mut(&mut self, at: usize) -> &mut [f32] {
        &mut self.numbers[at * self.width..(at + 1) * self.width]
    }

    pub(crate) fn of_bytes(bytes: &[u8], width: usize) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        Self::new(
            words.iter().map(|word| f32::from_le_bytes(*word)).collect(),
            width,
        )
    }

    pub(crate) fn tensor(&self) -> Result<Tensor> {
        let shape = (self.rows(), self.width);
        Ok(Tensor::from_slice(&self.numbers, shape, &Device::Cpu)?)
    }

    pub(crate) fn of_tensor(tensor: &Tensor) -> Result<Self> {
        let (_, width) = tensor.dims2()?;
        Ok(Self::new(tensor.flatten_all()?.to_vec1()?, width))
    }
}

/// Scales a vector to length 1; leaves one of length 0. Returns the length.
pub(crate) fn normalise(vector: &mut [f32]) -> f32 {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    length
}

/// Adds `by * other` to a vector.
pub(crate) fn add(vector: &mut [f32], other: &[f32], by: f32) {
    for (x, y) in vector.iter_mut().zip(other) {
        *x += by * y;
    }
}
