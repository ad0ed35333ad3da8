//! The part of a supervisor that outlives its actor: who its children are, and what snapshots read.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::control::CellControl;
use crate::kernel::{ChildId, ChildView, Kernel, KernelChild, Tick};
use crate::policy::{Policy, PolicyError, Restart};
use crate::supervisor::Command;
use crate::tree::TreeError;

/// A child of a supervisor.
#[derive(Clone)]
pub(crate) enum Member {
    Cell(Arc<dyn CellControl>),
    Supervisor(Arc<Node>),
}

impl Member {
    pub(crate) fn id(&self) -> &ChildId {
        match self {
            Self::Cell(cell) => cell.id(),
            Self::Supervisor(node) => &node.id,
        }
    }

    pub(crate) fn kernel_child(&self) -> KernelChild {
        let (restart, significant) = match self {
            Self::Cell(cell) => {
                let policy = cell.policy();
                (policy.restart, policy.significant)
            }
            Self::Supervisor(node) => (node.restart, node.significant),
        };
        KernelChild {
            id: Arc::clone(self.id()),
            restart,
            significant,
        }
    }

    /// The cell, or all below the supervisor.
    pub(crate) fn cells(&self) -> Vec<Arc<dyn CellControl>> {
        match self {
            Self::Cell(cell) => vec![Arc::clone(cell)],
            Self::Supervisor(node) => node.cells(),
        }
    }

    /// Refuses policies that make no sense and names that are not unique.
    pub(crate) fn validate(&self) -> Result<(), TreeError> {
        let invalid = |error| TreeError::Invalid {
            id: self.id().to_string(),
            error,
        };
        match self {
            Self::Cell(cell) => cell.policy().validate().map_err(invalid),
            Self::Supervisor(node) => node.validate(),
        }
    }
}

/// How a supervisor is reached while it runs.
#[derive(Default)]
struct Link {
    commands: Option<mpsc::UnboundedSender<Command>>,
    /// Its parent told it to stop, and waits to hear that it has.
    told_to_stop: bool,
}

/// What the kernel knew after its last step, in one piece.
#[derive(Default)]
pub(crate) struct Published {
    views: HashMap<ChildId, ChildView>,
    /// Whose restarts count against the intensity, and until when.
    counted: Vec<(ChildId, Tick)>,
}

impl Published {
    pub(crate) fn view(&self, id: &str) -> Option<ChildView> {
        self.views.get(id).copied()
    }

    /// Restarts that count at `now`: of one child, or of all.
    pub(crate) fn restarts_in_window(&self, now: Tick, of: Option<&ChildId>) -> usize {
        let current = self.counted.iter().filter(|(_, until)| *until > now);
        current
            .filter(|(id, _)| of.is_none_or(|of| of == id))
            .count()
    }
}

/// A supervisor without its actor.
pub(crate) struct Node {
    pub(crate) id: ChildId,
    policy: Mutex<Policy>,
    restart: Restart,
    significant: bool,
    members: Mutex<Vec<Member>>,
    published: Mutex<Arc<Published>>,
    link: Mutex<Link>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    pub(crate) fn new(
        id: ChildId,
        policy: Policy,
        restart: Restart,
        significant: bool,
        members: Vec<Member>,
    ) -> Self {
        Self {
            id,
            policy: Mutex::new(policy),
            restart,
            significant,
            members: Mutex::new(members),
            published: Mutex::default(),
            link: Mutex::new(Link::default()),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), TreeError> {
        let invalid = |error| TreeError::Invalid {
            id: self.id.to_string(),
            error,
        };
        self.policy().validate().map_err(invalid)?;
        PolicyError::check_significant(self.significant, self.restart).map_err(invalid)?;
        let mut ids = HashSet::new();
        for member in self.members() {
            if !ids.insert(Arc::clone(member.id())) {
                let id = member.id().to_string();
                return Err(TreeError::Exists { id });
            }
            member.validate()?;
        }
        Ok(())
    }

    pub(crate) fn policy(&self) -> Policy {
        lock(&self.policy).clone()
    }

    pub(crate) fn set_policy(&self, policy: Policy) {
        *lock(&self.policy) = policy;
    }

    pub(crate) fn members(&self) -> Vec<Member> {
        lock(&self.members).clone()
    }

    pub(crate) fn member(&self, id: &str) -> Option<Member> {
        let members = lock(&self.members);
        members.iter().find(|member| &**member.id() == id).cloned()
    }

    pub(crate) fn add(&self, member: Member) {
        lock(&self.members).push(member);
    }

    pub(crate) fn forget(&self, id: &str) {
        lock(&self.members).retain(|member| &**member.id() != id);
    }

    /// All cells below.
    pub(crate) fn cells(&self) -> Vec<Arc<dyn CellControl>> {
        self.members().iter().flat_map(Member::cells).collect()
    }

    /// Shows the kernel's state to snapshots.
    pub(crate) fn publish(&self, kernel: &Kernel) {
        // In one pass: with a thousand children each event comes here.
        let views = kernel.views().map(|(id, view)| (Arc::clone(id), view));
        let counted = kernel.counted();
        *lock(&self.published) = Arc::new(Published {
            views: views.collect(),
            counted: counted.map(|(id, until)| (Arc::clone(id), until)).collect(),
        });
    }

    pub(crate) fn published(&self) -> Arc<Published> {
        Arc::clone(&lock(&self.published))
    }

    pub(crate) fn connect(&self, commands: mpsc::UnboundedSender<Command>) {
        *lock(&self.link) = Link {
            commands: Some(commands),
            told_to_stop: false,
        };
    }

    /// Takes no more commands; returns whether the parent waits to hear that it has stopped.
    pub(crate) fn disconnect(&self) -> bool {
        std::mem::take(&mut *lock(&self.link)).told_to_stop
    }

    pub(crate) fn send(&self, command: Command) -> Result<(), TreeError> {
        let link = lock(&self.link);
        let sent = link.commands.as_ref().map(|to| to.send(command));
        sent.and_then(Result::ok).ok_or(TreeError::Stopped)
    }

    /// Tells it to stop. When this succeeds its parent hears `Stopped`, else it is down already.
    pub(crate) fn stop(&self, close: bool) -> Result<(), TreeError> {
        let mut link = lock(&self.link);
        let command = Command::Shutdown { close };
        let sent = link.commands.as_ref().map(|to| to.send(command));
        link.told_to_stop = sent.and_then(Result::ok).is_some();
        link.told_to_stop.then_some(()).ok_or(TreeError::Stopped)
    }

    pub(crate) fn is_running(&self) -> bool {
        let link = lock(&self.link);
        let commands = link.commands.as_ref();
        commands.is_some_and(|commands| !commands.is_closed())
    }
}
