//! One process for each data folder.

use std::fmt;
use std::net::SocketAddr;
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
    /// Another process has it.
    #[error("{} is in use by another boathouse process{holder}; stop it, or use --data with another folder", folder.display())]
    Taken {
        /// The folder.
        folder: PathBuf,
        /// Who has it.
        holder: Holder,
    },
    /// The folder cannot be made or written.
    #[error("data folder {}: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Who has a folder, as far as the lock file says; a process that took it this moment may not have written it yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: Option<u32>,
    /// Where it serves; `None` for a process that only works on the folder for a while.
    pub address: Option<SocketAddr>,
}

impl Holder {
    fn read(lock: &Path) -> Self {
        let text = std::fs::read_to_string(lock).unwrap_or_default();
        let mut lines = text.lines();
        Self {
            pid: lines.next().and_then(|line| line.parse().ok()),
            address: lines.next().and_then(|line| line.parse().ok()),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, self.address) {
            (Some(pid), Some(address)) => {
                write!(formatter, " (pid {pid}, which serves http://{address})")
            }
            (Some(pid), None) => write!(formatter, " (pid {pid})"),
            (None, _) => Ok(()),
        }
    }
}

impl DataLockError {
    /// Who has the folder, when that is what is wrong.
    pub fn holder(&self) -> Option<Holder> {
        match self {
            Self::Taken { holder, .. } => Some(*holder),
            Self::Folder { .. } => None,
        }
    }
}

/// Holds a data folder until it is dropped; the operating system lets go of it also after a crash.
#[derive(Debug)]
pub struct DataLock {
    lock: FileLock,
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
        let path = folder.join(NAME);
        let Some(lock) = FileLock::try_take(&path).map_err(failed)? else {
            return Err(DataLockError::Taken {
                folder: folder.to_path_buf(),
                holder: Holder::read(&path),
            });
        };
        if folder.join(RESTORING).exists() {
            return Err(DataLockError::Folder {
                path: folder.to_path_buf(),
                reason: format!(
                    "a restore into it was cut short ({RESTORING} is there); empty the folder and restore again"
                ),
            });
        }
        // A full disk must not keep the folder closed: what is on it can still be read.
        let _ = lock.write(&format!("{}\n", std::process::id()));
        Ok(Self { lock })
    }

    /// Says in the lock file where this process serves, for those who find the folder taken.
    ///
    /// Errors: the file cannot be written.
    pub fn announce(&self, address: SocketAddr) -> std::io::Result<()> {
        let pid = std::process::id();
        self.lock.write(&format!("{pid}\n{address}\n"))
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
        let taken = DataLock::acquire(&path).unwrap_err();
        let holder = taken.holder().unwrap();
        assert_eq!(holder.pid, Some(std::process::id()));
        assert_eq!(holder.address, None);
        let address = "127.0.0.1:8642".parse().unwrap();
        held.announce(address).unwrap();
        let taken = DataLock::acquire(&path).unwrap_err();
        assert_eq!(taken.holder().unwrap().address, Some(address));
        let said = taken.to_string();
        assert!(said.contains("serves http://127.0.0.1:8642"), "{said}");
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
