//! The moves under way: begun, taken a step, and ended.

mod restart;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use supervisors::{Deadline, Fault};

use super::cell::{self, IndexReply, IndexRequest};
use super::collection::{CollectionInfo, DurableCollection, ReembedState};
use super::collections::{CollectionsError, Inner, blocking};
use super::index_cell::{IndexCell, Kept};
use super::moving::{
    MoveError, MoveInfo, MoveNote, MoveState, Moving, Stepped, Target, coming_dir, held_back,
    moved_dir, unasked,
};
use super::remote::{self, Description};
use super::store::{Store, Stored};
use crate::engines::index::IndexError;
use crate::storage::disk;
use crate::types::collection::{Backend, CollectionSpec};

/// The moves under way, by collection.
pub(super) type Moves = BTreeMap<String, Moving>;

impl Inner {
    /// Begins to bring a collection over to another backend, or goes on with that.
    pub(super) async fn begin_move(
        &self,
        moves: &mut Moves,
        cell: &IndexCell,
        name: &str,
        to: Backend,
        before: Option<MoveNote>,
        deadline: Deadline,
    ) -> Result<MoveInfo, CollectionsError> {
        if moves.contains_key(name) {
            return Err(IndexError::Moving.into());
        }
        if !self.cells().get(name).is_some_and(|known| known.is(cell)) {
            return Err(cannot(format!(
                "collection {name} was removed at this moment"
            )));
        }
        let from = cell.backend();
        if from == to {
            return Err(cannot(format!("collection {name} is kept by {to} already")));
        }
        if !to.is_own() {
            self.store(to)?;
        }
        if !from.is_own() && !to.is_own() {
            return Err(cannot(format!(
                "collection {name} is kept by {from}: move it to hnsw first, then to {to}"
            )));
        }
        let left = self.has_note(name).await || moved_dir(&self.root, name).exists();
        if before.is_none() && left {
            return Err(cannot(format!(
                "collection {name} moved before, and what that left is not cleared away yet: retry when its engine can be asked"
            )));
        }
        // From here on nothing is declared that the other side does not hear of.
        cell.gate().begin().await;
        let begun = self.begun(cell, name, to, before, deadline).await;
        let (moving, info) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                cell.gate().end();
                return Err(error);
            }
        };
        self.infos.set(name, info.clone());
        moves.insert(name.to_owned(), moving);
        Ok(info)
    }

    async fn begun(
        &self,
        cell: &IndexCell,
        name: &str,
        to: Backend,
        before: Option<MoveNote>,
        deadline: Deadline,
    ) -> Result<(Moving, MoveInfo), CollectionsError> {
        let info = info_of(cell, name, deadline).await?;
        if info.spec.refiner.is_some() {
            return Err(cannot(format!(
                "collection {name} has a refiner, and {to} holds no second vectors: make it anew without one"
            )));
        }
        if let Some(run) = &info.reembedding
            && run.state == ReembedState::Running
        {
            return Err(cannot(format!(
                "collection {name} is being embedded anew: move it when that is done"
            )));
        }
        let from = cell.backend();
        let note = before.unwrap_or_else(|| MoveNote::new(&info.spec, from, to));
        let spec = Arc::new(CollectionSpec {
            backend: to,
            ..info.spec.clone()
        });
        self.keep_note(&note).await?;
        let target = match self.target(&spec, &note).await {
            Ok(target) => target,
            Err(error) => {
                self.clear(&note).await;
                return Err(error);
            }
        };
        let begun = MoveInfo {
            state: MoveState::Running,
            from,
            to,
            done: 0,
            of: info.points,
            same_neighbours: None,
            error: None,
        };
        let most = self.config.max_batch_points;
        let moving = Moving::new(note, cell.clone(), spec, target, most);
        Ok((moving, begun))
    }

    /// Where the collection goes to: what an earlier try of this move left there, or new.
    async fn target(
        &self,
        spec: &Arc<CollectionSpec>,
        note: &MoveNote,
    ) -> Result<Target, CollectionsError> {
        let config = self.config.clone();
        if spec.backend.is_own() {
            let dir = coming_dir(&self.root, &spec.name);
            let (path, spec) = (dir.clone(), Arc::clone(spec));
            let (collection, new) =
                blocking(move || coming(&path, &spec, &config).map_err(CollectionsError::Index))
                    .await?;
            return Ok(Target::Here {
                dir,
                collection: Arc::new(collection),
                new,
            });
        }
        let store = self.store(spec.backend)?;
        let draft = Stored {
            spec: (**spec).clone(),
            draft: Some(note.id.clone()),
        };
        let new = match store.create(&draft).await {
            Ok(()) => true,
            Err(IndexError::Exists(name)) => {
                let there = listed(store, &name).await?;
                match there {
                    Some(there) if there == draft => false,
                    // Of this move, when the collection declared something else.
                    Some(there) if there.draft == draft.draft => {
                        store.remove(&name).await?;
                        store.create(&draft).await?;
                        true
                    }
                    _ => {
                        return Err(cannot(format!(
                            "{} has a collection {name}, or somebody moves one of that name there",
                            spec.backend
                        )));
                    }
                }
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Target::Engine {
            store: Arc::clone(store),
            spec: Arc::clone(spec),
            config,
            new,
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
        let known = self.cells().get(name).cloned();
        if !known.is_some_and(|known| known.is(&moving.cell)) {
            return Err(MoveError::Failed("the collection was removed".to_owned()));
        }
        // A step that crashed after that: what is left is cleared away with the next look at the engines.
        if moving.went_over {
            return Ok(true);
        }
        match moving.step(deadline, &self.infos).await? {
            Stepped::On => Ok(false),
            Stepped::Ready => self.go_over(name, moving).await.map(|()| true),
        }
    }

    /// Holds writes back, brings over the last, and lets the other backend serve.
    async fn go_over(&self, name: &str, moving: &mut Moving) -> Result<(), MoveError> {
        let _elsewhere = self.elsewhere.lock().await;
        let _changing = self.changing.lock().await;
        let cell = moving.cell.clone();
        let closing = tokio::time::timeout(held_back().remaining(), cell.gate().close()).await;
        let closed = closing.map_err(|_| MoveError::Waits("a write takes long".to_owned()))?;
        moving.settle(&self.infos).await?;
        let here = self.root.join(name);
        let old = match &moving.target {
            Target::Engine { store, spec, .. } => {
                let started = self.start_remote(store, (**spec).clone()).await;
                let kept = started.map_err(|error| MoveError::Failed(error.to_string()))?;
                // From this moment on it is there: a start finds no collection here.
                if let Err(error) = self.renamed(&here, &moved_dir(&self.root, name)).await {
                    let id = remote::id(name, store.backend());
                    if let Err(error) = self.stop(&id).await {
                        tracing::warn!(collection = name, %error, "its cell does not stop");
                    }
                    return Err(MoveError::Failed(error));
                }
                moving.went_over = true;
                cell.keep(kept)
            }
            Target::Here {
                dir, collection, ..
            } => {
                let (from, collection) = (dir.clone(), Arc::clone(collection));
                // Its lock goes with the last who holds it.
                moving.target = Target::Gone;
                let closing = tokio::task::spawn_blocking(move || collection.retire());
                closing
                    .await
                    .map_err(|error| MoveError::Failed(error.to_string()))?;
                self.renamed(&from, &here)
                    .await
                    .map_err(MoveError::Failed)?;
                let config = self.config.clone();
                let (child, kept) =
                    cell::child_spec(name, self.policy(), here.clone(), config, None);
                if let Err(error) = self.supervisor.start_child(child).await {
                    let back = self.renamed(&here, &from).await;
                    return Err(MoveError::Failed(match back {
                        Ok(()) => error.to_string(),
                        Err(back) => format!("{error}; {back}"),
                    }));
                }
                moving.went_over = true;
                cell.keep(kept)
            }
            Target::Gone => {
                return Err(MoveError::Failed(
                    "it was brought over, and not taken".to_owned(),
                ));
            }
        };
        cell.gate().end();
        drop(closed);
        self.leave(name, old).await;
        self.clear(&moving.note).await;
        Ok(())
    }

    /// Renames a folder for good, or not at all.
    async fn renamed(&self, from: &Path, to: &Path) -> Result<(), String> {
        let (from, to, root) = (from.to_owned(), to.to_owned(), self.root.clone());
        let renamed = tokio::task::spawn_blocking(move || {
            disk::rename(&from, &to).map_err(|error| error.to_string())?;
            let Err(error) = disk::sync_dir(&root) else {
                return Ok(());
            };
            match disk::rename(&to, &from) {
                Ok(()) => Err(error.to_string()),
                // It stands under its new name, and nobody knows for how long: better than two.
                Err(back) => {
                    tracing::error!(%error, %back, "the folder of collections cannot be synced");
                    Ok(())
                }
            }
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

    /// Ends a move that is not done; the collection stays as it was.
    async fn give_up(&self, moving: Moving, state: MoveState, why: Option<String>) {
        let Moving {
            note,
            cell,
            target,
            went_over,
            ..
        } = moving;
        if !went_over {
            cell.gate().end();
            let note = MoveNote {
                cancelled: true,
                ..note.clone()
            };
            if let Err(error) = self.keep_note(&note).await {
                tracing::warn!(collection = note.name, %error, "the note of its end is not kept");
            }
            if let Target::Here { collection, .. } = target {
                let closed = tokio::task::spawn_blocking(move || collection.retire()).await;
                if let Err(error) = closed {
                    tracing::warn!(collection = note.name, %error, "what was copied is not closed");
                }
            }
            self.clear(&note).await;
        }
        self.infos.change(&note.name, |info| {
            info.state = state;
            info.error = why;
        });
    }

    /// Ends a collection's move, if there is one. Returns how the last one is.
    pub(super) async fn cancel_move(&self, name: &str) -> Option<MoveInfo> {
        let mut moves = self.moves.lock().await;
        if let Some(moving) = moves.remove(name) {
            self.give_up(moving, MoveState::Cancelled, None).await;
        } else if let Some(note) = self.note(name).await {
            // Of a run before this one: nothing goes on that was cancelled.
            self.give_up_note(note).await;
        }
        self.infos.get(name)
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

fn cannot(reason: String) -> CollectionsError {
    CollectionsError::CannotMove(reason)
}

/// What an engine has under a name.
async fn listed(store: &Arc<dyn Store>, name: &str) -> Result<Option<Stored>, IndexError> {
    let all = store.list().await?;
    Ok(all.into_iter().find(|stored| stored.spec.name == name))
}

async fn info_of(
    cell: &IndexCell,
    name: &str,
    deadline: Deadline,
) -> Result<CollectionInfo, CollectionsError> {
    match cell.kept().ask(IndexRequest::Info, deadline).await {
        Ok(IndexReply::Info(info)) => Ok(*info),
        Ok(_) => Err(cannot(format!("collection {name} says nothing of itself"))),
        Err(Fault::App(error)) => Err(error.into()),
        Err(fault) => Err(CollectionsError::Start {
            name: name.to_owned(),
            reason: fault.to_string(),
        }),
    }
}

/// Opens what an earlier try brought here, when it is of the same description; else begins anew. And whether it is new.
fn coming(
    dir: &PathBuf,
    spec: &CollectionSpec,
    config: &crate::engines::index::IndexConfig,
) -> Result<(DurableCollection, bool), IndexError> {
    if dir.exists() {
        let opened = DurableCollection::open(dir, config.clone());
        if let Ok(opened) = opened
            && *opened.spec()? == *spec
        {
            return Ok((opened, false));
        }
        std::fs::remove_dir_all(dir)
            .map_err(crate::storage::disk::StorageError::io("remove", dir))?;
    }
    DurableCollection::create(dir, spec.clone(), config.clone()).map(|made| (made, true))
}
