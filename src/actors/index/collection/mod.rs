//! A collection that survives: a change is on the disk first, then in memory, then acknowledged.

mod declare;
mod graph_file;
mod info;
mod maintenance;
mod reembed;
pub mod repair;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};

use info::{Building, Gauges};
pub use info::{CollectionInfo, GraphInfo, GraphState, RefinementInfo};
pub use reembed::{ReembedBatch, ReembedInfo, ReembedState, ReembedTarget};

use crate::engines::index::{
    self, Change, Contents, Filter, IndexConfig, IndexError, Op, Refinement, Rows, Scope,
    SearchRequest, SearchResult,
};
use crate::storage::backup::{Pinned, pin_collection};
use crate::storage::disk::{self, StorageError};
use crate::storage::file_lock::FileLock;
use crate::storage::snapshot::{self, Manifest, SnapshotWriter};
use crate::storage::wal::{self, Cut, Wal};
use crate::types::collection::CollectionSpec;
use crate::types::point::Point;

/// One collection, opened: many readers at a time, one writer.
///
/// A write is checked whole, logged as one record, synced, applied, and only then acknowledged.
/// Readers wait for none of it but the moment of applying. A failed sync, or a panic while
/// applying, [poisons](Self::is_poisoned) it: what counts then is the disk, so open it anew.
#[derive(Debug)]
pub struct DurableCollection {
    dir: PathBuf,
    name: String,
    config: IndexConfig,
    contents: RwLock<Contents>,
    /// Invariant: held by whoever changes the log or the contents, before `contents` is locked.
    writer: Mutex<Writer>,
    /// Invariant: held while contents are rebuilt, so that row numbers stay what a graph says.
    maintaining: Mutex<()>,
    /// Invariant: held while a snapshot writes to the folder, outside the writer's lock.
    snapshotting: Mutex<()>,
    poisoned: AtomicBool,
    gauges: Gauges,
    building: Building,
    reembedding: reembed::Runs,
    cut: Option<Cut>,
    /// Keeps other processes, and a second opening in this one, out of the folder.
    _lock: FileLock,
}

/// The write side.
#[derive(Debug)]
struct Writer {
    wal: Wal,
    /// Bytes of the log's files before the last one.
    older_bytes: u64,
}

impl DurableCollection {
    /// Creates the collection's folder and opens it. After a crash it is there whole or not at all.
    ///
    /// Errors: [`IndexError::Exists`] when the folder is taken; a bad `spec` or `config`.
    pub fn create(
        dir: &Path,
        spec: CollectionSpec,
        config: IndexConfig,
    ) -> Result<Self, IndexError> {
        index::check_spec(&spec)?;
        config.validate().map_err(IndexError::BadConfig)?;
        if dir.exists() {
            return Err(IndexError::Exists(spec.name));
        }
        let root = dir.parent().unwrap_or(Path::new("."));
        // A folder whose name starts with a dot is no collection yet.
        let staging = root.join(format!(".creating-{}", spec.name));
        if staging.exists() {
            fs::remove_dir_all(&staging).map_err(StorageError::io("remove", &staging))?;
        }
        disk::create_dir(&staging)?;
        SnapshotWriter::create(&staging, 1, seed(), 0)?.finish()?;
        Wal::create(&staging, 1, seed(), 1)?;
        Manifest {
            spec,
            generation: 1,
            lsn: 0,
        }
        .store(&staging)?;
        disk::rename(&staging, dir)?;
        disk::sync_dir(root).map_err(StorageError::io("sync", root))?;
        Self::open(dir, config)
    }

    /// Opens the collection in `dir`: its snapshot, then its log.
    ///
    /// Errors: [`IndexError::Locked`] while it is open elsewhere; damage, with file and offset.
    pub fn open(dir: &Path, config: IndexConfig) -> Result<Self, IndexError> {
        config.validate().map_err(IndexError::BadConfig)?;
        let lock = lock(dir)?;
        let manifest = Manifest::load(dir)?;
        index::check_spec(&manifest.spec)?;
        let mut contents = Contents::new(manifest.spec.clone());
        let apply = |contents: &mut Contents, record: wal::Record<'_>| {
            contents
                .apply(Op::decode(record.kind, record.body)?.into())
                .map(drop)
        };
        snapshot::read(dir, &manifest, |record| apply(&mut contents, record))?;
        // Before the log: the graph is over the snapshot's rows, as they are now.
        graph_file::read(dir, &manifest, &mut contents, &config)?;
        let (generation, lsn) = (manifest.generation, manifest.lsn + 1);
        let recovered = wal::recover(dir, generation, lsn, |record| apply(&mut contents, record))?;
        if let Some(Cut {
            file,
            offset,
            bytes,
            reason,
        }) = &recovered.cut
        {
            tracing::warn!(
                file,
                offset,
                bytes,
                reason,
                "removed a write that a crash cut short"
            );
        }
        snapshot::sweep(dir, &manifest)?;
        let writer = Writer {
            wal: recovered.wal,
            older_bytes: recovered.older_bytes,
        };
        let gauges = Gauges::default();
        gauges.log_is(&writer);
        gauges.snapshot_is(
            manifest.generation,
            snapshot::bytes_of(dir, manifest.generation)?,
        );
        Ok(Self {
            dir: dir.to_owned(),
            name: manifest.spec.name,
            config,
            contents: RwLock::new(contents),
            writer: Mutex::new(writer),
            maintaining: Mutex::new(()),
            snapshotting: Mutex::new(()),
            poisoned: AtomicBool::new(false),
            gauges,
            building: Building::default(),
            reembedding: reembed::Runs::default(),
            cut: recovered.cut,
            _lock: lock,
        })
    }

    /// Whether a failure left the memory behind the disk. Every call fails until it is opened anew.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Gives the folder up: when this returns, nothing here writes to it any more, whoever still holds it.
    pub fn retire(&self) {
        self.poison();
        // A write or snapshot under way ends first; the next sees the poison.
        drop(self.writer.lock());
        drop(self.snapshotting.lock());
    }

    /// Pins the files for a backup: with them the collection opens as it is now. Writes wait for the opening of the files only.
    pub fn pin(&self) -> Result<Vec<Pinned>, IndexError> {
        // While it is held nothing is appended, and no file goes.
        let writer = self.writer()?;
        Ok(pin_collection(
            &self.dir,
            writer.wal.number(),
            writer.wal.bytes(),
        )?)
    }

    /// Inserts or replaces points, all or none; durable when it returns.
    ///
    /// Of points with the same id the last one counts. Returns how many different ones there were.
    pub fn upsert(&self, points: Vec<Point>) -> Result<usize, IndexError> {
        self.upsert_by(points, None)
    }

    /// The same for points whose vectors were made by the model of a fingerprint: refused where the collection has
    /// another by now.
    pub fn upsert_by(
        &self,
        points: Vec<Point>,
        made_by: Option<&str>,
    ) -> Result<usize, IndexError> {
        let spec = self.spec()?;
        let points = index::admit(points, &spec, &self.config)?;
        if points.is_empty() {
            return Ok(0);
        }
        let ids: Vec<String> = points.iter().map(|point| point.id.clone()).collect();
        let op = Op::Upsert(points);
        // The slow parts come first, while nobody waits for them.
        let write = Write::new(op)?;
        let mut writer = self.writer()?;
        self.reembedding.refuse_points(&self.name)?;
        let contents = self.contents()?;
        contents.check_model(made_by)?;
        if contents.spec().dim != spec.dim {
            return Err(IndexError::OtherModel(self.name.clone()));
        }
        let new = ids.iter().filter(|id| !contents.contains(id)).count();
        let (got, limit) = (contents.live() + new, self.config.max_points);
        drop(contents);
        if got > limit {
            return Err(IndexError::TooLarge {
                what: format!("points of collection {}", self.name),
                got,
                limit,
            });
        }
        self.commit(&mut writer, write)
    }

    /// Deletes points by id; durable when it returns. Returns how many there were.
    pub fn delete_ids(&self, ids: &[String]) -> Result<usize, IndexError> {
        let writer = self.writer()?;
        let contents = self.contents()?;
        let known: BTreeSet<&String> = ids.iter().filter(|id| contents.contains(id)).collect();
        drop(contents);
        self.delete(writer, known.into_iter().cloned().collect())
    }

    /// Deletes the points that `scope` may see and that match; durable when it returns. Returns how many
    /// there were.
    pub fn delete_where(&self, filter: &Filter, scope: Scope<'_>) -> Result<usize, IndexError> {
        let writer = self.writer()?;
        let ids = self.contents()?.ids_where(filter, scope)?;
        self.delete(writer, ids)
    }

    /// Deletes the points that have expired. Returns how many there were.
    fn delete_expired(&self, now_ms: u64) -> Result<usize, IndexError> {
        let mut deleted = 0;
        loop {
            // Found and deleted under one lock: a point that is written anew meanwhile stays.
            let writer = self.writer()?;
            let ids = self
                .contents()?
                .expired(now_ms, self.config.max_batch_points);
            match self.delete(writer, ids)? {
                0 => return Ok(deleted),
                count => deleted += count,
            }
        }
    }

    fn delete(
        &self,
        mut writer: MutexGuard<'_, Writer>,
        ids: Vec<String>,
    ) -> Result<usize, IndexError> {
        if ids.is_empty() {
            return Ok(0);
        }
        self.commit(&mut writer, Write::new(Op::Delete(ids))?)
    }

    /// Gives points their second vectors, each where its text is still the same; durable when it returns.
    /// Returns how many there were.
    pub fn refine(&self, refined: Vec<Refinement>) -> Result<usize, IndexError> {
        if refined.is_empty() {
            return Ok(0);
        }
        self.contents()?.check_refinements(&refined)?;
        let write = Write::new(Op::Refine(refined))?;
        let mut writer = self.writer()?;
        self.commit(&mut writer, write)
    }

    /// Ids and texts of up to `limit` points that wait for a second vector.
    pub fn unrefined(&self, limit: usize) -> Result<Vec<(String, String)>, IndexError> {
        Ok(self.contents()?.unrefined(limit))
    }

    /// Logs and applies a change that has been checked.
    fn commit(&self, writer: &mut Writer, write: Write) -> Result<usize, IndexError> {
        let logged = match writer.wal.bytes() >= self.config.snapshot_wal_bytes {
            true => self.rotate(writer),
            false => Ok(()),
        };
        let logged = logged.and_then(|()| Ok(writer.wal.append(write.kind, &write.body)?));
        self.gauges.log_is(writer);
        if let Err(error) = logged {
            if writer.wal.has_failed() {
                self.poison();
            }
            return Err(error);
        }
        let unless_panic = PoisonOnDrop(&self.poisoned);
        let applied = self
            .contents
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(write.change);
        // An error is as bad as a panic here: the log has what the memory does not.
        if applied.is_ok() {
            unless_panic.disarm();
        }
        applied
    }

    /// Goes on in a new file of the log.
    fn rotate(&self, writer: &mut Writer) -> Result<(), IndexError> {
        let full = writer.wal.bytes();
        writer.wal.rotate(&self.dir, seed())?;
        writer.older_bytes += full;
        Ok(())
    }

    /// Finds the points nearest to a query, at a Unix time in milliseconds.
    pub fn search(&self, request: &SearchRequest, now_ms: u64) -> Result<SearchResult, IndexError> {
        self.contents()?.search(request, &self.config, now_ms)
    }

    /// Answers each search by itself; all see the same points. A write waits until they are answered.
    pub fn search_all(
        &self,
        requests: &[SearchRequest],
        now_ms: u64,
    ) -> Result<Vec<Result<SearchResult, IndexError>>, IndexError> {
        let contents = self.contents()?;
        let search = |request| contents.search(request, &self.config, now_ms);
        Ok(requests.iter().map(search).collect())
    }

    /// The properties and everything as they are now; later writes do not touch them.
    pub fn view(&self) -> Result<(Arc<CollectionSpec>, Rows), IndexError> {
        let contents = self.contents()?;
        Ok((Arc::clone(contents.spec()), contents.view()))
    }

    /// Reads one point, if `scope` may see it.
    pub fn get(&self, id: &str, scope: Scope<'_>) -> Result<Option<Point>, IndexError> {
        self.contents()?.get(id, scope)
    }

    /// Reads up to `limit` points that `scope` may see after the id `after`, in order of id, and the id to go
    /// on after.
    pub fn scroll(
        &self,
        after: Option<&str>,
        limit: usize,
        filter: Option<&Filter>,
        scope: Scope<'_>,
    ) -> Result<(Vec<Point>, Option<String>), IndexError> {
        if !(1..=1_000).contains(&limit) {
            return Err(IndexError::BadQuery(format!(
                "limit must be 1 to 1000, got {limit}"
            )));
        }
        self.contents()?.scroll(after, limit, filter, scope)
    }

    /// Counts the points that `scope` may see, or those of them that match.
    pub fn count(&self, filter: Option<&Filter>, scope: Scope<'_>) -> Result<usize, IndexError> {
        self.contents()?.count(filter, scope)
    }

    /// The collection's properties, if that is told at once: a writer may be applying its change.
    pub(super) fn spec_at_once(&self) -> Option<Arc<CollectionSpec>> {
        let contents = match self.contents.try_read() {
            Ok(contents) => contents,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        self.check().ok().map(|()| Arc::clone(contents.spec()))
    }

    /// The collection's properties.
    pub fn spec(&self) -> Result<Arc<CollectionSpec>, IndexError> {
        Ok(Arc::clone(self.contents()?.spec()))
    }

    fn contents(&self) -> Result<RwLockReadGuard<'_, Contents>, IndexError> {
        let contents = self.contents.read().unwrap_or_else(PoisonError::into_inner);
        self.check().map(|()| contents)
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>, IndexError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.check().map(|()| writer)
    }

    fn check(&self) -> Result<(), IndexError> {
        match self.is_poisoned() {
            true => Err(IndexError::Poisoned(self.name.clone())),
            false => Ok(()),
        }
    }

    fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }
}

/// A change in both its forms: for the log and for the memory.
struct Write {
    kind: u8,
    body: Vec<u8>,
    change: Change,
}

impl Write {
    fn new(op: Op) -> Result<Self, StorageError> {
        Ok(Self {
            kind: op.kind(),
            body: op.encode()?,
            change: op.into(),
        })
    }
}

/// Poisons the collection when it is dropped before it is disarmed: during a panic.
struct PoisonOnDrop<'a>(&'a AtomicBool);

impl PoisonOnDrop<'_> {
    fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for PoisonOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn lock(dir: &Path) -> Result<FileLock, IndexError> {
    let path = dir.join("LOCK");
    let lock = FileLock::try_take(&path).map_err(StorageError::io("lock", &path))?;
    lock.ok_or_else(|| IndexError::Locked(disk::short(dir)))
}

/// Differs from file to file; nothing else is asked of it.
fn seed() -> u64 {
    RandomState::new().hash_one(0_u8)
}
