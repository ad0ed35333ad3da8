//! What is asked of Qdrant, in its own terms.

use prost::Message as _;
use qdrant_client::Qdrant;
use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::query::Variant as QueryKind;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vector_input::Variant as InputKind;
use qdrant_client::qdrant::vectors_config::Config as VectorsKind;
use qdrant_client::qdrant::with_payload_selector::SelectorOptions as PayloadOptions;
use qdrant_client::qdrant::with_vectors_selector::SelectorOptions as VectorsOptions;
use qdrant_client::qdrant::{
    CollectionInfo, Condition, CountPoints, CreateCollection, CreateFieldIndexCollection,
    DeleteFieldIndexCollection, DeletePoints, DenseVector, Distance, FieldType, Filter, GetPoints,
    IntegerIndexParams, Modifier, OrderBy, PayloadIncludeSelector, PayloadIndexParams, PointStruct,
    PointsIdsList, PointsOperationResponse, PointsSelector, Query, QueryPoints, Range,
    RetrievedPoint, ScoredPoint, ScrollPoints, SearchParams, SparseVector, SparseVectorConfig,
    SparseVectorParams, UpdateCollection, UpdateStatus, UpsertPoints, Value as Kept, VectorInput,
    VectorParams, VectorParamsMap, VectorsConfig, VectorsSelector, WithPayloadSelector,
    WithVectorsSelector, WriteOrdering, WriteOrderingType,
};

use super::calls::{CallError, Calls};
use super::order::{self, Span};
use super::point::{self, Read};
use crate::engines::index::With;
use crate::types::point::Metric;

/// The field of a collection's metadata that makes it one of ours.
const METADATA: &str = "boathouse";
/// The field of its metadata until it is one, so that it is not taken for somebody else's when it never comes to that.
const BEGUN: &str = "boathouse_begun";
/// Ids of one call.
const IDS_AT_ONCE: usize = 1_000;

/// Most points of a write, and about most bytes: Qdrant takes 32 MiB at once.
const BATCH_POINTS: usize = 1_000;
const BATCH_BYTES: usize = 8 << 20;

/// Which points are meant.
#[derive(Debug, Clone, Default)]
pub(super) struct Page {
    pub(super) filter: Option<Filter>,
    pub(super) limit: usize,
    pub(super) with: With,
}

/// Whose a collection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inscription {
    /// Ours, with what we wrote on it.
    Ours(String),
    /// To become ours, and empty.
    Begun,
    /// Somebody else's.
    Foreign,
}

/// One Qdrant.
pub(super) struct Engine {
    pub(super) calls: Calls,
    /// Of new collections: shards, as many as it makes itself where it is `None`; and copies of each.
    pub(super) shards: Option<u32>,
    pub(super) copies: u32,
}

type Answer<T> = Result<T, CallError>;

/// A call of a method of the client, each time with an argument of its own.
macro_rules! ask {
    ($method:ident) => {
        |it: Qdrant| async move { it.$method().await }
    };
    ($method:ident, $argument:expr) => {
        |it: Qdrant| {
            let argument = $argument;
            async move { it.$method(argument).await }
        }
    };
}

impl Engine {
    /// The version that it says it is.
    pub(super) async fn version(&self) -> Answer<String> {
        let answer = self.calls.ask(ask!(health_check));
        Ok(answer.await?.version)
    }

    /// The names of all its collections.
    pub(super) async fn names(&self) -> Answer<Vec<String>> {
        let answer = self.calls.ask(ask!(list_collections));
        let all = answer.await?.collections.into_iter();
        Ok(all.map(|one| one.name).collect())
    }

    /// A collection's state, and what is written on it.
    pub(super) async fn look(&self, name: &str) -> Answer<(CollectionInfo, Inscription)> {
        let answer = self.calls.ask(ask!(collection_info, name.to_owned()));
        let info = answer.await?.result.ok_or_else(nothing)?;
        let metadata = info.config.as_ref().map(|config| &config.metadata);
        let text = |field: &str| match metadata?.get(field)?.kind.clone()? {
            Kind::StringValue(text) => Some(text),
            _ => None,
        };
        let inscription = match (text(METADATA), text(BEGUN)) {
            (Some(text), _) => Inscription::Ours(text),
            (None, Some(_)) => Inscription::Begun,
            (None, None) => Inscription::Foreign,
        };
        Ok((info, inscription))
    }

    /// Makes a collection, which is none of ours yet.
    pub(super) async fn create(&self, name: &str, dim: usize, metric: Metric) -> Answer<()> {
        // Cosine vectors come normalised. Qdrant would normalise them again, and not give them back as they were.
        let distance = match metric {
            Metric::Cosine | Metric::Dot => Distance::Dot,
            Metric::L2 => Distance::Euclid,
        };
        let dense = VectorParams {
            size: dim as u64,
            distance: distance.into(),
            ..VectorParams::default()
        };
        let words = SparseVectorParams {
            modifier: Some(Modifier::Idf.into()),
            ..SparseVectorParams::default()
        };
        let made = CreateCollection {
            collection_name: name.to_owned(),
            vectors_config: Some(VectorsConfig {
                config: Some(VectorsKind::ParamsMap(VectorParamsMap {
                    map: [(point::DENSE.to_owned(), dense)].into(),
                })),
            }),
            sparse_vectors_config: Some(SparseVectorConfig {
                map: [(point::LEXICAL.to_owned(), words)].into(),
            }),
            shard_number: self.shards,
            replication_factor: Some(self.copies),
            // An acknowledged write is on every copy, so that a read may ask any.
            write_consistency_factor: Some(self.copies),
            metadata: [(BEGUN.to_owned(), inscription("1"))].into(),
            ..CreateCollection::default()
        };
        let call = ask!(create_collection, made.clone());
        self.calls.ask(call).await.map(drop)
    }

    /// Writes on a collection what makes it one of ours.
    pub(super) async fn inscribe(&self, name: &str, text: &str) -> Answer<()> {
        let update = UpdateCollection {
            collection_name: name.to_owned(),
            metadata: [(METADATA.to_owned(), inscription(text))].into(),
            ..UpdateCollection::default()
        };
        let call = ask!(update_collection, update.clone());
        self.calls.ask(call).await.map(drop)
    }

    /// Removes a collection; whether there was one.
    pub(super) async fn remove(&self, name: &str) -> Answer<bool> {
        let call = ask!(delete_collection, name.to_owned());
        match self.calls.ask(call).await {
            Ok(answer) => Ok(answer.result),
            Err(CallError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Indexes a field of the points.
    pub(super) async fn index(&self, name: &str, field: &str, kind: FieldType) -> Answer<()> {
        let index = CreateFieldIndexCollection {
            collection_name: name.to_owned(),
            wait: Some(true),
            field_name: field.to_owned(),
            field_type: Some(kind.into()),
            field_index_params: (kind == FieldType::Integer).then(in_order),
            ordering: Some(strong()),
            ..CreateFieldIndexCollection::default()
        };
        let call = ask!(create_field_index, index.clone());
        completed(self.calls.ask(call).await?)
    }

    /// Indexes a field no more.
    pub(super) async fn drop_index(&self, name: &str, field: &str) -> Answer<()> {
        let index = DeleteFieldIndexCollection {
            collection_name: name.to_owned(),
            wait: Some(true),
            field_name: field.to_owned(),
            ordering: Some(strong()),
            ..DeleteFieldIndexCollection::default()
        };
        let call = ask!(delete_field_index, index.clone());
        completed(self.calls.ask(call).await?)
    }

    /// Writes points; they are there when it returns.
    pub(super) async fn upsert(&self, name: &str, points: Vec<PointStruct>) -> Answer<()> {
        for points in batches(points, BATCH_POINTS, BATCH_BYTES) {
            let upsert = UpsertPoints {
                collection_name: name.to_owned(),
                wait: Some(true),
                points,
                ordering: Some(strong()),
                ..UpsertPoints::default()
            };
            let call = ask!(upsert_points, upsert.clone());
            completed(self.calls.ask(call).await?)?;
        }
        Ok(())
    }

    /// Deletes what a filter matches.
    pub(super) async fn delete_where(&self, name: &str, filter: Filter) -> Answer<()> {
        self.delete(name, PointsSelectorOneOf::Filter(filter)).await
    }

    /// Deletes by id; how many there were.
    pub(super) async fn delete_ids(&self, name: &str, ids: &[String]) -> Answer<usize> {
        let mut deleted = 0;
        for ids in ids.chunks(IDS_AT_ONCE) {
            let found = self.get(name, ids, With::default()).await?;
            if found.is_empty() {
                continue;
            }
            deleted += found.len();
            let ids = found.iter().map(|found| point::id_of(&found.id)).collect();
            let ids = PointsSelectorOneOf::Points(PointsIdsList { ids });
            self.delete(name, ids).await?;
        }
        Ok(deleted)
    }

    async fn delete(&self, name: &str, of: PointsSelectorOneOf) -> Answer<()> {
        let delete = DeletePoints {
            collection_name: name.to_owned(),
            wait: Some(true),
            points: Some(PointsSelector {
                points_selector_one_of: Some(of),
            }),
            ordering: Some(strong()),
            ..DeletePoints::default()
        };
        let call = ask!(delete_points, delete.clone());
        completed(self.calls.ask(call).await?)
    }

    /// Counts what a filter matches, exactly.
    pub(super) async fn count(&self, name: &str, filter: Option<Filter>) -> Answer<usize> {
        let count = CountPoints {
            collection_name: name.to_owned(),
            filter,
            exact: Some(true),
            ..CountPoints::default()
        };
        let call = ask!(count, count.clone());
        let found = self.calls.ask(call).await?.result.ok_or_else(nothing)?;
        Ok(usize::try_from(found.count).unwrap_or(usize::MAX))
    }

    /// Reads points by their ids, in no order.
    pub(super) async fn get(&self, name: &str, ids: &[String], with: With) -> Answer<Vec<Read>> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(IDS_AT_ONCE) {
            let get = GetPoints {
                collection_name: name.to_owned(),
                ids: ids.iter().map(|id| point::id_of(id)).collect(),
                with_payload: Some(payload_of(with)),
                with_vectors: Some(vectors_of(with)),
                ..GetPoints::default()
            };
            let call = ask!(get_points, get.clone());
            let answer = self.calls.ask(call).await?;
            found.extend(answer.result.into_iter().filter_map(retrieved));
        }
        Ok(found)
    }

    /// Reads the first points after `after`, in order of id.
    pub(super) async fn page(
        &self,
        name: &str,
        after: Option<&str>,
        page: &Page,
    ) -> Answer<Vec<Read>> {
        let scan = |span, most| self.span(name, span, most, page);
        order::first(after, page.limit, |read: &Read| read.id.as_str(), scan).await
    }

    async fn span(&self, name: &str, span: Span, most: usize, page: &Page) -> Answer<Vec<Read>> {
        let part = |at: usize, range| Condition::range(format!("{}.{at}", point::ORDER), range);
        let mut filter = Filter::must(span.same.iter().enumerate().map(|(at, own)| {
            let (gte, lte) = (Some(*own), Some(*own));
            part(
                at,
                Range {
                    gte,
                    lte,
                    ..Range::default()
                },
            )
        }));
        filter.must.extend(page.filter.clone().map(Condition::from));
        if let Some(at) = span.by() {
            let gt = Some(span.beyond);
            filter.must.push(part(
                at,
                Range {
                    gt,
                    ..Range::default()
                },
            ));
        }
        let mut scroll = ScrollPoints {
            collection_name: name.to_owned(),
            filter: Some(filter),
            limit: Some(u32::try_from(most).unwrap_or(u32::MAX)),
            with_payload: Some(payload_of(page.with)),
            with_vectors: Some(vectors_of(page.with)),
            order_by: span.by().map(|at| OrderBy {
                key: format!("{}.{at}", point::ORDER),
                ..OrderBy::default()
            }),
            ..ScrollPoints::default()
        };
        let mut found = Vec::new();
        loop {
            let call = ask!(scroll, scroll.clone());
            let answer = self.calls.ask(call).await?;
            found.extend(answer.result.into_iter().filter_map(retrieved));
            // Of points that nothing orders, all are wanted.
            match answer.next_page_offset.filter(|_| span.by().is_none()) {
                Some(next) => scroll.offset = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// Finds the nearest.
    pub(super) async fn dense(
        &self,
        name: &str,
        vector: &[f32],
        exact: bool,
        page: &Page,
    ) -> Answer<Vec<(Read, f32)>> {
        let data = vector.to_vec();
        let params = SearchParams {
            exact: Some(exact),
            ..SearchParams::default()
        };
        let input = InputKind::Dense(DenseVector { data });
        self.query(name, (point::DENSE, input, params), page).await
    }

    /// Finds what shares one of these words.
    pub(super) async fn lexical(
        &self,
        name: &str,
        terms: Vec<u32>,
        page: &Page,
    ) -> Answer<Vec<(Read, f32)>> {
        let values = vec![1.0; terms.len()];
        let input = InputKind::Sparse(SparseVector {
            values,
            indices: terms,
        });
        let params = SearchParams::default();
        self.query(name, (point::LEXICAL, input, params), page)
            .await
    }

    async fn query(
        &self,
        name: &str,
        (using, input, params): (&str, InputKind, SearchParams),
        page: &Page,
    ) -> Answer<Vec<(Read, f32)>> {
        let nearest = QueryKind::Nearest(VectorInput {
            variant: Some(input),
        });
        let query = QueryPoints {
            collection_name: name.to_owned(),
            query: Some(Query {
                variant: Some(nearest),
            }),
            using: Some(using.to_owned()),
            filter: page.filter.clone(),
            params: Some(params),
            limit: Some(page.limit as u64),
            with_payload: Some(payload_of(page.with)),
            with_vectors: Some(vectors_of(page.with)),
            ..QueryPoints::default()
        };
        let call = ask!(query, query.clone());
        let answer = self.calls.ask(call).await?;
        let read = |found: ScoredPoint| {
            let score = found.score;
            Some((point::read(found.payload, found.vectors)?, score))
        };
        Ok(answer.result.into_iter().filter_map(read).collect())
    }
}

fn retrieved(found: RetrievedPoint) -> Option<Read> {
    point::read(found.payload, found.vectors)
}

/// What of a point's fields is read: never its marks.
fn payload_of(with: With) -> WithPayloadSelector {
    let mut fields = vec![point::ID.to_owned()];
    if with.text {
        fields.push(point::TEXT.to_owned());
    }
    if with.payload {
        fields.extend([point::PAYLOAD.to_owned(), point::JSON.to_owned()]);
    }
    WithPayloadSelector {
        selector_options: Some(PayloadOptions::Include(PayloadIncludeSelector { fields })),
    }
}

fn vectors_of(with: With) -> WithVectorsSelector {
    let names = vec![point::DENSE.to_owned()];
    WithVectorsSelector {
        selector_options: Some(match with.vector {
            true => VectorsOptions::Include(VectorsSelector { names }),
            false => VectorsOptions::Enable(false),
        }),
    }
}

/// Writes come in one order on every replica.
fn strong() -> WriteOrdering {
    WriteOrdering {
        r#type: WriteOrderingType::Strong.into(),
    }
}

/// Of an index that is only read in its order: from disk, which is where it is read from in one piece.
#[expect(deprecated, reason = "servers before 1.19 know no other word for it")]
fn in_order() -> PayloadIndexParams {
    PayloadIndexParams {
        index_params: Some(IndexParams::IntegerIndexParams(IntegerIndexParams {
            lookup: Some(false),
            range: Some(true),
            on_disk: Some(true),
            ..IntegerIndexParams::default()
        })),
    }
}

/// A write counts when it is applied, not when it is taken.
fn completed(answer: PointsOperationResponse) -> Answer<()> {
    let status = answer.result.as_ref().map(|result| result.status());
    match status {
        Some(UpdateStatus::Completed) => Ok(()),
        Some(UpdateStatus::WaitTimeout) => Err(CallError::Unavailable(
            "the write was taken, and not applied in time; it may still be".to_owned(),
        )),
        other => Err(CallError::Failed(format!(
            "the write was not applied: {other:?}"
        ))),
    }
}

fn inscription(text: &str) -> Kept {
    let kind = Some(Kind::StringValue(text.to_owned()));
    Kept { kind }
}

fn nothing() -> CallError {
    CallError::Failed("an answer without a result".to_owned())
}

/// Splits points into calls of at most so many points and about so many bytes.
fn batches(points: Vec<PointStruct>, most: usize, bytes: usize) -> Vec<Vec<PointStruct>> {
    let mut made: Vec<Vec<PointStruct>> = Vec::new();
    let mut left = 0;
    for point in points {
        let size = point.encoded_len();
        match made.last_mut() {
            Some(last) if last.len() < most && size <= left => {
                left -= size;
                last.push(point);
            }
            _ => {
                left = bytes.saturating_sub(size);
                made.push(vec![point]);
            }
        }
    }
    made
}
