//! OpenAI's chat completions, as its own API and the many compatible servers speak it.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::openai_request::OpenAiRequest;
use super::openai_stream::OpenAiReader;
use super::parts::{arguments_of, call_id, text_of};
use super::sse_stream::SseStream;
use crate::engines::chat::ChatError;
use crate::engines::chat::{Plan, Provider, StreamDecoder};
use crate::engines::upstream::Upstream;
use crate::types::chat::{ChatReply, ChatRequest, FinishReason, FunctionCall, ToolCall};
use crate::types::evidence::TokenUsage;
use crate::types::http::{HttpCall, HttpReply};

/// Any server with `POST {base_url}/chat/completions`.
pub(super) struct OpenAi {
    upstream: Upstream,
    /// Whether usage is asked for in streams.
    stream_usage: bool,
}

impl OpenAi {
    pub(super) fn new(upstream: Upstream, stream_usage: bool) -> Self {
        Self {
            upstream,
            stream_usage,
        }
    }

    /// Refuses an answer that holds an error.
    fn check(&self, error: Value) -> Result<(), ChatError> {
        if error.is_null() {
            return Ok(());
        }
        let found = self.upstream.error_in(&json!({"error": error}));
        found.map_or(Ok(()), Err)
    }
}

impl Provider for OpenAi {
    fn plan(&self, request: &ChatRequest) -> Result<Plan, ChatError> {
        let accept = if request.stream {
            "text/event-stream"
        } else {
            "application/json"
        };
        let body = OpenAiRequest {
            request,
            // Its newer models refuse the older name; other servers may know no other.
            renames_limit: self.upstream.is_at("api.openai.com"),
            stream_usage: self.stream_usage,
        };
        self.upstream
            .call("/chat/completions", &body, request.stream, accept)
            .map(Plan::Call)
    }

    fn decode(&self, reply: &HttpReply) -> Result<ChatReply, ChatError> {
        let answer: Answer = self.upstream.typed(reply, |_| false)?;
        self.check(answer.error)?;
        let Some(choice) = answer.choices.into_iter().flatten().next() else {
            return Err(self.upstream.malformed("it has no choices"));
        };
        self.check(choice.error)?;
        let id = answer.id.as_str().unwrap_or_default();
        let message = choice.message.unwrap_or_default();
        let calls = message.tool_calls.as_array();
        let tool_calls: Vec<ToolCall> = calls
            .into_iter()
            .flatten()
            .enumerate()
            .filter_map(|(index, call)| tool_call(call, id, index))
            .collect();
        let reason = choice.finish_reason.as_str().unwrap_or("stop");
        let reasoning = filled(message.reasoning_content).or_else(|| filled(message.reasoning));
        let reply = ChatReply {
            text: match message.content {
                Value::String(text) => text,
                content => text_of(&content),
            },
            reasoning,
            thinking_blocks: Vec::new(),
            refusal: filled(message.refusal),
            finish: finish_reason(reason, !tool_calls.is_empty())
                .ok_or_else(|| self.upstream.cut())?,
            tool_calls,
            usage: usage(&answer.usage),
        };
        Ok(reply)
    }

    fn stream(&self) -> Box<dyn StreamDecoder + Send> {
        Box::new(SseStream::<OpenAiReader>::new(self.upstream.clone()))
    }

    fn probe(&self) -> Result<Option<HttpCall>, ChatError> {
        self.upstream.get("/models").map(Some)
    }
}

/// What is read of a whole answer. Values are of whatever type a server writes: what cannot be used is as if it were not
/// there.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: Value,
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Value,
    #[serde(default)]
    error: Value,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Message>,
    #[serde(default)]
    finish_reason: Value,
    #[serde(default)]
    error: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    content: Value,
    reasoning_content: Value,
    reasoning: Value,
    refusal: Value,
    tool_calls: Value,
}

/// A text with something in it.
fn filled(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value
        .get(field)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// The reasoning of a message or a delta, under either of its names.
pub(super) fn reasoning(message: &Value) -> Option<&str> {
    text(message, "reasoning_content").or(text(message, "reasoning"))
}

/// The refusal of a message or a delta.
pub(super) fn refusal(message: &Value) -> Option<&str> {
    text(message, "refusal")
}

/// Fields of a tool call that are not OpenAI's and must come back with it.
pub(super) fn extra_of(call: &Value) -> Map<String, Value> {
    let content = call
        .get("extra_content")
        .filter(|content| !content.is_null());
    content
        .map(|content| ("extra_content".to_owned(), content.clone()))
        .into_iter()
        .collect()
}

fn tool_call(call: &Value, reply_id: &str, index: usize) -> Option<ToolCall> {
    let function = call.get("function")?;
    let name = function.get("name")?.as_str()?.to_owned();
    let arguments = arguments_of(function.get("arguments"));
    let id = text(call, "id").map(ToOwned::to_owned);
    Some(ToolCall {
        id: id.unwrap_or_else(|| call_id(&[reply_id, &name, &arguments], index)),
        kind: "function".to_owned(),
        function: FunctionCall { name, arguments },
        extra: extra_of(call),
    })
}

/// Translates a finish reason; `None` when it says that the answer is not complete.
pub(super) fn finish_reason(reason: &str, calls_tools: bool) -> Option<FinishReason> {
    Some(match reason {
        "error" | "abort" | "network_error" | "insufficient_system_resource" => return None,
        "length" | "max_tokens" | "model_length" => FinishReason::Length,
        "content_filter" | "safety" | "refusal" => FinishReason::ContentFilter,
        _ if calls_tools => FinishReason::ToolCalls,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    })
}

/// Reads a usage object; fields that are missing count as 0. DeepSeek and Moonshot tell of their caches
/// by names of their own.
pub(super) fn usage(usage: &Value) -> Option<TokenUsage> {
    let count = |name: &str| usage.get(name).and_then(Value::as_u64);
    let (prompt, completion) = (count("prompt_tokens"), count("completion_tokens"));
    (prompt.is_some() || completion.is_some()).then(|| TokenUsage {
        prompt_tokens: prompt.unwrap_or_default(),
        completion_tokens: completion.unwrap_or_default(),
        cached_tokens: usage
            .pointer("/prompt_tokens_details/cached_tokens")
            .and_then(Value::as_u64)
            .or_else(|| count("prompt_cache_hit_tokens"))
            .or_else(|| count("cached_tokens"))
            .unwrap_or_default(),
        cache_write_tokens: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::chat::{ProviderConfig, build};
    use crate::types::chat::{ChatMessage, Tool};

    #[test]
    fn tokens_of_a_cache_are_told_in_several_words() {
        for details in [
            json!({"prompt_tokens_details": {"cached_tokens": 7}}),
            json!({"prompt_tokens_details": null, "prompt_cache_hit_tokens": 7}),
            json!({"cached_tokens": 7}),
        ] {
            let mut told = details;
            told["prompt_tokens"] = 10.into();
            let found = usage(&told).unwrap();
            assert_eq!(
                (found.prompt_tokens, found.cached_tokens),
                (10, 7),
                "{told}"
            );
        }
    }

    fn sent(request: &ChatRequest, config: &str) -> Value {
        let config: ProviderConfig = toml::from_str(&format!(
            "kind = \"openai\"\nbase_url = \"http://h/v1\"\n{config}"
        ))
        .unwrap();
        let provider = build("up", Some(&config), None).unwrap();
        let Plan::Call(call) = provider.plan(request).unwrap() else {
            panic!("no call")
        };
        assert_eq!(call.url, "http://h/v1/chat/completions");
        serde_json::from_slice(&call.body).unwrap()
    }

    #[test]
    fn a_request_is_written_in_openais_shape() {
        let messages: Vec<ChatMessage> = serde_json::from_value(json!([
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": "see", "extra_content": {"anthropic": {}}},
                {"type": "image_url", "image_url": {"url": "data:image/png,AA==", "detail": "low"}}
            ]},
            {"role": "assistant", "content": null, "refusal": null, "annotations": [],
             "reasoning_content": "hm", "thinking_blocks": [1], "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "7"},
            {"role": "assistant", "content": "seven", "reasoning_content": "dropped"}
        ]))
        .unwrap();
        let tool: Tool = serde_json::from_value(
            json!({"type": "function", "function": {"name": "f", "parameters": {}}}),
        )
        .unwrap();
        let request = ChatRequest {
            model: "m".into(),
            messages,
            tools: vec![tool],
            temperature: Some(0.7),
            max_completion_tokens: Some(9),
            stop: vec!["X".into()],
            extra: serde_json::from_value(json!({"reasoning_effort": "low"})).unwrap(),
            stream: true,
            ..ChatRequest::default()
        };
        let body = sent(&request, "");
        assert_eq!(
            body,
            json!({
                "reasoning_effort": "low",
                "model": "m",
                "messages": [
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": [
                        {"type": "text", "text": "see"},
                        {"type": "image_url",
                         "image_url": {"url": "data:image/png,AA==", "detail": "low"}}
                    ]},
                    {"role": "assistant", "content": null, "reasoning_content": "hm",
                     "tool_calls": [{"id": "c1", "type": "function",
                        "function": {"name": "f", "arguments": "{}"}}]},
                    {"role": "tool", "tool_call_id": "c1", "content": "7"},
                    {"role": "assistant", "content": "seven"}
                ],
                "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
                "temperature": 0.7,
                "max_completion_tokens": 9,
                "stop": ["X"],
                "stream": true,
                "stream_options": {"include_usage": true}
            })
        );
        let quiet = sent(
            &request,
            "stream_usage = false\nextra_body = { thinking = { type = \"on\" } }",
        );
        assert!(quiet.get("stream_options").is_none());
        assert!(
            quiet.get("reasoning_effort").is_none(),
            "never beside thinking"
        );
    }

    #[test]
    fn the_bound_on_an_answer_goes_by_the_name_that_is_known_there() {
        let request = ChatRequest {
            max_tokens: Some(9),
            ..ChatRequest::default()
        };
        assert_eq!(sent(&request, "")["max_tokens"], 9);
        let config: ProviderConfig = toml::from_str("preset = \"openai\"").unwrap();
        let provider = build("up", Some(&config), Some("sk".into())).unwrap();
        let Plan::Call(call) = provider.plan(&request).unwrap() else {
            panic!("no call")
        };
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(body["max_completion_tokens"], 9);
        assert!(body.get("max_tokens").is_none(), "{body}");
    }

    #[test]
    fn finish_reasons_are_translated() {
        use FinishReason as F;
        for (reason, calls, expected) in [
            ("stop", false, Some(F::Stop)),
            ("stop", true, Some(F::ToolCalls)),
            ("eos", false, Some(F::Stop)),
            ("length", true, Some(F::Length)),
            ("content_filter", false, Some(F::ContentFilter)),
            ("function_call", false, Some(F::ToolCalls)),
            ("error", false, None),
        ] {
            assert_eq!(finish_reason(reason, calls), expected, "{reason}");
        }
    }
}
