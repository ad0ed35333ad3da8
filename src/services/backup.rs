//! The whole data folder out while it serves, and back in while nothing does.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::{EngineError, ServiceError, fault};
use super::{Services, now_ms};
use crate::storage::backup::{self, BackupError, BackupHead, Packer, Pinned};
pub use crate::storage::backup::{BackupManifest, Target};
use crate::storage::data_lock::{DataLock, DataLockError};
use crate::storage::evidence_log::{PageQuery, page};
use crate::types::error_kind::ErrorKind;

/// Waits before a collection whose queue is full is asked again.
const WAIT: Duration = Duration::from_millis(100);

impl EngineError for BackupError {
    fn error_kind(&self) -> ErrorKind {
        self.kind()
    }
}

/// Where backups read from; one at a time, for each holds files open that were removed since.
pub struct Backups {
    data_dir: PathBuf,
    turn: Mutex<Weak<Turn>>,
}

impl Backups {
    /// Of this data folder.
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            turn: Mutex::default(),
        }
    }

    /// Takes the turn, also from one of which nobody has taken anything for long.
    ///
    /// Errors: another one is under way.
    fn take_turn(&self, now: Instant) -> Result<Arc<Turn>, ServiceError> {
        let mut current = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = current.upgrade() {
            if !other.is_left(now) {
                let message = "another backup is under way; wait until it ends";
                let error = ServiceError::new(ErrorKind::Conflict, message);
                return Err(error.code("backup_under_way"));
            }
            tracing::warn!("a backup is given up: its reader takes nothing of it");
            other.over.store(true, Ordering::Relaxed);
        }
        let turn = Arc::new(Turn::default());
        *current = Arc::downgrade(&turn);
        Ok(turn)
    }
}

/// Longest silence of whoever reads a backup while another one waits for it.
const SILENCE: Duration = Duration::from_secs(300);

/// The one backup that may be under way; it ends with its last handle.
#[derive(Default)]
struct Turn {
    /// Since when the reader has had all that there was; `None` while more is being read for it.
    idle: Mutex<Option<Instant>>,
    /// Another one has begun.
    over: AtomicBool,
}

impl Turn {
    fn idle(&self) -> MutexGuard<'_, Option<Instant>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_left(&self, now: Instant) -> bool {
        let idle = *self.idle();
        idle.is_some_and(|since| now.saturating_duration_since(since) >= SILENCE)
    }

    /// Errors: another backup has begun meanwhile.
    fn go_on(&self) -> Result<(), ServiceError> {
        *self.idle() = None;
        if !self.over.load(Ordering::Relaxed) {
            return Ok(());
        }
        let seconds = SILENCE.as_secs();
        let message =
            format!("nothing of the backup was taken for {seconds} s, and another one has begun");
        Err(ServiceError::new(ErrorKind::Conflict, message).code("backup_given_up"))
    }
}

/// A request to `GET /v1/backup`.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BackupInput {
    /// Also the models that were pulled. Default false: `boathouse models pull` brings them again.
    #[serde(default)]
    pub models: bool,
}

/// A part of the data folder, pinned when its turn comes.
enum Part {
    Collection(String),
    Folder(String),
    Journal,
}

/// A backup under way.
pub struct Backup {
    services: Arc<Services>,
    packer: Packer,
    parts: VecDeque<Part>,
    bytes_about: u64,
    turn: Arc<Turn>,
}

/// Begins a backup of everything that was acknowledged until now. Each collection, each dataset and the journal are in it as
/// they are at one moment, the journal last: datasets say what they were made of.
///
/// Errors: another one is under way; the data folder cannot be read.
pub async fn begin(services: Arc<Services>, input: BackupInput) -> Result<Backup, ServiceError> {
    let turn = services.backups.take_turn(Instant::now())?;
    // Before the list of collections: one that is made later need not be in it.
    let began_ms = now_ms();
    let (names, elsewhere) = services.collections.names_here();
    let data_dir = services.backups.data_dir.clone();
    let (parts, bytes_about) = blocking(move || {
        let parts = parts_of(&data_dir, names, input.models)?;
        Ok::<_, BackupError>((parts, backup::estimate(&data_dir, input.models)))
    })
    .await?;
    *turn.idle() = Some(Instant::now());
    Ok(Backup {
        services,
        packer: packer_of(began_ms, elsewhere),
        parts,
        bytes_about,
        turn,
    })
}

fn packer_of(began_ms: u64, elsewhere: Vec<String>) -> Packer {
    let mut packer = Packer::new(began_ms);
    for name in elsewhere {
        packer.manifest().warnings.push(not_in_it(&name));
    }
    packer
}

fn not_in_it(name: &str) -> String {
    format!("collection {name} is not in it: the engine that keeps it has backups of its own")
}

fn parts_of(
    data_dir: &Path,
    collections: Vec<String>,
    models: bool,
) -> Result<VecDeque<Part>, BackupError> {
    let mut folders = backup::dataset_folders(data_dir)?;
    folders.extend(backup::others(data_dir, models)?);
    let collections = collections.into_iter().map(Part::Collection);
    let folders = folders.into_iter().map(Part::Folder);
    Ok(collections.chain(folders).chain([Part::Journal]).collect())
}

/// What a backup does next.
enum Next {
    Piece(Vec<u8>),
    End(Vec<u8>),
}

impl Backup {
    /// How long it will be, about, bytes.
    pub fn bytes_about(&self) -> u64 {
        self.bytes_about
    }

    /// The file, piece by piece, as fast as they are taken. Where a part cannot be read the file ends with the reason; it is
    /// no backup then, and whoever reads it is told.
    pub fn pieces(self) -> impl Stream<Item = Result<Bytes, ServiceError>> {
        try_unfold(Some(self), |backup| async move {
            let Some(mut backup) = backup else {
                return Ok(None);
            };
            backup.turn.go_on().map_err(told)?;
            let next = backup.next().await?;
            *backup.turn.idle() = Some(Instant::now());
            match next {
                Next::Piece(piece) => Ok(Some((Bytes::from(piece), Some(backup)))),
                Next::End(piece) => Ok(Some((Bytes::from(piece), None))),
            }
        })
    }

    async fn next(&mut self) -> Result<Next, ServiceError> {
        loop {
            let mut packer = std::mem::replace(&mut self.packer, Packer::new(0));
            let (packer, piece) = blocking(move || {
                let piece = packer.piece();
                Ok::<_, ServiceError>((packer, piece))
            })
            .await?;
            self.packer = packer;
            let piece = piece.map_err(|error| told(error.into()))?;
            if let Some(piece) = piece {
                return Ok(Next::Piece(piece));
            }
            let Some(part) = self.parts.pop_front() else {
                return self.finish();
            };
            let added = match self.pin(part).await {
                Ok(files) => self.packer.add(files).map_err(ServiceError::from),
                Err(error) => Err(error),
            };
            if let Err(error) = added {
                let error = told(error);
                return Ok(Next::End(self.take_packer().fail(&error.message)));
            }
        }
    }

    fn finish(&mut self) -> Result<Next, ServiceError> {
        let manifest = self.packer.manifest();
        let (collections, seq) = (
            manifest.collections.len(),
            manifest.journal.as_ref().map(|head| head.seq),
        );
        let (files, bytes) = (manifest.files.len(), manifest.bytes());
        let end = self.take_packer().finish(now_ms())?;
        tracing::info!(collections, seq, files, bytes, "backup complete");
        Ok(Next::End(end))
    }

    fn take_packer(&mut self) -> Packer {
        std::mem::replace(&mut self.packer, Packer::new(0))
    }

    async fn pin(&mut self, part: Part) -> Result<Vec<Pinned>, ServiceError> {
        let data_dir = self.services.backups.data_dir.clone();
        match part {
            Part::Collection(name) => self.collection(data_dir, name).await,
            Part::Folder(path) => {
                blocking(move || Ok::<_, BackupError>(backup::whole_folder(&data_dir, &path)?))
                    .await
            }
            Part::Journal => {
                let pinned = self
                    .services
                    .journal
                    .pin(self.services.job_deadline())
                    .await;
                let (files, head) = pinned.map_err(|failed| fault("evidence", failed))?;
                self.packer.manifest().journal = Some(BackupHead {
                    seq: head.seq,
                    hash: head.hash,
                });
                Ok(files)
            }
        }
    }

    /// A collection that cannot open is taken as it lies: a damaged one must not keep the others from being backed up.
    async fn collection(
        &mut self,
        data_dir: PathBuf,
        name: String,
    ) -> Result<Vec<Pinned>, ServiceError> {
        let deadline = self.services.job_deadline();
        let refused = loop {
            // Removed since the backup began: then it is not in it.
            let Ok(cell) = self.services.collections.held(&name) else {
                return Ok(Vec::new());
            };
            match cell.pin(deadline).await {
                // It went over since the backup began.
                Ok(_) if !cell.backend().is_own() => {
                    self.packer.manifest().warnings.push(not_in_it(&name));
                    return Ok(Vec::new());
                }
                Ok(files) => {
                    self.packer.manifest().collections.push(name);
                    return Ok(files);
                }
                Err(supervisors::Fault::Busy) if !deadline.remaining().is_zero() => {
                    tokio::time::sleep(WAIT).await;
                }
                Err(failed) => break fault(&name, failed),
            }
        };
        if self.services.collections.held(&name).is_err() {
            return Ok(Vec::new());
        }
        let warning = format!(
            "collection {name} could not be asked, its files are as they lie: {}",
            refused.message
        );
        tracing::warn!("{warning}");
        self.packer.manifest().warnings.push(warning);
        self.packer.manifest().collections.push(name.clone());
        blocking(move || Ok::<_, BackupError>(backup::pin_as_it_lies(&data_dir, &name)?)).await
    }
}

/// The client sees at most that the answer broke off.
fn told(error: ServiceError) -> ServiceError {
    tracing::error!(%error, "backup failed");
    error
}

async fn blocking<T: Send + 'static, E: Into<ServiceError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?
        .map_err(Into::into)
}

/// A data folder that no server has.
pub struct Closed {
    data_dir: PathBuf,
    _lock: DataLock,
}

impl Closed {
    /// Takes the folder; `None`: a server has it, and is to be asked.
    ///
    /// Errors: it is not there, or cannot be used.
    pub fn open(data_dir: &Path) -> Result<Option<Self>, ServiceError> {
        if !data_dir.is_dir() {
            return Err(ServiceError::not_found(format!(
                "there is no data folder {}; name it with --data",
                data_dir.display()
            )));
        }
        match DataLock::acquire(data_dir) {
            Ok(lock) => Ok(Some(Self {
                data_dir: data_dir.to_owned(),
                _lock: lock,
            })),
            Err(DataLockError::Taken { .. }) => Ok(None),
            Err(error) => Err(ServiceError::new(ErrorKind::Conflict, error.to_string())),
        }
    }

    /// How long its backup will be, about, bytes.
    pub fn bytes_about(&self, input: &BackupInput) -> u64 {
        backup::estimate(&self.data_dir, input.models)
    }

    /// Packs it; `take` gets the file piece by piece.
    ///
    /// Errors: a file that cannot be read; what `take` says.
    pub fn back_up(
        &self,
        input: &BackupInput,
        mut take: impl FnMut(&[u8]) -> Result<(), ServiceError>,
    ) -> Result<(), ServiceError> {
        let names = backup::collection_names(&self.data_dir)?;
        let mut packer = Packer::new(now_ms());
        for part in parts_of(&self.data_dir, names, input.models)? {
            let files = match part {
                Part::Collection(name) => {
                    packer.manifest().collections.push(name.clone());
                    backup::pin_as_it_lies(&self.data_dir, &name)?
                }
                Part::Folder(path) => backup::whole_folder(&self.data_dir, &path)?,
                Part::Journal => {
                    packer.manifest().journal = self.head()?;
                    let mut files = backup::whole_folder(&self.data_dir, "evidence")?;
                    files.retain(|file| !file.path().ends_with(".tmp"));
                    files
                }
            };
            packer.add(files)?;
            while let Some(piece) = packer.piece()? {
                take(&piece)?;
            }
        }
        take(&packer.finish(now_ms())?)
    }

    /// The newest record that can be read.
    fn head(&self) -> Result<Option<BackupHead>, ServiceError> {
        let query = PageQuery {
            after: None,
            newest_first: true,
            limit: 1,
            bytes: 1,
            scanned: 64 << 20,
        };
        let newest = page(&self.data_dir.join("evidence"), &query, |_| true)?;
        let newest = newest.records.into_iter().next();
        Ok(newest.map(|record| BackupHead {
            seq: record.seq,
            hash: record.hash,
        }))
    }
}

/// What whoever stops it is told.
pub fn stopped() -> ServiceError {
    BackupError::Stopped.into()
}

/// Reads a backup and checks every sum. `go_on` hears of bytes read, and ends it by `false`.
///
/// Errors: the file that is not as it was written.
pub fn verify(
    path: &Path,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<BackupManifest, ServiceError> {
    Ok(backup::verify(open(path)?, go_on)?)
}

/// Puts a backup into a data folder that is empty or not there yet; all of it or nothing.
///
/// Errors: the file that is not as it was written; a folder that is in use; the disk refuses.
pub fn restore(
    path: &Path,
    data_dir: &Path,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<BackupManifest, ServiceError> {
    Ok(backup::restore(open(path)?, data_dir, go_on)?)
}

fn open(path: &Path) -> Result<File, ServiceError> {
    let file = File::open(path).and_then(|file| match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("it is no file")),
    });
    file.map_err(|error| {
        ServiceError::not_found(format!("backup {} cannot be read: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_that_nobody_reads_gives_way_to_another() {
        let backups = Backups::new(PathBuf::new());
        let now = Instant::now();
        let first = backups.take_turn(now).unwrap();
        // As long as it works, it may take as long as it does.
        assert!(backups.take_turn(now + 10 * SILENCE).is_err());
        *first.idle() = Some(now);
        let soon = backups.take_turn(now + SILENCE / 2);
        assert_eq!(soon.err().unwrap().code, Some("backup_under_way"));
        let second = backups.take_turn(now + SILENCE).unwrap();
        let gone = first.go_on().unwrap_err();
        assert_eq!(gone.code, Some("backup_given_up"));
        second.go_on().unwrap();
        drop(first);
        assert!(backups.take_turn(now).is_err());
        drop(second);
        assert!(backups.take_turn(now).is_ok());
    }
}
