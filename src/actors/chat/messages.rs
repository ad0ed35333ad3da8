//! What a provider's cell is asked, and what it answers.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::types::chat::{ChatEvent, ChatReply, ChatRequest};
use crate::types::trace::Trace;

/// Answer `request`. Replies `Answer`, or with `events` pushes them there and replies `Streamed`
/// after the last.
pub struct ProviderJob {
    /// The request, with the provider's own name of the model.
    pub request: Arc<ChatRequest>,
    /// Where the pieces of the answer go.
    pub events: Option<mpsc::Sender<Vec<ChatEvent>>>,
    /// The try's place in the request's trace.
    pub trace: Option<Trace>,
}

/// A provider's answers.
#[derive(Debug)]
pub enum ProviderReply {
    /// The whole answer.
    Answer(Box<ChatReply>),
    /// Every event was pushed, and the answer is complete.
    Streamed,
}
