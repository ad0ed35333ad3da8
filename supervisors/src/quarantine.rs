//! Requests that crash their worker again and again are refused until released.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::fault::{CrashReport, CrashSummary, Digest};

/// Most digests remembered for a cell; the one that crashed longest ago goes first.
const MAX_SUSPECTS: usize = 1024;
/// Most crashes kept for a digest.
const MAX_REPORTS: usize = 8;

/// A request that is refused.
#[derive(Debug, Clone, Serialize)]
pub struct DeadLetter {
    /// The cell that it crashed.
    pub child: String,
    /// The request.
    pub digest: Digest,
    /// How often.
    pub crashes: u32,
    /// The newest crashes.
    pub reports: Vec<CrashSummary>,
}

#[derive(Default)]
struct Suspect {
    crashes: u32,
    /// Refused whatever the count.
    condemned: bool,
    last_ms: u64,
    reports: Vec<Arc<CrashReport>>,
}

impl Suspect {
    fn keep(&mut self, report: &Arc<CrashReport>) {
        self.last_ms = report.at_ms;
        if self.reports.len() == MAX_REPORTS {
            self.reports.remove(0);
        }
        self.reports.push(Arc::clone(report));
    }
}

/// The suspects of one cell.
pub(crate) struct Quarantine {
    after: AtomicU32,
    suspects: Mutex<HashMap<Digest, Suspect>>,
    /// How many are refused: the common case, none, costs one load.
    refused: AtomicUsize,
    /// How many are remembered.
    known: AtomicUsize,
}

impl Quarantine {
    pub(crate) fn new(after: u32) -> Self {
        Self {
            after: AtomicU32::new(after),
            suspects: Mutex::new(HashMap::new()),
            refused: AtomicUsize::new(0),
            known: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Suspect>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Crashes after which a request is refused; 0: never.
    pub(crate) fn after(&self) -> u32 {
        self.after.load(Ordering::Acquire)
    }

    /// Another limit, also for the crashes counted so far.
    pub(crate) fn set_after(&self, after: u32) {
        let suspects = self.lock();
        self.after.store(after, Ordering::Release);
        self.count(&suspects);
    }

    fn is_refused(&self, suspect: &Suspect) -> bool {
        let after = self.after();
        suspect.condemned || (after > 0 && suspect.crashes >= after)
    }

    pub(crate) fn refuses(&self, digest: Digest) -> bool {
        self.refused.load(Ordering::Acquire) > 0
            && self
                .lock()
                .get(&digest)
                .is_some_and(|suspect| self.is_refused(suspect))
    }

    /// Counts a crash of the worker that ran this request alone.
    pub(crate) fn crashed(&self, digest: Digest, report: &Arc<CrashReport>) {
        self.note(digest, |suspect| {
            suspect.crashes += 1;
            suspect.keep(report);
        });
    }

    /// Notes that this request was among those of a batch that crashed.
    pub(crate) fn suspected(&self, digest: Digest, report: &Arc<CrashReport>) {
        self.note(digest, |suspect| suspect.keep(report));
    }

    /// Refuses a request at once.
    pub(crate) fn condemn(&self, digest: Digest, report: &Arc<CrashReport>) {
        self.note(digest, |suspect| {
            suspect.condemned = true;
            suspect.crashes += 1;
            suspect.keep(report);
        });
    }

    /// Whether a request crashed its worker before, alone or in a batch.
    pub(crate) fn suspects(&self, digest: Digest) -> bool {
        self.known.load(Ordering::Acquire) > 0 && self.lock().contains_key(&digest)
    }

    fn note(&self, digest: Digest, change: impl FnOnce(&mut Suspect)) {
        if self.after() == 0 {
            return;
        }
        let mut suspects = self.lock();
        if suspects.len() >= MAX_SUSPECTS && !suspects.contains_key(&digest) {
            let oldest = suspects.iter().min_by_key(|(_, suspect)| suspect.last_ms);
            if let Some(oldest) = oldest.map(|(digest, _)| *digest) {
                suspects.remove(&oldest);
            }
        }
        change(suspects.entry(digest).or_default());
        self.count(&suspects);
    }

    /// Lets a digest through again; `false` when it was not refused. Should it crash again so often, its
    /// letter still shows the earlier reports.
    pub(crate) fn release(&self, digest: &str) -> bool {
        self.with_refused(digest, |suspects, digest| {
            if let Some(suspect) = suspects.get_mut(&digest) {
                suspect.crashes = 0;
                suspect.condemned = false;
            }
        })
    }

    /// Forgets a refused digest with its count and its reports; `false` when it was not refused.
    pub(crate) fn delete(&self, digest: &str) -> bool {
        self.with_refused(digest, |suspects, digest| {
            suspects.remove(&digest);
        })
    }

    fn with_refused(
        &self,
        digest: &str,
        change: impl FnOnce(&mut HashMap<Digest, Suspect>, Digest),
    ) -> bool {
        let mut suspects = self.lock();
        let found = suspects
            .iter()
            .find(|(known, suspect)| self.is_refused(suspect) && known.to_string() == digest)
            .map(|(known, _)| *known);
        if let Some(found) = found {
            change(&mut suspects, found);
            self.count(&suspects);
        }
        found.is_some()
    }

    fn count(&self, suspects: &HashMap<Digest, Suspect>) {
        let refused = suspects
            .values()
            .filter(|suspect| self.is_refused(suspect))
            .count();
        self.refused.store(refused, Ordering::Release);
        self.known.store(suspects.len(), Ordering::Release);
    }

    pub(crate) fn dead_letters(&self, child: &str) -> Vec<DeadLetter> {
        if self.refused.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let mut letters: Vec<DeadLetter> = self
            .lock()
            .iter()
            .filter(|(_, suspect)| self.is_refused(suspect))
            .map(|(digest, suspect)| DeadLetter {
                child: child.to_string(),
                digest: *digest,
                crashes: suspect.crashes,
                reports: suspect
                    .reports
                    .iter()
                    .map(|report| (&**report).into())
                    .collect(),
            })
            .collect();
        letters.sort_by_key(|letter| letter.digest);
        letters
    }
}
