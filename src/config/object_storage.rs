//! Where evidence and datasets are pushed to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::storage::replicas::{MAX_NAME_BYTES, is_name};

/// How its addresses begin.
const SCHEMES: [&str; 8] = [
    "s3://", "s3a://", "gs://", "az://", "azure://", "abfs://", "abfss://", "file:///",
];

/// `[object_storage]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectStorageConfig {
    /// Bucket and prefix: `s3://bucket/prefix`, `gs://…`, `az://…` or `file:///folder`; empty turns it off. Credentials come
    /// from the environment.
    pub url: String,
    /// The name of this replica, 1 to 64 of a-z, A-Z, 0-9, _ and -, unlike that of any other; empty takes one made of the
    /// host's name, which is kept in the data folder.
    pub replica: String,
    /// How often the server pushes what is new; 0 only when it is asked to.
    #[schemars(range(max = 86_400_000))]
    pub push_every_ms: u64,
    /// Whether evidence is pushed.
    pub evidence: bool,
    /// Whether tasks and exports are pushed.
    pub datasets: bool,
}

impl Default for ObjectStorageConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            replica: String::new(),
            push_every_ms: 300_000,
            evidence: true,
            datasets: true,
        }
    }
}

impl ObjectStorageConfig {
    /// Refuses nonsense.
    pub fn validate(&self) -> Result<(), String> {
        check_url(&self.url).map_err(|problem| format!("url {problem}"))?;
        if !self.replica.is_empty() && !is_name(&self.replica) {
            return Err(format!(
                "replica must be 1 to {MAX_NAME_BYTES} of a-z, A-Z, 0-9, _ and -, got {:?}",
                self.replica
            ));
        }
        let every = self.push_every_ms;
        if every != 0 && !(1_000..=86_400_000).contains(&every) {
            return Err(format!(
                "push_every_ms must be 0, or 1000 to 86400000, got {every}"
            ));
        }
        if !self.url.is_empty() && cfg!(not(feature = "object-storage")) {
            return Err(
                "url is set, but this build has no object storage: build with --features object-storage".to_owned(),
            );
        }
        Ok(())
    }
}

fn check_url(url: &str) -> Result<(), String> {
    if url.is_empty() {
        return Ok(());
    }
    let Some(rest) = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme)) else {
        return Err(format!(
            "must begin with one of {}, got {url:?}",
            SCHEMES.join(" ")
        ));
    };
    if rest.is_empty() {
        return Err("names no bucket or folder".to_owned());
    }
    // Not shown: what stands before an @ may be a secret.
    let is_azure = url.starts_with("abfs");
    if rest.contains(['?', '#']) || (rest.contains('@') && !is_azure) {
        return Err(
            "must have no credentials, no ? and no #: credentials come from the environment"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_a_known_kind_and_hold_no_secret() {
        for (url, good) in [
            ("", true),
            ("s3://bucket", true),
            ("gs://bucket/pre/fix", true),
            ("az://container/p", true),
            ("abfss://container@account.dfs.core.windows.net/p", true),
            ("file:///srv/evidence", true),
            ("file://srv", false),
            ("s3://", false),
            ("https://bucket.s3.amazonaws.com/p", false),
            ("s3://key:secret@bucket", false),
            ("s3://bucket?token=1", false),
            ("bucket", false),
        ] {
            let checked = check_url(url);
            assert_eq!(checked.is_ok(), good, "{url}: {checked:?}");
            assert!(!checked.err().is_some_and(|told| told.contains("secret")));
        }
    }

    #[test]
    fn what_a_build_cannot_do_is_refused() {
        let config = ObjectStorageConfig {
            url: "s3://bucket".to_owned(),
            ..ObjectStorageConfig::default()
        };
        assert_eq!(
            config.validate().is_ok(),
            cfg!(feature = "object-storage"),
            "{:?}",
            config.validate()
        );
        for config in [
            ObjectStorageConfig {
                replica: "a.b".to_owned(),
                ..ObjectStorageConfig::default()
            },
            ObjectStorageConfig {
                push_every_ms: 999,
                ..ObjectStorageConfig::default()
            },
        ] {
            assert!(config.validate().is_err());
        }
    }
}
