//! Contents that are erased on request, and old files that go by the settings.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::salt::salt;
use crate::engines::evidence::{Found, Subject};
use crate::services::error::fault;
use crate::services::{ServiceError, Services, now_ms};
use crate::storage::evidence_log::{Appended, Body, EvidenceLogError, NewRecord, Retain};
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::{ErasureEvidence, FrameEvidence, Kind};

/// Most ids or sequence numbers of one request.
const MAX_NAMED: usize = 1_000;
/// Longest id, key or user, bytes.
const MAX_NAME_BYTES: usize = 1_000;
/// Longest reason, bytes.
const MAX_REASON_BYTES: usize = 500;

/// A request to `POST /v1/evidence/erase`: one of `ids`, `seqs`, `key` and `user`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseInput {
    /// The ids of records, of their requests, or of the answers they are about.
    pub ids: Option<Vec<String>>,
    /// Sequence numbers of records.
    pub seqs: Option<Vec<u64>>,
    /// All that counted as this key: chat calls and what was said of them, searches, validations and feedback.
    pub key: Option<String>,
    /// All chat calls and feedback of this `user`, and what was said of them.
    pub user: Option<String>,
    /// Why. It stays in the journal: it must not say whose content it was.
    #[schema(example = "erasure request 2026-17")]
    pub reason: Option<String>,
    /// Only tell what would be erased.
    #[serde(default)]
    pub dry_run: bool,
}

/// The answer of `POST /v1/evidence/erase`.
#[derive(Debug, Serialize, ToSchema)]
pub struct EraseOutput {
    /// Records whose content is gone, or would be.
    pub erased: u64,
    /// How many of each kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// First and last sequence number of each run of them.
    #[schema(value_type = Vec<Vec<u64>>)]
    pub records: Vec<(u64, u64)>,
    /// How many were written by a version before erasure: the chain stays whole, their own hash cannot be computed again.
    pub unverifiable: u64,
    /// Records that were named and are erased already.
    pub already_erased: u64,
    /// Lines of the journal that are no records as they were written: nobody can tell whose they are, and they stay.
    pub unreadable: u64,
    /// The sequence numbers of the records that tell of it; none for a dry run, or when there is nothing to erase.
    pub by: Vec<u64>,
    /// Files that were replaced.
    pub files: u64,
    /// Whether nothing was done.
    pub dry_run: bool,
}

impl EraseOutput {
    fn of(found: Found, dry_run: bool) -> Self {
        Self {
            erased: found.count(),
            unverifiable: found.frames.len() as u64,
            already_erased: found.already,
            unreadable: found.unreadable,
            kinds: found.kinds,
            records: found.ranges,
            by: Vec::new(),
            files: 0,
            dry_run,
        }
    }
}

/// Serves `POST /v1/evidence/erase`. Records that are written while it runs are no part of it.
///
/// Errors: not one subject; no reason; the disk failed, and what was begun is completed at the next erasure or start.
pub async fn erase(
    services: &Arc<Services>,
    request_id: &str,
    input: EraseInput,
) -> Result<EraseOutput, ServiceError> {
    let reason = input.reason.clone().unwrap_or_default();
    let dry_run = input.dry_run;
    check("reason", &reason, MAX_REASON_BYTES, dry_run)?;
    let subject = subject(input)?;
    let (services, id) = (Arc::clone(services), request_id.to_owned());
    // It goes on when the client goes.
    let erasing = actix::spawn(async move {
        let failed = |failed| fault("evidence", failed);
        let deadline = services.job_deadline();
        let by = subject.name();
        if dry_run {
            let found = services.journal.find(subject, deadline).await;
            return Ok(EraseOutput::of(found.map_err(failed)?, true));
        }
        let right = services
            .journal
            .change_right(deadline)
            .await
            .map_err(failed)?;
        let found = services
            .journal
            .find(subject, deadline)
            .await
            .map_err(failed)?;
        let (upto, count) = (found.last(), found.count());
        let told = ErasureEvidence {
            reason,
            by: by.to_owned(),
            records: found.ranges.clone(),
            frames: found.frames.clone(),
        };
        let mut output = EraseOutput::of(found, false);
        if count > 0 {
            let told = records(&id, told, services.limits.max_record_bytes)?;
            let changed = services.journal.change(right, upto, told, deadline).await;
            let (begun, done) = changed.map_err(failed)?;
            output.by = begun.iter().map(|Appended { seq, .. }| *seq).collect();
            output.files = done.replaced;
            // An answer may be kept for whoever asks the same.
            services.kept.clear();
            tracing::info!(records = count, by = ?output.by, "contents of the evidence journal were erased");
        }
        Ok(output)
    });
    let erased = erasing.await;
    erased.unwrap_or_else(|error| Err(ServiceError::new(ErrorKind::Internal, error.to_string())))
}

fn check(name: &str, text: &str, max: usize, may_be_empty: bool) -> Result<(), ServiceError> {
    if (text.trim().is_empty() && !may_be_empty) || text.len() > max {
        let message = format!("{name} must be 1 to {max} bytes");
        return Err(ServiceError::bad_request(message).param(name));
    }
    Ok(())
}

fn subject(input: EraseInput) -> Result<Subject, ServiceError> {
    let bounded = |name: &str, count: usize| match (1..=MAX_NAMED).contains(&count) {
        true => Ok(()),
        false => {
            let message = format!("{name} must be 1 to {MAX_NAMED}, got {count}");
            Err(ServiceError::bad_request(message).param(name))
        }
    };
    let subject = match (input.ids, input.seqs, input.key, input.user) {
        (Some(ids), None, None, None) => {
            bounded("ids", ids.len())?;
            for id in &ids {
                check("ids", id, MAX_NAME_BYTES, false)?;
            }
            Subject::Ids(ids.into_iter().collect())
        }
        (None, Some(seqs), None, None) => {
            bounded("seqs", seqs.len())?;
            Subject::Seqs(seqs.into_iter().collect::<HashSet<_>>())
        }
        (None, None, Some(key), None) => {
            check("key", &key, MAX_NAME_BYTES, false)?;
            Subject::Key(key)
        }
        (None, None, None, Some(user)) => {
            check("user", &user, MAX_NAME_BYTES, false)?;
            Subject::User(user)
        }
        _ => {
            let message = "say whose content: exactly one of ids, seqs, key and user";
            return Err(ServiceError::bad_request(message));
        }
    };
    Ok(subject)
}

/// Writes the records of an erasure: more than one where it names more than one may hold.
fn records(id: &str, told: ErasureEvidence, max: usize) -> Result<Vec<NewRecord>, ServiceError> {
    let record = journal_record(Kind::Erasure, id, &told)?;
    match record.check(max) {
        Ok(()) => Ok(vec![record]),
        Err(EvidenceLogError::TooLarge { .. })
            if told.records.len() > 1 || told.frames.len() > 1 =>
        {
            let (one, two) = halves(told);
            let mut records = self::records(id, one, max)?;
            records.extend(self::records(id, two, max)?);
            Ok(records)
        }
        Err(error) => Err(error.into()),
    }
}

/// Parts what an erasure names in two.
fn halves(told: ErasureEvidence) -> (ErasureEvidence, ErasureEvidence) {
    let ErasureEvidence {
        reason,
        by,
        records,
        frames,
    } = told;
    let middle = match records.as_slice() {
        [(first, last)] => first + (last - first) / 2,
        many => many.get(many.len() / 2 - 1).map_or(0, |(_, last)| *last),
    };
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for (first, last) in records {
        if first <= middle {
            low.push((first, last.min(middle)));
        }
        if last > middle {
            high.push((first.max(middle + 1), last));
        }
    }
    let (low_frames, high_frames): (Vec<FrameEvidence>, _) =
        frames.into_iter().partition(|frame| frame.seq <= middle);
    let half = |records, frames| ErasureEvidence {
        reason: reason.clone(),
        by: by.clone(),
        records,
        frames,
    };
    (half(low, low_frames), half(high, high_frames))
}

fn journal_record<T: Serialize>(kind: Kind, id: &str, told: &T) -> Result<NewRecord, ServiceError> {
    let body = serde_json::to_value(told)
        .map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?;
    Ok(NewRecord {
        ts_ms: now_ms(),
        kind,
        id: id.to_owned(),
        body: Body::of(&body, salt())?,
    })
}

/// Completes an erasure or a removal that a crash has interrupted.
pub async fn finish_changes(services: &Services) -> Result<(), ServiceError> {
    let right = services.journal.change_right(services.job_deadline()).await;
    right.map(drop).map_err(|failed| fault("evidence", failed))
}

/// Removes what the settings do not want to be kept any longer.
pub async fn retain(services: &Services) -> Result<(), ServiceError> {
    let failed = |failed| fault("evidence", failed);
    let (journal, deadline) = (&services.journal, services.job_deadline());
    let right = journal.change_right(deadline).await.map_err(failed)?;
    match journal
        .retention(now_ms(), deadline)
        .await
        .map_err(failed)?
    {
        Retain::Nothing => Ok(()),
        Retain::Complete => journal.complete_segment(deadline).await.map_err(failed),
        Retain::Remove(told) => {
            let record = journal_record(Kind::Retention, "retention", &told)?;
            let changed = journal
                .change(right, told.last, vec![record], deadline)
                .await;
            let (_, done) = changed.map_err(failed)?;
            tracing::info!(
                files = done.removed,
                first = told.first,
                last = told.last,
                reason = told.reason,
                "old evidence was removed"
            );
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(value: serde_json::Value) -> Result<Subject, ServiceError> {
        subject(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn exactly_one_subject_is_asked_for() {
        assert_eq!(input(json!({"key": "k"})).unwrap().name(), "key");
        assert_eq!(input(json!({"seqs": [1, 1, 2]})).unwrap().name(), "seq");
        for wrong in [
            json!({}),
            json!({"key": "k", "user": "u"}),
            json!({"ids": []}),
            json!({"ids": [""]}),
            json!({"user": " "}),
            json!({"seqs": vec![1; 1_001]}),
        ] {
            let error = input(wrong.clone()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::BadRequest, "{wrong}");
        }
    }

    #[test]
    fn an_erasure_that_is_too_long_is_told_by_several_records() {
        let frames = (1..=40).chain(51..=60).chain(71..=71);
        let told = ErasureEvidence {
            reason: "asked".to_owned(),
            by: "user".to_owned(),
            records: vec![(1, 40), (51, 60), (71, 71)],
            frames: frames
                .map(|seq| FrameEvidence {
                    seq,
                    digest: "0".repeat(64),
                })
                .collect(),
        };
        let records = records("r", told, 1_024).unwrap();
        assert!(records.len() > 5);
        assert!(records.iter().all(|record| record.check(1_024).is_ok()));
        // Nothing is named twice, and every frame stands with its record.
        let mut whole = (1_u64..=71).collect::<HashSet<_>>();
        let mut split = halves(ErasureEvidence {
            reason: String::new(),
            by: String::new(),
            records: vec![(1, 71)],
            frames: Vec::new(),
        });
        for (first, last) in split.0.records.drain(..).chain(split.1.records.drain(..)) {
            for seq in first..=last {
                assert!(whole.remove(&seq), "{seq}");
            }
        }
        assert!(whole.is_empty());
    }
}
