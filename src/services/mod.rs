//! Use cases: plain async functions that sequence cells.
