//! `heads.log`: what the newest record was, at moments when it was surely on the disk.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::EvidenceLogError;
use crate::storage::disk::sync_dir;

/// The file's name.
pub(super) const FILE_NAME: &str = "heads.log";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipt {
    seq: u64,
    hash: String,
    #[serde(rename = "ts")]
    _ts: u64,
}

/// The receipts by sequence number, and how many of the file's bytes are whole lines.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Heads {
    /// Hash by sequence number.
    pub(super) by_seq: BTreeMap<u64, String>,
    whole_bytes: usize,
}

impl Heads {
    /// Reads the receipts; a torn last line counts for nothing.
    pub(super) fn read(dir: &Path) -> Result<Self, EvidenceLogError> {
        let path = dir.join(FILE_NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(EvidenceLogError::io("read", &path, &error)),
        };
        let mut heads = Self::default();
        for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let Some(line) = line.strip_suffix(b"\n") else {
                break;
            };
            let receipt: Receipt = serde_json::from_slice(line)
                .map_err(|error| EvidenceLogError::damaged(FILE_NAME, at as u64 + 1, 0, error))?;
            heads.by_seq.insert(receipt.seq, receipt.hash);
            heads.whole_bytes += line.len() + 1;
        }
        Ok(heads)
    }

    /// The newest record that was seen.
    pub(super) fn newest(&self) -> u64 {
        self.by_seq.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    /// Opens the file for more receipts; cuts a torn last line.
    pub(super) fn writer(&self, dir: &Path) -> Result<HeadsWriter, EvidenceLogError> {
        let path = dir.join(FILE_NAME);
        let open = || {
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.set_len(self.whole_bytes as u64)?;
            sync_dir(dir)?;
            Ok(file)
        };
        let file = open().map_err(|error| EvidenceLogError::io("open", &path, &error))?;
        Ok(HeadsWriter { path, file })
    }
}

/// Appends receipts.
#[derive(Debug)]
pub(super) struct HeadsWriter {
    path: PathBuf,
    file: File,
}

impl HeadsWriter {
    /// Writes that record `seq` is on the disk.
    pub(super) fn add(&mut self, seq: u64, hash: &str, ts: u64) -> Result<(), EvidenceLogError> {
        let line = format!("{{\"hash\":\"{hash}\",\"seq\":{seq},\"ts\":{ts}}}\n");
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(|error| EvidenceLogError::io("write", &self.path, &error))
    }
}
