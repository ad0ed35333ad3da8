//! What chat calls took.

use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, Result};

use crate::api::context::Context;
use crate::services::Services;
use crate::services::usage::{self, UsageInput, UsageOutput};

/// Sums of chat calls by day, key and model.
#[utoipa::path(
    get, path = "/v1/usage", tag = "operations", operation_id = "get_usage",
    params(UsageInput),
    responses((status = 200, description = "The sums", body = UsageOutput))
)]
pub(crate) async fn read(
    context: Context,
    services: Data<Services>,
    query: Query<UsageInput>,
) -> Result<HttpResponse> {
    Ok(context.json(usage::usage(&services, query.into_inner()))?)
}
