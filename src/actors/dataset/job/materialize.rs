//! Journal to scored tasks: two readings, one new folder.

use serde_json::{Value, json};

use super::{DatasetError, DatasetPaths, RECEIPT, TICK_LINES, encode, pretty, receipt};
use crate::engines::dataset::{FORMAT_VERSION, Join, Recipe, Step};
use crate::storage::dataset_store::{DatasetStore, FileReceipt, Staging, hash_file, sha256};
use crate::storage::evidence_log::{
    self, Chain, Changes, EvidenceLogError, GENESIS, Segment, VerifyReport,
};

/// Problems of the chain that a receipt names; the rest is counted.
const PROBLEMS_SHOWN: usize = 5;

/// Each line is read so often.
const READINGS: u64 = 2;

/// Readings of a journal whose files are replaced meanwhile.
const TRIES: usize = 3;

/// Materializes what the journal holds now. All readings must see the same files: when an erasure or retention changed
/// them meanwhile, it begins anew.
pub(super) fn run(
    paths: &DatasetPaths,
    store: &DatasetStore,
    force: bool,
    tick: &mut dyn FnMut(),
) -> Result<Value, DatasetError> {
    for last in (0..TRIES).map(|at| at + 1 == TRIES) {
        let before = Changes::read(&paths.evidence)?;
        let prepared = prepare(paths, store, force, tick);
        let after = Changes::read(&paths.evidence)?;
        // One that cannot be completed must not keep anybody from reading.
        if before == after && (before.pending.is_none() || last) {
            let (receipt, staging) = prepared?;
            let unchanged = staging.is_none();
            if let Some(staging) = staging {
                staging.commit()?;
            }
            return Ok(reply(receipt, store, unchanged));
        }
    }
    Err(EvidenceLogError::Replaced.into())
}

/// Makes the folder, up to putting it in its place; of one that would be the same again only the receipt.
fn prepare(
    paths: &DatasetPaths,
    store: &DatasetStore,
    force: bool,
    tick: &mut dyn FnMut(),
) -> Result<(Value, Option<Staging>), DatasetError> {
    let recipe = Recipe::parse(&paths.recipe)?;
    let recipe_sha256 = sha256(&paths.recipe);
    let mut chain = Chain::new(&paths.evidence)?;
    let segments = evidence_log::segments(&paths.evidence)?;
    let inputs = segments
        .iter()
        .map(|segment| hash_file(&paths.evidence, &segment.name, segment.bytes, tick))
        .collect::<Result<Vec<_>, _>>()?;
    let rows: u64 = inputs.iter().map(|input| input.rows).sum();
    paths.progress.expect(READINGS * rows);
    let inputs = json!(inputs);
    if !force && let Some(receipt) = unchanged(store, &recipe_sha256, &inputs, tick)? {
        return Ok((receipt, None));
    }
    let mut join = Join::default();
    read(paths, &segments, tick, |line| {
        chain.line(&line);
        join.gather(&line);
        Ok(())
    })?;
    let chain = chain.finish(segments.len() as u64);
    let staging = store.stage(&store.tasks())?;
    let mut tasks = staging.create("tasks.jsonl")?;
    let mut quarantine = staging.create("quarantine.jsonl")?;
    let mut head = (0, GENESIS.to_owned());
    read(paths, &segments, tick, |line| {
        if let Ok(record) = &line.record {
            head = (record.seq, record.hash.clone());
        }
        match join.step(line, &recipe) {
            Step::Task(task) => tasks.line(&encode(&task)?)?,
            Step::Quarantined(aside) => quarantine.line(&encode(&aside)?)?,
            Step::Counted => {}
        }
        Ok(())
    })?;
    let receipt = json!({
        "format": FORMAT_VERSION,
        "job": "materialize",
        "as_of_ms": join.newest_ts(),
        "recipe": {"version": recipe.version, "sha256": recipe_sha256},
        "journal": {"head": {"seq": head.0, "hash": head.1}, "segments": inputs},
        "chain": shown(&chain),
        "counts": join.counts(),
        "outcomes": join.outcomes(),
        "feedback_without_task": join.feedback_without_task(),
        "outputs": [tasks.finish()?, quarantine.finish()?],
    });
    staging.write(RECEIPT, &pretty(&receipt))?;
    Ok((receipt, Some(staging)))
}

/// What the receipt says of the chain.
fn shown(chain: &VerifyReport) -> Value {
    let problem = |one: &evidence_log::Problem| {
        json!({
            "kind": one.kind,
            "segment": one.file,
            "line": one.line,
            "seq": one.seq,
            "message": one.message,
        })
    };
    let problems = chain.problems.iter().take(PROBLEMS_SHOWN).map(problem);
    json!({
        "intact": chain.intact,
        "problem_count": chain.problem_count,
        "problems": problems.collect::<Vec<_>>(),
    })
}

fn reply(mut receipt: Value, store: &DatasetStore, unchanged: bool) -> Value {
    let chain = &receipt["chain"];
    if chain["intact"] == false {
        let (count, first) = (&chain["problem_count"], &chain["problems"][0]);
        tracing::error!(%count, %first, "the evidence journal's chain is broken");
    }
    receipt["unchanged"] = unchanged.into();
    receipt["path"] = store.tasks().display().to_string().into();
    receipt
}

/// Reads the journal as far as it went when the segments were listed.
fn read(
    paths: &DatasetPaths,
    segments: &[Segment],
    tick: &mut dyn FnMut(),
    mut each: impl FnMut(evidence_log::JournalLine) -> Result<(), DatasetError>,
) -> Result<(), DatasetError> {
    let lines = evidence_log::records(&paths.evidence, segments.to_vec());
    for (at, line) in (0_u64..).zip(lines) {
        if at.is_multiple_of(TICK_LINES) {
            tick();
            paths.progress.step(TICK_LINES)?;
        }
        each(line?)?;
    }
    Ok(())
}

/// The receipt of the last run, when it would be the same again and its files are as they were.
fn unchanged(
    store: &DatasetStore,
    recipe_sha256: &str,
    inputs: &Value,
    tick: &mut dyn FnMut(),
) -> Result<Option<Value>, DatasetError> {
    let dir = store.tasks();
    let Some(receipt) = receipt(&dir) else {
        return Ok(None);
    };
    let same = receipt["format"] == FORMAT_VERSION
        && receipt["recipe"]["sha256"] == recipe_sha256
        && receipt["journal"]["segments"] == *inputs;
    let outputs = serde_json::from_value::<Vec<FileReceipt>>(receipt["outputs"].clone());
    let Ok(outputs) = outputs else {
        return Ok(None);
    };
    if !same {
        return Ok(None);
    }
    for output in outputs {
        let known = ["tasks.jsonl", "quarantine.jsonl"].contains(&output.path.as_str());
        if !known || !dir.join(&output.path).is_file() {
            return Ok(None);
        }
        if hash_file(&dir, &output.path, u64::MAX, tick)? != output {
            return Ok(None);
        }
    }
    Ok(Some(receipt))
}
