//! `POST /v1/embeddings` and `GET /v1/models`, in OpenAI's shapes.

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, Result};

use crate::api::answers::{EmbedderFacts, ModelEntry, ModelList};
use crate::api::body::Body;
use crate::api::context::Context;
use crate::api::parameters::ModelPath;
use crate::services::embed::{self, EmbeddingsInput, EmbeddingsOutput};
use crate::services::{ServiceError, Services, complete};

/// Embeds one text or many.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "models", operation_id = "create_embeddings",
    request_body = EmbeddingsInput,
    responses((status = 200, description = "The vectors", body = EmbeddingsOutput))
)]
pub(crate) async fn create(
    context: Context,
    services: Data<Services>,
    body: Body<EmbeddingsInput>,
) -> Result<HttpResponse> {
    let json = match context.trace() {
        None => embed::embeddings(&services, body.0, None).await,
        Some(trace) => {
            let id = context.request_id();
            Box::pin(embed::embeddings_within(&services, &trace, &id, body.0)).await
        }
    };
    let json = json.map_err(|error| context.fail(error))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .body(json))
}

/// Lists the models: embedders, chat providers and routes.
#[utoipa::path(
    get, path = "/v1/models", tag = "models", operation_id = "list_models",
    responses((status = 200, description = "The models", body = ModelList))
)]
pub(crate) async fn models(services: Data<Services>) -> HttpResponse {
    HttpResponse::Ok().json(ModelList {
        object: "list",
        data: all(&services),
    })
}

/// Describes one model.
#[utoipa::path(
    get, path = "/v1/models/{model}", tag = "models", operation_id = "get_model",
    params(ModelPath),
    responses((status = 200, description = "The model", body = ModelEntry))
)]
pub(crate) async fn model(
    context: Context,
    services: Data<Services>,
    path: Path<String>,
) -> Result<HttpResponse> {
    let name = path.into_inner();
    let found = all(&services).into_iter().find(|model| model.id == name);
    Ok(context.json(found.ok_or_else(|| {
        let name: String = name.chars().take(100).collect();
        ServiceError::not_found(format!("no model named {name}; GET /v1/models lists them"))
            .param("model")
            .code("model_not_found")
    }))?)
}

fn known(number: usize) -> Option<usize> {
    Some(number).filter(|number| *number > 0)
}

fn all(services: &Services) -> Vec<ModelEntry> {
    let embedders = embed::models(services).into_iter().map(|model| ModelEntry {
        id: model.name,
        object: "model",
        created: model.created,
        owned_by: model.owned_by,
        kind: "embedding",
        embedder: Some(EmbedderFacts {
            dim: known(model.dim),
            max_tokens: known(model.max_tokens),
        }),
    });
    let chat = complete::models(services)
        .into_iter()
        .map(|(id, owned_by)| ModelEntry {
            id,
            object: "model",
            created: 0,
            owned_by,
            kind: "chat",
            embedder: None,
        });
    embedders.chain(chat).collect()
}
