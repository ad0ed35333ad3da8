//! A lock on a file: one holder on the machine.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;

/// Held until it is dropped; the operating system lets go of it also after a crash.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
}

impl FileLock {
    /// Makes the file where needed and takes it; `None` when another holds it.
    pub(crate) fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Makes this the file's content.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        let mut file = &self.file;
        io::Seek::rewind(&mut file)?;
        file.set_len(0)?;
        file.write_all(text.as_bytes())
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Not by closing alone: a process that is just being forked has the same open file for a moment.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("LOCK");
        let held = FileLock::try_take(&path).unwrap().unwrap();
        assert!(FileLock::try_take(&path).unwrap().is_none());
        drop(held);
        assert!(FileLock::try_take(&path).unwrap().is_some());
    }

    #[test]
    fn a_copy_in_a_process_being_forked_does_not_hold_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("LOCK");
        let held = FileLock::try_take(&path).unwrap().unwrap();
        // What a fork leaves in the child until it executes its program.
        let copy = held.file.try_clone().unwrap();
        drop(held);
        assert!(FileLock::try_take(&path).unwrap().is_some());
        drop(copy);
    }
}
