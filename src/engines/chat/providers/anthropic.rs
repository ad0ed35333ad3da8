//! Anthropic's messages API: what is asked, and whole answers. Source: docs.anthropic.com,
//! "Messages", version 2023-06-01.

use serde_json::{Map, Value, json};

use super::anthropic_stream::AnthropicReader;
use super::parts::{
    arguments_object, call_id, chosen, file_data, inline, no_parameters, schema_of,
};
use super::sse_stream::SseStream;
use crate::engines::chat::ChatError;
use crate::engines::chat::{Plan, Provider, StreamDecoder};
use crate::engines::upstream::Upstream;
use crate::types::chat::{
    ChatMessage, ChatReply, ChatRequest, Content, ContentPart, FinishReason, FunctionCall, Role,
    Tool, ToolCall,
};
use crate::types::evidence::TokenUsage;
use crate::types::http::{HttpCall, HttpReply};

/// Any server with `POST {base_url}/messages`.
pub(super) struct Anthropic {
    upstream: Upstream,
    /// The bound on an answer when the request gives none: the API wants one.
    max_tokens: u32,
}

impl Anthropic {
    pub(super) fn new(upstream: Upstream, max_tokens: u32) -> Self {
        let upstream = upstream
            .with_key_in("x-api-key")
            .with_default_header("anthropic-version", "2023-06-01");
        Self {
            upstream,
            max_tokens,
        }
    }

    fn body(&self, request: &ChatRequest) -> Result<Value, ChatError> {
        let (mut system, mut messages) = (Vec::new(), Messages::default());
        for message in &request.messages {
            match message.role {
                Role::System | Role::Developer => system.extend(self.blocks(message)?),
                Role::User => messages.push("user", self.blocks(message)?),
                Role::Assistant => messages.push("assistant", self.assistant(message)?),
                Role::Tool => messages.push("user", vec![self.tool_result(message)?]),
            }
        }
        let mut body = json!({
            "model": request.model,
            "max_tokens": request.output_limit().unwrap_or(self.max_tokens),
            "messages": messages.0,
        });
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body[name] = value;
            }
        };
        set("system", (!system.is_empty()).then(|| json!(system)));
        // OpenAI's scale ends at 2.
        let temperature = request.temperature.map(|value| value.min(1.0));
        set("temperature", temperature.map(Value::from));
        set("top_p", request.top_p.map(Value::from));
        set("top_k", request.native.get("top_k").cloned());
        set("thinking", request.native.get("thinking").cloned());
        let stop = &request.stop;
        set("stop_sequences", (!stop.is_empty()).then(|| json!(stop)));
        let user = request.user.as_ref();
        set("metadata", user.map(|user| json!({"user_id": user})));
        set("output_config", self.output_config(request)?);
        if !request.tools.is_empty() {
            set("tools", Some(request.tools.iter().map(tool).collect()));
            set("tool_choice", tool_choice(request));
        }
        set("stream", request.stream.then_some(Value::Bool(true)));
        Ok(body)
    }

    /// The API follows a schema; it has no mode for JSON of any shape.
    fn output_config(&self, request: &ChatRequest) -> Result<Option<Value>, ChatError> {
        let mut config = Map::new();
        let format = request.response_format.as_ref();
        if format.is_some_and(|format| format["type"] == "json_object") {
            return Err(self
                .upstream
                .unsupported("response_format json_object: give the schema, with json_schema"));
        }
        if let Some(schema) = schema_of(format) {
            let format = json!({"type": "json_schema", "schema": schema});
            config.insert("format".to_owned(), format);
        }
        let effort = request.native.get("effort");
        config.extend(effort.map(|effort| ("effort".to_owned(), effort.clone())));
        Ok((!config.is_empty()).then_some(Value::Object(config)))
    }

    fn blocks(&self, message: &ChatMessage) -> Result<Vec<Value>, ChatError> {
        match &message.content {
            None => Ok(Vec::new()),
            Some(Content::Text(text)) => Ok(text_block(text).into_iter().collect()),
            Some(Content::Parts(parts)) => {
                let blocks = parts.iter().map(|part| self.block(part));
                let blocks: Vec<_> = blocks.collect::<Result<_, _>>()?;
                Ok(blocks.into_iter().flatten().collect())
            }
        }
    }

    /// Writes a part; empty texts are refused by the API, so they are left out.
    fn block(&self, part: &ContentPart) -> Result<Option<Value>, ChatError> {
        let text = part.text.as_deref().or_else(|| {
            let refusal = part.rest.get("refusal")?;
            refusal.as_str()
        });
        let mut block = match (part.kind.as_str(), part.image_url(), file_data(part)) {
            ("text" | "refusal", ..) => match text_block(text.unwrap_or_default()) {
                Some(block) => block,
                None => return Ok(None),
            },
            ("image_url", Some(url), _) => json!({"type": "image", "source": source(url)}),
            ("file", _, Some(url)) if inline(url).is_some() => {
                json!({"type": "document", "source": source(url)})
            }
            (kind, ..) => {
                let kind: String = kind.chars().take(40).collect();
                return Err(self
                    .upstream
                    .unsupported(format!("a part of type {kind} in this form")));
            }
        };
        cached(&mut block, &part.rest);
        Ok(Some(block))
    }

    fn assistant(&self, message: &ChatMessage) -> Result<Vec<Value>, ChatError> {
        // The signed reasoning stands first, as it was sent.
        let thinking = message.extra.get("thinking_blocks");
        let thinking = thinking.and_then(Value::as_array);
        let mut blocks: Vec<Value> = thinking.cloned().unwrap_or_default();
        blocks.extend(self.blocks(message)?);
        for call in &message.tool_calls {
            blocks.push(json!({
                "type": "tool_use",
                "id": sane_id(&call.id),
                "name": call.function.name,
                "input": arguments_object(call)?,
            }));
        }
        Ok(blocks)
    }

    fn tool_result(&self, message: &ChatMessage) -> Result<Value, ChatError> {
        let id = message.tool_call_id.as_deref().unwrap_or_default();
        let mut block = json!({"type": "tool_result", "tool_use_id": sane_id(id)});
        let content = self.blocks(message)?;
        if !content.is_empty() {
            block["content"] = json!(content);
        }
        if message.extra.get("is_error") == Some(&Value::Bool(true)) {
            block["is_error"] = json!(true);
        }
        Ok(block)
    }
}

impl Provider for Anthropic {
    fn plan(&self, request: &ChatRequest) -> Result<Plan, ChatError> {
        let accept = if request.stream {
            "text/event-stream"
        } else {
            "application/json"
        };
        let body = self.body(request)?;
        self.upstream
            .call("/messages", &body, request.stream, accept)
            .map(Plan::Call)
    }

    fn decode(&self, reply: &HttpReply) -> Result<ChatReply, ChatError> {
        let body = self.upstream.json(reply)?;
        let Some(blocks) = body.get("content").and_then(Value::as_array) else {
            return Err(self.upstream.malformed("it has no content"));
        };
        let mut reply = ChatReply::default();
        for block in blocks {
            match block["type"].as_str() {
                Some("text") => reply.text.push_str(text(block, "text")),
                Some("thinking") => {
                    let reasoning = reply.reasoning.get_or_insert_default();
                    reasoning.push_str(text(block, "thinking"));
                    reply.thinking_blocks.push(block.clone());
                }
                Some("redacted_thinking") => reply.thinking_blocks.push(block.clone()),
                Some("tool_use") => reply.tool_calls.push(ToolCall {
                    id: tool_id(block, text(&body, "id"), reply.tool_calls.len()),
                    kind: "function".to_owned(),
                    function: FunctionCall {
                        name: text(block, "name").to_owned(),
                        arguments: match &block["input"] {
                            Value::Null => "{}".to_owned(),
                            input => input.to_string(),
                        },
                    },
                    extra: Map::new(),
                }),
                // What servers' own tools leave behind is no part of the answer.
                _ => {}
            }
        }
        reply.reasoning = reply.reasoning.filter(|text| !text.is_empty());
        reply.finish = finish_reason(text(&body, "stop_reason"));
        let mut usage = Usage::default();
        usage.read(&body["usage"]);
        reply.usage = usage.tokens();
        Ok(reply)
    }

    fn stream(&self) -> Box<dyn StreamDecoder + Send> {
        Box::new(SseStream::<AnthropicReader>::new(self.upstream.clone()))
    }

    fn probe(&self) -> Result<Option<HttpCall>, ChatError> {
        self.upstream.get("/models").map(Some)
    }
}

/// Messages whose roles alternate: results of several calls belong into one message.
#[derive(Default)]
struct Messages(Vec<Value>);

impl Messages {
    fn push(&mut self, role: &str, blocks: Vec<Value>) {
        if blocks.is_empty() {
            return;
        }
        let last = self.0.last_mut().filter(|last| last["role"] == role);
        match last.and_then(|last| last["content"].as_array_mut()) {
            Some(content) => content.extend(blocks),
            None => self.0.push(json!({"role": role, "content": blocks})),
        }
    }
}

fn text_block(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| json!({"type": "text", "text": text}))
}

/// Where an image or a document is: in the URL itself, or behind it.
fn source(url: &str) -> Value {
    match inline(url) {
        Some((kind, data)) => json!({"type": "base64", "media_type": kind, "data": data}),
        None => json!({"type": "url", "url": url}),
    }
}

/// Keeps the client's mark of what the upstream shall cache.
fn cached(block: &mut Value, rest: &Map<String, Value>) {
    let nested = rest.get("extra_content");
    let nested = nested.and_then(|extra| extra.pointer("/anthropic/cache_control"));
    if let Some(mark) = rest.get("cache_control").or(nested) {
        block["cache_control"] = mark.clone();
    }
}

fn tool(tool: &Tool) -> Value {
    let function = &tool.function;
    let parameters = function.parameters.as_ref();
    let parameters = parameters.filter(|schema| schema.get("type").is_some());
    let mut written = json!({
        "name": function.name,
        "input_schema": parameters.cloned().unwrap_or_else(no_parameters),
    });
    if let Some(description) = &function.description {
        written["description"] = json!(description);
    }
    if function.strict == Some(true) {
        written["strict"] = json!(true);
    }
    cached(&mut written, &tool.extra);
    written
}

/// Translates the choice; one call at a time is a part of it.
fn tool_choice(request: &ChatRequest) -> Option<Value> {
    let one = request.extra.get("parallel_tool_calls") == Some(&Value::Bool(false));
    let mut choice = match &request.tool_choice {
        None if one => json!({"type": "auto"}),
        None => return None,
        Some(choice) => match (choice.as_str(), chosen(choice)) {
            (Some("none"), _) => return Some(json!({"type": "none"})),
            (Some("required"), _) => json!({"type": "any"}),
            (_, Some(name)) => json!({"type": "tool", "name": name}),
            _ => json!({"type": "auto"}),
        },
    };
    if one {
        choice["disable_parallel_tool_use"] = json!(true);
    }
    Some(choice)
}

/// Ids of other upstreams may hold what this one refuses.
fn sane_id(id: &str) -> String {
    id.chars()
        .map(|sign| match sign {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => sign,
            _ => '_',
        })
        .collect()
}

/// A text field of a block; empty when it is not there.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The id of a call, or one of our own where a server gives none.
pub(super) fn tool_id(block: &Value, message_id: &str, index: usize) -> String {
    match text(block, "id") {
        "" => call_id(&[message_id, text(block, "name")], index),
        id => id.to_owned(),
    }
}

/// Translates `stop_reason`.
pub(super) fn finish_reason(reason: &str) -> FinishReason {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

/// The counts so far. Each object of a stream tells some of them, and its numbers are totals.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Read, written to the cache, read from the cache: the prompt is all three.
    input: [Option<u64>; 3],
    output: Option<u64>,
}

impl Usage {
    pub(super) fn read(&mut self, usage: &Value) {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        let names = [
            "input_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
        ];
        for (known, name) in self.input.iter_mut().zip(names) {
            *known = count(name).or(*known);
        }
        self.output = count("output_tokens").or(self.output);
    }

    pub(super) fn tokens(&self) -> Option<TokenUsage> {
        let known = self.output.is_some() || self.input.iter().any(Option::is_some);
        known.then(|| TokenUsage {
            prompt_tokens: self.input.iter().flatten().sum(),
            completion_tokens: self.output.unwrap_or_default(),
            cache_write_tokens: self.input[1].unwrap_or_default(),
            cached_tokens: self.input[2].unwrap_or_default(),
        })
    }
}

/// The status that a word stands for where there is none, as Anthropic's page on errors pairs them.
pub(super) fn status_of(word: &str) -> Option<u16> {
    Some(match word {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "api_error" => 500,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::chat::{ProviderConfig, build};

    #[test]
    fn the_prompt_is_what_was_read_wherever_it_came_from() {
        let mut counts = Usage::default();
        counts.read(&json!({"input_tokens": 1, "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 4, "output_tokens": 1}));
        counts.read(&json!({"output_tokens": 8}));
        let expected = TokenUsage {
            prompt_tokens: 7,
            completion_tokens: 8,
            cached_tokens: 4,
            cache_write_tokens: 2,
        };
        assert_eq!(counts.tokens(), Some(expected));
    }

    fn plan(request: &ChatRequest) -> Result<Value, ChatError> {
        let config: ProviderConfig = toml::from_str("preset = \"anthropic\"").unwrap();
        let provider = build("claude", Some(&config), Some("sk".into())).unwrap();
        match provider.plan(request)? {
            Plan::Call(call) => {
                assert_eq!(call.url, "https://api.anthropic.com/v1/messages");
                let version = ("anthropic-version".to_owned(), "2023-06-01".to_owned());
                assert!(call.headers.contains(&version));
                Ok(serde_json::from_slice(&call.body).unwrap())
            }
            Plan::Ready(reply) => panic!("answered at once: {reply:?}"),
        }
    }

    fn request(messages: Value) -> ChatRequest {
        ChatRequest {
            model: "claude".into(),
            messages: serde_json::from_value(messages).unwrap(),
            ..ChatRequest::default()
        }
    }

    #[test]
    fn a_request_is_written_in_anthropics_shape() {
        let mut request = request(json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": "see", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": ""},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "image_url", "image_url": {"url": "https://h/a.png"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,BB=="}}]},
            {"role": "developer", "content": "in French"},
            {"role": "assistant", "content": null,
             "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
             "tool_calls": [
                {"id": "functions.f:0", "type": "function",
                 "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "functions.f:0", "content": "7"},
            {"role": "tool", "tool_call_id": "c2", "content": "no", "is_error": true},
            {"role": "user", "content": "so?"}
        ]));
        request.temperature = Some(1.5);
        request.stop = vec!["X".into()];
        request.user = Some("u".into());
        request.tools = serde_json::from_value(json!([
            {"type": "function", "function": {"name": "f", "description": "d", "strict": true,
             "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}},
            {"type": "function", "function": {"name": "g"}}
        ]))
        .unwrap();
        request.tool_choice = Some(json!({"type": "function", "function": {"name": "f"}}));
        request.extra = serde_json::from_value(json!({"parallel_tool_calls": false})).unwrap();
        request.response_format =
            Some(json!({"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}));
        request.native = serde_json::from_value(json!({"top_k": 5, "num_ctx": 9})).unwrap();
        assert_eq!(
            plan(&request).unwrap(),
            json!({
                "model": "claude",
                "max_tokens": 4096,
                "messages": [
                    {"role": "user", "content": [
                        {"type": "text", "text": "see", "cache_control": {"type": "ephemeral"}},
                        {"type": "image", "source":
                            {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                        {"type": "image", "source": {"type": "url", "url": "https://h/a.png"}},
                        {"type": "document", "source":
                            {"type": "base64", "media_type": "application/pdf", "data": "BB=="}}]},
                    {"role": "assistant", "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "s"},
                        {"type": "tool_use", "id": "functions_f_0", "name": "f", "input": {"a": 1}},
                        {"type": "tool_use", "id": "c2", "name": "g", "input": {}}]},
                    {"role": "user", "content": [
                        {"type": "tool_result", "tool_use_id": "functions_f_0",
                         "content": [{"type": "text", "text": "7"}]},
                        {"type": "tool_result", "tool_use_id": "c2", "is_error": true,
                         "content": [{"type": "text", "text": "no"}]},
                        {"type": "text", "text": "so?"}]}
                ],
                "system": [{"type": "text", "text": "be brief"},
                           {"type": "text", "text": "in French"}],
                "temperature": 1.0,
                "top_k": 5,
                "stop_sequences": ["X"],
                "metadata": {"user_id": "u"},
                "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
                "tools": [
                    {"name": "f", "description": "d", "strict": true, "input_schema":
                        {"type": "object", "properties": {"a": {"type": "integer"}}}},
                    {"name": "g", "input_schema": {"type": "object", "properties": {}}}],
                "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true}
            })
        );
    }

    #[test]
    fn choices_are_translated() {
        let mut request = request(json!([{"role": "user", "content": "x"}]));
        request.tools =
            serde_json::from_value(json!([{"type": "function", "function": {"name": "f"}}]))
                .unwrap();
        for (choice, expected) in [
            (json!("auto"), json!({"type": "auto"})),
            (json!("required"), json!({"type": "any"})),
            (json!("none"), json!({"type": "none"})),
        ] {
            request.tool_choice = Some(choice);
            assert_eq!(plan(&request).unwrap()["tool_choice"], expected);
        }
        request.max_completion_tokens = Some(7);
        assert_eq!(plan(&request).unwrap()["max_tokens"], 7);
    }

    #[test]
    fn what_it_cannot_do_goes_to_the_next_candidate() {
        let audio = json!([{"role": "user", "content": [{"type": "input_audio"}]}]);
        let mut any_json = request(json!([{"role": "user", "content": "x"}]));
        any_json.response_format = Some(json!({"type": "json_object"}));
        for request in [request(audio), any_json] {
            let error = plan(&request).unwrap_err();
            assert!(matches!(error, ChatError::Unsupported { .. }), "{error}");
        }
    }

    #[test]
    fn every_way_to_end_is_translated() {
        use FinishReason as F;
        for (reason, expected) in [
            ("end_turn", F::Stop),
            ("stop_sequence", F::Stop),
            ("pause_turn", F::Stop),
            ("max_tokens", F::Length),
            ("model_context_window_exceeded", F::Length),
            ("tool_use", F::ToolCalls),
            ("refusal", F::ContentFilter),
        ] {
            assert_eq!(finish_reason(reason), expected, "{reason}");
        }
    }
}
