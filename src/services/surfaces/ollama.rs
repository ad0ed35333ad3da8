//! Ollama's chat and generate. Source: github.com/ollama/ollama, docs/api.md.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::messages::carried;
use super::{content, image_part, native, refused, text_part, word};
use crate::services::ServiceError;
use crate::services::complete::{CacheInput, ChatInput, RetrievalInput, Stop, StreamOptions};
use crate::types::chat::{ChatMessage, FunctionCall, Role, Tool, ToolCall};
use crate::types::demand::Demand;

/// A request to `POST /api/chat`, in Ollama's shape, with retrieval beside it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OllamaChatInput {
    /// A route, an alias, `provider/model` or a provider, with or without `:latest`.
    #[schema(example = "extractive")]
    #[serde(default)]
    pub model: String,
    /// The conversation; empty for clients that only have a model loaded.
    #[schema(
        value_type = Vec<Object>,
        example = json!([{"role": "user", "content": "what do wiccans worship?"}])
    )]
    #[serde(default)]
    pub messages: Vec<Value>,
    /// Answer from the passages of a collection.
    pub retrieval: Option<RetrievalInput>,
    /// Answer from what was answered before; left out, the route says.
    pub cache: Option<CacheInput>,
    /// Validators that judge the answer, as in `POST /v1/chat/completions`; left out, the route says.
    pub validation: Option<Demand>,
    /// Functions that the model may call.
    pub tools: Option<Vec<Tool>>,
    /// `json`, or a JSON Schema.
    #[schema(value_type = Option<Value>)]
    pub format: Option<Value>,
    /// `temperature`, `num_predict`, `stop` and others; those that only Ollama knows are passed to
    /// providers of its kind.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
    /// Whether the answer comes in lines; true when it is left out.
    pub stream: Option<bool>,
    /// Passed to providers of Ollama's kind.
    pub keep_alive: Option<Value>,
    /// Passed to providers of Ollama's kind; a level goes to the others as their effort.
    pub think: Option<Value>,
    /// Accepted and not used.
    pub truncate: Option<Value>,
    /// Accepted and not used.
    pub shift: Option<Value>,
    /// Only `false`.
    pub logprobs: Option<bool>,
    /// Not supported.
    pub top_logprobs: Option<Value>,
}

/// A request to `POST /api/generate`, in Ollama's shape, with retrieval beside it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OllamaGenerateInput {
    /// A route, an alias, `provider/model` or a provider, with or without `:latest`.
    #[schema(example = "extractive")]
    #[serde(default)]
    pub model: String,
    /// The question; empty for clients that only have a model loaded.
    #[schema(example = "what do wiccans worship?")]
    #[serde(default)]
    pub prompt: String,
    /// Instructions.
    pub system: Option<String>,
    /// Images in base64.
    pub images: Option<Vec<String>>,
    /// Answer from the passages of a collection.
    pub retrieval: Option<RetrievalInput>,
    /// Answer from what was answered before; left out, the route says.
    pub cache: Option<CacheInput>,
    /// Validators that judge the answer, as in `POST /v1/chat/completions`; left out, the route says.
    pub validation: Option<Demand>,
    /// `json`, or a JSON Schema.
    #[schema(value_type = Option<Value>)]
    pub format: Option<Value>,
    /// As in `/api/chat`.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
    /// Whether the answer comes in lines; true when it is left out.
    pub stream: Option<bool>,
    /// Passed to providers of Ollama's kind.
    pub keep_alive: Option<Value>,
    /// As in `/api/chat`.
    pub think: Option<Value>,
    /// Accepted and not used.
    pub truncate: Option<Value>,
    /// Accepted and not used.
    pub shift: Option<Value>,
    /// Only `false`.
    pub raw: Option<bool>,
    /// Only empty.
    pub suffix: Option<String>,
    /// Only empty: use `system`.
    pub template: Option<String>,
    /// Only empty: use `/api/chat`.
    pub context: Option<Vec<i64>>,
    /// Only `false`.
    pub logprobs: Option<bool>,
    /// Not supported.
    pub top_logprobs: Option<Value>,
}

impl OllamaChatInput {
    /// Whether the answer is wanted in lines: unlike elsewhere, silence means yes.
    pub fn wants_stream(&self) -> bool {
        self.stream.unwrap_or(true)
    }

    /// Whether only a model is to be loaded, which ours always are.
    pub fn only_loads(&self) -> bool {
        self.messages.is_empty()
    }

    /// Brings the request into OpenAI's shape.
    ///
    /// Errors: what we could not pass on.
    pub fn into_chat(self) -> Result<Box<ChatInput>, ServiceError> {
        if self.logprobs == Some(true) || self.top_logprobs.is_some() {
            return Err(refused("logprobs", "is not supported"));
        }
        let stream = self.wants_stream();
        let mut reader = Reader::default();
        for (index, message) in self.messages.iter().enumerate() {
            reader.message(index, message)?;
        }
        let mut options = self.options.unwrap_or_default();
        let mut number = |name: &str| options.remove(name).filter(|value| !value.is_null());
        let taken = [
            "temperature",
            "top_p",
            "presence_penalty",
            "frequency_penalty",
        ]
        .map(|name| number(name).and_then(|value| value.as_f64()));
        let [temperature, top_p, presence_penalty, frequency_penalty] = taken;
        let seed = number("seed").and_then(|value| value.as_i64());
        let top_k = number("top_k");
        // -1 and -2 stand for no bound.
        let limit = number("num_predict").and_then(|value| value.as_u64());
        let stop = match number("stop") {
            None => None,
            Some(value) => {
                let stop: Result<Stop, _> = serde_json::from_value(value);
                Some(stop.map_err(|error| refused("options.stop", &error.to_string()))?)
            }
        };
        let levels = self.think.as_ref().filter(|level| level.is_string());
        Ok(Box::new(ChatInput {
            model: Some(self.model),
            messages: reader.messages,
            retrieval: self.retrieval,
            cache: self.cache,
            validation: self.validation,
            tools: self.tools,
            response_format: format_of(self.format)?,
            temperature,
            top_p,
            presence_penalty,
            frequency_penalty,
            seed,
            max_tokens: limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
            stop,
            reasoning_effort: levels.cloned(),
            stream: Some(stream),
            stream_options: Some(StreamOptions::with_usage()),
            native: native([
                ("top_k", top_k),
                ("keep_alive", self.keep_alive),
                ("think", self.think),
                (
                    "options",
                    (!options.is_empty()).then_some(Value::Object(options)),
                ),
            ]),
            ..ChatInput::default()
        }))
    }
}

impl OllamaGenerateInput {
    /// Whether the answer is wanted in lines: unlike elsewhere, silence means yes.
    pub fn wants_stream(&self) -> bool {
        self.stream.unwrap_or(true)
    }

    /// Whether only a model is to be loaded, which ours always are.
    pub fn only_loads(&self) -> bool {
        self.prompt.is_empty()
    }

    /// Brings the request into OpenAI's shape.
    ///
    /// Errors: what we could not pass on.
    pub fn into_chat(self) -> Result<Box<ChatInput>, ServiceError> {
        let filled = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        for (param, present, message) in [
            ("raw", self.raw == Some(true), "is not supported"),
            ("suffix", filled(&self.suffix), "is not supported"),
            (
                "template",
                filled(&self.template),
                "is not supported: use system",
            ),
            (
                "context",
                self.context.is_some_and(|context| !context.is_empty()),
                "is not supported: send the conversation to /api/chat",
            ),
        ] {
            if present {
                return Err(refused(param, message));
            }
        }
        let system = self.system.filter(|text| !text.is_empty());
        let system = system.map(|text| json!({"role": "system", "content": text}));
        let mut question = json!({"role": "user", "content": self.prompt});
        if let Some(images) = self.images {
            question["images"] = json!(images);
        }
        let chat = OllamaChatInput {
            model: self.model,
            messages: system.into_iter().chain([question]).collect(),
            retrieval: self.retrieval,
            cache: self.cache,
            validation: self.validation,
            format: self.format,
            options: self.options,
            stream: self.stream,
            keep_alive: self.keep_alive,
            think: self.think,
            logprobs: self.logprobs,
            top_logprobs: self.top_logprobs,
            ..OllamaChatInput::default()
        };
        chat.into_chat()
    }
}

/// Reads messages, and pairs results with calls: Ollama's have no ids.
#[derive(Default)]
struct Reader {
    messages: Vec<ChatMessage>,
    /// Id and name of calls without a result.
    open: Vec<(String, String)>,
}

impl Reader {
    fn message(&mut self, index: usize, given: &Value) -> Result<(), ServiceError> {
        let param = format!("messages[{index}]");
        let role = match word(given, "role") {
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            _ => {
                let message = "must be system, user, assistant or tool";
                return Err(refused(format!("{param}.role"), message));
            }
        };
        let mut message = ChatMessage::new(role, word(given, "content"));
        let images = given.get("images").and_then(Value::as_array);
        let images: Vec<&str> = images
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if !images.is_empty() {
            let text = word(given, "content");
            let text = (!text.is_empty()).then(|| text_part(text));
            let images = images.into_iter().map(|data| image_part(&data_url(data)));
            message.content = content(text.into_iter().chain(images).collect());
        }
        if role == Role::Tool {
            message.tool_call_id = Some(self.answered(&param, given)?);
        }
        let calls = given.get("tool_calls").and_then(Value::as_array);
        for (place, call) in calls.into_iter().flatten().enumerate() {
            let call = tool_call(call, index, place);
            self.open
                .push((call.id.clone(), call.function.name.clone()));
            message.tool_calls.push(call);
        }
        if !message.tool_calls.is_empty() && message.text().is_empty() {
            message.content = None;
        }
        let thinking = word(given, "thinking");
        message.reasoning_content = (!thinking.is_empty()).then(|| thinking.to_owned());
        self.messages.push(message);
        Ok(())
    }

    /// The call that a result answers: by its id, else the oldest of its name, else the oldest.
    fn answered(&mut self, param: &str, given: &Value) -> Result<String, ServiceError> {
        let (id, name) = (word(given, "tool_call_id"), word(given, "tool_name"));
        let by_id = self.open.iter().position(|(known, _)| known == id);
        let by_name = || self.open.iter().position(|(_, known)| known == name);
        let oldest = || (name.is_empty() && !self.open.is_empty()).then_some(0);
        match by_id.or_else(by_name).or_else(oldest) {
            Some(place) => Ok(self.open.remove(place).0),
            None => Err(refused(param, "answers no call of the conversation")),
        }
    }
}

fn tool_call(call: &Value, message: usize, place: usize) -> ToolCall {
    let id = match word(call, "id") {
        "" => format!("call_{message}_{place}"),
        id => id.to_owned(),
    };
    let function = &call["function"];
    ToolCall {
        id,
        kind: "function".to_owned(),
        function: FunctionCall {
            name: word(function, "name").to_owned(),
            arguments: match &function["arguments"] {
                Value::Null => "{}".to_owned(),
                Value::String(text) => text.clone(),
                arguments => arguments.to_string(),
            },
        },
        extra: carried(call),
    }
}

/// Ollama's images have no type: their first bytes tell it.
fn data_url(data: &str) -> String {
    let kind = match data {
        data if data.starts_with("iVBOR") => "png",
        data if data.starts_with("R0lGOD") => "gif",
        data if data.starts_with("UklGR") => "webp",
        _ => "jpeg",
    };
    format!("data:image/{kind};base64,{data}")
}

fn format_of(format: Option<Value>) -> Result<Option<Value>, ServiceError> {
    match format {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(word)) if word.is_empty() => Ok(None),
        Some(Value::String(word)) if word == "json" => Ok(Some(json!({"type": "json_object"}))),
        Some(Value::Object(schema)) => {
            let schema = json!({"name": "output", "schema": schema});
            Ok(Some(json!({"type": "json_schema", "json_schema": schema})))
        }
        Some(_) => Err(refused("format", "must be json or a JSON Schema")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: Value) -> Result<Box<ChatInput>, String> {
        let input: OllamaChatInput =
            serde_json::from_value(given).map_err(|error| error.to_string())?;
        input.into_chat().map_err(|error| error.message)
    }

    #[test]
    fn results_find_their_calls_without_ids() {
        let input = read(json!({"model": "m", "messages": [
            {"role": "user", "content": "see", "images": ["iVBORw0"]},
            {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [
                {"function": {"name": "f", "arguments": {"a": 1}}},
                {"function": {"name": "g", "arguments": {}}}]},
            {"role": "tool", "content": "late", "tool_name": "g"},
            {"role": "tool", "content": "7"}
        ], "options": {"temperature": 0.5, "num_predict": -1, "num_ctx": 8192, "top_k": 4,
            "stop": "X"}, "think": "low", "format": "json"}))
        .unwrap();
        assert_eq!(
            serde_json::to_value(&input.messages).unwrap(),
            json!([
                {"role": "user", "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0"}}]},
                {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                    {"id": "call_1_0", "type": "function",
                     "function": {"name": "f", "arguments": "{\"a\":1}"}},
                    {"id": "call_1_1", "type": "function",
                     "function": {"name": "g", "arguments": "{}"}}]},
                {"role": "tool", "content": "late", "tool_call_id": "call_1_1"},
                {"role": "tool", "content": "7", "tool_call_id": "call_1_0"}
            ])
        );
        assert_eq!((input.temperature, input.max_tokens), (Some(0.5), None));
        assert_eq!(input.native["options"], json!({"num_ctx": 8192}));
        assert_eq!(input.reasoning_effort, Some(json!("low")));
        assert_eq!(input.stream, Some(true), "silence means a stream");
    }

    #[test]
    fn what_cannot_be_passed_on_is_refused_with_the_field() {
        for (given, expected) in [
            (json!({"messages": [{"role": "owner"}]}), "messages[0].role"),
            (
                json!({"messages": [{"role": "tool", "content": "x"}]}),
                "messages[0]: answers no call",
            ),
            (json!({"format": 7}), "format: must be json"),
            (json!({"logprobs": true}), "logprobs: is not supported"),
            (json!({"mesages": []}), "unknown field `mesages`"),
        ] {
            let error = read(given.clone()).map(|_| ()).unwrap_err();
            assert!(error.contains(expected), "{given}: {error}");
        }
        let raw = OllamaGenerateInput {
            prompt: "x".to_owned(),
            context: Some(vec![1]),
            ..OllamaGenerateInput::default()
        };
        let error = raw.into_chat().map(|_| ()).unwrap_err();
        assert!(error.message.contains("/api/chat"), "{error}");
    }
}
