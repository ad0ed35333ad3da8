//! Measuring a model's quality on evaluation sets.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::ServiceError;
use crate::engines::dataset::{Judged, Task};
use crate::engines::embedding::evaluation;
pub use crate::engines::embedding::evaluation::{Report, Way};
use crate::engines::embedding::{Embedder, Embedders, EmbeddingConfig};
use crate::storage::dataset_store::{DatasetStore, TaskLines};
pub use crate::storage::eval_set::EvalFolder;
use crate::types::plain::counted;

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

    /// Measures on a set; `progress` hears of steps done and steps in all.
    ///
    /// Errors: a folder without a set, a line that cannot be read.
    pub fn run(
        &self,
        set: &EvalFolder,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Report, ServiceError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (embedder, refiner) = (self.embedder.as_ref(), self.refiner.as_deref());
        evaluation::evaluate(set, embedder, refiner, threads, progress)
            .map_err(|error| ServiceError::bad_request(error.to_string()))
    }
}

/// Reads a set from the files of a folder.
///
/// Errors: no folder, or a file that is not readable text.
pub fn read(folder: &Path) -> Result<EvalFolder, ServiceError> {
    EvalFolder::read(folder).map_err(|error| ServiceError::bad_request(error.to_string()))
}

/// Makes a set of what served in production: the questions whose answers were accepted, the passages of `collection` that
/// these answers cite, and as corpus its `documents`, ids and texts. The tasks are those that were materialized in the
/// data folder.
///
/// Errors: nothing is materialized, a task that cannot be read, no question left to ask.
pub fn of_evidence(
    data: &Path,
    collection: &str,
    documents: &[(String, String)],
) -> Result<EvalFolder, ServiceError> {
    let path = DatasetStore::new(&data.join("datasets")).tasks();
    let failed = |reason: &dyn std::fmt::Display| {
        ServiceError::bad_request(format!(
            "{}: {reason}; materialize first (POST /v1/materialize)",
            path.display()
        ))
    };
    let mut tasks = TaskLines::open(&path).map_err(|error| failed(&error))?;
    let mut judged = Judged::new(collection);
    let (mut text, mut line) = (Vec::new(), 0_u64);
    while tasks.next(&mut text).map_err(|error| failed(&error))? {
        line += 1;
        let task: Task = serde_json::from_slice(&text)
            .map_err(|error| failed(&format_args!("task {line}: {error}")))?;
        judged.take(&task);
    }
    if line == 0 {
        return Err(failed(&"there are no tasks"));
    }
    let cited = judged.len();
    let known: HashSet<&str> = documents.iter().map(|(id, _)| id.as_str()).collect();
    judged.keep(|id| known.contains(id));
    if judged.is_empty() {
        return Err(ServiceError::bad_request(format!(
            "no question to ask: of collection {collection:?}, where {} had passages, none of these passages is left",
            counted(cited, "accepted answer")
        )));
    }
    let corpus = documents.iter();
    let corpus = corpus.map(|(id, text)| format!("{}\n", json!({"id": id, "text": text})));
    Ok(EvalFolder {
        corpus: Some(corpus.collect()),
        queries: Some(judged.queries()),
        qrels: Some(judged.qrels()),
        sts: None,
    })
}

/// Writes a set as the files of a folder, which is made.
///
/// Errors: what cannot be written.
pub fn write(set: &EvalFolder, folder: &Path) -> Result<(), ServiceError> {
    set.write(folder)
        .map_err(|error| ServiceError::bad_request(error.to_string()))
}
