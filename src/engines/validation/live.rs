//! A table that is replaced as a whole while others read it.

use std::sync::{Arc, PoisonError, RwLock};

/// Holds the table that counts now. What has been taken from it stays as it is.
#[derive(Debug, Default)]
pub struct Live<T> {
    current: RwLock<Arc<T>>,
}

impl<T> Live<T> {
    /// Begins with `table`.
    pub fn new(table: T) -> Self {
        Self {
            current: RwLock::new(Arc::new(table)),
        }
    }

    /// The table as it is now; one judgement takes it once.
    pub fn current(&self) -> Arc<T> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// Puts another in its place. Returns the old one, to be let go of by the caller.
    pub fn replace(&self, table: T) -> Arc<T> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, Arc::new(table))
    }
}
