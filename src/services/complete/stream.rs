//! Answers in pieces.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::caller::Caller;
use super::failure;
use super::input::ChatInput;
use super::judge::Judge;
use super::kept::CacheStatus;
use super::task::{Ending, Task};
use super::{CLIENT_GONE, Completion, judged, lost};
use crate::actors::chat::{ChatFailure, ChatStream};
use crate::engines::chat::{Candidate, Collector, events_of};
use crate::services::{ServiceError, Services};
use crate::types::chat::{ChatDelta, ChatEvent, Citation, FinishReason};
use crate::types::demand::{Judgement, OnFail};
use crate::types::evidence::{AttemptEvidence, TokenUsage};

/// Pieces that may wait for a slow client.
const BUFFERED_PIECES: usize = 32;

/// A piece of an answer, in the order in which clients expect them. `Done` or `Failed` is the last.
#[derive(Debug)]
pub enum Piece {
    /// More of the answer.
    Delta(ChatDelta),
    /// What the answer cites, when it is complete.
    Citations(Vec<Citation>),
    /// Why it ended.
    Finish(FinishReason),
    /// What validators said of it, before `Finish`.
    Validation(Judgement),
    /// Its tokens, when they were asked for and are known.
    Usage(TokenUsage),
    /// It broke off.
    Failed(ServiceError),
    /// It is complete, and its evidence is written.
    Done,
}

/// An answer that has begun. Dropping it cancels the upstream's call.
#[derive(Debug)]
pub struct CompletionStream {
    /// Unique; feedback names it.
    pub id: String,
    /// Unix time of the request, seconds.
    pub created: u64,
    /// `provider/model` that answers, or the model asked for when none had to.
    pub model: String,
    /// Whether the client asked for the tokens.
    pub include_usage: bool,
    /// How many candidates were tried.
    pub attempts: usize,
    /// What the cache of answers did, when it was wanted.
    pub cache: Option<CacheStatus>,
    pieces: mpsc::Receiver<Piece>,
}

impl CompletionStream {
    /// Waits for the next piece; `None` after the last.
    ///
    /// Cancel safety: no piece is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await
    }

    /// Takes the next piece if it is there already.
    pub fn next_ready(&mut self) -> Option<Piece> {
        self.pieces.try_recv().ok()
    }
}

/// Answers a chat request in pieces; one whose answer may be refused is held back until it is judged. Runs inside a `LocalSet`, as every actix worker does.
///
/// Errors: nothing of the answer was there yet. Later failures are a [`Piece::Failed`].
/// Cancel safety: dropping the future or the stream cancels the upstream's call and leaves the
/// evidence.
pub async fn stream(
    services: Arc<Services>,
    caller: Caller,
    mut input: Box<ChatInput>,
) -> Result<CompletionStream, ServiceError> {
    let judge = Judge::of(&services, &caller, &mut input)?;
    let include_usage = input.wants_usage();
    let judge = match judge {
        Some(judge) if judge.on_fail != OnFail::Annotate => {
            let answered = Box::pin(judged(services, caller, input, judge)).await?;
            return Ok(whole(answered, include_usage));
        }
        judge => judge,
    };
    let request_id = caller.request_id.clone();
    let (opened, opening) = oneshot::channel();
    tokio::task::spawn_local(async move {
        input.stream = Some(true);
        match Box::pin(Task::prepare(services, caller, input)).await {
            Ok(task) => Box::pin(run(task, include_usage, judge, opened)).await,
            Err(error) => {
                if opened.send(Err(error)).is_err() {
                    tracing::debug!(request_id, "a refusal came too late for its client");
                }
            }
        }
    });
    opening.await.unwrap_or_else(|_| Err(lost()))
}

/// Gives out an answer that is complete already.
fn whole(answer: Completion, include_usage: bool) -> CompletionStream {
    let usage = answer.reply.usage.filter(|_| include_usage);
    let finish = answer.reply.finish;
    let deltas = events_of(answer.reply)
        .into_iter()
        .filter_map(|event| match event {
            ChatEvent::Delta(delta) => Some(Piece::Delta(delta)),
            ChatEvent::Usage(_) | ChatEvent::Finish(_) => None,
        });
    let pieces: Vec<Piece> = deltas
        .chain(last_pieces(
            answer.citations,
            answer.validation,
            finish,
            usage,
        ))
        .collect();
    let (client, receiver) = mpsc::channel(pieces.len().max(1));
    for piece in pieces {
        // There is room for all of them.
        let _ = client.try_send(piece);
    }
    CompletionStream {
        id: answer.id,
        created: answer.created,
        model: answer.model,
        include_usage,
        attempts: answer.attempts,
        cache: answer.cache,
        pieces: receiver,
    }
}

/// What follows the last of an answer.
fn last_pieces(
    citations: Vec<Citation>,
    validation: Option<Judgement>,
    finish: FinishReason,
    usage: Option<TokenUsage>,
) -> impl Iterator<Item = Piece> {
    let citations = (!citations.is_empty()).then_some(Piece::Citations(citations));
    citations
        .into_iter()
        .chain(validation.map(Piece::Validation))
        .chain([Piece::Finish(finish)])
        .chain(usage.map(Piece::Usage))
        .chain([Piece::Done])
}

/// Where the events come from.
enum Source {
    /// No provider was needed, but perhaps one was for an earlier request.
    Ready(VecDeque<ChatEvent>, Option<Candidate>),
    /// A provider's stream.
    Provider(Box<ChatStream>),
}

impl Source {
    async fn next(&mut self) -> Option<Result<ChatEvent, ServiceError>> {
        match self {
            Self::Ready(events, _) => events.pop_front().map(Ok),
            Self::Provider(stream) => {
                let next = stream.next().await?;
                let cell = &stream.candidate().provider;
                Some(next.map_err(|fault| failure::of_fault(cell, fault)))
            }
        }
    }

    fn answered_by(&self) -> Option<&Candidate> {
        match self {
            Self::Ready(_, candidate) => candidate.as_ref(),
            Self::Provider(stream) => Some(stream.candidate()),
        }
    }

    fn attempts(&self) -> &[AttemptEvidence] {
        match self {
            Self::Ready(..) => &[],
            Self::Provider(stream) => stream.attempts(),
        }
    }
}

/// Opens the source, hands the stream to the client, and pumps.
async fn run(
    mut task: Task,
    include_usage: bool,
    judge: Option<Judge>,
    mut opened: oneshot::Sender<Result<CompletionStream, ServiceError>>,
) {
    let opening = async {
        match task.ready.take() {
            Some(ready) => {
                let events = events_of(ready.reply).into();
                Ok::<_, ChatFailure>(Source::Ready(events, ready.candidate))
            }
            None => {
                let deadline = task.services.chat.deadline();
                let stream = task.services.chat.stream(&task.request, deadline).await?;
                Ok::<_, ChatFailure>(Source::Provider(Box::new(stream)))
            }
        }
    };
    let source = tokio::select! {
        source = opening => source,
        () = opened.closed() => {
            return task.record_failure(Ending::failed(Vec::new(), CLIENT_GONE)).await;
        }
    };
    let source = match source {
        Ok(source) => source,
        Err(failed) => {
            let attempts = failed.attempts.clone();
            let error = failure::of_failure(failed);
            task.record_failure(Ending::failed(attempts, &error.message))
                .await;
            if opened.send(Err(error)).is_err() {
                tracing::debug!(id = task.id, "a failure came too late for its client");
            }
            return;
        }
    };
    let (client, pieces) = mpsc::channel(BUFFERED_PIECES);
    let stream = CompletionStream {
        id: task.id.clone(),
        created: task.created,
        model: match source.answered_by() {
            Some(candidate) => candidate.to_string(),
            None => task.request.model.clone(),
        },
        include_usage,
        attempts: source.attempts().len(),
        cache: task.cache,
        pieces,
    };
    // A client that is gone has closed the channel too, which the pump sees.
    drop(opened.send(Ok(stream)));
    pump(&mut task, source, include_usage, judge, &client).await;
}

/// Passes the answer on, then writes the evidence, then ends the stream.
async fn pump(
    task: &mut Task,
    mut source: Source,
    include_usage: bool,
    judge: Option<Judge>,
    client: &mpsc::Sender<Piece>,
) {
    let mut collector = Collector::default();
    let failed = loop {
        let next = tokio::select! {
            biased;
            () = client.closed() => break Some(None),
            next = source.next() => next,
        };
        match next {
            None => break None,
            Some(Err(error)) => break Some(Some(error)),
            Some(Ok(event)) => {
                collector.push(&event);
                if let ChatEvent::Delta(delta) = event
                    && client.send(Piece::Delta(delta)).await.is_err()
                {
                    break Some(None);
                }
            }
        }
    };
    let (answered_by, attempts) = (source.answered_by().cloned(), source.attempts().to_vec());
    // The upstream is let go before the journal is waited for.
    drop(source);
    let finish = collector.finish().filter(|_| failed.is_none());
    let reply = collector.into_reply();
    let usage = reply.usage.filter(|_| include_usage);
    let reason = match &failed {
        None => None,
        Some(None) => Some(CLIENT_GONE.to_owned()),
        Some(Some(error)) => Some(error.message.clone()),
    };
    let ending = Ending {
        finish,
        reply,
        answered_by,
        attempts,
        error: reason,
    };
    let last = match failed {
        None => match task.record(&ending).await {
            Ok(citations) => {
                task.keep(&ending);
                let judged = match judge {
                    Some(judge) => {
                        let judged =
                            judge.judge(&task.services, &task.id, &ending.reply, task.passages());
                        Box::pin(judged).await
                    }
                    None => Ok(None),
                };
                let finish = finish.unwrap_or_default();
                match judged {
                    Ok(judged) => last_pieces(citations, judged, finish, usage).collect(),
                    Err(error) => vec![Piece::Failed(error)],
                }
            }
            Err(error) => vec![Piece::Failed(error)],
        },
        Some(error) => {
            task.record_failure(ending).await;
            error.map(Piece::Failed).into_iter().collect()
        }
    };
    for piece in last {
        if client.send(piece).await.is_err() {
            return;
        }
    }
}
