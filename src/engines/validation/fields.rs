//! Reads a JSON object field by field; what is not as the schema says becomes a finding.

use serde_json::{Map, Value};

use super::rule::Rule;
use super::shown::{quoted, sensitive};
use crate::engines::nearest::nearest;
use crate::types::validation::Finding;

/// Findings about unknown fields of one object, and items of one list, are cut here.
const MAX_UNKNOWN: usize = 20;
/// Items of one list of texts.
const MAX_ITEMS: usize = 1_000;

/// The fields of one object, with the findings made while reading them.
pub(super) struct Fields<'a, 'f> {
    object: Option<&'a Map<String, Value>>,
    /// JSON Pointer of the object in the payload; none for the context, which has no pointer.
    path: Option<String>,
    rule: Rule,
    findings: &'f mut Vec<Finding>,
}

impl<'a, 'f> Fields<'a, 'f> {
    /// Reads the object at `path` of the payload.
    pub(super) fn of_payload(
        value: &'a Value,
        path: String,
        rule: Rule,
        findings: &'f mut Vec<Finding>,
    ) -> Self {
        if !value.is_object() {
            let message = format!("must be an object, is {}", kind_of(value));
            findings.push(rule.finding(path.as_str(), message));
        }
        Self {
            object: value.as_object(),
            path: Some(path),
            rule,
            findings,
        }
    }

    /// Reads the context; null is an empty one.
    pub(super) fn of_context(value: &'a Value, rule: Rule, findings: &'f mut Vec<Finding>) -> Self {
        if !value.is_object() && !value.is_null() {
            let message = format!("context must be an object, is {}", kind_of(value));
            findings.push(rule.finding("", message));
        }
        Self {
            object: value.as_object(),
            path: None,
            rule,
            findings,
        }
    }

    /// Reports fields that are not `known`: likely slips by `misspelt`, others by `unknown`.
    pub(super) fn only(&mut self, known: &[&str], misspelt: Rule, unknown: Option<Rule>) {
        let Some(object) = self.object else { return };
        let strangers = object.keys().filter(|name| !known.contains(&name.as_str()));
        for name in strangers.take(MAX_UNKNOWN) {
            // A name can hide a secret; then only its object is pointed at.
            let path = match sensitive(name) {
                true => self.path.clone().unwrap_or_default(),
                false => self.pointer(name),
            };
            let message = format!("unknown field {}", quoted(name));
            // A field that the object has anyway is not what a second one was meant to be.
            let free = known
                .iter()
                .copied()
                .filter(|known| !object.contains_key(*known));
            if let Some(meant) = nearest(name, free) {
                let suggestion = Some(format!("rename it to {meant}"));
                self.findings
                    .push(misspelt.suggesting(path, message, suggestion));
            } else if let Some(unknown) = unknown {
                let suggestion = Some(format!("known fields: {}", known.join(", ")));
                self.findings
                    .push(unknown.suggesting(path, message, suggestion));
            }
        }
    }

    /// The JSON Pointer of a field; empty in the context.
    pub(super) fn pointer(&self, name: &str) -> String {
        let Some(path) = &self.path else {
            return String::new();
        };
        let name: String = name.chars().take(200).collect();
        format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
    }

    /// Reports that a field is not as it must be.
    pub(super) fn wrong(&mut self, name: &str, problem: &str) {
        let message = match &self.path {
            Some(_) => format!("{name} {problem}"),
            None => format!("context.{name} {problem}"),
        };
        self.findings
            .push(self.rule.finding(self.pointer(name), message));
    }

    /// The value of a field; null counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object?.get(name).filter(|value| !value.is_null())
    }

    /// A text that may be absent.
    pub(super) fn text(&mut self, name: &str) -> Option<&'a str> {
        let value = self.get(name)?;
        if value.is_string() {
            return value.as_str();
        }
        self.wrong(name, &format!("must be a text, is {}", kind_of(value)));
        None
    }

    /// A text that may be absent, but neither empty nor blank.
    pub(super) fn filled(&mut self, name: &str) -> Option<&'a str> {
        let text = self.text(name)?;
        if text.trim().is_empty() {
            self.wrong(name, "must not be empty");
            return None;
        }
        Some(text)
    }

    /// Reports a field that is absent, where the object itself is there.
    pub(super) fn required(&mut self, name: &str) {
        if self.object.is_some() && self.get(name).is_none() {
            self.wrong(name, "is missing");
        }
    }

    /// A whole number from zero.
    pub(super) fn count(&mut self, name: &str) -> Option<usize> {
        let value = self.get(name)?;
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        if count.is_none() {
            self.wrong(
                name,
                &format!("must be a whole number from 0, is {}", kind_of(value)),
            );
        }
        count
    }

    /// The texts of a list, each with its JSON Pointer.
    ///
    /// `single` takes a lone text for a list of one.
    pub(super) fn texts(&mut self, name: &str, single: bool) -> Vec<(String, &'a str)> {
        let items = match self.get(name) {
            None => return Vec::new(),
            Some(Value::String(text)) if single => return vec![(self.pointer(name), text)],
            Some(Value::Array(items)) => items,
            Some(other) => {
                let form = if single {
                    "a text or a list of texts"
                } else {
                    "a list of texts"
                };
                self.wrong(name, &format!("must be {form}, is {}", kind_of(other)));
                return Vec::new();
            }
        };
        if items.len() > MAX_ITEMS {
            let problem = format!("has {} items, the limit is {MAX_ITEMS}", items.len());
            self.wrong(name, &problem);
        }
        let mut texts = Vec::with_capacity(items.len().min(MAX_ITEMS));
        for (at, item) in items.iter().take(MAX_ITEMS).enumerate() {
            match item.as_str() {
                Some(text) => texts.push((format!("{}/{at}", self.pointer(name)), text)),
                None => self.wrong(name, &format!("item {at} must be a text")),
            }
        }
        texts
    }
}

/// Names the JSON type of a value.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
