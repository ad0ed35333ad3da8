//! The cell of one collection, and typed calls to it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use supervisors::{
    CellRef, ChildPolicy, ChildSpec, Cx, Deadline, Fault, Protocol, StartError, Worker,
};
use tokio::sync::RwLockReadGuard;

use super::gate::Gate;
use super::reembed::{self, ReembedReply, ReembedRequest};
use super::remote::{Description, RemoteWorker};
use super::store::Store;
use crate::actors::index::collection::{CollectionInfo, DurableCollection};
use crate::engines::index::{
    Filter, IndexConfig, IndexError, Refinement, Rows, Scope, SearchRequest, SearchResult,
};
use crate::storage::backup::Pinned;
use crate::storage::disk;
use crate::types::collection::{Backend, CollectionSpec, FieldKind};
use crate::types::point::Point;

/// What a collection is asked.
pub enum IndexRequest {
    /// Insert or replace points, all or none. Replies `Written`.
    Upsert {
        /// With their vectors.
        points: Vec<Point>,
        /// Fingerprint of the model that made the vectors, where one did.
        made_by: Option<String>,
    },
    /// Delete by id. Replies `Written` with how many existed.
    DeleteIds(Vec<String>),
    /// Delete what matches. Replies `Written`.
    DeleteWhere(Filter),
    /// Nearest points. Replies `Found`.
    Search(Box<SearchRequest>),
    /// Nearest points of each, of one and the same content. Replies `AllFound`.
    SearchAll(Vec<SearchRequest>),
    /// One point. Replies `Point`.
    Get(String),
    /// A page of points in order of id, after `after`. Replies `Page`.
    Scroll {
        /// The last id of the page before.
        after: Option<String>,
        /// Most points to return.
        limit: usize,
        /// Only what matches.
        filter: Option<Filter>,
        /// Only points of this role, or of none.
        role: Option<String>,
    },
    /// Everything as it is now. Replies `View`.
    View,
    /// How many points match. Replies `Count`.
    Count {
        /// Only what matches.
        filter: Option<Filter>,
        /// Only points of this role, or of none.
        role: Option<String>,
    },
    /// Index a field. Replies `Changed`.
    IndexField(String, FieldKind),
    /// Index a field no more. Replies `Changed`.
    DropIndex(String),
    /// Properties. Replies `Spec`.
    Spec,
    /// Sizes and state. Replies `Info`.
    Info,
    /// Texts of up to so many points that wait for a second vector. Replies `Waiting`.
    Unrefined(usize),
    /// Second vectors of points. Replies `Written` with how many still had the text.
    Refine(Vec<Refinement>),
    /// Embed the collection anew, or go on with that. Replies `Reembed`.
    Reembed(ReembedRequest),
    /// Hold the files open for a backup. Replies `Pinned`.
    Pin,
    /// Remove what has expired; snapshot, compact or build the graph, when due. Replies `Done`.
    Maintain,
}

/// A collection's answers.
#[derive(Debug)]
pub enum IndexReply {
    /// How many points a write touched.
    Written(usize),
    /// Hits, best first.
    Found(Box<SearchResult>),
    /// What each search found.
    AllFound(Vec<Result<SearchResult, IndexError>>),
    /// Whether anything is other than before.
    Changed(bool),
    /// The point, if it exists.
    Point(Option<Box<Point>>),
    /// A page, and the id to go on after.
    Page(Vec<Point>, Option<String>),
    /// A view that later writes do not touch, and whose it is.
    View(Box<(Arc<CollectionSpec>, Rows)>),
    /// How many.
    Count(usize),
    /// Properties.
    Spec(Arc<CollectionSpec>),
    /// Sizes and state.
    Info(Box<CollectionInfo>),
    /// Ids and texts.
    Waiting(Vec<(String, String)>),
    /// How far an embedding anew is.
    Reembed(ReembedReply),
    /// The files of this moment.
    Pinned(Vec<Pinned>),
    /// Nothing to tell.
    Done,
}

/// Points that are found and deleted at once while a collection moves.
const DELETED_AT_ONCE: usize = 1_000;

/// The opened collection, shared by the threads of its cell.
///
/// A crash while applying a write poisons it; the next start reopens from disk, which is the truth.
pub(super) struct Slot {
    dir: PathBuf,
    config: IndexConfig,
    open: Mutex<Open>,
}

/// Where the slot is.
enum Open {
    /// Not opened yet, or given up after a failure.
    Closed,
    /// Serves.
    Serving(Arc<DurableCollection>),
    /// The collection was removed: never opened again, whatever stands in its folder now.
    Retired,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Result<Arc<DurableCollection>, IndexError> {
        let mut open = self.lock();
        match &*open {
            Open::Serving(collection) if !collection.is_poisoned() => {
                return Ok(Arc::clone(collection));
            }
            Open::Retired => return Err(IndexError::Poisoned(disk::short(&self.dir))),
            Open::Serving(_) | Open::Closed => {}
        }
        // The old one is dropped first: it holds the log's file.
        *open = Open::Closed;
        let fresh = Arc::new(DurableCollection::open(&self.dir, self.config.clone())?);
        *open = Open::Serving(Arc::clone(&fresh));
        Ok(fresh)
    }

    fn retire(&self) {
        let before = std::mem::replace(&mut *self.lock(), Open::Retired);
        if let Open::Serving(collection) = before {
            collection.retire();
        }
    }
}

/// One thread of a collection's cell.
pub struct IndexWorker {
    slot: Arc<Slot>,
}

impl Protocol for IndexWorker {
    type Req = IndexRequest;
    type Rep = IndexReply;
    type Err = IndexError;
}

impl Worker for IndexWorker {
    fn handle(&mut self, request: IndexRequest, _cx: &Cx) -> Result<IndexReply, IndexError> {
        let collection = self.slot.current()?;
        // The moment of the answer, not of the asking: what expires while it waits is gone.
        let now_ms = now_ms();
        Ok(match request {
            IndexRequest::Upsert { points, made_by } => {
                IndexReply::Written(collection.upsert_by(points, made_by.as_deref())?)
            }
            IndexRequest::DeleteIds(ids) => IndexReply::Written(collection.delete_ids(&ids)?),
            IndexRequest::DeleteWhere(filter) => {
                IndexReply::Written(collection.delete_where(&filter, Scope::at(now_ms))?)
            }
            IndexRequest::Search(request) => {
                IndexReply::Found(Box::new(collection.search(&request, now_ms)?))
            }
            IndexRequest::SearchAll(requests) => {
                IndexReply::AllFound(collection.search_all(&requests, now_ms)?)
            }
            IndexRequest::Get(id) => {
                let found = collection.get(&id, Scope::at(now_ms))?;
                IndexReply::Point(found.map(Box::new))
            }
            IndexRequest::Scroll {
                after,
                limit,
                filter,
                role,
            } => {
                let scope = Scope {
                    role: role.as_deref(),
                    now_ms,
                };
                let (points, next) =
                    collection.scroll(after.as_deref(), limit, filter.as_ref(), scope)?;
                IndexReply::Page(points, next)
            }
            IndexRequest::View => IndexReply::View(Box::new(collection.view()?)),
            IndexRequest::Count { filter, role } => {
                let scope = Scope {
                    role: role.as_deref(),
                    now_ms,
                };
                IndexReply::Count(collection.count(filter.as_ref(), scope)?)
            }
            IndexRequest::IndexField(path, kind) => {
                IndexReply::Changed(collection.index_field(&path, kind)?)
            }
            IndexRequest::DropIndex(path) => IndexReply::Changed(collection.drop_index(&path)?),
            IndexRequest::Spec => IndexReply::Spec(collection.spec()?),
            IndexRequest::Info => IndexReply::Info(Box::new(collection.info(now_ms)?)),
            IndexRequest::Unrefined(limit) => IndexReply::Waiting(collection.unrefined(limit)?),
            IndexRequest::Refine(refined) => IndexReply::Written(collection.refine(refined)?),
            IndexRequest::Reembed(request) => {
                IndexReply::Reembed(reembed::handle(&collection, request)?)
            }
            IndexRequest::Pin => IndexReply::Pinned(collection.pin()?),
            IndexRequest::Maintain => {
                collection.maintain(now_ms)?;
                IndexReply::Done
            }
        })
    }
}

/// Describes the cell of the collection in `dir`. It opens the collection when it starts, unless that is given open.
pub(super) fn child_spec(
    name: &str,
    policy: ChildPolicy,
    dir: PathBuf,
    config: IndexConfig,
    open: Option<DurableCollection>,
) -> (ChildSpec, Kept) {
    let slot = Arc::new(Slot {
        dir,
        config,
        open: Mutex::new(open.map_or(Open::Closed, |open| Open::Serving(Arc::new(open)))),
    });
    let held = Arc::clone(&slot);
    let (spec, cell) = ChildSpec::sync(name, policy, move |_| {
        slot.current()
            .map_err(|error| StartError::new(error.to_string()))?;
        Ok(IndexWorker {
            slot: Arc::clone(&slot),
        })
    });
    (spec, Kept::Here { cell, slot: held })
}

/// Typed calls to one collection's cell, which may be another one after a move.
#[derive(Clone)]
pub struct IndexCell(Arc<Shared>);

struct Shared {
    kept: RwLock<Arc<Kept>>,
    gate: Gate,
}

/// Where the collection is kept.
pub(super) enum Kept {
    Here {
        cell: CellRef<IndexWorker>,
        slot: Arc<Slot>,
    },
    Elsewhere {
        cell: CellRef<RemoteWorker>,
        store: Arc<dyn Store>,
        description: Description,
    },
}

impl Kept {
    /// Closes the collection for good, where it is kept here. When this returns nothing writes to its folder any more.
    ///
    /// May wait for a write or a snapshot's record; run it where blocking is allowed.
    pub(super) fn retire(&self) {
        if let Self::Here { slot, .. } = self {
            slot.retire();
        }
    }

    pub(super) fn backend(&self) -> Backend {
        match self {
            Self::Here { .. } => Backend::Hnsw,
            Self::Elsewhere { store, .. } => store.backend(),
        }
    }

    pub(super) async fn ask(
        &self,
        request: IndexRequest,
        deadline: Deadline,
    ) -> Answer<IndexReply> {
        match self {
            Self::Here { cell, .. } => cell.ask(request, deadline).await,
            Self::Elsewhere { cell, .. } => cell.ask(request, deadline).await,
        }
    }
}

/// The answer to a call.
type Answer<T> = Result<T, Fault<IndexError>>;

impl IndexCell {
    pub(super) fn new(kept: Kept) -> Self {
        Self(Arc::new(Shared {
            kept: RwLock::new(Arc::new(kept)),
            gate: Gate::default(),
        }))
    }

    pub(super) fn kept(&self) -> Arc<Kept> {
        Arc::clone(&self.0.kept.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From here on calls go there. Returns where they went before.
    pub(super) fn keep(&self, kept: Kept) -> Arc<Kept> {
        let mut now = self.0.kept.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *now, Arc::new(kept))
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// What keeps the collection.
    pub fn backend(&self) -> Backend {
        self.kept().backend()
    }

    /// Asks, within `deadline`. A write waits while the collection goes over to another engine.
    pub async fn ask(&self, request: IndexRequest, deadline: Deadline) -> Answer<IndexReply> {
        let pass = match &request {
            IndexRequest::Upsert { points, .. } => {
                self.pass(points.iter().map(|point| &point.id), deadline)
                    .await?
            }
            IndexRequest::DeleteIds(ids) => self.pass(ids, deadline).await?,
            IndexRequest::Refine(refined) => {
                self.pass(refined.iter().map(|one| &one.id), deadline)
                    .await?
            }
            IndexRequest::DeleteWhere(_)
            | IndexRequest::IndexField(..)
            | IndexRequest::DropIndex(_)
            | IndexRequest::Reembed(ReembedRequest::Begin(_)) => self.pass([], deadline).await?,
            _ => return self.kept().ask(request, deadline).await,
        };
        let answer = match request {
            request if !self.0.gate.is_moving() => self.kept().ask(request, deadline).await,
            IndexRequest::DeleteWhere(filter) => {
                // Which ids those are must be known where they are to go from, too.
                drop(pass);
                return self.delete_listed(filter, deadline).await;
            }
            IndexRequest::IndexField(..)
            | IndexRequest::DropIndex(_)
            | IndexRequest::Reembed(_) => Err(Fault::App(IndexError::Moving)),
            request => self.kept().ask(request, deadline).await,
        };
        drop(pass);
        answer
    }

    async fn pass<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a String>,
        deadline: Deadline,
    ) -> Answer<RwLockReadGuard<'_, ()>> {
        let pass = self.0.gate.pass(ids);
        let passed = tokio::time::timeout(deadline.remaining(), pass).await;
        passed.map_err(|_| Fault::Expired)
    }

    /// Deletes what matches, a page of ids at a time.
    async fn delete_listed(&self, filter: Filter, deadline: Deadline) -> Answer<IndexReply> {
        let mut deleted = 0;
        loop {
            let first = IndexRequest::Scroll {
                after: None,
                limit: DELETED_AT_ONCE,
                filter: Some(filter.clone()),
                role: None,
            };
            let IndexReply::Page(points, _) = self.kept().ask(first, deadline).await? else {
                return Err(mismatch());
            };
            if points.is_empty() {
                return Ok(IndexReply::Written(deleted));
            }
            let ids: Vec<String> = points.into_iter().map(|point| point.id).collect();
            let _pass = self.pass(&ids, deadline).await?;
            let request = IndexRequest::DeleteIds(ids);
            match self.kept().ask(request, deadline).await? {
                IndexReply::Written(count) => deleted += count,
                _ => return Err(mismatch()),
            }
        }
    }

    /// Inserts or replaces points, whose vectors were made by the model of a fingerprint, or given; durable when it
    /// returns.
    pub async fn upsert(
        &self,
        points: Vec<Point>,
        made_by: Option<String>,
        deadline: Deadline,
    ) -> Answer<usize> {
        self.written(IndexRequest::Upsert { points, made_by }, deadline)
            .await
    }

    /// Deletes by id; durable when it returns. The result counts those that existed.
    pub async fn delete_ids(&self, ids: Vec<String>, deadline: Deadline) -> Answer<usize> {
        self.written(IndexRequest::DeleteIds(ids), deadline).await
    }

    /// Deletes what matches; durable when it returns.
    pub async fn delete_where(&self, filter: Filter, deadline: Deadline) -> Answer<usize> {
        self.written(IndexRequest::DeleteWhere(filter), deadline)
            .await
    }

    /// Searches.
    pub async fn search(&self, request: SearchRequest, deadline: Deadline) -> Answer<SearchResult> {
        match self
            .ask(IndexRequest::Search(Box::new(request)), deadline)
            .await?
        {
            IndexReply::Found(found) => Ok(*found),
            _ => Err(mismatch()),
        }
    }

    /// Searches for each; all see the same points.
    pub async fn search_all(
        &self,
        requests: Vec<SearchRequest>,
        deadline: Deadline,
    ) -> Answer<Vec<Result<SearchResult, IndexError>>> {
        match self
            .ask(IndexRequest::SearchAll(requests), deadline)
            .await?
        {
            IndexReply::AllFound(found) => Ok(found),
            _ => Err(mismatch()),
        }
    }

    /// Indexes a field; `false`: it was so already.
    pub async fn index_field(
        &self,
        path: String,
        kind: FieldKind,
        deadline: Deadline,
    ) -> Answer<bool> {
        self.changed(IndexRequest::IndexField(path, kind), deadline)
            .await
    }

    /// Indexes a field no more; `false`: it was not.
    pub async fn drop_index(&self, path: String, deadline: Deadline) -> Answer<bool> {
        self.changed(IndexRequest::DropIndex(path), deadline).await
    }

    async fn changed(&self, request: IndexRequest, deadline: Deadline) -> Answer<bool> {
        match self.ask(request, deadline).await? {
            IndexReply::Changed(changed) => Ok(changed),
            _ => Err(mismatch()),
        }
    }

    /// Reads one point.
    pub async fn get(&self, id: String, deadline: Deadline) -> Answer<Option<Point>> {
        match self.ask(IndexRequest::Get(id), deadline).await? {
            IndexReply::Point(point) => Ok(point.map(|point| *point)),
            _ => Err(mismatch()),
        }
    }

    /// Reads a page in order of id.
    pub async fn scroll(
        &self,
        after: Option<String>,
        limit: usize,
        filter: Option<Filter>,
        role: Option<String>,
        deadline: Deadline,
    ) -> Answer<(Vec<Point>, Option<String>)> {
        match self
            .ask(
                IndexRequest::Scroll {
                    after,
                    limit,
                    filter,
                    role,
                },
                deadline,
            )
            .await?
        {
            IndexReply::Page(points, next) => Ok((points, next)),
            _ => Err(mismatch()),
        }
    }

    /// Takes a view of everything.
    pub async fn view(&self, deadline: Deadline) -> Answer<(Arc<CollectionSpec>, Rows)> {
        match self.ask(IndexRequest::View, deadline).await? {
            IndexReply::View(view) => Ok(*view),
            _ => Err(mismatch()),
        }
    }

    /// Counts what matches.
    pub async fn count(
        &self,
        filter: Option<Filter>,
        role: Option<String>,
        deadline: Deadline,
    ) -> Answer<usize> {
        match self
            .ask(IndexRequest::Count { filter, role }, deadline)
            .await?
        {
            IndexReply::Count(count) => Ok(count),
            _ => Err(mismatch()),
        }
    }

    /// Reads ids and texts of points that wait for a second vector.
    pub async fn unrefined(
        &self,
        limit: usize,
        deadline: Deadline,
    ) -> Answer<Vec<(String, String)>> {
        match self.ask(IndexRequest::Unrefined(limit), deadline).await? {
            IndexReply::Waiting(texts) => Ok(texts),
            _ => Err(mismatch()),
        }
    }

    /// Gives points their second vectors; durable when it returns.
    pub async fn refine(&self, refined: Vec<Refinement>, deadline: Deadline) -> Answer<usize> {
        self.written(IndexRequest::Refine(refined), deadline).await
    }

    /// Embeds the collection anew, or goes on with that.
    pub async fn reembed(
        &self,
        request: ReembedRequest,
        deadline: Deadline,
    ) -> Answer<ReembedReply> {
        match self.ask(IndexRequest::Reembed(request), deadline).await? {
            IndexReply::Reembed(reply) => Ok(reply),
            _ => Err(mismatch()),
        }
    }

    /// Pins the files for a backup.
    pub async fn pin(&self, deadline: Deadline) -> Answer<Vec<Pinned>> {
        match self.ask(IndexRequest::Pin, deadline).await? {
            IndexReply::Pinned(files) => Ok(files),
            _ => Err(mismatch()),
        }
    }

    /// Reads the properties.
    pub async fn spec(&self, deadline: Deadline) -> Answer<Arc<CollectionSpec>> {
        match self.ask(IndexRequest::Spec, deadline).await? {
            IndexReply::Spec(spec) => Ok(spec),
            _ => Err(mismatch()),
        }
    }

    /// Reads sizes and state.
    pub async fn info(&self, deadline: Deadline) -> Answer<CollectionInfo> {
        match self.ask(IndexRequest::Info, deadline).await? {
            IndexReply::Info(info) => Ok(*info),
            _ => Err(mismatch()),
        }
    }

    async fn written(&self, request: IndexRequest, deadline: Deadline) -> Answer<usize> {
        match self.ask(request, deadline).await? {
            IndexReply::Written(count) => Ok(count),
            _ => Err(mismatch()),
        }
    }
}

/// Unix time in milliseconds: below the cells time is an argument.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A reply of another request's kind cannot happen while `handle` pairs them as documented.
fn mismatch() -> Fault<IndexError> {
    Fault::ShuttingDown
}
