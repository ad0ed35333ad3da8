//! Old files that go by the settings.

use super::erasing::{all, copy, erase};
use super::*;
use crate::storage::os::faults::{Recording, Survives};
use crate::types::evidence::RetentionEvidence;

const DAY: u64 = 86_400_000;

fn by_bytes(bytes: u64) -> EvidenceConfig {
    EvidenceConfig {
        retain_bytes: Some(bytes),
        ..small()
    }
}

/// Says what is to go, without doing it.
fn order(dir: &Path, config: &EvidenceConfig, now_ms: u64) -> Option<RetentionEvidence> {
    let Retain::Remove(told) = retain(dir, config, now_ms).unwrap() else {
        return None;
    };
    let record = NewRecord {
        ts_ms: now_ms,
        kind: Kind::Retention,
        id: "retention".to_owned(),
        body: Body::of(&serde_json::to_value(&told).unwrap(), SALT).unwrap(),
    };
    let (mut log, _) = open(dir, config);
    log.begin_change(told.last, &[record]).unwrap();
    Some(told)
}

fn total(dir: &Path) -> u64 {
    segments(dir).unwrap().iter().map(|one| one.bytes).sum()
}

#[test]
fn the_oldest_files_go_and_a_record_says_so() {
    let dir = filled(40, &small());
    erase(dir.path(), &small(), &[(2, 2), (38, 38)]);
    let before = all(dir.path());
    let config = by_bytes(5_000);
    assert_eq!(
        retain(dir.path(), &small(), 9_999).unwrap(),
        Retain::Nothing
    );
    let told = order(dir.path(), &config, 9_999).unwrap();
    assert_eq!((told.first, told.reason.as_str()), (1, "retain_bytes"));
    let done = finish_change(dir.path()).unwrap();
    assert_eq!((done.removed, done.erased), (told.files, 0));
    // The record of it came after it was counted.
    assert!(total(dir.path()) < 5_000 + 1_024, "{}", total(dir.path()));
    let report = verify(dir.path()).unwrap();
    assert!(report.intact, "{:?}", report.problems);
    assert_eq!(report.first_seq, told.last + 1);
    let removed = report.removed.unwrap();
    assert_eq!((removed.last, removed.by), (told.last, 42));
    assert_eq!(
        removed.hash,
        before[usize::try_from(told.last).unwrap() - 1].hash
    );
    assert_eq!(report.erased, 1, "the other one is gone");
    assert_eq!(order(dir.path(), &config, 9_999), None);

    let (mut log, report) = open(dir.path(), &config);
    assert_eq!(report.records, 42);
    for n in 43..=80 {
        log.append(&new(n)).unwrap();
    }
    drop(log);
    // What went before is part of what the next one says.
    let next = order(dir.path(), &config, 9_999).unwrap();
    assert_eq!(next.first, told.last + 1);
    finish_change(dir.path()).unwrap();
    assert_eq!(problems(dir.path()), []);
    let kept = KeptHead {
        seq: 50.min(next.last),
        hash: "0".repeat(64),
    };
    let report = verify_beside(dir.path(), Some(kept.clone()), |_, _| {}).unwrap();
    assert_eq!(report.kept_head_removed, kept.seq != next.last);
    assert_eq!(report.intact, kept.seq != next.last);
    let kept = KeptHead {
        seq: next.last,
        hash: "0".repeat(64),
    };
    let report = verify_beside(dir.path(), Some(kept), |_, _| {}).unwrap();
    assert_eq!(report.problems[0].kind, ProblemKind::Changed);
}

#[test]
fn more_than_was_told_is_missed() {
    let dir = filled(40, &small());
    order(dir.path(), &by_bytes(5_000), 9_999).unwrap();
    finish_change(dir.path()).unwrap();
    let first = segments(dir.path()).unwrap().remove(0);
    let begins = verify(dir.path()).unwrap().first_seq;
    let text = fs::read(dir.path().join(&first.name)).unwrap();
    fs::remove_file(dir.path().join(&first.name)).unwrap();
    assert_eq!(problems(dir.path()), [(ProblemKind::Removed, begins)]);
    let error = EvidenceLog::open(dir.path(), small()).unwrap_err();
    assert!(error.to_string().contains(&first.name), "{error}");
    let changes = dir.path().join("changes.json");
    let kept = fs::read(&changes).unwrap();
    fs::write(dir.path().join(&first.name), &text).unwrap();
    fs::remove_file(&changes).unwrap();
    let error = EvidenceLog::open(dir.path(), small()).unwrap_err();
    let wanted = format!("\"begins\":{}", first.number);
    assert!(error.to_string().contains(&wanted), "{error}");
    fs::write(&changes, kept).unwrap();
    // Its first record alone.
    let cut = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    fs::write(dir.path().join(&first.name), &text[cut..]).unwrap();
    assert_eq!(problems(dir.path()), [(ProblemKind::Removed, begins)]);
    // Another beginning that fits nothing but its own number.
    let forged = format!("{}\n", line(&"1".repeat(64), begins));
    let forged = [forged.as_bytes(), &text[cut..]].concat();
    fs::write(dir.path().join(&first.name), forged).unwrap();
    let found = problems(dir.path());
    assert!(found.contains(&(ProblemKind::Changed, begins)), "{found:?}");
    // The record of the removal.
    fs::write(dir.path().join(&first.name), &text).unwrap();
    let newest = segments(dir.path()).unwrap().pop().unwrap();
    let path = dir.path().join(&newest.name);
    let mut kept = lines(&path);
    kept.retain(|line| !line.contains("\"retention\""));
    write_lines(&path, &kept);
    let found = problems(dir.path());
    assert!(found.contains(&(ProblemKind::Removed, 1)), "{found:?}");
}

#[test]
fn age_is_that_of_a_files_newest_record() {
    let config = EvidenceConfig {
        retain_days: Some(2),
        ..small()
    };
    let dir = filled(20, &config);
    // Records are of 1.001 to 1.020 seconds.
    assert_eq!(retain(dir.path(), &config, 1_010).unwrap(), Retain::Nothing);
    let in_first = lines(&dir.path().join(FIRST)).len();
    let just_old = all(dir.path())[in_first - 1].ts + 2 * DAY;
    assert_eq!(order(dir.path(), &config, just_old), None);
    let told = order(dir.path(), &config, just_old + 1).unwrap();
    assert_eq!(
        (told.last, told.reason.as_str()),
        (in_first as u64, "retain_days")
    );
    finish_change(dir.path()).unwrap();
    assert_eq!(problems(dir.path()), []);
    // All that is complete goes; what is written to becomes complete first.
    let late = 9_999 + 30 * DAY;
    order(dir.path(), &config, late).unwrap();
    finish_change(dir.path()).unwrap();
    assert_eq!(retain(dir.path(), &config, late).unwrap(), Retain::Complete);
    let (mut log, _) = open(dir.path(), &config);
    log.complete_segment().unwrap();
    log.complete_segment().unwrap();
    drop(log);
    assert_eq!(retain(dir.path(), &config, 1_000).unwrap(), Retain::Nothing);
    order(dir.path(), &config, late + 40 * DAY).unwrap();
    finish_change(dir.path()).unwrap();
    assert_eq!(problems(dir.path()), []);
    let left = all(dir.path());
    assert_eq!(left.len(), 1, "the record of the removal");
    assert_eq!(open(dir.path(), &config).1.records, left[0].seq);
}

#[test]
fn a_crash_at_any_step_of_a_removal_is_gone_on_from() {
    let dir = filled(30, &small());
    let config = by_bytes(4_000);
    let told = order(dir.path(), &config, 9_999).unwrap();
    assert!(told.files > 2);
    let before = TempDir::new().unwrap();
    copy(dir.path(), before.path());
    let recording = Recording::start(dir.path());
    finish_change(dir.path()).unwrap();
    let crash = recording.stop();
    let lives = [Survives::Nothing, Survives::Everything];
    for survives in lives.into_iter().chain((0..6).map(Survives::Something)) {
        for count in 0..=crash.calls().len() {
            let left = TempDir::new().unwrap();
            crash.leave(count, survives, left.path());
            let place = format!("{count} calls, {survives:?}");
            assert_eq!(problems(left.path()), [], "{place}");
            open(left.path(), &config);
            finish_change(left.path()).unwrap();
            let report = verify(left.path()).unwrap();
            assert!(report.intact && !report.pending, "{place}: {report:?}");
            assert_eq!(report.first_seq, told.last + 1, "{place}");
            let (mut log, _) = open(left.path(), &config);
            log.append(&new(99)).unwrap();
        }
    }
}

#[test]
fn a_file_that_cannot_be_told_stays() {
    let dir = filled(30, &small());
    fs::write(dir.path().join(FIRST), "no record\n").unwrap();
    let error = retain(dir.path(), &by_bytes(2_000), 9_999).unwrap_err();
    assert!(error.to_string().contains(FIRST), "{error}");
}
