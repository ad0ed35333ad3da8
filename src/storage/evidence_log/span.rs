//! Runs of whole lines, which can be read each on its own thread.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::EvidenceLogError;
use super::records::Records;
use super::segments::{Lines, Segment};

/// A run of whole lines of one segment; only the last of a segment that is torn may end in half a one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The file's name.
    pub segment: String,
    /// Where it begins.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
}

impl Span {
    /// Reads its lines, which are counted from 1.
    ///
    /// Errors: the file cannot be read.
    pub fn records(&self, dir: &Path) -> Result<Records, EvidenceLogError> {
        let path = dir.join(&self.segment);
        let lines = Lines::open_at(&path, self.offset, self.bytes)?;
        Ok(Records::of(dir, self.segment.clone(), lines))
    }
}

/// Divides `segments` from byte `from` of the first of them on, where a line begins, into spans of about `bytes` bytes.
///
/// Errors: a file cannot be read.
pub fn spans(
    dir: &Path,
    segments: &[Segment],
    from: u64,
    bytes: u64,
) -> Result<Vec<Span>, EvidenceLogError> {
    let mut found = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        let path = dir.join(&segment.name);
        let failed = |error: io::Error| EvidenceLogError::io("read", &path, &error);
        let mut offset = if at == 0 { from } else { 0 };
        let mut file = None;
        while offset < segment.bytes {
            let mut end = offset.saturating_add(bytes.max(1));
            if end < segment.bytes {
                let file = match &mut file {
                    Some(file) => file,
                    None => file.insert(File::open(&path).map_err(failed)?),
                };
                end = end_of_line(file, end).map_err(failed)?;
            }
            let end = end.min(segment.bytes);
            found.push(Span {
                segment: segment.name.clone(),
                offset,
                bytes: end - offset,
            });
            offset = end;
        }
    }
    Ok(found)
}

/// Where the line ends that the byte before `at` is of: past its newline.
fn end_of_line(file: &mut File, at: u64) -> io::Result<u64> {
    let begin = at.saturating_sub(1);
    file.seek(SeekFrom::Start(begin))?;
    let mut input = BufReader::with_capacity(4096, file);
    let mut end = begin;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(end);
        }
        if let Some(newline) = buffer.iter().position(|byte| *byte == b'\n') {
            return Ok(end + newline as u64 + 1);
        }
        let used = buffer.len();
        end += used as u64;
        input.consume(used);
    }
}
