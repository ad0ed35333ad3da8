//! Anthropic's streamed events.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::anthropic::{Usage, finish_reason, status_of, text, tool_id};
use super::sse_stream::Reader;
use crate::engines::chat::ChatError;
use crate::engines::upstream::Upstream;
use crate::types::chat::{ChatDelta, ChatEvent, ToolCallDelta};

/// What one streamed answer has said so far.
#[derive(Default)]
pub(super) struct AnthropicReader {
    message_id: String,
    /// Blocks that have begun and not ended, by the upstream's index.
    open: BTreeMap<u64, Block>,
    /// How many calls have begun.
    calls: usize,
    usage: Usage,
    started: bool,
    finished: bool,
    done: bool,
}

/// What a block needs until its end.
enum Block {
    /// A call, whose arguments come as pieces of JSON.
    Call {
        index: usize,
        empty: bool,
        input: Value,
    },
    /// A block that goes back to the upstream as it is.
    Thinking(Value),
    /// Text, or what is not ours to read.
    Other,
}

impl Reader for AnthropicReader {
    fn event(
        &mut self,
        upstream: &Upstream,
        data: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), ChatError> {
        if data.trim().is_empty() || self.done {
            return Ok(());
        }
        let event: Value = serde_json::from_str(data)
            .map_err(|error| upstream.malformed(format!("an event is not JSON: {error}")))?;
        if let Some(error) = upstream.error_by_word(&event, status_of) {
            return Err(error);
        }
        let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
        let delta = match text(&event, "type") {
            "message_start" => {
                self.started = true;
                text(&event["message"], "id").clone_into(&mut self.message_id);
                self.usage.read(&event["message"]["usage"]);
                ChatDelta::default()
            }
            "content_block_start" => self.begin(index, &event["content_block"]),
            "content_block_delta" => self.more(index, &event["delta"]),
            "content_block_stop" => self.close(index),
            "message_delta" => {
                self.usage.read(&event["usage"]);
                events.extend(self.usage.tokens().map(ChatEvent::Usage));
                let reason = event.pointer("/delta/stop_reason").and_then(Value::as_str);
                if let Some(reason) = reason.filter(|_| !self.finished) {
                    self.finished = true;
                    events.push(ChatEvent::Finish(finish_reason(reason)));
                }
                ChatDelta::default()
            }
            "message_stop" => {
                self.done = true;
                ChatDelta::default()
            }
            // `ping`, and what later versions add.
            _ => ChatDelta::default(),
        };
        if !delta.is_empty() {
            events.push(ChatEvent::Delta(delta));
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn end(&mut self, upstream: &Upstream, _: &mut Vec<ChatEvent>) -> Result<(), ChatError> {
        if self.finished {
            Ok(())
        } else if self.done && !self.started {
            Err(upstream.malformed("the stream has no message"))
        } else {
            Err(upstream.cut())
        }
    }
}

impl AnthropicReader {
    /// Begins a block; some servers put all of its text there.
    fn begin(&mut self, index: u64, block: &Value) -> ChatDelta {
        let mut delta = ChatDelta::default();
        let begun = match text(block, "type") {
            "text" => {
                text(block, "text").clone_into(&mut delta.content);
                Block::Other
            }
            "thinking" | "redacted_thinking" => {
                text(block, "thinking").clone_into(&mut delta.reasoning);
                Block::Thinking(block.clone())
            }
            "tool_use" => {
                let call = self.calls;
                self.calls += 1;
                delta.tool_calls.push(ToolCallDelta {
                    index: call,
                    id: Some(tool_id(block, &self.message_id, call)),
                    name: Some(text(block, "name").to_owned()),
                    ..ToolCallDelta::default()
                });
                Block::Call {
                    index: call,
                    empty: true,
                    input: block["input"].clone(),
                }
            }
            _ => Block::Other,
        };
        self.open.insert(index, begun);
        delta
    }

    fn more(&mut self, index: u64, piece: &Value) -> ChatDelta {
        let mut delta = ChatDelta::default();
        match (text(piece, "type"), self.open.get_mut(&index)) {
            ("text_delta", _) => text(piece, "text").clone_into(&mut delta.content),
            ("thinking_delta", Some(Block::Thinking(block))) => {
                let more = text(piece, "thinking");
                block["thinking"] = json!(format!("{}{more}", text(block, "thinking")));
                more.clone_into(&mut delta.reasoning);
            }
            ("signature_delta", Some(Block::Thinking(block))) => {
                let more = text(piece, "signature");
                block["signature"] = json!(format!("{}{more}", text(block, "signature")));
            }
            ("input_json_delta", Some(Block::Call { index, empty, .. })) => {
                let more = text(piece, "partial_json");
                if !more.is_empty() {
                    *empty = false;
                    delta.tool_calls.push(arguments(*index, more));
                }
            }
            _ => {}
        }
        delta
    }

    /// Ends a block: a call without pieces has the arguments that it began with, or none.
    fn close(&mut self, index: u64) -> ChatDelta {
        let mut delta = ChatDelta::default();
        match self.open.remove(&index) {
            Some(Block::Thinking(block)) => delta.thinking_blocks.push(block),
            Some(Block::Call {
                index,
                empty: true,
                input,
            }) => {
                let whole = match input {
                    Value::Object(_) => input.to_string(),
                    _ => "{}".to_owned(),
                };
                delta.tool_calls.push(arguments(index, &whole));
            }
            _ => {}
        }
        delta
    }
}

fn arguments(index: usize, piece: &str) -> ToolCallDelta {
    ToolCallDelta {
        index,
        arguments: piece.to_owned(),
        ..ToolCallDelta::default()
    }
}
