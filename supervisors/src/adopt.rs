//! A plain actix actor as a supervised child.
//!
//! What is queued in the cell outlives a crash of the actor. What was handed over to its mailbox does not: the
//! mailbox is part of the actor, so when that ends, all of it that has no reply yet gets `Crashed`, or
//! `Unavailable` when the actor stopped by itself. A worker of ours loses one request; an adopted actor
//! loses all that it had accepted.

use std::any::Any;
use std::cell::Cell as Flag;
use std::convert::Infallible;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use actix::dev::ContextFut;
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{Notify, mpsc};

use crate::cell::{Admitted, CellRef, Core, Protocol, StartCx, StartError, drop_quietly};
use crate::control::{Cell, NodeKind};
use crate::crew::{CrewSlot, Exit};
use crate::fault::{Deadline, Fault};
use crate::fence::{Panic, fenced, install_hook};
use crate::policy::ChildPolicy;
use crate::workers::{arbiter_per_worker, build, crash_on_purpose};

type Answer = Box<dyn Any + Send>;
/// `None`: the actor dropped the message without a reply.
type Delivery = LocalBoxFuture<'static, Option<Answer>>;

type Deliver<A> = Box<dyn FnOnce(&Addr<A>) -> Delivery + Send>;

/// A message on its way, its type known only to its sender.
pub(crate) struct Envelope<A: Actor>(Deliver<A>);

/// The protocol of a cell around an actor.
pub(crate) struct Adopted<A>(PhantomData<fn(A)>);

impl<A: Actor> Protocol for Adopted<A> {
    type Req = Envelope<A>;
    type Rep = Answer;
    type Err = Infallible;
}

/// A handle to an adopted actor: stable across its restarts, cheap to clone.
pub struct ActorRef<A: Actor> {
    cell: CellRef<Adopted<A>>,
}

impl<A: Actor> Clone for ActorRef<A> {
    fn clone(&self) -> Self {
        Self {
            cell: self.cell.clone(),
        }
    }
}

impl<A: Actor<Context = Context<A>>> ActorRef<A> {
    /// The cell's id.
    pub fn id(&self) -> &str {
        self.cell.id()
    }

    /// Sends a message and waits for its reply.
    ///
    /// `Hung` means that there is no reply in time: the actor may still handle the message. The actor itself
    /// is replaced only when it blocks its arbiter.
    pub async fn send<M>(
        &self,
        message: M,
        deadline: Deadline,
    ) -> Result<M::Result, Fault<Infallible>>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send + 'static,
    {
        let deliver = move |actor: &Addr<A>| -> Delivery {
            let reply = actor.send(message);
            Box::pin(async move { Some(Box::new(reply.await.ok()?) as Answer) })
        };
        let answer = self.cell.ask(Envelope(Box::new(deliver)), deadline).await?;
        // The envelope put it in with this type.
        answer
            .downcast()
            .map(|reply| *reply)
            .map_err(|_| Fault::ShuttingDown)
    }
}

/// Builds a cell with one actor on an arbiter of its own.
pub(crate) fn actor_cell<A: Actor<Context = Context<A>>>(
    id: Arc<str>,
    policy: ChildPolicy,
    factory: impl Fn(&StartCx) -> Result<A, StartError> + Send + Sync + 'static,
) -> (Cell<Adopted<A>>, ActorRef<A>) {
    install_hook();
    let core = Arc::new(Core::new(id, policy, NodeKind::Actor));
    let factory = Arc::new(factory);
    let spawn = arbiter_per_worker(move |core, slot| {
        let factory = Arc::clone(&factory);
        Box::pin(async move { run_actor(&core, &slot, factory.as_ref()).await })
    });
    let cell = CellRef {
        core: Arc::clone(&core),
    };
    (Cell { core, spawn }, ActorRef { cell })
}

/// How an actor ended.
enum End {
    Panicked(Panic),
    ByItself,
    AsTold,
}

/// The actor and its mailbox. actix would let a panic unwind through both and then poll the broken actor once
/// more from a drop; here each poll is fenced, and after a panic none follows.
struct Body<A: Actor<Context = Context<A>>>(ContextFut<A, Context<A>>);

impl<A: Actor<Context = Context<A>>> Body<A> {
    async fn end(&mut self) -> End {
        poll_fn(|cx| match fenced(|| Pin::new(&mut self.0).poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(End::ByItself),
            Err(panic) => Poll::Ready(End::Panicked(panic)),
        })
        .await
    }
}

/// What the deliveries of one actor share.
struct Ward {
    over: Flag<bool>,
    /// Something was answered.
    progress: Notify,
    crashes: mpsc::UnboundedSender<Panic>,
}

async fn run_actor<A: Actor<Context = Context<A>>>(
    core: &Arc<Core<Adopted<A>>>,
    slot: &Arc<CrewSlot<Adopted<A>>>,
    factory: &dyn Fn(&StartCx) -> Result<A, StartError>,
) {
    let actor = match build(core, slot, factory) {
        Ok(actor) => actor,
        Err(reason) => return core.worker_not_started(slot, &reason),
    };
    let context = Context::new();
    let address = context.address();
    let mut body = Body(context.into_future(actor));
    let (crashes, mut crashed) = mpsc::unbounded_channel();
    let ward = Rc::new(Ward {
        over: Flag::new(false),
        progress: Notify::new(),
        crashes,
    });
    core.worker_started(slot);
    let end = loop {
        let stopping = slot.stop.load(std::sync::atomic::Ordering::Acquire);
        if stopping && slot.in_flight() == 0 {
            break End::AsTold;
        }
        tokio::select! {
            biased;
            end = body.end() => break end,
            Some(panic) = crashed.recv() => break End::Panicked(panic),
            () = ward.progress.notified() => {}
            job = core.inbox.pop_async(&slot.stop), if !stopping => {
                let Some(admitted) = job.and_then(|job| core.admit(slot, job)) else {
                    continue;
                };
                let (core, slot) = (Arc::clone(core), Arc::clone(slot));
                let (address, ward) = (address.clone(), Rc::clone(&ward));
                actix::spawn(async move { deliver(&core, &slot, &address, &ward, admitted).await });
            }
        }
    };
    ward.over.set(true);
    drop(address);
    bury(core, slot, body, end).await;
}

/// Drops what is left of an actor and answers those it owed a reply.
async fn bury<A: Actor<Context = Context<A>>>(
    core: &Core<Adopted<A>>,
    slot: &Arc<CrewSlot<Adopted<A>>>,
    mut body: Body<A>,
    end: End,
) {
    match end {
        End::Panicked(_) => body.0.ctx().terminate(),
        End::ByItself => {}
        End::AsTold => {
            body.0.ctx().stop();
            // One poll runs `stopping` and `stopped`; an actor that wants to continue may not.
            let _ = body.end().now_or_never();
        }
    }
    drop_quietly(body);
    // Replies that it gave before are on their way.
    tokio::task::yield_now().await;
    let owed = slot.take_all();
    match end {
        End::Panicked(panic) => {
            let report = core.report(slot.epoch(), panic, None);
            for flight in owed {
                core.answer(flight, Err(Fault::Crashed(Arc::clone(&report))));
            }
            core.leave(slot, Exit::Failed);
        }
        End::ByItself => {
            for flight in owed {
                let retry_after = Duration::ZERO;
                core.answer(
                    flight,
                    Err(Fault::Unavailable {
                        retry_after,
                        reason: None,
                    }),
                );
            }
            core.leave(slot, Exit::Ended);
        }
        End::AsTold => core.leave(slot, Exit::Quiet),
    }
}

async fn deliver<A: Actor<Context = Context<A>>>(
    core: &Core<Adopted<A>>,
    slot: &CrewSlot<Adopted<A>>,
    address: &Addr<A>,
    ward: &Ward,
    admitted: Admitted<Adopted<A>>,
) {
    let started = Instant::now();
    let (key, cx) = (admitted.key, admitted.cx);
    let Envelope(send) = admitted.request;
    let work = async move {
        if admitted.crash {
            crash_on_purpose();
        }
        if let Some(strike) = admitted.strike {
            strike.in_task().await;
        }
        send(address).await
    };
    let outcome = core.run_within_limit(work, &cx).await;
    let answer = match outcome {
        Some(Ok(Some(answer))) => Ok(answer),
        // The actor is gone, and whoever buries it answers.
        Some(Ok(None)) if ward.over.get() => return,
        // A future of the actor's panicked or dropped the message, and the actor goes on.
        Some(Ok(None)) => {
            let panic = Panic {
                message: "the actor dropped the message without a reply".to_owned(),
                location: String::new(),
                backtrace: None,
            };
            Err(Fault::Crashed(core.report(slot.epoch(), panic, None)))
        }
        Some(Err(panic)) => {
            // As if the actor itself had panicked on it.
            let _ = ward.crashes.send(panic);
            return;
        }
        None => Err(Fault::Hung {
            after: started.elapsed(),
        }),
    };
    match slot.take(key) {
        Some(flight) => core.answer(flight, answer),
        None => drop_quietly(answer),
    }
    ward.progress.notify_one();
}
