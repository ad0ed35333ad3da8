//! Validation and feedback.

use actix_web::web::Data;
use actix_web::{HttpResponse, Result};
use serde_json::json;

use crate::api::body::Body;
use crate::api::context::Context;
use crate::services::Services;
use crate::services::evidence::{self, FeedbackInput, FeedbackOutput};
use crate::services::validate::{self, ValidateInput, ValidateOutput};

/// Judges what a model wrote.
#[utoipa::path(
    post, path = "/v1/validate", tag = "validation", request_body = ValidateInput,
    responses((status = 200, body = ValidateOutput), (status = "4XX", description = "Problem"))
)]
pub(crate) async fn validate(
    context: Context,
    services: Data<Services>,
    body: Body<ValidateInput>,
) -> Result<HttpResponse> {
    Ok(context.json(validate::validate(&services, &context.request_id(), body.0).await)?)
}

/// Lists the validators with their JSON Schemas and rules.
#[utoipa::path(get, path = "/v1/validators", tag = "validation", responses((status = 200, body = Object)))]
pub(crate) async fn list(services: Data<Services>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"validators": validate::validators(&services)}))
}

/// Records what a person thought of an answer.
#[utoipa::path(
    post, path = "/v1/feedback", tag = "evidence", request_body = FeedbackInput,
    responses((status = 200, body = FeedbackOutput), (status = "4XX", description = "Problem"))
)]
pub(crate) async fn feedback(
    context: Context,
    services: Data<Services>,
    body: Body<FeedbackInput>,
) -> Result<HttpResponse> {
    Ok(context.json(evidence::feedback(&services, &context.request_id(), body.0).await)?)
}
