//! Chat: retrieval, dispatch, citations, and the evidence of it all.
//!
//! The work runs in a task of its own beside the caller: when the client goes away, the caller is
//! dropped, the upstream's call is cancelled, and the evidence of what had been answered is still
//! written.

mod attempts;
mod caller;
mod failure;
mod fit;
mod id;
mod input;
mod judge;
mod kept;
mod retrieval;
mod story;
mod stream;
mod task;

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

pub(in crate::services) use attempts::iterate;
pub use attempts::{Attempt, End, Progress};
pub use caller::Caller;
pub use input::{CacheInput, ChatInput, RetrievalInput, Stop, StreamOptions};
pub(in crate::services) use judge::Judge;
pub use kept::CacheStatus;
pub use stream::{CompletionStream, Piece, stream};

use super::Services;
use super::error::ServiceError;
use crate::types::chat::{ChatReply, Citation, Passage};
use crate::types::demand::{Judgement, OnFail};
use crate::types::error_kind::ErrorKind;
use crate::types::validation::Verdict;
use task::{Ending, Task};

/// What the evidence says of a client that did not wait.
const CLIENT_GONE: &str = "the client went away";
/// What it says of an attempt that took longer than its request allows.
const LATE: &str = "no answer within validation.deadline_ms";

/// A complete answer.
#[derive(Debug)]
pub struct Completion {
    /// Unique; feedback names it.
    pub id: String,
    /// Unix time of the request, seconds.
    pub created: u64,
    /// `provider/model` that answered, or the model asked for when none had to.
    pub model: String,
    /// The answer.
    pub reply: ChatReply,
    /// The passages that it cites.
    pub citations: Vec<Citation>,
    /// What it cost, US dollars; `None` when that is not known.
    pub cost_usd: Option<f64>,
    /// The passages that it was given; `None` where no retrieval was asked for.
    pub passages: Option<Vec<Passage>>,
    /// What validators said of it, when they were to judge it.
    pub validation: Option<Judgement>,
    /// How many candidates were tried.
    pub attempts: usize,
    /// What the cache of answers did, when it was wanted.
    pub cache: Option<CacheStatus>,
}

/// Lists the names that a chat request can ask for, each with who stands behind it.
pub fn models(services: &Services) -> Vec<(String, String)> {
    services.chat.models()
}

/// Checks that `model` names something that can be asked.
///
/// Errors: tells what there is.
pub fn check_name(services: &Services, model: &str) -> Result<(), ServiceError> {
    let found = services.chat.candidates(model);
    found.map(|_| ()).map_err(failure::of_error)
}

/// Answers a chat request whole, and has the answer judged where the request or its route demands it. Runs inside a
/// `LocalSet`, as every actix worker does.
///
/// Errors: no answer, or one that was refused.
/// Cancel safety: dropping the future cancels the upstream's call and leaves the evidence.
pub async fn complete(
    services: Arc<Services>,
    caller: Caller,
    mut input: Box<ChatInput>,
) -> Result<Completion, ServiceError> {
    match Judge::of(&services, &caller, &mut input)? {
        None => plain(services, caller, input, None).await,
        Some(judge) => Box::pin(judged(services, caller, input, judge)).await,
    }
}

/// Answers, and does with the answer what the demand says.
async fn judged(
    services: Arc<Services>,
    caller: Caller,
    input: Box<ChatInput>,
    judge: Judge,
) -> Result<Completion, ServiceError> {
    let completion = if judge.on_fail == OnFail::Iterate {
        let iterated = iterate(services, caller, input, &judge, |_| {});
        let iterated = Box::pin(iterated).await?;
        if let Some(error) = iterated.error {
            return Err(error);
        }
        iterated.completion
    } else {
        let mut completion = plain(Arc::clone(&services), caller, input, None).await?;
        let passages = completion.passages.as_deref().unwrap_or_default();
        let judged = judge.judge(&services, &completion.id, &completion.reply, passages);
        completion.validation = judged.await?;
        completion
    };
    match completion.validation {
        Some(judgement)
            if judge.on_fail != OnFail::Annotate && judgement.verdict != Verdict::Pass =>
        {
            Err(judge::refused(judgement))
        }
        validation => Ok(Completion {
            validation,
            ..completion
        }),
    }
}

/// Answers a chat request whole, unjudged; the caller waits no longer than `until`.
async fn plain(
    services: Arc<Services>,
    caller: Caller,
    input: Box<ChatInput>,
    until: Option<Instant>,
) -> Result<Completion, ServiceError> {
    let request_id = caller.request_id.clone();
    let (mut sender, receiver) = oneshot::channel();
    tokio::task::spawn_local(async move {
        // In a box from the start: what a task is made of is copied several times.
        let answered = Box::pin(answer(services, caller, input, until, &mut sender)).await;
        if let Some(answered) = answered
            && sender.send(answered).is_err()
        {
            tracing::debug!(request_id, "an answer came too late for its client");
        }
    });
    receiver.await.unwrap_or_else(|_| Err(lost()))
}

/// Answers and leaves the evidence; `None` when the client went away meanwhile.
async fn answer(
    services: Arc<Services>,
    caller: Caller,
    mut input: Box<ChatInput>,
    until: Option<Instant>,
    client: &mut oneshot::Sender<Result<Completion, ServiceError>>,
) -> Option<Result<Completion, ServiceError>> {
    input.stream = None;
    let mut task = match Task::prepare(services, caller, input).await {
        Ok(task) => task,
        Err(error) => return Some(Err(error)),
    };
    let asked = async {
        match task.ready.take() {
            Some(ready) => Ok((ready.reply, ready.candidate, Vec::new())),
            None => {
                let deadline = task.services.chat.deadline();
                let answered = task.services.chat.complete(&task.request, deadline).await;
                answered.map(|answer| (answer.reply, Some(answer.candidate), answer.attempts))
            }
        }
    };
    let asked = tokio::select! {
        asked = asked => asked,
        () = client.closed() => {
            let late = until.is_some_and(|until| Instant::now() >= until);
            let why = if late { LATE } else { CLIENT_GONE };
            task.record_failure(Ending::failed(Vec::new(), why)).await;
            return None;
        }
    };
    let (reply, candidate, attempts) = match asked {
        Ok(answered) => answered,
        Err(failed) => {
            let attempts = failed.attempts.clone();
            let error = failure::of_failure(failed);
            task.record_failure(Ending::failed(attempts, &error.message))
                .await;
            return Some(Err(error));
        }
    };
    let tried = attempts.len();
    let ending = Ending {
        finish: Some(reply.finish),
        reply,
        answered_by: candidate,
        attempts,
        error: None,
    };
    Some(task.record(&ending).await.map(|citations| {
        task.keep(&ending);
        Completion {
            cost_usd: task.cost(&ending),
            id: task.id.clone(),
            created: task.created,
            model: match &ending.answered_by {
                Some(candidate) => candidate.to_string(),
                None => task.request.model.clone(),
            },
            reply: ending.reply,
            citations,
            passages: task.request.passages.take(),
            validation: None,
            attempts: tried,
            cache: task.cache,
        }
    }))
}

/// The task beside the caller ended without an answer, which only a panic in it can do.
fn lost() -> ServiceError {
    ServiceError::new(ErrorKind::Internal, "the answer was lost on its way").code("lost")
}
