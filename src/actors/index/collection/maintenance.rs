//! What a collection does in the background: snapshots, compaction, the graph.
//!
//! None of it holds up a search; writes wait only for the last moment of a compaction.

use std::path::Path;
use std::sync::{PoisonError, TryLockError};

use super::{DurableCollection, PoisonOnDrop, graph_file, seed};
use crate::engines::index::{self, Contents, Graph, IndexError, Op, Rows};
use crate::storage::snapshot::{self, Manifest, SnapshotWriter};
use crate::storage::wal;
use crate::types::collection::CollectionSpec;
use crate::types::point::Point;

/// Bytes of points, about, in one record of a snapshot.
const RECORD_BYTES: usize = 1 << 20;
/// Second vectors in one record of a snapshot: at most 8 MiB of them.
const RECORD_REFINEMENTS: usize = 1_000;

impl DurableCollection {
    /// Deletes what has expired by a Unix time in milliseconds; snapshots, compacts and builds the graph,
    /// where due. Does nothing while another call does.
    pub fn maintain(&self, now_ms: u64) -> Result<(), IndexError> {
        let _only = match self.maintaining.try_lock() {
            Ok(only) => only,
            Err(TryLockError::Poisoned(only)) => only.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        self.check()?;
        self.delete_expired(now_ms)?;
        if self.snapshot_is_due() {
            self.snapshot()?;
        }
        let (compaction, graph, view) = {
            let contents = self.contents()?;
            let config = &self.config;
            (
                contents.compaction_is_due(config),
                contents.graph_is_due(config),
                contents.view(),
            )
        };
        match (compaction, graph) {
            (true, _) => self.compact(&view),
            (false, true) => {
                let built = self.graph_of(&view)?;
                self.check()?;
                let contents = self.contents.write();
                let mut contents = contents.unwrap_or_else(PoisonError::into_inner);
                contents.set_graph(built);
                drop(contents);
                // A graph is kept with the snapshot whose rows it is over.
                self.snapshot()
            }
            (false, false) => Ok(()),
        }
    }

    /// A long log makes a slow start; but a snapshot writes everything, so it waits for a log that
    /// is not short beside it.
    fn snapshot_is_due(&self) -> bool {
        let last = self.gauges.snapshot_bytes();
        self.gauges.wal_bytes() >= self.config.snapshot_wal_bytes.max(last / 4)
    }

    pub(super) fn snapshot(&self) -> Result<(), IndexError> {
        let _writing = self
            .snapshotting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (view, manifest) = self.begin_snapshot()?;
        self.write_snapshot(&view, &manifest)?;
        self.write_graph(&view, &manifest);
        self.check()?;
        manifest.store(&self.dir)?;
        self.end_snapshot(&manifest)
    }

    /// Moves the log on to a new file and takes a view of everything before it.
    pub(super) fn begin_snapshot(&self) -> Result<(Rows, Manifest), IndexError> {
        let mut writer = self.writer()?;
        let rotated = self.rotate(&mut writer);
        self.gauges.log_is(&writer);
        if let Err(error) = rotated {
            if writer.wal.has_failed() {
                self.poison();
            }
            return Err(error);
        }
        let (generation, lsn) = (writer.wal.number(), writer.wal.next_lsn() - 1);
        let contents = self.contents()?;
        Ok((
            contents.view(),
            Manifest {
                spec: CollectionSpec::clone(contents.spec()),
                generation,
                lsn,
            },
        ))
    }

    pub(super) fn write_snapshot(
        &self,
        view: &Rows,
        manifest: &Manifest,
    ) -> Result<(), IndexError> {
        // A large snapshot must not outlive its collection.
        write_view(&self.dir, view, manifest, || self.check())
    }

    /// Keeps the graph beside the snapshot. Without it a start builds one, so a failure is only told.
    fn write_graph(&self, view: &Rows, manifest: &Manifest) {
        // Rows are numbered anew only by whoever maintains, and that is us.
        let Some(graph) = self.contents().ok().and_then(|now| now.graph().cloned()) else {
            return;
        };
        let written = graph_file::write(&self.dir, manifest, &graph, view, &self.config);
        if let Err(error) = written {
            let collection = &self.name;
            tracing::warn!(collection, %error, "cannot keep the graph; the next start builds it again");
            // Half a file is found damaged, should it stay.
            drop(snapshot::remove_graph(&self.dir, manifest));
        }
    }

    /// Removes what the new manifest has made obsolete.
    pub(super) fn end_snapshot(&self, manifest: &Manifest) -> Result<(), IndexError> {
        let mut writer = self.writer()?;
        snapshot::sweep(&self.dir, manifest)?;
        // The log may have moved on to yet another file meanwhile.
        writer.older_bytes = match writer.wal.number() == manifest.generation {
            true => 0,
            false => wal::bytes_before(&self.dir, writer.wal.number())?,
        };
        self.gauges.log_is(&writer);
        let bytes = snapshot::bytes_of(&self.dir, manifest.generation)?;
        self.gauges.snapshot_is(manifest.generation, bytes);
        Ok(())
    }

    /// Clears deleted rows away, and builds the graph when the rest is large enough for one.
    fn compact(&self, view: &Rows) -> Result<(), IndexError> {
        let mut fresh = Contents::compacted(&self.spec()?, view);
        let built = match fresh.graph_is_due(&self.config) {
            true => self.graph_of(&fresh.view()).map(Some),
            false => Ok(None),
        };
        let failed = match built {
            Ok(Some(graph)) => {
                fresh.set_graph(graph);
                None
            }
            Ok(None) => None,
            Err(error) => Some(error),
        };
        // From here on nothing is written, so what follows misses nothing.
        let writer = self.writer()?;
        let graphed = fresh.graph().is_some();
        fresh.catch_up(view, &*self.contents()?);
        let unless_panic = PoisonOnDrop(&self.poisoned);
        let old = {
            let mut contents = self
                .contents
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *contents, fresh)
        };
        unless_panic.disarm();
        drop(writer);
        drop(old);
        match failed {
            Some(error) => Err(error),
            None if graphed => self.snapshot(),
            None => Ok(()),
        }
    }

    fn graph_of(&self, view: &Rows) -> Result<Graph, IndexError> {
        let build = self.building.begin(view.live());
        Contents::graph_of(view, self.spec()?.metric, &self.config, build.done())
    }
}

/// Writes the snapshot that `manifest` is to name; `still_wanted` ends it early.
pub(super) fn write_view(
    dir: &Path,
    view: &Rows,
    manifest: &Manifest,
    still_wanted: impl Fn() -> Result<(), IndexError>,
) -> Result<(), IndexError> {
    let mut file = SnapshotWriter::create(dir, manifest.generation, seed(), manifest.lsn)?;
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for point in view.points() {
        let size = index::size_of(&point);
        // A record holds more than one point only when all of them together are small.
        if bytes + size > RECORD_BYTES && !batch.is_empty() {
            still_wanted()?;
            write(&mut file, std::mem::take(&mut batch))?;
            bytes = 0;
        }
        bytes += size;
        batch.push(point);
    }
    if !batch.is_empty() {
        write(&mut file, batch)?;
    }
    let mut refinements = view.refinements().peekable();
    while refinements.peek().is_some() {
        still_wanted()?;
        let op = Op::Refine(refinements.by_ref().take(RECORD_REFINEMENTS).collect());
        file.append(op.kind(), &op.encode()?)?;
    }
    Ok(file.finish()?)
}

fn write(file: &mut SnapshotWriter, points: Vec<Point>) -> Result<(), IndexError> {
    let op = Op::Upsert(points);
    Ok(file.append(op.kind(), &op.encode()?)?)
}
