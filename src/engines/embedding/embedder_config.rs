//! Settings of a model that computes elsewhere, or here from a folder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::embedders;
use crate::engines::upstream::{Address, KeyPlace, check_headers, check_key_place, check_url};

/// `[embedding.embedders.NAME]`: one model of one upstream, or of one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EmbedderConfig {
    /// Its wire format, `ollama` or `openai`; or `minilm`, which computes here and takes only `path`.
    pub kind: String,
    /// The folder of a model that computes here; left out, the one that `boathouse models pull`
    /// fills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Where it is, such as `http://127.0.0.1:11434`, or with `/v1` for `openai`.
    pub base_url: String,
    /// The upstream's name of the model.
    pub model: String,
    /// The environment variable that holds its key. Keys themselves do not belong into settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// A file that holds its key and nothing else, instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
    /// Whether its address may be link-local, where clouds keep the credentials of a machine. Default
    /// false.
    pub allow_link_local: bool,
    /// Headers sent with every request. Not for secrets.
    pub headers: BTreeMap<String, String>,
    /// Fields merged into every request's body, such as `{ dimensions = 256 }`.
    pub extra_body: Map<String, Value>,
    /// Length of its vectors; left out, the first answer tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 65_536)))]
    pub dim: Option<usize>,
    /// Most tokens of a text, told to clients; left out, only the upstream knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 10_000_000)))]
    pub max_tokens: Option<usize>,
    /// Most texts in one call. Default 64, 1 to 2048.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 2_048)))]
    pub batch: usize,
    /// Longest wait for a connection, milliseconds. Default 5,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub connect_timeout_ms: u64,
    /// Longest silence within an answer, milliseconds. Default 30,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub idle_timeout_ms: u64,
    /// Longest call, milliseconds. Default 60,000. `http.deadline_ms` bounds the request.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub total_timeout_ms: u64,
    /// Most calls at a time; one more gets 429. Default 64.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 100_000)))]
    pub max_concurrency: usize,
    /// Another embedder that serves the same model, asked when this one fails. Both need `dim`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

impl Default for EmbedderConfig {
    fn default() -> Self {
        Self {
            kind: String::new(),
            path: None,
            base_url: String::new(),
            model: String::new(),
            api_key_env: None,
            api_key_file: None,
            allow_link_local: false,
            headers: BTreeMap::new(),
            extra_body: Map::new(),
            dim: None,
            max_tokens: None,
            batch: 64,
            connect_timeout_ms: 5_000,
            idle_timeout_ms: 30_000,
            total_timeout_ms: 60_000,
            max_concurrency: 64,
            fallback: None,
        }
    }
}

impl EmbedderConfig {
    /// The address without a slash at its end.
    pub(super) fn url(&self) -> &str {
        self.base_url.trim_end_matches('/')
    }

    /// Where its key is.
    pub(super) fn key_place(&self) -> Option<KeyPlace<'_>> {
        let file = self.api_key_file.as_deref().map(KeyPlace::File);
        file.or(self.api_key_env.as_deref().map(KeyPlace::Variable))
    }

    pub(super) fn address(&self) -> Address<'_> {
        Address {
            base_url: self.url(),
            key_place: self.key_place(),
            headers: &self.headers,
            extra_body: &self.extra_body,
            first_byte_ms: self.total_timeout_ms,
            idle_ms: self.idle_timeout_ms,
            total_ms: self.total_timeout_ms,
        }
    }

    /// Checks the embedder `name`; `all` are the configured ones.
    ///
    /// Errors: says which key is wrong, and what it may be.
    pub(super) fn validate(&self, name: &str, all: &BTreeMap<String, Self>) -> Result<(), String> {
        let field = |field: &str| format!("embedders.{name}.{field}");
        let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(sane) {
            return Err(format!(
                "embedders: {name:?} is no name for an embedder: 1 to 64 of a-z A-Z 0-9 - _ ."
            ));
        }
        if embedders::folder_kind(&self.kind).is_some() {
            let only = Self {
                kind: self.kind.clone(),
                path: self.path.clone(),
                ..Self::default()
            };
            let kind = &self.kind;
            return (only == *self).then_some(()).ok_or_else(|| {
                format!("embedders.{name}: kind {kind:?} computes here and takes only path")
            });
        }
        let mut kinds = embedders::kinds();
        kinds.extend(embedders::FOLDER_KINDS.iter().map(|(kind, _)| *kind));
        if self.path.is_some() && kinds.contains(&self.kind.as_str()) {
            return Err(format!("{}: an upstream has none", field("path")));
        }
        if !kinds.contains(&self.kind.as_str()) {
            let (kind, kinds) = (field("kind"), kinds.join(", "));
            return Err(format!("{kind}: must be one of {kinds}"));
        }
        check_url(self.url(), self.allow_link_local)
            .map_err(|problem| format!("{}: {problem}", field("base_url")))?;
        check_key_place(self.api_key_env.as_deref(), self.api_key_file.as_deref())
            .map_err(|problem| format!("embedders.{name}: {problem}"))?;
        check_headers(&self.headers)
            .map_err(|problem| format!("{}: {problem}", field("headers")))?;
        if self.model.trim().is_empty() {
            return Err(format!("{}: must name a model", field("model")));
        }
        for (key, value, most) in [
            ("dim", self.dim.unwrap_or(1), 65_536),
            ("max_tokens", self.max_tokens.unwrap_or(1), 10_000_000),
            ("batch", self.batch, 2_048),
            ("max_concurrency", self.max_concurrency, 100_000),
        ] {
            if !(1..=most).contains(&value) {
                return Err(format!("{}: must be 1 to {most}, got {value}", field(key)));
            }
        }
        for (key, value) in [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
            ("total_timeout_ms", self.total_timeout_ms),
        ] {
            if value == 0 {
                return Err(format!("{}: must be at least 1", field(key)));
            }
        }
        let Some(fallback) = &self.fallback else {
            return Ok(());
        };
        let other = all.get(fallback).filter(|_| fallback != name);
        let other = other.ok_or_else(|| {
            format!(
                "{}: must name another of [embedding.embedders], got {fallback:?}",
                field("fallback")
            )
        })?;
        // Vectors of two models, or of two lengths, do not compare.
        if self.dim.is_none() || other.dim != self.dim || other.model != self.model {
            return Err(format!(
                "{}: {fallback:?} must serve the same model, and both must set the same dim",
                field("fallback")
            ));
        }
        Ok(())
    }
}
