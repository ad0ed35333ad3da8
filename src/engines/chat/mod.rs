//! Chat dispatch: providers as sans-I/O converters, routing, retry, breaker.
//!
//! A provider turns a request into an HTTP call (or answers at once) and the upstream's bytes into
//! an answer; who sends the call, when to retry and whom to ask next is decided outside, by the
//! pure parts here.
//!
//! ```
//! use boathouse::engines::chat::{ChatConfig, Plan, Router, build};
//! use boathouse::types::chat::{ChatMessage, ChatRequest, Role};
//!
//! let config = ChatConfig::default();
//! let router = Router::new(&config);
//! let candidate = &router.resolve("extractive").unwrap()[0];
//! let provider = build(&candidate.provider, None, None).unwrap();
//! let request = ChatRequest {
//!     model: candidate.model.clone(),
//!     messages: vec![ChatMessage::new(Role::User, "where is the boat?")],
//!     ..ChatRequest::default()
//! };
//! assert!(matches!(provider.plan(&request), Ok(Plan::Ready(_))));
//! ```

mod collector;
mod config;
mod grounding;
mod lines;
mod pace;
mod preference;
mod prices;
mod providers;
mod request;
mod response_cache;
mod routing;
mod sentences;
mod sse;

pub use collector::Collector;
pub use config::{ChatConfig, ProviderConfig, RouteConfig};
pub use grounding::{NOTHING_FOUND, citations, ground, pack};
pub use pace::{Pace, Paced};
pub use preference::{Latencies, Prefer, by_rank, by_weight};
pub use prices::{Price, PriceTable};
pub use providers::{EXTRACTIVE, Preset, build, kinds, preset, presets};
pub use request::check;
pub use response_cache::{
    Asked, CacheMode, Kept, Near, ResponseCache, ResponseCacheConfig, ResponseCacheStats,
    ResponseKey, check_threshold,
};
pub use routing::{Candidate, Route, Router};
pub(in crate::engines) use sentences::STOP_WORDS;
pub use sentences::sentences;

pub use super::upstream::{
    Breaker, BreakerConfig, Reaction, RetryConfig, UpstreamError as ChatError, backoff_ms, mix,
};

use crate::types::chat::{ChatEvent, ChatReply, ChatRequest};
use crate::types::http::{HttpCall, HttpReply};

/// How a request is answered.
#[derive(Debug)]
pub enum Plan {
    /// At once.
    Ready(ChatReply),
    /// By an upstream, whose answer goes to [`Provider::decode`] or [`Provider::stream`].
    Call(HttpCall),
}

/// Converts between the normalised form and one upstream's wire format. Does no I/O and keeps no
/// state.
pub trait Provider: Send + Sync {
    /// Says how `request` is answered.
    ///
    /// Errors: what this upstream cannot be asked.
    fn plan(&self, request: &ChatRequest) -> Result<Plan, ChatError>;

    /// Reads a whole answer, or the error that a status or body tells.
    fn decode(&self, reply: &HttpReply) -> Result<ChatReply, ChatError>;

    /// Starts to read one streamed answer.
    fn stream(&self) -> Box<dyn StreamDecoder + Send>;

    /// Says how the upstream is asked for its models, to see whether it is there and takes the key; `None`: there is none.
    ///
    /// Errors: the key is missing.
    fn probe(&self) -> Result<Option<HttpCall>, ChatError> {
        Ok(None)
    }
}

/// Reads a streamed answer from chunks that are split anywhere.
pub trait StreamDecoder {
    /// Reads the next bytes; what they complete is added to `events`, also what stands before an
    /// error.
    ///
    /// Errors: the upstream's own, or bytes that make no sense. Then the stream is over.
    fn feed(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), ChatError>;

    /// Whether the upstream has said that it is done: nothing is read after that.
    fn is_done(&self) -> bool;

    /// Ends the body.
    ///
    /// Errors: [`ChatError::Cut`] when the upstream had not said that it was done.
    fn finish(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), ChatError>;
}

/// Cuts a complete answer into the events of a stream, sentence by sentence.
pub fn events_of(reply: ChatReply) -> Vec<ChatEvent> {
    use crate::types::chat::{ChatDelta, ToolCallDelta};

    let mut deltas: Vec<ChatDelta> = Vec::new();
    if let Some(reasoning) = reply.reasoning {
        deltas.push(ChatDelta {
            reasoning,
            ..ChatDelta::default()
        });
    }
    deltas.push(ChatDelta {
        thinking_blocks: reply.thinking_blocks,
        ..ChatDelta::default()
    });
    deltas.extend(
        sentences::pieces(&reply.text)
            .into_iter()
            .map(|piece| ChatDelta {
                content: piece.to_owned(),
                ..ChatDelta::default()
            }),
    );
    if let Some(refusal) = reply.refusal {
        deltas.push(ChatDelta {
            refusal,
            ..ChatDelta::default()
        });
    }
    let tool_calls: Vec<ToolCallDelta> = reply
        .tool_calls
        .into_iter()
        .enumerate()
        .map(|(index, call)| ToolCallDelta {
            index,
            id: Some(call.id),
            name: Some(call.function.name),
            arguments: call.function.arguments,
            extra: call.extra,
        })
        .collect();
    deltas.push(ChatDelta {
        tool_calls,
        ..ChatDelta::default()
    });
    let deltas = deltas
        .into_iter()
        .filter(|delta| !delta.is_empty())
        .map(ChatEvent::Delta);
    deltas
        .chain([ChatEvent::Finish(reply.finish)])
        .chain(reply.usage.map(ChatEvent::Usage))
        .collect()
}
