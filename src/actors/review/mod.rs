//! The review cell: reads which tasks wait for a person, and what has been said of them since.

mod queue;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use supervisors::{CellRef, ChildPolicy, ChildSpec, Cx, Protocol, Worker};

use self::queue::{Loaded, Place, Waiting};
use crate::engines::dataset::{FORMAT_VERSION, Outcome, Task};
use crate::storage::dataset_store::{DatasetStore, task_files};
use crate::storage::evidence_log::{self, EvidenceLogError};
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::Kind;

pub use queue::{ReviewQueue, Taken};

/// Lines between two signs of life.
const TICK_LINES: u64 = 64;
/// Looks at tasks that are replaced meanwhile.
const LOOKS: usize = 3;
/// Bytes of tasks in one answer, unless one has more.
const PAGE_BYTES: usize = 4 << 20;

/// What the cell is asked. The queue is of the newest tasks when it answers.
#[derive(Debug, Clone)]
pub enum ReviewRequest {
    /// Replies with tasks that wait, the oldest first.
    List {
        /// After this place in the journal.
        after: u64,
        /// Most tasks.
        limit: usize,
    },
    /// Replies with one task, or none when it does not wait.
    Read(String),
}

/// Tasks that wait, and where the last of them stands in the queue: in the journal, or among the tasks of several journals.
#[derive(Debug)]
pub struct ReviewReply(pub Vec<Task>, pub u64);

/// A failed question.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// There are no tasks yet. Materialize, then retry.
    #[error("nothing is materialized yet: materialize first (POST /v1/materialize)")]
    NotMaterialized,
    /// The tasks were made by another version. Materialize, then retry.
    #[error(
        "the tasks were made with another version of boathouse: materialize again (POST /v1/materialize)"
    )]
    Stale,
    /// The journal cannot be read. Stop.
    #[error(transparent)]
    Log(#[from] EvidenceLogError),
    /// The tasks cannot be read. Materialize, then retry.
    #[error("the tasks cannot be read: {path}: {reason}")]
    Tasks {
        /// Which file.
        path: String,
        /// Why not.
        reason: String,
    },
}

impl ReviewError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotMaterialized | Self::Stale => ErrorKind::Conflict,
            Self::Log(error) => error.kind(),
            Self::Tasks { .. } => ErrorKind::Unavailable,
        }
    }
}

/// Fills the queue and reads tasks of it.
pub struct ReviewWorker {
    journal: PathBuf,
    store: DatasetStore,
    queue: ReviewQueue,
}

/// What the queue needs to know of a task.
#[derive(Deserialize)]
struct Head {
    seq: u64,
    replica: Option<IgnoredAny>,
    id: String,
    request_id: String,
    outcome: Outcome,
}

impl ReviewWorker {
    fn answer(
        &self,
        request: ReviewRequest,
        tick: &mut dyn FnMut(),
    ) -> Result<ReviewReply, ReviewError> {
        let receipt = self.store.tasks().join("receipt.json");
        let mut look = 0;
        loop {
            look += 1;
            self.refresh(tick)?;
            let answer = self.read(&request);
            // Of tasks that were replaced meanwhile, lines of the new ones may have been read.
            let same = std::fs::read(&receipt).is_ok_and(|now| self.queue.is_of(&now));
            if same || look == LOOKS {
                return answer;
            }
        }
    }

    fn read(&self, request: &ReviewRequest) -> Result<ReviewReply, ReviewError> {
        let path = self.store.tasks();
        let failed = |error: &dyn std::fmt::Display| tasks_failed(&path, error);
        let lines = match request {
            ReviewRequest::List { after, limit } => self.queue.lines(*after, *limit, PAGE_BYTES),
            ReviewRequest::Read(id) => self.queue.line(id).map(Vec::from_iter),
        };
        let lines = lines.map_err(|error| failed(&error))?;
        let last = lines.last().map_or(0, |(place, _)| *place);
        let tasks = lines.iter().map(|(_, line)| serde_json::from_slice(line));
        let tasks = tasks.collect::<Result<_, _>>();
        Ok(ReviewReply(tasks.map_err(|error| failed(&error))?, last))
    }

    /// Makes the queue that of the newest tasks.
    fn refresh(&self, tick: &mut dyn FnMut()) -> Result<(), ReviewError> {
        let tasks = self.store.tasks();
        let path = tasks.join("receipt.json");
        let receipt = match std::fs::read(&path) {
            Ok(receipt) => receipt,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.queue.clear();
                return Err(ReviewError::NotMaterialized);
            }
            Err(error) => return Err(tasks_failed(&path, &error)),
        };
        if self.queue.is_of(&receipt) {
            return Ok(());
        }
        let told: Value =
            serde_json::from_slice(&receipt).map_err(|error| tasks_failed(&path, &error))?;
        if told["format"] != FORMAT_VERSION {
            return Err(ReviewError::Stale);
        }
        let upto = told["journal"]["head"]["seq"].as_u64().unwrap_or(0);
        // From here on nothing that is said is missed: it is in the journal, or told to the queue.
        self.queue.begin();
        let mut loaded = load(&tasks, receipt, tick)?;
        let segments = evidence_log::segments_since(&self.journal, upto)?;
        for (at, line) in (0_u64..).zip(evidence_log::records(&self.journal, segments)) {
            if at.is_multiple_of(TICK_LINES) {
                tick();
            }
            // A line that is no record is the audit's to tell.
            let Ok(record) = line?.record else { continue };
            if record.seq > upto
                && record.kind == Kind::Feedback
                && let Some(target) = record.body["target"].as_str()
            {
                loaded.settle(target);
            }
        }
        self.queue.fill(loaded);
        Ok(())
    }
}

fn load(dir: &Path, receipt: Vec<u8>, tick: &mut dyn FnMut()) -> Result<Loaded, ReviewError> {
    let paths = task_files(dir).map_err(|error| tasks_failed(dir, &error))?;
    let paths: Vec<PathBuf> = paths.iter().map(|path| dir.join(path)).collect();
    let mut loaded = Loaded::new(receipt, paths.clone());
    for (at, path) in paths.iter().enumerate() {
        fill(&mut loaded, at, path, tick)?;
    }
    Ok(loaded)
}

/// Adds the tasks of one file that wait.
fn fill(
    loaded: &mut Loaded,
    number: usize,
    path: &Path,
    tick: &mut dyn FnMut(),
) -> Result<(), ReviewError> {
    let failed = |error: &dyn std::fmt::Display| tasks_failed(path, error);
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut lines = BufReader::new(file);
    let (mut line, mut offset) = (Vec::new(), 0);
    for at in 0_u64.. {
        if at.is_multiple_of(TICK_LINES) {
            tick();
        }
        line.clear();
        let bytes = lines.read_until(b'\n', &mut line);
        let bytes = bytes.map_err(|error| failed(&error))?;
        if bytes == 0 {
            break;
        }
        let head: Head = serde_json::from_slice(&line).map_err(|error| failed(&error))?;
        if head.outcome == Outcome::NeedsReview {
            loaded.add(Waiting {
                // Numbers of several journals are the same.
                seq: head.replica.map_or(head.seq, |_| loaded.next()),
                id: head.id,
                request_id: head.request_id,
                place: Place {
                    file: number,
                    offset,
                    bytes,
                },
            });
        }
        offset += bytes as u64;
    }
    Ok(())
}

fn tasks_failed(path: &Path, error: &dyn std::fmt::Display) -> ReviewError {
    ReviewError::Tasks {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

impl Protocol for ReviewWorker {
    type Req = ReviewRequest;
    type Rep = ReviewReply;
    type Err = ReviewError;
}

impl Worker for ReviewWorker {
    fn handle(&mut self, request: ReviewRequest, cx: &Cx) -> Result<ReviewReply, ReviewError> {
        self.answer(request, &mut || cx.progress())
    }
}

/// The queue and the cell that fills it.
#[derive(Clone)]
pub struct Review {
    /// The cell.
    pub cell: CellRef<ReviewWorker>,
    /// The queue.
    pub queue: ReviewQueue,
}

/// Describes the cell to its supervisor, for the journal and the datasets of these folders.
pub fn child_spec(policy: ChildPolicy, journal: PathBuf, datasets: &Path) -> (ChildSpec, Review) {
    // Invariant: one worker; two would fill one queue at once.
    let policy = ChildPolicy {
        workers: 1,
        ..policy
    };
    let store = DatasetStore::new(datasets);
    let queue = ReviewQueue::default();
    let filled = queue.clone();
    let (spec, cell) = ChildSpec::sync("review", policy, move |_| {
        Ok(ReviewWorker {
            journal: journal.clone(),
            store: store.clone(),
            queue: filled.clone(),
        })
    });
    (spec, Review { cell, queue })
}
