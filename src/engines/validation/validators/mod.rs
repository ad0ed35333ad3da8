//! The validators: one file or folder each, and one line in the table.

mod custom;
mod email;
mod fill;
mod leaves;
mod pii;
mod secrets;
mod sought;

use std::sync::Arc;

use super::{Roster, ValidationConfig, Validator};

pub use custom::RuleFile;
pub(super) use custom::read as read_rules;

/// What validators are built from.
pub(super) struct Parts<'a> {
    /// Limits.
    pub(super) config: &'a ValidationConfig,
    /// The workers of record.
    pub(super) roster: Arc<Roster>,
}

/// Builds one validator.
pub(super) type Build = fn(&Parts<'_>) -> Box<dyn Validator>;

/// Every validator, in the order in which they are listed.
pub(super) const TABLE: &[Build] = &[fill::build, email::build, secrets::build, pii::build];
