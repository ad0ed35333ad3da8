//! What becomes of tasks: redaction, duplicates, caps, the split, and that all is counted.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::super::exporters::{EXPORTERS, exporter};
use super::super::fixture::{self, chat, lines, passage, said, task};
use super::super::recipe::CapRules;
use super::super::split::Side;
use super::super::task::Outcome;
use super::*;
use crate::types::evidence::Rating;

const SFT: (&str, Flavour) = ("sft", Flavour::Trl);

fn accepted(seq: u64, question: &str, answer: &str) -> Task {
    task(seq, chat(question, answer), Outcome::Accepted, None)
}

fn about(placed: &Placed) -> Value {
    match placed {
        Placed::Row { about, .. } | Placed::Dropped { about, .. } => {
            serde_json::from_str(about).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn rows_are_redacted_and_each_once() {
    let recipe = Recipe::default();
    let sft = exporter("sft").unwrap();
    let mut sft = Export::new(sft, Flavour::Trl, &recipe, 0.0)
        .unwrap()
        .unwrap();
    let placed = sft.add(&accepted(1, "Who is a@b.co?", "Call 555-123-4567"));
    let row: Value = serde_json::from_str(&lines(&placed)[0]).unwrap();
    assert_eq!(row["messages"][0]["content"], "Who is [EMAIL]?");
    assert_eq!(row["messages"][1]["content"], "Call [PHONE]");
    assert_eq!(
        (sft.redactions()["email"], sft.redactions()["phone"]),
        (1, 1)
    );
    let again = sft.add(&accepted(2, "who is c@d.co?", "call  555-999-4567"));
    let told = json!({"id": "c2", "seq": 2, "ts": 1_002, "outcome": "accepted",
        "answered_by": "extractive", "why": "duplicate", "kept": "c1"});
    assert_eq!(about(&again[0]), told);
    assert_eq!(sft.counts().duplicates, 1);
    let other = sft.add(&accepted(3, "who is c@d.co?", "nobody"));
    assert_eq!(lines(&other).len(), 1);
    assert_eq!(sft.held(), Held::default());
}

#[test]
fn arguments_of_calls_are_redacted_before_they_become_objects() {
    let mut calling = chat("q", "");
    let arguments = r#"{"to": "a@b.co", "card": 4111111111111111}"#;
    calling.tool_calls =
        vec![json!({"id": "1", "function": {"name": "f", "arguments": arguments}})];
    let tasks = [task(1, calling, Outcome::Accepted, None)];
    let (placed, _) = fixture::export(SFT, &Recipe::default(), 0.0, &tasks);
    let line = &lines(&placed)[0];
    let expected = r#""arguments":{"to":"[EMAIL]","card":"[CARD]"}"#;
    assert!(line.contains(expected), "{line}");
}

#[test]
fn what_is_left_out_is_counted_by_reason() {
    let mut recipe = Recipe::default();
    recipe.export.max_answer_bytes = 3;
    let tasks: Vec<Task> = [
        ("a", Outcome::Accepted),
        ("b", Outcome::PartiallyAccepted),
        ("c", Outcome::NeedsReview),
        ("d", Outcome::Rejected),
        ("long", Outcome::Accepted),
        (" ", Outcome::Accepted),
    ]
    .into_iter()
    .zip(1..)
    .map(|((answer, outcome), seq)| {
        let mut chat = chat("q", answer);
        chat.passages.push(passage("p", true));
        task(seq, chat, outcome, None)
    })
    .collect();
    let (_, counts) = fixture::export(("rag", Flavour::Trl), &recipe, 0.0, &tasks);
    let skipped = [
        ("answer_too_long".into(), 1),
        ("empty_answer".into(), 1),
        ("needs_review".into(), 1),
        ("rejected".into(), 1),
    ];
    let expected = ExportCounts {
        read: 6,
        train: 2,
        skipped: skipped.into(),
        ..ExportCounts::default()
    };
    assert_eq!(counts, expected);
}

#[test]
fn tools_are_told() {
    let recipe = Recipe::default();
    let sft = exporter("sft").unwrap();
    let mut export = Export::new(sft, Flavour::Trl, &recipe, 0.0)
        .unwrap()
        .unwrap();
    let mut tooled = chat("q", "a");
    tooled.tools.push(json!({"type": "function"}));
    export.add(&task(1, tooled, Outcome::Accepted, None));
    let (calls, tools) = (false, true);
    assert_eq!(export.held(), Held { calls, tools });
    assert!(
        Export::new(sft, Flavour::Trl, &recipe, 0.6)
            .unwrap()
            .is_none()
    );
}

/// A text of many words, some of them others.
fn story(changed: usize) -> String {
    let word = |n: usize| match n < changed {
        true => format!("other{n} "),
        false => format!("word{n} "),
    };
    (0..100).map(word).collect()
}

#[test]
fn the_oldest_of_nearly_equal_rows_is_kept_and_named() {
    let tasks = [
        accepted(1, "Tell me a story", &story(0)),
        accepted(2, "Tell me a story!", &story(2).to_uppercase()),
        accepted(3, "Tell me a story", &story(50)),
        // Another question, and nearly the same answer; and the other way round.
        accepted(4, &story(0), "yes"),
        accepted(5, &story(1), "no"),
        accepted(6, &story(2), "yes"),
    ];
    let (placed, counts) = fixture::export(SFT, &Recipe::default(), 0.0, &tasks);
    assert_eq!((counts.train, counts.near_duplicates), (4, 2), "{placed:?}");
    for (dropped, kept) in [(1, "c1"), (5, "c4")] {
        let told = about(&placed[dropped]);
        assert_eq!(
            (&told["why"], &told["kept"]),
            (&json!("near_duplicate"), &json!(kept))
        );
        assert!(told["likeness"].as_f64().unwrap() >= 0.85, "{told}");
    }
    let mut all = Recipe::default();
    all.export.near_duplicate = 0.0;
    assert_eq!(fixture::export(SFT, &all, 0.0, &tasks).1.train, 6);
}

#[test]
fn a_good_and_a_bad_answer_are_never_near_duplicates() {
    let tasks = [
        accepted(1, "Tell me a story", &story(0)),
        task(
            2,
            chat("Tell me a story", &story(1)),
            Outcome::Rejected,
            None,
        ),
    ];
    let (_, counts) = fixture::export(("kto", Flavour::Trl), &Recipe::default(), 0.0, &tasks);
    assert_eq!(counts.train, 2);
}

#[test]
fn sources_are_held_to_their_caps() {
    let by = |seq, model: &str, client: Option<&str>, question: &str| {
        let mut chat = chat(question, &format!("answer {seq}"));
        chat.answered_by = Some(model.to_owned());
        chat.key = client.map(str::to_owned);
        task(seq, chat, Outcome::Accepted, None)
    };
    let tasks = [
        by(1, "a/x", Some("k"), "one"),
        by(2, "a/x", Some("k"), "two"),
        by(3, "a/y", Some("l"), "Three"),
        by(4, "b/x", None, "three"),
        by(5, "b/x", None, "four"),
    ];
    let capped = |caps: CapRules| {
        let recipe = Recipe {
            caps,
            ..Recipe::default()
        };
        let (placed, counts) = fixture::export(SFT, &recipe, 0.0, &tasks);
        let kept = placed
            .iter()
            .filter(|one| matches!(one, Placed::Row { .. }));
        let kept: Vec<u64> = kept
            .map(|one| about(one)["seq"].as_u64().unwrap())
            .collect();
        (kept, counts.capped)
    };
    let none = CapRules::default();
    assert_eq!(capped(none), (vec![1, 2, 3, 4, 5], BTreeMap::new()));
    let per_model = CapRules {
        per_model: 1,
        ..none
    };
    assert_eq!(
        capped(per_model),
        (vec![1, 3, 4], [("model".into(), 2)].into())
    );
    let per_provider = CapRules {
        per_provider: 1,
        ..none
    };
    assert_eq!(
        capped(per_provider),
        (vec![1, 4], [("provider".into(), 3)].into())
    );
    let per_client = CapRules {
        per_client: 1,
        ..none
    };
    assert_eq!(
        capped(per_client),
        (vec![1, 3, 4], [("client".into(), 2)].into())
    );
    let per_question = CapRules {
        per_question: 1,
        ..none
    };
    assert_eq!(
        capped(per_question),
        (vec![1, 2, 3, 5], [("question".into(), 1)].into())
    );
    // What one cap leaves out does not count for another.
    let both = CapRules {
        per_model: 1,
        per_client: 2,
        ..none
    };
    assert_eq!(capped(both), (vec![1, 3, 4], [("model".into(), 2)].into()));
}

#[test]
fn what_a_cap_left_out_keeps_nothing_like_it_out() {
    let by = |seq, model: &str, answer: &str| {
        let mut chat = chat("q", answer);
        chat.answered_by = Some(model.to_owned());
        task(seq, chat, Outcome::Accepted, None)
    };
    let tasks = [by(1, "a", "first"), by(2, "a", "same"), by(3, "b", "same")];
    let mut recipe = Recipe::default();
    recipe.caps.per_model = 1;
    let (_, counts) = fixture::export(SFT, &recipe, 0.0, &tasks);
    assert_eq!((counts.train, counts.duplicates), (2, 0));
}

fn outcome() -> impl Strategy<Value = Outcome> {
    proptest::sample::select(Outcome::ALL.to_vec())
}

/// Tasks of few words, so that they meet: same prompts, answers, edits, sources.
fn tasks() -> impl Strategy<Value = Vec<Task>> {
    let one = (
        ("[a-cA ]{1,3}", "([ab] ?){0,14}", outcome()),
        proptest::option::of(("[ab ]{0,3}", any::<bool>())),
        proptest::collection::vec(any::<bool>(), 0..4),
        (0_u8..3, any::<bool>(), any::<bool>()),
    );
    proptest::collection::vec(one, 0..40).prop_map(|all| {
        (1..)
            .zip(all)
            .map(
                |(seq, ((question, answer, outcome), edit, passages, source))| {
                    let mut chat = chat(&question, &answer);
                    chat.answered_by = Some(format!("p/{}", source.0));
                    chat.key = source.1.then(|| "k".to_owned());
                    if source.2 {
                        chat.finish_reason = Some("length".to_owned());
                    }
                    let passages = passages.iter().enumerate();
                    let passages = passages.map(|(at, cited)| passage(&at.to_string(), *cited));
                    chat.passages = passages.collect();
                    let edit = edit.filter(|edit| !edit.0.trim().is_empty());
                    let outcome = if edit.is_some() {
                        Outcome::Accepted
                    } else {
                        outcome
                    };
                    let edit = edit.map(|(edit, rejected)| {
                        let rating = if rejected {
                            Rating::Rejected
                        } else {
                            Rating::Accepted
                        };
                        said(rating, Some(&edit))
                    });
                    task(seq, chat, outcome, edit)
                },
            )
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn everything_is_counted_and_the_same_twice(
        tasks in tasks(),
        caps in (0_u64..3, 0_u64..3, 0_u64..3, 0_u64..3),
        near in proptest::sample::select(vec![0.0, 0.5, 0.85, 1.0]),
        partially in any::<bool>(),
    ) {
        let mut recipe = Recipe::default();
        recipe.export.near_duplicate = near;
        recipe.kto.include_partially_accepted = partially;
        recipe.caps = CapRules {
            per_model: caps.0 * 3,
            per_provider: caps.1 * 4,
            per_client: caps.2 * 3,
            per_question: caps.3,
        };
        for one in EXPORTERS {
            let mut kept = None;
            for flavour in one.flavours() {
                let wanted = (one.kind(), *flavour);
                let (placed, counts) = fixture::export(wanted, &recipe, 0.3, &tasks);
                let again = fixture::export(wanted, &recipe, 0.3, &tasks);
                prop_assert_eq!(&again, &(placed.clone(), counts.clone()));
                let rows = lines(&placed);
                prop_assert_eq!(rows.len() as u64, counts.rows());
                let distinct: HashSet<_> = rows.iter().map(|row| normalised(row)).collect();
                prop_assert_eq!(distinct.len(), rows.len());
                // Short texts have a shape in every flavour.
                let kept = kept.get_or_insert_with(|| counts.clone());
                prop_assert_eq!(&*kept, &counts);
            }
        }
    }

    #[test]
    fn a_task_is_never_on_both_sides(tasks in tasks()) {
        let recipe = Recipe::default();
        let questions: BTreeMap<u64, String> = tasks
            .iter()
            .map(|task| (task.seq, conversation::last_user_text(&task.messages).unwrap()))
            .collect();
        let mut sides: BTreeMap<String, Side> = BTreeMap::new();
        // Nor is it on one side of one kind and on the other of another.
        for one in EXPORTERS {
            let wanted = (one.kind(), Flavour::Trl);
            for placed in fixture::export(wanted, &recipe, 0.5, &tasks).0 {
                if let Placed::Row { side, .. } = placed {
                    let seq = about(&placed)["seq"].as_u64().unwrap();
                    let before = sides.insert(normalised(&questions[&seq]), side);
                    prop_assert!(before.is_none_or(|before| before == side));
                }
            }
        }
    }

    #[test]
    fn nothing_rejected_or_unjudged_is_ever_in_sft(
        tasks in proptest::collection::vec(("[a-c]{1,3}", "[a-c]{1,3}", outcome()), 1..40),
        partially in any::<bool>(),
    ) {
        let mut recipe = Recipe::default();
        recipe.sft.include_partially_accepted = partially;
        let good: HashSet<_> = tasks
            .iter()
            .filter(|task| {
                task.2 == Outcome::Accepted || (partially && task.2 == Outcome::PartiallyAccepted)
            })
            .map(|task| (task.0.clone(), task.1.clone()))
            .collect();
        let tasks: Vec<Task> = (1..)
            .zip(&tasks)
            .map(|(seq, (question, answer, outcome))| task(seq, chat(question, answer), *outcome, None))
            .collect();
        for flavour in Flavour::ALL {
            let (placed, _) = fixture::export(("sft", flavour), &recipe, 0.3, &tasks);
            let (list, text) = match flavour {
                Flavour::ShareGpt => ("conversations", "value"),
                Flavour::Trl | Flavour::OpenAi => ("messages", "content"),
            };
            let found: HashSet<_> = lines(&placed)
                .iter()
                .map(|line| serde_json::from_str::<Value>(line).unwrap())
                .map(|row| {
                    let said = |at: usize| row[list][at][text].as_str().unwrap().to_owned();
                    (said(0), said(1))
                })
                .collect();
            prop_assert_eq!(&found, &good);
        }
    }

    #[test]
    fn the_answers_of_a_pair_are_a_good_and_a_bad_one_to_the_same_prompt(tasks in tasks()) {
        let (placed, _) = fixture::export(("preference", Flavour::Trl), &Recipe::default(), 0.0, &tasks);
        for one in placed.iter().filter(|one| matches!(one, Placed::Row { .. })) {
            let told = about(one);
            let Placed::Row { line, .. } = one else { continue };
            let row: Value = serde_json::from_str(line).unwrap();
            let of = |name: &str| {
                let id = told[name].as_str().unwrap();
                tasks.iter().find(|task| task.id == id).unwrap()
            };
            let (bad, good) = (of("id"), of("chosen_id"));
            prop_assert_eq!(&good.messages, &bad.messages);
            prop_assert_eq!(good.outcome, Outcome::Accepted);
            prop_assert_eq!(&row["chosen"][0]["content"], &json!(good.answer));
            let worse = bad.original_answer.as_ref().unwrap_or(&bad.answer);
            prop_assert_eq!(&row["rejected"][0]["content"], &json!(worse));
            prop_assert_eq!(bad.outcome == Outcome::Rejected, bad.original_answer.is_none());
            prop_assert_ne!(normalised(&good.answer), normalised(worse));
        }
    }
}
