//! Measuring a model's quality on evaluation sets.

use std::path::Path;
use std::sync::Arc;

use super::ServiceError;
use crate::engines::embedding::evaluation;
pub use crate::engines::embedding::evaluation::{Report, Way};
use crate::engines::embedding::{Embedder, Embedders, EmbeddingConfig};
use crate::storage::eval_set::EvalFolder;

/// A model to be measured, and perhaps one that refines its searches.
pub struct Evaluation {
    embedder: Arc<dyn Embedder>,
    refiner: Option<Arc<dyn Embedder>>,
}

impl Evaluation {
    /// Loads `model` (empty: the default) and the refiner; models that were pulled are in `pulled`.
    ///
    /// Errors: an unknown model, or one that does not compute here.
    pub fn new(
        config: &EmbeddingConfig,
        pulled: &Path,
        model: &str,
        refiner: Option<&str>,
    ) -> Result<Self, ServiceError> {
        let embedders = Embedders::with_sources(config, Some(pulled), |_| None)?;
        Ok(Self {
            embedder: embedders.local(model)?,
            refiner: refiner.map(|name| embedders.local(name)).transpose()?,
        })
    }

    /// Measures on the set in `folder`; `progress` hears of steps done and steps in all.
    ///
    /// Errors: a folder without a set, a line that cannot be read.
    pub fn run(
        &self,
        folder: &Path,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Report, ServiceError> {
        let failed = |error: &dyn std::fmt::Display| ServiceError::bad_request(error.to_string());
        let set = EvalFolder::read(folder).map_err(|error| failed(&error))?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (embedder, refiner) = (self.embedder.as_ref(), self.refiner.as_deref());
        evaluation::evaluate(&set, embedder, refiner, threads, progress)
            .map_err(|error| failed(&error))
    }
}
