//! From the journal to training data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::error::{ServiceError, fault};
use super::negatives::{self, NegativesInput};
use super::{Services, evidence, push};
use crate::actors::dataset::{DatasetJob, DatasetReply};
use crate::types::error_kind::ErrorKind;

/// The flavour of an export that names none.
const DEFAULT_FLAVOUR: &str = "trl";
/// The kind that has negatives.
const TRIPLETS: &str = "triplets";

/// A request to `POST /v1/exports`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportInput {
    /// `rag`, `triplets`, `sft`, `preference` or `kto`.
    #[schema(example = "sft")]
    pub kind: String,
    /// Whose shape the rows have: `trl` (default), `openai` (`sft` and `preference`) or `sharegpt` (`sft`).
    #[schema(example = "trl")]
    pub flavour: Option<String>,
    /// The folder's name under `datasets/exports`; default: the kind, with the flavour unless it is
    /// `trl` (`sft-openai`). An export of the same name is replaced whole.
    pub name: Option<String>,
    /// Share of tasks held out for testing: 0 to 0.5, default from the settings.
    #[schema(minimum = 0, maximum = 0.5)]
    pub test_fraction: Option<f64>,
    /// Of `triplets`: search this collection for the negatives, instead of taking what was retrieved then.
    pub negatives: Option<NegativesInput>,
}

/// A request to `POST /v1/materialize`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaterializeInput {
    /// Build again even when the journal has not grown.
    #[serde(default)]
    pub force: bool,
    /// Fetch the journals of other replicas from object storage before. Default false: what was pulled before is part of it
    /// anyway.
    #[serde(default)]
    pub pull: bool,
}

/// Serves `POST /v1/materialize`: journal to scored tasks. Replies with its receipt.
pub async fn materialize(
    services: &Services,
    input: MaterializeInput,
) -> Result<Value, ServiceError> {
    let pulled = match input.pull {
        true => Some(push::pull(services).await?),
        false => None,
    };
    // What was acknowledged until now is part of it, also after a power cut.
    evidence::sync(services).await?;
    // No pull replaces what is read.
    let _journals = services.push.journals.lock().await;
    let mut receipt = run(services, DatasetJob::Materialize { force: input.force }).await?;
    if let Some(pulled) = pulled {
        receipt["pulled"] = serde_json::to_value(pulled)
            .map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?;
    }
    Ok(receipt)
}

/// Serves `POST /v1/exports`: tasks to a dataset folder. Replies with its receipt and place.
pub async fn export(services: &Services, input: ExportInput) -> Result<Value, ServiceError> {
    let flavour = input.flavour.unwrap_or_else(|| DEFAULT_FLAVOUR.to_owned());
    let name = input.name.unwrap_or_else(|| {
        if flavour == DEFAULT_FLAVOUR {
            input.kind.clone()
        } else {
            format!("{}-{flavour}", input.kind)
        }
    });
    let mining = match &input.negatives {
        Some(wanted) if input.kind == TRIPLETS => Some(negatives::mine(services, wanted).await?),
        Some(_) => {
            let message = format!(
                "a {} export has no negatives: only triplets have",
                input.kind
            );
            return Err(ServiceError::bad_request(message).param("negatives"));
        }
        None => None,
    };
    run(
        services,
        DatasetJob::Export {
            kind: input.kind,
            flavour,
            name,
            test_fraction: input.test_fraction,
            mining,
        },
    )
    .await
}

/// Serves `GET /v1/exports`.
pub async fn exports(services: &Services) -> Result<Value, ServiceError> {
    run(services, DatasetJob::List).await
}

/// A folder that was made of the journal, with its receipt.
#[derive(Debug)]
pub struct Folder {
    /// `tasks`, or the export's name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What `receipt.json` says; or why it cannot be read.
    pub receipt: Result<Value, String>,
}

/// What was made of the journal.
#[derive(Debug)]
pub struct Folders {
    /// The tasks; `None` when nothing was materialized yet.
    pub tasks: Option<Folder>,
    /// By name.
    pub exports: Vec<Folder>,
}

/// Reads the receipts of all folders, also while a job is under way.
///
/// Errors: the disk.
pub async fn folders(services: &Services) -> Result<Folders, ServiceError> {
    let store = services.datasets.clone();
    let read = move || -> Result<Folders, ServiceError> {
        let tasks = store.tasks();
        let mut exports = Vec::new();
        for name in store.exports()? {
            exports.push(folder(store.export(&name)?, name));
        }
        Ok(Folders {
            tasks: tasks.is_dir().then(|| folder(tasks, "tasks".to_owned())),
            exports,
        })
    };
    blocking(read).await
}

fn folder(path: PathBuf, name: String) -> Folder {
    let file = path.join("receipt.json");
    let text = std::fs::read(&file).map_err(|error| error.to_string());
    let receipt =
        text.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()));
    Folder {
        receipt: receipt.map_err(|error| format!("{}: {error}", file.display())),
        name,
        path,
    }
}

/// Runs what reads files on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?
}

/// How far a job is, as `GET /v1/datasets/job` tells.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobOutput {
    /// `materialize`, or `export` and the folder's name; null when nothing is under way.
    #[schema(example = "materialize")]
    pub job: Option<String>,
    /// Lines read.
    pub done: u64,
    /// Lines to read; 0 until that is known.
    pub of: u64,
    /// Whether it was told to stop.
    pub cancelled: bool,
}

/// Serves `GET /v1/datasets/job`.
pub fn job(services: &Services) -> JobOutput {
    match services.progress.running() {
        Some(running) => JobOutput {
            job: Some(running.job),
            done: running.done,
            of: running.of,
            cancelled: running.cancelled,
        },
        None => JobOutput {
            job: None,
            done: 0,
            of: 0,
            cancelled: false,
        },
    }
}

/// Serves `DELETE /v1/datasets/job`: the job ends as soon as it looks, and leaves what was there before it.
///
/// Errors: nothing is under way.
pub fn cancel_job(services: &Services) -> Result<JobOutput, ServiceError> {
    if services.progress.cancel() {
        Ok(job(services))
    } else {
        Err(ServiceError::new(
            ErrorKind::NotFound,
            "neither a materialization nor an export is under way",
        ))
    }
}

pub(super) async fn run(services: &Services, job: DatasetJob) -> Result<Value, ServiceError> {
    let DatasetReply(report) = services
        .dataset
        .ask(job, services.job_deadline())
        .await
        .map_err(|failed| fault("dataset", failed))?;
    Ok(report)
}
