//! Validators of the operator's own: rules in a TOML file, read at start.
//!
//! A rule names a place in the payload and what has to hold there, by predicates or by an expression. What a rule does
//! is bounded by the size of the payload, and for expressions by a count of steps beforehand; the cell's deadline is
//! the last resort.

mod cost;
mod expression;
mod file;
mod path;
mod predicate;
mod truth;

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::engines::validation::{Rule, Validator};
use crate::types::validation::Finding;
use expression::{Expression, Inputs};
use path::Path;
use predicate::{Predicate, shown};

/// What messages and suggestions can name, in braces.
const NAMES: [&str; 3] = ["path", "problem", "value"];
/// Findings of one rule that are told each; more say nothing new.
const TOLD: usize = 100;

/// A file of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// Where it is, for errors.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// Reads a file of rules. `max_steps` bounds what an expression may do with one payload.
///
/// Errors: the file, the rule and what is wrong with it.
pub(in crate::engines::validation) fn read(
    file: &RuleFile,
    max_steps: u64,
) -> Result<Box<dyn Validator>, String> {
    let read = file::read(&file.text, max_steps);
    let custom = read.map_err(|said| format!("{}: {said}", file.name))?;
    Ok(Box::new(custom))
}

/// A validator made of rules.
struct Custom {
    name: &'static str,
    description: String,
    checks: Vec<Check>,
    rules: &'static [Rule],
    max_steps: u64,
}

/// One rule: where, and what has to hold.
struct Check {
    rule: Rule,
    path: Path,
    required: bool,
    predicates: Vec<Predicate>,
    unique: bool,
    expression: Option<Expression>,
    message: Option<String>,
    suggestion: Option<String>,
}

impl Validator for Custom {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self) -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["payload"],
            "description": self.description,
            "properties": {
                "payload": {"description": "any JSON; the rules say what has to hold"},
                "context": {"type": "object", "description": "what expressions see as context"},
            },
        })
    }

    fn rules(&self) -> &'static [Rule] {
        self.rules
    }

    fn validate(&self, payload: &Value, context: &Value) -> Vec<Finding> {
        let inputs = Inputs::new(payload, context, self.max_steps);
        let mut findings = Vec::new();
        for check in &self.checks {
            let found = check.run(payload, &inputs);
            findings.extend(found);
        }
        findings
    }
}

impl Check {
    fn run(&self, payload: &Value, inputs: &Inputs<'_>) -> Vec<Finding> {
        let selected = self.path.select(payload);
        let mut findings = Vec::new();
        let mut seen: HashMap<String, String> = HashMap::new();
        let mut spent = 0.0;
        for (path, value) in &selected {
            if findings.len() == TOLD {
                findings.push(self.rule.finding("", "more like these were found"));
                break;
            }
            let wrong = self.wrong(path, *value, payload, &mut seen);
            let wrong = wrong.or_else(|| {
                let expression = self.expression.as_ref()?;
                // Absent values are those of `required`; but the payload itself is always looked at.
                let value = (*value).filter(|value| path.is_empty() || !value.is_null())?;
                expression.wrong(inputs, value, &mut spent)
            });
            findings.extend(wrong.map(|problem| self.finding(path, *value, &problem)));
            if spent > inputs.max_steps as f64 {
                break;
            }
        }
        findings
    }

    /// What is wrong with the value at `path`, but for the expression.
    fn wrong(
        &self,
        path: &str,
        value: Option<&Value>,
        payload: &Value,
        seen: &mut HashMap<String, String>,
    ) -> Option<String> {
        let there = value.filter(|value| !value.is_null());
        if there.is_none() && self.required {
            return Some("is missing".to_owned());
        }
        let mut predicates = self.predicates.iter();
        let wrong = predicates.find_map(|predicate| predicate.wrong(value, payload));
        if wrong.is_some() {
            return wrong;
        }
        if let Some(value) = there.filter(|_| self.unique) {
            let first = seen.insert(value.to_string(), path.to_owned())?;
            return Some(format!("is {}, as {first} is", shown(value)));
        }
        None
    }

    fn finding(&self, path: &str, value: Option<&Value>, problem: &str) -> Finding {
        let place = match path {
            "" => "the payload",
            path => path,
        };
        let fill = |text: &str| {
            let value = value.map_or_else(|| "nothing".to_owned(), shown);
            // The value last: what is in it is no placeholder.
            let text = text.replace("{path}", place).replace("{problem}", problem);
            text.replace("{value}", &value)
        };
        let message = match &self.message {
            Some(message) => fill(message),
            None => format!("{place} {problem}"),
        };
        let suggestion = self.suggestion.as_deref().map(fill);
        self.rule.suggesting(path, message, suggestion)
    }
}

#[cfg(test)]
mod tests;
