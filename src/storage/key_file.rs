//! The API keys of a data folder: `keys.json`, replaced as a whole, readable by its owner only.
//!
//! It holds what checks keys, and no key. Commands change it beside a running server, one at a time.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::disk::{StorageError, read_bounded, sync_dir};
use super::file_lock::FileLock;
use crate::types::api_key::ApiKey;

/// The shape of the file.
const FORMAT: u8 = 1;
/// Longest file that is read, bytes: tens of thousands of keys.
const MAX_BYTES: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: u8,
    keys: Vec<ApiKey>,
}

/// What tells one state of the file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    /// Each replacement is another file.
    inode: u64,
}

/// Where the keys of a data folder stand.
pub fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join("keys.json")
}

/// Looks at the file; `None` when there is none.
///
/// Errors: the operating system refuses.
pub fn stamp(path: &Path) -> Result<Option<Stamp>, StorageError> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(Stamp {
            modified: found.modified().ok(),
            bytes: found.len(),
            inode: inode(&found),
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::io("look at", path)(error)),
    }
}

/// Reads the keys; none when there is no file.
///
/// Errors: a file that cannot be read, or makes no sense.
pub fn read(path: &Path) -> Result<Vec<ApiKey>, StorageError> {
    if stamp(path)?.is_none() {
        return Ok(Vec::new());
    }
    let bytes = read_bounded(path, MAX_BYTES)?;
    let kept: Kept = serde_json::from_slice(&bytes)
        .map_err(|error| StorageError::damaged(path, 0, error.to_string()))?;
    if kept.format != FORMAT {
        let reason = format!("format {} is not {FORMAT}", kept.format);
        return Err(StorageError::damaged(path, 0, reason));
    }
    Ok(kept.keys)
}

/// Changes the keys while no other process does; nothing is written when `change` fails. `None` when another process is
/// at it.
///
/// Errors: those of `change`; the disk refuses; a file that makes no sense, which stays as it is.
pub fn change<T, E: From<StorageError>>(
    path: &Path,
    change: impl FnOnce(&mut Vec<ApiKey>) -> Result<T, E>,
) -> Result<Option<T>, E> {
    let lock = path.with_extension("lock");
    let Some(_held) = FileLock::try_take(&lock).map_err(StorageError::io("lock", &lock))? else {
        return Ok(None);
    };
    let mut keys = read(path)?;
    let told = change(&mut keys)?;
    let kept = Kept {
        format: FORMAT,
        keys,
    };
    let bytes = serde_json::to_vec_pretty(&kept).map_err(|error| StorageError::Codec {
        action: "encode",
        reason: error.to_string(),
    })?;
    replace(path, &bytes)?;
    Ok(Some(told))
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let tmp = path.with_extension("tmp");
    // What a killed command left may be open to others.
    drop(fs::remove_file(&tmp));
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = private(&tmp).and_then(|mut file| {
        file.write_all(bytes)?;
        owned_as(folder, &file)?;
        file.sync_all()
    });
    if let Err(error) = written {
        // The first error is the one to tell.
        drop(fs::remove_file(&tmp));
        return Err(StorageError::io("write", &tmp)(error));
    }
    fs::rename(&tmp, path).map_err(StorageError::io("rename", &tmp))?;
    sync_dir(folder).map_err(StorageError::io("sync", path))
}

/// Gives a file that root has made to whom the folder belongs: the server must be able to read it.
#[cfg(unix)]
fn owned_as(folder: &Path, file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let (wanted, found) = (fs::metadata(folder)?, file.metadata()?);
    if wanted.uid() == found.uid() {
        return Ok(());
    }
    match fchown(file, Some(wanted.uid()), Some(wanted.gid())) {
        // Who is not root can give nothing away.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

#[cfg(not(unix))]
fn owned_as(_: &Path, _: &fs::File) -> io::Result<()> {
    Ok(())
}

/// Creates a file that only its owner can read, whatever the process's umask.
fn private(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(unix)]
fn inode(found: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    found.ino()
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::api_key::Scope;

    fn key(id: &str) -> ApiKey {
        ApiKey {
            id: id.to_owned(),
            name: "app".to_owned(),
            scopes: vec![Scope::Read],
            created_ms: 1,
            expires_ms: None,
            revoked_ms: None,
            requests_per_minute: Some(5),
            tokens_per_day: None,
            salt: String::new(),
            hash: String::new(),
        }
    }

    fn add(path: &Path, id: &str) -> Option<()> {
        change(path, |keys| {
            keys.push(key(id));
            Ok::<(), StorageError>(())
        })
        .unwrap()
    }

    #[test]
    fn changes_are_kept_private_and_told_by_the_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        assert_eq!(stamp(&path).unwrap(), None);
        assert!(read(&path).unwrap().is_empty());
        add(&path, "a").unwrap();
        let first = stamp(&path).unwrap();
        add(&path, "b").unwrap();
        assert_ne!(stamp(&path).unwrap(), first);
        let kept = read(&path).unwrap();
        assert_eq!(kept, [key("a"), key("b")]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_file_belongs_to_whom_the_folder_belongs() {
        use std::os::unix::fs::{MetadataExt as _, chown};
        let folder = tempfile::tempdir().unwrap();
        // Only root can; for others it is their own in any case.
        drop(chown(folder.path(), Some(12_345), Some(12_345)));
        let path = path_in(folder.path());
        add(&path, "a").unwrap();
        let owner = |path: &Path| {
            let found = fs::metadata(path).unwrap();
            (found.uid(), found.gid())
        };
        assert_eq!(owner(&path).0, owner(folder.path()).0);
        assert_eq!(owner(&path).1, owner(folder.path()).1);
    }

    #[test]
    fn one_change_at_a_time_and_a_failed_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        add(&path, "a").unwrap();
        let before = fs::read(&path).unwrap();
        let within = change(&path, |keys| {
            keys.clear();
            assert!(add(&path, "b").is_none());
            Err::<(), _>(StorageError::damaged(&path, 0, "no"))
        });
        assert!(within.is_err());
        assert_eq!(fs::read(&path).unwrap(), before);
        for odd in ["{", "{\"format\": 2, \"keys\": []}", "{\"keys\": []}"] {
            fs::write(&path, odd).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("keys.json"), "{error}");
            let changed = change(&path, |_| Ok::<(), StorageError>(()));
            assert!(changed.is_err());
            assert_eq!(fs::read(&path).unwrap(), odd.as_bytes());
        }
    }
}
