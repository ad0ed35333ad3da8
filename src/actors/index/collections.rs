//! The collections that exist, each with its cell under the `collections` supervisor.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use supervisors::{ChildPolicy, ChildSpec, SupervisorRef};

use super::cell::{self, IndexCell};
use crate::actors::index::collection::DurableCollection;
use crate::engines::index::{IndexConfig, IndexError};
use crate::storage::disk;
use crate::types::collection::CollectionSpec;

/// What can go wrong with the set of collections.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectionsError {
    /// The name is taken by a collection with other properties.
    #[error("collection {0} exists with other properties; delete it first or use another name")]
    Exists(String),
    /// There is no such collection.
    #[error("no collection named {name}; there are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names that exist, comma-separated.
        known: String,
    },
    /// The engine refused it.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The folder could not be made or removed.
    #[error("collection folder: {0}")]
    Disk(String),
    /// The cell did not start.
    #[error("collection {name} did not start: {reason}")]
    Start {
        /// The collection.
        name: String,
        /// Why.
        reason: String,
    },
}

/// Creates, finds and removes collections.
pub struct Collections {
    root: PathBuf,
    policy: ChildPolicy,
    config: IndexConfig,
    supervisor: SupervisorRef,
    cells: RwLock<BTreeMap<String, IndexCell>>,
    /// Invariant: held across every change of the set, so that two creations cannot race.
    changing: tokio::sync::Mutex<()>,
}

/// The cells of the collections found on disk, to be started with the tree.
pub fn found_on_disk(
    root: &Path,
    policy: &ChildPolicy,
    config: &IndexConfig,
) -> std::io::Result<Vec<(String, ChildSpec, IndexCell)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // A name with a leading dot is a removal that a crash interrupted.
        if name.starts_with('.') {
            std::fs::remove_dir_all(entry.path())?;
            continue;
        }
        let (spec, cell) = cell::child_spec(&name, policy.clone(), entry.path(), config.clone());
        found.push((name, spec, cell));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

impl Collections {
    /// Takes over the cells that the tree has started.
    pub fn new(
        root: PathBuf,
        policy: ChildPolicy,
        config: IndexConfig,
        supervisor: SupervisorRef,
        cells: BTreeMap<String, IndexCell>,
    ) -> Self {
        Self {
            root,
            policy,
            config,
            supervisor,
            cells: RwLock::new(cells),
            changing: tokio::sync::Mutex::new(()),
        }
    }

    /// Returns the cell of `name`.
    pub fn find(&self, name: &str) -> Result<IndexCell, CollectionsError> {
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        cells
            .get(name)
            .cloned()
            .ok_or_else(|| CollectionsError::Unknown {
                name: name.chars().take(64).collect(),
                known: match cells.len() {
                    0 => "none yet".to_owned(),
                    _ => cells
                        .keys()
                        .take(20)
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(", "),
                },
            })
    }

    /// Lists the names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.cells
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .cloned()
            .collect()
    }

    /// Creates a collection and starts its cell.
    pub async fn create(&self, spec: CollectionSpec) -> Result<IndexCell, CollectionsError> {
        let _changing = self.changing.lock().await;
        if self.find(&spec.name).is_ok() {
            return Err(CollectionsError::Exists(spec.name));
        }
        let name = spec.name.clone();
        let dir = self.root.join(&name);
        let config = self.config.clone();
        let target = dir.clone();
        tokio::task::spawn_blocking(move || DurableCollection::create(&target, spec, config))
            .await
            .map_err(|error| CollectionsError::Disk(error.to_string()))??;
        let (child, cell) = cell::child_spec(&name, self.policy.clone(), dir, self.config.clone());
        self.supervisor
            .start_child(child)
            .await
            .map_err(|error| CollectionsError::Start {
                name: name.clone(),
                reason: error.to_string(),
            })?;
        self.cells
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, cell.clone());
        Ok(cell)
    }

    /// Stops the cell and removes the collection's folder.
    pub async fn remove(&self, name: &str) -> Result<(), CollectionsError> {
        let _changing = self.changing.lock().await;
        self.find(name)?;
        self.supervisor
            .stop_child(name)
            .await
            .map_err(|error| CollectionsError::Start {
                name: name.to_owned(),
                reason: error.to_string(),
            })?;
        self.cells
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
        let (root, name) = (self.root.clone(), name.to_owned());
        let removed = tokio::task::spawn_blocking(move || {
            // Renamed first: a crash in the middle leaves a dot folder, never half a collection.
            let trash = root.join(format!(".removed-{name}"));
            std::fs::rename(root.join(&name), &trash)?;
            disk::sync_dir(&root)?;
            std::fs::remove_dir_all(&trash)
        })
        .await;
        removed
            .map_err(|error| error.to_string())
            .and_then(|done| done.map_err(|error| error.to_string()))
            .map_err(CollectionsError::Disk)
    }
}
