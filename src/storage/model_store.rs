//! Putting a model's files where they belong: whole and verified, or not at all.
//!
//! Files gather in a hidden folder beside the model's, where an interrupted download goes on; the
//! folder gets its name when every byte is right.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::disk::{StorageError, remove_if_there, short, sync_dir};
use super::file_lock::FileLock;
use crate::types::error_kind::ErrorKind;

/// Bytes that are read and hashed at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What a file must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedFile {
    /// Within the model's folder.
    pub name: &'static str,
    /// Its length.
    pub bytes: u64,
    /// Hex.
    pub sha256: &'static str,
}

/// What is wrong with a model's files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelStoreError {
    /// The operating system refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Fetch the file again, or from elsewhere.
    #[error("{file} is not the file it should be: {reason}")]
    WrongFile {
        /// The folder and name of the file.
        file: String,
        /// Lengths or sums.
        reason: String,
    },
    /// Wait for the other.
    #[error("another process is fetching this model")]
    Busy,
}

impl ModelStoreError {
    /// Tells what the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Storage(error) => error.kind(),
            Self::WrongFile { .. } => ErrorKind::BadRequest,
            Self::Busy => ErrorKind::Unavailable,
        }
    }
}

/// Whether a model's folder has its files, going by their lengths.
pub fn looks_whole(folder: &Path, files: &[ExpectedFile]) -> bool {
    let fits = |file: &ExpectedFile| {
        let found = fs::metadata(folder.join(file.name));
        found.is_ok_and(|found| found.is_file() && found.len() == file.bytes)
    };
    files.iter().all(fits)
}

/// Reads and hashes a model's files; `progress` hears of bytes done.
///
/// Errors: the first file that is missing or not what it should be.
pub fn verify(
    folder: &Path,
    files: &[ExpectedFile],
    progress: &mut dyn FnMut(u64),
) -> Result<(), ModelStoreError> {
    for file in files {
        let path = folder.join(file.name);
        let mut sum = Sum::default();
        sum.read(&path, progress)?;
        sum.check(&path, file)?;
    }
    Ok(())
}

/// A model that is being put in place. Dropped before [`Install::commit`], what came so far stays
/// for the next attempt.
#[derive(Debug)]
pub struct Install {
    folder: PathBuf,
    parts: PathBuf,
    files: &'static [ExpectedFile],
    /// Held, so that there is one at a time; the operating system lets go of it after a crash.
    _lock: FileLock,
}

impl Install {
    /// Begins, or goes on with, the folder `name` in the folder of models.
    ///
    /// Errors: [`ModelStoreError::Busy`]; a folder that cannot be written.
    pub fn begin(
        models: &Path,
        name: &str,
        files: &'static [ExpectedFile],
    ) -> Result<Self, ModelStoreError> {
        let parts = models.join(format!(".{name}.part"));
        fs::create_dir_all(&parts).map_err(StorageError::io("make", &parts))?;
        let path = models.join(format!(".{name}.lock"));
        let lock = FileLock::try_take(&path).map_err(StorageError::io("lock", &path))?;
        Ok(Self {
            folder: models.join(name),
            parts,
            files,
            _lock: lock.ok_or(ModelStoreError::Busy)?,
        })
    }

    /// Opens a file to go on behind what is there of it.
    pub fn resume(&self, file: &'static ExpectedFile) -> Result<PartFile, ModelStoreError> {
        let path = self.parts.join(file.name);
        let mut sum = Sum::default();
        if path.exists() {
            sum.read(&path, &mut |_| {})?;
        }
        if sum.bytes > file.bytes {
            return self.restart(file);
        }
        PartFile::open(path, file, sum)
    }

    /// Opens a file anew.
    pub fn restart(&self, file: &'static ExpectedFile) -> Result<PartFile, ModelStoreError> {
        let path = self.parts.join(file.name);
        remove_if_there(&path)?;
        PartFile::open(path, file, Sum::default())
    }

    /// Gives the folder its name, in place of an older one. Every file must be finished.
    ///
    /// Errors: a file that is missing or wrong; then nothing has changed.
    pub fn commit(self) -> Result<PathBuf, ModelStoreError> {
        verify(&self.parts, self.files, &mut |_| {})?;
        sync(&self.parts)?;
        let old = self.parts.with_extension("old");
        remove_folder(&old)?;
        if self.folder.exists() {
            rename(&self.folder, &old)?;
        }
        rename(&self.parts, &self.folder)?;
        sync(self.folder.parent().unwrap_or(Path::new(".")))?;
        remove_folder(&old)?;
        Ok(self.folder)
    }
}

/// A file that is being written; it stays as it is when dropped.
#[derive(Debug)]
pub struct PartFile {
    path: PathBuf,
    file: File,
    expected: &'static ExpectedFile,
    sum: Sum,
}

impl PartFile {
    fn open(
        path: PathBuf,
        expected: &'static ExpectedFile,
        sum: Sum,
    ) -> Result<Self, ModelStoreError> {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(StorageError::io("open", &path))?;
        Ok(Self {
            path,
            file,
            expected,
            sum,
        })
    }

    /// Bytes that are there.
    pub fn held(&self) -> u64 {
        self.sum.bytes
    }

    /// Appends.
    ///
    /// Errors: more than the file has; then it is removed.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ModelStoreError> {
        self.sum.add(bytes);
        if self.sum.bytes > self.expected.bytes {
            remove_if_there(&self.path)?;
            return Err(wrong(
                &self.path,
                format!("longer than {} bytes", self.expected.bytes),
            ));
        }
        let written = self.file.write_all(bytes);
        Ok(written.map_err(StorageError::io("write", &self.path))?)
    }

    /// Appends all of `input`; `progress` hears of bytes done.
    pub fn copy(
        &mut self,
        input: &mut dyn Read,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ModelStoreError> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = input.read(&mut chunk);
            let read = read.map_err(StorageError::io("read the source of", &self.path))?;
            let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Ok(());
            };
            self.push(bytes)?;
            progress(read as u64);
        }
    }

    /// Checks the whole file and makes it durable.
    ///
    /// Errors: [`ModelStoreError::WrongFile`]; then it is removed.
    pub fn finish(self) -> Result<(), ModelStoreError> {
        if let Err(error) = self.sum.check(&self.path, self.expected) {
            remove_if_there(&self.path)?;
            return Err(error);
        }
        let synced = self.file.sync_all();
        Ok(synced.map_err(StorageError::io("sync", &self.path))?)
    }
}

/// Length and hash of what passed by.
#[derive(Debug, Default)]
struct Sum {
    bytes: u64,
    hasher: Sha256,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn read(&mut self, path: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), StorageError> {
        let mut file = File::open(path).map_err(StorageError::io("open", path))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = file.read(&mut chunk);
            let read = read.map_err(StorageError::io("read", path))?;
            let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Ok(());
            };
            self.add(bytes);
            progress(read as u64);
        }
    }

    fn check(&self, path: &Path, expected: &ExpectedFile) -> Result<(), ModelStoreError> {
        if self.bytes != expected.bytes {
            let (got, expected) = (self.bytes, expected.bytes);
            return Err(wrong(path, format!("{got} bytes, expected {expected}")));
        }
        let got = self.hasher.clone().finalize();
        let got: String = got.iter().map(|byte| format!("{byte:02x}")).collect();
        if got != expected.sha256 {
            let expected = expected.sha256;
            return Err(wrong(path, format!("sha256 {got}, expected {expected}")));
        }
        Ok(())
    }
}

fn wrong(path: &Path, reason: String) -> ModelStoreError {
    ModelStoreError::WrongFile {
        file: short(path),
        reason,
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), StorageError> {
    fs::rename(from, to).map_err(StorageError::io("rename", from))
}

fn sync(folder: &Path) -> Result<(), StorageError> {
    sync_dir(folder).map_err(StorageError::io("sync", folder))
}

fn remove_folder(path: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StorageError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// sha256 of `hello` and of `hello world`.
    static FILES: [ExpectedFile; 2] = [
        ExpectedFile {
            name: "a",
            bytes: 5,
            sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        },
        ExpectedFile {
            name: "b",
            bytes: 11,
            sha256: "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
        },
    ];

    fn begin(models: &Path) -> Result<Install, ModelStoreError> {
        Install::begin(models, "m", &FILES)
    }

    fn put(install: &Install, file: &'static ExpectedFile, text: &str) {
        let mut part = install.restart(file).unwrap();
        part.copy(&mut text.as_bytes(), &mut |_| {}).unwrap();
        part.finish().unwrap();
    }

    #[test]
    fn a_folder_appears_whole_and_goes_on_where_it_was_left() {
        let models = tempfile::tempdir().unwrap();
        let models = models.path();
        let folder = models.join("m");
        let install = begin(models).unwrap();
        put(&install, &FILES[0], "hello");
        install
            .resume(&FILES[1])
            .unwrap()
            .push(b"hello wo")
            .unwrap();
        assert_eq!(begin(models).unwrap_err(), ModelStoreError::Busy);
        let error = install.commit().unwrap_err();
        assert!(
            error.to_string().contains("8 bytes, expected 11"),
            "{error}"
        );
        assert!(!folder.exists());

        let install = begin(models).unwrap();
        let mut part = install.resume(&FILES[1]).unwrap();
        assert_eq!(part.held(), 8);
        part.push(b"rld").unwrap();
        part.finish().unwrap();
        assert!(!looks_whole(&folder, &FILES));
        assert_eq!(install.commit().unwrap(), folder);
        assert!(looks_whole(&folder, &FILES));
        let mut seen = 0;
        verify(&folder, &FILES, &mut |bytes| seen += bytes).unwrap();
        assert_eq!(seen, 16);
    }

    #[test]
    fn an_older_folder_gives_way_to_the_new_one_only() {
        let models = tempfile::tempdir().unwrap();
        let folder = models.path().join("m");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a"), "HELLO").unwrap();
        fs::write(folder.join("stray"), "").unwrap();
        let install = begin(models.path()).unwrap();
        put(&install, &FILES[0], "hello");
        put(&install, &FILES[1], "hello world");
        install.commit().unwrap();
        assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "hello");
        assert!(!folder.join("stray").exists());
        let names = super::super::disk::names_in(models.path()).unwrap();
        assert_eq!(names, [".m.lock", "m"]);
    }

    #[test]
    fn what_is_not_the_file_does_not_stay() {
        let models = tempfile::tempdir().unwrap();
        let install = begin(models.path()).unwrap();
        let mut part = install.resume(&FILES[0]).unwrap();
        part.push(b"HELLO").unwrap();
        let error = part.finish().unwrap_err();
        assert!(error.to_string().contains("sha256 "), "{error}");
        assert_eq!(error.kind(), ErrorKind::BadRequest);
        let mut part = install.resume(&FILES[0]).unwrap();
        assert_eq!(part.held(), 0);
        let error = part.push(b"hello!").unwrap_err();
        assert!(error.to_string().contains("longer than 5"), "{error}");
        assert_eq!(install.resume(&FILES[0]).unwrap().held(), 0);
    }
}
