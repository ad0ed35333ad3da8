//! Validation and feedback.

use actix_web::web::Data;
use actix_web::{HttpResponse, Result};
use serde_json::json;

use crate::api::body::Body;
use crate::api::context::Context;
use crate::services::Services;
use crate::services::evidence::{self, FeedbackInput, FeedbackOutput};
use crate::services::tables;
use crate::services::validate::{self, ValidateBody, ValidateOutput};

/// Judges what a model wrote: one payload, or up to 1,000 as `items`, answered as `results` in their order.
#[utoipa::path(
    post, path = "/v1/validate", tag = "validation", request_body = ValidateBody,
    responses((status = 200, body = ValidateOutput), (status = "4XX", description = "Problem"))
)]
pub(crate) async fn validate(
    context: Context,
    services: Data<Services>,
    body: Body<ValidateBody>,
) -> Result<HttpResponse> {
    let request_id = context.request_id();
    let batch = match body.0 {
        ValidateBody::One(one) => {
            return Ok(context.json(validate::validate(&services, &request_id, *one).await)?);
        }
        ValidateBody::Batch(batch) => batch,
    };
    let judged = validate::validate_all(&services, &request_id, batch).await;
    let answer = judged.map(|judged| {
        let results = judged.into_iter().map(|(id, judged)| match judged {
            Ok(judged) => json!(judged),
            Err(error) => json!({"id": id, "error": context.problem(&error)}),
        });
        json!({"id": request_id, "results": results.collect::<Vec<_>>()})
    });
    Ok(context.json(answer)?)
}

/// Lists the validators with their JSON Schemas, and their rules with what each counts as here.
#[utoipa::path(get, path = "/v1/validators", tag = "validation", responses((status = 200, body = Object)))]
pub(crate) async fn list(services: Data<Services>) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "validators": validate::validators(&services),
        "tables": tables::status(&services),
    }))
}

/// Reads the roster and the calendar again.
#[utoipa::path(
    post, path = "/v1/validators/reload", tag = "validation",
    responses((status = 200, body = Object), (status = 400, description = "A table at fault; it stays as it was"))
)]
pub(crate) async fn reload(context: Context, services: Data<Services>) -> Result<HttpResponse> {
    let reloaded = tables::reload(&services).await;
    Ok(context.json(reloaded.map(|tables| json!({"tables": tables})))?)
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
