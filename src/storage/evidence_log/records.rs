//! Reading the journal from its start, line by line.

use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use super::error::EvidenceLogError;
use super::line;
use super::segments::{LineEnd, Lines, Segment, segments};
use crate::types::evidence::EvidenceRecord;

/// Longest line that is read; a longer one is a bad line.
pub(super) const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;
/// How much of a bad line is kept to recognise it by.
const EXCERPT_BYTES: usize = 400;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalLine {
    /// The file's name.
    pub segment: String,
    /// From 1 in its file.
    pub line: u64,
    /// The record, with its own hash checked, or why it is none.
    pub record: Result<EvidenceRecord, BadLine>,
}

/// A line that is not a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// What is wrong with it.
    pub reason: String,
    /// How it begins.
    pub excerpt: String,
}

/// The lines of a list of segments, in order; bad lines are items too.
#[derive(Debug)]
pub struct Records {
    dir: PathBuf,
    left: IntoIter<Segment>,
    open: Option<(String, Lines)>,
    buffer: Vec<u8>,
    /// Records up to this one are passed over.
    after: u64,
}

/// Reads the lines of `segments`, of the newest as far as its recorded length; [`super::segments()`] lists them. One that
/// retention has removed since is passed over.
pub fn records(dir: &Path, segments: Vec<Segment>) -> Records {
    Records {
        dir: dir.to_owned(),
        left: segments.into_iter(),
        open: None,
        buffer: Vec::new(),
        after: 0,
    }
}

/// Lists the segments that hold the records after `seq`; the first of them may hold earlier ones too.
///
/// Errors: the folder cannot be read.
pub fn segments_since(dir: &Path, seq: u64) -> Result<Vec<Segment>, EvidenceLogError> {
    let mut all = segments(dir)?;
    let first = first_since(dir, &all, seq);
    Ok(all.split_off(first))
}

/// Finds the segment that holds the record after `seq`, by its place in the list.
pub(super) fn first_since(dir: &Path, all: &[Segment], seq: u64) -> usize {
    let begins = |index: usize| {
        let first = first_seq(dir, all.get(index)?)?;
        Some(first <= seq.saturating_add(1))
    };
    let (mut low, mut high) = (0, all.len());
    while high > low + 1 {
        let middle = usize::midpoint(low, high);
        match begins(middle) {
            Some(true) => low = middle,
            Some(false) => high = middle,
            None => {
                // One that cannot be read is passed over: an earlier one tells as well, and more is read.
                let near = (low + 1..high)
                    .rev()
                    .find(|index| begins(*index) == Some(true));
                low = near.unwrap_or(low);
                break;
            }
        }
    }
    low
}

/// The number of a segment's first record, unless it has none that can be read.
pub(super) fn first_seq(dir: &Path, segment: &Segment) -> Option<u64> {
    first_record(dir, segment).map(|record| record.seq)
}

/// A segment's first record, unless it has none that can be read.
pub(super) fn first_record(dir: &Path, segment: &Segment) -> Option<EvidenceRecord> {
    let line = records(dir, vec![segment.clone()]).next();
    line?.ok()?.record.ok()
}

impl Records {
    /// Reads lines of one file.
    pub(super) fn of(dir: &Path, segment: String, lines: Lines) -> Self {
        Self {
            dir: dir.to_owned(),
            left: Vec::new().into_iter(),
            open: Some((segment, lines)),
            buffer: Vec::new(),
            after: 0,
        }
    }

    /// Passes over the next line of the file that is open, unread.
    ///
    /// Errors: the disk failed.
    pub fn pass_over(&mut self) -> Result<(), EvidenceLogError> {
        let Some((segment, lines)) = &mut self.open else {
            return Ok(());
        };
        let passed = lines.next(&mut self.buffer, MAX_LINE_BYTES);
        let failed = |error| EvidenceLogError::io("read", &self.dir.join(segment.as_str()), &error);
        passed.map(|_| ()).map_err(failed)
    }

    /// Passes over the lines that say of themselves that they are no later than record `seq`.
    #[must_use]
    pub fn after(mut self, seq: u64) -> Self {
        self.after = seq;
        self
    }

    /// Length of the line that was read last, without its newline.
    pub(super) fn line_bytes(&self) -> usize {
        self.buffer.len()
    }

    fn advance(&mut self) -> Result<Option<JournalLine>, EvidenceLogError> {
        loop {
            let Some((segment, lines)) = &mut self.open else {
                let Some(next) = self.left.next() else {
                    return Ok(None);
                };
                let lines = Lines::open_listed(&self.dir, &next)?;
                self.open = lines.map(|lines| (next.name, lines));
                continue;
            };
            let end = lines
                .next(&mut self.buffer, MAX_LINE_BYTES)
                .map_err(|error| {
                    EvidenceLogError::io("read", &self.dir.join(segment.as_str()), &error)
                })?;
            let record = match end {
                None => {
                    self.open = None;
                    continue;
                }
                Some(LineEnd::Newline)
                    if line::stated_seq(&self.buffer).is_some_and(|seq| seq <= self.after) =>
                {
                    continue;
                }
                Some(LineEnd::Newline) => line::decode(&self.buffer)
                    .map_err(|fault| bad(&fault.to_string(), &self.buffer)),
                Some(LineEnd::TooLong) => {
                    Err(bad(&format!("longer than {MAX_LINE_BYTES} bytes"), &[]))
                }
                Some(LineEnd::Eof) => Err(bad("torn: it has no newline", &self.buffer)),
            };
            return Ok(Some(JournalLine {
                segment: segment.clone(),
                line: lines.line,
                record,
            }));
        }
    }
}

impl Iterator for Records {
    type Item = Result<JournalLine, EvidenceLogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance().transpose();
        if matches!(item, Some(Err(_))) {
            // Invariant: an error of the disk ends the iteration.
            self.left = Vec::new().into_iter();
            self.open = None;
        }
        item
    }
}

fn bad(reason: &str, line: &[u8]) -> BadLine {
    let kept = line.get(..EXCERPT_BYTES).unwrap_or(line);
    BadLine {
        reason: reason.to_owned(),
        excerpt: String::from_utf8_lossy(kept).into_owned(),
    }
}
