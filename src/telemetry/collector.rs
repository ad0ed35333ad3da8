//! The HTTP client that the SDK's exporters send with: ours.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

use super::Transport;
use crate::types::http::{HttpCall, HttpReply, Method, Timeouts};

/// Between two lines of the log about a collector that does not take what it is sent.
const SILENCE_MS: u64 = 60_000;

/// Sends from the runtime that it was made in: the SDK's own threads have none.
pub(super) struct Collector {
    transport: Arc<Transport>,
    runtime: Handle,
    timeout: Duration,
    since: Instant,
    /// When the next line may be written, milliseconds.
    next_line: AtomicU64,
}

impl Collector {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            transport: Arc::new(Transport::new(timeout)),
            runtime: Handle::current(),
            timeout,
            since: Instant::now(),
            next_line: AtomicU64::new(0),
        }
    }

    fn complain(&self, what: &str) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let next = self.next_line.load(Ordering::Relaxed);
        if now >= next {
            self.next_line
                .store(now.saturating_add(SILENCE_MS), Ordering::Relaxed);
            tracing::warn!(
                error = what,
                "the collector does not take telemetry; it is dropped, the next is tried"
            );
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Collector")
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let headers = head.headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        let limit = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let call = HttpCall {
            method: Method::Post,
            url: head.uri.to_string(),
            headers: headers.collect(),
            body: body.to_vec(),
            timeouts: Timeouts {
                first_byte_ms: limit,
                idle_ms: limit,
                total_ms: limit,
            },
        };
        let (transport, end) = (Arc::clone(&self.transport), Instant::now() + self.timeout);
        let sent = self
            .runtime
            .spawn(async move { transport.call(call, end).await });
        let reply: Result<HttpReply, HttpError> = match sent.await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(error.into()),
        };
        let reply = reply.inspect_err(|error| self.complain(&error.to_string()))?;
        if !reply.head.is_success() {
            self.complain(&format!("it answered {}", reply.head.status));
        }
        let status = reply.head.status;
        Ok(Response::builder().status(status).body(reply.body.into())?)
    }
}
