//! `POST /api/embed` and `POST /api/embeddings`, in Ollama's shapes.

use actix_web::web::Data;
use actix_web::{HttpResponse, Result};

use crate::api::body::Body;
use crate::api::context::Context;
use crate::services::Services;
use crate::services::ollama::{
    self, OllamaEmbedInput, OllamaEmbedOutput, OllamaEmbeddingsInput, OllamaEmbeddingsOutput,
};

/// Embeds one text or many, as Ollama does.
#[utoipa::path(
    post, path = "/api/embed", tag = "models", operation_id = "ollama_embed",
    request_body = OllamaEmbedInput,
    responses((status = 200, description = "The vectors", body = OllamaEmbedOutput))
)]
pub(crate) async fn embed(
    context: Context,
    services: Data<Services>,
    body: Body<OllamaEmbedInput>,
) -> Result<HttpResponse> {
    Ok(context.json(ollama::embed(&services, body.0, context.trace().as_ref()).await)?)
}

/// Embeds one text, as older clients of Ollama ask for it.
#[utoipa::path(
    post, path = "/api/embeddings", tag = "models", operation_id = "ollama_embeddings",
    request_body = OllamaEmbeddingsInput,
    responses((status = 200, description = "The vector", body = OllamaEmbeddingsOutput))
)]
pub(crate) async fn embeddings(
    context: Context,
    services: Data<Services>,
    body: Body<OllamaEmbeddingsInput>,
) -> Result<HttpResponse> {
    Ok(context.json(ollama::embeddings(&services, body.0, context.trace().as_ref()).await)?)
}
