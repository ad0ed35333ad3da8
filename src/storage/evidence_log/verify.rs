//! Walking the whole chain, and naming what is not as it was written.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::GENESIS;
use super::changes::Changes;
use super::error::EvidenceLogError;
use super::explained::{Absent, Explained, RemovedBefore, Unexplained};
use super::heads::{self, Heads};
use super::line::{self, LineFault};
use super::records::{JournalLine, MAX_LINE_BYTES};
use super::segments::{self, LineEnd, Lines, Segment};
use crate::types::evidence::EvidenceRecord;

/// Problems that are kept; the rest is only counted.
const MAX_PROBLEMS: usize = 100;
/// Walks of a journal whose files are replaced meanwhile.
const WALKS: usize = 4;

/// What is wrong with a place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The record is not the one that was written.
    Changed,
    /// Records are missing in the middle.
    Removed,
    /// The record stands in the wrong place.
    Reordered,
    /// Records at the end are missing.
    Cut,
    /// The line is not a record.
    Unreadable,
    /// The record's content is gone, and no record of an erasure says so.
    Erased,
    /// The record's content is there, and a record of an erasure says that it is gone.
    NotErased,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What.
    pub kind: ProblemKind,
    /// In which file.
    pub file: String,
    /// In which line, from 1; 0 when it is about no line.
    pub line: u64,
    /// Which record; of several, the first.
    pub seq: u64,
    /// In words, with the values.
    pub message: String,
}

/// The outcome of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Whether nothing is wrong.
    pub intact: bool,
    /// Lines that are records.
    pub records: u64,
    /// Files.
    pub segments: u64,
    /// The first record; 0 when there is none.
    pub first_seq: u64,
    /// What retention removed before it.
    pub removed: Option<RemovedBefore>,
    /// Records whose content was erased, as records of erasures say.
    pub erased: u64,
    /// How many of these are of version 1: their hash cannot be computed any more, only where it stands in the chain.
    pub unverifiable: u64,
    /// Whether an erasure or a removal is under way, or was interrupted and is completed at the next start.
    pub pending: bool,
    /// The last record.
    pub head_seq: u64,
    /// Its hash.
    pub head_hash: String,
    /// Whether the head that was kept is of a record that retention has removed: there is nothing to compare it with.
    pub kept_head_removed: bool,
    /// Bytes of an unfinished last line: a write in progress, or one that a crash tore.
    pub torn_bytes: u64,
    /// The first hundred things that are wrong.
    pub problems: Vec<Problem>,
    /// How many things are wrong.
    pub problem_count: u64,
}

/// A head that was kept elsewhere. What else its file says is not read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KeptHead {
    /// The newest record then; 0 when there was none.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

/// Walks the whole journal of a folder.
///
/// Errors: the disk failed, or `heads.log` cannot be read. What is wrong with records is in the
/// report.
pub fn verify(dir: &Path) -> Result<VerifyReport, EvidenceLogError> {
    verify_beside(dir, None, |_, _| {})
}

/// The same, beside a head that was kept elsewhere. `progress` is told how many bytes were read, and of how many, before
/// each file and at the end.
pub fn verify_beside(
    dir: &Path,
    kept: Option<KeptHead>,
    mut progress: impl FnMut(u64, u64),
) -> Result<VerifyReport, EvidenceLogError> {
    let mut walks = 0;
    loop {
        walks += 1;
        let before = Changes::read(dir)?;
        let walked = walk(dir, kept.clone(), before.pending.is_some(), &mut progress);
        // What an erasure did to files while they were read is no damage.
        let calm = before.pending.is_none() && before == Changes::read(dir)?;
        let sound = walked.as_ref().is_ok_and(|report| report.intact);
        if calm || sound || walks == WALKS {
            return walked;
        }
    }
}

fn walk(
    dir: &Path,
    kept: Option<KeptHead>,
    pending: bool,
    progress: &mut impl FnMut(u64, u64),
) -> Result<VerifyReport, EvidenceLogError> {
    let heads = Heads::read(dir)?;
    let found = segments::list(dir)?;
    let all = found.iter().map(|segment| segment.bytes).sum();
    let mut read = 0;
    let mut walk = Walk::new(heads, kept, pending);
    for (at, segment) in found.iter().enumerate() {
        progress(read, all);
        walk.segment(dir, segment, at + 1 == found.len())?;
        read += segment.bytes;
    }
    progress(read, all);
    Ok(walk.finish(found.len() as u64))
}

/// The same for who reads the journal anyway, line by line.
#[derive(Debug)]
pub struct Chain(Walk);

impl Chain {
    /// Begins at the start of the journal in `dir`. Begin before the segments are listed: what is
    /// written meanwhile would seem to be missing.
    ///
    /// Errors: `heads.log` or `changes.json` cannot be read.
    pub fn new(dir: &Path) -> Result<Self, EvidenceLogError> {
        let pending = Changes::read(dir)?.pending.is_some();
        Heads::read(dir).map(|heads| Self(Walk::new(heads, None, pending)))
    }

    /// Takes the next line.
    pub fn line(&mut self, line: &JournalLine) {
        let place = (line.segment.as_str(), line.line);
        match &line.record {
            Ok(record) => self.0.record(place, record, false),
            Err(bad) => self.0.unreadable(place, bad.reason.clone()),
        }
    }

    /// Ends after the last line of `segments` files.
    pub fn finish(self, segments: u64) -> VerifyReport {
        self.0.finish(segments)
    }
}

#[derive(Debug)]
struct Walk {
    heads: Heads,
    kept: Option<KeptHead>,
    /// The number that the next record should have.
    next: u64,
    /// The hash that the next record should link to; `None` after a gap.
    prev: Option<String>,
    /// Numbers that were skipped: first → (last, file, line).
    missing: BTreeMap<u64, (u64, String, u64)>,
    /// The first record's link, file and line.
    first: Option<(String, String, u64)>,
    explained: Explained,
    absent: Absent,
    report: VerifyReport,
}

impl Walk {
    fn new(heads: Heads, kept: Option<KeptHead>, pending: bool) -> Self {
        let report = VerifyReport {
            intact: true,
            records: 0,
            segments: 0,
            first_seq: 0,
            removed: None,
            erased: 0,
            unverifiable: 0,
            pending,
            head_seq: 0,
            head_hash: GENESIS.to_owned(),
            kept_head_removed: false,
            torn_bytes: 0,
            problems: Vec::new(),
            problem_count: 0,
        };
        Self {
            heads,
            kept,
            next: 1,
            prev: Some(GENESIS.to_owned()),
            missing: BTreeMap::new(),
            first: None,
            explained: Explained::default(),
            absent: Absent::default(),
            report,
        }
    }

    fn problem(&mut self, kind: ProblemKind, place: (&str, u64), seq: u64, message: String) {
        self.report.intact = false;
        self.report.problem_count += 1;
        if self.report.problems.len() < MAX_PROBLEMS {
            let (file, line) = (place.0.to_owned(), place.1);
            self.report.problems.push(Problem {
                kind,
                file,
                line,
                seq,
                message,
            });
        }
    }

    fn segment(
        &mut self,
        dir: &Path,
        segment: &Segment,
        newest: bool,
    ) -> Result<(), EvidenceLogError> {
        let path = dir.join(&segment.name);
        let mut lines = Lines::open(&path, segment.limit())?;
        let mut buffer = Vec::new();
        loop {
            let before = lines.offset;
            let end = lines
                .next(&mut buffer, MAX_LINE_BYTES)
                .map_err(|error| EvidenceLogError::io("read", &path, &error))?;
            let place = (segment.name.as_str(), lines.line);
            match end {
                None => return Ok(()),
                Some(LineEnd::Eof) if newest => self.report.torn_bytes = lines.offset - before,
                Some(LineEnd::Eof | LineEnd::TooLong) => {
                    self.unreadable(place, "torn or too long".to_owned());
                }
                Some(LineEnd::Newline) => match line::decode(&buffer) {
                    Ok(record) => self.record(place, &record, false),
                    Err(LineFault::Changed(record)) => self.record(place, &record, true),
                    Err(LineFault::Unreadable(reason)) => self.unreadable(place, reason),
                },
            }
        }
    }

    fn unreadable(&mut self, place: (&str, u64), reason: String) {
        self.problem(ProblemKind::Unreadable, place, self.next, reason);
        self.absent.bad.insert(self.next);
        // It stands for one record, so that the next one is not called misplaced.
        self.next = self.next.saturating_add(1);
        self.prev = None;
    }

    fn record(&mut self, place: (&str, u64), record: &EvidenceRecord, changed: bool) {
        self.report.records += 1;
        let seq = record.seq;
        if changed {
            let message = format!("record {seq} was changed: its hash does not match its text");
            self.problem(ProblemKind::Changed, place, seq, message);
            self.absent.bad.insert(seq);
        }
        if seq < self.next {
            if self.found_late(seq) && !changed {
                self.explained.take(place, record);
            }
            let message = format!("record {seq} stands where {} belongs", self.next);
            self.problem(ProblemKind::Reordered, place, seq, message);
            self.prev = None;
            return;
        }
        if seq > self.next {
            self.missing
                .insert(self.next, (seq - 1, place.0.to_owned(), place.1));
            self.prev = None;
        }
        if !changed && self.prev.as_ref().is_some_and(|prev| *prev != record.prev) {
            let message =
                format!("record {seq} does not link to the one before: one of them was replaced");
            self.problem(ProblemKind::Changed, place, seq, message);
        }
        if self
            .heads
            .by_seq
            .get(&seq)
            .is_some_and(|seen| *seen != record.hash)
        {
            let message = format!("record {seq} has another hash than in {}", heads::FILE_NAME);
            self.problem(ProblemKind::Changed, place, seq, message);
        }
        if self
            .kept
            .as_ref()
            .is_some_and(|kept| kept.seq == seq && kept.hash != record.hash)
        {
            let message = format!("record {seq} has another hash than the head that was kept");
            self.problem(ProblemKind::Changed, place, seq, message);
        }
        if self.first.is_none() {
            self.report.first_seq = seq;
            self.first = Some((record.prev.clone(), place.0.to_owned(), place.1));
        }
        if !changed {
            self.explained.take(place, record);
        }
        self.next = seq.saturating_add(1);
        // A changed record's stated hash proves nothing about the next one's link.
        self.prev = (!changed).then(|| record.hash.clone());
        self.report.head_seq = seq;
        self.report.head_hash.clone_from(&record.hash);
    }

    /// Takes a number out of the missing ones; returns whether it was one.
    fn found_late(&mut self, seq: u64) -> bool {
        let range = self.missing.range(..=seq).next_back();
        let Some((&first, (last, file, line))) = range else {
            return false;
        };
        let (last, file, line) = (*last, file.clone(), *line);
        if seq > last {
            return false;
        }
        self.missing.remove(&first);
        if first < seq {
            self.missing.insert(first, (seq - 1, file.clone(), line));
        }
        if seq < last {
            self.missing.insert(seq + 1, (last, file, line));
        }
        true
    }

    /// Takes what retention removed out of what is missing.
    fn explain_the_beginning(&mut self) {
        let first = self.report.first_seq;
        let Some(removed) = self.explained.removed().cloned() else {
            return;
        };
        for (from, (last, file, line)) in std::mem::take(&mut self.missing) {
            let from = from.max(removed.last.saturating_add(1));
            if from <= last {
                self.missing.insert(from, (last, file, line));
            }
        }
        if first <= 1 {
            return;
        }
        let Some((prev, file, line)) = self.first.clone() else {
            return;
        };
        if removed.last == first - 1 && removed.hash != prev {
            let message = format!(
                "record {first} does not link to record {}, which record {} says was removed",
                removed.last, removed.by
            );
            self.problem(ProblemKind::Changed, (&file, line), first, message);
        }
        let receipt = self.heads.by_seq.get(&removed.last);
        let kept = self.kept.as_ref().filter(|kept| kept.seq == removed.last);
        let known = receipt.into_iter().chain(kept.map(|kept| &kept.hash));
        if known.into_iter().any(|hash| *hash != removed.hash) {
            let message = format!(
                "record {} says another hash of the removed record {} than was kept of it",
                removed.by, removed.last
            );
            self.problem(ProblemKind::Changed, (&file, line), removed.by, message);
        }
        let kept = self.kept.as_ref().map(|kept| kept.seq);
        self.report.kept_head_removed =
            kept.is_some_and(|kept| (1..first).contains(&kept) && kept != removed.last);
        self.report.removed = Some(removed);
    }

    fn explain_what_is_empty(&mut self) {
        let missing = self.missing.iter();
        self.absent.missing = missing.map(|(from, (last, ..))| *from..=*last).collect();
        let within = (self.report.first_seq, self.report.head_seq);
        for (what, (file, line), seq, message) in self.explained.unexplained(&self.absent, within) {
            let kind = match what {
                Unexplained::Erased => ProblemKind::Erased,
                Unexplained::Changed => ProblemKind::Changed,
                Unexplained::NotErased if self.report.pending => continue,
                Unexplained::NotErased => ProblemKind::NotErased,
            };
            self.problem(kind, (&file, line), seq, message);
        }
        self.report.erased = self.explained.erased();
        self.report.unverifiable = self.explained.unverifiable;
    }

    fn finish(mut self, segments: u64) -> VerifyReport {
        self.explain_the_beginning();
        self.explain_what_is_empty();
        for (first, (last, file, line)) in std::mem::take(&mut self.missing) {
            let message = format!("records {first} to {last} are missing");
            self.problem(ProblemKind::Removed, (&file, line), first, message);
        }
        let (found, seen) = (self.next - 1, self.heads.newest());
        if seen > found {
            let message = format!("the journal ends at record {found}; {seen} was written once");
            self.problem(ProblemKind::Cut, (heads::FILE_NAME, 0), found + 1, message);
        }
        let kept = self.kept.as_ref().map_or(0, |kept| kept.seq);
        if kept > found {
            let message =
                format!("the journal ends at record {found}; the head that was kept is of {kept}");
            self.problem(
                ProblemKind::Cut,
                ("the head that was kept", 0),
                found + 1,
                message,
            );
        }
        self.report.segments = segments;
        self.report
    }
}
