//! The validators of this process, by name.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::policy::{Levels, Policy};
use super::shown::quoted;
use super::validators::{Parts, RuleFile, TABLE, read_rules};
use super::{
    Calendar, Live, PipelineConfig, Roster, Rule, ValidationConfig, ValidationError, Validator,
    pipeline,
};
use crate::engines::embedding;
use crate::engines::nearest::{listed, nearest};
use crate::types::validation::{Finding, Report};

/// What validators look things up in; replaced while they judge.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// The workers of record.
    pub roster: Arc<Live<Roster>>,
    /// What they are booked for.
    pub calendar: Arc<Live<Calendar>>,
}

impl From<Roster> for Tables {
    fn from(roster: Roster) -> Self {
        Self {
            roster: Arc::new(Live::new(roster)),
            calendar: Arc::default(),
        }
    }
}

/// Known validators; immutable, cheap to share behind an `Arc`.
pub struct Validators {
    validators: Vec<Box<dyn Validator>>,
    pipelines: BTreeMap<String, PipelineConfig>,
    policy: Policy,
}

impl Validators {
    /// Builds every validator of the table, and the pipelines of the settings, with a roster that stays as it is.
    ///
    /// Errors: [`ValidationError::Config`] names the field and what would be right.
    pub fn new(config: &ValidationConfig, roster: Roster) -> Result<Self, ValidationError> {
        Self::with_rules(config, &Tables::from(roster), &[])
    }

    /// The same with tables that are replaced from outside, and with validators of the operator's own.
    ///
    /// Errors: also the file, the rule and what is wrong with it.
    pub fn with_rules(
        config: &ValidationConfig,
        tables: &Tables,
        files: &[RuleFile],
    ) -> Result<Self, ValidationError> {
        config.validate().map_err(ValidationError::Config)?;
        let parts = Parts {
            config,
            tables,
            embedder: embedding::embedded()
                .map_err(|error| ValidationError::Config(error.to_string()))?,
        };
        let mut validators: Vec<_> = TABLE.iter().map(|build| build(&parts)).collect();
        for file in files {
            let custom =
                read_rules(file, config.custom.max_steps).map_err(ValidationError::Rules)?;
            let name = custom.name();
            let taken = validators.iter().any(|one| one.name() == name);
            if taken || name == pipeline::KIND {
                let said = format!("{}: the name {name} is taken", file.name);
                return Err(ValidationError::Rules(said));
            }
            validators.push(custom);
        }
        let built = validators.iter().flat_map(|one| one.rules());
        let known = pipeline::RULES.iter().chain(built).map(|rule| rule.id);
        let policy = Policy::new(&config.rules, &config.request_may_tune, known.collect())
            .map_err(ValidationError::Config)?;
        let built = Self {
            validators,
            pipelines: config.pipelines.clone(),
            policy,
        };
        for (name, config) in &built.pipelines {
            built
                .can_run(name, config)
                .map_err(|said| ValidationError::Config(format!("pipelines.{name}: {said}")))?;
        }
        Ok(built)
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
        self.run_with(kind, payload, context, &Levels::default())
    }

    /// The same with what a request says of the rules.
    ///
    /// Errors: also a rule that is not known, or that requests may not tune.
    pub fn run_with(
        &self,
        kind: &str,
        payload: &Value,
        context: &Value,
        rules: &Levels,
    ) -> Result<Report, ValidationError> {
        self.policy.check(rules)?;
        let findings = if kind == pipeline::KIND {
            match pipeline::of_context(context) {
                Ok(config) => self.steps(&config, payload, rules),
                Err(finding) => vec![finding],
            }
        } else if let Some(config) = self.pipelines.get(kind) {
            let mut findings = Vec::new();
            let config = pipeline::with_contexts(config, context, &mut findings);
            findings.extend(self.steps(&config, payload, rules));
            findings
        } else if let Some(validator) = self.find(kind) {
            validator.validate(payload, context)
        } else {
            let names: Vec<&str> = self.names().collect();
            return Err(ValidationError::UnknownKind {
                known: listed(kind, names.iter().copied(), names.len()),
                kind: quoted(kind),
            });
        };
        Ok(Report::new(self.policy.apply(rules, findings)))
    }

    fn steps(&self, config: &PipelineConfig, payload: &Value, rules: &Levels) -> Vec<Finding> {
        pipeline::run(config, payload, |kind, part, context| {
            let found = self.find(kind)?.validate(part, context);
            Some(self.policy.apply(rules, found))
        })
    }

    fn find(&self, kind: &str) -> Option<&dyn Validator> {
        let mut all = self.validators.iter();
        all.find(|one| one.name() == kind).map(AsRef::as_ref)
    }

    fn can_run(&self, name: &str, config: &PipelineConfig) -> Result<(), String> {
        if name == pipeline::KIND || self.find(name).is_some() {
            return Err(format!("the name {name} is taken by a validator"));
        }
        for (at, step) in config.steps.iter().enumerate() {
            let kind = step.kind.as_str();
            if kind == pipeline::KIND || self.pipelines.contains_key(kind) {
                return Err(format!(
                    "steps[{at}].kind: {kind} is a pipeline, which is no step of another"
                ));
            }
            if self.find(kind).is_none() {
                let kinds = self.validators.iter().map(|one| one.name());
                let meant = nearest(kind, kinds).map(|name| format!("; did you mean {name}?"));
                let kind = quoted(kind);
                let meant = meant.unwrap_or_default();
                return Err(format!("steps[{at}].kind: unknown validator {kind}{meant}"));
            }
        }
        Ok(())
    }

    /// The kinds that [`run`](Self::run) takes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let validators = self.validators.iter().map(|one| one.name());
        let named = self.pipelines.keys().map(String::as_str);
        validators.chain([pipeline::KIND]).chain(named)
    }

    /// Lists each validator with its JSON Schema, and its rules with what each counts as here.
    pub fn describe(&self) -> Value {
        let mut described: Vec<Value> = Vec::new();
        for validator in &self.validators {
            let rules = validator.rules().iter();
            described.push(self.entry(validator.name(), validator.schema(), rules));
        }
        let kinds = self.validators.iter().map(|one| one.name());
        let schema = pipeline::schema(kinds);
        described.push(self.entry(pipeline::KIND, schema, pipeline::RULES.iter()));
        for (name, config) in &self.pipelines {
            let (mut contexts, mut seen) = (Map::new(), HashSet::new());
            let mut rules: Vec<&Rule> = pipeline::RULES.iter().collect();
            let steps = config.steps.iter();
            for validator in steps.filter_map(|step| self.find(&step.kind)) {
                if seen.insert(validator.name()) {
                    let schema = validator.schema();
                    let context = schema.pointer("/properties/context").cloned();
                    contexts.insert(validator.name().to_owned(), context.unwrap_or(json!({})));
                    rules.extend(validator.rules());
                }
            }
            let schema = pipeline::named_schema(contexts);
            let mut entry = self.entry(name, schema, rules.into_iter());
            entry["pipeline"] = json!(config);
            described.push(entry);
        }
        Value::Array(described)
    }

    fn entry<'r>(&self, name: &str, schema: Value, rules: impl Iterator<Item = &'r Rule>) -> Value {
        let rules = rules.map(|rule| {
            json!({
                "id": rule.id,
                "severity": rule.severity,
                "description": rule.description,
                "effective": self.policy.level(rule.id, rule.severity),
                "request_may_tune": self.policy.may_tune(rule.id),
            })
        });
        json!({"name": name, "schema": schema, "rules": rules.collect::<Vec<_>>()})
    }
}

/// Refuses what is no name of a kind.
pub(super) fn name(name: &str) -> Result<(), String> {
    let letters = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
    let fine = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(letters);
    if fine && name.len() <= 64 {
        return Ok(());
    }
    let name = quoted(name);
    Err(format!(
        "{name} is no name: use small letters, digits, _ and -, at most 64, a letter first"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::engines::validation::DEMO_ROSTER;
    use crate::types::error_kind::ErrorKind;
    use crate::types::validation::Verdict;

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
            r#"unknown validator "fil": known are fill, email, json_schema, grounding, role_gate, secrets, pii, pipeline; did you mean fill?"#
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
            assert!(properties["payload"].is_object(), "{name}");
            assert_eq!(properties["context"]["type"], "object", "{name}");
            for rule in entry["rules"].as_array().unwrap() {
                let id = rule["id"].as_str().unwrap();
                assert!(id.starts_with(&format!("{name}.")), "{id}");
                assert!(ids.insert(id.to_owned()), "{id} twice");
            }
        }
        assert!(ids.len() > 25, "{}", ids.len());
    }

    #[test]
    fn rules_are_listed_with_what_they_count_as() {
        let settings = "request_may_tune = ['email.*']\n[rules]\n'email.pii' = 'off'";
        let config: ValidationConfig = toml::from_str(settings).unwrap();
        let roster = Roster::parse_csv(DEMO_ROSTER).unwrap();
        let validators = Validators::new(&config, roster).unwrap();
        let described = validators.describe();
        let rule = |id: &str| {
            let entries = described.as_array().unwrap().iter();
            let mut rules = entries.flat_map(|entry| entry["rules"].as_array().unwrap());
            rules.find(|rule| rule["id"] == id).unwrap().clone()
        };
        let pii = rule("email.pii");
        assert_eq!(
            (
                &pii["severity"],
                &pii["effective"],
                &pii["request_may_tune"]
            ),
            (&json!("critical"), &json!("off"), &json!(true))
        );
        let count = rule("fill.count");
        assert_eq!(
            (&count["effective"], &count["request_may_tune"]),
            (&json!("error"), &json!(false))
        );
        let mail = json!({"to": "a@b.example", "subject": "s", "body": "card 4111 1111 1111 1111"});
        let run = |rules: Value| {
            let rules = serde_json::from_value(rules).unwrap();
            validators.run_with("email", &mail, &json!({}), &rules)
        };
        assert_eq!(run(json!({})).unwrap().verdict, Verdict::Pass);
        let asked = run(json!({"email.pii": "error"})).unwrap();
        assert_eq!(asked.verdict, Verdict::Repairable);
        let refused = run(json!({"fill.count": "off"})).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Forbidden);
    }

    #[test]
    fn unknown_rules_are_refused_at_the_start() {
        let config: ValidationConfig = toml::from_str("[rules.email]\npij = 'off'").unwrap();
        let roster = Roster::parse_csv(DEMO_ROSTER).unwrap();
        let error = Validators::new(&config, roster).err().unwrap();
        assert_eq!(
            error.to_string(),
            "validation.rules: unknown rule \"email.pij\"; did you mean email.pii?"
        );
    }

    /// With a custom validator that uses every word there is.
    fn with_own() -> Validators {
        let text = r#"
            name = "own"
            description = "d"
            rules = [
                { id = "a", description = "d", path = "/fills", required = true, type = ["array", "object"], max_length = 2 },
                { id = "b", description = "d", path = "/fills/*/name", matches = "^[A-Z]", not_contains = "x", unique = true },
                { id = "c", description = "d", path = "/*/*", min = 0, max = 3, one_of = [1, "a", true], contains = 1 },
                { id = "d", description = "d", path = "/to", equals = "/subject", message = "{value} {path} {problem}" },
                { id = "e", description = "d", path = "/*", expr = "value == payload.name || size(value) > 1" },
                { id = "f", description = "d", expr = "payload.fills.map(x, x + x).all(y, y.name.matches(payload.body) && y < sum(payload.to))" },
                { id = "g", description = "d", expr = "payload.all(k, payload[k] == context[k] || double(k) / payload.end > -payload.start)" },
            ]
        "#;
        let file = RuleFile {
            name: "own.toml".to_owned(),
            text: text.to_owned(),
        };
        let roster = Roster::parse_csv(DEMO_ROSTER).unwrap();
        Validators::with_rules(&ValidationConfig::default(), &roster.into(), &[file]).unwrap()
    }

    #[test]
    fn a_custom_validator_is_listed_and_its_rules_have_levels() {
        let described = with_own().describe();
        let mut entries = described.as_array().unwrap().iter();
        let entry = entries.find(|entry| entry["name"] == "own").unwrap();
        assert_eq!(
            (&entry["name"], &entry["rules"][0]["id"]),
            (&json!("own"), &json!("own.a"))
        );
        let file = |name: &str| RuleFile {
            name: "x.toml".to_owned(),
            text: format!(
                "name = '{name}'\ndescription = ''\n[[rules]]\nid = 'r'\ndescription = ''\nrequired = true\nseverity = 'critical'"
            ),
        };
        let build = |settings: &str, files: &[RuleFile]| {
            let config: ValidationConfig = toml::from_str(settings).unwrap();
            let roster = Roster::parse_csv(DEMO_ROSTER).unwrap();
            Validators::with_rules(&config, &roster.into(), files)
        };
        let validators = build("[rules]\nown.r = 'warning'", &[file("own")]).unwrap();
        let report = validators.run("own", &Value::Null, &Value::Null).unwrap();
        assert_eq!((report.verdict, report.findings.len()), (Verdict::Pass, 1));
        for files in [
            &[file("email")][..],
            &[file("own"), file("own")],
            &[file("pipeline")],
        ] {
            let said = build("", files).err().unwrap().to_string();
            assert!(
                said.starts_with("validation.custom: x.toml: the name"),
                "{said}"
            );
        }
    }

    /// Any JSON, with the field names that the validators read.
    fn any_json() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            4 => proptest::sample::select(vec![
                "fills", "worker_id", "name", "role", "start", "end", "to", "cc", "subject", "body",
                "html", "attachments", "city", "state", "target_count", "client_id", "date",
                "max_subject", "max_body", "allowed_domains", "schema", "type", "$ref", "items",
                "answer", "passages", "text", "messages", "content", "certificates", "time_zone",
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
            static VALIDATORS: LazyLock<Validators> = LazyLock::new(with_own);
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
            let steps: Vec<_> = validators.validators.iter().map(|one| {
                json!({"kind": one.name(), "payload": "/fills", "context": {"except": context}})
            }).collect();
            for context in [&context, &json!({"steps": steps}), &json!({"steps": fills})] {
                let report = validators.run("pipeline", &payload, context).unwrap();
                prop_assert_eq!(&Report::new(report.findings.clone()), &report);
            }
        }
    }
}
