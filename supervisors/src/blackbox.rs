//! Names what ran when the process died, after an abort or SIGKILL that no fence can contain.
//!
//! Before a worker runs a request with a digest, the two are noted in a small mapped file; after it, the note is
//! erased. Whatever a later process finds there is a suspect. One death proves little, for everything that ran
//! is suspected; a request that was running at two deaths, and in between ended normally never, is refused.

mod mapped;
mod record;

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::fault::Digest;
use mapped::Mapped;
use record::{Record, Table, name_of};

/// A request that was running when the process died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// The cell; its first 80 bytes when the id is longer.
    pub cell: String,
    /// The request.
    pub digest: Digest,
    /// When it started last, Unix time in milliseconds.
    pub started_ms: u64,
    /// At how many deaths it was running.
    pub times: u32,
}

/// Why a black box could not be opened. A damaged file is no reason: it is started anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlackBoxError {
    /// Another process has it open. Use a file per process.
    #[error("the black box is in use by another process")]
    InUse,
    /// The file could not be read, written or mapped.
    #[error("the black box: {0}")]
    Io(#[from] std::io::Error),
}

/// The file in which a tree notes what it runs; give it to [`crate::TreeOptions`]. Cheap to clone.
#[derive(Clone)]
pub struct BlackBox {
    inner: Arc<Inner>,
    refuse_after: u32,
}

struct Inner {
    file: Mapped,
    /// Records in use at the start of the table of suspects.
    suspects: usize,
    /// Suspects not yet forgotten: the common case, none, costs one load.
    remaining: AtomicUsize,
    damaged: bool,
}

thread_local! {
    /// The record this thread used last: most likely free, and in its cache.
    static LAST: Cell<usize> = const { Cell::new(0) };
}

impl BlackBox {
    /// Opens the file, or creates it, and tells what was running when the process before died.
    ///
    /// Errors: `InUse`, `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<(Self, Vec<Suspect>), BlackBoxError> {
        let path = path.as_ref();
        let (table, old) = mapped::read(path)?;
        if table.damaged {
            tracing::warn!(path = %path.display(), "the black box was damaged, what was unreadable is dropped");
        }
        let suspects = table.into_suspects();
        let file = mapped::replace(path, &suspects.after, old)?;
        let inner = Inner {
            file,
            suspects: suspects.after.len(),
            remaining: AtomicUsize::new(suspects.after.len()),
            damaged: suspects.damaged,
        };
        for suspect in &suspects.new {
            tracing::warn!(
                cell = suspect.cell,
                digest = %suspect.digest,
                times = suspect.times,
                "was running when the process died"
            );
        }
        let black_box = Self {
            inner: Arc::new(inner),
            refuse_after: 2,
        };
        Ok((black_box, suspects.new))
    }

    /// Refuses a request that was running at so many deaths of the process. Default 2; 0 never refuses.
    #[must_use]
    pub fn refuse_after(mut self, deaths: u32) -> Self {
        self.refuse_after = deaths;
        self
    }

    /// Whether part of the file was unreadable when it was opened.
    pub fn was_damaged(&self) -> bool {
        self.inner.damaged
    }

    /// Lists all suspects that have not run to an end since, nor been released.
    pub fn suspects(&self) -> Vec<Suspect> {
        let records = (0..self.inner.suspects).map(|index| self.inner.suspect(index));
        records
            .filter_map(|record| record.read().ok().flatten())
            .collect()
    }

    /// The suspects that a cell must refuse.
    pub(crate) fn condemned(&self, cell: &str) -> Vec<Suspect> {
        let name = name_of(cell);
        let mut suspects = self.suspects();
        suspects.retain(|suspect| {
            self.refuse_after > 0 && suspect.times >= self.refuse_after && suspect.cell == name
        });
        suspects
    }

    /// Notes that a request runs, until the mark is dropped; `None` when the file is full.
    pub(crate) fn begin(&self, cell: &str, digest: Digest) -> Option<Mark> {
        let last = LAST.get();
        let index = (last..Table::FLIGHTS)
            .chain(0..last)
            .find(|index| self.inner.flight(*index).claim())?;
        LAST.set(index);
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let started_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.inner
            .flight(index)
            .write(name_of(cell), digest, started_ms, 0);
        Some(Mark {
            inner: Arc::clone(&self.inner),
            index,
        })
    }

    /// Forgets what is known against a request.
    pub(crate) fn forget(&self, cell: &str, digest: &str) {
        let name = name_of(cell);
        self.inner
            .forget(|suspect| suspect.cell == name && suspect.digest.to_string() == digest);
    }

    /// The process ends in order: nothing is suspect of anything.
    pub(crate) fn settle(&self) {
        for index in 0..Table::FLIGHTS {
            self.inner.flight(index).clear();
        }
    }
}

impl Inner {
    fn flight(&self, index: usize) -> Record<'_> {
        Table::flight(self.file.words(), index)
    }

    fn suspect(&self, index: usize) -> Record<'_> {
        Table::suspect(self.file.words(), index)
    }

    fn forget(&self, whether: impl Fn(&Suspect) -> bool) {
        for index in 0..self.suspects {
            let record = self.suspect(index);
            if record
                .read()
                .ok()
                .flatten()
                .is_some_and(|suspect| whether(&suspect))
            {
                record.clear();
                self.remaining.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    /// It ran to an end: whatever killed the process, it was hardly this.
    fn absolve(&self, index: usize) {
        let Ok(Some(ran)) = self.flight(index).read() else {
            return;
        };
        self.forget(|suspect| suspect.cell == ran.cell && suspect.digest == ran.digest);
    }
}

/// The note of one running request; erased when it is dropped.
pub(crate) struct Mark {
    inner: Arc<Inner>,
    index: usize,
}

impl Drop for Mark {
    fn drop(&mut self) {
        if self.inner.remaining.load(Ordering::Acquire) > 0 {
            self.inner.absolve(self.index);
        }
        self.inner.flight(self.index).clear();
    }
}

#[cfg(test)]
mod tests;
