//! The supervision tree as operators see it and act on it.

use supervisors::{ChildPolicy, DeadLetter, ReloadPlan, TreeError, TreeSnapshot};

use super::{ServiceError, Services};
use crate::types::error_kind::ErrorKind;

/// Policies as the settings have them now.
pub struct NewPolicies {
    /// For the nodes that run.
    pub plan: ReloadPlan,
    /// For collections that are made later.
    pub collection: ChildPolicy,
}

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

/// Takes over policies; the first thing wrong with them changes nothing.
pub(super) fn take_over(services: &Services, new: NewPolicies) -> Result<(), ServiceError> {
    let reloaded = services.tree.reload(&new.plan);
    reloaded.map_err(|error| ServiceError::bad_request(error.to_string()))?;
    services.collections.set_policy(new.collection);
    Ok(())
}

/// Lists the requests that are refused because they crashed their cell too often.
pub fn dead_letters(services: &Services) -> Vec<DeadLetter> {
    services.tree.dead_letters()
}

/// Lets a refused request through again.
pub fn release(services: &Services, digest: &str) -> Result<(), ServiceError> {
    if services.tree.release(digest) {
        Ok(())
    } else {
        Err(no_letter(digest))
    }
}

/// Forgets a refused request with its crashes; should it crash again, it starts from none.
pub fn forget(services: &Services, digest: &str) -> Result<(), ServiceError> {
    if services.tree.delete_letter(digest) {
        Ok(())
    } else {
        Err(no_letter(digest))
    }
}

fn no_letter(digest: &str) -> ServiceError {
    let digest: String = digest.chars().take(64).collect();
    ServiceError::not_found(format!(
        "no dead letter {digest}; GET /v1/dead-letters lists them"
    ))
}

pub(super) fn tree_error(error: TreeError) -> ServiceError {
    let kind = match &error {
        TreeError::Unknown { .. } => ErrorKind::NotFound,
        TreeError::NotACell { .. } => ErrorKind::BadRequest,
        _ => ErrorKind::Unavailable,
    };
    ServiceError::new(kind, error.to_string())
}
