use serde_json::{Value, json};

use super::super::counts::{ExportCounts, Placed};
use super::super::fixture::{self, Journal, chat};
use super::super::flavour::Flavour;
use super::super::join::{Fact, Join};
use super::super::recipe::PreferenceRules;
use super::*;
use crate::types::evidence::{ChatEvidence, Kind, ValidationEvidence};

/// What becomes of a journal: lines of rows with where they come from, and the counts.
fn run(journal: &Journal, recipe: &Recipe) -> (Vec<(Value, Value)>, ExportCounts) {
    let mut join = Join::default();
    let chats: Vec<_> = journal
        .0
        .iter()
        .filter_map(|line| {
            let index = join.gather(0, Fact::of(line).0)?;
            Some((index, line.record.clone().unwrap()))
        })
        .collect();
    let tasks: Vec<Task> = chats
        .into_iter()
        .filter(|(index, _)| join.is_task(*index))
        .map(|(index, record)| join.task(index, (0, record), recipe).unwrap())
        .collect();
    let (placed, counts) = fixture::export(("preference", Flavour::Trl), recipe, 0.0, &tasks);
    let parsed = |text: &str| serde_json::from_str(text).unwrap();
    let rows = placed.iter().filter_map(|one| match one {
        Placed::Row { line, about, .. } => Some((parsed(line), parsed(about))),
        _ => None,
    });
    (rows.collect(), counts)
}

fn answer(journal: &mut Journal, id: &str, text: &str, repairs: Option<&str>) {
    let mut chat = chat("Write to Ann.", text);
    chat.request_id = format!("request of {id}");
    chat.repairs = repairs.map(str::to_owned);
    if repairs.is_some() {
        chat.messages
            .push(json!({"role": "assistant", "content": "before"}));
        chat.messages
            .push(json!({"role": "user", "content": format!("mend it for {id}")}));
    }
    journal.push(Kind::Chat, id, &chat);
}

fn verdict(journal: &mut Journal, target: &str, kind: &str, verdict: Verdict) {
    let said = ValidationEvidence {
        kind: kind.to_owned(),
        ..fixture::validation(target, verdict)
    };
    journal.push(Kind::Validation, &format!("{kind} of {target}"), &said);
}

fn said(row: &Value, name: &str) -> String {
    row[name][0]["content"].as_str().unwrap().to_owned()
}

#[test]
fn attempts_are_set_against_the_one_that_passed_over_any_steps() {
    let mut journal = Journal::default();
    answer(&mut journal, "c1", "one", None);
    verdict(&mut journal, "c1", "email", Verdict::Fail);
    answer(&mut journal, "c2", "two", Some("c1"));
    verdict(&mut journal, "c2", "email", Verdict::Repairable);
    answer(&mut journal, "c3", "three", Some("c2"));
    verdict(&mut journal, "c3", "email", Verdict::Pass);
    let (rows, counts) = run(&journal, &Recipe::default());
    let found: Vec<_> = rows
        .iter()
        .map(|(row, about)| {
            (
                said(row, "chosen"),
                said(row, "rejected"),
                about["steps"].as_u64().unwrap(),
            )
        })
        .collect();
    let expected = [("three", "one", 2), ("three", "two", 1)];
    assert_eq!(
        found,
        expected.map(|(a, b, steps)| (a.to_owned(), b.to_owned(), steps))
    );
    // Each with the prompt that the worse answer was given.
    assert_eq!(
        rows[0].0["prompt"],
        json!([{"role": "user", "content": "Write to Ann."}])
    );
    assert_eq!(rows[1].0["prompt"].as_array().unwrap().len(), 3);
    let about = &rows[0].1;
    assert_eq!(
        (
            &about["pair"],
            &about["link"],
            &about["chosen_id"],
            &about["id"]
        ),
        (
            &json!("repair"),
            &json!("named"),
            &json!("c3"),
            &json!("c1")
        )
    );
    assert_eq!(
        about["mended"],
        json!({"email": {"verdict": "fail", "rules": []}})
    );
    assert_eq!((counts.train, counts.paired, counts.read), (2, 1, 3));

    let off = Recipe {
        preference: PreferenceRules {
            repairs: false,
            ..PreferenceRules::default()
        },
        ..Recipe::default()
    };
    let (rows, counts) = run(&journal, &off);
    assert!(rows.is_empty(), "{rows:?}");
    assert_eq!(counts.paired, 0);
}

#[test]
fn a_later_answer_to_the_same_prompt_mends_too_and_an_earlier_one_does_not() {
    let mut journal = Journal::default();
    answer(&mut journal, "c1", "early", None);
    verdict(&mut journal, "c1", "email", Verdict::Pass);
    answer(&mut journal, "c2", "wrong", None);
    verdict(&mut journal, "c2", "email", Verdict::Repairable);
    let (rows, counts) = run(&journal, &Recipe::default());
    assert!(rows.is_empty(), "{rows:?}");
    assert_eq!(counts.skipped["needs_review"], 2, "{counts:?}");
    answer(&mut journal, "c3", "right", None);
    verdict(&mut journal, "c3", "email", Verdict::Pass);
    let (rows, _) = run(&journal, &Recipe::default());
    assert_eq!(rows.len(), 1);
    let (row, about) = &rows[0];
    assert_eq!(
        (said(row, "chosen"), said(row, "rejected")),
        ("right".into(), "wrong".into())
    );
    assert_eq!(about["link"], "same_prompt");
}

#[test]
fn a_request_id_names_its_newest_answer_before() {
    let mut journal = Journal::default();
    answer(&mut journal, "c1", "wrong", None);
    verdict(&mut journal, "c1", "email", Verdict::Repairable);
    answer(&mut journal, "c2", "right", Some("request of c1"));
    verdict(&mut journal, "c2", "email", Verdict::Pass);
    let (rows, _) = run(&journal, &Recipe::default());
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].1["link"], "named");
}

#[test]
fn what_is_no_repair_makes_no_pair() {
    let pair = |more: &dyn Fn(&mut Journal)| {
        let mut journal = Journal::default();
        answer(&mut journal, "c1", "wrong", None);
        verdict(&mut journal, "c1", "email", Verdict::Repairable);
        answer(&mut journal, "c2", "right", Some("c1"));
        verdict(&mut journal, "c2", "email", Verdict::Pass);
        more(&mut journal);
        let (rows, counts) = run(&journal, &Recipe::default());
        (rows.len(), counts.skipped)
    };
    assert_eq!(pair(&|_| {}).0, 1);
    let judged = |target: &'static str, rating| {
        move |journal: &mut Journal| {
            journal.push(Kind::Feedback, "f", &fixture::feedback(target, rating));
        }
    };
    // A person took the first for good, or the second for bad.
    assert_eq!(pair(&judged("c1", Rating::Accepted)).0, 0);
    assert_eq!(pair(&judged("c2", Rating::Rejected)).0, 0);
    // Another validator found something, or the one that did never looked again.
    let also = |target: &'static str, found| {
        move |journal: &mut Journal| verdict(journal, target, "secrets", found)
    };
    let (rows, skipped) = pair(&also("c2", Verdict::Repairable));
    assert_eq!((rows, skipped["needs_review"]), (0, 2), "{skipped:?}");
    assert_eq!(pair(&also("c1", Verdict::Fail)).0, 0);
    assert_eq!(pair(&also("c2", Verdict::Pass)).0, 1);
}

#[test]
fn rings_and_answers_cut_short_lead_nowhere() {
    let mut journal = Journal::default();
    answer(&mut journal, "c1", "one", Some("c2"));
    answer(&mut journal, "c2", "two", Some("c1"));
    answer(&mut journal, "c3", "three", Some("c3"));
    for id in ["c1", "c2", "c3"] {
        verdict(&mut journal, id, "email", Verdict::Fail);
    }
    let cut = ChatEvidence {
        finish_reason: Some("length".to_owned()),
        repairs: Some("c2".to_owned()),
        request_id: "other".to_owned(),
        ..chat("Write to Ann.", "four")
    };
    journal.push(Kind::Chat, "c4", &cut);
    verdict(&mut journal, "c4", "email", Verdict::Pass);
    let (rows, counts) = run(&journal, &Recipe::default());
    assert!(rows.is_empty(), "{rows:?}");
    assert_eq!(counts.read, 4);
}
