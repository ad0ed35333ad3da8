//! Texts to vectors, through the cache and the embedding cell.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Services;
use super::error::{ServiceError, fault};
use crate::engines::embedding::{CachedVector, Model, ModelInfo, base64_f32, truncate_dims};

/// How the vectors are written in the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncodingFormat {
    /// A JSON list of numbers.
    #[default]
    Float,
    /// Little-endian 32-bit floats in base64, as the OpenAI SDKs ask for.
    Base64,
}

/// A request to `POST /v1/embeddings`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingsInput {
    /// A model's name or alias; `GET /v1/models` lists them. Left out: the default of the settings.
    #[schema(example = "static-minilm")]
    pub model: Option<String>,
    /// A text, a list of texts, a list of token ids or a list of such lists.
    #[schema(example = json!(["a boat on the river", "a ship at sea"]))]
    pub input: Value,
    /// `float` (default) or `base64`.
    #[serde(default)]
    pub encoding_format: EncodingFormat,
    /// Keep only the first so many dimensions, renormalised.
    pub dimensions: Option<usize>,
    /// Who asks; kept nowhere.
    pub user: Option<String>,
}

/// The answer of `POST /v1/embeddings`, in OpenAI's shape.
#[derive(Debug, Serialize, ToSchema)]
pub struct EmbeddingsOutput {
    /// Always `list`.
    pub object: &'static str,
    /// One entry for each input, in its order.
    pub data: Vec<EmbeddingData>,
    /// The model that answered.
    pub model: String,
    /// Tokens read.
    pub usage: EmbeddingUsage,
}

/// One vector of an [`EmbeddingsOutput`].
#[derive(Debug, Serialize, ToSchema)]
pub struct EmbeddingData {
    /// Always `embedding`.
    pub object: &'static str,
    /// Place of the input in the request.
    pub index: usize,
    /// The vector.
    pub embedding: EncodedVector,
}

/// A vector as a list or as base64.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum EncodedVector {
    /// A JSON list of numbers.
    Floats(Vec<f32>),
    /// Little-endian 32-bit floats.
    Base64(String),
}

/// Tokens of an [`EmbeddingsOutput`].
#[derive(Debug, Serialize, ToSchema)]
pub struct EmbeddingUsage {
    /// Tokens of all inputs.
    pub prompt_tokens: u64,
    /// The same: embedding writes none.
    pub total_tokens: u64,
}

/// Serves `POST /v1/embeddings`.
pub async fn embeddings(
    services: &Services,
    input: EmbeddingsInput,
) -> Result<EmbeddingsOutput, ServiceError> {
    let model = services
        .embedders
        .resolve(input.model.as_deref().unwrap_or_default())
        .map_err(|error| ServiceError::from(error).param("model"))?;
    let texts = texts_of(&model, input.input)?;
    if texts.is_empty() {
        return Err(
            ServiceError::bad_request("input is empty: send at least one text").param("input"),
        );
    }
    let vectors = vectors(services, &model, &texts, false).await?;
    let prompt_tokens = vectors.iter().map(|vector| u64::from(vector.tokens)).sum();
    let mut data = Vec::with_capacity(vectors.len());
    for (index, vector) in vectors.into_iter().enumerate() {
        let floats = match input.dimensions {
            Some(dimensions) => truncate_dims(&vector.vector, dimensions)
                .map_err(|error| ServiceError::from(error).param("dimensions"))?,
            None => vector.vector.to_vec(),
        };
        let embedding = match input.encoding_format {
            EncodingFormat::Float => EncodedVector::Floats(floats),
            EncodingFormat::Base64 => EncodedVector::Base64(base64_f32(&floats)),
        };
        data.push(EmbeddingData {
            object: "embedding",
            index,
            embedding,
        });
    }
    Ok(EmbeddingsOutput {
        object: "list",
        data,
        model: model.name().to_owned(),
        usage: EmbeddingUsage {
            prompt_tokens,
            total_tokens: prompt_tokens,
        },
    })
}

/// The embedding models.
pub fn models(services: &Services) -> Vec<ModelInfo> {
    services.embedders.list()
}

/// Saves the cache for the next start, when something in it is new.
pub async fn save_cache(services: &Services) {
    let embedding = services.embedding.clone();
    match tokio::task::spawn_blocking(move || embedding.cache().save()).await {
        Ok(Ok(true)) => tracing::debug!("the embedding cache is saved"),
        Ok(Ok(false)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the embedding cache could not be saved"),
        Err(error) => tracing::error!(%error, "saving the embedding cache crashed"),
    }
}

/// Reads the four forms of OpenAI's `input`.
fn texts_of(model: &Model, input: Value) -> Result<Vec<String>, ServiceError> {
    const FORMS: &str = "input must be a text, a list of texts, a list of token ids, \
                         or a list of lists of token ids";
    let wrong = || ServiceError::bad_request(FORMS).param("input");
    let decode = |ids: &[Value]| -> Result<String, ServiceError> {
        let ids: Option<Vec<u32>> = ids
            .iter()
            .map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok()))
            .collect();
        model
            .decode(&ids.ok_or_else(wrong)?)
            .map_err(|error| ServiceError::from(error).param("input"))
    };
    match input {
        Value::String(text) => Ok(vec![text]),
        Value::Array(items) => match items.first() {
            None => Ok(Vec::new()),
            Some(Value::Number(_)) => Ok(vec![decode(&items)?]),
            Some(_) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    Value::Array(ids) if !ids.is_empty() => decode(&ids),
                    _ => Err(wrong()),
                })
                .collect(),
        },
        _ => Err(wrong()),
    }
}

/// Describes a model; asks its upstream for the dimension when it is not known yet.
pub(super) async fn info<'m>(
    services: &Services,
    model: &'m Model,
) -> Result<&'m ModelInfo, ServiceError> {
    let asked = services.embedding.info(model, services.deadline()).await;
    asked.map_err(|failure| fault(&failure.cell, failure.fault))
}

/// Returns one vector for each text, in order. What is longer than the model reads is cut with `truncate`, else refused.
pub(super) async fn vectors(
    services: &Services,
    model: &Model,
    texts: &[String],
    truncate: bool,
) -> Result<Vec<CachedVector>, ServiceError> {
    services.embedders.check(texts)?;
    let asked = services
        .embedding
        .vectors(model, texts, truncate, services.deadline())
        .await;
    asked.map_err(|failure| fault(&failure.cell, failure.fault))
}
