//! Whether a request may pass: its key, and what its route needs.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, HOST, HeaderMap, ORIGIN};

use super::origin::FETCH_SITE;
use super::scopes::{Need, need};
use crate::console::login;
use crate::services::keys::{Grant, KeyRing, Keys, denied, out_of_scope};
use crate::services::{ServiceError, Services, now_ms};
use crate::types::error_kind::ErrorKind;

/// Why a request does not pass.
pub(super) enum Refusal {
    /// As any failure is told.
    Error(Box<ServiceError>),
    /// A person's browser asks for a page: it is sent to where one logs in.
    LogIn,
    /// A script of a page of the console asks, whose session has ended: the page is sent there.
    LogInAgain,
}

/// Looks at keys for one worker. While the server has none, that is one look at one number.
pub(super) struct Access {
    services: Arc<Services>,
    version: Cell<u64>,
    ring: RefCell<Arc<KeyRing>>,
}

impl Access {
    pub(super) fn new(services: Arc<Services>) -> Self {
        Self {
            version: Cell::new(0),
            ring: RefCell::new(Arc::default()),
            services,
        }
    }

    /// Returns the key that a request came with, where one is needed.
    pub(super) fn check(&self, request: &ServiceRequest) -> Result<Option<Arc<Grant>>, Refusal> {
        let keys = &self.services.keys;
        let version = keys.version();
        if version == 0 {
            return Ok(None);
        }
        // As the router sees it: the raw path may write letters in other ways.
        let path = request.match_info().as_str();
        let need = need(request.method(), path);
        let scope = match need {
            Need::Nothing => return Ok(None),
            Need::Welcome | Need::AnyKey => None,
            Need::Key(scope) => Some(scope),
        };
        if self.version.replace(version) != version {
            *self.ring.borrow_mut() = keys.ring();
        }
        let ring = self.ring.borrow();
        let grant = match found(keys, &ring, request) {
            Ok(grant) => grant,
            Err(_) if need == Need::Welcome => return Ok(None),
            Err(error) => {
                let stranger = error.kind == ErrorKind::Unauthorized;
                return Err(match stranger {
                    true if is_page(request, path) => Refusal::LogIn,
                    true if is_part(request, path) => Refusal::LogInAgain,
                    _ => Refusal::Error(error),
                });
            }
        };
        match scope {
            Some(scope) if !grant.may(scope) => {
                let what = format!("{} {path}", request.method());
                let error = out_of_scope(&grant, scope, &what);
                Err(Refusal::Error(Box::new(error)))
            }
            _ => Ok(Some(grant)),
        }
    }
}

/// The good key of a request: the one that it carries, else that of its session.
fn found(
    keys: &Keys,
    ring: &KeyRing,
    request: &ServiceRequest,
) -> Result<Arc<Grant>, Box<ServiceError>> {
    let headers = request.headers();
    let admitted = if let Some(token) = token_of(headers) {
        ring.admit(token, now_ms())
    } else if let Some(id) = login::session(headers).and_then(|secret| keys.of_session(secret)) {
        check_own_page(request)?;
        ring.admit_id(&id, now_ms())
    } else {
        let message = "this server needs an API key: send it as `Authorization: Bearer KEY` or `x-api-key: KEY`";
        let error = ServiceError::new(ErrorKind::Unauthorized, message).code("missing_api_key");
        return Err(Box::new(error));
    };
    match admitted {
        Ok(grant) => Ok(Arc::clone(grant)),
        Err(why) => Err(Box::new(denied(why))),
    }
}

/// The token that a request carries, as OpenAI's and Ollama's clients send it, or Anthropic's.
pub(super) fn token_of(headers: &HeaderMap) -> Option<&str> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let bearer = header(AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    });
    let token = bearer.or_else(|| header("x-api-key"))?.trim();
    (!token.is_empty()).then_some(token)
}

/// A browser sends a session along by itself, also from a page of another port of this machine: what changes
/// something must come from a page of this server.
fn check_own_page(request: &ServiceRequest) -> Result<(), Box<ServiceError>> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    let text = |name| request.headers().get(name)?.to_str().ok();
    let own = match text(&ORIGIN) {
        Some(origin) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some() && authority == text(&HOST)
        }
        None => text(&FETCH_SITE) == Some("same-origin"),
    };
    if own {
        return Ok(());
    }
    let message = "a session serves only pages of this server; send a key";
    let error = ServiceError::new(ErrorKind::Forbidden, message).code("foreign_origin");
    Err(Box::new(error))
}

/// Whether a person's browser asks for a page.
fn is_page(request: &ServiceRequest, path: &str) -> bool {
    let accepts = request
        .headers()
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok());
    *request.method() == Method::GET
        && ["/console", "/docs"]
            .iter()
            .any(|start| path == "/" || path.starts_with(start))
        && accepts.is_some_and(|kinds| kinds.contains("text/html"))
}

/// Whether a page of the console asks for a part of itself, or sends a form, by its script.
fn is_part(request: &ServiceRequest, path: &str) -> bool {
    path.starts_with("/console") && request.headers().contains_key(login::BY_SCRIPT)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        headers
    }

    #[test]
    fn a_token_is_read_as_each_client_sends_it() {
        for (given, expected) in [
            (vec![("authorization", "Bearer k")], Some("k")),
            (vec![("authorization", "bearer  k ")], Some("k")),
            (vec![("x-api-key", "k")], Some("k")),
            (
                vec![("authorization", "Basic k"), ("x-api-key", "x")],
                Some("x"),
            ),
            (
                vec![("authorization", "Bearer k"), ("x-api-key", "x")],
                Some("k"),
            ),
            (vec![("authorization", "Bearer ")], None),
            (vec![("authorization", "k")], None),
            (vec![], None),
        ] {
            assert_eq!(token_of(&headers(&given)), expected, "{given:?}");
        }
    }
}
