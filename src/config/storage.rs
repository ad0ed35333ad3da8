//! Where data lives.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[storage]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// Everything that is kept.
    pub data_dir: PathBuf,
    /// Octal digits of the permissions that new files and folders do not have; empty keeps those of whoever starts it.
    pub umask: String,
    /// How often collections look after themselves.
    #[schemars(range(min = 100, max = 3_600_000))]
    pub maintenance_ms: u64,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            umask: "077".to_owned(),
            maintenance_ms: 5_000,
        }
    }
}

impl StorageConfig {
    /// Where `boathouse models pull` puts models.
    pub fn models_dir(&self) -> PathBuf {
        self.data_dir.join("models")
    }

    /// The permissions that new files do not have; `None` keeps those of whoever starts the process.
    ///
    /// Errors: no octal digits.
    pub fn umask_bits(&self) -> Result<Option<u32>, String> {
        if self.umask.is_empty() {
            return Ok(None);
        }
        let digits = self.umask.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let bits = u32::from_str_radix(&self.umask, 8).ok();
        // An owner who cannot read what is written would lose it.
        match bits.filter(|bits| digits && bits & !0o077 == 0) {
            Some(bits) => Ok(Some(bits)),
            None => Err(format!(
                "umask must be octal digits from \"000\" to \"077\", or empty, got {:?}",
                self.umask
            )),
        }
    }

    /// Refuses nonsense.
    pub fn validate(&self) -> Result<(), String> {
        if self.data_dir.as_os_str().is_empty() {
            return Err("data_dir is empty; write a folder such as \"./data\"".to_owned());
        }
        self.umask_bits()?;
        if !(100..=3_600_000).contains(&self.maintenance_ms) {
            return Err(format!(
                "maintenance_ms must be 100 to 3600000, got {}",
                self.maintenance_ms
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_umask_is_octal_and_leaves_the_owner_everything() {
        for (umask, expected) in [
            ("077", Ok(Some(0o077))),
            ("027", Ok(Some(0o027))),
            ("22", Ok(Some(0o022))),
            ("0", Ok(Some(0))),
            ("", Ok(None)),
            ("0777", Err(())),
            ("700", Err(())),
            ("89", Err(())),
            ("+77", Err(())),
            ("u=rw", Err(())),
        ] {
            let config = StorageConfig {
                umask: umask.to_owned(),
                ..StorageConfig::default()
            };
            assert_eq!(config.umask_bits().map_err(|_| ()), expected, "{umask:?}");
            assert_eq!(config.validate().is_ok(), expected.is_ok(), "{umask:?}");
        }
    }
}
