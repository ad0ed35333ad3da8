//! What can go wrong around a validation; what is wrong with a payload is a finding instead.

use super::roster::TableError;
use crate::types::error_kind::ErrorKind;

/// A validation that could not be made, or tables that could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidationError {
    /// No validator of that kind; ask for a known one.
    #[error("unknown validator {kind}: known are {known}")]
    UnknownKind {
        /// What was asked for, shortened.
        kind: String,
        /// What could have been asked for.
        known: String,
    },
    /// A request says something of a rule that does not exist; ask for a known one.
    #[error("{0}")]
    UnknownRule(String),
    /// A request says something of a rule that the settings keep from requests; leave it out.
    #[error(
        "rule {rule} cannot be tuned by requests: leave it out of rules, or have the server's settings list it in validation.request_may_tune"
    )]
    FixedRule {
        /// Its id.
        rule: String,
    },
    /// The section `[validation]` makes no sense; change it.
    #[error("validation.{0}")]
    Config(String),
    /// A file of rules makes no sense; change it.
    #[error("validation.custom: {0}")]
    Rules(String),
    /// A table is not usable; change its file where the error says.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl ValidationError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownKind { .. } => ErrorKind::NotFound,
            Self::FixedRule { .. } => ErrorKind::Forbidden,
            Self::UnknownRule(_) | Self::Config(_) | Self::Rules(_) | Self::Table(_) => {
                ErrorKind::BadRequest
            }
        }
    }
}
