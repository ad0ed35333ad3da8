//! What a handler knows about the request it answers.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse};
use serde::Serialize;

use super::error::{ApiError, Flavor, problem_body};
use super::request_id::RequestId;
use crate::services::ServiceError;
use crate::services::complete::Caller;

/// Bounds of the HTTP edge.
#[derive(Debug, Clone, Copy, Default)]
pub struct EdgeLimits {
    /// Largest request body, bytes.
    pub max_body_bytes: usize,
    /// Longest wait for a whole body.
    pub body_timeout: Duration,
}

/// The request as an answer needs it: its id, and the form that its errors take.
// A handle on the request and nothing read from it yet: most answers are no errors.
#[derive(Debug, Clone)]
pub(super) struct Context(HttpRequest);

impl Context {
    /// The context of `request`.
    pub(super) fn of(request: &HttpRequest) -> Self {
        Self(request.clone())
    }

    /// Minted here, or the client's own when it sent a sane one.
    pub(super) fn request_id(&self) -> String {
        let extensions = self.0.extensions();
        let id = extensions.get::<RequestId>();
        id.cloned()
            .unwrap_or_else(RequestId::mint)
            .as_str()
            .to_owned()
    }

    /// Who asks for a chat: the bearer of a token, as OpenAI's clients send it, or Anthropic's.
    pub(super) fn caller(&self) -> Caller {
        let header = |name: &str| self.0.headers().get(name)?.to_str().ok();
        let bearer = header(AUTHORIZATION.as_str()).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token)
        });
        let token = bearer.or_else(|| header("x-api-key"));
        Caller::new(self.request_id(), token, header(CACHE_CONTROL.as_str()))
            .of_replay(header("x-boathouse-replay"))
            .repairing(header("x-boathouse-repairs"))
    }

    /// Gives a service's error its form.
    pub(super) fn fail(&self, error: ServiceError) -> ApiError {
        ApiError::new(Flavor::of(self.0.path()), self.request_id(), error)
    }

    /// An error as part of an answer.
    pub(super) fn problem(&self, error: &ServiceError) -> serde_json::Value {
        problem_body(error, &self.request_id())
    }

    /// Answers 200 with `body`, or the error.
    pub(super) fn json<T: Serialize>(
        &self,
        body: Result<T, ServiceError>,
    ) -> Result<HttpResponse, ApiError> {
        self.json_with(StatusCode::OK, body)
    }

    /// Answers `status` with `body`, or the error.
    pub(super) fn json_with<T: Serialize>(
        &self,
        status: StatusCode,
        body: Result<T, ServiceError>,
    ) -> Result<HttpResponse, ApiError> {
        body.map(|body| HttpResponse::build(status).json(body))
            .map_err(|error| self.fail(error))
    }
}

impl FromRequest for Context {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}
