//! Which files are old enough to go.

use std::path::Path;

use super::backward::Backward;
use super::config::EvidenceConfig;
use super::error::EvidenceLogError;
use super::line;
use super::records::{first_record, first_seq};
use super::segments::{self, Segment};
use crate::types::evidence::{EvidenceRecord, RetentionEvidence};

const DAY_MS: u64 = 24 * 3_600_000;

/// What retention asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retain {
    /// Nothing.
    Nothing,
    /// To complete the segment that is written to, so that it can grow old.
    Complete,
    /// To remove the files up to one that is complete.
    Remove(RetentionEvidence),
}

/// Decides what is to go at a time, Unix milliseconds.
///
/// Errors: a file cannot be read; one that does not end with a record stays, and so does all after it.
pub fn retain(
    dir: &Path,
    config: &EvidenceConfig,
    now_ms: u64,
) -> Result<Retain, EvidenceLogError> {
    if config.retain_days.is_none() && config.retain_bytes.is_none() {
        return Ok(Retain::Nothing);
    }
    let all = segments::list(dir)?;
    let days = config.retain_days.map(u64::from);
    let oldest_kept = days.map(|days| now_ms.saturating_sub(days.saturating_mul(DAY_MS)));
    let mut left: u64 = all.iter().map(|segment| segment.bytes).sum();
    let mut told: Option<RetentionEvidence> = None;
    for segment in all.iter().filter(|segment| segment.complete) {
        let too_much = config.retain_bytes.is_some_and(|most| left > most);
        let last = last_record(dir, segment)?;
        let too_old = oldest_kept.is_some_and(|oldest| last.ts < oldest);
        if !too_old && !too_much {
            break;
        }
        left -= segment.bytes;
        let first = match &told {
            Some(told) => told.first,
            None => first_seq(dir, segment).unwrap_or(last.seq),
        };
        let so_far = told.map_or((0, 0), |told| (told.files, told.bytes));
        told = Some(RetentionEvidence {
            reason: if too_old {
                "retain_days"
            } else {
                "retain_bytes"
            }
            .to_owned(),
            first,
            last: last.seq,
            last_hash: last.hash,
            files: so_far.0 + 1,
            bytes: so_far.1 + segment.bytes,
        });
    }
    if let Some(told) = told {
        return Ok(Retain::Remove(told));
    }
    // Only a complete file can go, and a quiet journal may take years to fill one.
    let newest = all.last().filter(|newest| newest.bytes > 0);
    let begun = newest.and_then(|newest| first_record(dir, newest));
    let a_day_ago = now_ms.saturating_sub(DAY_MS);
    Ok(match begun {
        Some(begun) if days.is_some() && begun.ts < a_day_ago => Retain::Complete,
        _ => Retain::Nothing,
    })
}

fn last_record(dir: &Path, segment: &Segment) -> Result<EvidenceRecord, EvidenceLogError> {
    let path = dir.join(&segment.name);
    let last = Backward::open(&path, u64::MAX).and_then(|mut lines| lines.next());
    let last = last.map_err(|error| EvidenceLogError::io("read", &path, &error))?;
    let damaged = |reason: String| EvidenceLogError::damaged(&segment.name, 0, 0, reason);
    let last = last.ok_or_else(|| damaged("it holds no record".to_owned()))?;
    line::decode(&last).map_err(|fault| damaged(format!("its last line: {fault}")))
}
