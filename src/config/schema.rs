//! What the types say of the settings: the JSON Schema of the settings file, for editors, and the table of all keys.

use std::fmt::Write as _;

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::Settings;

/// What stands for a name that users choose.
const NAME: &str = "NAME";

/// The JSON Schema of the settings file, of the draft that editors of TOML read: each key with its type, its bounds, its
/// default and what it is.
pub fn schema() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    let schema = settings.into_generator().into_root_schema_for::<Settings>();
    let mut schema = Value::from(schema);
    tidy(&mut schema);
    schema["title"] = json!("Settings of boathouse");
    schema
}

/// Leaves what holds of TOML, which has no null, and what other languages know.
fn tidy(schema: &mut Value) {
    let Value::Object(schema) = schema else {
        return;
    };
    let format = schema.shift_remove("format");
    if format.is_some_and(|format| format == "uint32") && !schema.contains_key("maximum") {
        schema.insert("maximum".to_owned(), json!(u32::MAX));
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(forms)) = schema.get_mut("anyOf") {
        forms.retain(|form| form["type"] != "null");
        if let [Value::Object(one)] = &mut forms[..] {
            let one = std::mem::take(one);
            schema.shift_remove("anyOf");
            schema.extend(one);
        }
    }
    let has_members = schema.contains_key("properties");
    match schema.get_mut("default") {
        // What is below says its own.
        Some(Value::Null) => drop(schema.shift_remove("default")),
        Some(Value::Object(_)) if has_members => drop(schema.shift_remove("default")),
        Some(default) => shorten(default),
        None => {}
    }
    for below in ["properties", "anyOf", "oneOf"] {
        match schema.get_mut(below) {
            Some(Value::Object(all)) => all.values_mut().for_each(tidy),
            Some(Value::Array(all)) => all.iter_mut().for_each(tidy),
            _ => {}
        }
    }
    for below in ["additionalProperties", "items"] {
        schema.get_mut(below).into_iter().for_each(tidy);
    }
}

/// A float of 32 bits has as many digits as it needs: 0.95, not 0.949999988079071.
fn shorten(default: &mut Value) {
    let Some(number) = default.as_f64().filter(|_| default.is_f64()) else {
        return;
    };
    #[expect(clippy::cast_possible_truncation, reason = "that is the question")]
    let short = number as f32;
    if f64::from(short) == number
        && let Ok(short) = short.to_string().parse::<f64>()
    {
        *default = json!(short);
    }
}

/// All keys with type, bounds and default, as a table of Markdown.
pub(super) fn table() -> String {
    let mut table = "| key | is | default |\n|---|---|---|\n".to_owned();
    rows(&schema(), "", &mut table);
    table
}

fn rows(schema: &Value, path: &str, table: &mut String) {
    if let Some(members) = schema["properties"].as_object() {
        for (name, member) in members {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            rows(member, &path, table);
        }
        return;
    }
    // A table whose keys users choose, and of whose values more is known than that they are values.
    let named = schema["additionalProperties"]
        .get("properties")
        .map(|_| &schema["additionalProperties"]);
    if let Some(named) = named {
        return rows(named, &format!("{path}.{NAME}"), table);
    }
    let default = schema.get("default").map(ToString::to_string);
    let default = default.map(|default| format!("`{default}`"));
    // Writing to a String cannot fail.
    let _ = writeln!(
        table,
        "| `{path}` | {} | {} |",
        is(schema),
        default.unwrap_or_default()
    );
}

/// What a value is, in words.
fn is(schema: &Value) -> String {
    if let Some(words) = words(schema) {
        return words.join(", ");
    }
    let bounds = bounds(schema);
    match schema["type"].as_str() {
        Some("boolean") => "true or false".to_owned(),
        Some("integer") => format!("whole number{bounds}"),
        Some("number") => format!("number{bounds}"),
        Some("string") => "text".to_owned(),
        Some("array") => {
            let items = &schema["items"];
            let of = match (words(items), items["type"].as_str()) {
                (Some(words), _) => words.join(", "),
                (None, Some("string")) => "texts".to_owned(),
                (None, Some("integer" | "number")) => "numbers".to_owned(),
                (None, Some("object")) => "tables".to_owned(),
                (None, _) => "tables and texts".to_owned(),
            };
            format!("list of {of}")
        }
        Some("object") => match &schema["additionalProperties"]["type"] {
            Value::String(kind) if kind == "string" => "table of texts".to_owned(),
            _ => "table".to_owned(),
        },
        _ => "value".to_owned(),
    }
}

/// The words that a value can be.
fn words(schema: &Value) -> Option<Vec<String>> {
    let word = |word: &Value| word.as_str().map(|word| format!("`{word}`"));
    if let Some(all) = schema["enum"].as_array() {
        return all.iter().map(word).collect();
    }
    let all = schema["oneOf"].as_array()?.iter();
    let all = all.map(|form| match form["enum"].as_array() {
        Some(words) => words.iter().map(word).collect::<Option<Vec<_>>>(),
        None => word(&form["const"]).map(|word| vec![word]),
    });
    Some(all.collect::<Option<Vec<_>>>()?.concat())
}

fn bounds(schema: &Value) -> String {
    match (schema.get("minimum"), schema.get("maximum")) {
        (Some(least), Some(most)) => format!(", {} to {}", number(least), number(most)),
        (Some(least), None) => format!(", at least {}", number(least)),
        (None, Some(most)) => format!(", at most {}", number(most)),
        (None, None) => String::new(),
    }
}

/// `1`, not `1.0`.
fn number(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests;
