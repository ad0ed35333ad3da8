//! Writing requests as OpenAI's chat completions and the servers like it take them: straight into bytes, since each
//! request pays for it.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::types::chat::{ChatMessage, ChatRequest, Content, ContentPart, Role, Tool};

/// What clients send back from answers but strict servers refuse.
const FOREIGN: [&str; 3] = ["annotations", "thinking_blocks", "is_error"];
/// What other languages say of a part or a tool.
const FOREIGN_OF_PARTS: &str = "extra_content";

/// The body of a call.
pub(super) struct OpenAiRequest<'a> {
    pub(super) request: &'a ChatRequest,
    /// Whether the bound on the answer goes by the newer name alone.
    pub(super) renames_limit: bool,
    /// Whether usage is asked for in a stream.
    pub(super) stream_usage: bool,
}

impl Serialize for OpenAiRequest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let request = self.request;
        let mut body = serializer.serialize_map(None)?;
        for (name, value) in &request.extra {
            body.serialize_entry(name, value)?;
        }
        body.serialize_entry("model", &request.model)?;
        body.serialize_entry("messages", &List(&request.messages, Message))?;
        let tools = (!request.tools.is_empty()).then_some(List(&request.tools, Offer));
        optional(&mut body, "tools", tools)?;
        optional(&mut body, "tool_choice", request.tool_choice.as_ref())?;
        optional(
            &mut body,
            "response_format",
            request.response_format.as_ref(),
        )?;
        optional(&mut body, "temperature", request.temperature)?;
        optional(&mut body, "top_p", request.top_p)?;
        let (mut older, mut newer) = (request.max_tokens, request.max_completion_tokens);
        if self.renames_limit {
            newer = newer.or(older.take());
        }
        optional(&mut body, "max_tokens", older)?;
        optional(&mut body, "max_completion_tokens", newer)?;
        optional(
            &mut body,
            "stop",
            (!request.stop.is_empty()).then_some(&request.stop),
        )?;
        optional(&mut body, "seed", request.seed)?;
        optional(&mut body, "presence_penalty", request.presence_penalty)?;
        optional(&mut body, "frequency_penalty", request.frequency_penalty)?;
        optional(&mut body, "user", request.user.as_ref())?;
        optional(&mut body, "stream", request.stream.then_some(true))?;
        let asks_usage = request.stream && self.stream_usage;
        optional(
            &mut body,
            "stream_options",
            asks_usage.then_some(IncludeUsage {
                include_usage: true,
            }),
        )?;
        body.end()
    }
}

#[derive(serde::Serialize)]
struct IncludeUsage {
    include_usage: bool,
}

/// Items, each in what says how it is written.
struct List<'a, T, W>(&'a [T], fn(&'a T) -> W);

impl<'a, T, W: Serialize> Serialize for List<'a, T, W> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(self.1))
    }
}

struct Message<'a>(&'a ChatMessage);

impl Serialize for Message<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(message) = self;
        let mut written = serializer.serialize_map(None)?;
        let role = match message.role {
            // The older word is understood everywhere, also by OpenAI.
            Role::Developer => Role::System,
            role => role,
        };
        written.serialize_entry("role", &role)?;
        match &message.content {
            Some(Content::Parts(parts)) => {
                written.serialize_entry("content", &List(parts, Part))?;
            }
            content => written.serialize_entry("content", content)?,
        }
        optional(&mut written, "name", message.name.as_ref())?;
        let calls = (!message.tool_calls.is_empty()).then_some(&message.tool_calls);
        optional(&mut written, "tool_calls", calls)?;
        optional(&mut written, "tool_call_id", message.tool_call_id.as_ref())?;
        // Kimi needs it beside tool calls; elsewhere some servers refuse it.
        let reasoning = message.reasoning_content.as_ref();
        optional(&mut written, "reasoning_content", calls.and(reasoning))?;
        for (name, value) in &message.extra {
            if !FOREIGN.contains(&name.as_str()) && !value.is_null() {
                written.serialize_entry(name, value)?;
            }
        }
        written.end()
    }
}

struct Part<'a>(&'a ContentPart);

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(part) = self;
        let mut written = serializer.serialize_map(None)?;
        written.serialize_entry("type", &part.kind)?;
        optional(&mut written, "text", part.text.as_ref())?;
        rest(&mut written, &part.rest)?;
        written.end()
    }
}

struct Offer<'a>(&'a Tool);

impl Serialize for Offer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(tool) = self;
        let mut written = serializer.serialize_map(None)?;
        written.serialize_entry("type", &tool.kind)?;
        written.serialize_entry("function", &tool.function)?;
        rest(&mut written, &tool.extra)?;
        written.end()
    }
}

fn optional<M: SerializeMap, T: Serialize>(
    written: &mut M,
    name: &'static str,
    value: Option<T>,
) -> Result<(), M::Error> {
    match value {
        Some(value) => written.serialize_entry(name, &value),
        None => Ok(()),
    }
}

fn rest<M: SerializeMap>(written: &mut M, fields: &Map<String, Value>) -> Result<(), M::Error> {
    for (name, value) in fields {
        if name != FOREIGN_OF_PARTS {
            written.serialize_entry(name, value)?;
        }
    }
    Ok(())
}
