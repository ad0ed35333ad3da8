//! The write-ahead log: every change is on the disk here before it shows anywhere.
//!
//! A collection's folder holds, besides its `MANIFEST` and its snapshot, the files
//! `wal-<number>.log`, numbered without gaps; the last one takes the writes. Each file is
//!
//! ```text
//! "BHSE" | format 1 | kind 1 | 0 u16 | seed u64 | first_lsn u64 | crc32c u32
//! len u32 | crc32c u32 | lsn u64 | type u8 | body [len]        record `first_lsn`
//! len u32 | crc32c u32 | lsn u64 | type u8 | body [len]        record `first_lsn + 1`
//! …
//! ```
//!
//! Little-endian; `len` is at most 256 MiB; a record's checksum covers the file's seed, `len`,
//! `lsn`, `type` and `body`. A crash can leave half a record at the end of the last file: it was
//! never acknowledged, so it is cut off. Anything else that does not add up refuses to open.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::codec::MAX_BODY_BYTES;
use super::disk::{self, StorageError};
use super::frame::{self, FORMAT, FileKind, HEADER_LEN, Header, HeaderFault};
use super::os;

/// The log's last file, open for writing.
#[derive(Debug)]
pub struct Wal {
    path: PathBuf,
    file: os::File,
    number: u64,
    seed: u64,
    next_lsn: u64,
    bytes: u64,
    failed: bool,
}

/// A record as it is read back.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its number; each is one more than the one before.
    pub lsn: u64,
    /// What the body is, as given to [`Wal::append`].
    pub kind: u8,
    /// As given to [`Wal::append`].
    pub body: &'a [u8],
}

/// A write that a crash cut short, removed when the log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The folder and name of the file.
    pub file: String,
    /// Where the good records end.
    pub offset: u64,
    /// How many bytes were removed.
    pub bytes: u64,
    /// What was wrong with them.
    pub reason: &'static str,
}

/// What [`recover`] found.
#[derive(Debug)]
pub struct Recovered {
    /// The log, ready for writing.
    pub wal: Wal,
    /// Bytes in the files before the last.
    pub older_bytes: u64,
    /// What a crash had left at the end.
    pub cut: Option<Cut>,
}

impl Wal {
    /// Creates the file `number`, whose first record will be `first_lsn`; durable when it returns.
    ///
    /// `seed` should differ from file to file.
    pub fn create(
        dir: &Path,
        number: u64,
        seed: u64,
        first_lsn: u64,
    ) -> Result<Self, StorageError> {
        let path = path_of(dir, number);
        let header = Header {
            kind: FileKind::Wal,
            seed,
            first_lsn,
        }
        .encode();
        disk::write_atomic(&path, &header)?;
        Self::open(path, number, seed, first_lsn, HEADER_LEN as u64)
    }

    fn open(
        path: PathBuf,
        number: u64,
        seed: u64,
        next_lsn: u64,
        bytes: u64,
    ) -> Result<Self, StorageError> {
        let file = os::File::open_at(&path, bytes).map_err(StorageError::io("open", &path))?;
        Ok(Self {
            path,
            file,
            number,
            seed,
            next_lsn,
            bytes,
            failed: false,
        })
    }

    /// Appends a record and waits until it is on the disk. Returns its number.
    ///
    /// A write that the disk has no room for is taken back, and the log stays usable. After a
    /// failed sync nobody can tell what is on the disk: the log has [failed](Self::has_failed) for
    /// good.
    pub fn append(&mut self, kind: u8, body: &[u8]) -> Result<u64, StorageError> {
        if self.failed {
            return Err(StorageError::Io {
                action: "write",
                file: disk::short(&self.path),
                reason: "an earlier write failed".to_owned(),
            });
        }
        if body.len() as u64 > MAX_BODY_BYTES {
            let got = body.len() as u64;
            return Err(StorageError::TooLarge {
                got,
                limit: MAX_BODY_BYTES,
            });
        }
        let mut bytes = Vec::new();
        frame::encode(self.seed, self.next_lsn, kind, body, &mut bytes);
        if let Err(error) = self.file.write_all(&bytes) {
            self.failed = self.take_back().is_err();
            return Err(StorageError::io("write", &self.path)(error));
        }
        if let Err(error) = self.file.sync_data() {
            self.failed = true;
            // Best effort: what was not acknowledged should not come back at the next open.
            drop(self.take_back());
            return Err(StorageError::io("sync", &self.path)(error));
        }
        self.bytes += bytes.len() as u64;
        let lsn = self.next_lsn;
        self.next_lsn += 1;
        Ok(lsn)
    }

    fn take_back(&mut self) -> std::io::Result<()> {
        self.file.cut(self.bytes)
    }

    /// Goes on in a new file. On an error the log stays in the old one, or has failed.
    pub fn rotate(&mut self, dir: &Path, seed: u64) -> Result<(), StorageError> {
        let number = self.number + 1;
        match Self::create(dir, number, seed, self.next_lsn) {
            Ok(next) => *self = next,
            Err(error) => {
                // Two files must never claim the same record.
                self.failed = self.failed || path_of(dir, number).exists();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether a failure left the end of the file unknown. Open the log anew.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Returns the number of the file.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the number that the next record gets.
    pub fn next_lsn(&self) -> u64 {
        self.next_lsn
    }

    /// Returns the length of the file, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Reads the log from file `first` on, whose first record is `next_lsn`, and opens it for writing.
///
/// Gives every record to `replay`, in order. Errors: [`StorageError::Damaged`] with file and
/// offset; whatever `replay` returns.
pub fn recover<E: From<StorageError>>(
    dir: &Path,
    first: u64,
    mut next_lsn: u64,
    mut replay: impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<Recovered, E> {
    let last = last_number(dir)?
        .filter(|last| *last >= first)
        .ok_or_else(|| StorageError::damaged(&path_of(dir, first), 0, "the file is missing"))?;
    let (mut older_bytes, mut number) = (0, first);
    loop {
        let path = path_of(dir, number);
        let bytes = std::fs::read(&path).map_err(StorageError::io("read", &path))?;
        let header = header_of(&path, &bytes, FileKind::Wal)?;
        if header.first_lsn != next_lsn {
            let reason = format!("starts at record {}, expected {next_lsn}", header.first_lsn);
            return Err(StorageError::damaged(&path, 16, reason).into());
        }
        let mut at = HEADER_LEN;
        let mut cut = None;
        while at < bytes.len() {
            match frame::decode(header.seed, &bytes[at..]) {
                Ok(found) if found.lsn == next_lsn => {
                    replay(Record {
                        lsn: found.lsn,
                        kind: found.kind,
                        body: found.body,
                    })?;
                    next_lsn += 1;
                    at += found.len();
                }
                Ok(found) => {
                    let reason = format!("record {}, expected {next_lsn}", found.lsn);
                    return Err(StorageError::damaged(&path, at, reason).into());
                }
                Err(reason) => {
                    let torn = number == last
                        && frame::find_later(header.seed, &bytes[at..], next_lsn).is_none();
                    if !torn {
                        return Err(StorageError::damaged(&path, at, reason).into());
                    }
                    cut = Some(Cut {
                        file: disk::short(&path),
                        offset: at as u64,
                        bytes: (bytes.len() - at) as u64,
                        reason,
                    });
                    break;
                }
            }
        }
        if number == last {
            let mut wal = Wal::open(path, number, header.seed, next_lsn, at as u64)?;
            // Records that a crash left in the operating system's memory are about to be served.
            let synced = wal.file.cut(at as u64).and_then(|()| wal.file.sync_all());
            synced.map_err(StorageError::io("sync", &wal.path))?;
            return Ok(Recovered {
                wal,
                older_bytes,
                cut,
            });
        }
        older_bytes += bytes.len() as u64;
        number += 1;
    }
}

/// Removes the files before `number`, the oldest first.
pub fn remove_before(dir: &Path, number: u64) -> Result<(), StorageError> {
    for name in disk::names_in(dir)? {
        if number_of(&name).is_some_and(|found| found < number) {
            disk::remove_if_there(&dir.join(name))?;
        }
    }
    Ok(())
}

/// Sums up the lengths of the files before `number`.
pub fn bytes_before(dir: &Path, number: u64) -> Result<u64, StorageError> {
    let mut bytes = 0;
    for name in disk::names_in(dir)? {
        if number_of(&name).is_some_and(|found| found < number) {
            let path = dir.join(name);
            bytes += std::fs::metadata(&path)
                .map_err(StorageError::io("read", &path))?
                .len();
        }
    }
    Ok(bytes)
}

/// Reads a file's header, or says why it cannot be.
pub(super) fn header_of(path: &Path, bytes: &[u8], kind: FileKind) -> Result<Header, StorageError> {
    Header::decode(kind, bytes).map_err(|fault| match fault {
        HeaderFault::Damaged(reason) => StorageError::damaged(path, 0, reason),
        HeaderFault::Format(found) => StorageError::Format {
            file: disk::short(path),
            found,
            supported: FORMAT,
        },
    })
}

pub(super) fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("wal-{number:012}.log"))
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("wal-")?
        .strip_suffix(".log")?
        .parse()
        .ok()
}

pub(super) fn last_number(dir: &Path) -> Result<Option<u64>, StorageError> {
    Ok(disk::names_in(dir)?
        .iter()
        .filter_map(|name| number_of(name))
        .max())
}

#[cfg(test)]
mod tests;
