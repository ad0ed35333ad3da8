//! Engines beside this process that keep collections: what each is asked.

#[cfg(feature = "lance")]
mod lance;
#[cfg(test)]
pub(crate) mod memory;
#[cfg(feature = "qdrant")]
mod qdrant;

use std::sync::Arc;

use async_trait::async_trait;

use crate::engines::index::{BackendsConfig, Filter, Found, IndexError, LanceConfig, QdrantConfig};
use crate::types::collection::{Backend, CollectionSpec};
use crate::types::point::Point;

/// A collection as an engine tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// What it was created with, kept beside its points.
    pub spec: CollectionSpec,
    /// The move that fills it, which alone may remove it: not to be served until that is over.
    pub draft: Option<String>,
}

/// Which points are nearest, and how they are told.
#[derive(Debug, Clone, Copy)]
pub struct Nearest<'a> {
    /// Most hits.
    pub limit: usize,
    /// Only points that match.
    pub filter: Option<&'a Filter>,
    /// Compare every point.
    pub exact: bool,
    /// With their vectors.
    pub vectors: bool,
}

/// Sizes and state, in the engine's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = EngineState)]
pub struct StoreInfo {
    /// The engine's own word for how the collection is.
    pub state: String,
    /// Points that its index has; the others are scanned.
    pub indexed: usize,
}

/// An engine that keeps collections. Every replica that asks the same one serves the same collections.
///
/// Points come [admitted](crate::engines::index::admit), filters
/// [scoped](crate::engines::index::Filter::scoped). Scores are as
/// [`Metric`](crate::types::point::Metric) says. A write is there for every reader, and survives whatever the engine
/// survives, when its call returns. Errors: [`IndexError::Engine`] when it cannot be asked,
/// [`IndexError::Gone`] when the collection is not there, [`IndexError::Unsupported`] for what it cannot do.
#[async_trait]
pub trait Store: Send + Sync {
    /// Which one.
    fn backend(&self) -> Backend;

    /// The collections that are there, drafts too, and nobody else's.
    async fn list(&self) -> Result<Vec<Stored>, IndexError>;

    /// Creates a collection. Errors: [`IndexError::Exists`].
    async fn create(&self, stored: &Stored) -> Result<(), IndexError>;

    /// Keeps another description: other indexed fields, or no draft any more. What those fields hold is found when it
    /// returns.
    async fn describe(&self, stored: &Stored) -> Result<(), IndexError>;

    /// Removes a collection with its points, if it is there.
    async fn remove(&self, name: &str) -> Result<(), IndexError>;

    /// Inserts or replaces points, whose ids differ.
    async fn upsert(&self, spec: &CollectionSpec, points: Vec<Point>) -> Result<(), IndexError>;

    /// Deletes points by their ids, which differ; returns how many there were.
    async fn delete(&self, spec: &CollectionSpec, ids: &[String]) -> Result<usize, IndexError>;

    /// Deletes the points that match; returns how many there were.
    async fn delete_where(
        &self,
        spec: &CollectionSpec,
        filter: &Filter,
    ) -> Result<usize, IndexError>;

    /// Reads points, in any order; those that are not there are left out.
    async fn get(&self, spec: &CollectionSpec, ids: &[String]) -> Result<Vec<Point>, IndexError>;

    /// Reads up to `limit` points after the id `after` in an order that stays, and the id to go on after.
    async fn scroll(
        &self,
        spec: &CollectionSpec,
        after: Option<&str>,
        limit: usize,
        filter: Option<&Filter>,
    ) -> Result<(Vec<Point>, Option<String>), IndexError>;

    /// Counts the points, or those that match; exactly.
    async fn count(
        &self,
        spec: &CollectionSpec,
        filter: Option<&Filter>,
    ) -> Result<usize, IndexError>;

    /// The points nearest to a vector, best first.
    async fn dense(
        &self,
        spec: &CollectionSpec,
        query: &[f32],
        nearest: Nearest<'_>,
    ) -> Result<Vec<Found>, IndexError>;

    /// The points with the most telling [words](crate::engines::index::words_of) in common with a text, best first.
    async fn lexical(
        &self,
        spec: &CollectionSpec,
        text: &str,
        nearest: Nearest<'_>,
    ) -> Result<Vec<Found>, IndexError>;

    /// Sizes and state.
    async fn info(&self, spec: &CollectionSpec) -> Result<StoreInfo, IndexError>;

    /// Looks after the collection: builds its index, clears away what is deleted, when due.
    async fn maintain(&self, spec: &CollectionSpec) -> Result<(), IndexError>;
}

/// The engines that the settings name. `key_of` reads a variable of the environment.
///
/// Errors: one that this build does not have; settings that make none.
pub fn stores(
    config: &BackendsConfig,
    key_of: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Arc<dyn Store>>, String> {
    let mut stores = Vec::new();
    if !config.qdrant.url.is_empty() {
        stores.push(qdrant(&config.qdrant, &key_of)?);
    }
    if !config.lance.uri.is_empty() {
        stores.push(lance(&config.lance)?);
    }
    Ok(stores)
}

#[cfg(feature = "qdrant")]
fn qdrant(
    config: &QdrantConfig,
    key_of: &dyn Fn(&str) -> Option<String>,
) -> Result<Arc<dyn Store>, String> {
    let key = match config.api_key_env.as_str() {
        "" => None,
        name => Some(key_of(name).ok_or_else(|| {
            format!("qdrant.api_key_env: the variable {name} is not in the environment")
        })?),
    };
    Ok(Arc::new(qdrant::QdrantStore::new(config, key)?))
}

#[cfg(not(feature = "qdrant"))]
fn qdrant(
    _config: &QdrantConfig,
    _key_of: &dyn Fn(&str) -> Option<String>,
) -> Result<Arc<dyn Store>, String> {
    missing(Backend::Qdrant)
}

#[cfg(feature = "lance")]
fn lance(config: &LanceConfig) -> Result<Arc<dyn Store>, String> {
    let store = self::lance::LanceStore::new(&config.uri);
    let store = store.map_err(|error| format!("lance: {error}"))?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "lance"))]
fn lance(_config: &LanceConfig) -> Result<Arc<dyn Store>, String> {
    missing(Backend::Lance)
}

#[cfg(not(all(feature = "lance", feature = "qdrant")))]
fn missing<T>(backend: Backend) -> Result<T, String> {
    Err(format!(
        "{backend} is set up, and this build does not have it: build with `--features {backend}`"
    ))
}
