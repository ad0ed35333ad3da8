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
//! - In a field that the collection declares a datetime, two moments compare as moments, whichever way
//!   they are written.

#[cfg(any(test, feature = "qdrant"))]
mod marks;
mod parse;
mod select;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

#[cfg(all(test, feature = "qdrant"))]
pub(crate) use marks::arbitrary;
#[cfg(any(test, feature = "qdrant"))]
pub use marks::{Key, Marked, Marks, PathKey, Word, path_key};
pub(super) use parse::check_path;
pub use select::FilterUse;

pub use super::instant::Micros;
use super::{IndexError, Scope, fields, instant};
use crate::types::collection::{FieldKind, Schema};

/// A condition on a payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    root: Node,
}

/// A part of a condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// All hold; so does an empty list.
    All(Vec<Node>),
    /// One holds at least; an empty list does not.
    Any(Vec<Node>),
    /// It does not hold.
    Not(Box<Node>),
    /// One of the values that the path [leads to](reached), or an item of one that is a list, passes the test.
    Field {
        /// With dots between keys.
        path: String,
        /// Of each value.
        test: Test,
    },
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Equal, numbers as numbers at any depth.
    Eq(Value),
    /// Equal to one of these.
    In {
        /// Those that are strings.
        strings: HashSet<String>,
        /// The others.
        others: Vec<Value>,
    },
    /// A number in that order with a number, or a string with a string.
    Order(Order, Value),
    /// There is one, be it null.
    Exists,
    /// The test of a datetime field, and its operands that are moments.
    At(Box<Test>, Vec<Micros>),
}

/// Which orders of a stored value against the operand match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Stored > operand.
    Greater,
    /// Stored >= operand.
    GreaterOrEqual,
    /// Stored < operand.
    Less,
    /// Stored <= operand.
    LessOrEqual,
}

/// Every path into a payload with the values that it leads to: what a [`Node::Field`] sees.
pub fn reached(payload: &Map<String, Value>) -> BTreeMap<String, Vec<&Value>> {
    fn walk<'a>(
        map: &'a Map<String, Value>,
        before: &str,
        found: &mut BTreeMap<String, Vec<&'a Value>>,
    ) {
        for (key, value) in map {
            let path = format!("{before}{key}");
            let inner = format!("{path}.");
            match value {
                Value::Object(map) => walk(map, &inner, found),
                Value::Array(items) => {
                    let maps = items.iter().filter_map(Value::as_object);
                    maps.for_each(|map| walk(map, &inner, found));
                }
                _ => {}
            }
            found.entry(path).or_default().push(value);
        }
    }
    let mut found = BTreeMap::new();
    walk(payload, "", &mut found);
    found
}

/// The moment that a value of a datetime field is, if it is one.
pub fn moment(value: &Value) -> Option<Micros> {
    instant::read(value)
}

impl Filter {
    /// Reads a filter.
    ///
    /// Errors: [`IndexError::BadFilter`] says where, what is wrong, and what would be right.
    pub fn parse(filter: &Value) -> Result<Self, IndexError> {
        parse::parse(filter).map(|root| Self { root })
    }

    /// The condition itself.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The condition of a point that matches `filter`, where there is one, and that `scope` may see. `None`: every
    /// point does.
    pub fn scoped(filter: Option<&Self>, schema: &Schema, scope: Scope<'_>) -> Option<Self> {
        let declared = fields::Fields::new(&schema.fields);
        let own = filter.map(|filter| filter.bound(&declared).into_owned().root);
        let role = schema.role_field.as_ref().zip(scope.role);
        let role = role.map(|(path, role)| Self::word_or_absent(path, role).root);
        let there = schema.ttl_field.as_ref().map(|path| {
            let gone = Self::until(path, scope.now_ms);
            Node::Not(Box::new(gone.root))
        });
        let mut all: Vec<Node> = [own, role, there].into_iter().flatten().collect();
        match all.len() {
            0 => None,
            1 => all.pop().map(|root| Self { root }),
            _ => Some(Self {
                root: Node::All(all),
            }),
        }
    }

    /// The condition that `path` is `word`, or a list with it, or is not there.
    pub(super) fn word_or_absent(path: &str, word: &str) -> Self {
        let field = |test| Node::Field {
            path: path.to_owned(),
            test,
        };
        Self {
            root: Node::Any(vec![
                field(Test::Eq(Value::from(word))),
                Node::Not(Box::new(field(Test::Exists))),
            ]),
        }
    }

    /// The condition that `path`, or an item of it, is a moment not after `now_ms`.
    pub fn until(path: &str, now_ms: u64) -> Self {
        let now = i64::try_from(now_ms)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000);
        // What is no moment is in no order with the operand of the plain test.
        let none = Test::Order(Order::LessOrEqual, Value::Null);
        Self {
            root: Node::Field {
                path: path.to_owned(),
                test: Test::At(Box::new(none), vec![now]),
            },
        }
    }

    /// Tells whether `payload` meets the condition, no field being declared.
    pub fn matches(&self, payload: &Map<String, Value>) -> bool {
        self.root.matches(payload)
    }

    /// The condition where the fields of `declared` are what they are.
    pub(super) fn bound(&self, declared: &fields::Fields) -> Cow<'_, Self> {
        match self.root.bound(declared) {
            Some(root) => Cow::Owned(Self { root }),
            None => Cow::Borrowed(self),
        }
    }
}

impl Node {
    /// Tells whether `payload` meets this part, no field being declared but those of [`Test::At`].
    pub fn matches(&self, payload: &Map<String, Value>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(payload)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(payload)),
            Self::Not(node) => !node.matches(payload),
            Self::Field { path, test } => visit(payload, path, &mut |value| test.matches(value)),
        }
    }

    /// The same with the tests of datetime fields knowing so; `None` where there are none.
    fn bound(&self, declared: &fields::Fields) -> Option<Self> {
        let all = |nodes: &[Self]| {
            let bound: Vec<_> = nodes.iter().map(|node| node.bound(declared)).collect();
            bound.iter().any(Option::is_some).then(|| {
                let pairs = bound.into_iter().zip(nodes);
                pairs
                    .map(|(bound, node)| bound.unwrap_or_else(|| node.clone()))
                    .collect()
            })
        };
        match self {
            Self::All(nodes) => all(nodes).map(Self::All),
            Self::Any(nodes) => all(nodes).map(Self::Any),
            Self::Not(node) => node.bound(declared).map(|node| Self::Not(Box::new(node))),
            Self::Field { path, test } => {
                let dated = declared.kind(path) == Some(FieldKind::Datetime);
                let test = dated.then(|| test.dated()).flatten()?;
                let path = path.clone();
                Some(Self::Field { path, test })
            }
        }
    }
}

/// Calls `each` with every value that `path` leads to, until it says `true`; whether it did.
pub(super) fn visit(
    map: &Map<String, Value>,
    path: &str,
    each: &mut dyn FnMut(&Value) -> bool,
) -> bool {
    if map.get(path).is_some_and(&mut *each) {
        return true;
    }
    // Every dot may end a key: `a.b.c` is tried as `a` then `b.c`, and as `a.b` then `c`.
    path.match_indices('.').any(|(at, _)| {
        let rest = &path[at + 1..];
        match map.get(&path[..at]) {
            Some(Value::Object(inner)) => visit(inner, rest, each),
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(Value::as_object)
                .any(|inner| visit(inner, rest, each)),
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
            Self::At(plain, moments) => match (plain.as_ref(), moments.first()) {
                (Self::Order(order, bound), Some(moment)) => {
                    let holds = |v: &Value| match instant::read(v) {
                        Some(found) => order.holds(found.cmp(moment)),
                        None => compare(v, bound).is_some_and(|found| order.holds(found)),
                    };
                    holds(stored) || any_item(stored, holds)
                }
                _ => {
                    let holds =
                        |v: &Value| instant::read(v).is_some_and(|at| moments.contains(&at));
                    plain.matches(stored) || holds(stored) || any_item(stored, holds)
                }
            },
        }
    }

    /// The same for a field that is declared a datetime; `None` where that makes no difference.
    fn dated(&self) -> Option<Self> {
        let moments: Vec<Micros> = match self {
            Self::Eq(wanted) => instant::read(wanted).into_iter().collect(),
            Self::In { strings, others } => {
                let strings = strings.iter().map(|text| Value::from(text.as_str()));
                let moments = strings.filter_map(|text| instant::read(&text));
                moments
                    .chain(others.iter().filter_map(instant::read))
                    .collect()
            }
            Self::Order(_, bound) => instant::read(bound).into_iter().collect(),
            Self::Exists | Self::At(..) => return None,
        };
        Some(Self::At(Box::new(self.clone()), moments))
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
    pub(super) fn holds(self, found: Ordering) -> bool {
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
pub(super) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
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

/// A whole number as it is.
pub(super) fn whole(value: &Value) -> Option<i128> {
    value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from))
}
