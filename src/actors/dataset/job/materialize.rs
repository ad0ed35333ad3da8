//! Journals to scored tasks: two readings, one new folder.
//!
//! There is one journal, or one for each replica that was pulled and this process's own: tasks are joined across them.
//!
//! What an earlier run knew of the lines before is in its [`checkpoint`]: then only the new lines are read for their facts,
//! and only days that these touch are written. The files are the same as those of a run from nothing, at any number of
//! threads.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::{DatasetError, DatasetPaths, RECEIPT, encode, pretty, receipt};
use crate::engines::dataset::{Day, FORMAT_VERSION, Join, Outcome, Recipe};
use crate::storage::dataset_store::{
    DatasetStore, FileReceipt, HashedFile, HashedLines, Staging, sha256, task_files,
};
use crate::storage::evidence_log::{self, Chain, Changes, EvidenceLogError, Segment, VerifyReport};
use crate::storage::replicas::JournalOf;
use checkpoint::{Checkpoint, Covered, Facts, Frames, Made, Terms};
use reading::{Lines, Read};

mod checkpoint;
mod merging;
mod partitions;
mod reading;
#[cfg(test)]
mod replica_tests;
mod rows;
#[cfg(test)]
mod tests;

/// Problems of the chain that a receipt names; the rest is counted.
const PROBLEMS_SHOWN: usize = 5;
/// Readings of a journal whose files are replaced meanwhile.
const TRIES: usize = 3;
const QUARANTINE: &str = "quarantine.jsonl";

/// Materializes what the journals hold now. All readings must see the same files: when an erasure or retention changed
/// them meanwhile, it begins anew.
pub(super) fn run(
    paths: &DatasetPaths,
    store: &DatasetStore,
    force: bool,
    tick: &mut dyn FnMut(),
) -> Result<Value, DatasetError> {
    for last in (0..TRIES).map(|at| at + 1 == TRIES) {
        let (journals, before) = state(paths)?;
        let prepared = prepare(paths, &journals, store, force, tick);
        let after = state(paths)?;
        let pending = before.iter().any(|changes| changes.pending.is_some());
        // One that cannot be completed must not keep anybody from reading.
        if (&journals, &before) == (&after.0, &after.1) && (!pending || last) {
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

/// The journals that there are, and what was done to their files.
fn state(paths: &DatasetPaths) -> Result<(Vec<JournalOf>, Vec<Changes>), DatasetError> {
    let journals = paths.replicas.journals(&paths.evidence)?;
    let changes = journals.iter().map(|journal| Changes::read(&journal.dir));
    let changes = changes.collect::<Result<_, _>>()?;
    Ok((journals, changes))
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

/// A journal with its files as far as they are read.
struct Input<'a> {
    of: &'a JournalOf,
    segments: Vec<Segment>,
    /// The same files, hashed.
    hashed: Vec<FileReceipt>,
}

impl Input<'_> {
    fn replica(&self) -> Option<&str> {
        self.of.replica.as_deref()
    }
}

fn prepare(
    paths: &DatasetPaths,
    journals: &[JournalOf],
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
    let inputs = journals.iter().map(|of| Input {
        of,
        segments: Vec::new(),
        hashed: Vec::new(),
    });
    let mut inputs: Vec<_> = inputs.collect();
    let kept = match force {
        true => None,
        false => Kept::read(&inputs, store, terms)?,
    };
    let kept = match kept {
        Some(kept) if kept.is_as_written(paths, store, tick)? => Some(kept),
        _ => None,
    };
    let (kept, chains) = hash(paths, &mut inputs, kept, tick)?;
    let told = inputs.iter().map(|input| json!(input.hashed));
    let told = Value::Array(told.collect());
    if let Some(kept) = &kept
        && kept.is_all_of(&inputs)
        && let Some(receipt) = receipt(&store.tasks())
        && segments_of(&receipt, &inputs) == told
    {
        return Ok(Prepared {
            receipt,
            staging: None,
            lines: 0,
            partitions: 0,
        });
    }
    let rows = inputs.iter().flat_map(|input| &input.hashed);
    let rows: u64 = rows.map(|segment| segment.rows).sum();
    let new_lines = rows - kept.as_ref().map_or(0, Kept::lines);
    paths.progress.expect(2 * new_lines);
    let staging = store.stage(&store.tasks())?;
    let stores = (&staging, store);
    let (read, journals, quarantine) =
        gather(paths, stores, (&inputs, chains), kept.as_ref(), tick)?;
    let (journals, chains): (Vec<_>, Vec<_>) = journals.into_iter().unzip();
    let (counts, days) = read.join.counts();
    let digests = read.join.digests();
    let mut made = reused(&staging, kept, &digests)?;
    let left = days
        .into_iter()
        .filter(|(day, _)| !made.contains_key(&day.to_string()));
    let dirs: Vec<&Path> = inputs.iter().map(|input| input.of.dir.as_path()).collect();
    let written = reading::second(
        paths,
        (&dirs, &read),
        &recipe,
        (&staging, left.collect()),
        tick,
    )?;
    let partitions = written.len() as u64;
    made.extend(written);
    for (day, digest) in digests {
        if let Some(made) = made.get_mut(&day.to_string()) {
            made.digest = digest;
        }
    }
    let mut outputs: Vec<&FileReceipt> = made.values().flat_map(|made| &made.files).collect();
    outputs.push(&quarantine);
    let mut receipt = json!({
        "format": FORMAT_VERSION,
        "job": "materialize",
        "as_of_ms": read.join.newest_ts(),
        "recipe": {"version": recipe.version, "sha256": recipe_sha256},
        "journal": {"head": {"seq": 0, "hash": evidence_log::GENESIS}, "segments": []},
        "chain": {"intact": true, "problem_count": 0, "problems": []},
        "counts": counts,
        "outcomes": outcomes(&made),
        "feedback_without_task": read.join.feedback_without_task(),
        "outputs": outputs,
    });
    tell(&mut receipt, &inputs, &journals, chains);
    Checkpoint::write(&staging, terms, journals, made, quarantine)?;
    staging.write(RECEIPT, &pretty(&receipt))?;
    Ok(Prepared {
        receipt,
        staging: Some(staging),
        lines: new_lines,
        partitions,
    })
}

/// Says in the receipt what was read of each journal: this process's own stands where the only one stands.
fn tell(receipt: &mut Value, inputs: &[Input<'_>], covered: &[Covered], chains: Vec<Chain>) {
    let mut replicas = Vec::new();
    for ((input, covered), chain) in inputs.iter().zip(covered).zip(chains) {
        let (seq, hash) = &covered.head;
        let journal = json!({"head": {"seq": seq, "hash": hash}, "segments": covered.segments});
        let chain = shown(&chain.finish(input.segments.len() as u64));
        if input.of.own {
            if let Some(replica) = &input.of.replica {
                receipt["replica"] = replica.clone().into();
            }
            receipt["journal"] = journal;
            receipt["chain"] = chain;
        } else {
            replicas.push(json!({
                "replica": input.of.replica, "journal": journal, "chain": chain,
            }));
        }
    }
    if !replicas.is_empty() {
        receipt["replicas"] = replicas.into();
    }
}

/// What a receipt says of the files of these journals.
fn segments_of(receipt: &Value, inputs: &[Input<'_>]) -> Value {
    let mut others = receipt["replicas"].as_array().into_iter().flatten();
    let segments = inputs.iter().map(|input| {
        let journal = match input.of.own {
            true => &receipt["journal"],
            false => others.next().map_or(&Value::Null, |one| &one["journal"]),
        };
        journal["segments"].clone()
    });
    segments.collect()
}

/// What the journals say, how far each was read, and what is in quarantine.
type Gathered = (Read, Vec<(Covered, Chain)>, FileReceipt);

/// First reading: what the journals say, and which of their lines are none. Each journal's chain goes on from where it is.
fn gather(
    paths: &DatasetPaths,
    (staging, store): (&Staging, &DatasetStore),
    (inputs, chains): (&[Input<'_>], Vec<Chain>),
    kept: Option<&Kept>,
    tick: &mut dyn FnMut(),
) -> Result<Gathered, DatasetError> {
    let names: Vec<Option<String>> = inputs.iter().map(|one| one.of.replica.clone()).collect();
    let mut read = Read {
        join: Join::of(names.iter().flatten().cloned().collect()),
        chunks: Vec::new(),
    };
    let alone = inputs.len() == 1;
    let mut quarantine = staging.create(QUARANTINE)?;
    let mut aside = match kept {
        Some(_) => Some(HashedLines::open(&store.tasks(), QUARANTINE)?),
        None => None,
    };
    let mut journals = Vec::new();
    for (input, chain) in inputs.iter().zip(chains) {
        let of = input.of;
        let (replica, segments) = (of.replica.as_deref(), input.segments.as_slice());
        let mut lines = Lines {
            replica,
            dir: &of.dir,
            chain,
            head: Lines::no_head(),
            facts: Facts::create(staging, replica)?,
            quarantined: 0,
        };
        let before = kept.and_then(|kept| kept.of(replica));
        if let Some(before) = before {
            recall(store, before, &mut lines, alone.then_some(&mut read), tick)?;
            copy(aside.as_mut(), before.quarantined, &mut quarantine)?;
        }
        let before = before.map_or(&[][..], |before| &before.segments);
        let (spans, at) = reading::new_spans(&of.dir, segments, before)?;
        let gathering = (alone.then_some(&mut read), &mut quarantine);
        reading::first(paths, (&spans, at), &mut lines, gathering, tick)?;
        let rows = input.hashed.iter().map(|segment| segment.rows).sum();
        let covered = Covered {
            replica: of.replica.clone(),
            segments: input.hashed.clone(),
            chain: lines.chain.keep().map_err(DatasetError::Encode)?,
            head: lines.head,
            quarantined: lines.quarantined,
            facts: lines.facts.finish(rows)?,
        };
        journals.push((covered, lines.chain));
    }
    if !alone {
        merging::merge(staging.dir(), &names, &mut read, tick)?;
    }
    Ok((read, journals, quarantine.finish()?))
}

/// What an earlier run left.
struct Kept {
    checkpoint: Checkpoint,
}

impl Kept {
    /// Takes it; `None` when it does not go on.
    fn read(
        inputs: &[Input<'_>],
        store: &DatasetStore,
        terms: Terms<'_>,
    ) -> Result<Option<Self>, DatasetError> {
        let Some(checkpoint) = Checkpoint::read(&store.tasks(), terms) else {
            return Ok(None);
        };
        // Of a journal that is not read any more nothing may be left.
        let is_read = |covered: &Covered| {
            let mut replicas = inputs.iter().map(Input::replica);
            replicas.any(|replica| replica == covered.replica.as_deref())
        };
        let goes_on = checkpoint.journals.iter().all(is_read);
        Ok(goes_on.then_some(Self { checkpoint }))
    }

    /// What was read of a replica's journal.
    fn of(&self, replica: Option<&str>) -> Option<&Covered> {
        let mut journals = self.checkpoint.journals.iter();
        journals.find(|one| one.replica.as_deref() == replica)
    }

    /// Lines that were read.
    fn lines(&self) -> u64 {
        self.checkpoint.journals.iter().map(Covered::lines).sum()
    }

    /// Whether nothing is new.
    fn is_all_of(&self, inputs: &[Input<'_>]) -> bool {
        let covered = &self.checkpoint.journals;
        let read = |(input, one): (&Input<'_>, &Covered)| {
            input.replica() == one.replica.as_deref() && input.hashed == one.segments
        };
        covered.len() == inputs.len() && inputs.iter().zip(covered).all(read)
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

/// Lists and hashes the journals' segments. An earlier run's work is good only for journals that begin as they did then: it
/// goes on from each chain as that was.
fn hash(
    paths: &DatasetPaths,
    inputs: &mut [Input<'_>],
    kept: Option<Kept>,
    tick: &mut dyn FnMut(),
) -> Result<(Option<Kept>, Vec<Chain>), DatasetError> {
    let (mut same, mut fresh, mut resumed) = (true, Vec::new(), Vec::new());
    for input in inputs {
        let kept = kept.as_ref().and_then(|kept| kept.of(input.replica()));
        // Before the segments are listed: what is written meanwhile would seem to be missing.
        fresh.push(Chain::new(&input.of.dir)?);
        resumed.push(match kept {
            Some(kept) => Chain::resume(&input.of.dir, &kept.chain)?,
            None => Some(Chain::new(&input.of.dir)?),
        });
        input.segments = evidence_log::segments(&input.of.dir)?;
        let before = kept.map_or(&[][..], |kept| &kept.segments);
        let parts: Vec<_> = input
            .segments
            .iter()
            .enumerate()
            .map(|(at, segment)| {
                let cut = before.get(at).map_or(0, |before| before.bytes);
                (segment.name.clone(), cut, segment.bytes)
            })
            .collect();
        let sums = reading::hash(paths, &input.of.dir, &parts, tick)?;
        let begins = sums.iter().map(|(begin, _)| begin);
        let last = before.len().saturating_sub(1);
        same &= before.len() <= sums.len()
            && before.iter().zip(begins).all(|(before, begin)| before == begin)
            // Only the last one may have grown.
            && sums.iter().take(last).all(|(begin, whole)| begin == whole);
        input.hashed = sums.into_iter().map(|(_, whole)| whole).collect();
    }
    let resumed: Option<Vec<Chain>> = resumed.into_iter().collect();
    Ok(match (kept, resumed) {
        (Some(kept), Some(resumed)) if same => (Some(kept), resumed),
        _ => (None, fresh),
    })
}

/// Takes over what an earlier run knew of a journal.
fn recall(
    store: &DatasetStore,
    covered: &Covered,
    lines: &mut Lines<'_>,
    mut alone: Option<&mut Read>,
    tick: &mut dyn FnMut(),
) -> Result<(), DatasetError> {
    for frame in Frames::open(&store.tasks(), lines.replica)? {
        let frame = frame?;
        lines.facts.add(&frame)?;
        if let Some(read) = &mut alone {
            read.gather(frame);
        }
        tick();
    }
    lines.head = covered.head.clone();
    lines.quarantined = covered.quarantined;
    Ok(())
}

/// Takes over the next lines that were put aside.
fn copy(
    from: Option<&mut HashedLines>,
    lines: u64,
    to: &mut HashedFile,
) -> Result<(), DatasetError> {
    let Some(from) = from else {
        return Ok(());
    };
    let mut line = Vec::new();
    for _ in 0..lines {
        if !from.next(&mut line)? {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        to.line(text.trim_end_matches('\n'))?;
    }
    Ok(())
}

/// Takes over the days that nothing new is said of.
fn reused(
    staging: &Staging,
    kept: Option<Kept>,
    digests: &BTreeMap<Day, String>,
) -> Result<BTreeMap<String, Made>, DatasetError> {
    let mut made = kept.map(|kept| kept.checkpoint.days).unwrap_or_default();
    let digests = digests
        .iter()
        .map(|(day, digest)| (day.to_string(), digest));
    let digests: BTreeMap<String, &String> = digests.collect();
    made.retain(|date, made| digests.get(date) == Some(&&made.digest));
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
    let others = receipt["replicas"].as_array().into_iter().flatten();
    for of in others.chain([&receipt]) {
        let (chain, replica) = (&of["chain"], of["replica"].as_str().unwrap_or_default());
        if chain["intact"] == false {
            let (count, first) = (&chain["problem_count"], &chain["problems"][0]);
            tracing::error!(replica, %count, %first, "the evidence journal's chain is broken");
        }
    }
    receipt["unchanged"] = unchanged.into();
    receipt["lines_read"] = prepared.lines.into();
    receipt["partitions_written"] = prepared.partitions.into();
    receipt["path"] = store.tasks().display().to_string().into();
    receipt
}
