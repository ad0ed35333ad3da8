//! Near-duplicates: rows that say nearly the same, found without comparing each with each.
//!
//! MinHash with banding. Equal minima of two rows are as frequent as the shingles that they share
//! among all that they have, the Jaccard likeness. Rows that agree on a whole band of minima are
//! compared; the bands are as wide as the likeness that is asked for allows.
//!
//! Source: Broder, On the resemblance and containment of documents, 1997; Leskovec, Rajaraman,
//! Ullman, Mining of Massive Datasets, chapter 3.

use std::collections::HashMap;

use super::exporters::Texts;

mod minhash;
#[cfg(test)]
mod tests;

use minhash::{MINIMA, Minima, mix};
pub(super) use minhash::{Shingles, jaccard};

/// Rows that one band's value leads to; what stands behind them is not compared, so that time stays
/// linear also where thousands of rows have a phrase in common.
const MAX_BUCKET: usize = 64;
/// Chance that two rows of just the likeness agree on no band, at most.
const MISSED: f64 = 0.01;

/// Lower half of each minimum: two that differ agree in it once in 65,536 times.
type Signature = [u16; MINIMA];

/// The rows that were kept.
///
/// Memory: about 2 KiB a row, whatever its length.
#[derive(Debug)]
pub(super) struct Near {
    likeness: f64,
    band: usize,
    kept: Vec<Kept>,
    buckets: HashMap<u64, Vec<u32>>,
}

#[derive(Debug)]
struct Kept {
    /// Of the question and the answer.
    whole: Signature,
    /// Of the answer: one question with two answers is two rows, however long the question.
    answered: Signature,
    class: u8,
    row: u32,
}

/// A row's signatures, to be looked up and kept.
#[derive(Debug)]
pub(super) struct Sketch {
    bands: Vec<u64>,
    whole: Signature,
    answered: Signature,
    class: u8,
}

/// The row that another is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Like {
    /// Its number.
    pub(super) row: u32,
    /// The estimated Jaccard likeness.
    pub(super) likeness: f64,
}

impl Near {
    /// Finds rows of at least a likeness, above 0 and up to 1.
    pub(super) fn new(likeness: f64) -> Self {
        Self {
            likeness,
            band: band_of(likeness),
            kept: Vec::new(),
            buckets: HashMap::new(),
        }
    }

    /// Sketches a row; `None` for one without words, which is like nothing.
    pub(super) fn sketch(&self, texts: &Texts) -> Option<Sketch> {
        let whole = Minima::of(&Shingles::of(&[&texts.asked, &texts.answered]))?;
        let answered = Minima::of(&Shingles::of(&[&texts.answered]))?;
        let bands = whole.0.chunks_exact(self.band);
        let bands = (0_u64..).zip(bands).map(|(at, band)| {
            let start = mix(at << 8 | u64::from(texts.class));
            band.iter()
                .fold(start, |hash, least| mix(hash ^ u64::from(*least)))
        });
        Some(Sketch {
            bands: bands.collect(),
            whole: whole.lower(),
            answered: answered.lower(),
            class: texts.class,
        })
    }

    /// The kept row that a sketch is most like, the oldest of several.
    pub(super) fn find(&self, sketch: &Sketch) -> Option<Like> {
        let mut candidates: Vec<u32> = sketch
            .bands
            .iter()
            .filter_map(|band| self.buckets.get(band))
            .flatten()
            .copied()
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        let mut best: Option<Like> = None;
        for at in candidates {
            let Some(kept) = self.kept.get(at as usize) else {
                continue;
            };
            let likeness = agreement(&kept.whole, &sketch.whole);
            let near = kept.class == sketch.class
                && likeness >= self.likeness
                && agreement(&kept.answered, &sketch.answered) >= self.likeness;
            if near && best.is_none_or(|best| likeness > best.likeness) {
                best = Some(Like {
                    row: kept.row,
                    likeness,
                });
            }
        }
        best
    }

    /// Keeps a row.
    pub(super) fn keep(&mut self, sketch: Sketch, row: u32) {
        let Ok(at) = u32::try_from(self.kept.len()) else {
            return;
        };
        for band in sketch.bands {
            let bucket = self.buckets.entry(band).or_default();
            if bucket.len() < MAX_BUCKET {
                bucket.push(at);
            }
        }
        self.kept.push(Kept {
            whole: sketch.whole,
            answered: sketch.answered,
            class: sketch.class,
            row,
        });
    }
}

/// Share of equal minima.
fn agreement(one: &Signature, other: &Signature) -> f64 {
    let equal = one.iter().zip(other).filter(|(a, b)| a == b).count();
    equal as f64 / MINIMA as f64
}

/// The widest band that misses at most one of a hundred pairs of the likeness: the wider, the fewer
/// rows are compared in vain.
fn band_of(likeness: f64) -> usize {
    let missed = |band: usize| {
        let agrees = likeness.powf(band as f64);
        (1.0 - agrees).powf((MINIMA / band) as f64)
    };
    (1..=MINIMA / 4)
        .rev()
        .find(|band| missed(*band) <= MISSED)
        .unwrap_or(1)
}
