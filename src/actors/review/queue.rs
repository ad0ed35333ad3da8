//! The tasks that wait for a reviewer: where they stand in the files of tasks, and which of them have been judged since.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a task's line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// By its place among the files.
    pub(super) file: usize,
    pub(super) offset: u64,
    pub(super) bytes: usize,
}

/// A task that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) seq: u64,
    pub(super) id: String,
    pub(super) request_id: String,
    pub(super) place: Place,
}

/// A task that was taken off the queue; see [`ReviewQueue::give_back`].
#[derive(Debug)]
pub struct Taken {
    task: Waiting,
    filled: u64,
}

/// The queue. Cheap to clone; all clones are the same. It is filled by its cell, and anybody may take from it.
#[derive(Debug, Clone, Default)]
pub struct ReviewQueue(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    loaded: Option<Loaded>,
    /// How often it was filled.
    filled: u64,
    /// While the cell reads the journal: what is judged meanwhile.
    meanwhile: Option<Vec<String>>,
}

/// The tasks of one materialization that wait.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The receipt's bytes: other ones mean other tasks.
    receipt: Vec<u8>,
    files: Arc<[PathBuf]>,
    /// By their place in the journal, or among the tasks of several journals: the oldest first.
    waiting: BTreeMap<u64, Waiting>,
    by_id: HashMap<String, u64>,
    /// The newest task of each request.
    by_request: HashMap<String, u64>,
}

impl Loaded {
    pub(super) fn new(receipt: Vec<u8>, files: Vec<PathBuf>) -> Self {
        Self {
            receipt,
            files: files.into(),
            waiting: BTreeMap::new(),
            by_id: HashMap::new(),
            by_request: HashMap::new(),
        }
    }

    /// A place after all others.
    pub(super) fn next(&self) -> u64 {
        self.waiting.last_key_value().map_or(0, |(last, _)| *last) + 1
    }

    pub(super) fn add(&mut self, task: Waiting) {
        self.by_id.insert(task.id.clone(), task.seq);
        self.by_request.insert(task.request_id.clone(), task.seq);
        self.waiting.insert(task.seq, task);
    }

    /// Removes the task that a judgement is about: a task's own id goes before a request's.
    pub(super) fn settle(&mut self, target: &str) {
        let found = self.by_id.get(target);
        if let Some(seq) = found.or_else(|| self.by_request.get(target)).copied() {
            self.remove(seq);
        }
    }

    fn remove(&mut self, seq: u64) -> Option<Waiting> {
        let task = self.waiting.remove(&seq)?;
        for (map, name) in [
            (&mut self.by_id, &task.id),
            (&mut self.by_request, &task.request_id),
        ] {
            if map.get(name) == Some(&seq) {
                map.remove(name);
            }
        }
        Some(task)
    }
}

impl ReviewQueue {
    /// Takes a task off the queue, for good unless it is given back; `None` when it does not wait.
    pub fn take(&self, id: &str) -> Option<Taken> {
        let mut state = self.state();
        let filled = state.filled;
        let loaded = state.loaded.as_mut()?;
        let seq = *loaded.by_id.get(id)?;
        let task = loaded.remove(seq)?;
        Some(Taken { task, filled })
    }

    /// Puts a task back that was taken and not decided. A queue that was filled meanwhile has it, or has no use for it.
    pub fn give_back(&self, taken: Taken) {
        let mut state = self.state();
        if state.filled == taken.filled
            && let Some(loaded) = &mut state.loaded
        {
            loaded.add(taken.task);
        }
    }

    /// Takes note of a judgement that is in the journal: what it is about waits no longer.
    pub fn settle(&self, target: &str) {
        let mut state = self.state();
        if let Some(meanwhile) = &mut state.meanwhile {
            meanwhile.push(target.to_owned());
        }
        if let Some(loaded) = &mut state.loaded {
            loaded.settle(target);
        }
    }

    /// How many tasks wait.
    pub fn len(&self) -> usize {
        let state = self.state();
        let loaded = state.loaded.as_ref();
        loaded.map_or(0, |loaded| loaded.waiting.len())
    }

    /// Whether a task waits after a place in the journal.
    pub fn waits_after(&self, seq: u64) -> bool {
        let state = self.state();
        let loaded = state.loaded.as_ref();
        loaded.is_some_and(|loaded| {
            let mut after = loaded.waiting.range(seq.saturating_add(1)..);
            after.next().is_some()
        })
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is of the tasks with this receipt.
    pub(super) fn is_of(&self, receipt: &[u8]) -> bool {
        let state = self.state();
        let loaded = state.loaded.as_ref();
        loaded.is_some_and(|loaded| loaded.receipt == receipt)
    }

    /// From now on judgements are kept for [`Self::fill`]; what is in the journal already is the caller's to read.
    pub(super) fn begin(&self) {
        self.state().meanwhile = Some(Vec::new());
    }

    /// Takes over what was read.
    pub(super) fn fill(&self, mut loaded: Loaded) {
        let mut state = self.state();
        for target in state.meanwhile.take().unwrap_or_default() {
            loaded.settle(&target);
        }
        state.loaded = Some(loaded);
        state.filled += 1;
    }

    /// Empties it: there are no tasks to be of.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.loaded = None;
        state.filled += 1;
    }

    /// Reads the lines of the tasks after one, each with its place, the oldest first, until there are `limit` or they have
    /// `bytes`.
    ///
    /// Errors: the file cannot be read.
    pub(super) fn lines(
        &self,
        after: u64,
        limit: usize,
        bytes: usize,
    ) -> io::Result<Vec<(u64, Vec<u8>)>> {
        let (files, places) = {
            let state = self.state();
            let Some(loaded) = &state.loaded else {
                return Ok(Vec::new());
            };
            let tasks = loaded.waiting.range(after.saturating_add(1)..);
            let places = tasks.take(limit).map(|(seq, task)| (*seq, task.place));
            let places: Vec<(u64, Place)> = places.collect();
            (Arc::clone(&loaded.files), places)
        };
        let (mut lines, mut read) = (Vec::new(), 0);
        for (seq, place) in places {
            read += place.bytes;
            if !lines.is_empty() && read > bytes {
                break;
            }
            lines.push((seq, line(&files, place)?));
        }
        Ok(lines)
    }

    /// Reads a task's line; `None` when it does not wait.
    ///
    /// Errors: the file cannot be read.
    pub(super) fn line(&self, id: &str) -> io::Result<Option<(u64, Vec<u8>)>> {
        let (files, place) = {
            let state = self.state();
            let Some(loaded) = &state.loaded else {
                return Ok(None);
            };
            let seq = loaded.by_id.get(id);
            let Some(task) = seq.and_then(|seq| loaded.waiting.get(seq)) else {
                return Ok(None);
            };
            (Arc::clone(&loaded.files), task.place)
        };
        Ok(Some((0, line(&files, place)?)))
    }

    // Nothing below the lock panics, so what it holds is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(files: &[PathBuf], place: Place) -> io::Result<Vec<u8>> {
    let path = files.get(place.file).ok_or(io::ErrorKind::NotFound)?;
    let mut file = File::open(path)?;
    let mut line = vec![0; place.bytes];
    file.seek(SeekFrom::Start(place.offset))?;
    file.read_exact(&mut line)?;
    Ok(line)
}
