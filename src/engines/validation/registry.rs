//! The validators of this process, by name.

use std::sync::Arc;

use serde_json::{Value, json};

use super::validators::{Parts, TABLE};
use super::{Roster, ValidationConfig, ValidationError, Validator};
use crate::types::validation::Report;

/// Known validators; immutable, cheap to share behind an `Arc`.
pub struct Validators {
    validators: Vec<Box<dyn Validator>>,
}

impl Validators {
    /// Builds every validator of the table.
    ///
    /// Errors: [`ValidationError::Config`] names the field and its range.
    pub fn new(config: &ValidationConfig, roster: Roster) -> Result<Self, ValidationError> {
        config.validate().map_err(ValidationError::Config)?;
        let parts = Parts {
            config,
            roster: Arc::new(roster),
        };
        Ok(Self {
            validators: TABLE.iter().map(|build| build(&parts)).collect(),
        })
    }

    /// Judges `payload` in `context` by the validator `kind`.
    ///
    /// Errors: [`ValidationError::UnknownKind`] only; whatever is wrong with the payload is in the
    /// report.
    pub fn run(
        &self,
        kind: &str,
        payload: &Value,
        context: &Value,
    ) -> Result<Report, ValidationError> {
        match self
            .validators
            .iter()
            .find(|validator| validator.name() == kind)
        {
            Some(validator) => Ok(Report::new(validator.validate(payload, context))),
            None => Err(ValidationError::UnknownKind {
                kind: super::shown::quoted(kind),
                known: self.names().collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// The kinds that [`run`](Self::run) takes.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.validators.iter().map(|validator| validator.name())
    }

    /// Lists each validator with its JSON Schema and rules.
    pub fn describe(&self) -> Value {
        let described = self.validators.iter().map(|validator| {
            json!({
                "name": validator.name(),
                "schema": validator.schema(),
                "rules": validator.rules(),
            })
        });
        Value::Array(described.collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::engines::validation::DEMO_ROSTER;
    use crate::types::error_kind::ErrorKind;

    fn validators() -> Validators {
        let roster = Roster::parse_csv(DEMO_ROSTER).unwrap();
        Validators::new(&ValidationConfig::default(), roster).unwrap()
    }

    #[test]
    fn an_unknown_kind_is_not_found_and_names_the_known_ones() {
        let error = validators().run("fil", &json!({}), &json!({})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(
            error.to_string(),
            r#"unknown validator "fil": known are fill, email"#
        );
    }

    #[test]
    fn bad_limits_are_refused() {
        let mut config = ValidationConfig::default();
        config.email.max_body = 0;
        let roster = Roster::parse_csv(DEMO_ROSTER).unwrap();
        let error = Validators::new(&config, roster).err().unwrap();
        assert_eq!(
            error.to_string(),
            "validation.email.max_body is 0: use 1 to 10000000"
        );
    }

    #[test]
    fn each_validator_is_described_with_unique_rules_of_its_own_name() {
        let described = validators().describe();
        let mut ids = HashSet::new();
        for entry in described.as_array().unwrap() {
            let name = entry["name"].as_str().unwrap();
            let properties = &entry["schema"]["properties"];
            assert_eq!(properties["payload"]["type"], "object", "{name}");
            assert_eq!(properties["context"]["type"], "object", "{name}");
            for rule in entry["rules"].as_array().unwrap() {
                let id = rule["id"].as_str().unwrap();
                assert!(id.starts_with(&format!("{name}.")), "{id}");
                assert!(ids.insert(id.to_owned()), "{id} twice");
            }
        }
        assert!(ids.len() > 25, "{}", ids.len());
    }

    /// Any JSON, with the field names that the validators read.
    fn any_json() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            4 => proptest::sample::select(vec![
                "fills", "worker_id", "name", "role", "start", "end", "to", "cc", "subject", "body",
                "html", "attachments", "city", "state", "target_count", "client_id", "date",
                "max_subject", "max_body", "allowed_domains",
            ])
            .prop_map(str::to_owned),
            1 => ".{0,12}",
        ];
        let text = prop_oneof![
            2 => "\\PC{0,40}",
            1 => "(W-10[0-9]{2}|Dear |[A-Z]{2}[0-9]{2} |4111 |[-0-9 ]{0,24}){0,6}",
            1 => "(https?://|\\[|\\{\\{|é|@|<a href=\"|javascript:|[a-z0-9.]{1,9}){0,6}",
            1 => "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(Z|[-+][0-9]{2}:[0-9]{2})?)?",
            1 => "(password: |-----BEGIN PRIVATE KEY-----|sk-|eyJ|[a-z0-9.]{1,9}){0,6}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 8, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec((name.clone(), inner), 0..8)
                    .prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn any_json_gets_a_verdict_that_its_findings_explain(
            payload in any_json(), context in any_json(), fills in any_json(),
        ) {
            static VALIDATORS: LazyLock<Validators> = LazyLock::new(validators);
            let validators = &*VALIDATORS;
            for validator in &validators.validators {
                let rules: HashMap<_, _> =
                    validator.rules().iter().map(|rule| (rule.id, rule.severity)).collect();
                for payload in [&payload, &json!({"fills": [fills.clone()]})] {
                    let report = validators.run(validator.name(), payload, &context).unwrap();
                    for finding in &report.findings {
                        let rule = finding.rule.as_str();
                        prop_assert_eq!(rules.get(rule), Some(&finding.severity), "{}", rule);
                        let path = &finding.path;
                        prop_assert!(path.is_empty() || path.starts_with('/'), "{}", path);
                        prop_assert!(finding.message.len() < 2_000);
                    }
                    prop_assert_eq!(&Report::new(report.findings.clone()), &report);
                }
            }
        }
    }
}
