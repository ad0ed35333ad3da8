//! A conversation of another system on its way into the journal.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::evidence::{ImportedScore, Rating, TokenUsage};

/// One answer of another system, with what it answers and what was said of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ForeignConversation {
    /// Its id there: the same source and id are imported once.
    pub id: String,
    /// When it was answered, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<u64>,
    /// The model asked for; may be empty.
    #[serde(default)]
    pub model: String,
    /// `provider/model` that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// The messages before the answer, in OpenAI's shape.
    pub messages: Vec<Value>,
    /// The answer's text; may be empty beside tool calls.
    #[serde(default)]
    pub answer: String,
    /// The tools offered, in OpenAI's shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// The tool calls of the answer, in OpenAI's shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Value>,
    /// Why it ended, in OpenAI's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<TokenUsage>,
    /// US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// The end user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Who was billed there: the name of a key. It is told, and counts for no budget here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Time from request to the last byte, milliseconds.
    #[serde(default)]
    pub latency_ms: u64,
    /// Scores as they are there; they are told, and judge nothing by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<ImportedScore>,
    /// The judgement that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<ForeignFeedback>,
}

/// What was said of a foreign answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ForeignFeedback {
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
}
