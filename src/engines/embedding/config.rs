//! Settings of the embedding engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::embedders;

/// `[embedding]`: which model answers, and how much is kept and accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingConfig {
    /// The model, or alias, of requests that name none. Default `static-minilm`.
    pub default: String,
    /// Memory of the cache of vectors, bytes; default 256 MiB, about 230,000 texts. 0 keeps
    /// nothing.
    pub cache_bytes: u64,
    /// How often the cache is saved for the next start, milliseconds; default 300,000, at least
    /// 1,000. 0 neither saves nor loads it.
    pub cache_save_ms: u64,
    /// Most texts in one request; default 2048, at least 1.
    pub max_texts: usize,
    /// Most bytes of one text; default 262144, at least 1. What is longer is refused rather than
    /// cut in silence.
    pub max_text_bytes: usize,
    /// Other names for the models, such as `text-embedding-3-small = "static-minilm"`, for clients
    /// whose model cannot be changed. Default none.
    pub aliases: BTreeMap<String, String>,
}

impl Default for EmbeddingConfig {
    fn default() -> Self {
        Self {
            default: embedders::DEFAULT.to_owned(),
            cache_bytes: 256 << 20,
            cache_save_ms: 300_000,
            max_texts: 2048,
            max_text_bytes: 256 << 10,
            aliases: BTreeMap::new(),
        }
    }
}

impl EmbeddingConfig {
    /// Checks what no single field can tell.
    ///
    /// Errors: says which key is wrong, and what it may be.
    pub fn validate(&self) -> Result<(), String> {
        let known: Vec<&str> = embedders::TABLE.iter().map(|(name, _)| *name).collect();
        let is_known = |name: &str| known.contains(&name);
        for (key, value) in [
            ("max_texts", self.max_texts),
            ("max_text_bytes", self.max_text_bytes),
        ] {
            if value == 0 {
                return Err(format!("{key} must be at least 1, got 0"));
            }
        }
        if (1..1_000).contains(&self.cache_save_ms) {
            let got = self.cache_save_ms;
            return Err(format!(
                "cache_save_ms must be 0 (never) or at least 1000, got {got}"
            ));
        }
        for (alias, model) in &self.aliases {
            if alias.is_empty() || alias.trim() != alias {
                return Err(format!(
                    "aliases: name {alias:?} must not be empty, or begin or end with a \
                     space"
                ));
            }
            if is_known(alias) {
                return Err(format!(
                    "aliases.{alias} would hide the model of that name; choose another"
                ));
            }
            if !is_known(model) {
                return Err(format!(
                    "aliases.{alias} names an unknown model {model:?}; known: {}",
                    known.join(", ")
                ));
            }
        }
        if !is_known(&self.default) && !self.aliases.contains_key(&self.default) {
            return Err(format!(
                "default names an unknown model {:?}; known: {}",
                self.default,
                known.join(", ")
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(toml: &str) -> Result<EmbeddingConfig, toml::de::Error> {
        toml::from_str(toml)
    }

    #[test]
    fn an_empty_section_takes_the_defaults() {
        let config = parse("").unwrap();
        assert_eq!(config, EmbeddingConfig::default());
        assert_eq!(
            (config.default.as_str(), config.cache_bytes),
            ("static-minilm", 268_435_456)
        );
        assert_eq!(config.validate(), Ok(()));
        assert!(
            parse("cache_byte = 1")
                .unwrap_err()
                .to_string()
                .contains("cache_byte")
        );
    }

    #[test]
    fn nonsense_is_refused_with_its_key() {
        let cases = [
            ("max_texts = 0", "max_texts must be at least 1"),
            ("cache_save_ms = 999", "cache_save_ms must be 0 (never) or"),
            ("max_text_bytes = 0", "max_text_bytes must be at least 1"),
            (
                "default = \"ada\"",
                "default names an unknown model \"ada\"",
            ),
            (
                "aliases = { \"\" = \"static-minilm\" }",
                "must not be empty",
            ),
            (
                "aliases = { a = \"b\" }",
                "aliases.a names an unknown model \"b\"",
            ),
            (
                "aliases = { static-minilm = \"static-minilm\" }",
                "would hide",
            ),
            (
                "aliases = { a = \"static-minilm\", b = \"a\" }",
                "aliases.b names",
            ),
        ];
        for (toml, expected) in cases {
            let error = parse(toml).unwrap().validate().unwrap_err();
            assert!(error.contains(expected), "{toml}: {error}");
        }
        let alias = parse("default = \"ada\"\naliases = { ada = \"static-minilm\" }").unwrap();
        assert_eq!(alias.validate(), Ok(()));
    }
}
