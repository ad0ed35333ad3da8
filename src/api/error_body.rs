//! The bodies of errors in the forms that clients know.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::error::{Flavor, status};
use crate::services::ServiceError;
use crate::types::error_kind::ErrorKind;
use crate::types::validation::Finding;

/// RFC 9457's object, `application/problem+json`.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem<'a> {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What went wrong, with the values, and what to change.
    detail: &'a str,
    /// The request's id, as in the header `x-request-id`.
    request_id: &'a str,
    /// A stable word for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The request's field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    /// What validators found in an answer that was refused.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    findings: &'a [Finding],
}

/// OpenAI's error.
#[derive(Serialize, ToSchema)]
pub(super) struct OpenAiError<'a> {
    error: OpenAiErrorObject<'a>,
}

/// What OpenAI's error tells.
#[derive(Serialize, ToSchema)]
struct OpenAiErrorObject<'a> {
    /// What went wrong, with the values, and what to change.
    message: &'a str,
    /// OpenAI's word for the kind of failure.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The request's field at fault.
    param: Option<&'a str>,
    /// A stable word for programs.
    code: Option<&'static str>,
    /// The request's id, as in the header `x-request-id`.
    request_id: &'a str,
    /// What validators found in an answer that was refused.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    findings: &'a [Finding],
}

/// Anthropic's error.
#[derive(Serialize, ToSchema)]
pub(super) struct AnthropicError<'a> {
    /// Always `error`.
    #[serde(rename = "type")]
    kind: &'static str,
    error: AnthropicErrorObject<'a>,
    /// The request's id, as in the headers `request-id` and `x-request-id`.
    request_id: &'a str,
}

/// What Anthropic's error tells.
#[derive(Serialize, ToSchema)]
struct AnthropicErrorObject<'a> {
    /// Anthropic's word for the kind of failure.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What went wrong, with the values, and what to change.
    message: &'a str,
    /// What validators found in an answer that was refused.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    findings: &'a [Finding],
}

/// Ollama's error.
#[derive(Serialize, ToSchema)]
pub(super) struct OllamaError<'a> {
    /// What went wrong, with the values, and what to change.
    error: &'a str,
    /// What validators found in an answer that was refused.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    findings: &'a [Finding],
}

/// JSON-RPC's error.
#[derive(Serialize, ToSchema)]
pub(super) struct JsonRpcError<'a> {
    /// Always `2.0`.
    jsonrpc: &'static str,
    /// Always null: the message was not understood.
    #[schema(nullable, value_type = Object)]
    id: Option<u64>,
    error: JsonRpcErrorObject<'a>,
}

/// What JSON-RPC's error tells.
#[derive(Serialize, ToSchema)]
struct JsonRpcErrorObject<'a> {
    /// -32700: no JSON; -32600: no request; -32603: our failure.
    code: i32,
    /// What went wrong, with the values, and what to change.
    message: &'a str,
    /// The same as elsewhere.
    data: Problem<'a>,
}

/// The text of an answer's body. Not by way of a [`Value`]: most errors are refusals of an overload, which must cost little.
pub(super) fn body_text(flavor: Flavor, error: &ServiceError, request_id: &str) -> String {
    let text = match flavor {
        Flavor::OpenAi => serde_json::to_string(&openai(error, request_id)),
        Flavor::Anthropic => serde_json::to_string(&anthropic(error, request_id)),
        Flavor::Ollama => serde_json::to_string(&ollama(error)),
        Flavor::JsonRpc => serde_json::to_string(&rpc(error, request_id)),
        Flavor::Problem => serde_json::to_string(&problem(error, request_id)),
    };
    // Structs of texts and numbers are JSON.
    text.unwrap_or_default()
}

/// The OpenAI error object, also sent as an event in the middle of a stream.
pub(super) fn openai_body(error: &ServiceError, request_id: &str) -> Value {
    json!(openai(error, request_id))
}

fn openai<'a>(error: &'a ServiceError, request_id: &'a str) -> OpenAiError<'a> {
    OpenAiError {
        error: OpenAiErrorObject {
            message: &error.message,
            kind: openai_type(error.kind),
            param: error.param.as_deref(),
            code: error.code,
            request_id,
            findings: &error.findings,
        },
    }
}

/// The Anthropic error object, also sent as an event in the middle of a stream.
pub(super) fn anthropic_body(error: &ServiceError, request_id: &str) -> Value {
    json!(anthropic(error, request_id))
}

fn anthropic<'a>(error: &'a ServiceError, request_id: &'a str) -> AnthropicError<'a> {
    AnthropicError {
        kind: "error",
        error: AnthropicErrorObject {
            kind: anthropic_type(error.kind),
            message: &error.message,
            findings: &error.findings,
        },
        request_id,
    }
}

/// Ollama's bare message.
pub(super) fn ollama_body(error: &ServiceError) -> Value {
    json!(ollama(error))
}

fn ollama(error: &ServiceError) -> OllamaError<'_> {
    OllamaError {
        error: &error.message,
        findings: &error.findings,
    }
}

/// RFC 9457's object, also sent for a part of a request that failed by itself.
pub(super) fn problem_body(error: &ServiceError, request_id: &str) -> Value {
    json!(problem(error, request_id))
}

fn problem<'a>(error: &'a ServiceError, request_id: &'a str) -> Problem<'a> {
    let status = status(error.kind);
    Problem {
        kind: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail: &error.message,
        request_id,
        code: error.code,
        param: error.param.as_deref(),
        findings: &error.findings,
    }
}

/// JSON-RPC's error object, for failures before a message was understood.
pub(super) fn rpc_body(error: &ServiceError, request_id: &str) -> Value {
    json!(rpc(error, request_id))
}

fn rpc<'a>(error: &'a ServiceError, request_id: &'a str) -> JsonRpcError<'a> {
    let code = match (error.code, error.kind) {
        (Some("invalid_json" | "invalid_utf8"), _) => -32_700,
        (
            _,
            ErrorKind::Internal | ErrorKind::Upstream | ErrorKind::Unavailable | ErrorKind::Timeout,
        ) => -32_603,
        _ => -32_600,
    };
    JsonRpcError {
        jsonrpc: "2.0",
        id: None,
        error: JsonRpcErrorObject {
            code,
            message: &error.message,
            data: problem(error, request_id),
        },
    }
}

/// OpenAI's word for each failure of an answer that had begun.
pub(super) fn failure_json(error: &ServiceError) -> Value {
    let code = match error.kind {
        ErrorKind::TooManyRequests => "rate_limit_exceeded",
        kind if kind.is_the_callers() => "invalid_prompt",
        _ => "server_error",
    };
    json!({"code": code, "message": error.message})
}

/// OpenAI's word for each kind.
fn openai_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::BadRequest
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::TooLarge
        | ErrorKind::UriTooLong
        | ErrorKind::Forbidden
        | ErrorKind::MethodNotAllowed
        | ErrorKind::Unprocessable => "invalid_request_error",
        ErrorKind::Unauthorized => "authentication_error",
        ErrorKind::TooManyRequests => "rate_limit_error",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Upstream => "upstream_error",
        ErrorKind::Unavailable => "service_unavailable",
        ErrorKind::Internal => "server_error",
    }
}

/// Anthropic's word for each kind.
fn anthropic_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::BadRequest
        | ErrorKind::Conflict
        | ErrorKind::MethodNotAllowed
        | ErrorKind::Unprocessable => "invalid_request_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::TooLarge | ErrorKind::UriTooLong => "request_too_large",
        ErrorKind::Unauthorized => "authentication_error",
        ErrorKind::Forbidden => "permission_error",
        ErrorKind::TooManyRequests => "rate_limit_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Unavailable => "overloaded_error",
        ErrorKind::Upstream | ErrorKind::Internal => "api_error",
    }
}
