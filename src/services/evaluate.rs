//! Measuring a model's quality on an evaluation set.

use std::path::Path;

use super::ServiceError;
use crate::engines::embedding::evaluation;
pub use crate::engines::embedding::evaluation::{Report, Way};
use crate::engines::embedding::{Embedders, EmbeddingConfig};
use crate::storage::eval_set::EvalFolder;

/// Measures `model` (empty: the default) on the set in `folder`, refined by `refiner` where one is named;
/// `progress` hears of steps done and steps in all.
///
/// Errors: a folder without a set, a line that cannot be read, an unknown model.
pub fn embedding(
    folder: &Path,
    model: &str,
    refiner: Option<&str>,
    config: &EmbeddingConfig,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Report, ServiceError> {
    let set =
        EvalFolder::read(folder).map_err(|error| ServiceError::bad_request(error.to_string()))?;
    let embedders = Embedders::new(config)?;
    let embedder = embedders.local(model)?;
    let refiner = refiner.map(|name| embedders.local(name)).transpose()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    evaluation::evaluate(
        &set,
        embedder.as_ref(),
        refiner.as_deref(),
        threads,
        progress,
    )
    .map_err(|error| ServiceError::bad_request(error.to_string()))
}
