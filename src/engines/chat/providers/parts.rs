//! Pieces of messages, read and made alike by every wire format.

use serde_json::Value;

/// Reads a text that may be a string or a list of parts.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part.get("text")?.as_str())
            .collect(),
        _ => String::new(),
    }
}

/// Reads tool arguments, which are JSON in a string or an object, as JSON in a string.
pub(super) fn arguments_of(arguments: Option<&Value>) -> String {
    match arguments {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

/// Makes an id for a tool call out of what surrounds it: the same bytes give the same id.
pub(super) fn call_id(parts: &[&str], index: usize) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher
            .update(&(part.len() as u64).to_le_bytes())
            .update(part.as_bytes());
    }
    hasher.update(&(index as u64).to_le_bytes());
    format!("call_{}", &hasher.finalize().to_hex()[..24])
}
