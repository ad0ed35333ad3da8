//! The whole data folder out.

use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, Result};

use crate::api::context::Context;
use crate::services::Services;
use crate::services::backup::{self, BackupInput};

/// Streams everything that is kept as one tar file, consistent while the server goes on; `boathouse restore` takes it. The last
/// file in it is `manifest.sha256`: without it the backup is cut short.
#[utoipa::path(
    get, path = "/v1/backup", tag = "operations", operation_id = "get_backup", params(BackupInput),
    responses((status = 200, description = "The tar file", content_type = "application/x-tar", body = Vec<u8>),
              (status = 409, description = "Another backup is under way"))
)]
pub(crate) async fn read(
    context: Context,
    services: Data<Services>,
    query: Query<BackupInput>,
) -> Result<HttpResponse> {
    let begun = backup::begin(services.into_inner(), query.into_inner()).await;
    let begun = begun.map_err(|error| context.fail(error))?;
    Ok(HttpResponse::Ok()
        .content_type("application/x-tar")
        .insert_header(("x-boathouse-bytes-about", begun.bytes_about()))
        .streaming(begun.pieces()))
}
