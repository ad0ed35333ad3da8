//! The files of a collection at one moment.

use std::path::Path;

use super::pinned::Pinned;
use crate::storage::disk::{self, StorageError};
use crate::storage::snapshot::{self, Manifest};
use crate::storage::wal;

/// Pins the files of the collection in `dir`, whose log is written to in the file `number`, of which `bytes` belong to it.
/// Nobody may append to the log or remove files meanwhile; a new manifest may come.
///
/// Errors: a file that should be there is not.
pub fn pin_collection(dir: &Path, number: u64, bytes: u64) -> Result<Vec<Pinned>, StorageError> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let named = |path: &Path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        format!("collections/{name}/{file}")
    };
    // Read once: what it names then is what belongs to it, whatever takes its place.
    let (path, read) = Manifest::read_bytes(dir)?;
    let generation = Manifest::parse(&path, &read)?.generation;
    let mut files = vec![Pinned::memory(named(&path), read)];
    let path = snapshot::path_of(dir, generation);
    files.push(Pinned::open(&path, named(&path), None)?);
    let path = snapshot::graph_path_of(dir, generation);
    if path.exists() {
        files.push(Pinned::open(&path, named(&path), None)?);
    }
    for each in generation..=number {
        let path = wal::path_of(dir, each);
        let bytes = (each == number).then_some(bytes);
        files.push(Pinned::open(&path, named(&path), bytes)?);
    }
    Ok(files)
}

/// Pins the files of a collection that nobody can ask, as they lie there.
pub fn pin_as_it_lies(data_dir: &Path, name: &str) -> Result<Vec<Pinned>, StorageError> {
    let path = format!("collections/{name}");
    let mut files = super::whole_folder(data_dir, &path)?;
    files.retain(|file| {
        let name = disk::short(Path::new(file.path()));
        !name.ends_with("/LOCK") && !name.ends_with(".tmp")
    });
    Ok(files)
}
