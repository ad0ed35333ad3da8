//! Evidence records: what happened in production, one line each.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::validation::{Finding, Verdict};

/// Version of the record's shape; a change of it raises it.
///
/// 1: `hash` covers `body`. 2: `hash` covers `content`, which covers `salt` and `body`, so that these can be erased.
pub const SCHEMA_VERSION: u32 = 2;

/// What a record tells of; the shape of its `body`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = EvidenceKind))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// [`ChatEvidence`].
    Chat,
    /// [`SearchEvidence`].
    Search,
    /// [`ValidationEvidence`].
    Validation,
    /// [`FeedbackEvidence`].
    Feedback,
    /// [`ErasureEvidence`].
    Erasure,
    /// [`RetentionEvidence`].
    Retention,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Chat,
        Self::Search,
        Self::Validation,
        Self::Feedback,
        Self::Erasure,
        Self::Retention,
    ];

    /// Its word in a record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Search => "search",
            Self::Validation => "validation",
            Self::Feedback => "feedback",
            Self::Erasure => "erasure",
            Self::Retention => "retention",
        }
    }

    /// Version of the newest shape of its bodies: a change of the shape raises it. Those of earlier versions stay readable.
    pub fn body_version(self) -> u32 {
        match self {
            Self::Chat | Self::Erasure | Self::Retention => 1,
            // 2: they may name the `key`.
            Self::Search | Self::Validation | Self::Feedback => 2,
        }
    }

    /// Whether it tells what was done to the journal itself. Such records are never erased.
    pub fn is_of_the_journal(self) -> bool {
        matches!(self, Self::Erasure | Self::Retention)
    }
}

/// One line of the evidence journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct EvidenceRecord {
    /// From 1, without gaps.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub seq: u64,
    /// Unix time, milliseconds.
    pub ts: u64,
    /// Version of this shape: [`SCHEMA_VERSION`] at the time of writing.
    #[cfg_attr(test, schemars(
        description = "Version of this shape. Journals may hold records of evidence-record.v1.json, too.",
        extend("const" = SCHEMA_VERSION),
    ))]
    pub schema: u32,
    /// The shape of `body`: the schema KIND.vN.json, the newest or one before.
    pub kind: Kind,
    /// What it is about: a request's or completion's id.
    pub id: String,
    /// By `kind`; null when it was erased.
    #[cfg_attr(test, schemars(extend("type" = ["object", "null"])))]
    pub body: Value,
    /// Hex of blake3(`salt`'s 32 ASCII characters, then the canonical JSON of `body`). Absent in records of version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{64}$")))]
    pub content: Option<String>,
    /// Random, so that nobody guesses what was erased; absent when the body was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{32}$")))]
    pub salt: Option<String>,
    /// When and why the body was erased; not covered by `hash`, but by the record that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
    /// `hash` of the record before; 64 zeros for the first.
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{64}$")))]
    pub prev: String,
    /// Hex of blake3(`prev`'s 64 ASCII bytes, then the canonical JSON of all fields but `hash`, `body`, `salt` and `erased`).
    /// In records of version 1 it covers `body` too.
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{64}$")))]
    pub hash: String,
}

/// What stands in place of an erased body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Erased {
    /// Unix time, milliseconds.
    pub at: u64,
    /// `seq` of the record of kind erasure that names this one.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub by: u64,
    /// Why, as that record says.
    pub reason: String,
}

/// Contents that were erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ErasureEvidence {
    /// Why.
    pub reason: String,
    /// What they were chosen by: `id`, `seq`, `key` or `user`; not which, for that would tell what was to be forgotten.
    #[cfg_attr(test, schemars(extend("enum" = ["id", "seq", "key", "user"])))]
    pub by: String,
    /// First and last sequence number of each run of records.
    #[cfg_attr(test, schemars(with = "Vec<[u64; 2]>"))]
    pub records: Vec<(u64, u64)>,
    /// What is left of records of version 1: their hash covers what is gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<FrameEvidence>,
}

/// What is left of an erased record of version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FrameEvidence {
    /// The record.
    pub seq: u64,
    /// Hex of blake3(canonical JSON of all its fields but `body` and `erased`).
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{64}$")))]
    pub digest: String,
}

/// Old records that were removed whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RetentionEvidence {
    /// The setting that asked for it: `retain_days` or `retain_bytes`.
    #[cfg_attr(test, schemars(extend("enum" = ["retain_days", "retain_bytes"])))]
    pub reason: String,
    /// The first record that was removed.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// Its hash: `prev` of the first record that is left.
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{64}$")))]
    pub last_hash: String,
    /// Files that were removed.
    pub files: u64,
    /// Their length, bytes.
    pub bytes: u64,
}

/// A person's judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Rating {
    /// Right as it was.
    Accepted,
    /// Partly right.
    PartiallyAccepted,
    /// Wrong.
    Rejected,
}

/// What a person thought of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FeedbackEvidence {
    /// Id of the answer it is about, or of its request.
    pub target: String,
    /// The judgement.
    pub rating: Rating,
    /// A finer judgement, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(min = 0, max = 1)))]
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
    /// Whether a reviewer decided so, with all in view: it goes before every automatic verdict. Absent when not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub review: bool,
    /// The source that it was imported from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<String>,
    /// The label of the key that it came with; absent in what was imported, and in records of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A hit of a search, without its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HitEvidence {
    /// The point.
    pub id: String,
    /// Its score.
    pub score: f32,
}

/// One search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SearchEvidence {
    /// The request.
    pub request_id: String,
    /// Where it searched.
    pub collection: String,
    /// The text; empty for a search by vector.
    pub query: String,
    /// `dense`, `lexical` or `hybrid`.
    pub mode: String,
    /// Hits asked for.
    pub k: usize,
    /// Hits found, best first.
    pub hits: Vec<HitEvidence>,
    /// Time from request to answer, milliseconds.
    pub latency_ms: u64,
    /// The label of the key that it came with; absent in records of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// One validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ValidationEvidence {
    /// The request.
    pub request_id: String,
    /// Which validator.
    pub kind: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its findings.
    pub findings: Vec<Finding>,
    /// Hex sha256 of the payload's JSON: the payload itself may hold personal data.
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{64}$")))]
    pub payload_sha256: String,
    /// Id of the answer that the payload came from, or of its request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The label of the key that it came with; absent in records of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A passage that a chat answer was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PassageEvidence {
    /// The collection it came from.
    pub collection: String,
    /// The point.
    pub id: String,
    /// Its score in the retrieval.
    pub score: f32,
    /// Its text as it was packed into the context.
    pub text: String,
    /// Whether the answer cites it.
    pub cited: bool,
}

/// One try at one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AttemptEvidence {
    /// `provider/model`.
    pub candidate: String,
    /// `ok`, or what went wrong.
    pub outcome: String,
    /// Time it took, milliseconds.
    pub latency_ms: u64,
}

/// Tokens of a chat answer, as the provider counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct TokenUsage {
    /// Read.
    pub prompt_tokens: u64,
    /// Written.
    pub completion_tokens: u64,
    /// Of those read, found in the provider's cache; absent when none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
    /// Of those read, written into the provider's cache; absent when none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A score that another system gave an answer, under its own name and on its own scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportedScore {
    /// What it measures; empty when nobody said.
    pub name: String,
    /// Its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Its word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// Where an answer was before it was imported. What `ts` of its record says is when it came here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImportedEvidence {
    /// The name of the source.
    pub source: String,
    /// Its id there.
    pub id: String,
    /// When it was given there, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<u64>,
    /// Its tags there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Its scores there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<ImportedScore>,
}

/// One chat completion, also a failed one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChatEvidence {
    /// The request.
    pub request_id: String,
    /// The model asked for.
    pub model: String,
    /// `provider/model` that answered; `None` when none did.
    pub answered_by: Option<String>,
    /// The client's messages in OpenAI's shape, without the retrieved context.
    pub messages: Vec<Value>,
    /// The answer's text; empty when it failed or only called tools.
    pub answer: String,
    /// The tools offered, in OpenAI's shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// The tool calls of the answer, in OpenAI's shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Value>,
    /// Why it ended, in OpenAI's words; `None` when it failed.
    pub finish_reason: Option<String>,
    /// What was retrieved for it.
    #[serde(default)]
    pub passages: Vec<PassageEvidence>,
    /// Tokens, when the provider tells.
    pub usage: Option<TokenUsage>,
    /// US dollars by the list prices; absent when not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub cost_usd: Option<f64>,
    /// Everything that was tried, in order.
    pub attempts: Vec<AttemptEvidence>,
    /// Whether it was streamed.
    pub stream: bool,
    /// What went wrong, when it failed or broke off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The client's `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whose use it counts as: the label of the client's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `hit` or `semantic` when it was kept from an earlier request, which `answered_by` answered; absent when it
    /// was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("enum" = ["hit", "semantic"])))]
    pub cache: Option<String>,
    /// Where it was before, when it was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<ImportedEvidence>,
    /// The replay that asked; nobody else did, so it is no task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// Id of the answer that this one is meant to be better than.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repairs: Option<String>,
    /// Time from request to the last byte, milliseconds.
    pub latency_ms: u64,
}
