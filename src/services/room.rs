//! Whether there is room for another request where others wait: one that would wait for too long is refused at once, so that
//! those that were taken are answered in time.

use super::{ServiceError, Services};
use crate::engines::embedding::Model;
use crate::types::error_kind::ErrorKind;

/// Requests that a cell takes however long they wait: a few large ones wait long, too.
const FEW: usize = 32;
/// When to come again, milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;

/// Whether a collection has room for another search; one that does not exist is told of elsewhere.
///
/// Errors: others have waited there for longer than `http.max_wait_ms`.
pub fn for_search(services: &Services, collection: &str) -> Result<(), ServiceError> {
    let max = services.limits.max_wait;
    let crowded = !max.is_zero() && services.collections.is_crowded(collection, FEW, max);
    told(services, crowded, collection)
}

/// Whether there is room for a list of texts, whatever model is asked; where there are several, that is told when it is known which.
///
/// Errors: others have waited, or taken, longer than `http.max_wait_ms`.
pub fn for_vectors(services: &Services) -> Result<(), ServiceError> {
    let max = services.limits.max_wait;
    let crowded = !max.is_zero() && services.embedding.is_crowded_for_all_lists(FEW, max);
    told(services, crowded, "embedding")
}

/// Whether a model that computes here has room for another question.
///
/// Errors: others have waited there for longer than `http.max_wait_ms`.
pub(super) fn for_question(services: &Services, model: &Model) -> Result<(), ServiceError> {
    let max = services.limits.max_wait;
    let crowded = !max.is_zero() && services.embedding.is_crowded(model, FEW, max);
    told(services, crowded, model.name())
}

/// Whether a model that computes here has room for another list of texts.
///
/// Errors: others have waited there, or taken, longer than `http.max_wait_ms`.
pub(super) fn for_list(services: &Services, model: &Model) -> Result<(), ServiceError> {
    let max = services.limits.max_wait;
    let crowded = !max.is_zero() && services.embedding.is_crowded_for_lists(model, FEW, max);
    told(services, crowded, model.name())
}

fn told(services: &Services, crowded: bool, name: &str) -> Result<(), ServiceError> {
    if !crowded {
        return Ok(());
    }
    let max = services.limits.max_wait.as_millis();
    let message = format!(
        "{name} is busy: others wait for longer than http.max_wait_ms, {max}; retry in a second"
    );
    let error = ServiceError {
        retry_after_ms: Some(RETRY_AFTER_MS),
        ..ServiceError::new(ErrorKind::TooManyRequests, message)
    };
    Err(error.code("busy"))
}
