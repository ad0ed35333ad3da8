//! All settings in one value: each layer owns its part, this composes, loads and checks them.

mod http;
mod load;
mod log;
mod object_storage;
mod policies;
mod schema;
mod storage;
mod telemetry;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use http::{HttpConfig, RequireKeys};
pub use load::{ConfigError, Overrides, load, manual};
pub use log::{LogConfig, LogFormat};
pub use object_storage::ObjectStorageConfig;
pub use policies::SupervisorsConfig;
pub use schema::schema;
pub use storage::StorageConfig;
pub use telemetry::TelemetryConfig;

use crate::engines::chat::ChatConfig;
use crate::engines::dataset::DatasetConfig;
use crate::engines::embedding::EmbeddingConfig;
use crate::engines::index::{BackendsConfig, IndexConfig};
use crate::engines::validation::ValidationConfig;
use crate::storage::evidence_log::EvidenceConfig;

/// Every setting. `config/default.toml` documents each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The server.
    pub http: HttpConfig,
    /// Where data lives.
    pub storage: StorageConfig,
    /// What is logged.
    pub log: LogConfig,
    /// What a collector gets.
    pub telemetry: TelemetryConfig,
    /// Embedding models and their cache.
    pub embedding: EmbeddingConfig,
    /// Collections.
    pub index: IndexConfig,
    /// Engines that can keep collections.
    pub backends: BackendsConfig,
    /// Chat providers and routes.
    pub chat: ChatConfig,
    /// Validators.
    pub validation: ValidationConfig,
    /// The journal.
    pub evidence: EvidenceConfig,
    /// Materialization and exports.
    pub dataset: DatasetConfig,
    /// Where evidence and datasets are pushed to.
    pub object_storage: ObjectStorageConfig,
    /// Restart policies.
    pub supervisors: SupervisorsConfig,
}

impl Settings {
    /// Checks every part.
    ///
    /// Errors: the first setting at fault, with its section.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let checks = [
            ("http", self.http.validate()),
            ("storage", self.storage.validate()),
            ("log", self.log.validate()),
            ("telemetry", self.telemetry.validate()),
            ("embedding", self.embedding.validate()),
            ("index", self.index.validate()),
            ("backends", self.backends.validate()),
            ("chat", self.chat.validate()),
            ("validation", self.validation.validate()),
            ("evidence", self.evidence.validate()),
            ("dataset", self.dataset.validate()),
            ("object_storage", self.object_storage.validate()),
            ("supervisors", self.supervisors.validate()),
        ];
        for (section, outcome) in checks {
            outcome.map_err(|problem| ConfigError::Invalid { section, problem })?;
        }
        Ok(())
    }
}
