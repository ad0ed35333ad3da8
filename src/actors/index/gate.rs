//! Where a collection's writes pass: noted while it moves, held back for the moment of its going over.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The gate of one collection.
#[derive(Default)]
pub(super) struct Gate {
    /// Held by every write while it is waited for; by a move, to see that none is.
    writes: RwLock<()>,
    /// Ids that were written since the move began; `None`: there is no move.
    touched: Mutex<Option<BTreeSet<String>>>,
}

/// A write on its way.
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    /// What it writes, while a move is under way.
    ids: Vec<String>,
    _open: RwLockReadGuard<'a, ()>,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        // Who read these points while the write ran may have read what was there before.
        self.gate.note(std::mem::take(&mut self.ids));
    }
}

/// Noted ids on their way to the other side; noted again when they do not arrive.
pub(super) struct Taken<'a> {
    gate: &'a Gate,
    pub(super) ids: Vec<String>,
}

impl Taken<'_> {
    /// They have arrived. Returns how many they were.
    pub(super) fn arrived(mut self) -> usize {
        std::mem::take(&mut self.ids).len()
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.gate.note(std::mem::take(&mut self.ids));
    }
}

impl Gate {
    /// Lets a write of points with these ids pass, when no move holds it back.
    pub(super) async fn pass<'a>(&self, ids: impl IntoIterator<Item = &'a String>) -> Pass<'_> {
        let open = self.writes.read().await;
        let ids = match self.is_moving() {
            true => ids.into_iter().cloned().collect(),
            false => Vec::new(),
        };
        Pass {
            gate: self,
            ids,
            _open: open,
        }
    }

    /// Whether a move is under way.
    pub(super) fn is_moving(&self) -> bool {
        self.touched().is_some()
    }

    /// From when it returns writes are noted, and none that was not is waited for.
    pub(super) async fn begin(&self) {
        let _none = self.writes.write().await;
        *self.touched() = Some(BTreeSet::new());
    }

    /// Up to `limit` ids that were written and not taken yet.
    pub(super) fn take(&self, limit: usize) -> Taken<'_> {
        let mut touched = self.touched();
        let mut ids = Vec::new();
        if let Some(touched) = touched.as_mut() {
            while ids.len() < limit
                && let Some(id) = touched.pop_first()
            {
                ids.push(id);
            }
        }
        Taken { gate: self, ids }
    }

    /// How many ids were written and not taken yet.
    pub(super) fn noted(&self) -> usize {
        self.touched().as_ref().map_or(0, BTreeSet::len)
    }

    /// Notes ids, while a move is under way.
    pub(super) fn note(&self, ids: Vec<String>) {
        if let Some(touched) = self.touched().as_mut() {
            touched.extend(ids);
        }
    }

    /// Holds writes back until the guard is dropped; returns when none is waited for. One that nobody waits for any more, and
    /// was never acknowledged, may still be done.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_noted_when_it_ends_also_when_its_ids_were_taken_before() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (gate, ids) = (Gate::default(), ["a".to_owned(), "b".to_owned()]);
            drop(gate.pass(&ids).await);
            gate.begin().await;
            assert_eq!(
                gate.take(9).ids.len(),
                0,
                "before the move nothing is noted"
            );
            let write = gate.pass(&ids).await;
            let read = gate.take(9);
            drop(write);
            assert_eq!(read.arrived(), 0);
            assert_eq!(
                gate.take(1).ids,
                ["a"],
                "and given back, since it did not arrive"
            );
            assert_eq!(gate.take(9).arrived(), 2);
            assert_eq!(gate.take(9).arrived(), 0);
            drop(gate.pass(&ids).await);
            gate.end();
            assert_eq!(gate.take(9).arrived(), 0);
        });
    }
}
