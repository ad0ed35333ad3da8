//! The file that a backup is written to.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{BackupError, PART, only_the_owners};
use crate::storage::disk::{self, StorageError};
use crate::storage::os;

/// A backup in the making, as `NAME.part` beside its name; dropped before [`Target::commit`] it leaves nothing.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    part: PathBuf,
    file: Option<os::File>,
}

impl Target {
    /// Begins the file. One that is there is not replaced, nor one in the making.
    ///
    /// Errors: it is there; its folder cannot be written.
    pub fn create(path: &Path) -> Result<Self, BackupError> {
        if path.exists() {
            return Err(taken(path, "choose another name, it is not replaced"));
        }
        let mut name = path.as_os_str().to_owned();
        name.push(PART);
        let part = PathBuf::from(name);
        let file = os::File::create_new(&part).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => taken(
                &part,
                "another backup writes it; one that was killed may have left it, then remove it",
            ),
            _ => StorageError::io("create", &part)(error).into(),
        })?;
        let target = Self {
            path: path.to_owned(),
            part,
            file: Some(file),
        };
        only_the_owners(&target.part)?;
        Ok(target)
    }

    /// Writes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes)
                .map_err(StorageError::io("write", &self.part))?;
        }
        Ok(())
    }

    /// Forces what was written to the disk; returns where it can be read until it has its name.
    pub fn written(&self) -> Result<&Path, BackupError> {
        if let Some(file) = &self.file {
            file.sync_all()
                .map_err(StorageError::io("sync", &self.part))?;
        }
        Ok(&self.part)
    }

    /// Gives the file its name.
    pub fn commit(mut self) -> Result<(), BackupError> {
        os::rename(&self.part, &self.path).map_err(StorageError::io("rename", &self.part))?;
        self.file = None;
        let folder = self.path.parent().filter(|one| !one.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        disk::sync_dir(folder).map_err(StorageError::io("sync", &self.path))?;
        Ok(())
    }
}

fn taken(path: &Path, reason: &'static str) -> BackupError {
    BackupError::Taken {
        file: path.display().to_string(),
        reason,
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.file.is_some() {
            // Half a backup helps nobody, and takes the room that the next try needs.
            drop(os::remove_file(&self.part));
        }
    }
}
