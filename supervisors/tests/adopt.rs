//! Plain actix actors as supervised children.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;
use supervisors::{
    ActorRef, Backoff, ChildPolicy, ChildSpec, Deadline, Fault, NodeKind, Policy, SupervisorSpec,
    Tree,
};

struct Counter {
    count: usize,
    ended: Arc<AtomicUsize>,
}

impl Actor for Counter {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Message)]
#[rtype(usize)]
struct Count;

impl Handler<Count> for Counter {
    type Result = usize;
    fn handle(&mut self, _: Count, _: &mut Self::Context) -> usize {
        self.count += 1;
        self.count
    }
}

#[derive(Message)]
#[rtype(result = "()")]
enum Do {
    Panic,
    PanicLater,
    PanicInFuture,
    Stop,
    Never,
    Block,
}

impl Handler<Do> for Counter {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, message: Do, context: &mut Self::Context) -> ResponseFuture<()> {
        match message {
            Do::Panic => std::panic::panic_any("in the actor"),
            Do::PanicLater => {
                context.run_later(Duration::ZERO, |_, _| std::panic::panic_any("later"));
                Box::pin(async {})
            }
            Do::PanicInFuture => Box::pin(async { std::panic::panic_any("in a future") }),
            Do::Stop => {
                context.stop();
                Box::pin(std::future::pending())
            }
            Do::Never => Box::pin(std::future::pending()),
            Do::Block => loop {
                std::thread::park_timeout(Duration::from_secs(60));
            },
        }
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

async fn start() -> (Tree, ActorRef<Counter>, Arc<AtomicUsize>) {
    let ended = Arc::new(AtomicUsize::new(0));
    let noted = Arc::clone(&ended);
    let (spec, actor) = ChildSpec::actor("a", ChildPolicy::default(), move |_| {
        Ok(Counter {
            count: 0,
            ended: Arc::clone(&noted),
        })
    });
    let policy = Policy {
        intensity: 100,
        backoff: Backoff {
            base_ms: 1,
            max_ms: 1,
            ..Backoff::default()
        },
        ..Policy::default()
    };
    let tree = Tree::start(SupervisorSpec::new("root", policy).child(spec), 7)
        .await
        .unwrap();
    (tree, actor, ended)
}

fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    actix::System::new().block_on(test());
}

#[test]
fn a_panic_names_itself_and_a_fresh_instance_follows() {
    run(|| async {
        let (tree, actor, ended) = start().await;
        assert_eq!(actor.send(Count, soon()).await.unwrap(), 1);
        assert_eq!(actor.send(Count, soon()).await.unwrap(), 2);
        let crashed = actor.send(Do::Panic, soon()).await;
        assert!(matches!(crashed, Err(Fault::Crashed(report)) if report.message == "in the actor"));
        assert_eq!(actor.send(Count, soon()).await.unwrap(), 1);
        let seen = tree.snapshot();
        assert_eq!(
            (seen.children[0].kind, seen.children[0].restarts),
            (NodeKind::Actor, 1)
        );
        assert_eq!(seen.children[0].in_flight, Some(0));
        // The broken instance was not run again, not even to stop.
        assert_eq!(ended.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn what_its_mailbox_held_fails_with_it_and_nothing_is_left_without_an_answer() {
    run(|| async {
        let (_tree, actor, _) = start().await;
        let never = actor.send(Do::Never, soon());
        let panic = actor.send(Do::Panic, soon());
        let (never, panic) = futures_util::future::join(never, panic).await;
        let (Err(Fault::Crashed(one)), Err(Fault::Crashed(other))) = (never, panic) else {
            panic!("expected two crashes")
        };
        assert_eq!(one.id, other.id);
        assert_eq!(actor.send(Count, soon()).await.unwrap(), 1);
    });
}

#[test]
fn a_panic_without_a_message_is_noticed() {
    run(|| async {
        let (tree, actor, _) = start().await;
        let _ = actor.send(Do::PanicLater, soon()).await;
        while tree.snapshot().children[0].restarts == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(actor.send(Count, soon()).await.unwrap(), 1);
    });
}

#[test]
fn a_panic_in_a_response_future_costs_that_message_alone() {
    run(|| async {
        let (tree, actor, _) = start().await;
        assert_eq!(actor.send(Count, soon()).await.unwrap(), 1);
        let crashed = actor.send(Do::PanicInFuture, soon()).await;
        assert!(matches!(crashed, Err(Fault::Crashed(_))));
        assert_eq!(actor.send(Count, soon()).await.unwrap(), 2);
        assert_eq!(tree.snapshot().children[0].restarts, 0);
    });
}

#[test]
fn one_that_stops_is_started_anew() {
    run(|| async {
        let (_tree, actor, ended) = start().await;
        let never = actor.send(Do::Never, soon());
        let stop = actor.send(Do::Stop, soon());
        let (never, stop) = futures_util::future::join(never, stop).await;
        assert!(matches!(never, Err(Fault::Unavailable { .. })));
        assert!(matches!(stop, Err(Fault::Unavailable { .. })));
        assert_eq!(actor.send(Count, soon()).await.unwrap(), 1);
        assert_eq!(ended.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_slow_reply_is_given_up_and_a_blocked_arbiter_replaced() {
    run(|| async {
        let (tree, actor, _) = start().await;
        let short = || Deadline::after(Duration::from_millis(20));
        assert!(matches!(
            actor.send(Do::Never, short()).await,
            Err(Fault::Hung { .. })
        ));
        assert_eq!(actor.send(Count, soon()).await.unwrap(), 1);
        assert_eq!(tree.snapshot().children[0].restarts, 0);
        assert!(matches!(
            actor.send(Do::Block, short()).await,
            Err(Fault::Hung { .. })
        ));
        assert_eq!(actor.send(Count, soon()).await.unwrap(), 1);
        assert_eq!(tree.snapshot().children[0].zombies, Some(1));
    });
}

#[test]
fn it_stops_in_order_with_the_tree() {
    run(|| async {
        let (tree, actor, ended) = start().await;
        tree.crash_next("a").unwrap();
        assert!(matches!(
            actor.send(Count, soon()).await,
            Err(Fault::Crashed(_))
        ));
        assert_eq!(actor.send(Count, soon()).await.unwrap(), 1);
        assert!(tree.drain(Duration::from_secs(20)).await.complete);
        assert_eq!(ended.load(Ordering::SeqCst), 1);
        assert!(matches!(
            actor.send(Count, soon()).await,
            Err(Fault::ShuttingDown)
        ));
    });
}
