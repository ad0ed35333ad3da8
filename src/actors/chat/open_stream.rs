//! A streamed answer on its way from a provider's cell to the client.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use supervisors::{CellRef, Deadline, Fault, Pending};
use tokio::sync::mpsc;

use super::dispatch::{Chat, Won, millis_since, outcome_of};
use super::messages::{ProviderJob, ProviderReply};
use super::worker::ProviderWorker;
use crate::engines::chat::{Candidate, ChatError};
use crate::types::chat::{ChatEvent, ChatRequest};
use crate::types::evidence::{AttemptEvidence, TokenUsage};
use crate::types::trace::Trace;

/// Reads from the upstream, each with its events, that may wait for a slow client before the upstream has to wait too.
const BUFFERED_READS: usize = 16;

/// A stream of one candidate. Dropping it cancels the call.
pub(super) struct OpenStream {
    events: VecDeque<ChatEvent>,
    receiver: mpsc::Receiver<Vec<ChatEvent>>,
    pending: Pending<ProviderWorker>,
    drained: bool,
    verdict: Option<Result<ProviderReply, Fault<ChatError>>>,
    ended: bool,
}

impl OpenStream {
    /// Starts a stream and waits for its first content: until then, another candidate can take
    /// over.
    ///
    /// Errors: the stream failed before any content.
    pub(super) async fn open(
        cell: &CellRef<ProviderWorker>,
        request: Arc<ChatRequest>,
        trace: Option<Trace>,
        deadline: Deadline,
    ) -> Result<Self, Fault<ChatError>> {
        let (sender, receiver) = mpsc::channel(BUFFERED_READS);
        let job = ProviderJob {
            request,
            events: Some(sender),
            trace,
        };
        let mut stream = Self {
            events: VecDeque::new(),
            receiver,
            pending: cell.try_ask(job, deadline)?,
            drained: false,
            verdict: None,
            ended: false,
        };
        while let Some(events) = stream.receive().await {
            let events = events?;
            let content = events
                .iter()
                .any(|event| matches!(event, ChatEvent::Delta(_)));
            stream.events.extend(events);
            if content {
                break;
            }
        }
        Ok(stream)
    }

    async fn next(&mut self) -> Option<Result<ChatEvent, Fault<ChatError>>> {
        while self.events.is_empty() {
            match self.receive().await? {
                Ok(events) => self.events.extend(events),
                Err(fault) => return Some(Err(fault)),
            }
        }
        self.events.pop_front().map(Ok)
    }

    /// Waits for events; after the last, for the cell's verdict. A cell that hangs gives one
    /// without closing the channel, a cell that crashes closes the channel first.
    async fn receive(&mut self) -> Option<Result<Vec<ChatEvent>, Fault<ChatError>>> {
        loop {
            if self.ended {
                return None;
            }
            if let Ok(events) = self.receiver.try_recv() {
                return Some(Ok(events));
            }
            if let Some(verdict) = self.verdict.take() {
                self.ended = true;
                return verdict.err().map(Err);
            }
            tokio::select! {
                biased;
                events = self.receiver.recv(), if !self.drained => match events {
                    Some(events) => return Some(Ok(events)),
                    None => self.drained = true,
                },
                verdict = &mut self.pending => self.verdict = Some(verdict),
            }
        }
    }
}

/// A streamed answer that has begun, or ended without content. Dropping it cancels the upstream's
/// call.
pub struct ChatStream {
    chat: Chat,
    candidate: Candidate,
    attempts: Vec<AttemptEvidence>,
    stream: OpenStream,
    started: Instant,
    ticket: u64,
    usage: Option<TokenUsage>,
}

impl ChatStream {
    pub(super) fn new(chat: Chat, won: Won<OpenStream>, started: Instant) -> Self {
        Self {
            chat,
            candidate: won.candidate,
            attempts: won.attempts,
            stream: won.answer,
            started,
            ticket: won.ticket,
            usage: None,
        }
    }

    /// Who answers.
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    /// What was tried; the last entry is of this stream.
    pub fn attempts(&self) -> &[AttemptEvidence] {
        &self.attempts
    }

    /// Waits for the next event. `None`: the answer is complete. An error ends it.
    ///
    /// Cancel safety: no event is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<ChatEvent, Fault<ChatError>>> {
        let ended = self.stream.ended;
        let next = self.stream.next().await;
        let verdict = match &next {
            Some(Ok(event)) => {
                if let ChatEvent::Usage(usage) = event {
                    self.usage = Some(*usage);
                }
                return next;
            }
            Some(Err(fault)) => Err(fault),
            None => Ok(()),
        };
        if !ended || verdict.is_err() {
            self.chat.report(&self.candidate.provider, verdict);
            let usage = self.usage;
            self.chat
                .settle(&self.candidate.provider, self.ticket, usage);
            if let Some(last) = self.attempts.last_mut() {
                last.outcome = outcome_of(verdict);
                last.latency_ms = millis_since(self.started);
            }
        }
        next
    }
}
