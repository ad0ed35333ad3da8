//! A collection that goes over to another backend while it serves.
//!
//! Its points are copied page by page while writes go on and are noted. Then the noted points are brought over until few
//! are left, for which writes wait now and then where they come faster than that. Then they are held back, the last points are
//! brought over, all are counted and both sides compared, and from one moment on the other backend serves. What makes it so is
//! one renaming of the collection's folder; a crash before it leaves the collection as it was, a crash after it is gone on from
//! at the next start.

mod note;
mod target;

use std::collections::{BTreeMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::Serialize;
use serde_json::Value;
use supervisors::{Deadline, Fault};

pub(super) use self::note::{MoveNote, coming_dir, moved_dir};
pub(super) use self::target::Target;
use super::cell::{IndexReply, IndexRequest, now_ms};
use super::index_cell::{IndexCell, Kept};
use crate::engines::index::{Filter, IndexError, Scope, SearchRequest, SearchResult, reached};
use crate::types::collection::{Backend, CollectionSpec};
use crate::types::error_kind::ErrorKind;
use crate::types::point::Point;

/// Points of one step.
const PAGE: usize = 500;
/// Most noted points that are left when writes are held back.
const FEW: usize = 200;
/// Points whose neighbours are compared.
const SAMPLES: usize = 16;
/// Neighbours of each.
const NEIGHBOURS: usize = 10;
/// Least share of neighbours that must be the same on both sides.
const SAME: f64 = 0.9;
/// Longest that writes are held back for the last points; beside that for opening what comes here.
const HELD_BACK: Duration = Duration::from_secs(10);
/// How often that is tried.
const TRIES: usize = 5;
/// After how many steps that leave more than [`FEW`] noted points writes have to wait for those that follow them.
const PATIENCE: usize = 8;
/// Longest that they wait in one step.
const SLOWED: Duration = Duration::from_secs(2);

/// Where a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MoveState {
    /// Points are being copied.
    Running,
    /// The other backend serves.
    Done,
    /// Nothing was changed.
    Failed,
    /// Nothing was changed.
    Cancelled,
}

/// How the last move of a collection is going, or how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct MoveInfo {
    /// Where it is.
    pub state: MoveState,
    /// The backend that kept it.
    pub from: Backend,
    /// The backend that is to keep it.
    pub to: Backend,
    /// Points that were copied.
    pub done: usize,
    /// All points, as counted at the beginning.
    pub of: usize,
    /// Share of the nearest points of samples that were the same on both sides, when compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_neighbours: Option<f64>,
    /// Why it failed; while it runs: what it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A move under way.
pub(super) struct Moving {
    pub(super) note: MoveNote,
    /// Whose points go over: another of its name is another collection.
    pub(super) cell: IndexCell,
    pub(super) target: Target,
    /// Whether the other side serves: from then on nothing of it is removed.
    pub(super) went_over: bool,
    spec: Arc<CollectionSpec>,
    page: usize,
    phase: Phase,
    /// How often writes were held back and let go again.
    tries: usize,
    /// Steps in a row that left more than few noted points.
    behind: usize,
    samples: Vec<Point>,
    seen: usize,
}

enum Phase {
    /// Up to this id they are copied.
    Copying(Option<String>),
    /// What an earlier try had brought over and is not there any more is removed, up to this id.
    Clearing(Option<String>),
    /// What was written since is brought over.
    Following,
    /// The other side is quick to open, and what was written while it was made so is brought over.
    Prepared,
}

/// What a step found.
pub(super) enum Stepped {
    /// There is more to do.
    On,
    /// Few points are left: writes can be held back.
    Ready,
}

impl Moving {
    pub(super) fn new(
        note: MoveNote,
        cell: IndexCell,
        spec: Arc<CollectionSpec>,
        target: Target,
        most: usize,
    ) -> Self {
        Self {
            note,
            cell,
            target,
            went_over: false,
            spec,
            page: PAGE.min(most),
            phase: Phase::Copying(None),
            tries: 0,
            behind: 0,
            samples: Vec::new(),
            seen: 0,
        }
    }

    /// Copies one page, or brings over a page of what was written.
    pub(super) async fn step(
        &mut self,
        deadline: Deadline,
        infos: &Infos,
    ) -> Result<Stepped, MoveError> {
        match &self.phase {
            Phase::Copying(after) => {
                let request = IndexRequest::Scroll {
                    after: after.clone(),
                    limit: self.page,
                    filter: None,
                    role: None,
                };
                let IndexReply::Page(points, next) = self.ask(request, deadline).await? else {
                    return Err(mismatch());
                };
                let count = points.len();
                self.sample(&points);
                let new = self.target.other_than(points).await?;
                if !new.is_empty() {
                    self.target.upsert(new).await?;
                }
                infos.change(&self.note.name, |info| info.done += count);
                self.phase = match next {
                    Some(next) => Phase::Copying(Some(next)),
                    None if self.target.is_new() => Phase::Following,
                    None => Phase::Clearing(None),
                };
                Ok(Stepped::On)
            }
            Phase::Clearing(after) => {
                let (points, next) = self.target.scroll(after.as_deref(), self.page).await?;
                let ids = points.into_iter().map(|point| point.id).collect();
                let (_, gone) = self.looked_up(ids, deadline).await?;
                if !gone.is_empty() {
                    self.target.delete(gone).await?;
                }
                self.phase = match next {
                    Some(next) => Phase::Clearing(Some(next)),
                    None => Phase::Following,
                };
                Ok(Stepped::On)
            }
            Phase::Following => {
                if self.catch_up(deadline).await? {
                    // While writes go on: it takes long, and nobody is to wait for it.
                    self.target.prepare().await?;
                    self.phase = Phase::Prepared;
                }
                Ok(Stepped::On)
            }
            Phase::Prepared => match self.catch_up(deadline).await? {
                true => Ok(Stepped::Ready),
                false => Ok(Stepped::On),
            },
        }
    }

    /// Brings over a page of what was written since, or more of it while writes wait, when they have come faster than that for long.
    /// Returns whether few points are left.
    async fn catch_up(&mut self, deadline: Deadline) -> Result<bool, MoveError> {
        let before = std::mem::take(&mut self.behind);
        let are_few = if before < PATIENCE {
            self.follow(deadline).await?;
            self.cell.gate().noted() <= FEW
        } else {
            self.follow_slowed(deadline).await?
        };
        // One that fails begins to count anew: nobody is to wait for an engine that is away.
        self.behind = if are_few { 0 } else { before + 1 };
        Ok(are_few)
    }

    /// Brings over all that was written while writes wait, or as much as takes as long as they may; what goes over by then still
    /// arrives. Returns whether it was all.
    async fn follow_slowed(&self, deadline: Deadline) -> Result<bool, MoveError> {
        let slowed = Deadline::after(SLOWED);
        let writes_wait = async {
            let closing = tokio::time::timeout(slowed.remaining(), self.cell.gate().close());
            let _closed = closing.await.ok();
            tokio::time::sleep(slowed.remaining()).await;
        };
        let followed = async {
            while self.follow(deadline).await? > 0 {
                if slowed.is_past() {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        match select(pin!(writes_wait), pin!(followed)).await {
            Either::Left(((), followed)) => followed.await,
            Either::Right((followed, _)) => followed,
        }
    }

    /// Brings over a page of what was written since. Returns how many points it was.
    async fn follow(&self, deadline: Deadline) -> Result<usize, MoveError> {
        let taken = self.cell.gate().take(self.page);
        let (there, gone) = self.looked_up(taken.ids.clone(), deadline).await?;
        if !there.is_empty() {
            self.target.upsert(there).await?;
        }
        if !gone.is_empty() {
            self.target.delete(gone).await?;
        }
        Ok(taken.arrived())
    }

    /// Those of these points that are there now, and the ids of the others.
    async fn looked_up(
        &self,
        ids: Vec<String>,
        deadline: Deadline,
    ) -> Result<(Vec<Point>, Vec<String>), MoveError> {
        if ids.is_empty() {
            return Ok((Vec::new(), ids));
        }
        // Past the gate: only reads are asked here.
        let request = IndexRequest::Get(ids.clone());
        let IndexReply::Points(there) = self.ask(request, deadline).await? else {
            return Err(mismatch());
        };
        let found: HashSet<&str> = there.iter().map(|point| point.id.as_str()).collect();
        let gone = ids.into_iter().filter(|id| !found.contains(id.as_str()));
        let gone = gone.collect();
        Ok((there, gone))
    }

    /// Brings over the last while writes are held back, and counts and compares both sides, within a time.
    ///
    /// Errors: they are not the same; it takes too long, and will be tried again, a few times.
    pub(super) async fn settle(&mut self, infos: &Infos) -> Result<(), MoveError> {
        self.tries += 1;
        let deadline = held_back();
        let settled = tokio::time::timeout(deadline.remaining(), self.last(deadline, infos)).await;
        match settled {
            Ok(Err(MoveError::Waits(why))) if self.tries >= TRIES => Err(MoveError::Failed(why)),
            Ok(settled) => settled,
            Err(_) if self.tries < TRIES => {
                Err(MoveError::Waits("the last points take long".to_owned()))
            }
            Err(_) => Err(MoveError::Failed(
                "the last points took longer than writes may wait".to_owned(),
            )),
        }
    }

    async fn last(&self, deadline: Deadline, infos: &Infos) -> Result<(), MoveError> {
        while self.follow(deadline).await? > 0 {}
        // One moment for both, past the time that this may take: no point expires between the two counts.
        let moment = Scope::at(now_ms() + u64::try_from(HELD_BACK.as_millis()).unwrap_or(0));
        let there = Filter::scoped(None, &self.spec.schema, moment);
        let count = IndexRequest::Count {
            filter: there.clone(),
            role: None,
        };
        let IndexReply::Count(from) = self.ask(count, deadline).await? else {
            return Err(mismatch());
        };
        let to = self.target.count(there).await?;
        match from == to {
            true => self.compare(deadline, infos).await,
            false => Err(MoveError::Failed(format!(
                "{from} points were to go over, {} has {to}",
                self.note.to
            ))),
        }
    }

    /// Compares the neighbours of samples on both sides.
    async fn compare(&self, deadline: Deadline, infos: &Infos) -> Result<(), MoveError> {
        let (mut same, mut of) = (0, 0);
        for sample in &self.samples {
            let Some(request) = self.near(sample) else {
                continue;
            };
            let asked = IndexRequest::Search(Box::new(request.clone()));
            let IndexReply::Found(own) = self.ask(asked, deadline).await? else {
                return Err(mismatch());
            };
            let other = self.target.search(request).await?;
            let (found, all) = overlap(&own, &other);
            same += found;
            of += all;
        }
        // Nothing to compare: no share.
        if of == 0 {
            return Ok(());
        }
        let share = same as f64 / of as f64;
        infos.change(&self.note.name, |info| info.same_neighbours = Some(share));
        match share >= SAME {
            true => Ok(()),
            false => Err(MoveError::Failed(format!(
                "of the nearest points of {} samples {same} of {of} are the same in {}",
                self.samples.len(),
                self.note.to
            ))),
        }
    }

    /// Keeps some of all points that were copied, each as likely as any other.
    fn sample(&mut self, points: &[Point]) {
        for point in points {
            self.seen += 1;
            let hash = blake3::hash(point.id.as_bytes());
            let drawn = hash
                .as_bytes()
                .first_chunk::<8>()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes) % self.seen as u64);
            if self.samples.len() < SAMPLES {
                self.samples.push(point.clone());
            } else if let Some(place) = usize::try_from(drawn)
                .ok()
                .and_then(|place| self.samples.get_mut(place))
            {
                *place = point.clone();
            }
        }
    }

    /// The search for the neighbours of a point; `None` where one must say for which role it is, and the point is nobody's.
    fn near(&self, point: &Point) -> Option<SearchRequest> {
        let role = match &self.spec.schema.role_field {
            Some(path) if self.spec.schema.role_required => Some(role_of(point, path)?),
            _ => None,
        };
        Some(SearchRequest {
            query_vector: Some(point.vector.clone()),
            k: NEIGHBOURS,
            exact: true,
            role,
            ..SearchRequest::default()
        })
    }

    async fn ask(
        &self,
        request: IndexRequest,
        deadline: Deadline,
    ) -> Result<IndexReply, MoveError> {
        let kept = self.cell.kept();
        kept.ask(request, deadline).await.map_err(Into::into)
    }
}

/// One of the roles that may see a point.
fn role_of(point: &Point, path: &str) -> Option<String> {
    let reached = reached(&point.payload);
    let words = reached.get(path)?.iter().flat_map(|value| match value {
        Value::Array(items) => items.as_slice(),
        value => std::slice::from_ref(*value),
    });
    let mut words = words.filter_map(Value::as_str);
    words.next().map(str::to_owned)
}

/// A reply of another request's kind cannot happen while the cells pair them as documented.
fn mismatch() -> MoveError {
    MoveError::Failed("an answer to another question".to_owned())
}

/// How many of our hits the other side has too, or as good ones, and how many there are.
fn overlap(own: &SearchResult, other: &SearchResult) -> (usize, usize) {
    let worst = other.hits.last().map_or(f32::MAX, |hit| hit.score);
    let has = |id: &str| other.hits.iter().any(|hit| hit.id == id);
    let found = own
        .hits
        .iter()
        // Equal scores at the end of a list: any of them is right.
        .filter(|hit| has(&hit.id) || (hit.score - worst).abs() <= 1e-4 * worst.abs().max(1.0))
        .count();
    (found, own.hits.len().max(other.hits.len()))
}

/// Why a move does not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum MoveError {
    /// More time may mend it.
    #[error("{0}")]
    Waits(String),
    /// It cannot be done.
    #[error("{0}")]
    Failed(String),
}

impl From<IndexError> for MoveError {
    fn from(error: IndexError) -> Self {
        match error {
            error if error.kind() == ErrorKind::Unavailable => Self::Waits(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<Fault<IndexError>> for MoveError {
    fn from(fault: Fault<IndexError>) -> Self {
        match fault {
            Fault::App(error) => error.into(),
            fault => Self::Waits(fault.to_string()),
        }
    }
}

/// How the last move of each collection is.
#[derive(Default)]
pub(super) struct Infos(Mutex<BTreeMap<String, MoveInfo>>);

impl Infos {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, MoveInfo>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, name: &str) -> Option<MoveInfo> {
        self.all().get(name).cloned()
    }

    pub(super) fn set(&self, name: &str, info: MoveInfo) {
        self.all().insert(name.to_owned(), info);
    }

    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut MoveInfo)) {
        if let Some(info) = self.all().get_mut(name) {
            change(info);
        }
    }

    pub(super) fn forget(&self, name: &str) {
        self.all().remove(name);
    }
}

/// How long writes may be held back.
pub(super) fn held_back() -> Deadline {
    Deadline::after(HELD_BACK)
}

/// Waits until nobody asks there any more, for a while.
pub(super) async fn unasked(kept: &Arc<Kept>, deadline: Deadline) {
    while Arc::strong_count(kept) > 1 && !deadline.is_past() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
