//! `POST /v1/messages`, in Anthropic's shape.

use actix_web::web::Data;
use actix_web::{HttpResponse, Result};
use serde_json::{Value, json};

use super::chat::{address, tell_judgement, told};
use crate::api::answers::ServerSentEvent;
use crate::api::body::Body;
use crate::api::context::Context;
use crate::api::streams::{self, messages::MessageEvents};
use crate::services::complete::{self, Completion};
use crate::services::surfaces::messages::MessagesInput;
use crate::services::{ServiceError, Services};
use crate::types::chat::{Citation, FinishReason, ToolCall};
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::TokenUsage;

/// Answers a conversation, whole or as a stream, in the shape of Anthropic's messages.
#[utoipa::path(
    post, path = "/v1/messages", tag = "chat", operation_id = "create_message",
    request_body = MessagesInput,
    responses(
        (status = 200,
         description = "The answer; with `stream`, its events",
         content((ref("#/components/schemas/Message") = "application/json"), (ServerSentEvent = "text/event-stream")))
    )
)]
pub(crate) async fn create(
    context: Context,
    services: Data<Services>,
    body: Body<MessagesInput>,
) -> Result<HttpResponse> {
    let (services, request_id) = (services.into_inner(), context.request_id());
    let streams = body.0.wants_stream();
    let input = body.0.into_chat().map_err(|error| context.fail(error))?;
    let mut response = if streams {
        let stream = complete::stream(services, context.caller(), input)
            .await
            .map_err(|error| context.fail(error))?;
        let events = MessageEvents::of(&stream, request_id.clone());
        streams::response(stream, events)
    } else {
        let answer = complete::complete(services, context.caller(), input)
            .await
            .map_err(|error| context.fail(error))?;
        let written = message_json(&answer).map_err(|error| context.fail(error))?;
        told(&mut HttpResponse::Ok(), answer.attempts, answer.cache).json(written)
    };
    // Anthropic's clients look for it by this name.
    if let Ok(value) = request_id.parse() {
        let name = actix_web::http::header::HeaderName::from_static("request-id");
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// Writes an answer in Anthropic's shape.
fn message_json(answer: &Completion) -> Result<Value, ServiceError> {
    let reply = &answer.reply;
    let mut content = reply.thinking_blocks.clone();
    if let Some(reasoning) = reply.reasoning.as_ref().filter(|_| content.is_empty()) {
        // Not signed: it was another provider's.
        content.push(json!({"type": "thinking", "thinking": reasoning, "signature": ""}));
    }
    let refusal = reply.refusal.as_deref().unwrap_or_default();
    let text = format!("{}{refusal}", reply.text);
    if !text.is_empty() || (content.is_empty() && reply.tool_calls.is_empty()) {
        let citations: Vec<Value> = answer.citations.iter().map(citation_json).collect();
        let citations = (!citations.is_empty()).then_some(citations);
        content.push(json!({"type": "text", "text": text, "citations": citations}));
    }
    for (call, input) in calls_with_objects(&reply.tool_calls, reply.finish)? {
        let mut block = json!({
            "type": "tool_use", "id": call.id, "name": call.function.name, "input": input,
        });
        for (name, value) in &call.extra {
            block[name] = value.clone();
        }
        content.push(block);
    }
    let mut written = json!({
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop_reason(reply.finish),
        "stop_sequence": null,
        "usage": usage_json(reply.usage.unwrap_or_default()),
    });
    tell_judgement(&mut written, answer.validation.as_ref());
    Ok(written)
}

/// Pairs calls with their arguments as objects. One that the bound on tokens cut is left out.
///
/// Errors: the model wrote arguments that are no object.
pub(in crate::api) fn calls_with_objects(
    calls: &[ToolCall],
    finish: FinishReason,
) -> Result<Vec<(&ToolCall, Value)>, ServiceError> {
    let mut read = Vec::new();
    for call in calls {
        match call.arguments() {
            Ok(arguments) => read.push((call, Value::Object(arguments))),
            Err(_) if finish == FinishReason::Length => {}
            Err(error) => {
                let name = &call.function.name;
                let message = format!("the arguments of {name} are no JSON object: {error}");
                let error = ServiceError::new(ErrorKind::Upstream, message);
                return Err(error.code("malformed"));
            }
        }
    }
    Ok(read)
}

/// Anthropic's word for why an answer ended.
pub(in crate::api) fn stop_reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}

/// Writes the tokens with every field: clients fail on missing ones.
pub(in crate::api) fn usage_json(usage: TokenUsage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    })
}

/// Writes a citation as one of a search result, which a passage is.
pub(in crate::api) fn citation_json(citation: &Citation) -> Value {
    json!({
        "type": "search_result_location",
        "cited_text": citation.quote,
        "search_result_index": citation.index.saturating_sub(1),
        "source": address(citation),
        "title": citation.title,
        "start_block_index": 0,
        "end_block_index": 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::chat::{ChatReply, FunctionCall};

    fn call(arguments: &str) -> ToolCall {
        ToolCall {
            id: "c".into(),
            kind: "function".into(),
            function: FunctionCall {
                name: "f".into(),
                arguments: arguments.into(),
            },
            extra: serde_json::Map::new(),
        }
    }

    fn answer(reply: ChatReply) -> Result<Value, ServiceError> {
        message_json(&Completion {
            id: "msg_1".into(),
            created: 7,
            model: "p/m".into(),
            reply,
            citations: Vec::new(),
            cost_usd: None,
            passages: None,
            validation: None,
            attempts: 1,
            cache: None,
        })
    }

    #[test]
    fn an_answer_has_anthropics_shape() {
        let written = answer(ChatReply {
            text: "Hi".into(),
            thinking_blocks: vec![json!({"type": "thinking", "thinking": "hm", "signature": "s"})],
            reasoning: Some("hm".into()),
            tool_calls: vec![call("{\"a\":1}"), call("")],
            finish: FinishReason::ToolCalls,
            ..ChatReply::default()
        });
        assert_eq!(
            written.unwrap(),
            json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "p/m",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "Hi", "citations": null},
                    {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}},
                    {"type": "tool_use", "id": "c", "name": "f", "input": {}}],
                "stop_reason": "tool_use", "stop_sequence": null,
                "usage": {"input_tokens": 0, "output_tokens": 0,
                    "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
            })
        );
        let empty = answer(ChatReply::default()).unwrap();
        assert_eq!(empty["content"][0]["text"], "", "clients read content[0]");
    }

    #[test]
    fn broken_arguments_are_an_error_unless_the_answer_was_cut() {
        let reply = |finish| ChatReply {
            tool_calls: vec![call("{\"a\":")],
            finish,
            ..ChatReply::default()
        };
        let error = answer(reply(FinishReason::ToolCalls)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Upstream);
        let cut = answer(reply(FinishReason::Length)).unwrap();
        assert_eq!(cut["stop_reason"], "max_tokens");
    }
}
