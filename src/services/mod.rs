//! Use cases: plain async functions that sequence cells. No HTTP here, and no state of their own.

mod asker;
pub mod audit;
pub mod backup;
pub mod chaos;
pub mod collections;
pub mod complete;
pub mod dataset;
pub mod embed;
mod error;
pub mod evaluate;
pub mod evidence;
pub mod filter;
pub mod health;
pub mod import;
pub mod iterate;
pub mod keys;
pub mod models;
pub mod moves;
pub mod negatives;
pub mod ollama;
pub mod push;
pub mod reembed;
pub mod refine;
pub mod reload;
pub mod repair;
pub mod replay;
pub mod review;
pub mod room;
pub mod search;
#[cfg(feature = "sql")]
pub mod sql;
pub mod supervision;
pub mod surfaces;
pub mod tables;
pub mod transfer;
pub mod trends;
mod turns;
pub mod usage;
pub mod validate;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use supervisors::{CellRef, Deadline, Tree};
use tokio::sync::{Mutex, Notify};

use crate::actors::chat::Chat;
use crate::actors::dataset::{DatasetWorker, Progress};
use crate::actors::embedding::Embedding;
use crate::actors::evidence::{Journal, Usage};
use crate::actors::imports::ImportsWorker;
use crate::actors::index::Collections;
use crate::actors::review::Review;
use crate::actors::step::StepWorker;
use crate::actors::tables::{TablesState, TablesWorker};
use crate::actors::validation::ValidationWorker;
use crate::engines::chat::ResponseCache;
use crate::engines::embedding::Embedders;
use crate::engines::usage::Budgets;
use crate::engines::validation::{IterateConfig, Validators};
use crate::storage::dataset_store::DatasetStore;
use crate::types::collection::Backend;

pub use asker::Asker;
pub use error::ServiceError;
use keys::Keys;

/// The handles that the services work with. Cheap to share; stable across restarts of what is behind.
pub struct Services {
    /// The supervision tree.
    pub tree: Tree,
    /// Known embedding models.
    pub embedders: Arc<Embedders>,
    /// Known validators.
    pub validators: Arc<Validators>,
    /// Brings vectors: the cache, and the cell behind it.
    pub embedding: Embedding,
    /// What the validators look things up in.
    pub tables: Arc<TablesState>,
    /// Reads it again.
    pub renew_tables: CellRef<TablesWorker>,
    /// Judges payloads.
    pub validation: CellRef<ValidationWorker>,
    /// Writes the evidence.
    pub journal: Journal,
    /// Sums of the journal's chat calls.
    pub usage: Usage,
    /// Answers kept for requests that ask the same.
    pub kept: ResponseCache,
    /// What keys may spend.
    pub budgets: Budgets,
    /// The keys that open the server.
    pub keys: Keys,
    /// The last hour in numbers.
    pub trends: trends::Trends,
    /// Materializes and exports.
    pub dataset: CellRef<DatasetWorker>,
    /// The folder that it writes.
    pub datasets: DatasetStore,
    /// How far the job that does so is.
    pub progress: Arc<Progress>,
    /// Knows what was imported.
    pub imports: CellRef<ImportsWorker>,
    /// One import at a time: whether what its cell knows is all that is in the journal.
    pub importing: Mutex<bool>,
    /// The tasks that wait for a person.
    pub review: Review,
    /// The collections and their cells.
    pub collections: Collections,
    /// Brings points their second vectors, a few with each call.
    pub refine: CellRef<StepWorker>,
    /// Brings collections over to other backends, a few points with each call.
    pub moves: CellRef<StepWorker>,
    /// Embeds collections anew, a few points with each call.
    pub reembed: CellRef<StepWorker>,
    /// Wakes whoever calls it.
    pub reembedding: Notify,
    /// Providers and routes.
    pub chat: Chat,
    /// Sends to object storage, and fetches from it.
    pub push: push::Pushing,
    /// Where settings come from when they are read again, and which are in force.
    pub reloading: reload::Reloading,
    /// Where backups read from.
    pub backups: backup::Backups,
    /// Bounds and switches of the services.
    pub limits: Limits,
}

/// Bounds and switches of the services, from the settings.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest a request may take, milliseconds.
    pub deadline_ms: u64,
    /// Longest that others may have waited for a thread where one more is taken; zero: as long as they do.
    pub max_wait: Duration,
    /// Longest a dataset job may take, milliseconds.
    pub job_deadline_ms: u64,
    /// Least likeness of two questions that have the same answer, when a request does not say.
    pub cache_threshold: f32,
    /// Largest record of the journal, bytes.
    pub max_record_bytes: usize,
    /// What a request can ask for where answers are asked for again.
    pub iterate: IterateConfig,
    /// What keeps a collection whose creation does not say.
    pub backend: Backend,
    /// Whether `POST /v1/supervisors/{id}/crash` is served.
    pub allow_crash: bool,
}

impl Services {
    fn deadline(&self) -> Deadline {
        Deadline::after(Duration::from_millis(self.limits.deadline_ms))
    }

    fn job_deadline(&self) -> Deadline {
        Deadline::after(Duration::from_millis(self.limits.job_deadline_ms))
    }
}

/// Unix time in milliseconds: the services are where the clock enters.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
