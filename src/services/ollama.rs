//! Ollama's own way to ask for vectors, for clients that are written for it.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{ServiceError, Services, embed};
use crate::engines::embedding::{CachedVector, Model, truncate_dims};
use crate::types::trace::Trace;

/// A request to `POST /api/embed`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OllamaEmbedInput {
    /// A model's name or alias, with or without `:latest`.
    #[schema(example = "static-minilm")]
    pub model: String,
    /// A text or a list of texts.
    #[serde(default)]
    #[schema(value_type = Option<OllamaTexts>, example = json!(["a boat on the river", "a ship at sea"]))]
    pub input: Value,
    /// Cut what is longer than the model reads; with `false` it is refused.
    #[serde(default = "yes")]
    pub truncate: bool,
    /// Keep only the first so many dimensions, renormalised; 0 keeps all.
    #[serde(default)]
    pub dimensions: usize,
    /// Not used.
    pub options: Option<Value>,
    /// Not used.
    pub keep_alive: Option<Value>,
}

/// The forms of `input`.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is read by hand")]
enum OllamaTexts {
    /// A text.
    One(String),
    /// Texts.
    Several(Vec<String>),
}

fn yes() -> bool {
    true
}

/// The answer of `POST /api/embed`.
#[derive(Debug, Serialize, ToSchema)]
pub struct OllamaEmbedOutput {
    /// The model, as it was asked for.
    pub model: String,
    /// One vector for each text, in order.
    pub embeddings: Vec<Vec<f32>>,
    /// Time taken, nanoseconds.
    pub total_duration: u64,
    /// Always 0: models are loaded at the start.
    pub load_duration: u64,
    /// Tokens of all texts.
    pub prompt_eval_count: u64,
}

/// A request to `POST /api/embeddings`, which Ollama has superseded by `/api/embed`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OllamaEmbeddingsInput {
    /// A model's name or alias, with or without `:latest`.
    #[schema(example = "static-minilm")]
    pub model: String,
    /// A text.
    #[serde(default)]
    #[schema(example = "a boat on the river")]
    pub prompt: String,
    /// Cut what is longer than the model reads; with `false` it is refused.
    #[serde(default = "yes")]
    pub truncate: bool,
    /// Not used.
    pub options: Option<Value>,
    /// Not used.
    pub keep_alive: Option<Value>,
}

/// The answer of `POST /api/embeddings`.
#[derive(Debug, Serialize, ToSchema)]
pub struct OllamaEmbeddingsOutput {
    /// The vector; empty for an empty prompt.
    pub embedding: Vec<f32>,
}

/// Serves `POST /api/embed`.
pub async fn embed(
    services: &Services,
    input: OllamaEmbedInput,
    trace: Option<&Trace>,
) -> Result<OllamaEmbedOutput, ServiceError> {
    let started = Instant::now();
    let model = resolve(services, &input.model)?;
    let texts = texts_of(input.input)?;
    let vectors = vectors(services, &model, &texts, input.truncate, trace).await?;
    let cut = |vector: &CachedVector| match input.dimensions {
        0 => Ok(vector.vector.to_vec()),
        dimensions => truncate_dims(&vector.vector, dimensions),
    };
    Ok(OllamaEmbedOutput {
        model: input.model,
        embeddings: vectors.iter().map(cut).collect::<Result<_, _>>()?,
        total_duration: u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
        load_duration: 0,
        prompt_eval_count: vectors.iter().map(|vector| u64::from(vector.tokens)).sum(),
    })
}

/// Serves `POST /api/embeddings`.
pub async fn embeddings(
    services: &Services,
    input: OllamaEmbeddingsInput,
    trace: Option<&Trace>,
) -> Result<OllamaEmbeddingsOutput, ServiceError> {
    let model = resolve(services, &input.model)?;
    let texts = texts_of(Value::String(input.prompt))?;
    let vectors = vectors(services, &model, &texts, input.truncate, trace).await?;
    let first = vectors.first();
    Ok(OllamaEmbeddingsOutput {
        embedding: first.map_or_else(Vec::new, |vector| vector.vector.to_vec()),
    })
}

/// Finds a model; Ollama's clients put a tag behind its name.
fn resolve(services: &Services, name: &str) -> Result<Model, ServiceError> {
    let found = services.embedders.resolve(name);
    let found = found.or_else(|error| match name.strip_suffix(":latest") {
        Some(bare) => services.embedders.resolve(bare).map_err(|_| error),
        None => Err(error),
    });
    Ok(found?)
}

/// Reads the two forms of `input`. An empty text is none: so clients have a model loaded.
fn texts_of(input: Value) -> Result<Vec<String>, ServiceError> {
    let wrong = || ServiceError::bad_request("input must be a text or a list of texts");
    match input {
        Value::Null => Ok(Vec::new()),
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text]),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(wrong()),
            })
            .collect(),
        _ => Err(wrong()),
    }
}

async fn vectors(
    services: &Services,
    model: &Model,
    texts: &[String],
    truncate: bool,
    trace: Option<&Trace>,
) -> Result<Vec<CachedVector>, ServiceError> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    embed::vectors(services, model, texts, truncate, trace).await
}
