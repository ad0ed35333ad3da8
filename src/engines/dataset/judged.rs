//! Questions of production with the passages that helped: a set to measure retrieval on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::json;

use super::conversation;
use super::task::{Outcome, Task};

/// Questions whose answers were accepted and cite passages of one collection.
///
/// A passage that was not retrieved then cannot have been cited, so a better search may find what nobody has judged: the
/// measure favours what served then.
#[derive(Debug)]
pub struct Judged {
    collection: String,
    /// By the task's key: a question that was asked again is one question.
    questions: BTreeMap<String, Question>,
}

#[derive(Debug, Default)]
struct Question {
    text: String,
    helped: BTreeSet<String>,
}

impl Judged {
    /// Begins a set for this collection.
    pub fn new(collection: &str) -> Self {
        Self {
            collection: collection.to_owned(),
            questions: BTreeMap::new(),
        }
    }

    /// Takes a task over if it tells which passages helped.
    pub fn take(&mut self, task: &Task) {
        if !matches!(task.outcome, Outcome::Accepted | Outcome::PartiallyAccepted) {
            return;
        }
        let Some(text) = conversation::last_user_text(&task.messages) else {
            return;
        };
        let cited = task.passages.iter().filter(|passage| {
            // A tab or an end of line cannot stand in the judgements' file.
            let writable = !passage.id.contains(char::is_control);
            passage.cited && passage.collection == self.collection && writable
        });
        for passage in cited {
            let question = self.questions.entry(task.key.clone()).or_default();
            question.text.clone_from(&text);
            question.helped.insert(passage.id.clone());
        }
    }

    /// Leaves out passages that the collection no longer has, and questions that have none left.
    pub fn keep(&mut self, known: impl Fn(&str) -> bool) {
        for question in self.questions.values_mut() {
            question.helped.retain(|id| known(id));
        }
        self.questions
            .retain(|_, question| !question.helped.is_empty());
    }

    /// Counts the questions.
    pub fn len(&self) -> usize {
        self.questions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// Writes the questions as `queries.jsonl`.
    pub fn queries(&self) -> String {
        let lines = self.questions.iter();
        lines
            .map(|(key, question)| format!("{}\n", json!({"id": key, "text": question.text})))
            .collect()
    }

    /// Writes the judgements as `qrels.tsv`.
    pub fn qrels(&self) -> String {
        let mut written = String::new();
        for (key, question) in &self.questions {
            for id in &question.helped {
                // Writing to a string cannot fail.
                let _ = writeln!(written, "{key}\t{id}\t1");
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::evidence::PassageEvidence;

    fn task(question: &str, outcome: Outcome, passages: &[(&str, &str, bool)]) -> Task {
        let passages: Vec<PassageEvidence> = passages
            .iter()
            .map(|(collection, id, cited)| PassageEvidence {
                collection: (*collection).into(),
                id: (*id).into(),
                score: 1.0,
                text: String::new(),
                cited: *cited,
            })
            .collect();
        let task = json!({
            "seq": 1, "ts": 1, "id": "a", "request_id": "r", "key": super::super::task::task_key(question),
            "outcome": outcome, "reasons": [], "model": "m", "answered_by": "p/m",
            "messages": [{"role": "user", "content": question}], "answer": "yes", "finish_reason": "stop",
            "passages": passages, "validations": [], "latency_ms": 1
        });
        serde_json::from_value(task).unwrap()
    }

    #[test]
    fn accepted_answers_tell_which_passages_helped() {
        use Outcome as O;
        let mut judged = Judged::new("docs");
        for task in [
            task(
                "Where?",
                O::Accepted,
                &[
                    ("docs", "1", true),
                    ("docs", "2", false),
                    ("other", "3", true),
                ],
            ),
            task(
                "  where? ",
                O::PartiallyAccepted,
                &[("docs", "4", true), ("docs", "a\tb", true)],
            ),
            task("Who?", O::Rejected, &[("docs", "1", true)]),
            task("Which?", O::NeedsReview, &[("docs", "1", true)]),
            task("When?", O::Accepted, &[("docs", "5", false)]),
            task("What?", O::Accepted, &[("docs", "gone", true)]),
        ] {
            judged.take(&task);
        }
        assert_eq!(judged.len(), 2);
        judged.keep(|id| id != "gone");
        let key = super::super::task::task_key("where?");
        assert_eq!(judged.qrels(), format!("{key}\t1\t1\n{key}\t4\t1\n"));
        assert_eq!(
            judged.queries(),
            format!("{{\"id\":\"{key}\",\"text\":\"  where? \"}}\n")
        );
    }
}
