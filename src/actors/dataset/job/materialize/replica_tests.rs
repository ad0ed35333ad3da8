//! Journals of several replicas make the tasks that one journal would have made.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::tests::{World, chat, feedback, record};
use super::tests::bytes;
use crate::storage::evidence_log::NewRecord;
use crate::types::evidence::Kind;

const HOUR_MS: u64 = 3_600_000;
/// Of these the first is the process's own, whose name is `local`.
const NAMES: [&str; 3] = ["", "a", "z"];

fn journal(world: &World, replica: usize) -> PathBuf {
    match NAMES[replica] {
        "" => world.paths.evidence.clone(),
        name => world.paths.replicas.dir(name),
    }
}

fn at(ts_ms: u64, record: NewRecord) -> NewRecord {
    NewRecord { ts_ms, ..record }
}

/// The tasks by date, in their order, without whose journal they are of and where they stand in it.
fn tasks(world: &World) -> BTreeMap<String, Vec<Value>> {
    let dir = world.paths.datasets.join("tasks");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = fs::read_to_string(path.join("tasks.jsonl")) else {
            continue;
        };
        let lines = text.lines().map(|line| {
            let mut task: Value = serde_json::from_str(line).unwrap();
            for place in ["", "/feedback"] {
                if let Some(of) = task.pointer_mut(place).and_then(Value::as_object_mut) {
                    of.remove("seq");
                    of.remove("replica");
                }
            }
            for of in task["validations"].as_array_mut().unwrap() {
                of.as_object_mut().unwrap().remove("seq");
                of.as_object_mut().unwrap().remove("replica");
            }
            task
        });
        let date = path.file_name().unwrap().to_str().unwrap().to_owned();
        found.insert(date, lines.collect());
    }
    found
}

#[test]
fn feedback_that_came_to_another_replica_is_of_its_task() {
    let world = World::new();
    World::append_to(&journal(&world, 1), vec![at(10, chat(1)), at(30, chat(2))]);
    // One replica's clock is behind: its user judges what is answered later.
    World::append_to(
        &journal(&world, 2),
        vec![
            at(9, feedback(1, "rejected")),
            at(20, feedback(1, "accepted")),
            at(21, feedback(2, "accepted")),
            at(40, chat(3)),
        ],
    );
    let receipt = world.materialize(false);
    assert_eq!(receipt["counts"]["tasks"], 3, "{receipt}");
    assert_eq!(receipt["feedback_without_task"], 0);
    // It has no journal of its own; what was read of those of others stands beside.
    assert_eq!(receipt["journal"]["head"]["seq"], 0);
    let of = |at: usize| {
        let replica = &receipt["replicas"][at];
        let head = &replica["journal"]["head"]["seq"];
        json!([replica["replica"], head, replica["chain"]["intact"]])
    };
    assert_eq!(
        [of(0), of(1)],
        [json!(["a", 2, true]), json!(["z", 4, true])]
    );
    let dir = world.paths.datasets.join("tasks/date=1970-01-01");
    let text = fs::read_to_string(dir.join("tasks.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let task: Value = serde_json::from_str(line).unwrap();
        let said = &task["feedback"];
        json!([
            task["id"],
            task["replica"],
            task["seq"],
            said["replica"],
            said["seq"],
            said["rating"]
        ])
    });
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            json!(["chatcmpl-1", "a", 1, "z", 2, "accepted"]),
            json!(["chatcmpl-2", "a", 2, "z", 3, "accepted"]),
            json!(["chatcmpl-3", "z", 4, null, null, null]),
        ]
    );
    assert_eq!(world.materialize(false)["unchanged"], true);
    // The evidence of one that is forgotten is in no task any more.
    world.paths.replicas.forget("z").unwrap();
    let receipt = world.materialize(false);
    assert_eq!(
        (&receipt["counts"]["tasks"], &receipt["unchanged"]),
        (&json!(2), &json!(false))
    );
}

#[test]
fn a_quiet_replica_and_a_late_one_cost_only_the_days_that_they_speak_of() {
    let mut world = World::new();
    world.paths.parquet = true;
    let day = |n: u64| n * 24 * HOUR_MS;
    let chats = |days: std::ops::Range<u64>| days.map(|n| at(day(n), chat(n))).collect();
    World::append_to(&journal(&world, 0), chats(0..5));
    World::append_to(&journal(&world, 1), chats(5..6));
    assert_eq!(world.materialize(false)["partitions_written"], 6);
    // What was said on the second day is read only now.
    World::append_to(
        &journal(&world, 2),
        vec![at(day(1) + 1, feedback(1, "accepted"))],
    );
    let late = world.materialize(false);
    assert_eq!(
        (&late["lines_read"], &late["partitions_written"]),
        (&json!(1), &json!(1)),
        "{late}"
    );
    let went_on = bytes(&world, false);
    world.materialize(true);
    assert!(bytes(&world, false) == went_on, "other bytes from nothing");
}

/// What happens, and at which replica.
#[derive(Debug, Clone)]
enum Event {
    Answer { failed: bool },
    Feedback { of: u64, edit: bool },
    Verdict { of: u64 },
    Again { of: u64 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => any::<bool>().prop_map(|failed| Event::Answer { failed }),
        5 => (0..30_u64, any::<bool>()).prop_map(|(of, edit)| Event::Feedback { of, edit }),
        2 => (0..30_u64).prop_map(|of| Event::Verdict { of }),
        1 => (0..30_u64).prop_map(|of| Event::Again { of }),
    ]
}

fn answer(n: u64, failed: bool) -> NewRecord {
    let body = json!({
        // Some share a request.
        "request_id": format!("req-{}", n / 3), "model": "main", "answered_by": "p/m",
        "messages": [{"role": "user", "content": format!("Question {n}?")}],
        "answer": if failed { String::new() } else { format!("Answer {n}") },
        "error": failed.then_some("gone"),
        "finish_reason": (!failed).then_some("stop"),
        "passages": [], "usage": null, "attempts": [], "stream": false, "latency_ms": n,
    });
    record(n, Kind::Chat, &format!("c{n}"), body)
}

fn happened(n: u64, event: &Event) -> NewRecord {
    // By the completion's id, or its request's.
    let target = |of: u64| match n % 2 {
        0 => format!("c{of}"),
        _ => format!("req-{}", of / 3),
    };
    let record = match event {
        Event::Answer { failed } => answer(n, *failed),
        Event::Again { of } => answer(*of, false),
        Event::Feedback { of, edit } => {
            let mut said = json!({"target": target(*of), "rating": "accepted"});
            if *edit {
                said["edited_answer"] = json!("better");
            }
            record(n, Kind::Feedback, &format!("f{n}"), said)
        }
        Event::Verdict { of } => {
            let said = json!({"request_id": "v", "kind": format!("k{}", n % 3), "verdict": "fail",
                "findings": [], "payload_sha256": "", "target": target(*of)});
            record(n, Kind::Validation, &format!("v{n}"), said)
        }
    };
    at(n * 5 * HOUR_MS, record)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn one_journal_over_replicas_in_any_way_makes_the_same_tasks(
        events in proptest::collection::vec((event(), 0..3_usize), 1..60),
        // After how many events what is here of each replica is materialized, and how much of each lags.
        looks in proptest::collection::vec((0..60_usize, [0..8_usize, 0..8, 0..8]), 0..4),
        threads in 1..4_usize,
    ) {
        let (mut one, mut many) = (World::new(), World::new());
        for world in [&mut one, &mut many] {
            world.paths.threads = threads;
            world.paths.parquet = true;
        }
        let mut left: [Vec<NewRecord>; 3] = Default::default();
        let all = (1..).zip(&events).map(|(n, (event, _))| happened(n, event));
        one.append(all.collect());
        for (at, (event, replica)) in events.iter().enumerate() {
            left[*replica].push(happened(at as u64 + 1, event));
            for (_, lags) in looks.iter().filter(|(look, _)| *look == at) {
                for (replica, lag) in lags.iter().enumerate() {
                    let here = left[replica].len().saturating_sub(*lag);
                    let here: Vec<_> = left[replica].drain(..here).collect();
                    World::append_to(&journal(&many, replica), here);
                }
                many.materialize(false);
            }
        }
        for (replica, here) in left.into_iter().enumerate() {
            World::append_to(&journal(&many, replica), here);
        }
        let (alone, merged) = (one.materialize(false), many.materialize(false));
        for name in ["counts", "outcomes", "feedback_without_task", "as_of_ms"] {
            prop_assert_eq!(&alone[name], &merged[name], "{}", name);
        }
        prop_assert_eq!(tasks(&one), tasks(&many));
        let went_on = bytes(&many, false);
        many.materialize(true);
        prop_assert!(bytes(&many, false) == went_on, "other bytes from nothing");
    }

    #[test]
    fn whatever_the_clocks_say_an_answer_has_what_was_said_of_it(
        answers in proptest::collection::vec((0..3_usize, 0..3_usize), 1..20),
        clocks in [0..400_u64, 0..400, 0..400],
    ) {
        let world = World::new();
        let mut journals: [Vec<NewRecord>; 3] = Default::default();
        for (n, (answered, judged)) in (1..).zip(&answers) {
            journals[*answered].push(at(clocks[*answered] + 10 * n, chat(n)));
            journals[*judged].push(at(clocks[*judged] + 10 * n + 5, feedback(n, "rejected")));
        }
        for (replica, records) in journals.into_iter().enumerate() {
            World::append_to(&journal(&world, replica), records);
        }
        let receipt = world.materialize(false);
        let judged = answers.len() as u64;
        prop_assert_eq!(receipt["outcomes"]["rejected"].as_u64(), Some(judged), "{}", receipt);
        prop_assert_eq!(&receipt["feedback_without_task"], &json!(0));
    }
}
