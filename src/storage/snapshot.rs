//! Snapshots: the whole content at one moment, so that the log before it can go.
//!
//! ```text
//! MANIFEST              one record: JSON of [`Manifest`]; names the generation that counts
//! snapshot-<gen>.bin    header (kind 2, first_lsn = last record covered) | record* | end record
//! graph-<gen>.bin       header (kind 4, the snapshot's seed and lsn) | record* | end record; may be missing
//! wal-<number>.log      number >= gen: what came after; see `wal`
//! ```
//!
//! The order that makes it safe: the log goes on in file `gen` → the snapshot is written and
//! synced, then its folder → `MANIFEST.tmp` is written and synced → it is renamed to `MANIFEST` →
//! the folder is synced → only then older logs and snapshots go. A crash at any step leaves either
//! the old generation with all its logs, or the new one.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::codec::MAX_BODY_BYTES;
use super::disk::{self, StorageError};
use super::frame::{self, FileKind, HEADER_LEN, Header, MAX_LSN, RECORD_LEN};
use super::os;
use super::wal::{self, Record, header_of};
use crate::types::collection::CollectionSpec;

const MANIFEST: &str = "MANIFEST";
/// The type of the last record, which holds the count of those before it.
pub(super) const END: u8 = 0xff;

/// What a collection's folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The collection's properties.
    pub spec: CollectionSpec,
    /// The snapshot that counts, and the first log file after it.
    pub generation: u64,
    /// The last record that the snapshot covers; 0 for an empty one.
    pub lsn: u64,
}

impl Manifest {
    /// Reads the folder's manifest.
    pub fn load(dir: &Path) -> Result<Self, StorageError> {
        let (path, bytes) = Self::read_bytes(dir)?;
        Self::parse(&path, &bytes)
    }

    /// Reads the manifest's file, whatever it holds.
    pub(super) fn read_bytes(dir: &Path) -> Result<(PathBuf, Vec<u8>), StorageError> {
        let path = dir.join(MANIFEST);
        let bytes = disk::read_bounded(&path, 1 << 20)?;
        Ok((path, bytes))
    }

    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, StorageError> {
        let header = header_of(path, bytes, FileKind::Manifest)?;
        let damaged = |reason: String| StorageError::damaged(path, HEADER_LEN, reason);
        let found = frame::decode(header.seed, &bytes[HEADER_LEN..])
            .map_err(|reason| damaged(reason.to_owned()))?;
        let manifest: Self =
            serde_json::from_slice(found.body).map_err(|error| damaged(error.to_string()))?;
        match manifest.generation.max(manifest.lsn) > MAX_LSN {
            true => Err(damaged("a number in it is made up".to_owned())),
            false => Ok(manifest),
        }
    }

    /// Replaces the folder's manifest: the moment from which its generation counts.
    pub fn store(&self, dir: &Path) -> Result<(), StorageError> {
        let json = serde_json::to_vec(self).map_err(|error| StorageError::Codec {
            action: "encode",
            reason: error.to_string(),
        })?;
        let header = Header {
            kind: FileKind::Manifest,
            seed: self.generation,
            first_lsn: self.lsn,
        };
        let mut bytes = header.encode().to_vec();
        frame::encode(header.seed, self.lsn, END, &json, &mut bytes);
        disk::write_atomic(&dir.join(MANIFEST), &bytes)
    }
}

/// A snapshot being written.
#[derive(Debug)]
pub struct SnapshotWriter {
    path: PathBuf,
    file: BufWriter<os::File>,
    seed: u64,
    records: u64,
    scratch: Vec<u8>,
    finished: bool,
}

/// Half a file helps nobody, and on a full disk it takes the room that the next try needs.
impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Left where it is, it is swept at the next snapshot or start.
            drop(os::remove_file(&self.path));
        }
    }
}

impl SnapshotWriter {
    /// Starts the snapshot `generation`, which covers the log up to record `lsn`.
    pub fn create(dir: &Path, generation: u64, seed: u64, lsn: u64) -> Result<Self, StorageError> {
        let header = Header {
            kind: FileKind::Snapshot,
            seed,
            first_lsn: lsn,
        };
        Self::start(path_of(dir, generation), header)
    }

    /// Starts the graph over the rows of the snapshot that `manifest` names, which must be there.
    pub fn create_graph(dir: &Path, manifest: &Manifest) -> Result<Self, StorageError> {
        let header = graph_header(dir, manifest)?;
        Self::start(graph_path_of(dir, manifest.generation), header)
    }

    fn start(path: PathBuf, header: Header) -> Result<Self, StorageError> {
        let (seed, header) = (header.seed, header.encode());
        let file = os::File::create(&path)
            .map(BufWriter::new)
            .map_err(StorageError::io("create", &path))?;
        let mut started = Self {
            path,
            file,
            seed,
            records: 0,
            scratch: Vec::new(),
            finished: false,
        };
        started
            .file
            .write_all(&header)
            .map_err(StorageError::io("write", &started.path))?;
        Ok(started)
    }

    /// Adds a record. `kind` must not be 255.
    pub fn append(&mut self, kind: u8, body: &[u8]) -> Result<(), StorageError> {
        if body.len() as u64 > MAX_BODY_BYTES {
            let got = body.len() as u64;
            return Err(StorageError::TooLarge {
                got,
                limit: MAX_BODY_BYTES,
            });
        }
        self.scratch.clear();
        frame::encode(self.seed, self.records, kind, body, &mut self.scratch);
        self.records += 1;
        self.file
            .write_all(&self.scratch)
            .map_err(StorageError::io("write", &self.path))
    }

    /// Ends the file and waits until it is on the disk. It counts once a manifest names it.
    pub fn finish(mut self) -> Result<(), StorageError> {
        self.append(END, &self.records.to_le_bytes())?;
        let synced = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(StorageError::io("sync", &self.path))?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        disk::sync_dir(dir).map_err(StorageError::io("sync", &self.path))?;
        self.finished = true;
        Ok(())
    }
}

/// Reads the snapshot that `manifest` names, record by record.
///
/// Errors: [`StorageError::Damaged`] with file and offset, also when the end is missing.
pub fn read<E: From<StorageError>>(
    dir: &Path,
    manifest: &Manifest,
    each: impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let path = path_of(dir, manifest.generation);
    read_file(&path, FileKind::Snapshot, each, |header| {
        header.first_lsn == manifest.lsn
    })
}

/// Reads the graph over the rows of the snapshot that `manifest` names; `false` when there is none.
///
/// Errors: [`StorageError::Damaged`], also for a graph over another snapshot.
pub fn read_graph<E: From<StorageError>>(
    dir: &Path,
    manifest: &Manifest,
    each: impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<bool, E> {
    let path = graph_path_of(dir, manifest.generation);
    if !path.exists() {
        return Ok(false);
    }
    let expected = graph_header(dir, manifest)?;
    read_file(&path, FileKind::Graph, each, |header| *header == expected).map(|()| true)
}

/// Removes the graph over the rows of the snapshot that `manifest` names.
pub fn remove_graph(dir: &Path, manifest: &Manifest) -> Result<(), StorageError> {
    disk::remove_if_there(&graph_path_of(dir, manifest.generation))
}

/// A graph's file carries its snapshot's seed: beside any other snapshot it means nothing.
fn graph_header(dir: &Path, manifest: &Manifest) -> Result<Header, StorageError> {
    let path = path_of(dir, manifest.generation);
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|mut file| take(&mut file, HEADER_LEN as u64, &mut bytes))
        .map_err(StorageError::io("read", &path))?;
    let snapshot = header_of(&path, &bytes, FileKind::Snapshot)?;
    Ok(Header {
        kind: FileKind::Graph,
        ..snapshot
    })
}

fn read_file<E: From<StorageError>>(
    path: &Path,
    kind: FileKind,
    mut each: impl FnMut(Record<'_>) -> Result<(), E>,
    belongs: impl FnOnce(&Header) -> bool,
) -> Result<(), E> {
    let file = File::open(path).map_err(StorageError::io("open", path))?;
    let size = file
        .metadata()
        .map_err(StorageError::io("read", path))?
        .len();
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut buffer = Vec::new();
    take(&mut file, HEADER_LEN as u64, &mut buffer).map_err(StorageError::io("read", path))?;
    let header = header_of(path, &buffer, kind)?;
    let damaged = |at: u64, reason: &str| {
        E::from(StorageError::Damaged {
            file: disk::short(path),
            offset: at,
            reason: reason.to_owned(),
        })
    };
    if !belongs(&header) {
        return Err(damaged(
            16,
            "not the snapshot that the manifest names, nor of it",
        ));
    }
    let mut at = HEADER_LEN as u64;
    for expected in 0.. {
        buffer.clear();
        take(&mut file, RECORD_LEN as u64, &mut buffer).map_err(StorageError::io("read", path))?;
        let Some(len) = buffer
            .first_chunk()
            .map(|raw| u64::from(u32::from_le_bytes(*raw)))
        else {
            return Err(damaged(at, "the end is missing"));
        };
        // Before the allocation: a length that the file cannot hold is not believed.
        if len > MAX_BODY_BYTES || at + RECORD_LEN as u64 + len > size {
            return Err(damaged(at, "the record is cut short"));
        }
        take(&mut file, len, &mut buffer).map_err(StorageError::io("read", path))?;
        let found = frame::decode(header.seed, &buffer).map_err(|reason| damaged(at, reason))?;
        if found.lsn != expected {
            return Err(damaged(at, "the records are out of order"));
        }
        if found.kind == END {
            let counted = found.body == expected.to_le_bytes();
            if !counted || at + found.len() as u64 != size {
                return Err(damaged(at, "the end does not fit the file"));
            }
            return Ok(());
        }
        each(Record {
            lsn: found.lsn,
            kind: found.kind,
            body: found.body,
        })?;
        at += found.len() as u64;
    }
    Ok(())
}

/// Appends up to `len` bytes to `buffer`; fewer at the end of the file.
fn take(file: &mut impl Read, len: u64, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
    file.take(len).read_to_end(buffer)
}

/// Returns the length of the snapshot `generation`.
pub fn bytes_of(dir: &Path, generation: u64) -> Result<u64, StorageError> {
    let path = path_of(dir, generation);
    let found = std::fs::metadata(&path).map_err(StorageError::io("read", &path))?;
    Ok(found.len())
}

/// Removes what `manifest` has made obsolete, and what crashes have left.
pub fn sweep(dir: &Path, manifest: &Manifest) -> Result<(), StorageError> {
    let keep = path_of(dir, manifest.generation);
    let keep_graph = graph_path_of(dir, manifest.generation);
    for name in disk::names_in(dir)? {
        let path = dir.join(&name);
        let snapshot = name.starts_with("snapshot-") && name.ends_with(".bin");
        let graph = name.starts_with("graph-") && name.ends_with(".bin");
        if (snapshot && path != keep) || (graph && path != keep_graph) || name.ends_with(".tmp") {
            disk::remove_if_there(&path)?;
        }
    }
    wal::remove_before(dir, manifest.generation)
}

pub(super) fn path_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("snapshot-{generation:012}.bin"))
}

pub(super) fn graph_path_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("graph-{generation:012}.bin"))
}

#[cfg(test)]
mod tests;
