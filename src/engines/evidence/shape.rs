//! Whether a record's body is as the JSON Schema of its kind says.
//!
//! Reads the part of JSON Schema that the schemas of `config/schemas` use, and refuses any other keyword, so that none is
//! passed over in silence. What a misfit says never holds a value: that may be somebody's.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

use crate::engines::dataset::SCHEMAS;
use crate::types::evidence::{EvidenceRecord, Kind};
use crate::types::plain::counted;

/// Misfits of one record that are told.
const TOLD: usize = 5;
/// Characters of a member's name that are told.
const NAME_CHARS: usize = 80;

/// A schema that cannot be used: a fault of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schema of {kind}: {reason}")]
pub struct SchemaError {
    kind: &'static str,
    reason: String,
}

/// A place in a body that is not as the schema says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// JSON Pointer; empty for the whole.
    pub path: String,
    /// In words.
    pub message: String,
}

/// The schemas of all kinds of bodies, of each kind the newest version first.
#[derive(Debug)]
pub struct Shapes(BTreeMap<Kind, Vec<Node>>);

impl Shapes {
    /// Reads them.
    ///
    /// Errors: one is missing, or says what nothing here understands.
    pub fn new() -> Result<Self, SchemaError> {
        let read = |kind: Kind| {
            let failed = |reason: String| SchemaError {
                kind: kind.name(),
                reason,
            };
            let version = |version: u32| {
                let file = format!("{}.v{version}.json", kind.name());
                let text = SCHEMAS.iter().find(|(name, _)| *name == file);
                let (_, text) = text.ok_or_else(|| failed(format!("there is no {file}")))?;
                let schema =
                    serde_json::from_str(text).map_err(|error| failed(error.to_string()))?;
                Node::read(&schema).map_err(failed)
            };
            let versions = (1..=kind.body_version()).rev().map(version);
            Ok((kind, versions.collect::<Result<Vec<_>, _>>()?))
        };
        Kind::ALL
            .into_iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Lists the first few misfits of a record, by the newest version unless its body fits one before; of an erased one
    /// there is nothing to say.
    pub fn misfits(&self, record: &EvidenceRecord) -> Vec<Misfit> {
        let versions = self.0.get(&record.kind).map_or(&[][..], Vec::as_slice);
        if record.erased.is_some() {
            return Vec::new();
        }
        let mut newest = None;
        for version in versions {
            let mut found = Vec::new();
            version.check(&record.body, "", &mut found);
            if found.is_empty() {
                return found;
            }
            newest.get_or_insert(found);
        }
        newest.unwrap_or_default()
    }
}

/// A schema, or a part of one.
#[derive(Debug, Default)]
struct Node {
    types: Vec<String>,
    one_of: Option<Vec<Value>>,
    pattern: Option<Regex>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    items: Option<Box<Node>>,
    min_items: Option<u64>,
    max_items: Option<u64>,
    properties: BTreeMap<String, Node>,
    required: Vec<String>,
    /// Whether there may be members beside `properties`.
    open: bool,
}

impl Node {
    fn read(schema: &Value) -> Result<Self, String> {
        let schema = schema.as_object().ok_or("a schema that is no object")?;
        let mut node = Self {
            open: true,
            ..Self::default()
        };
        for (keyword, value) in schema {
            match keyword.as_str() {
                "$schema" | "$id" | "title" | "description" => {}
                "type" => node.types = words(value)?,
                "enum" => node.one_of = value.as_array().cloned(),
                "const" => node.one_of = Some(vec![value.clone()]),
                "pattern" => {
                    let pattern = Regex::new(value.as_str().unwrap_or_default());
                    node.pattern = Some(pattern.map_err(|error| error.to_string())?);
                }
                "minimum" => node.minimum = value.as_f64(),
                "maximum" => node.maximum = value.as_f64(),
                "items" => node.items = Some(Box::new(Self::read(value)?)),
                "minItems" => node.min_items = value.as_u64(),
                "maxItems" => node.max_items = value.as_u64(),
                "required" => node.required = words(value)?,
                "additionalProperties" => node.open = value.as_bool().ok_or("no boolean")?,
                "properties" => {
                    for (name, member) in value.as_object().ok_or("no properties")? {
                        node.properties.insert(name.clone(), Self::read(member)?);
                    }
                }
                other => return Err(format!("unknown keyword {other}")),
            }
        }
        Ok(node)
    }

    fn check(&self, value: &Value, path: &str, found: &mut Vec<Misfit>) {
        if found.len() >= TOLD {
            return;
        }
        let mut say = |message: String| {
            found.push(Misfit {
                path: path.to_owned(),
                message,
            });
        };
        if !self.types.is_empty() && !self.types.iter().any(|name| is_a(value, name)) {
            let types = self.types.join(" or ");
            return say(format!("is {}, must be {types}", type_name(value)));
        }
        if let Some(known) = &self.one_of
            && !known.contains(value)
        {
            let known: Vec<_> = known.iter().map(Value::to_string).collect();
            say(format!("is none of {}", known.join(", ")));
        }
        let number = value.as_f64();
        if let (Some(number), Some(least)) = (number, self.minimum)
            && number < least
        {
            say(format!("is below {least}"));
        }
        if let (Some(number), Some(most)) = (number, self.maximum)
            && number > most
        {
            say(format!("is above {most}"));
        }
        match value {
            Value::String(text) => {
                if let Some(pattern) = self.pattern.as_ref().filter(|one| !one.is_match(text)) {
                    say(format!("does not match {pattern}"));
                }
            }
            Value::Array(items) => self.items(items, path, found),
            Value::Object(members) => self.members(members, path, found),
            _ => {}
        }
    }

    fn items(&self, items: &[Value], path: &str, found: &mut Vec<Misfit>) {
        let count = items.len() as u64;
        let few = self.min_items.is_some_and(|least| count < least);
        if few || self.max_items.is_some_and(|most| count > most) {
            found.push(Misfit {
                path: path.to_owned(),
                message: format!("has {}", counted(count, "item")),
            });
        }
        if let Some(node) = &self.items {
            for (at, item) in items.iter().enumerate() {
                node.check(item, &format!("{path}/{at}"), found);
            }
        }
    }

    fn members(&self, members: &Map<String, Value>, path: &str, found: &mut Vec<Misfit>) {
        let mut say = |message: String| {
            found.push(Misfit {
                path: path.to_owned(),
                message,
            });
        };
        for name in &self.required {
            if !members.contains_key(name) {
                say(format!("lacks {name}"));
            }
        }
        for name in members.keys() {
            if !self.open && !self.properties.contains_key(name) {
                let name: String = name.chars().take(NAME_CHARS).collect();
                say(format!("has an unknown member {name:?}"));
            }
        }
        found.truncate(TOLD);
        for (name, node) in &self.properties {
            if let Some(member) = members.get(name) {
                node.check(member, &format!("{path}/{name}"), found);
            }
        }
    }
}

fn words(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::String(one) => Ok(vec![one.clone()]),
        Value::Array(many) => Ok(many
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()),
        _ => Err("neither a word nor words".to_owned()),
    }
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "integer" => match value.as_f64() {
            Some(number) => number.fract() == 0.0,
            None => false,
        },
        "number" => value.is_number(),
        other => type_name(value) == other,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::super::selection::tests::record;
    use super::*;
    use crate::types::evidence::{
        ChatEvidence, Erased, ErasureEvidence, FeedbackEvidence, PassageEvidence, Rating,
        RetentionEvidence, SearchEvidence, TokenUsage, ValidationEvidence,
    };

    fn said(kind: Kind, body: Value) -> Vec<(String, String)> {
        let shapes = Shapes::new().unwrap();
        let misfits = shapes.misfits(&record(1, kind, "id", body));
        let said = misfits.into_iter().map(|one| (one.path, one.message));
        said.collect()
    }

    fn chat() -> Value {
        let chat = ChatEvidence {
            passages: vec![PassageEvidence {
                collection: "c".to_owned(),
                id: "p".to_owned(),
                score: 1.0,
                text: String::new(),
                cited: true,
            }],
            usage: Some(TokenUsage::default()),
            cache: Some("hit".to_owned()),
            ..ChatEvidence::default()
        };
        serde_json::to_value(chat).unwrap()
    }

    #[test]
    fn what_is_written_fits() {
        assert_eq!(said(Kind::Chat, chat()), []);
        let feedback = FeedbackEvidence {
            target: "c".to_owned(),
            rating: Rating::Accepted,
            score: Some(1.0),
            comment: None,
            edited_answer: None,
            user: None,
            review: true,
            imported: None,
            key: Some("k".to_owned()),
        };
        assert_eq!(said(Kind::Feedback, json!(feedback)), []);
        let erasure = ErasureEvidence {
            reason: "asked".to_owned(),
            by: "id".to_owned(),
            records: vec![(1, 2)],
            frames: Vec::new(),
        };
        assert_eq!(said(Kind::Erasure, json!(erasure)), []);
        let journal = include_str!("../../../tests/data/evidence-v1/evidence-00000001.jsonl");
        let shapes = Shapes::new().unwrap();
        for line in journal.lines() {
            let record = serde_json::from_str(line).unwrap();
            assert_eq!(shapes.misfits(&record), []);
        }
        let mut erased = record(1, Kind::Chat, "id", Value::Null);
        assert_eq!(shapes.misfits(&erased).len(), 1);
        erased.erased = Some(Erased {
            at: 1,
            by: 2,
            reason: String::new(),
        });
        assert_eq!(shapes.misfits(&erased), []);
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_place_and_without_its_value() {
        let check = |pointer: &str, value: Value, path: &str, message: &str| {
            let mut body = chat();
            *body.pointer_mut(pointer).unwrap() = value;
            let expected = (path.to_owned(), message.to_owned());
            assert_eq!(said(Kind::Chat, body), [expected]);
        };
        let wrong = "is string, must be integer";
        check("/latency_ms", json!("secret"), "/latency_ms", wrong);
        check(
            "/latency_ms",
            json!(1.5),
            "/latency_ms",
            "is number, must be integer",
        );
        check(
            "/usage/prompt_tokens",
            json!(-1),
            "/usage/prompt_tokens",
            "is below 0",
        );
        let known = "is none of \"hit\", \"semantic\"";
        check("/cache", json!("secret"), "/cache", known);
        let wrong = "is number, must be string or null";
        check("/answered_by", json!(1), "/answered_by", wrong);
        check(
            "/passages/0/cited",
            json!(0),
            "/passages/0/cited",
            "is number, must be boolean",
        );
        check(
            "/usage",
            json!({"prompt_tokens": 1}),
            "/usage",
            "lacks completion_tokens",
        );
        let mut body = chat();
        body["more"] = json!("secret");
        let more = (String::new(), "has an unknown member \"more\"".to_owned());
        assert_eq!(said(Kind::Chat, body), [more]);
        let told = said(Kind::Chat, json!({}));
        assert_eq!(told.len(), TOLD);
        let validation = json!({"request_id": "", "kind": "fill", "verdict": "pass", "findings": [], "payload_sha256": "x"});
        let hash = "does not match ^[0-9a-f]{64}$".to_owned();
        assert_eq!(
            said(Kind::Validation, validation),
            [("/payload_sha256".to_owned(), hash)]
        );
        let body = json!({"reason": "", "by": "id", "records": [[1]]});
        let few = ("/records/0".to_owned(), "has 1 item".to_owned());
        assert_eq!(said(Kind::Erasure, body), [few]);
        let body = json!({"target": "", "rating": "accepted", "score": 2});
        let high = ("/score".to_owned(), "is above 1".to_owned());
        assert_eq!(said(Kind::Feedback, body), [high]);
    }

    #[test]
    fn bodies_of_every_version_are_read_and_as_a_schema_says() {
        fn read<T: DeserializeOwned>(body: &Value) {
            serde_json::from_value::<T>(body.clone()).unwrap();
        }
        let shapes = Shapes::new().unwrap();
        let [first, second] = [
            include_str!("../../../tests/data/evidence-v2/bodies.v1.jsonl"),
            include_str!("../../../tests/data/evidence-v2/bodies.v2.jsonl"),
        ];
        let mut seen = BTreeSet::new();
        for line in first.lines().chain(second.lines()) {
            let line: Value = serde_json::from_str(line).unwrap();
            let kind: Kind = serde_json::from_value(line["kind"].clone()).unwrap();
            let body = &line["body"];
            match kind {
                Kind::Chat => read::<ChatEvidence>(body),
                Kind::Search => read::<SearchEvidence>(body),
                Kind::Validation => read::<ValidationEvidence>(body),
                Kind::Feedback => read::<FeedbackEvidence>(body),
                Kind::Erasure => read::<ErasureEvidence>(body),
                Kind::Retention => read::<RetentionEvidence>(body),
            }
            assert_eq!(shapes.misfits(&record(1, kind, "i", body.clone())), []);
            seen.insert(kind);
        }
        assert_eq!(seen.len(), Kind::ALL.len());
    }

    #[test]
    fn a_body_of_an_earlier_version_fits() {
        let node = |name: &str| {
            let schema = json!({"required": [name], "properties": {name: {}}});
            Node::read(&schema).unwrap()
        };
        let shapes = Shapes([(Kind::Search, vec![node("new"), node("old")])].into());
        let said = |body| {
            let misfits = shapes.misfits(&record(1, Kind::Search, "id", body));
            misfits.into_iter().map(|one| one.message)
        };
        for body in [json!({"new": 1}), json!({"old": 1})] {
            assert_eq!(said(body).count(), 0);
        }
        assert_eq!(said(json!({})).collect::<Vec<_>>(), ["lacks new"]);
    }

    #[test]
    fn a_keyword_that_is_not_known_is_not_passed_over() {
        let error = Node::read(&json!({"items": {"anyOf": []}})).unwrap_err();
        assert_eq!(error, "unknown keyword anyOf");
    }
}
