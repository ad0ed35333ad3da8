//! Asking a model until its answer passes, and telling how it got there.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::Services;
use super::complete::{self, Caller, ChatInput, Judge};
pub use super::complete::{Attempt, End, Progress};
use super::error::ServiceError;
use crate::engines::validation::{Change, changes};
use crate::types::chat::Citation;
use crate::types::demand::OnFail;
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::TokenUsage;
use crate::types::validation::{Finding, Verdict};

/// The answer of `POST /v1/iterate`.
#[derive(Debug, Serialize, ToSchema)]
pub struct IterateOutput {
    /// Of the last completion: feedback names it.
    pub id: String,
    /// Unix time of the last attempt, seconds.
    pub created: u64,
    /// `provider/model` that gave the last answer.
    pub model: String,
    /// Why no further answer was asked for: `passed`, `attempts`, `tokens`, `deadline`, `failed` or `tool_calls`.
    #[schema(example = "passed")]
    pub end: End,
    /// Of the last answer; `null` when it calls tools.
    #[schema(example = "pass")]
    pub verdict: Option<Verdict>,
    /// The last answer.
    pub answer: String,
    /// Of the last answer.
    pub findings: Vec<Finding>,
    /// What the last answer cites.
    pub citations: Vec<Citation>,
    /// Every answer, in order.
    pub attempts: Vec<Attempt>,
    /// Tokens of all answers, as far as providers told.
    pub usage: TokenUsage,
    /// What differs between the first answer and the last, word by word; `null` when one is too long for that, or there is
    /// only one.
    pub changes: Option<Vec<Change>>,
    /// Why the next answer could not be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Why an answer could not be had.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = IterationFailure)]
pub struct Failure {
    /// A stable word.
    pub code: Option<&'static str>,
    /// What went wrong.
    pub message: String,
}

/// What a client hears on the way.
#[derive(Debug)]
pub enum Told {
    /// An attempt began, or was judged.
    Progress(Progress),
    /// The end.
    Done(Box<IterateOutput>),
    /// There is no answer at all.
    Failed(ServiceError),
}

/// Serves `POST /v1/iterate`. Runs inside a `LocalSet`, as every actix worker does.
///
/// Cancel safety: dropping the future cancels the upstream's call; the evidence of what was answered stays.
pub async fn iterate(
    services: Arc<Services>,
    caller: Caller,
    mut input: Box<ChatInput>,
) -> Result<IterateOutput, ServiceError> {
    let judge = judge(&services, &caller, &mut input)?;
    Box::pin(run(services, caller, input, judge, |_| {})).await
}

/// The same, told as it goes on. The channel ends after [`Told::Done`] or [`Told::Failed`]; dropping it cancels.
///
/// Errors: a request that nobody could answer.
pub fn stream(
    services: Arc<Services>,
    caller: Caller,
    mut input: Box<ChatInput>,
) -> Result<mpsc::UnboundedReceiver<Told>, ServiceError> {
    let judge = judge(&services, &caller, &mut input)?;
    // A few messages for each attempt, of which there are at most a hundred.
    let (client, told) = mpsc::unbounded_channel();
    tokio::task::spawn_local(async move {
        let progress = client.clone();
        let report = move |step| {
            // Who has left is noticed below.
            let _ = progress.send(Told::Progress(step));
        };
        let running = Box::pin(run(services, caller, input, judge, report));
        tokio::select! {
            ended = running => {
                let last = ended.map_or_else(Told::Failed, |output| Told::Done(Box::new(output)));
                let _ = client.send(last);
            }
            () = client.closed() => {}
        }
    });
    Ok(told)
}

fn judge(
    services: &Services,
    caller: &Caller,
    input: &mut ChatInput,
) -> Result<Judge, ServiceError> {
    let refuse = |message: &str| Err(ServiceError::bad_request(message).param("validation"));
    if let Some(demand) = &input.validation
        && demand
            .on_fail
            .is_some_and(|on_fail| on_fail != OnFail::Iterate)
    {
        return refuse("validation.on_fail: /v1/iterate always iterates; leave it out");
    }
    let judge = Judge::of(services, caller, input)?;
    match judge {
        Some(judge) => Ok(judge),
        None => refuse(
            "validation: name the validators that the answer must pass, as in {\"kinds\": [\"email\"]}",
        ),
    }
}

async fn run(
    services: Arc<Services>,
    caller: Caller,
    input: Box<ChatInput>,
    judge: Judge,
    report: impl FnMut(Progress),
) -> Result<IterateOutput, ServiceError> {
    let iterated = complete::iterate(services, caller, input, &judge, report).await?;
    let completion = iterated.completion;
    let mut usage = TokenUsage::default();
    for told in iterated.attempts.iter().filter_map(|attempt| attempt.usage) {
        usage.prompt_tokens += told.prompt_tokens;
        usage.completion_tokens += told.completion_tokens;
        usage.cached_tokens += told.cached_tokens;
        usage.cache_write_tokens += told.cache_write_tokens;
    }
    let changes = match iterated.attempts.as_slice() {
        [first, .., last] => {
            let (first, last) = (first.answer.clone(), last.answer.clone());
            // Long answers take a while to compare, and others wait on this thread.
            let compared = tokio::task::spawn_blocking(move || changes(&first, &last)).await;
            compared.map_err(|_| {
                ServiceError::new(ErrorKind::Internal, "the answers could not be compared")
            })?
        }
        _ => None,
    };
    let (verdict, findings) = match completion.validation {
        Some(judgement) => (Some(judgement.verdict), judgement.findings),
        None => (None, Vec::new()),
    };
    Ok(IterateOutput {
        id: completion.id,
        created: completion.created,
        model: completion.model,
        end: iterated.end,
        verdict,
        answer: completion.reply.text,
        findings,
        citations: completion.citations,
        attempts: iterated.attempts,
        usage,
        changes,
        error: iterated.error.map(|error| Failure {
            code: error.code,
            message: error.message,
        }),
    })
}
