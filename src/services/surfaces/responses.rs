//! OpenAI's responses, the part of it that keeps nothing between requests. Source:
//! platform.openai.com/docs/api-reference/responses.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::messages::carried;
use super::{content, file_part, image_part, refused, text_part, word};
use crate::services::ServiceError;
use crate::services::complete::{CacheInput, ChatInput, RetrievalInput, StreamOptions};
use crate::types::chat::{
    ChatMessage, Content, ContentPart, FunctionCall, Role, Tool, ToolCall, ToolFunction,
};
use crate::types::demand::Demand;

/// What stands before the reasoning that a client keeps for us, so that no other's is taken for it.
pub const REASONING_MARK: &str = "boathouse-1:";

/// A request to `POST /v1/responses`, in OpenAI's shape, with retrieval beside it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponsesInput {
    /// A route, an alias, `provider/model` or a provider; `GET /v1/models` lists them.
    #[schema(example = "extractive")]
    pub model: Option<String>,
    /// A text, or the whole conversation as items.
    #[schema(value_type = ResponsesItems, required, example = json!("what do wiccans worship?"))]
    #[serde(default)]
    pub input: Value,
    /// Instructions; they stand first.
    pub instructions: Option<String>,
    /// Answer from the passages of a collection.
    pub retrieval: Option<RetrievalInput>,
    /// Answer from what was answered before; left out, the route says.
    pub cache: Option<CacheInput>,
    /// Validators that judge the answer, as in `POST /v1/chat/completions`; left out, the route says.
    pub validation: Option<Demand>,
    /// Functions that the model may call.
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Vec<Value>>,
    /// `none`, `auto`, `required`, or one function.
    pub tool_choice: Option<Value>,
    /// Passed to the provider.
    pub parallel_tool_calls: Option<Value>,
    /// `format` and `verbosity`.
    #[schema(value_type = Option<Value>)]
    pub text: Option<Value>,
    /// `effort` is passed to the provider.
    #[schema(value_type = Option<Value>)]
    pub reasoning: Option<Value>,
    /// Randomness, 0 to 2.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    /// Nucleus, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f64>,
    /// Most tokens of the answer and its reasoning.
    #[schema(minimum = 1)]
    pub max_output_tokens: Option<u32>,
    /// Whether the answer comes in pieces.
    pub stream: Option<bool>,
    /// Accepted; nothing is obfuscated.
    #[schema(value_type = Option<Value>)]
    pub stream_options: Option<Value>,
    /// Given back with the answer.
    #[schema(value_type = Option<Value>)]
    pub metadata: Option<Value>,
    /// Who asks; kept with the evidence.
    pub user: Option<String>,
    /// Passed to the provider.
    pub safety_identifier: Option<Value>,
    /// Passed to the provider.
    pub prompt_cache_key: Option<Value>,
    /// Accepted and not used.
    pub prompt_cache_retention: Option<Value>,
    /// Passed to the provider.
    pub service_tier: Option<Value>,
    /// Only `disabled`.
    pub truncation: Option<Value>,
    /// Accepted; reasoning that must come back is always included.
    pub include: Option<Value>,
    /// Only `false`: nothing is kept between requests.
    pub store: Option<bool>,
    /// Not supported: nothing is kept between requests.
    pub previous_response_id: Option<Value>,
    /// Not supported: nothing is kept between requests.
    pub conversation: Option<Value>,
    /// Only `false`.
    pub background: Option<bool>,
    /// Not supported.
    pub prompt: Option<Value>,
    /// Not supported.
    pub max_tool_calls: Option<Value>,
    /// Not supported.
    pub top_logprobs: Option<Value>,
}

/// The forms of `input`.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is read by hand")]
enum ResponsesItems {
    /// A question.
    Text(String),
    /// Messages, function calls and their outputs.
    Items(Vec<Map<String, Value>>),
}

/// What an answer says again of its request.
#[derive(Debug, Clone, Default)]
pub struct ResponsesEcho {
    /// Its fields, as they were or as they are by default.
    pub fields: Map<String, Value>,
}

impl ResponsesInput {
    /// Whether the answer is wanted in pieces.
    pub fn wants_stream(&self) -> bool {
        self.stream.unwrap_or_default()
    }

    /// What the answer says again of the request.
    pub fn echo(&self) -> ResponsesEcho {
        let text = self.text.clone();
        let fields = json!({
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "metadata": self.metadata.clone().unwrap_or_else(|| json!({})),
            "parallel_tool_calls": self.parallel_tool_calls.clone().unwrap_or(json!(true)),
            "previous_response_id": null,
            "reasoning": self.reasoning.clone().unwrap_or_else(|| json!({"effort": null, "summary": null})),
            "store": false,
            "temperature": self.temperature,
            "text": text.unwrap_or_else(|| json!({"format": {"type": "text"}})),
            "tool_choice": self.tool_choice.clone().unwrap_or(json!("auto")),
            "tools": self.tools.clone().unwrap_or_default(),
            "top_p": self.top_p,
            "truncation": "disabled",
            "user": self.user,
        });
        let Value::Object(fields) = fields else {
            return ResponsesEcho::default();
        };
        ResponsesEcho { fields }
    }

    /// Brings the request into the shape of chat completions.
    ///
    /// Errors: what we could not pass on.
    pub fn into_chat(self) -> Result<Box<ChatInput>, ServiceError> {
        const STATELESS: &str = "nothing is kept between requests: send the whole conversation as \
                                 input";
        let given = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
        let odd_truncation = self.truncation.as_ref();
        let odd_truncation =
            odd_truncation.is_some_and(|word| !word.is_null() && word != "disabled");
        for (param, present, message) in [
            ("store", self.store == Some(true), STATELESS),
            (
                "previous_response_id",
                given(&self.previous_response_id),
                STATELESS,
            ),
            ("conversation", given(&self.conversation), STATELESS),
            ("background", self.background == Some(true), STATELESS),
            ("prompt", given(&self.prompt), "is not supported"),
            (
                "max_tool_calls",
                given(&self.max_tool_calls),
                "is not supported",
            ),
            (
                "top_logprobs",
                given(&self.top_logprobs),
                "is not supported",
            ),
            ("truncation", odd_truncation, "must be disabled"),
        ] {
            if present {
                return Err(refused(param, message));
            }
        }
        let mut messages = Vec::new();
        let instructions = self.instructions.filter(|text| !text.is_empty());
        messages.extend(instructions.map(|text| ChatMessage::new(Role::System, text)));
        match &self.input {
            Value::String(text) => messages.push(ChatMessage::new(Role::User, text.clone())),
            Value::Array(items) => {
                let mut reader = Reader {
                    messages,
                    reasoning: None,
                };
                for (index, item) in items.iter().enumerate() {
                    reader.item(&format!("input[{index}]"), item)?;
                }
                messages = reader.messages;
            }
            _ => return Err(refused("input", "must be a text or a list of items")),
        }
        let tools = self.tools.unwrap_or_default();
        let tools = tools
            .iter()
            .enumerate()
            .map(|(index, given)| tool(index, given));
        let tools = tools.collect::<Result<Vec<_>, _>>()?;
        let text = self.text.unwrap_or_default();
        let effort = self.reasoning.as_ref();
        let effort = effort.and_then(|reasoning| reasoning.get("effort").cloned());
        let choice = self.tool_choice.as_ref().map(choice_of).transpose()?;
        let verbosity = text.get("verbosity").cloned();
        Ok(Box::new(ChatInput {
            model: self.model,
            messages,
            retrieval: self.retrieval,
            cache: self.cache,
            validation: self.validation,
            tool_choice: choice.filter(|_| !tools.is_empty()),
            parallel_tool_calls: self.parallel_tool_calls.filter(|_| !tools.is_empty()),
            tools: Some(tools),
            response_format: format_of(&text["format"]),
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: self.max_output_tokens,
            user: self.user,
            reasoning_effort: effort.filter(|effort| !effort.is_null()),
            verbosity: verbosity.filter(|word| !word.is_null()),
            safety_identifier: self.safety_identifier,
            prompt_cache_key: self.prompt_cache_key,
            service_tier: self.service_tier,
            stream: self.stream,
            stream_options: Some(StreamOptions::with_usage()),
            id_prefix: Some("resp_"),
            ..ChatInput::default()
        }))
    }
}

/// Reads items: a turn of the model is one message there and several items here.
struct Reader {
    messages: Vec<ChatMessage>,
    /// The item of reasoning that the next turn of the model began with.
    reasoning: Option<Value>,
}

impl Reader {
    fn item(&mut self, param: &str, item: &Value) -> Result<(), ServiceError> {
        match word(item, "type") {
            "" | "message" => self.message(param, item)?,
            "reasoning" => self.reasoning = Some(item.clone()),
            "function_call" => {
                let call = ToolCall {
                    id: word(item, "call_id").to_owned(),
                    kind: "function".to_owned(),
                    function: FunctionCall {
                        name: word(item, "name").to_owned(),
                        arguments: word(item, "arguments").to_owned(),
                    },
                    extra: carried(item),
                };
                self.turn().tool_calls.push(call);
            }
            "function_call_output" => {
                let output = match &item["output"] {
                    Value::String(text) => Content::Text(text.clone()),
                    parts => content(parts_of(param, parts)?)
                        .unwrap_or_else(|| Content::Text(String::new())),
                };
                let mut message = ChatMessage::new(Role::Tool, "");
                message.content = Some(output);
                message.tool_call_id = Some(word(item, "call_id").to_owned());
                self.messages.push(message);
            }
            "item_reference" => {
                let message = "a reference to an item of an earlier answer: nothing is kept \
                               between requests, so send the item itself";
                return Err(refused(param, message));
            }
            kind => {
                let kind: String = kind.chars().take(40).collect();
                let message = format!("an item of type {kind:?} is not supported");
                return Err(refused(param, &message));
            }
        }
        Ok(())
    }

    fn message(&mut self, param: &str, item: &Value) -> Result<(), ServiceError> {
        let role = match word(item, "role") {
            "system" => Role::System,
            "developer" => Role::Developer,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => {
                let message = "must be system, developer, user or assistant";
                return Err(refused(format!("{param}.role"), message));
            }
        };
        let said = match &item["content"] {
            Value::String(text) => Some(Content::Text(text.clone())),
            parts => content(parts_of(param, parts)?),
        };
        if role == Role::Assistant {
            let text = said.as_ref().map(Content::text).unwrap_or_default();
            self.reply(&text);
            return Ok(());
        }
        let Some(said) = said else {
            return Err(refused(format!("{param}.content"), "must not be empty"));
        };
        let mut message = ChatMessage::new(role, "");
        message.content = Some(said);
        self.messages.push(message);
        Ok(())
    }

    /// Adds text to the model's turn.
    fn reply(&mut self, text: &str) {
        match &mut self.turn().content {
            Some(Content::Text(known)) => known.push_str(text),
            // A turn of the model holds nothing else.
            content => *content = Some(Content::Text(text.to_owned())),
        }
    }

    /// The turn of the model that the next item belongs to.
    fn turn(&mut self) -> &mut ChatMessage {
        let reasoning = self.reasoning.take();
        let goes_on = self
            .messages
            .last()
            .is_some_and(|last| last.role == Role::Assistant);
        if !goes_on || reasoning.is_some() {
            let mut turn = ChatMessage::new(Role::Assistant, "");
            turn.content = None;
            if let Some(item) = &reasoning {
                recall(&mut turn, item);
            }
            self.messages.push(turn);
        }
        let last = self.messages.len() - 1;
        &mut self.messages[last]
    }
}

/// Takes what a client kept of the reasoning.
fn recall(turn: &mut ChatMessage, item: &Value) {
    let kept = word(item, "encrypted_content").strip_prefix(REASONING_MARK);
    match kept.and_then(|kept| serde_json::from_str::<Value>(kept).ok()) {
        Some(blocks) => {
            turn.extra.insert("thinking_blocks".to_owned(), blocks);
        }
        None => {
            let texts = |field: &str| -> String {
                let parts = item.get(field).and_then(Value::as_array);
                let parts = parts.into_iter().flatten();
                parts.map(|part| word(part, "text")).collect()
            };
            let text = format!("{}{}", texts("content"), texts("summary"));
            turn.reasoning_content = (!text.is_empty()).then_some(text);
        }
    }
}

fn parts_of(param: &str, parts: &Value) -> Result<Vec<ContentPart>, ServiceError> {
    let parts = parts
        .as_array()
        .ok_or_else(|| refused(param, "content must be a text or a list of parts"))?;
    let parts = parts.iter().map(|given| match word(given, "type") {
        "input_text" | "output_text" | "text" => Ok(text_part(word(given, "text"))),
        "refusal" => Ok(text_part(word(given, "refusal"))),
        "input_image" if !word(given, "image_url").is_empty() => {
            Ok(image_part(word(given, "image_url")))
        }
        "input_file" if !word(given, "file_data").is_empty() => {
            Ok(file_part(word(given, "filename"), word(given, "file_data")))
        }
        kind => {
            let kind: String = kind.chars().take(40).collect();
            let message = format!("a part of type {kind:?} is not supported in this form");
            Err(refused(param, &message))
        }
    });
    parts.collect()
}

fn tool(index: usize, given: &Value) -> Result<Tool, ServiceError> {
    if word(given, "type") != "function" {
        let message = "only tools of type function are supported";
        return Err(refused(format!("tools[{index}].type"), message));
    }
    let text = |field: &str| given.get(field).and_then(Value::as_str);
    let parameters = given.get("parameters").filter(|schema| !schema.is_null());
    Ok(Tool {
        kind: "function".to_owned(),
        function: ToolFunction {
            name: word(given, "name").to_owned(),
            description: text("description").map(ToOwned::to_owned),
            parameters: parameters.cloned(),
            strict: given.get("strict").and_then(Value::as_bool),
        },
        extra: Map::new(),
    })
}

fn choice_of(choice: &Value) -> Result<Value, ServiceError> {
    match (choice.as_str(), word(choice, "type"), word(choice, "name")) {
        (Some("none" | "auto" | "required"), ..) => Ok(choice.clone()),
        (_, "function", name) if !name.is_empty() => {
            Ok(json!({"type": "function", "function": {"name": name}}))
        }
        _ => {
            let message = "must be none, auto, required, or a function with a name";
            Err(refused("tool_choice", message))
        }
    }
}

/// The same format, one level deeper.
fn format_of(format: &Value) -> Option<Value> {
    match word(format, "type") {
        "" => None,
        "json_schema" => {
            let mut schema = format.as_object().cloned().unwrap_or_default();
            schema.remove("type");
            Some(json!({"type": "json_schema", "json_schema": schema}))
        }
        _ => Some(format.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: Value) -> Result<Box<ChatInput>, String> {
        let input: ResponsesInput =
            serde_json::from_value(given).map_err(|error| error.to_string())?;
        input.into_chat().map_err(|error| error.message)
    }

    #[test]
    fn items_become_turns() {
        let kept = format!("{REASONING_MARK}[{{\"type\":\"thinking\",\"signature\":\"s\"}}]");
        let input = read(json!({
            "model": "m", "instructions": "be brief", "max_output_tokens": 9,
            "input": [
                {"role": "user", "content": [
                    {"type": "input_text", "text": "see"},
                    {"type": "input_image", "image_url": "https://h/a.png", "detail": "auto"}]},
                {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": kept},
                {"type": "message", "role": "assistant", "id": "m1", "status": "completed",
                 "content": [{"type": "output_text", "text": "I look", "annotations": []}]},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
                {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}",
                 "extra_content": {"google": {"thought_signature": "s"}}},
                {"type": "function_call_output", "call_id": "c1", "output": "7"},
                {"type": "function_call_output", "call_id": "c2", "output": [
                    {"type": "input_text", "text": "8"}]}
            ],
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
            "tool_choice": {"type": "function", "name": "f"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
            "reasoning": {"effort": "low"}
        }))
        .unwrap();
        assert_eq!(
            serde_json::to_value(&input.messages).unwrap(),
            json!([
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "https://h/a.png"}}]},
                {"role": "assistant", "content": "I look", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"},
                     "extra_content": {"google": {"thought_signature": "s"}}}],
                 "thinking_blocks": [{"type": "thinking", "signature": "s"}]},
                {"role": "tool", "content": "7", "tool_call_id": "c1"},
                {"role": "tool", "content": "8", "tool_call_id": "c2"}
            ])
        );
        assert_eq!(
            input.response_format,
            Some(json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}))
        );
        assert_eq!(
            input.tool_choice,
            Some(json!({"type": "function", "function": {"name": "f"}}))
        );
        assert_eq!(input.max_tokens, Some(9));
    }

    #[test]
    fn what_needs_a_memory_is_refused_clearly() {
        for (given, expected) in [
            (
                json!({"input": "x", "store": true}),
                "store: nothing is kept",
            ),
            (
                json!({"input": "x", "previous_response_id": "r"}),
                "previous_response_id: nothing is kept",
            ),
            (
                json!({"input": "x", "conversation": "c"}),
                "conversation: nothing is kept",
            ),
            (
                json!({"input": "x", "background": true}),
                "background: nothing is kept",
            ),
            (
                json!({"input": [{"type": "item_reference", "id": "i"}]}),
                "input[0]: a reference",
            ),
            (json!({"input": 7}), "input: must be a text"),
            (
                json!({"input": "x", "tools": [{"type": "web_search"}]}),
                "tools[0].type: only tools",
            ),
            (
                json!({"input": "x", "truncation": "auto"}),
                "truncation: must be disabled",
            ),
        ] {
            let error = read(given.clone()).map(|_| ()).unwrap_err();
            assert!(error.contains(expected), "{given}: {error}");
        }
        assert!(read(json!({"input": "x", "store": false, "previous_response_id": null})).is_ok());
    }
}
