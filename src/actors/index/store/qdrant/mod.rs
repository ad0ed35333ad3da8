//! Collections in a Qdrant, or a cluster of them: see `docs/BACKENDS.md`.

mod calls;
mod condition;
mod engine;
mod order;
mod point;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use qdrant_client::Qdrant;
use qdrant_client::qdrant::{CollectionStatus, FieldType};
use serde::{Deserialize, Serialize};

use self::calls::{CallError, Calls};
use self::engine::{Engine, Inscription, Page};
use super::{Nearest, Store, StoreInfo, Stored};
use crate::engines::index::{Filter, Found, IndexError, QdrantConfig, With, path_key, sparse};
use crate::types::collection::{Backend, CollectionSpec, FieldKind, Schema};
use crate::types::point::{Metric, Point};

/// The first version whose collections have metadata.
const OLDEST: (u32, u32) = (1, 16);
/// Of how a collection is laid out there.
const FORMAT: u32 = 1;
/// Longest a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How soon a call that failed makes sense again, where nothing says so.
const RETRY_AFTER_MS: u64 = 1_000;

/// A Qdrant as a store.
pub(super) struct QdrantStore {
    engine: Engine,
    prefix: String,
}

/// What is written on a collection.
#[derive(Debug, Serialize, Deserialize)]
struct Label {
    format: u32,
    draft: Option<String>,
    spec: CollectionSpec,
}

impl QdrantStore {
    /// Connects when it is first asked. Errors: a URL that is none.
    pub(super) fn new(config: &QdrantConfig, key: Option<String>) -> Result<Self, String> {
        let timeout = Duration::from_millis(config.timeout_ms);
        let client = Qdrant::from_url(&config.url)
            .timeout(timeout)
            .connect_timeout(CONNECT.min(timeout))
            .api_key(key)
            .skip_compatibility_check()
            .build();
        let client = client.map_err(|error| format!("qdrant.url: {error}"))?;
        Ok(Self {
            engine: Engine {
                calls: Calls::new(client, timeout),
                shards: Some(config.shards).filter(|shards| *shards > 0),
                copies: config.replication_factor,
            },
            prefix: config.prefix.clone(),
        })
    }

    /// A collection's name there.
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn check_version(&self) -> Result<(), IndexError> {
        let version = self.engine.version().await;
        let version = version.map_err(|error| fault("", error))?;
        let mut parts = version.split('.').map(str::parse::<u32>);
        let (major, minor) = (parts.next(), parts.next());
        match (major, minor) {
            (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < OLDEST => {
                let (major, minor) = OLDEST;
                Err(failed(format!(
                    "version {major}.{minor} or a later one is needed, it is {version}"
                )))
            }
            // What says of itself something else may be a later one.
            _ => Ok(()),
        }
    }

    async fn inscribe(&self, stored: &Stored) -> Result<(), IndexError> {
        let name = &stored.spec.name;
        let label = Label {
            format: FORMAT,
            draft: stored.draft.clone(),
            spec: stored.spec.clone(),
        };
        let label = serde_json::to_string(&label).map_err(|error| failed(error.to_string()))?;
        let inscribed = self.engine.inscribe(&self.name(name), &label).await;
        inscribed.map_err(|error| fault(name, error))
    }

    /// What a collection there is, if it is one of ours.
    async fn read(&self, name: &str) -> Result<Option<Stored>, IndexError> {
        let label = match self.engine.look(&self.name(name)).await {
            Ok((_, Inscription::Ours(label))) => label,
            // Removed since it was listed, or none of ours.
            Ok(_) | Err(CallError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(fault(name, error)),
        };
        match serde_json::from_str::<Label>(&label) {
            Ok(label) if label.format == FORMAT && label.spec.name == name => Ok(Some(Stored {
                spec: label.spec,
                draft: label.draft,
            })),
            read => {
                let format = read.map(|label| label.format);
                tracing::warn!(collection = name, ?format, "of another format, left alone");
                Ok(None)
            }
        }
    }

    async fn index(&self, name: &str, path: &str, kind: FieldKind) -> Result<(), IndexError> {
        let there = self.name(name);
        for field in fields_of(path, kind) {
            let made = self.engine.index(&there, &field, FieldType::Float);
            made.await.map_err(|error| fault(name, error))?;
        }
        Ok(())
    }

    /// Makes a collection that is there whole.
    async fn fit(&self, stored: &Stored) -> Result<(), IndexError> {
        let (spec, name) = (&stored.spec, &stored.spec.name);
        let there = self.name(name);
        let own = std::iter::once((point::KEYS.to_owned(), FieldType::Uuid));
        let order = (0..order::PARTS).map(|at| {
            let field = format!("{}.{at}", point::ORDER);
            (field, FieldType::Integer)
        });
        for (field, kind) in own.chain(order) {
            let made = self.engine.index(&there, &field, kind);
            made.await.map_err(|error| fault(name, error))?;
        }
        for (path, kind) in &spec.schema.fields {
            self.index(name, path, *kind).await?;
        }
        // Last, so that nobody finds it before it is whole.
        self.inscribe(stored).await
    }

    fn page(
        &self,
        spec: &CollectionSpec,
        filter: Option<&Filter>,
        limit: usize,
        vector: bool,
    ) -> Result<Page, IndexError> {
        let marked = filter.map(Filter::on_marks).transpose();
        let marked = marked.map_err(|reason| unsupported(&spec.name, reason))?;
        Ok(Page {
            filter: marked.as_ref().map(condition::filter),
            limit,
            with: With {
                text: true,
                payload: true,
                vector,
            },
        })
    }
}

#[async_trait]
impl Store for QdrantStore {
    fn backend(&self) -> Backend {
        Backend::Qdrant
    }

    async fn list(&self) -> Result<Vec<Stored>, IndexError> {
        self.check_version().await?;
        let names = self.engine.names().await;
        let names = names.map_err(|error| fault("", error))?;
        let ours = names
            .iter()
            .filter_map(|name| name.strip_prefix(self.prefix.as_str()));
        let read = try_join_all(ours.map(|name| self.read(name))).await?;
        Ok(read.into_iter().flatten().collect())
    }

    async fn create(&self, stored: &Stored) -> Result<(), IndexError> {
        self.check_version().await?;
        let spec = &stored.spec;
        let name = self.name(&spec.name);
        let create = || self.engine.create(&name, spec.dim, spec.metric);
        let mut made = create().await;
        if matches!(made, Err(CallError::Exists(_)))
            && let Ok((_, Inscription::Begun)) = self.engine.look(&name).await
        {
            // Whoever began it did not come to its end.
            let removed = self.engine.remove(&name).await;
            removed.map_err(|error| fault(&spec.name, error))?;
            made = create().await;
        }
        made.map_err(|error| fault(&spec.name, error))?;
        let fitted = self.fit(stored).await;
        if fitted.is_err()
            && let Err(error) = self.engine.remove(&name).await
        {
            tracing::warn!(collection = name, %error, "begun, and not removed again");
        }
        fitted
    }

    async fn describe(&self, stored: &Stored) -> Result<(), IndexError> {
        let name = &stored.spec.name;
        let before = self.read(name).await?.ok_or_else(|| gone(name))?;
        let changed = |from: &Schema, to: &Schema| {
            let fields = from.fields.clone().into_iter();
            let fields = fields.filter(|(path, kind)| to.fields.get(path) != Some(kind));
            fields.collect::<Vec<_>>()
        };
        for (path, kind) in changed(&before.spec.schema, &stored.spec.schema) {
            for field in fields_of(&path, kind) {
                let dropped = self.engine.drop_index(&self.name(name), &field).await;
                dropped.map_err(|error| fault(name, error))?;
            }
        }
        for (path, kind) in changed(&stored.spec.schema, &before.spec.schema) {
            self.index(name, &path, kind).await?;
        }
        self.inscribe(stored).await
    }

    async fn remove(&self, name: &str) -> Result<(), IndexError> {
        let removed = self.engine.remove(&self.name(name)).await;
        removed.map(drop).map_err(|error| fault(name, error))
    }

    async fn upsert(&self, spec: &CollectionSpec, points: Vec<Point>) -> Result<(), IndexError> {
        let points = points.into_iter().map(point::written).collect();
        let written = self.engine.upsert(&self.name(&spec.name), points).await;
        written.map_err(|error| fault(&spec.name, error))
    }

    async fn delete(&self, spec: &CollectionSpec, ids: &[String]) -> Result<usize, IndexError> {
        let deleted = self.engine.delete_ids(&self.name(&spec.name), ids).await;
        deleted.map_err(|error| fault(&spec.name, error))
    }

    async fn delete_where(
        &self,
        spec: &CollectionSpec,
        filter: &Filter,
    ) -> Result<usize, IndexError> {
        let name = self.name(&spec.name);
        let filter = self.page(spec, Some(filter), 0, false)?.filter;
        let count = self.engine.count(&name, filter.clone()).await;
        let count = count.map_err(|error| fault(&spec.name, error))?;
        if let Some(filter) = filter.filter(|_| count > 0) {
            let deleted = self.engine.delete_where(&name, filter).await;
            deleted.map_err(|error| fault(&spec.name, error))?;
        }
        Ok(count)
    }

    async fn get(&self, spec: &CollectionSpec, ids: &[String]) -> Result<Vec<Point>, IndexError> {
        let with = self.page(spec, None, 0, true)?.with;
        let found = self.engine.get(&self.name(&spec.name), ids, with).await;
        let found = found.map_err(|error| fault(&spec.name, error))?;
        Ok(found.into_iter().map(Point::from).collect())
    }

    async fn scroll(
        &self,
        spec: &CollectionSpec,
        after: Option<&str>,
        limit: usize,
        filter: Option<&Filter>,
    ) -> Result<(Vec<Point>, Option<String>), IndexError> {
        // One more tells whether there is another page.
        let page = self.page(spec, filter, limit + 1, true)?;
        let found = self.engine.page(&self.name(&spec.name), after, &page).await;
        let mut found = found.map_err(|error| fault(&spec.name, error))?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| last.id.clone());
        Ok((found.into_iter().map(Point::from).collect(), next))
    }

    async fn count(
        &self,
        spec: &CollectionSpec,
        filter: Option<&Filter>,
    ) -> Result<usize, IndexError> {
        let filter = self.page(spec, filter, 0, false)?.filter;
        let count = self.engine.count(&self.name(&spec.name), filter).await;
        count.map_err(|error| fault(&spec.name, error))
    }

    async fn dense(
        &self,
        spec: &CollectionSpec,
        query: &[f32],
        nearest: Nearest<'_>,
    ) -> Result<Vec<Found>, IndexError> {
        let page = self.page(spec, nearest.filter, nearest.limit, nearest.vectors)?;
        let name = self.name(&spec.name);
        let found = self.engine.dense(&name, query, nearest.exact, &page).await;
        let found = found.map_err(|error| fault(&spec.name, error))?;
        let scored = found.into_iter().map(|(read, told)| Found {
            point: read.into(),
            score: score(spec.metric, told),
        });
        Ok(sorted(scored.collect()))
    }

    async fn lexical(
        &self,
        spec: &CollectionSpec,
        text: &str,
        nearest: Nearest<'_>,
    ) -> Result<Vec<Found>, IndexError> {
        let page = self.page(spec, nearest.filter, nearest.limit, nearest.vectors)?;
        let terms = sparse::terms(text);
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        let name = self.name(&spec.name);
        let found = self.engine.lexical(&name, terms, &page).await;
        let found = found.map_err(|error| fault(&spec.name, error))?;
        let scored = found.into_iter().map(|(read, score)| Found {
            point: read.into(),
            score,
        });
        Ok(sorted(scored.collect()))
    }

    async fn info(&self, spec: &CollectionSpec) -> Result<StoreInfo, IndexError> {
        let looked = self.engine.look(&self.name(&spec.name)).await;
        let (info, _) = looked.map_err(|error| fault(&spec.name, error))?;
        let state = match info.status() {
            CollectionStatus::Green => "green",
            CollectionStatus::Yellow => "yellow",
            CollectionStatus::Grey => "grey",
            CollectionStatus::Red => "red",
            CollectionStatus::UnknownCollectionStatus => "unknown",
        };
        let indexed = info.indexed_vectors_count.unwrap_or_default();
        Ok(StoreInfo {
            state: state.to_owned(),
            indexed: usize::try_from(indexed).unwrap_or(usize::MAX),
        })
    }

    async fn maintain(&self, _spec: &CollectionSpec) -> Result<(), IndexError> {
        // It looks after itself.
        Ok(())
    }
}

/// What orders the values of a declared field. Whether they are equal is looked up anyway.
fn fields_of(path: &str, kind: FieldKind) -> Vec<String> {
    let path = path_key(path);
    let words = || format!("{}.{path}[].0", point::WORDS);
    match kind {
        FieldKind::Keyword => vec![words()],
        FieldKind::Integer | FieldKind::Float => vec![format!("{}.{path}", point::NUMBERS)],
        FieldKind::Datetime => vec![format!("{}.{path}", point::MOMENTS)],
        FieldKind::Bool => Vec::new(),
    }
}

/// The score that is told of what Qdrant calls one.
fn score(metric: Metric, told: f32) -> f32 {
    match metric {
        Metric::Cosine => told.clamp(-1.0, 1.0),
        // Adding zero turns -0 into 0: both must rank alike.
        Metric::Dot => told + 0.0,
        Metric::L2 => 1.0 / (1.0 + told.max(0.0)),
    }
}

/// Best first, equal scores in order of id.
fn sorted(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then_with(|| a.point.id.cmp(&b.point.id))
    });
    found
}

fn unsupported(name: &str, reason: String) -> IndexError {
    IndexError::Unsupported {
        name: name.to_owned(),
        backend: Backend::Qdrant,
        reason,
    }
}

fn gone(name: &str) -> IndexError {
    IndexError::Gone {
        name: name.to_owned(),
        backend: Backend::Qdrant,
    }
}

fn failed(reason: String) -> IndexError {
    IndexError::Engine {
        backend: Backend::Qdrant,
        reason,
        retry_after_ms: None,
    }
}

/// What a call without an answer is to who asks a collection.
fn fault(name: &str, error: CallError) -> IndexError {
    let retry_after_ms = match &error {
        CallError::NotFound(_) => return gone(name),
        CallError::Exists(_) => return IndexError::Exists(name.to_owned()),
        CallError::Refused(reason) => return unsupported(name, reason.clone()),
        CallError::Resting(ms) => Some(*ms),
        CallError::Unavailable(_) | CallError::Timeout(_) => Some(RETRY_AFTER_MS),
        CallError::Denied(_) | CallError::Failed(_) => None,
    };
    IndexError::Engine {
        backend: Backend::Qdrant,
        reason: error.to_string(),
        retry_after_ms,
    }
}
