//! The collections that exist, each with its cell under the `collections` supervisor.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use supervisors::{ChildPolicy, ChildSpec, Deadline, SupervisorRef, TreeError};

use super::cell;
use super::index_cell::{IndexCell, Kept};
use super::moves::Moves;
use super::moving::{Infos, MoveInfo, moved_dir};
use super::remote;
use super::store::{Store, Stored};
use crate::actors::index::collection::DurableCollection;
use crate::engines::index::{IndexConfig, IndexError, check_spec, is_collection_name};
use crate::engines::nearest::listed;
use crate::storage::disk;
use crate::types::collection::{Backend, CollectionSpec};

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
    /// The move makes no sense, or not now.
    #[error("{0}")]
    CannotMove(String),
    /// The settings name no such engine.
    #[error("no {0} is set up here: say where it is in [backends.{0}], or leave backend out")]
    NoBackend(Backend),
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

pub(super) struct Inner {
    pub(super) root: PathBuf,
    policy: RwLock<ChildPolicy>,
    pub(super) config: IndexConfig,
    pub(super) supervisor: SupervisorRef,
    pub(super) stores: BTreeMap<Backend, Arc<dyn Store>>,
    cells: RwLock<BTreeMap<String, IndexCell>>,
    /// Invariant: held across every change of the set, so that two creations cannot race.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Held while the set follows the engines, and before `changing`. How they were last asked.
    pub(super) elsewhere: tokio::sync::Mutex<Option<Looked>>,
    /// Invariant: locked before `elsewhere` and `changing`.
    pub(super) moves: tokio::sync::Mutex<Moves>,
    pub(super) infos: Infos,
    /// Told when a move begins.
    pub(super) moving: tokio::sync::Notify,
}

/// How the engines were asked for what they keep.
pub(super) struct Looked {
    began: Instant,
    outcome: Result<(), IndexError>,
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
        // Of a move that goes on when the engines have answered.
        if let Some(name) = name.strip_prefix(".moved-") {
            tracing::info!(collection = name, "went over to another backend");
            continue;
        }
        let of_a_move = [".moving-", ".move-", ".left-"];
        if of_a_move.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        if !entry.file_type()?.is_dir() || !is_collection_name(&name) {
            tracing::warn!(name, "not a collection, left alone");
            continue;
        }
        let (spec, kept) =
            cell::child_spec(&name, policy.clone(), entry.path(), config.clone(), None);
        found.push((name, spec, IndexCell::new(kept)));
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
        stores: Vec<Arc<dyn Store>>,
    ) -> Self {
        let inner = Inner {
            root,
            policy: RwLock::new(policy),
            config,
            supervisor,
            stores: stores
                .into_iter()
                .map(|store| (store.backend(), store))
                .collect(),
            cells: RwLock::new(cells),
            elsewhere: tokio::sync::Mutex::default(),
            moves: tokio::sync::Mutex::default(),
            infos: Infos::default(),
            moving: tokio::sync::Notify::new(),
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

    /// Returns the cell of `name`. One that is not known is looked for in the engines: another replica may have made it.
    ///
    /// Errors: there is none; an engine that may have it cannot be asked.
    pub async fn find(&self, name: &str) -> Result<IndexCell, CollectionsError> {
        let unknown = match self.held(name) {
            Ok(cell) => return Ok(cell),
            Err(unknown) if self.inner.stores.is_empty() => return Err(unknown),
            Err(unknown) => unknown,
        };
        // No collection can have it: not worth a call.
        if !is_collection_name(name) {
            return Err(unknown);
        }
        let looked = self.refresh().await;
        self.held(name).map_err(|unknown| match looked {
            Err(error) => error.into(),
            // It is in an engine that does not tell of it yet.
            Ok(()) if moved_dir(&self.inner.root, name).exists() => settling(name),
            Ok(()) => unknown,
        })
    }

    /// Serves what the engines keep by now, and nothing else of theirs.
    ///
    /// Cancel safety: once begun it runs to its end, also when nobody waits for it any more.
    /// Errors: the first engine that cannot be asked; what it keeps stays as it is known.
    pub async fn refresh(&self) -> Result<(), IndexError> {
        if self.inner.stores.is_empty() {
            return Ok(());
        }
        let (this, asked) = (self.clone(), Instant::now());
        actix::spawn(async move { this.inner.refresh(asked).await })
            .await
            .map_err(|error| IndexError::BadConfig(error.to_string()))?
    }

    /// Begins to bring a collection over to another backend while it serves.
    ///
    /// Cancel safety: once begun it runs to its end, also when nobody waits for it any more.
    pub async fn begin_move(
        &self,
        name: &str,
        to: Backend,
        deadline: Deadline,
    ) -> Result<MoveInfo, CollectionsError> {
        let cell = self.find(name).await?;
        let (this, name) = (self.clone(), name.to_owned());
        actix::spawn(async move {
            let mut moves = this.inner.moves.lock().await;
            let begun = this
                .inner
                .begin_move(&mut moves, &cell, &name, to, None, deadline)
                .await?;
            this.inner.moving.notify_one();
            Ok(begun)
        })
        .await
        .map_err(|error| CollectionsError::Disk(error.to_string()))?
    }

    /// How the last move of a collection is since the start; `None`: there was none.
    pub fn move_info(&self, name: &str) -> Option<MoveInfo> {
        self.inner.infos.get(name)
    }

    /// Ends a collection's move, if there is one; the collection stays as it was. Returns how the last one is.
    pub async fn cancel_move(&self, name: &str) -> Option<MoveInfo> {
        let (this, name) = (self.clone(), name.to_owned());
        let ended = actix::spawn(async move { this.inner.cancel_move(&name).await });
        ended.await.unwrap_or_default()
    }

    /// Takes a step of each move. Returns how many are under way.
    ///
    /// Cancel safety: once begun it runs to its end, also when nobody waits for it any more.
    /// Errors: the first that more time may mend.
    pub async fn step_moves(&self, deadline: Deadline) -> Result<usize, String> {
        let this = self.clone();
        actix::spawn(async move { this.inner.step_moves(deadline).await })
            .await
            .map_err(|error| error.to_string())?
    }

    /// Returns when a move has begun.
    pub async fn move_begins(&self) {
        self.inner.moving.notified().await;
    }

    /// Goes on with moves that were under way when the process ended.
    pub async fn go_on_with_moves(&self, deadline: Deadline) {
        if self.inner.stores.is_empty() {
            return;
        }
        let this = self.clone();
        let went = actix::spawn(async move { this.inner.go_on_with_moves(deadline).await }).await;
        if let Err(error) = went {
            tracing::warn!(%error, "moves do not go on");
        }
    }

    /// Whether an engine is asked, too.
    pub fn are_elsewhere(&self) -> bool {
        !self.inner.stores.is_empty()
    }

    /// Whether a collection's searches wait for so long, and are so many, that another one had better come later.
    pub fn is_crowded(&self, name: &str, few: usize, max: Duration) -> bool {
        let cells = self
            .inner
            .cells
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let cell = cells.get(name);
        cell.is_some_and(|cell| cell.is_crowded(few, max))
    }

    /// Returns the cell of `name`, if it is known here.
    pub fn held(&self, name: &str) -> Result<IndexCell, CollectionsError> {
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

    /// Lists the names of those that are kept here, and of the others.
    pub fn names_here(&self) -> (Vec<String>, Vec<String>) {
        self.names()
            .into_iter()
            .partition(|name| self.held(name).is_ok_and(|cell| cell.backend().is_own()))
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
    pub(super) fn cells(&self) -> RwLockWriteGuard<'_, BTreeMap<String, IndexCell>> {
        self.cells.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn policy(&self) -> ChildPolicy {
        let policy = self.policy.read().unwrap_or_else(PoisonError::into_inner);
        policy.clone()
    }

    async fn create(&self, spec: CollectionSpec) -> Result<IndexCell, CollectionsError> {
        check_spec(&spec)?;
        if !spec.backend.is_own() {
            return self.create_elsewhere(spec).await;
        }
        let _changing = self.changing.lock().await;
        if self.cells().contains_key(&spec.name) {
            return Err(CollectionsError::Exists(spec.name));
        }
        let name = spec.name.clone();
        if self.has_note(&name).await {
            return Err(settling(&name));
        }
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
        let (child, kept) = cell::child_spec(
            &name,
            self.policy(),
            dir.clone(),
            self.config.clone(),
            Some(open),
        );
        let cell = IndexCell::new(kept);
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

    async fn create_elsewhere(&self, spec: CollectionSpec) -> Result<IndexCell, CollectionsError> {
        let backend = spec.backend;
        let store = self.store(backend)?;
        let _elsewhere = self.elsewhere.lock().await;
        if self.cells().contains_key(&spec.name) {
            return Err(CollectionsError::Exists(spec.name));
        }
        let stored = Stored { spec, draft: None };
        match store.create(&stored).await {
            Err(IndexError::Exists(name)) => return Err(CollectionsError::Exists(name)),
            made => made?,
        }
        let _changing = self.changing.lock().await;
        let name = stored.spec.name.clone();
        match self.serve(store, stored.spec).await {
            Ok(cell) => Ok(cell),
            Err(error) => {
                store.remove(&name).await?;
                Err(error)
            }
        }
    }

    /// Starts the cell of a collection that an engine keeps. The set is being changed by the caller.
    async fn serve(
        &self,
        store: &Arc<dyn Store>,
        spec: CollectionSpec,
    ) -> Result<IndexCell, CollectionsError> {
        let name = spec.name.clone();
        let cell = IndexCell::new(self.start_remote(store, spec).await?);
        self.cells().insert(name, cell.clone());
        Ok(cell)
    }

    async fn refresh(&self, asked: Instant) -> Result<(), IndexError> {
        let mut last = self.elsewhere.lock().await;
        // Somebody else asked them meanwhile, for all who wait.
        if let Some(looked) = last.as_ref().filter(|looked| looked.began >= asked) {
            return looked.outcome.clone();
        }
        let began = Instant::now();
        let mut failed = None;
        for store in self.stores.values() {
            match store.list().await {
                Ok(listed) => self.adopt(store, listed).await,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let outcome = failed.map_or(Ok(()), Err);
        *last = Some(Looked {
            began,
            outcome: outcome.clone(),
        });
        outcome
    }

    /// Makes what is served of an engine's collections what it has.
    async fn adopt(&self, store: &Arc<dyn Store>, listed: Vec<Stored>) {
        let backend = store.backend();
        let mut there = BTreeMap::new();
        for stored in listed.into_iter().filter(|stored| stored.draft.is_none()) {
            let spec = CollectionSpec {
                backend,
                ..stored.spec
            };
            match check_spec(&spec) {
                Ok(()) => drop(there.insert(spec.name.clone(), spec)),
                Err(error) => tracing::warn!(%backend, %error, "not a collection, left alone"),
            }
        }
        let _changing = self.changing.lock().await;
        let known = self.cells().clone();
        for (name, cell) in &known {
            let settled = !moved_dir(&self.root, name).exists();
            if cell.backend() == backend && !there.contains_key(name) && settled {
                tracing::info!(collection = name, %backend, "removed elsewhere");
                self.cells().remove(name);
                if let Err(error) = self.stop(&remote::id(name, backend)).await {
                    tracing::warn!(collection = name, %error, "its cell does not stop");
                }
            }
        }
        for (name, spec) in there {
            match known.get(&name) {
                None => match self.serve(store, spec).await {
                    Ok(_) => tracing::info!(collection = name, %backend, "found"),
                    Err(error) => tracing::warn!(collection = name, %error, "not served"),
                },
                Some(cell) => match &*cell.kept() {
                    Kept::Elsewhere {
                        store, description, ..
                    } if store.backend() == backend => description.set(spec),
                    _ => tracing::debug!(
                        collection = name,
                        %backend,
                        "hidden by a collection of that name here"
                    ),
                },
            }
        }
    }

    async fn remove(&self, name: &str) -> Result<(), CollectionsError> {
        self.cancel_move(name).await;
        self.clear_before_removal(name).await?;
        self.infos.forget(name);
        let here = self
            .cells()
            .get(name)
            .is_none_or(|cell| cell.backend().is_own());
        // What is here need not wait for an engine.
        let _elsewhere = match here {
            true => None,
            false => Some(self.elsewhere.lock().await),
        };
        let _changing = self.changing.lock().await;
        // From here on nobody finds it; what its cell still holds is answered when it stops.
        let cell = self
            .cells()
            .remove(name)
            .ok_or_else(|| CollectionsError::Unknown {
                name: name.chars().take(64).collect(),
                known: "it was just removed".to_owned(),
            })?;
        let kept = cell.kept();
        let Kept::Elsewhere { store, .. } = &*kept else {
            return self.discard(name, &cell).await;
        };
        let removed = store.remove(name).await;
        if removed.is_err() {
            // It is there, as far as anybody knows.
            self.cells().insert(name.to_owned(), cell.clone());
            return Ok(removed?);
        }
        self.stop(&remote::id(name, store.backend())).await
    }

    pub(super) async fn stop(&self, name: &str) -> Result<(), CollectionsError> {
        match self.supervisor.stop_child(name).await {
            // Gone already: only what it served is left to remove.
            Ok(()) | Err(TreeError::Unknown { .. }) => Ok(()),
            Err(error) => Err(CollectionsError::Start {
                name: name.to_owned(),
                reason: error.to_string(),
            }),
        }
    }

    /// Stops a cell and removes what it served.
    async fn discard(&self, name: &str, cell: &IndexCell) -> Result<(), CollectionsError> {
        self.stop(name).await?;
        let (cell, dir) = (cell.clone(), self.root.join(name));
        blocking(move || {
            // A thread that was given up may still hold the collection.
            cell.kept().retire();
            discard(&dir).map_err(|error| CollectionsError::Disk(error.to_string()))
        })
        .await
    }
}

/// What a move left under a name is not cleared away yet.
fn settling(name: &str) -> CollectionsError {
    CollectionsError::Start {
        name: name.to_owned(),
        reason: "a move of it is not settled with its engine yet".to_owned(),
    }
}

pub(super) async fn blocking<T: Send + 'static>(
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
