//! `secrets`: credentials in any JSON.

use serde_json::{Value, json};

use super::Parts;
use super::leaves;
use super::sought::{Sought, schema};
use crate::engines::validation::shown::{masked, with_article};
use crate::engines::validation::{Rule, Validator, secrets};
use crate::types::validation::Finding;

const CONTEXT: Rule = Rule::critical("secrets.context", "The context is as the schema says.");
const FOUND: Rule = Rule::critical(
    "secrets.found",
    "No text, number or name holds a credential.",
);
const RULES: &[Rule] = &[CONTEXT, FOUND];

/// Finds credentials.
struct SecretsValidator;

pub(super) fn build(_: &Parts<'_>) -> Box<dyn Validator> {
    Box::new(SecretsValidator)
}

impl Validator for SecretsValidator {
    fn name(&self) -> &'static str {
        "secrets"
    }

    fn schema(&self) -> Value {
        schema(json!(["password", "API key"]))
    }

    fn rules(&self) -> &'static [Rule] {
        RULES
    }

    fn validate(&self, payload: &Value, context: &Value) -> Vec<Finding> {
        let mut sought = Sought::read(context, CONTEXT);
        leaves::each(payload, &mut |path, text| {
            for found in secrets::find(&text) {
                if sought.is_left_out(found.kind) {
                    continue;
                }
                let secret = text.get(found.span.clone()).unwrap_or_default();
                let line = secret.lines().next().unwrap_or_default();
                let shown = masked(line, found.shown_head, 0);
                let message = format!(
                    "{} at byte {}: {shown}",
                    with_article(found.kind),
                    found.span.start
                );
                let suggestion = Some("leave it out, and revoke it".to_owned());
                sought.found(FOUND.suggesting(path, message, suggestion));
            }
        });
        sought.findings(FOUND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_found_wherever_they_are_and_are_not_repeated() {
        let key = format!("AKIA{}", "ABCDEFGHIJ234567");
        for (payload, path) in [
            (json!({"text": format!("use {key}")}), "/text"),
            (json!({"text": ["fine", key.as_str()]}), "/text/1"),
            (json!([{"config": {"aws": key.as_str()}}]), "/0/config/aws"),
            (json!({"a": {key.as_str(): 1}}), "/a"),
        ] {
            let findings = SecretsValidator.validate(&payload, &json!({}));
            assert_eq!(findings.len(), 1, "{payload}");
            assert_eq!(findings[0].path, path);
            let told = serde_json::to_string(&findings).unwrap();
            assert!(!told.contains(&key) && told.contains("AKIA****"), "{told}");
        }
        let fine = SecretsValidator.validate(&json!({"text": "nothing here"}), &json!({}));
        assert_eq!(fine, []);
    }

    #[test]
    fn kinds_are_left_out_by_their_names() {
        let payload = json!({"text": "Your password is: hunter2!"});
        let run = |context: Value| SecretsValidator.validate(&payload, &context).len();
        assert_eq!(run(json!({"except": ["Password"]})), 0);
        assert_eq!(run(json!({"except": "password"})), 0);
        assert_eq!(run(json!({"except": ["API key"]})), 1);
    }
}
