//! One id for each request, from the client's header or minted here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use super::metrics::Metrics;

/// The header that carries it.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id taken over from a client, bytes.
const MAX_LEN: usize = 128;

/// A request's id.
#[derive(Debug, Clone)]
pub(super) struct RequestId(String);

impl RequestId {
    /// Mints an id: unguessable prefix for each process, then a counter.
    pub(super) fn mint() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static PREFIX: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
            use std::hash::{BuildHasher, Hasher};
            // The standard library seeds its hasher from the operating system's randomness.
            let seed = std::collections::hash_map::RandomState::new()
                .build_hasher()
                .finish();
            format!("{seed:016x}")
        });
        Self(format!(
            "req-{}-{:x}",
            *PREFIX,
            NEXT.fetch_add(1, Ordering::Relaxed)
        ))
    }

    fn from_client(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let sane = !text.is_empty()
            && text.len() <= MAX_LEN
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
        sane.then(|| Self(text.to_owned()))
    }

    /// Unwraps the text.
    pub(super) fn into_inner(self) -> String {
        self.0
    }
}

/// Names the request, counts it and times it.
pub async fn middleware(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let id = request
        .headers()
        .get(HEADER)
        .and_then(RequestId::from_client);
    let id = id.unwrap_or_else(RequestId::mint);
    request.extensions_mut().insert(id.clone());
    let metrics = request.app_data::<web::Data<Metrics>>().cloned();
    let method = request.method().clone();
    let path = request.path().to_owned();
    // The request must stay the only handle of its kind here: actix-web's router panics on a second one.
    let mut response = next.call(request).await?.map_into_boxed_body();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(HEADER, value);
    }
    let route = response
        .request()
        .match_pattern()
        .unwrap_or_else(|| "none".to_owned());
    let status = response.status().as_u16();
    let seconds = started.elapsed().as_secs_f64();
    if let Some(metrics) = metrics {
        metrics.observe(method.as_str(), &route, status, seconds);
    }
    tracing::debug!(request_id = id.0, %method, path, status, seconds, "request answered");
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_client_ids_are_taken_over() {
        for (given, taken) in [
            ("abc-1.2:3_4", true),
            ("", false),
            ("a b", false),
            ("a\"b", false),
        ] {
            let value = HeaderValue::from_str(given).unwrap();
            assert_eq!(RequestId::from_client(&value).is_some(), taken, "{given:?}");
        }
        let long = HeaderValue::from_str(&"a".repeat(MAX_LEN + 1)).unwrap();
        assert!(RequestId::from_client(&long).is_none());
    }

    #[test]
    fn minted_ids_differ() {
        assert_ne!(
            RequestId::mint().into_inner(),
            RequestId::mint().into_inner()
        );
    }
}
