//! The job under way: how far it is, and the way to stop it, for those who do not run it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::DatasetError;

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// What it does.
    pub job: String,
    /// Lines read.
    pub done: u64,
    /// Lines to read, once that is known; a journal that changed meanwhile is read again.
    pub of: u64,
    /// Whether it was told to stop.
    pub cancelled: bool,
}

/// One job at a time, or none.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Option<Running>>);

impl Progress {
    /// What is under way.
    pub fn running(&self) -> Option<Running> {
        self.lock().clone()
    }

    /// Tells the job to stop; `false` when there is none.
    pub fn cancel(&self) -> bool {
        let mut running = self.lock();
        if let Some(running) = &mut *running {
            running.cancelled = true;
        }
        running.is_some()
    }

    /// A job begins; it is over when what is returned is dropped, also by a panic.
    pub(super) fn begin(&self, job: String) -> Under<'_> {
        *self.lock() = Some(Running {
            job,
            done: 0,
            of: 0,
            cancelled: false,
        });
        Under(self)
    }

    /// So many lines are to be read, from now on.
    pub(super) fn expect(&self, of: u64) {
        if let Some(running) = &mut *self.lock() {
            (running.done, running.of) = (0, of);
        }
    }

    /// So many lines are left to be read.
    pub(super) fn left(&self, lines: u64) {
        if let Some(running) = &mut *self.lock() {
            running.of = running.done + lines;
        }
    }

    /// So many more were read.
    ///
    /// Errors: [`DatasetError::Cancelled`].
    pub(super) fn step(&self, lines: u64) -> Result<(), DatasetError> {
        match &mut *self.lock() {
            Some(running) if running.cancelled => Err(DatasetError::Cancelled),
            Some(running) => {
                running.done = (running.done + lines).min(running.of.max(running.done));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Every change leaves it whole.
    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job under way.
pub(super) struct Under<'a>(&'a Progress);

impl Drop for Under<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_told_of_and_stopped_between_its_lines() {
        let progress = Progress::default();
        assert!(!progress.cancel());
        let under = progress.begin("materialize".to_owned());
        progress.expect(100);
        progress.step(64).unwrap();
        let running = progress.running().unwrap();
        assert_eq!(
            (running.job.as_str(), running.done, running.of),
            ("materialize", 64, 100)
        );
        // The last step is a whole one, too.
        progress.step(64).unwrap();
        assert_eq!(progress.running().unwrap().done, 100);
        assert!(progress.cancel());
        assert!(matches!(progress.step(1), Err(DatasetError::Cancelled)));
        drop(under);
        assert_eq!(progress.running(), None);
        // The next one is not told to stop.
        let _under = progress.begin("export sft".to_owned());
        progress.step(1).unwrap();
    }
}
