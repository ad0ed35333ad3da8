//! Statistics of rounds.

pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which a share of `values` lies; between two of them, in proportion, so that of three rounds neither the
/// lowest nor the highest goes unseen.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() - 1) as f64 * share;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

/// A line such as `0.91 (0.88 to 0.94)`: median, and the middle half.
pub(crate) fn spread(values: &[f64]) -> String {
    format!(
        "{:.3} ({:.3} to {:.3})",
        median(values),
        quantile(values, 0.25),
        quantile(values, 0.75)
    )
}
