//! Ways to find the nearest vectors: `flat` compares all, `own` and `hnsw` build a graph, `graph` walks
//! it.

mod build;
mod carry;
mod flat;
mod graph;
mod hnsw;
mod own;
mod quantised;
mod reach;
mod space;
#[cfg(test)]
mod tests;
mod twins;
mod walk;

use std::collections::BTreeMap;

pub(super) use build::build;
pub(super) use flat::scan;
pub use graph::{Graph, Sections};

/// Neighbour lists as a builder draws them.
struct Drawn {
    /// By row.
    base: Vec<Vec<u32>>,
    /// By layer from 1 on, then by row.
    upper: Vec<BTreeMap<u32, Vec<u32>>>,
    entry: u32,
}
