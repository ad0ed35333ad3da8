//! Reading a backup: all of it is checked before any of it counts.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tar::EntryType;

use super::pack::FAILED;
use super::{
    BackupError, BackupFile, BackupManifest, FORMAT, MANIFEST, SEAL, check_path, only_the_owners,
};
use crate::storage::data_lock::RESTORING;
use crate::storage::dataset_store::hex;
use crate::storage::disk::{StorageError, names_in, sync_dir};
use crate::storage::file_lock::FileLock;
use crate::storage::os;
use crate::types::plain::counted;

/// Longest manifest, bytes.
const MAX_MANIFEST_BYTES: u64 = 1 << 30;
/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Reads a whole backup and checks every sum. `go_on` hears of bytes read, and ends it by `false`.
///
/// Errors: the first file that is not as it was written.
pub fn verify(
    backup: impl Read,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<BackupManifest, BackupError> {
    read(backup, go_on, |_| Ok(None))
}

/// Puts a backup into `dir`, which must be empty or not there yet. Everything is written beside, checked and forced to the
/// disk before the first file has its name; a failure leaves the folder as it was.
///
/// Errors: as those of [`verify`]; [`BackupError::NotEmpty`]; the disk refuses.
pub fn restore(
    backup: impl Read,
    dir: &Path,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<BackupManifest, BackupError> {
    let made = !dir.exists();
    fs::create_dir_all(dir).map_err(StorageError::io("create", dir))?;
    refuse_used(dir)?;
    let lock_file = dir.join("LOCK");
    let lock = FileLock::try_take(&lock_file).map_err(StorageError::io("lock", &lock_file))?;
    let Some(lock) = lock else {
        return Err(not_empty(dir, "is in use by a boathouse process"));
    };
    let aside = dir.join(RESTORING);
    let restored = write_aside(backup, &aside, go_on).and_then(|manifest| {
        put_in_place(&aside, dir)?;
        Ok(manifest)
    });
    if restored.is_err() {
        // The first error is the one to tell. What cannot be removed keeps the folder from being served.
        drop(fs::remove_dir_all(&aside));
        drop(fs::remove_file(&lock_file));
        if made {
            drop(fs::remove_dir(dir));
        }
    }
    drop(lock);
    restored
}

fn not_empty(dir: &Path, reason: impl Into<String>) -> BackupError {
    BackupError::NotEmpty {
        folder: dir.display().to_string(),
        reason: reason.into(),
    }
}

fn refuse_used(dir: &Path) -> Result<(), BackupError> {
    for entry in fs::read_dir(dir).map_err(StorageError::io("list", dir))? {
        let name = entry
            .map_err(StorageError::io("list", dir))?
            .file_name()
            .to_string_lossy()
            .into_owned();
        // A fresh file system has its own folder, and a restore that was killed leaves the other two.
        if !["LOCK", "lost+found", RESTORING].contains(&name.as_str()) {
            return Err(not_empty(dir, format!("is not empty: it holds {name}")));
        }
    }
    Ok(())
}

fn write_aside(
    backup: impl Read,
    aside: &Path,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<BackupManifest, BackupError> {
    if aside.exists() {
        fs::remove_dir_all(aside).map_err(StorageError::io("remove", aside))?;
    }
    os::create_dir(aside).map_err(StorageError::io("create", aside))?;
    let mut folders = BTreeSet::from([aside.to_owned()]);
    let manifest = read(backup, go_on, |path| {
        let full = aside.join(path);
        let folder = full.parent().unwrap_or(aside);
        fs::create_dir_all(folder).map_err(StorageError::io("create", folder))?;
        let below = folder.ancestors().take_while(|one| *one != aside);
        folders.extend(below.map(Path::to_owned));
        let file = os::File::create(&full).map_err(StorageError::io("create", &full))?;
        only_the_owners(&full)?;
        Ok(Some((file, full)))
    })?;
    for folder in folders {
        sync_dir(&folder).map_err(StorageError::io("sync", &folder))?;
    }
    Ok(manifest)
}

/// Gives everything its name. A crash in between leaves the folder aside, by which a server knows.
fn put_in_place(aside: &Path, dir: &Path) -> Result<(), StorageError> {
    let mut placed: Vec<PathBuf> = Vec::new();
    for name in names_in(aside)? {
        let (from, to) = (aside.join(&name), dir.join(&name));
        if let Err(error) = os::rename(&from, &to) {
            for done in placed {
                // All or nothing; whoever finds some of it is told by the folder aside.
                drop(fs::remove_dir_all(&done).or_else(|_| fs::remove_file(&done)));
            }
            return Err(StorageError::io("rename", &from)(error));
        }
        placed.push(to);
    }
    sync_dir(dir).map_err(StorageError::io("sync", dir))?;
    fs::remove_dir(aside).map_err(StorageError::io("remove", aside))?;
    sync_dir(dir).map_err(StorageError::io("sync", dir))
}

/// What is known of a backup of any version.
#[derive(Deserialize)]
struct AnyManifest {
    format: u8,
    boathouse: String,
}

/// Reads all files; `open` says where each goes.
fn read(
    backup: impl Read,
    go_on: &mut dyn FnMut(u64) -> bool,
    mut open: impl FnMut(&str) -> Result<Option<(os::File, PathBuf)>, BackupError>,
) -> Result<BackupManifest, BackupError> {
    let mut archive = tar::Archive::new(backup);
    let (mut seen, mut paths) = (Vec::<BackupFile>::new(), BTreeSet::new());
    let (mut manifest, mut seal) = (None, None);
    let place = |seen: &[BackupFile]| match seen.last() {
        Some(last) => format!("what follows {}", last.path),
        None => "its first file".to_owned(),
    };
    let entries = archive
        .entries()
        .map_err(|error| BackupError::damaged("its first file", error.to_string()))?;
    for entry in entries {
        let mut entry =
            entry.map_err(|error| BackupError::damaged(place(&seen), error.to_string()))?;
        let path = match entry.path().ok().as_deref().and_then(Path::to_str) {
            Some(path) => path.to_owned(),
            None => return Err(BackupError::damaged(place(&seen), "its name is no text")),
        };
        if let Err(reason) = check_path(&path) {
            return Err(BackupError::damaged(path, reason));
        }
        if entry.header().entry_type() != EntryType::Regular {
            return Err(BackupError::damaged(path, "it is no plain file"));
        }
        if seal.is_some() || !paths.insert(path.clone()) {
            return Err(BackupError::damaged(path, "it does not belong there"));
        }
        match path.as_str() {
            FAILED => {
                let why = small(&mut entry, FAILED, 1 << 20)?;
                let why = String::from_utf8_lossy(&why).trim().to_owned();
                return Err(BackupError::damaged("it ends early", why));
            }
            MANIFEST => manifest = Some(small(&mut entry, MANIFEST, MAX_MANIFEST_BYTES)?),
            SEAL => seal = Some(small(&mut entry, SEAL, 1 << 10)?),
            _ if manifest.is_some() => {
                return Err(BackupError::damaged(path, "it does not belong there"));
            }
            _ => {
                let target = open(&path)?;
                seen.push(copy(&mut entry, path, target, go_on)?);
            }
        }
    }
    let (Some(manifest), Some(seal)) = (manifest, seal) else {
        return Err(BackupError::damaged(
            place(&seen),
            "it is missing: the backup is cut short",
        ));
    };
    judge(&manifest, &seal, &seen)
}

/// Holds what was read against what was written.
fn judge(manifest: &[u8], seal: &[u8], seen: &[BackupFile]) -> Result<BackupManifest, BackupError> {
    let sum = hex(&Sha256::digest(manifest));
    if seal != format!("{sum}  {MANIFEST}\n").as_bytes() {
        return Err(BackupError::damaged(
            MANIFEST,
            "its sha256 is not in the seal",
        ));
    }
    let parsed = |error: serde_json::Error| BackupError::damaged(MANIFEST, error.to_string());
    let any: AnyManifest = serde_json::from_slice(manifest).map_err(parsed)?;
    if any.format != FORMAT {
        return Err(BackupError::Format {
            found: any.format,
            by: any.boathouse,
        });
    }
    let manifest: BackupManifest = serde_json::from_slice(manifest).map_err(parsed)?;
    for (at, written) in manifest.files.iter().enumerate() {
        match seen.get(at) {
            Some(found) if found == written => {}
            Some(found) if found.path == written.path => {
                let reason = match found.bytes == written.bytes {
                    true => "its sha256 is another".to_owned(),
                    false => format!(
                        "it has {} of {}",
                        counted(found.bytes, "byte"),
                        written.bytes
                    ),
                };
                return Err(BackupError::damaged(&written.path, reason));
            }
            _ => return Err(BackupError::damaged(&written.path, "it is missing")),
        }
    }
    match seen.get(manifest.files.len()) {
        Some(more) => Err(BackupError::damaged(
            &more.path,
            "the manifest does not name it",
        )),
        None => Ok(manifest),
    }
}

/// Reads a file of the backup, to where it goes.
fn copy(
    entry: &mut tar::Entry<'_, impl Read>,
    path: String,
    mut target: Option<(os::File, PathBuf)>,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<BackupFile, BackupError> {
    let (size, mut read, mut hasher) = (entry.size(), 0, Sha256::new());
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let got = entry.read(&mut buffer);
        let got = got.map_err(|error| BackupError::damaged(&path, error.to_string()))?;
        let bytes = buffer.get(..got).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        if !go_on(got as u64) {
            return Err(BackupError::Stopped);
        }
        hasher.update(bytes);
        read += got as u64;
        if let Some((file, full)) = &mut target {
            file.write_all(bytes)
                .map_err(StorageError::io("write", full))?;
        }
    }
    if read != size {
        return Err(BackupError::damaged(path, "the backup is cut short in it"));
    }
    if let Some((file, full)) = &target {
        file.sync_all().map_err(StorageError::io("sync", full))?;
    }
    Ok(BackupFile {
        path,
        bytes: read,
        sha256: hex(&hasher.finalize()),
    })
}

/// Reads a file of the backup into memory.
fn small(
    entry: &mut tar::Entry<'_, impl Read>,
    path: &str,
    limit: u64,
) -> Result<Vec<u8>, BackupError> {
    let size = entry.size();
    let mut bytes = Vec::new();
    let read = entry.take(limit).read_to_end(&mut bytes);
    read.map_err(|error| BackupError::damaged(path, error.to_string()))?;
    match bytes.len() as u64 == size {
        true => Ok(bytes),
        false => Err(BackupError::damaged(path, "the backup is cut short in it")),
    }
}
