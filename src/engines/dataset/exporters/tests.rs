//! Each kind in each of its flavours, from tasks to the bytes of its rows.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::json;

use super::super::fixture::{self, chat, lines, passage, said, task};
use super::super::recipe::{AdmitRules, PreferenceRules, TripletRules};
use super::*;
use crate::types::evidence::{ChatEvidence, Rating};

fn rows(kind: &str, flavour: Flavour, tasks: &[Task]) -> Vec<String> {
    lines(&fixture::export((kind, flavour), &Recipe::default(), 0.0, tasks).0)
}

/// The one reason why there is no row.
fn refused(kind: &str, flavour: Flavour, one: Task) -> &'static str {
    let recipe = Recipe::default();
    let (placed, counts) = fixture::export((kind, flavour), &recipe, 0.0, &[one]);
    assert_eq!(placed.len(), 1, "{placed:?}");
    match counts.skipped.into_keys().next() {
        Some(Cow::Borrowed(reason)) => reason,
        other => panic!("{other:?}: {placed:?}"),
    }
}

fn good(chat: ChatEvidence) -> Task {
    task(1, chat, Outcome::Accepted, None)
}

/// A question to a model with a tool, which it called before it answered.
fn tooled() -> ChatEvidence {
    let mut chat = chat("And now?", "Rain.");
    let before = [
        json!({"role": "system", "content": "Be short."}),
        json!({"role": "user", "content": "Weather?"}),
        json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function",
            "function": {"name": "look", "arguments": "{\"at\": [1, 2]}"}}]}),
        json!({"role": "tool", "tool_call_id": "1", "content": "sun"}),
        json!({"role": "assistant", "content": "Sun."}),
    ];
    chat.messages.splice(0..0, before);
    chat.tools = vec![json!({"type": "function", "function": {"name": "look"}})];
    chat
}

#[test]
fn names_are_unique_and_found() {
    assert_eq!(kinds(), "rag, triplets, sft, preference, kto");
    for one in EXPORTERS {
        assert_eq!(exporter(one.kind()).map(Exporter::kind), Some(one.kind()));
        assert_eq!(one.flavours().first(), Some(&Flavour::Trl));
    }
    assert!(exporter("nothing").is_none());
}

#[test]
fn rag_rows_have_question_passages_answer_and_citations() {
    let mut chat = chat("q", "a [1]");
    chat.messages
        .insert(0, json!({"role": "system", "content": "s"}));
    chat.passages = vec![passage("p1", true), passage("p2", false)];
    // Widened bit by bit, it would be 0.8999999761581421.
    chat.passages[1].score = 0.9;
    let golden = concat!(
        r#"{"query":"q","passages":["#,
        r#"{"id":"p1","collection":"docs","text":"text of p1","score":0.5},"#,
        r#"{"id":"p2","collection":"docs","text":"text of p2","score":0.9}],"#,
        r#""answer":"a [1]","citations":["p1"]}"#
    );
    assert_eq!(rows("rag", Flavour::Trl, &[good(chat)]), [golden]);
}

#[test]
fn sft_rows_end_with_the_answer() {
    let plain = [good(chat("q", "a"))];
    let golden =
        r#"{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}"#;
    assert_eq!(rows("sft", Flavour::Trl, &plain), [golden]);
    assert_eq!(rows("sft", Flavour::OpenAi, &plain), [golden]);
    let golden = r#"{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]}"#;
    assert_eq!(rows("sft", Flavour::ShareGpt, &plain), [golden]);
}

#[test]
fn sft_rows_write_tools_as_their_flavour_wants() {
    let golden = |content: &str, arguments: &str| {
        [
            r#"{"messages":[{"role":"system","content":"Be short."},"#,
            r#"{"role":"user","content":"Weather?"},"#,
            r#"{"role":"assistant","content":"#,
            content,
            r#","tool_calls":[{"id":"1","type":"function","function":{"name":"look","arguments":"#,
            arguments,
            r#"}}]},{"role":"tool","content":"sun","tool_call_id":"1"},"#,
            r#"{"role":"assistant","content":"Sun."},{"role":"user","content":"And now?"},"#,
            r#"{"role":"assistant","content":"Rain."}],"#,
            r#""tools":[{"type":"function","function":{"name":"look"}}]}"#,
        ]
        .concat()
    };
    let tasks = [good(tooled())];
    let trl = golden(r#""""#, r#"{"at":[1,2]}"#);
    assert_eq!(rows("sft", Flavour::Trl, &tasks), [trl]);
    let openai = golden("null", r#""{\"at\": [1, 2]}""#);
    assert_eq!(rows("sft", Flavour::OpenAi, &tasks), [openai]);
    let sharegpt = refused("sft", Flavour::ShareGpt, good(tooled()));
    assert_eq!(sharegpt, "tools_in_sharegpt");
}

#[test]
fn preference_rows_set_an_edit_against_the_answer_before_it() {
    let edit = said(Rating::PartiallyAccepted, Some("better"));
    let tasks = [task(7, chat("q", "worse"), Outcome::Accepted, Some(edit))];
    let golden = concat!(
        r#"{"prompt":[{"role":"user","content":"q"}],"#,
        r#""chosen":[{"role":"assistant","content":"better"}],"#,
        r#""rejected":[{"role":"assistant","content":"worse"}]}"#
    );
    assert_eq!(rows("preference", Flavour::Trl, &tasks), [golden]);
    let golden = concat!(
        r#"{"input":{"messages":[{"role":"user","content":"q"}],"#,
        r#""tools":[],"parallel_tool_calls":true},"#,
        r#""preferred_output":[{"role":"assistant","content":"better"}],"#,
        r#""non_preferred_output":[{"role":"assistant","content":"worse"}]}"#
    );
    assert_eq!(rows("preference", Flavour::OpenAi, &tasks), [golden]);
}

#[test]
fn preference_rows_keep_the_tools_of_their_prompt() {
    let edit = said(Rating::Rejected, Some("Snow."));
    let tasks = [task(7, tooled(), Outcome::Accepted, Some(edit))];
    let row = |flavour| -> Value {
        serde_json::from_str(&rows("preference", flavour, &tasks)[0]).unwrap()
    };
    let (trl, openai) = (row(Flavour::Trl), row(Flavour::OpenAi));
    assert_eq!(trl["tools"], openai["input"]["tools"]);
    let arguments = "/2/tool_calls/0/function/arguments";
    assert_eq!(
        trl["prompt"].pointer(arguments),
        Some(&json!({"at": [1, 2]}))
    );
    let openai = openai["input"]["messages"].pointer(arguments);
    assert_eq!(openai, Some(&json!("{\"at\": [1, 2]}")));
}

#[test]
fn preference_rows_set_accepted_against_rejected_answers_to_the_same_prompt() {
    let bad = |seq, answer: &str| task(seq, chat("q", answer), Outcome::Rejected, None);
    let mut other = chat("q", "elsewhere");
    other
        .messages
        .insert(0, json!({"role": "system", "content": "s"}));
    let tasks = [
        bad(1, "wrong"),
        task(2, chat("q", "right"), Outcome::Accepted, None),
        bad(3, "RIGHT "),
        bad(4, "worse"),
        task(5, other, Outcome::Accepted, None),
        task(6, chat("q", "perhaps"), Outcome::NeedsReview, None),
    ];
    let recipe = Recipe::default();
    let wanted = ("preference", Flavour::Trl);
    let (placed, counts) = fixture::export(wanted, &recipe, 0.0, &tasks);
    let pairs: Vec<Value> = lines(&placed)
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|row: Value| json!([row["chosen"][0]["content"], row["rejected"][0]["content"]]))
        .collect();
    assert_eq!(
        pairs,
        [json!(["right", "wrong"]), json!(["right", "worse"])]
    );
    assert_eq!(counts.paired, 1);
    let skipped = ["needs_review", UNRIVALLED, "same_answers"].map(|reason| (reason.into(), 1));
    assert_eq!(counts.skipped, skipped.into());
    let super::super::Placed::Row { about, .. } = &placed[0] else {
        panic!("{placed:?}")
    };
    let about: Value = serde_json::from_str(about).unwrap();
    assert_eq!(
        (&about["id"], &about["chosen_id"], &about["pair"]),
        (&json!("c1"), &json!("c2"), &json!("answers"))
    );
}

#[test]
fn an_answer_that_is_no_example_contests_no_prompt() {
    let mut cut = chat("q", "half");
    cut.finish_reason = Some("length".to_owned());
    let tasks = [
        task(1, cut, Outcome::Rejected, None),
        task(2, chat("q", " "), Outcome::Rejected, None),
        task(3, chat("q", "a"), Outcome::Accepted, None),
    ];
    let wanted = ("preference", Flavour::Trl);
    let (_, counts) = fixture::export(wanted, &Recipe::default(), 0.0, &tasks);
    assert_eq!((counts.rows(), counts.paired), (0, 0));
    assert_eq!(counts.skipped[UNRIVALLED], 1);
}

#[test]
fn what_makes_no_pair_is_named() {
    let mut cut = chat("q", "half");
    cut.finish_reason = Some("length".to_owned());
    let mut after_a_tool = tooled();
    after_a_tool.messages.truncate(4);
    let edited = |edit: &str, chat| {
        task(
            1,
            chat,
            Outcome::Accepted,
            Some(said(Rating::Rejected, Some(edit))),
        )
    };
    for (one, reason) in [
        (
            task(1, chat("q", "bad"), Outcome::Rejected, None),
            "no_accepted_answer",
        ),
        (task(1, cut.clone(), Outcome::Rejected, None), "cut_short"),
        (
            task(1, chat("q", " "), Outcome::Rejected, None),
            "empty_answer",
        ),
        (good(chat("q", "a")), "no_rejected_answer"),
        (edited("b", cut), "cut_short"),
        (edited("A ", chat("q", "a")), "same_answers"),
        (edited("b", chat("q", "")), "empty_answer"),
        (edited("b", after_a_tool), "prompt_does_not_end_with_user"),
        // Only what was taken out told them apart.
        (
            edited("Ask a@b.co", chat("q", "Ask c@d.co")),
            "same_answers",
        ),
    ] {
        assert_eq!(refused("preference", Flavour::Trl, one), reason);
    }
}

#[test]
fn kto_rows_are_labelled() {
    let tasks = [
        task(1, chat("q", "right"), Outcome::Accepted, None),
        task(2, chat("q", "wrong"), Outcome::Rejected, None),
        task(3, chat("q", "half"), Outcome::PartiallyAccepted, None),
        task(
            4,
            chat("r", "bad"),
            Outcome::Accepted,
            Some(said(Rating::Rejected, Some("edited"))),
        ),
        task(
            5,
            chat("s", "not so bad"),
            Outcome::Accepted,
            Some(said(Rating::Accepted, Some("polished"))),
        ),
    ];
    let row = |question: &str, answer: &str, label: bool| {
        format!(
            concat!(
                r#"{{"prompt":[{{"role":"user","content":"{}"}}],"#,
                r#""completion":[{{"role":"assistant","content":"{}"}}],"label":{}}}"#
            ),
            question, answer, label
        )
    };
    let golden = [
        row("q", "right", true),
        row("q", "wrong", false),
        row("r", "edited", true),
        row("r", "bad", false),
        row("s", "polished", true),
    ];
    assert_eq!(rows("kto", Flavour::Trl, &tasks), golden);
    let (_, counts) = fixture::export(("kto", Flavour::Trl), &Recipe::default(), 0.0, &tasks);
    assert_eq!((counts.read, counts.further, counts.rows()), (5, 1, 5));
    let mut cut = chat("q", "half");
    cut.error = Some("gone".to_owned());
    let cut = task(1, cut, Outcome::Rejected, None);
    assert_eq!(refused("kto", Flavour::Trl, cut), "cut_short");
}

#[test]
fn one_answer_may_be_good_to_one_and_bad_to_another() {
    let tasks = [
        task(1, chat("q", "a"), Outcome::Accepted, None),
        task(2, chat("q", "a"), Outcome::Rejected, None),
        task(3, chat("q", "a"), Outcome::Rejected, None),
    ];
    let (placed, counts) = fixture::export(("kto", Flavour::Trl), &Recipe::default(), 0.0, &tasks);
    assert_eq!((lines(&placed).len(), counts.duplicates), (2, 1));
}

#[test]
fn triplets_set_cited_passages_against_the_hardest_that_were_not() {
    let mut chat = chat("q", "a [2]");
    chat.passages = ["n1", "p1", "n2", "n3", "p2"]
        .map(|id| passage(id, id.starts_with('p')))
        .into();
    // The same words as a cited passage, from another document.
    let copy = crate::types::evidence::PassageEvidence {
        text: "Text of  p1".to_owned(),
        ..passage("n0", false)
    };
    chat.passages.insert(0, copy);
    let mut recipe = Recipe::default();
    recipe.triplets.negatives_per_positive = 2;
    let wanted = ("triplets", Flavour::Trl);
    let (placed, counts) = fixture::export(wanted, &recipe, 0.0, &[good(chat)]);
    let row = |positive: &str, negative: &str| {
        format!(
            r#"{{"anchor":"q","positive":"text of {positive}","negative":"text of {negative}"}}"#
        )
    };
    let golden = [
        row("p1", "n1"),
        row("p1", "n2"),
        row("p2", "n1"),
        row("p2", "n2"),
    ];
    assert_eq!(lines(&placed), golden);
    assert_eq!((counts.read, counts.further, counts.train), (1, 3, 4));
    let super::super::Placed::Row { about, .. } = &placed[1] else {
        panic!("{placed:?}")
    };
    let about: Value = serde_json::from_str(about).unwrap();
    assert_eq!(
        (&about["negative_id"], &about["negative_rank"]),
        (&json!("n2"), &json!(4))
    );
}

#[test]
fn a_passage_that_says_nearly_what_a_cited_one_says_is_no_negative() {
    let words: Vec<String> = (0..40).map(|n| format!("word{n}")).collect();
    let with = |id: &str, text: String, cited| crate::types::evidence::PassageEvidence {
        text,
        ..passage(id, cited)
    };
    let mut chat = chat("q", "a");
    chat.passages = vec![
        with("p", words.join(" "), true),
        with("n", words[..38].join(" "), false),
    ];
    assert_eq!(
        refused("triplets", Flavour::Trl, good(chat.clone())),
        "no_negatives"
    );
    chat.passages[1].text = words[..20].join(" ");
    assert_eq!(rows("triplets", Flavour::Trl, &[good(chat)]).len(), 1);
}

#[test]
fn what_makes_no_row_is_named() {
    let user = json!({"role": "user", "content": "q"});
    let with = |messages: Vec<Value>, answer: &str, passages: Vec<bool>| {
        let mut chat = chat("", answer);
        chat.messages = messages;
        let passages = passages.into_iter().enumerate();
        chat.passages = passages
            .map(|(at, cited)| passage(&at.to_string(), cited))
            .collect();
        good(chat)
    };
    let edited = |chat| {
        task(
            1,
            chat,
            Outcome::Accepted,
            Some(said(Rating::Rejected, Some("b"))),
        )
    };
    let mut calling = chat("q", "");
    calling.tool_calls = vec![json!({"function": {"name": "f", "arguments": "{"}})];
    for (kind, one, reason) in [
        ("rag", with(vec![user.clone()], "a", vec![]), "no_passages"),
        ("rag", with(vec![], "a", vec![true]), "no_user_message"),
        ("rag", with(vec![], "", vec![true]), "empty_answer"),
        (
            "triplets",
            with(vec![user.clone()], "a", vec![]),
            "no_passages",
        ),
        (
            "triplets",
            with(vec![user.clone()], "a", vec![false]),
            "no_citation",
        ),
        (
            "triplets",
            with(vec![user.clone()], "a", vec![true]),
            "no_negatives",
        ),
        (
            "triplets",
            with(vec![], "a", vec![true, false]),
            "no_user_message",
        ),
        ("triplets", edited(chat("q", "a")), "edited_answer"),
        ("sft", with(vec![], "a", vec![]), "no_user_message"),
        (
            "sft",
            with(
                vec![user.clone(), json!({"role": "assistant", "content": "so"})],
                "a",
                vec![],
            ),
            "continues_assistant",
        ),
        ("sft", with(vec![user], " ", vec![]), "empty_answer"),
        (
            "sft",
            with(vec![json!(1)], "a", vec![]),
            "malformed_messages",
        ),
        ("sft", good(calling), "malformed_tool_arguments"),
    ] {
        assert_eq!(refused(kind, Flavour::Trl, one), reason, "{kind}");
    }
}

#[test]
fn rows_have_the_columns_they_declare() {
    let mut chat = tooled();
    chat.passages = vec![passage("p", true), passage("n", false)];
    let accepted = task(1, chat.clone(), Outcome::Accepted, None);
    chat.answer = "Fog.".to_owned();
    let tasks = [accepted, task(2, chat, Outcome::Rejected, None)];
    for one in EXPORTERS {
        for flavour in one.flavours() {
            for line in rows(one.kind(), *flavour, &tasks) {
                let row: Value = serde_json::from_str(&line).unwrap();
                let members: Vec<_> = row.as_object().unwrap().keys().cloned().collect();
                let declared = one.columns(*flavour).iter().map(|column| column.name);
                assert_eq!(
                    members,
                    declared.collect::<Vec<_>>(),
                    "{} {flavour}",
                    one.kind()
                );
            }
        }
    }
}

#[test]
fn no_recipe_admits_what_nobody_judged_and_only_two_kinds_what_was_rejected() {
    for partially in [true, false] {
        let rules = AdmitRules {
            include_partially_accepted: partially,
        };
        let triplets = TripletRules {
            include_partially_accepted: partially,
            ..TripletRules::default()
        };
        let preference = PreferenceRules {
            include_partially_accepted: partially,
            ..PreferenceRules::default()
        };
        let recipe = Recipe {
            rag: rules,
            triplets,
            sft: rules,
            preference,
            kto: rules,
            ..Recipe::default()
        };
        for one in EXPORTERS {
            let bad_too = ["preference", "kto"].contains(&one.kind());
            let admitted = Outcome::ALL.map(|outcome| one.admits(outcome, &recipe));
            assert_eq!(
                admitted,
                [true, partially, false, bad_too],
                "{}",
                one.kind()
            );
        }
    }
}

fn hostile_text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,20}",
        Just(String::new()),
        Just("\u{0}\u{feff}\u{202e}\u{1f6a3}".to_owned()),
        Just(r#"\ud800 "\udfff" {"a": "\ud800"}"#.to_owned()),
        Just("---\n- split: train\n\u{2028}\r\n".to_owned()),
        Just("long word ".repeat(2_000)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_messages_never_panic_and_rows_stay_lines_of_json(
        role in "user|assistant|tool|wizard",
        text in hostile_text(),
        shape in 0_u8..6,
        answers in proptest::collection::vec(hostile_text(), 2),
        edit in proptest::option::of(hostile_text()),
    ) {
        let content = match shape {
            0 => json!(text),
            1 => json!([{"type": "text", "text": text}]),
            2 => json!([{"type": "image_url"}, text]),
            3 => json!({"text": text}),
            4 => json!(null),
            _ => json!(1),
        };
        let hostile = |answer: &str, calls: bool| {
            let mut chat = chat(&text, answer);
            chat.passages = vec![passage(&text, true), passage("n", false)];
            chat.messages.insert(0, json!({"role": role, "content": content}));
            if calls {
                chat.messages[0]["tool_calls"] = content.clone();
                let function = json!({"name": text, "arguments": text});
                chat.tool_calls = vec![json!({"id": text, "function": function})];
                chat.tools = vec![content.clone()];
            }
            chat
        };
        let edit = edit.map(|edit| said(Rating::Rejected, Some(&edit)));
        let tasks = [
            task(1, hostile(&answers[0], false), Outcome::Accepted, None),
            task(2, hostile(&answers[1], false), Outcome::Rejected, None),
            task(3, hostile(&answers[1], true), Outcome::Accepted, None),
            task(4, hostile(&answers[0], false), Outcome::Accepted, edit),
        ];
        for one in EXPORTERS {
            for flavour in one.flavours() {
                for line in rows(one.kind(), *flavour, &tasks) {
                    prop_assert!(!line.contains(['\n', '\r']));
                    prop_assert!(serde_json::from_str::<Value>(&line).is_ok());
                }
            }
        }
    }
}
