//! What the derived schemas leave open: how large unsigned numbers get, and that a flattened `None` leaves nothing.

use serde_json::{Map, Value, json};

/// Closes both in the whole document.
pub(super) fn complete(document: &mut Value) {
    let schemas = document.pointer("/components/schemas").cloned();
    walk(document, &schemas.unwrap_or_default());
}

fn walk(value: &mut Value, schemas: &Value) {
    match value {
        Value::Object(map) => {
            bound(map);
            if let Some(Value::Array(parts)) = map.get_mut("allOf") {
                parts.iter_mut().for_each(|part| flattened(part, schemas));
            }
            // An example is no schema.
            let inner = map.iter_mut().filter(|(key, _)| *key != "example");
            inner.for_each(|(_, value)| walk(value, schemas));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, schemas)),
        _ => {}
    }
}

/// An integer that begins at 0 or later is unsigned here: its format is told so, and its end.
fn bound(schema: &mut Map<String, Value>) {
    let kind = schema.get("type");
    let is_integer = kind.is_some_and(|kind| match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "integer"),
        kind => kind == "integer",
    });
    let is_unsigned = schema.get("minimum").and_then(Value::as_u64).is_some();
    if !is_integer || !is_unsigned {
        return;
    }
    let (format, end) = match schema.get("format").and_then(Value::as_str) {
        // No field is smaller without a maximum of its own.
        Some("int32") => ("uint32", u64::from(u32::MAX)),
        _ => ("uint64", u64::MAX),
    };
    schema.insert("format".to_owned(), format.into());
    schema.entry("maximum").or_insert(end.into());
}

/// `null | T` as a part of an object becomes the properties of `T`: all that it requires, or none of it.
fn flattened(part: &mut Value, schemas: &Value) {
    let Some([null, of]) = part["oneOf"].as_array().map(Vec::as_slice) else {
        return;
    };
    let name = of["$ref"].as_str().and_then(|name| name.rsplit('/').next());
    let (Some(name), true) = (name, *null == json!({"type": "null"})) else {
        return;
    };
    let mut properties = schemas[name].clone();
    let Some(schema) = properties.as_object_mut() else {
        return;
    };
    if let Some(required) = schema.remove("required") {
        let names = required.as_array().into_iter().flatten();
        let each = names.filter_map(|name| Some((name.as_str()?.to_owned(), required.clone())));
        schema.insert("dependentRequired".to_owned(), each.collect());
    }
    *part = properties;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_numbers_have_an_end() {
        for (mut schema, expected) in [
            (
                json!({"type": "integer", "format": "int64", "minimum": 0}),
                json!({"type": "integer", "format": "uint64", "minimum": 0, "maximum": u64::MAX}),
            ),
            (
                json!({"type": ["integer", "null"], "format": "int32", "minimum": 1}),
                json!({"type": ["integer", "null"], "format": "uint32", "minimum": 1, "maximum": u32::MAX}),
            ),
            (
                json!({"items": [{"type": "integer", "minimum": 1, "maximum": 9}]}),
                json!({"items": [{"type": "integer", "minimum": 1, "maximum": 9, "format": "uint64"}]}),
            ),
            (
                json!({"type": "integer", "format": "int64"}),
                json!({"type": "integer", "format": "int64"}),
            ),
            (
                json!({"type": "number", "minimum": 0}),
                json!({"type": "number", "minimum": 0}),
            ),
            (
                json!({"example": {"type": "integer", "minimum": 0}}),
                json!({"example": {"type": "integer", "minimum": 0}}),
            ),
        ] {
            complete(&mut schema);
            assert_eq!(schema, expected);
        }
    }

    #[test]
    fn a_flattened_option_is_there_whole_or_not_at_all() {
        let mut document = json!({"components": {"schemas": {
            "Run": {"type": "object", "required": ["a", "b"], "properties": {"a": {}, "b": {}, "c": {}}},
            "Out": {"allOf": [
                {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Run"}]},
                {"type": "object", "required": ["name"]},
            ]},
        }}});
        complete(&mut document);
        let schema = &document["components"]["schemas"]["Out"];
        let validator = jsonschema::draft202012::new(schema).unwrap();
        for (value, expected) in [
            (json!({"name": "n"}), true),
            (json!({"name": "n", "a": 1, "b": 2}), true),
            (json!({"name": "n", "c": 3}), true),
            (json!({"name": "n", "a": 1}), false),
            (json!({"a": 1, "b": 2}), false),
        ] {
            assert_eq!(validator.is_valid(&value), expected, "{value}");
        }
    }
}
