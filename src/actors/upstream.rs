//! What cells that call upstreams have in common.

use std::time::{Duration, Instant};

use supervisors::{Cx, Fault};

use crate::engines::embedding::EmbedError;
use crate::engines::upstream::UpstreamError;
use crate::transport::TransportError;
use crate::types::trace::Trace;

/// What is left of the deadline for the answer's way back.
const WAY_BACK: Duration = Duration::from_millis(10);

/// Runs `work`, which is told when it must be done, with a sign of life each `beat`: waiting for a
/// slow upstream is no hang, its own timeouts bound it.
pub(super) async fn alive<T>(cx: &Cx, beat: Duration, work: impl AsyncFnOnce(Instant) -> T) -> T {
    let end = Instant::now() + cx.deadline().remaining().saturating_sub(WAY_BACK);
    let work = work(end);
    tokio::pin!(work);
    loop {
        tokio::select! {
            answer = &mut work => return answer,
            () = tokio::time::sleep(beat) => cx.progress(),
        }
    }
}

/// How often a cell shows that it lives: several times before a silent call counts as hung.
pub(super) fn beat(deadline_ms: u64) -> Duration {
    Duration::from_millis((deadline_ms / 4).max(1))
}

/// The header that has an upstream's spans continue the trace that a call is made in, where there is one.
pub(super) fn traceparent(trace: Option<&Trace>) -> Option<(String, String)> {
    let place = trace?.traceparent();
    Some(("traceparent".to_owned(), place))
}

/// An error of a cell that calls an upstream, as logs and traces may hold it.
pub(super) trait WithoutWords {
    /// See [`UpstreamError::without_words`].
    fn without_words(&self) -> String;
}

impl WithoutWords for Fault<UpstreamError> {
    fn without_words(&self) -> String {
        match self {
            Fault::App(error) => error.without_words().to_string(),
            fault => fault.to_string(),
        }
    }
}

impl WithoutWords for Fault<EmbedError> {
    fn without_words(&self) -> String {
        match self {
            Fault::App(error) => error.without_words().to_string(),
            fault => fault.to_string(),
        }
    }
}

/// What the transport's error is for a request without an answer.
pub(super) fn lost(upstream: &str, error: TransportError) -> UpstreamError {
    let provider = upstream.to_owned();
    match error {
        TransportError::Timeout { phase, after_ms } => UpstreamError::Timeout {
            provider,
            phase,
            after_ms,
        },
        TransportError::TooLarge { .. } => UpstreamError::Malformed {
            provider,
            message: error.to_string(),
        },
        error => UpstreamError::Unreachable {
            provider,
            message: error.to_string(),
        },
    }
}
