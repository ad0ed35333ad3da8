//! Requests in the languages of other APIs, brought into the one that [`super::complete`] reads.

pub mod messages;
pub mod ollama;
pub mod responses;

use serde_json::{Map, Value, json};

use super::ServiceError;
use crate::types::chat::{Content, ContentPart};

/// A request that we cannot pass on, with the field at fault.
fn refused(param: impl Into<String>, message: &str) -> ServiceError {
    let param = param.into();
    ServiceError::bad_request(format!("{param}: {message}")).param(param)
}

/// A text field of an object; empty when it is not there.
fn word<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn text_part(text: &str) -> ContentPart {
    ContentPart {
        kind: "text".to_owned(),
        text: Some(text.to_owned()),
        rest: Map::new(),
    }
}

fn image_part(url: &str) -> ContentPart {
    other_part("image_url", json!({"url": url}))
}

/// A document as OpenAI's `file` part.
fn file_part(name: &str, data_url: &str) -> ContentPart {
    other_part("file", json!({"filename": name, "file_data": data_url}))
}

fn other_part(kind: &str, value: Value) -> ContentPart {
    ContentPart {
        kind: kind.to_owned(),
        text: None,
        rest: [(kind.to_owned(), value)].into_iter().collect(),
    }
}

/// Parts as the simplest content that holds them; `None` for none.
fn content(mut parts: Vec<ContentPart>) -> Option<Content> {
    match parts.as_mut_slice() {
        [] => None,
        [only] if only.kind == "text" && only.rest.is_empty() => {
            Some(Content::Text(only.text.take().unwrap_or_default()))
        }
        _ => Some(Content::Parts(parts)),
    }
}

/// Fields of a provider's language that are there.
fn native(fields: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Map<String, Value> {
    let fields = fields.into_iter();
    fields
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}
