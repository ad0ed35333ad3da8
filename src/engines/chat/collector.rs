//! A streamed answer put together again.

use crate::types::chat::{ChatDelta, ChatEvent, ChatReply, FinishReason};

/// Joins the events of a stream to the answer that they make.
#[derive(Debug, Default)]
pub struct Collector {
    reply: ChatReply,
    finish: Option<FinishReason>,
}

impl Collector {
    /// Takes the next event.
    pub fn push(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Delta(delta) => self.join(delta),
            ChatEvent::Usage(usage) => self.reply.usage = Some(*usage),
            ChatEvent::Finish(reason) => self.finish = Some(*reason),
        }
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        &self.reply.text
    }

    /// Why the answer ended, once it has.
    pub fn finish(&self) -> Option<FinishReason> {
        self.finish
    }

    /// The answer, complete or not.
    pub fn into_reply(self) -> ChatReply {
        ChatReply {
            finish: self.finish.unwrap_or_default(),
            ..self.reply
        }
    }

    fn join(&mut self, delta: &ChatDelta) {
        self.reply.text.push_str(&delta.content);
        for (piece, whole) in [
            (&delta.reasoning, &mut self.reply.reasoning),
            (&delta.refusal, &mut self.reply.refusal),
        ] {
            if !piece.is_empty() {
                whole.get_or_insert_default().push_str(piece);
            }
        }
        let blocks = delta.thinking_blocks.iter().cloned();
        self.reply.thinking_blocks.extend(blocks);
        for piece in &delta.tool_calls {
            piece.join(&mut self.reply.tool_calls);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::engines::chat::events_of;
    use crate::types::chat::{FunctionCall, ToolCall, ToolCallDelta};
    use crate::types::evidence::TokenUsage;

    #[test]
    fn an_answer_cut_into_events_is_itself_again() {
        let call = |id: &str| ToolCall {
            id: id.into(),
            kind: "function".into(),
            function: FunctionCall {
                name: "f".into(),
                arguments: "{\"a\":1}".into(),
            },
            extra: Map::new(),
        };
        let reply = ChatReply {
            text: "One. Two.\nThree".into(),
            reasoning: Some("hm".into()),
            thinking_blocks: vec![json!({"type": "thinking", "signature": "s"})],
            refusal: Some("no".into()),
            tool_calls: vec![call("1"), call("2")],
            finish: FinishReason::ToolCalls,
            usage: Some(TokenUsage {
                prompt_tokens: 1,
                completion_tokens: 2,
                cached_tokens: 1,
                cache_write_tokens: 0,
            }),
        };
        let mut collector = Collector::default();
        let events = events_of(reply.clone());
        assert!(events.len() >= 6, "{events:?}");
        events.iter().for_each(|event| collector.push(event));
        assert_eq!(collector.into_reply(), reply);
        assert_eq!(
            events_of(ChatReply::default()),
            [ChatEvent::Finish(FinishReason::Stop)]
        );
    }

    #[test]
    fn a_wild_index_allocates_nothing_wild() {
        let mut collector = Collector::default();
        let wild = ToolCallDelta {
            index: usize::MAX,
            ..ToolCallDelta::default()
        };
        collector.push(&ChatEvent::Delta(ChatDelta {
            tool_calls: vec![wild],
            ..ChatDelta::default()
        }));
        assert!(collector.into_reply().tool_calls.len() <= 128);
    }
}
