//! The cell of a collection that an engine beside this process keeps.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use supervisors::{AsyncWorker, CellRef, ChildPolicy, ChildSpec, Cx, Protocol};

use super::cell::{IndexReply, IndexRequest, now_ms};
use super::collection::CollectionInfo;
use super::reembed::{ReembedReply, ReembedRequest};
use super::store::{Nearest, Store};
use crate::actors::upstream;
use crate::engines::index::{
    Contents, Filter, IndexConfig, IndexError, Lookup, Op, Scope, SearchRequest, SearchResult,
    Shaped, admit, check_schema,
};
use crate::types::collection::{Backend, CollectionSpec, Schema};

/// Most points of a view, which is held in memory.
const MAX_VIEW: usize = 1_000_000;
/// Points of a page that is read for a view.
const PAGE: usize = 1_000;

/// A collection's description as it is known here; changed when another replica changed it.
#[derive(Debug, Clone)]
pub(super) struct Description(Arc<RwLock<Arc<CollectionSpec>>>);

impl Description {
    pub(super) fn new(spec: CollectionSpec) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(spec))))
    }

    pub(super) fn get(&self) -> Arc<CollectionSpec> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, spec: CollectionSpec) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(spec);
    }
}

/// Turns what a collection is asked into what its engine is asked.
pub struct RemoteWorker {
    store: Arc<dyn Store>,
    description: Description,
    config: IndexConfig,
    beat: Duration,
}

/// The cell's id: another than that of the collection's cell here, so that one can take over from the other.
pub(super) fn id(name: &str, backend: Backend) -> String {
    format!("{name}@{backend}")
}

/// Describes the cell of a collection that `store` keeps.
pub(super) fn child_spec(
    policy: ChildPolicy,
    store: Arc<dyn Store>,
    description: Description,
    config: IndexConfig,
) -> (ChildSpec, CellRef<RemoteWorker>) {
    // The rest serves without it.
    let policy = ChildPolicy {
        critical: false,
        ..policy
    };
    let beat = upstream::beat(policy.deadline_ms);
    let spec = description.get();
    ChildSpec::asynchronous(id(&spec.name, spec.backend), policy, move |_| {
        Ok(RemoteWorker {
            store: Arc::clone(&store),
            description: description.clone(),
            config: config.clone(),
            beat,
        })
    })
}

impl Protocol for RemoteWorker {
    type Req = IndexRequest;
    type Rep = IndexReply;
    type Err = IndexError;
}

impl AsyncWorker for RemoteWorker {
    async fn handle(
        self: Rc<Self>,
        request: IndexRequest,
        cx: Cx,
    ) -> Result<IndexReply, IndexError> {
        // Its own timeouts bound what the engine takes.
        upstream::alive(&cx, self.beat, async |_| self.answer(request).await).await
    }
}

impl RemoteWorker {
    async fn answer(&self, request: IndexRequest) -> Result<IndexReply, IndexError> {
        let spec = self.description.get();
        let now_ms = now_ms();
        let unsupported = |reason: &str| IndexError::Unsupported {
            name: spec.name.clone(),
            backend: spec.backend,
            reason: reason.to_owned(),
        };
        Ok(match request {
            IndexRequest::Upsert { points, made_by } => {
                Contents::new(Arc::clone(&spec)).check_model(made_by.as_deref())?;
                let points = admit(points, &spec, &self.config)?;
                let count = points.len();
                if count > 0 {
                    self.store.upsert(&spec, points).await?;
                }
                IndexReply::Written(count)
            }
            IndexRequest::DeleteIds(ids) => {
                let ids: Vec<String> = ids
                    .into_iter()
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect();
                IndexReply::Written(match ids.is_empty() {
                    true => 0,
                    false => self.store.delete(&spec, &ids).await?,
                })
            }
            IndexRequest::DeleteWhere(filter) => {
                let filter = scoped(&spec, Some(&filter), None, now_ms)?;
                IndexReply::Written(match &filter {
                    Some(filter) => self.store.delete_where(&spec, filter).await?,
                    None => 0,
                })
            }
            IndexRequest::Search(request) => {
                IndexReply::Found(Box::new(self.search(&spec, &request, now_ms).await?))
            }
            IndexRequest::SearchAll(requests) => {
                let searches = requests.iter().map(|one| self.search(&spec, one, now_ms));
                IndexReply::AllFound(futures_util::future::join_all(searches).await)
            }
            IndexRequest::Get(ids) => {
                let mut found = self.store.get(&spec, &ids).await?;
                if let Some(seen) = scoped(&spec, None, None, now_ms)? {
                    found.retain(|point| seen.matches(&point.payload));
                }
                IndexReply::Points(found)
            }
            IndexRequest::Scroll {
                after,
                limit,
                filter,
                role,
            } => {
                if !(1..=PAGE).contains(&limit) {
                    return Err(IndexError::BadQuery(format!(
                        "limit must be 1 to {PAGE}, got {limit}"
                    )));
                }
                let filter = scoped(&spec, filter.as_ref(), role.as_deref(), now_ms)?;
                let page = self
                    .store
                    .scroll(&spec, after.as_deref(), limit, filter.as_ref());
                let (points, next) = page.await?;
                IndexReply::Page(points, next)
            }
            IndexRequest::Count { filter, role } => {
                let filter = scoped(&spec, filter.as_ref(), role.as_deref(), now_ms)?;
                IndexReply::Count(self.store.count(&spec, filter.as_ref()).await?)
            }
            IndexRequest::View => IndexReply::View(Box::new(self.view(spec).await?)),
            IndexRequest::Spec => IndexReply::Spec(spec),
            IndexRequest::Info => IndexReply::Info(Box::new(self.info(&spec, now_ms).await?)),
            IndexRequest::IndexField(path, kind) => {
                let fields = |schema: &mut Schema| {
                    schema.fields.insert(path, kind);
                };
                IndexReply::Changed(self.declare(&spec, fields).await?)
            }
            IndexRequest::DropIndex(path) => {
                let fields = |schema: &mut Schema| {
                    schema.fields.remove(&path);
                };
                IndexReply::Changed(self.declare(&spec, fields).await?)
            }
            IndexRequest::Unrefined(_) => IndexReply::Waiting(Vec::new()),
            IndexRequest::Refine(_) => return Err(unsupported("there are no second vectors")),
            IndexRequest::Reembed(ReembedRequest::Batch(_)) => {
                IndexReply::Reembed(ReembedReply::Batch(None))
            }
            IndexRequest::Reembed(ReembedRequest::Cancel) => {
                IndexReply::Reembed(ReembedReply::Info(None))
            }
            IndexRequest::Reembed(_) => {
                return Err(unsupported(
                    "embedding anew; move it here, embed it anew, and move it back",
                ));
            }
            // The engine's own backups have it.
            IndexRequest::Pin => IndexReply::Pinned(Vec::new()),
            IndexRequest::Maintain => {
                self.delete_expired(&spec, now_ms).await?;
                self.store.maintain(&spec).await?;
                IndexReply::Done
            }
        })
    }

    async fn search(
        &self,
        spec: &Arc<CollectionSpec>,
        request: &SearchRequest,
        now_ms: u64,
    ) -> Result<SearchResult, IndexError> {
        let examples = match &request.like {
            Some(like) => {
                let ids: BTreeSet<&String> = like.positive.iter().chain(&like.negative).collect();
                let ids: Vec<String> = ids.into_iter().cloned().collect();
                self.store.get(spec, &ids).await?
            }
            None => Vec::new(),
        };
        let lookup = Lookup::new(spec, &self.config, request, examples, now_ms)?;
        let mut wanted = lookup.wanted(request);
        loop {
            let nearest = Nearest {
                limit: lookup.depth(request, wanted),
                filter: lookup.filter.as_ref(),
                exact: request.exact,
                vectors: Lookup::needs_vectors(request),
            };
            let dense = async {
                match &lookup.query {
                    Some(query) => self.store.dense(spec, query, nearest).await.map(Some),
                    None => Ok(None),
                }
            };
            let lexical = async {
                match &lookup.text {
                    Some(text) => self.store.lexical(spec, text, nearest).await.map(Some),
                    None => Ok(None),
                }
            };
            let (dense, lexical) = futures_util::future::try_join(dense, lexical).await?;
            match lookup.shape(request, dense, lexical, wanted) {
                Shaped::Whole(result) => return Ok(result),
                Shaped::Deeper(deeper) => wanted = deeper,
            }
        }
    }

    /// Everything, page by page: not as it is at one moment while others write.
    async fn view(
        &self,
        spec: Arc<CollectionSpec>,
    ) -> Result<(Arc<CollectionSpec>, crate::engines::index::Rows), IndexError> {
        let mut contents = Contents::new(Arc::clone(&spec));
        let mut after = None;
        loop {
            let (points, next) = self
                .store
                .scroll(&spec, after.as_deref(), PAGE, None)
                .await?;
            contents.apply(Op::Upsert(points).into())?;
            if contents.live() > MAX_VIEW {
                return Err(IndexError::TooLarge {
                    what: format!("points of collection {}, read whole", spec.name),
                    got: contents.live(),
                    limit: MAX_VIEW,
                });
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok((spec, contents.view())),
            }
        }
    }

    async fn info(&self, spec: &CollectionSpec, now_ms: u64) -> Result<CollectionInfo, IndexError> {
        let seen = scoped(spec, None, None, now_ms)?;
        let points = self.store.count(spec, seen.as_ref()).await?;
        let all = match seen {
            Some(_) => self.store.count(spec, None).await?,
            None => points,
        };
        let engine = self.store.info(spec).await?;
        Ok(CollectionInfo::elsewhere(
            spec.clone(),
            points,
            all.saturating_sub(points),
            engine,
        ))
    }

    async fn declare(
        &self,
        spec: &CollectionSpec,
        change: impl FnOnce(&mut Schema),
    ) -> Result<bool, IndexError> {
        // As it is there by now: another replica may have declared something, too.
        let listed = self.store.list().await?;
        let there = listed.into_iter().find(|it| it.spec.name == spec.name);
        let Some(mut stored) = there else {
            return Err(IndexError::Gone {
                name: spec.name.clone(),
                backend: spec.backend,
            });
        };
        stored.spec.backend = spec.backend;
        let before = stored.spec.schema.clone();
        change(&mut stored.spec.schema);
        let changed = stored.spec.schema != before;
        if changed {
            check_schema(&stored.spec.schema)?;
            self.store.describe(&stored).await?;
        }
        self.description.set(stored.spec);
        Ok(changed)
    }

    async fn delete_expired(&self, spec: &CollectionSpec, now_ms: u64) -> Result<(), IndexError> {
        let Some(path) = &spec.schema.ttl_field else {
            return Ok(());
        };
        let gone = Filter::until(path, now_ms);
        self.store.delete_where(spec, &gone).await.map(drop)
    }
}

/// The condition of what `role` may see now. Errors: a role where the collection has no role field.
fn scoped(
    spec: &CollectionSpec,
    filter: Option<&Filter>,
    role: Option<&str>,
    now_ms: u64,
) -> Result<Option<Filter>, IndexError> {
    let scope = Scope { role, now_ms };
    scope.check(spec)?;
    Ok(Filter::scoped(filter, &spec.schema, scope))
}
