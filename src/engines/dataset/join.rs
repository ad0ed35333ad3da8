//! Completions joined with what was said of them, in two readings of the journal.

mod counts;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use counts::Counts;

use super::recipe::Recipe;
use super::score::score;
use super::task::{Outcome, Place, Task, TaskFeedback, TaskValidation};
use crate::storage::evidence_log::{BadLine, JournalLine, canonical};
use crate::types::evidence::{
    ChatEvidence, EvidenceRecord, FeedbackEvidence, Kind, SCHEMA_VERSION, SearchEvidence,
    ValidationEvidence,
};

/// A line that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// The file.
    pub segment: String,
    /// From 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
    /// How it begins.
    pub excerpt: String,
}

/// What a line of the second reading became.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A task.
    Task(Box<Task>),
    /// It was put aside.
    Quarantined(Quarantined),
    /// It is counted.
    Counted,
}

/// What identifies a completion: equal for two records only when one repeats the other.
type Key = u128;

/// 128 bits of a hash: of a thousand million texts two are alike with a chance of one in 10^20.
fn short(hash: &blake3::Hash) -> Key {
    let (first, _) = hash.as_bytes().split_at(size_of::<Key>());
    first
        .iter()
        .fold(0, |key, byte| key << 8 | Key::from(*byte))
}

/// The key of an id.
fn of_id(id: &str) -> Key {
    short(&blake3::hash(id.as_bytes()))
}

/// Joins by target: the completion's id or its request's id.
///
/// A client may send one request id with many requests. So what was said of an id is bound while
/// reading to the newest completion that had it then: nobody can judge what is not answered yet.
///
/// Memory: the last judgement and verdicts of each completion, and some 150 bytes of each record for
/// its ids and to know it again; completions are not kept.
#[derive(Debug, Default)]
pub struct Join {
    feedback: HashMap<Key, TaskFeedback>,
    /// By completion, then by validator.
    validations: HashMap<Key, BTreeMap<String, TaskValidation>>,
    by_id: HashMap<Key, Newest>,
    by_request: HashMap<Key, Newest>,
    /// Targets of feedback that no completion before it had.
    unbound: HashSet<String>,
    gathered: HashSet<Key>,
    seen: HashSet<Key>,
    counts: Counts,
    outcomes: BTreeMap<&'static str, u64>,
    newest_ts: u64,
}

/// The newest completion of an id until now.
#[derive(Debug, Clone, Copy)]
struct Newest {
    key: Key,
    answered: bool,
}

impl Newest {
    /// Takes the place of an earlier one, unless that would hide an answer behind a failed try.
    fn replace(self, known: &mut HashMap<Key, Self>, id: &str) {
        let earlier = known.entry(of_id(id)).or_insert(self);
        if self.answered || !earlier.answered {
            *earlier = self;
        }
    }
}

impl Join {
    /// First reading: keeps what was said of each answer, the last of each.
    pub fn gather(&mut self, line: &JournalLine) {
        let Ok(record) = &line.record else { return };
        let of_no_answer = record.kind == Kind::Search || record.kind.is_of_the_journal();
        if record.schema > SCHEMA_VERSION || record.erased.is_some() || of_no_answer {
            return;
        }
        // A repeated record must not count as the last word, or as the newest answer, again.
        let key = digest(record);
        if !self.gathered.insert(key) {
            return;
        }
        match record.kind {
            Kind::Chat => {
                if let Ok(chat) = body::<ChatEvidence>(record) {
                    let answered = has_answer(&chat);
                    let newest = Newest { key, answered };
                    newest.replace(&mut self.by_id, &record.id);
                    newest.replace(&mut self.by_request, &chat.request_id);
                }
            }
            Kind::Feedback => {
                if let Ok(said) = body::<FeedbackEvidence>(record) {
                    self.gather_feedback(record.seq, said);
                }
            }
            Kind::Validation => {
                if let Ok(said) = body::<ValidationEvidence>(record) {
                    self.gather_validation(record.seq, said);
                }
            }
            Kind::Search | Kind::Erasure | Kind::Retention => {}
        }
    }

    fn gather_feedback(&mut self, seq: u64, said: FeedbackEvidence) {
        let Some(key) = self.newest(&said.target) else {
            self.unbound.insert(said.target);
            return;
        };
        let feedback = TaskFeedback {
            seq,
            rating: said.rating,
            score: said.score,
            comment: said.comment,
            edited_answer: said.edited_answer,
            user: said.user,
            review: said.review,
        };
        self.feedback.insert(key, feedback);
    }

    fn gather_validation(&mut self, seq: u64, said: ValidationEvidence) {
        let target = said.target.as_deref();
        let Some(key) = target.and_then(|target| self.newest(target)) else {
            return;
        };
        let rules = said.findings.into_iter().map(|finding| finding.rule);
        let validation = TaskValidation {
            seq,
            validator: said.kind.clone(),
            verdict: said.verdict,
            rules: rules.collect(),
        };
        self.validations
            .entry(key)
            .or_default()
            .insert(said.kind, validation);
    }

    /// A completion's own id goes before a request's, which clients choose.
    fn newest(&self, target: &str) -> Option<Key> {
        let target = of_id(target);
        let found = self.by_id.get(&target);
        found
            .or_else(|| self.by_request.get(&target))
            .map(|newest| newest.key)
    }

    /// Second reading, of the same lines: scores each completion and counts every line.
    pub fn step(&mut self, line: JournalLine, recipe: &Recipe) -> Step {
        if self.counts.read == 0 {
            // All is bound: what it was bound by makes room.
            self.by_id = HashMap::new();
            self.by_request = HashMap::new();
            self.gathered = HashSet::new();
        }
        self.counts.read += 1;
        let step = match line.record {
            Ok(record) => self.record(record, recipe),
            Err(bad) => Err(bad),
        };
        step.unwrap_or_else(|bad| {
            self.counts.quarantined += 1;
            Step::Quarantined(Quarantined {
                segment: line.segment,
                line: line.line,
                reason: bad.reason,
                excerpt: bad.excerpt,
            })
        })
    }

    fn record(&mut self, record: EvidenceRecord, recipe: &Recipe) -> Result<Step, BadLine> {
        if record.schema > SCHEMA_VERSION {
            let reason = format!("schema {} is newer than {SCHEMA_VERSION}", record.schema);
            return Err(bad(&record, reason));
        }
        self.newest_ts = self.newest_ts.max(record.ts);
        if record.erased.is_some() {
            self.counts.erased += 1;
            return Ok(Step::Counted);
        }
        // Parsed before duplicates are told apart: a bad record is no original of anything.
        let chat = match record.kind {
            Kind::Chat => Some(body::<ChatEvidence>(&record)?),
            Kind::Search => body::<SearchEvidence>(&record).map(|_| None)?,
            Kind::Validation => body::<ValidationEvidence>(&record).map(|_| None)?,
            Kind::Feedback => body::<FeedbackEvidence>(&record).map(|_| None)?,
            Kind::Erasure | Kind::Retention => {
                self.counts.changes += 1;
                return Ok(Step::Counted);
            }
        };
        let key = digest(&record);
        if !self.seen.insert(key) {
            self.counts.duplicates += 1;
            return Ok(Step::Counted);
        }
        match record.kind {
            Kind::Chat | Kind::Erasure | Kind::Retention => {}
            Kind::Search => self.counts.searches += 1,
            Kind::Validation => self.counts.validations += 1,
            Kind::Feedback => self.counts.feedback += 1,
        }
        let Some(chat) = chat else {
            return Ok(Step::Counted);
        };
        if chat.replay.is_some() {
            self.counts.replayed += 1;
            return Ok(Step::Counted);
        }
        let feedback = self.feedback.remove(&key);
        let edited = feedback
            .as_ref()
            .is_some_and(|feedback| feedback.edit().is_some());
        if !has_answer(&chat) && !edited {
            self.counts.failed += 1;
            return Ok(Step::Counted);
        }
        // No model was asked this question, so its answer teaches nothing until a person says so.
        if feedback.is_none() && chat.cache.as_deref() == Some("semantic") {
            self.counts.similar += 1;
            return Ok(Step::Counted);
        }
        let validations = self.validations.remove(&key).unwrap_or_default();
        let validations: Vec<_> = validations.into_values().collect();
        let scored = score(&chat, feedback.as_ref(), &validations, &recipe.score);
        self.counts.tasks += 1;
        *self.outcomes.entry(scored.0.name()).or_default() += 1;
        let place = Place {
            seq: record.seq,
            ts: record.ts,
            id: record.id,
        };
        let task = Task::new(place, chat, feedback, validations, scored);
        Ok(Step::Task(Box::new(task)))
    }

    /// How many lines went where; complete after the second reading.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Tasks by outcome, also those that have none.
    pub fn outcomes(&self) -> BTreeMap<&'static str, u64> {
        let count = |name| self.outcomes.get(name).copied().unwrap_or_default();
        Outcome::ALL
            .iter()
            .map(|outcome| (outcome.name(), count(outcome.name())))
            .collect()
    }

    /// Targets of feedback that no completion before it answers to: searches, validations, or
    /// nothing.
    pub fn feedback_without_task(&self) -> u64 {
        self.unbound.len() as u64
    }

    /// Time of the newest record, Unix milliseconds.
    pub fn newest_ts(&self) -> u64 {
        self.newest_ts
    }
}

fn body<T: DeserializeOwned>(record: &EvidenceRecord) -> Result<T, BadLine> {
    T::deserialize(&record.body)
        .map_err(|error| bad(record, format!("body does not fit its kind: {error}")))
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

fn digest(record: &EvidenceRecord) -> Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[record.kind as u8]);
    hasher.update(&(record.id.len() as u64).to_le_bytes());
    hasher.update(record.id.as_bytes());
    hasher.update(canonical(&record.body).as_bytes());
    short(&hasher.finalize())
}
