//! What the benches of the HTTP API share: a load tool, child processes, statistics.

pub(crate) mod load;
pub(crate) mod process;

use std::sync::OnceLock;

/// Cores that the system gave us at the start.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Half of the cores serve and half of them ask, so that the load tool does not take the server's time.
pub(crate) fn half() -> usize {
    (cores() / 2).max(1)
}

pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which a share of `values` lies.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
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
