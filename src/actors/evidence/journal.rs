//! The journal as those who write to it see it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use supervisors::{CellRef, Deadline, Fault};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use super::{EvidenceReply, EvidenceRequest, EvidenceWorker};
use crate::engines::usage::Call;
use crate::storage::evidence_log::{
    Ack, Appended, EvidenceConfig, EvidenceLogError, Head, NewRecord,
};

/// Appends, and waits for the disk where that is wanted. Cheap to clone; all clones are the same. Used inside a
/// `LocalSet`, as every actix worker is.
#[derive(Clone)]
pub struct Journal {
    pub(super) cell: CellRef<EvidenceWorker>,
    pub(super) dir: PathBuf,
    pub(super) config: EvidenceConfig,
    /// How often the disk has failed.
    failures: Arc<AtomicU64>,
    /// The newest record that is on the disk. Who holds the lock syncs for all that wait for it.
    pub(super) synced: Arc<Mutex<u64>>,
    /// Who holds the lock replaces or removes files.
    pub(super) changing: Arc<Mutex<()>>,
    /// Readings of the files that may go on at once.
    pub(super) readings: Arc<Semaphore>,
}

/// Readings of the files that may go on at once: each takes a thread, and the disk.
const READINGS: usize = 4;

pub(super) type Answer<T> = Result<T, Fault<EvidenceLogError>>;

impl Journal {
    pub(super) fn new(
        cell: CellRef<EvidenceWorker>,
        dir: PathBuf,
        config: EvidenceConfig,
        failures: Arc<AtomicU64>,
    ) -> Self {
        Self {
            cell,
            dir,
            config,
            failures,
            synced: Arc::default(),
            changing: Arc::default(),
            readings: Arc::new(Semaphore::new(READINGS)),
        }
    }

    /// Appends a record, and counts the chat call that it tells of. Returns once the operating system has it, or the
    /// disk, by the settings.
    ///
    /// Cancel safety: a record that was sent is written.
    pub async fn append(
        &self,
        record: NewRecord,
        call: Option<Call>,
        deadline: Deadline,
    ) -> Answer<Appended> {
        let failures = self.failures.load(Ordering::Acquire);
        let request = EvidenceRequest::Append(record, call);
        let EvidenceReply::Appended(appended) = self.cell.ask(request, deadline).await? else {
            return Err(no_answer());
        };
        if self.config.ack == Ack::Synced {
            self.sync_to(appended.seq, failures, deadline).await?;
        }
        Ok(appended)
    }

    /// Waits until all that was appended is on the disk. Appends go on meanwhile.
    pub async fn sync(&self, deadline: Deadline) -> Answer<Head> {
        let failures = self.failures.load(Ordering::Acquire);
        self.sync_to(u64::MAX, failures, deadline).await?;
        self.head(deadline).await
    }

    /// Reads the end of the journal.
    pub async fn head(&self, deadline: Deadline) -> Answer<Head> {
        match self.cell.ask(EvidenceRequest::Head, deadline).await? {
            EvidenceReply::Head(head) => Ok(head),
            _ => Err(no_answer()),
        }
    }

    async fn sync_to(&self, seq: u64, failures: u64, deadline: Deadline) -> Answer<()> {
        // A disk that hangs must not hold whoever waits for it for longer than he wants.
        let left = deadline.remaining();
        let synced = tokio::time::timeout(left, self.sync_now(seq, deadline)).await;
        synced.unwrap_or(Err(Fault::Hung { after: left }))?;
        // After a failure, that a later sync succeeds says nothing of what was written before.
        match self.failures.load(Ordering::Acquire) == failures {
            true => Ok(()),
            false => Err(Fault::App(EvidenceLogError::Poisoned {
                reason: "the disk failed before the record was on it".to_owned(),
            })),
        }
    }

    async fn sync_now(&self, seq: u64, deadline: Deadline) -> Answer<()> {
        let synced = Arc::clone(&self.synced).lock_owned().await;
        if *synced >= seq {
            return Ok(());
        }
        let syncing = tokio::task::spawn_local(sync(self.cell.clone(), synced, deadline));
        syncing.await.map_err(|_| no_answer())?
    }
}

/// Syncs what was appended until now, in a task of its own: when the caller goes, the outcome is noted all the same.
async fn sync(
    cell: CellRef<EvidenceWorker>,
    mut synced: OwnedMutexGuard<u64>,
    deadline: Deadline,
) -> Answer<()> {
    let reply = cell.ask(EvidenceRequest::Unsynced, deadline).await?;
    let EvidenceReply::Unsynced(unsynced) = reply else {
        return Err(no_answer());
    };
    let Some(unsynced) = unsynced else {
        return Ok(());
    };
    let outcome = tokio::task::spawn_blocking(|| unsynced.sync()).await;
    let outcome = outcome.map_err(|_| no_answer())?;
    let newest = outcome.as_ref().ok().copied();
    cell.ask(EvidenceRequest::Synced(outcome), deadline).await?;
    if let Some(newest) = newest {
        *synced = (*synced).max(newest);
    }
    Ok(())
}

/// Pairs with the requests: each has its own kind of reply.
pub(super) fn no_answer() -> Fault<EvidenceLogError> {
    Fault::ShuttingDown
}
