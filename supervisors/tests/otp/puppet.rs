//! A worker that counts, crashes, ends or blocks on demand, in a real tree.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use supervisors::{
    CellRef, ChildPolicy, ChildSpec, Cx, Deadline, Fault, Phase, Policy, Protocol, Restart,
    SupervisorSpec, Tree, TreeSnapshot, Worker,
};

pub(crate) enum Do {
    Count,
    Crash,
    Finish,
    /// Meets the test when it runs, and again when it may go on.
    Block(Arc<Barrier>),
}

#[derive(Default)]
pub(crate) struct Puppet {
    count: u64,
}

impl Protocol for Puppet {
    type Req = Do;
    type Rep = u64;
    type Err = String;
}

impl Worker for Puppet {
    fn handle(&mut self, request: Do, cx: &Cx) -> Result<u64, String> {
        self.count += 1;
        match request {
            Do::Count => {}
            Do::Crash => std::panic::panic_any("on demand"),
            Do::Finish => cx.finish(),
            Do::Block(barrier) => {
                barrier.wait();
                barrier.wait();
            }
        }
        Ok(self.count)
    }
}

pub(crate) fn puppet(id: &str, policy: ChildPolicy) -> (ChildSpec, CellRef<Puppet>) {
    ChildSpec::sync(id, policy, |_| Ok(Puppet::default()))
}

pub(crate) fn with(restart: Restart) -> ChildPolicy {
    ChildPolicy {
        restart,
        ..ChildPolicy::default()
    }
}

pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

pub(crate) async fn count(cell: &CellRef<Puppet>) -> u64 {
    cell.ask(Do::Count, soon()).await.unwrap()
}

pub(crate) async fn crash(cell: &CellRef<Puppet>) {
    let crashed = cell.ask(Do::Crash, soon()).await;
    assert!(matches!(crashed, Err(Fault::Crashed(_))));
}

/// Sends a request that the worker is running when this returns.
pub(crate) fn block(cell: &CellRef<Puppet>) -> (Arc<Barrier>, supervisors::Pending<Puppet>) {
    let gate = Arc::new(Barrier::new(2));
    let running = cell.try_ask(Do::Block(Arc::clone(&gate)), soon()).unwrap();
    gate.wait();
    (gate, running)
}

pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    actix::System::new().block_on(test());
}

pub(crate) async fn grow(policy: Policy, children: impl IntoIterator<Item = ChildSpec>) -> Tree {
    let root = SupervisorSpec::new("root", policy);
    let root = children.into_iter().fold(root, SupervisorSpec::child);
    Tree::start(root, 7).await.unwrap()
}

/// Lets the tree go on until its snapshot is as wanted.
pub(crate) async fn until(tree: &Tree, wanted: impl Fn(&TreeSnapshot) -> bool) -> TreeSnapshot {
    loop {
        let seen = tree.snapshot();
        if wanted(&seen) {
            return seen;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) fn names(node: &TreeSnapshot) -> Vec<&str> {
    node.children
        .iter()
        .map(|child| child.id.as_str())
        .collect()
}

/// How many children there are, and how many of them run.
pub(crate) fn counts(node: &TreeSnapshot) -> (usize, usize) {
    let active = node
        .children
        .iter()
        .filter(|child| child.state == Phase::Ready);
    (node.children.len(), active.count())
}
