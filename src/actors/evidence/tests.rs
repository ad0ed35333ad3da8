//! The journal's handle and its cell in a real tree.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use supervisors::{ChildPolicy, Deadline, Fault, Policy, SupervisorSpec, Tree};

use super::{EvidenceRequest, Journal, Usage, child_spec};
use crate::engines::evidence::{EvidenceFilter, Subject};
use crate::engines::usage::Named;
use crate::storage::evidence_log::{
    Ack, Body, EvidenceConfig, EvidenceLogError, NewRecord, PageQuery, Retain, Salt, verify,
};
use crate::types::evidence::Kind;

const SALT: Salt = Salt::new([1; 16]);

fn with_journal(dir: &Path, ack: Ack, work: impl AsyncFnOnce(Journal)) {
    let config = EvidenceConfig {
        ack,
        ..EvidenceConfig::default()
    };
    with_config(dir, config, work);
}

fn with_config(dir: &Path, config: EvidenceConfig, work: impl AsyncFnOnce(Journal)) {
    actix::System::new().block_on(async {
        let usage = Usage::new(Named::default());
        let (spec, journal) = child_spec(ChildPolicy::default(), dir.to_owned(), config, usage);
        let root = SupervisorSpec::new("storage", Policy::default()).child(spec);
        let tree = Tree::start(root, 7).await.unwrap();
        work(journal).await;
        assert!(tree.drain(Duration::from_secs(10)).await.complete);
    });
}

fn record(n: u64) -> NewRecord {
    NewRecord {
        ts_ms: n,
        kind: Kind::Search,
        id: format!("r{n}"),
        body: Body::of(&json!({"n": n}), SALT).unwrap(),
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

#[test]
fn synced_acknowledges_what_is_on_the_disk_and_written_does_not_wait() {
    for (ack, synced) in [(Ack::Synced, 1), (Ack::Written, 0)] {
        let dir = tempfile::tempdir().unwrap();
        with_journal(dir.path(), ack, async |journal| {
            journal.append(record(1), None, soon()).await.unwrap();
            let head = journal.head(soon()).await.unwrap();
            assert_eq!((head.seq, head.synced_seq), (1, synced), "{ack:?}");
            let head = journal.sync(soon()).await.unwrap();
            assert_eq!((head.seq, head.synced_seq), (1, 1));
        });
    }
}

#[test]
fn those_who_append_together_all_get_their_own_receipt() {
    let dir = tempfile::tempdir().unwrap();
    with_journal(dir.path(), Ack::Synced, async |journal| {
        let appends = (1..=200).map(|n| journal.append(record(n), None, soon()));
        let mut seqs: Vec<u64> = futures_util::future::try_join_all(appends)
            .await
            .unwrap()
            .into_iter()
            .map(|one| one.seq)
            .collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
        assert_eq!(journal.head(soon()).await.unwrap().synced_seq, 200);
    });
    assert!(verify(dir.path()).unwrap().intact);
}

#[test]
fn a_failed_sync_fails_all_that_waited_for_it_and_no_later_one() {
    let dir = tempfile::tempdir().unwrap();
    with_journal(dir.path(), Ack::Synced, async |journal| {
        // Holds the syncs back, so that both appends wait when the disk fails.
        let held = journal.synced.clone().lock_owned().await;
        let fail = async {
            while journal.head(soon()).await.unwrap().seq < 2 {}
            let failed = EvidenceLogError::Poisoned {
                reason: "the disk".to_owned(),
            };
            let told = EvidenceRequest::Synced(Err(failed));
            assert!(journal.cell.ask(told, soon()).await.is_err());
            drop(held);
        };
        let (one, two, ()) = tokio::join!(
            journal.append(record(1), None, soon()),
            journal.append(record(2), None, soon()),
            fail
        );
        for waited in [one, two] {
            let Err(Fault::App(error)) = waited else {
                panic!("{waited:?}");
            };
            assert!(error.to_string().contains("the disk failed"), "{error}");
        }
        assert_eq!(
            journal.append(record(3), None, soon()).await.unwrap().seq,
            3
        );
    });
}

#[test]
fn the_outcome_of_a_sync_is_noted_when_its_caller_has_gone() {
    let dir = tempfile::tempdir().unwrap();
    with_journal(dir.path(), Ack::Written, async |journal| {
        journal.append(record(1), None, soon()).await.unwrap();
        let mut sync = Box::pin(journal.sync(soon()));
        // Polled once: it has begun.
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(sync.as_mut().poll(cx)));
        assert!(polled.await.is_pending());
        drop(sync);
        // The next one waits for the lock, and finds that nothing is left to do.
        drop(journal.synced.lock().await);
        assert_eq!(journal.head(soon()).await.unwrap().synced_seq, 1);
    });
}

#[test]
fn a_disk_that_hangs_holds_nobody_past_his_deadline() {
    let dir = tempfile::tempdir().unwrap();
    with_journal(dir.path(), Ack::Synced, async |journal| {
        let held = journal.synced.lock().await;
        let soon = Deadline::after(Duration::from_millis(50));
        let waited = journal.append(record(1), None, soon).await;
        assert!(matches!(waited, Err(Fault::Hung { .. })), "{waited:?}");
        drop(held);
    });
}

/// The record of an erasure of these.
fn erasure(records: &[(u64, u64)]) -> NewRecord {
    let told = json!({"reason": "asked", "by": "seq", "records": records});
    NewRecord {
        kind: Kind::Erasure,
        body: Body::of(&told, SALT).unwrap(),
        ..record(99)
    }
}

const PAGE: PageQuery = PageQuery {
    after: None,
    newest_first: false,
    limit: 100,
    bytes: 1 << 20,
    scanned: 1 << 20,
};

#[test]
fn a_change_is_told_made_and_read_while_records_come() {
    let dir = tempfile::tempdir().unwrap();
    with_journal(dir.path(), Ack::Written, async |journal| {
        for n in 1..=3 {
            journal.append(record(n), None, soon()).await.unwrap();
        }
        let named = Subject::Seqs(HashSet::from([2]));
        let found = journal.find(named, soon()).await.unwrap();
        assert_eq!((found.ranges.as_slice(), found.last()), (&[(2, 2)][..], 2));
        let right = journal.change_right(soon()).await.unwrap();
        let told = vec![erasure(&found.ranges)];
        let change = journal.change(right, found.last(), told, soon());
        let (changed, appended) = tokio::join!(change, journal.append(record(4), None, soon()));
        let (begun, done) = changed.unwrap();
        assert_eq!((begun.len(), done.erased, done.replaced), (1, 1, 1));
        appended.unwrap();
        let page = journal.page(PAGE, EvidenceFilter::default(), soon());
        let page = page.await.unwrap();
        assert_eq!((page.records.len(), page.next), (5, None));
        let erased = page.records[1].erased.clone().unwrap();
        assert_eq!((erased.by, erased.reason.as_str()), (begun[0].seq, "asked"));
        assert!(
            journal
                .head(soon())
                .await
                .unwrap()
                .segment
                .ends_with("2.jsonl")
        );
    });
    assert!(verify(dir.path()).unwrap().intact);
}

#[test]
fn one_change_waits_for_the_other_and_completes_what_was_left() {
    let dir = tempfile::tempdir().unwrap();
    with_journal(dir.path(), Ack::Written, async |journal| {
        journal.append(record(1), None, soon()).await.unwrap();
        let right = journal.change_right(soon()).await.unwrap();
        let short = Deadline::after(Duration::from_millis(20));
        let other = journal.change_right(short).await;
        assert!(matches!(other, Err(Fault::Hung { .. })));
        // Whoever had the right told of an erasure, and is gone before it is made.
        let begin = EvidenceRequest::BeginChange(1, vec![erasure(&[(1, 1)])]);
        journal.cell.ask(begin, soon()).await.unwrap();
        drop(right);
        let report = verify(dir.path()).unwrap();
        assert!(report.intact && report.pending && report.erased == 0);
        drop(journal.change_right(soon()).await.unwrap());
        let report = verify(dir.path()).unwrap();
        assert!(report.intact && !report.pending && report.erased == 1);
    });
}

#[test]
fn a_record_that_cannot_be_appended_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = EvidenceConfig {
        max_record_bytes: 1_024,
        ..EvidenceConfig::default()
    };
    with_config(dir.path(), config, async |journal| {
        journal.append(record(1), None, soon()).await.unwrap();
        let right = journal.change_right(soon()).await.unwrap();
        let large = erasure(&[(1, 1); 500]);
        let refused = journal.change(right, 1, vec![large], soon()).await;
        let Err(Fault::App(EvidenceLogError::TooLarge { .. })) = refused else {
            panic!("{:?}", refused.map(drop));
        };
        let head = journal.head(soon()).await.unwrap();
        assert_eq!(
            (head.seq, head.segment.as_str()),
            (1, "evidence-00000001.jsonl")
        );
        assert!(!verify(dir.path()).unwrap().pending);
    });
}

#[test]
fn the_settings_say_what_goes() {
    const DAY: u64 = 86_400_000;
    let dir = tempfile::tempdir().unwrap();
    let config = EvidenceConfig {
        retain_days: Some(1),
        ..EvidenceConfig::default()
    };
    with_config(dir.path(), config, async |journal| {
        journal.append(record(1), None, soon()).await.unwrap();
        let at = async |now_ms| journal.retention(now_ms, soon()).await.unwrap();
        assert_eq!(at(DAY).await, Retain::Nothing);
        assert_eq!(at(DAY + 2).await, Retain::Complete);
        journal.complete_segment(soon()).await.unwrap();
        let Retain::Remove(told) = at(DAY + 2).await else {
            panic!("it is complete, and old");
        };
        let told = NewRecord {
            kind: Kind::Retention,
            body: Body::of(&serde_json::to_value(told).unwrap(), SALT).unwrap(),
            ..record(DAY)
        };
        let right = journal.change_right(soon()).await.unwrap();
        let (_, done) = journal.change(right, 1, vec![told], soon()).await.unwrap();
        assert_eq!(done.removed, 1);
    });
    let report = verify(dir.path()).unwrap();
    assert!(report.intact, "{report:?}");
    assert_eq!((report.first_seq, report.records), (2, 1));
}
