//! What a handler knows about the request it answers.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse};
use serde::Serialize;

use super::access::token_of;
use super::error::{ApiError, Flavor};
use super::error_body::problem_body;
use super::request_id::RequestId;
use crate::services::complete::Caller;
use crate::services::keys::{Grant, out_of_scope};
use crate::services::{Asker, ServiceError, Services};
use crate::types::api_key::Scope;
use crate::types::trace::Trace;

/// Bounds of the HTTP edge.
#[derive(Debug, Clone, Copy, Default)]
pub struct EdgeLimits {
    /// Largest request body, bytes.
    pub max_body_bytes: usize,
    /// Requests that each worker serves at once.
    pub max_in_flight: usize,
    /// How long the rounds of a worker may take; zero: as long as they do.
    pub max_lag: Duration,
    /// Longest wait for a whole body.
    pub body_timeout: Duration,
    /// Longest path with its query, bytes.
    pub max_uri_bytes: usize,
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

    /// Where its spans begin, when somebody wants them.
    pub(super) fn trace(&self) -> Option<Trace> {
        self.0.extensions().get::<Trace>().cloned()
    }

    /// Who asks: its key, where the server has keys, else whoever its token stands for.
    pub(super) fn asker(&self) -> Asker {
        let asker = match self.key() {
            Some(grant) => Asker::with_key(self.request_id(), &grant),
            None => Asker::new(self.request_id(), token_of(self.0.headers())),
        };
        asker.within(self.trace())
    }

    /// Who asks for a chat.
    pub(super) fn caller(&self) -> Caller {
        let header = |name: &str| self.0.headers().get(name)?.to_str().ok();
        let cache_control = header(CACHE_CONTROL.as_str());
        Caller::new(self.asker(), cache_control)
            .bounded_by(self.key().as_deref())
            .of_replay(header("x-boathouse-replay"))
            .repairing(header("x-boathouse-repairs"))
    }

    /// Refuses a request whose key has not this scope; where the server has no keys, nobody. `what` is told.
    pub(super) fn require(
        &self,
        scope: Scope,
        what: &str,
    ) -> std::result::Result<(), ServiceError> {
        match self.key() {
            Some(grant) if !grant.may(scope) => Err(out_of_scope(&grant, scope, what)),
            _ => Ok(()),
        }
    }

    /// Whether who asks may be told what this scope opens, on a route that wants no key.
    pub(super) fn may_know(&self, services: &Services, scope: Scope) -> bool {
        match self.key() {
            Some(grant) => grant.may(scope),
            None => services.keys.version() == 0,
        }
    }

    /// The key of the request, where the server has keys.
    fn key(&self) -> Option<Arc<Grant>> {
        self.0.extensions().get::<Arc<Grant>>().cloned()
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
