//! Backups: a data folder as one tar file, checked by sha256, and back again.
//!
//! ```text
//! collections/NAME/MANIFEST, snapshot-GEN.bin, graph-GEN.bin, wal-NUMBER.log
//! evidence/…, datasets/…, and whatever else the data folder holds that is not derived
//! manifest.json      what the backup is, and path, length and sha256 of every file before it
//! manifest.sha256    sha256 of that, in the form of `sha256sum`; the last file: without it the backup is cut short
//! ```
//!
//! Nothing is written to the data folder for it. Whoever owns files [pins](Pinned) them: opens all that belong together while
//! nothing changes them, and says how long they are at that moment. What happens to them later (appends, replacements,
//! removals) does not reach what is read through these handles.

mod collection;
mod folder;
mod pack;
mod pinned;
mod restore;
mod target;
#[cfg(test)]
mod tests;

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

pub use collection::{pin_as_it_lies, pin_collection};
pub use folder::{collection_names, dataset_folders, estimate, others, whole_folder};
pub use pack::Packer;
pub use pinned::Pinned;
pub use restore::{restore, verify};
pub use target::Target;

use super::disk::StorageError;
use crate::types::error_kind::ErrorKind;

/// The shape of a backup.
const FORMAT: u8 = 1;
/// The file that says what the others are.
const MANIFEST: &str = "manifest.json";
/// The file that says what that is.
const SEAL: &str = "manifest.sha256";
/// What the name of a backup in the making ends with.
const PART: &str = ".part";
/// Longest path in a backup, bytes: what systems open, with a data folder before it.
const MAX_PATH_BYTES: usize = 3_000;

/// A failed backup or restore.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The operating system refused. Retry once its reason is gone.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The file is no backup, or not as it was written. Take another one.
    #[error("the backup is not as it was written: {file}: {reason}")]
    Damaged {
        /// The file in the backup, or the backup itself.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A newer version wrote it. Restore with that version.
    #[error(
        "the backup has format {found}, this version reads {}; restore it with boathouse {by} or newer",
        FORMAT
    )]
    Format {
        /// Its format.
        found: u8,
        /// Who wrote it.
        by: String,
    },
    /// The folder to restore into is in use. Choose another.
    #[error("{folder} {reason}; restore into an empty folder")]
    NotEmpty {
        /// The folder.
        folder: String,
        /// What is there.
        reason: String,
    },
    /// There is a file where the backup should be written. Choose another name, or remove it.
    #[error("{file} is there already: {reason}")]
    Taken {
        /// The file.
        file: String,
        /// What to do about it.
        reason: &'static str,
    },
    /// A file changed while it was read, though nobody should change it. Retry.
    #[error("{file} became shorter while it was read; back up again")]
    Changed {
        /// The file.
        file: String,
    },
    /// A path that a tar cannot hold. Rename it.
    #[error("{path} cannot stand in a backup: {reason}")]
    Path {
        /// Which.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// Whoever wants it has told to stop.
    #[error("stopped; nothing is left of it")]
    Stopped,
}

impl BackupError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Storage(error) => error.kind(),
            Self::Damaged { .. } | Self::Format { .. } => ErrorKind::Unprocessable,
            Self::NotEmpty { .. } | Self::Taken { .. } | Self::Stopped => ErrorKind::Conflict,
            Self::Changed { .. } => ErrorKind::Unavailable,
            Self::Path { .. } => ErrorKind::Internal,
        }
    }

    fn damaged(file: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Damaged {
            file: file.into(),
            reason: reason.into(),
        }
    }
}

/// What a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupManifest {
    /// The shape of the backup.
    pub format: u8,
    /// The version that wrote it.
    pub boathouse: String,
    /// When it was begun, Unix milliseconds: what was acknowledged before is in it.
    pub began_ms: u64,
    /// When its last file was read, Unix milliseconds.
    pub ended_ms: u64,
    /// The journal's newest record in it.
    pub journal: Option<BackupHead>,
    /// The collections in it.
    pub collections: Vec<String>,
    /// What is in it, but not as it should be, each with the reason.
    pub warnings: Vec<String>,
    /// Every file, in order.
    pub files: Vec<BackupFile>,
}

impl BackupManifest {
    /// A manifest of no files yet.
    pub fn new(began_ms: u64) -> Self {
        Self {
            format: FORMAT,
            boathouse: env!("CARGO_PKG_VERSION").to_owned(),
            began_ms,
            ended_ms: began_ms,
            journal: None,
            collections: Vec::new(),
            warnings: Vec::new(),
            files: Vec::new(),
        }
    }

    /// The length of all files together, bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The end of the journal in a backup; `boathouse audit --head` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHead {
    /// The newest record.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Within the data folder, with `/` between its parts.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Hex.
    pub sha256: String,
}

/// Lets only its owner read a file: it holds contents of people, or hashes of keys.
fn only_the_owners(path: &Path) -> Result<(), StorageError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, mode).map_err(StorageError::io("protect", path))?;
    }
    Ok(())
}

/// Whether a file is a backup, or one in the making, by its name. Nothing that is kept has such names.
fn is_backup(path: &str) -> bool {
    path.ends_with(".tar") || path.ends_with(PART)
}

/// Refuses what would leave the folder that a path is to be in, and what a tar cannot hold.
fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() || path.len() > MAX_PATH_BYTES {
        return Err("it is empty or longer than 3000 bytes");
    }
    if path.contains(['\\', '\0']) {
        return Err("it has a backslash in it");
    }
    let plain = |part| matches!(part, Component::Normal(_));
    match Path::new(path).components().all(plain) && !path.ends_with('/') {
        true => Ok(()),
        false => Err("it is no plain path within a folder"),
    }
}
