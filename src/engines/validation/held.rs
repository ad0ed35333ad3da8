//! JSON that a text holds: all of it, in fenced code, or between other words.

use serde::Deserialize as _;
use serde_json::{Deserializer, Value};

/// Places where a value may begin that are tried.
const MAX_STARTS: usize = 64;

/// Finds the JSON of a text as models write it: the whole, else the first fenced block that is or begins with JSON,
/// else the first object or list between other words. What begins an object or a list and breaks it off is not searched
/// for smaller ones: they would be parts of it.
///
/// Errors: why the part that looks most like JSON is none.
pub fn held_json(text: &str) -> Result<Value, String> {
    let text = text.trim().trim_start_matches('\u{feff}').trim_start();
    let whole = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let mut told = None;
    for block in fenced(text) {
        match serde_json::from_str(block).or_else(|error| first(block).ok_or(error)) {
            Ok(value) => return Ok(value),
            Err(error) if told.is_none() && block.trim_start().starts_with(['{', '[']) => {
                told = Some(format!("the fenced block is no JSON: {error}"));
            }
            Err(_) => {}
        }
    }
    let broken = text.starts_with(['{', '[']) && begun(text).is_err();
    if told.is_none() && !broken {
        let starts = text.match_indices(['{', '[']).take(MAX_STARTS);
        for (at, _) in starts {
            match begun(&text[at..]) {
                Ok(value) if is_data(&value) => return Ok(value),
                Err(error) if told.is_none() && text[at..].starts_with('{') => {
                    told = Some(format!("what begins with {{ is no JSON: {error}"));
                }
                _ => {}
            }
        }
    }
    Err(told.unwrap_or_else(|| match text {
        "" => "the text is empty".to_owned(),
        _ if text.starts_with(['{', '[', '"']) => format!("the text is no JSON: {whole}"),
        _ => "the text holds no JSON".to_owned(),
    }))
}

/// The value that a text begins with, whatever follows it.
fn begun(text: &str) -> Result<Value, serde_json::Error> {
    Value::deserialize(&mut Deserializer::from_str(text))
}

/// The object or list that a text begins with.
fn first(text: &str) -> Option<Value> {
    let text = text.trim_start();
    let value = text.starts_with(['{', '[']).then(|| begun(text).ok());
    value.flatten().filter(is_data)
}

/// Whether it is an object or a list; a mark such as `[1]` is none.
fn is_data(value: &Value) -> bool {
    let data = |item: &Value| item.is_object() || item.is_array() || item.is_string();
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.is_empty() || items.iter().any(data),
        _ => false,
    }
}

/// The insides of fenced blocks, in order; one that is never closed ends with the text.
fn fenced(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open: Option<(&str, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let mark = ["```", "~~~"]
            .into_iter()
            .find(|mark| trimmed.starts_with(mark));
        match (open, mark) {
            (None, Some(mark)) => open = Some((mark, at + line.len())),
            (Some((opened, start)), Some(mark))
                if opened == mark && trimmed.trim_start_matches(['`', '~']).is_empty() =>
            {
                found.push(&text[start..at]);
                open = None;
            }
            _ => {}
        }
        at += line.len();
    }
    if let Some((_, start)) = open {
        found.push(&text[start..]);
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_found_where_models_put_it() {
        for (text, expected) in [
            (r#"{"a": 1}"#, json!({"a": 1})),
            ("\u{feff} [1, 2] \n", json!([1, 2])),
            ("\"a text\"", json!("a text")),
            (
                "Here it is:\n```json\n{\"a\": 1}\n```\nDone.",
                json!({"a": 1}),
            ),
            ("~~~\n[\"x\"]\n~~~", json!(["x"])),
            (
                "```python\nx = 1\n```\n```\n{\"b\": 2}\n```",
                json!({"b": 2}),
            ),
            ("```json\n{\"a\": \"```\"}\n```", json!({"a": "```"})),
            ("```json\n{\"cut\": true}", json!({"cut": true})),
            (
                "As [1] says, {\"a\": {\"b\": []}} is it.",
                json!({"a": {"b": []}}),
            ),
            ("Names: [\"x\", \"y\"].", json!(["x", "y"])),
            ("{\"a\": 1} Hope this helps!", json!({"a": 1})),
            ("[\"x\"]\n\nis the list", json!(["x"])),
            ("{\"a\": 1}\n{\"b\": 2}", json!({"a": 1})),
            ("[1] says {\"a\": 1}.", json!({"a": 1})),
            ("```json\n{\"a\": 1}\nas asked\n```", json!({"a": 1})),
            ("```json\n{\"a\": 1}\n``` done", json!({"a": 1})),
        ] {
            assert_eq!(held_json(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_told_why() {
        let deep = "[".repeat(10_000);
        for (text, expected) in [
            ("", "the text is empty"),
            ("  \n", "the text is empty"),
            ("No data here.", "holds no JSON"),
            ("See [1] and [2].", "holds no JSON"),
            ("{\"a\": 1", "the text is no JSON: EOF"),
            ("{\"a\": 1,}", "the text is no JSON: trailing comma"),
            ("{\"a\": {\"b\": 1}, oops", "the text is no JSON"),
            (
                "It is:\n```json\n{\"a\": }\n```",
                "the fenced block is no JSON",
            ),
            ("It is {a: 1}.", "what begins with { is no JSON"),
            (&deep, "recursion limit"),
        ] {
            let error = held_json(text).unwrap_err();
            assert!(error.contains(expected), "{text:.40}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([`~{}\\[\\]\"a-z0-9,: \n\\\\]|\\PC){0,120}") {
            let _ = held_json(&text);
        }
    }
}
