//! The whole tree: started, read, acted upon, drained.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::Arbiter;
use serde::Serialize;
use tokio::sync::{oneshot, watch};

use crate::blackbox::BlackBox;
use crate::control::{CellControl, CellView, NodeKind};
use crate::fault::CrashSummary;
use crate::kernel::{ChildView, Phase, Tick};
use crate::node::{Member, Node};
use crate::policy::PolicyError;
use crate::quarantine::DeadLetter;
use crate::supervisor::{
    ChildSpec, Command, Parent, RootState, Shared, Supervisor, SupervisorSpec,
};
use crate::watchdog::Watchdog;

/// Why the tree did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// There is no such node.
    #[error("no cell or supervisor named {id}; GET the tree for their names")]
    Unknown {
        /// The name asked for.
        id: String,
    },
    /// The supervisor has a child of this name.
    #[error("a child named {id} exists")]
    Exists {
        /// The name.
        id: String,
    },
    /// Its factory failed; its supervisor goes on trying.
    #[error("{id} did not start")]
    NotStarted {
        /// The name.
        id: String,
    },
    /// The node is a supervisor; this works on cells.
    #[error("{id} is a supervisor, not a cell")]
    NotACell {
        /// The name.
        id: String,
    },
    /// Its policy makes no sense.
    #[error("{id}: {error}")]
    Invalid {
        /// The name.
        id: String,
        /// The field at fault.
        error: PolicyError,
    },
    /// The supervisor is not running.
    #[error("the supervisor is not running")]
    Stopped,
    /// The operating system gave no thread.
    #[error("no thread: {0}")]
    NoThread(String),
}

/// What a tree may have besides its supervisors.
#[derive(Clone, Default)]
pub struct TreeOptions {
    /// Feeds the jitter of restarts.
    pub seed: u64,
    /// Notes what runs, so that after an abort the next process knows.
    pub black_box: Option<BlackBox>,
}

/// A running tree of supervisors.
pub struct Tree {
    pub(crate) root: Arc<Node>,
    started: Instant,
    pub(crate) reloading: Mutex<()>,
    state: watch::Receiver<RootState>,
    arbiter: Arbiter,
    black_box: Option<BlackBox>,
    // Held so that it runs as long as the tree.
    _watchdog: Arc<Watchdog>,
}

/// A handle to one supervisor, to add and remove children.
#[derive(Clone)]
pub struct SupervisorRef {
    node: Arc<Node>,
}

impl SupervisorRef {
    /// Adds a child and waits until it runs.
    ///
    /// Errors: `Exists`; `Invalid`; `NotStarted` when its factory failed, after which the supervisor goes on trying.
    pub async fn start_child(&self, child: ChildSpec) -> Result<(), TreeError> {
        child.member.validate()?;
        let (reply, answer) = oneshot::channel();
        self.node.send(Command::Add(child.member, reply))?;
        answer.await.unwrap_or(Err(TreeError::Stopped))
    }

    /// Stops a child, answers what it has queued, and forgets it.
    ///
    /// Errors: `Unknown`.
    pub async fn stop_child(&self, id: &str) -> Result<(), TreeError> {
        let (reply, answer) = oneshot::channel();
        self.node.send(Command::Remove(id.into(), reply))?;
        answer.await.unwrap_or(Err(TreeError::Stopped))
    }
}

/// What a drain left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// Whether everything stopped within the budget.
    pub complete: bool,
}

/// Whether the process lives and serves.
#[derive(Debug, Clone, Serialize)]
pub struct Health {
    /// The supervisors run.
    pub live: bool,
    /// Every critical cell is ready.
    pub ready: bool,
    /// Cells that are not ready.
    pub degraded: Vec<String>,
}

/// One node as a snapshot shows it, with those below.
#[derive(Debug, Clone, Serialize)]
pub struct TreeSnapshot {
    /// Its name.
    pub id: String,
    /// What it is.
    pub kind: NodeKind,
    /// Where it is.
    pub state: Phase,
    /// Restarts since its supervisor started.
    pub restarts: u64,
    /// Incarnation of a cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Restarts that count against the intensity now: of a supervisor's children, or of a cell.
    pub restarts_in_window: usize,
    /// Running workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// Requests waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<usize>,
    /// Most requests waiting and running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<usize>,
    /// Requests running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<usize>,
    /// Stuck workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zombies: Option<usize>,
    /// Readiness needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical: Option<bool>,
    /// The newest crash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_crash: Option<CrashSummary>,
    /// Why the last start failed, until one succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_failure: Option<String>,
    /// In the order of their start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<TreeSnapshot>,
}

impl Tree {
    /// Starts a tree inside an actix `System` and waits until its static children run, or rest after failing.
    ///
    /// `seed` feeds the jitter of restarts. Errors: `Invalid` and `Exists` before anything starts; `Stopped`
    /// when the root gave up while starting.
    pub async fn start(spec: SupervisorSpec, seed: u64) -> Result<Self, TreeError> {
        let options = TreeOptions {
            seed,
            ..TreeOptions::default()
        };
        Self::start_with(spec, options).await
    }

    /// Starts a tree as [`Tree::start`] does, with a black box if there is one.
    ///
    /// Errors: as [`Tree::start`].
    pub async fn start_with(spec: SupervisorSpec, options: TreeOptions) -> Result<Self, TreeError> {
        let root = Arc::new(spec.into_node());
        root.validate()?;
        let started = Instant::now();
        let watchdog =
            Arc::new(Watchdog::start().map_err(|error| TreeError::NoThread(error.to_string()))?);
        let (sender, mut state) = watch::channel(RootState::Starting);
        let shared = Shared {
            watchdog: Arc::clone(&watchdog),
            started,
            seed: options.seed,
            black_box: options.black_box.clone(),
        };
        let arbiter = Arbiter::new();
        let node = Arc::clone(&root);
        arbiter.spawn_fn(move || Supervisor::launch(node, Parent::Root(sender), shared));
        let outcome = state.wait_for(|state| *state != RootState::Starting).await;
        match outcome.map(|state| *state) {
            Ok(RootState::Running) => {}
            _ => return Err(TreeError::Stopped),
        }
        Ok(Self {
            root,
            started,
            reloading: Mutex::new(()),
            state,
            arbiter,
            black_box: options.black_box,
            _watchdog: watchdog,
        })
    }

    /// Finds a supervisor by its id or path.
    pub fn supervisor(&self, id: &str) -> Option<SupervisorRef> {
        if id == &*self.root.id {
            let node = Arc::clone(&self.root);
            return Some(SupervisorRef { node });
        }
        let id = self.below_root(id);
        let supervisor = |place: Place| match place.member {
            Member::Supervisor(node) if place.is_named(id) => Some(SupervisorRef { node }),
            _ => None,
        };
        self.places().into_iter().find_map(supervisor)
    }

    /// A path may begin with the root's name.
    pub(crate) fn below_root<'id>(&self, id: &'id str) -> &'id str {
        let below = id.strip_prefix(&*self.root.id);
        below.and_then(|id| id.strip_prefix('/')).unwrap_or(id)
    }

    /// Every node below the root, each before those below it.
    pub(crate) fn places(&self) -> Vec<Place> {
        fn walk(node: &Arc<Node>, path: &str, places: &mut Vec<Place>) {
            for member in node.members() {
                let path = if path.is_empty() {
                    member.id().to_string()
                } else {
                    format!("{path}/{}", member.id())
                };
                let (parent, below) = (Arc::clone(node), member.clone());
                places.push(Place {
                    path: path.clone(),
                    parent,
                    member,
                });
                if let Member::Supervisor(child) = &below {
                    walk(child, &path, places);
                }
            }
        }
        let mut places = Vec::new();
        walk(&self.root, "", &mut places);
        places
    }

    /// Finds a child by its id or its path below the root, such as `engines/embedding`.
    fn locate(&self, id: &str) -> Result<(Arc<Node>, Member), TreeError> {
        let name = self.below_root(id);
        let place = self
            .places()
            .into_iter()
            .find(|place| place.is_named(name))
            .ok_or_else(|| TreeError::Unknown {
                id: id.chars().take(100).collect(),
            })?;
        Ok((place.parent, place.member))
    }

    /// Restarts a node with fresh state; queues are kept, and it does not count against the intensity.
    ///
    /// Errors: `Unknown`, `Stopped`.
    pub async fn restart(&self, id: &str) -> Result<(), TreeError> {
        let (node, member) = self.locate(id)?;
        let (reply, answer) = oneshot::channel();
        node.send(Command::Restart(Arc::clone(member.id()), reply))?;
        answer.await.unwrap_or(Err(TreeError::Stopped))
    }

    /// Makes the next request to a cell panic inside its fence, as a bug of the worker would.
    ///
    /// Errors: `Unknown`, `NotACell`.
    pub fn crash_next(&self, id: &str) -> Result<(), TreeError> {
        match self.locate(id)?.1 {
            Member::Cell(cell) => {
                cell.crash_next();
                Ok(())
            }
            Member::Supervisor(node) => Err(TreeError::NotACell {
                id: node.id.to_string(),
            }),
        }
    }

    #[cfg(feature = "chaos")]
    fn on_fail_point<T>(
        &self,
        id: &str,
        what: impl FnOnce(&crate::chaos::FailPoint) -> T,
    ) -> Result<T, TreeError> {
        match self.locate(id)?.1 {
            Member::Cell(cell) => Ok(what(cell.fail_point())),
            Member::Supervisor(node) => Err(TreeError::NotACell {
                id: node.id.to_string(),
            }),
        }
    }

    /// Injects a fault into a cell: into its next request, or into each by chance.
    ///
    /// Errors: `Unknown`, `NotACell`.
    #[cfg(feature = "chaos")]
    pub fn inject(&self, id: &str, what: crate::Chaos, when: crate::When) -> Result<(), TreeError> {
        self.on_fail_point(id, |point| point.inject(what, when))
    }

    /// Takes back what was injected into a cell and has not struck.
    ///
    /// Errors: `Unknown`, `NotACell`.
    #[cfg(feature = "chaos")]
    pub fn calm(&self, id: &str) -> Result<(), TreeError> {
        self.on_fail_point(id, crate::chaos::FailPoint::calm)
    }

    /// Says how often faults struck a cell.
    ///
    /// Errors: `Unknown`, `NotACell`.
    #[cfg(feature = "chaos")]
    pub fn struck(&self, id: &str) -> Result<crate::Struck, TreeError> {
        self.on_fail_point(id, crate::chaos::FailPoint::struck)
    }

    /// Reads the whole tree. Never waits for a worker.
    pub fn snapshot(&self) -> TreeSnapshot {
        let state = match *self.state.borrow() {
            RootState::Starting => Phase::Starting,
            RootState::Running => Phase::Ready,
            RootState::Done { .. } => Phase::Stopped,
        };
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        supervisor_snapshot(
            &self.root,
            ChildView {
                phase: state,
                restarts: 0,
            },
            now,
        )
    }

    /// Reads liveness and readiness off the tree.
    pub fn health(&self) -> Health {
        fn visit(node: &TreeSnapshot, ready: &mut bool, degraded: &mut Vec<String>) {
            // A pool that lost one of its workers still serves; what ended as it should is not missing.
            let serves = matches!(node.state, Phase::Ready | Phase::Ended)
                || (node.state == Phase::Backoff && node.workers.is_some_and(|count| count > 0));
            if !serves {
                degraded.push(node.id.clone());
                *ready &= node.critical == Some(false);
            }
            node.children
                .iter()
                .for_each(|child| visit(child, ready, degraded));
        }
        let live = *self.state.borrow() == RootState::Running && self.root.is_running();
        let (mut ready, mut degraded) = (live, Vec::new());
        visit(&self.snapshot(), &mut ready, &mut degraded);
        Health {
            live,
            ready,
            degraded,
        }
    }

    /// Lists the requests that are refused because they crashed their worker too often.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.root
            .cells()
            .iter()
            .flat_map(|cell| cell.dead_letters())
            .collect()
    }

    /// Lets a refused request through again; `false` when there is none of this digest. Should it crash its
    /// worker so often again, its letter still shows the earlier crashes.
    pub fn release(&self, digest: &str) -> bool {
        let mut found = false;
        // Every cell that knows it: the same text can have crashed several.
        for cell in self.root.cells() {
            found |= cell.release(digest);
        }
        found
    }

    /// Forgets a refused request, its count and its crashes; `false` when there is none of this digest. If it
    /// comes again, it runs as if for the first time.
    pub fn delete_letter(&self, digest: &str) -> bool {
        let deleted = |cell: &Arc<dyn CellControl>| cell.delete(digest);
        self.root
            .cells()
            .iter()
            .filter(|cell| deleted(cell))
            .count()
            > 0
    }

    /// Stops everything in reverse order of start. What has not ended within `budget` gets `ShuttingDown`.
    pub async fn drain(&self, budget: Duration) -> DrainReport {
        // A root that is down already needs no telling.
        let _ = self.root.stop(true);
        let mut state = self.state.clone();
        let done = state.wait_for(|state| matches!(state, RootState::Done { .. }));
        let complete = tokio::time::timeout(budget, done).await.is_ok();
        self.end_cells();
        if let Some(black_box) = self.black_box.as_ref().filter(|_| complete) {
            black_box.settle();
        }
        DrainReport { complete }
    }

    /// Answers whatever is still queued or running.
    fn end_cells(&self) {
        for cell in self.root.cells() {
            let stop = cell.stop(true);
            cell.abandon(stop);
        }
    }

    /// Resolves when the root has given up: the process should end, for its service manager to start it anew.
    pub async fn wait_exhausted(&self) {
        let mut state = self.state.clone();
        let gone = state
            .wait_for(|state| *state == RootState::Done { failed: true })
            .await
            .is_err();
        if gone {
            // The root's sender is gone without giving up: a normal end, for which nobody waits here.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.end_cells();
        self.arbiter.stop();
    }
}

/// A node and where it is.
pub(crate) struct Place {
    /// Below the root, such as `engines/embedding`.
    pub(crate) path: String,
    pub(crate) parent: Arc<Node>,
    pub(crate) member: Member,
}

impl Place {
    /// By its id or its path.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        &**self.member.id() == name || self.path == name
    }
}

fn supervisor_snapshot(node: &Node, view: ChildView, now: Tick) -> TreeSnapshot {
    let members = node.members();
    // Cells first: a supervisor publishes a restart before it starts the next epoch, so that an epoch which
    // is seen here is never newer than the counters beside it.
    let cells: Vec<Option<CellView>> = members
        .iter()
        .map(|member| match member {
            Member::Cell(cell) => Some(cell.view()),
            Member::Supervisor(_) => None,
        })
        .collect();
    let published = node.published();
    let children = members
        .iter()
        .zip(cells)
        .map(|(member, seen)| {
            let view = published.view(member.id()).unwrap_or(ChildView {
                phase: Phase::Waiting,
                restarts: 0,
            });
            match (member, seen) {
                (Member::Supervisor(child), _) => supervisor_snapshot(child, view, now),
                (Member::Cell(cell), seen) => TreeSnapshot {
                    restarts_in_window: published.restarts_in_window(now, Some(cell.id())),
                    ..cell_snapshot(cell.as_ref(), seen.unwrap_or_else(|| cell.view()), view)
                },
            }
        })
        .collect();
    TreeSnapshot {
        id: node.id.to_string(),
        kind: NodeKind::Supervisor,
        state: view.phase,
        restarts: view.restarts,
        epoch: None,
        restarts_in_window: published.restarts_in_window(now, None),
        workers: None,
        queue: None,
        capacity: None,
        in_flight: None,
        zombies: None,
        critical: None,
        last_crash: None,
        start_failure: None,
        children,
    }
}

fn cell_snapshot(cell: &dyn CellControl, seen: CellView, view: ChildView) -> TreeSnapshot {
    TreeSnapshot {
        id: cell.id().to_string(),
        kind: seen.kind,
        state: view.phase,
        restarts: view.restarts,
        epoch: Some(seen.epoch),
        restarts_in_window: 0,
        workers: Some(seen.workers),
        queue: Some(seen.queue),
        capacity: Some(seen.capacity),
        in_flight: Some(seen.in_flight),
        zombies: Some(seen.zombies),
        critical: Some(cell.policy().critical),
        last_crash: seen.last_crash,
        start_failure: seen.start_failure.map(|reason| reason.to_string()),
        children: Vec::new(),
    }
}
