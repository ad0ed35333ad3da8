//! Indexes over payload fields, so that a filter looks up what it would read in every payload.
//!
//! What a filter finds is the same with and without them. A keyword or a bool has the rows of each value,
//! a number or a moment its place in a sorted column.

mod column;
mod posting;
mod sorted;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub(super) use column::Column;

use super::Rows;
use crate::types::collection::FieldKind;

/// The indexed fields of a collection.
#[derive(Debug, Default)]
pub(super) struct Fields {
    columns: BTreeMap<String, Column>,
}

impl Fields {
    /// Makes empty indexes.
    pub(super) fn new(kinds: &BTreeMap<String, FieldKind>) -> Self {
        let columns = kinds
            .iter()
            .map(|(path, kind)| (path.clone(), Column::new(*kind)));
        Self {
            columns: columns.collect(),
        }
    }

    /// Adds a row, which must be greater than any before.
    pub(super) fn add(&mut self, row: u32, payload: &Map<String, Value>) {
        for (path, column) in &mut self.columns {
            column.add(row, path, payload);
        }
    }

    /// Makes indexes over rows that are there already.
    pub(super) fn over(kinds: &BTreeMap<String, FieldKind>, rows: &Rows) -> Self {
        let mut made = Self::new(kinds);
        if !kinds.is_empty() {
            for row in rows.alive().iter() {
                made.add(row, &rows.doc(row).payload);
            }
        }
        made
    }

    /// Takes in indexes over the same rows, and drops what is not in `kinds`.
    pub(super) fn adopt(&mut self, made: Self, kinds: &BTreeMap<String, FieldKind>) {
        self.columns.extend(made.columns);
        self.columns.retain(|path, _| kinds.contains_key(path));
    }

    /// The index of a field.
    pub(super) fn get(&self, path: &str) -> Option<&Column> {
        self.columns.get(path)
    }

    /// What a field holds, when it is indexed.
    pub(super) fn kind(&self, path: &str) -> Option<FieldKind> {
        self.columns.get(path).map(Column::kind)
    }

    /// Counts the rows of `alive` for each field whose values are not all of its kind.
    pub(super) fn odd(&self, alive: &super::Bits) -> BTreeMap<String, usize> {
        let counts = self.columns.iter().map(|(path, column)| {
            let mut odd = column.odd().clone();
            odd.keep_all(alive);
            (path.clone(), odd.count())
        });
        counts.collect()
    }
}
