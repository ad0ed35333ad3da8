//! Google's Gemini API: what is asked, and whole answers. Source: ai.google.dev/api/generate-content
//! and ai.google.dev/gemini-api/docs/thought-signatures.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::gemini_stream::GeminiReader;
use super::parts::{arguments_object, call_id, chosen, file_data, inline, schema_of};
use super::sse_stream::SseStream;
use crate::engines::chat::ChatError;
use crate::engines::chat::{Plan, Provider, StreamDecoder};
use crate::engines::upstream::Upstream;
use crate::types::chat::{
    ChatMessage, ChatReply, ChatRequest, Content, ContentPart, FinishReason, FunctionCall, Role,
    Tool, ToolCall,
};
use crate::types::evidence::TokenUsage;
use crate::types::http::{HttpCall, HttpReply};

/// The signature that Google documents for calls that its model did not make: without one, Gemini 3
/// refuses the conversation.
const FOREIGN_SIGNATURE: &str = "skip_thought_signature_validator";

/// Any server with `POST {base_url}/models/{model}:generateContent`.
pub(super) struct Gemini {
    upstream: Upstream,
}

impl Gemini {
    pub(super) fn new(upstream: Upstream) -> Self {
        Self {
            upstream: upstream.with_key_in("x-goog-api-key"),
        }
    }

    fn body(&self, request: &ChatRequest) -> Result<Value, ChatError> {
        let mut names = HashMap::new();
        let (mut system, mut contents) = (Vec::new(), Contents::default());
        for message in &request.messages {
            for call in &message.tool_calls {
                names.insert(call.id.as_str(), call.function.name.as_str());
            }
            match message.role {
                Role::System | Role::Developer => system.extend(self.parts(message)?),
                Role::User => contents.push("user", self.parts(message)?),
                Role::Assistant => contents.push("model", self.model_parts(message)?),
                Role::Tool => contents.push("user", self.result_parts(message, &names)?),
            }
        }
        let mut body = json!({"contents": contents.0});
        if !system.is_empty() {
            body["systemInstruction"] = json!({"parts": system});
        }
        if !request.tools.is_empty() {
            let functions: Value = request.tools.iter().map(function).collect();
            body["tools"] = json!([{"functionDeclarations": functions}]);
        }
        if let Some(choice) = &request.tool_choice {
            let config = match (choice.as_str(), chosen(choice)) {
                (Some("none"), _) => json!({"mode": "NONE"}),
                (Some("required"), _) => json!({"mode": "ANY"}),
                (_, Some(name)) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
                _ => json!({"mode": "AUTO"}),
            };
            body["toolConfig"] = json!({"functionCallingConfig": config});
        }
        let config = generation_config(request);
        if !config.is_empty() {
            body["generationConfig"] = Value::Object(config);
        }
        Ok(body)
    }

    fn parts(&self, message: &ChatMessage) -> Result<Vec<Value>, ChatError> {
        match &message.content {
            Some(Content::Text(text)) if !text.is_empty() => Ok(vec![json!({"text": text})]),
            Some(Content::Parts(parts)) => parts.iter().map(|part| self.part(part)).collect(),
            _ => Ok(Vec::new()),
        }
    }

    fn part(&self, part: &ContentPart) -> Result<Value, ChatError> {
        if let Some(text) = &part.text {
            return Ok(json!({"text": text}));
        }
        let audio = part.rest.get("input_audio");
        if let Some((data, format)) = audio.and_then(|audio| {
            let field = |name: &str| audio.get(name)?.as_str();
            Some((field("data")?, field("format")?))
        }) {
            return Ok(
                json!({"inlineData": {"mimeType": format!("audio/{format}"), "data": data}}),
            );
        }
        let url = part.image_url().or_else(|| file_data(part));
        // It reads files of its own store by their address, and nothing else of the network.
        let (kind, data) = url.and_then(inline).ok_or_else(|| {
            self.upstream.unsupported(format!(
                "a part of type {} other than a data URL",
                part.kind.chars().take(40).collect::<String>()
            ))
        })?;
        Ok(json!({"inlineData": {"mimeType": kind, "data": data}}))
    }

    /// What the model said and called. Gemini looks for a signature at the first call of a step.
    fn model_parts(&self, message: &ChatMessage) -> Result<Vec<Value>, ChatError> {
        let mut parts = self.parts(message)?;
        let signed = message
            .tool_calls
            .iter()
            .any(|call| signature(call).is_some());
        for (index, call) in message.tool_calls.iter().enumerate() {
            let mut part = json!({"functionCall": {
                "name": call.function.name, "args": arguments_object(call)?,
            }});
            let foreign = (!signed && index == 0).then_some(FOREIGN_SIGNATURE);
            if let Some(signature) = signature(call).or(foreign) {
                part["thoughtSignature"] = json!(signature);
            }
            parts.push(part);
        }
        Ok(parts)
    }

    fn result_parts(
        &self,
        message: &ChatMessage,
        names: &HashMap<&str, &str>,
    ) -> Result<Vec<Value>, ChatError> {
        let answered = message.tool_call_id.as_deref();
        let name = answered
            .and_then(|id| names.get(id).copied())
            .or(message.name.as_deref());
        let Some(name) = name else {
            return Err(ChatError::invalid(
                "messages[].tool_call_id",
                "answers no call of the conversation, so its function is unknown",
            ));
        };
        let text = message.text();
        let response = match serde_json::from_str(&text) {
            Ok(Value::Object(fields)) => Value::Object(fields),
            _ => json!({"result": text}),
        };
        let mut parts = vec![json!({"functionResponse": {"name": name, "response": response}})];
        if let Some(Content::Parts(given)) = &message.content {
            let others = given.iter().filter(|part| part.text.is_none());
            for part in others {
                parts.push(self.part(part)?);
            }
        }
        Ok(parts)
    }
}

impl Provider for Gemini {
    fn plan(&self, request: &ChatRequest) -> Result<Plan, ChatError> {
        let model = path_of(&request.model)?;
        let (path, accept) = if request.stream {
            // Without `alt=sse` it is one JSON array.
            (
                format!("/{model}:streamGenerateContent?alt=sse"),
                "text/event-stream",
            )
        } else {
            (format!("/{model}:generateContent"), "application/json")
        };
        let body = self.body(request)?;
        self.upstream
            .call(&path, &body, request.stream, accept)
            .map(Plan::Call)
    }

    fn decode(&self, reply: &HttpReply) -> Result<ChatReply, ChatError> {
        let body = self.upstream.json(reply)?;
        let mut reply = ChatReply {
            usage: usage(&body),
            ..ChatReply::default()
        };
        let Some(candidate) = candidate(&body) else {
            reply.refusal = Some(
                blocked(&body).ok_or_else(|| self.upstream.malformed("it has no candidates"))?,
            );
            reply.finish = FinishReason::ContentFilter;
            return Ok(reply);
        };
        for part in parts_of(candidate) {
            match read(part) {
                Read::Text(text) => reply.text.push_str(text),
                Read::Thought(text) => reply.reasoning.get_or_insert_default().push_str(text),
                Read::Call => {
                    let index = reply.tool_calls.len();
                    reply.tool_calls.extend(tool_call(&body, part, index));
                }
                Read::Nothing => {}
            }
        }
        // Whole answers of some models have no reason.
        let reason = finish_of(candidate).unwrap_or("STOP");
        reply.finish = finish_reason(reason, !reply.tool_calls.is_empty())
            .ok_or_else(|| self.upstream.failed(&failure(candidate, reason)))?;
        Ok(reply)
    }

    fn stream(&self) -> Box<dyn StreamDecoder + Send> {
        Box::new(SseStream::<GeminiReader>::new(self.upstream.clone()))
    }

    fn probe(&self) -> Result<Option<HttpCall>, ChatError> {
        self.upstream.get("/models").map(Some)
    }
}

/// Parts of one role that follow each other belong into one content: the results of a step must
/// stand together.
#[derive(Default)]
struct Contents(Vec<Value>);

impl Contents {
    fn push(&mut self, role: &str, parts: Vec<Value>) {
        if parts.is_empty() {
            return;
        }
        let last = self.0.last_mut().filter(|last| last["role"] == role);
        match last.and_then(|last| last["parts"].as_array_mut()) {
            Some(known) => known.extend(parts),
            None => self.0.push(json!({"role": role, "parts": parts})),
        }
    }
}

fn function(tool: &Tool) -> Value {
    let function = &tool.function;
    let mut written = json!({"name": function.name});
    if let Some(description) = &function.description {
        written["description"] = json!(description);
    }
    // Any JSON Schema; `parameters` takes only a part of OpenAPI's. It refuses one without fields.
    let schema = function.parameters.as_ref();
    let fields = schema.and_then(|schema| schema["properties"].as_object());
    if fields.is_some_and(|fields| !fields.is_empty()) {
        written["parametersJsonSchema"] = json!(schema);
    }
    written
}

fn generation_config(request: &ChatRequest) -> Map<String, Value> {
    let format = request.response_format.as_ref();
    let wants_json = format.is_some_and(|format| format["type"] != "text");
    let stop = &request.stop;
    [
        ("temperature", request.temperature.map(Value::from)),
        ("topP", request.top_p.map(Value::from)),
        ("topK", request.native.get("top_k").cloned()),
        ("maxOutputTokens", request.output_limit().map(Value::from)),
        ("stopSequences", (!stop.is_empty()).then(|| json!(stop))),
        ("seed", request.seed.map(Value::from)),
        ("presencePenalty", request.presence_penalty.map(Value::from)),
        (
            "frequencyPenalty",
            request.frequency_penalty.map(Value::from),
        ),
        (
            "responseMimeType",
            wants_json.then(|| json!("application/json")),
        ),
        ("responseJsonSchema", schema_of(format).cloned()),
        ("thinkingConfig", thinking(request)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}

/// The budgets that Google's own OpenAI endpoint pairs with the efforts.
fn thinking(request: &ChatRequest) -> Option<Value> {
    let budget = match request.extra.get("reasoning_effort")?.as_str()? {
        "none" => 0,
        "minimal" | "low" => 1_024,
        "medium" => 8_192,
        "high" | "xhigh" => 24_576,
        _ => return None,
    };
    Some(json!({"thinkingBudget": budget}))
}

/// Where a model stands below the address. Its name is the client's: nothing in it may lead
/// elsewhere.
fn path_of(model: &str) -> Result<String, ChatError> {
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    let steps: Vec<&str> = model.split('/').collect();
    let fits = |step: &&str| {
        !step.is_empty() && !step.bytes().all(|byte| byte == b'.') && step.bytes().all(sane)
    };
    if !steps.iter().all(fits) {
        return Err(ChatError::invalid(
            "model",
            "must be a name such as gemini-2.5-flash",
        ));
    }
    Ok(if steps.len() == 1 {
        format!("models/{model}")
    } else {
        model.to_owned()
    })
}

/// The signature of a call that Gemini made, as its OpenAI endpoint carries it too.
fn signature(call: &ToolCall) -> Option<&str> {
    let content = call.extra.get("extra_content")?;
    content.pointer("/google/thought_signature")?.as_str()
}

/// The one answer that was asked for.
pub(super) fn candidate(body: &Value) -> Option<&Value> {
    body.pointer("/candidates/0")
        .filter(|found| found.is_object())
}

/// Why there is no answer: a refusal, not a fault.
pub(super) fn blocked(body: &Value) -> Option<String> {
    let feedback = body.get("promptFeedback")?;
    let reason = feedback.get("blockReason")?.as_str()?;
    Some(
        match feedback.get("blockReasonMessage").and_then(Value::as_str) {
            Some(message) => format!("the prompt was blocked: {reason}: {message}"),
            None => format!("the prompt was blocked: {reason}"),
        },
    )
}

pub(super) fn parts_of(candidate: &Value) -> impl Iterator<Item = &Value> {
    let parts = candidate
        .pointer("/content/parts")
        .and_then(Value::as_array);
    parts.into_iter().flatten()
}

pub(super) fn finish_of(candidate: &Value) -> Option<&str> {
    candidate.get("finishReason").and_then(Value::as_str)
}

/// What a part holds.
pub(super) enum Read<'a> {
    Text(&'a str),
    Thought(&'a str),
    Call,
    /// Only a signature, or what is not ours to read.
    Nothing,
}

pub(super) fn read(part: &Value) -> Read<'_> {
    let text = part.get("text").and_then(Value::as_str).unwrap_or_default();
    if part.get("functionCall").is_some_and(Value::is_object) {
        Read::Call
    } else if text.is_empty() {
        Read::Nothing
    } else if part.get("thought") == Some(&Value::Bool(true)) {
        Read::Thought(text)
    } else {
        Read::Text(text)
    }
}

/// Reads a call; its signature goes where OpenAI's clients keep what they do not know.
pub(super) fn tool_call(body: &Value, part: &Value, index: usize) -> Option<ToolCall> {
    let call = part.get("functionCall")?;
    let name = call.get("name")?.as_str()?.to_owned();
    let arguments = match call.get("args") {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(arguments) => arguments.to_string(),
    };
    let word = |value: Option<&Value>| value.and_then(Value::as_str).map(ToOwned::to_owned);
    let answer = word(body.get("responseId")).unwrap_or_default();
    let id = word(call.get("id")).filter(|id| !id.is_empty());
    let signature = word(part.get("thoughtSignature"));
    let extra = signature.map(|signature| {
        let content = json!({"google": {"thought_signature": signature}});
        ("extra_content".to_owned(), content)
    });
    Some(ToolCall {
        id: id.unwrap_or_else(|| call_id(&[&answer, &name, &arguments], index)),
        kind: "function".to_owned(),
        function: FunctionCall { name, arguments },
        extra: extra.into_iter().collect(),
    })
}

/// Translates a finish reason; `None` when it tells of a failure.
pub(super) fn finish_reason(reason: &str, calls_tools: bool) -> Option<FinishReason> {
    Some(match reason {
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "LANGUAGE"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => FinishReason::ContentFilter,
        "STOP" | "FINISH_REASON_UNSPECIFIED" if calls_tools => FinishReason::ToolCalls,
        "STOP" | "FINISH_REASON_UNSPECIFIED" => FinishReason::Stop,
        // MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL, OTHER, …
        _ => return None,
    })
}

/// What a finish reason that tells of a failure says.
pub(super) fn failure(candidate: &Value, reason: &str) -> String {
    match candidate.get("finishMessage").and_then(Value::as_str) {
        Some(message) => format!("{reason}: {message}"),
        None => format!("the answer ended with {reason}"),
    }
}

/// Reads the counts; thoughts are paid for as output.
pub(super) fn usage(body: &Value) -> Option<TokenUsage> {
    let usage = body.get("usageMetadata")?;
    let count = |name: &str| usage.get(name).and_then(Value::as_u64);
    let sum = |one: &str, two: &str| match (count(one), count(two)) {
        (None, None) => None,
        (one, two) => Some(one.unwrap_or_default() + two.unwrap_or_default()),
    };
    let prompt = sum("promptTokenCount", "toolUsePromptTokenCount");
    let completion = sum("candidatesTokenCount", "thoughtsTokenCount");
    (prompt.is_some() || completion.is_some()).then(|| TokenUsage {
        prompt_tokens: prompt.unwrap_or_default(),
        completion_tokens: completion.unwrap_or_default(),
        cached_tokens: count("cachedContentTokenCount").unwrap_or_default(),
        cache_write_tokens: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::chat::{ProviderConfig, build};

    #[test]
    fn the_counts_tell_of_the_cache_and_of_thoughts() {
        let body = json!({"usageMetadata": {"promptTokenCount": 9, "cachedContentTokenCount": 4,
            "candidatesTokenCount": 2, "thoughtsTokenCount": 3}});
        let expected = TokenUsage {
            prompt_tokens: 9,
            completion_tokens: 5,
            cached_tokens: 4,
            cache_write_tokens: 0,
        };
        assert_eq!(usage(&body), Some(expected));
    }

    fn plan(request: &ChatRequest) -> Result<(String, Value), ChatError> {
        let config: ProviderConfig = toml::from_str("preset = \"gemini\"").unwrap();
        let provider = build("g", Some(&config), Some("k".into())).unwrap();
        match provider.plan(request)? {
            Plan::Call(call) => Ok((call.url, serde_json::from_slice(&call.body).unwrap())),
            Plan::Ready(reply) => panic!("answered at once: {reply:?}"),
        }
    }

    fn request(messages: Value) -> ChatRequest {
        ChatRequest {
            model: "gemini-2.5-flash".into(),
            messages: serde_json::from_value(messages).unwrap(),
            ..ChatRequest::default()
        }
    }

    #[test]
    fn a_request_is_written_in_geminis_shape() {
        let mut request = request(json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
            {"role": "assistant", "content": "well", "tool_calls": [
                {"id": "c1", "type": "function",
                 "extra_content": {"google": {"thought_signature": "sig"}},
                 "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "{\"degrees\": 7}"},
            {"role": "tool", "tool_call_id": "c2", "content": "noon"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c3", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c4", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c3", "content": "[1]"},
            {"role": "tool", "tool_call_id": "c4", "content": "x"}
        ]));
        request.temperature = Some(0.5);
        request.max_tokens = Some(9);
        request.stop = vec!["X".into()];
        request.stream = true;
        request.tools = serde_json::from_value(json!([
            {"type": "function", "function": {"name": "f", "description": "d",
             "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}},
            {"type": "function", "function": {"name": "g", "parameters": {"type": "object"}}}
        ]))
        .unwrap();
        request.tool_choice = Some(json!({"type": "function", "function": {"name": "f"}}));
        request.extra = serde_json::from_value(json!({"reasoning_effort": "low"})).unwrap();
        request.response_format =
            Some(json!({"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}));
        let (url, body) = plan(&request).unwrap();
        assert_eq!(
            url,
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:\
             streamGenerateContent?alt=sse"
        );
        assert_eq!(
            body,
            json!({
                "contents": [
                    {"role": "user", "parts": [
                        {"text": "see"},
                        {"inlineData": {"mimeType": "image/png", "data": "AA=="}}]},
                    {"role": "model", "parts": [
                        {"text": "well"},
                        {"functionCall": {"name": "f", "args": {"a": 1}},
                         "thoughtSignature": "sig"},
                        {"functionCall": {"name": "g", "args": {}}}]},
                    {"role": "user", "parts": [
                        {"functionResponse": {"name": "f", "response": {"degrees": 7}}},
                        {"functionResponse": {"name": "g", "response": {"result": "noon"}}}]},
                    {"role": "model", "parts": [
                        {"functionCall": {"name": "f", "args": {}},
                         "thoughtSignature": "skip_thought_signature_validator"},
                        {"functionCall": {"name": "f", "args": {}}}]},
                    {"role": "user", "parts": [
                        {"functionResponse": {"name": "f", "response": {"result": "[1]"}}},
                        {"functionResponse": {"name": "f", "response": {"result": "x"}}}]}
                ],
                "systemInstruction": {"parts": [{"text": "be brief"}]},
                "tools": [{"functionDeclarations": [
                    {"name": "f", "description": "d", "parametersJsonSchema":
                        {"type": "object", "properties": {"a": {"type": "integer"}}}},
                    {"name": "g"}]}],
                "toolConfig": {"functionCallingConfig":
                    {"mode": "ANY", "allowedFunctionNames": ["f"]}},
                "generationConfig": {
                    "temperature": 0.5, "maxOutputTokens": 9, "stopSequences": ["X"],
                    "responseMimeType": "application/json",
                    "responseJsonSchema": {"type": "object"},
                    "thinkingConfig": {"thinkingBudget": 1024}}
            })
        );
    }

    #[test]
    fn a_models_name_leads_nowhere_else() {
        let mut request = request(json!([{"role": "user", "content": "x"}]));
        request.model = "tunedModels/mine".into();
        let (url, _) = plan(&request).unwrap();
        assert!(
            url.ends_with("/v1beta/tunedModels/mine:generateContent"),
            "{url}"
        );
        for model in ["../x", "a/../b", "a?key=1", "a#b", "a/", "a b", "ä"] {
            request.model = model.into();
            let error = plan(&request).unwrap_err();
            assert!(
                matches!(error, ChatError::Invalid { .. }),
                "{model}: {error}"
            );
        }
    }

    #[test]
    fn what_it_cannot_do_goes_to_the_next_candidate() {
        let link = json!([{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]);
        let error = plan(&request(link)).unwrap_err();
        assert!(matches!(error, ChatError::Unsupported { .. }), "{error}");
        let lost = json!([{"role": "tool", "tool_call_id": "c", "content": "x"}]);
        let error = plan(&request(lost)).unwrap_err();
        assert!(matches!(error, ChatError::Invalid { .. }), "{error}");
    }

    #[test]
    fn every_way_to_end_is_translated() {
        use FinishReason as F;
        for (reason, calls, expected) in [
            ("STOP", false, Some(F::Stop)),
            ("STOP", true, Some(F::ToolCalls)),
            ("MAX_TOKENS", true, Some(F::Length)),
            ("SAFETY", false, Some(F::ContentFilter)),
            ("PROHIBITED_CONTENT", false, Some(F::ContentFilter)),
            ("MALFORMED_FUNCTION_CALL", false, None),
            ("OTHER", false, None),
        ] {
            assert_eq!(finish_reason(reason, calls), expected, "{reason}");
        }
    }
}
