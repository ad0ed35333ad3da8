//! Materialization and exports.

use actix_web::web::Data;
use actix_web::{HttpResponse, Result};

use crate::api::body::Body;
use crate::api::context::Context;
use crate::services::Services;
use crate::services::dataset::{self, ExportInput, JobOutput, MaterializeInput};

/// Turns the journal into scored tasks; answers with the receipt.
#[utoipa::path(
    post, path = "/v1/materialize", tag = "datasets", request_body = MaterializeInput,
    responses((status = 200, body = Object))
)]
pub(crate) async fn materialize(
    context: Context,
    services: Data<Services>,
    body: Body<MaterializeInput>,
) -> Result<HttpResponse> {
    Ok(context.json(dataset::materialize(&services, body.0).await)?)
}

/// Lists the exports.
#[utoipa::path(get, path = "/v1/exports", tag = "datasets", responses((status = 200, body = Object)))]
pub(crate) async fn list(context: Context, services: Data<Services>) -> Result<HttpResponse> {
    Ok(context.json(dataset::exports(&services).await)?)
}

/// Writes a dataset folder; answers with the receipt.
#[utoipa::path(
    post, path = "/v1/exports", tag = "datasets", request_body = ExportInput,
    responses((status = 200, body = Object), (status = "4XX", description = "Problem"))
)]
pub(crate) async fn export(
    context: Context,
    services: Data<Services>,
    body: Body<ExportInput>,
) -> Result<HttpResponse> {
    Ok(context.json(dataset::export(&services, body.0).await)?)
}

/// Tells how far the materialization or export under way is.
#[utoipa::path(get, path = "/v1/datasets/job", tag = "datasets", responses((status = 200, body = JobOutput)))]
pub(crate) async fn job(services: Data<Services>) -> HttpResponse {
    HttpResponse::Ok().json(dataset::job(&services))
}

/// Stops it; what was there before it stays.
#[utoipa::path(
    delete, path = "/v1/datasets/job", tag = "datasets",
    responses((status = 200, body = JobOutput), (status = 404, description = "Problem"))
)]
pub(crate) async fn cancel_job(context: Context, services: Data<Services>) -> Result<HttpResponse> {
    Ok(context.json(dataset::cancel_job(&services))?)
}
