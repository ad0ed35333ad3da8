//! Files that are hashed as they pass by, for their receipts.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::DatasetStoreError;

/// What a file was when it was read or written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReceipt {
    /// Relative to its folder, with `/`.
    pub path: String,
    /// Its lines.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// Hex.
    pub sha256: String,
}

impl FileReceipt {
    /// Whether it is the receipt of a file that was hashed now. The rows of a file that is not text are not counted by its
    /// lines.
    pub fn is_of(&self, found: &Self) -> bool {
        let rows = self.rows == found.rows || self.path.ends_with(".parquet");
        rows && (&self.path, self.bytes, &self.sha256) == (&found.path, found.bytes, &found.sha256)
    }

    fn empty(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            rows: 0,
            bytes: 0,
            sha256: String::new(),
        }
    }
}

/// A file that is hashed while it is written: by lines, or as bytes whose writer counts the rows.
#[derive(Debug)]
pub struct HashedFile {
    full: PathBuf,
    file: BufWriter<File>,
    hasher: Sha256,
    receipt: FileReceipt,
}

impl HashedFile {
    /// Creates the file `full`, which its receipt calls `path`.
    pub(super) fn create(full: PathBuf, path: &str) -> Result<Self, DatasetStoreError> {
        let file = File::create(&full).map_err(DatasetStoreError::io("create", &full))?;
        let receipt = FileReceipt::empty(path);
        Ok(Self {
            full,
            file: BufWriter::new(file),
            hasher: Sha256::new(),
            receipt,
        })
    }

    /// Its name in its receipt.
    pub fn path(&self) -> &str {
        &self.receipt.path
    }

    /// Writes one line; `text` must not hold a newline.
    pub fn line(&mut self, text: &str) -> Result<(), DatasetStoreError> {
        for bytes in [text.as_bytes(), b"\n"] {
            self.write_all(bytes)
                .map_err(DatasetStoreError::io("write", &self.full))?;
        }
        self.receipt.rows += 1;
        Ok(())
    }

    /// The same as [`Self::finish`] of a file whose rows are not lines.
    pub fn finish_rows(mut self, rows: u64) -> Result<FileReceipt, DatasetStoreError> {
        self.receipt.rows = rows;
        self.finish()
    }

    /// Forces the file to the disk; returns what was written.
    pub fn finish(mut self) -> Result<FileReceipt, DatasetStoreError> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(DatasetStoreError::io("sync", &self.full))?;
        self.receipt.sha256 = hex(&self.hasher.finalize());
        Ok(self.receipt)
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.receipt.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The lines of a file, hashed while they are read.
#[derive(Debug)]
pub struct HashedLines {
    full: PathBuf,
    file: BufReader<File>,
    hasher: Sha256,
    receipt: FileReceipt,
}

impl HashedLines {
    /// Opens `path` in `dir`.
    pub fn open(dir: &Path, path: &str) -> Result<Self, DatasetStoreError> {
        let full = dir.join(path);
        let file = File::open(&full).map_err(DatasetStoreError::io("open", &full))?;
        let receipt = FileReceipt::empty(path);
        Ok(Self {
            full,
            file: BufReader::new(file),
            hasher: Sha256::new(),
            receipt,
        })
    }

    /// Reads the next line with its newline into `line`; `false` at the end.
    pub fn next(&mut self, line: &mut Vec<u8>) -> Result<bool, DatasetStoreError> {
        line.clear();
        let read = self
            .file
            .read_until(b'\n', line)
            .map_err(DatasetStoreError::io("read", &self.full))?;
        self.hasher.update(&*line);
        self.receipt.bytes += read as u64;
        self.receipt.rows += u64::from(read > 0);
        Ok(read > 0)
    }

    /// What was read until now.
    pub fn finish(mut self) -> FileReceipt {
        self.receipt.sha256 = hex(&self.hasher.finalize());
        self.receipt
    }
}

/// Hashes the first `bytes` bytes of a file; `tick` is called for every MiB.
pub fn hash_file(
    dir: &Path,
    path: &str,
    bytes: u64,
    tick: &mut dyn FnMut(),
) -> Result<FileReceipt, DatasetStoreError> {
    hash_parts(dir, path, 0, bytes, tick).map(|(_, whole)| whole)
}

/// The same, also of the first `cut` bytes alone, in one reading.
pub fn hash_parts(
    dir: &Path,
    path: &str,
    cut: u64,
    bytes: u64,
    tick: &mut dyn FnMut(),
) -> Result<(FileReceipt, FileReceipt), DatasetStoreError> {
    let full = dir.join(path);
    let mut file = File::open(&full).map_err(DatasetStoreError::io("open", &full))?;
    let mut chunk = vec![0; 1024 * 1024];
    let mut hasher = Sha256::new();
    let mut receipt = FileReceipt::empty(path);
    let mut until = |end: u64, receipt: &mut FileReceipt, hasher: &mut Sha256| {
        while receipt.bytes < end {
            let room = usize::try_from(end - receipt.bytes).unwrap_or(usize::MAX);
            let room = room.min(chunk.len());
            let read = file
                .read(chunk.get_mut(..room).unwrap_or_default())
                .map_err(DatasetStoreError::io("read", &full))?;
            let part = chunk.get(..read).unwrap_or_default();
            if part.is_empty() {
                break;
            }
            hasher.update(part);
            receipt.bytes += read as u64;
            receipt.rows += part.iter().filter(|byte| **byte == b'\n').count() as u64;
            tick();
        }
        let sum = hex(&hasher.clone().finalize());
        receipt.sha256 = sum;
        Ok(receipt.clone())
    };
    let begin = until(cut.min(bytes), &mut receipt, &mut hasher)?;
    let whole = until(bytes, &mut receipt, &mut hasher)?;
    Ok((begin, whole))
}

/// Hex of the sha256 of a text.
pub fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Two digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
