//! Searches of a table.

use std::collections::{HashMap, HashSet};

use futures_util::TryStreamExt;
use lancedb::Table;
use lancedb::arrow::arrow_array::RecordBatch;
use lancedb::datafusion::logical_expr::Expr;
use lancedb::index::scalar::{FullTextSearchQuery, MatchQuery};
use lancedb::query::{ExecutableQuery, QueryBase, Select};

use super::tables::Failure;
use super::{among, bm25, columns, condition, get, ids, layout, rows, upkeep};
use crate::actors::index::store::Nearest;
use crate::engines::index::{Filter, Found};
use crate::types::point::{Metric, Point};

/// Hits of the index that are compared with the stored vectors, for each that is asked for.
const REFINED: u32 = 2;

/// What is asked of a search, its own.
pub(super) struct Asked {
    limit: usize,
    filter: Option<Filter>,
    exact: bool,
    vectors: bool,
}

impl Asked {
    pub(super) fn of(nearest: Nearest<'_>) -> Self {
        Self {
            limit: nearest.limit,
            filter: nearest.filter.cloned(),
            exact: nearest.exact,
            vectors: nearest.vectors,
        }
    }
}

/// The points nearest to a vector.
pub(super) async fn dense(
    table: Table,
    metric: Metric,
    query: Vec<f32>,
    asked: Asked,
) -> Result<Vec<Found>, Failure> {
    let mut search = table
        .query()
        .nearest_to(query)?
        .column(layout::VECTOR)
        .distance_type(upkeep::distance(metric))
        .limit(asked.limit)
        .select(columns(asked.vectors, "_distance"));
    search = match asked.exact {
        true => search.bypass_vector_index(),
        false => search.refine_factor(REFINED),
    };
    if let Some(filter) = condition(&table, asked.filter.as_ref()).await? {
        search = search.only_if_expr(filter);
    }
    let batches: Vec<_> = search.execute().await?.try_collect().await?;
    found(&batches, "_distance", |at| upkeep::score(metric, at))
}

/// The texts with the most telling of these words.
pub(super) async fn lexical(
    table: Table,
    words: Vec<String>,
    asked: Asked,
) -> Result<Vec<Found>, Failure> {
    let indexes = table.list_indices().await?;
    let filter = condition(&table, asked.filter.as_ref()).await?;
    match upkeep::index_of(layout::WORDS, &indexes) {
        Some(_) => ranked(table, words, filter, asked.limit, asked.vectors).await,
        None => scanned(table, words, filter, asked.limit).await,
    }
}

/// The best texts by the engine's index of words.
async fn ranked(
    table: Table,
    words: Vec<String>,
    filter: Option<Expr>,
    limit: usize,
    vectors: bool,
) -> Result<Vec<Found>, Failure> {
    let words = MatchQuery::new(words.join(" "));
    let words = words.with_column(Some(layout::WORDS.to_owned()));
    let mut search = table
        .query()
        .full_text_search(FullTextSearchQuery::new_query(words.into()))
        .limit(limit)
        .select(columns(vectors, "_score"));
    if let Some(filter) = filter {
        search = search.only_if_expr(filter);
    }
    let batches: Vec<_> = search.execute().await?.try_collect().await?;
    found(&batches, "_score", |score| score)
}

/// The best texts by reading the words of all.
async fn scanned(
    table: Table,
    words: Vec<String>,
    filter: Option<Expr>,
    limit: usize,
) -> Result<Vec<Found>, Failure> {
    let texts = table
        .query()
        .select(Select::columns(&[layout::ID, layout::WORDS]));
    let mut batches = texts.execute().await?;
    let mut scan = bm25::Scan::new(&words);
    while let Some(batch) = batches.try_next().await? {
        let ids = rows::strings(&batch, layout::ID)?;
        let texts = rows::strings(&batch, layout::WORDS)?;
        for (id, text) in ids.iter().zip(texts) {
            scan.add(id.unwrap_or_default(), text.unwrap_or_default());
        }
    }
    let accepted = match filter {
        Some(filter) => Some(ids(&table.query().only_if_expr(filter)).await?),
        None => None,
    };
    let accepted: Option<HashSet<String>> = accepted.map(HashSet::from_iter);
    let accept = |id: &str| accepted.as_ref().is_none_or(|all| all.contains(id));
    let best = scan.best(limit, accept);
    if best.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Vec<String> = best.iter().map(|(id, _)| id.clone()).collect();
    let points = get(table, among(&wanted)).await?.into_iter();
    let mut points: HashMap<String, Point> = points.map(|at| (at.id.clone(), at)).collect();
    let found = best.into_iter().filter_map(|(id, score)| {
        let point = points.remove(&id)?;
        Some(Found { point, score })
    });
    Ok(found.collect())
}

fn found(
    batches: &[RecordBatch],
    column: &str,
    score: impl Fn(f32) -> f32,
) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for batch in batches {
        let scores = rows::numbers(batch, column)?;
        for (point, at) in rows::points(batch)?.into_iter().zip(scores) {
            found.push(Found {
                point,
                score: score(*at),
            });
        }
    }
    found.sort_by(|a: &Found, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then_with(|| a.point.id.cmp(&b.point.id))
    });
    Ok(found)
}
