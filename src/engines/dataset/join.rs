//! Completions joined with what was said of them, in two readings of the journal.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::recipe::Recipe;
use super::score::score;
use super::task::{Outcome, Place, Task, TaskFeedback, TaskValidation};
use crate::storage::evidence_log::{BadLine, JournalLine, canonical};
use crate::types::evidence::{
    ChatEvidence, EvidenceRecord, FeedbackEvidence, Kind, SCHEMA_VERSION, SearchEvidence,
    ValidationEvidence,
};

/// How many lines went where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
    /// Answers that the cache had for a similar question, which no person judged.
    pub similar: u64,
    /// Answers to a replay.
    pub replayed: u64,
    /// Records whose content was erased.
    pub erased: u64,
    /// Records of erasures, and of what retention removed.
    pub changes: u64,
    /// Records with the same kind, id and body as one before.
    pub duplicates: u64,
    /// Lines that are no record of a known shape.
    pub quarantined: u64,
}

impl Counts {
    /// Lines that went somewhere.
    pub fn placed(&self) -> u64 {
        [
            self.tasks,
            self.feedback,
            self.validations,
            self.searches,
            self.failed,
            self.similar,
            self.replayed,
            self.erased,
            self.changes,
            self.duplicates,
            self.quarantined,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Whether every line went somewhere.
    pub fn reconcile(&self) -> bool {
        self.read == self.placed()
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
    fn of_a_shared_request_id_the_newest_answer_before_is_meant() {
        let mut journal = Journal::default();
        let mut failed = fixture::chat("third", "");
        failed.error = Some("upstream gone".to_owned());
        let said = |target, rating| fixture::feedback(target, rating);
        journal.push(Kind::Feedback, "f0", &said("not yet", Rating::Rejected));
        journal.push(Kind::Chat, "c1", &fixture::chat("first", "a"));
        journal.push(Kind::Chat, "c2", &fixture::chat("second", "a"));
        // A failed try with the same id hides no answer.
        journal.push(Kind::Chat, "c3", &failed);
        journal.push(Kind::Feedback, "f1", &said("req", Rating::Accepted));
        journal.push(
            Kind::Validation,
            "v1",
            &fixture::validation("req", Verdict::Pass),
        );
        journal.push(Kind::Chat, "c4", &fixture::chat("fourth", "a"));
        // A copied line makes an old answer no newer.
        journal.push(Kind::Chat, "c1", &fixture::chat("first", "a"));
        journal.push(Kind::Feedback, "f2", &said("req", Rating::Rejected));
        // An id of an old journal that several answers share; a request that is called like it.
        journal.push(Kind::Chat, "c5", &fixture::chat("fifth", "a"));
        journal.push(Kind::Chat, "c5", &fixture::chat("sixth", "a"));
        let mut named = fixture::chat("seventh", "a");
        named.request_id = "c5".to_owned();
        journal.push(Kind::Chat, "c7", &named);
        journal.push(Kind::Feedback, "f3", &said("c5", Rating::Accepted));
        let (tasks, _, join) = run(&journal);
        let found: Vec<_> = tasks
            .iter()
            .map(|task| {
                (
                    task.feedback.as_ref().map(|said| said.seq),
                    task.validations.len(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                (None, 0),
                (Some(5), 1),
                (Some(9), 0),
                (None, 0),
                (Some(13), 0),
                (None, 0)
            ]
        );
        assert_eq!(join.feedback_without_task(), 1);
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
    fn an_answer_to_a_similar_question_is_a_task_once_a_person_judged_it() {
        let mut journal = Journal::default();
        for (id, cache) in [("c1", "semantic"), ("c2", "semantic"), ("c3", "hit")] {
            let mut chat = fixture::chat("q", "a");
            chat.request_id = format!("request of {id}");
            chat.cache = Some(cache.to_owned());
            journal.push(Kind::Chat, id, &chat);
        }
        // A validator is no person.
        for target in ["c1", "c2"] {
            let passed = fixture::validation(target, Verdict::Pass);
            journal.push(Kind::Validation, &format!("v of {target}"), &passed);
        }
        let good = fixture::feedback("c2", Rating::Accepted);
        journal.push(Kind::Feedback, "f", &good);
        let (tasks, _, join) = run(&journal);
        let ids: Vec<_> = tasks.iter().map(|task| task.id.as_str()).collect();
        assert_eq!(ids, ["c2", "c3"]);
        assert_eq!((join.counts().tasks, join.counts().similar), (2, 1));
    }

    #[test]
    fn what_a_replay_asked_is_counted_and_no_task() {
        let mut journal = Journal::default();
        journal.push(Kind::Chat, "c1", &fixture::chat("q", "a"));
        let mut again = fixture::chat("q", "b");
        again.replay = Some("small".to_owned());
        journal.push(Kind::Chat, "c2", &again);
        let (tasks, _, join) = run(&journal);
        assert_eq!((tasks.len(), tasks[0].id.as_str()), (1, "c1"));
        assert_eq!(join.counts().replayed, 1);
    }

    #[test]
    fn what_was_erased_is_counted_and_is_no_task_and_no_damage() {
        let mut journal = Journal::default();
        journal.push(Kind::Chat, "c1", &fixture::chat("q", "a"));
        journal.push(Kind::Chat, "c2", &fixture::chat("other", "a"));
        journal.push(
            Kind::Feedback,
            "f1",
            &fixture::feedback("c1", Rating::Accepted),
        );
        journal.push(Kind::Erasure, "e", &json!({"records": [[1, 1], [3, 3]]}));
        journal.push(Kind::Retention, "retention", &json!({}));
        for at in [0, 2] {
            if let Ok(record) = &mut journal.0[at].record {
                record.body = serde_json::Value::Null;
                record.erased = Some(crate::types::evidence::Erased {
                    at: 9,
                    by: 4,
                    reason: "asked".to_owned(),
                });
            }
        }
        let (tasks, aside, join) = run(&journal);
        assert_eq!((tasks.len(), aside.len()), (1, 0));
        assert_eq!(tasks[0].id, "c2");
        let counts = join.counts();
        assert_eq!((counts.erased, counts.changes, counts.tasks), (2, 2, 1));
        assert_eq!(counts.feedback, 0);
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
        assert_eq!(reasons[1..], [(5, "schema 9 is newer than 2"), (6, "torn")]);
    }
}
