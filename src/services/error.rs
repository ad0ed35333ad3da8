//! The one error of the services: what the edge needs to answer, whatever failed below.

use std::fmt::Display;

use supervisors::Fault;

use crate::actors::dataset::DatasetError;
use crate::actors::imports::ImportsError;
use crate::actors::index::CollectionsError;
use crate::actors::push::PushError;
use crate::actors::review::ReviewError;
use crate::engines::chat::ChatError;
use crate::engines::embedding::EmbedError;
use crate::engines::index::IndexError;
use crate::engines::validation::ValidationError;
use crate::storage::dataset_store::DatasetStoreError;
use crate::storage::disk::StorageError;
use crate::storage::evidence_log::EvidenceLogError;
use crate::types::error_kind::ErrorKind;
use crate::types::validation::Finding;

/// A failed use case.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ServiceError {
    /// What the caller can do about it.
    pub kind: ErrorKind,
    /// What went wrong, with the values, and what to change.
    pub message: String,
    /// A stable word for programs, such as `unknown_collection`.
    pub code: Option<&'static str>,
    /// The request's field at fault.
    pub param: Option<String>,
    /// When a retry makes sense.
    pub retry_after_ms: Option<u64>,
    /// What validators found in an answer that was refused.
    pub findings: Vec<Finding>,
    /// Whether the message has words of an upstream, which may repeat what a user sent: logs do not hold it.
    pub is_foreign: bool,
}

impl ServiceError {
    /// Builds an error of `kind`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            code: None,
            param: None,
            retry_after_ms: None,
            findings: Vec::new(),
            is_foreign: false,
        }
    }

    /// The message as logs may hold it.
    pub fn logged(&self) -> &str {
        match self.is_foreign {
            true => "an upstream failed; its words are not logged",
            false => &self.message,
        }
    }

    /// The request is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadRequest, message)
    }

    /// The named thing does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Names the field at fault.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Adds the stable word.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }
}

/// What every engine's error tells.
pub(super) trait EngineError: Display {
    /// What the caller can do about it.
    fn error_kind(&self) -> ErrorKind;
    /// When a retry makes sense.
    fn retry_after_ms(&self) -> Option<u64> {
        None
    }
    /// Whether it has words of an upstream.
    fn is_foreign(&self) -> bool {
        false
    }
}

impl EngineError for EmbedError {
    fn error_kind(&self) -> ErrorKind {
        self.kind()
    }

    fn retry_after_ms(&self) -> Option<u64> {
        self.retry_after_ms()
    }

    fn is_foreign(&self) -> bool {
        self.without_words() != *self
    }
}

impl EngineError for IndexError {
    fn error_kind(&self) -> ErrorKind {
        self.kind()
    }

    fn retry_after_ms(&self) -> Option<u64> {
        self.retry_after_ms()
    }
}

/// Those that tell their kind and nothing else.
macro_rules! tells_its_kind {
    ($($error:ty),+) => {
        $(impl EngineError for $error {
            fn error_kind(&self) -> ErrorKind {
                self.kind()
            }
        })+
    };
}

tells_its_kind!(
    DatasetError,
    DatasetStoreError,
    EvidenceLogError,
    ImportsError,
    PushError,
    ReviewError,
    StorageError,
    ValidationError
);

impl EngineError for ChatError {
    fn error_kind(&self) -> ErrorKind {
        self.kind()
    }

    fn retry_after_ms(&self) -> Option<u64> {
        self.retry_after_ms()
    }

    fn is_foreign(&self) -> bool {
        self.without_words() != *self
    }
}

impl EngineError for CollectionsError {
    fn error_kind(&self) -> ErrorKind {
        match self {
            Self::Exists(_) | Self::CannotMove(_) => ErrorKind::Conflict,
            Self::NoBackend(_) => ErrorKind::Unprocessable,
            Self::Unknown { .. } => ErrorKind::NotFound,
            Self::Index(error) => error.kind(),
            Self::Start { .. } => ErrorKind::Unavailable,
            Self::Disk(_) => ErrorKind::Internal,
        }
    }

    fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Index(error) => error.retry_after_ms(),
            _ => None,
        }
    }
}

impl<E: EngineError> From<E> for ServiceError {
    fn from(error: E) -> Self {
        let retry_after_ms = error.retry_after_ms();
        Self {
            retry_after_ms,
            is_foreign: error.is_foreign(),
            ..Self::new(error.error_kind(), error.to_string())
        }
    }
}

/// Turns a cell's fault into the caller's error; `cell` names who failed.
pub(super) fn fault<E: EngineError>(cell: &str, fault: Fault<E>) -> ServiceError {
    match fault {
        Fault::App(error) => error.into(),
        Fault::Busy => ServiceError {
            retry_after_ms: Some(1_000),
            ..ServiceError::new(
                ErrorKind::TooManyRequests,
                format!("{cell} is busy: its queue is full; retry in a second"),
            )
        }
        .code("busy"),
        Fault::Unavailable {
            retry_after,
            reason,
        } => ServiceError {
            retry_after_ms: Some(u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX)),
            ..ServiceError::new(
                ErrorKind::Unavailable,
                match reason {
                    Some(reason) => format!("{cell} cannot start: {reason}"),
                    None => format!("{cell} failed too often and rests; retry later"),
                },
            )
        }
        .code("unavailable"),
        Fault::Crashed(report) => ServiceError::new(
            ErrorKind::Internal,
            format!(
                "{cell} crashed on this request and was restarted; crash id {}",
                report.id
            ),
        )
        .code("crashed"),
        Fault::Hung { after } => ServiceError::new(
            ErrorKind::Timeout,
            format!(
                "{cell} did not answer within {} ms and was replaced",
                after.as_millis()
            ),
        )
        .code("hung"),
        Fault::Quarantined(digest) => ServiceError::new(
            ErrorKind::Unprocessable,
            format!("this request crashed {cell} repeatedly and is quarantined as {digest}"),
        )
        .code("quarantined"),
        Fault::Expired => ServiceError::new(
            ErrorKind::Timeout,
            format!("the deadline passed while waiting for {cell}"),
        )
        .code("expired"),
        Fault::ShuttingDown => ServiceError::new(
            ErrorKind::Unavailable,
            format!("{cell} is stopping: it was removed, or the server is shutting down"),
        )
        .code("shutting_down"),
    }
}
