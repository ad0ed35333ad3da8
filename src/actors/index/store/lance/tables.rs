//! The tables of a folder or a bucket, opened once, and what is done again when another writer was first.

use std::collections::HashMap;
use std::fs::File;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lancedb::arrow::arrow_schema::ArrowError;
use lancedb::{Connection, ObjectStoreRegistry, Session, Table};
use tokio::sync::OnceCell;

use super::layout;
use crate::actors::index::store::Stored;
use crate::engines::index::IndexError;
use crate::types::collection::Backend;

/// Of indexes that were read, and of what tells where rows are. Beyond them an engine reads again.
const INDEX_CACHE_BYTES: usize = 1 << 30;
const METADATA_CACHE_BYTES: usize = 256 << 20;
/// How often a write is tried that others were faster than.
const ATTEMPTS: u32 = 8;
/// How long is waited before it is tried again, the first time; then twice as long each time.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// What can go wrong in a table.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Engine(Box<lancedb::Error>),
    #[error("{0}")]
    Rows(#[from] ArrowError),
    #[error("{0}")]
    Disk(#[from] std::io::Error),
    /// What should not be.
    #[error("{0}")]
    Odd(&'static str),
    #[error("{0}")]
    Own(#[from] IndexError),
}

impl From<lancedb::Error> for Failure {
    fn from(error: lancedb::Error) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl Failure {
    /// What the engine says.
    fn engine(&self) -> Option<&lancedb::Error> {
        match self {
            Self::Engine(error) => Some(error),
            _ => None,
        }
    }

    /// Whether another writer was first.
    pub(super) fn is_conflict(&self) -> bool {
        use lance::Error as E;
        match self.engine() {
            Some(lancedb::Error::Lance { source }) => matches!(
                source,
                E::CommitConflict { .. }
                    | E::RetryableCommitConflict { .. }
                    | E::TooMuchWriteContention { .. }
                    | E::IncompatibleTransaction { .. }
            ),
            _ => false,
        }
    }

    fn is_gone(&self) -> bool {
        use lance::Error as E;
        match self.engine() {
            Some(lancedb::Error::TableNotFound { .. }) => true,
            Some(lancedb::Error::Lance { source }) => {
                matches!(source, E::DatasetNotFound { .. } | E::NotFound { .. })
            }
            _ => false,
        }
    }

    /// The same of a collection.
    pub(super) fn of(self, name: &str) -> IndexError {
        let (name, backend) = (name.to_owned(), Backend::Lance);
        if let Some(lancedb::Error::TableAlreadyExists { .. }) = self.engine() {
            return IndexError::Exists(name);
        }
        match self {
            Self::Own(error) => error,
            gone if gone.is_gone() => IndexError::Gone { name, backend },
            other => {
                // It names files and buckets, which are nobody's business who asks.
                tracing::warn!(collection = name, error = %other, "lance tables failed");
                IndexError::Engine {
                    backend,
                    reason: "its tables cannot be read or written; the log says why".to_owned(),
                    retry_after_ms: Some(1_000),
                }
            }
        }
    }
}

/// A table that is open.
#[derive(Clone)]
struct Open {
    table: Table,
    /// Held by who writes it: writers of this process need not try again for each other.
    writing: Arc<tokio::sync::Mutex<()>>,
}

/// The tables.
pub(super) struct Tables {
    uri: String,
    connection: OnceCell<Connection>,
    open: Mutex<HashMap<String, Open>>,
}

impl Tables {
    pub(super) fn new(uri: &str) -> Self {
        Self {
            uri: uri.to_owned(),
            connection: OnceCell::new(),
            open: Mutex::default(),
        }
    }

    async fn connection(&self) -> Result<&Connection, Failure> {
        let connect = || async {
            let registry = Arc::new(ObjectStoreRegistry::default());
            let session = Session::new(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES, registry);
            let connect = lancedb::connect(&self.uri).session(Arc::new(session));
            // Every read looks for what others have written.
            let connect = connect.read_consistency_interval(Duration::ZERO);
            Ok(connect.execute().await?)
        };
        self.connection.get_or_try_init(connect).await
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, name: &str, table: Table) -> Open {
        let mut open = self.open();
        let kept = open.entry(name.to_owned()).or_insert_with(|| Open {
            table,
            writing: Arc::default(),
        });
        kept.clone()
    }

    /// The table of a collection.
    async fn table(&self, name: &str) -> Result<Open, Failure> {
        if let Some(open) = self.open().get(name) {
            return Ok(open.clone());
        }
        let table = self.connection().await?.open_table(name).execute().await?;
        Ok(self.keep(name, table))
    }

    /// Every collection's table with what it says of itself.
    pub(super) async fn list(&self) -> Result<Vec<Stored>, Failure> {
        let mut found = Vec::new();
        for name in self.connection().await?.table_names().execute().await? {
            match self.described(&name).await {
                Ok(Some(stored)) if stored.spec.name == name => found.push(stored),
                Ok(_) => {}
                // It was removed meanwhile.
                Err(failure) if failure.is_gone() => self.forget(&name),
                Err(failure) => return Err(failure),
            }
        }
        Ok(found)
    }

    async fn described(&self, name: &str) -> Result<Option<Stored>, Failure> {
        let table = self.table(name).await?.table;
        Ok(layout::read(table.schema().await?.as_ref()))
    }

    /// Makes an empty table.
    pub(super) async fn create(&self, stored: &Stored) -> Result<(), Failure> {
        let name = &stored.spec.name;
        let schema = layout::schema(stored)?;
        let connection = self.connection().await?;
        let table = connection
            .create_empty_table(name, schema)
            .execute()
            .await?;
        self.forget(name);
        self.keep(name, table);
        self.sync().await
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), Failure> {
        self.forget(name);
        let connection = self.connection().await?;
        match connection
            .drop_table(name, &[])
            .await
            .map_err(Failure::from)
        {
            Err(failure) if failure.is_gone() => Ok(()),
            done => done,
        }?;
        self.sync().await
    }

    fn forget(&self, name: &str) {
        self.open().remove(name);
    }

    /// Reads a table.
    pub(super) async fn read<T, F>(
        &self,
        name: &str,
        work: impl FnOnce(Table) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let done = Box::pin(work(self.table(name).await?.table)).await;
        if done.as_ref().is_err_and(Failure::is_gone) {
            self.forget(name);
        }
        done
    }

    /// Writes a table, again when another writer was first. What it wrote is on the disk when it returns.
    pub(super) async fn write<T, F>(
        &self,
        name: &str,
        work: impl Fn(Table) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let writing = self.table(name).await?.writing;
        let _held = writing.lock().await;
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            match self.read(name, &work).await {
                Err(failure) if failure.is_conflict() && attempt < ATTEMPTS => {
                    tracing::debug!(name, attempt, %failure, "another writer was first, trying again");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                done => {
                    self.sync().await?;
                    return done;
                }
            }
        }
        Err(Failure::Odd("it was never tried"))
    }

    /// Brings what was written to a folder on the disk: the engine leaves that to the system. A bucket does it itself.
    async fn sync(&self) -> Result<(), Failure> {
        let Some(folder) = folder(&self.uri) else {
            return Ok(());
        };
        let synced = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
            let folder = File::open(folder)?;
            Ok(rustix::fs::syncfs(&folder)?)
        });
        match synced.await {
            Ok(done) => Ok(done?),
            Err(lost) => Err(std::io::Error::other(lost).into()),
        }
    }
}

/// The folder that a URI is; `None`: a bucket.
fn folder(uri: &str) -> Option<PathBuf> {
    match uri.split_once("://") {
        None => Some(PathBuf::from(uri)),
        Some(("file", path)) => Some(PathBuf::from(path)),
        Some(_) => None,
    }
}
