//! The evidence cell: the one writer of the journal, which also keeps the sums of its chat calls.

mod usage;

use std::path::PathBuf;

use supervisors::{CellRef, ChildPolicy, ChildSpec, Cx, Protocol, StartError, Worker};

pub use usage::Usage;

use crate::engines::usage::Call;
use crate::storage::evidence_log::{
    Appended, EvidenceConfig, EvidenceLog, EvidenceLogError, Head, NewRecord,
};

/// What the journal's writer is asked.
pub enum EvidenceRequest {
    /// Append in order. Replies with the sequence number and hash of each.
    Append(Vec<NewRecord>),
    /// Force what was written to the disk. Replies with the head.
    Sync,
    /// Replies with the newest hash.
    Head,
}

/// The writer's answers.
#[derive(Debug)]
pub enum EvidenceReply {
    /// One for each record of the batch.
    Appended(Vec<Appended>),
    /// The newest hash.
    Head(Head),
}

/// Owns the journal. After a disk error it is reopened, which cuts what was half written.
pub struct EvidenceWorker {
    dir: PathBuf,
    config: EvidenceConfig,
    log: Option<EvidenceLog>,
    usage: Usage,
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
    fn append(&mut self, batch: Vec<NewRecord>) -> Result<EvidenceReply, EvidenceLogError> {
        let calls: Vec<Option<Call>> = batch.iter().map(usage::call_of).collect();
        let log = self.open()?;
        let before = log.segment();
        let appended = log.append(batch)?;
        let turned = log.segment() != before;
        self.usage.count(&appended, &calls);
        if turned {
            // A start reads a segment at most.
            self.usage.keep(&self.dir);
        }
        Ok(EvidenceReply::Appended(appended))
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
        let log = self.open()?;
        let outcome = match request {
            EvidenceRequest::Append(batch) => self.append(batch),
            EvidenceRequest::Sync => log.sync().map(|()| EvidenceReply::Head(log.head())),
            EvidenceRequest::Head => Ok(EvidenceReply::Head(log.head())),
        };
        if matches!(
            outcome,
            Err(EvidenceLogError::Io { .. } | EvidenceLogError::Poisoned { .. })
        ) {
            self.log = None;
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
) -> (ChildSpec, CellRef<EvidenceWorker>) {
    // Invariant: one writer; a second thread would fork the hash chain.
    let policy = ChildPolicy {
        workers: 1,
        ..policy
    };
    ChildSpec::sync("evidence", policy, move |_| {
        let mut worker = EvidenceWorker {
            dir: dir.clone(),
            config: config.clone(),
            log: None,
            usage: usage.clone(),
        };
        worker
            .open()
            .map_err(|error| StartError::new(error.to_string()))?;
        Ok(worker)
    })
}
