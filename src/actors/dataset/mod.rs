//! The dataset cell: long jobs over the journal, one at a time.

use std::path::PathBuf;
use std::sync::Arc;

use supervisors::{CellRef, ChildPolicy, ChildSpec, Cx, Protocol, Worker};

use crate::storage::replicas::Replicas;

mod job;
mod progress;

pub use job::{DatasetError, DatasetJob, DatasetReply, Mining};
pub use progress::{Progress, Running};

/// Runs materialization and exports; its state is on disk.
pub struct DatasetWorker {
    paths: Arc<DatasetPaths>,
}

/// Where the jobs read and write.
#[derive(Debug)]
pub struct DatasetPaths {
    /// The folder of this process's journal.
    pub evidence: PathBuf,
    /// This replica's name, and the journals of others.
    pub replicas: Replicas,
    /// The folder of materialized tasks and exports.
    pub datasets: PathBuf,
    /// The recipe's text; the compiled-in one unless config names a file.
    pub recipe: String,
    /// Threads of a materialization, from 1.
    pub threads: usize,
    /// Whether tasks are written as Parquet too.
    pub parquet: bool,
    /// How far the job under way is.
    pub progress: Arc<Progress>,
}

impl Protocol for DatasetWorker {
    type Req = DatasetJob;
    type Rep = DatasetReply;
    type Err = DatasetError;
}

impl Worker for DatasetWorker {
    fn handle(&mut self, job: DatasetJob, cx: &Cx) -> Result<DatasetReply, DatasetError> {
        job::run(&self.paths, job, &mut || cx.progress())
    }
}

/// Describes the cell to its supervisor.
pub fn child_spec(
    policy: ChildPolicy,
    paths: Arc<DatasetPaths>,
) -> (ChildSpec, CellRef<DatasetWorker>) {
    // Invariant: one job at a time; two would race for the same output folder.
    let policy = ChildPolicy {
        workers: 1,
        ..policy
    };
    ChildSpec::sync("dataset", policy, move |_| {
        Ok(DatasetWorker {
            paths: Arc::clone(&paths),
        })
    })
}
