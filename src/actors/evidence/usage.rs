//! The sums of the journal's chat calls: read by anyone, written by the journal's writer only.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engines::usage::{Call, Counters, Ledger, Named, UsageFilter};
use crate::storage::evidence_log::{EvidenceLogError, GENESIS, Head, NewRecord, records_since};
use crate::storage::usage_file::{self, KeptUsage};
use crate::types::evidence::Kind;
use crate::types::usage::{UsageRow, UsageSums};

/// The sums. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Usage {
    named: Named,
    inner: Arc<Mutex<Sums>>,
}

#[derive(Default)]
struct Sums {
    /// Invariant: counts the journal's records up to the last that was acknowledged, no other.
    ledger: Ledger,
    since_start: Counters,
}

impl Usage {
    /// Sums of no journal yet, which always tell these keys apart.
    pub fn new(named: Named) -> Self {
        let sums = Sums {
            ledger: Ledger::from_rows(Arc::clone(&named), &[]),
            since_start: Counters::new(Arc::clone(&named)),
        };
        Self {
            named,
            inner: Arc::new(Mutex::new(sums)),
        }
    }

    /// Lists the sums by day, key and model.
    pub fn rows(&self, filter: &UsageFilter) -> Vec<UsageRow> {
        self.sums().ledger.rows(filter)
    }

    /// What a key has spent since a day, US dollars.
    pub fn spent(&self, key: &str, from: &str) -> f64 {
        self.sums().ledger.spent(key, from)
    }

    /// Lists key, model and sums since the start.
    pub fn counters(&self) -> Vec<(String, String, UsageSums)> {
        self.sums().since_start.rows()
    }

    /// Counts calls whose records were written.
    pub(super) fn count(&self, calls: &[Call]) {
        let mut sums = self.sums();
        for call in calls {
            sums.ledger.count(call);
            sums.since_start.count(call);
        }
    }

    /// Makes the sums of the journal in `dir`, which ends at `head`: of what was kept, and the records
    /// after it.
    ///
    /// Errors: the journal cannot be read.
    pub(super) fn recover(&self, dir: &Path, head: &Head) -> Result<(), EvidenceLogError> {
        let kept = usage_file::read(dir).unwrap_or_else(|error| {
            tracing::warn!(%error, "the sums of usage are made anew, of the whole journal");
            None
        });
        let known = match kept {
            Some(kept) => self.replay(dir, head, &kept)?,
            None => None,
        };
        let ledger = match known {
            Some(ledger) => ledger,
            None => {
                let nothing = KeptUsage::new(0, GENESIS.to_owned(), Vec::new());
                self.replay(dir, head, &nothing)?.unwrap_or_default()
            }
        };
        self.sums().ledger = ledger;
        Ok(())
    }

    /// Keeps the sums up to `head` in `dir`. They only save work: a failure is told and no more.
    pub(super) fn keep(&self, dir: &Path, head: &Head) {
        let rows = self.rows(&UsageFilter::default());
        let kept = KeptUsage::new(head.seq, head.hash.clone(), rows);
        if let Err(error) = usage_file::write(dir, &kept) {
            tracing::warn!(%error, "the sums of usage could not be kept, the next start takes longer");
        }
    }

    /// Counts the records after those that `kept` counts; `None` when it is of another journal.
    fn replay(&self, dir: &Path, head: &Head, kept: &KeptUsage) -> Result<Option<Ledger>, EvidenceLogError> {
        if kept.seq >= head.seq {
            let same = kept.seq == head.seq && kept.hash == head.hash;
            return Ok(same.then(|| Ledger::from_rows(Arc::clone(&self.named), &kept.rows)));
        }
        let mut ledger = Ledger::from_rows(Arc::clone(&self.named), &kept.rows);
        for line in records_since(dir, kept.seq)? {
            // A line that is no record is the audit's to tell.
            let Ok(record) = line?.record else { continue };
            if record.seq == kept.seq + 1 && record.prev != kept.hash {
                return Ok(None);
            }
            if record.seq > kept.seq
                && record.kind == Kind::Chat
                && let Some(call) = Call::of(record.ts, &record.body)
            {
                ledger.count(&call);
            }
        }
        Ok(Some(ledger))
    }

    // Nothing below the lock panics, so what it holds is whole.
    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The call that a record tells of.
pub(super) fn call_of(record: &NewRecord) -> Option<Call> {
    match record.kind {
        Kind::Chat => Call::of(record.ts_ms, &record.body),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::storage::evidence_log::{EvidenceConfig, EvidenceLog};

    /// 2026-03-01T00:00:00Z.
    const MARCH: u64 = 1_772_323_200_000;

    fn record(key: &str) -> NewRecord {
        NewRecord {
            ts_ms: MARCH,
            kind: Kind::Chat,
            id: "i".to_owned(),
            body: json!({"key": key, "answered_by": "up/m", "finish_reason": "stop",
                "cost_usd": 0.5}),
        }
    }

    fn open(dir: &Path) -> (EvidenceLog, Usage) {
        let config = EvidenceConfig {
            segment_bytes: 4_096,
            max_record_bytes: 4_096,
            ..EvidenceConfig::default()
        };
        let (log, _) = EvidenceLog::open(dir, config).unwrap();
        let usage = Usage::default();
        usage.recover(dir, &log.head()).unwrap();
        (log, usage)
    }

    fn requests(usage: &Usage, key: &str) -> u64 {
        let filter = UsageFilter {
            key: Some(key.to_owned()),
            ..UsageFilter::default()
        };
        usage
            .rows(&filter)
            .iter()
            .map(|row| row.sums.requests)
            .sum()
    }

    #[test]
    fn the_sums_are_those_of_the_journal_wherever_they_were_kept_last() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let (mut log, usage) = open(dir);
        // Over several segments; other kinds do not count.
        for number in 0..60_u64 {
            let search = NewRecord {
                kind: Kind::Search,
                ..record("a")
            };
            log.append(vec![record("a"), search]).unwrap();
            if number == 30 {
                drop(open(dir));
                let (_, usage) = open(dir);
                usage.keep(dir, &log.head());
            }
        }
        assert!(log.segment() > 3);
        assert_eq!(requests(&usage, "a"), 0, "nobody told it");
        assert_eq!(requests(&open(dir).1, "a"), 60);
        assert!((open(dir).1.spent("a", "2026-03-01") - 30.0).abs() < 1e-9);
        // Kept to the end, then nothing is left to read.
        open(dir).1.keep(dir, &log.head());
        assert_eq!(requests(&open(dir).1, "a"), 60);
        // Without the file, or with a damaged one.
        std::fs::write(dir.join("usage.json"), "{").unwrap();
        assert_eq!(requests(&open(dir).1, "a"), 60);
        assert!(
            open(dir).1.counters().is_empty(),
            "they are since the start"
        );
    }

    #[test]
    fn what_was_kept_of_another_journal_does_not_count() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (folder, keys) in [(&one, ["a", "a", "a"]), (&two, ["b", "b", "b"])] {
            let (mut log, _) = open(folder.path());
            for key in keys {
                log.append(vec![record(key)]).unwrap();
            }
            let (_, usage) = open(folder.path());
            usage.keep(folder.path(), &log.head());
        }
        let foreign = std::fs::read(one.path().join("usage.json")).unwrap();
        for more in 0..3 {
            std::fs::write(two.path().join("usage.json"), &foreign).unwrap();
            let (mut log, usage) = open(two.path());
            assert_eq!(
                (requests(&usage, "a"), requests(&usage, "b")),
                (0, 3 + more)
            );
            log.append(vec![record("b")]).unwrap();
        }
        // A journal that was cut is shorter than what was kept.
        let ahead = KeptUsage::new(1_000, "h".to_owned(), Vec::new());
        usage_file::write(two.path(), &ahead).unwrap();
        assert_eq!(requests(&open(two.path()).1, "b"), 6);
    }
}
