//! Whole collections out and in.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, Result};

use crate::api::answers::Imported;
use crate::api::body::Body;
use crate::api::context::Context;
use crate::api::parameters::CollectionPath;
use crate::services::Services;
use crate::services::transfer::{self, ImportInput};

/// Streams a whole collection as it is now, one JSON object a line; the last one is `{"end": …}`.
#[utoipa::path(
    get, path = "/v1/collections/{name}/export", tag = "collections", operation_id = "export_collection",
    params(CollectionPath),
    responses(
        (status = 200,
         description = "One object a line",
         body = String,
         content_type = "application/x-ndjson")
    )
)]
pub(crate) async fn export(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
) -> Result<HttpResponse> {
    let export = transfer::export(&services, &name).await;
    let export = export.map_err(|error| context.fail(error))?;
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .streaming(export.lines()))
}

/// Inserts or replaces points as they were exported, second vectors included; durable when answered.
#[utoipa::path(
    post, path = "/v1/collections/{name}/import", tag = "collections", operation_id = "import_points",
    params(CollectionPath),
    request_body = ImportInput,
    responses(
        (status = 200, description = "Stored", body = Imported),
        (status = 409, description = "Vectors of another model")
    )
)]
pub(crate) async fn import(
    context: Context,
    services: Data<Services>,
    name: Path<String>,
    body: Body<ImportInput>,
) -> Result<HttpResponse> {
    let imported = transfer::import(&services, &name, body.0).await;
    Ok(context.json(imported.map(|imported| Imported { imported }))?)
}
