//! Points of a collection: upsert, read, delete, scroll, count.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, Result};
use serde_json::json;

use crate::api::body::Body;
use crate::api::context::Context;
use crate::services::Services;
use crate::services::collections::{
    self, CountInput, DeleteInput, ScrollInput, ScrollOutput, UpsertInput,
};

/// Inserts or replaces points, all or none; durable when answered.
#[utoipa::path(
    post, path = "/v1/collections/{name}/points", tag = "points", params(("name" = String, Path)),
    request_body = UpsertInput,
    responses((status = 200, body = Object), (status = "4XX", description = "Problem"))
)]
pub(crate) async fn upsert(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<UpsertInput>,
) -> Result<HttpResponse> {
    let upserted = collections::upsert(&services, &name, body.0).await;
    Ok(context.json(upserted.map(|count| json!({"upserted": count})))?)
}

/// Reads one point.
#[utoipa::path(
    get, path = "/v1/collections/{name}/points/{id}", tag = "points",
    params(("name" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, description = "Problem"))
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
    post, path = "/v1/collections/{name}/points/delete", tag = "points", params(("name" = String, Path)),
    request_body = DeleteInput,
    responses((status = 200, body = Object), (status = "4XX", description = "Problem"))
)]
pub(crate) async fn delete(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<DeleteInput>,
) -> Result<HttpResponse> {
    let deleted = collections::delete(&services, &name, body.0).await;
    Ok(context.json(deleted.map(|count| json!({"deleted": count})))?)
}

/// Reads a page of points in order of id.
#[utoipa::path(
    post, path = "/v1/collections/{name}/points/scroll", tag = "points", params(("name" = String, Path)),
    request_body = ScrollInput,
    responses((status = 200, body = ScrollOutput), (status = "4XX", description = "Problem"))
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
    post, path = "/v1/collections/{name}/points/count", tag = "points", params(("name" = String, Path)),
    request_body = CountInput,
    responses((status = 200, body = Object), (status = "4XX", description = "Problem"))
)]
pub(crate) async fn count(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<CountInput>,
) -> Result<HttpResponse> {
    let counted = collections::count(&services, &name, body.0).await;
    Ok(context.json(counted.map(|count| json!({"count": count})))?)
}
