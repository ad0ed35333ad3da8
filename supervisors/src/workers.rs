//! The loops that run user code: one for threads, one for arbiters. Every call into it is fenced.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::Arbiter;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::sync::Notify;

use crate::cell::{
    Admitted, AsyncWorker, CellRef, Core, Protocol, StartCx, StartError, Worker, drop_quietly,
};
use crate::control::{Cell, NodeKind, Spawn};
use crate::crew::{CrewSlot, Exit};
use crate::fault::Fault;
use crate::fence::{fenced, install_hook};
use crate::policy::ChildPolicy;

/// Requests that an async worker takes before it lets those in flight go on.
const FAIR_SHARE: u64 = 128;

/// Panics as a bug of the worker would: through the hook, with a backtrace.
#[expect(clippy::panic, reason = "a crash on purpose is asked for, and fenced")]
pub(crate) fn crash_on_purpose() -> ! {
    std::panic::panic_any("crashed on purpose")
}

/// Builds a worker; why not, when its factory fails or panics.
pub(crate) fn build<P: Protocol, W>(
    core: &Core<P>,
    slot: &CrewSlot<P>,
    factory: &dyn Fn(&StartCx) -> Result<W, StartError>,
) -> Result<W, String> {
    let start = StartCx {
        cell: Arc::clone(&core.id),
        epoch: slot.epoch(),
    };
    let built = fenced(|| {
        core.fail_point.factory()?;
        factory(&start)
    });
    match built {
        Ok(built) => built.map_err(|error| error.to_string()),
        Err(panic) => Err(core.report(slot.epoch(), panic, None).to_string()),
    }
}

/// Starts each worker on a thread that `run`s it to its end.
pub(crate) fn thread_per_worker<P: Protocol>(
    run: impl Fn(&Arc<Core<P>>, &Arc<CrewSlot<P>>) + Send + Sync + 'static,
) -> Spawn<P> {
    let run = Arc::new(run);
    Box::new(move |core, slot| {
        let (held, own_slot, run) = (Arc::clone(core), Arc::clone(&slot), Arc::clone(&run));
        let thread = std::thread::Builder::new().name(core.id.chars().take(15).collect());
        let spawned = thread.spawn(move || run(&held, &own_slot));
        if let Err(error) = spawned {
            core.worker_not_started(&slot, &format!("no thread: {error}"));
        }
    })
}

/// Starts each worker on an arbiter that ends with it.
pub(crate) fn arbiter_per_worker<P: Protocol>(
    run: impl Fn(Arc<Core<P>>, Arc<CrewSlot<P>>) -> LocalBoxFuture<'static, ()> + Send + Sync + 'static,
) -> Spawn<P> {
    let run = Arc::new(run);
    Box::new(move |core, slot| {
        let (held, own_slot, run) = (Arc::clone(core), Arc::clone(&slot), Arc::clone(&run));
        let alive = Arbiter::new().spawn_fn(move || {
            actix::spawn(async move {
                run(held, own_slot).await;
                Arbiter::current().stop();
            });
        });
        if !alive {
            core.worker_not_started(&slot, "no arbiter");
        }
    })
}

/// Builds a cell whose workers have a thread each.
pub(crate) fn sync_cell<W: Worker>(
    id: Arc<str>,
    policy: ChildPolicy,
    factory: impl Fn(&StartCx) -> Result<W, StartError> + Send + Sync + 'static,
) -> (Cell<W>, CellRef<W>) {
    install_hook();
    let core = Arc::new(Core::new(id, policy, NodeKind::Sync));
    let spawn = thread_per_worker(move |core, slot| {
        run_sync(core, slot, &factory);
    });
    let handle = CellRef {
        core: Arc::clone(&core),
    };
    (Cell { core, spawn }, handle)
}

fn run_sync<W: Worker>(
    core: &Arc<Core<W>>,
    slot: &Arc<CrewSlot<W>>,
    factory: &dyn Fn(&StartCx) -> Result<W, StartError>,
) {
    let mut worker = match build(core, slot, factory) {
        Ok(worker) => worker,
        Err(reason) => return core.worker_not_started(slot, &reason),
    };
    core.worker_started(slot);
    while let Some(job) = core.inbox.pop(&slot.stop) {
        let Some(Admitted {
            request,
            cx,
            key,
            digest,
            crash,
            strike,
            mark,
        }) = core.admit(slot, job)
        else {
            continue;
        };
        let outcome = fenced(|| {
            if crash {
                crash_on_purpose();
            }
            if let Some(strike) = strike {
                strike.on_thread(&cx);
            }
            worker.handle(request, &cx)
        });
        match outcome {
            Ok(result) => {
                drop(mark);
                match slot.take(key) {
                    Some(flight) => core.answer(flight, result.map_err(Fault::App)),
                    // Given up meanwhile: the caller has its answer, this thread ends.
                    None => drop_quietly(result),
                }
            }
            Err(panic) => {
                let report = core.report(slot.epoch(), panic, digest);
                if let Some(flight) = slot.take(key) {
                    core.answer(flight, Err(Fault::Crashed(report)));
                }
                drop_quietly(worker);
                drop(mark);
                return core.leave(slot, Exit::Failed);
            }
        }
        if slot.is_finished() {
            break;
        }
    }
    drop_quietly(worker);
    core.leave(
        slot,
        if slot.is_finished() {
            Exit::Ended
        } else {
            Exit::Quiet
        },
    );
}

/// Builds a cell with one arbiter on which many requests are in flight.
pub(crate) fn async_cell<W: AsyncWorker>(
    id: Arc<str>,
    policy: ChildPolicy,
    factory: impl Fn(&StartCx) -> Result<W, StartError> + Send + Sync + 'static,
) -> (Cell<W>, CellRef<W>) {
    install_hook();
    let core = Arc::new(Core::new(id, policy, NodeKind::Async));
    let factory = Arc::new(factory);
    let spawn = arbiter_per_worker(move |core, slot| {
        let factory = Arc::clone(&factory);
        Box::pin(async move { run_async(&core, &slot, factory.as_ref()).await })
    });
    let handle = CellRef {
        core: Arc::clone(&core),
    };
    (Cell { core, spawn }, handle)
}

async fn run_async<W: AsyncWorker>(
    core: &Arc<Core<W>>,
    slot: &Arc<CrewSlot<W>>,
    factory: &dyn Fn(&StartCx) -> Result<W, StartError>,
) {
    let worker = match build(core, slot, factory) {
        Ok(worker) => Rc::new(worker),
        Err(reason) => return core.worker_not_started(slot, &reason),
    };
    core.worker_started(slot);
    let shift = Rc::new(Shift {
        core: Arc::clone(core),
        slot: Arc::clone(slot),
        worker,
        idle: Notify::new(),
    });
    let mut taken = 0_u64;
    while let Some(job) = core.inbox.pop_async(&slot.stop).await {
        let Some(admitted) = core.admit(slot, job) else {
            continue;
        };
        let held = Rc::clone(&shift);
        let mut task = Box::pin(async move { run_one(&held, admitted).await });
        // Most work is done at once and needs no task of its own.
        if (&mut task).now_or_never().is_none() {
            actix::spawn(task);
        }
        taken += 1;
        if taken.is_multiple_of(FAIR_SHARE) {
            tokio::task::yield_now().await;
        }
    }
    while slot.in_flight() > 0 {
        shift.idle.notified().await;
    }
    drop_quietly(shift);
    let ended = slot.is_finished() && !slot.is_retired();
    core.leave(slot, if ended { Exit::Ended } else { Exit::Quiet });
}

/// What the requests of one async worker share.
struct Shift<W: AsyncWorker> {
    core: Arc<Core<W>>,
    slot: Arc<CrewSlot<W>>,
    worker: Rc<W>,
    /// A request is done, after the worker was told to stop.
    idle: Notify,
}

async fn run_one<W: AsyncWorker>(shift: &Shift<W>, admitted: Admitted<W>) {
    let Shift {
        core,
        slot,
        worker,
        idle,
    } = shift;
    let worker = Rc::clone(worker);
    let Admitted {
        request,
        cx,
        key,
        digest,
        crash,
        strike,
        mark,
    } = admitted;
    let call = cx.clone();
    let work = async move {
        if crash {
            crash_on_purpose();
        }
        if let Some(strike) = strike {
            strike.in_task().await;
        }
        worker.handle(request, cx).await
    };
    let outcome = core.run_within_limit(work, &call).await;
    // The future is dropped before the answer: when the caller knows, nothing of its request goes on.
    drop(mark);
    let flight = slot.take(key);
    match outcome {
        Some(Ok(result)) => match flight {
            Some(flight) => core.answer(flight, result.map_err(Fault::App)),
            None => drop_quietly(result),
        },
        Some(Err(panic)) => {
            let report = core.report(slot.epoch(), panic, digest);
            if let Some(flight) = flight {
                core.answer(flight, Err(Fault::Crashed(report)));
            }
            core.retire(slot);
        }
        None => {
            if let Some(flight) = flight {
                let after = flight.elapsed();
                core.answer(flight, Err(Fault::Hung { after }));
            }
        }
    }
    if slot.is_finished() {
        slot.stop.store(true, Ordering::Release);
        core.inbox.wake_all();
    }
    // Before, the loop takes requests and waits for none to end; it runs on this thread, so it cannot miss this.
    if slot.stop.load(Ordering::Acquire) {
        idle.notify_one();
    }
}
