//! Client messages in one uniform shape, for columns that must not mix types.

use serde_json::{Map, Value, json};

/// Why a conversation cannot be exported.
pub(super) const MALFORMED: &str = "malformed_messages";
/// It holds images, sound or files.
pub(super) const MULTIMODAL: &str = "multimodal";

/// Text of the last message by the user; `None` without one.
pub(super) fn last_user_text(messages: &[Value]) -> Option<String> {
    let last = messages
        .iter()
        .rev()
        .find(|message| message["role"] == "user")?;
    // A picture does not make it another question.
    Some(text_parts(last.get("content")).unwrap_or_default().0)
}

/// Text of a message.
pub(super) fn text(message: &Value) -> String {
    text_parts(message.get("content")).unwrap_or_default().0
}

/// Puts each message into the shape `role, content, [tool_calls], [tool_call_id], [name]`, content
/// a string. Errors: the reason why it cannot be.
pub(super) fn uniform(messages: &[Value]) -> Result<Vec<Value>, &'static str> {
    messages.iter().map(uniform_message).collect()
}

/// The messages before an answer, in the uniform shape. Errors: the reason why nothing can be learnt
/// from an answer to them.
pub(super) fn asked(messages: &[Value]) -> Result<Vec<Value>, &'static str> {
    let messages = uniform(messages)?;
    if !messages.iter().any(|message| message["role"] == "user") {
        return Err("no_user_message");
    }
    // An answer that continues the assistant's own words is half a message.
    if messages
        .last()
        .is_none_or(|last| last["role"] == "assistant")
    {
        return Err("continues_assistant");
    }
    Ok(messages)
}

/// The same for a prompt of its own column, whose last words must be the user's.
pub(super) fn prompt(messages: &[Value]) -> Result<Vec<Value>, &'static str> {
    let messages = asked(messages)?;
    if messages.last().is_none_or(|last| last["role"] != "user") {
        return Err("prompt_does_not_end_with_user");
    }
    Ok(messages)
}

/// The assistant's message of an answer, in the uniform shape.
pub(super) fn answer(text: &str, calls: &[Value]) -> Result<Value, &'static str> {
    let calls = uniform_calls(calls)?;
    if text.trim().is_empty() && calls.is_empty() {
        return Err("empty_answer");
    }
    let mut answer = Map::new();
    answer.insert("role".to_owned(), "assistant".into());
    answer.insert("content".to_owned(), text.into());
    if !calls.is_empty() {
        answer.insert("tool_calls".to_owned(), calls.into());
    }
    Ok(Value::Object(answer))
}

/// Adds the tools that were offered, if any.
pub(super) fn with_tools(mut row: Value, tools: &[Value]) -> Result<Value, &'static str> {
    if !tools.is_empty() {
        if !tools.iter().all(Value::is_object) {
            return Err(MALFORMED);
        }
        row["tools"] = tools.into();
    }
    Ok(row)
}

/// The words of a message, with its tool calls.
pub(super) fn words(message: &Value) -> String {
    let mut words = message["content"].as_str().unwrap_or_default().to_owned();
    if let Some(calls) = message.get("tool_calls") {
        words.push('\n');
        words.push_str(&calls.to_string());
    }
    words
}

fn uniform_message(message: &Value) -> Result<Value, &'static str> {
    let role = message["role"].as_str().ok_or(MALFORMED)?;
    if !matches!(role, "system" | "developer" | "user" | "assistant" | "tool") {
        return Err(MALFORMED);
    }
    let (text, only_text) = text_parts(message.get("content")).ok_or(MALFORMED)?;
    if !only_text {
        return Err(MULTIMODAL);
    }
    let mut uniform = Map::new();
    uniform.insert("role".to_owned(), role.into());
    uniform.insert("content".to_owned(), text.into());
    match message.get("tool_calls") {
        None | Some(Value::Null) => {}
        Some(Value::Array(calls)) if calls.is_empty() => {}
        Some(Value::Array(calls)) if role == "assistant" => {
            uniform.insert("tool_calls".to_owned(), uniform_calls(calls)?.into());
        }
        Some(_) => return Err(MALFORMED),
    }
    for key in ["tool_call_id", "name"] {
        match message.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::String(value)) => {
                uniform.insert(key.to_owned(), value.clone().into());
            }
            Some(_) => return Err(MALFORMED),
        }
    }
    Ok(Value::Object(uniform))
}

/// Puts tool calls into the shape `id, type, function {name, arguments}`, arguments a string.
pub(super) fn uniform_calls(calls: &[Value]) -> Result<Vec<Value>, &'static str> {
    calls
        .iter()
        .map(|call| {
            let function = &call["function"];
            let name = function["name"].as_str().ok_or(MALFORMED)?;
            let arguments = match &function["arguments"] {
                Value::Null => "{}".to_owned(),
                Value::String(arguments) => arguments.clone(),
                // Some clients send the object itself.
                other => other.to_string(),
            };
            Ok(json!({
                "id": call["id"].as_str().unwrap_or_default(),
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }))
        })
        .collect()
}

/// The text of a message's content, and whether it is all there is; `None` for what is no content.
pub(super) fn text_parts(content: Option<&Value>) -> Option<(String, bool)> {
    match content {
        None | Some(Value::Null) => Some((String::new(), true)),
        Some(Value::String(text)) => Some((text.clone(), true)),
        Some(Value::Array(parts)) => {
            let mut texts = Vec::new();
            let mut only_text = true;
            for part in parts {
                match (part, &part["text"]) {
                    (Value::String(text), _) | (_, Value::String(text)) => {
                        texts.push(text.as_str());
                    }
                    _ => only_text = false,
                }
            }
            Some((texts.join("\n"), only_text))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_become_strings() {
        let messages = [
            json!({"role": "system", "content": "s", "cache_control": {}}),
            json!({"role": "user", "content": [
                {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}),
            json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": "1", "type": "function",
                 "function": {"name": "f", "arguments": {"a": 1}}}]}),
            json!({"role": "tool", "tool_call_id": "1", "content": "r"}),
        ];
        assert_eq!(last_user_text(&messages).unwrap(), "a\nb");
        let expected = json!([
            {"role": "system", "content": "s"},
            {"role": "user", "content": "a\nb"},
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "1", "type": "function",
                 "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
            {"role": "tool", "content": "r", "tool_call_id": "1"},
        ]);
        assert_eq!(Value::from(uniform(&messages).unwrap()), expected);
    }

    #[test]
    fn what_is_no_conversation_is_named() {
        let image = json!([{"type": "image_url", "image_url": {"url": "x"}}]);
        let table = [
            (json!("hello"), MALFORMED),
            (json!(null), MALFORMED),
            (json!({"role": "wizard", "content": "x"}), MALFORMED),
            (json!({"role": "user", "content": 7}), MALFORMED),
            (
                json!({"role": "user", "content": "x", "tool_calls": [{}]}),
                MALFORMED,
            ),
            (
                json!({"role": "assistant", "tool_calls": [{"function": 1}]}),
                MALFORMED,
            ),
            (
                json!({"role": "user", "content": "x", "name": 1}),
                MALFORMED,
            ),
            (json!({"role": "user", "content": image}), MULTIMODAL),
        ];
        for (message, reason) in table {
            assert_eq!(
                uniform(std::slice::from_ref(&message)),
                Err(reason),
                "{message}"
            );
        }
        assert_eq!(last_user_text(&[json!({"role": "system"}), json!(1)]), None);
    }
}
