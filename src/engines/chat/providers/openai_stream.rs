//! OpenAI's streamed chunks, and what compatible servers make of them.

use serde_json::Value;

use super::openai::{extra_of, finish_reason, reasoning, refusal, usage};
use super::parts::{arguments_of, call_id, text_of};
use super::sse_stream::Reader;
use crate::engines::chat::ChatError;
use crate::engines::upstream::Upstream;
use crate::types::chat::{ChatDelta, ChatEvent, FinishReason, ToolCallDelta};

/// What one streamed answer has said so far.
#[derive(Default)]
pub(super) struct OpenAiReader {
    /// The calls so far: the upstream's index and id of each. Their place here is our index.
    calls: Vec<(Option<u64>, String)>,
    saw_choice: bool,
    finish: Option<FinishReason>,
    done: bool,
}

impl Reader for OpenAiReader {
    fn event(
        &mut self,
        upstream: &Upstream,
        data: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), ChatError> {
        let data = data.trim();
        if data.is_empty() || self.done {
            return Ok(());
        }
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk: Value = serde_json::from_str(data)
            .map_err(|error| upstream.malformed(format!("a chunk is not JSON: {error}")))?;
        if let Some(error) = upstream.error_in(&chunk) {
            return Err(error);
        }
        if let Some(choice) = chunk
            .pointer("/choices/0")
            .filter(|choice| choice.is_object())
        {
            self.choice(upstream, &chunk, choice, events)?;
        }
        events.extend(chunk.get("usage").and_then(usage).map(ChatEvent::Usage));
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn end(&mut self, upstream: &Upstream, events: &mut Vec<ChatEvent>) -> Result<(), ChatError> {
        if !self.done && self.finish.is_none() {
            return Err(upstream.cut());
        }
        if !self.saw_choice {
            return Err(upstream.malformed("the stream has no choices"));
        }
        if self.finish.is_none() {
            let calls = !self.calls.is_empty();
            let reason = if calls {
                FinishReason::ToolCalls
            } else {
                FinishReason::Stop
            };
            events.push(ChatEvent::Finish(reason));
        }
        Ok(())
    }
}

impl OpenAiReader {
    fn choice(
        &mut self,
        upstream: &Upstream,
        chunk: &Value,
        choice: &Value,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), ChatError> {
        self.saw_choice = true;
        if let Some(error) = upstream.error_in(choice) {
            return Err(error);
        }
        // Some servers send one whole message instead.
        let part = choice
            .get("delta")
            .or(choice.get("message"))
            .unwrap_or(&Value::Null);
        let calls = part.get("tool_calls").and_then(Value::as_array);
        let id = chunk.get("id").and_then(Value::as_str).unwrap_or_default();
        let delta = ChatDelta {
            content: text_of(&part["content"]),
            reasoning: reasoning(part).unwrap_or_default().to_owned(),
            thinking_blocks: Vec::new(),
            refusal: refusal(part).unwrap_or_default().to_owned(),
            tool_calls: calls
                .into_iter()
                .flatten()
                .map(|call| self.tool_call(id, call))
                .collect(),
        };
        if !delta.is_empty() {
            events.push(ChatEvent::Delta(delta));
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str)
            && self.finish.is_none()
        {
            let Some(finish) = finish_reason(reason, !self.calls.is_empty()) else {
                return Err(upstream.cut());
            };
            self.finish = Some(finish);
            events.push(ChatEvent::Finish(finish));
        }
        Ok(())
    }

    /// Places a piece of a tool call: some servers number every call 0, some number none.
    fn tool_call(&mut self, chunk_id: &str, call: &Value) -> ToolCallDelta {
        let number = call.get("index").and_then(Value::as_u64);
        let given = call.get("id").and_then(Value::as_str).unwrap_or_default();
        let name = call.pointer("/function/name").and_then(Value::as_str);
        let same = |known: &(Option<u64>, String)| number.is_none() || known.0 == number;
        let known = self.calls.iter().rposition(same).filter(|place| {
            let own = &self.calls[*place].1;
            given.is_empty() || given == own
        });
        let first = known.is_none();
        let index = known.unwrap_or(self.calls.len());
        if first {
            let id = match given {
                "" => call_id(&[chunk_id, name.unwrap_or_default()], index),
                given => given.to_owned(),
            };
            self.calls.push((number, id));
        }
        ToolCallDelta {
            index,
            id: first.then(|| self.calls[index].1.clone()),
            name: name
                .filter(|name| first && !name.is_empty())
                .map(ToOwned::to_owned),
            arguments: arguments_of(call.pointer("/function/arguments")),
            extra: extra_of(call),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::chat::{Collector, ProviderConfig, build};

    fn read(lines: &[&str]) -> Result<Collector, ChatError> {
        let config = ProviderConfig {
            preset: Some("vllm".into()),
            ..Default::default()
        };
        let mut decoder = build("up", Some(&config), None).unwrap().stream();
        let (mut events, mut collector) = (Vec::new(), Collector::default());
        for line in lines {
            decoder.feed(format!("data: {line}\n\n").as_bytes(), &mut events)?;
        }
        decoder.finish(&mut events)?;
        events.iter().for_each(|event| collector.push(event));
        Ok(collector)
    }

    #[test]
    fn calls_are_told_apart_however_they_are_numbered() {
        let piece = |index: &str, id: &str, name: &str, arguments: &str| {
            format!(
                "{{\"id\":\"x\",\"choices\":[{{\"delta\":{{\"tool_calls\":[{{{index}\"id\":{id},\
                 \"function\":{{\"name\":{name},\"arguments\":{arguments}}}}}]}}}}]}}"
            )
        };
        let end = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
        let counted = [
            piece("\"index\":0,", "\"a\"", "\"f\"", "\"{\""),
            piece("\"index\":1,", "\"b\"", "\"g\"", "\"\""),
            piece("\"index\":0,", "null", "null", "\"}\""),
            piece("\"index\":1,", "null", "null", "\"{}\""),
        ];
        let all_zero = [
            piece("\"index\":0,", "\"a\"", "\"f\"", "\"{}\""),
            piece("\"index\":0,", "\"b\"", "\"g\"", "{}"),
        ];
        let bare = [
            piece("", "\"a\"", "\"f\"", "\"{\""),
            piece("", "\"a\"", "null", "\"}\""),
            piece("", "\"b\"", "\"g\"", "\"{}\""),
        ];
        for pieces in [&counted[..], &all_zero, &bare] {
            let mut lines: Vec<&str> = pieces.iter().map(String::as_str).collect();
            lines.push(end);
            let reply = read(&lines).unwrap().into_reply();
            let calls: Vec<String> = reply
                .tool_calls
                .iter()
                .map(|call| {
                    format!(
                        "{} {}{}",
                        call.id, call.function.name, call.function.arguments
                    )
                })
                .collect();
            assert_eq!(calls, ["a f{}", "b g{}"], "{pieces:?}");
            assert_eq!(reply.finish, FinishReason::ToolCalls);
        }
    }

    #[test]
    fn odd_ends_are_told_from_cuts() {
        let text = r#"{"choices":[{"delta":{"content":"hi"}}]}"#;
        let end = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
        for (lines, complete) in [
            (vec![text, end, "[DONE]"], true),
            (vec![text, end], true),
            (vec![text, "[DONE]"], true),
            (vec![text], false),
            (vec![], false),
            (vec!["[DONE]"], false),
            (
                vec![
                    text,
                    r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#,
                ],
                false,
            ),
            (
                vec![
                    text,
                    r#"{"error":{"code":502,"message":"gone"},"choices":[]}"#,
                ],
                false,
            ),
            (vec![text, r#"{"usage":null,"choices":null}"#, end], true),
            (vec![text, "{"], false),
        ] {
            assert_eq!(read(&lines).is_ok(), complete, "{lines:?}");
        }
    }
}
