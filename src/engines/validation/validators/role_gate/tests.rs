use serde_json::{Value, json};

use super::*;

fn told(payload: Value, context: Value) -> String {
    let gate = RoleGate {
        config: RoleGateConfig::default(),
    };
    let found = gate.validate(&payload, &context);
    let found = found.iter().map(|one| {
        format!(
            "{}{}",
            one.rule.strip_prefix("role_gate.").unwrap(),
            one.path
        )
    });
    found.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_field_of_the_settings_is_read_instead() {
    let gate = RoleGate {
        config: RoleGateConfig {
            role_field: "audience".to_owned(),
            ..RoleGateConfig::default()
        },
    };
    let payload = json!({"passages": [
        {"text": "a", "audience": "board"},
        {"text": "b", "payload": {"audience": ["nurse"]}, "role": "board"},
        {"text": "c", "metadata": {"audience": "board"}},
    ], "messages": [{"role": "user", "content": "d", "audience": "user"}]});
    let found = gate.validate(&payload, &json!({"role": "nurse"}));
    let paths: Vec<&str> = found.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["/passages/0", "/passages/2", "/messages/0"]);
    let schema = gate.schema().to_string();
    assert!(
        schema.contains(r#""audience":{"type":["string","array"]"#),
        "{schema}"
    );
}

const SECRET: &str = "The board plans to close the Hull office at the end of the coming year.";

#[test]
fn what_is_for_another_role_is_told() {
    let nurse = json!({"role": "nurse"});
    for (item, expected) in [
        (json!({"text": "a", "role": "nurse"}), ""),
        (json!({"text": "a"}), ""),
        (
            json!({"text": "a", "role": "doctor"}),
            "other_role/passages/0",
        ),
        (json!({"text": "a", "role": ["doctor", "nurse"]}), ""),
        (
            json!({"text": "a", "role": ["doctor", "board"]}),
            "other_role/passages/0",
        ),
        (
            json!({"text": "a", "payload": {"role": "doctor"}}),
            "other_role/passages/0",
        ),
        (
            json!({"text": "a", "metadata": {"role": "nurse"}, "role": "doctor"}),
            "",
        ),
        // A mark that cannot be read is for nobody, and none hides another.
        (json!({"text": "a", "role": 5}), "other_role/passages/0"),
        (json!({"text": "a", "role": []}), "other_role/passages/0"),
        (
            json!({"text": "a", "payload": {"role": {}}}),
            "other_role/passages/0",
        ),
        (
            json!({"text": "a", "payload": {"role": null}, "role": "doctor"}),
            "other_role/passages/0",
        ),
        (json!({"text": "a", "role": null}), ""),
        // Roles are words, not prefixes; and a passage has no speaker.
        (
            json!({"text": "a", "role": "nurse2"}),
            "other_role/passages/0",
        ),
        (
            json!({"text": "a", "role": "system"}),
            "other_role/passages/0",
        ),
        (json!({"role": "nurse"}), "shape/passages/0"),
        (json!("text"), "shape/passages/0"),
    ] {
        assert_eq!(
            told(json!({"passages": [item]}), nurse.clone()),
            expected,
            "{item}"
        );
    }
    let messages = json!({"messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi", "metadata": {"role": "doctor"}},
        {"role": "doctor", "content": "x"},
    ]});
    assert_eq!(
        told(messages, nurse),
        "other_role/messages/1 other_role/messages/2"
    );
    let two = json!({"role": ["nurse", "doctor"]});
    assert_eq!(
        told(json!({"passages": [{"text": "a", "role": "doctor"}]}), two),
        ""
    );
    let strict = json!({"role": "nurse", "strict": true});
    assert_eq!(
        told(
            json!({"passages": [{"text": "a"}, {"text": "b", "role": "nurse"}]}),
            strict
        ),
        "unmarked/passages/0"
    );
}

#[test]
fn an_answer_does_not_repeat_what_it_may_not_see() {
    let nurse = json!({"role": "nurse"});
    let passages = |more: Value| json!([{"text": SECRET, "role": "board"}, more]);
    let open = json!({"text": "Shifts begin at eight.", "role": "nurse"});
    for (answer, more, question, expected) in [
        (
            "As planned: the board plans to close the Hull office at the end of the year.",
            &open,
            "",
            true,
        ),
        ("Shifts begin at eight.", &open, "", false),
        ("The board plans to close.", &open, "", false),
        ("the board plans to close the hull office", &open, "", true),
        ("the board plans to close the hull", &open, "", false),
        // It stands in what may be seen, too.
        (SECRET, &json!({"text": SECRET, "role": "nurse"}), "", false),
        (SECRET, &open, SECRET, false),
    ] {
        let payload =
            json!({"passages": passages(more.clone()), "answer": answer, "question": question});
        let found = told(payload, nurse.clone());
        assert_eq!(found.contains("leak/answer"), expected, "{answer}: {found}");
        assert!(found.starts_with("other_role/passages/0"), "{found}");
    }
}

#[test]
fn hostile_payloads_get_findings() {
    for (payload, context, expected) in [
        (json!({"passages": []}), json!({}), "shape"),
        (json!({"passages": []}), json!({"role": []}), "shape"),
        (json!({"passages": []}), json!({"role": " "}), "shape"),
        (
            json!({"passages": []}),
            json!({"role": "a", "strict": 1}),
            "shape",
        ),
        (json!({}), json!({"role": "a"}), "shape/passages"),
        (
            json!({"passages": {}}),
            json!({"role": "a"}),
            "shape/passages",
        ),
        (
            json!({"pasages": []}),
            json!({"role": "a"}),
            "shape/pasages shape/passages",
        ),
        (json!(3), json!({"role": "a"}), "shape"),
        (
            json!({"passages": vec![json!({"text": ""}); 1_001]}),
            json!({"role": "a"}),
            "shape/passages",
        ),
    ] {
        assert_eq!(
            told(payload.clone(), context),
            expected,
            "{:.60}",
            payload.to_string()
        );
    }
    let long = "word ".repeat(200_000);
    let payload = json!({"passages": [{"text": long, "role": "b"}], "answer": long});
    assert_eq!(
        told(payload, json!({"role": "a"})),
        "other_role/passages/0 leak/answer"
    );
}
