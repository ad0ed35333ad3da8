//! The supervision tree.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, Result};
use serde_json::json;

use crate::api::answers::{Armed, Deleted, Injected, PoliciesReloaded, Released, Restarted};
use crate::api::body::Body;
use crate::api::context::Context;
use crate::api::parameters::{LetterPath, NodePath};
use crate::services::chaos::{self, ChaosInput};
use crate::services::{Services, reload, supervision};

/// Reads the tree; answers even while workers hang.
#[utoipa::path(
    get, path = "/v1/supervisors", tag = "supervision", operation_id = "get_supervisors",
    responses((status = 200, description = "The tree", body = ref("#/components/schemas/TreeNode")))
)]
pub(crate) async fn tree(services: Data<Services>) -> HttpResponse {
    HttpResponse::Ok().json(supervision::tree(&services))
}

/// Restarts a cell with fresh state; its queue is kept.
#[utoipa::path(
    post, path = "/v1/supervisors/{id}/restart", tag = "supervision", operation_id = "restart_cell",
    params(NodePath),
    responses((status = 200, description = "Restarted", body = Restarted))
)]
pub(crate) async fn restart(
    context: Context,
    services: Data<Services>,
    id: Path<String>,
) -> Result<HttpResponse> {
    let restarted = supervision::restart(&services, &id).await;
    Ok(context.json(restarted.map(|()| Restarted {
        restarted: id.into_inner(),
    }))?)
}

/// Makes the next request to a cell panic; only with `supervisors.allow_crash`.
#[utoipa::path(
    post, path = "/v1/supervisors/{id}/crash", tag = "supervision", operation_id = "crash_cell",
    params(NodePath),
    responses(
        (status = 200, description = "Armed", body = Armed),
        (status = 422, description = "Switched off")
    )
)]
pub(crate) async fn crash(
    context: Context,
    services: Data<Services>,
    id: Path<String>,
) -> Result<HttpResponse> {
    let crashed = supervision::crash(&services, &id);
    Ok(context.json(crashed.map(|()| Armed {
        armed: id.into_inner(),
    }))?)
}

/// Lists the requests that are refused because they crashed their cell too often.
#[utoipa::path(
    get, path = "/v1/dead-letters", tag = "supervision", operation_id = "list_dead_letters",
    responses(
        (status = 200,
         description = "The dead letters",
         body = ref("#/components/schemas/DeadLetterList"))
    )
)]
pub(crate) async fn dead_letters(services: Data<Services>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"dead_letters": supervision::dead_letters(&services)}))
}

/// Lets a refused request through again, and forgets its crashes.
#[utoipa::path(
    post, path = "/v1/dead-letters/{digest}/release", tag = "supervision", operation_id = "release_dead_letter",
    params(LetterPath),
    responses((status = 200, description = "Released", body = Released))
)]
pub(crate) async fn release(
    context: Context,
    services: Data<Services>,
    digest: Path<String>,
) -> Result<HttpResponse> {
    let released = supervision::release(&services, &digest);
    Ok(context.json(released.map(|()| Released {
        released: digest.into_inner(),
    }))?)
}

/// Forgets a refused request with its crashes.
#[utoipa::path(
    delete, path = "/v1/dead-letters/{digest}", tag = "supervision", operation_id = "forget_dead_letter",
    params(LetterPath),
    responses((status = 200, description = "Forgotten", body = Deleted))
)]
pub(crate) async fn forget(
    context: Context,
    services: Data<Services>,
    digest: Path<String>,
) -> Result<HttpResponse> {
    let forgotten = supervision::forget(&services, &digest);
    Ok(context.json(forgotten.map(|()| Deleted {
        deleted: digest.into_inner(),
    }))?)
}

/// Reads the settings again and takes over their restart policies; queues and counters are kept.
#[utoipa::path(
    post, path = "/v1/supervisors/reload", tag = "supervision", operation_id = "reload_policies",
    responses(
        (status = 200, description = "Taken over", body = PoliciesReloaded),
        (status = 400, description = "Settings at fault; nothing changed")
    )
)]
pub(crate) async fn reload(context: Context, services: Data<Services>) -> Result<HttpResponse> {
    let reloaded = reload::reload_policies(&services);
    Ok(context.json(reloaded.map(|()| PoliciesReloaded { reloaded: true }))?)
}

/// Injects a fault into a cell; only in builds with the feature `chaos`, and with `supervisors.allow_crash`.
#[utoipa::path(
    post, path = "/v1/supervisors/{id}/chaos", tag = "supervision", operation_id = "inject_fault",
    params(NodePath),
    request_body = ChaosInput,
    responses(
        (status = 200, description = "Injected", body = Injected),
        (status = 422, description = "Switched off, or not built in")
    )
)]
pub(crate) async fn inject(
    context: Context,
    services: Data<Services>,
    id: Path<String>,
    body: Body<ChaosInput>,
) -> Result<HttpResponse> {
    let injected = chaos::inject(&services, &id, &body.0);
    Ok(context.json(injected.map(|()| Injected {
        injected: id.into_inner(),
    }))?)
}
