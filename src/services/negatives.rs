//! Mining hard negatives: the collection is searched for each question before the export runs, so that the dataset cell
//! waits for no other one.

use std::sync::Arc;

use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::error::ServiceError;
use super::search::{self, SearchInput, WithField};
use super::{Services, collections};
use crate::actors::dataset::{DatasetJob, Mining};
use crate::engines::dataset::{Chosen, Mined, MiningRules, Question};
use crate::engines::index::Mode;
use crate::types::error_kind::ErrorKind;

/// Hits that are looked at when the request does not say how many.
const DEPTH: usize = 100;
/// Most of them: what a search gives.
const MAX_DEPTH: usize = 1_000;
/// Searches under way at a time: their texts are embedded together, and the collection has room for others.
const UNDER_WAY: usize = 8;
/// The margin of a dense search: NV-Retriever's 95 % of a cosine is about as much.
const MARGIN: f64 = 0.05;

/// Where the negatives of triplets come from.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NegativesInput {
    /// The collection that is searched for each question.
    #[schema(example = "docs")]
    pub collection: String,
    /// Most negatives for each cited passage: 1 to 64, default the recipe's `triplets.negatives_per_positive`.
    #[schema(minimum = 1, maximum = 64)]
    pub k: Option<usize>,
    /// Hits of each search that are looked at: 1 to 1,000, default 100.
    #[schema(minimum = 1, maximum = 1000)]
    pub depth: Option<usize>,
    /// The first rank that counts, from 1, default 1.
    #[schema(minimum = 1, maximum = 1000)]
    pub min_rank: Option<usize>,
    /// Leave out what scores more.
    pub max_score: Option<f64>,
    /// A negative scores at least this much less than the cited passage in the same search; default 0.05 in mode `dense`,
    /// and no bound in the others, whose scores are no likeness. With it, a cited passage that is not among the hits has no
    /// negatives.
    pub margin: Option<f64>,
    /// `dense` (default), `lexical` or `hybrid`.
    #[schema(example = "dense")]
    pub mode: Option<Mode>,
    /// Only points of this role, or of none; needed where the collection has roles.
    pub role: Option<String>,
    /// Compare with every point instead of walking the graph, so that the same collection gives the same negatives;
    /// default true.
    pub exact: Option<bool>,
}

/// What the dataset cell tells of the tasks.
#[derive(Debug, Deserialize)]
struct Asked {
    tasks: String,
    questions: Vec<Question>,
    k: usize,
    likeness: f64,
}

impl NegativesInput {
    fn check(&self) -> Result<(), ServiceError> {
        let wrong = |name: &str, wanted: &str| {
            let param = format!("negatives.{name}");
            Err(ServiceError::bad_request(format!("{param} must be {wanted}")).param(&param))
        };
        let within = |value: Option<usize>, most| value.is_none_or(|it| (1..=most).contains(&it));
        let depth = self.depth.unwrap_or(DEPTH);
        let finite = |value: Option<f64>| value.is_none_or(f64::is_finite);
        if !within(self.k, 64) {
            return wrong("k", "1 to 64");
        }
        if !within(self.depth, MAX_DEPTH) {
            return wrong("depth", "1 to 1000");
        }
        if !within(self.min_rank, depth) {
            return wrong("min_rank", &format!("1 to the depth, {depth}"));
        }
        if !finite(self.max_score) {
            return wrong("max_score", "a number");
        }
        if !finite(self.margin) {
            return wrong("margin", "a number");
        }
        Ok(())
    }

    fn search(&self, text: &str) -> SearchInput {
        SearchInput {
            query: Some(text.to_owned()),
            k: Some(self.depth.unwrap_or(DEPTH)),
            mode: Some(self.mode.unwrap_or(Mode::Dense)),
            role: self.role.clone(),
            exact: self.exact.unwrap_or(true),
            with: Some(vec![WithField::Text]),
            ..SearchInput::default()
        }
    }
}

/// Searches the collection for every question of the tasks.
///
/// Errors: nothing is materialized, no such collection, one with roles and no role, or one that was written to meanwhile.
pub(super) async fn mine(
    services: &Services,
    input: &NegativesInput,
) -> Result<Arc<Mining>, ServiceError> {
    input.check()?;
    let name = &input.collection;
    let before = collections::get(services, name).await?;
    if before.info.spec.schema.role_field.is_some() && input.role.is_none() {
        return Err(ServiceError::bad_request(format!(
            "collection {name} keeps roles apart: say for which one the negatives are"
        ))
        .param("negatives.role"));
    }
    let asked = super::dataset::run(services, DatasetJob::Questions).await?;
    let asked: Asked = serde_json::from_value(asked)
        .map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?;
    let mode = input.mode.unwrap_or(Mode::Dense);
    let rules = MiningRules {
        k: input.k.unwrap_or(asked.k),
        min_rank: input.min_rank.unwrap_or(1),
        max_score: input.max_score,
        margin: input.margin.or((mode == Mode::Dense).then_some(MARGIN)),
        likeness: asked.likeness,
    };
    let count = asked.questions.len();
    let mut mined = Mined::new(name, &rules);
    let mut found = futures_util::stream::iter(asked.questions)
        .map(|question| Box::pin(choose(services, input, question, &rules)))
        .buffered(UNDER_WAY);
    while let Some(chosen) = found.next().await {
        let (key, chosen) = chosen?;
        mined.keep(key, chosen);
    }
    drop(found);
    let after = collections::get(services, name).await?;
    if after.info.position() != before.info.position() {
        return Err(ServiceError::new(
            ErrorKind::Conflict,
            format!(
                "collection {name} was written to while it was searched for negatives: export again"
            ),
        ));
    }
    let told = told(input, &rules, &before, (count, mined.len()));
    Ok(Arc::new(Mining {
        told,
        tasks: asked.tasks,
        mined,
    }))
}

async fn choose(
    services: &Services,
    input: &NegativesInput,
    question: Question,
    rules: &MiningRules,
) -> Result<(String, Vec<Chosen>), ServiceError> {
    let search = input.search(&question.text);
    let hits = search::hits(services, &input.collection, search, None).await?;
    let chosen = question.choose(&input.collection, &hits, rules);
    Ok((question.key, chosen))
}

/// What manifest and receipt say of it.
fn told(
    input: &NegativesInput,
    rules: &MiningRules,
    state: &collections::CollectionState,
    (questions, negatives): (usize, usize),
) -> Value {
    let info = &state.info;
    json!({
        "collection": input.collection,
        "lsn": info.position(),
        "points": info.points,
        "embedder": info.spec.embedder,
        "fingerprint": info.spec.fingerprint,
        "mode": input.mode.unwrap_or(Mode::Dense).as_str(),
        "exact": input.exact.unwrap_or(true),
        "depth": input.depth.unwrap_or(DEPTH),
        "role": input.role,
        "k": rules.k,
        "min_rank": rules.min_rank,
        "max_score": rules.max_score,
        "margin": rules.margin,
        "likeness": rules.likeness,
        "questions": questions,
        "negatives": negatives,
    })
}
