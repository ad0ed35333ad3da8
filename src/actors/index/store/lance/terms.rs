//! Payloads and what is sought in them as words, so that equal values have equal words.
//!
//! A word tells that a path is there, or that it leads to a value. `1` and `1.0` are equal, and so are objects whose
//! keys stand in another order. Whole numbers are compared exactly with each other, and as `f64` with those that are
//! not: from 2^53 on that is no equivalence, so that a number there has two words, and what is sought chooses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Number, Value};

/// From here on not every whole number is a `f64` of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Longer words are told by their hash.
const MAX_BYTES: usize = 128;

/// What every point has: an index need not tell of empty lists.
pub(super) const ALWAYS: &str = "+";

/// The words of a payload.
pub(super) fn of(reached: &BTreeMap<String, Vec<&Value>>) -> BTreeSet<String> {
    let mut terms = BTreeSet::from([ALWAYS.to_owned()]);
    for (path, values) in reached {
        terms.insert(present(path));
        for value in items(values) {
            terms.insert(own(path, value));
            if let Some(float) = great(value) {
                terms.insert(near(path, float));
            }
        }
    }
    terms
}

/// The values that a path leads to, and the items of those that are lists.
pub(super) fn items<'a>(values: &[&'a Value]) -> impl Iterator<Item = &'a Value> {
    let each = values.iter().copied();
    each.flat_map(|value| std::iter::once(value).chain(value.as_array().into_iter().flatten()))
}

/// The word of a path that is there.
pub(super) fn present(path: &str) -> String {
    term('*', path, "")
}

/// The words of which a value that is equal has one; `None`: words cannot tell.
pub(super) fn sought(path: &str, value: &Value) -> Option<Vec<String>> {
    let nested = value.is_array() || value.is_object();
    match great(value) {
        Some(float) if is_whole(value) => {
            Some(vec![own(path, value), own(path, &Value::from(float))])
        }
        Some(float) => Some(vec![near(path, float)]),
        None if nested && has_great(value) => None,
        None => Some(vec![own(path, value)]),
    }
}

fn own(path: &str, value: &Value) -> String {
    match value {
        Value::Null => term('0', path, ""),
        Value::Bool(bit) => term('b', path, if *bit { "1" } else { "0" }),
        Value::Number(at) => term('n', path, &number(at)),
        Value::String(text) => term('s', path, text),
        Value::Array(_) | Value::Object(_) => {
            let mut text = String::new();
            write(value, &mut text);
            term('j', path, &text)
        }
    }
}

/// The word of a number that is the same `f64`.
fn near(path: &str, float: f64) -> String {
    term('f', path, &float.to_bits().to_string())
}

fn term(kind: char, path: &str, rest: &str) -> String {
    let text = format!("{kind}{}:{path}{rest}", path.len());
    match text.len() {
        0..=MAX_BYTES => text,
        _ => format!("#{}", blake3::hash(text.as_bytes()).to_hex()),
    }
}

/// The one way to write a number.
#[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
fn number(number: &Number) -> String {
    match number.as_f64() {
        _ if !number.is_f64() => number.to_string(),
        Some(float) if float.abs() < EXACT && float.fract() == 0.0 => (float as i64).to_string(),
        Some(float) => format!("f{}", float.to_bits()),
        None => number.to_string(),
    }
}

/// The one way to write a value.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Number(at) => out.push_str(&number(at)),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(map) => object(map, out),
        other => out.push_str(&other.to_string()),
    }
}

fn object(map: &Map<String, Value>, out: &mut String) {
    out.push('{');
    let sorted: BTreeMap<_, _> = map.iter().collect();
    for (key, value) in sorted {
        out.push_str(&Value::from(key.as_str()).to_string());
        out.push(':');
        write(value, out);
        out.push(',');
    }
    out.push('}');
}

fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

/// A number from 2^53 on.
fn great(value: &Value) -> Option<f64> {
    value.as_f64().filter(|float| float.abs() >= EXACT)
}

fn has_great(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_great),
        Value::Object(map) => map.values().any(has_great),
        other => great(other).is_some(),
    }
}
