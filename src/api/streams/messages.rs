//! Anthropic's events: `message_start`, blocks one after the other, `message_delta`,
//! `message_stop`.

use serde_json::{Value, json};

use super::{Writer, event};
use crate::api::error_body::anthropic_body;
use crate::api::routes::chat::tell_judgement;
use crate::api::routes::messages::{citation_json, stop_reason, usage_json};
use crate::services::complete::{CompletionStream, Piece};
use crate::types::chat::{ChatDelta, FinishReason, ToolCall, ToolCallDelta};
use crate::types::demand::Judgement;
use crate::types::evidence::TokenUsage;

/// Writes one answer.
pub(in crate::api) struct MessageEvents {
    id: String,
    model: String,
    request_id: String,
    /// How many blocks have begun.
    begun: usize,
    open: Option<Open>,
    /// Calls so far, and how many of them have begun.
    calls: Vec<ToolCall>,
    calls_begun: usize,
    finish: FinishReason,
    usage: TokenUsage,
    validation: Option<Judgement>,
}

/// The one block that is open: blocks stand one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    /// Bytes of the last begun call's arguments that are written.
    Call(usize),
}

impl MessageEvents {
    pub(in crate::api) fn of(stream: &CompletionStream, request_id: String) -> Self {
        Self::new(&stream.id, &stream.model, request_id)
    }

    fn new(id: &str, model: &str, request_id: String) -> Self {
        Self {
            id: id.to_owned(),
            model: model.to_owned(),
            request_id,
            begun: 0,
            open: None,
            calls: Vec::new(),
            calls_begun: 0,
            finish: FinishReason::Stop,
            usage: TokenUsage::default(),
            validation: None,
        }
    }

    fn begin_block(&mut self, open: Open, block: &Value, text: &mut String) {
        self.end_block(text);
        let start = json!({
            "type": "content_block_start", "index": self.begun, "content_block": block,
        });
        text.push_str(&event("content_block_start", &start));
        self.begun += 1;
        self.open = Some(open);
    }

    fn more(&self, delta: &Value, text: &mut String) {
        let index = self.begun.saturating_sub(1);
        let more = json!({"type": "content_block_delta", "index": index, "delta": delta});
        text.push_str(&event("content_block_delta", &more));
    }

    fn end_block(&mut self, text: &mut String) {
        if self.open.take().is_some() {
            let index = self.begun.saturating_sub(1);
            let stop = json!({"type": "content_block_stop", "index": index});
            text.push_str(&event("content_block_stop", &stop));
        }
    }

    fn delta(&mut self, delta: ChatDelta) -> String {
        let mut text = String::new();
        if !delta.reasoning.is_empty() {
            if self.open != Some(Open::Thinking) {
                let block = json!({"type": "thinking", "thinking": "", "signature": ""});
                self.begin_block(Open::Thinking, &block, &mut text);
            }
            let more = json!({"type": "thinking_delta", "thinking": delta.reasoning});
            self.more(&more, &mut text);
        }
        for block in &delta.thinking_blocks {
            self.signed(block, &mut text);
        }
        for words in [&delta.content, &delta.refusal] {
            if words.is_empty() {
                continue;
            }
            if self.open != Some(Open::Text) {
                let block = json!({"type": "text", "text": "", "citations": null});
                self.begin_block(Open::Text, &block, &mut text);
            }
            self.more(&json!({"type": "text_delta", "text": words}), &mut text);
        }
        self.join(&delta.tool_calls);
        self.advance(false, &mut text);
        text
    }

    /// Ends the reasoning that was written with its signature; what was not shown goes as it is.
    fn signed(&mut self, block: &Value, text: &mut String) {
        if block["type"] == "thinking" && self.open == Some(Open::Thinking) {
            let more = json!({"type": "signature_delta", "signature": block["signature"]});
            self.more(&more, text);
        } else {
            self.begin_block(Open::Thinking, block, text);
        }
        self.end_block(text);
    }

    fn join(&mut self, pieces: &[ToolCallDelta]) {
        for piece in pieces {
            piece.join(&mut self.calls);
        }
    }

    /// Writes what is there of the calls. Pieces of several may come mixed, blocks may not: the
    /// next begins when the one before is whole, or the answer is.
    fn advance(&mut self, ended: bool, text: &mut String) {
        loop {
            if let Some(Open::Call(written)) = self.open {
                let Some(call) = self.calls.get(self.calls_begun - 1) else {
                    return;
                };
                let arguments = &call.function.arguments;
                let (more, end) = (
                    arguments.get(written..).unwrap_or_default(),
                    arguments.len(),
                );
                if !more.is_empty() {
                    let more = json!({"type": "input_json_delta", "partial_json": more});
                    self.more(&more, text);
                    self.open = Some(Open::Call(end));
                }
                if self.calls_begun == self.calls.len() {
                    return;
                }
                let last = &self.calls[self.calls_begun - 1];
                let whole = serde_json::from_str::<Value>(&last.function.arguments).is_ok();
                if !whole && !ended {
                    return;
                }
            }
            let Some(call) = self.calls.get(self.calls_begun) else {
                return;
            };
            let mut block = json!({
                "type": "tool_use", "id": call.id, "name": call.function.name, "input": {},
            });
            for (name, value) in &call.extra {
                block[name] = value.clone();
            }
            self.calls_begun += 1;
            self.begin_block(Open::Call(0), &block, text);
        }
    }
}

impl Writer for MessageEvents {
    const CONTENT_TYPE: &'static str = "text/event-stream; charset=utf-8";

    fn begin(&mut self) -> String {
        let start = json!({"type": "message_start", "message": {
            "id": self.id, "type": "message", "role": "assistant", "model": self.model,
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": usage_json(TokenUsage::default()),
        }});
        event("message_start", &start)
    }

    fn write(&mut self, piece: Piece) -> String {
        match piece {
            Piece::Delta(delta) => self.delta(delta),
            Piece::Citations(citations) => {
                let mut text = String::new();
                if self.open == Some(Open::Text) {
                    for citation in &citations {
                        let citation = citation_json(citation);
                        let more = json!({"type": "citations_delta", "citation": citation});
                        self.more(&more, &mut text);
                    }
                }
                text
            }
            Piece::Finish(reason) => {
                self.finish = reason;
                String::new()
            }
            Piece::Usage(usage) => {
                self.usage = usage;
                String::new()
            }
            Piece::Validation(judgement) => {
                self.validation = Some(judgement);
                String::new()
            }
            Piece::Done => {
                let mut text = String::new();
                self.advance(true, &mut text);
                self.end_block(&mut text);
                let mut delta = json!({
                    "type": "message_delta",
                    "delta": {"stop_reason": stop_reason(self.finish), "stop_sequence": null},
                    "usage": usage_json(self.usage),
                });
                tell_judgement(&mut delta, self.validation.as_ref());
                text.push_str(&event("message_delta", &delta));
                text.push_str(&event("message_stop", &json!({"type": "message_stop"})));
                text
            }
            Piece::Failed(error) => event("error", &anthropic_body(&error, &self.request_id)),
        }
    }

    fn keep_alive(&self) -> String {
        event("ping", &json!({"type": "ping"}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::ServiceError;
    use crate::types::error_kind::ErrorKind;

    fn write(deltas: Vec<ChatDelta>, finish: FinishReason) -> Vec<Value> {
        let mut writer = MessageEvents::new("msg_1", "p/m", "req-1".into());
        let mut text = writer.begin();
        let deltas = deltas.into_iter().map(Piece::Delta);
        for piece in deltas.chain([Piece::Finish(finish), Piece::Done]) {
            text.push_str(&writer.write(piece));
        }
        let events = text.split("\n\n").filter(|event| !event.is_empty());
        events
            .map(|event| {
                let (name, data) = event.split_once("\ndata: ").unwrap();
                let data: Value = serde_json::from_str(data).unwrap();
                assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
                data
            })
            .collect()
    }

    fn call(index: usize, id: Option<&str>, arguments: &str) -> ChatDelta {
        ChatDelta {
            tool_calls: vec![ToolCallDelta {
                index,
                id: id.map(Into::into),
                name: id.map(|_| "f".into()),
                arguments: arguments.into(),
                ..ToolCallDelta::default()
            }],
            ..ChatDelta::default()
        }
    }

    #[test]
    fn blocks_stand_one_after_the_other_however_their_pieces_come() {
        let thought = |reasoning: &str, blocks: Vec<Value>| ChatDelta {
            reasoning: reasoning.into(),
            thinking_blocks: blocks,
            ..ChatDelta::default()
        };
        let signed = json!({"type": "thinking", "thinking": "hm", "signature": "s"});
        let events = write(
            vec![
                thought("hm", vec![]),
                thought(
                    "",
                    vec![signed, json!({"type": "redacted_thinking", "data": "d"})],
                ),
                ChatDelta {
                    content: "Hi".into(),
                    ..ChatDelta::default()
                },
                call(0, Some("a"), "{\"x\":"),
                call(1, Some("b"), ""),
                call(0, None, "1}"),
                call(1, None, "{}"),
            ],
            FinishReason::ToolCalls,
        );
        let shape: Vec<String> = events
            .iter()
            .map(|event| {
                let kind = event["type"].as_str().unwrap();
                let index = event["index"].as_u64();
                let of = event["content_block"]["type"].as_str();
                let more = event["delta"]["type"].as_str();
                let index = index.map(|index| format!(" {index}")).unwrap_or_default();
                format!("{kind}{index} {}", of.or(more).unwrap_or_default())
            })
            .collect();
        assert_eq!(
            shape,
            [
                "message_start ",
                "content_block_start 0 thinking",
                "content_block_delta 0 thinking_delta",
                "content_block_delta 0 signature_delta",
                "content_block_stop 0 ",
                "content_block_start 1 redacted_thinking",
                "content_block_stop 1 ",
                "content_block_start 2 text",
                "content_block_delta 2 text_delta",
                "content_block_stop 2 ",
                "content_block_start 3 tool_use",
                "content_block_delta 3 input_json_delta",
                "content_block_delta 3 input_json_delta",
                "content_block_stop 3 ",
                "content_block_start 4 tool_use",
                "content_block_delta 4 input_json_delta",
                "content_block_stop 4 ",
                "message_delta ",
                "message_stop ",
            ]
        );
        let end = &events[events.len() - 2];
        assert_eq!(end["delta"]["stop_reason"], "tool_use");
        for count in ["input_tokens", "output_tokens", "cache_read_input_tokens"] {
            assert_eq!(end["usage"][count], 0, "clients read every field");
        }
    }

    #[test]
    fn a_call_that_was_cut_hides_no_other() {
        let deltas = vec![call(0, Some("a"), "{\"x\":"), call(1, Some("b"), "{}")];
        let events = write(deltas, FinishReason::Length);
        let begun = events
            .iter()
            .filter_map(|event| event["content_block"]["id"].as_str());
        assert_eq!(begun.collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_broken_answer_ends_with_an_error() {
        let mut writer = MessageEvents::new("msg_1", "p/m", "req-1".into());
        let failed = ServiceError::new(ErrorKind::Unavailable, "cut");
        let text = writer.write(Piece::Failed(failed));
        assert!(text.starts_with("event: error\n"), "{text}");
        assert!(
            text.contains("overloaded_error") && !text.contains("message_stop"),
            "{text}"
        );
    }
}
