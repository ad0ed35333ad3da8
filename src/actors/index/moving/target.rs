//! Where a collection goes to.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::actors::index::cell::now_ms;
use crate::actors::index::collection::DurableCollection;
use crate::actors::index::store::{Nearest, Store};
use crate::engines::index::{
    Filter, IndexConfig, IndexError, Lookup, Scope, SearchRequest, SearchResult, Shaped,
};
use crate::types::collection::CollectionSpec;
use crate::types::point::Point;

/// The other side of a move, not served yet.
pub(in crate::actors::index) enum Target {
    /// A folder that no one has opened else.
    Here {
        dir: PathBuf,
        collection: Arc<DurableCollection>,
        new: bool,
    },
    /// A draft in an engine.
    Engine {
        store: Arc<dyn Store>,
        spec: Arc<CollectionSpec>,
        config: IndexConfig,
        new: bool,
    },
    /// Taken over.
    Gone,
}

fn gone() -> IndexError {
    IndexError::BadQuery("what was copied is taken over already".to_owned())
}

impl Target {
    pub(super) async fn upsert(&self, points: Vec<Point>) -> Result<(), IndexError> {
        match self {
            Self::Gone => Err(gone()),
            Self::Here { collection, .. } => {
                blocking(collection, move |it| it.upsert(points).map(drop)).await
            }
            Self::Engine { store, spec, .. } => store.upsert(spec, points).await,
        }
    }

    /// Those of `points` that are not there as they are: after a restart most are.
    pub(super) async fn other_than(&self, points: Vec<Point>) -> Result<Vec<Point>, IndexError> {
        let ids: Vec<String> = points.iter().map(|point| point.id.clone()).collect();
        let there = match self {
            Self::Gone => return Err(gone()),
            Self::Here { collection, .. } => {
                let scope = Scope::at(now_ms());
                blocking(collection, move |it| {
                    let found = ids.iter().map(|id| it.get(id, scope));
                    found.filter_map(Result::transpose).collect()
                })
                .await?
            }
            Self::Engine { store, spec, .. } => store.get(spec, &ids).await?,
        };
        let there: HashMap<&str, &Point> = there
            .iter()
            .map(|point| (point.id.as_str(), point))
            .collect();
        let new = |point: &Point| there.get(point.id.as_str()).is_none_or(|it| *it != point);
        Ok(points.into_iter().filter(new).collect())
    }

    pub(super) async fn delete(&self, ids: Vec<String>) -> Result<(), IndexError> {
        match self {
            Self::Gone => Err(gone()),
            Self::Here { collection, .. } => {
                blocking(collection, move |it| it.delete_ids(&ids).map(drop)).await
            }
            Self::Engine { store, spec, .. } => store.delete(spec, &ids).await.map(drop),
        }
    }

    pub(super) async fn scroll(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Point>, Option<String>), IndexError> {
        match self {
            Self::Gone => Err(gone()),
            Self::Here { collection, .. } => {
                let after = after.map(str::to_owned);
                blocking(collection, move |it| {
                    it.scroll(after.as_deref(), limit, None, Scope::at(now_ms()))
                })
                .await
            }
            Self::Engine { store, spec, .. } => store.scroll(spec, after, limit, None).await,
        }
    }

    pub(super) async fn count(&self, filter: Option<Filter>) -> Result<usize, IndexError> {
        match self {
            Self::Gone => Err(gone()),
            Self::Here { collection, .. } => {
                let scope = Scope::at(now_ms());
                blocking(collection, move |it| it.count(filter.as_ref(), scope)).await
            }
            Self::Engine { store, spec, .. } => store.count(spec, filter.as_ref()).await,
        }
    }

    /// Whether nothing of an earlier try can be there.
    pub(super) fn is_new(&self) -> bool {
        match self {
            Self::Gone => false,
            Self::Here { new, .. } | Self::Engine { new, .. } => *new,
        }
    }

    /// Makes it quick to open.
    pub(super) async fn prepare(&self) -> Result<(), IndexError> {
        match self {
            Self::Here { collection, .. } => {
                blocking(collection, |it| it.maintain(now_ms()).map(drop)).await
            }
            Self::Engine { .. } | Self::Gone => Ok(()),
        }
    }

    pub(super) async fn search(&self, request: SearchRequest) -> Result<SearchResult, IndexError> {
        match self {
            Self::Gone => Err(gone()),
            Self::Here { collection, .. } => {
                blocking(collection, move |it| it.search(&request, now_ms())).await
            }
            Self::Engine {
                store,
                spec,
                config,
                ..
            } => {
                let lookup = Lookup::new(spec, config, &request, Vec::new(), now_ms())?;
                let nearest = Nearest {
                    limit: request.k,
                    filter: lookup.filter.as_ref(),
                    exact: request.exact,
                    vectors: false,
                };
                let query = lookup.query.as_deref().unwrap_or_default();
                let found = store.dense(spec, query, nearest).await?;
                match lookup.shape(&request, Some(found), None, request.k) {
                    Shaped::Whole(result) => Ok(result),
                    Shaped::Deeper(_) => Err(IndexError::BadQuery("not grouped".to_owned())),
                }
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    collection: &Arc<DurableCollection>,
    work: impl FnOnce(&DurableCollection) -> Result<T, IndexError> + Send + 'static,
) -> Result<T, IndexError> {
    let collection = Arc::clone(collection);
    tokio::task::spawn_blocking(move || work(&collection))
        .await
        .map_err(|error| IndexError::BadConfig(error.to_string()))?
}
