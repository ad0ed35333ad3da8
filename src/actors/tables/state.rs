//! Which tables there are, where they come from, and how they are.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::read::read_table;
use crate::engines::index::Rows;
use crate::engines::validation::{
    Calendar, DEMO_ROSTER, FillConfig, Filling, Live, Roster, Table, TableError, Tables, add_object,
};
use crate::types::roster::TableStatus;

/// Bytes of points taken at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Where a table comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The roster of the demo, which never changes.
    Demo,
    /// A file.
    File(PathBuf),
    /// The points of a collection of this server.
    Collection(String),
}

impl Source {
    /// Reads `collection:NAME`, or a path.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("collection:") {
            Some(name) => Self::Collection(name.trim().to_owned()),
            None => Self::File(PathBuf::from(text)),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Demo => "demo".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Collection(name) => format!("collection:{name}"),
        }
    }
}

/// By what a changed source is known.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mark {
    File(Option<SystemTime>, u64),
    Lsn(u64),
}

/// One table's source.
#[derive(Debug)]
struct Watched {
    source: Source,
    /// The state that was last read, whether it could be used or not.
    seen: Option<Mark>,
    status: TableStatus,
}

/// The tables, shared by whoever judges by them and whoever renews them.
#[derive(Debug)]
pub struct TablesState {
    tables: Tables,
    roster: Mutex<Watched>,
    calendar: Option<Mutex<Watched>>,
}

impl TablesState {
    /// Reads what the settings name. A roster out of a collection is empty until that is asked.
    ///
    /// Errors: the file, the place in it, and what is wrong.
    pub fn load(config: &FillConfig, now_ms: u64) -> Result<Self, TableError> {
        let source = config.roster.as_deref().map_or(Source::Demo, Source::parse);
        let roster = Watched::new("roster", source);
        let calendar = config.calendar.as_deref();
        let calendar = calendar.map(|path| Watched::new("calendar", Source::File(path.into())));
        let state = Self {
            tables: Tables::default(),
            roster: Mutex::new(roster),
            calendar: calendar.map(Mutex::new),
        };
        let mut roster = locked(&state.roster);
        match roster.source.clone() {
            Source::Demo => {
                let demo = Roster::parse_csv(DEMO_ROSTER);
                let demo = demo.map_err(|error| TableError::unread("demo", error))?;
                roster.status.rows = demo.len();
                roster.status.loaded_at_ms = Some(now_ms);
                state.tables.roster.replace(demo);
            }
            Source::File(path) => {
                read_first(
                    &mut roster,
                    &path,
                    &state.tables.roster,
                    Roster::len,
                    now_ms,
                )?;
            }
            Source::Collection(name) => {
                roster.status.error = Some(format!("collection {name} has not been read yet"));
            }
        }
        drop(roster);
        if let Some(calendar) = &state.calendar {
            let mut watched = locked(calendar);
            if let Source::File(path) = watched.source.clone() {
                let live = &state.tables.calendar;
                read_first(&mut watched, &path, live, Calendar::len, now_ms)?;
            }
        }
        Ok(state)
    }

    /// The tables themselves.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// How each is.
    pub fn status(&self) -> Vec<TableStatus> {
        let watched = std::iter::once(&self.roster).chain(&self.calendar);
        watched
            .map(|watched| locked(watched).status.clone())
            .collect()
    }

    /// The collection that the roster comes from, and the last change of it that was read.
    pub fn collection(&self) -> Option<(String, Option<u64>)> {
        let roster = locked(&self.roster);
        let Source::Collection(name) = &roster.source else {
            return None;
        };
        let lsn = match roster.seen {
            Some(Mark::Lsn(lsn)) => Some(lsn),
            _ => None,
        };
        Some((name.clone(), lsn))
    }

    /// Notes that the collection of the roster cannot be read.
    pub fn collection_failed(&self, error: String) {
        locked(&self.roster).failed(None, error);
    }

    /// Reads the files that are not as they were when they were last read, or all.
    pub fn read_files(&self, all: bool, now_ms: u64) {
        let tables = &self.tables;
        read_again(&self.roster, &tables.roster, Roster::len, all, now_ms);
        if let Some(calendar) = &self.calendar {
            read_again(calendar, &tables.calendar, Calendar::len, all, now_ms);
        }
    }

    /// Takes the roster out of the points of a collection, as they are after the change `lsn`.
    pub fn take_collection(&self, rows: &Rows, lsn: u64, now_ms: u64) {
        let source = locked(&self.roster).source.in_words();
        let read = of_points(&source, rows);
        let mut watched = locked(&self.roster);
        match read {
            Ok(roster) => {
                let rows = roster.len();
                self.tables.roster.replace(roster);
                watched.loaded(Some(Mark::Lsn(lsn)), rows, now_ms);
            }
            Err(error) => watched.failed(Some(Mark::Lsn(lsn)), error.to_string()),
        }
    }
}

impl Watched {
    fn new(table: &'static str, source: Source) -> Self {
        let status = TableStatus {
            table,
            source: source.in_words(),
            ..TableStatus::default()
        };
        Self {
            source,
            seen: None,
            status,
        }
    }

    fn loaded(&mut self, mark: Option<Mark>, rows: usize, now_ms: u64) {
        let (table, source) = (self.status.table, self.status.source.as_str());
        tracing::info!(table, source, rows, "table read");
        self.seen = mark;
        self.status.rows = rows;
        self.status.loaded_at_ms = Some(now_ms);
        self.status.error = None;
    }

    fn failed(&mut self, mark: Option<Mark>, error: String) {
        let known = self.seen == mark && self.status.error.as_ref() == Some(&error);
        if !known {
            let (table, rows) = (self.status.table, self.status.rows);
            tracing::error!(table, %error, rows, "table not read, the one before it counts on");
        }
        self.seen = mark;
        self.status.error = Some(error);
    }
}

fn read_first<T: Table>(
    watched: &mut Watched,
    path: &Path,
    live: &Live<T>,
    len: fn(&T) -> usize,
    now_ms: u64,
) -> Result<(), TableError> {
    let mark = mark(path).ok();
    let table = read_table::<T>(path)?;
    watched.loaded(mark, len(&table), now_ms);
    live.replace(table);
    Ok(())
}

/// Reads outside of the lock: whoever asks how the table is does not wait for it.
fn read_again<T: Table>(
    watched: &Mutex<Watched>,
    live: &Live<T>,
    len: fn(&T) -> usize,
    all: bool,
    now_ms: u64,
) {
    let (path, source, seen) = {
        let watched = locked(watched);
        let Source::File(path) = &watched.source else {
            return;
        };
        let source = watched.status.source.clone();
        (path.clone(), source, watched.seen.clone())
    };
    // Taken before reading: what is written meanwhile is another state, and read the next time.
    let mark = match mark(&path) {
        Ok(mark) => Some(mark),
        Err(error) => {
            let unread = TableError::unread(&source, error);
            return locked(watched).failed(None, unread.to_string());
        }
    };
    if mark == seen && !all {
        return;
    }
    match read_table::<T>(&path) {
        Ok(table) => {
            let rows = len(&table);
            live.replace(table);
            locked(watched).loaded(mark, rows, now_ms);
        }
        Err(error) => locked(watched).failed(mark, error.to_string()),
    }
}

fn mark(path: &Path) -> std::io::Result<Mark> {
    let metadata = std::fs::metadata(path)?;
    Ok(Mark::File(metadata.modified().ok(), metadata.len()))
}

fn of_points(source: &str, rows: &Rows) -> Result<Roster, TableError> {
    let mut filling = Filling::<Roster>::new(source, "point");
    let (mut number, mut from) = (0, Some(0));
    while let Some(at) = from {
        let (points, next) = rows.run(at, PIECE_BYTES);
        for (point, _) in points {
            number += 1;
            add_object(&mut filling, number, &point.payload)
                .map_err(|error| error.of_point(&point.id))?;
        }
        from = next;
    }
    Ok(filling.finish())
}

fn locked(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}
