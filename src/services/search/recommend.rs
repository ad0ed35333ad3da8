//! Searching by points as examples.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{MmrInput, Prepared, SearchInput, SearchOutput, Told, WithField};
use crate::engines::index::{Like, Mode, SearchRequest, Strategy};
use crate::services::collections::PointId;
use crate::services::filter::FilterSchema;
use crate::services::{Asker, ServiceError, Services};

/// A request to `POST /v1/collections/{name}/recommend`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecommendInput {
    /// Ids of points to be like; at most 100 with the negative ones. They are not among the hits.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub positive: Vec<PointId>,
    /// Ids of points to be unlike. They are not among the hits.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub negative: Vec<PointId>,
    /// `average_vector` (default) or `best_score`.
    #[schema(example = "average_vector")]
    pub strategy: Option<Strategy>,
    /// As in a search.
    #[schema(minimum = 1, maximum = 1000)]
    pub k: Option<usize>,
    /// As in a search.
    #[schema(value_type = Option<FilterSchema>)]
    pub filter: Option<Value>,
    /// As in a search; the examples must be of it, too.
    pub role: Option<String>,
    /// As in a search.
    #[serde(default)]
    pub exact: bool,
    /// As in a search.
    pub min_score: Option<f32>,
    /// As in a search.
    pub mmr: Option<MmrInput>,
    /// As in a search.
    pub group_by: Option<String>,
    /// As in a search.
    #[schema(minimum = 1, maximum = 100)]
    pub group_size: Option<usize>,
    /// As in a search.
    pub with: Option<Vec<WithField>>,
    /// As in a search.
    #[serde(default)]
    pub explain: bool,
}

/// Serves `POST /v1/collections/{name}/recommend`.
pub async fn recommend(
    services: &Services,
    asker: Asker,
    name: &str,
    input: RecommendInput,
) -> Result<SearchOutput, ServiceError> {
    let ids = |ids: Vec<PointId>| ids.into_iter().map(String::from).collect();
    let like = Like {
        positive: ids(input.positive),
        negative: ids(input.negative),
        strategy: input.strategy.unwrap_or_default(),
    };
    let search = SearchInput {
        k: input.k,
        filter: input.filter,
        role: input.role,
        exact: input.exact,
        min_score: input.min_score,
        mmr: input.mmr,
        group_by: input.group_by,
        group_size: input.group_size,
        with: input.with,
        explain: input.explain,
        ..SearchInput::default()
    };
    let told = Told::of(asker, &search);
    let prepared = Prepared {
        request: SearchRequest {
            like: Some(like),
            exact: search.exact,
            ..search.choices(Mode::Dense)?
        },
        not_refined: None,
    };
    let found = prepared.run(services, name).await?;
    told.answer(services, name, "recommend", found).await
}
