//! Tasks to a dataset folder.

use serde_json::{Value, json};

use super::{DatasetError, DatasetPaths, RECEIPT, TICK_LINES, pretty, receipt};
use crate::engines::dataset::exporters::Exporter;
use crate::engines::dataset::{Export, FORMAT_VERSION, Placed, Recipe, Side, Task, card};
use crate::storage::dataset_store::{
    DatasetStore, FileReceipt, HashedFile, HashedLines, Staging, sha256,
};

/// Exports what was materialized last.
pub(super) fn run(
    paths: &DatasetPaths,
    store: &DatasetStore,
    exporter: &'static dyn Exporter,
    name: &str,
    test_fraction: Option<f64>,
    tick: &mut dyn FnMut(),
) -> Result<Value, DatasetError> {
    let target = store.export(name)?;
    let recipe = Recipe::parse(&paths.recipe)?;
    let test_fraction = test_fraction.unwrap_or(recipe.export.test_fraction);
    let Some(mut export) = Export::new(exporter, &recipe, test_fraction)? else {
        return Err(DatasetError::TestFraction(test_fraction));
    };
    let made = receipt(&store.tasks()).ok_or(DatasetError::NotMaterialized)?;
    if made["format"] != FORMAT_VERSION {
        return Err(DatasetError::Stale("version of boathouse"));
    }
    let recipe_sha256 = sha256(&paths.recipe);
    if made["recipe"]["sha256"] != recipe_sha256.as_str() {
        return Err(DatasetError::Stale("recipe"));
    }
    let staging = store.stage(&target)?;
    let mut sides = Sides::new(&staging)?;
    let input = read(store, tick, |task| match export.add(task) {
        Placed::Row(side, line) => sides.row(side, &line),
        Placed::Duplicate | Placed::Skipped(_) => Ok(()),
    })?;
    let outputs = made["outputs"].as_array().map_or(&[][..], Vec::as_slice);
    if !outputs.contains(&json!(input)) {
        return Err(DatasetError::TasksChanged(
            "its sha256 is not the receipt's".to_owned(),
        ));
    }
    let mut files = sides.finish()?;
    let counts = export.counts();
    let rows: Vec<(Side, u64)> = [(Side::Train, counts.train), (Side::Test, counts.test)]
        .into_iter()
        // An empty file has no columns: readers fail on it.
        .filter(|(side, rows)| *rows > 0 || (*side == Side::Train && counts.rows() == 0))
        .collect();
    files.push(staging.write("README.md", &card(exporter, name, &rows, export.uniform()))?);
    let columns = exporter
        .columns()
        .iter()
        .map(|one| json!({"name": one.name, "type": one.kind}));
    let manifest = json!({
        "format": FORMAT_VERSION,
        "kind": exporter.kind(),
        "name": name,
        "columns": columns.collect::<Vec<_>>(),
        "rows": {"train": counts.train, "test": counts.test},
    });
    files.push(staging.write("manifest.json", &pretty(&manifest))?);
    let mut receipt = json!({
        "format": FORMAT_VERSION,
        "job": "export",
        "kind": exporter.kind(),
        "name": name,
        "as_of_ms": made["as_of_ms"],
        "rows": counts.rows(),
        "test_fraction": test_fraction,
        "recipe": made["recipe"],
        "journal": {"head": made["journal"]["head"]},
        "inputs": [input],
        "counts": counts,
        "redactions": export.redactions(),
        "outputs": files,
    });
    if counts.rows() == 0 {
        receipt["note"] = why_empty(&export).into();
    }
    staging.write(RECEIPT, &pretty(&receipt))?;
    let path = staging.commit()?;
    receipt["path"] = path.display().to_string().into();
    Ok(receipt)
}

/// Reads the materialized tasks in order.
fn read(
    store: &DatasetStore,
    tick: &mut dyn FnMut(),
    mut each: impl FnMut(&Task) -> Result<(), DatasetError>,
) -> Result<FileReceipt, DatasetError> {
    if !store.tasks().join("tasks.jsonl").is_file() {
        return Err(DatasetError::TasksChanged("it is gone".to_owned()));
    }
    let mut lines = HashedLines::open(&store.tasks(), "tasks.jsonl")?;
    let mut line = Vec::new();
    let mut at = 0_u64;
    while lines.next(&mut line)? {
        if at.is_multiple_of(TICK_LINES) {
            tick();
        }
        at += 1;
        let task: Task = serde_json::from_slice(&line)
            .map_err(|error| DatasetError::TasksChanged(format!("line {at}: {error}")))?;
        each(&task)?;
    }
    Ok(lines.finish())
}

/// Says why there is no row, and what to do.
fn why_empty(export: &Export<'_>) -> String {
    let counts = export.counts();
    if counts.read == 0 {
        return "no rows: the journal has no answered chat completions yet; chat, then materialize \
                again"
            .to_owned();
    }
    let reasons: Vec<String> = counts
        .skipped
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    format!(
        "no rows: all {} tasks were left out ({}); give feedback (POST /v1/feedback) and \
         materialize again",
        counts.read,
        reasons.join(", ")
    )
}

/// The data files; the held out one only exists when it has rows.
struct Sides<'a> {
    staging: &'a Staging,
    train: HashedFile,
    test: Option<HashedFile>,
}

impl<'a> Sides<'a> {
    fn new(staging: &'a Staging) -> Result<Self, DatasetError> {
        Ok(Self {
            staging,
            train: staging.create("data/train.jsonl")?,
            test: None,
        })
    }

    fn row(&mut self, side: Side, line: &str) -> Result<(), DatasetError> {
        let file = match (side, &mut self.test) {
            (Side::Train, _) => &mut self.train,
            (Side::Test, Some(test)) => test,
            (Side::Test, empty @ None) => empty.insert(self.staging.create("data/test.jsonl")?),
        };
        Ok(file.line(line)?)
    }

    fn finish(self) -> Result<Vec<FileReceipt>, DatasetError> {
        let mut files = vec![self.train.finish()?];
        if let Some(test) = self.test {
            files.push(test.finish()?);
        }
        Ok(files)
    }
}
