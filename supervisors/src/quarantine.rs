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

struct Suspect {
    crashes: u32,
    last_ms: u64,
    reports: Vec<Arc<CrashReport>>,
}

/// The suspects of one cell.
pub(crate) struct Quarantine {
    after: AtomicU32,
    suspects: Mutex<HashMap<Digest, Suspect>>,
    /// How many are refused: the common case, none, costs one load.
    refused: AtomicUsize,
}

impl Quarantine {
    pub(crate) fn new(after: u32) -> Self {
        Self {
            after: AtomicU32::new(after),
            suspects: Mutex::new(HashMap::new()),
            refused: AtomicUsize::new(0),
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
        after > 0 && suspect.crashes >= after
    }

    pub(crate) fn refuses(&self, digest: Digest) -> bool {
        self.refused.load(Ordering::Acquire) > 0
            && self
                .lock()
                .get(&digest)
                .is_some_and(|suspect| self.is_refused(suspect))
    }

    pub(crate) fn crashed(&self, digest: Digest, report: &Arc<CrashReport>) {
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
        let suspect = suspects.entry(digest).or_insert_with(|| Suspect {
            crashes: 0,
            last_ms: 0,
            reports: Vec::new(),
        });
        suspect.crashes += 1;
        suspect.last_ms = report.at_ms;
        if suspect.reports.len() == MAX_REPORTS {
            suspect.reports.remove(0);
        }
        suspect.reports.push(Arc::clone(report));
        self.count(&suspects);
    }

    /// Lets a digest through again; `false` when it was not refused. Should it crash again so often, its
    /// letter still shows the earlier reports.
    pub(crate) fn release(&self, digest: &str) -> bool {
        self.with_refused(digest, |suspects, digest| {
            if let Some(suspect) = suspects.get_mut(&digest) {
                suspect.crashes = 0;
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
