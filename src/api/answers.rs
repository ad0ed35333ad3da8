//! The small answers of handlers: what was done, and to what.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::services::ServiceError;
use crate::services::collections::CollectionState;
use crate::services::search::SearchOutput;
use crate::services::validate::ValidateOutput;
use crate::types::roster::TableStatus;

/// How many points were stored.
#[derive(Serialize, ToSchema)]
pub(super) struct Upserted {
    pub(super) upserted: usize,
}

/// How many points were taken over.
#[derive(Serialize, ToSchema)]
pub(super) struct Imported {
    pub(super) imported: usize,
}

/// How many points are gone.
#[derive(Serialize, ToSchema)]
pub(super) struct DeletedPoints {
    pub(super) deleted: usize,
}

/// How many points there are.
#[derive(Serialize, ToSchema)]
pub(super) struct Counted {
    pub(super) count: usize,
}

/// What is gone, by its name.
#[derive(Serialize, ToSchema)]
pub(super) struct Deleted {
    pub(super) deleted: String,
}

/// The collections.
#[derive(Serialize, ToSchema)]
pub(super) struct CollectionList {
    /// In order of name.
    pub(super) collections: Vec<CollectionEntry>,
}

/// A collection of the list.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum CollectionEntry {
    /// As it is.
    State(Box<CollectionState>),
    /// It does not answer.
    Silent {
        /// Its name.
        name: String,
        /// Why.
        error: String,
    },
}

impl CollectionEntry {
    pub(super) fn of(name: String, state: Result<CollectionState, ServiceError>) -> Self {
        match state {
            Ok(state) => Self::State(Box::new(state)),
            Err(ServiceError { message: error, .. }) => Self::Silent { name, error },
        }
    }
}

/// The answers of several searches.
#[derive(Serialize, ToSchema)]
pub(super) struct SearchBatchOutput {
    /// One for each search, in their order.
    pub(super) results: Vec<SearchEntry>,
}

/// One of several searches.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum SearchEntry {
    /// What it found.
    Found(Box<SearchOutput>),
    /// Why it failed.
    Failed {
        /// A problem, as of a search by itself.
        #[schema(value_type = Object)]
        error: Value,
    },
}

/// The verdicts of several validations.
#[derive(Serialize, ToSchema)]
pub(super) struct ValidateBatchOutput {
    /// The request's id.
    pub(super) id: String,
    /// One for each item, in their order.
    pub(super) results: Vec<ValidateEntry>,
}

/// A verdict, or several.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the two answers of one handler")]
pub(super) enum ValidateAnswer {
    /// Of one payload.
    One(ValidateOutput),
    /// Of `items`.
    Batch(ValidateBatchOutput),
}

/// One of several validations.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum ValidateEntry {
    /// What was found.
    Judged(Box<ValidateOutput>),
    /// Why it could not be judged.
    Failed {
        /// The item's id.
        id: String,
        /// A problem, as of a validation by itself.
        #[schema(value_type = Object)]
        error: Value,
    },
}

/// The validators, and what they look things up in.
#[derive(Serialize, ToSchema)]
pub(super) struct ValidatorList {
    /// Each with `name`, `schema` of its payload and context, and `rules`.
    #[schema(value_type = Vec<Object>)]
    pub(super) validators: Value,
    /// Roster and calendar, where the settings name them.
    pub(super) tables: Vec<TableStatus>,
}

/// The tables as they were read.
#[derive(Serialize, ToSchema)]
pub(super) struct TableList {
    pub(super) tables: Vec<TableStatus>,
}

/// The cell that was restarted.
#[derive(Serialize, ToSchema)]
pub(super) struct Restarted {
    pub(super) restarted: String,
}

/// The cell whose next request panics.
#[derive(Serialize, ToSchema)]
pub(super) struct Armed {
    pub(super) armed: String,
}

/// The cell that has a fault now, or none any more.
#[derive(Serialize, ToSchema)]
pub(super) struct Injected {
    pub(super) injected: String,
}

/// The request that is let through again.
#[derive(Serialize, ToSchema)]
pub(super) struct Released {
    pub(super) released: String,
}

/// The settings were read again.
#[derive(Serialize, ToSchema)]
pub(super) struct PoliciesReloaded {
    pub(super) reloaded: bool,
}

/// One of the events of a stream: this version of OpenAPI describes a stream by each of them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what streams are written as")]
pub(super) struct ServerSentEvent {
    /// What happened, where the API has several kinds of events.
    #[schema(value_type = String)]
    event: Option<String>,
    /// A JSON document; `[DONE]` ends a stream of chat completions.
    data: String,
}

/// The models.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelList {
    /// Always `list`.
    pub(super) object: &'static str,
    /// Embedders, then chat models and routes.
    pub(super) data: Vec<ModelEntry>,
}

/// A model, in OpenAI's shape.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelEntry {
    /// The name that requests ask for.
    pub(super) id: String,
    /// Always `model`.
    pub(super) object: &'static str,
    /// Unix time, seconds; 0 where nobody knows.
    pub(super) created: u64,
    /// Whose it is.
    pub(super) owned_by: String,
    /// `embedding` or `chat`.
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    /// What is known of an embedder.
    #[serde(flatten)]
    pub(super) embedder: Option<EmbedderFacts>,
}

/// What is known of an embedder; what only its upstream knows is null.
#[derive(Serialize, ToSchema)]
pub(super) struct EmbedderFacts {
    /// Length of its vectors.
    pub(super) dim: Option<usize>,
    /// Most tokens of a text.
    pub(super) max_tokens: Option<usize>,
}
