//! Settings of the embedding engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EmbedderConfig, embedders};
use crate::engines::upstream::{BreakerConfig, RetryConfig};

/// `[embedding]`: which model answers, and how much is kept and accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
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
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub max_texts: usize,
    /// Most bytes of one text; default 262144, at least 1. What is longer is refused rather than
    /// cut in silence.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub max_text_bytes: usize,
    /// Most tokens of one message to a model, counted as a token for each 4 bytes; default 16,384, at least 1. A text
    /// that is longer has a message for itself.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub batch_tokens: usize,
    /// How long a text for a model of an upstream waits for those of other requests, to share a call, microseconds;
    /// default 300, at most 100,000. 0 waits for none. `static-minilm` never waits.
    #[cfg_attr(feature = "server", schemars(range(max = 100_000)))]
    pub batch_window_us: u64,
    /// Models of upstreams and of folders, by the name that requests ask for.
    pub embedders: BTreeMap<String, EmbedderConfig>,
    /// Asking an upstream again.
    pub retry: RetryConfig,
    /// Leaving an upstream that fails alone for a while.
    pub breaker: BreakerConfig,
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
            batch_tokens: 16_384,
            batch_window_us: 300,
            embedders: BTreeMap::new(),
            retry: RetryConfig::default(),
            breaker: BreakerConfig::default(),
            aliases: BTreeMap::new(),
        }
    }
}

impl EmbeddingConfig {
    /// Checks what no single field can tell.
    ///
    /// Errors: says which key is wrong, and what it may be.
    pub fn validate(&self) -> Result<(), String> {
        let mut known: Vec<&str> = embedders::TABLE.iter().map(|(name, _)| *name).collect();
        for (name, embedder) in &self.embedders {
            if known.contains(&name.as_str()) {
                return Err(format!(
                    "embedders.{name} has the name of a model that is compiled in; choose another"
                ));
            }
            embedder.validate(name, &self.embedders)?;
        }
        known.extend(self.embedders.keys().map(String::as_str));
        // Whether its folder is there is seen when it is opened.
        known.extend(embedders::FOLDER_KINDS.iter().map(|(name, _)| *name));
        self.retry.validate()?;
        self.breaker.validate()?;
        let is_known = |name: &str| known.contains(&name);
        for (key, value) in [
            ("max_texts", self.max_texts),
            ("max_text_bytes", self.max_text_bytes),
            ("batch_tokens", self.batch_tokens),
        ] {
            if value == 0 {
                return Err(format!("{key} must be at least 1, got 0"));
            }
        }
        if self.batch_window_us > 100_000 {
            let got = self.batch_window_us;
            return Err(format!("batch_window_us must be at most 100000, got {got}"));
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
        let embedder = |rest: &str| {
            let own = "kind = \"ollama\"\nbase_url = \"http://h\"\nmodel = \"m\"\n";
            parse(&format!("default = \"a\"\n[embedders.a]\n{own}{rest}"))
                .unwrap()
                .validate()
        };
        assert_eq!(embedder(""), Ok(()));
        let other = "kind = \"openai\"\nbase_url = \"https://h/v1\"\nmodel = \"m\"";
        assert_eq!(
            embedder(&format!(
                "dim = 3\nfallback = \"b\"\n[embedders.b]\ndim = 3\n{other}"
            )),
            Ok(())
        );
        for (rest, expected) in [
            ("batch = 0", "embedders.a.batch: must be 1 to 2048"),
            ("dim = 0", "embedders.a.dim"),
            ("total_timeout_ms = 0", "embedders.a.total_timeout_ms"),
            ("headers = { \"a b\" = \"\" }", "embedders.a.headers"),
            (
                "fallback = \"a\"",
                "embedders.a.fallback: must name another",
            ),
            ("fallback = \"static-minilm\"", "must name another"),
            (
                &format!("fallback = \"b\"\n[embedders.b]\n{other}"),
                "both must set the same dim",
            ),
            (
                &format!("dim = 3\nfallback = \"b\"\n[embedders.b]\ndim = 4\n{other}"),
                "both must set the same dim",
            ),
            (
                &format!("dim = 3\nfallback = \"b\"\n[embedders.b]\ndim = 3\n{other}2\"")
                    .replace("\"m\"2", "\"m2"),
                "must serve the same model",
            ),
            (
                "[embedders.b]\nkind = \"grpc\"",
                "embedders.b.kind: must be one of ollama, openai",
            ),
            ("[embedders.b]\nkind = \"openai\"", "embedders.b.base_url"),
            (
                "[embedders.b]\nkind = \"openai\"\nbase_url = \"http://h\"",
                "embedders.b.model",
            ),
            ("[embedders.\"b/c\"]", "no name for an embedder"),
            ("[embedders.static-minilm]", "that is compiled in"),
            ("path = \"/m\"", "embedders.a.path: an upstream has none"),
            ("[retry]\nmax_attempts = 0", "retry.max_attempts"),
        ] {
            let error = embedder(rest).unwrap_err();
            assert!(error.contains(expected), "{rest}: {error}");
        }
        let alias = parse("default = \"ada\"\naliases = { ada = \"static-minilm\" }").unwrap();
        assert_eq!(alias.validate(), Ok(()));
    }
}
