//! One id for each request, from the client's header or minted here.

use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::header::{HeaderName, HeaderValue};
use bytes::Bytes;

/// The header that carries it.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id taken over from a client, bytes.
const MAX_LEN: usize = 128;

/// A request's id. Cheap to clone.
// Invariant: visible ASCII.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

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
            format!("req-{seed:016x}-")
        });
        let count = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut text = Vec::with_capacity(PREFIX.len() + 16);
        text.extend_from_slice(PREFIX.as_bytes());
        // By hand: the formatting machinery takes longer than all the rest of it.
        let digits = (u64::BITS - count.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            let nibble = usize::try_from(count >> (4 * digit) & 0xf).unwrap_or(0);
            text.push(b"0123456789abcdef"[nibble]);
        }
        let value = HeaderValue::from_maybe_shared(Bytes::from(text));
        Self(value.unwrap_or(HeaderValue::from_static("req-")))
    }

    /// Takes over the id that a client sent, if it is sane.
    pub(super) fn from_client(value: &HeaderValue) -> Option<Self> {
        let text = value.as_bytes();
        let sane = !text.is_empty()
            && text.len() <= MAX_LEN
            && text
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte));
        sane.then(|| Self(value.clone()))
    }

    /// Its text.
    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The header's value.
    pub(super) fn into_value(self) -> HeaderValue {
        self.0
    }
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
        let (one, two) = (RequestId::mint(), RequestId::mint());
        assert_ne!(one.as_str(), two.as_str());
        assert!(one.as_str().starts_with("req-") && one.as_str().len() > 21);
    }
}
