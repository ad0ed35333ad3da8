//! The files of `config/schemas/` are made of the types: `just schemas` writes them, the tests here hold them to it.
//!
//! They say what is written: a member that may be left out is left out and never null, and there are no members beside
//! those of the type. Only the newest version of a shape has a type, so files of earlier versions stay as they are.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::SCHEMAS;
use crate::types::evidence::{
    ChatEvidence, ErasureEvidence, EvidenceRecord, FeedbackEvidence, Kind, RetentionEvidence,
    SCHEMA_VERSION, SearchEvidence, ValidationEvidence,
};

/// Set to write the files in place of comparing them.
const WRITE: &str = "BOATHOUSE_WRITE_SCHEMAS";

/// What each published version asks of a value, as the start of a hash. A line is never changed: a shape that changes gets
/// the next version, a file of its own in [`SCHEMAS`], and a line here.
const PUBLISHED: [(&str, &str); 11] = [
    ("chat.v1.json", "05b7aa7531b15d12"),
    ("erasure.v1.json", "f29897bb604debce"),
    ("evidence-record.v1.json", "343324caa54c08c2"),
    ("evidence-record.v2.json", "036adf6dbb16567a"),
    ("feedback.v1.json", "e57a33bd236bceb7"),
    ("feedback.v2.json", "2aabe34b32fcaffe"),
    ("retention.v1.json", "7caf7d90ce8dd139"),
    ("search.v1.json", "aee2bde7650efb52"),
    ("search.v2.json", "da7de4549a0a72f3"),
    ("validation.v1.json", "80b222a6a04ec844"),
    ("validation.v2.json", "4b402e48a768e67f"),
];

/// Keywords in the order in which they are written; there are no others.
const ORDER: [&str; 16] = [
    "$schema",
    "$id",
    "title",
    "description",
    "type",
    "const",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "items",
    "minItems",
    "maxItems",
    "properties",
    "required",
    "additionalProperties",
];

/// File name and text of each schema that has a type.
fn generated() -> Vec<(String, String)> {
    let mut files: Vec<_> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let schema = match kind {
                Kind::Chat => schema_of::<ChatEvidence>(),
                Kind::Search => schema_of::<SearchEvidence>(),
                Kind::Validation => schema_of::<ValidationEvidence>(),
                Kind::Feedback => schema_of::<FeedbackEvidence>(),
                Kind::Erasure => schema_of::<ErasureEvidence>(),
                Kind::Retention => schema_of::<RetentionEvidence>(),
            };
            file(kind.name(), kind.body_version(), schema)
        })
        .collect();
    let mut record = schema_of::<EvidenceRecord>();
    // The type reads records of version 1 as well, which have none.
    let required = record["required"].as_array_mut().unwrap();
    let body = required.iter().position(|name| name == "body").unwrap();
    required.insert(body + 1, json!("content"));
    never_null(&mut record["properties"]["content"]);
    files.push(file("evidence-record", SCHEMA_VERSION, record));
    files
}

fn schema_of<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.inline_subschemas = true;
    settings.into_generator().into_root_schema_for::<T>().into()
}

fn file(name: &str, version: u32, mut schema: Value) -> (String, String) {
    let name = format!("{name}.v{version}.json");
    let root = schema.as_object_mut().unwrap();
    let about = root.remove("description").unwrap();
    let title = about.as_str().unwrap().split(". ").next().unwrap();
    root.insert("title".to_owned(), json!(title.trim_end_matches('.')));
    let id = format!("urn:boathouse:schema:{name}");
    root.insert("$id".to_owned(), json!(id));
    tidy(&mut schema);
    let text = serde_json::to_string_pretty(&schema).unwrap();
    (name, text + "\n")
}

/// Leaves what a reader in any language needs, in one order.
fn tidy(schema: &mut Value) {
    let Value::Object(object) = schema else {
        return;
    };
    // How Rust holds it, and what Rust takes for what is not there.
    object.shift_remove("format");
    object.shift_remove("default");
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = text
            .replace('\n', " ")
            .replace("`None`", "null")
            .replace('`', "");
    }
    if let Some(Value::Array(words)) = object.shift_remove("oneOf") {
        let words: Vec<_> = words.iter().map(|word| word["const"].clone()).collect();
        assert!(words.iter().all(Value::is_string), "only words: {words:?}");
        object.insert("type".to_owned(), json!("string"));
        object.insert("enum".to_owned(), json!(words));
    }
    if object.contains_key("const") {
        object.shift_remove("minimum");
    }
    match object.get_mut("items") {
        Some(Value::Bool(true)) => drop(object.shift_remove("items")),
        Some(items) => tidy(items),
        None => {}
    }
    let required = object.get("required").cloned().unwrap_or_default();
    if let Some(Value::Object(members)) = object.get_mut("properties") {
        for (name, member) in members {
            tidy(member);
            let required = required.as_array().into_iter().flatten();
            if !required.into_iter().any(|one| one == name) {
                never_null(member);
            }
        }
        object.insert("additionalProperties".to_owned(), json!(false));
    }
    let mut ordered = Map::new();
    for keyword in ORDER {
        if let Some(value) = object.shift_remove(keyword) {
            ordered.insert(keyword.to_owned(), value);
        }
    }
    assert!(object.is_empty(), "unknown keywords: {object:?}");
    *object = ordered;
}

/// A member that may be left out is left out where there is nothing.
fn never_null(member: &mut Value) {
    if let Some(Value::Array(types)) = member.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            member["type"] = one;
        }
    }
}

/// What a schema asks of a value: all but the words for people.
fn asked(schema: &Value) -> Value {
    let Value::Object(object) = schema else {
        return schema.clone();
    };
    let mut asked = Map::new();
    for (keyword, value) in object {
        let value = match (keyword.as_str(), value) {
            ("title" | "description", _) => continue,
            ("properties", Value::Object(members)) => members
                .iter()
                .map(|(name, member)| (name.clone(), self::asked(member)))
                .collect(),
            ("items", items) => self::asked(items),
            (_, value) => value.clone(),
        };
        asked.insert(keyword.clone(), value);
    }
    // No order of members is asked for.
    if let Some(Value::Array(names)) = asked.get_mut("required") {
        names.sort_by_key(Value::to_string);
    }
    let mut asked = Value::Object(asked);
    asked.sort_all_objects();
    asked
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/schemas")
}

#[test]
fn files_are_what_the_types_say() {
    for (name, expected) in generated() {
        let path = folder().join(&name);
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            found, expected,
            "{name} is not what its type says: raise its version if the shape has changed, then `just schemas`"
        );
        let known = SCHEMAS.iter().any(|(known, _)| *known == name);
        assert!(known, "{name} is not in SCHEMAS");
    }
}

#[test]
fn a_published_shape_never_changes() {
    let mut known: Vec<_> = SCHEMAS.iter().map(|(name, _)| (*name).to_owned()).collect();
    known.sort_unstable();
    let listed = std::fs::read_dir(folder()).unwrap();
    let listed = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut listed: Vec<_> = listed.collect();
    listed.sort_unstable();
    assert_eq!(known, listed, "SCHEMAS has each file");
    let found: Vec<_> = known
        .iter()
        .map(|name| {
            // Of the disk: what `just schemas` has just written is not in this binary.
            let text = std::fs::read_to_string(folder().join(name)).unwrap();
            let asked = asked(&serde_json::from_str(&text).unwrap());
            let hash = blake3::hash(asked.to_string().as_bytes()).to_hex();
            (name.as_str(), hash[..16].to_owned())
        })
        .collect();
    let found: Vec<_> = found
        .iter()
        .map(|(name, hash)| (*name, &hash[..]))
        .collect();
    assert_eq!(
        found, PUBLISHED,
        "a shape that was published has changed: raise its version in types/evidence.rs"
    );
}

#[test]
fn only_words_for_people_can_change_within_a_version() {
    let schema = json!({"title": "a", "properties": {"title": {"type": "string", "description": "b"}},
        "required": ["title"]});
    let mut other = schema.clone();
    other["title"] = json!("c");
    other["properties"]["title"]["description"] = json!("d");
    assert_eq!(asked(&schema), asked(&other));
    for (pointer, value) in [
        ("/required", json!([])),
        ("/properties/title/type", json!("integer")),
        ("/properties", json!({})),
    ] {
        let mut other = schema.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        assert_ne!(asked(&schema), asked(&other), "{pointer}");
    }
}
