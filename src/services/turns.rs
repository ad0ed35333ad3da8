//! Jobs over all collections, a step of each at a time.

use super::{ServiceError, Services};
use crate::actors::index::IndexCell;

/// Lets each collection have its turn. Returns what the turns amount to.
///
/// Errors: the first of a turn, when all others amount to nothing.
pub(super) async fn turns(
    services: &Services,
    turn: impl AsyncFn(&str, &IndexCell) -> Result<usize, ServiceError>,
) -> Result<usize, ServiceError> {
    let mut done = 0;
    let mut failed = None;
    for name in services.collections.names() {
        // Removed since, or out of order: its supervisor knows.
        let Ok(cell) = services.collections.held(&name) else {
            continue;
        };
        match turn(&name, &cell).await {
            Ok(count) => done += count,
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) if done == 0 => Err(error),
        _ => Ok(done),
    }
}
