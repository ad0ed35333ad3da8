//! The collections that exist, each with its cell under the `collections` supervisor.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use supervisors::{ChildPolicy, ChildSpec, SupervisorRef, TreeError};

use super::cell::{self, IndexCell};
use crate::actors::index::collection::DurableCollection;
use crate::engines::index::{IndexConfig, IndexError, check_spec, is_collection_name};
use crate::engines::nearest::listed;
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

/// Creates, finds and removes collections. Cheap to clone.
#[derive(Clone)]
pub struct Collections {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    policy: RwLock<ChildPolicy>,
    config: IndexConfig,
    supervisor: SupervisorRef,
    cells: RwLock<BTreeMap<String, IndexCell>>,
    /// Invariant: held across every change of the set, so that two creations cannot race.
    changing: tokio::sync::Mutex<()>,
}

/// Prefixes of folders that a creation or a removal left behind when the process ended.
const LEFTOVERS: [&str; 2] = [".creating-", ".removed-"];

/// The cells of the collections found on disk, to be started with the tree. What is no collection is left alone.
pub fn found_on_disk(
    root: &Path,
    policy: &ChildPolicy,
    config: &IndexConfig,
) -> std::io::Result<Vec<(String, ChildSpec, IndexCell)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if LEFTOVERS.iter().any(|prefix| name.starts_with(prefix)) {
            std::fs::remove_dir_all(entry.path())?;
            continue;
        }
        if !entry.file_type()?.is_dir() || !is_collection_name(&name) {
            tracing::warn!(name, "not a collection, left alone");
            continue;
        }
        let (spec, cell) =
            cell::child_spec(&name, policy.clone(), entry.path(), config.clone(), None);
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
        let inner = Inner {
            root,
            policy: RwLock::new(policy),
            config,
            supervisor,
            cells: RwLock::new(cells),
            changing: tokio::sync::Mutex::new(()),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Sets the policy of collections made from here on.
    pub fn set_policy(&self, policy: ChildPolicy) {
        *self
            .inner
            .policy
            .write()
            .unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// Returns the cell of `name`.
    pub fn find(&self, name: &str) -> Result<IndexCell, CollectionsError> {
        let cells = self
            .inner
            .cells
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        cells
            .get(name)
            .cloned()
            .ok_or_else(|| CollectionsError::Unknown {
                name: name.chars().take(64).collect(),
                known: match cells.len() {
                    0 => "none yet".to_owned(),
                    _ => listed(name, cells.keys().map(String::as_str), 20),
                },
            })
    }

    /// Lists the names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.inner
            .cells
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .cloned()
            .collect()
    }

    /// Creates a collection and starts its cell.
    ///
    /// Cancel safety: once begun it runs to its end, also when nobody waits for it any more.
    pub async fn create(&self, spec: CollectionSpec) -> Result<IndexCell, CollectionsError> {
        let this = self.clone();
        actix::spawn(async move { this.inner.create(spec).await })
            .await
            .map_err(|error| CollectionsError::Disk(error.to_string()))?
    }

    /// Stops the cell and removes the collection's folder.
    ///
    /// Cancel safety: once begun it runs to its end, also when nobody waits for it any more.
    pub async fn remove(&self, name: &str) -> Result<(), CollectionsError> {
        let (this, name) = (self.clone(), name.to_owned());
        actix::spawn(async move { this.inner.remove(&name).await })
            .await
            .map_err(|error| CollectionsError::Disk(error.to_string()))?
    }
}

impl Inner {
    fn cells(&self) -> RwLockWriteGuard<'_, BTreeMap<String, IndexCell>> {
        self.cells.write().unwrap_or_else(PoisonError::into_inner)
    }

    async fn create(&self, spec: CollectionSpec) -> Result<IndexCell, CollectionsError> {
        check_spec(&spec)?;
        let _changing = self.changing.lock().await;
        if self.cells().contains_key(&spec.name) {
            return Err(CollectionsError::Exists(spec.name));
        }
        let name = spec.name.clone();
        let dir = self.root.join(&name);
        let (target, config) = (dir.clone(), self.config.clone());
        let open = blocking(move || {
            let there_before = target.exists();
            let made = DurableCollection::create(&target, spec, config);
            if made.is_err() && !there_before && target.exists() {
                discard(&target).map_err(|error| CollectionsError::Disk(error.to_string()))?;
            }
            made.map_err(CollectionsError::Index)
        })
        .await?;
        let policy = self
            .policy
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (child, cell) =
            cell::child_spec(&name, policy, dir.clone(), self.config.clone(), Some(open));
        if let Err(error) = self.supervisor.start_child(child).await {
            self.discard(&name, &cell).await?;
            return Err(CollectionsError::Start {
                name,
                reason: error.to_string(),
            });
        }
        self.cells().insert(name, cell.clone());
        Ok(cell)
    }

    async fn remove(&self, name: &str) -> Result<(), CollectionsError> {
        let _changing = self.changing.lock().await;
        // From here on nobody finds it; what its cell still holds is answered when it stops.
        let cell = self
            .cells()
            .remove(name)
            .ok_or_else(|| CollectionsError::Unknown {
                name: name.chars().take(64).collect(),
                known: "it was just removed".to_owned(),
            })?;
        self.discard(name, &cell).await
    }

    /// Stops a cell and removes what it served.
    async fn discard(&self, name: &str, cell: &IndexCell) -> Result<(), CollectionsError> {
        match self.supervisor.stop_child(name).await {
            // Gone already: only the folder is left to remove.
            Ok(()) | Err(TreeError::Unknown { .. }) => {}
            Err(error) => {
                let reason = error.to_string();
                return Err(CollectionsError::Start {
                    name: name.to_owned(),
                    reason,
                });
            }
        }
        let (cell, dir) = (cell.clone(), self.root.join(name));
        blocking(move || {
            // A thread that was given up may still hold the collection.
            cell.retire();
            discard(&dir).map_err(|error| CollectionsError::Disk(error.to_string()))
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CollectionsError> + Send + 'static,
) -> Result<T, CollectionsError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| CollectionsError::Disk(error.to_string()))?
}

/// Removes a folder. Renamed first: a crash in the middle leaves a dot folder, never half a collection.
fn discard(dir: &Path) -> std::io::Result<()> {
    let root = dir.parent().unwrap_or(Path::new("."));
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let trash = root.join(format!(".removed-{name}"));
    if trash.exists() {
        std::fs::remove_dir_all(&trash)?;
    }
    std::fs::rename(dir, &trash)?;
    disk::sync_dir(root)?;
    std::fs::remove_dir_all(&trash)
}
