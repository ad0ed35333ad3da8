//! Verdicts and findings about what a model wrote.

use serde::{Deserialize, Serialize};

/// Whether it is safe to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No finding above a warning.
    Pass,
    /// Only findings that a model can be asked to mend.
    Repairable,
    /// At least one finding that makes it unsafe.
    Fail,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; does not change the verdict.
    Warning,
    /// Wrong, and a model can mend it: the verdict is at least `repairable`.
    Error,
    /// Unsafe to act on: the verdict is `fail`.
    Critical,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Finding {
    /// Stable id of the rule, such as `fill.worker_unknown`.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// JSON Pointer into the payload; empty for the whole.
    pub path: String,
    /// What is wrong, with the values.
    pub message: String,
    /// What would be right, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// The outcome of one validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Report {
    /// The worst finding decides.
    pub verdict: Verdict,
    /// In the order of the payload.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Draws the verdict from the findings.
    pub fn new(findings: Vec<Finding>) -> Self {
        let verdict = match findings.iter().map(|finding| finding.severity).max() {
            Some(Severity::Critical) => Verdict::Fail,
            Some(Severity::Error) => Verdict::Repairable,
            Some(Severity::Warning) | None => Verdict::Pass,
        };
        Self { verdict, findings }
    }
}
