//! What people are to judge, and what they decide.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::error::{ServiceError, fault};
use super::evidence::{MAX_FEEDBACK_BYTES, record};
use super::{Asker, Services};
use crate::actors::review::{ReviewReply, ReviewRequest};
use crate::engines::dataset::Task;
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::{FeedbackEvidence, Kind, Rating};

/// Tasks of an answer that does not say how many.
const DEFAULT_LIMIT: usize = 20;
/// Most tasks of one answer.
const MAX_LIMIT: usize = 100;
/// Longest name of a reviewer, bytes.
const MAX_REVIEWER_BYTES: usize = 200;

/// The query of `GET /v1/review`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReviewQuery {
    /// Most tasks: 1 to 100, default 20. An answer ends at 4 MiB too.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<u64>,
}

/// The answer of `GET /v1/review`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewPage {
    /// The oldest first.
    pub tasks: Vec<ReviewTask>,
    /// How many wait, on all pages.
    pub total: usize,
    /// Where the next page begins; `null` on the last one.
    pub next: Option<u64>,
}

/// A task that waits for a person.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewTask {
    /// The last words of the user.
    pub prompt: String,
    /// The task as it was materialized: `id`, `messages`, `answer`, `reasons` and more.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub task: Task,
}

/// What a reviewer may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Good enough to learn from.
    Accept,
    /// Good in part.
    PartiallyAccept,
    /// Wrong.
    Reject,
    /// Good as corrected: `answer` is what it should have been.
    Edit,
}

/// A request to `POST /v1/review/{task}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewInput {
    /// What is decided.
    pub decision: Decision,
    /// The corrected answer, of an edit.
    pub answer: Option<String>,
    /// Why.
    pub note: Option<String>,
    /// Who decides.
    #[schema(max_length = 200)]
    pub reviewer: Option<String>,
}

/// The answer of `POST /v1/review/{task}`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewOutput {
    /// The task.
    pub task: String,
    /// What was decided.
    pub decision: Decision,
    /// Its place in the journal.
    pub seq: u64,
    /// Its hash in the journal's chain.
    pub hash: String,
    /// How many tasks wait still.
    pub left: usize,
}

/// Serves `GET /v1/review`.
///
/// Errors: a limit out of range; nothing is materialized.
pub async fn list(services: &Services, query: ReviewQuery) -> Result<ReviewPage, ServiceError> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("limit must be 1 to {MAX_LIMIT}, got {limit}");
        return Err(ServiceError::bad_request(message).param("limit"));
    }
    let after = query.after.unwrap_or(0);
    let (tasks, last) = ask(services, ReviewRequest::List { after, limit }).await?;
    let total = services.review.queue.len();
    let more = !tasks.is_empty() && services.review.queue.waits_after(last);
    let next = more.then_some(last);
    Ok(ReviewPage {
        tasks: tasks.into_iter().map(shown).collect(),
        total,
        next,
    })
}

/// Serves `GET /v1/review/{task}`.
///
/// Errors: it does not wait; nothing is materialized.
pub async fn read(services: &Services, task: &str) -> Result<ReviewTask, ServiceError> {
    let (mut found, _) = ask(services, ReviewRequest::Read(task.to_owned())).await?;
    found.pop().map(shown).ok_or_else(|| not_waiting(task))
}

/// Serves `POST /v1/review/{task}`: the decision is evidence, and the task waits no longer.
///
/// Errors: the decision is wrong; the task does not wait; the journal failed, and the task waits as before.
pub async fn decide(
    services: &Services,
    asker: Asker,
    task: &str,
    input: ReviewInput,
) -> Result<ReviewOutput, ServiceError> {
    check(&input)?;
    let decision = input.decision;
    // Fills the queue where it is not that of the newest tasks.
    ask(services, ReviewRequest::Read(task.to_owned())).await?;
    let queue = &services.review.queue;
    // Whoever takes it decides: of two reviewers at once, the other is told.
    let taken = queue.take(task).ok_or_else(|| not_waiting(task))?;
    let said = FeedbackEvidence {
        target: task.to_owned(),
        rating: match decision {
            Decision::Accept => Rating::Accepted,
            Decision::PartiallyAccept | Decision::Edit => Rating::PartiallyAccepted,
            Decision::Reject => Rating::Rejected,
        },
        score: None,
        comment: input.note,
        edited_answer: input.answer,
        user: input.reviewer,
        review: true,
        imported: None,
        key: Some(asker.key),
    };
    let recorded = record(services, Kind::Feedback, &asker.request_id, &said).await;
    let (seq, hash) = match recorded {
        Ok(recorded) => recorded,
        Err(error) => {
            queue.give_back(taken);
            return Err(error);
        }
    };
    queue.settle(task);
    Ok(ReviewOutput {
        task: task.to_owned(),
        decision,
        seq,
        hash,
        left: queue.len(),
    })
}

fn check(input: &ReviewInput) -> Result<(), ServiceError> {
    let blank = |answer: &String| answer.trim().is_empty();
    match (input.decision, &input.answer) {
        (Decision::Edit, None) => {
            let message = "an edit needs answer, what it should have been";
            return Err(ServiceError::bad_request(message).param("answer"));
        }
        (Decision::Edit, Some(answer)) if blank(answer) => {
            let message = "answer is blank: reject the task where there is no right answer";
            return Err(ServiceError::bad_request(message).param("answer"));
        }
        (Decision::Edit, Some(_)) | (_, None) => {}
        (_, Some(_)) => {
            let message = "answer belongs to the decision edit";
            return Err(ServiceError::bad_request(message).param("answer"));
        }
    }
    let texts = [
        ("answer", &input.answer, MAX_FEEDBACK_BYTES),
        ("note", &input.note, MAX_FEEDBACK_BYTES),
        ("reviewer", &input.reviewer, MAX_REVIEWER_BYTES),
    ];
    for (name, text, most) in texts {
        if text.as_ref().is_some_and(|text| text.len() > most) {
            let message = format!("{name} is longer than {most} bytes");
            return Err(ServiceError::new(ErrorKind::TooLarge, message).param(name));
        }
    }
    Ok(())
}

fn shown(task: Task) -> ReviewTask {
    ReviewTask {
        prompt: task.question(),
        task,
    }
}

fn not_waiting(task: &str) -> ServiceError {
    let task: String = task.chars().take(200).collect();
    ServiceError::not_found(format!(
        "{task:?} does not wait for review: it is decided, or was never in doubt, or is not materialized yet; \
         GET /v1/review lists what waits"
    ))
    .code("not_waiting")
}

async fn ask(
    services: &Services,
    request: ReviewRequest,
) -> Result<(Vec<Task>, u64), ServiceError> {
    let asked = services.review.cell.ask(request, services.job_deadline());
    let ReviewReply(tasks, last) = asked.await.map_err(|failed| fault("review", failed))?;
    Ok((tasks, last))
}

impl ReviewTask {
    /// The task as people read it: who said what, without the shapes of JSON.
    pub fn turns(&self) -> Vec<(String, String)> {
        let turn = |message: &Value| {
            let role = message["role"].as_str().unwrap_or("?").to_owned();
            (role, text_of(&message["content"]))
        };
        self.task.messages.iter().map(turn).collect()
    }
}

fn text_of(content: &Value) -> String {
    match content {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let part = |part: &Value| match part["text"].as_str() {
                Some(text) => text.to_owned(),
                None => format!("[{}]", part["type"].as_str().unwrap_or("part")),
            };
            parts.iter().map(part).collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}
