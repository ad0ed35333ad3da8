//! The sums of the journal's chat calls: read by anyone, written by the journal's writer only.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engines::usage::{Call, Counters, Ledger, Named, Selection, UsageFilter};
use crate::storage::evidence_log::{Appended, GENESIS, Head, records, segments_since};
use crate::storage::usage_file::{self, KeptUsage};
use crate::types::evidence::Kind;
use crate::types::usage::UsageSums;

/// The sums. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Usage {
    named: Named,
    inner: Arc<Mutex<Sums>>,
}

struct Sums {
    upto: Upto,
    since_start: Counters,
}

/// The sums of the journal up to and with one record.
#[derive(Clone)]
struct Upto {
    seq: u64,
    hash: String,
    ledger: Ledger,
    /// Whether no record up to there is missing.
    whole: bool,
}

impl Usage {
    /// Sums of no journal yet, which always tell these keys apart.
    pub fn new(named: Named) -> Self {
        let sums = Sums {
            upto: Upto::nothing(&named),
            since_start: Counters::new(Arc::clone(&named)),
        };
        Self {
            named,
            inner: Arc::new(Mutex::new(sums)),
        }
    }

    /// Sums up what suits, and lists the first `most` rows of it, by day, key and model.
    pub fn select(&self, filter: &UsageFilter, most: usize) -> Selection {
        // Every append waits for the lock, so the rows are made outside it.
        let ledger = self.sums().upto.ledger.clone();
        ledger.select(filter, most)
    }

    /// What a key has spent since a day, US dollars.
    pub fn spent(&self, key: &str, from: &str) -> f64 {
        self.sums().upto.ledger.spent(key, from)
    }

    /// Tokens that a key has read and written since a day.
    pub fn tokens(&self, key: &str, from: &str) -> u64 {
        self.sums().upto.ledger.tokens(key, from)
    }

    /// Lists key, model and sums since the start.
    pub fn counters(&self) -> Vec<(String, String, UsageSums)> {
        self.sums().since_start.rows()
    }

    /// Counts the call of a record that was written, unless it is counted already: a writer that was
    /// given up may come back after its successor has read what it wrote.
    pub(super) fn count(&self, written: &Appended, call: Option<&Call>) {
        let mut sums = self.sums();
        if written.seq <= sums.upto.seq {
            return;
        }
        sums.upto.seq = written.seq;
        sums.upto.hash.clone_from(&written.hash);
        if let Some(call) = call {
            sums.upto.ledger.count(call);
            sums.since_start.count(call);
        }
    }

    /// Brings the sums to those of the journal in `dir`, which ends at `head`: from the ones at hand, else
    /// from those that were kept, else from nothing. What cannot be read is told and left out: the journal
    /// must open without them. Sums of a later record stay.
    pub(super) fn recover(&self, dir: &Path, head: &Head) {
        let known = self.sums().upto.clone();
        if known.seq >= head.seq {
            return;
        }
        let at_hand = Some(known).filter(|known| known.seq > 0);
        let found = at_hand
            .and_then(|known| known.extended(dir, head))
            .or_else(|| self.kept(dir)?.extended(dir, head));
        let found = found.or_else(|| {
            tracing::info!(
                records = head.seq,
                "the sums of usage are made of the whole journal"
            );
            Upto::nothing(&self.named).extended(dir, head)
        });
        let mut sums = self.sums();
        if let Some(found) = found.filter(|_| sums.upto.seq < head.seq) {
            sums.upto = found;
        }
    }

    /// Keeps the sums in `dir`, unless some are missing. They only save work: a failure is told and no more.
    pub(super) fn keep(&self, dir: &Path) {
        let upto = self.sums().upto.clone();
        if !upto.whole {
            return;
        }
        let rows = upto.ledger.rows(&UsageFilter::default());
        let kept = KeptUsage::new(upto.seq, upto.hash, rows);
        if let Err(error) = usage_file::write(dir, &kept) {
            tracing::warn!(%error, "the sums of usage could not be kept, the next start takes longer");
        }
    }

    fn kept(&self, dir: &Path) -> Option<Upto> {
        let kept = usage_file::read(dir).unwrap_or_else(|error| {
            tracing::warn!(%error, "the sums of usage that were kept are of no use");
            None
        })?;
        Some(Upto {
            ledger: Ledger::from_rows(Arc::clone(&self.named), &kept.rows),
            seq: kept.seq,
            hash: kept.hash,
            whole: true,
        })
    }

    // Nothing below the lock panics, so what it holds is whole.
    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upto {
    fn nothing(named: &Named) -> Self {
        Self {
            seq: 0,
            hash: GENESIS.to_owned(),
            ledger: Ledger::from_rows(Arc::clone(named), &[]),
            whole: true,
        }
    }

    /// Counts the records after these, to `head`; `None` when these are of another journal.
    fn extended(mut self, dir: &Path, head: &Head) -> Option<Self> {
        if self.seq >= head.seq {
            let same = self.seq == head.seq && self.hash == head.hash;
            return same.then_some(self);
        }
        let segments = segments_since(dir, self.seq).unwrap_or_else(|error| {
            tracing::warn!(%error, "the sums of usage lack records");
            self.whole = false;
            Vec::new()
        });
        for segment in segments {
            for line in records(dir, vec![segment]) {
                let line = match line {
                    Ok(line) => line,
                    Err(error) => {
                        tracing::warn!(%error, "the sums of usage lack records");
                        self.whole = false;
                        break;
                    }
                };
                // A line that is no record is the audit's to tell.
                let Ok(record) = line.record else { continue };
                if record.seq == self.seq + 1 && record.prev != self.hash {
                    return None;
                }
                // Of what was erased nobody can tell what it took.
                if record.seq > self.seq
                    && record.kind == Kind::Chat
                    && record.erased.is_none()
                    && let Some(call) = Call::of(record.ts, (&record.body).into())
                {
                    self.ledger.count(&call);
                }
            }
        }
        self.seq = head.seq;
        self.hash.clone_from(&head.hash);
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::storage::evidence_log::{
        Body, EvidenceConfig, EvidenceLog, NewRecord, Salt, segments,
    };
    use crate::types::usage::UsageRow;

    /// 2026-03-01T00:00:00Z.
    const MARCH: u64 = 1_772_323_200_000;

    fn body(key: &str) -> serde_json::Value {
        json!({"key": key, "answered_by": "up/m", "finish_reason": "stop", "cost_usd": 0.5})
    }

    fn record(key: &str) -> NewRecord {
        NewRecord {
            ts_ms: MARCH,
            kind: Kind::Chat,
            id: "i".to_owned(),
            body: Body::of(&body(key), Salt::new([1; 16])).unwrap(),
        }
    }

    fn call() -> Option<Call> {
        Call::of(MARCH, (&body("a")).into())
    }

    fn open(dir: &Path) -> (EvidenceLog, Usage) {
        let config = EvidenceConfig {
            segment_bytes: 4_096,
            max_record_bytes: 4_096,
            ..EvidenceConfig::default()
        };
        let (log, _) = EvidenceLog::open(dir, config).unwrap();
        let usage = Usage::new(Named::default());
        usage.recover(dir, &log.head());
        (log, usage)
    }

    fn requests(usage: &Usage, key: &str) -> u64 {
        let filter = UsageFilter {
            key: Some(key.to_owned()),
            ..UsageFilter::default()
        };
        usage.select(&filter, 0).total.requests
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
            for record in [record("a"), search] {
                log.append(&record).unwrap();
            }
            if number == 30 {
                drop(open(dir));
                let (_, usage) = open(dir);
                usage.keep(dir);
            }
        }
        assert!(log.segment() > 3);
        assert_eq!(requests(&usage, "a"), 0, "nobody told it");
        assert_eq!(requests(&open(dir).1, "a"), 60);
        assert!((open(dir).1.spent("a", "2026-03-01") - 30.0).abs() < 1e-9);
        // Kept to the end, then nothing is left to read.
        open(dir).1.keep(dir);
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
                log.append(&record(key)).unwrap();
            }
            let (_, usage) = open(folder.path());
            usage.keep(folder.path());
        }
        let foreign = std::fs::read(one.path().join("usage.json")).unwrap();
        for more in 0..3 {
            std::fs::write(two.path().join("usage.json"), &foreign).unwrap();
            let (mut log, usage) = open(two.path());
            assert_eq!(
                (requests(&usage, "a"), requests(&usage, "b")),
                (0, 3 + more)
            );
            log.append(&record("b")).unwrap();
        }
        // A journal that was cut is shorter than what was kept.
        let ahead = KeptUsage::new(1_000, "h".to_owned(), Vec::new());
        usage_file::write(two.path(), &ahead).unwrap();
        assert_eq!(requests(&open(two.path()).1, "b"), 6);
    }

    /// Sixty records of `a` over several segments, the first of which cannot be read any more.
    fn unreadable(dir: &Path) -> (EvidenceLog, Usage) {
        let (mut log, usage) = open(dir);
        for _ in 0..60 {
            log.append(&record("a")).unwrap();
        }
        usage.recover(dir, &log.head());
        let first = dir.join(&segments(dir).unwrap()[0].name);
        std::fs::remove_file(&first).unwrap();
        std::fs::create_dir(&first).unwrap();
        (log, usage)
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        drop(unreadable(dir));
        let (_, usage) = open(dir);
        let found = requests(&usage, "a");
        assert!(found > 20 && found < 60, "{found}");
        usage.keep(dir);
        assert_eq!(usage_file::read(dir).unwrap(), None);
    }

    #[test]
    fn the_sums_at_hand_are_gone_on_from() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let (mut log, usage) = unreadable(dir);
        // Written, but not acknowledged: nobody counted it.
        log.append(&record("a")).unwrap();
        usage.recover(dir, &log.head());
        assert_eq!(requests(&usage, "a"), 61, "nothing is read again");
    }

    #[test]
    fn a_writer_that_was_given_up_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let (mut log, usage) = open(dir);
        log.append(&record("a")).unwrap();
        let early = log.head();
        let written = log.append(&record("a")).unwrap();
        // Its successor reads what is there, and writes more.
        usage.recover(dir, &log.head());
        let more = log.append(&record("a")).unwrap();
        usage.count(&more, call().as_ref());
        // Now it comes back.
        usage.count(&written, call().as_ref());
        assert_eq!(requests(&usage, "a"), 3);
        assert_eq!(usage.counters()[0].2.requests, 1);
        usage.recover(dir, &early);
        assert_eq!(requests(&usage, "a"), 3);
    }

    #[test]
    fn a_start_counts_only_what_came_after_what_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let (mut log, _) = open(dir);
        let places: Vec<Appended> = (0..40).map(|_| log.append(&record("a")).unwrap()).collect();
        let place = &places[30];
        assert_eq!(place.seq, 31);
        let mark = UsageRow {
            day: "2026-03-01".to_owned(),
            key: "mark".to_owned(),
            model: "up/m".to_owned(),
            sums: UsageSums {
                requests: 1_000,
                ..UsageSums::default()
            },
        };
        let kept = KeptUsage::new(place.seq, place.hash.clone(), vec![mark]);
        usage_file::write(dir, &kept).unwrap();
        let (_, usage) = open(dir);
        assert_eq!(requests(&usage, "mark"), 1_000, "what was kept is taken");
        assert_eq!(requests(&usage, "a"), 9);
    }
}
