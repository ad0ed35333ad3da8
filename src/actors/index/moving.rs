//! A collection that goes over to another backend while it serves.
//!
//! Its points are copied page by page while writes go on and are noted. Then the noted points are brought over until few
//! are left, writes are held back, the last are brought over, both sides are compared, and from one moment on the
//! other backend serves. What makes it so is one renaming of the collection's folder; a crash before it leaves
//! the collection as it was, a crash after it is gone on from at the next start.

mod target;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use supervisors::{Deadline, Fault};

pub(super) use self::target::Target;
use super::cell::{IndexCell, IndexReply, IndexRequest, Kept};
use crate::engines::index::{IndexError, SearchRequest, SearchResult};
use crate::storage::disk;
use crate::types::collection::{Backend, CollectionSpec};
use crate::types::point::Point;

/// Points of one step.
const PAGE: usize = 500;
/// Noted points that are left when writes are held back.
const FEW: usize = 200;
/// Points whose neighbours are compared.
const SAMPLES: usize = 16;
/// Neighbours of each.
const NEIGHBOURS: usize = 10;
/// Least share of neighbours that must be the same on both sides.
const SAME: f64 = 0.9;
/// Longest that writes are held back before the move gives up for now.
const HELD_BACK: Duration = Duration::from_secs(20);

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

/// A move that is written down, so that a start goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MoveNote {
    pub(super) name: String,
    pub(super) from: Backend,
    pub(super) to: Backend,
}

impl MoveNote {
    fn path(root: &Path, name: &str) -> PathBuf {
        root.join(format!(".move-{name}.json"))
    }

    pub(super) fn store(&self, root: &Path) -> Result<(), IndexError> {
        let text = serde_json::to_vec(self).map_err(|error| noted(&error))?;
        disk::write_atomic(&Self::path(root, &self.name), &text)?;
        Ok(())
    }

    pub(super) fn forget(root: &Path, name: &str) {
        let path = Self::path(root, name);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(collection = name, %error, "the note of its move stays");
        }
    }

    /// Those that were under way when the process ended.
    pub(super) fn all(root: &Path) -> std::io::Result<Vec<Self>> {
        let mut notes = Vec::new();
        for entry in std::fs::read_dir(root)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !(name.starts_with(".move-") && name.ends_with(".json")) {
                continue;
            }
            match serde_json::from_slice(&std::fs::read(&path)?) {
                Ok(note) => notes.push(note),
                Err(error) => tracing::warn!(file = %name, %error, "no note of a move, left alone"),
            }
        }
        Ok(notes)
    }
}

fn noted(error: &dyn std::fmt::Display) -> IndexError {
    IndexError::BadConfig(format!("the note of a move: {error}"))
}

/// A collection here that another backend has taken over, until it is removed.
pub(super) fn moved_dir(root: &Path, name: &str) -> PathBuf {
    root.join(format!(".moved-{name}"))
}

/// A collection that is being brought here.
pub(super) fn coming_dir(root: &Path, name: &str) -> PathBuf {
    root.join(format!(".moving-{name}"))
}

/// A move under way.
pub(super) struct Moving {
    pub(super) note: MoveNote,
    pub(super) target: Target,
    pub(super) spec: Arc<CollectionSpec>,
    phase: Phase,
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
}

/// What a step found.
pub(super) enum Stepped {
    /// There is more to do.
    On,
    /// Few points are left: writes can be held back.
    Ready,
}

impl Moving {
    pub(super) fn new(note: MoveNote, spec: Arc<CollectionSpec>, target: Target) -> Self {
        Self {
            note,
            target,
            spec,
            phase: Phase::Copying(None),
            samples: Vec::new(),
            seen: 0,
        }
    }

    /// Copies one page, or brings over a page of what was written.
    pub(super) async fn step(
        &mut self,
        cell: &IndexCell,
        deadline: Deadline,
        info: &Infos,
    ) -> Result<Stepped, MoveError> {
        match &self.phase {
            Phase::Copying(after) => {
                let request = IndexRequest::Scroll {
                    after: after.clone(),
                    limit: PAGE,
                    filter: None,
                    role: None,
                };
                let IndexReply::Page(points, next) = ask(cell, request, deadline).await? else {
                    return Ok(Stepped::On);
                };
                let count = points.len();
                self.sample(&points);
                let new = self.target.other_than(points).await?;
                if !new.is_empty() {
                    self.target.upsert(new).await?;
                }
                info.change(&self.note.name, |info| info.done += count);
                self.phase = match next {
                    Some(next) => Phase::Copying(Some(next)),
                    None => Phase::Clearing(None),
                };
                Ok(Stepped::On)
            }
            Phase::Clearing(after) => {
                let (points, next) = self.target.scroll(after.as_deref(), PAGE).await?;
                let mut gone = Vec::new();
                for point in points {
                    let request = IndexRequest::Get(point.id.clone());
                    if let IndexReply::Point(None) = ask(cell, request, deadline).await? {
                        gone.push(point.id);
                    }
                }
                if !gone.is_empty() {
                    self.target.delete(gone).await?;
                }
                self.phase = match next {
                    Some(next) => Phase::Clearing(Some(next)),
                    None => Phase::Following,
                };
                Ok(Stepped::On)
            }
            Phase::Following => match self.follow(cell, deadline).await? {
                count if count > FEW => Ok(Stepped::On),
                _ => Ok(Stepped::Ready),
            },
        }
    }

    /// Brings over a page of what was written since. Returns how many points it was.
    async fn follow(&self, cell: &IndexCell, deadline: Deadline) -> Result<usize, MoveError> {
        let ids = cell.gate().take(PAGE);
        match self.bring(cell, &ids, deadline).await {
            Ok(()) => Ok(ids.len()),
            Err(error) => {
                cell.gate().give_back(ids);
                Err(error)
            }
        }
    }

    async fn bring(
        &self,
        cell: &IndexCell,
        ids: &[String],
        deadline: Deadline,
    ) -> Result<(), MoveError> {
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for id in ids {
            // Past the gate: only reads are asked here.
            let IndexReply::Point(point) =
                ask(cell, IndexRequest::Get(id.clone()), deadline).await?
            else {
                continue;
            };
            match point {
                Some(point) => there.push(*point),
                None => gone.push(id.clone()),
            }
        }
        if !there.is_empty() {
            self.target.upsert(there).await?;
        }
        if !gone.is_empty() {
            self.target.delete(gone).await?;
        }
        Ok(())
    }

    /// Brings over the last while writes are held back, and compares both sides.
    ///
    /// Errors: they are not the same.
    pub(super) async fn settle(
        &self,
        cell: &IndexCell,
        deadline: Deadline,
        info: &Infos,
    ) -> Result<(), MoveError> {
        while self.follow(cell, deadline).await? > 0 {}
        let count = IndexRequest::Count {
            filter: None,
            role: None,
        };
        let IndexReply::Count(from) = ask(cell, count, deadline).await? else {
            return Ok(());
        };
        let to = self.target.count().await?;
        if from != to {
            return Err(MoveError::Failed(format!(
                "{from} points were to go over, {} has {to}",
                self.note.to
            )));
        }
        let (mut same, mut of) = (0, 0);
        for sample in &self.samples {
            let Some(request) = self.near(sample) else {
                continue;
            };
            let asked = IndexRequest::Search(Box::new(request.clone()));
            let IndexReply::Found(own) = ask(cell, asked, deadline).await? else {
                continue;
            };
            let other = self.target.search(request).await?;
            let (found, all) = overlap(&own, &other);
            same += found;
            of += all;
        }
        let share = match of {
            0 => 1.0,
            _ => same as f64 / of as f64,
        };
        info.change(&self.note.name, |info| info.same_neighbours = Some(share));
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
            Some(path) if self.spec.schema.role_required => {
                Some(point.payload.get(path)?.as_str()?.to_owned())
            }
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
}

/// How many of our hits the other side has too, or as good ones, and how many there are.
fn overlap(own: &SearchResult, other: &SearchResult) -> (usize, usize) {
    let worst = other.hits.last().map_or(f32::MAX, |hit| hit.score);
    let has = |id: &str| other.hits.iter().any(|hit| hit.id == id);
    let found = own
        .hits
        .iter()
        // Equal scores at the end of a list: any of them is right.
        .filter(|hit| has(&hit.id) || (hit.score - worst).abs() <= 1e-4)
        .count();
    (found, own.hits.len().max(other.hits.len()))
}

async fn ask(
    cell: &IndexCell,
    request: IndexRequest,
    deadline: Deadline,
) -> Result<IndexReply, MoveError> {
    cell.kept().ask(request, deadline).await.map_err(Into::into)
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
            IndexError::Engine { .. } | IndexError::Storage(_) => Self::Waits(error.to_string()),
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
