//! Ways to find the nearest vectors: `flat` compares all, `hnsw` builds a graph, `graph` walks it.

mod flat;
mod graph;
mod hnsw;
#[cfg(test)]
mod tests;

pub(super) use flat::scan;
pub use graph::Graph;
pub(super) use hnsw::build;
