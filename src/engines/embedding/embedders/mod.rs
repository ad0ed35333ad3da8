//! The embedders. One that is compiled in is one file and one line of [`TABLE`]; one that reads a
//! folder is one file and one line of [`FOLDER_KINDS`]; one that asks an upstream is one file and
//! one line of [`KINDS`].

#[cfg(feature = "minilm")]
mod minilm;
mod ollama;
mod openai;
mod static_minilm;

#[cfg(test)]
mod conformance;

use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "minilm")]
pub use minilm::Minilm;

use super::error::EmbedError;
use super::remote::RemoteModel;
use super::{Embedder, EmbedderConfig};
use crate::engines::upstream::{Upstream, UpstreamError};
use crate::types::http::{HttpCall, HttpReply};

/// Makes an embedder ready; called at the start of the process.
pub(super) type Load = fn() -> Result<Arc<dyn Embedder>, EmbedError>;

/// Every embedder that computes here, by name.
pub(super) const TABLE: &[(&str, Load)] = &[(static_minilm::NAME, static_minilm::load)];

/// The embedder of requests that name none.
pub const DEFAULT: &str = static_minilm::NAME;

/// The embedder of requests that name none.
pub(super) fn embedded() -> Result<Arc<dyn Embedder>, EmbedError> {
    static_minilm::load()
}

/// Makes the embedder of a folder ready under a name; called at the start of the process.
pub(super) type Open = fn(&str, &Path) -> Result<Arc<dyn Embedder>, EmbedError>;

/// The kinds that compute here from a folder. A name in `catalog.rs` that is also a kind is served
/// under that name once its folder is there.
pub(super) const FOLDER_KINDS: &[(&str, Open)] = &[
    #[cfg(feature = "minilm")]
    (minilm::NAME, minilm::open),
];

/// Converts between texts and one upstream's wire format. Does no I/O and keeps no state.
pub(super) trait Wire: Send + Sync {
    /// Plans the call for `texts`.
    fn plan(&self, model: &str, texts: &[&str], truncate: bool) -> Result<HttpCall, UpstreamError>;

    /// Plans the question for the upstream's models, to see whether it is there and takes the key.
    fn probe(&self) -> Result<HttpCall, UpstreamError>;

    /// Reads the answer. Count, lengths and numbers are checked by the caller.
    fn decode(&self, reply: &HttpReply) -> Result<Batch, UpstreamError>;
}

/// What an answer holds.
pub(super) struct Batch {
    /// In the order of the texts.
    pub(super) vectors: Vec<Vec<f32>>,
    /// Tokens of all texts, if the upstream counts.
    pub(super) tokens: Option<u64>,
}

type Make = fn(Upstream) -> Box<dyn Wire>;

/// The wire formats of upstreams.
const KINDS: &[(&str, Make)] = &[
    ("ollama", |upstream| Box::new(ollama::Ollama(upstream))),
    ("openai", |upstream| Box::new(openai::OpenAi(upstream))),
];

/// Lists the kinds that ask an upstream.
pub(super) fn kinds() -> Vec<&'static str> {
    KINDS.iter().map(|(kind, _)| *kind).collect()
}

/// Finds what opens a folder, if `kind` is of that sort.
pub(super) fn folder_kind(kind: &str) -> Option<Open> {
    let found = FOLDER_KINDS.iter().find(|(known, _)| *known == kind);
    found.map(|(_, open)| *open)
}

/// Builds the embedder `name`.
///
/// `key` is the upstream's key; it is sent to the upstream and shown nowhere.
/// Errors: a kind that the configuration's check would refuse.
pub(super) fn remote(
    name: &str,
    config: &EmbedderConfig,
    key: Option<String>,
) -> Result<RemoteModel, EmbedError> {
    let make = KINDS.iter().find(|(kind, _)| *kind == config.kind);
    let (_, make) = make.ok_or_else(|| {
        EmbedError::Config(format!(
            "embedders.{name}.kind: {:?} is unknown",
            config.kind
        ))
    })?;
    let wire = make(Upstream::new(name, &config.address(), key));
    Ok(RemoteModel::new(name, config, wire))
}
