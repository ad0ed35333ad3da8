//! The jobs: files in, engine over them, files out.
//!
//! A job leaves no clock in its files: the same journal, recipe and request give the same bytes.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::DatasetPaths;
use crate::engines::dataset::{Mined, RecipeError, RedactError};
use crate::storage::dataset_store::{DatasetStore, DatasetStoreError};
use crate::storage::evidence_log::EvidenceLogError;
use crate::types::error_kind::ErrorKind;

mod columns;
mod export;
mod materialize;
mod ordered;
mod questions;
#[cfg(test)]
mod tests;

/// File of the receipt in every folder.
const RECEIPT: &str = "receipt.json";
/// Lines between two signs of life.
const TICK_LINES: u64 = 64;

/// What the dataset cell is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum DatasetJob {
    /// Journal to scored tasks. Replies with the receipt.
    Materialize {
        /// Also when neither journal nor recipe changed.
        force: bool,
    },
    /// Tasks to a dataset folder. Replies with the receipt.
    Export {
        /// Which exporter.
        kind: String,
        /// In whose shape.
        flavour: String,
        /// The folder's name.
        name: String,
        /// Share held out; the recipe's by default.
        test_fraction: Option<f64>,
        /// Negatives for triplets; without, those of the retrieval.
        mining: Option<Arc<Mining>>,
    },
    /// Replies with the questions of the tasks, and what their accepted answers cite.
    Questions,
    /// Replies with what was materialized and exported.
    List,
}

/// What was mined, for which tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Mining {
    /// What manifest and receipt say of it.
    pub told: Value,
    /// Which tasks' questions were searched for.
    pub tasks: String,
    /// The negatives.
    pub mined: Mined,
}

impl DatasetJob {
    /// What those who wait are told; `None` for what is done at once.
    fn name(&self) -> Option<String> {
        match self {
            Self::Materialize { .. } => Some("materialize".to_owned()),
            Self::Export { name, .. } => Some(format!(
                "export {}",
                name.chars().take(80).collect::<String>()
            )),
            Self::Questions => Some("questions".to_owned()),
            Self::List => None,
        }
    }
}

/// A receipt, with the `path` of what it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetReply(pub Value);

/// A failed job; what was there before it is untouched.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// Somebody stopped the job. Begin it again when it is wanted.
    #[error("the job was cancelled")]
    Cancelled,
    /// No such export. Change the request.
    #[error("unknown export kind {kind:?}: known are {known}")]
    UnknownKind {
        /// What was asked for.
        kind: String,
        /// What there is.
        known: String,
    },
    /// No such flavour. Change the request.
    #[error("unknown flavour {flavour:?}: known are {known}")]
    UnknownFlavour {
        /// What was asked for.
        flavour: String,
        /// What there is.
        known: String,
    },
    /// The kind has no shape in this flavour. Change the request.
    #[error("a {kind} export has no {flavour} shape: it has {known}")]
    NoShape {
        /// What was asked for.
        kind: &'static str,
        /// In which flavour.
        flavour: &'static str,
        /// Those that it has.
        known: String,
    },
    /// The share is out of range. Change the request.
    #[error("test_fraction must be 0 to 0.5, got {0}")]
    TestFraction(f64),
    /// There are no tasks yet. Materialize, then retry.
    #[error("nothing is materialized yet: materialize first (POST /v1/materialize)")]
    NotMaterialized,
    /// The tasks were made by other rules. Materialize, then retry.
    #[error("the tasks were made with another {0}: materialize again (POST /v1/materialize)")]
    Stale(&'static str),
    /// The tasks are not what was materialized. Materialize, then retry.
    #[error("the tasks are not as they were materialized ({0}): materialize again")]
    TasksChanged(String),
    /// The journal cannot be read. Stop.
    #[error(transparent)]
    Log(#[from] EvidenceLogError),
    /// The folder cannot be written, or the name is wrong.
    #[error(transparent)]
    Store(#[from] DatasetStoreError),
    /// The recipe cannot be used. Change it.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A fault of ours.
    #[error(transparent)]
    Redact(#[from] RedactError),
    /// The machine has no thread left. Retry, or lower `dataset.threads`.
    #[error("no thread could be started: {0}")]
    Thread(String),
    /// The disk failed on what one run leaves for the next. Retry.
    #[error("datasets: the facts of earlier lines: {0}")]
    Facts(String),
    /// A fault of ours.
    #[error("a row could not be written as JSON: {0}")]
    Encode(String),
}

impl DatasetError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownKind { .. }
            | Self::UnknownFlavour { .. }
            | Self::NoShape { .. }
            | Self::TestFraction(_) => ErrorKind::BadRequest,
            Self::Cancelled | Self::NotMaterialized | Self::Stale(_) | Self::TasksChanged(_) => {
                ErrorKind::Conflict
            }
            Self::Thread(_) | Self::Facts(_) => ErrorKind::Unavailable,
            Self::Log(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Recipe(error) => error.kind(),
            Self::Redact(error) => error.kind(),
            Self::Encode(_) => ErrorKind::Internal,
        }
    }
}

/// Runs a job; `tick` is its sign of life.
pub(super) fn run(
    paths: &DatasetPaths,
    job: DatasetJob,
    tick: &mut dyn FnMut(),
) -> Result<DatasetReply, DatasetError> {
    let store = DatasetStore::new(&paths.datasets);
    store.recover()?;
    let _under = job.name().map(|name| paths.progress.begin(name));
    match job {
        DatasetJob::Materialize { force } => materialize::run(paths, &store, force, tick),
        DatasetJob::Export {
            kind,
            flavour,
            name,
            test_fraction,
            mining,
        } => {
            let wanted = export::Wanted {
                kind,
                flavour,
                name,
                test_fraction,
                mining,
            };
            export::run(paths, &store, &wanted, tick)
        }
        DatasetJob::Questions => questions::run(paths, &store, tick),
        DatasetJob::List => list(&store),
    }
    .map(DatasetReply)
}

/// Lists the exports by name, and what was materialized.
fn list(store: &DatasetStore) -> Result<Value, DatasetError> {
    let mut exports = Vec::new();
    for name in store.exports()? {
        let path = store.export(&name)?;
        let mut entry = Map::new();
        entry.insert("name".to_owned(), name.into());
        entry.insert("path".to_owned(), path.display().to_string().into());
        match receipt(&path) {
            Some(receipt) => {
                for key in [
                    "kind",
                    "flavour",
                    "rows",
                    "counts",
                    "test_fraction",
                    "as_of_ms",
                ] {
                    entry.insert(key.to_owned(), receipt[key].clone());
                }
            }
            None => {
                entry.insert("error".to_owned(), "its receipt.json cannot be read".into());
            }
        }
        exports.push(Value::Object(entry));
    }
    let path = store.tasks();
    let tasks = receipt(&path).map(|receipt| {
        json!({
            "path": path.display().to_string(),
            "as_of_ms": receipt["as_of_ms"],
            "counts": receipt["counts"],
            "outcomes": receipt["outcomes"],
        })
    });
    Ok(json!({"exports": exports, "tasks": tasks}))
}

/// Reads the receipt of a folder; `None` when there is none that can be read.
fn receipt(dir: &std::path::Path) -> Option<Value> {
    let text = std::fs::read(dir.join(RECEIPT)).ok()?;
    serde_json::from_slice(&text).ok().filter(Value::is_object)
}

fn encode(value: &impl serde::Serialize) -> Result<String, DatasetError> {
    serde_json::to_string(value).map_err(|error| DatasetError::Encode(error.to_string()))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
