//! What a collection tells of itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde::Serialize;

use super::{DurableCollection, ReembedInfo, Writer};
use crate::actors::index::store::StoreInfo;
use crate::engines::index::{IndexError, Progress, Scope};
use crate::types::collection::CollectionSpec;
use crate::types::plain::counted;

/// Sizes and state of a collection.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CollectionInfo {
    /// Its properties.
    #[serde(flatten)]
    pub spec: CollectionSpec,
    /// Points that can be found.
    pub points: usize,
    /// Points that have expired and wait for their removal.
    #[serde(skip_serializing_if = "is_zero")]
    pub expired: usize,
    /// For each indexed field, the points with a value there that is not of its kind: they are found as
    /// ever, by reading them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub odd_values: BTreeMap<String, usize>,
    /// Deleted points whose room is not free yet.
    pub tombstones: usize,
    /// Different words of the texts, as they are indexed.
    pub words: usize,
    /// The graph; `None` while every search is exact and none is being built.
    pub graph: Option<GraphInfo>,
    /// The second vectors; `None` without a refiner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refinement: Option<RefinementInfo>,
    /// How the last run that embedded it anew is, since it was opened; `None`: there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reembedding: Option<ReembedInfo>,
    /// The snapshot that counts; each is one or more above the one before.
    pub generation: u64,
    /// The last change that is in the log.
    pub lsn: u64,
    /// Length of the log after the snapshot.
    pub wal_bytes: u64,
    /// Length of the snapshot.
    pub snapshot_bytes: u64,
    /// How it is in the engine that keeps it; `None`: it is kept here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<StoreInfo>,
    /// What a crash had left half-written, and was removed when the collection was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_at_open: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// How far the second vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RefinementInfo {
    /// Points that have theirs.
    pub done: usize,
    /// Points that wait for theirs.
    pub pending: usize,
}

/// What happens to the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GraphState {
    /// It serves.
    Ready,
    /// One is being built; the one before, if any, serves meanwhile.
    Building,
}

/// State and sizes of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GraphInfo {
    /// What happens to it.
    pub state: GraphState,
    /// While one is built: points that are in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<usize>,
    /// While one is built: points that will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<usize>,
    /// Points that were in the one that serves when it was built; 0 before the first.
    pub points: usize,
    /// Its links.
    pub links: usize,
    /// Points newer than the graph; they are scanned.
    pub tail: usize,
}

/// How far a build is.
#[derive(Debug, Default)]
pub(super) struct Building {
    done: AtomicUsize,
    /// 0 while nothing is built.
    of: AtomicUsize,
}

/// A build under way; dropped at its end, however it ends.
pub(super) struct Build<'a>(&'a Building);

impl Building {
    pub(super) fn begin(&self, of: usize) -> Build<'_> {
        self.done.store(0, Ordering::Relaxed);
        self.of.store(of, Ordering::Relaxed);
        Build(self)
    }

    fn progress(&self) -> Option<(usize, usize)> {
        let of = self.of.load(Ordering::Relaxed);
        (of > 0).then(|| (self.done.load(Ordering::Relaxed).min(of), of))
    }
}

impl Build<'_> {
    pub(super) fn done(&self) -> &AtomicUsize {
        &self.0.done
    }
}

impl Drop for Build<'_> {
    fn drop(&mut self) {
        self.0.of.store(0, Ordering::Relaxed);
    }
}

/// Numbers of the write side that are read without waiting for it: every search by text asks for
/// the collection's properties, and must not wait for a writer's sync.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    generation: AtomicU64,
    lsn: AtomicU64,
    wal_bytes: AtomicU64,
    snapshot_bytes: AtomicU64,
}

impl Gauges {
    pub(super) fn log_is(&self, writer: &Writer) {
        self.lsn.store(writer.wal.next_lsn() - 1, Ordering::Relaxed);
        self.wal_bytes
            .store(writer.older_bytes + writer.wal.bytes(), Ordering::Relaxed);
    }

    pub(super) fn snapshot_is(&self, generation: u64, bytes: u64) {
        self.generation.store(generation, Ordering::Relaxed);
        self.snapshot_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn wal_bytes(&self) -> u64 {
        self.wal_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn snapshot_bytes(&self) -> u64 {
        self.snapshot_bytes.load(Ordering::Relaxed)
    }
}

impl DurableCollection {
    /// Reads sizes and state at a Unix time in milliseconds; waits for no writer.
    pub fn info(&self, now_ms: u64) -> Result<CollectionInfo, IndexError> {
        let contents = self.contents()?;
        let spec = CollectionSpec::clone(contents.spec());
        let points = contents.count(None, Scope::at(now_ms))?;
        let (graph, progress) = (contents.graph(), self.building.progress());
        let graph = (graph.is_some() || progress.is_some()).then(|| GraphInfo {
            state: match progress {
                Some(_) => GraphState::Building,
                None => GraphState::Ready,
            },
            done: progress.map(|(done, _)| done),
            of: progress.map(|(_, of)| of),
            points: graph.map_or(0, |graph| graph.points()),
            links: graph.map_or(0, |graph| graph.links()),
            tail: contents.tail(),
        });
        Ok(CollectionInfo {
            points,
            expired: contents.live() - points,
            odd_values: contents.odd(),
            tombstones: contents.tombstones(),
            words: contents.words(),
            graph,
            refinement: spec.refiner.as_ref().map(|_| {
                let Progress { done, pending } = contents.refinable();
                RefinementInfo { done, pending }
            }),
            reembedding: self.reembedding.info(),
            generation: self.gauges.generation.load(Ordering::Relaxed),
            lsn: self.gauges.lsn.load(Ordering::Relaxed),
            wal_bytes: self.gauges.wal_bytes(),
            snapshot_bytes: self.gauges.snapshot_bytes(),
            cut_at_open: self.cut.as_ref().map(|cut| {
                format!(
                    "{} at byte {} of {}: {}",
                    counted(cut.bytes, "byte"),
                    cut.offset,
                    cut.file,
                    cut.reason
                )
            }),
            engine: None,
            spec,
        })
    }
}

impl CollectionInfo {
    /// The last change; `None` where another engine keeps the collection, which tells of none.
    pub fn position(&self) -> Option<u64> {
        self.engine.is_none().then_some(self.lsn)
    }

    /// That of a collection that another engine keeps.
    pub(in crate::actors::index) fn elsewhere(
        spec: CollectionSpec,
        points: usize,
        expired: usize,
        engine: StoreInfo,
    ) -> Self {
        Self {
            spec,
            points,
            expired,
            odd_values: BTreeMap::new(),
            tombstones: 0,
            words: 0,
            graph: None,
            refinement: None,
            reembedding: None,
            generation: 0,
            lsn: 0,
            wal_bytes: 0,
            snapshot_bytes: 0,
            engine: Some(engine),
            cut_at_open: None,
        }
    }
}
