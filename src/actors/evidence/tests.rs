//! The journal's handle and its cell in a real tree.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use supervisors::{ChildPolicy, Deadline, Fault, Policy, SupervisorSpec, Tree};

use super::{EvidenceRequest, Journal, Usage, child_spec};
use crate::engines::usage::Named;
use crate::storage::evidence_log::{
    Ack, Body, EvidenceConfig, EvidenceLogError, NewRecord, Salt, verify,
};
use crate::types::evidence::Kind;

const SALT: Salt = Salt::new([1; 16]);

fn with_journal(dir: &Path, ack: Ack, work: impl AsyncFnOnce(Journal)) {
    let config = EvidenceConfig {
        ack,
        ..EvidenceConfig::default()
    };
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
