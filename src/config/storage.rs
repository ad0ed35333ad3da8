//! Where data lives.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[storage]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// Everything that is kept.
    pub data_dir: PathBuf,
    /// How often collections look after themselves.
    pub maintenance_ms: u64,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            maintenance_ms: 5_000,
        }
    }
}

impl StorageConfig {
    /// Where `boathouse models pull` puts models.
    pub fn models_dir(&self) -> PathBuf {
        self.data_dir.join("models")
    }

    /// Refuses nonsense.
    pub fn validate(&self) -> Result<(), String> {
        if self.data_dir.as_os_str().is_empty() {
            return Err("data_dir is empty; write a folder such as \"./data\"".to_owned());
        }
        if !(100..=3_600_000).contains(&self.maintenance_ms) {
            return Err(format!(
                "maintenance_ms must be 100 to 3600000, got {}",
                self.maintenance_ms
            ));
        }
        Ok(())
    }
}
