//! Tasks to a dataset folder.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{DatasetError, DatasetPaths, Mining, RECEIPT, TICK_LINES, columns, pretty, receipt};
use crate::engines::dataset::exporters::{Exporter, exporter, kinds};
use crate::engines::dataset::{
    Export, ExportCounts, FORMAT_VERSION, Flavour, Placed, Recipe, Side, Task, card,
};
use crate::storage::dataset_store::{
    DatasetStore, FileReceipt, HashedFile, Staging, TaskLines, sha256, task_file_date,
};
use crate::types::plain::counted;

/// Rows that OpenAI's fine-tuning wants at least.
const OPENAI_LEAST: u64 = 10;

/// What is asked for.
pub(super) struct Wanted {
    pub(super) kind: String,
    pub(super) flavour: String,
    pub(super) name: String,
    pub(super) test_fraction: Option<f64>,
    pub(super) mining: Option<Arc<Mining>>,
}

/// Exports what was materialized last.
pub(super) fn run(
    paths: &DatasetPaths,
    store: &DatasetStore,
    wanted: &Wanted,
    tick: &mut dyn FnMut(),
) -> Result<Value, DatasetError> {
    let (exporter, flavour) = known(wanted)?;
    let name = &wanted.name;
    let target = store.export(name)?;
    let mining = wanted.mining.as_deref();
    let recipe = Recipe::parse(&paths.recipe)?;
    let test_fraction = wanted.test_fraction.unwrap_or(recipe.export.test_fraction);
    let Some(export) = Export::new(exporter, flavour, &recipe, test_fraction)? else {
        return Err(DatasetError::TestFraction(test_fraction));
    };
    let made = materialized(paths, store)?;
    let mut export = export.with_negatives(mining.map(|mining| &mining.mined));
    paths
        .progress
        .expect(tasks_of(&made) * (export.readings() as u64 + 1));
    let staging = store.stage(&target)?;
    for reading in 0..export.readings() {
        read(paths, store, tick, |task| {
            export.prepare(reading, task);
            Ok(())
        })?;
    }
    let mut sides = Sides::new(&staging)?;
    let inputs = read(paths, store, tick, |task| {
        export.add(task).iter().try_for_each(|one| sides.place(one))
    })?;
    // Every file of tasks that the receipt names, and no other.
    let outputs = made["outputs"].as_array().map_or(&[][..], Vec::as_slice);
    let path = |output: &&Value| output["path"].as_str().and_then(task_file_date).is_some();
    let expected: Vec<&Value> = outputs.iter().filter(path).collect();
    let read: Vec<Value> = inputs.iter().map(|input| json!(input)).collect();
    if expected != read.iter().collect::<Vec<_>>() {
        return Err(DatasetError::TasksChanged(
            "the files are others than the receipt's".to_owned(),
        ));
    }
    if mining.is_some_and(|mining| mining.tasks != identity(&made)) {
        return Err(DatasetError::TasksChanged(
            "they were made again while negatives were searched for".to_owned(),
        ));
    }
    let mut files = sides.finish()?;
    let counts = export.counts();
    let rows: Vec<(Side, u64)> = [(Side::Train, counts.train), (Side::Test, counts.test)]
        .into_iter()
        // An empty file has no columns: readers fail on it.
        .filter(|(side, rows)| *rows > 0 || (*side == Side::Train && counts.rows() == 0))
        .collect();
    let written = [Some("train"), (counts.test > 0).then_some("test")];
    let written: Vec<&str> = written.into_iter().flatten().collect();
    files.extend(columns::write(
        &staging,
        (exporter, flavour),
        export.held(),
        &written,
        tick,
    )?);
    files.push(staging.write(
        "README.md",
        &card((exporter, flavour), name, &rows, export.held()),
    )?);
    let members = exporter
        .columns(flavour)
        .iter()
        .map(|one| json!({"name": one.name, "type": one.kind}));
    let mut manifest = json!({
        "format": FORMAT_VERSION,
        "kind": exporter.kind(),
        "flavour": flavour.name(),
        "name": name,
        "columns": members.collect::<Vec<_>>(),
        "rows": {"train": counts.train, "test": counts.test},
        "files": written
            .iter()
            .flat_map(|side| [format!("data/{side}.jsonl"), format!("parquet/{side}.parquet")])
            .collect::<Vec<_>>(),
    });
    if let Some(mining) = mining {
        manifest["negatives"] = mining.told.clone();
    }
    files.push(staging.write("manifest.json", &pretty(&manifest))?);
    let mut receipt = json!({
        "format": FORMAT_VERSION,
        "job": "export",
        "kind": exporter.kind(),
        "flavour": flavour.name(),
        "name": name,
        "as_of_ms": made["as_of_ms"],
        "rows": counts.rows(),
        "test_fraction": test_fraction,
        "recipe": made["recipe"],
        "journal": {"head": made["journal"]["head"]},
        "inputs": inputs,
        "counts": counts,
        "redactions": export.redactions(),
        "outputs": files,
    });
    if let Some(mining) = mining {
        receipt["negatives"] = mining.told.clone();
    }
    if let Some(note) = note(counts, flavour) {
        receipt["note"] = note.into();
    }
    staging.write(RECEIPT, &pretty(&receipt))?;
    let path = staging.commit()?;
    receipt["path"] = path.display().to_string().into();
    Ok(receipt)
}

/// The recipe, and the receipt of the tasks that were made by it. Errors: there are none, or others.
pub(super) fn materialized(
    paths: &DatasetPaths,
    store: &DatasetStore,
) -> Result<Value, DatasetError> {
    let made = receipt(&store.tasks()).ok_or(DatasetError::NotMaterialized)?;
    if made["format"] != FORMAT_VERSION {
        return Err(DatasetError::Stale("version of boathouse"));
    }
    let recipe_sha256 = sha256(&paths.recipe);
    if made["recipe"]["sha256"] != recipe_sha256.as_str() {
        return Err(DatasetError::Stale("recipe"));
    }
    Ok(made)
}

/// How many tasks a receipt tells of.
pub(super) fn tasks_of(made: &Value) -> u64 {
    made["counts"]["tasks"].as_u64().unwrap_or_default()
}

/// What tells tasks from others that were made later: a sum over the sums of their files.
pub(super) fn identity(made: &Value) -> String {
    sha256(&made["outputs"].to_string())
}

/// Reads the materialized tasks in order.
pub(super) fn read(
    paths: &DatasetPaths,
    store: &DatasetStore,
    tick: &mut dyn FnMut(),
    mut each: impl FnMut(&Task) -> Result<(), DatasetError>,
) -> Result<Vec<FileReceipt>, DatasetError> {
    let mut lines = TaskLines::open(&store.tasks())?;
    let mut line = Vec::new();
    let mut at = 0_u64;
    while lines.next(&mut line)? {
        if at.is_multiple_of(TICK_LINES) {
            tick();
            paths.progress.step(TICK_LINES)?;
        }
        at += 1;
        let task: Task = serde_json::from_slice(&line)
            .map_err(|error| DatasetError::TasksChanged(format!("line {at}: {error}")))?;
        each(&task)?;
    }
    Ok(lines.finish())
}

/// Finds what makes the rows. Errors: there is no such kind, or not in this flavour.
fn known(wanted: &Wanted) -> Result<(&'static dyn Exporter, Flavour), DatasetError> {
    let shown = |word: &str| word.chars().take(80).collect();
    let Some(exporter) = exporter(&wanted.kind) else {
        return Err(DatasetError::UnknownKind {
            kind: shown(&wanted.kind),
            known: kinds(),
        });
    };
    let Some(flavour) = Flavour::find(&wanted.flavour) else {
        return Err(DatasetError::UnknownFlavour {
            flavour: shown(&wanted.flavour),
            known: Flavour::list(&Flavour::ALL),
        });
    };
    if !exporter.flavours().contains(&flavour) {
        return Err(DatasetError::NoShape {
            kind: exporter.kind(),
            flavour: flavour.name(),
            known: Flavour::list(exporter.flavours()),
        });
    }
    Ok((exporter, flavour))
}

/// Says what a trainer would stumble over, and what to do.
fn note(counts: &ExportCounts, flavour: Flavour) -> Option<String> {
    if counts.rows() == 0 {
        return Some(why_empty(counts));
    }
    (flavour == Flavour::OpenAi && counts.train < OPENAI_LEAST).then(|| {
        format!(
            "{} to learn from: OpenAI's fine-tuning refuses fewer than {OPENAI_LEAST}",
            counted(counts.train, "row")
        )
    })
}

/// Says why there is no row, and what to do.
fn why_empty(counts: &ExportCounts) -> String {
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
    let advice = match counts.skipped.get("needs_review") {
        Some(_) => "; give feedback (POST /v1/feedback) and materialize again",
        None => "",
    };
    format!(
        "no rows: left out of {}: {}{advice}",
        counted(counts.read, "task"),
        reasons.join(", ")
    )
}

/// The files of a side.
struct Files {
    data: HashedFile,
    origin: HashedFile,
}

impl Files {
    fn new(staging: &Staging, side: Side) -> Result<Self, DatasetError> {
        Ok(Self {
            data: staging.create(&format!("data/{}.jsonl", side.name()))?,
            origin: staging.create(&format!("origin/{}.jsonl", side.name()))?,
        })
    }
}

/// The data files, and line by line where their rows come from; those of the held out side only
/// exist when it has rows.
struct Sides<'a> {
    staging: &'a Staging,
    train: Files,
    test: Option<Files>,
    dropped: HashedFile,
}

impl<'a> Sides<'a> {
    fn new(staging: &'a Staging) -> Result<Self, DatasetError> {
        Ok(Self {
            staging,
            train: Files::new(staging, Side::Train)?,
            test: None,
            dropped: staging.create("origin/dropped.jsonl")?,
        })
    }

    fn place(&mut self, placed: &Placed) -> Result<(), DatasetError> {
        match placed {
            Placed::Row { side, line, about } => {
                let files = match (side, &mut self.test) {
                    (Side::Train, _) => &mut self.train,
                    (Side::Test, Some(test)) => test,
                    (Side::Test, empty @ None) => {
                        empty.insert(Files::new(self.staging, Side::Test)?)
                    }
                };
                files.data.line(line)?;
                Ok(files.origin.line(about)?)
            }
            Placed::Dropped { about, .. } => Ok(self.dropped.line(about)?),
            Placed::Paired | Placed::Skipped(_) => Ok(()),
        }
    }

    fn finish(self) -> Result<Vec<FileReceipt>, DatasetError> {
        let mut files = Vec::new();
        for side in [Some(self.train), self.test].into_iter().flatten() {
            files.push(side.data.finish()?);
            files.push(side.origin.finish()?);
        }
        files.push(self.dropped.finish()?);
        Ok(files)
    }
}
