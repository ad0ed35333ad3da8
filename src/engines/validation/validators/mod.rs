//! The validators: one file or folder each, and one line in the table.

mod custom;
mod email;
mod fill;
mod grounding;
mod json_schema;
mod leaves;
mod pii;
mod role_gate;
mod secrets;
mod sought;

use std::sync::Arc;

use crate::engines::embedding::Embedder;

use super::{Tables, ValidationConfig, Validator};

pub use custom::RuleFile;
pub(super) use custom::read as read_rules;

/// What validators are built from.
pub(super) struct Parts<'a> {
    /// Limits.
    pub(super) config: &'a ValidationConfig,
    /// The workers of record, and what they are booked for.
    pub(super) tables: &'a Tables,
    /// The embedding that is compiled in.
    pub(super) embedder: Arc<dyn Embedder>,
}

/// Builds one validator.
pub(super) type Build = fn(&Parts<'_>) -> Box<dyn Validator>;

/// Every validator, in the order in which they are listed.
pub(super) const TABLE: &[Build] = &[
    fill::build,
    email::build,
    json_schema::build,
    grounding::build,
    role_gate::build,
    secrets::build,
    pii::build,
];
