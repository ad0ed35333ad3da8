//! The tables that validators look things up in: read at the start, and again when their sources change.
//!
//! A new state of a source that cannot be used is told and logged; the one before it counts on.

mod parquet;
mod read;
mod state;

use std::sync::Arc;

use supervisors::{CellRef, ChildPolicy, ChildSpec, Cx, Protocol, Worker};

use crate::engines::index::Rows;
use crate::types::roster::TableStatus;

pub use read::read_table;
pub use state::{Source, TablesState};

/// What the cell is asked.
pub enum TablesJob {
    /// Read the files that have changed since they were last read, or all. Replies with the state of all tables.
    Files {
        /// Whether they have changed or not.
        all: bool,
        /// Now, Unix milliseconds.
        now_ms: u64,
    },
    /// Take the roster out of a collection. Replies the same.
    Collection {
        /// All its points.
        rows: Rows,
        /// The last change that they have.
        lsn: u64,
        /// Now, Unix milliseconds.
        now_ms: u64,
    },
}

/// Reads tables; what it has read is elsewhere, so a restart loses nothing.
pub struct TablesWorker {
    state: Arc<TablesState>,
}

impl Protocol for TablesWorker {
    type Req = TablesJob;
    type Rep = Vec<TableStatus>;
    type Err = String;
}

impl Worker for TablesWorker {
    fn handle(&mut self, job: TablesJob, _cx: &Cx) -> Result<Vec<TableStatus>, String> {
        match job {
            TablesJob::Files { all, now_ms } => self.state.read_files(all, now_ms),
            TablesJob::Collection { rows, lsn, now_ms } => {
                self.state.take_collection(&rows, lsn, now_ms);
            }
        }
        Ok(self.state.status())
    }
}

/// Describes the cell to its supervisor.
pub fn child_spec(
    policy: ChildPolicy,
    state: Arc<TablesState>,
) -> (ChildSpec, CellRef<TablesWorker>) {
    ChildSpec::sync("tables", policy, move |_| {
        Ok(TablesWorker {
            state: Arc::clone(&state),
        })
    })
}

#[cfg(test)]
mod tests;
