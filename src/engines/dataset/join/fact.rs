//! What a join keeps of one line: enough to know it again, and whom it is about.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::task::{TaskFeedback, TaskValidation};
use super::Source;
use super::table::{Key, of_id, short};
use crate::storage::evidence_log::{BadLine, JournalLine, canonical};
use crate::types::evidence::{
    ChatEvidence, EvidenceRecord, FeedbackEvidence, Kind, Rating, SCHEMA_VERSION, SearchEvidence,
    ValidationEvidence,
};
use crate::types::validation::Verdict;

/// One line, without its contents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Of its record, Unix milliseconds; 0 without one.
    pub(super) ts: u64,
    pub(super) of: About,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum About {
    /// No record of a known shape.
    Bad,
    Erased,
    /// What was done to the journal itself.
    Change,
    Search {
        key: Key,
    },
    Chat {
        key: Key,
        id: Key,
        request: Key,
        /// Whether there is anything to judge.
        answered: bool,
        /// Whether the cache had it for a similar question.
        similar: bool,
        /// Whether a replay asked.
        replayed: bool,
    },
    Feedback {
        key: Key,
        target: Key,
        said: Said,
    },
    Validation {
        key: Key,
        target: Option<Key>,
        said: Ruled,
    },
}

/// What a validator said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ruled {
    seq: u64,
    pub(super) validator: String,
    verdict: Verdict,
    rules: Vec<String>,
    /// Whose record it is; not known before it is gathered.
    #[serde(skip)]
    pub(super) source: Source,
}

impl Ruled {
    pub(super) fn validation(&self, replica: Option<&str>) -> TaskValidation {
        TaskValidation {
            seq: self.seq,
            replica: replica.map(str::to_owned),
            validator: self.validator.clone(),
            verdict: self.verdict,
            rules: self.rules.clone(),
        }
    }
}

/// A judgement; most have no words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Said {
    seq: u64,
    /// Whose record it is; not known before it is gathered.
    #[serde(skip)]
    pub(super) source: Source,
    rating: Rating,
    score: Option<f64>,
    review: bool,
    words: Option<Box<Words>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Words {
    comment: Option<String>,
    edited_answer: Option<String>,
    user: Option<String>,
}

impl Said {
    fn of(seq: u64, said: FeedbackEvidence) -> Self {
        let words = Words {
            comment: said.comment,
            edited_answer: said.edited_answer,
            user: said.user,
        };
        let none = words.comment.is_none() && words.edited_answer.is_none() && words.user.is_none();
        Self {
            seq,
            source: Source::default(),
            rating: said.rating,
            score: said.score,
            review: said.review,
            words: (!none).then(|| Box::new(words)),
        }
    }

    pub(super) fn feedback(&self, replica: Option<&str>) -> TaskFeedback {
        let words = self.words.as_deref();
        TaskFeedback {
            seq: self.seq,
            replica: replica.map(str::to_owned),
            rating: self.rating,
            score: self.score,
            comment: words.and_then(|words| words.comment.clone()),
            edited_answer: words.and_then(|words| words.edited_answer.clone()),
            user: words.and_then(|words| words.user.clone()),
            review: self.review,
        }
    }

    /// Whether it gives another answer.
    pub(super) fn edits(&self) -> bool {
        let words = self.words.as_deref();
        let edit = words.and_then(|words| words.edited_answer.as_deref());
        edit.is_some_and(|edit| !edit.trim().is_empty())
    }
}

impl Fact {
    /// Time of its record, Unix milliseconds; 0 of a line that is none.
    pub fn ts(&self) -> u64 {
        self.ts
    }

    /// Reads a line; says of one that is no record of a known shape why.
    pub fn of(line: &JournalLine) -> (Self, Option<BadLine>) {
        let record = match &line.record {
            Ok(record) => record,
            Err(bad) => return (Self::bad(0), Some(bad.clone())),
        };
        if record.schema > SCHEMA_VERSION {
            let reason = format!("schema {} is newer than {SCHEMA_VERSION}", record.schema);
            return (Self::bad(0), Some(bad(record, reason)));
        }
        let ts = record.ts;
        match About::of(record) {
            Ok(of) => (Self { ts, of }, None),
            Err(reason) => (Self::bad(ts), Some(bad(record, reason))),
        }
    }

    fn bad(ts: u64) -> Self {
        let of = About::Bad;
        Self { ts, of }
    }
}

impl About {
    fn of(record: &EvidenceRecord) -> Result<Self, String> {
        if record.erased.is_some() {
            return Ok(Self::Erased);
        }
        // Parsed before duplicates are told apart: a bad record is no original of anything.
        Ok(match record.kind {
            Kind::Chat => {
                let chat: ChatEvidence = body(record)?;
                Self::Chat {
                    key: digest(record),
                    id: of_id(&record.id),
                    request: of_id(&chat.request_id),
                    answered: has_answer(&chat),
                    similar: chat.cache.as_deref() == Some("semantic"),
                    replayed: chat.replay.is_some(),
                }
            }
            Kind::Search => {
                let _: SearchEvidence = body(record)?;
                let key = digest(record);
                Self::Search { key }
            }
            Kind::Validation => {
                let said: ValidationEvidence = body(record)?;
                let rules = said.findings.into_iter().map(|finding| finding.rule);
                Self::Validation {
                    key: digest(record),
                    target: said.target.as_deref().map(of_id),
                    said: Ruled {
                        source: Source::default(),
                        seq: record.seq,
                        validator: said.kind,
                        verdict: said.verdict,
                        rules: rules.collect(),
                    },
                }
            }
            Kind::Feedback => {
                let said: FeedbackEvidence = body(record)?;
                Self::Feedback {
                    key: digest(record),
                    target: of_id(&said.target),
                    said: Said::of(record.seq, said),
                }
            }
            Kind::Erasure | Kind::Retention => Self::Change,
        })
    }
}

/// Reads the body of a record as that of its kind.
fn body<T: DeserializeOwned>(record: &EvidenceRecord) -> Result<T, String> {
    T::deserialize(&record.body).map_err(|error| format!("body does not fit its kind: {error}"))
}

fn bad(record: &EvidenceRecord, reason: String) -> BadLine {
    BadLine {
        reason,
        excerpt: format!("record {} of seq {}", record.id, record.seq),
    }
}

/// Whether there is anything to judge: also half an answer, and one that is empty on purpose.
fn has_answer(chat: &ChatEvidence) -> bool {
    let broken = chat.error.is_some() || chat.answered_by.is_none() || chat.finish_reason.is_none();
    !broken || !chat.answer.is_empty() || !chat.tool_calls.is_empty()
}

/// Equal for two records only when one repeats the other.
fn digest(record: &EvidenceRecord) -> Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[record.kind as u8]);
    hasher.update(&(record.id.len() as u64).to_le_bytes());
    hasher.update(record.id.as_bytes());
    hasher.update(canonical(&record.body).as_bytes());
    short(&hasher.finalize())
}
