//! How far a push or a pull is, and the way to stop it, for those who do not run it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::transport::objects::ObjectError;

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving {
    /// `push` or `pull`.
    pub job: &'static str,
    /// Bytes that were sent or fetched.
    pub done: u64,
    /// All of them, once that is known.
    pub of: u64,
    /// Whether it was told to stop.
    pub cancelled: bool,
}

/// One at a time, or none.
#[derive(Debug, Default)]
pub struct Movement(Mutex<Option<Moving>>);

impl Movement {
    /// What is under way.
    pub fn moving(&self) -> Option<Moving> {
        self.lock().clone()
    }

    /// Tells it to stop; `false` when nothing is under way.
    pub fn cancel(&self) -> bool {
        let mut moving = self.lock();
        if let Some(moving) = &mut *moving {
            moving.cancelled = true;
        }
        moving.is_some()
    }

    /// Something begins; it is over when what is returned is dropped.
    pub(super) fn begin(&self, job: &'static str) -> Under<'_> {
        *self.lock() = Some(Moving {
            job,
            done: 0,
            of: 0,
            cancelled: false,
        });
        Under(self)
    }

    /// So many bytes more are to be moved.
    pub(super) fn expect(&self, bytes: u64) {
        if let Some(moving) = &mut *self.lock() {
            moving.of += bytes;
        }
    }

    /// So many bytes more were.
    ///
    /// Errors: [`ObjectError::Stopped`].
    pub(super) fn step(&self, bytes: u64) -> Result<(), ObjectError> {
        match &mut *self.lock() {
            Some(moving) if moving.cancelled => Err(ObjectError::Stopped),
            Some(moving) => {
                moving.done += bytes;
                moving.of = moving.of.max(moving.done);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Every change leaves it whole.
    fn lock(&self) -> MutexGuard<'_, Option<Moving>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A push or a pull under way.
pub(super) struct Under<'a>(&'a Movement);

impl Drop for Under<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}
