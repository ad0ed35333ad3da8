//! Materialization and exports.

use actix_web::web::Data;
use actix_web::{HttpResponse, Result};

use crate::api::body::Body;
use crate::api::context::Context;
use crate::services::Services;
use crate::services::dataset::{self, ExportInput, JobOutput, MaterializeInput};

/// Turns the journal into scored tasks; answers with the receipt.
#[utoipa::path(
    post, path = "/v1/materialize", tag = "datasets", operation_id = "materialize",
    request_body = MaterializeInput,
    responses(
        (status = 200, description = "The receipt", body = Object),
        (status = 409, description = "Stopped, or its sources changed meanwhile"),
        (status = 422, description = "`pull`, and no object storage is set up")
    )
)]
pub(crate) async fn materialize(
    context: Context,
    services: Data<Services>,
    body: Body<MaterializeInput>,
) -> Result<HttpResponse> {
    Ok(context.json(dataset::materialize(&services, body.0).await)?)
}

/// Lists the exports.
#[utoipa::path(
    get, path = "/v1/exports", tag = "datasets", operation_id = "list_exports",
    responses((status = 200, description = "The exports", body = Object))
)]
pub(crate) async fn list(context: Context, services: Data<Services>) -> Result<HttpResponse> {
    Ok(context.json(dataset::exports(&services).await)?)
}

/// Writes a dataset folder; answers with the receipt.
#[utoipa::path(
    post, path = "/v1/exports", tag = "datasets", operation_id = "create_export",
    request_body = ExportInput,
    responses(
        (status = 200, description = "The receipt", body = Object),
        (status = 409,
         description = "Nothing is materialized yet, stopped, or its sources changed meanwhile")
    )
)]
pub(crate) async fn export(
    context: Context,
    services: Data<Services>,
    body: Body<ExportInput>,
) -> Result<HttpResponse> {
    Ok(context.json(dataset::export(&services, body.0).await)?)
}

/// Tells how far the materialization or export under way is.
#[utoipa::path(
    get, path = "/v1/datasets/job", tag = "datasets", operation_id = "get_dataset_job",
    responses((status = 200, description = "How far it is", body = JobOutput))
)]
pub(crate) async fn job(services: Data<Services>) -> HttpResponse {
    HttpResponse::Ok().json(dataset::job(&services))
}

/// Stops it; what was there before it stays.
#[utoipa::path(
    delete, path = "/v1/datasets/job", tag = "datasets", operation_id = "cancel_dataset_job",
    responses(
        (status = 200, description = "It is told to stop", body = JobOutput),
        (status = 404, description = "Nothing is under way")
    )
)]
pub(crate) async fn cancel_job(context: Context, services: Data<Services>) -> Result<HttpResponse> {
    Ok(context.json(dataset::cancel_job(&services))?)
}
