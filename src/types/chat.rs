//! A chat request and its answer, in the normalised form that every provider converts from and to.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use super::evidence::TokenUsage;
use super::trace::{Origin, Trace};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions.
    System,
    /// Instructions, in OpenAI's newer word.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// What a message says: a text, or parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = MessageContent))]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Text, images and other parts, in order.
    Parts(Vec<ContentPart>),
}

impl Content {
    /// Returns the text; the texts of parts are joined by line breaks.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Parts(parts) => {
                let texts: Vec<&str> = parts
                    .iter()
                    .filter_map(|part| part.text.as_deref())
                    .collect();
                Cow::Owned(texts.join("\n"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Content;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("content as a text or a list of parts with a type")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, parts: A) -> Result<Content, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(parts)).map(Content::Parts)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// One part of a message. Kinds that we do not read are passed through as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ContentPart {
    /// `text`, `image_url`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The text of a `text` part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl ContentPart {
    /// Returns the URL of an `image_url` part, which OpenAI nests and others do not.
    pub fn image_url(&self) -> Option<&str> {
        let image = self.rest.get("image_url")?;
        image.as_str().or_else(|| image.get("url")?.as_str())
    }
}

/// One message of a conversation, in OpenAI's shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said; an assistant's message may have only tool calls.
    #[serde(default)]
    pub content: Option<Content>,
    /// Names one of several speakers of a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The calls that an assistant made.
    #[serde(
        default,
        skip_serializing_if = "no_items",
        deserialize_with = "null_as_default"
    )]
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<ToolCall>>))]
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool's message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The model's reasoning; some providers want it back with tool calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Fields of some provider that its clients send back, such as `reasoning_details`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

fn no_items(calls: &[ToolCall]) -> bool {
    calls.is_empty()
}

/// Clients send `null` for what is not there.
fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl ChatMessage {
    /// A message of plain text.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            content: Some(Content::Text(text.into())),
            name: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            reasoning_content: None,
            extra: Map::new(),
        }
    }

    /// Returns the text; empty when there is none.
    pub fn text(&self) -> Cow<'_, str> {
        self.content
            .as_ref()
            .map_or(Cow::Borrowed(""), Content::text)
    }
}

/// A call of a tool by the model, in OpenAI's shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ToolCall {
    /// Names the call in the tool's answer.
    pub id: String,
    /// Always `function`.
    #[serde(rename = "type", default = "function")]
    pub kind: String,
    /// What is called.
    pub function: FunctionCall,
    /// Fields of some provider, such as Gemini's signatures, which must come back with the call.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

fn function() -> String {
    "function".to_owned()
}

impl ToolCall {
    /// Returns the arguments as an object, as the APIs want them that do not take a string; empty
    /// is `{}`.
    ///
    /// Errors: why they are no object; a model may have been cut while it wrote them.
    pub fn arguments(&self) -> Result<Map<String, Value>, String> {
        match self.function.arguments.trim() {
            "" | "null" => Ok(Map::new()),
            text => serde_json::from_str(text).map_err(|error| error.to_string()),
        }
    }
}

/// The function of a [`ToolCall`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct FunctionCall {
    /// Its name.
    pub name: String,
    /// Its arguments: JSON in a string, as the model wrote it.
    #[serde(default)]
    pub arguments: String,
}

/// A tool offered to the model, in OpenAI's shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Tool {
    /// Only `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What can be called.
    pub function: ToolFunction,
    /// Fields of some provider, such as `cache_control`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The function of a [`Tool`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ToolFunction {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON Schema of its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether the arguments must follow the schema exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// A passage that the answer must rest on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// Where it came from.
    pub collection: String,
    /// The point.
    pub id: String,
    /// Its score in the retrieval.
    pub score: f32,
    /// Its text, cut to the budget.
    pub text: String,
    /// For people, when the payload has one.
    pub title: Option<String>,
    /// Whom it is for, when the payload says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// A request in the normalised form. Passages, when retrieved, are numbered from 1 in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatRequest {
    /// The model; for a provider, its own name of it.
    pub model: String,
    /// The conversation.
    pub messages: Vec<ChatMessage>,
    /// What was retrieved; `None` when no retrieval was asked for.
    pub passages: Option<Vec<Passage>>,
    /// Tools on offer.
    pub tools: Vec<Tool>,
    /// `none`, `auto`, `required` or one tool, in OpenAI's shape.
    pub tool_choice: Option<Value>,
    /// Text, any JSON object, or a JSON Schema, in OpenAI's shape.
    pub response_format: Option<Value>,
    /// Randomness, 0 to 2.
    pub temperature: Option<f64>,
    /// Nucleus, 0 to 1.
    pub top_p: Option<f64>,
    /// Most tokens of the answer, by the older name.
    pub max_tokens: Option<u32>,
    /// Most tokens of the answer and its reasoning, by the newer name.
    pub max_completion_tokens: Option<u32>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// For answers that can be repeated, where the provider is able to.
    pub seed: Option<i64>,
    /// -2 to 2.
    pub presence_penalty: Option<f64>,
    /// -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// Who asks.
    pub user: Option<String>,
    /// Further fields of OpenAI's, for providers that speak its language.
    pub extra: Map<String, Value>,
    /// Fields of other APIs, by their own names, such as `thinking` and `top_k`; a provider takes
    /// those of its language.
    pub native: Map<String, Value>,
    /// Whether the answer is wanted in pieces.
    pub stream: bool,
    /// What calls to upstreams say of where they come from.
    pub origin: Option<Arc<Origin>>,
}

impl ChatRequest {
    /// Its place in a trace, where traces are wanted.
    pub fn trace(&self) -> Option<&Trace> {
        self.origin.as_ref()?.trace.as_ref()
    }

    /// The text of the last message of the user.
    pub fn question(&self) -> Option<Cow<'_, str>> {
        let last = self
            .messages
            .iter()
            .rev()
            .find(|message| message.role == Role::User);
        last.map(ChatMessage::text)
    }

    /// The bound on the answer's tokens, by whichever name it was given.
    pub fn output_limit(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.max_tokens)
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model was done.
    #[default]
    Stop,
    /// The bound on tokens.
    Length,
    /// It wants tools called.
    ToolCalls,
    /// The provider's safety rules: a refusal, not a fault.
    ContentFilter,
}

impl FinishReason {
    /// OpenAI's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// A complete answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatReply {
    /// The text.
    pub text: String,
    /// How the model got there, when it tells.
    pub reasoning: Option<String>,
    /// The same in Anthropic's signed blocks, which must come back unchanged with tool calls.
    pub thinking_blocks: Vec<Value>,
    /// In the model's own words why it will not answer.
    pub refusal: Option<String>,
    /// Calls that it wants made.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended.
    pub finish: FinishReason,
    /// Tokens, when the provider tells.
    pub usage: Option<TokenUsage>,
}

/// A piece of a tool call; the arguments of equal `index` are joined.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolCallDelta {
    /// Which call, counted from 0.
    pub index: usize,
    /// With the first piece.
    pub id: Option<String>,
    /// With the first piece.
    pub name: Option<String>,
    /// The next part of the JSON text.
    pub arguments: String,
    /// Fields of some provider, which must come back with the call.
    pub extra: Map<String, Value>,
}

/// Most tool calls of one answer; what comes after is dropped.
const MAX_TOOL_CALLS: usize = 128;

impl ToolCallDelta {
    /// Adds the piece to the calls so far.
    pub fn join(&self, calls: &mut Vec<ToolCall>) {
        while calls.len() <= self.index.min(MAX_TOOL_CALLS - 1) {
            calls.push(ToolCall {
                id: String::new(),
                kind: function(),
                function: FunctionCall {
                    name: String::new(),
                    arguments: String::new(),
                },
                extra: Map::new(),
            });
        }
        let Some(call) = calls.get_mut(self.index) else {
            return;
        };
        if let Some(id) = &self.id {
            call.id.clone_from(id);
        }
        if let Some(name) = &self.name {
            call.function.name.clone_from(name);
        }
        call.function.arguments.push_str(&self.arguments);
        call.extra.extend(self.extra.clone());
    }
}

/// A piece of an answer. Invariant where decoders make it: something is in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatDelta {
    /// More text.
    pub content: String,
    /// More reasoning.
    pub reasoning: String,
    /// Signed blocks of reasoning that are now complete.
    pub thinking_blocks: Vec<Value>,
    /// More of a refusal.
    pub refusal: String,
    /// More of tool calls.
    pub tool_calls: Vec<ToolCallDelta>,
}

impl ChatDelta {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.content.is_empty()
            && self.reasoning.is_empty()
            && self.thinking_blocks.is_empty()
            && self.refusal.is_empty()
            && self.tool_calls.is_empty()
    }
}

/// What a stream of an answer is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// More of the answer.
    Delta(ChatDelta),
    /// Tokens so far; the last one counts.
    Usage(TokenUsage),
    /// Why it ended; usage may still follow.
    Finish(FinishReason),
}

/// A mark in an answer that points to a passage.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Citation {
    /// The number in the mark, from 1.
    pub index: usize,
    /// Where the mark begins in the answer, characters.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// The passage's collection.
    pub collection: String,
    /// The passage's point.
    pub id: String,
    /// The passage's title or id.
    pub title: String,
    /// The sentence of the passage that the answer rests on.
    pub quote: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_what_they_do_not_know() {
        let given = serde_json::json!({
            "role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"},
                 "extra_content": {"google": {"thought_signature": "s"}}}
            ], "reasoning_content": "hm", "reasoning_details": [1]
        });
        let message: ChatMessage = serde_json::from_value(given.clone()).unwrap();
        assert_eq!(message.tool_calls[0].function.name, "f");
        assert_eq!(serde_json::to_value(&message).unwrap(), given);
    }

    #[test]
    fn content_is_a_text_or_parts() {
        for (given, text) in [
            (r#"{"role":"user","content":"hi","tool_calls":null}"#, "hi"),
            (
                r#"{"role":"user","content":[{"type":"text","text":"a"},
                {"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"b"}]}"#,
                "a\nb",
            ),
        ] {
            assert_eq!(
                serde_json::from_str::<ChatMessage>(given).unwrap().text(),
                text
            );
        }
        for (given, error) in [
            (r#"{"role":"user","content":7}"#, "text or a list of parts"),
            (
                r#"{"role":"user","content":[{"text":"x"}]}"#,
                "missing field `type`",
            ),
            (
                r#"{"role":"owner","content":"x"}"#,
                "unknown variant `owner`",
            ),
        ] {
            let found = serde_json::from_str::<ChatMessage>(given)
                .unwrap_err()
                .to_string();
            assert!(found.contains(error), "{found}");
        }
    }
}
