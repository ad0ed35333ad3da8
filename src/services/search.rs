//! Searching a collection by text, by vector, or both.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::error::{ServiceError, fault};
use super::{Services, collections, embed, evidence, refine};
use crate::engines::embedding::Model;
use crate::engines::index::{Mode, Plan, Refine, SearchRequest, With};
use crate::types::collection::Refiner;
use crate::types::evidence::{HitEvidence, Kind, SearchEvidence};
use crate::types::point::Hit;

/// A request to `POST /v1/collections/{name}/search`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchInput {
    /// A text: embedded by the collection's model, and matched by its words.
    #[schema(example = "what do wiccans worship?")]
    pub query: Option<String>,
    /// A vector of the collection's dimension.
    pub vector: Option<Vec<f32>>,
    /// Most hits: 1 to 1,000, default 10.
    pub k: Option<usize>,
    /// `$eq $ne $gt $gte $lt $lte $in $nin $exists $and $or $not` over the payload.
    #[schema(value_type = Option<Object>)]
    pub filter: Option<Value>,
    /// `dense`, `lexical` or `hybrid`; default `hybrid` with a query, `dense` with only a vector.
    #[schema(value_type = Option<String>, example = "hybrid")]
    pub mode: Option<Mode>,
    /// Scan every point instead of walking the graph.
    #[serde(default)]
    pub exact: bool,
    /// Rank the first hits by the vectors of the collection's refiner; scores are then their cosines. Left out: in
    /// hybrid mode, where the collection has a refiner.
    pub refine: Option<bool>,
    /// Leave out hits that score less.
    pub min_score: Option<f32>,
    /// What each hit carries: `text`, `payload`, `vector`; default text and payload.
    #[schema(value_type = Option<Vec<String>>)]
    pub with: Option<Vec<WithField>>,
    /// Tell in the answer how the search was planned.
    #[serde(default)]
    pub explain: bool,
}

/// A part of a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithField {
    /// The stored text.
    Text,
    /// The stored payload.
    Payload,
    /// The stored vector.
    Vector,
}

/// The answer of `POST /v1/collections/{name}/search`.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchOutput {
    /// The request's id: feedback names it.
    pub id: String,
    /// Best first.
    #[schema(value_type = Vec<Object>)]
    pub hits: Vec<Hit>,
    /// How the search was planned, when asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub plan: Option<Plan>,
}

/// Serves `POST /v1/collections/{name}/search`.
pub async fn search(
    services: &Services,
    request_id: &str,
    name: &str,
    input: SearchInput,
) -> Result<SearchOutput, ServiceError> {
    let started = Instant::now();
    let query = input.query.clone().unwrap_or_default();
    let k = input.k.unwrap_or(10);
    let explain = input.explain;
    let (hits, plan, mode) = hits(services, name, input).await?;
    let record = SearchEvidence {
        request_id: request_id.to_owned(),
        collection: name.to_owned(),
        query,
        mode: mode.as_str().to_owned(),
        k,
        hits: hits
            .iter()
            .map(|hit| HitEvidence {
                id: hit.id.clone(),
                score: hit.score,
            })
            .collect(),
        latency_ms: millis_since(started),
    };
    evidence::record(services, Kind::Search, request_id, &record).await?;
    Ok(SearchOutput {
        id: request_id.to_owned(),
        hits,
        plan: explain.then_some(plan),
    })
}

/// Searches without leaving evidence: retrieval for a chat leaves its own.
pub(super) async fn hits(
    services: &Services,
    name: &str,
    input: SearchInput,
) -> Result<(Vec<Hit>, Plan, Mode), ServiceError> {
    let cell = services.collections.find(name)?;
    let mode = match (&input.query, &input.vector, input.mode) {
        (None, None, _) => {
            return Err(ServiceError::bad_request("give a query (text) or a vector"));
        }
        (_, _, Some(mode)) => mode,
        (Some(_), _, None) => Mode::Hybrid,
        (None, Some(_), None) => Mode::Dense,
    };
    if input
        .query
        .as_ref()
        .is_some_and(|query| query.trim().is_empty())
    {
        return Err(ServiceError::bad_request("query is empty").param("query"));
    }
    if input.query.is_none() && mode != Mode::Dense {
        return Err(ServiceError::bad_request(format!(
            "mode {} needs a query (text)",
            mode.as_str()
        ))
        .param("query"));
    }
    let filter = input
        .filter
        .as_ref()
        .map(collections::parse_filter)
        .transpose()?;
    let spec = match &input.query {
        Some(_) if mode != Mode::Lexical || input.refine == Some(true) => {
            Some(collections::info_of(services, name, &cell).await?.spec)
        }
        _ => None,
    };
    let query_vector = match (input.vector, &input.query, &spec) {
        (Some(vector), _, _) => Some(vector),
        (None, Some(query), Some(spec)) if mode != Mode::Lexical => {
            let Some(model) = &spec.embedder else {
                return Err(ServiceError::bad_request(format!(
                    "collection {name} has no embedder: give a vector, or mode lexical"
                ))
                .param("vector"));
            };
            let embedder =
                collections::pinned(services, model, spec.fingerprint.as_deref()).await?;
            Some(query_vector(services, &embedder, query).await?)
        }
        _ => None,
    };
    let refiner = spec.as_ref().and_then(|spec| spec.refiner.as_ref());
    let (refine, not_refined) = match (input.refine, &input.query, refiner) {
        (Some(true), None, _) => {
            return Err(ServiceError::bad_request("refine needs a query (text)").param("refine"));
        }
        (Some(true), Some(_), None) => {
            return Err(ServiceError::bad_request(format!(
                "collection {name} has no refiner; name one when it is created"
            ))
            .param("refine"));
        }
        (Some(true), Some(query), Some(refiner)) => {
            (Some(refining_vector(services, refiner, query).await?), None)
        }
        // Not asked for: a refiner that is out of order must not cost the search.
        (None, Some(query), Some(refiner)) if mode == Mode::Hybrid => {
            match refining_vector(services, refiner, query).await {
                Ok(vector) => (Some(vector), None),
                Err(error) => (None, Some(error)),
            }
        }
        _ => (None, None),
    };
    let with = input
        .with
        .unwrap_or_else(|| vec![WithField::Text, WithField::Payload]);
    let request = SearchRequest {
        query_vector,
        query_text: input.query.filter(|_| mode != Mode::Dense),
        k: input.k.unwrap_or(10),
        filter,
        mode,
        exact: input.exact,
        refine: refine.map(|vector| Refine {
            vector,
            depth: Refine::DEPTH,
        }),
        min_score: input.min_score,
        with: With {
            text: with.contains(&WithField::Text),
            payload: with.contains(&WithField::Payload),
            vector: with.contains(&WithField::Vector),
        },
    };
    let mut found = cell
        .search(request, services.deadline())
        .await
        .map_err(|failed| fault(name, failed))?;
    if let Some(error) = not_refined {
        found.plan.reason = format!("{}; not refined: {error}", found.plan.reason);
    }
    Ok((found.hits, found.plan, mode))
}

/// Embeds a question. A long one is searched for by its beginning, and by all its words where they count.
async fn query_vector(
    services: &Services,
    model: &Model,
    query: &String,
) -> Result<Vec<f32>, ServiceError> {
    let texts = std::slice::from_ref(query);
    let vectors = embed::vectors(services, model, texts, true).await?;
    // One text, one vector.
    Ok(vectors
        .first()
        .map(|found| found.vector.to_vec())
        .unwrap_or_default())
}

async fn refining_vector(
    services: &Services,
    refiner: &Refiner,
    query: &String,
) -> Result<Vec<f32>, ServiceError> {
    let model = refine::model_of(services, refiner).await?;
    query_vector(services, &model, query).await
}

pub(super) fn millis_since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
