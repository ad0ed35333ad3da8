//! What can go wrong with a request that an upstream answers, and what to do about it.

use crate::types::error_kind::ErrorKind;

/// A failed request. No variant holds a key, a header or a prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// No route, alias or provider answers to this name. Final.
    #[error("no model named {model}; known: {known}")]
    UnknownModel {
        /// The name asked for, shortened.
        model: String,
        /// The names that exist, comma-separated.
        known: String,
    },
    /// The request is wrong, whoever would answer it. Final.
    #[error("{param}: {message}")]
    Invalid {
        /// The field at fault.
        param: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The upstream says that the request is wrong. Final: another would say so too.
    #[error("{provider} refused the request ({status}): {message}")]
    Rejected {
        /// Who.
        provider: String,
        /// Its status.
        status: u16,
        /// Its words, shortened.
        message: String,
    },
    /// This provider cannot be asked this; another may. Ask the next.
    #[error("{provider} cannot do this: {message}")]
    Unsupported {
        /// Who.
        provider: String,
        /// What it cannot do.
        message: String,
    },
    /// The request does not fit the model's context. Another model may hold more.
    #[error("the request is too long for {provider}: {message}")]
    TooLong {
        /// Who.
        provider: String,
        /// Its words, shortened.
        message: String,
    },
    /// The upstream does not know the model. Ask the next.
    #[error("{provider} does not have the model (404): {message}")]
    NoModel {
        /// Who.
        provider: String,
        /// Its words, shortened.
        message: String,
    },
    /// The upstream refuses our key, or our account. Ask the next.
    #[error("{provider} refused the server's credentials or account ({status}): {message}")]
    Denied {
        /// Who.
        provider: String,
        /// Its status.
        status: u16,
        /// Its words, shortened.
        message: String,
    },
    /// The key is not where the settings say. Ask the next.
    #[error("{provider} needs its key in {place}")]
    NoKey {
        /// Who.
        provider: String,
        /// Where the key was looked for, and that it is not there.
        place: String,
    },
    /// The upstream limits our rate. Retry when it says, or ask the next.
    #[error("{provider} limits the rate ({status}): {message}")]
    RateLimited {
        /// Who.
        provider: String,
        /// Its status.
        status: u16,
        /// Its words, shortened.
        message: String,
        /// When it wants to be asked again.
        retry_after_ms: Option<u64>,
    },
    /// The upstream failed. Retry, then ask the next.
    #[error("{provider} failed ({status}): {message}")]
    Upstream {
        /// Who.
        provider: String,
        /// Its status; 200 for an error in the body.
        status: u16,
        /// Its words, shortened.
        message: String,
        /// When it wants to be asked again.
        retry_after_ms: Option<u64>,
    },
    /// The upstream could not be reached, or the connection broke. Retry, then ask the next.
    #[error("{provider} could not be reached: {message}")]
    Unreachable {
        /// Who.
        provider: String,
        /// What happened.
        message: String,
    },
    /// The upstream was silent for too long. Ask the next.
    #[error("{provider} timed out: {phase} took longer than {after_ms} ms")]
    Timeout {
        /// Who.
        provider: String,
        /// What was waited for.
        phase: &'static str,
        /// The bound.
        after_ms: u64,
    },
    /// The answer broke off. Retry while nothing of it was passed on.
    #[error("{provider} broke off before the answer was complete")]
    Cut {
        /// Who.
        provider: String,
    },
    /// The answer makes no sense. Ask the next.
    #[error("{provider} sent an answer that cannot be read: {message}")]
    Malformed {
        /// Who.
        provider: String,
        /// What is wrong with it.
        message: String,
    },
    /// The provider failed too often and rests. Ask the next.
    #[error("{provider} failed repeatedly and rests for another {retry_after_ms} ms")]
    Open {
        /// Who.
        provider: String,
        /// When it is tried again.
        retry_after_ms: u64,
    },
    /// Our own bound on what the provider is asked in a minute is reached. Ask the next.
    #[error(
        "{provider} is asked no more than {limit} {of} a minute; there is room in {retry_after_ms} ms"
    )]
    Paced {
        /// Who.
        provider: String,
        /// What there would be too many of.
        of: &'static str,
        /// The bound.
        limit: u64,
        /// When there is room again.
        retry_after_ms: u64,
    },
    /// The time for the whole request is over. Final.
    #[error("the time for the whole request is over, {after_ms} ms")]
    Expired {
        /// The time it had.
        after_ms: u64,
    },
}

/// What the dispatcher does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Ask the same candidate again, then the next.
    Retry,
    /// Ask the next candidate.
    Next,
    /// Give up: nobody would answer otherwise.
    Final,
}

impl UpstreamError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownModel { .. } | Self::NoModel { .. } => ErrorKind::NotFound,
            Self::Invalid { .. } | Self::Rejected { .. } | Self::Unsupported { .. } => {
                ErrorKind::BadRequest
            }
            Self::TooLong { .. } => ErrorKind::TooLarge,
            Self::RateLimited { .. } | Self::Paced { .. } => ErrorKind::TooManyRequests,
            Self::Timeout { .. } | Self::Expired { .. } => ErrorKind::Timeout,
            Self::NoKey { .. } | Self::Open { .. } => ErrorKind::Unavailable,
            Self::Upstream {
                status: 503 | 529, ..
            } => ErrorKind::Unavailable,
            Self::Denied { .. }
            | Self::Upstream { .. }
            | Self::Unreachable { .. }
            | Self::Cut { .. }
            | Self::Malformed { .. } => ErrorKind::Upstream,
        }
    }

    /// When a retry makes sense.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after_ms, .. } | Self::Upstream { retry_after_ms, .. } => {
                *retry_after_ms
            }
            Self::Open { retry_after_ms, .. } | Self::Paced { retry_after_ms, .. } => {
                Some(*retry_after_ms)
            }
            _ => None,
        }
    }

    /// What the dispatcher does about it.
    pub fn reaction(&self) -> Reaction {
        match self {
            Self::RateLimited { .. }
            | Self::Upstream { .. }
            | Self::Unreachable { .. }
            | Self::Cut { .. } => Reaction::Retry,
            Self::Unsupported { .. }
            | Self::TooLong { .. }
            | Self::NoModel { .. }
            | Self::Denied { .. }
            | Self::NoKey { .. }
            | Self::Timeout { .. }
            | Self::Malformed { .. }
            | Self::Paced { .. }
            | Self::Open { .. } => Reaction::Next,
            Self::UnknownModel { .. }
            | Self::Invalid { .. }
            | Self::Rejected { .. }
            | Self::Expired { .. } => Reaction::Final,
        }
    }

    /// Whether it speaks against the provider as a whole, so that its breaker counts it.
    pub fn counts_as_failure(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. }
                | Self::Upstream { .. }
                | Self::Unreachable { .. }
                | Self::Timeout { .. }
                | Self::Cut { .. }
                | Self::Malformed { .. }
        )
    }

    /// The same without the upstream's own words, for logs and traces: they may repeat what it was asked.
    #[must_use]
    pub fn without_words(&self) -> Self {
        let mut error = self.clone();
        match &mut error {
            Self::Rejected { message, .. }
            | Self::TooLong { message, .. }
            | Self::NoModel { message, .. }
            | Self::Denied { message, .. }
            | Self::RateLimited { message, .. }
            | Self::Upstream { message, .. }
            | Self::Malformed { message, .. } => "its words are in the answer".clone_into(message),
            Self::UnknownModel { .. }
            | Self::Invalid { .. }
            | Self::Unsupported { .. }
            | Self::NoKey { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Cut { .. }
            | Self::Open { .. }
            | Self::Paced { .. }
            | Self::Expired { .. } => {}
        }
        error
    }

    /// One stable word, for evidence and headers.
    pub fn word(&self) -> &'static str {
        match self {
            Self::UnknownModel { .. } => "unknown_model",
            Self::Invalid { .. } => "invalid",
            Self::Rejected { .. } => "rejected",
            Self::Unsupported { .. } => "unsupported",
            Self::TooLong { .. } => "too_long",
            Self::NoModel { .. } => "no_model",
            Self::Denied { .. } => "denied",
            Self::NoKey { .. } => "no_key",
            Self::RateLimited { .. } => "rate_limited",
            Self::Upstream { .. } => "upstream_error",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Cut { .. } => "cut",
            Self::Malformed { .. } => "malformed",
            Self::Open { .. } => "open",
            Self::Paced { .. } => "paced",
            Self::Expired { .. } => "expired",
        }
    }

    /// Names the field of the request that is at fault.
    pub(in crate::engines) fn invalid(
        param: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            param: param.into(),
            message: message.into(),
        }
    }

    /// The error that an upstream's status tells.
    ///
    /// `code` is the upstream's own word, which says more than some statuses do.
    pub(super) fn of_status(
        provider: &str,
        status: u16,
        code: &str,
        message: &str,
        retry_after_ms: Option<u64>,
    ) -> Self {
        let provider = provider.to_owned();
        let message = shortened(message);
        let lower = message.to_lowercase();
        let too_long = code.contains("context_length")
            || lower.contains("context length")
            || lower.contains("maximum context")
            // Anthropic's and Gemini's words.
            || lower.contains("prompt is too long")
            || lower.contains("exceeds the maximum number of tokens");
        // An empty account answers 429 to every retry.
        let broke = code.contains("insufficient_quota") || code.contains("billing");
        // Gemini's answer to a bad key.
        let no_key = lower.contains("api key not valid");
        match status {
            400 if no_key => Self::Denied {
                provider,
                status,
                message,
            },
            400 | 413 | 422 if too_long || status == 413 => Self::TooLong { provider, message },
            401..=403 => Self::Denied {
                provider,
                status,
                message,
            },
            404 => Self::NoModel { provider, message },
            429 if broke => Self::Denied {
                provider,
                status,
                message,
            },
            429 => Self::RateLimited {
                provider,
                status,
                message,
                retry_after_ms,
            },
            408 | 409 | 425 | 500..=599 | 200..=399 => Self::Upstream {
                provider,
                status,
                message,
                retry_after_ms,
            },
            _ => Self::Rejected {
                provider,
                status,
                message,
            },
        }
    }
}

/// Cuts a foreign text to what belongs into an error message.
pub(super) fn shortened(text: &str) -> String {
    let clean = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match clean.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None if clean.is_empty() => "no message".to_owned(),
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_classes() {
        use ErrorKind as K;
        use Reaction::{Final, Next, Retry};
        for (status, code, kind, reaction, counts) in [
            (400, "", K::BadRequest, Final, false),
            (400, "context_length_exceeded", K::TooLarge, Next, false),
            (401, "", K::Upstream, Next, true),
            (402, "", K::Upstream, Next, true),
            (404, "", K::NotFound, Next, false),
            (408, "", K::Upstream, Retry, true),
            (413, "", K::TooLarge, Next, false),
            (422, "", K::BadRequest, Final, false),
            (429, "", K::TooManyRequests, Retry, false),
            (429, "insufficient_quota", K::Upstream, Next, true),
            (500, "", K::Upstream, Retry, true),
            (503, "", K::Unavailable, Retry, true),
            (529, "", K::Unavailable, Retry, true),
            (302, "", K::Upstream, Retry, true),
        ] {
            let error = UpstreamError::of_status("p", status, code, "why", Some(5));
            let found = (error.kind(), error.reaction(), error.counts_as_failure());
            assert_eq!(found, (kind, reaction, counts), "{status} {code}");
        }
    }

    #[test]
    fn what_anthropic_and_gemini_say_is_understood() {
        for (message, kind, reaction) in [
            (
                "prompt is too long: 210000 tokens > 200000 maximum",
                ErrorKind::TooLarge,
                Reaction::Next,
            ),
            (
                "The input token count (2000000) exceeds the maximum number of tokens allowed",
                ErrorKind::TooLarge,
                Reaction::Next,
            ),
            (
                "API key not valid. Please pass a valid API key.",
                ErrorKind::Upstream,
                Reaction::Next,
            ),
            (
                "max_tokens: required",
                ErrorKind::BadRequest,
                Reaction::Final,
            ),
        ] {
            let error = UpstreamError::of_status("p", 400, "", message, None);
            assert_eq!(
                (error.kind(), error.reaction()),
                (kind, reaction),
                "{message}"
            );
        }
    }

    #[test]
    fn logs_tell_the_status_and_no_words_of_the_upstream() {
        for status in [400, 401, 404, 413, 422, 429, 500, 503] {
            let said = "no: when does the ferry leave";
            let error = UpstreamError::of_status("up", status, "", said, None);
            let (whole, logged) = (error.to_string(), error.without_words().to_string());
            assert!(whole.contains("ferry"), "{whole}");
            assert!(!logged.contains("ferry"), "{logged}");
            assert_eq!(error.without_words().word(), error.word());
            let told = status == 413 || logged.contains(&status.to_string());
            assert!(told && logged.contains("up"), "{logged}");
        }
        let ours = UpstreamError::invalid("messages", "must not be empty");
        assert_eq!(ours.without_words(), ours);
    }

    #[test]
    fn foreign_texts_are_shortened() {
        let long = shortened(&"ü \n".repeat(1_000));
        assert_eq!(long.chars().count(), 301);
        assert_eq!(shortened("  "), "no message");
    }
}
