//! `pushed.json`: what this data folder has sent, and the manifest beside it in the bucket.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::PushError;
use crate::storage::dataset_store::FileReceipt;
use crate::storage::disk::write_atomic;
use crate::storage::evidence_log::{records, segments_since};

const FILE: &str = "pushed.json";
const FORMAT: u32 = 1;

/// The folders of a bucket.
pub(super) const EVIDENCE: &str = "evidence";
pub(super) const JOURNAL: &str = "journal";
pub(super) const TASKS: &str = "tasks";
pub(super) const EXPORTS: &str = "exports";
/// What is in the folder of a replica's journal, beside its segments.
pub(super) const MANIFEST: &str = "manifest.json";
/// Largest manifest that is read.
pub(super) const MAX_MANIFEST_BYTES: usize = 64 << 20;

/// The folder of a replica in one of a bucket's folders.
pub(super) fn folder(of: &str, replica: &str) -> String {
    format!("{of}/replica={replica}")
}

/// What was sent as one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// Empty when it is not known.
    pub(super) sha256: String,
    /// Of a segment: how its file was then, so that it need not be hashed to be known again.
    #[serde(default)]
    pub(super) modified_ns: u64,
}

impl Sent {
    pub(super) fn of(receipt: &FileReceipt) -> Self {
        Self {
            rows: receipt.rows,
            bytes: receipt.bytes,
            sha256: receipt.sha256.clone(),
            modified_ns: 0,
        }
    }

    pub(super) fn is(&self, receipt: &FileReceipt) -> bool {
        (self.bytes, &self.sha256) == (receipt.bytes, &receipt.sha256)
    }
}

/// When a file was last written to, Unix nanoseconds.
pub(super) fn modified_ns(metadata: &Metadata) -> u64 {
    let modified = metadata.modified().ok();
    let since = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or_default()
    })
}

/// What was sent where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pushed {
    format: u32,
    url: String,
    replica: String,
    /// Of the manifest.
    pub(super) manifest_sha256: String,
    /// The last record that it tells of.
    #[serde(default)]
    pub(super) head_seq: u64,
    /// By path.
    pub(super) objects: BTreeMap<String, Sent>,
}

impl Pushed {
    /// Nothing.
    pub(super) fn new(url: &str, replica: &str) -> Self {
        Self {
            format: FORMAT,
            url: url.to_owned(),
            replica: replica.to_owned(),
            manifest_sha256: String::new(),
            head_seq: 0,
            objects: BTreeMap::new(),
        }
    }

    fn path(data_dir: &Path) -> PathBuf {
        data_dir.join(FILE)
    }

    /// Reads what was sent to an address by a name; `None` when nothing is known of that.
    pub(super) fn read(data_dir: &Path, url: &str, replica: &str) -> Option<Self> {
        let text = std::fs::read(Self::path(data_dir)).ok()?;
        let read: Self = serde_json::from_slice(&text).ok()?;
        let same = read.format == FORMAT && read.url == url && read.replica == replica;
        same.then_some(read)
    }

    /// Errors: the disk failed.
    pub(super) fn write(&self, data_dir: &Path) -> Result<(), PushError> {
        let text =
            serde_json::to_string(self).map_err(|error| PushError::Json(error.to_string()))?;
        Ok(write_atomic(&Self::path(data_dir), text.as_bytes())?)
    }
}

/// What a bucket says of a replica's journal. It is written last: what it names is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    pub(super) replica: String,
    /// Unix milliseconds.
    pub(super) pushed_ms: u64,
    pub(super) head: HeadPushed,
    pub(super) segments: Vec<FileReceipt>,
    /// What stands beside them in the journal's folder.
    pub(super) beside: Vec<FileReceipt>,
}

/// The last record of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeadPushed {
    pub(super) seq: u64,
    pub(super) hash: String,
}

impl Manifest {
    /// Reads one.
    ///
    /// Errors: it is none, or of another version.
    pub(super) fn parse(replica: &str, text: &[u8]) -> Result<Self, PushError> {
        let bad = |reason: String| PushError::Manifest {
            replica: replica.to_owned(),
            reason,
        };
        let read: Self = serde_json::from_slice(text).map_err(|error| bad(error.to_string()))?;
        if read.format != FORMAT {
            return Err(bad(format!("format {} is not {FORMAT}", read.format)));
        }
        // They become names of files here.
        let plain = |file: &FileReceipt| {
            !file.path.starts_with('.') && !file.path.contains(['/', '\\']) && !file.path.is_empty()
        };
        match read.segments.iter().chain(&read.beside).all(plain) {
            true => Ok(read),
            false => Err(bad("it names a file of another folder".to_owned())),
        }
    }

    /// Whether a journal goes on where this one was: it has the last record, unless that was none.
    ///
    /// Errors: the journal cannot be read.
    pub(super) fn is_continued_by(&self, journal: &Path) -> Result<bool, PushError> {
        if self.head.seq == 0 {
            return Ok(true);
        }
        let before = self.head.seq - 1;
        let found = records(journal, segments_since(journal, before)?);
        for line in found.after(before) {
            if let Ok(record) = line?.record {
                return Ok(record.seq == self.head.seq && record.hash == self.head.hash);
            }
        }
        Ok(false)
    }
}

/// The first version.
pub(super) const fn manifest_format() -> u32 {
    FORMAT
}
