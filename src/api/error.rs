//! The one place that chooses HTTP statuses, and the forms of an error.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::context::Context;
use super::error_body::body_text;
use super::openapi;
use crate::services::ServiceError;
use crate::types::error_kind::ErrorKind;

/// The form of an error's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavor {
    /// `{"error": {"message", "type", "param", "code"}}`.
    OpenAi,
    /// `{"type": "error", "error": {"type", "message"}}`.
    Anthropic,
    /// `{"error": "…"}`.
    Ollama,
    /// `{"jsonrpc": "2.0", "id": null, "error": {"code", "message", "data"}}`.
    JsonRpc,
    /// RFC 9457 problem+json.
    Problem,
}

impl Flavor {
    /// OpenAI's, Anthropic's, Ollama's and JSON-RPC's form under the paths that their clients call.
    pub(super) fn of(path: &str) -> Self {
        const OPENAI: [&str; 4] = [
            "/v1/chat/completions",
            "/v1/responses",
            "/v1/embeddings",
            "/v1/models",
        ];
        if OPENAI.iter().any(|prefix| path.starts_with(prefix)) {
            Self::OpenAi
        } else if path.starts_with("/v1/messages") {
            Self::Anthropic
        } else if path.starts_with("/api/") {
            Self::Ollama
        } else if path == "/mcp" {
            Self::JsonRpc
        } else {
            Self::Problem
        }
    }
}

/// A service's error on its way out.
#[derive(Debug)]
pub(super) struct ApiError {
    flavor: Flavor,
    request_id: String,
    // Boxed: a Result of every handler carries it.
    error: Box<ServiceError>,
}

impl ApiError {
    pub(super) fn new(flavor: Flavor, request_id: String, error: ServiceError) -> Self {
        Self {
            flavor,
            request_id,
            error: Box::new(error),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(formatter)
    }
}

/// The status of each kind of failure.
pub(super) fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::BadRequest => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::UriTooLong => StatusCode::URI_TOO_LONG,
        ErrorKind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorKind::Upstream => StatusCode::BAD_GATEWAY,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        status(self.error.kind)
    }

    fn error_response(&self) -> HttpResponse {
        if self.error.kind == ErrorKind::Internal {
            tracing::error!(
                request_id = self.request_id,
                error = self.error.logged(),
                "request failed"
            );
        }
        let mut response = HttpResponse::build(self.status_code());
        if let Some(wait) = self.error.retry_after_ms {
            response.insert_header((header::RETRY_AFTER, wait.div_ceil(1_000).max(1)));
        }
        if self.error.kind == ErrorKind::Unauthorized {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"boathouse\""));
        }
        if self.flavor == Flavor::Anthropic {
            response.insert_header(("request-id", self.request_id.as_str()));
        }
        let media_type = match self.flavor {
            Flavor::Problem => "application/problem+json",
            _ => "application/json",
        };
        let media_type = header::HeaderValue::from_static(media_type);
        response
            .insert_header((header::CONTENT_TYPE, media_type))
            .body(body_text(self.flavor, &self.error, &self.request_id))
    }
}

/// Answers a path that does not exist.
pub(super) async fn no_route(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let path: String = request.path().chars().take(200).collect();
    let error = ServiceError::not_found(format!("no route {path}; see /openapi.json"));
    Err(Context::of(&request).fail(error.code("unknown_route")))
}

/// Answers a method that the path does not have; `Allow` tells those that it has.
pub(super) async fn no_method(request: HttpRequest) -> HttpResponse {
    let (method, path) = (request.method(), request.path());
    let path: String = path.chars().take(200).collect();
    let message = format!("{method} is not allowed on {path}; see /openapi.json");
    let error = ServiceError::new(ErrorKind::MethodNotAllowed, message);
    let error = Context::of(&request).fail(error.code("method_not_allowed"));
    let mut response = error.error_response();
    let pattern = request.match_pattern().unwrap_or_default();
    if let Ok(allowed) = openapi::methods(&pattern).join(", ").parse() {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// Malformed paths and queries that actix-web itself refuses.
pub(super) fn refused(request: &HttpRequest, message: String) -> actix_web::Error {
    Context::of(request)
        .fail(ServiceError::bad_request(message))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_choose_the_form() {
        for (path, flavor) in [
            ("/v1/embeddings", Flavor::OpenAi),
            ("/v1/models/x", Flavor::OpenAi),
            ("/v1/chat/completions", Flavor::OpenAi),
            ("/v1/responses", Flavor::OpenAi),
            ("/v1/messages", Flavor::Anthropic),
            ("/api/chat", Flavor::Ollama),
            ("/api/embed", Flavor::Ollama),
            ("/mcp", Flavor::JsonRpc),
            ("/v1/validate", Flavor::Problem),
            ("/nowhere", Flavor::Problem),
        ] {
            assert_eq!(Flavor::of(path), flavor, "{path}");
        }
    }

    #[test]
    fn retry_after_is_in_whole_seconds_and_never_zero() {
        let error = ServiceError {
            retry_after_ms: Some(10),
            ..ServiceError::new(ErrorKind::Unavailable, "restarting")
        };
        let response = ApiError::new(Flavor::Problem, "r".to_owned(), error).error_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "1");
    }
}
