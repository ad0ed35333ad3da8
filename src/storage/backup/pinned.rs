//! A file as it is at one moment.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use super::BackupError;
use crate::storage::disk::StorageError;

/// A file that is held open, and how much of it belongs to the backup.
#[derive(Debug)]
pub struct Pinned {
    path: String,
    content: Content,
    bytes: u64,
}

#[derive(Debug)]
enum Content {
    File(File),
    Memory(Cursor<Vec<u8>>),
}

impl Pinned {
    /// Opens a file, to stand in the backup as `name`; `bytes` of it, or all that it has now.
    ///
    /// Errors: it cannot be opened, or is shorter than that.
    pub fn open(path: &Path, name: String, bytes: Option<u64>) -> Result<Self, StorageError> {
        let file = File::open(path).map_err(StorageError::io("open", path))?;
        let found = file.metadata().map_err(StorageError::io("read", path))?;
        let bytes = bytes.unwrap_or(found.len());
        if bytes > found.len() {
            let found = usize::try_from(found.len()).unwrap_or(usize::MAX);
            let reason = format!("it should be {bytes} bytes long");
            return Err(StorageError::damaged(path, found, reason));
        }
        Ok(Self {
            path: name,
            content: Content::File(file),
            bytes,
        })
    }

    /// A file whose content was read already.
    pub fn memory(name: String, content: Vec<u8>) -> Self {
        Self {
            path: name,
            bytes: content.len() as u64,
            content: Content::Memory(Cursor::new(content)),
        }
    }

    /// Its path in the backup.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its length in the backup.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads on; nothing is left at the end of the file.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, BackupError> {
        let read = match &mut self.content {
            Content::File(file) => read_some(file, buffer),
            Content::Memory(bytes) => bytes.read(buffer),
        };
        let path = Path::new(&self.path);
        let read = read.map_err(StorageError::io("read", path))?;
        match read {
            0 => Err(BackupError::Changed {
                file: self.path.clone(),
            }),
            read => Ok(read),
        }
    }
}

fn read_some(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
