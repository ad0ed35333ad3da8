//! One rule of a validator: its id and severity never vary with the input.

use serde::Serialize;

use crate::types::validation::{Finding, Severity};

/// What a finding names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Stable, `<validator>.<word>`.
    pub id: &'static str,
    /// How bad each finding of this rule is.
    pub severity: Severity,
    /// What has to hold, one sentence.
    pub description: &'static str,
}

impl Rule {
    pub(super) const fn critical(id: &'static str, description: &'static str) -> Self {
        Self {
            id,
            severity: Severity::Critical,
            description,
        }
    }

    pub(super) const fn error(id: &'static str, description: &'static str) -> Self {
        Self {
            id,
            severity: Severity::Error,
            description,
        }
    }

    pub(super) const fn warning(id: &'static str, description: &'static str) -> Self {
        Self {
            id,
            severity: Severity::Warning,
            description,
        }
    }

    /// Builds a finding of this rule at the JSON Pointer `path`.
    pub fn finding(&self, path: impl Into<String>, message: impl Into<String>) -> Finding {
        self.suggesting(path, message, None)
    }

    /// Builds a finding that says what would be right, where that is known.
    pub fn suggesting(
        &self,
        path: impl Into<String>,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) -> Finding {
        Finding {
            rule: self.id.to_owned(),
            severity: self.severity,
            path: path.into(),
            message: message.into(),
            suggestion,
        }
    }
}
