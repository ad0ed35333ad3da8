//! Health, metrics and the API's own description.

use actix_web::web::Data;
use actix_web::{HttpResponse, Result};
use serde_json::json;

use crate::api::context::Context;
use crate::api::{Metrics, openapi};
use crate::services::health::Health;
use crate::services::reload::{self, Reloaded};
use crate::services::{Services, health, supervision};
use crate::types::api_key::Scope;

/// Whether the process lives: the supervisors answer.
#[utoipa::path(
    get, path = "/healthz", tag = "operations", operation_id = "get_liveness",
    responses(
        (status = 200, description = "It lives", body = ref("#/components/schemas/Health")),
        (status = 503, description = "It does not", body = ref("#/components/schemas/Health"))
    )
)]
pub(crate) async fn healthz(context: Context, services: Data<Services>) -> HttpResponse {
    let health = health::health(&services);
    told(&context, &services, health.live, &health)
}

/// Whether it serves: every critical cell is ready.
#[utoipa::path(
    get, path = "/readyz", tag = "operations", operation_id = "get_readiness",
    responses(
        (status = 200, description = "It serves", body = ref("#/components/schemas/Health")),
        (status = 503,
         description = "It does not yet, or not any more",
         body = ref("#/components/schemas/Health"))
    )
)]
pub(crate) async fn readyz(context: Context, services: Data<Services>) -> HttpResponse {
    let health = health::health(&services);
    told(&context, &services, health.ready, &health)
}

/// Tells how it is. Cells have the names of collections and providers, so they are told to who may read those.
fn told(context: &Context, services: &Services, good: bool, health: &Health) -> HttpResponse {
    let mut answer = if good {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    if context.may_know(services, Scope::Read) {
        return answer.json(health);
    }
    answer.json(json!({"live": health.live, "ready": health.ready}))
}

/// Reads the settings again, takes over what can change while the server goes on, and says what needs a restart. Rosters and
/// calendars are read again, too.
#[utoipa::path(post, path = "/v1/reload", tag = "operations", operation_id = "reload_settings",
    responses((status = 200, description = "What was taken over", body = Reloaded), (status = 400, description = "Settings at fault; nothing changed")))]
pub(crate) async fn reload(context: Context, services: Data<Services>) -> Result<HttpResponse> {
    Ok(context.json(reload::reload(&services).await)?)
}

/// Counters for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", operation_id = "get_metrics",
    responses((status = 200, description = "Counters", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(services: Data<Services>, metrics: Data<Metrics>) -> HttpResponse {
    let tree = serde_json::to_value(supervision::tree(&services)).unwrap_or_default();
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(metrics.render(&health::figures(&services), &tree))
}

/// The OpenAPI description of this API.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operations", operation_id = "get_openapi",
    responses((status = 200, description = "This document", body = Object))
)]
pub(crate) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().json(openapi::document())
}
