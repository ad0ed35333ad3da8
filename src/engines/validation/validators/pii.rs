//! `pii`: personal numbers in any JSON.

use serde_json::{Value, json};

use super::Parts;
use super::leaves;
use super::sought::{Sought, schema};
use crate::engines::validation::shown::{masked, with_article};
use crate::engines::validation::{Rule, Validator, pii};
use crate::types::validation::Finding;

const CONTEXT: Rule = Rule::critical("pii.context", "The context is as the schema says.");
const FOUND: Rule = Rule::critical(
    "pii.found",
    "No text, number or name holds a personal number.",
);
const RULES: &[Rule] = &[CONTEXT, FOUND];

/// Finds personal numbers.
struct PiiValidator;

pub(super) fn build(_: &Parts<'_>) -> Box<dyn Validator> {
    Box::new(PiiValidator)
}

impl Validator for PiiValidator {
    fn name(&self) -> &'static str {
        "pii"
    }

    fn schema(&self) -> Value {
        schema(json!(["card number"]))
    }

    fn rules(&self) -> &'static [Rule] {
        RULES
    }

    fn validate(&self, payload: &Value, context: &Value) -> Vec<Finding> {
        let mut sought = Sought::read(context, CONTEXT);
        leaves::each(payload, &mut |path, text| {
            for found in pii::find(&text) {
                let name = found.kind.name();
                if sought.is_left_out(name) {
                    continue;
                }
                let number = text.get(found.span.clone()).unwrap_or_default();
                let shown = masked(number, 0, found.kind.shown_tail());
                let message = format!(
                    "{} at byte {}: {shown}",
                    with_article(name),
                    found.span.start
                );
                let suggestion = Some("leave it out, or show its last digits".to_owned());
                sought.found(FOUND.suggesting(path, message, suggestion));
            }
        });
        sought.findings(FOUND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(payload: Value, context: Value) -> Vec<(String, String)> {
        let findings = PiiValidator.validate(&payload, &context);
        findings
            .into_iter()
            .map(|one| (one.path, one.message))
            .collect()
    }

    #[test]
    fn numbers_are_found_in_texts_lists_numbers_and_names_and_are_masked() {
        let card = "4111 1111 1111 1111";
        let masked = "**** **** **** 1111";
        for (payload, path, at) in [
            (json!({"text": format!("pay {card}")}), "/text", 4),
            (json!({"text": ["fine", card]}), "/text/1", 0),
            (json!(card), "", 0),
            (json!({"a": {card: 1}}), "/a", 0),
        ] {
            let expected = format!("a card number at byte {at}: {masked}");
            let told = found(payload, json!(null));
            assert_eq!(told, [(path.to_owned(), expected)]);
        }
        let number = found(json!({"n": 4_111_111_111_111_111_u64}), json!({}));
        assert_eq!(number[0].0, "/n");
        assert_eq!(
            found(json!({"text": "order 4111 1111 1111 1112"}), json!({})),
            []
        );
    }

    #[test]
    fn kinds_are_left_out_by_their_names() {
        let payload = json!({"text": "card 4111 1111 1111 1111"});
        assert_eq!(
            found(payload.clone(), json!({"except": ["card_number"]})),
            []
        );
        assert_eq!(found(payload.clone(), json!({"except": ["iban"]})).len(), 1);
        let wrong = PiiValidator.validate(&payload, &json!({"exept": ["iban"]}));
        assert_eq!(wrong[0].rule, "pii.context");
    }

    #[test]
    fn many_are_cut_short_and_the_rest_is_counted() {
        let many = vec!["4111 1111 1111 1111"; 300];
        let told = found(json!(many), json!({}));
        assert_eq!(told.len(), 101);
        assert!(told[100].1.contains("200 more"), "{:?}", told[100]);
    }
}
