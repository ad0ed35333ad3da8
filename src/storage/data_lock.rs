//! One process for each data folder.

use std::path::{Path, PathBuf};

use super::file_lock::FileLock;

/// The lock file's name in the data folder.
const NAME: &str = "LOCK";
/// Where files gather in a folder that is being restored. While it is there the folder is no data folder.
pub(crate) const RESTORING: &str = ".restoring";

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataLockError {
    /// Another process serves it.
    #[error("{} is in use by another boathouse process; stop it, or use --data with another folder", .0.display())]
    Taken(PathBuf),
    /// The folder cannot be made or written.
    #[error("data folder {}: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Holds a data folder until it is dropped; the operating system lets go of it also after a crash.
#[derive(Debug)]
pub struct DataLock {
    _lock: FileLock,
}

impl DataLock {
    /// Makes the folder where needed and takes it.
    ///
    /// Errors: `Taken`; `Folder` when it cannot be written, or a restore was cut short in it.
    pub fn acquire(folder: &Path) -> Result<Self, DataLockError> {
        let failed = |error: std::io::Error| DataLockError::Folder {
            path: folder.to_path_buf(),
            reason: error.to_string(),
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let lock = FileLock::try_take(&folder.join(NAME)).map_err(failed)?;
        match lock {
            Some(_) if folder.join(RESTORING).exists() => Err(DataLockError::Folder {
                path: folder.to_path_buf(),
                reason: format!(
                    "a restore into it was cut short ({RESTORING} is there); empty the folder and restore again"
                ),
            }),
            Some(lock) => Ok(Self { _lock: lock }),
            None => Err(DataLockError::Taken(folder.to_path_buf())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let held = DataLock::acquire(&path).unwrap();
        assert!(matches!(
            DataLock::acquire(&path),
            Err(DataLockError::Taken(_))
        ));
        drop(held);
        DataLock::acquire(&path).unwrap();
    }

    #[test]
    fn a_folder_that_a_restore_was_cut_short_in_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(RESTORING)).unwrap();
        let error = DataLock::acquire(folder.path()).unwrap_err().to_string();
        assert!(error.contains("restore again"), "{error}");
        std::fs::remove_dir(folder.path().join(RESTORING)).unwrap();
        DataLock::acquire(folder.path()).unwrap();
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        std::fs::write(&path, "").unwrap();
        let error = DataLock::acquire(&path).unwrap_err().to_string();
        assert!(error.contains("data folder"), "{error}");
    }
}
