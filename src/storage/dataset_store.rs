//! The folder of datasets: whole folders that are built aside, hashed, and swapped in.
//!
//! `tasks/` holds the materialized tasks, `exports/NAME/` one export each. A folder NAME is built
//! as `.NAME.new`; replacing moves the old one to `.NAME.old` first. [`DatasetStore::recover`]
//! finishes or undoes what a crash left between these steps, so that NAME is always a whole folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::sync_dir;
use crate::types::error_kind::ErrorKind;

mod hashed;
mod task_lines;
#[cfg(test)]
mod tests;

#[cfg(feature = "server")]
pub(crate) use hashed::hex;
pub use hashed::{FileReceipt, HashedFile, HashedLines, hash_file, hash_parts, sha256};
pub use task_lines::{TaskLines, task_file_date, task_files};

/// A failed operation of the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetStoreError {
    /// The disk failed. The folder that was there is untouched.
    #[error("datasets: cannot {action} {path}: {reason}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: String,
        /// What the operating system said.
        reason: String,
    },
    /// A row does not fit the columns of its file. A fault of ours.
    #[error("datasets: row {row} of {path} does not fit its columns: {reason}")]
    Row {
        /// The file.
        path: String,
        /// From 1.
        row: u64,
        /// Which column, and what it was given.
        reason: String,
    },
    /// The name cannot be a folder's. Change it.
    #[error("the name must be 1 to 64 of a-z, A-Z, 0-9, _ and -, got {0:?}")]
    Name(String),
}

impl DatasetStoreError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } => ErrorKind::Unavailable,
            Self::Row { .. } => ErrorKind::Internal,
            Self::Name(_) => ErrorKind::BadRequest,
        }
    }

    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::Io {
            action,
            path,
            reason: error.to_string(),
        }
    }
}

/// The folder of datasets.
#[derive(Debug, Clone)]
pub struct DatasetStore {
    root: PathBuf,
}

impl DatasetStore {
    /// Names the folder; it is created when something is written.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The folder of the materialized tasks.
    pub fn tasks(&self) -> PathBuf {
        self.root.join("tasks")
    }

    /// The folder of an export.
    ///
    /// Errors: [`DatasetStoreError::Name`].
    pub fn export(&self, name: &str) -> Result<PathBuf, DatasetStoreError> {
        self.named("exports", name)
    }

    /// The folder of a replay.
    ///
    /// Errors: [`DatasetStoreError::Name`].
    pub fn replay(&self, name: &str) -> Result<PathBuf, DatasetStoreError> {
        self.named("replays", name)
    }

    /// The file of a named profile that audits compare with.
    ///
    /// Errors: [`DatasetStoreError::Name`].
    pub fn baseline(&self, name: &str) -> Result<PathBuf, DatasetStoreError> {
        self.named("baselines", name)
            .map(|path| path.with_extension("json"))
    }

    fn named(&self, of: &str, name: &str) -> Result<PathBuf, DatasetStoreError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !(1..=64).contains(&name.len()) || !name.bytes().all(allowed) {
            let shown = name.chars().take(80).collect();
            return Err(DatasetStoreError::Name(shown));
        }
        Ok(self.root.join(of).join(name))
    }

    /// Lists the exports by name.
    pub fn exports(&self) -> Result<Vec<String>, DatasetStoreError> {
        let mut names = entries(&self.root.join("exports"))?;
        names.retain(|name| self.export(name).is_ok_and(|path| path.is_dir()));
        Ok(names)
    }

    /// Lists the replays by name.
    pub fn replays(&self) -> Result<Vec<String>, DatasetStoreError> {
        let mut names = entries(&self.root.join("replays"))?;
        names.retain(|name| self.replay(name).is_ok_and(|path| path.is_dir()));
        Ok(names)
    }

    /// Lists the folders by name, but for those in the making.
    pub fn folders(&self) -> Result<Vec<String>, DatasetStoreError> {
        let mut names = entries(&self.root)?;
        names.retain(|name| !name.starts_with('.') && self.root.join(name).is_dir());
        Ok(names)
    }

    /// Removes a folder, if it is there.
    pub fn remove(&self, target: &Path) -> Result<(), DatasetStoreError> {
        remove(target)
    }

    /// Finishes or undoes the replacements that a crash interrupted.
    pub fn recover(&self) -> Result<(), DatasetStoreError> {
        for parent in [self.root.clone(), self.root.join("exports")] {
            for name in entries(&parent)? {
                let path = parent.join(&name);
                let Some(hidden) = name.strip_prefix('.') else {
                    continue;
                };
                if hidden.ends_with(".new") {
                    remove(&path)?;
                } else if let Some(target) = hidden.strip_suffix(".old") {
                    let target = parent.join(target);
                    if target.exists() {
                        remove(&path)?;
                    } else {
                        fs::rename(&path, &target)
                            .map_err(DatasetStoreError::io("restore", &target))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Begins to build a folder that will replace `target`.
    pub fn stage(&self, target: &Path) -> Result<Staging, DatasetStoreError> {
        let dir = sibling(target, "new");
        remove(&dir)?;
        fs::create_dir_all(&dir).map_err(DatasetStoreError::io("create", &dir))?;
        Ok(Staging {
            target: target.to_owned(),
            dir,
        })
    }
}

/// A folder in the making; dropped without [`Staging::commit`] it leaves nothing.
#[derive(Debug)]
pub struct Staging {
    target: PathBuf,
    dir: PathBuf,
}

impl Staging {
    /// Creates a file, and the folder it is in.
    pub fn create(&self, path: &str) -> Result<HashedFile, DatasetStoreError> {
        let full = self.dir.join(path);
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent).map_err(DatasetStoreError::io("create", parent))?;
        }
        HashedFile::create(full, path)
    }

    /// Takes over a file of the folder that this one replaces.
    pub fn reuse(&self, path: &str) -> Result<(), DatasetStoreError> {
        let (from, to) = (self.target.join(path), self.dir.join(path));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(DatasetStoreError::io("create", parent))?;
        }
        // A second name is as good as a copy: whoever replaces the file makes another one.
        if fs::hard_link(&from, &to).is_ok() {
            return Ok(());
        }
        fs::copy(&from, &to)
            .and_then(|_| fs::File::open(&to)?.sync_all())
            .map_err(DatasetStoreError::io("copy", &from))
    }

    /// Writes a whole file.
    pub fn write(&self, path: &str, text: &str) -> Result<FileReceipt, DatasetStoreError> {
        let mut file = self.create(path)?;
        for line in text.lines() {
            file.line(line)?;
        }
        file.finish()
    }

    /// Where it is until then.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads a file that was finished.
    pub fn lines(&self, path: &str) -> Result<HashedLines, DatasetStoreError> {
        HashedLines::open(&self.dir, path)
    }

    /// Puts the folder in its place; returns the place. After a crash it is the old or the new one.
    pub fn commit(self) -> Result<PathBuf, DatasetStoreError> {
        let target = self.target.clone();
        let failed = |error| DatasetStoreError::io("replace", &target)(error);
        for name in entries(&self.dir)? {
            let path = self.dir.join(name);
            if path.is_dir() {
                sync_dir(&path).map_err(failed)?;
            }
        }
        sync_dir(&self.dir).map_err(failed)?;
        let old = sibling(&target, "old");
        remove(&old)?;
        if target.exists() {
            fs::rename(&target, &old).map_err(failed)?;
        }
        fs::rename(&self.dir, &target).map_err(failed)?;
        if let Some(parent) = target.parent() {
            sync_dir(parent).map_err(failed)?;
        }
        remove(&old)?;
        Ok(target)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a commit there is nothing here; after a failure `recover` tries again.
        let _ = remove(&self.dir);
    }
}

fn sibling(target: &Path, suffix: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{suffix}"))
}

/// The names in a folder, sorted; none when there is no folder.
fn entries(dir: &Path) -> Result<Vec<String>, DatasetStoreError> {
    let listed = match fs::read_dir(dir) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DatasetStoreError::io("list", dir)(error)),
    };
    let mut names = Vec::new();
    for entry in listed {
        let entry = entry.map_err(DatasetStoreError::io("list", dir))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Lists the files of a folder and of those in it, relative and with `/`, but for hidden ones.
pub fn files(dir: &Path) -> Result<Vec<String>, DatasetStoreError> {
    let mut found = Vec::new();
    for name in entries(dir)? {
        let path = dir.join(&name);
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            let within = files(&path)?;
            found.extend(within.into_iter().map(|file| format!("{name}/{file}")));
        } else {
            found.push(name);
        }
    }
    Ok(found)
}

fn remove(dir: &Path) -> Result<(), DatasetStoreError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DatasetStoreError::io("remove", dir)(error))
        }
        _ => Ok(()),
    }
}
