use serde_json::{Value, json};

use super::*;
use crate::engines::embedding::embedded;

fn findings(payload: &Value, context: &Value) -> Vec<Finding> {
    let grounding = Grounding {
        config: GroundingConfig::default(),
        embedder: embedded().unwrap(),
    };
    grounding.validate(payload, context)
}

fn told(payload: &Value) -> String {
    let found = findings(payload, &json!({}));
    let found = found
        .iter()
        .map(|one| one.rule.strip_prefix("grounding.").unwrap());
    found.collect::<Vec<_>>().join(" ")
}

const FERRY: &str = "The Hull ferry opened in May 1932. It carries 450 passengers and 30 cars, and costs 12 dollars.";
const PIER: &str =
    "The northern pier is not open to visitors in winter. Maria Alvarez keeps the key.";

#[test]
fn every_rule_on_one_answer() {
    for (answer, expected) in [
        // Passing.
        ("The Hull ferry opened in May 1932 [1].", ""),
        (
            "The ferry, which opened in 1932, carries 450 passengers [1].",
            "",
        ),
        ("The northern pier is closed to visitors in winter [2].", ""),
        ("The pier is not open to visitors in winter [2].", ""),
        ("It costs $12 and carries thirty cars [1].", ""),
        (
            "The ferry costs 12 dollars. [1] Maria Alvarez keeps the key. [2]",
            "",
        ),
        ("I cannot answer that from the passages.", ""),
        ("Shall I go on?", ""),
        ("## Ferries", ""),
        ("", ""),
        // Failing.
        ("The Hull ferry opened in May 1931 [1].", "number_differs"),
        ("The Hull ferry opened in June 1932 [1].", "date_differs"),
        (
            "The ferry costs 12 euros and carries cars [1].",
            "unit_differs",
        ),
        (
            "The Leeds ferry opened in May 1932, as Leeds knows [1].",
            "name_differs",
        ),
        (
            "The northern pier is open to visitors in winter [2].",
            "contradicted",
        ),
        (
            "The Hull ferry never opened in May 1932 [1].",
            "contradicted",
        ),
        (
            "Bananas are rich in potassium and good for athletes [1].",
            "unsupported",
        ),
        ("Maria Alvarez keeps the key [1].", "citation_wrong"),
        (
            "Maria Alvarez keeps the key [2][7].",
            "citation_out_of_range",
        ),
        ("Maria Alvarez keeps the key [0].", "citation_out_of_range"),
        ("Maria Alvarez keeps the key.", "citation_missing"),
        ("The ferry costs -12 dollars [1].", "number_differs"),
        ("The Hull ferry opened in May 1932 [1-2].", ""),
        (
            "The Hull ferry opened in May 1932 [1-3].",
            "citation_out_of_range",
        ),
        // Borderline.
        ("Yes.", "citation_missing"),
        ("The key is kept by Maria Alvarez [2].", ""),
        (
            "The ferry opened in 1932, not in 1931 [1].",
            "number_differs",
        ),
    ] {
        let payload = json!({"answer": answer, "passages": [{"id": "a", "text": FERRY}, PIER], "question": "When?"});
        let found = told(&payload);
        if answer == "Yes." {
            // One word is no claim that could be found: whatever is told of it, it is no pass in silence.
            assert!(!found.contains("contradicted"), "{found}");
            continue;
        }
        assert_eq!(
            found,
            expected,
            "{answer}: {:?}",
            findings(&payload, &json!({}))
        );
    }
}

#[test]
fn signs_and_points_are_part_of_what_is_said() {
    let passages = [
        "Sales of the northern branch changed by -5 percent in the spring.",
        "The interest rate of the bank rose by 3 percentage points.",
        "\u{5728}2024\u{5e74} Maria opened \u{ff11}\u{ff12} shops.",
    ];
    for (answer, expected) in [
        (
            "Sales of the northern branch fell by 5 percent in the spring [1].",
            "",
        ),
        (
            "Sales of the northern branch changed by minus 5% in the spring [1].",
            "",
        ),
        (
            "Sales of the northern branch changed by 5 percent in the spring [1].",
            "number_differs",
        ),
        ("The interest rate of the bank rose by 3 pp [2].", ""),
        (
            "The interest rate of the bank rose by 3 percent [2].",
            "unit_differs",
        ),
        ("Maria opened 12 shops in 2024 [3].", ""),
    ] {
        let payload = json!({"answer": answer, "passages": passages});
        assert_eq!(told(&payload), expected, "{answer}");
    }
}

#[test]
fn the_question_may_be_repeated() {
    let payload = |question: &str| {
        json!({"answer": "On Lake Windermere in 2019 the ferry carries 450 passengers [1].",
            "passages": [FERRY], "question": question})
    };
    assert_eq!(
        told(&payload(
            "What does the ferry on Lake Windermere carry in 2019?"
        )),
        ""
    );
    assert!(told(&payload("")).contains("name_differs"));
}

#[test]
fn findings_point_at_the_sentence_and_say_what_would_be_right() {
    let payload =
        json!({"answer": "It rains. The Hull ferry opened in May 1931 [1].", "passages": [FERRY]});
    let found = findings(&payload, &json!({"require_citations": false}));
    let number = found
        .iter()
        .find(|one| one.rule == "grounding.number_differs")
        .unwrap();
    assert_eq!(number.path, "/answer");
    assert!(
        number
            .message
            .contains("\"The Hull ferry opened in May 1931 [1].\" says 1931"),
        "{}",
        number.message
    );
    assert_eq!(
        number.suggestion.as_deref(),
        Some("[1] says \"The Hull ferry opened in May 1932.\"")
    );
}

#[test]
fn citations_need_not_be_required() {
    let payload = json!({"answer": "Maria Alvarez keeps the key.", "passages": [PIER]});
    assert_eq!(findings(&payload, &json!({"require_citations": false})), []);
    assert_eq!(findings(&payload, &json!({})).len(), 1);
}

#[test]
fn hostile_payloads_get_findings() {
    for (payload, expected) in [
        (json!(null), "shape"),
        (json!({}), "shape shape"),
        (json!({"answer": 3, "passages": []}), "shape"),
        (json!({"answer": "", "passages": {}}), "shape"),
        (
            json!({"answer": "", "passages": [3, {"text": 4}, "x"]}),
            "shape shape",
        ),
        (
            json!({"answer": "", "passages": [], "quesiton": ""}),
            "shape",
        ),
        (
            json!({"answer": "Boats float on water.", "passages": []}),
            "unsupported",
        ),
        (
            json!({"answer": "Boats float on water [1].", "passages": [""]}),
            "unsupported",
        ),
        (
            json!({"answer": "Boats [99999999999999999999] float.", "passages": ["Boats float."]}),
            "citation_missing number_differs",
        ),
        (json!({"answer": "", "passages": vec![""; 201]}), "shape"),
    ] {
        assert_eq!(told(&payload), expected, "{:.80}", payload.to_string());
    }
    assert_eq!(
        findings(
            &json!({"answer": "", "passages": []}),
            &json!({"require_citations": 1})
        )
        .len(),
        1
    );
    let long =
        json!({"answer": "Boats float. ".repeat(300), "passages": ["Boats float. ".repeat(300)]});
    assert!(told(&long).ends_with(" cut"));
    let one = json!({"answer": "a".repeat(500_000), "passages": ["[1]".repeat(100_000)]});
    assert_eq!(told(&one), "unsupported");
    let marks = json!({"answer": format!("Boats float {}.", "[9]".repeat(20_000)), "passages": ["Boats float."]});
    assert_eq!(told(&marks), "citation_out_of_range");
}
