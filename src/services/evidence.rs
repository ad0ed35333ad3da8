//! Recording what happened, and what people said of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ServiceError, fault};
use super::{Services, now_ms};
use crate::actors::evidence::{EvidenceReply, EvidenceRequest};
use crate::storage::evidence_log::{Head, NewRecord};
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::{FeedbackEvidence, Kind, Rating};

/// Longest comment or edited answer, bytes.
const MAX_FEEDBACK_BYTES: usize = 256 * 1024;

/// A request to `POST /v1/feedback`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackInput {
    /// The id of the answer it is about, or its `x-request-id`; of several answers to one request
    /// id, the newest is meant.
    pub target: String,
    /// What the person thought of it.
    #[schema(value_type = String, example = "accepted")]
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
    request_id: &str,
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
    };
    let (seq, hash) = self::record(services, Kind::Feedback, request_id, &record).await?;
    Ok(FeedbackOutput {
        id: request_id.to_owned(),
        seq,
        hash,
    })
}

/// Appends one record to the journal; returns its sequence number and hash.
pub(super) async fn record<T: Serialize>(
    services: &Services,
    kind: Kind,
    id: &str,
    body: &T,
) -> Result<(u64, String), ServiceError> {
    let body = serde_json::to_value(body).map_err(|error| {
        ServiceError::new(
            ErrorKind::Internal,
            format!("evidence could not be written: {error}"),
        )
    })?;
    let record = NewRecord {
        ts_ms: now_ms(),
        kind,
        id: id.to_owned(),
        body,
    };
    let reply = services
        .evidence
        .ask(EvidenceRequest::Append(vec![record]), services.deadline())
        .await
        .map_err(|failed| fault("evidence", failed))?;
    match reply {
        EvidenceReply::Appended(appended) => appended
            .into_iter()
            .next()
            .map(|one| (one.seq, one.hash))
            .ok_or_else(no_reply),
        EvidenceReply::Head(_) => Err(no_reply()),
    }
}

/// Forces the journal to the disk; returns its head.
pub async fn sync(services: &Services) -> Result<Head, ServiceError> {
    match services
        .evidence
        .ask(EvidenceRequest::Sync, services.deadline())
        .await
    {
        Ok(EvidenceReply::Head(head)) => Ok(head),
        Ok(EvidenceReply::Appended(_)) => Err(no_reply()),
        Err(failed) => Err(fault("evidence", failed)),
    }
}

/// Reads the journal's newest hash: kept elsewhere, it proves later that nothing was cut off.
pub async fn head(services: &Services) -> Result<Head, ServiceError> {
    match services
        .evidence
        .ask(EvidenceRequest::Head, services.deadline())
        .await
    {
        Ok(EvidenceReply::Head(head)) => Ok(head),
        Ok(EvidenceReply::Appended(_)) => Err(no_reply()),
        Err(failed) => Err(fault("evidence", failed)),
    }
}

fn no_reply() -> ServiceError {
    ServiceError::new(ErrorKind::Internal, "the evidence writer gave no receipt")
}
