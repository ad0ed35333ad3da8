//! Collections: create, describe, remove, search.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, Result};

use crate::api::answers::{
    CollectionEntry, CollectionList, Deleted, SearchBatchOutput, SearchEntry,
};
use crate::api::body::Body;
use crate::api::context::Context;
use crate::api::parameters::{CollectionPath, FieldPath};
use crate::services::Services;
use crate::services::collections::{self, CollectionInput, CollectionState, FieldInput};
use crate::services::moves::{self, MoveInput, MoveOutput};
use crate::services::reembed::{self, ReembedInput, ReembedOutput};
use crate::services::search::{self, BatchInput, RecommendInput, SearchInput, SearchOutput};

/// Lists the collections.
#[utoipa::path(
    get, path = "/v1/collections", tag = "collections", operation_id = "list_collections",
    responses((status = 200, description = "The collections", body = CollectionList))
)]
pub(crate) async fn list(services: Data<Services>) -> HttpResponse {
    let all = collections::list(&services)
        .await
        .into_iter()
        .map(|(name, state)| CollectionEntry::of(name, state))
        .collect();
    HttpResponse::Ok().json(CollectionList { collections: all })
}

/// Describes a collection.
#[utoipa::path(
    get, path = "/v1/collections/{name}", tag = "collections", operation_id = "get_collection",
    params(CollectionPath),
    responses((status = 200, description = "The collection", body = CollectionState))
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
    put, path = "/v1/collections/{name}", tag = "collections", operation_id = "create_collection",
    params(CollectionPath),
    request_body = CollectionInput,
    responses(
        (status = 200, description = "It is there already", body = CollectionState),
        (status = 201, description = "Created", body = CollectionState),
        (status = 409, description = "Exists with other properties"),
        (status = 422, description = "Its backend is not set up")
    )
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
    delete, path = "/v1/collections/{name}", tag = "collections", operation_id = "delete_collection",
    params(CollectionPath),
    responses(
        (status = 200, description = "Removed", body = Deleted),
        (status = 409, description = "A backend that is not set up any more has a part in its move")
    )
)]
pub(crate) async fn remove(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
) -> Result<HttpResponse> {
    let removed = collections::remove(&services, &name).await;
    Ok(context.json(removed.map(|()| Deleted {
        deleted: name.into_inner(),
    }))?)
}

/// Begins to bring a collection over to another backend, in the background; it serves meanwhile.
#[utoipa::path(
    post, path = "/v1/collections/{name}/move", tag = "collections", operation_id = "start_moving",
    params(CollectionPath),
    request_body = MoveInput,
    responses(
        (status = 202, description = "Begun", body = MoveOutput),
        (status = 409, description = "It is there already, under way already, or has what the backend does not hold"),
        (status = 422, description = "No such backend is set up here")
    )
)]
pub(crate) async fn start_moving(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<MoveInput>,
) -> Result<HttpResponse> {
    let begun = moves::begin(&services, &name, body.0).await;
    Ok(context.json_with(StatusCode::ACCEPTED, begun)?)
}

/// Tells how far a collection's last move is, or how it ended.
#[utoipa::path(
    get, path = "/v1/collections/{name}/move", tag = "collections", operation_id = "get_moving",
    params(CollectionPath),
    responses((status = 200, description = "How far it is", body = MoveOutput))
)]
pub(crate) async fn get_moving(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
) -> Result<HttpResponse> {
    Ok(context.json(moves::get(&services, &name).await)?)
}

/// Cancels a collection's move; the collection stays where it was.
#[utoipa::path(
    delete, path = "/v1/collections/{name}/move", tag = "collections", operation_id = "cancel_moving",
    params(CollectionPath),
    responses((status = 200, description = "How it ended, or that there was none", body = MoveOutput))
)]
pub(crate) async fn cancel_moving(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
) -> Result<HttpResponse> {
    Ok(context.json(moves::cancel(&services, &name).await)?)
}

/// Begins to embed a collection anew, in the background.
#[utoipa::path(
    post, path = "/v1/collections/{name}/reembed", tag = "collections", operation_id = "start_reembedding",
    params(CollectionPath),
    request_body = ReembedInput,
    responses(
        (status = 202, description = "Begun", body = ReembedOutput),
        (status = 409, description = "Points without a text, or under way already")
    )
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
    get, path = "/v1/collections/{name}/reembed", tag = "collections", operation_id = "get_reembedding",
    params(CollectionPath),
    responses((status = 200, description = "How far it is", body = ReembedOutput))
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
    delete, path = "/v1/collections/{name}/reembed", tag = "collections", operation_id = "cancel_reembedding",
    params(CollectionPath),
    responses((status = 200, description = "How it ended, or that there was none", body = ReembedOutput))
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
    post, path = "/v1/collections/{name}/search", tag = "collections", operation_id = "search_collection",
    params(CollectionPath),
    request_body = SearchInput,
    responses(
        (status = 200, description = "What was found", body = SearchOutput),
        (status = 409, description = "Made by another version of its model")
    )
)]
pub(crate) async fn search(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<SearchInput>,
) -> Result<HttpResponse> {
    Ok(context.json(search::search(&services, context.asker(), &name, body.0).await)?)
}

/// Answers several searches over the same points; each is answered or fails by itself.
#[utoipa::path(
    post, path = "/v1/collections/{name}/search/batch", tag = "collections", operation_id = "search_collection_batch",
    params(CollectionPath),
    request_body = BatchInput,
    responses((status = 200, description = "An answer for each search", body = SearchBatchOutput))
)]
pub(crate) async fn search_all(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<BatchInput>,
) -> Result<HttpResponse> {
    let found = search::search_all(&services, &context.asker(), &name, body.0).await;
    let results = found.map(|found| {
        let results = found
            .into_iter()
            .map(|found| match found {
                Ok(found) => SearchEntry::Found(Box::new(found)),
                Err(error) => SearchEntry::Failed {
                    error: context.problem(&error),
                },
            })
            .collect();
        SearchBatchOutput { results }
    });
    Ok(context.json(results)?)
}

/// Finds points like some and unlike others.
#[utoipa::path(
    post, path = "/v1/collections/{name}/recommend", tag = "collections", operation_id = "recommend_points",
    params(CollectionPath),
    request_body = RecommendInput,
    responses((status = 200, description = "What was found", body = SearchOutput))
)]
pub(crate) async fn recommend(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<RecommendInput>,
) -> Result<HttpResponse> {
    Ok(context.json(search::recommend(&services, context.asker(), &name, body.0).await)?)
}

/// Indexes a field of the payload.
#[utoipa::path(
    put, path = "/v1/collections/{name}/index", tag = "collections", operation_id = "index_field",
    params(CollectionPath),
    request_body = FieldInput,
    responses((status = 200, description = "Indexed", body = CollectionState))
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
    delete, path = "/v1/collections/{name}/index/{field}", tag = "collections", operation_id = "drop_field_index",
    params(FieldPath),
    responses((status = 200, description = "Indexed no more", body = CollectionState))
)]
pub(crate) async fn drop_index(
    context: Context,
    services: Data<Services>,
    path: Path<(String, String)>,
) -> Result<HttpResponse> {
    let (name, field) = path.into_inner();
    Ok(context.json(collections::drop_index(&services, &name, &field).await)?)
}
