//! What can go wrong between two machines.

use std::error::Error;

/// A call without an answer. No variant holds a URL, a header or a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The call itself cannot be sent. Final.
    #[error("the call cannot be sent: {0}")]
    BadCall(String),
    /// No connection. Nothing was sent: retry.
    #[error("no connection: {0}")]
    Connect(String),
    /// A bound on time was reached.
    #[error("{phase} took longer than {after_ms} ms")]
    Timeout {
        /// What was waited for.
        phase: &'static str,
        /// The bound.
        after_ms: u64,
    },
    /// The connection broke before the answer was complete.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The answer is larger than we read.
    #[error("the answer is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The bound.
        limit_bytes: usize,
    },
}

impl TransportError {
    /// Reads a reqwest error; `connect_ms` is the bound on connecting.
    pub(super) fn of(error: reqwest::Error, connect_ms: u64) -> Self {
        // The URL stays out: an operator may have put a secret into it.
        let error = error.without_url();
        let connecting = error.is_connect();
        if error.is_builder() {
            return Self::BadCall(deepest(&error));
        }
        match (connecting, error.is_timeout()) {
            (true, true) => Self::Timeout {
                phase: "connecting",
                after_ms: connect_ms,
            },
            (true, false) => Self::Connect(deepest(&error)),
            (false, _) => Self::Broken(deepest(&error)),
        }
    }
}

/// The innermost cause says what happened; the outer ones only where.
fn deepest(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().chars().take(300).collect()
}
