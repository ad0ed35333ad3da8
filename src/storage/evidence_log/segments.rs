//! The journal's files by name and number.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::error::EvidenceLogError;

/// One file of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// From 1.
    pub number: u64,
    /// Its file name.
    pub name: String,
    /// Its length, bytes; of the newest only the lines that are whole.
    pub bytes: u64,
    /// Whether a newer one was there: nothing is appended to it any more, but an erasure may replace it by one of another
    /// length.
    pub complete: bool,
}

impl Segment {
    /// How far it is read.
    pub(super) fn limit(&self) -> u64 {
        match self.complete {
            true => u64::MAX,
            false => self.bytes,
        }
    }

    /// Whether an error says that the file, which was listed, is there no more: only retention removes any.
    pub(super) fn is_gone(&self, error: &io::Error) -> bool {
        self.complete && error.kind() == io::ErrorKind::NotFound
    }
}

/// The file name of a segment.
pub(super) fn file_name(number: u64) -> String {
    format!("evidence-{number:08}.jsonl")
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("evidence-")?.strip_suffix(".jsonl")?;
    let number = digits.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

/// Lists the segments in order, as long as they are now: what is appended later is not part of it.
///
/// Errors: the folder cannot be read. A folder that does not exist has no segments.
pub fn segments(dir: &Path) -> Result<Vec<Segment>, EvidenceLogError> {
    let mut found = list(dir)?;
    if let Some(last) = found.last_mut() {
        let path = dir.join(&last.name);
        last.bytes = whole_lines(&path, last.bytes)
            .map_err(|error| EvidenceLogError::io("read", &path, &error))?;
    }
    Ok(found)
}

/// Lists the segments in order with their raw lengths.
pub(super) fn list(dir: &Path) -> Result<Vec<Segment>, EvidenceLogError> {
    let failed = |error: &io::Error| EvidenceLogError::io("list", dir, error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(&error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed(&error))?;
        let Some(number) = entry.file_name().to_str().and_then(number_of) else {
            continue;
        };
        let bytes = match entry.metadata() {
            Ok(metadata) => metadata.len(),
            // Retention has removed it since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&error)),
        };
        found.push(Segment {
            number,
            name: file_name(number),
            bytes,
            complete: true,
        });
    }
    found.sort_unstable_by_key(|segment| segment.number);
    if let Some(newest) = found.last_mut() {
        newest.complete = false;
    }
    Ok(found)
}

/// Length of the file's first `len` bytes up to and with its last newline.
fn whole_lines(path: &Path, len: u64) -> io::Result<u64> {
    const CHUNK: u64 = 64 * 1024;
    let mut file = File::open(path)?;
    let mut end = len;
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        file.seek(SeekFrom::Start(start))?;
        chunk.clear();
        (&mut file).take(end - start).read_to_end(&mut chunk)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// By a newline.
    Newline,
    /// By a newline, past the bound; its bytes were skipped.
    TooLong,
    /// By the end of the file.
    Eof,
}

/// Reads lines of bounded length.
#[derive(Debug)]
pub(super) struct Lines {
    input: io::Take<BufReader<File>>,
    /// Lines read so far: the number of the newest.
    pub(super) line: u64,
    /// Bytes read so far, newlines and skipped ones too.
    pub(super) offset: u64,
}

impl Lines {
    /// Reads the first `bytes` bytes of a file.
    pub(super) fn open(path: &Path, bytes: u64) -> Result<Self, EvidenceLogError> {
        Self::try_open(path, bytes).map_err(|error| EvidenceLogError::io("open", path, &error))
    }

    /// The same of a listed file; `None` when retention has removed it since.
    pub(super) fn open_listed(
        dir: &Path,
        segment: &Segment,
    ) -> Result<Option<Self>, EvidenceLogError> {
        let path = dir.join(&segment.name);
        match Self::try_open(&path, segment.limit()) {
            Ok(lines) => Ok(Some(lines)),
            Err(error) if segment.is_gone(&error) => Ok(None),
            Err(error) => Err(EvidenceLogError::io("open", &path, &error)),
        }
    }

    /// Reads `bytes` bytes of a file from `offset` on, where a line begins; that line is the first.
    pub(super) fn open_at(path: &Path, offset: u64, bytes: u64) -> Result<Self, EvidenceLogError> {
        let open = || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            Ok(Self::of(file, bytes))
        };
        open().map_err(|error| EvidenceLogError::io("open", path, &error))
    }

    fn try_open(path: &Path, bytes: u64) -> io::Result<Self> {
        File::open(path).map(|file| Self::of(file, bytes))
    }

    fn of(file: File, bytes: u64) -> Self {
        let input = BufReader::with_capacity(256 * 1024, file).take(bytes);
        Self {
            input,
            line: 0,
            offset: 0,
        }
    }

    /// Reads the next line into `line` without its newline; `None` at the end.
    pub(super) fn next(&mut self, line: &mut Vec<u8>, max: usize) -> io::Result<Option<LineEnd>> {
        line.clear();
        let mut too_long = false;
        let mut any = false;
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                self.line += u64::from(any);
                return Ok(any.then_some(LineEnd::Eof));
            }
            any = true;
            let newline = buffer.iter().position(|byte| *byte == b'\n');
            let text = buffer
                .get(..newline.unwrap_or(buffer.len()))
                .unwrap_or(buffer);
            too_long |= line.len() + text.len() > max;
            if too_long {
                line.clear();
            } else {
                line.extend_from_slice(text);
            }
            let used = text.len() + usize::from(newline.is_some());
            self.input.consume(used);
            self.offset += used as u64;
            if newline.is_some() {
                self.line += 1;
                return Ok(Some(if too_long {
                    LineEnd::TooLong
                } else {
                    LineEnd::Newline
                }));
            }
        }
    }
}
