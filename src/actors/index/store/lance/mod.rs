//! Collections in Lance tables, in a folder or a bucket that every replica opens.
//!
//! A table holds its points, and beside each payload what filters ask of it: [words](terms) for what it holds, and the
//! [extremes] of declared fields for what is less or more. Nothing is kept here but open tables: what a write has
//! committed, every replica's next read sees.

mod bm25;
mod condition;
mod extremes;
mod layout;
mod rows;
mod search;
mod tables;
mod terms;
#[cfg(test)]
mod tests;
mod upkeep;

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use lance::dataset::BatchUDF;
use lancedb::Table;
use lancedb::arrow::arrow_array::{RecordBatch, RecordBatchIterator};
use lancedb::arrow::arrow_schema::Schema;
use lancedb::datafusion::logical_expr::{Expr, Operator, binary_expr, lit};
use lancedb::query::{ColumnOrdering, ExecutableQuery, Query, QueryBase, Select};
use lancedb::table::{NewColumnTransform, Predicate};
use tokio::runtime::Runtime;

use super::{Nearest, Store, StoreInfo, Stored};
use crate::engines::index::{Filter, Found, IndexError, words_of};
use crate::types::collection::{Backend, CollectionSpec};
use crate::types::point::Point;
use search::Asked;
use tables::{Failure, Tables};
use upkeep::Due;

/// Different words of a query that count, as in our own index.
const MAX_QUERY_WORDS: usize = 256;

/// Lance tables.
pub(super) struct LanceStore {
    tables: Arc<Tables>,
    /// The engine spawns tasks of its own, which must not wait for ours.
    runtime: Option<Runtime>,
    due: Due,
}

impl LanceStore {
    /// The tables at `uri`. Nothing is opened yet.
    pub(super) fn new(uri: &str) -> std::io::Result<Self> {
        Self::due(uri, Due::default())
    }

    fn due(uri: &str, due: Due) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("lance")
            .enable_all()
            .build()?;
        Ok(Self {
            tables: Arc::new(Tables::new(uri)),
            runtime: Some(runtime),
            due,
        })
    }

    /// Does `work` with the engine. A panic there is one here.
    async fn with<T, F>(
        &self,
        name: &str,
        work: impl FnOnce(Arc<Tables>) -> F,
    ) -> Result<T, IndexError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let stopped = |reason: String| IndexError::Engine {
            backend: Backend::Lance,
            reason,
            retry_after_ms: None,
        };
        let Some(runtime) = &self.runtime else {
            return Err(stopped("stopped".to_owned()));
        };
        match runtime.spawn(work(Arc::clone(&self.tables))).await {
            Ok(done) => done.map_err(|failure| failure.of(name)),
            Err(lost) => match lost.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(lost) => Err(stopped(lost.to_string())),
            },
        }
    }
}

impl Drop for LanceStore {
    fn drop(&mut self) {
        // Where futures run, none may wait for its threads.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[async_trait]
impl Store for LanceStore {
    fn backend(&self) -> Backend {
        Backend::Lance
    }

    async fn list(&self) -> Result<Vec<Stored>, IndexError> {
        let work = |tables: Arc<Tables>| async move { tables.list().await };
        self.with("", work).await
    }

    async fn create(&self, stored: &Stored) -> Result<(), IndexError> {
        let own = stored.clone();
        let work = |tables: Arc<Tables>| async move { tables.create(&own).await };
        self.with(&stored.spec.name, work).await
    }

    async fn describe(&self, stored: &Stored) -> Result<(), IndexError> {
        let own = Arc::new(stored.clone());
        let work = |tables: Arc<Tables>| async move {
            let describe = |table: Table| describe(table, Arc::clone(&own));
            tables.write(&own.spec.name, describe).await
        };
        self.with(&stored.spec.name, work).await
    }

    async fn remove(&self, name: &str) -> Result<(), IndexError> {
        let own = name.to_owned();
        let work = |tables: Arc<Tables>| async move { tables.remove(&own).await };
        self.with(name, work).await
    }

    async fn upsert(&self, spec: &CollectionSpec, points: Vec<Point>) -> Result<(), IndexError> {
        let name = spec.name.clone();
        let points: Arc<[Point]> = points.into();
        let work = |tables: Arc<Tables>| async move {
            tables
                .write(&name, |table: Table| upsert(table, Arc::clone(&points)))
                .await
        };
        self.with(&spec.name, work).await
    }

    async fn delete(&self, spec: &CollectionSpec, ids: &[String]) -> Result<usize, IndexError> {
        let (name, wanted) = (spec.name.clone(), among(ids));
        let work = |tables: Arc<Tables>| async move {
            tables
                .write(&name, |table: Table| delete(table, wanted.clone()))
                .await
        };
        self.with(&spec.name, work).await
    }

    async fn delete_where(
        &self,
        spec: &CollectionSpec,
        filter: &Filter,
    ) -> Result<usize, IndexError> {
        let (name, filter) = (spec.name.clone(), Arc::new(filter.clone()));
        let work = |tables: Arc<Tables>| async move {
            let matching = |table: Table| {
                let filter = Arc::clone(&filter);
                async move {
                    let wanted = condition(&table, Some(&filter)).await?;
                    delete(table, wanted.unwrap_or_else(|| lit(false))).await
                }
            };
            tables.write(&name, matching).await
        };
        self.with(&spec.name, work).await
    }

    async fn get(&self, spec: &CollectionSpec, ids: &[String]) -> Result<Vec<Point>, IndexError> {
        let (name, wanted) = (spec.name.clone(), among(ids));
        let work = |tables: Arc<Tables>| async move {
            tables.read(&name, |table| get(table, wanted)).await
        };
        self.with(&spec.name, work).await
    }

    async fn scroll(
        &self,
        spec: &CollectionSpec,
        after: Option<&str>,
        limit: usize,
        filter: Option<&Filter>,
    ) -> Result<(Vec<Point>, Option<String>), IndexError> {
        let (name, filter) = (spec.name.clone(), filter.cloned());
        let after = after.map(str::to_owned);
        let work = |tables: Arc<Tables>| async move {
            tables
                .read(&name, |table| scroll(table, after, limit, filter))
                .await
        };
        self.with(&spec.name, work).await
    }

    async fn count(
        &self,
        spec: &CollectionSpec,
        filter: Option<&Filter>,
    ) -> Result<usize, IndexError> {
        let (name, filter) = (spec.name.clone(), filter.cloned());
        let work = |tables: Arc<Tables>| async move {
            tables.read(&name, |table| count(table, filter)).await
        };
        self.with(&spec.name, work).await
    }

    async fn dense(
        &self,
        spec: &CollectionSpec,
        query: &[f32],
        nearest: Nearest<'_>,
    ) -> Result<Vec<Found>, IndexError> {
        let (name, metric, query) = (spec.name.clone(), spec.metric, query.to_vec());
        let asked = Asked::of(nearest);
        let search = move |table: Table| search::dense(table, metric, query, asked);
        let work = |tables: Arc<Tables>| async move { tables.read(&name, search).await };
        self.with(&spec.name, work).await
    }

    async fn lexical(
        &self,
        spec: &CollectionSpec,
        text: &str,
        nearest: Nearest<'_>,
    ) -> Result<Vec<Found>, IndexError> {
        let words = words_of(text).into_iter().take(MAX_QUERY_WORDS);
        let words: Vec<String> = words.map(|(word, _)| word).collect();
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let name = spec.name.clone();
        let asked = Asked::of(nearest);
        let search = move |table: Table| search::lexical(table, words, asked);
        let work = |tables: Arc<Tables>| async move { tables.read(&name, search).await };
        self.with(&spec.name, work).await
    }

    async fn info(&self, spec: &CollectionSpec) -> Result<StoreInfo, IndexError> {
        let name = spec.name.clone();
        let info = |table: Table| async move {
            let indexes = table.list_indices().await?;
            let index = upkeep::index_of(layout::VECTOR, &indexes);
            let indexed = index.and_then(|index| index.num_indexed_rows);
            Ok(StoreInfo {
                state: match index {
                    Some(index) => index.index_type.to_string(),
                    None => "scanned".to_owned(),
                },
                indexed: usize::try_from(indexed.unwrap_or(0)).unwrap_or(usize::MAX),
            })
        };
        let work = |tables: Arc<Tables>| async move { tables.read(&name, info).await };
        self.with(&spec.name, work).await
    }

    async fn maintain(&self, spec: &CollectionSpec) -> Result<(), IndexError> {
        let (own, due) = (Arc::new(spec.clone()), self.due);
        let work = move |tables: Arc<Tables>| async move {
            let maintain = |table: Table| {
                let own = Arc::clone(&own);
                async move { upkeep::maintain(&table, due, own.metric, &own.schema).await }
            };
            match tables.read(&own.name, maintain).await {
                // Another replica is at it, or points came in between: there is a next time.
                Err(failure) if failure.is_conflict() => Ok(()),
                done => done,
            }
        };
        self.with(&spec.name, work).await
    }
}

/// The columns of a point, and what a search adds.
fn columns(vectors: bool, found: &str) -> Select {
    let mut all = vec![layout::ID, layout::TEXT, layout::PAYLOAD];
    all.extend(vectors.then_some(layout::VECTOR));
    all.extend((!found.is_empty()).then_some(found));
    Select::columns(&all)
}

/// The condition of these ids.
fn among(ids: &[String]) -> Expr {
    let ids = ids.iter().map(|id| lit(id.as_str())).collect();
    condition::col(layout::ID).in_list(ids, false)
}

async fn condition(table: &Table, filter: Option<&Filter>) -> Result<Option<Expr>, Failure> {
    let Some(filter) = filter else {
        return Ok(None);
    };
    let schema = table.schema().await?;
    Ok(Some(condition::of(filter, &schema)))
}

async fn upsert(table: Table, points: Arc<[Point]>) -> Result<(), Failure> {
    let schema = table.schema().await?;
    let schema = Arc::new(Schema::new(schema.fields().clone()));
    let rows = rows::batch(&schema, &points)?;
    let rows = RecordBatchIterator::new([Ok(rows)], schema);
    let mut merge = table.merge_insert(&[layout::ID]);
    merge
        .when_matched_update_all(None)
        .when_not_matched_insert_all();
    Box::pin(merge.execute(Box::new(rows))).await?;
    Ok(())
}

async fn delete(table: Table, wanted: Expr) -> Result<usize, Failure> {
    let deleted = table.delete(Predicate::Expr(&wanted)).await?;
    Ok(usize::try_from(deleted.num_deleted_rows).unwrap_or(usize::MAX))
}

async fn get(table: Table, wanted: Expr) -> Result<Vec<Point>, Failure> {
    let query = table.query().only_if_expr(wanted).select(columns(true, ""));
    let batches: Vec<RecordBatch> = query.execute().await?.try_collect().await?;
    let mut points = Vec::new();
    for batch in &batches {
        points.extend(rows::points(batch)?);
    }
    Ok(points)
}

async fn scroll(
    table: Table,
    after: Option<String>,
    limit: usize,
    filter: Option<Filter>,
) -> Result<(Vec<Point>, Option<String>), Failure> {
    let id = || condition::col(layout::ID);
    let after = after.map(|after| binary_expr(id(), Operator::Gt, lit(after)));
    let matching = condition(&table, filter.as_ref()).await?;
    let mut query = table.query();
    let all: Vec<Expr> = [after, matching].into_iter().flatten().collect();
    if !all.is_empty() {
        query = query.only_if_expr(condition::join(all, Operator::And));
    }
    // One more than asked for tells whether there is more.
    let query = query
        .order_by(Some(vec![ColumnOrdering::asc_nulls_last(
            layout::ID.to_owned(),
        )]))
        .limit(limit.saturating_add(1));
    let mut ids = ids(&query).await?;
    let more = ids.len() > limit;
    ids.truncate(limit);
    if ids.is_empty() {
        return Ok((Vec::new(), None));
    }
    let next = ids.last().filter(|_| more).cloned();
    let mut points = get(table, among(&ids)).await?;
    points.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok((points, next))
}

async fn count(table: Table, filter: Option<Filter>) -> Result<usize, Failure> {
    let Some(filter) = condition(&table, filter.as_ref()).await? else {
        return Ok(table.count_rows(None).await?);
    };
    let query = table.query().only_if_expr(filter);
    let query = query.select(Select::columns(&[layout::ID]));
    let mut batches = query.execute().await?;
    let mut count = 0;
    while let Some(batch) = batches.try_next().await? {
        count += batch.num_rows();
    }
    Ok(count)
}

/// The ids of what a query finds.
async fn ids(query: &Query) -> Result<Vec<String>, Failure> {
    let query = query.clone().select(Select::columns(&[layout::ID]));
    let mut batches = query.execute().await?;
    let mut ids = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        let found = rows::strings(&batch, layout::ID)?.iter().flatten();
        ids.extend(found.map(str::to_owned));
    }
    Ok(ids)
}

/// Keeps another description, and the columns that it needs.
async fn describe(table: Table, stored: Arc<Stored>) -> Result<(), Failure> {
    let schema = table.schema().await?;
    let mut wanted = layout::declared(&stored.spec.schema);
    let own = schema.fields().iter().map(|field| field.name());
    let dropped: Vec<&str> = own
        .filter(|name| layout::is_declared(name) && wanted.remove(*name).is_none())
        .map(String::as_str)
        .collect();
    if !wanted.is_empty() {
        let added = rows::only(wanted.into_values().collect());
        let output = Arc::clone(&added);
        let columns = NewColumnTransform::BatchUDF(BatchUDF {
            mapper: Box::new(move |batch| Ok(rows::added(&added, batch)?)),
            output_schema: output,
            result_checkpoint: None,
        });
        let add = table.add_columns().transform(columns);
        Box::pin(add.read_columns([layout::PAYLOAD]).execute()).await?;
    }
    if !dropped.is_empty() {
        table.drop_columns(&dropped).await?;
    }
    let metadata = layout::described(schema.metadata().clone(), &stored)?;
    match table.as_native() {
        Some(native) => native.replace_schema_metadata(metadata).await?,
        None => return Err(Failure::Odd("it is no table of files")),
    }
    Ok(())
}
