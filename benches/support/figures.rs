//! Figures for `benches/compare/run.py`, beside what is printed.

use std::fs::OpenOptions;
use std::io::Write as _;

use super::statistics::{median, quantile};

/// Where they go; nothing is written without it.
const FILE: &str = "BOATHOUSE_FIGURES";

/// Adds a figure: the median of `values` and their middle half, as a line of JSON. One that could not be measured is left
/// out: neither JSON nor a table can hold it.
pub(crate) fn figure(id: &str, values: &[f64]) {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    let middle = median(values);
    if !middle.is_finite() {
        return;
    }
    let line = serde_json::json!({
        "id": id,
        "median": middle,
        "low": quantile(values, 0.25),
        "high": quantile(values, 0.75),
    });
    let file = OpenOptions::new().create(true).append(true).open(path);
    writeln!(file.unwrap(), "{line}").unwrap();
}
