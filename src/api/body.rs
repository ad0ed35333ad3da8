//! Reading JSON bodies: bounded, UTF-8, no unknown fields, with errors that say what to change.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::Sleep;

use super::context::{Context, EdgeLimits};
use super::error::ApiError;
use crate::services::ServiceError;
use crate::types::error_kind::ErrorKind;
use crate::types::plain::plain;

/// A parsed JSON body. Any content type will do: clients of OpenAI-shaped APIs often send none.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = Reading<T>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limits = request.app_data::<EdgeLimits>();
        Reading {
            context: Context::of(request),
            limits: limits.copied().unwrap_or_default(),
            bytes: web::Bytes::from_request(request, payload),
            polled: false,
            timer: None,
            body: PhantomData,
        }
    }
}

/// A body on its way.
pub(super) struct Reading<T> {
    context: Context,
    limits: EdgeLimits,
    bytes: <web::Bytes as FromRequest>::Future,
    polled: bool,
    timer: Option<Pin<Box<Sleep>>>,
    body: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Reading<T> {
    fn read(&self, bytes: Result<web::Bytes, actix_web::Error>) -> Result<Body<T>, ServiceError> {
        let bytes = bytes.map_err(|error| {
            let status = error.as_response_error().status_code();
            if status == actix_web::http::StatusCode::PAYLOAD_TOO_LARGE {
                let limit = self.limits.max_body_bytes;
                let message = format!("the body is larger than http.max_body_bytes, {limit}");
                ServiceError::new(ErrorKind::TooLarge, message)
            } else {
                ServiceError::bad_request(format!("the body could not be read: {error}"))
            }
        })?;
        parse(&bytes).map(Body)
    }

    /// Whether the time is up. A body that came with its head is there at the second look, so the timer starts only
    /// then: it would cost more than the reading.
    fn is_late(&mut self, task: &mut Task<'_>) -> bool {
        if !std::mem::replace(&mut self.polled, true) {
            task.waker().wake_by_ref();
            return false;
        }
        let wait = self.limits.body_timeout;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
        timer.as_mut().poll(task).is_ready()
    }
}

impl<T: DeserializeOwned> Future for Reading<T> {
    type Output = Result<Body<T>, ApiError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let read = match Pin::new(&mut this.bytes).poll(task) {
            Poll::Ready(bytes) => this.read(bytes),
            Poll::Pending if this.is_late(task) => {
                let waited = this.limits.body_timeout.as_millis();
                let message = format!("the body did not arrive within http.deadline_ms, {waited}");
                Err(ServiceError::new(ErrorKind::Timeout, message).code("body_timeout"))
            }
            Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(read.map_err(|error| this.context.fail(error)))
    }
}

/// Parses JSON; an empty body counts as `{}`.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ServiceError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        ServiceError::bad_request(format!(
            "the body is not UTF-8: bad byte at {}",
            error.valid_up_to()
        ))
        .code("invalid_utf8")
    })?;
    let text = if text.trim().is_empty() { "{}" } else { text };
    if !text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return Err(
            ServiceError::bad_request("the body must be a JSON object").code("invalid_json")
        );
    }
    serde_json::from_str(text).map_err(|error| {
        let message: String = plain(&error.to_string()).chars().take(500).collect();
        // A null where a word is needed counts as a fault of syntax in serde_json, though it is JSON.
        ServiceError::bad_request(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => message,
            Err(_) => format!("the body is not JSON: {message}"),
        })
        .code("invalid_json")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only parsed")]
        k: Option<usize>,
        #[expect(dead_code, reason = "only parsed")]
        v: Option<serde_json::Value>,
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let deep = format!("{{\"v\": {}", "[".repeat(100_000));
        for (bytes, expected) in [
            (&b"{\"k\": 1"[..], "not JSON"),
            (b"{\"q\": 1}", "unknown field `q`, expected `k` or `v`"),
            (b"{\"k\": -1}", "invalid value"),
            (b"[1]", "must be a JSON object"),
            (b"3", "must be a JSON object"),
            (b"{\"k\": \"\xff\"}", "not UTF-8: bad byte at 7"),
            (b"{\"k\": NaN}", "not JSON"),
            (deep.as_bytes(), "recursion limit"),
        ] {
            let error = parse::<Sample>(bytes).unwrap_err();
            assert_eq!(error.kind, ErrorKind::BadRequest);
            assert!(
                error.message.contains(expected),
                "{expected}: {}",
                error.message
            );
        }
        assert!(parse::<Sample>(b"").is_ok());
    }
}
