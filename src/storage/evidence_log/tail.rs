//! The end of the journal as it is found at start: where the chain goes on.

use std::path::Path;

use super::error::EvidenceLogError;
use super::heads::Heads;
use super::log::Head;
use super::records::{MAX_LINE_BYTES, first_record};
use super::segments::{LineEnd, Lines, Segment, list};
use super::{GENESIS, heads, line};

/// Checks the newest segment and its link to the one before; returns the head and the torn bytes.
pub(super) fn check(
    dir: &Path,
    found: &[Segment],
    heads: &Heads,
) -> Result<(Head, u64), EvidenceLogError> {
    let mut head = Head {
        seq: 0,
        hash: GENESIS.to_owned(),
        ts: 0,
        synced_seq: 0,
        segment: String::new(),
        segment_bytes: 0,
    };
    // An empty segment is one that was begun right before a crash: its link is further back.
    let complete = found.split_last().map_or(&[][..], |(_, complete)| complete);
    let before = complete.iter().rev().find(|segment| segment.bytes > 0);
    let Some(newest) = found.last() else {
        return Ok((head, 0));
    };
    if let Some(before) = before {
        head = last_record(dir, before)?;
    } else if newest.number > 1
        && let Some(first) = first_record(dir, newest)
    {
        // All before it was removed. That this was right, the audit tells.
        head.seq = first.seq.saturating_sub(1);
        head.hash = first.prev;
    }
    head.segment.clone_from(&newest.name);
    head.segment_bytes = 0;
    let mut torn = 0;
    if newest.bytes > 0 {
        let path = dir.join(&newest.name);
        let mut lines = Lines::open(&path, newest.bytes)?;
        let mut buffer = Vec::new();
        loop {
            let max = MAX_LINE_BYTES;
            let end = lines
                .next(&mut buffer, max)
                .map_err(|error| EvidenceLogError::io("read", &path, &error))?;
            match end {
                None => break,
                Some(LineEnd::Eof) => {
                    torn = lines.offset - head.segment_bytes;
                    break;
                }
                Some(LineEnd::TooLong) => {
                    let reason = format!("longer than {max} bytes");
                    let (name, seq) = (&newest.name, head.seq + 1);
                    return Err(EvidenceLogError::damaged(name, lines.line, seq, reason));
                }
                Some(LineEnd::Newline) => follow(&mut head, &buffer, lines.line, heads)?,
            }
            head.segment_bytes = lines.offset;
        }
    }
    if heads.newest() > head.seq {
        return Err(EvidenceLogError::TailCut {
            found: head.seq,
            seen: heads.newest(),
        });
    }
    Ok((head, torn))
}

/// Moves the head over one line of its segment.
fn follow(head: &mut Head, text: &[u8], at: u64, heads: &Heads) -> Result<(), EvidenceLogError> {
    let seq = head.seq + 1;
    let damaged = |reason: String| EvidenceLogError::damaged(&head.segment, at, seq, reason);
    let record = line::decode(text).map_err(|fault| damaged(fault.to_string()))?;
    if record.seq != seq {
        return Err(damaged(format!("found seq {}", record.seq)));
    }
    if record.prev != head.hash {
        return Err(damaged("it does not link to the record before".to_owned()));
    }
    if heads
        .by_seq
        .get(&seq)
        .is_some_and(|seen| *seen != record.hash)
    {
        return Err(damaged(format!(
            "its hash is not the one in {}",
            heads::FILE_NAME
        )));
    }
    head.seq = seq;
    head.hash = record.hash;
    head.ts = record.ts;
    Ok(())
}

/// Reads the last record of a completed segment.
fn last_record(dir: &Path, segment: &Segment) -> Result<Head, EvidenceLogError> {
    let path = dir.join(&segment.name);
    let mut lines = Lines::open(&path, segment.limit())?;
    let (mut buffer, mut last) = (Vec::new(), Vec::new());
    while let Some(end) = lines
        .next(&mut buffer, MAX_LINE_BYTES)
        .map_err(|error| EvidenceLogError::io("read", &path, &error))?
    {
        if end != LineEnd::Newline {
            let reason = "torn or too long, in a segment that was completed";
            return Err(EvidenceLogError::damaged(
                &segment.name,
                lines.line,
                0,
                reason,
            ));
        }
        std::mem::swap(&mut buffer, &mut last);
    }
    let record = line::decode(&last)
        .map_err(|fault| EvidenceLogError::damaged(&segment.name, lines.line, 0, fault))?;
    Ok(Head {
        seq: record.seq,
        hash: record.hash,
        ts: record.ts,
        synced_seq: record.seq,
        segment: segment.name.clone(),
        segment_bytes: segment.bytes,
    })
}

/// Checks the newest file whole and its link to the one before, as [`super::EvidenceLog::open`] does, and changes nothing. May
/// run beside the writer.
///
/// Errors: as those of an opening.
pub fn check_end(dir: &Path) -> Result<Head, EvidenceLogError> {
    // Before the list: what was completed since is in it.
    let heads = Heads::read(dir)?;
    check(dir, &list(dir)?, &heads).map(|(head, _)| head)
}
