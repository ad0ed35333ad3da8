//! The tasks by day, each day in files of its own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::checkpoint::Made;
use super::{DatasetError, DatasetPaths, rows};
use crate::engines::dataset::{Day, Outcome};
use crate::storage::dataset_store::{HashedFile, Staging};
use crate::storage::parquet_file::{ParquetColumn, ParquetFile};

/// A task, ready to be written.
pub(super) struct Written {
    pub(super) day: Day,
    pub(super) outcome: Outcome,
    pub(super) line: String,
    /// For Parquet.
    pub(super) row: Option<Value>,
}

/// The days that are written. A file is open from its first task to its last one, so that of a journal whose clock never went
/// back one day's are open at a time.
pub(super) struct Partitions<'a> {
    staging: &'a Staging,
    columns: Option<Vec<ParquetColumn>>,
    beside: bool,
    /// Tasks that each day has left.
    left: BTreeMap<Day, u64>,
    open: BTreeMap<Day, Open>,
    made: BTreeMap<String, Made>,
}

struct Open {
    lines: HashedFile,
    rows: Option<ParquetFile>,
    outcomes: BTreeMap<String, u64>,
}

impl<'a> Partitions<'a> {
    /// Begins to write these days, each with so many tasks.
    pub(super) fn new(
        paths: &DatasetPaths,
        staging: &'a Staging,
        days: BTreeMap<Day, u64>,
    ) -> Self {
        Self {
            staging,
            columns: paths.parquet.then(rows::columns),
            beside: paths.threads > 1,
            left: days,
            open: BTreeMap::new(),
            made: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, task: &Written) -> Result<(), DatasetError> {
        let mut open = match self.open.remove(&task.day) {
            Some(open) => open,
            None => self.begin(task.day)?,
        };
        open.lines.line(&task.line)?;
        if let (Some(rows), Some(row)) = (&mut open.rows, &task.row) {
            rows.row(row)?;
        }
        *open
            .outcomes
            .entry(task.outcome.name().to_owned())
            .or_default() += 1;
        let left = self.left.entry(task.day).or_default();
        *left = left.saturating_sub(1);
        if *left > 0 {
            self.open.insert(task.day, open);
            return Ok(());
        }
        self.left.remove(&task.day);
        let mut files = vec![open.lines.finish()?];
        files.extend(open.rows.map(ParquetFile::finish).transpose()?);
        let outcomes = open.outcomes;
        self.made.insert(
            task.day.to_string(),
            Made {
                outcomes,
                files,
                ..Made::default()
            },
        );
        Ok(())
    }

    fn begin(&self, day: Day) -> Result<Open, DatasetError> {
        let rows = match &self.columns {
            Some(columns) => {
                let file = self.staging.create(&format!("date={day}/tasks.parquet"))?;
                Some(ParquetFile::create(file, columns, &[])?.beside(self.beside))
            }
            None => None,
        };
        Ok(Open {
            lines: self.staging.create(&format!("date={day}/tasks.jsonl"))?,
            rows,
            outcomes: BTreeMap::new(),
        })
    }

    /// What was written; `None` when a day has fewer tasks than it should.
    pub(super) fn finish(self) -> Option<BTreeMap<String, Made>> {
        (self.left.is_empty() && self.open.is_empty()).then_some(self.made)
    }
}
