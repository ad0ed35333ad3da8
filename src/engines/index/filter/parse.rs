//! From JSON to a filter.

use serde_json::{Map, Value};

use super::{Node, Order, Test};
use crate::engines::index::IndexError;

/// Nesting of a filter; deeper ones are machine-made and could exhaust the stack.
const MAX_DEPTH: usize = 16;
/// Conditions and operands of a filter, all told: each is weighed against every point.
const MAX_PARTS: usize = 10_000;
/// Longest path of a field, and most dots in it.
pub(super) const MAX_PATH_BYTES: usize = 512;
pub(super) const MAX_PATH_DOTS: usize = 16;

const FIELD_OPERATORS: &str = "$eq $ne $gt $gte $lt $lte $in $nin $exists $not";
const TOP_OPERATORS: &str = "$and $or $not";

pub(super) fn parse(filter: &Value) -> Result<Node, IndexError> {
    Parser {
        parts: 0,
        place: Vec::new(),
    }
    .node(filter)
}

/// Checks the path of a field.
pub(in crate::engines::index) fn check_path(path: &str) -> Result<(), String> {
    if path.len() > MAX_PATH_BYTES || path.matches('.').count() > MAX_PATH_DOTS {
        return Err(format!(
            "a field's path has at most {MAX_PATH_BYTES} bytes and {MAX_PATH_DOTS} dots"
        ));
    }
    Ok(())
}

struct Parser {
    parts: usize,
    /// The way from the top to what is being read.
    place: Vec<String>,
}

impl Parser {
    fn error<T>(&self, reason: impl Into<String>) -> Result<T, IndexError> {
        let path = match self.place.is_empty() {
            true => "/".to_owned(),
            false => self.place.iter().flat_map(|part| ["/", part]).collect(),
        };
        Err(IndexError::BadFilter {
            path,
            reason: reason.into(),
        })
    }

    /// Runs `read` one level down.
    fn at<T>(
        &mut self,
        part: &str,
        read: impl FnOnce(&mut Self) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        if self.place.len() >= 2 * MAX_DEPTH {
            return self.error(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        self.place.push(part.chars().take(64).collect());
        let value = read(self)?;
        self.place.pop();
        Ok(value)
    }

    fn count(&mut self, parts: usize) -> Result<(), IndexError> {
        self.parts += parts;
        if self.parts > MAX_PARTS {
            return self.error(format!("more than {MAX_PARTS} conditions and values"));
        }
        Ok(())
    }

    fn node(&mut self, filter: &Value) -> Result<Node, IndexError> {
        let Value::Object(map) = filter else {
            return self.error(format!(
                "expected an object such as {{\"city\": \"Bern\"}}, got {}",
                kind_of(filter)
            ));
        };
        if map.is_empty() {
            return self.error("empty; leave the filter out to match every point");
        }
        let mut nodes = Vec::with_capacity(map.len());
        for (key, value) in map {
            nodes.push(self.at(key, |this| this.entry(key, value))?);
        }
        Ok(all(nodes))
    }

    fn entry(&mut self, key: &str, value: &Value) -> Result<Node, IndexError> {
        self.count(1)?;
        match key {
            "$and" => Ok(Node::All(self.list(value)?)),
            "$or" => Ok(Node::Any(self.list(value)?)),
            "$not" => Ok(Node::Not(Box::new(self.node(value)?))),
            _ if key.starts_with('$') => self.unknown(key),
            _ => self.field(key, value),
        }
    }

    fn unknown<T>(&self, key: &str) -> Result<T, IndexError> {
        let shown: String = key.chars().take(64).collect();
        if FIELD_OPERATORS.split(' ').any(|operator| operator == key) {
            return self.error(format!(
                "{shown} belongs inside a field, such as {{\"year\": {{\"{shown}\": …}}}}; \
                 here there are {TOP_OPERATORS}"
            ));
        }
        self.error(format!(
            "unknown operator {shown}; around filters there are {TOP_OPERATORS}, \
             inside a field {FIELD_OPERATORS}"
        ))
    }

    fn list(&mut self, value: &Value) -> Result<Vec<Node>, IndexError> {
        let items = match value {
            Value::Array(items) if !items.is_empty() => items,
            Value::Array(_) => return self.error("expected at least one filter, got none"),
            other => {
                return self.error(format!(
                    "expected a list of filters, got {}",
                    kind_of(other)
                ));
            }
        };
        let mut nodes = Vec::with_capacity(items.len().min(MAX_PARTS));
        for (at, item) in items.iter().enumerate() {
            nodes.push(self.at(&at.to_string(), |this| this.node(item))?);
        }
        Ok(nodes)
    }

    fn field(&mut self, path: &str, value: &Value) -> Result<Node, IndexError> {
        check_path(path).or_else(|reason| self.error(reason))?;
        match value {
            Value::Object(map) if map.keys().any(|key| key.starts_with('$')) => {
                self.operators(path, map)
            }
            _ => self.test(path, "$eq", value),
        }
    }

    fn operators(&mut self, path: &str, map: &Map<String, Value>) -> Result<Node, IndexError> {
        if map.is_empty() {
            return self.error(format!("expected an operator: {FIELD_OPERATORS}"));
        }
        let mut nodes = Vec::with_capacity(map.len());
        for (key, value) in map {
            self.count(1)?;
            nodes.push(self.at(key, |this| this.test(path, key, value))?);
        }
        Ok(all(nodes))
    }

    fn test(&mut self, path: &str, operator: &str, value: &Value) -> Result<Node, IndexError> {
        let field = |test| Node::Field {
            path: path.to_owned(),
            test,
        };
        let not = |node| Node::Not(Box::new(node));
        match operator {
            "$eq" => Ok(field(Test::Eq(value.clone()))),
            "$ne" => Ok(not(field(Test::Eq(value.clone())))),
            "$gt" => Ok(field(self.order(Order::Greater, value)?)),
            "$gte" => Ok(field(self.order(Order::GreaterOrEqual, value)?)),
            "$lt" => Ok(field(self.order(Order::Less, value)?)),
            "$lte" => Ok(field(self.order(Order::LessOrEqual, value)?)),
            "$in" => Ok(field(self.one_of(value)?)),
            "$nin" => Ok(not(field(self.one_of(value)?))),
            "$exists" => match value {
                Value::Bool(true) => Ok(field(Test::Exists)),
                Value::Bool(false) => Ok(not(field(Test::Exists))),
                other => self.error(format!("expected true or false, got {}", kind_of(other))),
            },
            "$not" => match value {
                Value::Object(map) => Ok(not(self.operators(path, map)?)),
                other => self.error(format!(
                    "expected operators such as {{\"$gt\": 3}}, got {}",
                    kind_of(other)
                )),
            },
            _ if operator.starts_with('$') => self.unknown(operator),
            _ => self.error(format!(
                "a field's operators start with $: {FIELD_OPERATORS}; \
                 a nested field is written \"outer.inner\""
            )),
        }
    }

    fn order(&self, order: Order, value: &Value) -> Result<Test, IndexError> {
        match value {
            Value::Number(_) | Value::String(_) => Ok(Test::Order(order, value.clone())),
            other => self.error(format!(
                "expected a number or a string, got {}",
                kind_of(other)
            )),
        }
    }

    fn one_of(&mut self, value: &Value) -> Result<Test, IndexError> {
        let Value::Array(items) = value else {
            return self.error(format!("expected a list of values, got {}", kind_of(value)));
        };
        self.count(items.len())?;
        let strings = items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let others = items
            .iter()
            .filter(|item| !item.is_string())
            .cloned()
            .collect();
        Ok(Test::In { strings, others })
    }
}

fn all(mut nodes: Vec<Node>) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => Node::All(nodes),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
