//! Collections: create, describe, remove, search.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, Result};
use serde_json::json;

use crate::api::body::Body;
use crate::api::context::Context;
use crate::services::Services;
use crate::services::collections::{self, CollectionInput, FieldInput};
use crate::services::reembed::{self, ReembedInput};
use crate::services::search::{self, BatchInput, RecommendInput, SearchInput, SearchOutput};

/// Lists the collections.
#[utoipa::path(get, path = "/v1/collections", tag = "collections", responses((status = 200, body = Object)))]
pub(crate) async fn list(services: Data<Services>) -> HttpResponse {
    let all: Vec<_> = collections::list(&services)
        .await
        .into_iter()
        .map(|(name, info)| match info {
            Ok(info) => json!(info),
            Err(error) => json!({"name": name, "error": error.message}),
        })
        .collect();
    HttpResponse::Ok().json(json!({"collections": all}))
}

/// Describes a collection.
#[utoipa::path(
    get, path = "/v1/collections/{name}", tag = "collections", params(("name" = String, Path)),
    responses((status = 200, body = Object), (status = 404, description = "Problem"))
)]
pub(crate) async fn read(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
) -> Result<HttpResponse> {
    Ok(context.json(collections::get(&services, &name).await)?)
}

/// Creates a collection; the same again changes nothing.
#[utoipa::path(
    put, path = "/v1/collections/{name}", tag = "collections", params(("name" = String, Path)),
    request_body = CollectionInput,
    responses((status = 200, body = Object), (status = 201, body = Object),
              (status = 409, description = "Exists with other properties"))
)]
pub(crate) async fn create(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<CollectionInput>,
) -> Result<HttpResponse> {
    let created = collections::create(&services, &name, body.0).await;
    let status = match &created {
        Ok((_, true)) => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    Ok(context.json_with(status, created.map(|(info, _)| info))?)
}

/// Removes a collection and its data.
#[utoipa::path(
    delete, path = "/v1/collections/{name}", tag = "collections", params(("name" = String, Path)),
    responses((status = 200, body = Object), (status = 404, description = "Problem"))
)]
pub(crate) async fn remove(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
) -> Result<HttpResponse> {
    let removed = collections::remove(&services, &name).await;
    Ok(context.json(removed.map(|()| json!({"deleted": name.as_str()})))?)
}

/// Begins to embed a collection anew, in the background.
#[utoipa::path(
    post, path = "/v1/collections/{name}/reembed", tag = "collections", params(("name" = String, Path)),
    request_body = ReembedInput,
    responses((status = 202, body = Object), (status = 409, description = "Points without a text, or under way already"),
              (status = "4XX", description = "Problem"))
)]
pub(crate) async fn reembed(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<ReembedInput>,
) -> Result<HttpResponse> {
    let begun = reembed::begin(&services, &name, body.0).await;
    Ok(context.json_with(StatusCode::ACCEPTED, begun)?)
}

/// Tells how far a collection's last embedding anew is, or how it ended.
#[utoipa::path(
    get, path = "/v1/collections/{name}/reembed", tag = "collections", params(("name" = String, Path)),
    responses((status = 200, body = Object), (status = 404, description = "Problem"))
)]
pub(crate) async fn reembedding(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
) -> Result<HttpResponse> {
    Ok(context.json(reembed::get(&services, &name).await)?)
}

/// Cancels a collection's embedding anew; the collection stays as it was.
#[utoipa::path(
    delete, path = "/v1/collections/{name}/reembed", tag = "collections", params(("name" = String, Path)),
    responses((status = 200, body = Object), (status = 404, description = "Problem"))
)]
pub(crate) async fn cancel_reembed(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
) -> Result<HttpResponse> {
    Ok(context.json(reembed::cancel(&services, &name).await)?)
}

/// Searches a collection.
#[utoipa::path(
    post, path = "/v1/collections/{name}/search", tag = "collections", params(("name" = String, Path)),
    request_body = SearchInput,
    responses((status = 200, body = SearchOutput), (status = "4XX", description = "Problem"))
)]
pub(crate) async fn search(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<SearchInput>,
) -> Result<HttpResponse> {
    Ok(context.json(search::search(&services, &context.request_id(), &name, body.0).await)?)
}

/// Answers several searches over the same points; each is answered or fails by itself.
#[utoipa::path(
    post, path = "/v1/collections/{name}/search/batch", tag = "collections", params(("name" = String, Path)),
    request_body = BatchInput,
    responses((status = 200, body = Object), (status = "4XX", description = "Problem"))
)]
pub(crate) async fn search_all(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<BatchInput>,
) -> Result<HttpResponse> {
    let found = search::search_all(&services, &context.request_id(), &name, body.0).await;
    let results = found.map(|found| {
        let results: Vec<_> = found
            .into_iter()
            .map(|found| match found {
                Ok(found) => json!(found),
                Err(error) => json!({"error": context.problem(&error)}),
            })
            .collect();
        json!({"results": results})
    });
    Ok(context.json(results)?)
}

/// Finds points like some and unlike others.
#[utoipa::path(
    post, path = "/v1/collections/{name}/recommend", tag = "collections", params(("name" = String, Path)),
    request_body = RecommendInput,
    responses((status = 200, body = SearchOutput), (status = "4XX", description = "Problem"))
)]
pub(crate) async fn recommend(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<RecommendInput>,
) -> Result<HttpResponse> {
    Ok(context.json(search::recommend(&services, &context.request_id(), &name, body.0).await)?)
}

/// Indexes a field of the payload.
#[utoipa::path(
    put, path = "/v1/collections/{name}/index", tag = "collections", params(("name" = String, Path)),
    request_body = FieldInput,
    responses((status = 200, body = Object), (status = "4XX", description = "Problem"))
)]
pub(crate) async fn index_field(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<FieldInput>,
) -> Result<HttpResponse> {
    Ok(context.json(collections::index_field(&services, &name, body.0).await)?)
}

/// Indexes a field no more.
#[utoipa::path(
    delete, path = "/v1/collections/{name}/index/{field}", tag = "collections",
    params(("name" = String, Path), ("field" = String, Path)),
    responses((status = 200, body = Object), (status = "4XX", description = "Problem"))
)]
pub(crate) async fn drop_index(
    context: Context,
    services: Data<Services>,
    path: Path<(String, String)>,
) -> Result<HttpResponse> {
    let (name, field) = path.into_inner();
    Ok(context.json(collections::drop_index(&services, &name, &field).await)?)
}
