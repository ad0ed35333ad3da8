//! Reads what can be read of a damaged collection, and says what cannot.
//!
//! Opening a collection refuses whatever does not add up. This goes on behind the damage, at the next
//! record whose number and checksum are right.

use std::path::Path;

use super::disk::{self, StorageError};
use super::frame::{self, FileKind, HEADER_LEN};
use super::snapshot::{self, Manifest};
use super::wal::{self, Record, header_of};

/// A place that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The folder and name of the file.
    pub file: String,
    /// Where it starts.
    pub offset: u64,
    /// Bytes that are skipped.
    pub bytes: u64,
    /// What is wrong there.
    pub reason: String,
    /// Records in it, as far as the numbers around it tell.
    pub records: Option<u64>,
}

/// What became of a collection's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvage {
    /// What the folder says of itself.
    pub manifest: Manifest,
    /// Records that were read, of the snapshot and of the log.
    pub snapshot_records: u64,
    /// The same of the log.
    pub log_records: u64,
    /// Empty: the collection opens as it is.
    pub damages: Vec<Damage>,
    /// The last record of the log, read or not.
    pub last_lsn: u64,
    /// The log's last file.
    pub last_file: u64,
    /// Bytes at the end of the log that a crash cut short: they were never acknowledged.
    pub torn_bytes: u64,
}

/// Reads every record that is whole, in order. `each` says why one that is whole does not make sense.
///
/// Changes nothing. Errors: a manifest that cannot be read: without it nothing else can.
pub fn salvage(
    dir: &Path,
    mut each: impl FnMut(Record<'_>) -> Result<(), String>,
) -> Result<Salvage, StorageError> {
    let manifest = Manifest::load(dir)?;
    let mut found = Salvage {
        snapshot_records: 0,
        log_records: 0,
        damages: Vec::new(),
        last_lsn: manifest.lsn,
        last_file: manifest.generation,
        torn_bytes: 0,
        manifest,
    };
    let path = snapshot::path_of(dir, found.manifest.generation);
    let mut ended = false;
    let mut file = Reader::new(&path, FileKind::Snapshot, 0, &mut found.damages)?;
    while let Some(record) = file.next(true, &mut found.damages) {
        if record.kind == snapshot::END {
            ended = true;
        } else if file.take(record, &mut each, &mut found.damages) {
            found.snapshot_records += 1;
        }
    }
    if !ended && !file.bytes.is_empty() {
        file.tell(
            file.bytes.len(),
            0,
            "the end is missing",
            None,
            &mut found.damages,
        );
    }
    let mut expected = found.manifest.lsn + 1;
    let last = wal::last_number(dir)?.unwrap_or(0);
    for number in found.manifest.generation..=last.max(found.manifest.generation) {
        let path = wal::path_of(dir, number);
        let mut file = Reader::new(&path, FileKind::Wal, expected, &mut found.damages)?;
        while let Some(record) = file.next(number < last, &mut found.damages) {
            // Read before, in a file that claims the same numbers.
            if record.lsn < expected {
                continue;
            }
            if file.take(record, &mut each, &mut found.damages) {
                found.log_records += 1;
            }
        }
        expected = expected.max(file.expected);
        found.torn_bytes += file.torn as u64;
        found.last_file = number;
    }
    found.last_lsn = expected - 1;
    Ok(found)
}

/// One file, read past its damages.
struct Reader {
    name: String,
    bytes: Vec<u8>,
    seed: u64,
    at: usize,
    /// The number of the next record.
    expected: u64,
    torn: usize,
}

impl Reader {
    /// Reads the file; one that is missing or has no header reads as empty, and is told as damage.
    fn new(
        path: &Path,
        kind: FileKind,
        expected: u64,
        damages: &mut Vec<Damage>,
    ) -> Result<Self, StorageError> {
        let mut reader = Self {
            name: disk::short(path),
            bytes: Vec::new(),
            seed: 0,
            at: 0,
            expected,
            torn: 0,
        };
        match std::fs::read(path) {
            Ok(bytes) => reader.bytes = bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                reader.tell(0, 0, "the file is missing", None, damages);
                return Ok(reader);
            }
            Err(error) => return Err(StorageError::io("read", path)(error)),
        }
        match header_of(path, &reader.bytes, kind) {
            Ok(header) => {
                reader.seed = header.seed;
                reader.at = HEADER_LEN;
                if kind == FileKind::Wal && header.first_lsn > expected {
                    let missing = header.first_lsn - expected;
                    let reason =
                        format!("starts at record {}, expected {expected}", header.first_lsn);
                    reader.tell(0, 0, &reason, Some(missing), damages);
                }
                if kind == FileKind::Wal {
                    reader.expected = header.first_lsn;
                }
            }
            Err(StorageError::Damaged { reason, .. }) => {
                let size = reader.bytes.len() as u64;
                // Without the seed no checksum can be told from another.
                reader.tell(0, size, &reason, None, damages);
                reader.bytes.clear();
            }
            // A newer format is no damage.
            Err(error) => return Err(error),
        }
        Ok(reader)
    }

    /// The next whole record. `more`: what ends here is no write that a crash cut short.
    fn next(&mut self, more: bool, damages: &mut Vec<Damage>) -> Option<Found> {
        loop {
            let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
            let wrong = match frame::decode(self.seed, rest) {
                Ok(found) if found.lsn == self.expected => {
                    let body = self.at + found.len() - found.body.len()..self.at + found.len();
                    let (lsn, kind, start) = (found.lsn, found.kind, self.at);
                    self.at = body.end;
                    self.expected += 1;
                    return Some(Found {
                        lsn,
                        kind,
                        body,
                        start,
                    });
                }
                Ok(found) if found.lsn > self.expected => {
                    let missing = found.lsn - self.expected;
                    let reason = format!("record {}, expected {}", found.lsn, self.expected);
                    self.tell(self.at, 0, &reason, Some(missing), damages);
                    self.expected += missing;
                    continue;
                }
                Ok(found) => format!("record {} once more", found.lsn),
                Err(reason) => reason.to_owned(),
            };
            match frame::find_later(self.seed, rest, self.expected) {
                Some(skip) => {
                    let later =
                        frame::decode(self.seed, &rest[skip..]).map_or(0, |found| found.lsn);
                    let records = Some(later.saturating_sub(self.expected));
                    self.tell(self.at, skip as u64, &wrong, records, damages);
                    self.at += skip;
                    self.expected = self.expected.max(later);
                }
                None => {
                    let size = rest.len();
                    match more {
                        true => self.tell(self.at, size as u64, &wrong, None, damages),
                        false => self.torn = size,
                    }
                    self.at = self.bytes.len();
                }
            }
        }
    }

    /// Hands a record on; `false`, and a damage, when it makes no sense.
    fn take(
        &self,
        record: Found,
        each: &mut impl FnMut(Record<'_>) -> Result<(), String>,
        damages: &mut Vec<Damage>,
    ) -> bool {
        let size = record.body.end - record.start;
        let taken = each(Record {
            lsn: record.lsn,
            kind: record.kind,
            body: &self.bytes[record.body],
        });
        if let Err(reason) = &taken {
            self.tell(record.start, size as u64, reason, Some(1), damages);
        }
        taken.is_ok()
    }

    fn tell(
        &self,
        at: usize,
        bytes: u64,
        reason: &str,
        records: Option<u64>,
        damages: &mut Vec<Damage>,
    ) {
        damages.push(Damage {
            file: self.name.clone(),
            offset: at as u64,
            bytes,
            reason: reason.to_owned(),
            records,
        });
    }
}

/// A whole record and where it stands.
struct Found {
    lsn: u64,
    kind: u8,
    body: std::ops::Range<usize>,
    start: usize,
}
