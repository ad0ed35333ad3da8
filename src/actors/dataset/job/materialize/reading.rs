//! The journals' lines read on several threads: once for their facts, then those of tasks for their contents.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::super::ordered::{Came, ordered};
use super::checkpoint::{Facts, Frame, Made};
use super::merging;
use super::partitions::{Partitions, Written};
use super::{DatasetError, DatasetPaths, encode, rows};
use crate::engines::dataset::{ChatIndex, Day, Fact, Join, Quarantined, Recipe, Source};
use crate::storage::dataset_store::{
    DatasetStoreError, FileReceipt, HashedFile, Staging, hash_parts,
};
use crate::storage::evidence_log::{
    BadLine, Chain, EvidenceLogError, GENESIS, JournalLine, Segment, Span,
};

/// Bytes of the journal that one thread reads at a time; in tests less than two lines.
const SPAN_BYTES: u64 = if cfg!(test) { 1500 } else { 256 * 1024 };
const THREAD: &str = "materialize";

/// Hashes files, those of `parts` also up to a length of their own: name, that length, length.
pub(super) fn hash(
    paths: &DatasetPaths,
    dir: &Path,
    parts: &[(String, u64, u64)],
    tick: &mut dyn FnMut(),
) -> Result<Vec<(FileReceipt, FileReceipt)>, DatasetError> {
    let read = AtomicU64::new(0);
    let work = |(path, cut, bytes): &(String, u64, u64)| -> Result<_, DatasetStoreError> {
        let mut told = || {
            read.fetch_add(1, Ordering::Relaxed);
        };
        hash_parts(dir, path, *cut, *bytes, &mut told)
    };
    let (mut sums, mut before) = (Vec::new(), 0);
    ordered((THREAD, paths.threads), parts, work, |came| {
        // A sign of life only when there was one.
        let now = read.load(Ordering::Relaxed);
        if now > before {
            before = now;
            tick();
            paths.progress.step(0)?;
        }
        if let Came::Result(_, sum) = came {
            sums.push(sum?);
        }
        Ok(())
    })?;
    Ok(sums)
}

/// The lines of a span that are completions, so that the second reading passes over the others.
pub(super) struct Chunk {
    source: Source,
    span: Span,
    days: BTreeSet<Day>,
    /// A bit for each line.
    chats: Vec<u64>,
    /// Of each completion.
    indices: Vec<ChatIndex>,
    pub(super) lines: u64,
}

impl Chunk {
    /// Before the facts of a span are gathered.
    pub(super) fn begin(source: Source, span: Span, lines: usize) -> Self {
        Self {
            source,
            span,
            days: BTreeSet::new(),
            chats: vec![0; lines.div_ceil(64)],
            indices: Vec::new(),
            lines: lines as u64,
        }
    }

    /// Gathers the fact of its line `at`.
    pub(super) fn gather(&mut self, at: usize, fact: Fact, join: &mut Join) {
        let Some(index) = join.gather(self.source, fact) else {
            return;
        };
        self.indices.push(index);
        self.days.extend(join.day(index));
        if let Some(bits) = self.chats.get_mut(at / 64) {
            *bits |= 1 << (at % 64);
        }
    }

    fn is_chat(&self, at: usize) -> bool {
        let bits = self.chats.get(at / 64).copied().unwrap_or_default();
        bits >> (at % 64) & 1 == 1
    }

    /// Its first completion.
    pub(super) fn first(&self) -> Option<ChatIndex> {
        self.indices.first().copied()
    }

    /// Whether it has completions of one of these days.
    pub(super) fn has_any(&self, days: &BTreeMap<Day, u64>) -> bool {
        self.days.iter().any(|day| days.contains_key(day))
    }
}

/// The lines of all journals until now.
pub(super) struct Read {
    pub(super) join: Join,
    pub(super) chunks: Vec<Chunk>,
}

impl Read {
    /// Gathers the facts of a span, where its journal is the only one.
    pub(super) fn gather(&mut self, frame: Frame) {
        let mut chunk = Chunk::begin(0, frame.span, frame.facts.len());
        for (at, fact) in frame.facts.into_iter().enumerate() {
            chunk.gather(at, fact, &mut self.join);
        }
        self.chunks.push(chunk);
    }
}

/// The lines of a journal until now.
pub(super) struct Lines<'a> {
    pub(super) replica: Option<&'a str>,
    pub(super) dir: &'a Path,
    pub(super) chain: Chain,
    /// Number and hash of the last record.
    pub(super) head: (u64, String),
    pub(super) facts: Facts,
    /// Lines that were put aside.
    pub(super) quarantined: u64,
}

impl Lines<'_> {
    /// Before the first line: its head.
    pub(super) fn no_head() -> (u64, String) {
        (0, GENESIS.to_owned())
    }
}

/// Reads spans of a journal for their facts; `lines` of the first one's file stand before it. `alone` gathers them, where there
/// is no other journal.
pub(super) fn first(
    paths: &DatasetPaths,
    (spans, mut lines): (&[Span], u64),
    journal: &mut Lines<'_>,
    (mut alone, quarantine): (Option<&mut Read>, &mut HashedFile),
    tick: &mut dyn FnMut(),
) -> Result<(), DatasetError> {
    let dir = journal.dir;
    let work = |span: &Span| facts_of(dir, span);
    let mut file = spans.first().map(|span| span.segment.clone());
    ordered((THREAD, paths.threads), spans, work, |came| {
        let Came::Result(span, found) = came else {
            return Ok(());
        };
        if file.as_ref() != Some(&span.segment) {
            (file, lines) = (Some(span.segment.clone()), 0);
        }
        let found = found?;
        let mut frame = Frame {
            span: span.clone(),
            facts: Vec::with_capacity(found.len()),
        };
        for (mut line, fact, bad) in found {
            lines += 1;
            line.line = lines;
            if let Ok(record) = &line.record {
                journal.head = (record.seq, record.hash.clone());
            }
            journal.chain.line(&line);
            if let Some(bad) = bad {
                let aside = Quarantined::new(journal.replica, &line, bad);
                quarantine.line(&encode(&aside)?)?;
                journal.quarantined += 1;
            }
            frame.facts.push(fact);
        }
        journal.facts.add(&frame)?;
        let lines = frame.facts.len() as u64;
        if let Some(read) = &mut alone {
            read.gather(frame);
        }
        tick();
        paths.progress.step(lines)
    })
}

type Found = (JournalLine, Fact, Option<BadLine>);

fn facts_of(dir: &Path, span: &Span) -> Result<Vec<Found>, EvidenceLogError> {
    let lines = span.records(dir)?;
    lines
        .map(|line| {
            let mut line = line?;
            let (fact, bad) = Fact::of(&line);
            // The chain needs no other content than that of its own records.
            if let Ok(record) = &mut line.record
                && !record.kind.is_of_the_journal()
            {
                record.body = Value::Null;
            }
            Ok((line, fact, bad))
        })
        .collect()
}

/// Reads the chunks that have completions of `days` and writes their tasks, in the order of the completions. `dirs` are the
/// journals'.
///
/// Errors: [`EvidenceLogError::Replaced`] when they are not what they were.
pub(super) fn second(
    paths: &DatasetPaths,
    (dirs, read): (&[&Path], &Read),
    recipe: &Recipe,
    (staging, days): (&Staging, BTreeMap<Day, u64>),
    tick: &mut dyn FnMut(),
) -> Result<BTreeMap<String, Made>, DatasetError> {
    let mut chunks: Vec<&Chunk> = read
        .chunks
        .iter()
        .filter(|chunk| chunk.has_any(&days))
        .collect();
    // Those of one journal are in this order already.
    chunks.sort_by_key(|chunk| chunk.first());
    paths
        .progress
        .left(chunks.iter().map(|chunk| chunk.lines).sum());
    let wanted = days.clone();
    let work = |chunk: &&Chunk| {
        let dir = dirs.get(usize::from(chunk.source)).copied();
        let dir = dir.ok_or(EvidenceLogError::Replaced)?;
        tasks_of((paths, dir), (&read.join, recipe), chunk, &wanted)
    };
    let mut partitions = Partitions::new(paths, staging, days);
    let mut begins = chunks.iter().skip(1).map(|chunk| chunk.first());
    let mut waiting = merging::InOrder::default();
    ordered((THREAD, paths.threads), &chunks, work, |came| {
        let Came::Result(chunk, tasks) = came else {
            return Ok(());
        };
        waiting.add(tasks?);
        // Of several journals one's chunk may reach far beyond where another one's begins.
        let next = begins.next().flatten().unwrap_or(ChatIndex::MAX);
        for task in waiting.before(next) {
            partitions.add(&task)?;
        }
        tick();
        paths.progress.step(chunk.lines)
    })?;
    for task in waiting.rest() {
        partitions.add(&task)?;
    }
    let made = partitions.finish();
    made.ok_or_else(|| EvidenceLogError::Replaced.into())
}

fn tasks_of(
    (paths, dir): (&DatasetPaths, &Path),
    (join, recipe): (&Join, &Recipe),
    chunk: &Chunk,
    days: &BTreeMap<Day, u64>,
) -> Result<Vec<(ChatIndex, Written)>, DatasetError> {
    let mut lines = chunk.span.records(dir)?;
    let mut tasks = Vec::new();
    let mut indices = chunk.indices.iter().copied();
    for at in 0..usize::try_from(chunk.lines).unwrap_or(usize::MAX) {
        let own = chunk.is_chat(at).then(|| indices.next()).flatten();
        let wanted = |index: &ChatIndex| {
            let day = join.day(*index).filter(|day| days.contains_key(day));
            day.filter(|_| join.is_task(*index))
        };
        let Some((index, day)) = own.and_then(|index| Some((index, wanted(&index)?))) else {
            lines.pass_over()?;
            continue;
        };
        let line = lines.next().transpose()?;
        let record = line.and_then(|line| line.record.ok());
        let record = record.ok_or(EvidenceLogError::Replaced)?;
        let task = join.task(index, (chunk.source, record), recipe);
        let task = task.map_err(|_| EvidenceLogError::Replaced)?;
        let (outcome, line) = (task.outcome, encode(&task)?);
        let row = paths.parquet.then(|| rows::row(task)).transpose();
        let written = Written {
            day,
            outcome,
            line,
            row: row.map_err(DatasetError::Encode)?,
        };
        tasks.push((index, written));
    }
    Ok(tasks)
}

/// The spans of what is new, and how many lines of the first one's file stand before it.
pub(super) fn new_spans(
    dir: &Path,
    segments: &[Segment],
    before: &[FileReceipt],
) -> Result<(Vec<Span>, u64), EvidenceLogError> {
    let last = before.len().saturating_sub(1);
    let (from, lines) = before.last().map_or((0, 0), |last| (last.bytes, last.rows));
    let new = segments.get(last..).unwrap_or_default();
    let spans = crate::storage::evidence_log::spans(dir, new, from, SPAN_BYTES)?;
    let goes_on = spans.first().map(|span| span.offset) == Some(from);
    Ok((spans, if goes_on { lines } else { 0 }))
}
