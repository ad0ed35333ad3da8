//! One walk along the chain, from the first line to the last.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::GENESIS;
use super::error::EvidenceLogError;
use super::explained::{Absent, Explained, Unexplained};
use super::heads::{self, Heads};
use super::line::{self, LineFault};
use super::records::MAX_LINE_BYTES;
use super::segments::{LineEnd, Lines, Segment};
use super::verify::{KeptHead, Problem, ProblemKind, VerifyReport};
use crate::types::evidence::EvidenceRecord;

/// Problems that are kept; the rest is only counted.
const MAX_PROBLEMS: usize = 100;

/// What a walk has seen so far.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Walk {
    heads: Heads,
    #[serde(skip)]
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
    pub(super) fn new(heads: Heads, kept: Option<KeptHead>, pending: bool) -> Self {
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

    /// Goes on with the heads of now; `None` when they say another thing of what was walked than those of then.
    pub(super) fn resumed(mut self, heads: Heads, pending: bool) -> Option<Self> {
        let (before, now) = (&self.heads.by_seq, &heads.by_seq);
        let same = |(seq, hash): (&u64, &String)| {
            let of_the_head = *seq == self.report.head_seq && *hash == self.report.head_hash;
            *seq >= self.next || before.get(seq) == Some(hash) || of_the_head
        };
        let kept = before.iter().all(|(seq, hash)| now.get(seq) == Some(hash));
        if !kept || !now.iter().all(same) {
            return None;
        }
        self.heads = heads;
        self.report.pending = pending;
        Some(self)
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

    pub(super) fn segment(
        &mut self,
        dir: &Path,
        segment: &Segment,
        newest: bool,
        each: &mut dyn FnMut((&str, u64), &EvidenceRecord),
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
                    Ok(record) => {
                        each(place, &record);
                        self.record(place, &record, false);
                    }
                    Err(LineFault::Changed(record)) => {
                        each(place, &record);
                        self.record(place, &record, true);
                    }
                    Err(LineFault::Unreadable(reason)) => self.unreadable(place, reason),
                },
            }
        }
    }

    pub(super) fn unreadable(&mut self, place: (&str, u64), reason: String) {
        self.problem(ProblemKind::Unreadable, place, self.next, reason);
        self.absent.bad.insert(self.next);
        // It stands for one record, so that the next one is not called misplaced.
        self.next = self.next.saturating_add(1);
        self.prev = None;
    }

    pub(super) fn record(&mut self, place: (&str, u64), record: &EvidenceRecord, changed: bool) {
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
        // One that is still being removed is told as pending.
        self.report.removed = (removed.last < first).then_some(removed);
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

    pub(super) fn finish(mut self, segments: u64) -> VerifyReport {
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
