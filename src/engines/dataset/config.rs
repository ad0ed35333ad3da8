//! The section `[dataset]` of the settings.

use serde::{Deserialize, Serialize};

/// Threads that are taken unasked: the server has other work.
const MOST_BY_DEFAULT: usize = 8;

/// `[dataset]`: materialization and exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DatasetConfig {
    /// Path of a recipe, a TOML file; read at start. Default none: the one compiled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// Threads that read, hash and score; default 0: as many as there are cores, at most 8. Range 0 to 64. The files are the
    /// same whatever it is; each thread takes some 10 MB.
    #[cfg_attr(feature = "server", schemars(range(max = 64)))]
    pub threads: usize,
    /// Whether tasks are written as Parquet too, beside JSONL. Default true.
    pub parquet: bool,
    /// Longest a job may take, milliseconds. Default 600,000, range 1,000 to 86,400,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1_000, max = 86_400_000)))]
    pub job_deadline_ms: u64,
}

impl Default for DatasetConfig {
    fn default() -> Self {
        Self {
            recipe: None,
            threads: 0,
            parquet: true,
            job_deadline_ms: 600_000,
        }
    }
}

impl DatasetConfig {
    /// Counts the threads on a machine with so many cores.
    pub fn threads(&self, cores: usize) -> usize {
        match self.threads {
            0 => cores.clamp(1, MOST_BY_DEFAULT),
            threads => threads,
        }
    }

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
        if self.threads > 64 {
            return Err(format!("threads must be 0 to 64, got {}", self.threads));
        }
        Ok(())
    }
}
