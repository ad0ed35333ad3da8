//! The journal: its head, its records, and what of them is erased.

use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, Result};

use crate::api::body::Body;
use crate::api::context::Context;
use crate::services::Services;
use crate::services::evidence::{self, EraseInput, EraseOutput, EvidenceInput, EvidenceOutput};

/// Reads the journal's newest hash.
#[utoipa::path(
    get, path = "/v1/evidence/head", tag = "evidence", operation_id = "get_evidence_head",
    responses(
        (status = 200,
         description = "The head",
         body = ref("#/components/schemas/EvidenceHead"))
    )
)]
pub(crate) async fn head(context: Context, services: Data<Services>) -> Result<HttpResponse> {
    Ok(context.json(evidence::head(&services).await)?)
}

/// Lists the journal's records.
#[utoipa::path(
    get, path = "/v1/evidence", tag = "evidence", operation_id = "list_evidence",
    params(EvidenceInput),
    responses((status = 200, description = "A page", body = EvidenceOutput))
)]
pub(crate) async fn list(
    context: Context,
    services: Data<Services>,
    query: Query<EvidenceInput>,
) -> Result<HttpResponse> {
    Ok(context.json(evidence::list(&services, query.into_inner()).await)?)
}

/// Erases the contents of records; the chain stays whole.
#[utoipa::path(
    post, path = "/v1/evidence/erase", tag = "evidence", operation_id = "erase_evidence",
    request_body = EraseInput,
    responses((status = 200, description = "Erased", body = EraseOutput))
)]
pub(crate) async fn erase(
    context: Context,
    services: Data<Services>,
    body: Body<EraseInput>,
) -> Result<HttpResponse> {
    let request_id = context.request_id();
    let erased = evidence::erase(&services.into_inner(), &request_id, body.0).await;
    Ok(context.json(erased)?)
}
