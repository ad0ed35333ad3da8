//! How far a mean is to be trusted: the bootstrap. Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.

use crate::engines::upstream::mix;

/// Samples that are drawn anew.
const DRAWS: usize = 2_000;
/// Parts of the draws that lie below the low and above the high end.
const TAIL: f64 = 0.025;

/// The mean, and the interval that holds 95 of 100 means of samples drawn anew; `None` for no values.
///
/// The same values give the same interval: the draws are seeded by how many there are.
pub(super) fn mean(values: &[f64]) -> Option<(f64, f64, f64)> {
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let mut state = mix(values.len() as u64);
    let mut draw = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let place = (u128::from(mix(state)) * values.len() as u128) >> 64;
        values
            .get(usize::try_from(place).unwrap_or(0))
            .copied()
            .unwrap_or_default()
    };
    let mut means: Vec<f64> = (0..DRAWS)
        .map(|_| (0..values.len()).map(|_| draw()).sum::<f64>() / count)
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let place = (part * (DRAWS - 1) as f64).round() as usize;
        means.get(place).copied().unwrap_or(mean)
    };
    Some((mean, at(TAIL), at(1.0 - TAIL)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_leave_no_doubt_and_none_give_nothing() {
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[0.5]), Some((0.5, 0.5, 0.5)));
        assert_eq!(mean(&[2.0; 40]), Some((2.0, 2.0, 2.0)));
    }

    #[test]
    fn the_interval_is_that_of_the_normal_law_for_many_values() {
        // Evenly spread over [0, 1]: standard deviation 1 / sqrt(12), standard error that over 20.
        let values: Vec<f64> = (0..400).map(|at| (f64::from(at) + 0.5) / 400.0).collect();
        let (mean, low, high) = super::mean(&values).unwrap();
        let error = 1.96 / 12_f64.sqrt() / 20.0;
        assert!((mean - 0.5).abs() < 1e-9);
        assert!((low - (0.5 - error)).abs() < 0.004, "{low}");
        assert!((high - (0.5 + error)).abs() < 0.004, "{high}");
        assert_eq!(super::mean(&values), Some((mean, low, high)));
    }
}
