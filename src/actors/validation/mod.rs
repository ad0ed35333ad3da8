//! The validation cell: hostile payloads are judged on its own threads.

use std::sync::Arc;

use serde_json::Value;
use supervisors::{CellRef, ChildPolicy, ChildSpec, Cx, Protocol, Worker};

use crate::engines::validation::{Levels, ValidationError, Validators};
use crate::types::validation::Report;

/// Judge `payload` in `context` by the validator `kind`. Replies with its report.
pub struct ValidateJob {
    /// Which validator.
    pub kind: String,
    /// What a model wrote.
    pub payload: Value,
    /// What is known about the task.
    pub context: Value,
    /// What the request says of rules.
    pub rules: Levels,
}

/// Runs validators; the tables are shared and immutable.
pub struct ValidationWorker {
    validators: Arc<Validators>,
}

impl Protocol for ValidationWorker {
    type Req = ValidateJob;
    type Rep = Report;
    type Err = ValidationError;

    fn digest(job: &ValidateJob) -> Option<supervisors::Digest> {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(job.kind.as_bytes())
            .update(job.payload.to_string().as_bytes());
        Some(supervisors::Digest::from(hasher.finalize()))
    }
}

impl Worker for ValidationWorker {
    fn handle(&mut self, job: ValidateJob, _cx: &Cx) -> Result<Report, ValidationError> {
        let ValidateJob {
            kind,
            payload,
            context,
            rules,
        } = job;
        self.validators.run_with(&kind, &payload, &context, &rules)
    }
}

/// Describes the cell to its supervisor.
pub fn child_spec(
    policy: ChildPolicy,
    validators: Arc<Validators>,
) -> (ChildSpec, CellRef<ValidationWorker>) {
    ChildSpec::sync("validation", policy, move |_| {
        Ok(ValidationWorker {
            validators: Arc::clone(&validators),
        })
    })
}
