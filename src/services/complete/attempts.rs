//! Asking again until the answer passes, within bounds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::timeout_at;

use super::caller::Caller;
use super::input::{CacheInput, ChatInput};
use super::judge::Judge;
use super::{Completion, plain};
use crate::engines::chat::CacheMode;
use crate::engines::validation::advice;
use crate::services::search::millis_since;
use crate::services::{ServiceError, Services};
use crate::types::chat::{ChatMessage, Content, ContentPart, Role};
use crate::types::demand::Judgement;
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::TokenUsage;
use crate::types::validation::{Finding, Verdict};

/// A token is about so many bytes of English, where nobody has counted.
const BYTES_PER_TOKEN: u64 = 4;

/// Why no further answer was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = IterationEnd)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The last answer passed.
    Passed,
    /// All attempts are used up.
    Attempts,
    /// So are the tokens, or the next attempt would begin above the bound.
    Tokens,
    /// The time is; the attempt under way was given up.
    Deadline,
    /// The next answer could not be had.
    Failed,
    /// The last answer calls tools, and is not judged.
    ToolCalls,
}

/// One answer and what was found in it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = IterationAttempt)]
pub struct Attempt {
    /// From 1.
    pub attempt: u32,
    /// Of the completion: feedback and validations name it.
    pub id: String,
    /// `provider/model` that answered.
    pub model: String,
    /// Its text.
    pub answer: String,
    /// `null` when it calls tools.
    pub verdict: Option<Verdict>,
    /// Of every validator, in the order of the demand.
    pub findings: Vec<Finding>,
    /// Tokens, when the provider tells.
    pub usage: Option<TokenUsage>,
    /// Time it took with its validation, milliseconds.
    pub latency_ms: u64,
}

/// What happens on the way.
#[derive(Debug, Clone)]
pub enum Progress {
    /// This attempt is asked for.
    Started(u32),
    /// This one is judged.
    Judged(Attempt),
}

/// Where it ended.
pub(in crate::services) struct Iterated {
    /// The last answer, with its judgement.
    pub(in crate::services) completion: Completion,
    /// All of them, in order; never empty.
    pub(in crate::services) attempts: Vec<Attempt>,
    pub(in crate::services) end: End,
    /// Why the next answer could not be had.
    pub(in crate::services) error: Option<ServiceError>,
}

/// Asks, judges, tells what was found, and asks again.
///
/// Errors: there is no answer at all. Cancel safety: dropping the future cancels the call under way; the evidence of what
/// was answered stays.
pub(in crate::services) async fn iterate(
    services: Arc<Services>,
    caller: Caller,
    input: Box<ChatInput>,
    judge: &Judge,
    mut report: impl FnMut(Progress),
) -> Result<Iterated, ServiceError> {
    let until = tokio::time::Instant::now() + Duration::from_millis(judge.deadline_ms);
    let mut next = next_input(&input, None);
    let mut caller = caller;
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut last: Option<Completion> = None;
    let mut spent = 0;
    for number in 1..=judge.max_attempts {
        report(Progress::Started(number));
        let started = Instant::now();
        let asked = attempt(&services, caller.clone(), next, until, judge);
        let asked = match timeout_at(until, Box::pin(asked)).await {
            Ok(asked) => asked,
            Err(_) => Err(late(judge.deadline_ms)),
        };
        let completion = match asked {
            Ok(completion) => completion,
            Err(error) => {
                let end = match error.code {
                    Some(DEADLINE) => End::Deadline,
                    _ => End::Failed,
                };
                let Some(completion) = last else {
                    return Err(error);
                };
                let error = (end == End::Failed).then_some(error);
                return Ok(ended(completion, attempts, end, error));
            }
        };
        let judgement = completion.validation.as_ref();
        let findings = judgement.map_or_else(Vec::new, |one| one.findings.clone());
        let verdict = judgement.map(|one| one.verdict);
        spent += tokens(&input, &completion);
        let made = Attempt {
            attempt: number,
            id: completion.id.clone(),
            model: completion.model.clone(),
            answer: completion.reply.text.clone(),
            verdict,
            findings,
            usage: completion.reply.usage,
            latency_ms: millis_since(started),
        };
        report(Progress::Judged(made.clone()));
        attempts.push(made);
        let over = match verdict {
            None => Some(End::ToolCalls),
            Some(Verdict::Pass) => Some(End::Passed),
            Some(_) if number == judge.max_attempts => Some(End::Attempts),
            Some(_)
                if spent.saturating_add(asked_bytes(&input) / BYTES_PER_TOKEN)
                    >= judge.max_tokens =>
            {
                Some(End::Tokens)
            }
            Some(_) => None,
        };
        if let Some(end) = over {
            return Ok(ended(completion, attempts, end, None));
        }
        caller.repairs = Some(completion.id.clone());
        next = next_input(&input, Some(&completion));
        last = Some(completion);
    }
    // `max_attempts` is at least 1, and the last attempt ends it.
    Err(ServiceError::bad_request(
        "validation.max_attempts must be at least 1",
    ))
}

/// The code of an attempt that was given up.
const DEADLINE: &str = "validation_deadline";

fn late(deadline_ms: u64) -> ServiceError {
    let message = format!("no answer within validation.deadline_ms, {deadline_ms}");
    ServiceError::new(ErrorKind::Timeout, message).code(DEADLINE)
}

async fn attempt(
    services: &Arc<Services>,
    caller: Caller,
    input: Box<ChatInput>,
    until: tokio::time::Instant,
    judge: &Judge,
) -> Result<Completion, ServiceError> {
    let mut completion = plain(Arc::clone(services), caller, input, Some(until)).await?;
    let passages = completion.passages.as_deref().unwrap_or_default();
    let judged = judge.judge(services, &completion.id, &completion.reply, passages);
    completion.validation = judged.await?;
    Ok(completion)
}

fn ended(
    mut completion: Completion,
    attempts: Vec<Attempt>,
    end: End,
    error: Option<ServiceError>,
) -> Iterated {
    if let Some(judgement) = &mut completion.validation {
        judgement.attempts = Some(attempts.len());
    }
    Iterated {
        completion,
        attempts,
        end,
        error,
    }
}

/// The client's request; after an answer, with what was found in it, and from the same passages.
fn next_input(input: &ChatInput, last: Option<&Completion>) -> Box<ChatInput> {
    let mut next = Box::new(input.clone());
    next.stream = None;
    next.cache = Some(CacheInput {
        mode: Some(CacheMode::Off),
        // The rest is checked as ever.
        ..next.cache.take().unwrap_or_default()
    });
    let Some(last) = last else { return next };
    if next.retrieval.take().is_some() {
        next.given = last.passages.clone();
    }
    let findings = last
        .validation
        .as_ref()
        .map(|one: &Judgement| &one.findings[..]);
    let told = advice(&last.reply.text, findings.unwrap_or_default());
    match next.messages.last_mut() {
        Some(message) if message.role == Role::User => match &mut message.content {
            Some(Content::Text(text)) => text.push_str(&told),
            Some(Content::Parts(parts)) => parts.push(ContentPart {
                kind: "text".to_owned(),
                text: Some(told),
                rest: serde_json::Map::new(),
            }),
            None => message.content = Some(Content::Text(told)),
        },
        _ => next
            .messages
            .push(ChatMessage::new(Role::User, told.trim_start())),
    }
    next
}

fn asked_bytes(input: &ChatInput) -> u64 {
    let bytes: usize = input
        .messages
        .iter()
        .map(|message| message.text().len())
        .sum();
    bytes as u64
}

/// What an answer took, by the provider's count, else by its length.
fn tokens(input: &ChatInput, completion: &Completion) -> u64 {
    match completion.reply.usage {
        Some(usage) => usage.prompt_tokens.saturating_add(usage.completion_tokens),
        None => {
            let passages = completion.passages.iter().flatten();
            let read: usize = passages.map(|passage| passage.text.len()).sum();
            let bytes = asked_bytes(input) + (read + completion.reply.text.len()) as u64;
            bytes / BYTES_PER_TOKEN
        }
    }
}
