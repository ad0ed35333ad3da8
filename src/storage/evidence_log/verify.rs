//! Walking the whole chain, and naming what is not as it was written.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::error::EvidenceLogError;
use super::explained::RemovedBefore;
use super::heads::Heads;
use super::records::JournalLine;
use super::segments;
use super::walk::Walk;
use crate::types::evidence::EvidenceRecord;

/// Walks of a journal whose files are replaced meanwhile.
const WALKS: usize = 4;

/// What is wrong with a place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    progress: impl FnMut(u64, u64),
) -> Result<VerifyReport, EvidenceLogError> {
    let nothing = |_: &mut (), _: (&str, u64), _: &EvidenceRecord| {};
    let (report, ()) = verify_reading(dir, kept, progress, || (), nothing)?;
    Ok(report)
}

/// The same for who has something to do with each record: `each` gets file, line and record, also a changed one. A walk that
/// begins anew, because an erasure replaced files meanwhile, begins with what `fresh` makes.
pub fn verify_reading<S>(
    dir: &Path,
    kept: Option<KeptHead>,
    mut progress: impl FnMut(u64, u64),
    fresh: impl Fn() -> S,
    mut each: impl FnMut(&mut S, (&str, u64), &EvidenceRecord),
) -> Result<(VerifyReport, S), EvidenceLogError> {
    let mut walks = 0;
    loop {
        walks += 1;
        let before = Changes::read(dir)?;
        let mut state = fresh();
        let mut see = |place: (&str, u64), record: &EvidenceRecord| each(&mut state, place, record);
        let pending = before.pending.is_some();
        let walked = walk(dir, kept.clone(), pending, &mut progress, &mut see);
        // What an erasure did to files while they were read is no damage.
        let calm = before.pending.is_none() && before == Changes::read(dir)?;
        let sound = walked.as_ref().is_ok_and(|report| report.intact);
        if calm || sound || walks == WALKS {
            return walked.map(|report| (report, state));
        }
    }
}

fn walk(
    dir: &Path,
    kept: Option<KeptHead>,
    pending: bool,
    progress: &mut impl FnMut(u64, u64),
    each: &mut dyn FnMut((&str, u64), &EvidenceRecord),
) -> Result<VerifyReport, EvidenceLogError> {
    let heads = Heads::read(dir)?;
    let found = segments::list(dir)?;
    let all = found.iter().map(|segment| segment.bytes).sum();
    let mut read = 0;
    let mut walk = Walk::new(heads, kept, pending);
    for (at, segment) in found.iter().enumerate() {
        progress(read, all);
        walk.segment(dir, segment, at + 1 == found.len(), each)?;
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

    /// Where it is, to go on from there another time.
    ///
    /// Errors: in words.
    pub fn keep(&self) -> Result<String, String> {
        serde_json::to_string(&self.0).map_err(|error| error.to_string())
    }

    /// Goes on from where [`Self::keep`] was asked, in the same journal with more lines; `None` when what is noted of the
    /// lines before is not what was noted then, or `kept` is of another version.
    ///
    /// Errors: `heads.log` or `changes.json` cannot be read.
    pub fn resume(dir: &Path, kept: &str) -> Result<Option<Self>, EvidenceLogError> {
        let pending = Changes::read(dir)?.pending.is_some();
        let heads = Heads::read(dir)?;
        let kept = serde_json::from_str::<Walk>(kept).ok();
        Ok(kept.and_then(|walk| walk.resumed(heads, pending)).map(Self))
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
