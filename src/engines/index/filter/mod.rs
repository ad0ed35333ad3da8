//! Filters over payloads, in the words of Chroma, Pinecone and MongoDB.
//!
//! ```json
//! {"city": "Bern", "year": {"$gte": 2020, "$lt": 2024},
//!  "$or": [{"tags": "a"}, {"b.c": {"$exists": true}}]}
//! ```
//!
//! - Several fields, or several operators of a field, must all hold.
//! - A dotted path reaches into nested objects, and into the objects of an array. A key that itself
//!   has a dot is found too.
//! - A payload array matches when any of its elements does, or, for `$eq`, when it is equal itself.
//! - Numbers compare as numbers (`1` is `1.0`), strings by their bytes, so that ISO dates compare
//!   rightly. Values of different kinds are neither equal nor in any order.
//! - `$ne`, `$nin` and `$not` match whatever their opposite does not: also points without the
//!   field.
//! - `{"a": null}` matches a stored null; a field that is not there is `{"a": {"$exists": false}}`.

mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::IndexError;

/// A condition on a payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    root: Node,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Field { path: String, test: Test },
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Eq(Value),
    In {
        strings: HashSet<String>,
        others: Vec<Value>,
    },
    Order(Order, Value),
    Exists,
}

/// Which orders of a stored value against the operand match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Filter {
    /// Reads a filter.
    ///
    /// Errors: [`IndexError::BadFilter`] says where, what is wrong, and what would be right.
    pub fn parse(filter: &Value) -> Result<Self, IndexError> {
        parse::parse(filter).map(|root| Self { root })
    }

    /// Tells whether `payload` meets the condition.
    pub fn matches(&self, payload: &Map<String, Value>) -> bool {
        self.root.matches(payload)
    }
}

impl Node {
    fn matches(&self, payload: &Map<String, Value>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(payload)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(payload)),
            Self::Not(node) => !node.matches(payload),
            Self::Field { path, test } => any_at(payload, path, &|value| test.matches(value)),
        }
    }
}

/// Tells whether any value that `path` leads to passes `test`.
fn any_at(map: &Map<String, Value>, path: &str, test: &dyn Fn(&Value) -> bool) -> bool {
    if map.get(path).is_some_and(test) {
        return true;
    }
    // Every dot may end a key: `a.b.c` is tried as `a` then `b.c`, and as `a.b` then `c`.
    path.match_indices('.').any(|(at, _)| {
        let rest = &path[at + 1..];
        match map.get(&path[..at]) {
            Some(Value::Object(inner)) => any_at(inner, rest, test),
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(Value::as_object)
                .any(|inner| any_at(inner, rest, test)),
            _ => false,
        }
    })
}

impl Test {
    fn matches(&self, stored: &Value) -> bool {
        match self {
            Self::Exists => true,
            Self::Eq(wanted) => equal(stored, wanted) || any_item(stored, |v| equal(v, wanted)),
            Self::In { .. } => self.holds(stored) || any_item(stored, |v| self.holds(v)),
            Self::Order(order, bound) => {
                let holds = |v: &Value| compare(v, bound).is_some_and(|found| order.holds(found));
                holds(stored) || any_item(stored, holds)
            }
        }
    }

    fn holds(&self, stored: &Value) -> bool {
        match (self, stored) {
            (Self::In { strings, .. }, Value::String(text)) => strings.contains(text),
            (Self::In { others, .. }, _) => others.iter().any(|wanted| equal(stored, wanted)),
            _ => false,
        }
    }
}

impl Order {
    fn holds(self, found: Ordering) -> bool {
        match self {
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
        }
    }
}

fn any_item(stored: &Value, test: impl Fn(&Value) -> bool) -> bool {
    stored
        .as_array()
        .is_some_and(|items| items.iter().any(test))
}

/// Equality where numbers are numbers, at any depth, and the order of keys is of no matter.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => compare(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// Orders two numbers or two strings; anything else has no order.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(_), Value::Number(_)) => match (whole(a), whole(b)) {
            // Whole numbers exactly: beyond 2^53 two of them can be one and the same f64.
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        _ => None,
    }
}

fn whole(value: &Value) -> Option<i128> {
    value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from))
}
