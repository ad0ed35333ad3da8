//! Engines beside this process that can keep collections.

use serde::{Deserialize, Serialize};

use crate::types::collection::Backend;

/// `[backends]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct BackendsConfig {
    /// What keeps a collection whose creation does not say: `hnsw`, this process in its data folder, `qdrant` or
    /// `lance`. Default `hnsw`.
    pub default: Backend,
    /// How often the engines are asked for collections that others made or removed there. 100 to 3,600,000
    /// milliseconds, default 5,000. A collection that is asked for and not known is looked for at once.
    #[cfg_attr(feature = "server", schemars(range(min = 100, max = 3_600_000)))]
    pub refresh_ms: u64,
    /// A Qdrant.
    pub qdrant: QdrantConfig,
    /// Lance tables.
    pub lance: LanceConfig,
}

impl Default for BackendsConfig {
    fn default() -> Self {
        Self {
            default: Backend::Hnsw,
            refresh_ms: 5_000,
            qdrant: QdrantConfig::default(),
            lance: LanceConfig::default(),
        }
    }
}

/// `[backends.qdrant]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct QdrantConfig {
    /// Where its gRPC port is, such as `http://127.0.0.1:6334`; empty: there is none.
    pub url: String,
    /// The variable of the environment that has its key; empty: it needs none.
    pub api_key_env: String,
    /// What the names of our collections begin with there.
    pub prefix: String,
    /// Longest a call may take. 1 to 600,000 milliseconds, default 10,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 600_000)))]
    pub timeout_ms: u64,
    /// Copies of each shard that a new collection has, and that must have a write before it is acknowledged. 1 to 16,
    /// default 1.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 16)))]
    pub replication_factor: u32,
    /// Shards of a new collection; 0: as many as Qdrant makes. At most 1,024, default 0.
    #[cfg_attr(feature = "server", schemars(range(max = 1024)))]
    pub shards: u32,
}

impl Default for QdrantConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            api_key_env: String::new(),
            prefix: "boathouse-".to_owned(),
            timeout_ms: 10_000,
            replication_factor: 1,
            shards: 0,
        }
    }
}

/// `[backends.lance]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct LanceConfig {
    /// Where the tables are: a folder, or `s3://bucket/prefix`, `gs://…`, `az://…` with the keys in the environment;
    /// empty: there are none.
    pub uri: String,
}

impl BackendsConfig {
    /// Checks every field; the text names the one at fault and its range.
    pub fn validate(&self) -> Result<(), String> {
        if !(100..=3_600_000).contains(&self.refresh_ms) {
            let got = self.refresh_ms;
            return Err(format!("refresh_ms must be 100 to 3600000, got {got}"));
        }
        let qdrant = &self.qdrant;
        if !(1..=600_000).contains(&qdrant.timeout_ms) {
            let got = qdrant.timeout_ms;
            return Err(format!("qdrant.timeout_ms must be 1 to 600000, got {got}"));
        }
        if !(1..=16).contains(&qdrant.replication_factor) {
            let got = qdrant.replication_factor;
            return Err(format!(
                "qdrant.replication_factor must be 1 to 16, got {got}"
            ));
        }
        if qdrant.shards > 1_024 {
            let got = qdrant.shards;
            return Err(format!("qdrant.shards must be at most 1024, got {got}"));
        }
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if qdrant.prefix.len() > 64 || !qdrant.prefix.chars().all(letters) {
            return Err(format!(
                "qdrant.prefix must be at most 64 of a-z A-Z 0-9 _ -, got {:?}",
                qdrant.prefix
            ));
        }
        let url = &qdrant.url;
        if !url.is_empty() && !["http://", "https://"].iter().any(|it| url.starts_with(it)) {
            return Err(format!(
                "qdrant.url must be empty or begin with http:// or https://, got {url:?}"
            ));
        }
        let unset = match self.default {
            Backend::Hnsw => None,
            Backend::Qdrant => url.is_empty().then_some("qdrant.url"),
            Backend::Lance => self.lance.uri.is_empty().then_some("lance.uri"),
        };
        match unset {
            Some(key) => Err(format!(
                "default is {}, and {key} says not where that is",
                self.default
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_what_is_wrong_is_named() {
        BackendsConfig::default().validate().unwrap();
        for (text, wanted) in [
            (
                r#"{"refresh_ms": 1}"#,
                "refresh_ms must be 100 to 3600000, got 1",
            ),
            (
                r#"{"default": "qdrant"}"#,
                "default is qdrant, and qdrant.url says not where that is",
            ),
            (
                r#"{"default": "lance"}"#,
                "default is lance, and lance.uri says not where that is",
            ),
            (
                r#"{"qdrant": {"url": "127.0.0.1:6334"}}"#,
                r#"qdrant.url must be empty or begin with http:// or https://, got "127.0.0.1:6334""#,
            ),
            (
                r#"{"qdrant": {"prefix": "a/b"}}"#,
                r#"qdrant.prefix must be at most 64 of a-z A-Z 0-9 _ -, got "a/b""#,
            ),
            (
                r#"{"qdrant": {"replication_factor": 0}}"#,
                "qdrant.replication_factor must be 1 to 16, got 0",
            ),
        ] {
            let config: BackendsConfig = serde_json::from_str(text).unwrap();
            assert_eq!(config.validate().unwrap_err(), wanted);
        }
    }
}
