//! What a rule can say of one value.

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::path::Path;
use crate::engines::validation::fields::kind_of;
use crate::engines::validation::shown::quoted;

/// A type of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Type {
    String,
    Number,
    Integer,
    Boolean,
    Array,
    Object,
    Null,
}

impl Type {
    fn is_of(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            // As in JSON Schema, 2.0 is an integer.
            Self::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
            Self::Null => value.is_null(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::String => "a text",
            Self::Number => "a number",
            Self::Integer => "a whole number",
            Self::Boolean => "a boolean",
            Self::Array => "a list",
            Self::Object => "an object",
            Self::Null => "null",
        }
    }
}

/// What has to hold for a value; nothing is asked of one that is absent or null, but for its type.
#[derive(Debug)]
pub(super) enum Predicate {
    /// One of these types.
    Type(Vec<Type>),
    /// One of these values.
    OneOf(Vec<Value>),
    /// A text in which the expression matches.
    Matches(Regex),
    /// A number not under, and not over.
    Range(Option<f64>, Option<f64>),
    /// Characters of a text, items of a list, members of an object.
    Length(Option<usize>, Option<usize>),
    /// A text that holds this one, a list that has this item; or, with false, that does not.
    Contains(Value, bool),
    /// The same as at another place.
    Equals(String, Path),
}

impl Predicate {
    /// What is wrong, to follow the name of the place.
    pub(super) fn wrong(&self, value: Option<&Value>, payload: &Value) -> Option<String> {
        let value = value?;
        if let Self::Type(types) = self {
            let fits = types.iter().any(|one| one.is_of(value));
            let names: Vec<&str> = types.iter().map(|one| one.name()).collect();
            let names = names.join(" or ");
            return (!fits).then(|| format!("is {}, must be {names}", kind_of(value)));
        }
        if value.is_null() {
            return None;
        }
        match self {
            Self::Type(_) => None,
            Self::OneOf(values) => {
                let fits = values.iter().any(|one| equal(one, value));
                (!fits).then(|| {
                    let told: Vec<String> = values.iter().take(10).map(shown).collect();
                    let more = if values.len() > 10 { " …" } else { "" };
                    let (value, told) = (shown(value), told.join(", "));
                    format!("is {value}, must be one of {told}{more}")
                })
            }
            Self::Matches(regex) => match value.as_str() {
                Some(text) if regex.is_match(text) => None,
                Some(text) => {
                    let text = quoted(text);
                    Some(format!(
                        "is {text}, which does not match {}",
                        regex.as_str()
                    ))
                }
                None => Some(format!("is {}, must be a text", kind_of(value))),
            },
            Self::Range(min, max) => match value.as_f64() {
                None => Some(format!("is {}, must be a number", kind_of(value))),
                Some(number) => match (min, max) {
                    (Some(min), _) if number < *min => {
                        Some(format!("is {}, must be at least {min}", shown(value)))
                    }
                    (_, Some(max)) if number > *max => {
                        Some(format!("is {}, must be at most {max}", shown(value)))
                    }
                    _ => None,
                },
            },
            Self::Length(min, max) => match length(value) {
                None => Some(format!("is {}, which has no length", kind_of(value))),
                Some((length, unit)) => match (min, max) {
                    (Some(min), _) if length < *min => {
                        Some(format!("has {length} {unit}, must have at least {min}"))
                    }
                    (_, Some(max)) if length > *max => {
                        Some(format!("has {length} {unit}, must have at most {max}"))
                    }
                    _ => None,
                },
            },
            Self::Contains(part, wanted) => match (holds(value, part), wanted) {
                (None, _) => Some(format!("is {}, must be a text or a list", kind_of(value))),
                (Some(false), true) => Some(format!("does not contain {}", shown(part))),
                (Some(true), false) => Some(format!("contains {}", shown(part))),
                (Some(_), _) => None,
            },
            Self::Equals(pointer, path) => {
                let other = path.select(payload).into_iter().next();
                match other.and_then(|(_, other)| other) {
                    Some(other) if equal(value, other) => None,
                    Some(other) => {
                        let (value, other) = (shown(value), shown(other));
                        Some(format!("is {value}, but {pointer} is {other}"))
                    }
                    None => Some(format!("is {}, but there is no {pointer}", shown(value))),
                }
            }
        }
    }
}

/// A value as a message shows it: short, with personal numbers and secrets named instead.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Number(number) => quoted(&number.to_string()).replace('"', ""),
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(members) => format!("an object of {}", members.len()),
    }
}

/// 2 and 2.0 are one number.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        (one, other) => one == other,
    }
}

fn length(value: &Value) -> Option<(usize, &'static str)> {
    match value {
        Value::String(text) => Some((text.chars().count(), "characters")),
        Value::Array(items) => Some((items.len(), "items")),
        Value::Object(members) => Some((members.len(), "members")),
        _ => None,
    }
}

fn holds(value: &Value, part: &Value) -> Option<bool> {
    match (value, part) {
        (Value::String(text), Value::String(part)) => Some(text.contains(part.as_str())),
        (Value::Array(items), part) => Some(items.iter().any(|item| equal(item, part))),
        _ => None,
    }
}
