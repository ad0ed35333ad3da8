//! Recording what happened and what people said of it; reading and erasing it.

mod erase;
mod read;
mod salt;

pub use erase::{EraseInput, EraseOutput, erase, finish_changes, retain};
pub use read::{EvidenceInput, EvidenceOutput, list};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use salt::salt;

use super::error::{ServiceError, fault};
use super::{Asker, Services, now_ms};
use crate::engines::usage::Call;
use crate::storage::evidence_log::{Body, EvidenceLogError, Head, NewRecord};
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::{ChatEvidence, FeedbackEvidence, Kind, Rating};

/// Longest comment or edited answer, bytes.
pub(super) const MAX_FEEDBACK_BYTES: usize = 256 * 1024;

/// A request to `POST /v1/feedback`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackInput {
    /// The id of the answer it is about, or its `x-request-id`; of several answers to one request
    /// id, the newest is meant.
    #[schema(min_length = 1)]
    pub target: String,
    /// What the person thought of it.
    #[schema(example = "accepted")]
    pub rating: Rating,
    /// Why.
    pub comment: Option<String>,
    /// The answer as it should have been; it becomes training data.
    pub edited_answer: Option<String>,
    /// Who said so.
    pub user: Option<String>,
}

/// The answer of `POST /v1/feedback`.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedbackOutput {
    /// The feedback's own id.
    pub id: String,
    /// Its place in the journal.
    pub seq: u64,
    /// Its hash in the journal's chain.
    pub hash: String,
}

/// Serves `POST /v1/feedback`.
pub async fn feedback(
    services: &Services,
    asker: Asker,
    input: FeedbackInput,
) -> Result<FeedbackOutput, ServiceError> {
    if input.target.is_empty() || input.target.len() > 200 {
        return Err(ServiceError::bad_request(
            "target must be the id of an answer, 1 to 200 bytes",
        )
        .param("target"));
    }
    for (name, text) in [
        ("comment", &input.comment),
        ("edited_answer", &input.edited_answer),
    ] {
        if text
            .as_ref()
            .is_some_and(|text| text.len() > MAX_FEEDBACK_BYTES)
        {
            return Err(ServiceError::new(
                ErrorKind::TooLarge,
                format!("{name} is longer than {MAX_FEEDBACK_BYTES} bytes"),
            )
            .param(name));
        }
    }
    let record = FeedbackEvidence {
        target: input.target,
        rating: input.rating,
        score: None,
        comment: input.comment,
        edited_answer: input.edited_answer,
        user: input.user,
        review: false,
        imported: None,
        key: Some(asker.key),
    };
    let id = asker.request_id;
    let (seq, hash) = self::record(services, Kind::Feedback, &id, &record).await?;
    services.review.queue.settle(&record.target);
    Ok(FeedbackOutput { id, seq, hash })
}

/// A record that is ready for the journal.
pub(super) struct Entry {
    record: NewRecord,
    /// What it tells of, when that is a chat call.
    call: Option<Call>,
}

impl Entry {
    /// Writes the record of now.
    ///
    /// Errors: nested too deeply.
    pub(super) fn of<T: Serialize>(kind: Kind, id: &str, body: &T) -> Result<Self, ServiceError> {
        let record = NewRecord {
            ts_ms: now_ms(),
            kind,
            id: id.to_owned(),
            body: Body::of(body, salt())?,
        };
        Ok(Self { record, call: None })
    }

    /// The same of a chat call.
    pub(super) fn of_chat(id: &str, evidence: &ChatEvidence) -> Result<Self, ServiceError> {
        let mut entry = Self::of(Kind::Chat, id, evidence)?;
        entry.call = Call::of(entry.record.ts_ms, evidence.into());
        Ok(entry)
    }

    /// See [`NewRecord::check`].
    pub(super) fn check(&self, max: usize) -> Result<(), EvidenceLogError> {
        self.record.check(max)
    }
}

/// Appends one record to the journal; returns its sequence number and hash.
pub(super) async fn record<T: Serialize>(
    services: &Services,
    kind: Kind,
    id: &str,
    body: &T,
) -> Result<(u64, String), ServiceError> {
    append(services, Entry::of(kind, id, body)?).await
}

/// The same of a record that is ready.
pub(super) async fn append(
    services: &Services,
    entry: Entry,
) -> Result<(u64, String), ServiceError> {
    let journal = &services.journal;
    let appended = journal.append(entry.record, entry.call, services.deadline());
    let appended = appended.await.map_err(|failed| fault("evidence", failed))?;
    Ok((appended.seq, appended.hash))
}

/// Forces the journal to the disk while appends go on; returns its head.
pub async fn sync(services: &Services) -> Result<Head, ServiceError> {
    let synced = services.journal.sync(services.deadline()).await;
    synced.map_err(|failed| fault("evidence", failed))
}

/// Reads the journal's newest hash: kept elsewhere, it proves later that nothing was cut off.
pub async fn head(services: &Services) -> Result<Head, ServiceError> {
    let head = services.journal.head(services.deadline()).await;
    head.map_err(|failed| fault("evidence", failed))
}
