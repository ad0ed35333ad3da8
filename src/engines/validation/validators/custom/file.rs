//! The form of a file of rules, and what is refused in it.

use std::collections::HashSet;

use regex::RegexBuilder;
use serde::Deserialize;
use serde_json::Value;

use super::expression::Expression;
use super::path::Path;
use super::predicate::{Predicate, Type};
use super::{Check, Custom, NAMES};
use crate::engines::validation::{Rule, registry};
use crate::types::plain::plain;
use crate::types::validation::Severity;

/// Longest file, bytes.
const MAX_FILE: usize = 1024 * 1024;
/// Most rules of a file.
const MAX_RULES: usize = 200;
/// Longest id of a rule.
const MAX_ID: usize = 64;
/// Memory of one compiled regular expression, bytes.
const MAX_REGEX: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    description: String,
    rules: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    description: String,
    #[serde(default = "error")]
    severity: Severity,
    #[serde(default)]
    path: String,
    #[serde(default)]
    required: bool,
    #[serde(rename = "type")]
    types: Option<Types>,
    one_of: Option<Vec<Value>>,
    matches: Option<String>,
    min: Option<f64>,
    max: Option<f64>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    contains: Option<Value>,
    not_contains: Option<Value>,
    equals: Option<String>,
    #[serde(default)]
    unique: bool,
    expr: Option<String>,
    message: Option<String>,
    suggestion: Option<String>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "type must name one of string, number, integer, boolean, array, object, null, or a list of them"
)]
enum Types {
    One(Type),
    Some(Vec<Type>),
}

fn error() -> Severity {
    Severity::Error
}

/// Reads a file of rules.
///
/// Errors: the rule and what is wrong with it.
pub(super) fn read(text: &str, max_steps: u64) -> Result<Custom, String> {
    if text.len() > MAX_FILE {
        return Err(format!("larger than {MAX_FILE} bytes"));
    }
    let file: File = toml::from_str(text).map_err(|error| plain(error.to_string().trim()))?;
    registry::name(&file.name).map_err(|said| format!("name: {said}"))?;
    let count = file.rules.len();
    if !(1..=MAX_RULES).contains(&count) {
        return Err(format!("{count} rules: use 1 to {MAX_RULES}"));
    }
    let mut seen = HashSet::new();
    let mut checks = Vec::with_capacity(count);
    for entry in file.rules {
        let id = entry.id.clone();
        let check = check(&file.name, entry).map_err(|said| format!("rule {id:?}: {said}"))?;
        if !seen.insert(id.clone()) {
            return Err(format!("rule {id:?}: there is another one with this id"));
        }
        checks.push(check);
    }
    let rules: Vec<Rule> = checks.iter().map(|check| check.rule).collect();
    Ok(Custom {
        name: kept(file.name),
        description: file.description,
        checks,
        // As long as the process, as those of the validators in the binary are; read once.
        rules: Box::leak(rules.into_boxed_slice()),
        max_steps,
    })
}

fn kept(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn check(name: &str, entry: Entry) -> Result<Check, String> {
    let letters = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_');
    if entry.id.is_empty() || entry.id.len() > MAX_ID || !entry.id.chars().all(letters) {
        return Err("use small letters, digits and _ for the id, at most 64".to_owned());
    }
    let path = Path::parse(&entry.path).map_err(|said| format!("path: {said}"))?;
    let predicates = predicates(&entry)?;
    if entry.unique && path.is_single() {
        return Err("unique: the path needs a *, such as /lines/*/id".to_owned());
    }
    let expression = entry.expr.as_deref().map(Expression::compile).transpose();
    let expression = expression.map_err(|said| format!("expr: {said}"))?;
    if predicates.is_empty() && !entry.required && !entry.unique && expression.is_none() {
        return Err(
            "it asks for nothing: use required, type, one_of, matches, min, max, min_length, max_length, contains, not_contains, equals, unique or expr"
                .to_owned(),
        );
    }
    for (field, text) in [
        ("message", &entry.message),
        ("suggestion", &entry.suggestion),
    ] {
        let unknown = text.as_deref().and_then(unknown_name);
        if let Some(name) = unknown {
            return Err(format!(
                "{field}: {{{name}}} stands for nothing: there are {{{}}}",
                NAMES.join("}, {")
            ));
        }
    }
    Ok(Check {
        rule: Rule {
            id: kept(format!("{name}.{}", entry.id)),
            severity: entry.severity,
            description: kept(entry.description),
        },
        path,
        required: entry.required,
        predicates,
        unique: entry.unique,
        expression,
        message: entry.message,
        suggestion: entry.suggestion,
    })
}

/// A word in braces that nothing is put in for.
fn unknown_name(text: &str) -> Option<&str> {
    let names = text.split('{').skip(1);
    let mut names = names.filter_map(|rest| rest.split_once('}').map(|(name, _)| name));
    let word = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    names.find(|name| word(name) && !NAMES.contains(name))
}

/// In the order in which they are asked: the first that does not hold is told.
fn predicates(entry: &Entry) -> Result<Vec<Predicate>, String> {
    let mut found = Vec::new();
    match &entry.types {
        Some(Types::One(one)) => found.push(Predicate::Type(vec![*one])),
        Some(Types::Some(types)) if types.is_empty() => return Err("type: is empty".to_owned()),
        Some(Types::Some(types)) => found.push(Predicate::Type(types.clone())),
        None => {}
    }
    if let Some(values) = &entry.one_of {
        if values.is_empty() {
            return Err("one_of: is empty".to_owned());
        }
        found.push(Predicate::OneOf(values.clone()));
    }
    if let Some(pattern) = &entry.matches {
        let regex = RegexBuilder::new(pattern).size_limit(MAX_REGEX).build();
        let regex = regex.map_err(|error| format!("matches: {error}"))?;
        found.push(Predicate::Matches(regex));
    }
    if entry.min.is_some() || entry.max.is_some() {
        let (min, max) = (entry.min, entry.max);
        let sane = [min, max].into_iter().flatten().all(f64::is_finite);
        if !sane || min.zip(max).is_some_and(|(min, max)| min > max) {
            return Err("min and max: use finite numbers, min not over max".to_owned());
        }
        found.push(Predicate::Range(min, max));
    }
    if entry.min_length.is_some() || entry.max_length.is_some() {
        let (min, max) = (entry.min_length, entry.max_length);
        if min.zip(max).is_some_and(|(min, max)| min > max) {
            return Err("min_length is over max_length".to_owned());
        }
        found.push(Predicate::Length(min, max));
    }
    for (part, wanted) in [(&entry.contains, true), (&entry.not_contains, false)] {
        if let Some(part) = part {
            found.push(Predicate::Contains(part.clone(), wanted));
        }
    }
    if let Some(pointer) = &entry.equals {
        let path = Path::parse(pointer).map_err(|said| format!("equals: {said}"))?;
        if !path.is_single() || pointer.is_empty() {
            return Err("equals: name one place, without *".to_owned());
        }
        found.push(Predicate::Equals(pointer.clone(), path));
    }
    Ok(found)
}
