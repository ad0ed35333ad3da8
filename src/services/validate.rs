//! Judging what a model wrote.

mod batch;
mod body;

pub use batch::{ValidateBatchInput, validate_all};
pub use body::ValidateBody;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use supervisors::Deadline;
use utoipa::ToSchema;

use super::error::{ServiceError, fault};
use super::{Asker, Services, evidence};
use crate::actors::validation::ValidateJob;
use crate::engines::validation::Levels;
use crate::types::evidence::{Kind, ValidationEvidence};
use crate::types::validation::Report;

/// A request to `POST /v1/validate`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidateInput {
    /// Which validator; `GET /v1/validators` lists them.
    #[schema(example = "email")]
    pub kind: String,
    /// What the model wrote.
    #[schema(value_type = Value)]
    pub payload: Value,
    /// What is known about the task.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub context: Map<String, Value>,
    /// Levels of rules for this request alone, by their ids: off, warning, error, critical. Only of those that
    /// `validation.request_may_tune` of the settings lists.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"email.subject_long": "off"}))]
    pub rules: Levels,
    /// The id of the chat answer that this payload came from, or of its request, if any.
    pub target: Option<String>,
}

/// The answer of `POST /v1/validate`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ValidateOutput {
    /// The request's id: feedback names it.
    pub id: String,
    /// Verdict and findings.
    #[serde(flatten)]
    pub report: Report,
}

/// Serves `POST /v1/validate`.
pub async fn validate(
    services: &Services,
    asker: Asker,
    input: ValidateInput,
) -> Result<ValidateOutput, ServiceError> {
    judge(services, asker, input, services.deadline()).await
}

async fn judge(
    services: &Services,
    asker: Asker,
    input: ValidateInput,
    deadline: Deadline,
) -> Result<ValidateOutput, ServiceError> {
    let payload_sha256 = hex(&Sha256::digest(input.payload.to_string().as_bytes()));
    let job = ValidateJob {
        kind: input.kind.clone(),
        payload: input.payload,
        context: Value::Object(input.context),
        rules: input.rules,
    };
    let asked = services.validation.ask(job, deadline).await;
    let report = asked.map_err(|failed| fault("validation", failed))?;
    let Asker {
        request_id, key, ..
    } = asker;
    let record = ValidationEvidence {
        request_id: request_id.clone(),
        kind: input.kind,
        verdict: report.verdict,
        findings: report.findings.clone(),
        payload_sha256,
        target: input.target,
        key: Some(key),
    };
    evidence::record(services, Kind::Validation, &request_id, &record).await?;
    Ok(ValidateOutput {
        id: request_id,
        report,
    })
}

/// Lists each validator with its JSON Schema and rules.
pub fn validators(services: &Services) -> Value {
    services.validators.describe()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
