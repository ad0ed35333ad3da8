//! Quantiles of many numbers in little memory.

use std::collections::BTreeMap;

/// Digits of a number that are kept, binary: quantiles are exact below 128 and within 0.8 % above.
const DIGITS: u32 = 7;

/// Counts of numbers by their first digits.
#[derive(Debug, Clone, Default)]
pub(super) struct Quantiles {
    counts: BTreeMap<u64, u64>,
    total: u64,
}

impl Quantiles {
    pub(super) fn add(&mut self, number: u64) {
        let shift = (u64::BITS - number.leading_zeros()).saturating_sub(DIGITS);
        let bucket = (u64::from(shift) << DIGITS) | (number >> shift);
        *self.counts.entry(bucket).or_default() += 1;
        self.total += 1;
    }

    /// The smallest number that a share `of` of them, 0 to 1, is not above; 0 without any.
    pub(super) fn quantile(&self, of: f64) -> u64 {
        let rank = ((self.total as f64 * of).ceil() as u64).max(1);
        let mut passed = 0;
        for (bucket, count) in &self.counts {
            passed += count;
            if passed >= rank {
                let shift = bucket >> DIGITS;
                let first = (bucket & ((1 << DIGITS) - 1)) << shift;
                return first + ((1 << shift) - 1) / 2;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near_those_of_the_sorted_numbers() {
        assert_eq!(Quantiles::default().quantile(0.5), 0);
        for scale in [1, 37, 1_000_003, u64::MAX / 1_001] {
            let mut quantiles = Quantiles::default();
            for number in (1..=1_000).rev() {
                quantiles.add(number * scale);
            }
            for (of, exact) in [(0.0, 1), (0.5, 500), (0.95, 950), (1.0, 1_000)] {
                let (found, exact) = (quantiles.quantile(of) as f64, (exact * scale) as f64);
                assert!((found / exact - 1.0).abs() < 0.008, "{found} {exact}");
            }
        }
        let mut few = Quantiles::default();
        few.add(3);
        few.add(90);
        assert_eq!((few.quantile(0.5), few.quantile(0.95)), (3, 90));
        few.add(u64::MAX);
        assert!(few.quantile(1.0) > u64::MAX / 2);
    }
}
