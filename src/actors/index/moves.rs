//! The moves under way: begun, taken a step, ended, and gone on with after a restart.

use std::path::Path;
use std::sync::Arc;

use supervisors::Deadline;

use super::cell::{self, IndexCell, IndexReply, IndexRequest, Kept};
use super::collection::{DurableCollection, ReembedState};
use super::collections::{CollectionsError, Inner, blocking};
use super::moving::{
    MoveError, MoveInfo, MoveNote, MoveState, Moving, Stepped, Target, coming_dir, held_back,
    moved_dir, unasked,
};
use super::remote::{self, Description};
use super::store::{Store, Stored};
use crate::engines::index::{IndexError, is_collection_name};
use crate::storage::disk;
use crate::types::collection::{Backend, CollectionSpec};

impl Inner {
    /// Begins to bring a collection over to another backend.
    pub(super) async fn begin_move(
        &self,
        name: &str,
        cell: &IndexCell,
        to: Backend,
        deadline: Deadline,
    ) -> Result<MoveInfo, CollectionsError> {
        let from = cell.backend();
        let refuse = |reason: String| Err(CollectionsError::CannotMove(reason));
        if from == to {
            return refuse(format!("collection {name} is kept by {to} already"));
        }
        if !from.is_own() && !to.is_own() {
            return refuse(format!(
                "collection {name} is kept by {from}: move it to hnsw first, then to {to}"
            ));
        }
        let asked = cell.kept().ask(IndexRequest::Info, deadline).await;
        let info = match asked {
            Ok(IndexReply::Info(info)) => info,
            Ok(_) => return refuse(format!("collection {name} says nothing of itself")),
            Err(fault) => {
                return Err(match fault {
                    supervisors::Fault::App(error) => error.into(),
                    fault => CollectionsError::Start {
                        name: name.to_owned(),
                        reason: fault.to_string(),
                    },
                });
            }
        };
        if info.spec.refiner.is_some() {
            return refuse(format!(
                "collection {name} has a refiner, and {to} holds no second vectors: make it anew without one"
            ));
        }
        if let Some(run) = &info.reembedding
            && run.state == ReembedState::Running
        {
            return refuse(format!(
                "collection {name} is being embedded anew: move it when that is done"
            ));
        }
        let mut moves = self.moves.lock().await;
        if moves.contains_key(name) {
            return Err(IndexError::Moving.into());
        }
        let note = MoveNote {
            name: name.to_owned(),
            from,
            to,
        };
        let spec = Arc::new(CollectionSpec {
            backend: to,
            ..info.spec.clone()
        });
        let target = self.target(&spec).await?;
        note.store(&self.root)?;
        cell.gate().begin().await;
        let begun = MoveInfo {
            state: MoveState::Running,
            from,
            to,
            done: 0,
            of: info.points,
            same_neighbours: None,
            error: None,
        };
        self.infos.set(name, begun.clone());
        moves.insert(name.to_owned(), Moving::new(note, spec, target));
        Ok(begun)
    }

    /// Where the collection goes to: what an earlier try left there, or new.
    async fn target(&self, spec: &Arc<CollectionSpec>) -> Result<Target, CollectionsError> {
        let config = self.config.clone();
        if spec.backend.is_own() {
            let dir = coming_dir(&self.root, &spec.name);
            let (path, spec, opening) = (dir.clone(), Arc::clone(spec), config.clone());
            let collection = blocking(move || {
                let opened = match path.exists() {
                    true => DurableCollection::open(&path, opening.clone()),
                    false => DurableCollection::create(&path, (*spec).clone(), opening),
                };
                opened.map_err(CollectionsError::Index)
            })
            .await?;
            return Ok(Target::Here {
                dir,
                collection: Arc::new(collection),
            });
        }
        let store = self.store(spec.backend)?;
        let draft = Stored {
            spec: (**spec).clone(),
            draft: true,
        };
        match store.create(&draft).await {
            Err(IndexError::Exists(name)) => {
                let there = store.list().await?;
                let left = there.into_iter().find(|stored| stored.spec.name == name);
                match left {
                    Some(left) if left.draft && left.spec == draft.spec => {}
                    // Of another try, when it was another collection.
                    Some(left) if left.draft => {
                        store.remove(&name).await?;
                        store.create(&draft).await?;
                    }
                    _ => return Err(CollectionsError::Exists(name)),
                }
            }
            made => made?,
        }
        Ok(Target::Engine {
            store: Arc::clone(store),
            spec: Arc::clone(spec),
            config,
        })
    }

    pub(super) fn store(&self, backend: Backend) -> Result<&Arc<dyn Store>, CollectionsError> {
        self.stores
            .get(&backend)
            .ok_or(CollectionsError::NoBackend(backend))
    }

    /// Takes a step of each move. Returns how many are under way.
    ///
    /// Errors: the first that more time may mend; the others had their turn.
    pub(super) async fn step_moves(&self, deadline: Deadline) -> Result<usize, String> {
        let mut moves = self.moves.lock().await;
        let names: Vec<String> = moves.keys().cloned().collect();
        let mut waits = None;
        for name in names {
            let Some(moving) = moves.get_mut(&name) else {
                continue;
            };
            match self.advance(&name, moving, deadline).await {
                Ok(false) => self.infos.change(&name, |info| info.error = None),
                Ok(true) => {
                    let to = moving.note.to;
                    moves.remove(&name);
                    tracing::info!(collection = name, %to, "moved");
                    self.infos.change(&name, |info| {
                        info.state = MoveState::Done;
                        info.error = None;
                    });
                }
                Err(MoveError::Waits(why)) => {
                    self.infos
                        .change(&name, |info| info.error = Some(why.clone()));
                    waits = waits.or(Some(format!("{name}: {why}")));
                }
                Err(MoveError::Failed(why)) => {
                    tracing::warn!(collection = name, why, "not moved; nothing was changed");
                    if let Some(moving) = moves.remove(&name) {
                        self.give_up(moving, MoveState::Failed, Some(why)).await;
                    }
                }
            }
        }
        match waits {
            Some(why) => Err(why),
            None => Ok(moves.len()),
        }
    }

    /// Takes a step of one move; `true`: it is done.
    async fn advance(
        &self,
        name: &str,
        moving: &mut Moving,
        deadline: Deadline,
    ) -> Result<bool, MoveError> {
        let Some(cell) = self.cells().get(name).cloned() else {
            return Err(MoveError::Failed("the collection was removed".to_owned()));
        };
        match moving.step(&cell, deadline, &self.infos).await? {
            Stepped::On => Ok(false),
            Stepped::Ready => self.go_over(name, moving, &cell).await.map(|()| true),
        }
    }

    /// Holds writes back, brings over the last, and lets the other backend serve.
    async fn go_over(
        &self,
        name: &str,
        moving: &mut Moving,
        cell: &IndexCell,
    ) -> Result<(), MoveError> {
        let _elsewhere = self.elsewhere.lock().await;
        let _changing = self.changing.lock().await;
        let deadline = held_back();
        let closed = tokio::time::timeout(deadline.remaining(), cell.gate().close()).await;
        let closed = closed.map_err(|_| MoveError::Waits("a write takes long".to_owned()))?;
        moving.settle(cell, deadline, &self.infos).await?;
        let (here, failed) = (self.root.join(name), |why: String| MoveError::Failed(why));
        match &moving.target {
            Target::Engine { store, spec, .. } => {
                let kept = self
                    .start_remote(store, (**spec).clone())
                    .await
                    .map_err(|error| failed(error.to_string()))?;
                let backend = store.backend();
                // From this moment on it is there: a start finds no collection here.
                if let Err(error) = self.renamed(&here, &moved_dir(&self.root, name)).await {
                    self.stop(&remote::id(name, backend))
                        .await
                        .map_err(|error| failed(error.to_string()))?;
                    return Err(failed(error));
                }
                let old = cell.keep(kept);
                cell.gate().end();
                drop(closed);
                self.leave(name, old).await;
                self.settle_moved(store, name).await;
            }
            Target::Here { dir, collection } => {
                collection.retire();
                // Its lock goes with the last who holds it.
                let from = dir.clone();
                moving.target = Target::Gone;
                self.renamed(&from, &here).await.map_err(&failed)?;
                let (child, kept) =
                    cell::child_spec(name, self.policy(), here.clone(), self.config.clone(), None);
                if let Err(error) = self.supervisor.start_child(child).await {
                    self.renamed(&here, &from).await.map_err(&failed)?;
                    return Err(failed(error.to_string()));
                }
                let old = cell.keep(kept);
                cell.gate().end();
                drop(closed);
                self.leave(name, old).await;
                self.remove_left(name, moving.note.from).await;
            }
            Target::Gone => return Err(failed("it was brought over, and not taken".to_owned())),
        }
        Ok(())
    }

    async fn renamed(&self, from: &Path, to: &Path) -> Result<(), String> {
        let (from, to, root) = (from.to_owned(), to.to_owned(), self.root.clone());
        let renamed = tokio::task::spawn_blocking(move || {
            disk::rename(&from, &to).map_err(|error| error.to_string())?;
            disk::sync_dir(&root).map_err(|error| error.to_string())
        });
        renamed.await.map_err(|error| error.to_string())?
    }

    /// Stops what served before, when nobody asks there any more.
    async fn leave(&self, name: &str, old: Arc<Kept>) {
        unasked(&old, held_back()).await;
        let id = match old.backend() {
            Backend::Hnsw => name.to_owned(),
            backend => remote::id(name, backend),
        };
        if let Err(error) = self.stop(&id).await {
            tracing::warn!(collection = name, %error, "what served it before does not stop");
        }
        let retired = tokio::task::spawn_blocking(move || old.retire()).await;
        if let Err(error) = retired {
            tracing::warn!(collection = name, %error, "what served it before is not closed");
        }
    }

    /// Makes a collection that went over to an engine no draft any more, and removes its folder here. What cannot be done
    /// now is done when the engines are asked the next time.
    async fn settle_moved(&self, store: &Arc<dyn Store>, name: &str) {
        let settled = async {
            let listed = store.list().await?;
            let there = listed.into_iter().find(|stored| stored.spec.name == name);
            match there {
                Some(stored) if stored.draft => {
                    let draft = false;
                    store.describe(&Stored { draft, ..stored }).await
                }
                Some(_) => Ok(()),
                None => Err(IndexError::Gone {
                    name: name.to_owned(),
                    backend: store.backend(),
                }),
            }
        };
        if let Err(error) = settled.await {
            tracing::warn!(collection = name, %error, "moved; its folder here stays for now");
            return;
        }
        let dir = moved_dir(&self.root, name);
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(dir)).await;
        match removed {
            Ok(Ok(())) => MoveNote::forget(&self.root, name),
            Ok(Err(error)) => tracing::warn!(collection = name, %error, "its folder stays"),
            Err(error) => tracing::warn!(collection = name, %error, "its folder stays"),
        }
    }

    /// Removes from an engine what came here from it.
    async fn remove_left(&self, name: &str, from: Backend) {
        let removed = match self.stores.get(&from) {
            Some(store) => store.remove(name).await.map_err(|error| error.to_string()),
            None => Err(format!("no {from} is set up")),
        };
        match removed {
            Ok(()) => MoveNote::forget(&self.root, name),
            Err(error) => {
                tracing::warn!(collection = name, %from, error, "moved; it stays there, too");
            }
        }
    }

    /// Ends a move that is not done; the collection stays as it was.
    async fn give_up(&self, moving: Moving, state: MoveState, why: Option<String>) {
        let name = &moving.note.name;
        if let Some(cell) = self.cells().get(name).cloned() {
            cell.gate().end();
        }
        match moving.target {
            Target::Engine { store, .. } => {
                if let Err(error) = store.remove(name).await {
                    tracing::warn!(collection = name, %error, "what was copied stays there");
                }
            }
            Target::Here { collection, .. } => {
                collection.retire();
                drop(collection);
            }
            Target::Gone => {}
        }
        let dir = coming_dir(&self.root, name);
        if dir.exists()
            && let Err(error) = std::fs::remove_dir_all(&dir)
        {
            tracing::warn!(collection = name, %error, "what was copied stays");
        }
        MoveNote::forget(&self.root, name);
        self.infos.change(name, |info| {
            info.state = state;
            info.error = why;
        });
    }

    /// Ends a collection's move, if there is one. Returns how the last one is.
    pub(super) async fn cancel_move(&self, name: &str) -> Option<MoveInfo> {
        if let Some(moving) = self.moves.lock().await.remove(name) {
            self.give_up(moving, MoveState::Cancelled, None).await;
        }
        self.infos.get(name)
    }

    /// Goes on with what was under way when the process ended. The engines have just answered.
    pub(super) async fn go_on_with_moves(&self, deadline: Deadline) {
        let notes = match MoveNote::all(&self.root) {
            Ok(notes) => notes,
            Err(error) => return tracing::warn!(%error, "notes of moves cannot be read"),
        };
        for note in notes {
            let MoveNote { name, from, to } = &note;
            if !is_collection_name(name) || self.moves.lock().await.contains_key(name) {
                continue;
            }
            if moved_dir(&self.root, name).exists() {
                if let Some(store) = self.stores.get(to) {
                    self.settle_moved(store, name).await;
                }
                continue;
            }
            if to.is_own() && self.root.join(name).exists() {
                self.remove_left(name, *from).await;
                continue;
            }
            let Some(cell) = self.cells().get(name).cloned() else {
                continue;
            };
            match self.begin_move(name, &cell, *to, deadline).await {
                Ok(_) => {
                    tracing::info!(collection = name, %to, "goes on moving");
                    self.moving.notify_one();
                }
                Err(error) => tracing::warn!(collection = name, %error, "does not go on moving"),
            }
        }
    }

    /// Starts the cell of a collection that an engine keeps.
    pub(super) async fn start_remote(
        &self,
        store: &Arc<dyn Store>,
        spec: CollectionSpec,
    ) -> Result<Kept, CollectionsError> {
        let name = spec.name.clone();
        let description = Description::new(spec);
        let (child, cell) = remote::child_spec(
            self.policy(),
            Arc::clone(store),
            description.clone(),
            self.config.clone(),
        );
        let started = self.supervisor.start_child(child).await;
        started.map_err(|error| CollectionsError::Start {
            name,
            reason: error.to_string(),
        })?;
        Ok(Kept::Elsewhere {
            cell,
            store: Arc::clone(store),
            description,
        })
    }
}
