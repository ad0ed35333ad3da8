//! What of a data folder belongs into a backup.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::is_backup;
use super::pinned::Pinned;
use crate::storage::disk::{self, StorageError};

/// What is derived, of the running process only, or has a way of its own into the backup.
const NOT_OTHERS: [&str; 10] = [
    "LOCK",
    "black-box",
    "embedding-cache.bin",
    "imported.ids",
    "damaged",
    "collections",
    "evidence",
    "datasets",
    // What is in the object storage, and comes from there again.
    "pushed.json",
    "replicas",
];
/// Big, and to be had again by `boathouse models pull`.
const MODELS: &str = "models";
/// What ends the name of a dataset that is being replaced; see `dataset_store`.
const OLD: &str = ".old";
/// Readings of a folder that is replaced meanwhile.
const TRIES: usize = 20;
/// Deepest folder in a folder.
const MAX_DEPTH: usize = 16;

/// The collections of a data folder, by name; what begins with a dot is none.
pub fn collection_names(data_dir: &Path) -> Result<Vec<String>, StorageError> {
    let root = data_dir.join("collections");
    let mut names = names(&root)?;
    names.retain(|name| root.join(name).is_dir());
    Ok(names)
}

/// The folders of datasets that are replaced whole, each by its path in the data folder, and the files beside them.
pub fn dataset_folders(data_dir: &Path) -> Result<Vec<String>, StorageError> {
    let mut found = Vec::new();
    for name in datasets_in(&data_dir.join("datasets"))? {
        let path = format!("datasets/{name}");
        match name.as_str() {
            "exports" | "replays" => {
                let each = datasets_in(&data_dir.join(&path))?.into_iter();
                found.extend(each.map(|name| format!("{path}/{name}")));
            }
            _ => found.push(path),
        }
    }
    Ok(found)
}

/// What else the data folder holds: files and folders that this version does not know are of one that does.
pub fn others(data_dir: &Path, with_models: bool) -> Result<Vec<String>, StorageError> {
    let mut found = names(data_dir)?;
    found.retain(|name| {
        !NOT_OTHERS.contains(&name.as_str())
            && !name.ends_with(".tmp")
            && (with_models || name != MODELS)
    });
    Ok(found)
}

/// The names in a folder of datasets, also of those that are just being replaced.
fn datasets_in(dir: &Path) -> Result<BTreeSet<String>, StorageError> {
    let mut found: BTreeSet<String> = names(dir)?.into_iter().collect();
    if dir.exists() {
        let hidden = disk::names_in(dir)?;
        let old = hidden
            .iter()
            .filter_map(|name| name.strip_prefix('.')?.strip_suffix(OLD));
        found.extend(old.map(str::to_owned));
    }
    Ok(found)
}

/// Names in a folder but for hidden ones; none of a folder that is not there.
fn names(dir: &Path) -> Result<Vec<String>, StorageError> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut names = disk::names_in(dir)?;
    names.retain(|name| !name.starts_with('.') && name != "lost+found");
    Ok(names)
}

/// Pins every file of the folder, or the file, at `path` of a data folder, at a moment when it is not being replaced; none when
/// it is gone. Links are left out.
///
/// Errors: it cannot be read; it is replaced all the time.
pub fn whole_folder(data_dir: &Path, path: &str) -> Result<Vec<Pinned>, StorageError> {
    let full = data_dir.join(path);
    let aside = moved_aside(&full);
    let mut tries = 0;
    loop {
        tries += 1;
        // Between the two renames of a replacement only the old one is there, under another name.
        let (place, before) = match (identity(&full), identity(&aside)) {
            (Some(found), _) => (&full, found),
            (None, Some(found)) => (&aside, found),
            // The replacement may have ended between the two looks.
            (None, None) if tries < TRIES => continue,
            (None, None) => return Ok(Vec::new()),
        };
        let mut files = Vec::new();
        let walked = walk(place, path, &mut files, 0);
        // The old one is whole for as long as nothing has taken its place.
        let quiet =
            identity(place) == Some(before) && (place == &full || identity(&full).is_none());
        match walked {
            Ok(()) if quiet => return Ok(files),
            Err(error) if quiet && tries >= TRIES => return Err(error),
            // A folder that is swapped takes its files along; what is in the new one is whole, too.
            Ok(()) | Err(_) if tries < TRIES => {}
            Err(error) => return Err(error),
            Ok(()) => {
                let reason = io::Error::other("it was replaced again and again");
                return Err(StorageError::io("read", &full)(reason));
            }
        }
    }
}

/// Where a dataset is while another one takes its place.
fn moved_aside(full: &Path) -> PathBuf {
    let name = full.file_name().unwrap_or_default().to_string_lossy();
    full.with_file_name(format!(".{name}{OLD}"))
}

/// What tells a folder from the one that takes its place.
#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<std::time::SystemTime> {
    fs::symlink_metadata(path).ok()?.created().ok()
}

fn walk(
    full: &Path,
    path: &str,
    files: &mut Vec<Pinned>,
    depth: usize,
) -> Result<(), StorageError> {
    let found = fs::symlink_metadata(full).map_err(StorageError::io("read", full))?;
    if found.is_file() {
        files.push(Pinned::open(full, path.to_owned(), None)?);
    } else if found.is_dir() && depth < MAX_DEPTH {
        for name in disk::names_in(full)? {
            walk(
                &full.join(&name),
                &format!("{path}/{name}"),
                files,
                depth + 1,
            )?;
        }
    }
    Ok(())
}

/// The length of what a backup would hold, about, bytes.
pub fn estimate(data_dir: &Path, with_models: bool) -> u64 {
    let mut paths: Vec<PathBuf> = ["collections", "evidence", "datasets"]
        .map(|name| data_dir.join(name))
        .into();
    let others = others(data_dir, with_models).unwrap_or_default();
    paths.extend(others.into_iter().map(|name| data_dir.join(name)));
    let mut bytes = 0;
    while let Some(path) = paths.pop() {
        let Ok(found) = fs::symlink_metadata(&path) else {
            continue;
        };
        if found.is_file() && !is_backup(&path.to_string_lossy()) {
            bytes += found.len();
        } else if found.is_dir() {
            let inside = disk::names_in(&path).unwrap_or_default();
            paths.extend(inside.into_iter().map(|name| path.join(name)));
        }
    }
    bytes
}
