//! The push cell: sends evidence and datasets to object storage, and fetches the journals of other replicas.
//!
//! # In the bucket
//! - `evidence/replica=NAME/date=DATE/part-NUMBER.parquet`: the records of a segment that are of a day;
//! - `journal/replica=NAME/`: the segments as they are, `heads.log` and `changes.json`, by which the chain is verified, and
//!   `manifest.json`, which is written last and names them;
//! - `tasks/replica=NAME/date=DATE/tasks.parquet`, and `_receipt.json`;
//! - `exports/replica=NAME/EXPORT/`: the export's folder.
//!
//! What is sent follows what is here: files that an erasure replaced are replaced, and those that are gone are deleted.

mod progress;
mod pull;
mod pushed;
mod rows;
mod send;
#[cfg(test)]
#[cfg(feature = "object-storage")]
mod tests;

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use serde::Serialize;
use supervisors::{AsyncWorker, CellRef, ChildPolicy, ChildSpec, Cx, Protocol};
use utoipa::ToSchema;

use crate::storage::dataset_store::{DatasetStore, DatasetStoreError};
use crate::storage::disk::StorageError;
use crate::storage::evidence_log::EvidenceLogError;
use crate::storage::replicas::Replicas;
use crate::transport::objects::ObjectError;
use crate::types::error_kind::ErrorKind;

pub use progress::{Movement, Moving};

/// Where it reads, and where it sends to.
#[derive(Debug)]
pub struct PushPaths {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The folder of this process's journal.
    pub evidence: PathBuf,
    /// The tasks and exports.
    pub datasets: DatasetStore,
    /// This replica's name, and the journals of others.
    pub replicas: Replicas,
    /// The bucket; empty when there is none.
    pub url: String,
    /// Whether evidence is sent.
    pub with_evidence: bool,
    /// Whether tasks and exports are.
    pub with_datasets: bool,
    /// How far it is.
    pub movement: Arc<Movement>,
}

/// What the cell is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushRequest {
    /// Send what is new. Replies with [`PushReply::Pushed`].
    Push {
        /// Also over what another data folder sent by the same name.
        take_over: bool,
        /// Unix time, milliseconds.
        now_ms: u64,
        /// For the name of a replica that has none yet.
        random: [u8; 4],
    },
    /// Fetch the journals of other replicas. Replies with [`PushReply::Pulled`].
    Pull,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushReply {
    /// See [`PushReport`].
    Pushed(PushReport),
    /// See [`PullReport`].
    Pulled(PullReport),
}

/// What a push did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PushReport {
    /// Where to.
    #[schema(example = "s3://bucket/prefix")]
    pub url: String,
    /// By which name.
    #[schema(example = "house-1")]
    pub replica: String,
    /// Objects that were written, or replaced.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Objects that were there already.
    pub kept: u64,
    /// Objects that were deleted.
    pub deleted: u64,
    /// The last record that is there; 0 when evidence is not sent, or there is none.
    pub head_seq: u64,
    /// What could not be sent, and is no failure.
    pub notes: Vec<String>,
}

/// What a pull did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PullReport {
    /// Where from.
    #[schema(example = "s3://bucket/prefix")]
    pub url: String,
    /// Each replica that has a journal there, by name.
    pub replicas: Vec<PulledReplica>,
    /// Those that were here and have none there any more: they were removed here.
    pub removed: Vec<String>,
}

/// What was fetched of a replica.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PulledReplica {
    /// Its name.
    #[schema(example = "house-2")]
    pub replica: String,
    /// Bytes that were fetched.
    pub fetched_bytes: u64,
    /// Segments of its journal.
    pub segments: u64,
    /// The last record.
    pub head_seq: u64,
    /// Whether nothing was new.
    pub unchanged: bool,
    /// Whether its chain was verified. One that is not intact is not taken: what was here of it before stays.
    pub intact: bool,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A failed push or pull. What was there before is whole.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// There is no bucket. Set one.
    #[error("no object storage is set: see object_storage.url in the settings")]
    NotSet,
    /// Another journal was sent by this name. Choose another name, or take over.
    #[error(
        "another journal was pushed as replica {replica} (its record {seq} is not in this one): set object_storage.replica to a name of its own, or push with take_over to replace it"
    )]
    Foreign {
        /// The name.
        replica: String,
        /// The last record of the other one.
        seq: u64,
    },
    /// Nobody has pushed. Push first.
    #[error("no replica has pushed to {0} yet")]
    Empty(String),
    /// What a replica's manifest says cannot be used. Push again from there.
    #[error("the manifest of replica {replica} cannot be used: {reason}")]
    Manifest {
        /// The name.
        replica: String,
        /// Why not.
        reason: String,
    },
    /// The object storage.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The journal cannot be read.
    #[error(transparent)]
    Log(#[from] EvidenceLogError),
    /// A dataset cannot be read, or a file cannot be written.
    #[error(transparent)]
    Store(#[from] DatasetStoreError),
    /// A file cannot be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A fault of ours.
    #[error("what was pushed cannot be written as JSON: {0}")]
    Json(String),
    /// A fault of ours.
    #[error("a step ended early: {0}")]
    Lost(String),
}

impl PushError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotSet => ErrorKind::Unprocessable,
            Self::Empty(_) => ErrorKind::NotFound,
            Self::Foreign { .. } => ErrorKind::Conflict,
            Self::Manifest { .. } => ErrorKind::Unavailable,
            Self::Object(error) => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Storage(error) => error.kind(),
            Self::Json(_) | Self::Lost(_) => ErrorKind::Internal,
        }
    }

    /// Whether files were replaced meanwhile, so that it is worth looking again.
    fn is_of_a_change(&self) -> bool {
        matches!(self, Self::Object(ObjectError::Changed(_)))
    }
}

/// Sends and fetches; what was sent is noted on the disk.
pub struct PushWorker {
    paths: Arc<PushPaths>,
}

impl Protocol for PushWorker {
    type Req = PushRequest;
    type Rep = PushReply;
    type Err = PushError;
}

/// Tries, where files are replaced meanwhile.
const TRIES: usize = 3;

impl AsyncWorker for PushWorker {
    async fn handle(self: Rc<Self>, request: PushRequest, cx: Cx) -> Result<PushReply, PushError> {
        let paths = &self.paths;
        if paths.url.is_empty() {
            return Err(PushError::NotSet);
        }
        let beat: Beat = Arc::new(move || cx.progress());
        let mut tries = 0;
        loop {
            tries += 1;
            let done = match request {
                PushRequest::Push {
                    take_over,
                    now_ms,
                    random,
                } => {
                    let _under = paths.movement.begin("push");
                    let asked = send::Asked {
                        take_over,
                        now_ms,
                        random,
                    };
                    send::run(paths, asked, &beat).await.map(PushReply::Pushed)
                }
                PushRequest::Pull => {
                    let _under = paths.movement.begin("pull");
                    pull::run(paths, &beat).await.map(PushReply::Pulled)
                }
            };
            match done {
                Err(error) if error.is_of_a_change() && tries < TRIES => {}
                done => return done,
            }
        }
    }
}

/// A sign of life.
type Beat = Arc<dyn Fn() + Send + Sync>;

/// Runs what reads and writes files on a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PushError> + Send + 'static,
) -> Result<T, PushError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| PushError::Lost(error.to_string()))?
}

/// Describes the cell to its supervisor.
pub fn child_spec(policy: ChildPolicy, paths: Arc<PushPaths>) -> (ChildSpec, CellRef<PushWorker>) {
    // Invariant: one at a time; two would race for the same objects.
    let policy = ChildPolicy {
        workers: 1,
        ..policy
    };
    ChildSpec::asynchronous("push", policy, move |_| {
        Ok(PushWorker {
            paths: Arc::clone(&paths),
        })
    })
}
