//! From the journal to training data.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::error::{ServiceError, fault};
use super::{Services, evidence};
use crate::actors::dataset::{DatasetJob, DatasetReply};

/// The flavour of an export that names none.
const DEFAULT_FLAVOUR: &str = "trl";

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
    pub test_fraction: Option<f64>,
}

/// A request to `POST /v1/materialize`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaterializeInput {
    /// Build again even when the journal has not grown.
    #[serde(default)]
    pub force: bool,
}

/// Serves `POST /v1/materialize`: journal to scored tasks. Replies with its receipt.
pub async fn materialize(
    services: &Services,
    input: MaterializeInput,
) -> Result<Value, ServiceError> {
    // What was acknowledged until now is part of it, also after a power cut.
    evidence::sync(services).await?;
    run(services, DatasetJob::Materialize { force: input.force }).await
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
    run(
        services,
        DatasetJob::Export {
            kind: input.kind,
            flavour,
            name,
            test_fraction: input.test_fraction,
        },
    )
    .await
}

/// Serves `GET /v1/exports`.
pub async fn exports(services: &Services) -> Result<Value, ServiceError> {
    run(services, DatasetJob::List).await
}

async fn run(services: &Services, job: DatasetJob) -> Result<Value, ServiceError> {
    let DatasetReply(report) = services
        .dataset
        .ask(job, services.job_deadline())
        .await
        .map_err(|failed| fault("dataset", failed))?;
    Ok(report)
}
