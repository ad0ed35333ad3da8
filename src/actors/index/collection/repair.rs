//! A damaged collection: what can still be read, told first and then made whole.

use std::fs;
use std::path::Path;

use super::maintenance::write_view;
use super::seed;
use crate::engines::index::{self, Contents, IndexError, Op};
use crate::storage::disk::{self, StorageError};
use crate::storage::salvage::{Salvage, salvage};
use crate::storage::snapshot::{self, Manifest};
use crate::storage::wal::Wal;

/// What a collection's folder still holds.
#[derive(Debug)]
pub struct Checked {
    /// Its files, and their damages.
    pub files: Salvage,
    /// Points that can be read.
    pub points: usize,
}

/// Reads the whole collection in `dir` and changes nothing. Nobody else may have it open.
///
/// Errors: a manifest that cannot be read, or files of a newer version.
pub fn check(dir: &Path) -> Result<Checked, IndexError> {
    let (files, contents) = read(dir)?;
    Ok(Checked {
        files,
        points: contents.live(),
    })
}

/// Makes the collection in `dir` of what can be read of it. The damaged files are kept in `backup`, which must
/// not be there yet. A crash leaves the collection as it was, or whole.
pub fn repair(dir: &Path, backup: &Path) -> Result<Checked, IndexError> {
    let (files, contents) = read(dir)?;
    keep(dir, backup)?;
    // The steps of a snapshot: nothing counts before the manifest does.
    let manifest = Manifest {
        spec: files.manifest.spec.clone(),
        generation: files.last_file + 1,
        lsn: files.last_lsn,
    };
    Wal::create(dir, manifest.generation, seed(), manifest.lsn + 1)?;
    write_view(dir, &contents.view(), &manifest, || Ok(()))?;
    manifest.store(dir)?;
    snapshot::sweep(dir, &manifest)?;
    Ok(Checked {
        files,
        points: contents.live(),
    })
}

fn read(dir: &Path) -> Result<(Salvage, Contents), IndexError> {
    let spec = Manifest::load(dir)?.spec;
    index::check_spec(&spec)?;
    let mut contents = Contents::new(spec);
    let files = salvage(dir, |record| {
        let op = Op::decode(record.kind, record.body).map_err(|error| error.to_string())?;
        let applied = contents.apply(op.into()).map(drop);
        applied.map_err(|error| error.to_string())
    })?;
    Ok((files, contents))
}

/// Puts every file of `dir` into `backup`, too.
fn keep(dir: &Path, backup: &Path) -> Result<(), IndexError> {
    fs::create_dir_all(backup).map_err(StorageError::io("create", backup))?;
    for name in disk::names_in(dir)? {
        let (from, to) = (dir.join(&name), backup.join(&name));
        // A second name of the same file; a copy where the disk has no such thing.
        let kept = fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop));
        kept.map_err(StorageError::io("keep", &from))?;
    }
    disk::sync_dir(backup).map_err(StorageError::io("sync", backup))?;
    Ok(())
}
