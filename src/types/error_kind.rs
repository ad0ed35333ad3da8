//! The small closed set of failures that every layer's error maps to.

use serde::{Deserialize, Serialize};

/// What a caller can do about a failure. `api/error.rs` maps each to one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request is wrong; change it.
    BadRequest,
    /// The named thing does not exist.
    NotFound,
    /// The named thing exists already, with other properties, or is not as the request needs it.
    Conflict,
    /// The input is larger than the limit named in the message.
    TooLarge,
    /// The request's address is longer than the limit named in the message.
    UriTooLong,
    /// Well-formed, but refused (quarantined, against a rule, or not set up).
    Unprocessable,
    /// Missing or wrong credentials.
    Unauthorized,
    /// Not from there, whoever it is.
    Forbidden,
    /// The thing cannot be asked this way.
    MethodNotAllowed,
    /// Shed under load or over a rate limit; retry later.
    TooManyRequests,
    /// The part that answers is restarting, open or draining; retry later.
    Unavailable,
    /// The deadline passed.
    Timeout,
    /// An upstream answered with an error or broke off.
    Upstream,
    /// A fault of ours; the message names the crash or the cause.
    Internal,
}

impl ErrorKind {
    /// Whether the same request would fail the same way again.
    pub fn is_the_callers(self) -> bool {
        matches!(
            self,
            Self::BadRequest | Self::TooLarge | Self::UriTooLong | Self::Unprocessable
        )
    }
}
