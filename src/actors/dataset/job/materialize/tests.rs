//! Runs that go on from earlier ones, on any number of threads: the files are those of a run from nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::tests::{SALT, World, chat, feedback, record};
use super::super::{DatasetError, DatasetJob, run};
use crate::storage::evidence_log::{
    Body, EvidenceConfig, EvidenceLog, NewRecord, Retain, finish_change, retain,
};
use crate::types::evidence::Kind;

const DAY_MS: u64 = 86_400_000;

fn on_day(day: u64, mut record: NewRecord) -> NewRecord {
    record.ts_ms += day * DAY_MS;
    record
}

/// Every file, with its bytes; without what one run leaves for the next unless `hidden`.
pub(super) fn bytes(world: &World, hidden: bool) -> BTreeMap<String, Vec<u8>> {
    fn walk(dir: &Path, root: &Path, hidden: bool, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if path.is_dir() {
                walk(&path, root, hidden, found);
            } else if hidden || !name.contains("/.") {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    let root = &world.paths.datasets;
    walk(root, root, hidden, &mut found);
    found
}

/// Two of each three answers are judged, over five days; the judgements come a day later.
fn days() -> World {
    let mut world = World::new();
    world.paths.parquet = true;
    let mut batch = Vec::new();
    for n in 1..=60 {
        batch.push(on_day(n / 12, chat(n)));
        if n > 12 && n % 3 > 0 {
            batch.push(on_day(n / 12, feedback(n - 12, "accepted")));
        }
    }
    world.append(batch);
    world
}

fn read(receipt: &Value) -> (u64, u64) {
    let number = |name: &str| receipt[name].as_u64().unwrap();
    (number("lines_read"), number("partitions_written"))
}

#[test]
fn the_bytes_are_the_same_at_any_number_of_threads() {
    let mut world = days();
    let mut before = None;
    for threads in [1, 2, 3, 7] {
        world.paths.threads = threads;
        let receipt = world.materialize(true);
        assert_eq!(read(&receipt), (92, 6));
        // What is left for the next run, too.
        let made = bytes(&world, true);
        let names: Vec<_> = made.keys().cloned().collect();
        let expected = [
            "tasks/.checkpoint.json",
            "tasks/.facts",
            "tasks/date=1970-01-01/tasks.jsonl",
            "tasks/date=1970-01-01/tasks.parquet",
        ];
        assert_eq!(
            (names.len(), &names[..4]),
            (2 + 2 * 6 + 2, &expected.map(String::from)[..])
        );
        let before = before.get_or_insert_with(|| made.clone());
        assert!(*before == made, "other bytes on {threads} threads");
    }
}

#[test]
fn only_what_is_new_is_read_and_only_its_days_are_written() {
    let world = days();
    assert_eq!(read(&world.materialize(false)), (92, 6));
    assert_eq!(read(&world.materialize(false)), (0, 0));
    let same = world.materialize(false);
    assert_eq!(same["unchanged"], true);
    let before = bytes(&world, false);

    // A late judgement of the second day, one that repeats another, and a new answer on the sixth.
    world.append(vec![
        on_day(9, feedback(15, "rejected")),
        on_day(9, feedback(15, "rejected")),
        on_day(5, chat(61)),
    ]);
    let grown = world.materialize(false);
    assert_eq!((read(&grown), &grown["unchanged"]), ((3, 2), &json!(false)));
    let after = bytes(&world, false);
    let changed = |name: &&String| before.get(*name) != after.get(*name);
    let changed: Vec<&String> = after.keys().filter(changed).collect();
    let mut expected = Vec::new();
    for day in ["1970-01-02", "1970-01-06"] {
        expected.push(format!("tasks/date={day}/tasks.jsonl"));
        expected.push(format!("tasks/date={day}/tasks.parquet"));
    }
    expected.push("tasks/receipt.json".to_owned());
    assert_eq!(changed, expected.iter().collect::<Vec<_>>());
    assert_eq!(read(&world.materialize(true)), (95, 6));
    assert!(bytes(&world, false) == after, "other bytes from nothing");
}

#[test]
fn what_does_not_hold_any_more_is_made_from_nothing() {
    let lines = 92;
    let remake = |change: fn(&mut World), days: u64| {
        let mut world = days_made();
        let before = bytes(&world, false);
        change(&mut world);
        let receipt = world.materialize(false);
        assert_eq!(read(&receipt), (lines, days));
        (before, bytes(&world, false))
    };
    for change in [
        // What was left for this run is gone, or is not as it was.
        (|world: &mut World| fs::remove_file(tasks(world, ".facts")).unwrap()) as fn(&mut World),
        |world| fs::write(tasks(world, ".facts"), "x").unwrap(),
        |world| fs::write(tasks(world, ".checkpoint.json"), "{}").unwrap(),
        |world| fs::write(tasks(world, "quarantine.jsonl"), "{}\n").unwrap(),
        |world| fs::write(tasks(world, "date=1970-01-03/tasks.jsonl"), "").unwrap(),
        |world| fs::remove_file(tasks(world, "date=1970-01-03/tasks.parquet")).unwrap(),
        // A day that is none of ours.
        |world| {
            fs::create_dir(tasks(world, "date=2019-01-01")).unwrap();
            fs::write(tasks(world, "date=2019-01-01/tasks.jsonl"), "{}\n").unwrap();
        },
    ] {
        let (before, after) = remake(change, 6);
        assert!(before == after);
    }
    let (_, after) = remake(|world| world.paths.parquet = false, 6);
    assert_eq!(after.len(), 6 + 2);
    let (before, after) = remake(
        |world| world.paths.recipe = "[score]\naccept_without_feedback = true".to_owned(),
        6,
    );
    assert!(before != after);
    // A line of an earlier segment is another one.
    let (_, after) = remake(
        |world| {
            let path = world.paths.evidence.join("evidence-00000001.jsonl");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replacen("Answer 1", "Answer X", 1)).unwrap();
        },
        6,
    );
    let quarantine = String::from_utf8(after["tasks/quarantine.jsonl"].clone()).unwrap();
    assert_eq!(quarantine.lines().count(), 1);
    // Somebody says another head of a record that was read.
    remake(
        |world| {
            let path = world.paths.evidence.join("heads.log");
            let line = format!("{{\"hash\":\"{}\",\"seq\":3,\"ts\":1}}\n", "0".repeat(64));
            let text = fs::read_to_string(&path).unwrap_or_default();
            fs::write(path, text + &line).unwrap();
        },
        6,
    );
}

fn days_made() -> World {
    let world = days();
    world.materialize(false);
    world
}

fn tasks(world: &World, name: &str) -> std::path::PathBuf {
    world.paths.datasets.join("tasks").join(name)
}

#[test]
fn a_run_that_is_stopped_leaves_all_for_the_next() {
    let world = days_made();
    let before = bytes(&world, true);
    world.append((61..=90).map(|n| on_day(6, chat(n))).collect());
    // Stopped after so many signs of life: while hashing, in the first reading, in the second.
    for signs in (1..40).step_by(3) {
        let mut left = signs;
        let job = DatasetJob::Materialize { force: false };
        let stopped = run(&world.paths, job, &mut || {
            left -= 1;
            if left == 0 {
                world.paths.progress.cancel();
            }
        });
        assert!(
            matches!(stopped, Err(DatasetError::Cancelled)),
            "{stopped:?}"
        );
        assert!(bytes(&world, true) == before, "after {signs} signs");
    }
    // A folder that a killed process left half made.
    fs::create_dir_all(world.paths.datasets.join(".tasks.new/date=1970-01-01")).unwrap();
    assert_eq!(read(&world.materialize(false)), (30, 1));
    let after = bytes(&world, false);
    world.materialize(true);
    assert!(bytes(&world, false) == after);
}

#[test]
fn lines_that_are_no_records_are_counted_on_from_run_to_run() {
    let world = World::filled(2);
    let path = world.paths.evidence.join("evidence-00000001.jsonl");
    let add = |text: &str| {
        let before = fs::read_to_string(&path).unwrap();
        fs::write(&path, before + text).unwrap();
    };
    add("one\n");
    world.materialize(false);
    // Half a line is not read yet.
    add("two");
    assert_eq!(world.materialize(false)["unchanged"], true);
    add(" and more\nthree\n");
    assert_eq!(read(&world.materialize(false)), (2, 0));
    let found = bytes(&world, false);
    let quarantine = String::from_utf8(found["tasks/quarantine.jsonl"].clone()).unwrap();
    let lines: Vec<Value> = quarantine
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|line: Value| json!([line["line"], line["excerpt"]]))
        .collect();
    assert_eq!(
        lines,
        [
            json!([4, "one"]),
            json!([5, "two and more"]),
            json!([6, "three"])
        ]
    );
    let receipt = world.materialize(true);
    assert_eq!(receipt["counts"]["quarantined"], 3);
    assert!(bytes(&world, false) == found);
}

/// What happens to a journal.
#[derive(Debug, Clone)]
enum Event {
    Answer { day: u64, failed: bool },
    Feedback { of: u64, edit: bool },
    Verdict { of: u64 },
    Again { of: u64 },
    Erase { of: u64 },
    Retain,
    Materialize,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..4_u64, any::<bool>()).prop_map(|(day, failed)| Event::Answer { day, failed }),
        4 => (0..30_u64, any::<bool>()).prop_map(|(of, edit)| Event::Feedback { of, edit }),
        2 => (0..30_u64).prop_map(|of| Event::Verdict { of }),
        1 => (0..30_u64).prop_map(|of| Event::Again { of }),
        1 => (0..30_u64).prop_map(|of| Event::Erase { of }),
        1 => Just(Event::Retain),
        3 => Just(Event::Materialize),
    ]
}

fn config() -> EvidenceConfig {
    EvidenceConfig {
        segment_bytes: 4096,
        ..EvidenceConfig::default()
    }
}

fn answer(n: u64, day: u64, failed: bool) -> NewRecord {
    let body = json!({
        // Some share a request.
        "request_id": format!("req-{}", n / 2), "model": "main", "answered_by": "p/m",
        "messages": [{"role": "user", "content": format!("Question {n}?")}],
        "answer": if failed { String::new() } else { format!("Answer {n}") },
        "error": failed.then_some("gone"),
        "finish_reason": (!failed).then_some("stop"),
        "passages": [], "usage": null, "attempts": [], "stream": false, "latency_ms": n,
    });
    on_day(day, record(n, Kind::Chat, &format!("c{n}"), body))
}

/// Changes what is in the journal, if there is that much.
fn change(world: &World, told: &NewRecord, upto: u64) {
    let dir = &world.paths.evidence;
    let (mut log, _) = EvidenceLog::open(dir, config()).unwrap();
    log.begin_change(upto, std::slice::from_ref(told)).unwrap();
    drop(log);
    finish_change(dir).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn whatever_happens_between_the_runs_the_files_are_those_of_a_run_from_nothing(
        events in proptest::collection::vec(event(), 1..60),
        threads in 1..4_usize,
    ) {
        let mut world = World::new();
        world.paths.threads = threads;
        world.paths.parquet = true;
        // Of each record that is left whether it may be erased.
        let mut records: BTreeMap<u64, bool> = BTreeMap::new();
        let mut seq = 0;
        for (n, event) in (1_u64..).zip(&events) {
            let target = |of: u64| format!("{}{of}", if n % 2 == 0 { "c" } else { "req-" });
            let mut erasable = true;
            match event {
                Event::Answer { day, failed } => {
                    world.append(vec![answer(n, *day, *failed)]);
                }
                Event::Feedback { of, edit } => {
                    let mut said = json!({"target": target(*of), "rating": "accepted"});
                    if *edit {
                        said["edited_answer"] = json!("better");
                    }
                    world.append(vec![record(n, Kind::Feedback, &format!("f{n}"), said)]);
                }
                Event::Verdict { of } => {
                    let said = json!({"request_id": "v", "kind": format!("k{}", n % 3), "verdict": "fail",
                        "findings": [], "payload_sha256": "", "target": target(*of)});
                    world.append(vec![record(n, Kind::Validation, &format!("v{n}"), said)]);
                }
                Event::Again { of } => {
                    world.append(vec![answer(*of, 1, false)]);
                }
                Event::Erase { of } => {
                    let place = usize::try_from(*of).unwrap() % records.len().max(1);
                    let Some((&of, true)) = records.iter().nth(place) else { continue };
                    let told = json!({"reason": "asked", "by": "seq", "records": [[of, of]]});
                    change(&world, &record(n, Kind::Erasure, "e", told), of);
                    records.insert(of, false);
                    erasable = false;
                }
                Event::Retain => {
                    let config = EvidenceConfig { retain_bytes: Some(9_000), ..config() };
                    let told = retain(&world.paths.evidence, &config, 9 * DAY_MS).unwrap();
                    let Retain::Remove(told) = told else { continue };
                    let body = Body::of(&serde_json::to_value(&told).unwrap(), SALT).unwrap();
                    let (kind, id) = (Kind::Retention, "retention".to_owned());
                    change(&world, &NewRecord { ts_ms: 1, kind, id, body }, told.last);
                    records.retain(|seq, _| *seq > told.last);
                    erasable = false;
                }
                Event::Materialize => {
                    world.materialize(false);
                    continue;
                }
            }
            seq += 1;
            records.insert(seq, erasable);
        }
        let receipt = world.materialize(false);
        prop_assert_eq!(&receipt["chain"]["intact"], &json!(true), "{}", receipt["chain"]);
        let went_on = bytes(&world, false);
        world.materialize(true);
        prop_assert!(bytes(&world, false) == went_on, "other bytes from nothing");
    }
}
