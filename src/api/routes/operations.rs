//! Health, metrics and the API's own description.

use actix_web::web::Data;
use actix_web::{HttpResponse, Result};

use crate::api::context::Context;
use crate::api::{Metrics, openapi};
use crate::services::reload::{self, Reloaded};
use crate::services::{Services, health, supervision};

/// Whether the process lives: the supervisors answer.
#[utoipa::path(
    get, path = "/healthz", tag = "operations", operation_id = "get_liveness",
    responses(
        (status = 200, description = "It lives", body = ref("#/components/schemas/Health")),
        (status = 503, description = "It does not", body = ref("#/components/schemas/Health"))
    )
)]
pub(crate) async fn healthz(services: Data<Services>) -> HttpResponse {
    let health = health::health(&services);
    if health.live {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    }
    .json(health)
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
pub(crate) async fn readyz(services: Data<Services>) -> HttpResponse {
    let health = health::health(&services);
    if health.ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    }
    .json(health)
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
