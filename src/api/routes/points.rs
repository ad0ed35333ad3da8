//! Points of a collection: upsert, read, delete, scroll, count.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, Result};

use crate::api::answers::{Counted, DeletedPoints, Upserted};
use crate::api::body::Body;
use crate::api::context::Context;
use crate::api::parameters::{CollectionPath, PointPath};
use crate::services::Services;
use crate::services::collections::{
    self, CountInput, DeleteInput, ScrollInput, ScrollOutput, UpsertInput,
};
use crate::types::point::Point;

/// Inserts or replaces points, all or none; durable when answered.
#[utoipa::path(
    post, path = "/v1/collections/{name}/points", tag = "points", operation_id = "upsert_points",
    params(CollectionPath),
    request_body = UpsertInput,
    responses(
        (status = 200, description = "Stored", body = Upserted),
        (status = 409, description = "Made by another version of its model")
    )
)]
pub(crate) async fn upsert(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<UpsertInput>,
) -> Result<HttpResponse> {
    let trace = context.trace();
    let upserted = collections::upsert(&services, &name, body.0, trace.as_ref()).await;
    Ok(context.json(upserted.map(|upserted| Upserted { upserted }))?)
}

/// Reads one point.
#[utoipa::path(
    get, path = "/v1/collections/{name}/points/{id}", tag = "points", operation_id = "get_point",
    params(PointPath),
    responses((status = 200, description = "The point", body = Point))
)]
pub(crate) async fn read(
    context: Context,
    services: Data<Services>,
    path: Path<(String, String)>,
) -> Result<HttpResponse> {
    let (name, id) = path.into_inner();
    Ok(context.json(collections::point(&services, &name, &id).await)?)
}

/// Deletes points by ids or by filter.
#[utoipa::path(
    post, path = "/v1/collections/{name}/points/delete", tag = "points", operation_id = "delete_points",
    params(CollectionPath),
    request_body = DeleteInput,
    responses((status = 200, description = "Deleted", body = DeletedPoints))
)]
pub(crate) async fn delete(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<DeleteInput>,
) -> Result<HttpResponse> {
    let deleted = collections::delete(&services, &name, body.0).await;
    Ok(context.json(deleted.map(|deleted| DeletedPoints { deleted }))?)
}

/// Reads a page of points in order of id.
#[utoipa::path(
    post, path = "/v1/collections/{name}/points/scroll", tag = "points", operation_id = "scroll_points",
    params(CollectionPath),
    request_body = ScrollInput,
    responses((status = 200, description = "A page", body = ScrollOutput))
)]
pub(crate) async fn scroll(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<ScrollInput>,
) -> Result<HttpResponse> {
    Ok(context.json(collections::scroll(&services, &name, body.0).await)?)
}

/// Counts points.
#[utoipa::path(
    post, path = "/v1/collections/{name}/points/count", tag = "points", operation_id = "count_points",
    params(CollectionPath),
    request_body = CountInput,
    responses((status = 200, description = "Counted", body = Counted))
)]
pub(crate) async fn count(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<CountInput>,
) -> Result<HttpResponse> {
    let counted = collections::count(&services, &name, body.0).await;
    Ok(context.json(counted.map(|count| Counted { count }))?)
}
