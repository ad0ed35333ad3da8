//! What the benches of the HTTP API share: a load tool, child processes, statistics.

mod figures;
pub(crate) mod load;
pub(crate) mod process;
mod statistics;

use std::sync::OnceLock;

pub(crate) use figures::figure;
pub(crate) use statistics::{median, quantile, spread};

/// Cores that the system gave us at the start.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Half of the cores serve and half of them ask, so that the load tool does not take the server's time.
pub(crate) fn half() -> usize {
    (cores() / 2).max(1)
}
