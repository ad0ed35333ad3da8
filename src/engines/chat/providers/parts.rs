//! Pieces of messages, read and made alike by every wire format.

use serde_json::{Map, Value, json};

use crate::engines::chat::ChatError;
use crate::types::chat::{ContentPart, ToolCall};

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

/// Reads the arguments of a call in the conversation as the object that most upstreams want.
pub(super) fn arguments_object(call: &ToolCall) -> Result<Map<String, Value>, ChatError> {
    call.arguments().map_err(|error| {
        ChatError::invalid(
            format!("messages[].tool_calls[{}].function.arguments", call.id),
            format!("must be JSON of an object: {error}"),
        )
    })
}

/// Data of a `data:` URL in base64: its media type and its bytes.
pub(super) fn inline(url: &str) -> Option<(&str, &str)> {
    let (kind, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    // Parameters such as a charset may stand behind the type.
    Some((kind.split(';').next().unwrap_or(kind), data))
}

/// The data URL of an OpenAI `file` part.
pub(super) fn file_data(part: &ContentPart) -> Option<&str> {
    part.rest.get("file")?.get("file_data")?.as_str()
}

/// The one function that a tool choice in OpenAI's shape names.
pub(super) fn chosen(choice: &Value) -> Option<&str> {
    choice.pointer("/function/name")?.as_str()
}

/// The schema that a response format asks for; `None` when any text or any JSON will do.
pub(super) fn schema_of(format: Option<&Value>) -> Option<&Value> {
    format?.pointer("/json_schema/schema")
}

/// A schema that allows an object without fields, for tools that take nothing.
pub(super) fn no_parameters() -> Value {
    json!({"type": "object", "properties": {}})
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
