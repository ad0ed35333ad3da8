//! Searching a collection by text, by vector, by both, or by examples.

mod batch;
mod input;
mod recommend;

use std::time::Instant;

use serde::Serialize;
use utoipa::ToSchema;

pub use batch::{BatchInput, search_all};
pub use input::{FusionInput, MmrInput, SearchInput, WithField};
pub use recommend::{RecommendInput, recommend};

use super::error::{ServiceError, fault};
use super::{Asker, Services, collections, embed, evidence, refine, room};
use crate::engines::embedding::Model;
pub use crate::engines::index::Mode;
use crate::engines::index::{HitGroup, Plan, Refine, SearchRequest, SearchResult};
use crate::types::collection::Refiner;
use crate::types::evidence::{HitEvidence, Kind, SearchEvidence};
use crate::types::point::Hit;
use crate::types::trace::Trace;

/// Hits when the request does not say how many.
const DEFAULT_K: usize = 10;

/// The answer of `POST /v1/collections/{name}/search`.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchOutput {
    /// The request's id: feedback names it.
    pub id: String,
    /// Best first; empty when they are grouped.
    pub hits: Vec<Hit>,
    /// With `group_by`: `{"id", "hits"}`, the group of the best hit first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<HitGroup>>,
    /// How the search was planned, when asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
}

/// Serves `POST /v1/collections/{name}/search`.
pub async fn search(
    services: &Services,
    asker: Asker,
    name: &str,
    input: SearchInput,
) -> Result<SearchOutput, ServiceError> {
    let told = Told::of(asker, &input);
    let prepared = prepare(services, name, input, told.asker.trace.as_ref()).await?;
    let mode = prepared.request.mode.as_str();
    let found = prepared.run(services, name).await?;
    told.answer(services, name, mode, found).await
}

/// Searches without leaving evidence: retrieval for a chat leaves its own.
pub(super) async fn hits(
    services: &Services,
    name: &str,
    input: SearchInput,
    trace: Option<&Trace>,
) -> Result<Vec<Hit>, ServiceError> {
    let prepared = prepare(services, name, input, trace).await?;
    Ok(prepared.run(services, name).await?.hits)
}

/// What is told of a search when it is answered.
struct Told {
    started: Instant,
    asker: Asker,
    query: String,
    k: usize,
    explain: bool,
}

impl Told {
    fn of(asker: Asker, input: &SearchInput) -> Self {
        Self {
            started: Instant::now(),
            asker,
            query: input.query.clone().unwrap_or_default(),
            k: input.k.unwrap_or(DEFAULT_K),
            explain: input.explain,
        }
    }

    /// Leaves the evidence of an answer, then gives it.
    async fn answer(
        self,
        services: &Services,
        name: &str,
        mode: &str,
        found: SearchResult,
    ) -> Result<SearchOutput, ServiceError> {
        let groups = found.groups.iter().flatten();
        let hits = found
            .hits
            .iter()
            .chain(groups.flat_map(|group| &group.hits));
        let (id, key) = (self.asker.request_id, self.asker.key);
        let record = SearchEvidence {
            request_id: id.clone(),
            collection: name.to_owned(),
            query: self.query,
            mode: mode.to_owned(),
            k: self.k,
            hits: hits
                .map(|hit| HitEvidence {
                    id: hit.id.clone(),
                    score: hit.score,
                })
                .collect(),
            latency_ms: millis_since(self.started),
            key: Some(key),
        };
        evidence::record(services, Kind::Search, &id, &record).await?;
        Ok(SearchOutput {
            id,
            hits: found.hits,
            groups: found.groups,
            plan: self.explain.then_some(found.plan),
        })
    }
}

/// A search that the collection can answer.
struct Prepared {
    request: SearchRequest,
    /// Why it is not refined, though it would be.
    not_refined: Option<ServiceError>,
}

impl Prepared {
    async fn run(self, services: &Services, name: &str) -> Result<SearchResult, ServiceError> {
        let cell = services.collections.find(name).await?;
        let found = cell
            .search(self.request, services.deadline())
            .await
            .map_err(|failed| fault(name, failed))?;
        Ok(told_of(found, self.not_refined))
    }
}

fn told_of(mut found: SearchResult, not_refined: Option<ServiceError>) -> SearchResult {
    if let Some(error) = not_refined {
        found.plan.reason = format!("{}; not refined: {error}", found.plan.reason);
    }
    found
}

/// Checks a search and embeds what it asks for.
async fn prepare(
    services: &Services,
    name: &str,
    input: SearchInput,
    trace: Option<&Trace>,
) -> Result<Prepared, ServiceError> {
    let cell = services.collections.find(name).await?;
    let mode = input.mode()?;
    let choices = input.choices(mode)?;
    let spec = match &input.query {
        Some(_) if mode != Mode::Lexical || input.refine == Some(true) => {
            Some(collections::spec_of(services, name, &cell).await?)
        }
        _ => None,
    };
    let mut made_by = None;
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
                collections::pinned(services, name, model, spec.fingerprint.as_deref()).await?;
            made_by.clone_from(&spec.fingerprint);
            Some(query_vector(services, &embedder, query, trace).await?)
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
        (Some(true), Some(query), Some(refiner)) => (
            Some(refining_vector(services, name, refiner, query, trace).await?),
            None,
        ),
        // Not asked for: a refiner that is out of order must not cost the search.
        (None, Some(query), Some(refiner)) if mode == Mode::Hybrid => {
            match refining_vector(services, name, refiner, query, trace).await {
                Ok(vector) => (Some(vector), None),
                Err(error) => (None, Some(error)),
            }
        }
        _ => (None, None),
    };
    let request = SearchRequest {
        query_vector,
        made_by,
        query_text: input.query.filter(|_| mode != Mode::Dense),
        mode,
        exact: input.exact,
        refine: refine.map(|vector| Refine {
            vector,
            depth: Refine::DEPTH,
        }),
        ..choices
    };
    Ok(Prepared {
        request,
        not_refined,
    })
}

/// Embeds a question. A long one is searched for by its beginning, and by all its words where they count.
async fn query_vector(
    services: &Services,
    model: &Model,
    query: &String,
    trace: Option<&Trace>,
) -> Result<Vec<f32>, ServiceError> {
    if services.embedding.find(model, query).is_none() {
        room::for_question(services, model)?;
    }
    let texts = std::slice::from_ref(query);
    let vectors = embed::vectors(services, model, texts, true, trace).await?;
    // One text, one vector.
    Ok(vectors
        .first()
        .map(|found| found.vector.to_vec())
        .unwrap_or_default())
}

async fn refining_vector(
    services: &Services,
    name: &str,
    refiner: &Refiner,
    query: &String,
    trace: Option<&Trace>,
) -> Result<Vec<f32>, ServiceError> {
    let model = refine::model_of(services, name, refiner).await?;
    query_vector(services, &model, query, trace).await
}

pub(super) fn millis_since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
