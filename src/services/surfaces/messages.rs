//! Anthropic's messages. Source: docs.anthropic.com, "Messages", version 2023-06-01.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{content, file_part, image_part, native, refused, text_part, word};
use crate::services::ServiceError;
use crate::services::complete::{CacheInput, ChatInput, RetrievalInput, Stop, StreamOptions};
use crate::types::chat::{
    ChatMessage, Content, ContentPart, FunctionCall, Role, Tool, ToolCall, ToolFunction,
};
use crate::types::demand::Demand;

/// A request to `POST /v1/messages`, in Anthropic's shape, with retrieval beside it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessagesInput {
    /// A route, an alias, `provider/model` or a provider; `GET /v1/models` lists them.
    #[schema(example = "extractive")]
    pub model: Option<String>,
    /// Most tokens of the answer.
    #[schema(value_type = u32, required, minimum = 1, example = 1024)]
    pub max_tokens: Option<u32>,
    /// The conversation.
    #[schema(required, min_items = 1, example = json!([{"role": "user", "content": "what do wiccans worship?"}]))]
    #[serde(default)]
    pub messages: Vec<MessageInput>,
    /// Instructions: a text or blocks of text.
    #[schema(value_type = Option<Value>)]
    pub system: Option<Value>,
    /// Answer from the passages of a collection.
    pub retrieval: Option<RetrievalInput>,
    /// Answer from what was answered before; left out, the route says.
    pub cache: Option<CacheInput>,
    /// Validators that judge the answer, as in `POST /v1/chat/completions`; left out, the route says.
    pub validation: Option<Demand>,
    /// Functions that the model may call.
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Vec<Value>>,
    /// `{"type": "auto" | "any" | "tool" | "none", …}`.
    #[schema(value_type = Option<Object>)]
    pub tool_choice: Option<Value>,
    /// Whether the answer comes in pieces.
    pub stream: Option<bool>,
    /// Texts that end the answer.
    pub stop_sequences: Option<Vec<String>>,
    /// Randomness, 0 to 1 for Anthropic, 0 to 2 for others.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    /// Nucleus, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f64>,
    /// Passed to providers that know it.
    pub top_k: Option<u32>,
    /// `{"user_id": …}` is kept with the evidence.
    #[schema(value_type = Option<Value>)]
    pub metadata: Option<Value>,
    /// Passed to Anthropic; other providers do not see it.
    #[schema(value_type = Option<Value>)]
    pub thinking: Option<Value>,
    /// `format` with a JSON Schema; `effort` is passed to Anthropic.
    #[schema(value_type = Option<Value>)]
    pub output_config: Option<Value>,
    /// Accepted; marks of blocks are passed on, this one is not.
    pub cache_control: Option<Value>,
    /// Accepted and not used.
    pub context_management: Option<Value>,
    /// Accepted and not used.
    pub service_tier: Option<Value>,
    /// Accepted and not used.
    pub inference_geo: Option<Value>,
    /// Not supported.
    pub container: Option<Value>,
    /// Not supported.
    pub mcp_servers: Option<Value>,
}

/// One message.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageInput {
    /// `user` or `assistant`; `system` is understood too.
    pub role: String,
    /// A text or blocks.
    #[serde(default)]
    pub content: Value,
}

impl MessagesInput {
    /// Whether the answer is wanted in pieces.
    pub fn wants_stream(&self) -> bool {
        self.stream.unwrap_or_default()
    }

    /// Brings the request into OpenAI's shape.
    ///
    /// Errors: what we could not pass on.
    pub fn into_chat(self) -> Result<Box<ChatInput>, ServiceError> {
        let given = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
        for (param, value) in [
            ("container", &self.container),
            ("mcp_servers", &self.mcp_servers),
        ] {
            if given(value) && value.as_ref().is_some_and(|value| *value != json!([])) {
                return Err(refused(param, "is not supported"));
            }
        }
        if self.max_tokens.is_none() {
            return Err(refused("max_tokens", "is required"));
        }
        let mut messages = Vec::new();
        if let Some(system) = self.system {
            let parts = parts_of("system", &system)?;
            messages.extend(content(parts).map(|content| message(Role::System, content)));
        }
        for (index, given) in self.messages.into_iter().enumerate() {
            let param = format!("messages.{index}");
            match given.role.as_str() {
                "user" => user(&param, &given.content, &mut messages)?,
                "assistant" => messages.push(assistant(&param, &given.content)?),
                "system" => {
                    let parts = parts_of(&param, &given.content)?;
                    messages.extend(content(parts).map(|content| message(Role::System, content)));
                }
                _ => {
                    let param = format!("{param}.role");
                    return Err(refused(param, "must be user or assistant"));
                }
            }
        }
        let tools = self.tools.unwrap_or_default();
        let tools = tools
            .iter()
            .enumerate()
            .map(|(index, given)| tool(index, given));
        let tools = tools.collect::<Result<Vec<_>, _>>()?;
        let (tool_choice, one) = match &self.tool_choice {
            None => (None, false),
            Some(choice) => (
                Some(choice_of(choice)?),
                choice.get("disable_parallel_tool_use") == Some(&Value::Bool(true)),
            ),
        };
        let config = self.output_config.unwrap_or_default();
        let schema = config.pointer("/format/schema");
        let response_format = schema.map(|schema| {
            let schema = json!({"name": "output", "schema": schema, "strict": true});
            json!({"type": "json_schema", "json_schema": schema})
        });
        let user = self.metadata.as_ref().map(|data| word(data, "user_id"));
        Ok(Box::new(ChatInput {
            model: self.model,
            messages,
            retrieval: self.retrieval,
            cache: self.cache,
            validation: self.validation,
            tool_choice: tool_choice.filter(|_| !tools.is_empty()),
            parallel_tool_calls: (one && !tools.is_empty()).then_some(Value::Bool(false)),
            tools: Some(tools),
            response_format,
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: self.max_tokens,
            stop: self.stop_sequences.map(Stop::Several),
            user: user.filter(|user| !user.is_empty()).map(ToOwned::to_owned),
            stream: self.stream,
            stream_options: Some(StreamOptions::with_usage()),
            native: native([
                ("top_k", self.top_k.map(Value::from)),
                ("thinking", self.thinking),
                ("effort", config.get("effort").cloned()),
            ]),
            id_prefix: Some("msg_"),
            ..ChatInput::default()
        }))
    }
}

fn message(role: Role, content: Content) -> ChatMessage {
    ChatMessage {
        content: Some(content),
        ..ChatMessage::new(role, "")
    }
}

/// Reads a text or a list of blocks.
fn blocks<'a>(
    param: &str,
    content: &'a Value,
) -> Result<Vec<std::borrow::Cow<'a, Value>>, ServiceError> {
    use std::borrow::Cow;
    match content {
        Value::String(text) => Ok(vec![Cow::Owned(json!({"type": "text", "text": text}))]),
        Value::Array(blocks) => Ok(blocks.iter().map(Cow::Borrowed).collect()),
        Value::Null => Ok(Vec::new()),
        _ => Err(refused(param, "must be a text or a list of blocks")),
    }
}

fn parts_of(param: &str, content: &Value) -> Result<Vec<ContentPart>, ServiceError> {
    let blocks = blocks(param, content)?;
    blocks.iter().map(|block| part(param, block)).collect()
}

/// Reads a block that is part of a message, and keeps its mark for the cache.
fn part(param: &str, block: &Value) -> Result<ContentPart, ServiceError> {
    let source = &block["source"];
    let data_url = || {
        let (kind, data) = (word(source, "media_type"), word(source, "data"));
        format!("data:{kind};base64,{data}")
    };
    let mut part = match (word(block, "type"), word(source, "type")) {
        ("text", _) => text_part(word(block, "text")),
        ("image", "base64") => image_part(&data_url()),
        ("image", "url") => image_part(word(source, "url")),
        ("document", "base64") => {
            let title = word(block, "title");
            file_part(
                if title.is_empty() { "document" } else { title },
                &data_url(),
            )
        }
        ("document", "text") => text_part(word(source, "data")),
        (kind @ ("image" | "document"), source) => {
            let source: String = source.chars().take(40).collect();
            let message = format!("a source of type {source:?} of a {kind} is not supported");
            return Err(refused(param, &message));
        }
        (kind, _) => {
            let kind: String = kind.chars().take(40).collect();
            let message = format!("a block of type {kind:?} is not supported here");
            return Err(refused(param, &message));
        }
    };
    if let Some(mark) = block.get("cache_control").filter(|mark| !mark.is_null()) {
        let nested = json!({"anthropic": {"cache_control": mark}});
        part.rest.insert("extra_content".to_owned(), nested);
    }
    Ok(part)
}

/// A user's turn: results of tools first, each a message of its own.
fn user(param: &str, given: &Value, messages: &mut Vec<ChatMessage>) -> Result<(), ServiceError> {
    let mut parts = Vec::new();
    let before = messages.len();
    for block in blocks(param, given)? {
        if word(&block, "type") != "tool_result" {
            parts.push(part(param, &block)?);
            continue;
        }
        let result = parts_of(param, &block["content"])?;
        let result = content(result).unwrap_or_else(|| Content::Text(String::new()));
        let mut result = message(Role::Tool, result);
        result.tool_call_id = Some(word(&block, "tool_use_id").to_owned());
        if block.get("is_error") == Some(&Value::Bool(true)) {
            result.extra.insert("is_error".to_owned(), json!(true));
        }
        messages.push(result);
    }
    match content(parts) {
        Some(content) => messages.push(message(Role::User, content)),
        None if messages.len() == before => {
            return Err(refused(format!("{param}.content"), "must not be empty"));
        }
        None => {}
    }
    Ok(())
}

fn assistant(param: &str, given: &Value) -> Result<ChatMessage, ServiceError> {
    let mut said = ChatMessage::new(Role::Assistant, "");
    let (mut text, mut reasoning, mut signed) = (String::new(), String::new(), Vec::new());
    for block in blocks(param, given)? {
        match word(&block, "type") {
            "text" => text.push_str(word(&block, "text")),
            // What another provider thought has no signature, and only its text is of use.
            "thinking" if word(&block, "signature").is_empty() => {
                reasoning.push_str(word(&block, "thinking"));
            }
            "thinking" | "redacted_thinking" => signed.push(block.into_owned()),
            "tool_use" => said.tool_calls.push(ToolCall {
                id: word(&block, "id").to_owned(),
                kind: "function".to_owned(),
                function: FunctionCall {
                    name: word(&block, "name").to_owned(),
                    arguments: match &block["input"] {
                        Value::Null => "{}".to_owned(),
                        input => input.to_string(),
                    },
                },
                extra: carried(&block),
            }),
            kind => {
                let kind: String = kind.chars().take(40).collect();
                let message = format!("a block of type {kind:?} is not supported here");
                return Err(refused(param, &message));
            }
        }
    }
    let silent = text.is_empty() && !said.tool_calls.is_empty();
    said.content = (!silent).then_some(Content::Text(text));
    said.reasoning_content = (!reasoning.is_empty()).then_some(reasoning);
    if !signed.is_empty() {
        let signed = Value::Array(signed);
        said.extra.insert("thinking_blocks".to_owned(), signed);
    }
    Ok(said)
}

/// What other providers want back with a call.
pub(super) fn carried(call: &Value) -> Map<String, Value> {
    let content = call.get("extra_content").filter(|extra| !extra.is_null());
    content
        .map(|content| ("extra_content".to_owned(), content.clone()))
        .into_iter()
        .collect()
}

fn tool(index: usize, given: &Value) -> Result<Tool, ServiceError> {
    let param = format!("tools.{index}");
    if !matches!(word(given, "type"), "" | "custom") {
        let message = "only tools of your own, with name and input_schema, are supported";
        return Err(refused(format!("{param}.type"), message));
    }
    let mark = given.get("cache_control").filter(|mark| !mark.is_null());
    let extra = mark.map(|mark| {
        let nested = json!({"anthropic": {"cache_control": mark}});
        ("extra_content".to_owned(), nested)
    });
    let description = given.get("description").and_then(Value::as_str);
    Ok(Tool {
        kind: "function".to_owned(),
        function: ToolFunction {
            name: word(given, "name").to_owned(),
            description: description.map(ToOwned::to_owned),
            parameters: given.get("input_schema").cloned(),
            strict: given.get("strict").and_then(Value::as_bool),
        },
        extra: extra.into_iter().collect(),
    })
}

fn choice_of(choice: &Value) -> Result<Value, ServiceError> {
    Ok(match (word(choice, "type"), word(choice, "name")) {
        ("auto", _) => json!("auto"),
        ("any", _) => json!("required"),
        ("none", _) => json!("none"),
        ("tool", name) if !name.is_empty() => {
            json!({"type": "function", "function": {"name": name}})
        }
        _ => {
            let message = "must be auto, any, none, or tool with a name";
            return Err(refused("tool_choice", message));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: Value) -> Result<Box<ChatInput>, String> {
        let input: MessagesInput =
            serde_json::from_value(given).map_err(|error| error.to_string())?;
        input.into_chat().map_err(|error| error.message)
    }

    #[test]
    fn a_conversation_with_tools_is_read() {
        let input = read(json!({
            "model": "m", "max_tokens": 9, "system": [
                {"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image", "source":
                        {"type": "base64", "media_type": "image/png", "data": "AA=="}}]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "I "}, {"type": "text", "text": "look"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "7", "is_error": true},
                    {"type": "text", "text": "so?"}]}
            ],
            "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
            "stop_sequences": ["X"], "top_k": 3, "metadata": {"user_id": "u"},
            "thinking": {"type": "enabled", "budget_tokens": 1024}
        }))
        .unwrap();
        assert_eq!(
            serde_json::to_value(&input.messages).unwrap(),
            json!([
                {"role": "system", "content": [{"type": "text", "text": "be brief",
                    "extra_content": {"anthropic": {"cache_control": {"type": "ephemeral"}}}}]},
                {"role": "user", "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
                {"role": "assistant", "content": "I look", "tool_calls": [
                    {"id": "t1", "type": "function",
                     "function": {"name": "f", "arguments": "{\"a\":1}"}}],
                 "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]},
                {"role": "tool", "content": "7", "tool_call_id": "t1", "is_error": true},
                {"role": "user", "content": "so?"}
            ])
        );
        assert_eq!(input.tool_choice, Some(json!("required")));
        assert_eq!(input.parallel_tool_calls, Some(json!(false)));
        assert_eq!(input.native["thinking"]["budget_tokens"], 1024);
        assert_eq!(input.user.as_deref(), Some("u"));
    }

    #[test]
    fn what_cannot_be_passed_on_is_refused_with_the_field() {
        let hi = json!([{"role": "user", "content": "hi"}]);
        for (given, expected) in [
            (json!({"messages": hi}), "max_tokens: is required"),
            (
                json!({"max_tokens": 1, "messages": hi, "max_token": 1}),
                "unknown field `max_token`",
            ),
            (
                json!({"max_tokens": 1, "messages": hi, "mcp_servers": [{"url": "u"}]}),
                "mcp_servers: is not supported",
            ),
            (
                json!({"max_tokens": 1, "messages": hi, "tools": [{"type": "web_search_20250305"}]}),
                "tools.0.type: only tools of your own",
            ),
            (
                json!({"max_tokens": 1, "messages": [{"role": "owner", "content": "x"}]}),
                "messages.0.role: must be user or assistant",
            ),
            (
                json!({"max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "x"}]}]}),
                "a block of type \"x\"",
            ),
            (
                json!({"max_tokens": 1, "messages": [{"role": "user", "content": []}]}),
                "messages.0.content: must not be empty",
            ),
            (
                json!({"max_tokens": 1, "messages": hi, "tool_choice": {"type": "tool"}}),
                "tool_choice: must be",
            ),
        ] {
            let error = read(given.clone()).map(|_| ()).unwrap_err();
            assert!(error.contains(expected), "{given}: {error}");
        }
    }
}
