//! Validation and feedback.

use actix_web::web::Data;
use actix_web::{HttpResponse, Result};

use crate::api::answers::{
    TableList, ValidateAnswer, ValidateBatchOutput, ValidateEntry, ValidatorList,
};
use crate::api::body::Body;
use crate::api::context::Context;
use crate::services::Services;
use crate::services::evidence::{self, FeedbackInput, FeedbackOutput};
use crate::services::tables;
use crate::services::validate::{self, ValidateBody};

/// Judges what a model wrote: one payload, or up to 1,000 as `items`, answered as `results` in their order.
#[utoipa::path(
    post, path = "/v1/validate", tag = "validation", operation_id = "validate",
    request_body = ValidateBody,
    responses(
        (status = 200, description = "The verdict, or one for each item", body = ValidateAnswer)
    )
)]
pub(crate) async fn validate(
    context: Context,
    services: Data<Services>,
    body: Body<ValidateBody>,
) -> Result<HttpResponse> {
    let asker = context.asker();
    let batch = match body.0 {
        ValidateBody::One(one) => {
            return Ok(context.json(validate::validate(&services, asker, *one).await)?);
        }
        ValidateBody::Batch(batch) => batch,
    };
    let judged = validate::validate_all(&services, &asker, batch).await;
    let answer = judged.map(|judged| {
        let results = judged.into_iter().map(|(id, judged)| match judged {
            Ok(judged) => ValidateEntry::Judged(Box::new(judged)),
            Err(error) => ValidateEntry::Failed {
                id,
                error: context.problem(&error),
            },
        });
        ValidateBatchOutput {
            results: results.collect(),
            id: asker.request_id,
        }
    });
    Ok(context.json(answer)?)
}

/// Lists the validators with their JSON Schemas, and their rules with what each counts as here.
#[utoipa::path(
    get, path = "/v1/validators", tag = "validation", operation_id = "list_validators",
    responses((status = 200, description = "The validators", body = ValidatorList))
)]
pub(crate) async fn list(services: Data<Services>) -> HttpResponse {
    HttpResponse::Ok().json(ValidatorList {
        validators: validate::validators(&services),
        tables: tables::status(&services),
    })
}

/// Reads the roster and the calendar again.
#[utoipa::path(
    post, path = "/v1/validators/reload", tag = "validation", operation_id = "reload_tables",
    responses(
        (status = 200, description = "Read again", body = TableList),
        (status = 400, description = "A table at fault; it stays as it was")
    )
)]
pub(crate) async fn reload(context: Context, services: Data<Services>) -> Result<HttpResponse> {
    let reloaded = tables::reload(&services).await;
    Ok(context.json(reloaded.map(|tables| TableList { tables }))?)
}

/// Records what a person thought of an answer.
#[utoipa::path(
    post, path = "/v1/feedback", tag = "evidence", operation_id = "give_feedback",
    request_body = FeedbackInput,
    responses((status = 200, description = "Recorded", body = FeedbackOutput))
)]
pub(crate) async fn feedback(
    context: Context,
    services: Data<Services>,
    body: Body<FeedbackInput>,
) -> Result<HttpResponse> {
    Ok(context.json(evidence::feedback(&services, context.asker(), body.0).await)?)
}
