//! A task: one answer with everything that was said of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::conversation;
use crate::types::evidence::{ChatEvidence, ImportedEvidence, PassageEvidence, Rating};
use crate::types::validation::Verdict;

/// What became of an answer, best first: the worst of several counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Good enough to learn from.
    Accepted,
    /// Good in part.
    PartiallyAccepted,
    /// Nobody can tell yet.
    NeedsReview,
    /// Wrong.
    Rejected,
}

impl Outcome {
    /// All of them, best first.
    pub const ALL: [Self; 4] = [
        Self::Accepted,
        Self::PartiallyAccepted,
        Self::NeedsReview,
        Self::Rejected,
    ];

    /// Its word in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::PartiallyAccepted => "partially_accepted",
            Self::NeedsReview => "needs_review",
            Self::Rejected => "rejected",
        }
    }
}

/// The judgement that counts: the last one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskFeedback {
    /// Its record in the journal.
    pub seq: u64,
    /// Whose journal that is, where those of several replicas were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// The judgement.
    pub rating: Rating,
    /// A finer one, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The answer as it should have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_answer: Option<String>,
    /// Who said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether a reviewer decided so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub review: bool,
}

impl TaskFeedback {
    /// The edit, unless it is blank.
    pub fn edit(&self) -> Option<&str> {
        self.edited_answer
            .as_deref()
            .filter(|edit| !edit.trim().is_empty())
    }
}

/// What a validator said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskValidation {
    /// Its record in the journal.
    pub seq: u64,
    /// Whose journal that is, where those of several replicas were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// Which validator.
    pub validator: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// The rules that its findings name, in order.
    pub rules: Vec<String>,
}

/// One line of `tasks.jsonl`. Texts are as they were: only exports are redacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its chat record in the journal.
    pub seq: u64,
    /// Whose journal that is, where those of several replicas were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// When, Unix milliseconds.
    pub ts: u64,
    /// The completion.
    pub id: String,
    /// The request.
    pub request_id: String,
    /// Hex blake3 of the last user message, normalised: the same task asked again has the same key.
    /// Empty without a user message.
    pub key: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, in stable words.
    pub reasons: Vec<String>,
    /// The model asked for.
    pub model: String,
    /// `provider/model` that answered.
    pub answered_by: Option<String>,
    /// Whose use it counted as: the label of the client's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The client's messages in OpenAI's shape.
    pub messages: Vec<Value>,
    /// The answer to learn from: the edited one if there is one.
    pub answer: String,
    /// The answer as it was given, when `answer` is an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_answer: Option<String>,
    /// The tools offered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// The tool calls to learn from: none when the answer is an edit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Value>,
    /// The tool calls as they were made, when `answer` is an edit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub original_tool_calls: Vec<Value>,
    /// Why it ended.
    pub finish_reason: Option<String>,
    /// What went wrong, when it broke off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was retrieved for it.
    pub passages: Vec<PassageEvidence>,
    /// The judgement that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<TaskFeedback>,
    /// The last verdict of each validator, by its name.
    pub validations: Vec<TaskValidation>,
    /// Where it was before, when it was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<ImportedEvidence>,
    /// The answer that this one is meant to be better than.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repairs: Option<String>,
    /// What it cost, US dollars; absent when not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Time from request to the last byte, milliseconds.
    pub latency_ms: u64,
}

/// Where a task's record stands in the journal.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) seq: u64,
    pub(super) replica: Option<String>,
    pub(super) ts: u64,
    pub(super) id: String,
}

impl Task {
    /// Text of the last message by the user; empty without one.
    pub fn question(&self) -> String {
        conversation::last_user_text(&self.messages).unwrap_or_default()
    }

    /// Joins a completion with what was said of it; the scorer's result comes with it.
    pub(super) fn new(
        place: Place,
        chat: ChatEvidence,
        feedback: Option<TaskFeedback>,
        validations: Vec<TaskValidation>,
        (outcome, reasons): (Outcome, Vec<String>),
    ) -> Self {
        let key = conversation::last_user_text(&chat.messages)
            .map_or_else(String::new, |text| task_key(&text));
        let edit = feedback
            .as_ref()
            .and_then(TaskFeedback::edit)
            .map(str::to_owned);
        let (answer, original_answer, tool_calls, original_tool_calls) = match edit {
            Some(edit) => (edit, Some(chat.answer), Vec::new(), chat.tool_calls),
            None => (chat.answer, None, chat.tool_calls, Vec::new()),
        };
        Self {
            seq: place.seq,
            replica: place.replica,
            ts: place.ts,
            id: place.id,
            request_id: chat.request_id,
            key,
            outcome,
            reasons,
            model: chat.model,
            answered_by: chat.answered_by,
            client: chat.key,
            messages: chat.messages,
            answer,
            original_answer,
            tools: chat.tools,
            tool_calls,
            original_tool_calls,
            finish_reason: chat.finish_reason,
            error: chat.error,
            passages: chat.passages,
            feedback,
            validations,
            imported: chat.imported,
            repairs: chat.repairs,
            cost_usd: chat.cost_usd,
            latency_ms: chat.latency_ms,
        }
    }
}

/// The key of a task by its question.
pub(super) fn task_key(text: &str) -> String {
    blake3::hash(normalised(text).as_bytes())
        .to_hex()
        .to_string()
}

/// A text without differences that do not matter: case and white space.
pub(super) fn normalised(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ignore_case_and_space_and_nothing_else() {
        assert_eq!(task_key("  What IS\n\tthis? "), task_key("what is this?"));
        assert_ne!(task_key("what is this?"), task_key("what is this"));
        assert_eq!(task_key("É"), task_key("é"));
    }

    #[test]
    fn outcomes_order_from_best_to_worst() {
        assert!(Outcome::ALL.is_sorted());
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
        }
    }
}
