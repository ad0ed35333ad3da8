//! Which rules count, and how much: what the settings and one request say of them.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::ValidationError;
use super::shown::quoted;
use crate::engines::nearest::nearest;
use crate::types::validation::{Finding, Severity};

/// What a finding of a rule counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = RuleLevel))]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing: there is no finding.
    Off,
    /// Worth knowing.
    Warning,
    /// The verdict is at least `repairable`.
    Error,
    /// The verdict is `fail`.
    Critical,
}

impl Level {
    fn parse(word: &Value) -> Option<Self> {
        Self::deserialize(word).ok()
    }

    fn severity(self) -> Option<Severity> {
        match self {
            Self::Off => None,
            Self::Warning => Some(Severity::Warning),
            Self::Error => Some(Severity::Error),
            Self::Critical => Some(Severity::Critical),
        }
    }
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Warning => Self::Warning,
            Severity::Error => Self::Error,
            Severity::Critical => Self::Critical,
        }
    }
}

/// Levels by the id of their rule. A table in a table reads as one id: TOML has `email.pii = "off"` so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Levels(BTreeMap<String, Level>);

impl Levels {
    /// Whether nothing is said of any rule.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, prefix: &str, table: &serde_json::Map<String, Value>) -> Result<(), String> {
        for (name, value) in table {
            let id = match prefix {
                "" => name.clone(),
                prefix => format!("{prefix}.{name}"),
            };
            if let Some(table) = value.as_object() {
                self.take(&id, table)?;
                continue;
            }
            let level = Level::parse(value).ok_or_else(|| {
                let (id, value) = (quoted(&id), quoted(&value.to_string()));
                format!("rule {id} is {value}: use off, warning, error or critical")
            })?;
            self.0.insert(id, level);
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Levels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = serde_json::Map::deserialize(deserializer)?;
        let mut levels = Self::default();
        levels.take("", &table).map_err(D::Error::custom)?;
        Ok(levels)
    }
}

/// A word, or a table of the rules whose ids go on so.
#[cfg(feature = "server")]
impl schemars::JsonSchema for Levels {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Levels".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words = [Level::Off, Level::Warning, Level::Error, Level::Critical];
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": {"anyOf": [{"type": "string", "enum": words}, {"type": "object"}]},
        })
    }
}

/// What the settings say of the rules, checked against those that exist.
pub(super) struct Policy {
    levels: Levels,
    tunable: Vec<String>,
    known: Vec<&'static str>,
}

impl Policy {
    /// Refuses ids and patterns that no rule has.
    pub(super) fn new(
        levels: &Levels,
        tunable: &[String],
        known: Vec<&'static str>,
    ) -> Result<Self, String> {
        let policy = Self {
            levels: levels.clone(),
            tunable: tunable.to_vec(),
            known,
        };
        for id in levels.0.keys() {
            policy.exists(id).map_err(|said| format!("rules: {said}"))?;
        }
        for pattern in tunable {
            if !policy.known.iter().any(|id| covers(pattern, id)) {
                let said = policy.unknown(pattern);
                return Err(format!(
                    "request_may_tune: {said}; use an id, VALIDATOR.* or *"
                ));
            }
        }
        Ok(policy)
    }

    /// Whether a request may say another level of this rule.
    pub(super) fn may_tune(&self, id: &str) -> bool {
        self.tunable.iter().any(|pattern| covers(pattern, id))
    }

    /// Refuses what a request says of rules that do not exist or that it may not tune.
    pub(super) fn check(&self, asked: &Levels) -> Result<(), ValidationError> {
        for id in asked.0.keys() {
            self.exists(id).map_err(ValidationError::UnknownRule)?;
            if !self.may_tune(id) {
                return Err(ValidationError::FixedRule { rule: id.clone() });
            }
        }
        Ok(())
    }

    /// The level of a rule in this process, for requests that say nothing of it.
    pub(super) fn level(&self, id: &str, own: Severity) -> Level {
        self.levels.0.get(id).copied().unwrap_or_else(|| own.into())
    }

    /// Gives findings the severity that the request, else the settings, say; leaves out those that are off.
    pub(super) fn apply(&self, asked: &Levels, mut findings: Vec<Finding>) -> Vec<Finding> {
        if self.levels.is_empty() && asked.is_empty() {
            return findings;
        }
        findings.retain_mut(|finding| {
            let asked = asked.0.get(&finding.rule).copied();
            let level = asked.unwrap_or_else(|| self.level(&finding.rule, finding.severity));
            match level.severity() {
                Some(severity) => {
                    finding.severity = severity;
                    true
                }
                None => false,
            }
        });
        findings
    }

    fn exists(&self, id: &str) -> Result<(), String> {
        match self.known.contains(&id) {
            true => Ok(()),
            false => Err(self.unknown(id)),
        }
    }

    fn unknown(&self, id: &str) -> String {
        let given = quoted(id);
        match nearest(id, self.known.iter().copied()) {
            Some(meant) => format!("unknown rule {given}; did you mean {meant}?"),
            None => format!("unknown rule {given}; GET /v1/validators lists the rules"),
        }
    }
}

/// Whether a pattern, an id or `prefix.*` or `*`, stands for a rule.
fn covers(pattern: &str, id: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(prefix) => prefix.ends_with('.') && id.starts_with(prefix),
        None => pattern == id,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KNOWN: [&str; 3] = ["email.pii", "email.secret", "fill.count"];

    fn levels(value: Value) -> Levels {
        serde_json::from_value(value).unwrap()
    }

    fn policy(said: Value, tunable: &[&str]) -> Result<Policy, String> {
        let tunable: Vec<String> = tunable.iter().map(|word| (*word).to_owned()).collect();
        Policy::new(&levels(said), &tunable, KNOWN.to_vec())
    }

    fn finding(rule: &str, severity: Severity) -> Finding {
        Finding {
            rule: rule.to_owned(),
            severity,
            path: String::new(),
            message: String::new(),
            suggestion: None,
        }
    }

    #[test]
    fn the_request_goes_before_the_settings_before_the_rule() {
        let policy = policy(
            json!({"email": {"pii": "off"}, "fill.count": "warning"}),
            &["email.*"],
        )
        .unwrap();
        let all = || {
            vec![
                finding("email.pii", Severity::Critical),
                finding("email.secret", Severity::Critical),
                finding("fill.count", Severity::Error),
            ]
        };
        let told = |asked: Value| {
            let asked = levels(asked);
            policy.check(&asked).unwrap();
            let findings = policy.apply(&asked, all());
            let told = findings.into_iter().map(|one| (one.rule, one.severity));
            told.collect::<Vec<_>>()
        };
        let (secret, count) = ("email.secret".to_owned(), "fill.count".to_owned());
        assert_eq!(
            told(json!({})),
            [
                (secret.clone(), Severity::Critical),
                (count.clone(), Severity::Warning)
            ]
        );
        assert_eq!(
            told(json!({"email.pii": "error", "email.secret": "off"})),
            [
                ("email.pii".to_owned(), Severity::Error),
                (count, Severity::Warning)
            ]
        );
    }

    #[test]
    fn unknown_rules_and_levels_are_named_with_what_was_meant() {
        let said = policy(json!({"email.pij": "off"}), &[]).err().unwrap();
        assert_eq!(
            said,
            "rules: unknown rule \"email.pij\"; did you mean email.pii?"
        );
        let said = policy(json!({}), &["emial.*"]).err().unwrap();
        assert!(
            said.starts_with("request_may_tune: unknown rule \"emial.*\""),
            "{said}"
        );
        let said = serde_json::from_value::<Levels>(json!({"email": {"pii": "of"}})).unwrap_err();
        assert!(said.to_string().contains("use off, warning"), "{said}");
    }

    #[test]
    fn requests_tune_only_what_is_listed() {
        let policy = policy(json!({}), &["fill.count"]).unwrap();
        assert_eq!(policy.check(&levels(json!({"fill.count": "off"}))), Ok(()));
        let refused = policy
            .check(&levels(json!({"email.pii": "off"})))
            .unwrap_err();
        assert!(
            refused.to_string().contains("request_may_tune"),
            "{refused}"
        );
        let unknown = policy.check(&levels(json!({"x.y": "off"}))).unwrap_err();
        assert!(matches!(unknown, ValidationError::UnknownRule(_)));
        for (pattern, id, whether) in [
            ("*", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "ab.c", false),
            ("a*", "ab.c", false),
            ("a.b", "a.bc", false),
        ] {
            assert_eq!(covers(pattern, id), whether, "{pattern} {id}");
        }
    }
}
