//! The supervision tree as operators see it and act on it.

use supervisors::{DeadLetter, TreeError, TreeSnapshot};

use super::{ServiceError, Services};
use crate::types::error_kind::ErrorKind;

/// Reads the tree; never waits for a worker.
pub fn tree(services: &Services) -> TreeSnapshot {
    services.tree.snapshot()
}

/// Restarts one cell with fresh state; its queue is kept.
pub async fn restart(services: &Services, id: &str) -> Result<(), ServiceError> {
    services.tree.restart(id).await.map_err(tree_error)
}

/// Makes the next request to a cell panic, through the same door as a real one.
pub fn crash(services: &Services, id: &str) -> Result<(), ServiceError> {
    if !services.limits.allow_crash {
        return Err(ServiceError::new(
            ErrorKind::Unprocessable,
            "crashing a cell on purpose is switched off; set supervisors.allow_crash = true",
        )
        .code("crash_not_allowed"));
    }
    services.tree.crash_next(id).map_err(tree_error)
}

/// Lists the requests that are refused because they crashed their cell too often.
pub fn dead_letters(services: &Services) -> Vec<DeadLetter> {
    services.tree.dead_letters()
}

/// Lets a refused request through again.
pub fn release(services: &Services, digest: &str) -> Result<(), ServiceError> {
    if services.tree.release(digest) {
        return Ok(());
    }
    let digest: String = digest.chars().take(64).collect();
    Err(ServiceError::not_found(format!(
        "no dead letter {digest}; GET /v1/dead-letters lists them"
    )))
}

fn tree_error(error: TreeError) -> ServiceError {
    let kind = match &error {
        TreeError::Unknown { .. } => ErrorKind::NotFound,
        TreeError::NotACell { .. } => ErrorKind::BadRequest,
        _ => ErrorKind::Unavailable,
    };
    ServiceError::new(kind, error.to_string())
}
