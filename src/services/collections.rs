//! Collections and their points.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::error::{ServiceError, fault};
use super::filter::FilterSchema;
use super::{Services, embed, now_ms};
pub use crate::actors::index::collection::CollectionInfo;
use crate::actors::index::{CollectionsError, IndexCell, IndexRequest};
use crate::engines::embedding::Model;
use crate::engines::index::Filter;
use crate::types::collection::{Backend, CollectionSpec, FieldKind, Refiner, Schema};
use crate::types::error_kind::ErrorKind;
use crate::types::plain::counted;
use crate::types::point::{Metric, Point};
use crate::types::trace::Trace;

/// A request to `PUT /v1/collections/{name}`. An empty object takes the defaults.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionInput {
    /// Length of the vectors; needed only without an embedder.
    #[schema(minimum = 1, maximum = 8192)]
    pub dim: Option<usize>,
    /// `cosine` (default), `dot` or `l2`.
    #[schema(example = "cosine")]
    pub metric: Option<Metric>,
    /// The model that embeds texts and queries; `null` for a collection of given vectors only.
    /// Left out: the default model, unless `dim` says otherwise.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, example = "static-minilm")]
    pub embedder: Option<Option<String>>,
    /// A better model that ranks the first hits of hybrid searches. Points get its vectors in the background.
    #[schema(example = "minilm")]
    pub refiner: Option<String>,
    /// Fields of the payload to index: `{"path": "keyword" | "integer" | "float" | "bool" | "datetime"}`.
    #[serde(default)]
    #[schema(example = json!({"year": "integer"}))]
    pub fields: BTreeMap<String, FieldKind>,
    /// The field that says whose a point is: a string, or a list of them. A point without it is everybody's.
    #[schema(min_length = 1, max_length = 512)]
    pub role_field: Option<String>,
    /// Refuse searches that do not say for which role they are. Default true with `role_field`.
    pub role_required: Option<bool>,
    /// What keeps its points: `hnsw`, this process, or an engine that the settings name, `qdrant` or `lance`. Left out:
    /// as the settings say, `hnsw` by default.
    #[schema(example = "hnsw")]
    pub backend: Option<Backend>,
    /// The field that says when a point expires: RFC 3339 text, or Unix seconds. A point without it stays.
    #[schema(min_length = 1, max_length = 512)]
    pub ttl_field: Option<String>,
}

impl CollectionInput {
    /// What is declared, with the fields that must be indexed.
    fn schema(&self) -> Schema {
        let mut fields = self.fields.clone();
        for (path, kind) in [
            (&self.role_field, FieldKind::Keyword),
            (&self.ttl_field, FieldKind::Datetime),
        ] {
            if let Some(path) = path {
                fields.entry(path.clone()).or_insert(kind);
            }
        }
        Schema {
            fields,
            role_field: self.role_field.clone(),
            role_required: self.role_required.unwrap_or(self.role_field.is_some()),
            ttl_field: self.ttl_field.clone(),
        }
    }
}

/// Tells `"embedder": null` from an absent one.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// A point as given: an id with a text, a vector, or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PointInput {
    /// A string, or a number that is kept as one.
    #[schema(example = "a1")]
    pub id: PointId,
    /// Embedded when no vector is given; searched by `lexical` and `hybrid`.
    #[schema(example = "Lock 7 is closed until Easter.")]
    pub text: Option<String>,
    /// `dim` finite numbers.
    pub vector: Option<Vec<f32>>,
    /// Anything to filter by or to give back.
    #[serde(default)]
    #[schema(example = json!({"year": 2026}))]
    pub payload: Map<String, Value>,
}

/// An id: clients write numbers and strings.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(untagged, expecting = "id must be a string or a whole number")]
pub enum PointId {
    /// As it is.
    Text(String),
    /// Kept as its decimal digits.
    Number(u64),
}

impl From<PointId> for String {
    fn from(id: PointId) -> Self {
        match id {
            PointId::Text(text) => text,
            PointId::Number(number) => number.to_string(),
        }
    }
}

/// A request to `POST /v1/collections/{name}/points`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpsertInput {
    /// Inserted, or replacing those of the same id; all or none.
    #[schema(min_items = 1)]
    pub points: Vec<PointInput>,
    /// Embed the beginning of a text that is longer than the model reads; else it is refused. It is stored whole.
    #[serde(default)]
    pub truncate: bool,
}

/// A request to `POST /v1/collections/{name}/points/delete`: ids or a filter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteInput {
    /// The points of these ids.
    pub ids: Option<Vec<PointId>>,
    /// The points that match.
    #[schema(value_type = Option<FilterSchema>)]
    pub filter: Option<Value>,
}

/// A request to `POST /v1/collections/{name}/points/scroll`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScrollInput {
    /// `next` of the page before; left out: from the start.
    pub after: Option<String>,
    /// Points on a page: 1 to 1,000, default 100.
    #[schema(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
    /// Only what matches.
    #[schema(value_type = Option<FilterSchema>)]
    pub filter: Option<Value>,
    /// Only points of this role, or of none; left out: everybody's, also where searches need one.
    pub role: Option<String>,
}

/// The answer of `POST /v1/collections/{name}/points/scroll`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScrollOutput {
    /// In order of id.
    pub points: Vec<Point>,
    /// Give it as `after` for the next page; `null` at the end.
    pub next: Option<String>,
}

/// A request to `POST /v1/collections/{name}/points/count`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CountInput {
    /// Only what matches.
    #[schema(value_type = Option<FilterSchema>)]
    pub filter: Option<Value>,
    /// Only points of this role, or of none; left out: everybody's, also where searches need one.
    pub role: Option<String>,
}

/// A collection as it is, and whether its model still is the one that it was made with.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CollectionState {
    /// Properties, sizes and state.
    #[serde(flatten)]
    pub info: CollectionInfo,
    /// Why its texts and queries cannot be embedded, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outdated: Option<String>,
}

/// Creates `name`. Returns its state, and whether it is new: asking again with the same properties changes nothing.
pub async fn create(
    services: &Services,
    name: &str,
    input: CollectionInput,
) -> Result<(CollectionState, bool), ServiceError> {
    let model = match (&input.embedder, input.dim) {
        (Some(None), _) => None,
        (Some(Some(model)), _) => Some(
            services
                .embedders
                .resolve(model)
                .map_err(|error| ServiceError::from(error).param("embedder"))?,
        ),
        (None, None) => Some(services.embedders.resolve("")?),
        (None, Some(_)) => Some(services.embedders.resolve("")?),
    };
    let embedder = match &model {
        Some(model) => Some(embed::info(services, model).await?),
        None => None,
    };
    // The default model is meant only where it fits.
    let embedder = embedder
        .filter(|found| input.embedder.is_some() || input.dim.is_none_or(|dim| dim == found.dim));
    let dim = match (input.dim, embedder) {
        (Some(dim), Some(embedder)) if dim != embedder.dim => {
            return Err(ServiceError::bad_request(format!(
                "wrong dimension: {} gives {}, got dim {dim}; leave dim out, or set embedder to null",
                embedder.name, embedder.dim
            ))
            .param("dim"));
        }
        (Some(dim), _) => dim,
        (None, Some(embedder)) => embedder.dim,
        (None, None) => {
            return Err(ServiceError::bad_request(
                "dim is needed when embedder is null: the length of your vectors",
            )
            .param("dim"));
        }
    };
    let refiner = match &input.refiner {
        Some(model) => Some(refiner(services, model).await?),
        None => None,
    };
    let spec = CollectionSpec {
        name: name.to_owned(),
        dim,
        metric: input.metric.unwrap_or_default(),
        embedder: embedder.map(|embedder| embedder.name.clone()),
        fingerprint: embedder.map(|embedder| embedder.fingerprint.clone()),
        refiner,
        schema: input.schema(),
        backend: input.backend.unwrap_or(services.limits.backend),
        created_ms: now_ms(),
    };
    if !spec.backend.is_own() && spec.refiner.is_some() {
        return Err(ServiceError::bad_request(format!(
            "a collection that {} keeps has no second vectors: leave refiner out, or make it with backend hnsw",
            spec.backend
        ))
        .param("refiner"));
    }
    let (state, new) = made_or_found(services, name, &spec).await?;
    if new {
        return Ok((state, true));
    }
    let has = &state.info.spec;
    // Fields come and go: those that are asked for must be there, and others may be.
    let (fields, asked) = (&has.schema.fields, &spec.schema.fields);
    let indexed = asked
        .iter()
        .all(|(path, kind)| fields.get(path) == Some(kind));
    // The model may have come to other weights: the same collection, outdated.
    let same_model = spec.embedder.is_some() && spec.embedder == has.embedder;
    let (dim, fingerprint) = match same_model && input.dim.is_none_or(|dim| dim == has.dim) {
        true => (spec.dim, spec.fingerprint.clone()),
        false => (has.dim, has.fingerprint.clone()),
    };
    let same = CollectionSpec {
        created_ms: spec.created_ms,
        schema: Schema {
            fields: spec.schema.fields.clone(),
            ..has.schema.clone()
        },
        dim,
        fingerprint,
        ..has.clone()
    } == CollectionSpec {
        // Where that does not matter, wherever it has moved since.
        backend: input.backend.unwrap_or(has.backend),
        ..spec.clone()
    };
    if same && indexed {
        Ok((state, false))
    } else {
        Err(CollectionsError::Exists(name.to_owned()).into())
    }
}

/// How often a creation begins anew when removals of the same name keep coming between.
const CREATIONS: usize = 5;

/// The collection of that name as it is, made of `spec` where there is none; and whether it was made.
async fn made_or_found(
    services: &Services,
    name: &str,
    spec: &CollectionSpec,
) -> Result<(CollectionState, bool), ServiceError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let found = match services.collections.find(name).await {
            Ok(cell) => Ok((cell, false)),
            Err(CollectionsError::Unknown { .. }) => services
                .collections
                .create(spec.clone())
                .await
                .map(|cell| (cell, true)),
            // An engine that cannot be asked may have one of that name.
            Err(error) => Err(error),
        };
        let (cell, new) = match found {
            Ok(found) => found,
            // Somebody was faster; whether that is a conflict depends on what they made.
            Err(CollectionsError::Exists(_)) if tries < CREATIONS => continue,
            Err(error) => return Err(error.into()),
        };
        match state_of(services, name, &cell).await {
            // Removed between: the answer to a creation is a collection, not the removal of another.
            Err(_) if tries < CREATIONS && services.collections.held(name).is_err() => {}
            state => return Ok((state?, new)),
        }
    }
}

async fn refiner(services: &Services, model: &str) -> Result<Refiner, ServiceError> {
    let model = services
        .embedders
        .resolve(model)
        .map_err(|error| ServiceError::from(error).param("refiner"))?;
    let info = embed::info(services, &model).await?;
    Ok(Refiner {
        model: info.name.clone(),
        fingerprint: info.fingerprint.clone(),
        dim: info.dim,
    })
}

/// A request to `PUT /v1/collections/{name}/index`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldInput {
    /// The field's path in the payload.
    #[schema(min_length = 1, max_length = 512, example = "year")]
    pub field_name: String,
    /// `keyword`, `integer`, `float`, `bool` or `datetime`.
    #[schema(example = "integer")]
    pub field_schema: FieldKind,
}

/// Indexes a field, or as another kind than before; durable when it returns.
pub async fn index_field(
    services: &Services,
    name: &str,
    input: FieldInput,
) -> Result<CollectionState, ServiceError> {
    let cell = services.collections.find(name).await?;
    cell.index_field(input.field_name, input.field_schema, services.deadline())
        .await
        .map_err(|failed| fault(name, failed))?;
    state_of(services, name, &cell).await
}

/// Indexes a field no more.
pub async fn drop_index(
    services: &Services,
    name: &str,
    path: &str,
) -> Result<CollectionState, ServiceError> {
    let cell = services.collections.find(name).await?;
    let dropped = cell
        .drop_index(path.to_owned(), services.deadline())
        .await
        .map_err(|failed| fault(name, failed))?;
    if !dropped {
        let path: String = path.chars().take(64).collect();
        let message = format!("field {path} of collection {name} is not indexed");
        return Err(ServiceError::not_found(message));
    }
    state_of(services, name, &cell).await
}

/// Describes one collection.
pub async fn get(services: &Services, name: &str) -> Result<CollectionState, ServiceError> {
    let cell = services.collections.find(name).await?;
    state_of(services, name, &cell).await
}

/// Lists the collections' names.
pub fn names(services: &Services) -> Vec<String> {
    services.collections.names()
}

/// Describes all collections. One that does not answer is listed with its error.
pub async fn list(services: &Services) -> Vec<(String, Result<CollectionState, ServiceError>)> {
    // All at once: one that is slow must not keep the others waiting.
    let asked = names(services).into_iter().map(async |name| {
        let info = get(services, &name).await;
        (name, info)
    });
    futures_util::future::join_all(asked).await
}

/// Removes a collection and its data.
pub async fn remove(services: &Services, name: &str) -> Result<(), ServiceError> {
    Ok(services.collections.remove(name).await?)
}

/// Inserts or replaces points; durable when it returns, all or none.
pub async fn upsert(
    services: &Services,
    name: &str,
    input: UpsertInput,
    trace: Option<&Trace>,
) -> Result<usize, ServiceError> {
    write(services, name, input, None, trace).await
}

/// The same, of vectors that the model of a fingerprint made, where it is given.
pub(super) async fn write(
    services: &Services,
    name: &str,
    input: UpsertInput,
    mut made_by: Option<String>,
    trace: Option<&Trace>,
) -> Result<usize, ServiceError> {
    let cell = services.collections.find(name).await?;
    if input.points.is_empty() {
        return Err(
            ServiceError::bad_request("points is empty: send at least one point").param("points"),
        );
    }
    let mut texts = Vec::new();
    let mut places = Vec::new();
    let mut points = Vec::with_capacity(input.points.len());
    for (index, point) in input.points.into_iter().enumerate() {
        if point.vector.is_none() {
            let Some(text) = &point.text else {
                return Err(ServiceError::bad_request(format!(
                    "points[{index}] has neither text nor vector; give one of them"
                ))
                .param(format!("points[{index}]")));
            };
            places.push(index);
            texts.push(text.clone());
        }
        points.push(Point {
            id: point.id.into(),
            vector: point.vector.unwrap_or_default(),
            text: point.text,
            payload: point.payload,
        });
    }
    if !texts.is_empty() {
        let spec = spec_of(services, name, &cell).await?;
        let Some(model) = &spec.embedder else {
            return Err(ServiceError::bad_request(format!(
                "collection {name} has no embedder: points[{}] needs a vector of {}",
                places[0],
                counted(spec.dim, "number")
            ))
            .param(format!("points[{}].vector", places[0])));
        };
        let embedder = pinned(services, name, model, spec.fingerprint.as_deref()).await?;
        let vectors = embed::vectors(services, &embedder, &texts, input.truncate, trace).await?;
        made_by.clone_from(&spec.fingerprint);
        for (place, vector) in places.into_iter().zip(vectors) {
            points[place].vector = vector.vector.to_vec();
        }
    }
    cell.upsert(points, made_by, services.deadline())
        .await
        .map_err(|failed| fault(name, failed))
}

/// Where a point is read, below the root of an interface.
pub fn point_path(collection: &str, id: &str) -> String {
    format!(
        "/collections/{}/points/{}",
        encoded(collection),
        encoded(id)
    )
}

/// Percent-encodes what may not stand in a path or a query (RFC 3986, section 2.3).
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Reads one point.
pub async fn point(services: &Services, name: &str, id: &str) -> Result<Point, ServiceError> {
    let cell = services.collections.find(name).await?;
    let found = cell
        .get(id.to_owned(), services.deadline())
        .await
        .map_err(|failed| fault(name, failed))?;
    found.ok_or_else(|| {
        let id: String = id.chars().take(64).collect();
        ServiceError::not_found(format!("no point {id} in collection {name}"))
    })
}

/// Deletes points; returns how many there were.
pub async fn delete(
    services: &Services,
    name: &str,
    input: DeleteInput,
) -> Result<usize, ServiceError> {
    let cell = services.collections.find(name).await?;
    let deleted = match (input.ids, input.filter) {
        (Some(ids), None) => {
            let ids = ids.into_iter().map(String::from).collect();
            cell.delete_ids(ids, services.deadline()).await
        }
        (None, Some(filter)) => {
            cell.delete_where(parse_filter(&filter)?, services.deadline())
                .await
        }
        _ => {
            return Err(ServiceError::bad_request(
                "give either ids or filter; to delete everything, delete the collection",
            ));
        }
    };
    deleted.map_err(|failed| fault(name, failed))
}

/// Reads a page of points in order of id.
pub async fn scroll(
    services: &Services,
    name: &str,
    input: ScrollInput,
) -> Result<ScrollOutput, ServiceError> {
    let cell = services.collections.find(name).await?;
    let limit = input.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(
            ServiceError::bad_request(format!("limit must be 1 to 1000, got {limit}"))
                .param("limit"),
        );
    }
    let filter = input.filter.as_ref().map(parse_filter).transpose()?;
    let (points, next) = cell
        .scroll(input.after, limit, filter, input.role, services.deadline())
        .await
        .map_err(|failed| fault(name, failed))?;
    Ok(ScrollOutput { points, next })
}

/// Counts points.
pub async fn count(
    services: &Services,
    name: &str,
    input: CountInput,
) -> Result<usize, ServiceError> {
    let cell = services.collections.find(name).await?;
    let filter = input.filter.as_ref().map(parse_filter).transpose()?;
    cell.count(filter, input.role, services.deadline())
        .await
        .map_err(|failed| fault(name, failed))
}

/// Reads a filter, naming the field on error.
pub(super) fn parse_filter(filter: &Value) -> Result<Filter, ServiceError> {
    Filter::parse(filter).map_err(|error| ServiceError::from(error).param("filter"))
}

/// The embedder that a collection was made with; another version's vectors must not be mixed in.
pub(super) async fn pinned(
    services: &Services,
    name: &str,
    model: &str,
    fingerprint: Option<&str>,
) -> Result<Model, ServiceError> {
    let embedder = services.embedders.resolve(model)?;
    let served = &embed::info(services, &embedder).await?.fingerprint;
    match fingerprint {
        Some(pinned) if pinned != served => {
            let message = other_weights(name, model, pinned, served);
            Err(ServiceError::new(ErrorKind::Conflict, message).code("model_changed"))
        }
        _ => Ok(embedder),
    }
}

fn other_weights(name: &str, model: &str, pinned: &str, served: &str) -> String {
    format!(
        "collection {name} was made by another version of {model} (fingerprint {pinned}, it is {served} now): embed it anew by `boathouse collection reembed {name}` or POST /v1/collections/{name}/reembed; until then it serves what needs no embedding"
    )
}

/// Tells why a collection's texts cannot be embedded as they were. Asks no upstream: what is not known yet is no reason.
fn outdated(services: &Services, spec: &CollectionSpec) -> Option<String> {
    let (model, pinned) = (spec.embedder.as_ref()?, spec.fingerprint.as_ref()?);
    let name = &spec.name;
    match services.embedders.resolve(model) {
        Ok(served) => {
            let served = &served.info()?.fingerprint;
            (served != pinned).then(|| other_weights(name, model, pinned, served))
        }
        Err(error) => Some(format!(
            "{error}; to give the collection another model: `boathouse collection reembed {name} --embedder MODEL`"
        )),
    }
}

/// Says in the log which collections are outdated.
pub async fn tell_outdated(services: &Services) {
    for name in services.collections.names() {
        if let Ok(CollectionState {
            outdated: Some(why),
            ..
        }) = get(services, &name).await
        {
            tracing::warn!(collection = name, "{why}");
        }
    }
}

async fn state_of(
    services: &Services,
    name: &str,
    cell: &IndexCell,
) -> Result<CollectionState, ServiceError> {
    let info = info_of(services, name, cell).await?;
    Ok(CollectionState {
        outdated: outdated(services, &info.spec),
        info,
    })
}

/// The properties of a collection.
pub(super) async fn spec_of(
    services: &Services,
    name: &str,
    cell: &IndexCell,
) -> Result<Arc<CollectionSpec>, ServiceError> {
    cell.spec(services.deadline())
        .await
        .map_err(|failed| fault(name, failed))
}

pub(super) async fn info_of(
    services: &Services,
    name: &str,
    cell: &IndexCell,
) -> Result<CollectionInfo, ServiceError> {
    cell.info(services.deadline())
        .await
        .map_err(|failed| fault(name, failed))
}

/// Lets every collection snapshot, compact and build its graph where due.
pub async fn maintain(services: &Services) {
    let (here, elsewhere) = services.collections.names_here();
    let here = async {
        // One after the other: each takes memory and a core.
        for name in here {
            maintain_one(services, &name).await;
        }
    };
    let elsewhere = elsewhere.iter().map(|name| maintain_one(services, name));
    futures_util::future::join(here, futures_util::future::join_all(elsewhere)).await;
}

async fn maintain_one(services: &Services, name: &str) {
    let Ok(cell) = services.collections.held(name) else {
        return;
    };
    let asked = cell.ask(IndexRequest::Maintain, services.job_deadline());
    if let Err(failed) = asked.await {
        let error = fault(name, failed);
        tracing::warn!(collection = name, %error, "maintenance failed, will retry");
    }
}
