//! Where a collection's writes pass: noted while it moves, held back for the moment of its going over.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The gate of one collection.
#[derive(Default)]
pub(super) struct Gate {
    /// Held by every write while it runs; by a move, to see that none runs.
    writes: RwLock<()>,
    /// Ids that were written since the move began; `None`: there is no move.
    touched: Mutex<Option<BTreeSet<String>>>,
}

impl Gate {
    /// Lets a write of points with these ids pass, when no move holds it back.
    pub(super) async fn pass<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a String>,
    ) -> RwLockReadGuard<'_, ()> {
        let pass = self.writes.read().await;
        if let Some(touched) = self.touched().as_mut() {
            touched.extend(ids.into_iter().cloned());
        }
        pass
    }

    /// Whether a move is under way. Stays so while a pass is held.
    pub(super) fn is_moving(&self) -> bool {
        self.touched().is_some()
    }

    /// From when it returns writes are noted, and none that was not is under way.
    pub(super) async fn begin(&self) {
        let _none = self.writes.write().await;
        *self.touched() = Some(BTreeSet::new());
    }

    /// Up to `limit` ids that were written and not taken yet.
    pub(super) fn take(&self, limit: usize) -> Vec<String> {
        let mut touched = self.touched();
        let Some(ids) = touched.as_mut() else {
            return Vec::new();
        };
        let taken: Vec<String> = ids.iter().take(limit).cloned().collect();
        for id in &taken {
            ids.remove(id);
        }
        taken
    }

    /// Notes ids again that were taken and not brought over.
    pub(super) fn give_back(&self, ids: Vec<String>) {
        if let Some(touched) = self.touched().as_mut() {
            touched.extend(ids);
        }
    }

    /// Holds writes back until the guard is dropped; returns when none is under way.
    pub(super) async fn close(&self) -> RwLockWriteGuard<'_, ()> {
        self.writes.write().await
    }

    /// Ends the noting.
    pub(super) fn end(&self) {
        *self.touched() = None;
    }

    fn touched(&self) -> MutexGuard<'_, Option<BTreeSet<String>>> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
