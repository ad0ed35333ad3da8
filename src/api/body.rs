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
use super::objects;
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
    let error = match objects::from_str(text) {
        Ok(parsed) => return Ok(parsed),
        Err(error) => error,
    };
    // `14.0` is a whole number to JSON and its schemas, and what some languages write; serde has none of it.
    let again = whole_numbers(text).map(|text| objects::from_str(&text));
    again.unwrap_or(Err(error)).map_err(|error| {
        let message: String = plain(&error.to_string()).chars().take(500).collect();
        // A null where a word is needed counts as a fault of syntax in serde_json, though it is JSON.
        ServiceError::bad_request(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => message,
            Err(_) => format!("the body is not JSON: {message}"),
        })
        .code("invalid_json")
    })
}

/// JSON with its whole numbers written as such, `14` for `14.0` and `1400` for `14e2`; none when all of them were.
fn whole_numbers(json: &str) -> Option<String> {
    // Beyond these not every whole number is one of a float's.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let mut written = String::new();
    let (mut kept, mut at) = (0, 0);
    let mut in_text = false;
    let bytes = json.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => at += 1,
            b'-' | b'0'..=b'9' if !in_text => {
                let rest = json.get(at..)?;
                let of_number = |char: char| char.is_ascii_digit() || "+-.eE".contains(char);
                let end = rest.find(|char| !of_number(char)).unwrap_or(rest.len());
                let (number, _) = rest.split_at_checked(end)?;
                let is_float = number.contains(['.', 'e', 'E']);
                let value = number.parse::<f64>().ok().filter(|_| is_float);
                if let Some(value) = value.filter(|it| it.fract() == 0.0 && it.abs() <= EXACT) {
                    written.push_str(json.get(kept..at)?);
                    // Adding nothing takes the sign from -0.
                    written.push_str(&format!("{:.0}", value + 0.0));
                    kept = at + end;
                }
                at += end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    written.push_str(json.get(kept..)?);
    (kept > 0).then_some(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
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

    #[test]
    fn a_whole_number_may_be_written_as_a_float() {
        for (number, expected) in [
            ("14.0", Some(14)),
            ("14e2", Some(1_400)),
            ("-0.0", Some(0)),
            ("14.5", None),
            ("-14.0", None),
            ("1e300", None),
        ] {
            let text = format!(r#"{{"k": {number}, "v": ["a \" 1.0", 1.0]}}"#);
            let parsed = parse::<Sample>(text.as_bytes()).ok();
            assert_eq!(parsed.and_then(|sample| sample.k), expected, "{number}");
        }
    }

    #[test]
    fn only_whole_numbers_are_written_anew() {
        let text = r#"{"1.0": "2.0 \"3.0", "a": [1.50, 2.0,-3e0], "b":-0.0}"#;
        let expected = r#"{"1.0": "2.0 \"3.0", "a": [1.50, 2,-3], "b":0}"#;
        assert_eq!(whole_numbers(text).as_deref(), Some(expected));
        for same in ["", r#"{"a": 1}"#, r#""1.0"#, "1.0.0", "-"] {
            assert_eq!(whole_numbers(same), None, "{same}");
        }
    }
}
