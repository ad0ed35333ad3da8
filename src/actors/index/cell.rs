//! The cell of a collection that is kept here: what it is asked, and how it answers.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};

use supervisors::{ChildPolicy, ChildSpec, Cx, Protocol, StartError, Worker};

use super::index_cell::Kept;
use super::reembed::{self, ReembedReply, ReembedRequest};
use crate::actors::index::collection::{CollectionInfo, DurableCollection};
use crate::engines::index::{
    Filter, IndexConfig, IndexError, Refinement, Rows, Scope, SearchRequest, SearchResult,
};
use crate::storage::backup::Pinned;
use crate::storage::disk;
use crate::types::collection::{CollectionSpec, FieldKind};
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
    /// Nearest points of each, of one and the same content where it is kept here. Replies `AllFound`.
    SearchAll(Vec<SearchRequest>),
    /// Points by id; those that are not there are left out. Replies `Points`.
    Get(Vec<String>),
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
    /// Those that exist, in any order.
    Points(Vec<Point>),
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

    /// The collection's properties, where that waits for nobody.
    pub(super) fn spec_at_once(&self) -> Option<Arc<CollectionSpec>> {
        let open = match self.open.try_lock() {
            Ok(open) => open,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        match &*open {
            Open::Serving(collection) => collection.spec_at_once(),
            Open::Closed | Open::Retired => None,
        }
    }

    /// Closes the collection for good. When this returns nothing writes to its folder any more.
    pub(super) fn retire(&self) {
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
            IndexRequest::Get(ids) => {
                let scope = Scope::at(now_ms);
                let found = ids.iter().map(|id| collection.get(id, scope));
                let found = found.filter_map(Result::transpose);
                IndexReply::Points(found.collect::<Result<_, _>>()?)
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

/// Unix time in milliseconds: below the cells time is an argument.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
