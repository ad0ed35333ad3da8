//! Completions joined with what was said of them, in two readings of the journal.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::recipe::Recipe;
use super::score::score;
use super::task::{Outcome, Place, Task, TaskFeedback, TaskValidation};
use crate::storage::evidence_log::{BadLine, JournalLine, canonical};
use crate::types::evidence::{
    ChatEvidence, EvidenceRecord, FeedbackEvidence, Kind, SCHEMA_VERSION, SearchEvidence,
    ValidationEvidence,
};

/// How many lines went where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Lines that were read; the sum of all below.
    #[serde(rename = "in")]
    pub read: u64,
    /// Completions that became tasks.
    pub tasks: u64,
    /// Judgements.
    pub feedback: u64,
    /// Verdicts.
    pub validations: u64,
    /// Searches.
    pub searches: u64,
    /// Completions without an answer, and without an edit that gives one.
    pub failed: u64,
    /// Records with the same kind, id and body as one before.
    pub duplicates: u64,
    /// Lines that are no record of a known shape.
    pub quarantined: u64,
}

impl Counts {
    /// Whether every line went somewhere.
    pub fn reconcile(&self) -> bool {
        self.read
            == self.tasks
                + self.feedback
                + self.validations
                + self.searches
                + self.failed
                + self.duplicates
                + self.quarantined
    }
}

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

/// Joins by target: the completion's id or its request's id.
///
/// Memory: the last judgement and verdicts of each target, and 32 bytes a record; completions are
/// not kept.
#[derive(Debug, Default)]
pub struct Join {
    feedback: HashMap<String, TaskFeedback>,
    /// By target, then by validator.
    validations: HashMap<String, BTreeMap<String, TaskValidation>>,
    gathered: HashSet<[u8; 32]>,
    seen: HashSet<[u8; 32]>,
    found: HashSet<String>,
    counts: Counts,
    outcomes: BTreeMap<&'static str, u64>,
    newest_ts: u64,
}

impl Join {
    /// First reading: keeps what was said of each answer, the last of each.
    pub fn gather(&mut self, line: &JournalLine) {
        let Ok(record) = &line.record else { return };
        // A repeated record must not count as the last word again.
        let judges = matches!(record.kind, Kind::Feedback | Kind::Validation);
        if record.schema != SCHEMA_VERSION || !judges || !self.gathered.insert(digest(record)) {
            return;
        }
        if record.kind == Kind::Feedback {
            let Ok(said) = body::<FeedbackEvidence>(record) else {
                return;
            };
            let feedback = TaskFeedback {
                seq: record.seq,
                rating: said.rating,
                score: said.score,
                comment: said.comment,
                edited_answer: said.edited_answer,
                user: said.user,
            };
            self.feedback.insert(said.target, feedback);
        } else {
            let Ok(said) = body::<ValidationEvidence>(record) else {
                return;
            };
            let Some(target) = said.target else { return };
            let validation = TaskValidation {
                seq: record.seq,
                validator: said.kind.clone(),
                verdict: said.verdict,
                rules: said
                    .findings
                    .into_iter()
                    .map(|finding| finding.rule)
                    .collect(),
            };
            self.validations
                .entry(target)
                .or_default()
                .insert(said.kind, validation);
        }
    }

    /// Second reading, of the same lines: scores each completion and counts every line.
    pub fn step(&mut self, line: JournalLine, recipe: &Recipe) -> Step {
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
        if record.schema != SCHEMA_VERSION {
            let reason = format!("schema {} is not {SCHEMA_VERSION}", record.schema);
            return Err(bad(&record, reason));
        }
        self.newest_ts = self.newest_ts.max(record.ts);
        // Parsed before duplicates are told apart: a bad record is no original of anything.
        let chat = match record.kind {
            Kind::Chat => Some(body::<ChatEvidence>(&record)?),
            Kind::Search => body::<SearchEvidence>(&record).map(|_| None)?,
            Kind::Validation => body::<ValidationEvidence>(&record).map(|_| None)?,
            Kind::Feedback => body::<FeedbackEvidence>(&record).map(|_| None)?,
        };
        if !self.seen.insert(digest(&record)) {
            self.counts.duplicates += 1;
            return Ok(Step::Counted);
        }
        match record.kind {
            Kind::Chat => {}
            Kind::Search => self.counts.searches += 1,
            Kind::Validation => self.counts.validations += 1,
            Kind::Feedback => self.counts.feedback += 1,
        }
        let Some(chat) = chat else {
            return Ok(Step::Counted);
        };
        let feedback = self.last_feedback(&record.id, &chat.request_id);
        let edited = feedback
            .as_ref()
            .is_some_and(|feedback| feedback.edit().is_some());
        let broken =
            chat.error.is_some() || chat.answered_by.is_none() || chat.finish_reason.is_none();
        if broken && chat.answer.is_empty() && chat.tool_calls.is_empty() && !edited {
            self.counts.failed += 1;
            return Ok(Step::Counted);
        }
        let validations = self.last_validations(&record.id, &chat.request_id);
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

    fn last_feedback(&mut self, id: &str, request_id: &str) -> Option<TaskFeedback> {
        let mut last: Option<&TaskFeedback> = None;
        for target in [id, request_id] {
            if let Some(one) = self.feedback.get(target) {
                self.found.insert(target.to_owned());
                last = last.filter(|last| last.seq > one.seq).or(Some(one));
            }
        }
        last.cloned()
    }

    fn last_validations(&self, id: &str, request_id: &str) -> Vec<TaskValidation> {
        let mut last: BTreeMap<&str, &TaskValidation> = BTreeMap::new();
        let found = [id, request_id]
            .into_iter()
            .filter_map(|id| self.validations.get(id));
        for one in found.flat_map(BTreeMap::values) {
            let kept = last.entry(&one.validator).or_insert(one);
            if kept.seq < one.seq {
                *kept = one;
            }
        }
        last.into_values().cloned().collect()
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

    /// Targets of feedback that no completion answers to: searches, validations, or nothing.
    pub fn feedback_without_task(&self) -> u64 {
        self.feedback
            .keys()
            .filter(|target| !self.found.contains(*target))
            .count() as u64
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

fn digest(record: &EvidenceRecord) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[record.kind as u8]);
    hasher.update(&(record.id.len() as u64).to_le_bytes());
    hasher.update(record.id.as_bytes());
    hasher.update(canonical(&record.body).as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{self, Journal};
    use super::*;
    use crate::types::evidence::Rating;
    use crate::types::validation::Verdict;

    fn run(journal: &Journal) -> (Vec<Task>, Vec<Quarantined>, Join) {
        let (mut join, recipe) = (Join::default(), Recipe::default());
        journal.0.iter().for_each(|line| join.gather(line));
        let (mut tasks, mut aside) = (Vec::new(), Vec::new());
        for line in &journal.0 {
            match join.step(line.clone(), &recipe) {
                Step::Task(task) => tasks.push(*task),
                Step::Quarantined(one) => aside.push(one),
                Step::Counted => {}
            }
        }
        assert!(join.counts().reconcile(), "{:?}", join.counts());
        assert_eq!(join.counts().read, journal.0.len() as u64);
        (tasks, aside, join)
    }

    #[test]
    fn the_last_word_counts_whichever_id_it_names() {
        let mut journal = Journal::default();
        journal.push(Kind::Chat, "chatcmpl-1", &fixture::chat("q", "a"));
        journal.push(
            Kind::Feedback,
            "f1",
            &fixture::feedback("chatcmpl-1", Rating::Rejected),
        );
        journal.push(
            Kind::Feedback,
            "f2",
            &fixture::feedback("req", Rating::Accepted),
        );
        // A retry of the first is no new word.
        journal.push(
            Kind::Feedback,
            "f1",
            &fixture::feedback("chatcmpl-1", Rating::Rejected),
        );
        journal.push(
            Kind::Validation,
            "v",
            &fixture::validation("req", Verdict::Fail),
        );
        journal.push(
            Kind::Validation,
            "v",
            &fixture::validation("chatcmpl-1", Verdict::Pass),
        );
        journal.push(
            Kind::Feedback,
            "f3",
            &fixture::feedback("elsewhere", Rating::Accepted),
        );
        let (tasks, _, join) = run(&journal);
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks[0].feedback.as_ref().map(|said| said.seq), Some(3));
        assert_eq!(
            tasks[0]
                .validations
                .iter()
                .map(|said| said.seq)
                .collect::<Vec<_>>(),
            [6]
        );
        assert_eq!(tasks[0].outcome, Outcome::Accepted);
        let counts = join.counts();
        assert_eq!(
            (counts.feedback, counts.validations, counts.duplicates),
            (3, 2, 1)
        );
        assert_eq!(join.feedback_without_task(), 1);
        assert_eq!(join.newest_ts(), 1_007);
    }

    #[test]
    fn an_edit_is_the_answer() {
        let mut journal = Journal::default();
        let mut failed = fixture::chat("q", "");
        failed.error = Some("upstream gone".to_owned());
        let mut called = fixture::chat("q", "a");
        called.request_id = "other".to_owned();
        called.tool_calls = vec![json!({"id": "1"})];
        let edit = |target| FeedbackEvidence {
            edited_answer: Some("better".to_owned()),
            ..fixture::feedback(target, Rating::Rejected)
        };
        journal.push(Kind::Chat, "c1", &failed);
        journal.push(Kind::Chat, "c2", &called);
        journal.push(Kind::Feedback, "f1", &edit("c1"));
        journal.push(Kind::Feedback, "f2", &edit("c2"));
        let (tasks, _, _) = run(&journal);
        assert_eq!(tasks.len(), 2);
        for task in &tasks {
            assert_eq!(
                (task.answer.as_str(), task.outcome),
                ("better", Outcome::Accepted)
            );
            assert!(task.tool_calls.is_empty());
        }
        assert_eq!(tasks[1].original_answer.as_deref(), Some("a"));
        assert_eq!(tasks[1].original_tool_calls.len(), 1);
    }

    #[test]
    fn every_line_goes_somewhere() {
        let mut journal = Journal::default();
        let mut failed = fixture::chat("q", "");
        failed.answered_by = None;
        journal.push(Kind::Chat, "c1", &failed);
        let mut broken_off = fixture::chat("q", "half an ans");
        broken_off.error = Some("cut".to_owned());
        journal.push(Kind::Chat, "c2", &broken_off);
        journal.push(Kind::Chat, "c2", &broken_off);
        journal.push(Kind::Search, "s", &json!({"request_id": 7}));
        journal.push(Kind::Chat, "c3", &fixture::chat("q", "a"));
        if let Ok(record) = &mut journal.0[4].record {
            record.schema = 9;
        }
        let unreadable = BadLine {
            reason: "torn".to_owned(),
            excerpt: "{".to_owned(),
        };
        journal.0.push(JournalLine {
            segment: "s".into(),
            line: 6,
            record: Err(unreadable),
        });
        let (tasks, aside, join) = run(&journal);
        assert_eq!(
            tasks.iter().map(|task| task.outcome).collect::<Vec<_>>(),
            [Outcome::Rejected]
        );
        assert_eq!(join.outcomes()["rejected"], 1);
        assert_eq!((join.counts().failed, join.counts().duplicates), (1, 1));
        let reasons: Vec<_> = aside
            .iter()
            .map(|one| (one.line, one.reason.as_str()))
            .collect();
        assert_eq!(reasons.len(), 3);
        assert!(
            reasons[0].1.starts_with("body does not fit its kind"),
            "{reasons:?}"
        );
        assert_eq!(reasons[1..], [(5, "schema 9 is not 1"), (6, "torn")]);
    }
}
