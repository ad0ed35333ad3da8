//! Foreign messages in OpenAI's shape.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::path::decoded;
use crate::engines::dataset::conversation::text_parts;

/// How a map says that messages are written.
pub(super) struct Shape<'a> {
    pub(super) roles: &'a BTreeMap<String, &'static str>,
    pub(super) role_members: &'a [String],
    pub(super) content_members: &'a [String],
}

/// An answer: its text and its calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) calls: Vec<Value>,
}

impl Answer {
    pub(super) fn is_empty(&self) -> bool {
        self.text.trim().is_empty() && self.calls.is_empty()
    }
}

impl Shape<'_> {
    /// Reads messages: a list of them, one of them, a text that is either of these as JSON, or the words of the user.
    ///
    /// Errors: what is no message.
    pub(super) fn messages(&self, found: &Value) -> Result<Vec<Value>, String> {
        let inner = decoded(found).filter(|inner| self.is_conversation(inner));
        let found = inner.as_ref().unwrap_or(found);
        match found {
            Value::String(text) => Ok(vec![json!({"role": "user", "content": text})]),
            Value::Array(items) => self.list(items),
            Value::Object(_) => self.list(std::slice::from_ref(found)),
            other => Err(format!(
                "{} is neither a list of messages nor a text",
                kind(other)
            )),
        }
    }

    /// Reads an answer: a text, a message, or a list whose last message it is, or that is the parts or items of it.
    ///
    /// Errors: what is none.
    pub(super) fn answer(&self, found: &Value) -> Result<Answer, String> {
        let inner = decoded(found).filter(|inner| self.is_conversation(inner));
        let found = inner.as_ref().unwrap_or(found);
        if let Value::Array(items) = found
            && items.iter().all(|item| self.role(item).is_none())
            && items.iter().all(|item| text_of(item).is_some())
        {
            let text = text_parts(Some(found)).map(|(text, _)| text);
            return Ok(Answer {
                text: text.unwrap_or_default(),
                calls: Vec::new(),
            });
        }
        match found {
            Value::String(text) => Ok(Answer {
                text: text.clone(),
                calls: Vec::new(),
            }),
            Value::Array(items) => {
                let mut messages = self.list(items)?;
                last_answer(&mut messages).ok_or("no message of it is the assistant's".to_owned())
            }
            Value::Object(members) if self.role(found).is_none() => {
                // A message whose role goes without saying.
                let mut message = members.clone();
                let role = self.role_members.first().map_or("role", String::as_str);
                message.insert(role.to_owned(), "assistant".into());
                let mut messages = self.list(&[Value::Object(message)])?;
                last_answer(&mut messages).ok_or_else(String::new)
            }
            Value::Object(_) => {
                let mut messages = self.list(std::slice::from_ref(found))?;
                let answer = last_answer(&mut messages);
                answer.ok_or("its role is not the assistant's".to_owned())
            }
            other => Err(format!("{} is neither a text nor a message", kind(other))),
        }
    }

    /// Whether JSON in a text is messages, and not what somebody wrote.
    fn is_conversation(&self, inner: &Value) -> bool {
        let is_message = |value: &Value| self.role(value).is_some() || is_item(value);
        match inner {
            Value::Array(items) => !items.is_empty() && items.iter().all(is_message),
            one => is_message(one),
        }
    }

    fn role<'v>(&self, message: &'v Value) -> Option<&'v str> {
        let mut members = self.role_members.iter();
        members.find_map(|member| message.get(member)?.as_str())
    }

    fn list(&self, items: &[Value]) -> Result<Vec<Value>, String> {
        let mut messages: Vec<Value> = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let message = self.message(item, messages.last());
            let message = message.map_err(|reason| format!("message {at} {reason}"))?;
            let Some(message) = message else { continue };
            match messages.last_mut() {
                // Calls that one turn made, written one by one.
                Some(last) if is_call_only(last) && is_call_only(&message) => {
                    let more = message["tool_calls"].as_array().cloned();
                    if let (Some(calls), Some(more)) = (last["tool_calls"].as_array_mut(), more) {
                        calls.extend(more);
                    }
                }
                _ => messages.push(message),
            }
        }
        Ok(messages)
    }

    /// Reads one message; `None` for an item that says nothing of the conversation.
    fn message(&self, item: &Value, before: Option<&Value>) -> Result<Option<Value>, String> {
        if !item.is_object() {
            return Err(format!("is {}, not an object", kind(item)));
        }
        let Some(role) = self.role(item) else {
            return of_item(item).ok_or_else(|| {
                let members = self.role_members.join(" or ");
                format!("has no {members}")
            });
        };
        let known = self.roles.get(role).copied();
        let role = match known.unwrap_or(role) {
            "function" => "tool",
            known @ ("system" | "developer" | "user" | "assistant" | "tool" | "tool_call") => known,
            other => {
                let other: String = other.chars().take(60).collect();
                return Err(format!(
                    "has the role {other:?}: add it to [roles] of the map"
                ));
            }
        };
        let mut members = self.content_members.iter();
        let content = members.find_map(|member| item.get(member));
        if role == "tool_call" {
            return Ok(Some(call_message(content)));
        }
        let mut message = Map::new();
        message.insert("role".to_owned(), role.into());
        let content = match content {
            None | Some(Value::Null) => Value::Null,
            Some(content @ (Value::String(_) | Value::Array(_))) => content.clone(),
            Some(other) => return Err(format!("has {} as its content", kind(other))),
        };
        let mut calls = match item.get("tool_calls") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(calls)) => calls.clone(),
            Some(other) => return Err(format!("has {} as its tool_calls", kind(other))),
        };
        if let Some(function) = item.get("function_call").filter(|call| call.is_object()) {
            calls.push(json!({"id": "call_0", "type": "function", "function": function}));
        }
        if content.is_null() && calls.is_empty() && role != "assistant" {
            return Err("has no content".to_owned());
        }
        message.insert("content".to_owned(), content);
        if !calls.is_empty() {
            message.insert("tool_calls".to_owned(), calls.into());
        }
        for member in ["name", "tool_call_id"] {
            if let Some(text) = item.get(member).and_then(Value::as_str) {
                message.insert(member.to_owned(), text.into());
            }
        }
        if role == "tool" && !message.contains_key("tool_call_id") {
            let id = before.and_then(|before| before.pointer("/tool_calls/0/id"));
            message.extend(id.map(|id| ("tool_call_id".to_owned(), id.clone())));
        }
        Ok(Some(message.into()))
    }
}

/// Takes the last message of the assistant off, with what follows it: nobody has answered that.
pub(super) fn last_answer(messages: &mut Vec<Value>) -> Option<Answer> {
    let at = messages
        .iter()
        .rposition(|message| message["role"] == "assistant")?;
    let mut tail = messages.split_off(at);
    let mut message = tail.swap_remove(0);
    let mut calls = match message["tool_calls"].take() {
        Value::Array(calls) => calls,
        _ => Vec::new(),
    };
    // Anthropic's calls are parts of the content.
    let parts = message["content"].as_array().into_iter().flatten();
    let parts = parts.filter(|part| part["type"] == "tool_use");
    calls.extend(parts.map(|part| {
        let function = json!({"name": part["name"], "arguments": part["input"].to_string()});
        json!({"id": part["id"], "type": "function", "function": function})
    }));
    let text = text_parts(message.get("content")).unwrap_or_default().0;
    Some(Answer { text, calls })
}

fn is_call_only(message: &Value) -> bool {
    let silent = match &message["content"] {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    silent && message.get("tool_calls").is_some()
}

/// Whether it is an item of OpenAI's responses.
fn is_item(value: &Value) -> bool {
    let kinds = [
        "message",
        "function_call",
        "function_call_output",
        "reasoning",
    ];
    value["type"]
        .as_str()
        .is_some_and(|kind| kinds.contains(&kind))
}

/// Reads an item of OpenAI's responses that is no message; the outer `None`: it is none either.
fn of_item(item: &Value) -> Option<Option<Value>> {
    let text = |member: &str| item[member].as_str().unwrap_or_default();
    match text("type") {
        "function_call" => Some(Some(json!({
            "role": "assistant",
            "content": null,
            "tool_calls": [{
                "id": text("call_id"),
                "type": "function",
                "function": {"name": text("name"), "arguments": text("arguments")},
            }],
        }))),
        "function_call_output" => Some(Some(json!({
            "role": "tool",
            "tool_call_id": text("call_id"),
            "content": match &item["output"] {
                Value::String(output) => output.clone(),
                output => output.to_string(),
            },
        }))),
        "message" => Some(Some(
            json!({"role": "assistant", "content": item["content"]}),
        )),
        "reasoning" => Some(None),
        _ => None,
    }
}

/// A message that is a call written as JSON, `{"name", "arguments"}` or a list of them; text that is none stays text.
fn call_message(content: Option<&Value>) -> Value {
    let text = content.and_then(Value::as_str).unwrap_or_default().trim();
    let bare = text
        .strip_prefix("<tool_call>")
        .and_then(|text| text.strip_suffix("</tool_call>"));
    let found = match content {
        Some(Value::String(_)) => serde_json::from_str(bare.unwrap_or(text)).unwrap_or_default(),
        Some(found) => found.clone(),
        None => Value::Null,
    };
    let calls = match found {
        Value::Array(calls) => calls,
        Value::Object(_) => vec![found],
        _ => Vec::new(),
    };
    let call = |(at, call): (usize, &Value)| {
        let name = call["name"].as_str()?;
        let arguments = match &call["arguments"] {
            Value::Null => "{}".to_owned(),
            Value::String(arguments) => arguments.clone(),
            arguments => arguments.to_string(),
        };
        let function = json!({"name": name, "arguments": arguments});
        Some(json!({"id": format!("call_{at}"), "type": "function", "function": function}))
    };
    let calls: Option<Vec<Value>> = calls.iter().enumerate().map(call).collect();
    match calls.filter(|calls| !calls.is_empty()) {
        Some(calls) => json!({"role": "assistant", "content": null, "tool_calls": calls}),
        None => json!({"role": "assistant", "content": content}),
    }
}

fn text_of(part: &Value) -> Option<&str> {
    part.as_str().or_else(|| part["text"].as_str())
}

/// What a value is, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
