//! The journal on a real disk: torn, changed, removed, reordered, cut, poisoned.

mod erasing;
mod paging;
mod removing;

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::Kind;

const SALT: Salt = Salt::new([1; 16]);
const FIRST: &str = "evidence-00000001.jsonl";

fn new(n: u64) -> NewRecord {
    let body = json!({"query": format!("question {n}"), "score": 0.1_f32});
    NewRecord {
        ts_ms: 1_000 + n,
        kind: Kind::Search,
        id: format!("req-{n}"),
        body: Body::of(&body, SALT).unwrap(),
    }
}

fn small() -> EvidenceConfig {
    EvidenceConfig {
        segment_bytes: 1024,
        ..EvidenceConfig::default()
    }
}

fn open(dir: &Path, config: &EvidenceConfig) -> (EvidenceLog, OpenReport) {
    EvidenceLog::open(dir, config.clone()).unwrap()
}

/// A line that fits there, of another record.
fn line(prev: &str, seq: u64) -> String {
    let (line, _) = super::line::encode(prev, seq, &new(99));
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

fn sync(log: &mut EvidenceLog) {
    let unsynced = log.unsynced().unwrap().unwrap();
    log.synced(&unsynced.sync()).unwrap();
}

/// Writes `count` records.
fn filled(count: u64, config: &EvidenceConfig) -> TempDir {
    let dir = TempDir::new().unwrap();
    let (mut log, _) = open(dir.path(), config);
    for n in 1..=count {
        log.append(&new(n)).unwrap();
    }
    dir
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn write_lines(path: &Path, lines: &[String]) {
    fs::write(
        path,
        lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    )
    .unwrap();
}

fn problems(dir: &Path) -> Vec<(ProblemKind, u64)> {
    let report = verify(dir).unwrap();
    assert_eq!(report.intact, report.problems.is_empty());
    report
        .problems
        .iter()
        .map(|problem| (problem.kind, problem.seq))
        .collect()
}

#[test]
fn a_chain_survives_reopening_and_reads_back() {
    let dir = TempDir::new().unwrap();
    let (mut log, report) = open(dir.path(), &EvidenceConfig::default());
    assert_eq!(
        report,
        OpenReport {
            torn_tail: None,
            records: 0,
            segments: 1
        }
    );
    assert_eq!((log.head().seq, log.head().hash.as_str()), (0, GENESIS));
    let first = [new(1), new(2)].map(|record| log.append(&record).unwrap());
    assert_eq!(first.iter().map(|one| one.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((log.head().seq, log.head().synced_seq), (2, 0));
    sync(&mut log);
    let head = log.head();
    assert_eq!(
        (head.synced_seq, head.ts, &head.hash),
        (2, 1_002, &first[1].hash)
    );
    drop(log);

    let (mut log, report) = open(dir.path(), &EvidenceConfig::default());
    assert_eq!(report.records, 2);
    assert_eq!(log.head(), head);
    log.append(&new(3)).unwrap();
    let read: Vec<_> = records(dir.path(), segments(dir.path()).unwrap())
        .map(|line| line.unwrap().record.unwrap())
        .collect();
    assert_eq!(
        read.iter().map(|record| record.seq).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(read[0].prev, GENESIS);
    assert_eq!(read[2].prev, read[1].hash);
    assert_eq!(Body::of(&read[1].body, SALT).unwrap(), new(2).body);
    assert_eq!(problems(dir.path()), []);
}

#[test]
fn segments_rotate_and_leave_receipts() {
    let dir = filled(20, &small());
    let found = segments(dir.path()).unwrap();
    assert!(found.len() > 3, "{found:?}");
    assert!(found.iter().all(|segment| segment.bytes <= 1024));
    let receipts = lines(&dir.path().join("heads.log"));
    assert_eq!(receipts.len(), found.len() - 1);
    for (receipt, segment) in receipts.iter().zip(&found) {
        let receipt: Value = serde_json::from_str(receipt).unwrap();
        let last: Value =
            serde_json::from_str(lines(&dir.path().join(&segment.name)).last().unwrap()).unwrap();
        assert_eq!(
            (&receipt["seq"], &receipt["hash"]),
            (&last["seq"], &last["hash"])
        );
    }
    let (log, report) = open(dir.path(), &small());
    assert_eq!((report.records, report.segments), (20, found.len() as u64));
    assert_eq!(log.head().seq, 20);
    assert_eq!(problems(dir.path()), []);
}

#[test]
fn an_empty_newest_segment_links_to_the_one_before() {
    let dir = filled(3, &EvidenceConfig::default());
    fs::write(dir.path().join("evidence-00000002.jsonl"), "").unwrap();
    let (mut log, report) = open(dir.path(), &EvidenceConfig::default());
    assert_eq!((report.records, report.segments), (3, 2));
    assert_eq!(log.append(&new(4)).unwrap().seq, 4);
    assert_eq!(problems(dir.path()), []);
}

#[test]
fn a_torn_last_line_is_cut_at_every_byte() {
    let dir = filled(3, &EvidenceConfig::default());
    let whole = fs::read(dir.path().join(FIRST)).unwrap();
    let last = lines(&dir.path().join(FIRST)).last().unwrap().len() + 1;
    let start = whole.len() - last;
    for kept in 0..last {
        let torn = TempDir::new().unwrap();
        fs::write(torn.path().join(FIRST), &whole[..start + kept]).unwrap();
        let (mut log, report) = open(torn.path(), &EvidenceConfig::default());
        assert_eq!(report.torn_tail, (kept > 0).then_some(kept as u64));
        assert_eq!(
            (report.records, log.head().seq),
            (2, 2),
            "{kept} bytes kept"
        );
        log.append(&new(3)).unwrap();
        assert_eq!(
            fs::read(torn.path().join(FIRST)).unwrap(),
            whole,
            "{kept} bytes kept"
        );
        assert_eq!(problems(torn.path()), []);
    }
}

#[test]
fn a_torn_receipt_is_no_damage() {
    let dir = filled(20, &small());
    let path = dir.path().join("heads.log");
    let mut torn = fs::read(&path).unwrap();
    torn.truncate(torn.len() - 10);
    fs::write(&path, torn).unwrap();
    open(dir.path(), &small());
    assert_eq!(problems(dir.path()), []);
}

#[test]
fn verify_names_what_was_done_to_the_chain() {
    type Deed = (
        &'static str,
        fn(&mut Vec<String>),
        &'static [(ProblemKind, u64)],
    );
    let table: [Deed; 8] = [
        ("nothing", |_| {}, &[]),
        (
            "changed",
            |lines| lines[2] = lines[2].replace("question", "Question"),
            &[(ProblemKind::Changed, 3)],
        ),
        (
            "removed",
            |lines| drop(lines.remove(2)),
            &[(ProblemKind::Removed, 3)],
        ),
        (
            "first removed",
            |lines| drop(lines.remove(0)),
            &[(ProblemKind::Removed, 1)],
        ),
        (
            "swapped",
            |lines| lines.swap(1, 3),
            &[(ProblemKind::Reordered, 3), (ProblemKind::Reordered, 2)],
        ),
        (
            "repeated",
            |lines| lines.push(lines[4].clone()),
            &[(ProblemKind::Reordered, 5)],
        ),
        (
            "garbled",
            |lines| lines[1] = "{".to_owned(),
            &[(ProblemKind::Unreadable, 2)],
        ),
        (
            "rewritten with its own hash",
            |lines| {
                let prev = super::line::decode(lines[1].as_bytes()).unwrap().prev;
                lines[1] = line(&prev, 2);
            },
            &[(ProblemKind::Changed, 3)],
        ),
    ];
    for (deed, act, expected) in table {
        let dir = filled(5, &EvidenceConfig::default());
        let path = dir.path().join(FIRST);
        let mut text = lines(&path);
        act(&mut text);
        write_lines(&path, &text);
        assert_eq!(problems(dir.path()), expected, "{deed}");
        if deed != "nothing" {
            let error = EvidenceLog::open(dir.path(), EvidenceConfig::default()).unwrap_err();
            let EvidenceLogError::Damaged { file, line, .. } = &error else {
                panic!("{deed}: {error}")
            };
            assert_eq!(
                (file.as_str(), error.kind()),
                (FIRST, ErrorKind::Internal),
                "{deed}"
            );
            assert!((1..=6).contains(line), "{deed}");
        }
    }
}

#[test]
fn receipts_betray_a_cut_and_a_rewritten_tail() {
    let dir = filled(5, &EvidenceConfig::default());
    open(dir.path(), &EvidenceConfig::default());
    let path = dir.path().join(FIRST);
    let whole = lines(&path);
    write_lines(&path, &whole[..3]);
    assert_eq!(problems(dir.path()), [(ProblemKind::Cut, 4)]);
    let error = EvidenceLog::open(dir.path(), EvidenceConfig::default()).unwrap_err();
    assert_eq!(error, EvidenceLogError::TailCut { found: 3, seen: 5 });

    // A new tail that is a perfect chain of its own.
    let mut forged = whole[..4].to_vec();
    let prev = super::line::decode(whole[3].as_bytes()).unwrap().hash;
    forged.push(line(&prev, 5));
    write_lines(&path, &forged);
    assert_eq!(problems(dir.path()), [(ProblemKind::Changed, 5)]);
    assert!(EvidenceLog::open(dir.path(), EvidenceConfig::default()).is_err());
}

#[test]
fn a_missing_segment_is_damage() {
    let dir = filled(20, &small());
    fs::remove_file(dir.path().join("evidence-00000002.jsonl")).unwrap();
    let error = EvidenceLog::open(dir.path(), small()).unwrap_err();
    assert!(
        error.to_string().contains("evidence-00000002.jsonl"),
        "{error}"
    );
    let found = problems(dir.path());
    assert!(
        matches!(found[..], [(ProblemKind::Removed, _)]),
        "{found:?}"
    );
}

#[test]
fn a_refused_record_leaves_no_trace() {
    let dir = TempDir::new().unwrap();
    let config = EvidenceConfig {
        max_record_bytes: 1024,
        ..EvidenceConfig::default()
    };
    let (mut log, _) = open(dir.path(), &config);
    let big = NewRecord {
        body: Body::of(&json!("x".repeat(1024)), SALT).unwrap(),
        ..new(1)
    };
    let error = log.append(&big).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(log.head().seq, 0);
    assert_eq!(fs::metadata(dir.path().join(FIRST)).unwrap().len(), 0);
    let deep = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let error = Body::of(&deep(200), SALT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest);
    // The deepest body that is taken can be read back.
    let deepest = NewRecord {
        body: Body::of(&deep(120), SALT).unwrap(),
        ..new(1)
    };
    log.append(&deepest).unwrap();
    assert_eq!(open(dir.path(), &config).1.records, 1);
}

#[test]
fn a_failed_rotation_poisons_until_reopened() {
    let dir = TempDir::new().unwrap();
    let (mut log, _) = open(dir.path(), &small());
    // A folder where the next segment belongs makes the disk refuse.
    let blocked = dir.path().join("evidence-00000002.jsonl");
    fs::create_dir(&blocked).unwrap();
    let failed = (1..20).find_map(|n| log.append(&new(n)).err()).unwrap();
    assert!(matches!(failed, EvidenceLogError::Io { .. }), "{failed}");
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    fs::remove_dir(&blocked).unwrap();
    let refused = log.append(&new(1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(log.unsynced().is_err());
    let seq = log.head().seq;
    drop(log);
    let (mut log, report) = open(dir.path(), &small());
    assert_eq!(report.records, seq);
    log.append(&new(seq + 1)).unwrap();
    assert_eq!(problems(dir.path()), []);
}

#[test]
fn a_sync_beside_the_appends_tells_what_is_on_the_disk() {
    let dir = TempDir::new().unwrap();
    let (mut log, _) = open(dir.path(), &EvidenceConfig::default());
    assert!(log.unsynced().unwrap().is_none());
    log.append(&new(1)).unwrap();
    let unsynced = log.unsynced().unwrap().unwrap();
    log.append(&new(2)).unwrap();
    log.synced(&unsynced.sync()).unwrap();
    assert_eq!((log.head().seq, log.head().synced_seq), (2, 1));
    // One that is noted late takes nothing back.
    sync(&mut log);
    log.synced(&Ok(1)).unwrap();
    assert_eq!(log.head().synced_seq, 2);
    log.append(&new(3)).unwrap();
    let failed = EvidenceLogError::Poisoned {
        reason: "the disk".to_owned(),
    };
    assert!(log.synced(&Err(failed)).is_err());
    assert!(log.append(&new(4)).is_err() && log.unsynced().is_err());
}

#[test]
fn readers_see_bad_lines_and_not_the_unfinished_one() {
    let dir = filled(3, &EvidenceConfig::default());
    let path = dir.path().join(FIRST);
    let mut text = lines(&path);
    text[1] = text[1].replace("question", "Question");
    text.insert(1, "no json".to_owned());
    write_lines(&path, &text);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(b"{\"body\":");
    fs::write(&path, bytes).unwrap();
    let read: Vec<_> = records(dir.path(), segments(dir.path()).unwrap())
        .map(|line| line.unwrap())
        .map(|line| {
            (
                line.line,
                line.record
                    .map(|record| record.seq)
                    .map_err(|bad| bad.reason),
            )
        })
        .collect();
    assert_eq!(read.len(), 4);
    assert_eq!((&read[0], &read[3]), (&(1, Ok(1)), &(4, Ok(3))));
    assert!(
        read[1]
            .1
            .as_ref()
            .is_err_and(|reason| reason.starts_with("not a record"))
    );
    assert!(
        read[2]
            .1
            .as_ref()
            .is_err_and(|reason| reason.contains("was changed"))
    );
    assert_eq!(verify(dir.path()).unwrap().torn_bytes, 8);
}

#[test]
fn settings_are_checked() {
    assert_eq!(EvidenceConfig::default().validate(), Ok(()));
    let bad: [EvidenceConfig; 3] = [
        EvidenceConfig {
            sync_interval_ms: 0,
            ..EvidenceConfig::default()
        },
        EvidenceConfig {
            segment_bytes: 1,
            ..EvidenceConfig::default()
        },
        EvidenceConfig {
            max_record_bytes: usize::MAX,
            ..EvidenceConfig::default()
        },
    ];
    for config in bad {
        assert!(config.validate().is_err(), "{config:?}");
        let dir = TempDir::new().unwrap();
        let error = EvidenceLog::open(dir.path(), config).unwrap_err();
        assert!(matches!(error, EvidenceLogError::Config(_)));
    }
    assert!(serde_json::from_value::<EvidenceConfig>(json!({"acks": "synced"})).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_flipped_byte_is_found(at in 0_usize..100_000, with in 1_u8..=255) {
        let dir = filled(3, &EvidenceConfig::default());
        let path = dir.path().join(FIRST);
        let mut bytes = fs::read(&path).unwrap();
        // The last newline is spared: without it the line counts as unfinished, not as changed.
        let at = at % (bytes.len() - 1);
        bytes[at] ^= with;
        fs::write(&path, bytes).unwrap();
        prop_assert!(!verify(dir.path()).unwrap().intact);
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join(FIRST), &bytes).unwrap();
        fs::write(dir.path().join("heads.log"), &bytes).unwrap();
        let _ = verify(dir.path());
        let _ = EvidenceLog::open(dir.path(), EvidenceConfig::default());
        for line in records(dir.path(), segments(dir.path()).unwrap()) {
            prop_assert!(line.unwrap().record.is_err());
        }
    }
}
