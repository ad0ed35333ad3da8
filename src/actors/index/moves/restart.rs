//! What moves leave behind: gone on with after a restart, or cleared away.

use std::path::Path;
use std::sync::Arc;

use supervisors::Deadline;

use super::super::collections::{CollectionsError, Inner, blocking};
use super::super::moving::{MoveNote, coming_dir, moved_dir};
use super::super::store::{Store, Stored};
use super::listed;
use crate::engines::index::{IndexError, is_collection_name};
use crate::storage::disk;
use crate::storage::snapshot::Manifest;

impl Inner {
    pub(super) async fn keep_note(&self, note: &MoveNote) -> Result<(), CollectionsError> {
        let (root, note) = (self.root.clone(), note.clone());
        blocking(move || {
            note.store(&root)
                .map_err(|error| CollectionsError::Index(error.into()))
        })
        .await
    }

    pub(super) async fn note(&self, name: &str) -> Option<MoveNote> {
        let (root, name) = (self.root.clone(), name.to_owned());
        let read = tokio::task::spawn_blocking(move || MoveNote::load(&root, &name)).await;
        read.ok().flatten()
    }

    pub(in crate::actors::index) async fn has_note(&self, name: &str) -> bool {
        self.note(name).await.is_some()
    }

    /// Goes on with what was under way when the process ended. The engines have just answered.
    pub(in crate::actors::index) async fn go_on_with_moves(&self, deadline: Deadline) {
        let mut moves = self.moves.lock().await;
        let root = self.root.clone();
        let notes = tokio::task::spawn_blocking(move || MoveNote::all(&root)).await;
        let notes = match notes {
            Ok(Ok(notes)) => notes,
            Ok(Err(error)) => return tracing::warn!(%error, "notes of moves cannot be read"),
            Err(error) => return tracing::warn!(%error, "notes of moves cannot be read"),
        };
        for note in notes {
            let (name, to) = (note.name.clone(), note.to);
            if !is_collection_name(&name) || moves.contains_key(&name) {
                continue;
            }
            let over = self.is_over(&note).await;
            if note.cancelled || over {
                self.clear(&note).await;
                continue;
            }
            let cell = self.cells().get(&name).cloned();
            let Some(cell) = cell.filter(|cell| cell.backend() == note.from) else {
                continue;
            };
            if self.made_at(&name, &note).await != Some(true) {
                // Another collection of that name: the move has lost its own.
                self.give_up_note(note).await;
                continue;
            }
            let begun = self.begin_move(&mut moves, &cell, &name, to, Some(note), deadline);
            match begun.await {
                Ok(_) => {
                    tracing::info!(collection = name, %to, "goes on moving");
                    self.moving.notify_one();
                }
                Err(error) => tracing::warn!(collection = name, %error, "does not go on moving"),
            }
        }
    }

    /// Whether the other side counts already.
    async fn is_over(&self, note: &MoveNote) -> bool {
        if !note.to.is_own() {
            return moved_dir(&self.root, &note.name).exists();
        }
        let (dir, created_ms) = (self.root.join(&note.name), note.created_ms);
        let read = tokio::task::spawn_blocking(move || made_at(&dir) == Some(created_ms)).await;
        read.unwrap_or(false)
    }

    /// Whether the collection that is served under that name is the one of the move; `None`: that cannot be told now.
    async fn made_at(&self, name: &str, note: &MoveNote) -> Option<bool> {
        let made = match self.stores.get(&note.from) {
            Some(store) => listed(store, name).await.ok()??.spec.created_ms,
            None => {
                let dir = self.root.join(name);
                let read = tokio::task::spawn_blocking(move || made_at(&dir)).await;
                read.ok()??
            }
        };
        Some(made == note.created_ms)
    }

    /// Ends a move of a run before this one.
    pub(super) async fn give_up_note(&self, note: MoveNote) {
        if self.is_over(&note).await {
            return self.clear(&note).await;
        }
        let note = MoveNote {
            cancelled: true,
            ..note
        };
        if let Err(error) = self.keep_note(&note).await {
            tracing::warn!(collection = note.name, %error, "the note of its end is not kept");
        }
        self.clear(&note).await;
    }

    /// Clears away what a move left: the old side of one that is over, what was copied by one that was given up. What cannot
    /// be done now is done when the engines are asked the next time. Only what is the move's own is removed.
    pub(super) async fn clear(&self, note: &MoveNote) {
        let cleared = match (self.is_over(note).await, note.to.is_own()) {
            (true, true) => self.clear_engine(note).await,
            (true, false) => self.clear_moved(note).await,
            (false, true) => self.clear_dir(&coming_dir(&self.root, &note.name)).await,
            (false, false) => self.clear_draft(note).await,
        };
        match cleared {
            Ok(()) => MoveNote::forget(&self.root, &note.name),
            Err(error) => {
                tracing::warn!(collection = note.name, %error, "what its move left stays for now");
            }
        }
    }

    /// Makes what went over to an engine no draft any more, then removes its folder here.
    async fn clear_moved(&self, note: &MoveNote) -> Result<(), CollectionsError> {
        let store = self.store(note.to)?;
        match listed(store, &note.name).await? {
            Some(stored) if stored.draft.as_ref() == Some(&note.id) => {
                let draft = None;
                store.describe(&Stored { draft, ..stored }).await?;
            }
            Some(stored) if stored.spec.created_ms == note.created_ms => {}
            // Removed there since, by whoever serves it too; the folder may be all that there is of it.
            _ => return self.set_aside(note).await,
        }
        self.clear_dir(&moved_dir(&self.root, &note.name)).await
    }

    /// Keeps a folder that nothing needs and nobody asked to remove, under a name that nothing else takes.
    async fn set_aside(&self, note: &MoveNote) -> Result<(), CollectionsError> {
        let from = moved_dir(&self.root, &note.name);
        let to = self.root.join(format!(".left-{}-{}", note.name, note.id));
        tracing::warn!(
            collection = note.name,
            folder = %disk::short(&to),
            "not in its engine any more; its points as they went over are kept there"
        );
        blocking(move || {
            disk::rename(&from, &to).map_err(|error| CollectionsError::Index(error.into()))
        })
        .await
    }

    /// Removes from an engine what came here from it.
    async fn clear_engine(&self, note: &MoveNote) -> Result<(), CollectionsError> {
        let store = self.store(note.from)?;
        self.remove_own(store, &note.name, |stored| {
            stored.draft.is_none() && stored.spec.created_ms == note.created_ms
        })
        .await
    }

    async fn clear_draft(&self, note: &MoveNote) -> Result<(), CollectionsError> {
        let store = self.store(note.to)?;
        self.remove_own(store, &note.name, |stored| {
            stored.draft.as_ref() == Some(&note.id)
        })
        .await
    }

    async fn remove_own(
        &self,
        store: &Arc<dyn Store>,
        name: &str,
        is_own: impl Fn(&Stored) -> bool,
    ) -> Result<(), CollectionsError> {
        match listed(store, name).await? {
            Some(stored) if is_own(&stored) => Ok(store.remove(name).await?),
            _ => Ok(()),
        }
    }

    async fn clear_dir(&self, dir: &Path) -> Result<(), CollectionsError> {
        let dir = dir.to_owned();
        blocking(move || match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(CollectionsError::Disk(error.to_string()))
            }
            _ => Ok(()),
        })
        .await
    }

    /// Clears away what a move of a collection left that is being removed.
    ///
    /// Errors: an engine must be asked for it and cannot, or is not set up any more; then nothing may be removed, or it would come back.
    pub(in crate::actors::index) async fn clear_before_removal(
        &self,
        name: &str,
    ) -> Result<(), CollectionsError> {
        let Some(note) = self.note(name).await else {
            return Ok(());
        };
        self.clear(&note).await;
        match self.has_note(name).await {
            false => Ok(()),
            true => {
                let engine = match note.to.is_own() {
                    true => note.from,
                    false => note.to,
                };
                if !self.stores.contains_key(&engine) {
                    return Err(CollectionsError::CannotMove(format!(
                        "{engine} has a part in a move of collection {name}, and is not set up here: name it in the settings again, so that it can be cleared away"
                    )));
                }
                Err(IndexError::Engine {
                    backend: engine,
                    reason: format!(
                        "it has a part in a move of collection {name} that cannot be cleared away now"
                    ),
                    retry_after_ms: Some(1_000),
                }
                .into())
            }
        }
    }
}

/// When the collection in a folder was made.
fn made_at(dir: &Path) -> Option<u64> {
    Manifest::load(dir)
        .ok()
        .map(|manifest| manifest.spec.created_ms)
}
