//! Contents that are erased: old and new records, crashes on the way, and whoever pretends.

use serde_json::Value;

use super::*;
use crate::storage::os::faults::{Recording, Survives};
use crate::types::evidence::{
    Erased, ErasureEvidence, EvidenceRecord, FrameEvidence, RetentionEvidence,
};

pub(super) const REASON: &str = "request 17";
/// A journal that an earlier version wrote.
const OLD: &str = include_str!("../../../../tests/data/evidence-v1/evidence-00000001.jsonl");

/// Every record that is there, in order.
pub(super) fn all(dir: &Path) -> Vec<EvidenceRecord> {
    records(dir, segments(dir).unwrap())
        .map(|line| line.unwrap().record.unwrap())
        .collect()
}

/// The record of an erasure of these.
fn told(dir: &Path, ranges: &[(u64, u64)], ts_ms: u64) -> NewRecord {
    let named = |record: &&EvidenceRecord| {
        let mut ranges = ranges.iter();
        record.schema == 1 && ranges.any(|(first, last)| (*first..=*last).contains(&record.seq))
    };
    let lines = records(dir, segments(dir).unwrap());
    let records: Vec<_> = lines.filter_map(|line| line.unwrap().record.ok()).collect();
    let frames = records.iter().filter(named).map(|record| FrameEvidence {
        seq: record.seq,
        digest: frame_digest(record),
    });
    let told = ErasureEvidence {
        reason: REASON.to_owned(),
        by: "seq".to_owned(),
        records: ranges.to_vec(),
        frames: frames.collect(),
    };
    NewRecord {
        ts_ms,
        kind: Kind::Erasure,
        id: "erasure".to_owned(),
        body: Body::of(&serde_json::to_value(told).unwrap(), SALT).unwrap(),
    }
}

/// Says that these are erased, without doing it.
pub(super) fn order(dir: &Path, config: &EvidenceConfig, ranges: &[(u64, u64)]) -> u64 {
    let told = told(dir, ranges, 9_000);
    let (mut log, _) = open(dir, config);
    let upto = ranges.last().unwrap().1;
    log.begin_change(upto, &[told]).unwrap()[0].seq
}

pub(super) fn erase(dir: &Path, config: &EvidenceConfig, ranges: &[(u64, u64)]) -> ChangeDone {
    order(dir, config, ranges);
    finish_change(dir).unwrap()
}

/// Eight records of version 1 in two files, as a journal of before has them.
fn old_journal() -> TempDir {
    let dir = TempDir::new().unwrap();
    let mut prev = GENESIS.to_owned();
    for (file, seqs) in [(1, 1..=4), (2, 5..=8)] {
        let mut text = String::new();
        for seq in seqs {
            let record = EvidenceRecord {
                seq,
                ts: 1_000 + seq,
                schema: 1,
                kind: Kind::Search,
                id: format!("req-{seq}"),
                body: json!({"query": format!("question {seq}")}),
                content: None,
                salt: None,
                erased: None,
                prev: String::new(),
                hash: String::new(),
            };
            let (line, hash) = line_v1::encode(&prev, &record);
            text.push_str(&format!("{line}\n"));
            prev = hash;
        }
        let path = dir.path().join(format!("evidence-{file:08}.jsonl"));
        fs::write(path, text).unwrap();
    }
    dir
}

/// Whether a text stands anywhere in the folder.
fn holds(dir: &Path, text: &str) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        String::from_utf8_lossy(&bytes).contains(text)
    })
}

#[test]
fn what_is_erased_is_gone_and_the_chain_is_whole() {
    let dir = filled(20, &small());
    let before = all(dir.path());
    let done = erase(dir.path(), &small(), &[(2, 3), (20, 20)]);
    assert_eq!(done.erased, 3);
    for (text, there) in [
        ("question 1\"", true),
        ("question 2\"", false),
        ("question 20", false),
    ] {
        assert_eq!(holds(dir.path(), text), there, "{text}");
    }
    assert!(holds(dir.path(), "question 4\""));
    let after = all(dir.path());
    assert_eq!(after.len(), 21);
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(old.hash, new.hash);
        let gone = [2, 3, 20].contains(&new.seq);
        assert_eq!(new.erased.is_some(), gone);
        assert_eq!((new.salt.is_none(), new.body.is_null()), (gone, gone));
    }
    let erased = after[1].erased.clone().unwrap();
    let expected = Erased {
        at: 9_000,
        by: 21,
        reason: REASON.to_owned(),
    };
    assert_eq!(erased, expected);
    let report = verify(dir.path()).unwrap();
    assert!(report.intact, "{:?}", report.problems);
    assert_eq!(
        (report.erased, report.unverifiable, report.pending),
        (3, 0, false)
    );
    // It goes on as any journal, and another erasure leaves the first one's records as they are.
    assert_eq!(erase(dir.path(), &small(), &[(1, 4)]).erased, 2);
    assert_eq!(all(dir.path())[1], after[1]);
    assert_eq!(problems(dir.path()), []);
    assert_eq!(open(dir.path(), &small()).1.records, 22);
}

#[test]
fn an_old_journal_is_read_gone_on_with_and_erased_from() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(FIRST), OLD).unwrap();
    assert!(verify(dir.path()).unwrap().intact);
    let (mut log, report) = open(dir.path(), &EvidenceConfig::default());
    assert_eq!(report.records, 7);
    log.append(&new(8)).unwrap();
    drop(log);
    let before = all(dir.path());
    let schemas: Vec<_> = before.iter().map(|record| record.schema).collect();
    assert_eq!(schemas, [1, 1, 1, 1, 1, 1, 1, 2]);
    let asked = "What happens";
    assert_eq!(
        erase(dir.path(), &EvidenceConfig::default(), &[(1, 2), (8, 8)]).erased,
        3
    );
    let report = verify(dir.path()).unwrap();
    assert!(report.intact, "{:?}", report.problems);
    assert_eq!((report.erased, report.unverifiable), (3, 2));
    assert!(!holds(dir.path(), asked) && !holds(dir.path(), "nature worship"));
    for (old, new) in before.iter().zip(all(dir.path())) {
        assert_eq!((&old.hash, old.ts, &old.id), (&new.hash, new.ts, &new.id));
    }
}

#[test]
fn whoever_pretends_an_erasure_is_found() {
    let dir = old_journal();
    let (mut log, _) = open(dir.path(), &small());
    for n in 9..=16 {
        log.append(&new(n)).unwrap();
    }
    drop(log);
    let by = order(dir.path(), &small(), &[(2, 2), (6, 7), (10, 11)]);
    let kept = TempDir::new().unwrap();
    copy(dir.path(), kept.path());
    finish_change(dir.path()).unwrap();
    assert_eq!(problems(dir.path()), []);
    let whole = all(kept.path());
    for record in all(dir.path()) {
        let stone = |by| {
            let erased = Erased {
                at: 9_000,
                by,
                reason: REASON.to_owned(),
            };
            line::tombstone(&record, &erased)
        };
        if record.kind == Kind::Erasure {
            // Not even the erasure itself, whoever it names.
            let found = with_line(dir.path(), record.seq, &stone(by));
            assert!(
                found.contains(&(ProblemKind::Erased, record.seq)),
                "{found:?}"
            );
        } else if record.erased.is_none() {
            for by in [by, 3, 99] {
                let found = with_line(dir.path(), record.seq, &stone(by));
                assert_eq!(found, [(ProblemKind::Erased, record.seq)], "by {by}");
            }
        } else {
            // Its content is put back.
            let original = &whole[usize::try_from(record.seq).unwrap() - 1];
            let line = line_of(kept.path(), original.seq);
            let found = with_line(dir.path(), record.seq, line.as_bytes());
            assert_eq!(found, [(ProblemKind::NotErased, record.seq)]);
            // It says that somebody else, or something else, did it.
            let found = with_line(dir.path(), record.seq, &stone(by + 1));
            assert_eq!(found, [(ProblemKind::Erased, record.seq)]);
            let other = Erased {
                at: 9_000,
                by,
                reason: "request 18".to_owned(),
            };
            let found = with_line(dir.path(), record.seq, &line::tombstone(&record, &other));
            assert_eq!(found, [(ProblemKind::Changed, record.seq)]);
            // What is left of it is changed; of an old record, no hash tells that.
            let forged = EvidenceRecord {
                id: "somebody else's".to_owned(),
                ..record.clone()
            };
            let erased = record.erased.clone().unwrap();
            let found = with_line(dir.path(), record.seq, &line::tombstone(&forged, &erased));
            assert_eq!(found, [(ProblemKind::Changed, record.seq)]);
        }
    }
    assert_eq!(problems(dir.path()), [], "all was put back");
}

/// What the audit says when a record's line is another one.
fn with_line(dir: &Path, seq: u64, line: &[u8]) -> Vec<(ProblemKind, u64)> {
    let (path, before) = file_of(dir, seq);
    let old = line_of(dir, seq);
    let line = String::from_utf8(line.to_vec()).unwrap();
    fs::write(&path, before.replacen(&old, &line, 1)).unwrap();
    let found = problems(dir);
    fs::write(&path, before).unwrap();
    found
}

fn file_of(dir: &Path, seq: u64) -> (std::path::PathBuf, String) {
    let names = segments(dir)
        .unwrap()
        .into_iter()
        .map(|one| dir.join(one.name));
    let texts = names.map(|path| (path.clone(), fs::read_to_string(path).unwrap()));
    let mark = format!("\"seq\":{seq},");
    texts
        .into_iter()
        .find(|(_, text)| text.contains(&mark))
        .unwrap()
}

/// A record's line, with its newline.
fn line_of(dir: &Path, seq: u64) -> String {
    let mark = format!("\"seq\":{seq},");
    let text = file_of(dir, seq).1;
    let line = text.split_inclusive('\n').find(|line| line.contains(&mark));
    line.unwrap().to_owned()
}

pub(super) fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A journal with everything in it: old and new records, erased ones of both, and a beginning that was removed.
fn eventful() -> TempDir {
    let dir = old_journal();
    let (mut log, _) = open(dir.path(), &small());
    for n in 9..=14 {
        log.append(&new(n)).unwrap();
    }
    drop(log);
    erase(dir.path(), &small(), &[(3, 3), (6, 7), (11, 11)]);
    let removed = RetentionEvidence {
        reason: "retain_bytes".to_owned(),
        first: 1,
        last: 4,
        last_hash: all(dir.path())[3].hash.clone(),
        files: 1,
        bytes: 1,
    };
    let (mut log, _) = open(dir.path(), &small());
    let told = NewRecord {
        ts_ms: 9_500,
        kind: Kind::Retention,
        id: "retention".to_owned(),
        body: Body::of(&serde_json::to_value(removed).unwrap(), SALT).unwrap(),
    };
    log.begin_change(4, &[told]).unwrap();
    finish_change(dir.path()).unwrap();
    for n in 17..=19 {
        log.append(&new(n)).unwrap();
    }
    drop(log);
    // Its end is in a receipt.
    open(dir.path(), &small());
    dir
}

#[test]
fn any_record_that_is_removed_swapped_or_changed_is_named() {
    let dir = eventful();
    let report = verify(dir.path()).unwrap();
    assert!(report.intact, "{:?}", report.problems);
    assert_eq!((report.first_seq, report.head_seq), (5, 19));
    assert_eq!((report.erased, report.unverifiable), (3, 2));
    assert_eq!(report.removed.as_ref().map(|removed| removed.last), Some(4));
    let files: Vec<_> = segments(dir.path()).unwrap();
    let mut deeds = 0;
    for file in &files {
        let path = dir.path().join(&file.name);
        let text = fs::read_to_string(&path).unwrap();
        let whole: Vec<&str> = text.split_inclusive('\n').collect();
        let mut check = |deed: &str, seqs: &[u64], lines: &[&str]| {
            fs::write(&path, lines.concat()).unwrap();
            let found = problems(dir.path());
            let named = found.iter().any(|(_, seq)| seqs.contains(seq));
            assert!(named, "{deed} {seqs:?}: {found:?}");
            deeds += 1;
        };
        for (at, line) in whole.iter().enumerate() {
            let record: EvidenceRecord = serde_json::from_str(line).unwrap();
            let seq = record.seq;
            let mut lines = whole.clone();
            lines.remove(at);
            check("removed", &[seq], &lines);
            if at + 1 < whole.len() {
                let mut lines = whole.clone();
                lines.swap(at, at + 1);
                check("swapped", &[seq, seq + 1], &lines);
            }
            let mut lines = whole.clone();
            lines.insert(at, line);
            check("repeated", &[seq], &lines);
            // A byte in every member and some between them.
            for byte in (0..line.len() - 1).step_by(23) {
                let mut bytes = line.as_bytes().to_vec();
                bytes[byte] ^= 1;
                let Ok(changed) = String::from_utf8(bytes) else {
                    continue;
                };
                let mut lines = whole.clone();
                lines[at] = &changed;
                // A number that was changed leaves a gap, and stands where another belongs.
                let stated = line::stated_seq(changed.trim_end().as_bytes());
                let seqs = [Some(seq), Some(seq + 1), stated];
                let seqs: Vec<u64> = seqs.into_iter().flatten().collect();
                check(&format!("byte {byte} of {changed}"), &seqs, &lines);
            }
        }
        fs::write(&path, &text).unwrap();
        assert_eq!(problems(dir.path()), []);
    }
    // Whole files.
    for file in &files {
        let path = dir.path().join(&file.name);
        let text = fs::read(&path).unwrap();
        if text.is_empty() {
            continue;
        }
        fs::remove_file(&path).unwrap();
        assert!(!verify(dir.path()).unwrap().intact, "{}", file.name);
        fs::write(&path, text).unwrap();
    }
    assert!(deeds > 200, "{deeds}");
}

#[test]
fn a_crash_at_any_step_is_gone_on_from() {
    let config = small();
    let dir = filled(12, &config);
    order(dir.path(), &config, &[(2, 2), (5, 9)]);
    let ordered = TempDir::new().unwrap();
    copy(dir.path(), ordered.path());
    let recording = Recording::start(dir.path());
    let done = finish_change(dir.path()).unwrap();
    assert_eq!(done.erased, 6);
    let crash = recording.stop();
    assert!(crash.calls().len() > 10);
    let lives = [Survives::Nothing, Survives::Everything];
    let lives = lives.into_iter().chain((0..6).map(Survives::Something));
    for survives in lives {
        for count in 0..=crash.calls().len() {
            let left = TempDir::new().unwrap();
            let left = left.path();
            crash.leave(count, survives, left);
            let place = format!("{count} calls, {survives:?}");
            let report = verify(left).unwrap();
            assert!(report.intact, "{place}: {:?}", report.problems);
            // A start in between takes it as it is.
            open(left, &config);
            finish_change(left).unwrap();
            let report = verify(left).unwrap();
            assert!(report.intact && !report.pending, "{place}: {report:?}");
            assert_eq!(report.erased, 6, "{place}");
            for n in [2, 5, 6, 7, 8, 9] {
                assert!(!holds(left, &format!("question {n}\"")), "{place}: {n}");
            }
            assert_eq!(finish_change(left).unwrap(), ChangeDone::default());
        }
    }
}

#[test]
fn an_erasure_that_was_told_and_not_done_is_pending_then_a_problem() {
    let dir = filled(6, &small());
    order(dir.path(), &small(), &[(2, 2)]);
    let report = verify(dir.path()).unwrap();
    assert!(report.intact && report.pending);
    fs::remove_file(dir.path().join("changes.json")).unwrap();
    assert_eq!(problems(dir.path()), [(ProblemKind::NotErased, 2)]);
}

#[test]
fn a_change_that_was_begun_and_not_told_changes_nothing() {
    let dir = filled(6, &small());
    let before = all(dir.path());
    fs::write(
        dir.path().join("changes.json"),
        r#"{"format":1,"count":1,"begins":1,"pending":7}"#,
    )
    .unwrap();
    assert_eq!(finish_change(dir.path()).unwrap(), ChangeDone::default());
    assert_eq!(all(dir.path()), before);
    let changes = Changes::read(dir.path()).unwrap();
    assert_eq!((changes.pending, changes.count), (None, 2));
    for odd in ["", "{", r#"{"format":2,"count":1,"begins":1,"pending":7}"#] {
        fs::write(dir.path().join("changes.json"), odd).unwrap();
        let error = finish_change(dir.path()).unwrap_err().to_string();
        assert!(error.contains("changes.json"), "{error}");
    }
}

#[test]
fn a_line_that_was_changed_stays_as_evidence_of_that() {
    let dir = filled(6, &small());
    let (path, text) = file_of(dir.path(), 2);
    fs::write(&path, text.replace("question 2", "Question 2")).unwrap();
    order(dir.path(), &small(), &[(1, 1)]);
    let erased = finish_change(dir.path()).unwrap();
    assert_eq!(erased.erased, 1);
    assert!(holds(dir.path(), "Question 2"));
    assert_eq!(problems(dir.path()), [(ProblemKind::Changed, 2)]);
}

#[test]
fn a_reason_is_text_like_any_other() {
    let dir = filled(3, &EvidenceConfig::default());
    let record = &all(dir.path())[0];
    let erased = Erased {
        at: 1,
        by: 9,
        reason: "\",\"hash\":\"\n\u{1}é".to_owned(),
    };
    let line = line::tombstone(record, &erased);
    let read = line::decode(line.strip_suffix(b"\n").unwrap()).unwrap();
    assert_eq!(read.erased, Some(erased));
    assert_eq!(read.body, Value::Null);
}
