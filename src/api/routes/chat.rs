//! `POST /v1/chat/completions`, in OpenAI's shape.

use actix_web::web::Data;
use actix_web::{HttpResponse, HttpResponseBuilder, Result};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::api::answers::ServerSentEvent;
use crate::api::body::Body;
use crate::api::context::Context;
use crate::api::streams::{self, completions::Chunks};
use crate::services::Services;
use crate::services::collections;
use crate::services::complete::{self, CacheStatus, ChatInput, Completion};
use crate::types::chat::{Citation, ToolCall};
use crate::types::demand::Judgement;
use crate::types::evidence::TokenUsage;

/// How many candidates were tried.
const ATTEMPTS: &str = "x-boathouse-attempts";
/// What the cache of answers did, for a request that wanted it.
const CACHE: &str = "x-boathouse-cache";
/// What a whole answer cost, US dollars, where that is known.
const COST: &str = "x-boathouse-cost-usd";

/// Writes into the head how an answer was reached.
pub(in crate::api) fn told(
    response: &mut HttpResponseBuilder,
    attempts: usize,
    cache: Option<CacheStatus>,
) -> &mut HttpResponseBuilder {
    response.insert_header((ATTEMPTS, attempts));
    if let Some(status) = cache {
        response.insert_header((CACHE, status.as_str()));
    }
    response
}

/// Writes beside an answer what validators said of it.
pub(in crate::api) fn tell_judgement(answer: &mut Value, judgement: Option<&Judgement>) {
    if let Some(judgement) = judgement {
        answer["validation"] = json!(judgement);
    }
}

/// Answers a conversation, whole or as a stream, on request from the passages of a collection.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "chat", operation_id = "create_chat_completion",
    request_body = ChatInput,
    responses(
        (status = 200,
         description = "The answer; with `stream`, its chunks as events, the last one `[DONE]`",
         content((CompletionJson = "application/json"), (ServerSentEvent = "text/event-stream")))
    )
)]
pub(crate) async fn complete(
    context: Context,
    services: Data<Services>,
    body: Body<Box<ChatInput>>,
) -> Result<HttpResponse> {
    let (services, input) = (services.into_inner(), body.0);
    if input.wants_stream() {
        let stream = complete::stream(services, context.caller(), input)
            .await
            .map_err(|error| context.fail(error))?;
        let chunks = Chunks::of(&stream, context.request_id());
        return Ok(streams::response(stream, chunks));
    }
    let answer = complete::complete(services, context.caller(), input)
        .await
        .map_err(|error| context.fail(error))?;
    let mut response = HttpResponse::Ok();
    told(&mut response, answer.attempts, answer.cache);
    if let Some(cost) = answer.cost_usd {
        response.insert_header((COST, cost.to_string()));
    }
    Ok(response.json(CompletionJson::from(&answer)))
}

/// An answer in OpenAI's shape.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatCompletion)]
struct CompletionJson<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    #[schema(value_type = Vec<ChoiceJson>, min_items = 1, max_items = 1)]
    choices: [ChoiceJson<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<&'a Judgement>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatChoice)]
struct ChoiceJson<'a> {
    index: u8,
    message: MessageJson<'a>,
    #[schema(value_type = Option<Object>)]
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatAnswer)]
struct MessageJson<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: Option<&'a str>,
    /// What is cited: `url_citation` with `collection`, `id` and `quote` beside it.
    #[schema(value_type = Vec<Object>)]
    annotations: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<Object>, required = false)]
    thinking_blocks: &'a [Value],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    tool_calls: &'a [ToolCall],
}

/// Tokens in OpenAI's shape.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatUsage)]
pub(in crate::api) struct UsageJson {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl From<TokenUsage> for UsageJson {
    fn from(usage: TokenUsage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens.saturating_add(usage.completion_tokens),
        }
    }
}

impl<'a> From<&'a Completion> for CompletionJson<'a> {
    fn from(answer: &'a Completion) -> Self {
        let reply = &answer.reply;
        // OpenAI's clients take an empty content beside tool calls for text.
        let silent =
            reply.text.is_empty() && (!reply.tool_calls.is_empty() || reply.refusal.is_some());
        let message = MessageJson {
            role: "assistant",
            content: (!silent).then_some(&reply.text),
            refusal: reply.refusal.as_deref(),
            annotations: answer.citations.iter().map(annotation).collect(),
            reasoning_content: reply.reasoning.as_deref(),
            thinking_blocks: &reply.thinking_blocks,
            tool_calls: &reply.tool_calls,
        };
        Self {
            id: &answer.id,
            object: "chat.completion",
            created: answer.created,
            model: &answer.model,
            choices: [ChoiceJson {
                index: 0,
                message,
                logprobs: None,
                finish_reason: reply.finish.as_str(),
            }],
            usage: reply.usage.map(UsageJson::from),
            validation: answer.validation.as_ref(),
        }
    }
}

/// Writes a citation as OpenAI's `url_citation`, with our own fields beside it.
pub(in crate::api) fn annotation(citation: &Citation) -> Value {
    json!({
        "type": "url_citation",
        "url_citation": {
            "start_index": citation.start,
            "end_index": citation.end,
            "title": citation.title,
            "url": address(citation),
        },
        "index": citation.index,
        "collection": citation.collection,
        "id": citation.id,
        "quote": citation.quote,
    })
}

/// Where the cited passage is read.
pub(in crate::api) fn address(citation: &Citation) -> String {
    format!(
        "/v1{}",
        collections::point_path(&citation.collection, &citation.id)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::chat::{ChatReply, FinishReason, FunctionCall};

    fn answer(reply: ChatReply) -> Value {
        json!(CompletionJson::from(&Completion {
            id: "chatcmpl-1".into(),
            created: 7,
            model: "p/m".into(),
            reply,
            citations: vec![Citation {
                index: 1,
                start: 3,
                end: 6,
                collection: "docs".into(),
                id: "a b/ü".into(),
                title: "T".into(),
                quote: "q".into(),
            }],
            cost_usd: None,
            passages: None,
            validation: None,
            attempts: 1,
            cache: None,
        }))
    }

    #[test]
    fn an_answer_has_openais_shape() {
        let usage = Some(TokenUsage {
            prompt_tokens: 1,
            completion_tokens: 2,
            ..TokenUsage::default()
        });
        let written = answer(ChatReply {
            text: "Hi [1]".into(),
            usage,
            ..ChatReply::default()
        });
        assert_eq!(written["object"], "chat.completion");
        assert_eq!(written["choices"][0]["message"]["content"], "Hi [1]");
        assert_eq!(written["choices"][0]["finish_reason"], "stop");
        assert_eq!(written["usage"]["total_tokens"], 3);
        let annotation = &written["choices"][0]["message"]["annotations"][0];
        assert_eq!(
            annotation["url_citation"]["url"],
            "/v1/collections/docs/points/a%20b%2F%C3%BC"
        );
        assert_eq!(
            (&annotation["collection"], &annotation["id"]),
            (&json!("docs"), &json!("a b/ü"))
        );
    }

    #[test]
    fn content_is_null_beside_tool_calls_and_usage_absent_when_unknown() {
        let call = ToolCall {
            id: "c".into(),
            kind: "function".into(),
            function: FunctionCall {
                name: "f".into(),
                arguments: "{}".into(),
            },
            extra: serde_json::Map::new(),
        };
        let reply = ChatReply {
            tool_calls: vec![call],
            finish: FinishReason::ToolCalls,
            ..ChatReply::default()
        };
        let written = answer(reply);
        assert!(written["choices"][0]["message"]["content"].is_null());
        assert_eq!(
            written["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"],
            "{}"
        );
        assert!(written.get("usage").is_none());
        assert_eq!(
            answer(ChatReply::default())["choices"][0]["message"]["content"],
            ""
        );
    }
}
