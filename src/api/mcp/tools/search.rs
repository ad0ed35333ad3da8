//! `search`.

use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Instrument;
use crate::api::mcp::Visit;
use crate::api::mcp::resources::point_uri;
use crate::services::ServiceError;
use crate::services::search::{self, SearchInput};
use crate::types::api_key::Scope;

pub(super) struct Search;

/// How passages are looked for.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// By meaning.
    Dense,
    /// By words.
    Lexical,
    /// By both.
    Hybrid,
}

impl From<Mode> for search::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Dense => Self::Dense,
            Mode::Lexical => Self::Lexical,
            Mode::Hybrid => Self::Hybrid,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The collection to search.
    collection: String,
    /// What to look for, in plain words.
    query: String,
    /// Most hits, 1 to 1000; default 10.
    k: Option<usize>,
    /// Only points whose payload matches, such as {"year": {"$gte": 2020}}; operators are $eq $ne $gt $gte $lt $lte
    /// $in $nin $exists $and $or $not.
    filter: Option<Map<String, Value>>,
    /// Only points of this role, or of none, where the collection keeps roles apart.
    role: Option<String>,
    /// By meaning (dense), by words (lexical) or by both (hybrid); default hybrid.
    mode: Option<Mode>,
    /// Leave out hits that score less.
    min_score: Option<f32>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The id of this search; feedback may name it.
    id: String,
    /// Best first.
    hits: Vec<Hit>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Hit {
    /// The point's id in its collection.
    id: String,
    /// Where it can be read.
    uri: String,
    /// The higher the better.
    score: f32,
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What is stored beside the text.
    payload: Map<String, Value>,
}

impl Instrument for Search {
    const NAME: &'static str = "search";
    const SCOPE: Scope = Scope::Read;
    const TITLE: &'static str = "Search a collection";
    const DESCRIPTION: &'static str = "Finds the passages of a collection that match a question or phrase, by meaning \
        and by words, best first. Use it to look something up; use `answer` for a ready answer with citations.";
    type Input = Input;
    type Output = Output;

    fn hints() -> ToolAnnotations {
        ToolAnnotations::new().read_only(true).open_world(false)
    }

    async fn call(visit: &Visit, input: Input) -> Result<Output, ServiceError> {
        let collection = input.collection;
        let asked = SearchInput {
            query: Some(input.query),
            k: input.k,
            filter: input.filter.map(Value::Object),
            role: input.role,
            mode: input.mode.map(search::Mode::from),
            min_score: input.min_score,
            ..SearchInput::default()
        };
        let asker = visit.context.asker();
        let found = search::search(&visit.services, asker, &collection, asked).await?;
        let hits = found.hits.into_iter().map(|hit| Hit {
            uri: point_uri(&collection, &hit.id),
            id: hit.id,
            score: hit.score,
            text: hit.text,
            payload: hit.payload.unwrap_or_default(),
        });
        Ok(Output {
            id: found.id,
            hits: hits.collect(),
        })
    }
}
