//! Conversations of other systems, as evidence. Each comes in once, whole, with what was said of it.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use supervisors::Fault;
use utoipa::ToSchema;

use super::error::{ServiceError, fault};
use super::evidence::{Entry, append};
use super::{Services, evidence};
use crate::actors::imports::{ImportsError, ImportsReply, ImportsRequest, record_id};
use crate::types::evidence::{ChatEvidence, FeedbackEvidence, ImportedEvidence, Kind};
use crate::types::foreign::{ForeignConversation, ForeignFeedback};

pub use crate::engines::dataset::import::{MapError, Mapped, Mapping, SHIPPED};

/// Most conversations of one request.
const MAX_CONVERSATIONS: usize = 1_000;
/// Longest name of a source, bytes.
const MAX_SOURCE_BYTES: usize = 64;
/// Longest foreign id, bytes.
const MAX_ID_BYTES: usize = 1_024;
/// Records that are under way to the journal at once: they share syncs, and leave room for others in its queue.
const AT_ONCE: usize = 32;

/// A request to `POST /v1/evidence/import`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EvidenceImportInput)]
pub struct ImportInput {
    /// The name of the source: 1 to 64 of `a-z`, `A-Z`, `0-9`, `_`, `-` and `.`.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9_.-]+$",
        example = "langfuse"
    )]
    pub source: String,
    /// 1 to 1,000 conversations. Each has `id` and `messages`, and may have `ts`, `model`, `answered_by`, `answer`, `tools`,
    /// `tool_calls`, `finish_reason`, `error`, `usage`, `cost_usd`, `user`, `key`, `tags`, `latency_ms`, `scores` and
    /// `feedback`.
    #[schema(min_items = 1, max_items = 1000)]
    pub conversations: Vec<ForeignConversation>,
}

/// The answer of `POST /v1/evidence/import`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = EvidenceImportOutput)]
pub struct ImportOutput {
    /// Conversations that are in the journal now and were not.
    pub imported: usize,
    /// Conversations that were there already.
    pub known: usize,
    /// Judgements that came in, also of conversations that were there already.
    pub feedback: usize,
    /// Conversations that cannot be recorded; nothing of them is.
    pub refused: Vec<Refused>,
}

/// A conversation that cannot be recorded.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = EvidenceRefused)]
pub struct Refused {
    /// Its place in the request, from 0.
    pub index: usize,
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// What a conversation is in the journal.
struct Records {
    chat: (String, Entry),
    feedback: Option<(String, Entry)>,
}

/// Serves `POST /v1/evidence/import`.
///
/// Errors: the request is wrong as a whole; the journal failed, after which the same request again adds what is missing.
pub async fn import(services: &Services, input: ImportInput) -> Result<ImportOutput, ServiceError> {
    check(&input)?;
    let (mut output, mut records) = (ImportOutput::default(), Vec::new());
    for (index, conversation) in input.conversations.into_iter().enumerate() {
        let id = conversation.id.clone();
        match prepare(
            &input.source,
            conversation,
            services.limits.max_record_bytes,
        ) {
            Ok(prepared) => records.push(prepared),
            Err(reason) => output.refused.push(Refused {
                index,
                id: id.chars().take(200).collect(),
                reason,
            }),
        }
    }
    write(services, records, &mut output).await?;
    Ok(output)
}

fn check(input: &ImportInput) -> Result<(), ServiceError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let source = &input.source;
    if !(1..=MAX_SOURCE_BYTES).contains(&source.len()) || !source.bytes().all(allowed) {
        let shown: String = source.chars().take(80).collect();
        let message = format!("source must be 1 to 64 of a-z, A-Z, 0-9, _, - and ., got {shown:?}");
        return Err(ServiceError::bad_request(message).param("source"));
    }
    let count = input.conversations.len();
    if !(1..=MAX_CONVERSATIONS).contains(&count) {
        let message = format!("conversations must be 1 to {MAX_CONVERSATIONS}, got {count}");
        return Err(ServiceError::bad_request(message).param("conversations"));
    }
    Ok(())
}

/// Makes the records of a conversation.
///
/// Errors: why it cannot be recorded.
fn prepare(source: &str, conversation: ForeignConversation, max: usize) -> Result<Records, String> {
    if !(1..=MAX_ID_BYTES).contains(&conversation.id.len()) {
        let bytes = conversation.id.len();
        return Err(format!("id must be 1 to {MAX_ID_BYTES} bytes, got {bytes}"));
    }
    let messages = &conversation.messages;
    if messages.is_empty() {
        return Err("messages must not be empty".to_owned());
    }
    if let Some(at) = messages.iter().position(|it| !it["role"].is_string()) {
        return Err(format!("messages[{at}] has no role"));
    }
    if conversation.answer.trim().is_empty() && conversation.tool_calls.is_empty() {
        return Err("there is neither an answer nor a tool call".to_owned());
    }
    let wrong = |number: Option<f64>| number.is_some_and(|number| number.is_nan() || number < 0.0);
    if wrong(conversation.cost_usd) {
        return Err("cost_usd must not be negative".to_owned());
    }
    let foreign_id = conversation.id.clone();
    let id = record_id(&["chat", source, &foreign_id]);
    let (chat, feedback) = evidence_of(source, &id, conversation);
    let chat = entry(Kind::Chat, &id, &chat, max)?;
    let feedback = match feedback {
        None => None,
        Some(feedback) => {
            if feedback.score.is_some_and(|it| !(0.0..=1.0).contains(&it)) {
                return Err("feedback.score must be 0 to 1".to_owned());
            }
            let said = serde_json::to_string(&feedback).map_err(|error| error.to_string())?;
            // Another word on the same answer is another record.
            let own = record_id(&["feedback", source, &foreign_id, &said]);
            let entry = entry(Kind::Feedback, &own, &feedback, max)?;
            Some((own, entry))
        }
    };
    Ok(Records {
        chat: (id, chat),
        feedback,
    })
}

fn entry<T: Serialize>(kind: Kind, id: &str, body: &T, max: usize) -> Result<Entry, String> {
    let entry = Entry::of(kind, id, body).map_err(|error| error.message)?;
    entry.check(max).map_err(|error| error.to_string())?;
    Ok(entry)
}

fn evidence_of(
    source: &str,
    id: &str,
    foreign: ForeignConversation,
) -> (ChatEvidence, Option<FeedbackEvidence>) {
    let imported = ImportedEvidence {
        source: source.to_owned(),
        id: foreign.id,
        ts: foreign.ts,
        tags: foreign.tags,
        scores: foreign.scores,
    };
    let chat = ChatEvidence {
        request_id: id.to_owned(),
        model: foreign.model,
        answered_by: foreign.answered_by,
        messages: foreign.messages,
        answer: foreign.answer,
        tools: foreign.tools,
        tool_calls: foreign.tool_calls,
        finish_reason: foreign.finish_reason,
        usage: foreign.usage,
        cost_usd: foreign.cost_usd,
        error: foreign.error,
        user: foreign.user,
        key: foreign.key,
        imported: Some(imported),
        latency_ms: foreign.latency_ms,
        ..ChatEvidence::default()
    };
    let feedback = |said: ForeignFeedback| FeedbackEvidence {
        target: id.to_owned(),
        rating: said.rating,
        score: said.score,
        comment: said.comment,
        edited_answer: said.edited_answer,
        user: said.user,
        review: false,
        imported: Some(source.to_owned()),
        // Its id is made of all this: who brings it again must not make it another.
        key: None,
    };
    (chat, foreign.feedback.map(feedback))
}

/// Appends what is not in the journal yet: first the answers, then what was said of them.
async fn write(
    services: &Services,
    records: Vec<Records>,
    output: &mut ImportOutput,
) -> Result<(), ServiceError> {
    // Also of two requests that import the same at once, only one adds it.
    let mut whole = services.importing.lock().await;
    if !*whole {
        // An append that was given up may still be in the journal's queue: this waits until it is through.
        evidence::head(services).await?;
        ask(services, ImportsRequest::Forget).await?;
    }
    let of_feedback = |records: &Records| records.feedback.as_ref().map(|(id, _)| id.clone());
    let ids: Vec<String> = records.iter().map(|one| one.chat.0.clone()).collect();
    let ids = [ids, records.iter().filter_map(of_feedback).collect()].concat();
    let ImportsReply::New(new) = ask(services, ImportsRequest::New(ids.clone())).await? else {
        return Err(fault::<ImportsError>("imports", Fault::ShuttingDown));
    };
    // The same id may stand in the request twice.
    let new = ids.into_iter().zip(new).filter(|(_, new)| *new);
    let mut new: HashSet<String> = new.map(|(id, _)| id).collect();
    let (mut chats, mut judgements, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for Records { chat, feedback } in records {
        if let Some((id, entry)) = feedback
            && new.remove(&id)
        {
            targets.push(chat.0.clone());
            judgements.push((id, entry));
        }
        if new.remove(&chat.0) {
            chats.push(chat);
        } else {
            output.known += 1;
        }
    }
    // When this ends in the middle, by an error or because the client goes away, what is known is made anew.
    *whole = false;
    let mut added = Vec::new();
    output.imported = chats.len();
    output.feedback = judgements.len();
    for wave in [chats, judgements] {
        let mut left = wave.into_iter().peekable();
        while left.peek().is_some() {
            let (ids, entries): (Vec<_>, Vec<_>) = left.by_ref().take(AT_ONCE).unzip();
            let appended = join_all(entries.into_iter().map(|entry| append(services, entry)));
            for outcome in appended.await {
                outcome?;
            }
            added.extend(ids);
        }
    }
    for target in targets {
        services.review.queue.settle(&target);
    }
    ask(services, ImportsRequest::Add(added)).await?;
    *whole = true;
    Ok(())
}

async fn ask(services: &Services, request: ImportsRequest) -> Result<ImportsReply, ServiceError> {
    let asked = services.imports.ask(request, services.job_deadline());
    asked.await.map_err(|failed| fault("imports", failed))
}
