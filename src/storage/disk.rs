//! Files and folders: what these functions wrote is on the disk when they return.
//!
//! Also home of [`StorageError`], the one error of the files that collections are kept in.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::os;
use crate::types::error_kind::ErrorKind;

/// What can go wrong with files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The operating system refused. Retry once its reason is gone.
    #[error("cannot {action} {file}: {reason}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The folder and name of the file.
        file: String,
        /// The operating system's words.
        reason: String,
    },
    /// The file is not as it was written. Stop: restore it from a backup, or repair it.
    #[error(
        "{file} is damaged at byte {offset}: {reason}; restore it from a backup, or stop the server and see `boathouse collection check`"
    )]
    Damaged {
        /// The folder and name of the file.
        file: String,
        /// Where the damage starts.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A newer version wrote the file. Stop: run that version.
    #[error("{file} has format {found}, this version reads {supported}; use a newer version")]
    Format {
        /// The folder and name of the file.
        file: String,
        /// The file's format byte.
        found: u8,
        /// The newest format that this version knows.
        supported: u8,
    },
    /// More than one record may hold. Split it.
    #[error("a record of {got} bytes is over the limit of {limit}; send less at a time")]
    TooLarge {
        /// The size of the record.
        got: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// Bytes that do not decode, or a value that does not encode.
    #[error("a record does not {action}: {reason}")]
    Codec {
        /// `encode` or `decode`.
        action: &'static str,
        /// The codec's words.
        reason: String,
    },
}

impl StorageError {
    /// Returns what the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Io { .. } => ErrorKind::Unavailable,
            Self::Damaged { .. } | Self::Format { .. } | Self::Codec { .. } => ErrorKind::Internal,
        }
    }

    /// Wraps an operating system's error, for use with `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let file = short(path);
        move |error| Self::Io {
            action,
            file,
            reason: error.to_string(),
        }
    }

    /// Says where a file is damaged.
    pub(crate) fn damaged(path: &Path, offset: usize, reason: impl Into<String>) -> Self {
        Self::Damaged {
            file: short(path),
            offset: offset as u64,
            reason: reason.into(),
        }
    }
}

/// The last two parts of a path: enough to find the file, and no more of the machine than that.
pub(crate) fn short(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match path.parent().and_then(Path::file_name) {
        Some(folder) => format!("{}/{name}", folder.to_string_lossy()),
        None => name.into_owned(),
    }
}

/// Makes the entries of a folder durable: files that were created, renamed or removed in it.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    os::sync_dir(path)
}

/// Makes a folder; its parents, where they are missing, too.
pub fn create_dir(path: &Path) -> Result<(), StorageError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)
        .and_then(|()| os::create_dir(path))
        .map_err(StorageError::io("create", path))
}

/// Renames a file or a folder within its folder. Durable once that is [synced](sync_dir).
pub fn rename(from: &Path, to: &Path) -> Result<(), StorageError> {
    os::rename(from, to).map_err(StorageError::io("rename", from))
}

/// Replaces `path` with `bytes`: after a crash it holds either the old content or the new.
///
/// Writes `<path>.tmp`, syncs it, renames it, and syncs the folder.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    write_atomic_with(path, |file| file.write_all(bytes))
}

/// The same for content that is too large to hold twice.
pub(super) fn write_atomic_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<os::File>) -> io::Result<()>,
) -> Result<(), StorageError> {
    let tmp = tmp_of(path);
    let written = os::File::create(&tmp).and_then(|file| {
        let mut file = BufWriter::new(file);
        write(&mut file)?;
        file.into_inner()?.sync_all()
    });
    if let Err(error) = written {
        // The first error is the one to tell; what is left of the file is swept at the next open.
        drop(os::remove_file(&tmp));
        return Err(StorageError::io("write", &tmp)(error));
    }
    os::rename(&tmp, path).map_err(StorageError::io("rename", &tmp))?;
    sync_dir(path.parent().unwrap_or(Path::new("."))).map_err(StorageError::io("sync", path))
}

/// The name that [`write_atomic`] writes under before it renames.
fn tmp_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Reads a whole file that must not be longer than `limit` bytes.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, StorageError> {
    let file = File::open(path).map_err(StorageError::io("open", path))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(StorageError::io("read", path))?;
    let got = bytes.len() as u64;
    if got > limit {
        return Err(StorageError::damaged(
            path,
            bytes.len(),
            format!("longer than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// Removes a file; one that is gone already is fine.
pub fn remove_if_there(path: &Path) -> Result<(), StorageError> {
    match os::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StorageError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Lists the names in a folder that are valid UTF-8, sorted.
pub fn names_in(dir: &Path) -> Result<Vec<String>, StorageError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(StorageError::io("list", dir))? {
        let entry = entry.map_err(StorageError::io("list", dir))?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_atomic_write_replaces_the_whole_file_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("MANIFEST");
        write_atomic(&path, b"first, and longer").unwrap();
        fs::write(tmp_of(&path), b"left by a crash").unwrap();
        write_atomic(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names_in(dir.path()).unwrap(), ["MANIFEST"]);
    }

    #[test]
    fn a_failed_write_keeps_the_old_content_and_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gone").join("MANIFEST");
        let error = write_atomic(&path, b"x").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot write gone/MANIFEST.tmp: "),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn a_read_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, [7; 10]).unwrap();
        assert_eq!(read_bounded(&path, 10).unwrap().len(), 10);
        let error = read_bounded(&path, 9).unwrap_err();
        assert!(error.to_string().contains("longer than 9 bytes"), "{error}");
    }

    #[test]
    fn removing_what_is_not_there_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        remove_if_there(&dir.path().join("nothing")).unwrap();
        assert!(sync_dir(&dir.path().join("nothing")).is_err());
    }
}
