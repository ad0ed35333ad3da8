//! What a schema may cost, told before it is run.
//!
//! The steps that judging takes are counted by going through schema and payload together, along every branch that the
//! engine could take. So a schema that doubles its work at each level, or comes back to where it was, is found here.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Levels of a schema, and of the way through it on one payload: the engine needs stack for each.
const MAX_DEPTH: usize = 256;
/// References of a schema.
const MAX_REFERENCES: usize = 2_000;
/// Subschemas that are met on the way.
const MAX_STEPS: usize = 200_000;

/// Why a schema is not run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// It is no good, whatever the payload.
    #[error("{0}")]
    Schema(String),
    /// It would take too long here.
    #[error("{0}")]
    TooComplex(String),
}

/// Goes through a schema on a payload.
pub(super) fn check(schema: &Value, payload: &Value, max_nodes: usize) -> Result<(), Refused> {
    let known = Known::of(schema, max_nodes)?;
    let mut walk = Walk {
        known,
        root: schema,
        steps: 0,
        depth: 0,
    };
    walk.visit(schema, schema, payload, &mut Vec::new())
}

/// What references can name.
struct Known<'s> {
    /// By the last part of `$id`.
    ids: HashMap<&'s str, Vec<&'s Value>>,
    /// By `$anchor` and `$dynamicAnchor`.
    anchors: HashMap<&'s str, Vec<&'s Value>>,
}

impl<'s> Known<'s> {
    fn of(schema: &'s Value, max_nodes: usize) -> Result<Self, Refused> {
        let (mut ids, mut anchors) = (HashMap::new(), HashMap::new());
        let (mut nodes, mut references) = (0, 0);
        let mut open = vec![(schema, 0)];
        while let Some((node, depth)) = open.pop() {
            nodes += 1;
            if nodes > max_nodes {
                let message = format!(
                    "the schema has more than {max_nodes} parts, the limit of validation.json_schema.max_schema_nodes"
                );
                return Err(Refused::Schema(message));
            }
            if depth > MAX_DEPTH {
                let message = format!("the schema is nested more than {MAX_DEPTH} deep");
                return Err(Refused::Schema(message));
            }
            match node {
                Value::Object(fields) => {
                    let text = |name: &str| fields.get(name).and_then(Value::as_str);
                    if let Some(old) = text("$schema").and_then(old_draft) {
                        let message = format!(
                            "$schema names draft {old}: write the schema in draft 7, 2019-09 or 2020-12"
                        );
                        return Err(Refused::Schema(message));
                    }
                    let id = text("$id");
                    if let Some(id) = id.filter(|id| !id.starts_with('#')) {
                        ids.entry(last_part(id)).or_insert_with(Vec::new).push(node);
                    }
                    // Draft 7 writes an anchor as an id.
                    let anchor = id.and_then(|id| id.strip_prefix('#'));
                    let named = [anchor, text("$anchor"), text("$dynamicAnchor")];
                    for anchor in named.into_iter().flatten() {
                        anchors.entry(anchor).or_insert_with(Vec::new).push(node);
                    }
                    references += usize::from(text("$ref").is_some());
                    open.extend(fields.values().map(|field| (field, depth + 1)));
                }
                Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
                _ => {}
            }
        }
        if references > MAX_REFERENCES {
            let message =
                format!("the schema has {references} references, more than {MAX_REFERENCES}");
            return Err(Refused::Schema(message));
        }
        Ok(Self { ids, anchors })
    }

    /// Every subschema that a reference may mean: rather one too many than one too few.
    fn targets(&self, reference: &str, resource: &'s Value) -> Option<Vec<&'s Value>> {
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let resources: Vec<&Value> = if address.is_empty() {
            vec![resource]
        } else {
            self.ids.get(last_part(address))?.clone()
        };
        if fragment.is_empty() {
            return Some(resources);
        }
        if !fragment.starts_with('/') {
            return Some(self.anchors.get(fragment).cloned().unwrap_or_default());
        }
        let pointer = decoded(fragment);
        let found = resources
            .into_iter()
            .filter_map(|one| one.pointer(&pointer));
        Some(found.collect())
    }
}

/// A draft that is not judged: its anchors and ids are other ones, which would not be counted here.
fn old_draft(schema: &str) -> Option<&'static str> {
    let path = schema.split_once("json-schema.org/")?.1;
    let old = [
        ("draft-03", "3"),
        ("draft-04", "4"),
        ("draft-05", "5"),
        ("draft-06", "6"),
    ];
    old.iter()
        .find_map(|(name, number)| path.starts_with(name).then_some(*number))
}

fn last_part(address: &str) -> &str {
    let address = address.split('#').next().unwrap_or_default();
    address.rsplit('/').next().unwrap_or_default()
}

/// Undoes percent-encoding.
fn decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let hex = |byte: Option<u8>| {
            char::from(byte?)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        match (byte, hex(ahead.next()), hex(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high * 16 + low);
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The way through a schema and a payload.
struct Walk<'s> {
    known: Known<'s>,
    root: &'s Value,
    steps: usize,
    depth: usize,
}

impl<'s> Walk<'s> {
    /// `here` are the subschemas on the way that judge this same payload.
    fn visit(
        &mut self,
        schema: &'s Value,
        resource: &'s Value,
        payload: &Value,
        here: &mut Vec<&'s Value>,
    ) -> Result<(), Refused> {
        let Value::Object(fields) = schema else {
            return Ok(());
        };
        self.steps += 1;
        if self.steps > MAX_STEPS {
            let message = format!("judging this payload takes more than {MAX_STEPS} steps");
            return Err(Refused::TooComplex(message));
        }
        if self.depth > MAX_DEPTH {
            let message = format!("judging this payload goes more than {MAX_DEPTH} levels deep");
            return Err(Refused::TooComplex(message));
        }
        if here.iter().any(|one| std::ptr::eq(*one, schema)) {
            let message = "the schema refers to itself without going into the payload";
            return Err(Refused::Schema(message.to_owned()));
        }
        let is_resource = fields
            .get("$id")
            .and_then(Value::as_str)
            .is_some_and(|id| !id.starts_with('#'));
        let resource = if is_resource { schema } else { resource };
        self.depth += 1;
        here.push(schema);
        // What is left over is found by going through everything once more.
        let rounds = 1
            + usize::from(fields.contains_key("unevaluatedProperties"))
            + usize::from(fields.contains_key("unevaluatedItems"));
        for _ in 0..rounds {
            self.in_place(fields, resource, payload, here)?;
        }
        here.pop();
        self.inside(fields, resource, payload)?;
        self.depth -= 1;
        Ok(())
    }

    fn in_place(
        &mut self,
        fields: &'s Map<String, Value>,
        resource: &'s Value,
        payload: &Value,
        here: &mut Vec<&'s Value>,
    ) -> Result<(), Refused> {
        for (name, field) in fields {
            match name.as_str() {
                "$ref" | "$dynamicRef" | "$recursiveRef" => {
                    self.follow(name, field, resource, payload, here)?;
                }
                "allOf" | "anyOf" | "oneOf" => {
                    for one in field.as_array().into_iter().flatten() {
                        self.visit(one, resource, payload, here)?;
                    }
                }
                "not" | "if" | "then" | "else" => self.visit(field, resource, payload, here)?,
                "dependentSchemas" | "dependencies" => {
                    for one in field.as_object().into_iter().flat_map(Map::values) {
                        self.visit(one, resource, payload, here)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn follow(
        &mut self,
        name: &str,
        reference: &'s Value,
        resource: &'s Value,
        payload: &Value,
        here: &mut Vec<&'s Value>,
    ) -> Result<(), Refused> {
        let Some(reference) = reference.as_str() else {
            return Ok(());
        };
        let Some(mut targets) = self.known.targets(reference, resource) else {
            let reference: String = reference.chars().take(200).collect();
            let message = format!(
                "{name} {reference:?} names another document: only references within the schema are followed"
            );
            return Err(Refused::Schema(message));
        };
        if name == "$recursiveRef" && !std::ptr::eq(resource, self.root) {
            targets.push(self.root);
        }
        for target in targets {
            self.visit(target, resource, payload, here)?;
        }
        Ok(())
    }

    /// Everything that may judge a part of the payload.
    fn inside(
        &mut self,
        fields: &'s Map<String, Value>,
        resource: &'s Value,
        payload: &Value,
    ) -> Result<(), Refused> {
        match payload {
            Value::Object(members) => {
                let properties = fields.get("properties").and_then(Value::as_object);
                let patterns = fields.get("patternProperties").and_then(Value::as_object);
                for (name, member) in members {
                    let named = properties.and_then(|properties| properties.get(name));
                    let others = patterns.into_iter().flat_map(Map::values);
                    let rest = ["additionalProperties", "unevaluatedProperties"];
                    let rest = rest.into_iter().filter_map(|name| fields.get(name));
                    for schema in named.into_iter().chain(others).chain(rest) {
                        self.visit(schema, resource, member, &mut Vec::new())?;
                    }
                    if let Some(names) = fields.get("propertyNames") {
                        self.visit(names, resource, &Value::Null, &mut Vec::new())?;
                    }
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    let list = |name: &str| fields.get(name).and_then(Value::as_array);
                    let placed = ["prefixItems", "items"];
                    let placed = placed.into_iter().filter_map(|name| list(name)?.get(at));
                    let all = ["items", "additionalItems", "contains", "unevaluatedItems"];
                    let all = all.into_iter().filter_map(|name| fields.get(name));
                    for schema in placed.chain(all) {
                        self.visit(schema, resource, item, &mut Vec::new())?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
