//! `validate`.

use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Instrument;
use crate::api::mcp::Visit;
use crate::services::ServiceError;
use crate::services::validate::{self, ValidateInput};
use crate::types::api_key::Scope;
use crate::types::validation;

pub(super) struct Validate;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The validator: email, fill, json_schema, grounding, role_gate, secrets, pii, or one of the server's own.
    /// The resource boathouse://validators has the schema of each one's payload and context.
    kind: String,
    /// What is to be judged, in the form that the validator asks for, such as {"to", "subject", "body"} for email.
    payload: Value,
    /// What is known about the task, such as {"schema": …} for json_schema.
    #[serde(default)]
    context: Map<String, Value>,
    /// The id of the answer that the payload came from, if any.
    target: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The id of this judgement; feedback may name it.
    id: String,
    /// pass: safe to act on. repairable: mend what was found and ask again. fail: unsafe, do not act on it.
    verdict: Value,
    /// What is wrong, in the order of the payload.
    findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Finding {
    /// Stable id of the rule.
    rule: String,
    /// warning, error or critical.
    severity: Value,
    /// JSON Pointer into the payload; empty for the whole.
    path: String,
    /// What is wrong, with the values.
    message: String,
    /// What would be right, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
}

impl From<validation::Finding> for Finding {
    fn from(finding: validation::Finding) -> Self {
        Self {
            severity: json!(finding.severity),
            rule: finding.rule,
            path: finding.path,
            message: finding.message,
            suggestion: finding.suggestion,
        }
    }
}

impl Instrument for Validate {
    const NAME: &'static str = "validate";
    const SCOPE: Scope = Scope::Chat;
    const TITLE: &'static str = "Judge a draft";
    const DESCRIPTION: &'static str = "Judges what a model wrote before anyone acts on it: an email, a shift filling, \
        JSON by a schema, an answer by its sources, secrets and personal numbers. Returns a verdict (pass, repairable, \
        fail) and what is wrong with what.";
    type Input = Input;
    type Output = Output;

    fn hints() -> ToolAnnotations {
        ToolAnnotations::new().read_only(true).open_world(false)
    }

    async fn call(visit: &Visit, input: Input) -> Result<Output, ServiceError> {
        let asked = ValidateInput {
            kind: input.kind,
            payload: input.payload,
            context: input.context,
            rules: Default::default(),
            target: input.target,
        };
        let judged = validate::validate(&visit.services, visit.context.asker(), asked).await?;
        let findings = judged.report.findings.into_iter().map(Finding::from);
        Ok(Output {
            id: judged.id,
            verdict: json!(judged.report.verdict),
            findings: findings.collect(),
        })
    }
}
