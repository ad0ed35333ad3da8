//! The section `[dataset]` of the settings.

use serde::{Deserialize, Serialize};

/// `[dataset]`: materialization and exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatasetConfig {
    /// Path of a recipe, a TOML file; read at start. Default none: the one compiled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// Longest a job may take, milliseconds. Default 600,000, range 1,000 to 86,400,000.
    pub job_deadline_ms: u64,
}

impl Default for DatasetConfig {
    fn default() -> Self {
        Self {
            recipe: None,
            job_deadline_ms: 600_000,
        }
    }
}

impl DatasetConfig {
    /// Refuses nonsense.
    ///
    /// Errors: the setting, its range and its value.
    pub fn validate(&self) -> Result<(), String> {
        if !(1_000..=86_400_000).contains(&self.job_deadline_ms) {
            return Err(format!(
                "job_deadline_ms must be 1000 to 86400000, got {}",
                self.job_deadline_ms
            ));
        }
        Ok(())
    }
}
