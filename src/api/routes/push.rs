//! Object storage: pushing to it, and pulling other replicas' journals from it.

use actix_web::web::Data;
use actix_web::{HttpResponse, Result};

use crate::api::body::Body;
use crate::api::context::Context;
use crate::services::Services;
use crate::services::push::{self, PullReport, PushInput, PushReport, PushStatus};

/// Sends what is new of evidence and datasets to object storage.
#[utoipa::path(
    post, path = "/v1/push", tag = "operations", operation_id = "push",
    request_body = PushInput,
    responses(
        (status = 200, description = "What was sent", body = PushReport),
        (status = 422, description = "No object storage is set up, or this build has none"),
        (status = 409, description = "Another push or pull is under way, stopped, or another journal has the replica's name"),
        (status = 503, description = "The object storage cannot be reached, or does not allow it")
    )
)]
pub(crate) async fn push(
    context: Context,
    services: Data<Services>,
    body: Body<PushInput>,
) -> Result<HttpResponse> {
    Ok(context.json(push::push(&services, body.0).await)?)
}

/// Tells what was pushed last, and how far a push or pull under way is.
#[utoipa::path(
    get, path = "/v1/push", tag = "operations", operation_id = "get_push",
    responses((status = 200, description = "How it is", body = PushStatus))
)]
pub(crate) async fn status(context: Context, services: Data<Services>) -> Result<HttpResponse> {
    Ok(context.json(push::status(&services))?)
}

/// Stops the push or pull under way; what was moved until then stays.
#[utoipa::path(
    delete, path = "/v1/push", tag = "operations", operation_id = "cancel_push",
    responses(
        (status = 200, description = "It is told to stop", body = PushStatus),
        (status = 404, description = "Nothing is under way")
    )
)]
pub(crate) async fn cancel(context: Context, services: Data<Services>) -> Result<HttpResponse> {
    Ok(context.json(push::cancel(&services))?)
}

/// Fetches the journals of other replicas from object storage, and verifies them; the next materialization joins them.
#[utoipa::path(
    post, path = "/v1/pull", tag = "operations", operation_id = "pull",
    responses(
        (status = 200, description = "What was fetched", body = PullReport),
        (status = 404, description = "No replica has pushed there"),
        (status = 422, description = "No object storage is set up, or this build has none"),
        (status = 409, description = "Another push or pull is under way, or stopped"),
        (status = 503, description = "The object storage cannot be reached, or does not allow it")
    )
)]
pub(crate) async fn pull(context: Context, services: Data<Services>) -> Result<HttpResponse> {
    Ok(context.json(push::pull(&services).await)?)
}
