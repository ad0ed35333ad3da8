//! A page of the journal, read beside its writer.

use std::path::Path;

use super::backward::Backward;
use super::error::EvidenceLogError;
use super::line;
use super::records::{first_since, records, segments_since};
use super::segments::segments;
use crate::types::evidence::EvidenceRecord;

/// Where a page begins, and what bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageQuery {
    /// The record before the page: it goes on behind it, in its own order. `None`: from the start of that order.
    pub after: Option<u64>,
    /// From the newest to the oldest, else from the oldest to the newest.
    pub newest_first: bool,
    /// Most records.
    pub limit: usize,
    /// Most bytes of their lines, about; one record is always there.
    pub bytes: usize,
    /// Most bytes of lines that are looked at.
    pub scanned: usize,
}

/// Some of the journal's records.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The records that suit.
    pub records: Vec<EvidenceRecord>,
    /// Lines between them that are no records as they were written; the audit names them.
    pub unreadable: u64,
    /// What the next page begins after; `None` when all was looked at.
    pub next: Option<u64>,
}

struct Filling<'a, F> {
    query: &'a PageQuery,
    suits: F,
    page: Page,
    bytes: usize,
    scanned: usize,
    /// The last record that was looked at.
    seen: Option<u64>,
}

/// Reads the records that suit, as many as one page has.
///
/// Errors: the disk failed.
pub fn page(
    dir: &Path,
    query: &PageQuery,
    suits: impl Fn(&EvidenceRecord) -> bool,
) -> Result<Page, EvidenceLogError> {
    let mut filling = Filling {
        query,
        suits,
        page: Page {
            records: Vec::new(),
            unreadable: 0,
            next: None,
        },
        bytes: 0,
        scanned: 0,
        seen: None,
    };
    let full = match query.newest_first {
        true => backward(dir, &mut filling)?,
        false => forward(dir, &mut filling)?,
    };
    let mut page = filling.page;
    page.next = filling.seen.filter(|_| full);
    Ok(page)
}

fn forward<F: Fn(&EvidenceRecord) -> bool>(
    dir: &Path,
    filling: &mut Filling<'_, F>,
) -> Result<bool, EvidenceLogError> {
    let after = filling.query.after.unwrap_or(0);
    let mut lines = records(dir, segments_since(dir, after)?).after(after);
    while let Some(line) = lines.next() {
        let bytes = lines.line_bytes();
        match line?.record {
            Ok(record) => {
                if filling.take(record, bytes) {
                    return Ok(true);
                }
            }
            Err(_) => filling.page.unreadable += 1,
        }
    }
    Ok(false)
}

fn backward<F: Fn(&EvidenceRecord) -> bool>(
    dir: &Path,
    filling: &mut Filling<'_, F>,
) -> Result<bool, EvidenceLogError> {
    let before = filling.query.after.unwrap_or(u64::MAX);
    let mut all = segments(dir)?;
    if before < u64::MAX {
        // It may hold the ones right before, too.
        all.truncate(first_since(dir, &all, before.saturating_sub(1)) + 1);
    }
    for segment in all.iter().rev() {
        let path = dir.join(&segment.name);
        let failed = |error| EvidenceLogError::io("read", &path, &error);
        let mut lines = match Backward::open(&path, segment.limit()) {
            Ok(lines) => lines,
            Err(error) if segment.is_gone(&error) => break,
            Err(error) => return Err(failed(error)),
        };
        while let Some(text) = lines.next().map_err(failed)? {
            if line::stated_seq(&text).is_some_and(|seq| seq >= before) {
                continue;
            }
            match line::decode(&text) {
                Ok(record) => {
                    if filling.take(record, text.len()) {
                        return Ok(true);
                    }
                }
                Err(_) => filling.page.unreadable += 1,
            }
        }
    }
    Ok(false)
}

impl<F: Fn(&EvidenceRecord) -> bool> Filling<'_, F> {
    /// Takes a record that suits. Returns whether the page ends with it, or before it.
    fn take(&mut self, record: EvidenceRecord, bytes: usize) -> bool {
        let seq = record.seq;
        if (self.suits)(&record) {
            let first = self.page.records.is_empty();
            if !first && self.bytes + bytes > self.query.bytes {
                return true;
            }
            self.bytes += bytes;
            self.page.records.push(record);
        }
        self.seen = Some(seq);
        self.scanned += bytes;
        self.page.records.len() >= self.query.limit || self.scanned >= self.query.scanned
    }
}
