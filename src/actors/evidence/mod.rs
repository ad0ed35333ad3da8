//! The evidence cell: the one writer of the journal, which also keeps the sums of its chat calls.

mod changes;
mod journal;
mod usage;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use supervisors::{ChildPolicy, ChildSpec, Cx, Protocol, StartError, Worker};

pub use changes::ChangeRight;
pub use journal::Journal;
pub use usage::Usage;

use crate::engines::usage::Call;
use crate::storage::evidence_log::{
    Appended, EvidenceConfig, EvidenceLog, EvidenceLogError, Head, NewRecord, Unsynced,
};

/// What the journal's writer is asked.
pub enum EvidenceRequest {
    /// Append, and count the chat call. Replies with the record's sequence number and hash.
    Append(NewRecord, Option<Call>),
    /// Replies with what the caller is to force to the disk, on a thread that may wait for it; the outcome comes back
    /// as [`Self::Synced`].
    Unsynced,
    /// What came of it. Replies with the head.
    Synced(Result<u64, EvidenceLogError>),
    /// Append the records of a change to the files, which concerns records up to the number, and force them to the disk.
    /// Replies with their sequence numbers and hashes.
    BeginChange(u64, Vec<NewRecord>),
    /// Complete the file that is written to. Replies with the head.
    CompleteSegment,
    /// Replies with the newest hash.
    Head,
}

/// The writer's answers.
#[derive(Debug)]
pub enum EvidenceReply {
    /// The record's receipt.
    Appended(Appended),
    /// `None` when all is on the disk.
    Unsynced(Option<Unsynced>),
    /// The newest hash.
    Head(Head),
    /// The receipts of the records of a change.
    Begun(Vec<Appended>),
}

/// Owns the journal. After a disk error it is reopened, which cuts what was half written.
pub struct EvidenceWorker {
    dir: PathBuf,
    config: EvidenceConfig,
    log: Option<EvidenceLog>,
    usage: Usage,
    /// How often the disk has failed.
    failures: Arc<AtomicU64>,
}

impl EvidenceWorker {
    fn open(&mut self) -> Result<&mut EvidenceLog, EvidenceLogError> {
        let log = match self.log.take() {
            Some(log) => log,
            None => {
                let (log, report) = EvidenceLog::open(&self.dir, self.config.clone())?;
                if let Some(cut) = report.torn_tail {
                    tracing::warn!(bytes = cut, "cut a torn last line off the evidence journal");
                }
                // Anew with every journal that is opened: what failed on its way may have been written.
                self.usage.recover(&self.dir, &log.head());
                self.usage.keep(&self.dir);
                log
            }
        };
        Ok(self.log.insert(log))
    }

    /// Appends, then counts: in the journal's order, so that the sums are those of its records.
    fn append(
        &mut self,
        record: &NewRecord,
        call: Option<&Call>,
    ) -> Result<EvidenceReply, EvidenceLogError> {
        let log = self.open()?;
        let before = log.segment();
        let appended = log.append(record)?;
        let turned = log.segment() != before;
        self.usage.count(&appended, call);
        if turned {
            self.tell_turned();
        }
        Ok(EvidenceReply::Appended(appended))
    }

    fn begin_change(
        &mut self,
        upto: u64,
        told: &[NewRecord],
    ) -> Result<EvidenceReply, EvidenceLogError> {
        let log = self.open()?;
        let before = log.segment();
        let begun = log.begin_change(upto, told)?;
        let turned = log.segment() != before;
        for appended in &begun {
            self.usage.count(appended, None);
        }
        if turned {
            self.tell_turned();
        }
        Ok(EvidenceReply::Begun(begun))
    }

    fn complete_segment(&mut self) -> Result<EvidenceReply, EvidenceLogError> {
        let log = self.open()?;
        let before = log.segment();
        log.complete_segment()?;
        let (head, turned) = (log.head(), log.segment() != before);
        if turned {
            self.tell_turned();
        }
        Ok(EvidenceReply::Head(head))
    }

    /// A segment is complete: its receipt goes where the log goes, too, which may be off the machine.
    fn tell_turned(&self) {
        if let Some(last) = self.log.as_ref().and_then(EvidenceLog::completed) {
            tracing::info!(
                seq = last.seq,
                hash = last.hash,
                "a segment of the evidence journal is complete"
            );
        }
        // A start reads a segment at most.
        self.usage.keep(&self.dir);
    }
}

impl Protocol for EvidenceWorker {
    type Req = EvidenceRequest;
    type Rep = EvidenceReply;
    type Err = EvidenceLogError;
}

impl Worker for EvidenceWorker {
    fn handle(
        &mut self,
        request: EvidenceRequest,
        _cx: &Cx,
    ) -> Result<EvidenceReply, EvidenceLogError> {
        let outcome = match request {
            EvidenceRequest::Append(record, call) => self.append(&record, call.as_ref()),
            EvidenceRequest::Unsynced => {
                let unsynced = self.open().and_then(|log| log.unsynced());
                unsynced.map(EvidenceReply::Unsynced)
            }
            EvidenceRequest::Synced(outcome) => self.open().and_then(|log| {
                log.synced(&outcome)?;
                Ok(EvidenceReply::Head(log.head()))
            }),
            EvidenceRequest::BeginChange(upto, told) => self.begin_change(upto, &told),
            EvidenceRequest::CompleteSegment => self.complete_segment(),
            EvidenceRequest::Head => self.open().map(|log| EvidenceReply::Head(log.head())),
        };
        if matches!(
            outcome,
            Err(EvidenceLogError::Io { .. } | EvidenceLogError::Poisoned { .. })
        ) {
            self.log = None;
            self.failures.fetch_add(1, Ordering::AcqRel);
        }
        outcome
    }
}

/// Describes the cell to its supervisor; the journal lives in `dir`.
pub fn child_spec(
    policy: ChildPolicy,
    dir: PathBuf,
    config: EvidenceConfig,
    usage: Usage,
) -> (ChildSpec, Journal) {
    // Invariant: one writer; a second thread would fork the hash chain.
    let policy = ChildPolicy {
        workers: 1,
        ..policy
    };
    let failures = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&failures);
    let (journal_dir, journal_config) = (dir.clone(), config.clone());
    let (spec, cell) = ChildSpec::sync("evidence", policy, move |_| {
        let mut worker = EvidenceWorker {
            dir: dir.clone(),
            config: config.clone(),
            log: None,
            usage: usage.clone(),
            failures: Arc::clone(&counted),
        };
        worker
            .open()
            .map_err(|error| StartError::new(error.to_string()))?;
        Ok(worker)
    });
    (
        spec,
        Journal::new(cell, journal_dir, journal_config, failures),
    )
}
