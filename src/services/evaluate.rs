//! Measuring a model's quality on an evaluation set.

use std::path::Path;

use super::ServiceError;
use crate::engines::embedding::evaluation::{self, Report};
use crate::engines::embedding::{Embedders, EmbeddingConfig};
use crate::storage::eval_set::EvalFolder;

/// Measures `model` (empty: the default; pulled ones are in `pulled`) on the set in `folder`; `progress` hears of texts done and texts in all.
///
/// Errors: a folder without a set, a line that cannot be read, an unknown model.
pub fn embedding(
    folder: &Path,
    model: &str,
    config: &EmbeddingConfig,
    pulled: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Report, ServiceError> {
    let set =
        EvalFolder::read(folder).map_err(|error| ServiceError::bad_request(error.to_string()))?;
    let embedder = Embedders::with_sources(config, Some(pulled), |_| None)?.local(model)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    evaluation::evaluate(&set, embedder.as_ref(), threads, progress)
        .map_err(|error| ServiceError::bad_request(error.to_string()))
}
