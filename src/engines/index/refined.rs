//! A second vector for each row, of a better model: the first hits of a search are ranked by it.
//!
//! It comes after the point, when its job has time for it, and is kept as one byte a number: that
//! moves no rank that the model itself is sure of.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::distance;

/// A vector as one byte for each number: `number = scale * code`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Code {
    /// Finite and not negative; 0 for the zero vector.
    pub scale: f32,
    /// -127 to 127.
    pub codes: Vec<i8>,
}

impl Code {
    /// Rounds a vector, scaled to length 1 first. What is not finite, or all zeros, is alike to nothing.
    pub fn of(vector: &[f32]) -> Self {
        let mut unit = vector.to_vec();
        let whole = unit.iter().all(|x| x.is_finite()) && distance::normalise(&mut unit);
        let most = unit.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        if !whole || most == 0.0 {
            return Self {
                scale: 0.0,
                codes: vec![0; vector.len()],
            };
        }
        let scale = most / 127.0;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the quotient is within -127 and 127"
        )]
        let codes = unit.iter().map(|x| (x / scale).round() as i8).collect();
        Self { scale, codes }
    }
}

/// A second vector on its way to its point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refinement {
    /// The point.
    pub id: String,
    /// [`text_hash`] of the text that the vector was made of: a point that has another by now keeps waiting.
    pub text: u64,
    /// The vector.
    pub code: Code,
}

/// Names a text.
pub fn text_hash(text: &str) -> u64 {
    let hash = blake3::hash(text.as_bytes());
    hash.as_bytes()
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Rows of a block: at 384 dimensions 96 KiB, small enough to copy while a snapshot holds it.
const BLOCK: usize = 256;

#[derive(Debug, Clone)]
struct Block {
    /// NaN: none yet.
    scales: Vec<f32>,
    codes: Vec<i8>,
}

/// The second vectors of a table of rows. Cheap to clone, as the table is.
#[derive(Debug, Clone, Default)]
pub(super) struct Codes {
    dim: usize,
    blocks: Vec<Option<Arc<Block>>>,
}

impl Codes {
    pub(super) fn new(dim: usize) -> Self {
        Self {
            dim,
            blocks: Vec::new(),
        }
    }

    /// Gives a row its vector, which must have the table's dimension.
    pub(super) fn set(&mut self, row: u32, code: &Code) {
        let (block, at) = place(row);
        if self.blocks.len() <= block {
            self.blocks.resize(block + 1, None);
        }
        let dim = self.dim;
        let block = self.blocks[block].get_or_insert_with(|| {
            Arc::new(Block {
                scales: vec![f32::NAN; BLOCK],
                codes: vec![0; BLOCK * dim],
            })
        });
        let block = Arc::make_mut(block);
        block.scales[at] = code.scale;
        block.codes[at * dim..(at + 1) * dim].copy_from_slice(&code.codes);
    }

    pub(super) fn get(&self, row: u32) -> Option<(f32, &[i8])> {
        let (block, at) = place(row);
        let block = self.blocks.get(block)?.as_deref()?;
        let scale = block.scales[at];
        (!scale.is_nan()).then(|| (scale, &block.codes[at * self.dim..(at + 1) * self.dim]))
    }

    /// Cosine of the row's vector and a query of length 1.
    pub(super) fn likeness(&self, row: u32, query: &[f32]) -> Option<f32> {
        let (scale, codes) = self.get(row)?;
        let sum: f32 = codes
            .iter()
            .zip(query)
            .map(|(c, q)| f32::from(*c) * q)
            .sum();
        Some((scale * sum).clamp(-1.0, 1.0))
    }

    /// Length of the vectors.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }
}

fn place(row: u32) -> (usize, usize) {
    let row = row as usize;
    (row / BLOCK, row % BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rounded_vector_is_alike_as_the_vector_was() {
        let a: Vec<f32> = (0..384).map(|n| (n as f32 * 0.37).sin()).collect();
        let mut b: Vec<f32> = (0..384).map(|n| (n as f32 * 0.37 + 0.4).sin()).collect();
        assert!(distance::normalise(&mut b));
        let mut unit = a.clone();
        assert!(distance::normalise(&mut unit));
        let mut codes = Codes::new(384);
        codes.set(300, &Code::of(&a));
        let exact = crate::engines::index::simd::dot(&unit, &b);
        assert!((codes.likeness(300, &b).unwrap() - exact).abs() < 2e-3);
        assert!(codes.get(299).is_none() && codes.get(0).is_none() && codes.get(9_999).is_none());
    }

    #[test]
    fn what_has_no_direction_is_alike_to_nothing() {
        for vector in [[0.0, 0.0], [f32::NAN, 1.0], [f32::INFINITY, 0.0]] {
            let mut codes = Codes::new(2);
            codes.set(0, &Code::of(&vector));
            assert_eq!(codes.likeness(0, &[1.0, 0.0]), Some(0.0), "{vector:?}");
        }
    }

    #[test]
    fn a_clone_is_not_touched_by_later_vectors() {
        let mut codes = Codes::new(1);
        codes.set(0, &Code::of(&[1.0]));
        let view = codes.clone();
        codes.set(1, &Code::of(&[1.0]));
        codes.set(0, &Code::of(&[-1.0]));
        assert!(view.get(1).is_none());
        assert_eq!(view.likeness(0, &[1.0]), Some(1.0));
        assert_eq!(codes.likeness(0, &[1.0]), Some(-1.0));
    }
}
