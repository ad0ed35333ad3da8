//! A store for tests: our own contents, asked as any engine is.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;

use super::{Nearest, Store, StoreInfo, Stored};
use crate::engines::index::{
    Contents, Filter, Found, IndexConfig, IndexError, Mode, Op, Scope, SearchRequest, With,
};
use crate::types::collection::{Backend, CollectionSpec};
use crate::types::point::Point;

type Kept = BTreeMap<String, (Stored, Contents)>;

#[derive(Default)]
pub(crate) struct MemoryStore {
    collections: Mutex<Kept>,
    /// Calls from now on that fail.
    failing: Mutex<bool>,
    /// Whether the last point of each write is lost.
    losing: Mutex<bool>,
}

impl MemoryStore {
    pub(crate) fn fail(&self, failing: bool) {
        *self.failing.lock().unwrap() = failing;
    }

    pub(crate) fn lose(&self, losing: bool) {
        *self.losing.lock().unwrap() = losing;
    }

    fn all(&self) -> Result<MutexGuard<'_, Kept>, IndexError> {
        if *self.failing.lock().unwrap() {
            return Err(IndexError::Engine {
                backend: Backend::Qdrant,
                reason: "connection refused".to_owned(),
                retry_after_ms: Some(1_000),
            });
        }
        Ok(self.collections.lock().unwrap())
    }

    fn with<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Contents) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        match self.all()?.get_mut(name) {
            Some((_, contents)) => work(contents),
            None => Err(IndexError::Gone {
                name: name.to_owned(),
                backend: Backend::Qdrant,
            }),
        }
    }

    fn search(
        &self,
        spec: &CollectionSpec,
        request: SearchRequest,
        nearest: Nearest<'_>,
    ) -> Result<Vec<Found>, IndexError> {
        let request = SearchRequest {
            // The tests have fewer points.
            k: nearest.limit.min(1_000),
            filter: nearest.filter.cloned(),
            with: With {
                text: true,
                payload: true,
                vector: nearest.vectors,
            },
            ..request
        };
        // The filter says whose points; the contents must not ask again.
        let mut open = spec.clone();
        open.schema.role_required = false;
        let found = self.with(&spec.name, |contents| {
            let mut whole = Contents::new(open);
            whole.apply(Op::Upsert(contents.view().points().collect()).into())?;
            whole.search(&request, &IndexConfig::default(), 0)
        })?;
        let hits = found.hits.into_iter().map(|hit| Found {
            point: Point {
                id: hit.id,
                vector: hit.vector.unwrap_or_default(),
                text: hit.text,
                payload: hit.payload.unwrap_or_default(),
            },
            score: hit.score,
        });
        Ok(hits.collect())
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn backend(&self) -> Backend {
        Backend::Qdrant
    }

    async fn list(&self) -> Result<Vec<Stored>, IndexError> {
        Ok(self.all()?.values().map(|(at, _)| at.clone()).collect())
    }

    async fn create(&self, stored: &Stored) -> Result<(), IndexError> {
        let name = &stored.spec.name;
        let mut all = self.all()?;
        if all.contains_key(name) {
            return Err(IndexError::Exists(name.clone()));
        }
        let contents = Contents::new(stored.spec.clone());
        all.insert(name.clone(), (stored.clone(), contents));
        Ok(())
    }

    async fn describe(&self, stored: &Stored) -> Result<(), IndexError> {
        if let Some((at, contents)) = self.all()?.get_mut(&stored.spec.name) {
            *at = stored.clone();
            let declared = contents.undeclared(&stored.spec.schema).indexed();
            contents.declare(declared);
        }
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<(), IndexError> {
        self.all()?.remove(name);
        Ok(())
    }

    async fn upsert(
        &self,
        spec: &CollectionSpec,
        mut points: Vec<Point>,
    ) -> Result<(), IndexError> {
        if *self.losing.lock().unwrap() {
            points.pop();
        }
        self.with(&spec.name, |contents| {
            contents.apply(Op::Upsert(points).into()).map(drop)
        })
    }

    async fn delete(&self, spec: &CollectionSpec, ids: &[String]) -> Result<usize, IndexError> {
        self.with(&spec.name, |contents| {
            contents.apply(Op::Delete(ids.to_vec()).into())
        })
    }

    async fn delete_where(
        &self,
        spec: &CollectionSpec,
        filter: &Filter,
    ) -> Result<usize, IndexError> {
        self.with(&spec.name, |contents| {
            let ids = contents.ids_where(filter, Scope::at(0))?;
            contents.apply(Op::Delete(ids).into())
        })
    }

    async fn get(&self, spec: &CollectionSpec, ids: &[String]) -> Result<Vec<Point>, IndexError> {
        self.with(&spec.name, |contents| {
            let found = ids.iter().map(|id| contents.get(id, Scope::at(0)));
            found.filter_map(Result::transpose).collect()
        })
    }

    async fn scroll(
        &self,
        spec: &CollectionSpec,
        after: Option<&str>,
        limit: usize,
        filter: Option<&Filter>,
    ) -> Result<(Vec<Point>, Option<String>), IndexError> {
        self.with(&spec.name, |contents| {
            contents.scroll(after, limit, filter, Scope::at(0))
        })
    }

    async fn count(
        &self,
        spec: &CollectionSpec,
        filter: Option<&Filter>,
    ) -> Result<usize, IndexError> {
        self.with(&spec.name, |contents| contents.count(filter, Scope::at(0)))
    }

    async fn dense(
        &self,
        spec: &CollectionSpec,
        query: &[f32],
        nearest: Nearest<'_>,
    ) -> Result<Vec<Found>, IndexError> {
        let request = SearchRequest {
            query_vector: Some(query.to_vec()),
            ..SearchRequest::default()
        };
        self.search(spec, request, nearest)
    }

    async fn lexical(
        &self,
        spec: &CollectionSpec,
        text: &str,
        nearest: Nearest<'_>,
    ) -> Result<Vec<Found>, IndexError> {
        let request = SearchRequest {
            query_text: Some(text.to_owned()),
            mode: Mode::Lexical,
            ..SearchRequest::default()
        };
        self.search(spec, request, nearest)
    }

    async fn info(&self, spec: &CollectionSpec) -> Result<StoreInfo, IndexError> {
        self.with(&spec.name, |contents| {
            Ok(StoreInfo {
                state: "green".to_owned(),
                indexed: contents.live(),
            })
        })
    }

    async fn maintain(&self, _spec: &CollectionSpec) -> Result<(), IndexError> {
        Ok(())
    }
}
