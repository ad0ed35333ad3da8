//! Sums over the journal up to one of its records, kept so that a start reads only what came after.
//!
//! Derived: without the file, or with one of another journal, the sums are made of the whole journal.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk::{StorageError, read_bounded, write_atomic};
use crate::types::usage::UsageRow;

/// The shape of the file.
const FORMAT: u8 = 1;
/// Longest file that is read, bytes: far above what the bounds of the sums allow.
const MAX_BYTES: u64 = 256 << 20;

/// Sums up to and with one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptUsage {
    format: u8,
    /// The last record that is counted.
    pub seq: u64,
    /// Its hash, which tells journals apart.
    pub hash: String,
    /// The sums.
    pub rows: Vec<UsageRow>,
}

impl KeptUsage {
    /// Sums up to and with the record `seq`, which has this `hash`.
    pub fn new(seq: u64, hash: String, rows: Vec<UsageRow>) -> Self {
        Self {
            format: FORMAT,
            seq,
            hash,
            rows,
        }
    }
}

/// Reads what the journal's folder holds; `None` when there is nothing.
///
/// Errors: a file that cannot be read, or makes no sense.
pub fn read(dir: &Path) -> Result<Option<KeptUsage>, StorageError> {
    let path = path_in(dir);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read_bounded(&path, MAX_BYTES)?;
    let kept: KeptUsage = serde_json::from_slice(&bytes)
        .map_err(|error| StorageError::damaged(&path, 0, error.to_string()))?;
    if kept.format != FORMAT {
        let reason = format!("format {} is not {FORMAT}", kept.format);
        return Err(StorageError::damaged(&path, 0, reason));
    }
    Ok(Some(kept))
}

/// Replaces what the journal's folder holds.
///
/// Errors: the disk refuses.
pub fn write(dir: &Path, kept: &KeptUsage) -> Result<(), StorageError> {
    let bytes = serde_json::to_vec(kept).map_err(|error| StorageError::Codec {
        action: "encode",
        reason: error.to_string(),
    })?;
    write_atomic(&path_in(dir), &bytes)
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join("usage.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::usage::UsageSums;

    #[test]
    fn what_was_written_is_read_and_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        let row = UsageRow {
            day: "2026-03-01".to_owned(),
            key: "k".to_owned(),
            model: "up/m".to_owned(),
            sums: UsageSums {
                requests: 2,
                cost_usd: Some(0.1 + 0.2),
                ..UsageSums::default()
            },
        };
        let kept = KeptUsage::new(7, "h".to_owned(), vec![row]);
        write(folder.path(), &kept).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Some(kept));
        for odd in ["{", "{\"format\":2,\"seq\":1,\"hash\":\"\",\"rows\":[]}"] {
            std::fs::write(path_in(folder.path()), odd).unwrap();
            let error = read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("usage.json"), "{error}");
        }
    }
}
