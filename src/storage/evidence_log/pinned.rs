//! The journal's files at one moment, for a backup.

use std::path::Path;

use super::error::EvidenceLogError;
use super::log::Head;
use super::{changes, heads, segments};
use crate::storage::backup::Pinned;
use crate::storage::disk::read_bounded;

/// Longest of the files beside the segments, bytes.
const MAX_BYTES: u64 = 1 << 30;

/// Reads the files beside the segments. They may know less than a head that is asked for afterwards, never more.
///
/// Errors: the disk failed.
pub fn pin_beside(dir: &Path) -> Result<Vec<Pinned>, EvidenceLogError> {
    let mut files = Vec::new();
    for name in [heads::FILE_NAME, changes::FILE_NAME, "usage.json"] {
        let path = dir.join(name);
        if path.exists() {
            let bytes = read_bounded(&path, MAX_BYTES).map_err(EvidenceLogError::of_storage)?;
            files.push(Pinned::memory(named(name), bytes));
        }
    }
    Ok(files)
}

/// Pins the segments up to and with the record that `head` tells of. Nobody may replace or remove files meanwhile; appends
/// go on.
///
/// Errors: the disk failed.
pub fn pin_segments(dir: &Path, head: &Head) -> Result<Vec<Pinned>, EvidenceLogError> {
    let mut files = Vec::new();
    for segment in segments::list(dir)? {
        let newest = segment.name == head.segment;
        // Those before are complete, whatever their length was when they were listed.
        let bytes = newest.then_some(head.segment_bytes);
        let pinned = Pinned::open(&dir.join(&segment.name), named(&segment.name), bytes);
        files.push(pinned.map_err(EvidenceLogError::of_storage)?);
        if newest {
            break;
        }
    }
    Ok(files)
}

fn named(name: &str) -> String {
    format!("evidence/{name}")
}
