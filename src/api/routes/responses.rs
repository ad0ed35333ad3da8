//! `POST /v1/responses`, in OpenAI's shape.

use actix_web::web::Data;
use actix_web::{HttpResponse, Result};
use serde_json::{Value, json};

use super::chat::{address, tell_judgement, told};
use crate::api::answers::ServerSentEvent;
use crate::api::body::Body;
use crate::api::context::Context;
use crate::api::streams::{self, responses::ResponseEvents};
use crate::services::Services;
use crate::services::complete::{self, Completion};
use crate::services::surfaces::responses::{REASONING_MARK, ResponsesEcho, ResponsesInput};
use crate::types::chat::{Citation, FinishReason, ToolCall};
use crate::types::evidence::TokenUsage;

/// Answers a conversation, whole or as a stream, in the shape of OpenAI's responses. Nothing is
/// kept between requests.
#[utoipa::path(
    post, path = "/v1/responses", tag = "chat", operation_id = "create_response",
    request_body = ResponsesInput,
    responses(
        (status = 200,
         description = "The answer; with `stream`, its events",
         content((ref("#/components/schemas/Response") = "application/json"), (ServerSentEvent = "text/event-stream")))
    )
)]
pub(crate) async fn create(
    context: Context,
    services: Data<Services>,
    body: Body<ResponsesInput>,
) -> Result<HttpResponse> {
    let (services, request_id) = (services.into_inner(), context.request_id());
    let (streams, echo) = (body.0.wants_stream(), body.0.echo());
    let input = body.0.into_chat().map_err(|error| context.fail(error))?;
    if streams {
        let stream = complete::stream(services, context.caller(), input)
            .await
            .map_err(|error| context.fail(error))?;
        let events = ResponseEvents::of(&stream, echo, request_id);
        return Ok(streams::response(stream, events));
    }
    let answer = complete::complete(services, context.caller(), input)
        .await
        .map_err(|error| context.fail(error))?;
    Ok(told(&mut HttpResponse::Ok(), answer.attempts, answer.cache).json(whole(&answer, &echo)))
}

/// Writes a complete answer.
fn whole(answer: &Completion, echo: &ResponsesEcho) -> Value {
    let (reply, items) = (&answer.reply, Items(&answer.id));
    let (status, details) = status_of(reply.finish);
    let mut output = Vec::new();
    let reasoning = reply.reasoning.as_deref().unwrap_or_default();
    if !reasoning.is_empty() || !reply.thinking_blocks.is_empty() {
        let id = items.id("rs", 0);
        output.push(reasoning_item(&id, reasoning, &reply.thinking_blocks));
    }
    let text = (!reply.text.is_empty()).then(|| text_part(&reply.text, &answer.citations));
    let refusal = reply.refusal.as_deref().map(refusal_part);
    let parts: Vec<Value> = text.into_iter().chain(refusal).collect();
    if !parts.is_empty() || (output.is_empty() && reply.tool_calls.is_empty()) {
        output.push(message_item(&items.id("msg", 0), status, parts));
    }
    for (index, call) in reply.tool_calls.iter().enumerate() {
        output.push(call_item(&items.id("fc", index), status, call));
    }
    let mut written = response_json(
        &answer.id,
        answer.created,
        &answer.model,
        status,
        output,
        echo,
    );
    written["incomplete_details"] = details;
    written["usage"] = reply.usage.map_or(Value::Null, usage_json);
    tell_judgement(&mut written, answer.validation.as_ref());
    written
}

/// Names the items of one answer.
pub(in crate::api) struct Items<'a>(pub(in crate::api) &'a str);

impl Items<'_> {
    /// The id of an item: unique, and the same whenever it is named.
    pub(in crate::api) fn id(&self, kind: &str, index: usize) -> String {
        let answer = self.0.strip_prefix("resp_").unwrap_or(self.0);
        format!("{kind}_{answer}-{index}")
    }
}

/// Writes what every form of a response has, with the fields of its request.
pub(in crate::api) fn response_json(
    id: &str,
    created: u64,
    model: &str,
    status: &str,
    output: Vec<Value>,
    echo: &ResponsesEcho,
) -> Value {
    let mut written = json!({
        "id": id,
        "object": "response",
        "created_at": created,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "model": model,
        "output": output,
        "usage": null,
    });
    for (name, value) in &echo.fields {
        written[name] = value.clone();
    }
    written
}

/// How a complete answer ended, and why it is not all that was asked for.
pub(in crate::api) fn status_of(finish: FinishReason) -> (&'static str, Value) {
    match finish {
        FinishReason::Stop | FinishReason::ToolCalls => ("completed", Value::Null),
        FinishReason::Length => ("incomplete", json!({"reason": "max_output_tokens"})),
        FinishReason::ContentFilter => ("incomplete", json!({"reason": "content_filter"})),
    }
}

/// Writes the reasoning; what must come back signed travels where clients keep what they cannot
/// read.
pub(in crate::api) fn reasoning_item(id: &str, text: &str, blocks: &[Value]) -> Value {
    let summary = (!text.is_empty()).then(|| json!({"type": "summary_text", "text": text}));
    let kept = (!blocks.is_empty()).then(|| format!("{REASONING_MARK}{}", json!(blocks)));
    json!({
        "id": id, "type": "reasoning", "summary": summary.into_iter().collect::<Vec<_>>(),
        "encrypted_content": kept,
    })
}

pub(in crate::api) fn message_item(id: &str, status: &str, content: Vec<Value>) -> Value {
    json!({
        "id": id, "type": "message", "role": "assistant", "status": status, "content": content,
    })
}

pub(in crate::api) fn call_item(id: &str, status: &str, call: &ToolCall) -> Value {
    let mut item = json!({
        "id": id, "type": "function_call", "status": status, "call_id": call.id,
        "name": call.function.name, "arguments": call.function.arguments,
    });
    for (name, value) in &call.extra {
        item[name] = value.clone();
    }
    item
}

pub(in crate::api) fn text_part(text: &str, citations: &[Citation]) -> Value {
    let annotations: Vec<Value> = citations.iter().map(annotation).collect();
    json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": []})
}

pub(in crate::api) fn refusal_part(refusal: &str) -> Value {
    json!({"type": "refusal", "refusal": refusal})
}

/// Writes a citation, with our own fields beside OpenAI's.
pub(in crate::api) fn annotation(citation: &Citation) -> Value {
    json!({
        "type": "url_citation",
        "start_index": citation.start,
        "end_index": citation.end,
        "title": citation.title,
        "url": address(citation),
        "collection": citation.collection,
        "id": citation.id,
        "quote": citation.quote,
    })
}

/// Writes the tokens with every field: clients fail on missing ones.
pub(in crate::api) fn usage_json(usage: TokenUsage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens.saturating_add(usage.completion_tokens),
    })
}
