//! The calls to the operating system that change what a collection is kept in.
//!
//! Nothing but the calls, in one place: the tests watch them here, let them fail, and compute from them what a
//! crash at any moment may leave on a disk (see `faults`).

#[cfg(test)]
pub(crate) mod faults;

use std::fs::{self, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::path::Path;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct File {
    file: fs::File,
    #[cfg(test)]
    path: std::path::PathBuf,
}

impl File {
    /// Creates a file, or empties one that is there.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        #[cfg(test)]
        faults::before(faults::Call::Create(path.to_owned()))?;
        let file = fs::File::create(path)?;
        Ok(Self::of(file, path))
    }

    /// Creates a file that is not there yet.
    #[cfg(feature = "server")]
    pub(crate) fn create_new(path: &Path) -> io::Result<Self> {
        #[cfg(test)]
        faults::before(faults::Call::Create(path.to_owned()))?;
        let file = fs::File::create_new(path)?;
        Ok(Self::of(file, path))
    }

    /// Opens a file that is there, to be written from `at` on.
    pub(crate) fn open_at(path: &Path, at: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.seek(SeekFrom::Start(at))?;
        Ok(Self::of(file, path))
    }

    #[cfg_attr(
        not(test),
        expect(unused_variables, reason = "the tests name the file")
    )]
    fn of(file: fs::File, path: &Path) -> Self {
        Self {
            file,
            #[cfg(test)]
            path: path.to_owned(),
        }
    }

    /// Cuts the file at `len`, and goes on there.
    pub(crate) fn cut(&mut self, len: u64) -> io::Result<()> {
        #[cfg(test)]
        faults::before(faults::Call::Cut(self.path.clone(), len))?;
        self.file.set_len(len)?;
        self.file.seek(SeekFrom::Start(len)).map(drop)
    }

    /// Waits until the content is on the disk.
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        #[cfg(test)]
        faults::before(faults::Call::Sync(self.path.clone()))?;
        self.file.sync_data()
    }

    /// The same, and what the operating system knows of the file.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        #[cfg(test)]
        faults::before(faults::Call::Sync(self.path.clone()))?;
        self.file.sync_all()
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(test)]
        let bytes = {
            let at = self.file.stream_position()?;
            faults::before_write(&self.path, at, bytes)?
        };
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Makes the entries of a folder durable: files that were created, renamed or removed in it.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::before(faults::Call::SyncDir(path.to_owned()))?;
    fs::File::open(path)?.sync_all()
}

/// Renames within one folder, replacing what is there.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::before(faults::Call::Rename(from.to_owned(), to.to_owned()))?;
    fs::rename(from, to)
}

/// Removes a file.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    if path.exists() {
        faults::before(faults::Call::Remove(path.to_owned()))?;
    }
    fs::remove_file(path)
}

/// Makes a folder; its parent must be there.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::before(faults::Call::CreateDir(path.to_owned()))?;
    fs::create_dir(path)
}
