//! Validators: what a model wrote, judged before anyone acts on it.
//!
//! A validator is a pure function of payload, context and the tables it was built with. What is
//! wrong with the payload is a [`Finding`], never an error: any JSON at all gets a verdict. It does
//! not repair anything and calls no model.
//!
//! ```
//! use boathouse::engines::validation::{DEMO_ROSTER, Roster, ValidationConfig, Validators};
//! use boathouse::types::validation::Verdict;
//! use serde_json::json;
//!
//! let roster = Roster::parse_csv(DEMO_ROSTER)?;
//! let validators = Validators::new(&ValidationConfig::default(), roster)?;
//! let payload = json!({"fills": [{"worker_id": "W-9999", "name": "Nobody Known"}]});
//! let report = validators.run("fill", &payload, &json!({}))?;
//! assert_eq!(report.verdict, Verdict::Fail);
//! assert_eq!(report.findings[0].rule, "fill.worker_unknown");
//! # Ok::<(), boathouse::engines::validation::ValidationError>(())
//! ```

mod advice;
mod changes;
mod config;
mod error;
mod fields;
mod held;
#[cfg(test)]
mod labelled;
mod live;
mod needles;
mod period;
pub mod pii;
mod pipeline;
mod policy;
mod registry;
mod roster;
mod rule;
pub mod secrets;
mod shown;
mod validators;

use serde_json::Value;

use crate::types::validation::Finding;

pub use advice::advice;
pub use changes::{Change, changes};
pub use config::{
    CustomConfig, EmailConfig, FillConfig, GroundingConfig, IterateConfig, JsonSchemaConfig,
    RoleGateConfig, ValidationConfig,
};
pub use error::ValidationError;
pub use held::held_json;
pub use live::Live;
pub use pipeline::{PipelineConfig, Step, StopOn};
pub use policy::{Level, Levels};
pub use registry::{Tables, Validators};
pub use roster::{
    Calendar, DEMO_ROSTER, Filling, Roster, Table, TableError, Worker, add_object, generate,
    read_csv, read_jsonl,
};
pub use rule::Rule;
pub use validators::RuleFile;

/// Judges one kind of payload.
pub trait Validator: Send + Sync {
    /// The kind that requests name, such as `fill`.
    fn name(&self) -> &'static str;

    /// The JSON Schema of `{payload, context}`.
    fn schema(&self) -> Value;

    /// Every rule that a finding of this validator can name.
    fn rules(&self) -> &'static [Rule];

    /// Judges `payload` in `context`; any JSON is answered, in the order of the payload.
    fn validate(&self, payload: &Value, context: &Value) -> Vec<Finding>;
}
