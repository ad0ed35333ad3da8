//! Chat answers as server-sent events, in the order that OpenAI's clients expect.
//!
//! Role, content, finish, usage (only when asked for), `[DONE]`. A stream that broke off ends with
//! an error object and without `[DONE]`: it never looks complete.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::web::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::{Map, Value, json};

use super::error::openai_body;
use super::routes::chat::{annotation, usage_json};
use crate::services::ServiceError;
use crate::services::complete::{CompletionStream, Piece};
use crate::types::chat::{ChatDelta, ToolCallDelta};
use crate::types::error_kind::ErrorKind;

/// A silence that some proxies would take for the end.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Writes the stream's pieces as they come. Dropping it cancels the upstream's call.
pub(super) fn body(
    stream: CompletionStream,
    request_id: String,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let chunks = Chunks {
        id: stream.id.clone(),
        created: stream.created,
        model: stream.model.clone(),
        include_usage: stream.include_usage,
        request_id,
    };
    unfold(State::Start(chunks, stream), |state| async move {
        let (text, next) = match state {
            State::Start(chunks, stream) => {
                let role = chunks.choice(json!({"role": "assistant", "content": ""}), None);
                (role, State::Open(chunks, stream))
            }
            State::Open(chunks, mut stream) => {
                let piece = tokio::time::timeout(KEEP_ALIVE, stream.next()).await;
                match piece {
                    Err(_) => (": keep-alive\n\n".to_owned(), State::Open(chunks, stream)),
                    Ok(piece) => {
                        let (text, last) = chunks.write(piece);
                        (
                            text,
                            if last {
                                State::End
                            } else {
                                State::Open(chunks, stream)
                            },
                        )
                    }
                }
            }
            State::End => return None,
        };
        Some((Ok(Bytes::from(text)), next))
    })
}

enum State {
    Start(Chunks, CompletionStream),
    Open(Chunks, CompletionStream),
    End,
}

/// What all chunks of an answer have in common.
struct Chunks {
    id: String,
    created: u64,
    model: String,
    include_usage: bool,
    request_id: String,
}

impl Chunks {
    /// Writes a piece, and says whether it is the last.
    fn write(&self, piece: Option<Piece>) -> (String, bool) {
        match piece {
            Some(Piece::Delta(delta)) => (self.choice(delta_json(delta), None), false),
            Some(Piece::Citations(citations)) => {
                let annotations: Vec<Value> = citations.iter().map(annotation).collect();
                (
                    self.choice(json!({"annotations": annotations}), None),
                    false,
                )
            }
            Some(Piece::Finish(reason)) => (self.choice(json!({}), Some(reason.as_str())), false),
            Some(Piece::Usage(usage)) => (self.chunk(json!([]), usage_json(usage)), false),
            Some(Piece::Done) => ("data: [DONE]\n\n".to_owned(), true),
            Some(Piece::Failed(error)) => (self.error(&error), true),
            None => {
                let error = ServiceError::new(ErrorKind::Internal, "the answer broke off");
                (self.error(&error.code("lost")), true)
            }
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
        format!("data: {chunk}\n\n")
    }

    fn error(&self, error: &ServiceError) -> String {
        format!("data: {}\n\n", openai_body(error, &self.request_id))
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
    use crate::types::chat::FinishReason;
    use crate::types::evidence::TokenUsage;

    fn chunks(include_usage: bool) -> Chunks {
        Chunks {
            id: "chatcmpl-1".into(),
            created: 7,
            model: "p/m".into(),
            include_usage,
            request_id: "req-1".into(),
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
        };
        let delta = || {
            Some(Piece::Delta(ChatDelta {
                content: "hi".into(),
                ..ChatDelta::default()
            }))
        };
        let quiet = data(&chunks(false).write(delta()).0);
        assert_eq!(
            quiet,
            json!({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "p/m",
                "choices": [{
                    "index": 0, "delta": {"content": "hi"}, "logprobs": null, "finish_reason": null
                }]
            })
        );
        assert_eq!(data(&chunks(true).write(delta()).0)["usage"], Value::Null);
        let last = data(&chunks(true).write(Some(Piece::Usage(usage))).0);
        assert_eq!(last["choices"], json!([]));
        assert_eq!(last["usage"]["total_tokens"], 5);
    }

    #[test]
    fn only_a_complete_answer_ends_with_done() {
        let finish = Some(Piece::Finish(FinishReason::ToolCalls));
        let (text, last) = chunks(false).write(finish);
        assert_eq!(data(&text)["choices"][0]["finish_reason"], "tool_calls");
        assert!(!last);
        assert_eq!(
            chunks(false).write(Some(Piece::Done)),
            ("data: [DONE]\n\n".into(), true)
        );
        let failed = ServiceError::new(ErrorKind::Upstream, "cut").code("cut");
        for piece in [Some(Piece::Failed(failed)), None] {
            let (text, last) = chunks(false).write(piece);
            assert!(last);
            assert_eq!(data(&text)["error"]["request_id"], "req-1");
        }
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
