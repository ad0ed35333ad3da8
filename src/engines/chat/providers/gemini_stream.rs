//! Gemini's streamed chunks: each is an answer of its own shape, and nothing marks the end but the
//! finish reason and the end of the body.

use serde_json::Value;

use super::gemini::{
    Read, blocked, candidate, failure, finish_of, finish_reason, parts_of, read, tool_call, usage,
};
use super::sse_stream::Reader;
use crate::engines::chat::ChatError;
use crate::engines::upstream::Upstream;
use crate::types::chat::{ChatDelta, ChatEvent, FinishReason, ToolCallDelta};

/// What one streamed answer has said so far.
#[derive(Default)]
pub(super) struct GeminiReader {
    calls: usize,
    finish: Option<FinishReason>,
}

impl Reader for GeminiReader {
    fn event(
        &mut self,
        upstream: &Upstream,
        data: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), ChatError> {
        if data.trim().is_empty() {
            return Ok(());
        }
        let chunk: Value = serde_json::from_str(data)
            .map_err(|error| upstream.malformed(format!("a chunk is not JSON: {error}")))?;
        if let Some(error) = upstream.error_in(&chunk) {
            return Err(error);
        }
        let mut delta = ChatDelta::default();
        let candidate = candidate(&chunk);
        if let Some(candidate) = candidate {
            self.parts(&chunk, candidate, &mut delta);
        } else if let Some(refusal) = blocked(&chunk) {
            delta.refusal = refusal;
            self.finish = Some(FinishReason::ContentFilter);
        }
        if !delta.is_empty() {
            events.push(ChatEvent::Delta(delta));
        }
        events.extend(usage(&chunk).map(ChatEvent::Usage));
        if let Some(candidate) = candidate
            && let Some(reason) = finish_of(candidate)
        {
            let finish = finish_reason(reason, self.calls > 0);
            let failed = || upstream.failed(&failure(candidate, reason));
            self.finish = Some(finish.ok_or_else(failed)?);
        }
        Ok(())
    }

    /// Counts may follow the finish reason, so only the end of the body ends it.
    fn is_done(&self) -> bool {
        false
    }

    fn end(&mut self, upstream: &Upstream, events: &mut Vec<ChatEvent>) -> Result<(), ChatError> {
        let Some(finish) = self.finish else {
            return Err(upstream.cut());
        };
        events.push(ChatEvent::Finish(match finish {
            FinishReason::Stop if self.calls > 0 => FinishReason::ToolCalls,
            finish => finish,
        }));
        Ok(())
    }
}

impl GeminiReader {
    fn parts(&mut self, chunk: &Value, candidate: &Value, delta: &mut ChatDelta) {
        for part in parts_of(candidate) {
            match read(part) {
                Read::Text(text) => delta.content.push_str(text),
                Read::Thought(text) => delta.reasoning.push_str(text),
                Read::Call => {
                    let call = tool_call(chunk, part, self.calls);
                    delta.tool_calls.extend(call.map(|call| ToolCallDelta {
                        index: self.calls,
                        id: Some(call.id),
                        name: Some(call.function.name),
                        arguments: call.function.arguments,
                        extra: call.extra,
                    }));
                    self.calls += 1;
                }
                Read::Nothing => {}
            }
        }
    }
}
