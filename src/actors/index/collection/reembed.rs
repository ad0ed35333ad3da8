//! A collection embedded anew: the new points are made beside those that serve, and take their place in one moment.
//!
//! Nothing of it is on the disk before that moment: a crash, a cancellation or a failure before it leaves the collection
//! as it was.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use serde::Serialize;

use super::{DurableCollection, PoisonOnDrop};
use crate::engines::index::{IndexError, Reembedding};
use crate::storage::snapshot::{self, Manifest};
use crate::types::collection::CollectionSpec;

/// The model that a collection is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReembedTarget {
    /// Its name.
    pub embedder: String,
    /// Identifies its weights.
    pub fingerprint: String,
    /// Length of its vectors.
    pub dim: usize,
}

/// Texts to embed next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReembedBatch {
    /// Which run asks; an answer to another is not taken.
    pub run: u64,
    /// Who embeds them.
    pub target: ReembedTarget,
    /// Ids and texts; none when every point has its vector.
    pub texts: Vec<(String, String)>,
}

/// How the last run of a collection is going, or how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReembedInfo {
    /// Where it is.
    pub state: ReembedState,
    /// The model that the collection is to have, or has.
    pub embedder: String,
    /// Identifies the model's weights.
    pub fingerprint: String,
    /// Points that have their new vector.
    pub done: usize,
    /// All points.
    pub of: usize,
    /// Why it failed; while it runs: what it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReembedState {
    /// Points are being embedded; writes of points are refused.
    Running,
    /// The new points serve.
    Done,
    /// Nothing was changed.
    Failed,
    /// Nothing was changed.
    Cancelled,
}

/// The run under way and how the last one ended.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<Run>);

#[derive(Debug, Default)]
struct Run {
    number: u64,
    info: Option<ReembedInfo>,
    /// There while points are embedded; whoever ends the run takes it.
    points: Option<Reembedding>,
    /// Past the point where it can be cancelled.
    committing: bool,
}

impl Run {
    fn is_running(&self) -> bool {
        let state = self.info.as_ref().map(|info| info.state);
        state == Some(ReembedState::Running)
    }

    fn end(&mut self, state: ReembedState, error: Option<String>) {
        self.points = None;
        self.committing = false;
        if let Some(info) = &mut self.info {
            (info.state, info.error) = (state, error);
        }
    }
}

impl Runs {
    fn lock(&self) -> MutexGuard<'_, Run> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn info(&self) -> Option<ReembedInfo> {
        self.lock().info.clone()
    }

    /// Refuses a write of points while a run is under way. Call it with the writer held.
    pub(super) fn refuse_points(&self, name: &str) -> Result<(), IndexError> {
        let run = self.lock();
        match &run.info {
            Some(info) if run.is_running() => Err(IndexError::Reembedding {
                name: name.to_owned(),
                done: info.done,
                of: info.of,
            }),
            _ => Ok(()),
        }
    }
}

impl DurableCollection {
    /// Begins to embed all points anew.
    ///
    /// Errors: [`IndexError::Reembedding`] while another run is under way; [`IndexError::NoText`].
    pub fn begin_reembedding(&self, target: ReembedTarget) -> Result<ReembedInfo, IndexError> {
        // From here on no point is written.
        let _writer = self.writer()?;
        self.reembedding.refuse_points(&self.name)?;
        let contents = self.contents()?;
        let spec = CollectionSpec {
            dim: target.dim,
            embedder: Some(target.embedder.clone()),
            fingerprint: Some(target.fingerprint.clone()),
            ..CollectionSpec::clone(contents.spec())
        };
        let points = Reembedding::begin(&contents, spec)?;
        let info = ReembedInfo {
            state: ReembedState::Running,
            embedder: target.embedder,
            fingerprint: target.fingerprint,
            done: 0,
            of: points.of(),
            error: None,
        };
        *self.reembedding.lock() = Run {
            number: super::seed(),
            info: Some(info.clone()),
            points: Some(points),
            committing: false,
        };
        Ok(info)
    }

    /// The next points to embed; `None` when no run is under way.
    pub fn reembed_batch(&self, limit: usize) -> Option<ReembedBatch> {
        let run = self.reembedding.lock();
        let (info, points) = (run.info.as_ref()?, run.points.as_ref()?);
        Some(ReembedBatch {
            run: run.number,
            target: ReembedTarget {
                embedder: info.embedder.clone(),
                fingerprint: info.fingerprint.clone(),
                dim: points.spec().dim,
            },
            texts: points.texts(limit),
        })
    }

    /// Takes the vectors of the last batch, in its order. An answer to a run that is over is dropped.
    ///
    /// Errors: vectors that the collection cannot have.
    pub fn reembedded(&self, run: u64, vectors: Vec<Vec<f32>>) -> Result<(), IndexError> {
        let mut now = self.reembedding.lock();
        let now = &mut *now;
        let Some(points) = now.points.as_mut().filter(|_| now.number == run) else {
            return Ok(());
        };
        points.take(vectors)?;
        if let Some(info) = &mut now.info {
            (info.done, info.error) = (points.done(), None);
        }
        Ok(())
    }

    /// Tells what a run waits for.
    pub fn reembedding_waits(&self, run: u64, error: String) {
        let mut now = self.reembedding.lock();
        if now.number == run
            && now.is_running()
            && let Some(info) = &mut now.info
        {
            info.error = Some(error);
        }
    }

    /// Ends a run that cannot go on. Nothing is changed.
    pub fn fail_reembedding(&self, run: u64, error: String) {
        let mut now = self.reembedding.lock();
        if now.number == run && now.is_running() && !now.committing {
            now.end(ReembedState::Failed, Some(error));
        }
    }

    /// Ends the run under way, if there is one that has not come to its last moment. Returns how the last run is.
    pub fn cancel_reembedding(&self) -> Option<ReembedInfo> {
        let mut now = self.reembedding.lock();
        if now.is_running() && !now.committing {
            now.end(ReembedState::Cancelled, None);
        }
        now.info.clone()
    }

    /// Puts the new points in place of the old, when all have their vectors; durable when it returns. `false`: not now,
    /// the collection is being maintained; ask again.
    ///
    /// Errors: the disk; then the collection is as it was, or [poisoned](Self::is_poisoned) where only the disk knows.
    pub fn finish_reembedding(&self, run: u64) -> Result<bool, IndexError> {
        // Maintenance would put contents made of the old points in place of the new.
        let _only = match self.maintaining.try_lock() {
            Ok(only) => only,
            Err(TryLockError::Poisoned(only)) => only.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(false),
        };
        let points = {
            let mut now = self.reembedding.lock();
            let is_whole = |points: &mut Reembedding| points.texts(1).is_empty();
            let mine = now.number == run;
            now.points.take_if(|points| mine && is_whole(points))
        };
        let Some(points) = points else {
            return Ok(true);
        };
        let switched = self.switch(run, points);
        let mut now = self.reembedding.lock();
        if now.number == run && now.is_running() {
            match &switched {
                Ok(()) => now.end(ReembedState::Done, None),
                Err(error) => now.end(ReembedState::Failed, Some(error.to_string())),
            }
        }
        switched.map(|()| true)
    }

    /// The steps of a snapshot, but of the new points: none of it counts before the manifest does.
    fn switch(&self, run: u64, mut points: Reembedding) -> Result<(), IndexError> {
        let _writing = self
            .snapshotting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (_, mut manifest) = self.begin_snapshot()?;
        // What came after the log's new file began may be in the snapshot and the log: deletions and second vectors, which
        // may come twice.
        points.catch_up(&*self.contents()?);
        manifest.spec = CollectionSpec::clone(points.spec());
        self.write_snapshot(&points.view(), &manifest)?;
        // From here on nothing is written until the memory is what the disk says.
        let writer = self.writer()?;
        points.catch_up(&*self.contents()?);
        if !self.may_commit(run) {
            drop(writer);
            // Cancelled. The log goes on in its new file; the snapshot is nobody's.
            snapshot::sweep(&self.dir, &Manifest::load(&self.dir)?)?;
            return Ok(());
        }
        // After a failure only the disk knows which points count.
        let unless_panic = PoisonOnDrop(&self.poisoned);
        manifest.store(&self.dir)?;
        let old = {
            let mut contents = self
                .contents
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *contents, points.into_contents())
        };
        unless_panic.disarm();
        drop(writer);
        drop(old);
        if let Err(error) = self.end_snapshot(&manifest) {
            let collection = &self.name;
            tracing::warn!(collection, %error, "files of the old vectors stay until the next snapshot");
        }
        Ok(())
    }

    fn may_commit(&self, run: u64) -> bool {
        let mut now = self.reembedding.lock();
        now.committing = now.number == run && now.is_running();
        now.committing
    }
}
