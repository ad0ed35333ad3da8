//! Ollama's streamed lines.

use serde_json::Value;

use super::ollama::{finish_reason, thinking, tool_calls, usage};
use super::parts::text_of;
use crate::engines::chat::ChatError;
use crate::engines::chat::StreamDecoder;
use crate::engines::chat::lines::{Halt, Lines};
use crate::engines::upstream::Upstream;
use crate::types::chat::{ChatDelta, ChatEvent, ToolCallDelta};

/// One streamed answer.
pub(super) struct OllamaStream {
    upstream: Upstream,
    lines: Lines,
    state: State,
}

#[derive(Default)]
struct State {
    calls: usize,
    done: bool,
}

impl OllamaStream {
    pub(super) fn new(upstream: Upstream) -> Self {
        Self {
            upstream,
            lines: Lines::default(),
            state: State::default(),
        }
    }
}

impl StreamDecoder for OllamaStream {
    fn feed(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), ChatError> {
        let Self {
            upstream,
            lines,
            state,
        } = self;
        lines
            .feed(bytes, |line| {
                state.line(upstream, line, events).map_err(Halt::Error)
            })
            .map_err(|halt| halt.error(&upstream.name))
    }

    fn is_done(&self) -> bool {
        self.state.done
    }

    fn finish(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), ChatError> {
        if let Some(line) = self.lines.rest() {
            self.state.line(&self.upstream, &line, events)?;
        }
        if self.state.done {
            Ok(())
        } else {
            Err(self.upstream.cut())
        }
    }
}

impl State {
    fn line(
        &mut self,
        upstream: &Upstream,
        line: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), ChatError> {
        let line = line.trim();
        if line.is_empty() || self.done {
            return Ok(());
        }
        let line: Value = serde_json::from_str(line)
            .map_err(|error| upstream.malformed(format!("a line is not JSON: {error}")))?;
        // An error in the middle comes as a line under status 200.
        if let Some(error) = upstream.error_in(&line) {
            return Err(error);
        }
        let message = line.get("message").unwrap_or(&Value::Null);
        let calls = tool_calls(&line, message, self.calls);
        let delta = ChatDelta {
            content: text_of(&message["content"]),
            reasoning: thinking(message).unwrap_or_default().to_owned(),
            thinking_blocks: Vec::new(),
            refusal: String::new(),
            tool_calls: calls
                .into_iter()
                .enumerate()
                .map(|(place, call)| ToolCallDelta {
                    index: self.calls + place,
                    id: Some(call.id),
                    name: Some(call.function.name),
                    arguments: call.function.arguments,
                    extra: call.extra,
                })
                .collect(),
        };
        self.calls += delta.tool_calls.len();
        if !delta.is_empty() {
            events.push(ChatEvent::Delta(delta));
        }
        if line.get("done").and_then(Value::as_bool) == Some(true) {
            self.done = true;
            events.push(ChatEvent::Finish(finish_reason(&line, self.calls > 0)));
            events.extend(usage(&line).map(ChatEvent::Usage));
        }
        Ok(())
    }
}
