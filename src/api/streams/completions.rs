//! Chat answers as server-sent events, in the order that OpenAI's clients expect.
//!
//! Role, content, finish, usage (only when asked for), `[DONE]`. A stream that broke off ends with
//! an error object and without `[DONE]`: it never looks complete.

use serde_json::{Map, Value, json};

use super::Writer;
use crate::api::error_body::openai_body;
use crate::api::routes::chat::{UsageJson, annotation};
use crate::services::complete::{CompletionStream, Piece};
use crate::types::chat::{ChatDelta, ToolCallDelta};
use crate::types::demand::Judgement;

/// What all chunks of an answer have in common.
pub(in crate::api) struct Chunks {
    id: String,
    created: u64,
    model: String,
    include_usage: bool,
    request_id: String,
    /// For the last chunk that has a choice.
    validation: Option<Judgement>,
}

impl Chunks {
    /// The chunks of `stream`.
    pub(in crate::api) fn of(stream: &CompletionStream, request_id: String) -> Self {
        Self {
            id: stream.id.clone(),
            created: stream.created,
            model: stream.model.clone(),
            include_usage: stream.include_usage,
            request_id,
            validation: None,
        }
    }

    fn choice(&self, delta: Value, finish: Option<&str>) -> String {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        self.chunk(json!([choice]), Value::Null)
    }

    fn chunk(&self, choices: Value, usage: Value) -> String {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created,
            "model": self.model, "choices": choices,
        });
        if self.include_usage {
            chunk["usage"] = usage;
        }
        if let Some(judgement) = &self.validation {
            chunk["validation"] = json!(judgement);
        }
        format!("data: {chunk}\n\n")
    }
}

impl Writer for Chunks {
    const CONTENT_TYPE: &'static str = "text/event-stream; charset=utf-8";

    fn begin(&mut self) -> String {
        self.choice(json!({"role": "assistant", "content": ""}), None)
    }

    fn write(&mut self, piece: Piece) -> String {
        match piece {
            Piece::Delta(delta) => self.choice(delta_json(delta), None),
            Piece::Citations(citations) => {
                let annotations: Vec<Value> = citations.iter().map(annotation).collect();
                self.choice(json!({"annotations": annotations}), None)
            }
            Piece::Validation(judgement) => {
                self.validation = Some(judgement);
                String::new()
            }
            Piece::Finish(reason) => {
                let chunk = self.choice(json!({}), Some(reason.as_str()));
                self.validation = None;
                chunk
            }
            Piece::Usage(usage) => self.chunk(json!([]), json!(UsageJson::from(usage))),
            Piece::Done => "data: [DONE]\n\n".to_owned(),
            Piece::Failed(error) => {
                format!("data: {}\n\n", openai_body(&error, &self.request_id))
            }
        }
    }

    fn keep_alive(&self) -> String {
        ": keep-alive\n\n".to_owned()
    }
}

fn delta_json(delta: ChatDelta) -> Value {
    let mut written = Map::new();
    for (name, text) in [
        ("content", delta.content),
        ("reasoning_content", delta.reasoning),
        ("refusal", delta.refusal),
    ] {
        if !text.is_empty() {
            written.insert(name.to_owned(), Value::String(text));
        }
    }
    if !delta.thinking_blocks.is_empty() {
        let blocks = Value::Array(delta.thinking_blocks);
        written.insert("thinking_blocks".to_owned(), blocks);
    }
    if !delta.tool_calls.is_empty() {
        let calls = delta.tool_calls.into_iter().map(tool_call_json).collect();
        written.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Value::Object(written)
}

fn tool_call_json(call: ToolCallDelta) -> Value {
    let mut written = json!({"index": call.index});
    if let Some(id) = call.id {
        written["id"] = json!(id);
        written["type"] = json!("function");
    }
    written["function"] = match call.name {
        Some(name) => json!({"name": name, "arguments": call.arguments}),
        None => json!({"arguments": call.arguments}),
    };
    for (name, value) in call.extra {
        written[name] = value;
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::ServiceError;
    use crate::types::chat::FinishReason;
    use crate::types::error_kind::ErrorKind;
    use crate::types::evidence::TokenUsage;

    fn chunks(include_usage: bool) -> Chunks {
        Chunks {
            id: "chatcmpl-1".into(),
            created: 7,
            model: "p/m".into(),
            include_usage,
            request_id: "req-1".into(),
            validation: None,
        }
    }

    fn data(text: &str) -> Value {
        let data = text
            .strip_prefix("data: ")
            .and_then(|text| text.strip_suffix("\n\n"));
        serde_json::from_str(data.unwrap()).unwrap()
    }

    #[test]
    fn usage_is_there_only_when_it_was_asked_for() {
        let usage = TokenUsage {
            prompt_tokens: 2,
            completion_tokens: 3,
            ..TokenUsage::default()
        };
        let delta = || {
            Piece::Delta(ChatDelta {
                content: "hi".into(),
                ..ChatDelta::default()
            })
        };
        let quiet = data(&chunks(false).write(delta()));
        assert_eq!(
            quiet,
            json!({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "p/m",
                "choices": [{
                    "index": 0, "delta": {"content": "hi"}, "logprobs": null, "finish_reason": null
                }]
            })
        );
        assert_eq!(data(&chunks(true).write(delta()))["usage"], Value::Null);
        let last = data(&chunks(true).write(Piece::Usage(usage)));
        assert_eq!(last["choices"], json!([]));
        assert_eq!(last["usage"]["total_tokens"], 5);
    }

    #[test]
    fn only_a_complete_answer_ends_with_done() {
        let finish = Piece::Finish(FinishReason::ToolCalls);
        let text = chunks(false).write(finish);
        assert_eq!(data(&text)["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(chunks(false).write(Piece::Done), "data: [DONE]\n\n");
        let failed = ServiceError::new(ErrorKind::Upstream, "cut").code("cut");
        let text = chunks(false).write(Piece::Failed(failed));
        assert_eq!(data(&text)["error"]["request_id"], "req-1");
    }

    #[test]
    fn a_call_is_named_once() {
        let first = ToolCallDelta {
            index: 1,
            id: Some("c".into()),
            name: Some("f".into()),
            arguments: "{".into(),
            extra: Map::new(),
        };
        let more = ToolCallDelta {
            index: 1,
            arguments: "}".into(),
            ..ToolCallDelta::default()
        };
        let delta = ChatDelta {
            tool_calls: vec![first, more],
            ..ChatDelta::default()
        };
        assert_eq!(
            delta_json(delta),
            json!({"tool_calls": [
                {
                    "index": 1, "id": "c", "type": "function",
                    "function": {"name": "f", "arguments": "{"}
                },
                {"index": 1, "function": {"arguments": "}"}}
            ]})
        );
    }
}
