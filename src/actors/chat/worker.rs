//! One provider at work: many calls in flight, each cancelled when its caller goes.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use supervisors::{AsyncWorker, Cx, Digest, Protocol};
use tokio::sync::mpsc;

use super::messages::{ProviderJob, ProviderReply};
use crate::actors::upstream;
use crate::engines::chat::{ChatError, Plan, Provider, events_of};
use crate::transport::{HttpStream, Transport, TransportError};
use crate::types::chat::ChatEvent;
use crate::types::http::{HttpCall, HttpReply};

/// The end of a body that says that it is done usually comes with it; longer than this it is not
/// waited for.
const END_OF_BODY: Duration = Duration::from_millis(20);

/// Turns requests into calls and answers; keeps only connections.
pub struct ProviderWorker {
    name: Arc<str>,
    provider: Arc<dyn Provider>,
    transport: Transport,
    beat: Duration,
}

impl ProviderWorker {
    pub(super) fn new(
        name: Arc<str>,
        provider: Arc<dyn Provider>,
        transport: Transport,
        beat: Duration,
    ) -> Self {
        Self {
            name,
            provider,
            transport,
            beat,
        }
    }

    async fn answer(&self, job: ProviderJob, end: Instant) -> Result<ProviderReply, ChatError> {
        let mut plan = self.provider.plan(&job.request)?;
        if let Plan::Call(call) = &mut plan {
            call.headers.extend(told_upstream(&job));
        }
        match (plan, job.events) {
            (Plan::Ready(reply), None) => Ok(ProviderReply::Answer(Box::new(reply))),
            (Plan::Ready(reply), Some(events)) => self.push(events_of(reply), &events).await,
            (Plan::Call(call), None) => {
                let reply = self
                    .transport
                    .call(call, end)
                    .await
                    .map_err(|error| self.lost(error));
                self.provider
                    .decode(&reply?)
                    .map(|reply| ProviderReply::Answer(Box::new(reply)))
            }
            (Plan::Call(call), Some(events)) => self.relay(call, end, &events).await,
        }
    }

    /// Decodes a streamed answer and pushes its events as they come.
    async fn relay(
        &self,
        call: HttpCall,
        end: Instant,
        events: &mpsc::Sender<Vec<ChatEvent>>,
    ) -> Result<ProviderReply, ChatError> {
        let first = FirstToken::new(call.timeouts.first_byte_ms);
        let mut stream = self
            .transport
            .stream(call, end)
            .await
            .map_err(|error| self.lost(error))?;
        let head = stream.head();
        let whole = head
            .header("content-type")
            .is_some_and(|kind| kind.contains("/json"));
        if whole || !head.is_success() {
            return self.relay_whole(stream, events).await;
        }
        let mut decoder = self.provider.stream();
        let mut found = Vec::new();
        let mut outcome = Ok(());
        let mut begun = false;
        while outcome.is_ok() && !decoder.is_done() {
            let next = if begun {
                stream.next().await
            } else {
                first.wait(stream.next()).await
            };
            match next {
                Ok(Some(bytes)) => outcome = decoder.feed(&bytes, &mut found),
                Ok(None) => break,
                Err(error) => outcome = Err(self.lost_midway(error)),
            }
            begun = begun
                || found
                    .iter()
                    .any(|event| matches!(event, ChatEvent::Delta(_)));
            self.push(std::mem::take(&mut found), events).await?;
        }
        outcome?;
        if decoder.is_done() {
            // Read to its end, the connection can be used again.
            let _ = tokio::time::timeout(END_OF_BODY, stream.next()).await;
        }
        let outcome = decoder.finish(&mut found);
        self.push(found, events).await?;
        outcome.map(|()| ProviderReply::Streamed)
    }

    /// An error, or the whole answer where a stream was asked for.
    async fn relay_whole(
        &self,
        stream: HttpStream,
        events: &mpsc::Sender<Vec<ChatEvent>>,
    ) -> Result<ProviderReply, ChatError> {
        let reply = stream
            .into_reply()
            .await
            .map_err(|error| self.lost(error))?;
        match self.provider.decode(&reply) {
            // Some servers call their streams JSON.
            Err(ChatError::Malformed { .. }) => self.replay(&reply, events).await,
            decoded => self.push(events_of(decoded?), events).await,
        }
    }

    async fn replay(
        &self,
        reply: &HttpReply,
        events: &mpsc::Sender<Vec<ChatEvent>>,
    ) -> Result<ProviderReply, ChatError> {
        let (mut decoder, mut found) = (self.provider.stream(), Vec::new());
        let fed = decoder.feed(&reply.body, &mut found);
        let outcome = fed.and_then(|()| decoder.finish(&mut found));
        self.push(found, events).await?;
        outcome.map(|()| ProviderReply::Streamed)
    }

    async fn push(
        &self,
        found: Vec<ChatEvent>,
        events: &mpsc::Sender<Vec<ChatEvent>>,
    ) -> Result<ProviderReply, ChatError> {
        if !found.is_empty() {
            // Nobody reads this error: the caller is gone.
            let sent = events.send(found).await;
            sent.map_err(|_| ChatError::Cut {
                provider: self.name.to_string(),
            })?;
        }
        Ok(ProviderReply::Streamed)
    }

    /// What the transport's error is for a request without an answer.
    fn lost(&self, error: TransportError) -> ChatError {
        upstream::lost(&self.name, error)
    }

    /// The same for an answer that had begun.
    fn lost_midway(&self, error: TransportError) -> ChatError {
        match error {
            TransportError::Broken(_) => ChatError::Cut {
                provider: self.name.to_string(),
            },
            error => self.lost(error),
        }
    }
}

/// Which request a call is made for, for the upstream's own log and traces.
fn told_upstream(job: &ProviderJob) -> impl Iterator<Item = (String, String)> {
    let id = job
        .request
        .origin
        .as_ref()
        .map(|origin| origin.request_id.clone());
    // Not `x-request-id`: servers that keep that name to themselves refuse what is no UUID with 400, as llama-cpp-python's does.
    let id = id.map(|id| ("x-client-request-id".to_owned(), id));
    let place = upstream::traceparent(job.trace.as_ref());
    id.into_iter().chain(place)
}

/// The bound on the wait for the first piece of an answer: comments and pings are none.
struct FirstToken {
    until: Instant,
    after_ms: u64,
}

impl FirstToken {
    fn new(after_ms: u64) -> Self {
        let until = Instant::now() + Duration::from_millis(after_ms);
        Self { until, after_ms }
    }

    async fn wait<T>(
        &self,
        next: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        let bounded = tokio::time::timeout_at(self.until.into(), next).await;
        bounded.unwrap_or(Err(TransportError::Timeout {
            phase: "the first piece of the answer",
            after_ms: self.after_ms,
        }))
    }
}

impl Protocol for ProviderWorker {
    type Req = ProviderJob;
    type Rep = ProviderReply;
    type Err = ChatError;

    fn digest(job: &ProviderJob) -> Option<Digest> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(job.request.model.as_bytes());
        serde_json::to_writer(&mut hasher, &job.request.messages).ok()?;
        serde_json::to_writer(&mut hasher, &job.request.tools).ok()?;
        Some(Digest::from(hasher.finalize()))
    }
}

impl AsyncWorker for ProviderWorker {
    async fn handle(self: Rc<Self>, job: ProviderJob, cx: Cx) -> Result<ProviderReply, ChatError> {
        upstream::alive(&cx, self.beat, async |end| self.answer(job, end).await).await
    }
}
