//! Failures of the dispatcher as the services' error.

use supervisors::Fault;

use crate::actors::chat::ChatFailure;
use crate::engines::chat::ChatError;
use crate::services::ServiceError;
use crate::services::error::fault;

/// Names the field at fault and gives the stable word.
pub(super) fn of_error(error: ChatError) -> ServiceError {
    let word = error.word();
    let param = match &error {
        ChatError::Invalid { param, .. } => Some(param.clone()),
        ChatError::UnknownModel { .. } => Some("model".to_owned()),
        ChatError::TooLong { .. } => Some("messages".to_owned()),
        _ => None,
    };
    // OpenAI's words where it has one: its clients look for them.
    let code = match &error {
        ChatError::UnknownModel { .. } | ChatError::NoModel { .. } => "model_not_found",
        ChatError::TooLong { .. } => "context_length_exceeded",
        _ => word,
    };
    ServiceError {
        param,
        ..ServiceError::from(error).code(code)
    }
}

/// Tells what became of the attempts.
pub(super) fn of_failure(failure: ChatFailure) -> ServiceError {
    of_fault(&failure.cell, failure.fault)
}

/// Tells what became of one cell's answer.
pub(super) fn of_fault(cell: &str, failed: Fault<ChatError>) -> ServiceError {
    match failed {
        Fault::App(error) => of_error(error),
        failed => fault(&format!("provider {cell}"), failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::error_kind::ErrorKind;

    #[test]
    fn errors_carry_the_words_that_clients_look_for() {
        let unknown = ChatError::UnknownModel {
            model: "m".into(),
            known: "a, b".into(),
        };
        let error = of_error(unknown);
        assert_eq!(
            (error.kind, error.code),
            (ErrorKind::NotFound, Some("model_not_found"))
        );
        assert_eq!(error.param.as_deref(), Some("model"));
        let open = ChatError::Open {
            provider: "p".into(),
            retry_after_ms: 7,
        };
        let error = of_fault("p", Fault::App(open));
        assert_eq!((error.code, error.retry_after_ms), (Some("open"), Some(7)));
        let busy = of_fault("p", Fault::Busy);
        assert_eq!(busy.kind, ErrorKind::TooManyRequests);
        assert!(busy.message.contains("provider p"), "{busy}");
    }
}
