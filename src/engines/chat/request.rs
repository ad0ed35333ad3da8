//! What a chat request must be, whoever answers it.

use super::ChatError;
use crate::types::chat::{ChatRequest, Role};

/// Most messages, tools and stop texts.
const MAX_MESSAGES: usize = 4_096;
const MAX_TOOLS: usize = 512;
const MAX_STOPS: usize = 16;

/// Refuses a request that no provider could answer.
///
/// Errors: [`ChatError::Invalid`] with the field at fault.
pub fn check(request: &ChatRequest) -> Result<(), ChatError> {
    let count = request.messages.len();
    if count == 0 || count > MAX_MESSAGES {
        return Err(ChatError::invalid(
            "messages",
            format!("must hold 1 to {MAX_MESSAGES} messages, got {count}"),
        ));
    }
    for (index, message) in request.messages.iter().enumerate() {
        let param = format!("messages[{index}]");
        let needed = match message.role {
            Role::Assistant => {
                let empty = message.content.is_none() && message.tool_calls.is_empty();
                (empty && !message.extra.contains_key("refusal"))
                    .then_some("an assistant message needs content or tool_calls")
            }
            Role::Tool if message.tool_call_id.is_none() => {
                Some("a tool message needs the tool_call_id of the call that it answers")
            }
            _ => message.content.is_none().then_some("content is missing"),
        };
        if let Some(needed) = needed {
            return Err(ChatError::invalid(param, needed));
        }
        if message.role != Role::Assistant && !message.tool_calls.is_empty() {
            return Err(ChatError::invalid(
                param,
                "only an assistant message has tool_calls",
            ));
        }
    }
    if request.tools.len() > MAX_TOOLS {
        return Err(ChatError::invalid(
            "tools",
            format!("must be at most {MAX_TOOLS}"),
        ));
    }
    for (index, tool) in request.tools.iter().enumerate() {
        if tool.kind != "function" || tool.function.name.is_empty() {
            return Err(ChatError::invalid(
                format!("tools[{index}]"),
                "must be of type function, with a name",
            ));
        }
    }
    if request.tool_choice.is_some() && request.tools.is_empty() {
        let none = request
            .tool_choice
            .as_ref()
            .is_some_and(|choice| choice == "none");
        if !none {
            return Err(ChatError::invalid("tool_choice", "needs tools"));
        }
    }
    if let Some(format) = &request.response_format {
        let kind = format
            .get("type")
            .and_then(|kind| kind.as_str())
            .unwrap_or_default();
        let known = ["text", "json_object", "json_schema"].contains(&kind);
        if !known || (kind == "json_schema" && !format["json_schema"]["schema"].is_object()) {
            return Err(ChatError::invalid(
                "response_format",
                "must have the type text, json_object, or json_schema with json_schema.schema",
            ));
        }
    }
    for (param, value, low, high) in [
        ("temperature", request.temperature, 0.0, 2.0),
        ("top_p", request.top_p, 0.0, 1.0),
        ("presence_penalty", request.presence_penalty, -2.0, 2.0),
        ("frequency_penalty", request.frequency_penalty, -2.0, 2.0),
    ] {
        if let Some(value) = value.filter(|value| !(low..=high).contains(value)) {
            return Err(ChatError::invalid(
                param,
                format!("must be {low} to {high}, got {value}"),
            ));
        }
    }
    for (param, value) in [
        ("max_tokens", request.max_tokens),
        ("max_completion_tokens", request.max_completion_tokens),
    ] {
        if value == Some(0) {
            return Err(ChatError::invalid(param, "must be at least 1"));
        }
    }
    if request.stop.len() > MAX_STOPS || request.stop.iter().any(String::is_empty) {
        return Err(ChatError::invalid(
            "stop",
            format!("must be at most {MAX_STOPS} texts, none empty"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::types::chat::ChatMessage;

    fn request() -> ChatRequest {
        ChatRequest {
            messages: vec![ChatMessage::new(Role::User, "hi")],
            ..ChatRequest::default()
        }
    }

    #[test]
    fn a_sane_request_passes() {
        check(&request()).unwrap();
    }

    #[test]
    fn each_fault_names_its_field() {
        let change = |edit: fn(&mut ChatRequest)| {
            let mut request = request();
            edit(&mut request);
            check(&request).unwrap_err().to_string()
        };
        type Edit = fn(&mut ChatRequest);
        let cases: [(Edit, &str); 13] = [
            (|r| r.messages.clear(), "messages: must hold 1 to"),
            (
                |r| r.messages[0].content = None,
                "messages[0]: content is missing",
            ),
            (
                |r| r.messages[0].role = Role::Tool,
                "messages[0]: a tool message needs",
            ),
            (
                |r| {
                    r.messages[0].role = Role::Assistant;
                    r.messages[0].content = None;
                },
                "messages[0]: an assistant",
            ),
            (
                |r| r.tool_choice = Some(json!("auto")),
                "tool_choice: needs tools",
            ),
            (
                |r| r.response_format = Some(json!({"type": "xml"})),
                "response_format",
            ),
            (
                |r| r.response_format = Some(json!({"type": "json_schema"})),
                "response_format",
            ),
            (|r| r.response_format = Some(json!(7)), "response_format"),
            (
                |r| r.temperature = Some(f64::NAN),
                "temperature: must be 0 to 2, got NaN",
            ),
            (|r| r.top_p = Some(1.1), "top_p: must be 0 to 1, got 1.1"),
            (|r| r.max_tokens = Some(0), "max_tokens: must be at least 1"),
            (|r| r.stop = vec![String::new()], "stop: must be at most"),
            (|r| r.presence_penalty = Some(-3.0), "presence_penalty"),
        ];
        for (edit, expected) in cases {
            let found = change(edit);
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }
}
