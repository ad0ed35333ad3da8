//! The journal's lines read on several threads: once for their facts, then those of tasks for their contents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::super::ordered::{Came, ordered};
use super::checkpoint::{Facts, Frame, Made};
use super::partitions::{Partitions, Written};
use super::{DatasetError, DatasetPaths, encode, rows};
use crate::engines::dataset::{ChatIndex, Day, Fact, Join, Quarantined, Recipe};
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
    dir: &std::path::Path,
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
    span: Span,
    days: BTreeSet<Day>,
    first: ChatIndex,
    /// A bit for each line.
    chats: Vec<u64>,
    pub(super) lines: u64,
}

impl Chunk {
    /// Gathers the facts of a span.
    pub(super) fn gather(frame: Frame, join: &mut Join) -> Self {
        let lines = frame.facts.len();
        let mut chunk = Self {
            span: frame.span,
            days: BTreeSet::new(),
            first: 0,
            chats: vec![0; lines.div_ceil(64)],
            lines: lines as u64,
        };
        for (at, fact) in frame.facts.into_iter().enumerate() {
            let Some(index) = join.gather(fact) else {
                continue;
            };
            if chunk.days.is_empty() {
                chunk.first = index;
            }
            chunk.days.extend(join.day(index));
            if let Some(bits) = chunk.chats.get_mut(at / 64) {
                *bits |= 1 << (at % 64);
            }
        }
        chunk
    }

    fn is_chat(&self, at: usize) -> bool {
        let bits = self.chats.get(at / 64).copied().unwrap_or_default();
        bits >> (at % 64) & 1 == 1
    }

    /// Whether it has completions of one of these days.
    pub(super) fn has_any(&self, days: &BTreeMap<Day, u64>) -> bool {
        self.days.iter().any(|day| days.contains_key(day))
    }
}

/// The lines until now.
pub(super) struct Read {
    pub(super) join: Join,
    pub(super) chain: Chain,
    pub(super) chunks: Vec<Chunk>,
    /// Number and hash of the last record.
    pub(super) head: (u64, String),
}

impl Read {
    pub(super) fn nothing(chain: Chain) -> Self {
        Self {
            join: Join::default(),
            chain,
            chunks: Vec::new(),
            head: (0, GENESIS.to_owned()),
        }
    }
}

/// Reads spans for their facts; `lines` of the first one's file stand before it.
pub(super) fn first(
    paths: &DatasetPaths,
    (spans, mut lines): (&[Span], u64),
    read: &mut Read,
    (facts, quarantine): (&mut Facts, &mut HashedFile),
    tick: &mut dyn FnMut(),
) -> Result<(), DatasetError> {
    let work = |span: &Span| facts_of(paths, span);
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
                read.head = (record.seq, record.hash.clone());
            }
            read.chain.line(&line);
            if let Some(bad) = bad {
                quarantine.line(&encode(&Quarantined::new(&line, bad))?)?;
            }
            frame.facts.push(fact);
        }
        facts.add(&frame)?;
        let chunk = Chunk::gather(frame, &mut read.join);
        tick();
        paths.progress.step(chunk.lines)?;
        read.chunks.push(chunk);
        Ok(())
    })
}

type Found = (JournalLine, Fact, Option<BadLine>);

fn facts_of(paths: &DatasetPaths, span: &Span) -> Result<Vec<Found>, EvidenceLogError> {
    let lines = span.records(&paths.evidence)?;
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

/// Reads the chunks that have completions of `days` and writes their tasks.
///
/// Errors: [`EvidenceLogError::Replaced`] when they are not what they were.
pub(super) fn second(
    paths: &DatasetPaths,
    read: &Read,
    recipe: &Recipe,
    (staging, days): (&Staging, BTreeMap<Day, u64>),
    tick: &mut dyn FnMut(),
) -> Result<BTreeMap<String, Made>, DatasetError> {
    let chunks: Vec<&Chunk> = read
        .chunks
        .iter()
        .filter(|chunk| chunk.has_any(&days))
        .collect();
    paths
        .progress
        .left(chunks.iter().map(|chunk| chunk.lines).sum());
    let wanted = days.clone();
    let work = |chunk: &&Chunk| tasks_of(paths, (&read.join, recipe), chunk, &wanted);
    let mut partitions = Partitions::new(paths, staging, days);
    ordered((THREAD, paths.threads), &chunks, work, |came| {
        let Came::Result(chunk, tasks) = came else {
            return Ok(());
        };
        tasks?.iter().try_for_each(|task| partitions.add(task))?;
        tick();
        paths.progress.step(chunk.lines)
    })?;
    let made = partitions.finish();
    made.ok_or_else(|| EvidenceLogError::Replaced.into())
}

fn tasks_of(
    paths: &DatasetPaths,
    (join, recipe): (&Join, &Recipe),
    chunk: &Chunk,
    days: &BTreeMap<Day, u64>,
) -> Result<Vec<Written>, DatasetError> {
    let mut lines = chunk.span.records(&paths.evidence)?;
    let mut tasks = Vec::new();
    let mut index = chunk.first;
    for at in 0..usize::try_from(chunk.lines).unwrap_or(usize::MAX) {
        let own = chunk.is_chat(at).then_some(index);
        index += ChatIndex::from(own.is_some());
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
        let task = join.task(index, record, recipe);
        let task = task.map_err(|_| EvidenceLogError::Replaced)?;
        let (outcome, line) = (task.outcome, encode(&task)?);
        let row = paths.parquet.then(|| rows::row(task)).transpose();
        tasks.push(Written {
            day,
            outcome,
            line,
            row: row.map_err(DatasetError::Encode)?,
        });
    }
    Ok(tasks)
}

/// The spans of what is new, and how many lines of the first one's file stand before it.
pub(super) fn new_spans(
    paths: &DatasetPaths,
    segments: &[Segment],
    before: &[FileReceipt],
) -> Result<(Vec<Span>, u64), EvidenceLogError> {
    let last = before.len().saturating_sub(1);
    let (from, lines) = before.last().map_or((0, 0), |last| (last.bytes, last.rows));
    let new = segments.get(last..).unwrap_or_default();
    let spans = crate::storage::evidence_log::spans(&paths.evidence, new, from, SPAN_BYTES)?;
    let goes_on = spans.first().map(|span| span.offset) == Some(from);
    Ok((spans, if goes_on { lines } else { 0 }))
}
