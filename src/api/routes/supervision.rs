//! The supervision tree.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, Result};
use serde_json::json;

use crate::api::body::Body;
use crate::api::context::Context;
use crate::services::chaos::{self, ChaosInput};
use crate::services::{Services, reload, supervision};

/// Reads the tree; answers even while workers hang.
#[utoipa::path(get, path = "/v1/supervisors", tag = "supervision", responses((status = 200, body = Object)))]
pub(crate) async fn tree(services: Data<Services>) -> HttpResponse {
    HttpResponse::Ok().json(supervision::tree(&services))
}

/// Restarts a cell with fresh state; its queue is kept.
#[utoipa::path(
    post, path = "/v1/supervisors/{id}/restart", tag = "supervision",
    params(("id" = String, Path, description = "A cell's id or path, as in the tree")),
    responses((status = 200, body = Object), (status = 404, description = "Problem"))
)]
pub(crate) async fn restart(
    context: Context,
    services: Data<Services>,
    id: Path<String>,
) -> Result<HttpResponse> {
    let restarted = supervision::restart(&services, &id).await;
    Ok(context.json(restarted.map(|()| json!({"restarted": id.as_str()})))?)
}

/// Makes the next request to a cell panic; only with `supervisors.allow_crash`.
#[utoipa::path(
    post, path = "/v1/supervisors/{id}/crash", tag = "supervision",
    params(("id" = String, Path, description = "A cell's id or path, as in the tree")),
    responses((status = 200, body = Object), (status = 404, description = "Problem"),
              (status = 422, description = "Switched off"))
)]
pub(crate) async fn crash(
    context: Context,
    services: Data<Services>,
    id: Path<String>,
) -> Result<HttpResponse> {
    let crashed = supervision::crash(&services, &id);
    Ok(context.json(crashed.map(|()| json!({"armed": id.as_str()})))?)
}

/// Lists the requests that are refused because they crashed their cell too often.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "supervision", responses((status = 200, body = Object)))]
pub(crate) async fn dead_letters(services: Data<Services>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"dead_letters": supervision::dead_letters(&services)}))
}

/// Lets a refused request through again, and forgets its crashes.
#[utoipa::path(
    post, path = "/v1/dead-letters/{digest}/release", tag = "supervision",
    params(("digest" = String, Path, description = "The dead letter's digest")),
    responses((status = 200, body = Object), (status = 404, description = "Problem"))
)]
pub(crate) async fn release(
    context: Context,
    services: Data<Services>,
    digest: Path<String>,
) -> Result<HttpResponse> {
    let released = supervision::release(&services, &digest);
    Ok(context.json(released.map(|()| json!({"released": digest.as_str()})))?)
}

/// Forgets a refused request with its crashes.
#[utoipa::path(
    delete, path = "/v1/dead-letters/{digest}", tag = "supervision",
    params(("digest" = String, Path, description = "The dead letter's digest")),
    responses((status = 200, body = Object), (status = 404, description = "Problem"))
)]
pub(crate) async fn forget(
    context: Context,
    services: Data<Services>,
    digest: Path<String>,
) -> Result<HttpResponse> {
    let forgotten = supervision::forget(&services, &digest);
    Ok(context.json(forgotten.map(|()| json!({"deleted": digest.as_str()})))?)
}

/// Reads the settings again and takes over their restart policies; queues and counters are kept.
#[utoipa::path(
    post, path = "/v1/supervisors/reload", tag = "supervision",
    responses((status = 200, body = Object), (status = 400, description = "Settings at fault; nothing changed"))
)]
pub(crate) async fn reload(context: Context, services: Data<Services>) -> Result<HttpResponse> {
    let reloaded = reload::reload_policies(&services);
    Ok(context.json(reloaded.map(|()| json!({"reloaded": true})))?)
}

/// Injects a fault into a cell; only in builds with the feature `chaos`, and with `supervisors.allow_crash`.
#[utoipa::path(
    post, path = "/v1/supervisors/{id}/chaos", tag = "supervision", request_body = ChaosInput,
    params(("id" = String, Path, description = "A cell's id or path, as in the tree")),
    responses((status = 200, body = Object), (status = 404, description = "Problem"),
              (status = 422, description = "Switched off, or not built in"))
)]
pub(crate) async fn inject(
    context: Context,
    services: Data<Services>,
    id: Path<String>,
    body: Body<ChaosInput>,
) -> Result<HttpResponse> {
    let injected = chaos::inject(&services, &id, &body.0);
    Ok(context.json(injected.map(|()| json!({"injected": id.as_str()})))?)
}
