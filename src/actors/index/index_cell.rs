//! Typed calls to the cell of a collection, wherever it is kept.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use supervisors::{CellRef, Deadline, Fault};

use super::cell::{IndexReply, IndexRequest, IndexWorker, Slot};
use super::collection::CollectionInfo;
use super::gate::{Gate, Pass};
use super::reembed::{ReembedReply, ReembedRequest};
use super::remote::{Description, RemoteWorker};
use super::store::Store;
use crate::engines::index::{Filter, IndexError, Refinement, Rows, SearchRequest, SearchResult};
use crate::storage::backup::Pinned;
use crate::types::collection::{Backend, CollectionSpec, FieldKind};
use crate::types::point::Point;

/// Points that are found and deleted at once while a collection moves.
const DELETED_AT_ONCE: usize = 1_000;

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

    /// Whether both lead to the same collection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
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
    ) -> Answer<Pass<'_>> {
        let pass = self.0.gate.pass(ids);
        let passed = tokio::time::timeout(deadline.remaining(), pass).await;
        passed.map_err(|_| Fault::Expired)
    }

    /// Deletes what matches, a page of ids at a time.
    async fn delete_listed(&self, filter: Filter, deadline: Deadline) -> Answer<IndexReply> {
        let mut deleted = 0;
        loop {
            // Nobody else writes between the look and the deletion.
            let closed = tokio::time::timeout(deadline.remaining(), self.0.gate.close()).await;
            let _closed = closed.map_err(|_| Fault::Expired)?;
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
            self.0.gate.note(ids.clone());
            let request = IndexRequest::DeleteIds(ids.clone());
            let answer = self.kept().ask(request, deadline).await;
            self.0.gate.note(ids);
            match answer? {
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
        match self.ask(IndexRequest::Get(vec![id]), deadline).await? {
            IndexReply::Points(points) => Ok(points.into_iter().next()),
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

    /// Reads the properties: mostly at once, without a place in the queue.
    pub async fn spec(&self, deadline: Deadline) -> Answer<Arc<CollectionSpec>> {
        let known = match &*self.kept() {
            Kept::Here { slot, .. } => slot.spec_at_once(),
            Kept::Elsewhere { description, .. } => Some(description.get()),
        };
        if let Some(spec) = known {
            return Ok(spec);
        }
        match self.ask(IndexRequest::Spec, deadline).await? {
            IndexReply::Spec(spec) => Ok(spec),
            _ => Err(mismatch()),
        }
    }

    /// Whether searches wait for so long, and are so many, that another one had better come later.
    pub fn is_crowded(&self, few: usize, max: Duration) -> bool {
        match &*self.kept() {
            Kept::Here { cell, .. } => cell.is_crowded(few, max),
            Kept::Elsewhere { cell, .. } => cell.is_crowded(few, max),
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

/// A reply of another request's kind cannot happen while `handle` pairs them as documented.
fn mismatch() -> Fault<IndexError> {
    Fault::ShuttingDown
}
