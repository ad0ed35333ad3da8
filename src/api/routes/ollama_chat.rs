//! `POST /api/chat`, `POST /api/generate`, `GET /api/tags` and `GET /api/version`, in Ollama's
//! shapes.

use std::time::{Duration, Instant, SystemTime};

use actix_web::web::Data;
use actix_web::{HttpResponse, Result};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::chat::{annotation, tell_judgement, told};
use super::messages::calls_with_objects;
use crate::api::body::Body;
use crate::api::context::Context;
use crate::api::error::ApiError;
use crate::api::streams::{self, ollama::OllamaLines};
use crate::services::complete::{self, ChatInput, Completion};
use crate::services::surfaces::ollama::{OllamaChatInput, OllamaGenerateInput};
use crate::services::{ServiceError, Services, embed};
use crate::types::chat::{Citation, FinishReason, ToolCall};
use crate::types::evidence::TokenUsage;

/// The version of Ollama whose API this is: its clients ask before they use what is new.
const VERSION: &str = "0.12.0";

/// Answers a conversation, in lines unless `stream` is false, as Ollama does.
#[utoipa::path(
    post, path = "/api/chat", tag = "chat", operation_id = "ollama_chat",
    request_body = OllamaChatInput,
    responses(
        (status = 200,
         description = "The answer; unless `stream` is false, one object a line",
         content((ref("#/components/schemas/OllamaChatLine") = "application/json"), (String = "application/x-ndjson")))
    )
)]
pub(crate) async fn chat(
    context: Context,
    services: Data<Services>,
    body: Body<OllamaChatInput>,
) -> Result<HttpResponse> {
    let input = body.0;
    if input.only_loads() {
        return Ok(loaded(&context, &services, Form::Chat, &input.model)?);
    }
    let streams = input.wants_stream();
    let input = input.into_chat();
    answer(context, services, Form::Chat, input, streams).await
}

/// Answers one question, in lines unless `stream` is false, as Ollama does.
#[utoipa::path(
    post, path = "/api/generate", tag = "chat", operation_id = "ollama_generate",
    request_body = OllamaGenerateInput,
    responses(
        (status = 200,
         description = "The answer; unless `stream` is false, one object a line",
         content((ref("#/components/schemas/OllamaGenerateLine") = "application/json"), (String = "application/x-ndjson")))
    )
)]
pub(crate) async fn generate(
    context: Context,
    services: Data<Services>,
    body: Body<OllamaGenerateInput>,
) -> Result<HttpResponse> {
    let input = body.0;
    if input.only_loads() {
        return Ok(loaded(&context, &services, Form::Generate, &input.model)?);
    }
    let streams = input.wants_stream();
    let input = input.into_chat();
    answer(context, services, Form::Generate, input, streams).await
}

/// Lists the models, as Ollama does.
#[utoipa::path(
    get, path = "/api/tags", tag = "models", operation_id = "ollama_tags",
    responses(
        (status = 200,
         description = "The models",
         body = ref("#/components/schemas/OllamaTags"))
    )
)]
pub(crate) async fn tags(services: Data<Services>) -> HttpResponse {
    let embedders = embed::models(&services).into_iter().map(|model| model.name);
    let chat = complete::models(&services).into_iter().map(|(id, _)| id);
    let models: Vec<Value> = embedders.chain(chat).map(|name| tag(&name)).collect();
    HttpResponse::Ok().json(json!({"models": models}))
}

/// Tells the version of Ollama's API that is served, and our own.
#[utoipa::path(
    get, path = "/api/version", tag = "operations", operation_id = "ollama_version",
    responses(
        (status = 200,
         description = "The versions",
         body = ref("#/components/schemas/OllamaVersion"))
    )
)]
pub(crate) async fn version() -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "version": VERSION, "boathouse": env!("CARGO_PKG_VERSION"),
    }))
}

/// Nothing is known of a model's files: it may be far away.
fn tag(name: &str) -> Value {
    json!({
        "name": name, "model": name, "modified_at": Timestamp::UNIX_EPOCH.to_string(),
        "size": 0, "digest": "",
        "details": {
            "parent_model": "", "format": "", "family": "", "families": [],
            "parameter_size": "", "quantization_level": "",
        },
    })
}

/// Where the two routes keep an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Form {
    /// In `message`.
    Chat,
    /// In `response`.
    Generate,
}

impl Form {
    /// Writes the fields of a piece of an answer.
    pub(in crate::api) fn answer(self, text: String, thinking: String) -> Map<String, Value> {
        let mut fields = Map::new();
        let name = match self {
            Self::Chat => "content",
            Self::Generate => "response",
        };
        if self == Self::Chat {
            fields.insert("role".to_owned(), json!("assistant"));
        }
        fields.insert(name.to_owned(), Value::String(text));
        if !thinking.is_empty() {
            fields.insert("thinking".to_owned(), Value::String(thinking));
        }
        fields
    }

    /// Adds calls, for which `/api/generate` has no place.
    pub(in crate::api) fn set_calls(self, answer: &mut Map<String, Value>, calls: Vec<Value>) {
        if self == Self::Chat && !calls.is_empty() {
            answer.insert("tool_calls".to_owned(), Value::Array(calls));
        }
    }

    /// Writes a line that is not the last.
    pub(in crate::api) fn line(
        self,
        model: &str,
        created_at: &str,
        answer: Map<String, Value>,
    ) -> Value {
        let mut line = json!({"model": model, "created_at": created_at});
        match self {
            Self::Chat => line["message"] = Value::Object(answer),
            Self::Generate => {
                for (name, value) in answer {
                    line[name] = value;
                }
            }
        }
        line["done"] = json!(false);
        line
    }
}

/// Writes a call; the id and what other providers want back with it are more than Ollama tells.
pub(in crate::api) fn call_json(call: &ToolCall, arguments: Value) -> Value {
    let mut written = json!({
        "id": call.id,
        "function": {"name": call.function.name, "arguments": arguments},
    });
    for (name, value) in &call.extra {
        written[name] = value.clone();
    }
    written
}

/// Makes a line the last one.
pub(in crate::api) fn ending(
    line: &mut Value,
    finish: FinishReason,
    usage: TokenUsage,
    took: Duration,
    citations: &[Citation],
) {
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    line["done"] = json!(true);
    line["done_reason"] = json!(match finish {
        FinishReason::Stop | FinishReason::ToolCalls => "stop",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
    });
    line["total_duration"] = json!(nanos);
    line["load_duration"] = json!(0);
    line["prompt_eval_count"] = json!(usage.prompt_tokens);
    line["prompt_eval_duration"] = json!(0);
    line["eval_count"] = json!(usage.completion_tokens);
    line["eval_duration"] = json!(nanos);
    if !citations.is_empty() {
        line["annotations"] = citations.iter().map(annotation).collect();
    }
}

/// The answer to clients that only have a model loaded.
fn loaded(
    context: &Context,
    services: &Services,
    form: Form,
    model: &str,
) -> Result<HttpResponse, ApiError> {
    complete::check_name(services, bare(services, model)).map_err(|error| context.fail(error))?;
    let answer = form.answer(String::new(), String::new());
    let mut line = form.line(model, &now(), answer);
    line["done"] = json!(true);
    line["done_reason"] = json!("load");
    Ok(HttpResponse::Ok().json(line))
}

fn now() -> String {
    let now = Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    now.to_string()
}

async fn answer(
    context: Context,
    services: Data<Services>,
    form: Form,
    input: Result<Box<ChatInput>, ServiceError>,
    streams: bool,
) -> Result<HttpResponse> {
    let (started, created_at) = (Instant::now(), now());
    let mut input = input.map_err(|error| context.fail(error))?;
    let services = services.into_inner();
    let name = input.model.as_deref().unwrap_or_default();
    input.model = Some(bare(&services, name).to_owned());
    if streams {
        let stream = complete::stream(services, context.caller(), input)
            .await
            .map_err(|error| context.fail(error))?;
        let lines = OllamaLines::of(form, &stream, created_at, started);
        return Ok(streams::response(stream, lines));
    }
    let answer = complete::complete(services, context.caller(), input)
        .await
        .map_err(|error| context.fail(error))?;
    let mut line = whole(form, &answer, &created_at).map_err(|error| context.fail(error))?;
    ending(
        &mut line,
        answer.reply.finish,
        answer.reply.usage.unwrap_or_default(),
        started.elapsed(),
        &answer.citations,
    );
    tell_judgement(&mut line, answer.validation.as_ref());
    Ok(told(&mut HttpResponse::Ok(), answer.attempts, answer.cache).json(line))
}

/// Ollama's clients put a tag behind a model's name.
fn bare<'a>(services: &Services, name: &'a str) -> &'a str {
    match name.strip_suffix(":latest") {
        Some(bare) if complete::check_name(services, name).is_err() => bare,
        _ => name,
    }
}

fn whole(form: Form, answer: &Completion, created_at: &str) -> Result<Value, ServiceError> {
    let reply = &answer.reply;
    let refusal = reply.refusal.as_deref().unwrap_or_default();
    let thinking = reply.reasoning.clone().unwrap_or_default();
    let mut fields = form.answer(format!("{}{refusal}", reply.text), thinking);
    let calls = calls_with_objects(&reply.tool_calls, reply.finish)?;
    let calls = calls
        .into_iter()
        .map(|(call, input)| call_json(call, input));
    form.set_calls(&mut fields, calls.collect());
    Ok(form.line(&answer.model, created_at, fields))
}
