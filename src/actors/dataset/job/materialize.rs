//! Journal to scored tasks: two readings, one new folder.
//!
//! What an earlier run knew of the lines before is in its [`checkpoint`]: then only the new lines are read for their facts,
//! and only days that these touch are written. The files are the same as those of a run from nothing, at any number of
//! threads.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{DatasetError, DatasetPaths, RECEIPT, encode, pretty, receipt};
use crate::engines::dataset::{FORMAT_VERSION, Outcome, Recipe};
use crate::storage::dataset_store::{
    DatasetStore, FileReceipt, HashedFile, HashedLines, Staging, sha256, task_files,
};
use crate::storage::evidence_log::{self, Chain, Changes, EvidenceLogError, Segment, VerifyReport};
use checkpoint::{Checkpoint, Covered, Facts, Frames, Made, Terms};
use reading::{Chunk, Read};

mod checkpoint;
mod partitions;
mod reading;
mod rows;
#[cfg(test)]
mod tests;

/// Problems of the chain that a receipt names; the rest is counted.
const PROBLEMS_SHOWN: usize = 5;
/// Readings of a journal whose files are replaced meanwhile.
const TRIES: usize = 3;
const QUARANTINE: &str = "quarantine.jsonl";

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
            let mut prepared = prepared?;
            let staging = prepared.staging.take();
            let unchanged = staging.is_none();
            if let Some(staging) = staging {
                staging.commit()?;
            }
            return Ok(reply(prepared, store, unchanged));
        }
    }
    Err(EvidenceLogError::Replaced.into())
}

/// A folder up to putting it in its place.
struct Prepared {
    receipt: Value,
    /// `None` when it would be the same again.
    staging: Option<Staging>,
    /// Lines that were read for their facts.
    lines: u64,
    /// Days that were written.
    partitions: u64,
}

fn prepare(
    paths: &DatasetPaths,
    store: &DatasetStore,
    force: bool,
    tick: &mut dyn FnMut(),
) -> Result<Prepared, DatasetError> {
    let recipe = Recipe::parse(&paths.recipe)?;
    let recipe_sha256 = sha256(&paths.recipe);
    let terms = Terms {
        recipe_sha256: &recipe_sha256,
        parquet: paths.parquet,
    };
    // Before the segments are listed: what is written meanwhile would seem to be missing.
    let chain = Chain::new(&paths.evidence)?;
    let kept = match force {
        true => None,
        false => Kept::read(paths, store, terms)?,
    };
    let segments = evidence_log::segments(&paths.evidence)?;
    let (inputs, kept) = hash(paths, &segments, kept, tick)?;
    let known = kept.as_ref().map_or(0, |kept| kept.checkpoint.lines());
    let rows: u64 = inputs.iter().map(|input| input.rows).sum();
    let kept = match kept {
        Some(kept) if kept.is_as_written(paths, store, tick)? => Some(kept),
        _ => None,
    };
    if let Some(kept) = &kept
        && kept.checkpoint.segments == inputs
        && let Some(receipt) = receipt(&store.tasks())
        && receipt["journal"]["segments"] == json!(inputs)
    {
        return Ok(Prepared {
            receipt,
            staging: None,
            lines: 0,
            partitions: 0,
        });
    }
    let new_lines = rows - if kept.is_some() { known } else { 0 };
    paths.progress.expect(2 * new_lines);
    let staging = store.stage(&store.tasks())?;
    let mut facts = Facts::create(&staging)?;
    let mut quarantine = staging.create(QUARANTINE)?;
    let (mut read, kept) = match kept {
        Some(kept) => {
            let Kept { checkpoint, chain } = kept;
            let mut read = Read::nothing(chain);
            recall(
                store,
                &checkpoint,
                &mut read,
                &mut facts,
                &mut quarantine,
                tick,
            )?;
            (read, Some(checkpoint))
        }
        None => (Read::nothing(chain), None),
    };
    let before = kept.as_ref().map_or(&[][..], |kept| &kept.segments);
    let (spans, lines) = reading::new_spans(paths, &segments, before)?;
    let files = (&mut facts, &mut quarantine);
    reading::first(paths, (&spans, lines), &mut read, files, tick)?;
    let (counts, days) = read.join.counts();
    let mut made = reused(&staging, kept, &read, &days)?;
    let left = days
        .into_iter()
        .filter(|(day, _)| !made.contains_key(&day.to_string()));
    let written = reading::second(paths, &read, &recipe, (&staging, left.collect()), tick)?;
    let partitions = written.len() as u64;
    made.extend(written);
    let quarantine = quarantine.finish()?;
    let mut outputs: Vec<&FileReceipt> = made.values().flat_map(|made| &made.files).collect();
    outputs.push(&quarantine);
    let chain = read.chain.keep().map_err(DatasetError::Encode)?;
    let head = read.head;
    let receipt = json!({
        "format": FORMAT_VERSION,
        "job": "materialize",
        "as_of_ms": read.join.newest_ts(),
        "recipe": {"version": recipe.version, "sha256": recipe_sha256},
        "journal": {"head": {"seq": head.0, "hash": head.1}, "segments": inputs},
        "chain": shown(&read.chain.finish(segments.len() as u64)),
        "counts": counts,
        "outcomes": outcomes(&made),
        "feedback_without_task": read.join.feedback_without_task(),
        "outputs": outputs,
    });
    let covered = Covered {
        segments: inputs,
        chain,
        head,
        days: made,
        quarantine,
    };
    facts.finish(&staging, terms, covered)?;
    staging.write(RECEIPT, &pretty(&receipt))?;
    Ok(Prepared {
        receipt,
        staging: Some(staging),
        lines: new_lines,
        partitions,
    })
}

/// What an earlier run left, with the chain as it was then.
struct Kept {
    checkpoint: Checkpoint,
    chain: Chain,
}

impl Kept {
    fn read(
        paths: &DatasetPaths,
        store: &DatasetStore,
        terms: Terms<'_>,
    ) -> Result<Option<Self>, DatasetError> {
        let Some(checkpoint) = Checkpoint::read(&store.tasks(), terms) else {
            return Ok(None);
        };
        let chain = Chain::resume(&paths.evidence, &checkpoint.chain)?;
        Ok(chain.map(|chain| Self { checkpoint, chain }))
    }

    /// Whether all files of the folder are as they were written.
    fn is_as_written(
        &self,
        paths: &DatasetPaths,
        store: &DatasetStore,
        tick: &mut dyn FnMut(),
    ) -> Result<bool, DatasetError> {
        let dir = store.tasks();
        let files: Vec<&FileReceipt> = self.checkpoint.files().collect();
        if !files.iter().all(|file| dir.join(&file.path).is_file()) {
            return Ok(false);
        }
        // A day that somebody put there would be read with the others.
        let known = |path: &String| files.iter().any(|file| file.path == *path);
        if !task_files(&dir)?.iter().all(known) {
            return Ok(false);
        }
        let parts: Vec<_> = files
            .iter()
            .map(|file| (file.path.clone(), 0, u64::MAX))
            .collect();
        let sums = reading::hash(paths, &dir, &parts, tick)?;
        let sums = sums.iter().map(|(_, sum)| &sum.sha256);
        Ok(files.iter().map(|file| &file.sha256).eq(sums))
    }
}

/// Hashes the segments; an earlier run's work is good only for a journal that begins as it did then.
fn hash(
    paths: &DatasetPaths,
    segments: &[Segment],
    kept: Option<Kept>,
    tick: &mut dyn FnMut(),
) -> Result<(Vec<FileReceipt>, Option<Kept>), DatasetError> {
    let before = kept
        .as_ref()
        .map_or(&[][..], |kept| &kept.checkpoint.segments);
    let parts: Vec<_> = segments
        .iter()
        .enumerate()
        .map(|(at, segment)| {
            let cut = before.get(at).map_or(0, |before| before.bytes);
            (segment.name.clone(), cut, segment.bytes)
        })
        .collect();
    let sums = reading::hash(paths, &paths.evidence, &parts, tick)?;
    let begins = sums.iter().map(|(begin, _)| begin);
    let last = before.len().saturating_sub(1);
    let same = before.len() <= sums.len()
        && before.iter().zip(begins).all(|(before, begin)| before == begin)
        // Only the last one may have grown.
        && sums.iter().take(last).all(|(begin, whole)| begin == whole);
    let inputs = sums.into_iter().map(|(_, whole)| whole).collect();
    Ok((inputs, kept.filter(|_| same)))
}

/// Gathers what an earlier run knew.
fn recall(
    store: &DatasetStore,
    checkpoint: &Checkpoint,
    read: &mut Read,
    facts: &mut Facts,
    quarantine: &mut HashedFile,
    tick: &mut dyn FnMut(),
) -> Result<(), DatasetError> {
    for frame in Frames::open(&store.tasks())? {
        let frame = frame?;
        facts.add(&frame)?;
        let chunk = Chunk::gather(frame, &mut read.join);
        read.chunks.push(chunk);
        tick();
    }
    read.join.begin_new();
    read.head = checkpoint.head.clone();
    let mut lines = HashedLines::open(&store.tasks(), QUARANTINE)?;
    let mut line = Vec::new();
    while lines.next(&mut line)? {
        let text = String::from_utf8_lossy(&line);
        quarantine.line(text.trim_end_matches('\n'))?;
    }
    Ok(())
}

/// Takes over the days that nothing new is said of.
fn reused(
    staging: &Staging,
    kept: Option<Checkpoint>,
    read: &Read,
    days: &BTreeMap<crate::engines::dataset::Day, u64>,
) -> Result<BTreeMap<String, Made>, DatasetError> {
    let mut made = kept.map(|kept| kept.days).unwrap_or_default();
    let touched = read.join.touched();
    let untouched: Vec<String> = days
        .keys()
        .filter(|day| !touched.contains(day))
        .map(ToString::to_string)
        .collect();
    made.retain(|date, _| untouched.contains(date));
    for file in made.values().flat_map(|made| &made.files) {
        staging.reuse(&file.path)?;
    }
    Ok(made)
}

/// Tasks by outcome, also those that have none.
fn outcomes(made: &BTreeMap<String, Made>) -> BTreeMap<&'static str, u64> {
    let of = |name: &str| {
        let counts = made.values().filter_map(|made| made.outcomes.get(name));
        counts.sum()
    };
    Outcome::ALL
        .iter()
        .map(|outcome| (outcome.name(), of(outcome.name())))
        .collect()
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

fn reply(prepared: Prepared, store: &DatasetStore, unchanged: bool) -> Value {
    let mut receipt = prepared.receipt;
    let chain = &receipt["chain"];
    if chain["intact"] == false {
        let (count, first) = (&chain["problem_count"], &chain["problems"][0]);
        tracing::error!(%count, %first, "the evidence journal's chain is broken");
    }
    receipt["unchanged"] = unchanged.into();
    receipt["lines_read"] = prepared.lines.into();
    receipt["partitions_written"] = prepared.partitions.into();
    receipt["path"] = store.tasks().display().to_string().into();
    receipt
}
