//! The shell of a supervisor: an actix actor that feeds its kernel and carries out the effects.
//!
//! All supervisors of a tree share one arbiter on which nothing slow runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, AsyncContext, Context, StreamHandler};
use tokio::sync::{mpsc, oneshot};

use crate::blackbox::BlackBox;
use crate::control::CellControl;
use crate::kernel::{ChildId, Effect, Event, Kernel, KernelChild};
use crate::node::{Member, Node};
use crate::policy::{ChildPolicy, Policy, Restart};
use crate::tree::TreeError;
use crate::watchdog::Watchdog;

/// What a supervisor is told.
pub(crate) enum Command {
    Event(Event),
    Add(Member, oneshot::Sender<Result<(), TreeError>>),
    Remove(ChildId, oneshot::Sender<Result<(), TreeError>>),
    Restart(ChildId, oneshot::Sender<Result<(), TreeError>>),
    /// Policies that were validated.
    Reload {
        policy: Option<Policy>,
        children: Vec<KernelChild>,
    },
    Shutdown {
        close: bool,
    },
}

/// Who hears of a supervisor's start and end.
pub(crate) enum Parent {
    /// The supervisor above.
    Supervisor(mpsc::UnboundedSender<Command>),
    /// The tree's handle: `true` when the root booted, then `Some(failed)` when it is done.
    Root(tokio::sync::watch::Sender<RootState>),
}

/// Where the root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RootState {
    Starting,
    Running,
    Done { failed: bool },
}

/// What all supervisors of a tree share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) watchdog: Arc<Watchdog>,
    pub(crate) started: Instant,
    pub(crate) seed: u64,
    pub(crate) black_box: Option<BlackBox>,
}

impl Shared {
    fn watch(&self, cell: &Arc<dyn CellControl>) {
        self.watchdog.watch(cell);
        if let Some(black_box) = &self.black_box {
            cell.record_in(black_box);
        }
    }
}

/// The actor.
pub(crate) struct Supervisor {
    node: Arc<Node>,
    kernel: Kernel,
    parent: Parent,
    shared: Shared,
    commands: mpsc::UnboundedSender<Command>,
    inbox: Option<mpsc::UnboundedReceiver<Command>>,
    removals: HashMap<ChildId, Vec<oneshot::Sender<Result<(), TreeError>>>>,
    additions: HashMap<ChildId, oneshot::Sender<Result<(), TreeError>>>,
}

impl Supervisor {
    /// Starts the actor on the current arbiter.
    pub(crate) fn launch(node: Arc<Node>, parent: Parent, shared: Shared) {
        let (commands, inbox) = mpsc::unbounded_channel();
        node.connect(commands.clone());
        let members = node.members();
        for member in &members {
            if let Member::Cell(cell) = member {
                cell.bind(commands.clone());
                shared.watch(cell);
            }
        }
        let children = members.iter().map(Member::kernel_child).collect();
        // Each supervisor draws its own sequence.
        let salt = node.id.bytes().fold(0_u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let kernel = Kernel::new(node.policy(), children, shared.seed ^ salt);
        Self {
            node,
            kernel,
            parent,
            shared,
            commands,
            inbox: Some(inbox),
            removals: HashMap::new(),
            additions: HashMap::new(),
        }
        .start();
    }

    fn now(&self) -> u64 {
        u64::try_from(self.shared.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn member(&self, id: &str) -> Option<Member> {
        self.node.member(id)
    }

    fn feed(&mut self, event: Event, context: &mut Context<Self>) {
        let started = match &event {
            Event::Started(id) => Some((Arc::clone(id), true)),
            Event::Failed { child, .. } | Event::Ended(child) => Some((Arc::clone(child), false)),
            _ => None,
        };
        let effects = self.kernel.step(self.now(), event);
        self.node.publish(&self.kernel);
        if let Some((id, runs)) = started {
            self.answer_addition(&id, runs);
        }
        for effect in effects {
            self.carry_out(effect, context);
        }
    }

    /// Tells who waits for a new child whether it runs.
    fn answer_addition(&mut self, id: &ChildId, runs: bool) {
        if let Some(waiting) = self.additions.remove(id) {
            let id = id.to_string();
            let answer = runs.then_some(()).ok_or(TreeError::NotStarted { id });
            let _ = waiting.send(answer);
        }
    }

    fn carry_out(&mut self, effect: Effect, context: &mut Context<Self>) {
        match effect {
            Effect::Start(id) => match self.member(&id) {
                Some(Member::Cell(cell)) => cell.start(),
                Some(Member::Supervisor(node)) => {
                    let parent = Parent::Supervisor(self.commands.clone());
                    Self::launch(node, parent, self.shared.clone());
                }
                None => {}
            },
            Effect::Stop { child, close } => self.stop_child(&child, close, context),
            Effect::Timer(id, at) => {
                let wait = Duration::from_millis(at.saturating_sub(self.now()));
                context.run_later(wait, move |actor, context| {
                    actor.feed(Event::Due(id), context);
                });
            }
            Effect::Open(id, until) => {
                tracing::warn!(cell = &*id, "failed too often, it rests");
                let wait = Duration::from_millis(until.saturating_sub(self.now()));
                for cell in self
                    .member(&id)
                    .map(|member| member.cells())
                    .into_iter()
                    .flatten()
                {
                    cell.open(wait);
                }
            }
            Effect::Park(id) => {
                tracing::error!(cell = &*id, "failed too often, it stays stopped");
                for cell in self
                    .member(&id)
                    .map(|member| member.cells())
                    .into_iter()
                    .flatten()
                {
                    cell.park();
                }
            }
            Effect::Booted => match &self.parent {
                Parent::Root(state) => {
                    state.send_replace(RootState::Running);
                }
                Parent::Supervisor(parent) => {
                    let _ = parent.send(Command::Event(Event::Started(Arc::clone(&self.node.id))));
                }
            },
            Effect::Removed(id) => {
                for cell in self
                    .member(&id)
                    .map(|member| member.cells())
                    .into_iter()
                    .flatten()
                {
                    cell.close();
                }
                self.node.forget(&id);
                self.answer_addition(&id, false);
                for waiting in self.removals.remove(&id).unwrap_or_default() {
                    let _ = waiting.send(Ok(()));
                }
            }
            Effect::Done { failed, close } => self.done(failed, close, context),
        }
    }

    fn stop_child(&mut self, id: &ChildId, close: bool, context: &mut Context<Self>) {
        let Some(member) = self.member(id) else {
            return;
        };
        match member {
            Member::Cell(cell) => {
                let budget = Duration::from_millis(cell.policy().shutdown_ms);
                let stop = cell.stop(close);
                // Weak: a cell that stopped in time is not kept for the rest of its budget.
                let cell = Arc::downgrade(&cell);
                context.run_later(budget, move |_, _| {
                    if let Some(cell) = cell.upgrade() {
                        cell.abandon(stop);
                    }
                });
            }
            // No budget of its own: its children have theirs.
            Member::Supervisor(node) => {
                if node.stop(close).is_err() {
                    let stopped = Event::Stopped(Arc::clone(id));
                    let _ = self.commands.send(Command::Event(stopped));
                }
            }
        }
    }

    fn done(&mut self, failed: bool, close: bool, context: &mut Context<Self>) {
        if close {
            // Also of those that were down when the end came.
            self.node.cells().iter().for_each(|cell| cell.close());
        }
        let told = self.node.disconnect();
        let id = Arc::clone(&self.node.id);
        if failed {
            tracing::error!(supervisor = &*id, "restarts exhausted, giving up");
        }
        match &self.parent {
            Parent::Root(state) => {
                state.send_replace(RootState::Done { failed });
            }
            Parent::Supervisor(parent) => {
                let event = match (told, failed) {
                    (true, _) => Event::Stopped(id),
                    (false, true) => Event::Failed {
                        child: id,
                        final_straw: false,
                    },
                    (false, false) => Event::Ended(id),
                };
                let _ = parent.send(Command::Event(event));
            }
        }
        context.stop();
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if let Some(mut inbox) = self.inbox.take() {
            context.add_stream(futures_util::stream::poll_fn(move |cx| inbox.poll_recv(cx)));
        }
        self.feed(Event::Boot, context);
    }
}

impl StreamHandler<Command> for Supervisor {
    fn handle(&mut self, command: Command, context: &mut Self::Context) {
        match command {
            Command::Event(event) => self.feed(event, context),
            Command::Add(member, reply) => {
                let id = Arc::clone(member.id());
                if self.member(&id).is_some() {
                    let _ = reply.send(Err(TreeError::Exists { id: id.to_string() }));
                    return;
                }
                if let Member::Cell(cell) = &member {
                    cell.bind(self.commands.clone());
                    self.shared.watch(cell);
                }
                let child = member.kernel_child();
                self.node.add(member);
                self.additions.insert(id, reply);
                self.feed(Event::Add(child), context);
            }
            Command::Remove(id, reply) => {
                if self.member(&id).is_none() {
                    let _ = reply.send(Err(TreeError::Unknown { id: id.to_string() }));
                    return;
                }
                self.removals
                    .entry(Arc::clone(&id))
                    .or_default()
                    .push(reply);
                self.feed(Event::Remove(id), context);
            }
            Command::Restart(id, reply) => {
                let known = self.member(&id).is_some();
                self.feed(Event::Restart(Arc::clone(&id)), context);
                let _ = reply.send(if known {
                    Ok(())
                } else {
                    Err(TreeError::Unknown { id: id.to_string() })
                });
            }
            Command::Reload { policy, children } => {
                if let Some(policy) = policy {
                    self.feed(Event::Policy(policy), context);
                }
                for child in children {
                    self.feed(Event::Child(child), context);
                }
            }
            Command::Shutdown { close } => self.feed(Event::Shutdown { close }, context),
        }
    }

    // The stream ends only when the last sender is gone; the actor holds one.
    fn finished(&mut self, _: &mut Self::Context) {}
}

/// A child to be: a cell or a supervisor with children of its own.
pub struct ChildSpec {
    pub(crate) member: Member,
}

impl ChildSpec {
    /// A cell whose workers have a thread each (`policy.workers` of them), built by `factory`.
    pub fn sync<W: crate::Worker>(
        id: impl Into<Arc<str>>,
        policy: ChildPolicy,
        factory: impl Fn(&crate::StartCx) -> Result<W, crate::StartError> + Send + Sync + 'static,
    ) -> (Self, crate::CellRef<W>) {
        let (cell, handle) = crate::workers::sync_cell(id.into(), policy, factory);
        (
            Self {
                member: Member::Cell(Arc::new(cell)),
            },
            handle,
        )
    }

    /// A cell with many requests in flight on an arbiter of its own.
    pub fn asynchronous<W: crate::AsyncWorker>(
        id: impl Into<Arc<str>>,
        policy: ChildPolicy,
        factory: impl Fn(&crate::StartCx) -> Result<W, crate::StartError> + Send + Sync + 'static,
    ) -> (Self, crate::CellRef<W>) {
        let (cell, handle) = crate::workers::async_cell(id.into(), policy, factory);
        (
            Self {
                member: Member::Cell(Arc::new(cell)),
            },
            handle,
        )
    }

    /// A cell whose workers have a thread each and take several requests at once.
    pub fn batch<W: crate::BatchWorker>(
        id: impl Into<Arc<str>>,
        policy: ChildPolicy,
        batching: impl Into<crate::Batching>,
        factory: impl Fn(&crate::StartCx) -> Result<W, crate::StartError> + Send + Sync + 'static,
    ) -> (Self, crate::CellRef<W>) {
        let (cell, handle) = crate::batch::batch_cell(id.into(), policy, batching.into(), factory);
        (
            Self {
                member: Member::Cell(Arc::new(cell)),
            },
            handle,
        )
    }

    /// A plain actix actor on an arbiter of its own: started anew when it panics or stops.
    ///
    /// What its mailbox holds when it ends is lost, and gets `Crashed` or `Unavailable`; what the cell still
    /// queues is not. Prefer a worker where the code is yours.
    pub fn actor<A: Actor<Context = Context<A>>>(
        id: impl Into<Arc<str>>,
        policy: ChildPolicy,
        factory: impl Fn(&crate::StartCx) -> Result<A, crate::StartError> + Send + Sync + 'static,
    ) -> (Self, crate::ActorRef<A>) {
        let (cell, handle) = crate::adopt::actor_cell(id.into(), policy, factory);
        (
            Self {
                member: Member::Cell(Arc::new(cell)),
            },
            handle,
        )
    }

    /// A supervisor below this one.
    pub fn supervisor(spec: SupervisorSpec) -> Self {
        Self {
            member: Member::Supervisor(Arc::new(spec.into_node())),
        }
    }
}

/// A supervisor to be, with its static children in the order of their start.
pub struct SupervisorSpec {
    id: ChildId,
    policy: Policy,
    restart: Restart,
    significant: bool,
    children: Vec<ChildSpec>,
}

impl SupervisorSpec {
    /// A supervisor without children.
    pub fn new(id: impl Into<Arc<str>>, policy: Policy) -> Self {
        Self {
            id: id.into(),
            policy,
            restart: Restart::Permanent,
            significant: false,
            children: Vec::new(),
        }
    }

    /// Which of its ends lead to a restart by the supervisor above; permanent unless said otherwise.
    ///
    /// Giving up is a failure; an auto-shutdown is a normal end.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Its end for good may end the supervisor above: see [`crate::AutoShutdown`].
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.significant = true;
        self
    }

    /// Adds a child after the others.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    pub(crate) fn into_node(self) -> Node {
        let members = self
            .children
            .into_iter()
            .map(|child| child.member)
            .collect();
        Node::new(
            self.id,
            self.policy,
            self.restart,
            self.significant,
            members,
        )
    }
}
