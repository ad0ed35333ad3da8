//! `feedback`.

use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Instrument;
use crate::api::mcp::Visit;
use crate::services::ServiceError;
use crate::services::evidence::{self, FeedbackInput};
use crate::types::api_key::Scope;
use crate::types::evidence as types;

pub(super) struct Feedback;

/// A person's judgement.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Rating {
    /// Right as it was.
    Accepted,
    /// Partly right.
    PartiallyAccepted,
    /// Wrong.
    Rejected,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The `id` of the answer it is about.
    target: String,
    /// What the person thought of it: accepted, partially_accepted or rejected.
    rating: Rating,
    /// Why, in the person's words.
    comment: Option<String>,
    /// The answer as it should have been; it becomes training data.
    edited_answer: Option<String>,
    /// Who said so.
    user: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The feedback's own id.
    id: String,
    /// Its place in the journal.
    seq: u64,
    /// Its hash in the journal's chain.
    hash: String,
}

impl Instrument for Feedback {
    const NAME: &'static str = "feedback";
    const SCOPE: Scope = Scope::Chat;
    const TITLE: &'static str = "Record feedback";
    const DESCRIPTION: &'static str = "Records what a person thought of an answer, with the answer as it should have \
        been where they say. Use it only for what a person said.";
    type Input = Input;
    type Output = Output;

    fn hints() -> ToolAnnotations {
        let hints = ToolAnnotations::new().read_only(false).destructive(false);
        hints.idempotent(false).open_world(false)
    }

    async fn call(visit: &Visit, input: Input) -> Result<Output, ServiceError> {
        let asked = FeedbackInput {
            target: input.target,
            rating: match input.rating {
                Rating::Accepted => types::Rating::Accepted,
                Rating::PartiallyAccepted => types::Rating::PartiallyAccepted,
                Rating::Rejected => types::Rating::Rejected,
            },
            comment: input.comment,
            edited_answer: input.edited_answer,
            user: input.user,
        };
        let kept = evidence::feedback(&visit.services, visit.context.asker(), asked).await?;
        Ok(Output {
            id: kept.id,
            seq: kept.seq,
            hash: kept.hash,
        })
    }
}
