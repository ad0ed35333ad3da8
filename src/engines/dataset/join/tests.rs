use serde_json::json;

use super::super::fixture::{self, Journal};
use super::super::task::Outcome;
use super::*;
use crate::types::evidence::{FeedbackEvidence, Kind, Rating};

use crate::types::validation::Verdict;

fn run(journal: &Journal) -> (Vec<Task>, Vec<Quarantined>, Join) {
    let (mut join, recipe) = (Join::default(), Recipe::default());
    let (mut chats, mut aside) = (Vec::new(), Vec::new());
    for line in &journal.0 {
        let (fact, bad) = Fact::of(line);
        aside.extend(bad.map(|bad| Quarantined::new(None, line, bad)));
        if let Some(index) = join.gather(0, fact) {
            chats.push((index, line.record.clone().unwrap()));
        }
    }
    // In any order.
    chats.reverse();
    let mut tasks: Vec<Task> = chats
        .into_iter()
        .filter(|(index, _)| join.is_task(*index))
        .map(|(index, record)| join.task(index, (0, record), &recipe).unwrap())
        .collect();
    tasks.reverse();
    let (counts, days) = join.counts();
    assert!(counts.reconcile(), "{counts:?}");
    assert_eq!(counts.read, journal.0.len() as u64);
    assert_eq!(counts.tasks, tasks.len() as u64);
    assert_eq!(counts.tasks, days.values().sum::<u64>());
    (tasks, aside, join)
}

#[test]
fn the_last_word_counts_whichever_id_it_names() {
    let mut journal = Journal::default();
    journal.push(Kind::Chat, "chatcmpl-1", &fixture::chat("q", "a"));
    journal.push(
        Kind::Feedback,
        "f1",
        &fixture::feedback("chatcmpl-1", Rating::Rejected),
    );
    journal.push(
        Kind::Feedback,
        "f2",
        &fixture::feedback("req", Rating::Accepted),
    );
    // A retry of the first is no new word.
    journal.push(
        Kind::Feedback,
        "f1",
        &fixture::feedback("chatcmpl-1", Rating::Rejected),
    );
    journal.push(
        Kind::Validation,
        "v",
        &fixture::validation("req", Verdict::Fail),
    );
    journal.push(
        Kind::Validation,
        "v",
        &fixture::validation("chatcmpl-1", Verdict::Pass),
    );
    journal.push(
        Kind::Feedback,
        "f3",
        &fixture::feedback("elsewhere", Rating::Accepted),
    );
    let (tasks, _, join) = run(&journal);
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].feedback.as_ref().map(|said| said.seq), Some(3));
    assert_eq!(
        tasks[0]
            .validations
            .iter()
            .map(|said| said.seq)
            .collect::<Vec<_>>(),
        [6]
    );
    assert_eq!(tasks[0].outcome, Outcome::Accepted);
    let counts = join.counts().0;
    assert_eq!(
        (counts.feedback, counts.validations, counts.duplicates),
        (3, 2, 1)
    );
    assert_eq!(join.feedback_without_task(), 1);
    assert_eq!(join.newest_ts(), 1_007);
}

#[test]
fn of_a_shared_request_id_the_newest_answer_before_is_meant() {
    let mut journal = Journal::default();
    let mut failed = fixture::chat("third", "");
    failed.error = Some("upstream gone".to_owned());
    let said = |target, rating| fixture::feedback(target, rating);
    journal.push(Kind::Feedback, "f0", &said("not yet", Rating::Rejected));
    journal.push(Kind::Chat, "c1", &fixture::chat("first", "a"));
    journal.push(Kind::Chat, "c2", &fixture::chat("second", "a"));
    // A failed try with the same id hides no answer.
    journal.push(Kind::Chat, "c3", &failed);
    journal.push(Kind::Feedback, "f1", &said("req", Rating::Accepted));
    journal.push(
        Kind::Validation,
        "v1",
        &fixture::validation("req", Verdict::Pass),
    );
    journal.push(Kind::Chat, "c4", &fixture::chat("fourth", "a"));
    // A copied line makes an old answer no newer.
    journal.push(Kind::Chat, "c1", &fixture::chat("first", "a"));
    journal.push(Kind::Feedback, "f2", &said("req", Rating::Rejected));
    // An id of an old journal that several answers share; a request that is called like it.
    journal.push(Kind::Chat, "c5", &fixture::chat("fifth", "a"));
    journal.push(Kind::Chat, "c5", &fixture::chat("sixth", "a"));
    let mut named = fixture::chat("seventh", "a");
    named.request_id = "c5".to_owned();
    journal.push(Kind::Chat, "c7", &named);
    journal.push(Kind::Feedback, "f3", &said("c5", Rating::Accepted));
    let (tasks, _, join) = run(&journal);
    let found: Vec<_> = tasks
        .iter()
        .map(|task| {
            (
                task.feedback.as_ref().map(|said| said.seq),
                task.validations.len(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (None, 0),
            (Some(5), 1),
            (Some(9), 0),
            (None, 0),
            (Some(13), 0),
            (None, 0)
        ]
    );
    assert_eq!(join.feedback_without_task(), 1);
}

#[test]
fn an_edit_is_the_answer() {
    let mut journal = Journal::default();
    let mut failed = fixture::chat("q", "");
    failed.error = Some("upstream gone".to_owned());
    let mut called = fixture::chat("q", "a");
    called.request_id = "other".to_owned();
    called.tool_calls = vec![json!({"id": "1"})];
    let edit = |target| FeedbackEvidence {
        edited_answer: Some("better".to_owned()),
        ..fixture::feedback(target, Rating::Rejected)
    };
    journal.push(Kind::Chat, "c1", &failed);
    journal.push(Kind::Chat, "c2", &called);
    journal.push(Kind::Feedback, "f1", &edit("c1"));
    journal.push(Kind::Feedback, "f2", &edit("c2"));
    let (tasks, _, _) = run(&journal);
    assert_eq!(tasks.len(), 2);
    for task in &tasks {
        assert_eq!(
            (task.answer.as_str(), task.outcome),
            ("better", Outcome::Accepted)
        );
        assert!(task.tool_calls.is_empty());
    }
    assert_eq!(tasks[1].original_answer.as_deref(), Some("a"));
    assert_eq!(tasks[1].original_tool_calls.len(), 1);
}

#[test]
fn an_answer_to_a_similar_question_is_a_task_once_a_person_judged_it() {
    let mut journal = Journal::default();
    for (id, cache) in [("c1", "semantic"), ("c2", "semantic"), ("c3", "hit")] {
        let mut chat = fixture::chat("q", "a");
        chat.request_id = format!("request of {id}");
        chat.cache = Some(cache.to_owned());
        journal.push(Kind::Chat, id, &chat);
    }
    // A validator is no person.
    for target in ["c1", "c2"] {
        let passed = fixture::validation(target, Verdict::Pass);
        journal.push(Kind::Validation, &format!("v of {target}"), &passed);
    }
    let good = fixture::feedback("c2", Rating::Accepted);
    journal.push(Kind::Feedback, "f", &good);
    let (tasks, _, join) = run(&journal);
    let ids: Vec<_> = tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["c2", "c3"]);
    assert_eq!((join.counts().0.tasks, join.counts().0.similar), (2, 1));
}

#[test]
fn what_a_replay_asked_is_counted_and_no_task() {
    let mut journal = Journal::default();
    journal.push(Kind::Chat, "c1", &fixture::chat("q", "a"));
    let mut again = fixture::chat("q", "b");
    again.replay = Some("small".to_owned());
    journal.push(Kind::Chat, "c2", &again);
    let (tasks, _, join) = run(&journal);
    assert_eq!((tasks.len(), tasks[0].id.as_str()), (1, "c1"));
    assert_eq!(join.counts().0.replayed, 1);
}

#[test]
fn what_was_erased_is_counted_and_is_no_task_and_no_damage() {
    let mut journal = Journal::default();
    journal.push(Kind::Chat, "c1", &fixture::chat("q", "a"));
    journal.push(Kind::Chat, "c2", &fixture::chat("other", "a"));
    journal.push(
        Kind::Feedback,
        "f1",
        &fixture::feedback("c1", Rating::Accepted),
    );
    journal.push(Kind::Erasure, "e", &json!({"records": [[1, 1], [3, 3]]}));
    journal.push(Kind::Retention, "retention", &json!({}));
    for at in [0, 2] {
        if let Ok(record) = &mut journal.0[at].record {
            record.body = serde_json::Value::Null;
            record.erased = Some(crate::types::evidence::Erased {
                at: 9,
                by: 4,
                reason: "asked".to_owned(),
            });
        }
    }
    let (tasks, aside, join) = run(&journal);
    assert_eq!((tasks.len(), aside.len()), (1, 0));
    assert_eq!(tasks[0].id, "c2");
    let counts = join.counts().0;
    assert_eq!((counts.erased, counts.changes, counts.tasks), (2, 2, 1));
    assert_eq!(counts.feedback, 0);
}

#[test]
fn every_line_goes_somewhere() {
    let mut journal = Journal::default();
    let mut failed = fixture::chat("q", "");
    failed.answered_by = None;
    journal.push(Kind::Chat, "c1", &failed);
    let mut broken_off = fixture::chat("q", "half an ans");
    broken_off.error = Some("cut".to_owned());
    journal.push(Kind::Chat, "c2", &broken_off);
    journal.push(Kind::Chat, "c2", &broken_off);
    journal.push(Kind::Search, "s", &json!({"request_id": 7}));
    journal.push(Kind::Chat, "c3", &fixture::chat("q", "a"));
    if let Ok(record) = &mut journal.0[4].record {
        record.schema = 9;
    }
    let unreadable = BadLine {
        reason: "torn".to_owned(),
        excerpt: "{".to_owned(),
    };
    journal.0.push(JournalLine {
        segment: "s".into(),
        line: 6,
        record: Err(unreadable),
    });
    let (tasks, aside, join) = run(&journal);
    assert_eq!(
        tasks.iter().map(|task| task.outcome).collect::<Vec<_>>(),
        [Outcome::Rejected]
    );
    assert_eq!((join.counts().0.failed, join.counts().0.duplicates), (1, 1));
    let reasons: Vec<_> = aside
        .iter()
        .map(|one| (one.line, one.reason.as_str()))
        .collect();
    assert_eq!(reasons.len(), 3);
    assert!(
        reasons[0].1.starts_with("body does not fit its kind"),
        "{reasons:?}"
    );
    assert_eq!(reasons[1..], [(5, "schema 9 is newer than 2"), (6, "torn")]);
}

#[test]
fn what_was_said_before_an_answer_is_of_the_first_one_with_its_id() {
    let mut journal = Journal::default();
    let said = |target, rating| fixture::feedback(target, rating);
    let verdict = |target, verdict| fixture::validation(target, verdict);
    journal.push(Kind::Feedback, "f1", &said("c1", Rating::Rejected));
    journal.push(Kind::Feedback, "f2", &said("req", Rating::Accepted));
    journal.push(Kind::Validation, "v1", &verdict("c1", Verdict::Fail));
    journal.push(Kind::Validation, "v2", &verdict("req", Verdict::Pass));
    journal.push(Kind::Feedback, "f3", &said("never", Rating::Accepted));
    journal.push(Kind::Chat, "c1", &fixture::chat("first", "a"));
    journal.push(Kind::Chat, "c2", &fixture::chat("second", "a"));
    let (tasks, _, join) = run(&journal);
    let said: Vec<_> = tasks
        .iter()
        .map(|task| {
            let validations = task.validations.iter().map(|one| one.seq);
            let feedback = task.feedback.as_ref().map(|said| said.seq);
            (feedback, validations.collect::<Vec<_>>())
        })
        .collect();
    // Of several words before it the last one counts.
    assert_eq!(said, [(Some(2), vec![4]), (None, vec![])]);
    assert_eq!(join.feedback_without_task(), 1);
}

#[test]
fn days_differ_by_what_is_new_and_by_what_is_said_of_it() {
    const DAY_MS: u64 = 86_400_000;
    let mut journal = Journal::default();
    let chat = |n: u64| {
        let mut chat = fixture::chat(&format!("q{n}"), "a");
        chat.request_id = format!("r{n}");
        chat
    };
    for n in 1..=3 {
        journal.push(Kind::Chat, &format!("c{n}"), &chat(n));
    }
    let accepted = |target| fixture::feedback(target, Rating::Accepted);
    journal.push(Kind::Feedback, "f1", &accepted("c2"));
    journal.push(Kind::Feedback, "f1", &accepted("c2"));
    journal.push(Kind::Feedback, "f2", &accepted("none"));
    let passed = fixture::validation("r3", Verdict::Pass);
    journal.push(Kind::Validation, "v", &passed);
    journal.push(Kind::Chat, "c1", &chat(1));
    let mut join = Join::default();
    let (mut touched, mut before) = (Vec::new(), BTreeMap::new());
    for (line, ts) in journal.0.iter_mut().zip([0, 1, 2, 9, 9, 9, 9, 9]) {
        line.record.as_mut().unwrap().ts = ts * DAY_MS;
        join.gather(0, Fact::of(line).0);
        let now = join.digests();
        let other = |(day, digest): &(&Day, &String)| before.get(*day) != Some(*digest);
        let days = now.iter().filter(other).map(|(day, _)| day.to_string());
        touched.push(days.collect::<Vec<_>>());
        before = now;
    }
    let day = |n: u64| vec![Day::of(n * DAY_MS).to_string()];
    let none = Vec::new;
    assert_eq!(
        touched,
        [
            day(0),
            day(1),
            day(2),
            day(1),
            none(),
            none(),
            day(2),
            none()
        ]
    );
}
