//! Ollama's native `/api/chat`: unlike its `/v1`, it honours `num_ctx` and reasoning.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::ollama_stream::OllamaStream;
use super::parts::{arguments_object, call_id, text_of};
use crate::engines::chat::ChatError;
use crate::engines::chat::{Plan, Provider, StreamDecoder};
use crate::engines::upstream::Upstream;
use crate::types::chat::{
    ChatMessage, ChatReply, ChatRequest, Content, FinishReason, FunctionCall, Role, ToolCall,
};
use crate::types::evidence::TokenUsage;
use crate::types::http::{HttpCall, HttpReply};

/// An Ollama server, local or in its cloud.
pub(super) struct Ollama {
    upstream: Upstream,
}

impl Ollama {
    pub(super) fn new(upstream: Upstream) -> Self {
        Self { upstream }
    }

    fn body(&self, request: &ChatRequest) -> Result<Value, ChatError> {
        let choice = request.tool_choice.as_ref();
        if choice.is_some_and(|choice| choice != "auto" && choice != "none") {
            return Err(self
                .upstream
                .unsupported("tool_choice other than auto or none"));
        }
        let mut names = HashMap::new();
        let mut messages = Vec::with_capacity(request.messages.len());
        for message in &request.messages {
            for call in &message.tool_calls {
                names.insert(call.id.as_str(), call.function.name.as_str());
            }
            messages.push(self.message(message, &names)?);
        }
        let mut body = json!({
            "model": request.model, "messages": messages, "stream": request.stream,
        });
        if !request.tools.is_empty() && choice.is_none_or(|choice| choice != "none") {
            body["tools"] = json!(request.tools);
        }
        if let Some(format) = &request.response_format {
            match format["type"].as_str() {
                Some("json_object") => body["format"] = json!("json"),
                Some("json_schema") => body["format"] = format["json_schema"]["schema"].clone(),
                _ => {}
            }
        }
        for name in ["keep_alive", "think"] {
            if let Some(value) = request.native.get(name) {
                body[name] = value.clone();
            }
        }
        // Models without levels of effort only know on and off.
        if request
            .extra
            .get("reasoning_effort")
            .is_some_and(|effort| effort == "none")
        {
            body["think"] = json!(false);
        }
        let given: [(&str, Option<Value>); 8] = [
            ("top_k", request.native.get("top_k").cloned()),
            ("temperature", request.temperature.map(Value::from)),
            ("top_p", request.top_p.map(Value::from)),
            ("seed", request.seed.map(Value::from)),
            ("num_predict", request.output_limit().map(Value::from)),
            (
                "presence_penalty",
                request.presence_penalty.map(Value::from),
            ),
            (
                "frequency_penalty",
                request.frequency_penalty.map(Value::from),
            ),
            (
                "stop",
                (!request.stop.is_empty()).then(|| json!(request.stop)),
            ),
        ];
        // What a client of Ollama's own API sets and OpenAI's has no word for.
        let own = request.native.get("options").and_then(Value::as_object);
        let mut options = own.cloned().unwrap_or_default();
        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        options.extend(given);
        if !options.is_empty() {
            body["options"] = Value::Object(options);
        }
        Ok(body)
    }

    fn message(
        &self,
        message: &ChatMessage,
        names: &HashMap<&str, &str>,
    ) -> Result<Value, ChatError> {
        let role = match message.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let mut written = json!({"role": role, "content": message.text()});
        if let Some(Content::Parts(parts)) = &message.content {
            let mut images = Vec::new();
            for part in parts.iter().filter(|part| part.kind != "text") {
                let data = part.image_url().and_then(|url| url.strip_prefix("data:"));
                let Some((_, base64)) = data.and_then(|data| data.split_once("base64,")) else {
                    return Err(self.upstream.unsupported(format!(
                        "a part of type {} other than an image in a data URL",
                        part.kind.chars().take(40).collect::<String>()
                    )));
                };
                images.push(base64);
            }
            if !images.is_empty() {
                written["images"] = json!(images);
            }
        }
        if !message.tool_calls.is_empty() {
            let calls = message.tool_calls.iter().map(|call| {
                let arguments = arguments_object(call)?;
                Ok(json!({"function": {"name": call.function.name, "arguments": arguments}}))
            });
            written["tool_calls"] = calls.collect::<Result<_, ChatError>>()?;
            if let Some(reasoning) = &message.reasoning_content {
                written["thinking"] = json!(reasoning);
            }
        }
        let answered = message
            .tool_call_id
            .as_deref()
            .and_then(|id| names.get(id).copied());
        if let Some(name) = answered.or(message.name.as_deref().filter(|_| role == "tool")) {
            written["tool_name"] = json!(name);
        }
        Ok(written)
    }
}

impl Provider for Ollama {
    fn plan(&self, request: &ChatRequest) -> Result<Plan, ChatError> {
        let accept = if request.stream {
            "application/x-ndjson"
        } else {
            "application/json"
        };
        let body = self.body(request)?;
        self.upstream
            .call("/api/chat", &body, request.stream, accept)
            .map(Plan::Call)
    }

    fn decode(&self, reply: &HttpReply) -> Result<ChatReply, ChatError> {
        let body = self
            .upstream
            .json(reply)
            .map_err(|error| refused(&self.upstream, error))?;
        let message = body.get("message").filter(|message| message.is_object());
        let Some(message) = message else {
            return Err(self.upstream.malformed("it has no message"));
        };
        if body.get("done").and_then(Value::as_bool) == Some(false) {
            return Err(self.upstream.cut());
        }
        let tool_calls = tool_calls(&body, message, 0);
        Ok(ChatReply {
            text: text_of(&message["content"]),
            reasoning: thinking(message).map(ToOwned::to_owned),
            thinking_blocks: Vec::new(),
            refusal: None,
            finish: finish_reason(&body, !tool_calls.is_empty()),
            tool_calls,
            usage: usage(&body),
        })
    }

    fn stream(&self) -> Box<dyn StreamDecoder + Send> {
        Box::new(OllamaStream::new(self.upstream.clone()))
    }

    fn probe(&self) -> Result<Option<HttpCall>, ChatError> {
        self.upstream.get("/api/tags").map(Some)
    }
}

/// A model that lacks tools or images says so with a 400; another may have them.
pub(super) fn refused(upstream: &Upstream, error: ChatError) -> ChatError {
    match error {
        ChatError::Rejected { message, .. } if message.contains("does not support") => {
            upstream.unsupported(message)
        }
        error => error,
    }
}

/// The reasoning of a message.
pub(super) fn thinking(message: &Value) -> Option<&str> {
    message
        .get("thinking")
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// Reads the tool calls of a message, with ids of our own; `before` were there already.
pub(super) fn tool_calls(line: &Value, message: &Value, before: usize) -> Vec<ToolCall> {
    let created = line
        .get("created_at")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let calls = message.get("tool_calls").and_then(Value::as_array);
    calls
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, call)| {
            let name = call.pointer("/function/name")?.as_str()?.to_owned();
            let arguments = match call.pointer("/function/arguments") {
                None | Some(Value::Null) => "{}".to_owned(),
                arguments => super::parts::arguments_of(arguments),
            };
            Some(ToolCall {
                id: call_id(&[created, &name, &arguments], before + index),
                kind: "function".to_owned(),
                function: FunctionCall { name, arguments },
                extra: Map::new(),
            })
        })
        .collect()
}

/// Translates `done_reason`.
pub(super) fn finish_reason(line: &Value, calls_tools: bool) -> FinishReason {
    match line.get("done_reason").and_then(Value::as_str) {
        Some("length") => FinishReason::Length,
        _ if calls_tools => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

/// Reads the counts of the last line; a prompt that was cached has none.
pub(super) fn usage(line: &Value) -> Option<TokenUsage> {
    let count = |name: &str| line.get(name).and_then(Value::as_u64);
    let (prompt, completion) = (count("prompt_eval_count"), count("eval_count"));
    (prompt.is_some() || completion.is_some()).then(|| TokenUsage {
        prompt_tokens: prompt.unwrap_or_default(),
        completion_tokens: completion.unwrap_or_default(),
        ..TokenUsage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::chat::{ProviderConfig, build};

    fn plan(request: &ChatRequest) -> Result<Value, ChatError> {
        let config: ProviderConfig = toml::from_str(
            "preset = \"ollama\"\n\
             extra_body = { options = { num_ctx = 8192 }, keep_alive = \"5m\" }",
        )
        .unwrap();
        match build("local", Some(&config), None).unwrap().plan(request)? {
            Plan::Call(call) => {
                assert_eq!(call.url, "http://127.0.0.1:11434/api/chat");
                Ok(serde_json::from_slice(&call.body).unwrap())
            }
            Plan::Ready(reply) => panic!("answered at once: {reply:?}"),
        }
    }

    fn request(messages: Value) -> ChatRequest {
        ChatRequest {
            model: "llama3.2".into(),
            messages: serde_json::from_value(messages).unwrap(),
            ..ChatRequest::default()
        }
    }

    #[test]
    fn a_request_is_written_in_ollamas_shape() {
        let mut request = request(json!([
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
            {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                {"id": "c1", "type": "function",
                 "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "7"}
        ]));
        request.max_tokens = Some(9);
        request.temperature = Some(0.5);
        request.stop = vec!["X".into()];
        request.response_format =
            Some(json!({"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}));
        assert_eq!(
            plan(&request).unwrap(),
            json!({
                "model": "llama3.2",
                "messages": [
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": "see", "images": ["AA=="]},
                    {"role": "assistant", "content": "", "thinking": "hm",
                     "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
                    {"role": "tool", "content": "7", "tool_name": "f"}
                ],
                "stream": false,
                "format": {"type": "object"},
                "options": {"temperature": 0.5, "num_predict": 9, "stop": ["X"], "num_ctx": 8192},
                "keep_alive": "5m"
            })
        );
    }

    #[test]
    fn what_it_cannot_do_goes_to_the_next_candidate() {
        let link = json!([{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]);
        let mut choice = request(json!([{"role": "user", "content": "x"}]));
        choice.tool_choice = Some(json!("required"));
        for request in [request(link), choice] {
            let error = plan(&request).unwrap_err();
            assert!(matches!(error, ChatError::Unsupported { .. }), "{error}");
        }
        let broken = json!([{"role": "assistant", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}]}]);
        assert!(matches!(
            plan(&request(broken)),
            Err(ChatError::Invalid { .. })
        ));
    }
}
