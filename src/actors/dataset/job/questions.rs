//! The questions that negatives are mined for.

use serde_json::{Value, json};

use super::export::{identity, materialized, read, tasks_of};
use super::{DatasetError, DatasetPaths};
use crate::engines::dataset::exporters::exporter;
use crate::engines::dataset::{Questions, Recipe};
use crate::storage::dataset_store::DatasetStore;

/// Lists the questions of the tasks with what their accepted answers cite, and what the recipe says of negatives.
pub(super) fn run(
    paths: &DatasetPaths,
    store: &DatasetStore,
    tick: &mut dyn FnMut(),
) -> Result<Value, DatasetError> {
    let recipe = Recipe::parse(&paths.recipe)?;
    let made = materialized(paths, store)?;
    let triplets = exporter("triplets").ok_or(DatasetError::NotMaterialized)?;
    paths.progress.expect(tasks_of(&made));
    let mut questions = Questions::default();
    read(paths, store, tick, |task| {
        questions.take(task, triplets, &recipe);
        Ok(())
    })?;
    Ok(json!({
        "tasks": identity(&made),
        "questions": questions.finish(),
        "k": recipe.triplets.negatives_per_positive,
        "likeness": recipe.export.near_duplicate,
    }))
}
