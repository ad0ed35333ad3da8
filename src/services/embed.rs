//! Texts to vectors, through the cache and the embedding cell.

mod answer;
mod input;
mod story;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

pub use answer::{EmbeddingData, EmbeddingUsage, EmbeddingsOutput, EncodedVector};
pub use input::TextInput;

use super::error::{ServiceError, fault};
use super::{Services, room};
use crate::engines::embedding::{CachedVector, Form, Model, ModelInfo, Written, json_capacity};
use crate::types::trace::Trace;
use answer::Answer;

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
    pub input: TextInput,
    /// `float` (default) or `base64`.
    #[serde(default)]
    pub encoding_format: EncodingFormat,
    /// Keep only the first so many dimensions, renormalised.
    #[schema(minimum = 1)]
    pub dimensions: Option<usize>,
    /// Who asks; kept nowhere.
    pub user: Option<String>,
}

/// Texts that are written into an answer before other requests of this thread have their turn: a long list must not
/// hold them up.
const WRITTEN_AT_ONCE: usize = 64;

/// The same as [`embeddings`], telling of it at its place in a trace.
pub async fn embeddings_within(
    services: &Services,
    trace: &Trace,
    request_id: &str,
    input: EmbeddingsInput,
) -> Result<Bytes, ServiceError> {
    let span = trace.open(SystemTime::now());
    let asked = input.model.clone().unwrap_or_default();
    let answered = Box::pin(embeddings(services, input, Some(span.trace()))).await;
    let told = story::story(services, &asked, request_id, answered.as_deref());
    span.end(SystemTime::now(), told);
    answered
}

/// Serves `POST /v1/embeddings`; returns the JSON text of an [`EmbeddingsOutput`]. Upstreams are asked at its place in
/// `trace`, if anybody wants it.
pub async fn embeddings(
    services: &Services,
    input: EmbeddingsInput,
    trace: Option<&Trace>,
) -> Result<Bytes, ServiceError> {
    let model = services
        .embedders
        .resolve(input.model.as_deref().unwrap_or_default())
        .map_err(|error| ServiceError::from(error).param("model"))?;
    let form = Form {
        base64: input.encoding_format == EncodingFormat::Base64,
        dims: input.dimensions,
    };
    let texts = match input.input {
        TextInput::Text(text) => vec![text],
        TextInput::Other(input) => texts_of(&model, input)?,
    };
    if let [text] = texts.as_slice() {
        services.embedders.check(&texts)?;
        if let Some((written, _)) = known(services, &model, text, form)? {
            services.embedding.cache().count_hits(1);
            return Ok(Bytes::from_owner(Arc::clone(&written.json)));
        }
    }
    // Boxed: the way to the cells is long, and a text that is known does not go it.
    Box::pin(list(services, &model, &texts, form, trace)).await
}

/// Answers with the vectors of `texts`.
async fn list(
    services: &Services,
    model: &Model,
    texts: &[String],
    form: Form,
    trace: Option<&Trace>,
) -> Result<Bytes, ServiceError> {
    if texts.is_empty() {
        return Err(
            ServiceError::bad_request("input is empty: send at least one text").param("input"),
        );
    }
    services.embedders.check(texts)?;
    room::for_list(services, model)?;
    let _answering = services.embedding.answering(model);
    let mut answer = Answer::with_capacity(0, 0);
    for part in texts.chunks(WRITTEN_AT_ONCE) {
        for text in part {
            let Some((written, tokens)) = known(services, model, text, form)? else {
                return computed(services, model, texts, form, trace).await;
            };
            if answer.count() == 0 {
                answer = Answer::with_capacity(texts.len(), written.vector.len());
            }
            answer.push_json(&written.json[written.vector.clone()], tokens);
        }
        if texts.len() > WRITTEN_AT_ONCE {
            tokio::task::yield_now().await;
        }
    }
    let texts = u64::try_from(texts.len()).unwrap_or(u64::MAX);
    services.embedding.cache().count_hits(texts);
    Ok(answer.finish(model.name()).into())
}

/// The same when not all of the texts are known.
async fn computed(
    services: &Services,
    model: &Model,
    texts: &[String],
    form: Form,
    trace: Option<&Trace>,
) -> Result<Bytes, ServiceError> {
    let vectors = vectors(services, model, texts, false, trace).await?;
    let bytes = vectors
        .first()
        .map_or(0, |first| json_capacity(&first.vector, form));
    let mut answer = Answer::with_capacity(vectors.len(), bytes);
    for part in vectors.chunks(WRITTEN_AT_ONCE) {
        for vector in part {
            answer
                .push(vector, form)
                .map_err(|error| ServiceError::from(error).param("dimensions"))?;
        }
        if vectors.len() > WRITTEN_AT_ONCE {
            tokio::task::yield_now().await;
        }
    }
    Ok(answer.finish(model.name()).into())
}

/// Finds the answer that holds the vector of `text`, and its tokens. One that is not kept yet in this form is written
/// and kept, if the cache holds the vector.
fn known(
    services: &Services,
    model: &Model,
    text: &str,
    form: Form,
) -> Result<Option<(Arc<Written>, u32)>, ServiceError> {
    let Some((key, found)) = services.embedding.find(model, text) else {
        return Ok(None);
    };
    let suits = |written: &Arc<Written>| written.form == form && *written.model == *model.name();
    if let Some(written) = found.written.as_ref().filter(|written| suits(written)) {
        return Ok(Some((Arc::clone(written), found.tokens)));
    }
    let written = answer::of_one(model.name(), &found, form)
        .map_err(|error| ServiceError::from(error).param("dimensions"))?;
    let written = Arc::new(written);
    let cache = services.embedding.cache();
    cache.keep_written(&key, Arc::clone(&written));
    Ok(Some((written, found.tokens)))
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
    let asked = services.embedding.info(model, services.deadline(), None);
    let asked = asked.await;
    asked.map_err(|failure| fault(&failure.cell, failure.fault))
}

/// Returns one vector for each text, in order. What is longer than the model reads is cut with `truncate`, else refused. The
/// `trace` is that of the request it is for, if anybody wants it.
pub(super) async fn vectors(
    services: &Services,
    model: &Model,
    texts: &[String],
    truncate: bool,
    trace: Option<&Trace>,
) -> Result<Vec<CachedVector>, ServiceError> {
    services.embedders.check(texts)?;
    let asked = services
        .embedding
        .vectors(model, texts, truncate, services.deadline(), trace)
        .await;
    asked.map_err(|failure| fault(&failure.cell, failure.fault))
}
