//! Damaged collections, looked at and mended while no server has them open.

use std::path::{Path, PathBuf};

use super::{ServiceError, now_ms};
use crate::actors::index::collection::repair;
pub use crate::actors::index::collection::repair::Checked;
use crate::engines::index::is_collection_name;
use crate::engines::nearest::listed;
use crate::storage::data_lock::DataLock;
pub use crate::storage::salvage::Damage;
use crate::types::error_kind::ErrorKind;

/// The collections of a data folder, which no server uses meanwhile.
pub struct Offline {
    data_dir: PathBuf,
    _lock: DataLock,
}

impl Offline {
    /// Takes the folder.
    ///
    /// Errors: it is not there, or a server has it.
    pub fn open(data_dir: &Path) -> Result<Self, ServiceError> {
        if !data_dir.is_dir() {
            return Err(ServiceError::not_found(format!(
                "there is no data folder {}; name it with --data",
                data_dir.display()
            )));
        }
        let lock = DataLock::acquire(data_dir)
            .map_err(|error| ServiceError::new(ErrorKind::Conflict, error.to_string()))?;
        Ok(Self {
            data_dir: data_dir.to_owned(),
            _lock: lock,
        })
    }

    /// The names of its collections, in order.
    pub fn names(&self) -> Result<Vec<String>, ServiceError> {
        let folder = self.data_dir.join("collections");
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let failed = |error: std::io::Error| {
            ServiceError::new(
                ErrorKind::Unavailable,
                format!("{}: {error}", folder.display()),
            )
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let name = entry
                .map_err(failed)?
                .file_name()
                .to_string_lossy()
                .into_owned();
            if is_collection_name(&name) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Reads a whole collection and changes nothing.
    pub fn check(&self, name: &str) -> Result<Checked, ServiceError> {
        Ok(repair::check(&self.folder(name)?)?)
    }

    /// Makes a collection of what can be read of it. Returns the folder that keeps its damaged files.
    pub fn repair(&self, name: &str) -> Result<(Checked, PathBuf), ServiceError> {
        let backup = self
            .data_dir
            .join("damaged")
            .join(format!("{name}-{}", now_ms()));
        let repaired = repair::repair(&self.folder(name)?, &backup)?;
        Ok((repaired, backup))
    }

    fn folder(&self, name: &str) -> Result<PathBuf, ServiceError> {
        let folder = self.data_dir.join("collections").join(name);
        if is_collection_name(name) && folder.is_dir() {
            return Ok(folder);
        }
        let names = self.names()?;
        let known = listed(name, names.iter().map(String::as_str), 20);
        let name: String = name.chars().take(64).collect();
        Err(ServiceError::not_found(format!(
            "no collection {name}; there are: {known}"
        )))
    }
}
