//! The kinds of provider, and services known by name. One kind is one file and one line in
//! [`KINDS`].

mod anthropic;
mod anthropic_stream;
mod extractive;
mod gemini;
mod gemini_stream;
mod ollama;
mod ollama_stream;
mod openai;
mod openai_request;
mod openai_stream;
mod parts;
mod presets;
mod sse_stream;

#[cfg(test)]
mod conformance;

use std::sync::Arc;

pub use presets::{Preset, preset, presets};

use super::ChatError;
use super::Provider;
use super::config::ProviderConfig;
use crate::engines::upstream::Upstream;

/// The name of the embedded provider and of its one model.
pub const EXTRACTIVE: &str = "extractive";

/// Makes a provider that talks to an upstream.
type Make = fn(Upstream, &ProviderConfig) -> Arc<dyn Provider>;

/// The wire formats.
const KINDS: [(&str, Make); 4] = [
    ("anthropic", |upstream, config| {
        Arc::new(anthropic::Anthropic::new(
            upstream,
            config.default_max_tokens,
        ))
    }),
    ("gemini", |upstream, _| {
        Arc::new(gemini::Gemini::new(upstream))
    }),
    ("ollama", |upstream, _| {
        Arc::new(ollama::Ollama::new(upstream))
    }),
    ("openai", |upstream, config| {
        Arc::new(openai::OpenAi::new(upstream, config.stream_usage))
    }),
];

/// Lists the kinds that a configuration can name.
pub fn kinds() -> Vec<&'static str> {
    KINDS.iter().map(|(kind, _)| *kind).collect()
}

/// Builds the provider `name`; without settings it is the embedded one.
///
/// `key` is the upstream's key; it is sent to the upstream and shown nowhere.
/// Errors: [`ChatError::Invalid`] for settings that [`super::ChatConfig::validate`] would refuse.
pub fn build(
    name: &str,
    config: Option<&ProviderConfig>,
    key: Option<String>,
) -> Result<Arc<dyn Provider>, ChatError> {
    let Some(config) = config else {
        return Ok(Arc::new(extractive::Extractive));
    };
    let kind = config.wire_kind().unwrap_or_default();
    let make = KINDS
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, make)| make);
    let invalid = |field: &str| {
        ChatError::invalid(
            format!("chat.providers.{name}.{field}"),
            "is missing or unknown",
        )
    };
    let url = config.url().ok_or_else(|| invalid("base_url"))?;
    make.map(|make| make(Upstream::new(name, &config.address(url), key), config))
        .ok_or_else(|| invalid("kind"))
}
