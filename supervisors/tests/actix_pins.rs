//! What actix 0.13 does on its own when actors fail: the reasons for this crate, one test each.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join;

/// What became of an actor, seen from outside.
#[derive(Default)]
struct Seen {
    restarts: AtomicUsize,
    stopped: AtomicUsize,
    /// Served with broken state, and while the thread was unwinding.
    served_broken: Mutex<Vec<(bool, bool)>>,
}

#[derive(Default)]
struct Puppet {
    count: usize,
    broken: bool,
    panic_in_started: bool,
    continue_when_stopping: bool,
    panic_when_stopping: bool,
    seen: Arc<Seen>,
}

impl Actor for Puppet {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        assert!(!self.panic_in_started, "in started");
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        assert!(!self.panic_when_stopping, "in stopping");
        if self.continue_when_stopping {
            return Running::Continue;
        }
        Running::Stop
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.seen.stopped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Supervised for Puppet {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.seen.restarts.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Message)]
#[rtype(usize)]
struct Count;

impl Handler<Count> for Puppet {
    type Result = usize;
    fn handle(&mut self, _: Count, _: &mut Self::Context) -> usize {
        let served = (self.broken, std::thread::panicking());
        self.seen.served_broken.lock().unwrap().push(served);
        self.count += 1;
        self.count
    }
}

#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
enum Panic {
    Handler,
    ActorFuture,
    Spawned,
    Timer,
}

impl Handler<Panic> for Puppet {
    type Result = ResponseActFuture<Self, ()>;
    fn handle(&mut self, how: Panic, context: &mut Self::Context) -> Self::Result {
        self.broken = true;
        let fail = |_: (), _: &mut Self, _: &mut Context<Self>| -> () { panic!("in a future") };
        match how {
            Panic::Handler => panic!("in the handler"),
            Panic::ActorFuture => return Box::pin(async {}.into_actor(self).map(fail)),
            Panic::Spawned => {
                context.spawn(async {}.into_actor(self).map(fail));
            }
            Panic::Timer => {
                context.run_later(Duration::ZERO, |_, _| panic!("in a timer"));
            }
        }
        Box::pin(std::future::pending().into_actor(self))
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct PanicInResponseFuture;

impl Handler<PanicInResponseFuture> for Puppet {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, _: PanicInResponseFuture, _: &mut Self::Context) -> Self::Result {
        Box::pin(async { panic!("in a response future") })
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Handler<Stop> for Puppet {
    type Result = ();
    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        context.stop();
    }
}

fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    System::new().block_on(test());
}

#[test]
fn a_panic_kills_the_actor_and_all_that_it_had_queued() {
    for how in [
        Panic::Handler,
        Panic::ActorFuture,
        Panic::Spawned,
        Panic::Timer,
    ] {
        run(|| async {
            let actor = Puppet::default().start();
            let (failed, waiting) = join(actor.send(how), actor.send(how)).await;
            assert_eq!(failed, Err(MailboxError::Closed));
            assert_eq!(waiting, Err(MailboxError::Closed));
            assert_eq!(actor.send(Count).await, Err(MailboxError::Closed));
        });
    }
}

#[test]
fn a_panic_in_started_kills_it_too() {
    run(|| async {
        let actor = Puppet {
            panic_in_started: true,
            ..Puppet::default()
        }
        .start();
        assert_eq!(actor.send(Count).await, Err(MailboxError::Closed));
    });
}

#[test]
fn a_panic_in_a_response_future_fails_that_ask_alone() {
    run(|| async {
        let actor = Puppet::default().start();
        assert_eq!(actor.send(Count).await, Ok(1));
        let failed = actor.send(PanicInResponseFuture).await;
        assert_eq!(failed, Err(MailboxError::Closed));
        assert_eq!(actor.send(Count).await, Ok(2));
    });
}

#[test]
fn its_supervisor_dies_of_a_panic_without_restarting() {
    run(|| async {
        let seen = Arc::new(Seen::default());
        let kept = Arc::clone(&seen);
        let actor = Supervisor::start(|_| Puppet {
            seen: kept,
            ..Puppet::default()
        });
        assert_eq!(actor.send(Panic::Handler).await, Err(MailboxError::Closed));
        assert_eq!(actor.send(Count).await, Err(MailboxError::Closed));
        assert_eq!(seen.restarts.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn its_supervisor_runs_the_same_instance_again_after_a_stop() {
    run(|| async {
        let seen = Arc::new(Seen::default());
        let kept = Arc::clone(&seen);
        let actor = Supervisor::start(|_| Puppet {
            seen: kept,
            ..Puppet::default()
        });
        assert_eq!(actor.send(Count).await, Ok(1));
        actor.send(Stop).await.unwrap();
        // Not a fresh state: it goes on counting.
        assert_eq!(actor.send(Count).await, Ok(2));
        assert_eq!(seen.restarts.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_child_that_stops_in_started_starves_its_arbiter() {
    const ENOUGH: usize = 10_000;

    #[derive(Clone, Default)]
    struct Quitter(Arc<AtomicUsize>);
    impl Actor for Quitter {
        type Context = Context<Self>;
        fn started(&mut self, context: &mut Self::Context) {
            // Without this end it would never come back.
            if self.0.fetch_add(1, Ordering::SeqCst) < ENOUGH {
                context.stop();
            }
        }
    }
    impl Supervised for Quitter {}

    run(|| async {
        let quitter = Quitter::default();
        let starts = Arc::clone(&quitter.0);
        let _actor = Supervisor::start(|_| quitter);
        let seen_by_a_neighbour = actix::spawn(async move { starts.load(Ordering::SeqCst) });
        assert_eq!(seen_by_a_neighbour.await.unwrap(), ENOUGH + 1);
    });
}

#[test]
fn threads_of_a_sync_arbiter_are_not_replaced() {
    struct Blocking;
    impl Actor for Blocking {
        type Context = SyncContext<Self>;
    }
    impl Handler<Count> for Blocking {
        type Result = usize;
        fn handle(&mut self, _: Count, _: &mut Self::Context) -> usize {
            7
        }
    }
    impl Handler<Stop> for Blocking {
        type Result = ();
        fn handle(&mut self, _: Stop, _: &mut Self::Context) {
            panic!("on a thread")
        }
    }

    run(|| async {
        let built = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&built);
        let actor = SyncArbiter::start(2, move || {
            counter.fetch_add(1, Ordering::SeqCst);
            Blocking
        });
        assert_eq!(actor.send(Stop).await, Err(MailboxError::Closed));
        assert_eq!(actor.send(Count).await, Ok(7));
        assert_eq!(actor.send(Stop).await, Err(MailboxError::Closed));
        assert!(actor.send(Count).await.is_err());
        assert_eq!(built.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn the_capacity_of_a_mailbox_is_no_bound() {
    run(|| async {
        let seen = Arc::new(Seen::default());
        let kept = Arc::clone(&seen);
        let actor = Puppet::create(|context| {
            context.set_mailbox_capacity(1);
            Puppet {
                seen: kept,
                ..Puppet::default()
            }
        });
        // Every clone owns a place of its own.
        for _ in 0..1_000 {
            actor.clone().try_send(Count).unwrap();
        }
        assert_eq!(
            seen.served_broken.lock().unwrap().len(),
            0,
            "all are queued"
        );
        assert!(actor.send(Count).await.unwrap() > 1_000);
    });
}

#[test]
fn one_that_continues_when_stopping_serves_the_next_with_broken_state_while_unwinding() {
    run(|| async {
        let seen = Arc::new(Seen::default());
        let actor = Puppet {
            continue_when_stopping: true,
            seen: Arc::clone(&seen),
            ..Puppet::default()
        }
        .start();
        let (failed, _) = join(actor.send(Panic::Handler), actor.send(Count)).await;
        assert_eq!(failed, Err(MailboxError::Closed));
        assert_eq!(*seen.served_broken.lock().unwrap(), [(true, true)]);
    });
}

/// Not a test: the process that the next one starts.
#[test]
fn child() {
    if std::env::var_os("DIE_WHILE_STOPPING").is_none() {
        return;
    }
    run(|| async {
        let actor = Puppet {
            panic_when_stopping: true,
            ..Puppet::default()
        }
        .start();
        let _ = actor.send(Panic::Handler).await;
    });
}

#[test]
fn a_panic_while_stopping_after_a_panic_aborts_the_process() {
    let me = std::env::current_exe().unwrap();
    let run = |die: bool| {
        let mut command = std::process::Command::new(&me);
        command.args(["--exact", "child"]);
        if die {
            command.env("DIE_WHILE_STOPPING", "1");
        }
        command.output().unwrap().status.success()
    };
    assert!(run(false));
    assert!(!run(true));
}
