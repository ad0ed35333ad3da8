//! Evidence from elsewhere, and what people decide.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, Result};

use crate::api::body::Body;
use crate::api::context::Context;
use crate::api::parameters::TaskPath;
use crate::services::Services;
use crate::services::import::{self, ImportInput, ImportOutput};
use crate::services::review::{
    self, ReviewInput, ReviewOutput, ReviewPage, ReviewQuery, ReviewTask,
};

/// Takes conversations of another system into the journal, each once.
#[utoipa::path(
    post, path = "/v1/evidence/import", tag = "evidence", operation_id = "import_evidence",
    request_body = ImportInput,
    responses((status = 200, description = "Recorded", body = ImportOutput))
)]
pub(crate) async fn import(
    context: Context,
    services: Data<Services>,
    body: Body<ImportInput>,
) -> Result<HttpResponse> {
    Ok(context.json(import::import(&services, body.0).await)?)
}

/// Lists the tasks that wait for a person, the oldest first.
#[utoipa::path(
    get, path = "/v1/review", tag = "evidence", operation_id = "list_review",
    params(ReviewQuery),
    responses(
        (status = 200, description = "A page", body = ReviewPage),
        (status = 409, description = "Nothing is materialized yet")
    )
)]
pub(crate) async fn list(
    context: Context,
    services: Data<Services>,
    query: Query<ReviewQuery>,
) -> Result<HttpResponse> {
    Ok(context.json(review::list(&services, query.into_inner()).await)?)
}

/// Reads a task that waits.
#[utoipa::path(
    get, path = "/v1/review/{task}", tag = "evidence", operation_id = "get_review_task",
    params(TaskPath),
    responses(
        (status = 200, description = "The task", body = ReviewTask),
        (status = 404, description = "It does not wait"),
        (status = 409, description = "Nothing is materialized yet")
    )
)]
pub(crate) async fn read(
    context: Context,
    services: Data<Services>,
    task: Path<String>,
) -> Result<HttpResponse> {
    Ok(context.json(review::read(&services, &task).await)?)
}

/// Decides on a task.
#[utoipa::path(
    post, path = "/v1/review/{task}", tag = "evidence", operation_id = "decide_review_task",
    params(TaskPath),
    request_body = ReviewInput,
    responses(
        (status = 200, description = "Recorded", body = ReviewOutput),
        (status = 404, description = "It does not wait"),
        (status = 409, description = "Nothing is materialized yet")
    )
)]
pub(crate) async fn decide(
    context: Context,
    services: Data<Services>,
    task: Path<String>,
    body: Body<ReviewInput>,
) -> Result<HttpResponse> {
    let decided = review::decide(&services, context.asker(), &task, body.0).await;
    Ok(context.json(decided)?)
}
