//! Doing to the files what records of erasure and retention say.
//!
//! The record comes first and is on the disk before a file is touched. So a crash leaves a journal that says what was to be
//! done, and `changes.json` says from where on to look: doing it again does the rest.

use std::io::{self, Write as _};
use std::ops::RangeInclusive;
use std::path::Path;

use serde::Deserialize as _;

use super::changes::Changes;
use super::error::EvidenceLogError;
use super::line;
use super::records::{MAX_LINE_BYTES, first_seq, records, segments_since};
use super::segments::{self, LineEnd, Lines, Segment};
use crate::storage::disk::{remove_if_there, sync_dir, write_atomic_with};
use crate::types::evidence::{Erased, ErasureEvidence, EvidenceRecord, Kind, RetentionEvidence};

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangeDone {
    /// Records whose content is gone now.
    pub erased: u64,
    /// Files that were replaced for it.
    pub replaced: u64,
    /// Files that were removed.
    pub removed: u64,
}

/// What the records of changes ask for.
#[derive(Debug, Default)]
struct Orders {
    erasures: Vec<(Erased, Vec<(u64, u64)>)>,
    /// The last record that is to go with its whole file.
    removed: Option<u64>,
}

/// Completes the change that is under way, if there is one. One at a time: whoever calls it sees to that.
///
/// Errors: the disk failed, or a file that holds what is to be erased cannot be read line by line. Again, it goes on.
pub fn finish_change(dir: &Path) -> Result<ChangeDone, EvidenceLogError> {
    let mut done = ChangeDone::default();
    loop {
        let mut changes = Changes::read(dir)?;
        let Some(since) = changes.pending else {
            return Ok(done);
        };
        let orders = Orders::since(dir, since)?;
        orders.erase(dir, &mut done)?;
        if let Some(last) = orders.removed {
            remove(dir, last, &mut changes, &mut done)?;
        }
        // The writer may have begun another one meanwhile.
        if Changes::read(dir)? == changes {
            changes.end(dir)?;
        }
    }
}

impl Orders {
    fn since(dir: &Path, since: u64) -> Result<Self, EvidenceLogError> {
        let mut orders = Self::default();
        let segments = segments_since(dir, since.saturating_sub(1))?;
        for line in records(dir, segments) {
            // A line that is no record orders nothing.
            let Ok(record) = line?.record else { continue };
            if record.seq < since {
                continue;
            }
            match record.kind {
                Kind::Erasure => {
                    if let Ok(told) = ErasureEvidence::deserialize(&record.body) {
                        let erased = Erased {
                            at: record.ts,
                            by: record.seq,
                            reason: told.reason,
                        };
                        orders.erasures.push((erased, told.records));
                    }
                }
                Kind::Retention => {
                    if let Ok(told) = RetentionEvidence::deserialize(&record.body) {
                        orders.removed = orders.removed.max(Some(told.last));
                    }
                }
                _ => {}
            }
        }
        Ok(orders)
    }

    /// The erasure that a record's content goes by.
    fn of(&self, record: &EvidenceRecord) -> Option<&Erased> {
        if record.erased.is_some() || record.kind.is_of_the_journal() {
            return None;
        }
        let named = |(erased, ranges): &&(Erased, Vec<(u64, u64)>)| {
            record.seq < erased.by && names(ranges, record.seq)
        };
        self.erasures.iter().find(named).map(|(erased, _)| erased)
    }

    fn concern(&self, held: &RangeInclusive<u64>) -> bool {
        let mut ranges = self.erasures.iter().flat_map(|(_, ranges)| ranges);
        ranges.any(|(first, last)| first <= held.end() && last >= held.start())
    }

    fn erase(&self, dir: &Path, done: &mut ChangeDone) -> Result<(), EvidenceLogError> {
        if self.erasures.is_empty() {
            return Ok(());
        }
        let all = segments::list(dir)?;
        for (at, segment) in all.iter().enumerate() {
            remove_if_there(&dir.join(format!("{}.tmp", segment.name)))
                .map_err(EvidenceLogError::of_storage)?;
            if !segment.complete {
                continue;
            }
            // What cannot be told is looked at.
            let first = first_seq(dir, segment).unwrap_or(0);
            let next = all.get(at + 1).and_then(|next| first_seq(dir, next));
            let held = first..=next.map_or(u64::MAX, |next| next.saturating_sub(1));
            if self.concern(&held) {
                let erased = self.replace(dir, segment)?;
                done.erased += erased;
                done.replaced += u64::from(erased > 0);
            }
        }
        Ok(())
    }

    /// Replaces a file by one without what is erased; returns how many records that were.
    fn replace(&self, dir: &Path, segment: &Segment) -> Result<u64, EvidenceLogError> {
        let path = dir.join(&segment.name);
        let mut erased = 0;
        self.lines(&path, segment, |_, stone| {
            erased += u64::from(stone.is_some());
            Ok(())
        })?;
        if erased == 0 {
            return Ok(0);
        }
        let mut failed = None;
        let written = write_atomic_with(&path, |file| {
            let copied = self.lines(&path, segment, |line, stone| {
                file.write_all(stone.unwrap_or(line))
            });
            copied.map_err(|error| {
                let told = io::Error::other(error.to_string());
                failed = Some(error);
                told
            })
        });
        written.map_err(|error| failed.unwrap_or_else(|| EvidenceLogError::of_storage(error)))?;
        Ok(erased)
    }

    /// Hands over each line as it is, and as it is to be where that differs; both with their newline.
    fn lines(
        &self,
        path: &Path,
        segment: &Segment,
        mut each: impl FnMut(&[u8], Option<&[u8]>) -> io::Result<()>,
    ) -> Result<(), EvidenceLogError> {
        let failed = |error: &io::Error| EvidenceLogError::io("rewrite", path, error);
        let mut lines = Lines::open(path, segment.limit())?;
        let mut line = Vec::new();
        while let Some(end) = lines
            .next(&mut line, MAX_LINE_BYTES)
            .map_err(|error| failed(&error))?
        {
            if end == LineEnd::TooLong {
                let reason =
                    "the line is too long to be copied, so nothing in its file can be erased";
                return Err(EvidenceLogError::damaged(
                    &segment.name,
                    lines.line,
                    0,
                    reason,
                ));
            }
            // A line that was changed stays as it is: it is evidence of that.
            let record = line::decode(&line).ok();
            let stone = record
                .as_ref()
                .and_then(|record| Some(line::tombstone(record, self.of(record)?)));
            if end == LineEnd::Newline {
                line.push(b'\n');
            }
            each(&line, stone.as_deref()).map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}

/// Removes the files up to the one that ends with record `last`, the oldest first.
fn remove(
    dir: &Path,
    last: u64,
    changes: &mut Changes,
    done: &mut ChangeDone,
) -> Result<(), EvidenceLogError> {
    let all = segments::list(dir)?;
    let begins = |segment: &&Segment| first_seq(dir, segment) == Some(last.saturating_add(1));
    let Some(first) = all.iter().find(begins) else {
        return Ok(());
    };
    changes.begins = first.number;
    changes.write(dir)?;
    for segment in all.iter().filter(|segment| segment.number < first.number) {
        let path = dir.join(&segment.name);
        remove_if_there(&path).map_err(EvidenceLogError::of_storage)?;
        // One after the other, so that no crash leaves a hole.
        sync_dir(dir).map_err(|error| EvidenceLogError::io("sync", dir, &error))?;
        done.removed += 1;
    }
    Ok(())
}

/// Whether a record is one of these runs.
fn names(ranges: &[(u64, u64)], seq: u64) -> bool {
    ranges
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&seq))
}
