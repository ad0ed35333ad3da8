//! The loops that run user code: one for threads, one for arbiters. Every call into it is fenced.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use actix::Arbiter;

use crate::cell::{
    Admitted, AsyncWorker, Cell, CellRef, Core, NodeKind, StartCx, StartError, Worker, drop_quietly,
};
use crate::crew::{Exit, Slot};
use crate::fault::Fault;
use crate::fence::{Fenced, fenced, install_hook};
use crate::policy::ChildPolicy;

/// Panics as a bug of the worker would: through the hook, with a backtrace.
#[expect(clippy::panic, reason = "a crash on purpose is asked for, and fenced")]
fn crash_on_purpose() -> ! {
    std::panic::panic_any("crashed on purpose")
}

/// Builds a cell whose workers have a thread each.
pub(crate) fn sync_cell<W: Worker>(
    id: Arc<str>,
    policy: ChildPolicy,
    factory: impl Fn(&StartCx) -> Result<W, StartError> + Send + Sync + 'static,
) -> (Cell<W>, CellRef<W>) {
    install_hook();
    let core = Arc::new(Core::new(id, policy, NodeKind::Sync));
    let factory = Arc::new(factory);
    let spawn = Box::new(move |core: &Arc<Core<W>>, slot: Arc<Slot<W>>| {
        let (held, own_slot) = (Arc::clone(core), Arc::clone(&slot));
        let factory = Arc::clone(&factory);
        let thread = std::thread::Builder::new().name(core.id.chars().take(15).collect());
        let spawned = thread.spawn(move || run_sync(&held, &own_slot, factory.as_ref()));
        if let Err(error) = spawned {
            core.worker_not_started(&slot, &format!("no thread: {error}"));
        }
    });
    let handle = CellRef {
        core: Arc::clone(&core),
    };
    (Cell { core, spawn }, handle)
}

fn run_sync<W: Worker>(
    core: &Arc<Core<W>>,
    slot: &Arc<Slot<W>>,
    factory: &dyn Fn(&StartCx) -> Result<W, StartError>,
) {
    let start = StartCx {
        cell: Arc::clone(&core.id),
        epoch: slot.epoch,
    };
    let mut worker = match fenced(|| factory(&start)) {
        Ok(Ok(worker)) => worker,
        Ok(Err(error)) => {
            return core.worker_not_started(slot, &error.to_string());
        }
        Err(panic) => {
            let report = core.report(slot.epoch, panic, None);
            return core.worker_not_started(slot, &report.to_string());
        }
    };
    core.worker_started(slot);
    while let Some(job) = core.inbox.pop(&slot.stop) {
        let Some(Admitted {
            request,
            cx,
            key,
            digest,
            crash,
        }) = core.admit(slot, job)
        else {
            continue;
        };
        let outcome = fenced(|| {
            if crash {
                crash_on_purpose();
            }
            worker.handle(request, &cx)
        });
        match outcome {
            Ok(result) => match slot.take(key) {
                Some(flight) => core.answer(flight, result.map_err(Fault::App)),
                // Given up meanwhile: the caller has its answer, this thread ends.
                None => drop_quietly(result),
            },
            Err(panic) => {
                let report = core.report(slot.epoch, panic, digest);
                if let Some(flight) = slot.take(key) {
                    core.answer(flight, Err(Fault::Crashed(report)));
                }
                drop_quietly(worker);
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
    let spawn = Box::new(move |core: &Arc<Core<W>>, slot: Arc<Slot<W>>| {
        let (core, factory) = (Arc::clone(core), Arc::clone(&factory));
        let arbiter = Arbiter::new();
        let lost = (Arc::clone(&core), Arc::clone(&slot));
        let alive = arbiter.spawn_fn(move || {
            actix::spawn(async move {
                run_async(&core, &slot, factory.as_ref()).await;
                Arbiter::current().stop();
            });
        });
        if !alive {
            lost.0.worker_not_started(&lost.1, "no arbiter");
        }
    });
    let handle = CellRef {
        core: Arc::clone(&core),
    };
    (Cell { core, spawn }, handle)
}

async fn run_async<W: AsyncWorker>(
    core: &Arc<Core<W>>,
    slot: &Arc<Slot<W>>,
    factory: &dyn Fn(&StartCx) -> Result<W, StartError>,
) {
    let start = StartCx {
        cell: Arc::clone(&core.id),
        epoch: slot.epoch,
    };
    let worker = match fenced(|| factory(&start)) {
        Ok(Ok(worker)) => Rc::new(worker),
        Ok(Err(error)) => {
            return core.worker_not_started(slot, &error.to_string());
        }
        Err(panic) => {
            let report = core.report(slot.epoch, panic, None);
            return core.worker_not_started(slot, &report.to_string());
        }
    };
    core.worker_started(slot);
    let idle = Rc::new(tokio::sync::Notify::new());
    while let Some(job) = core.inbox.pop_async(&slot.stop).await {
        let Some(admitted) = core.admit(slot, job) else {
            continue;
        };
        let (core, slot) = (Arc::clone(core), Arc::clone(slot));
        let (worker, idle) = (Rc::clone(&worker), Rc::clone(&idle));
        actix::spawn(async move {
            run_one(&core, &slot, worker, admitted).await;
            idle.notify_one();
        });
    }
    while slot.in_flight() > 0 {
        idle.notified().await;
    }
    drop_quietly(worker);
    let ended = slot.is_finished() && !slot.is_retired();
    core.leave(slot, if ended { Exit::Ended } else { Exit::Quiet });
}

async fn run_one<W: AsyncWorker>(
    core: &Arc<Core<W>>,
    slot: &Arc<Slot<W>>,
    worker: Rc<W>,
    admitted: Admitted<W>,
) {
    let Admitted {
        request,
        cx,
        key,
        digest,
        crash,
    } = admitted;
    let started = Instant::now();
    let call = cx.clone();
    let mut work = Fenced::new(async move {
        if crash {
            crash_on_purpose();
        }
        worker.handle(request, cx).await
    });
    let outcome = loop {
        let limit = core.limit(&call);
        tokio::select! {
            outcome = &mut work => break Some(outcome),
            () = Core::<W>::caller_gone(&call) => break None,
            () = tokio::time::sleep_until(limit.into()) => {
                // Progress may have moved the limit while this timer ran.
                if core.limit(&call) <= Instant::now() {
                    break None;
                }
            }
        }
    };
    // The future is dropped before the answer: when the caller knows, nothing of its request goes on.
    drop_quietly(work);
    let flight = slot.take(key);
    match outcome {
        Some(Ok(result)) => match flight {
            Some(flight) => core.answer(flight, result.map_err(Fault::App)),
            None => drop_quietly(result),
        },
        Some(Err(panic)) => {
            let report = core.report(slot.epoch, panic, digest);
            if let Some(flight) = flight {
                core.answer(flight, Err(Fault::Crashed(report)));
            }
            core.retire(slot);
        }
        None => {
            if let Some(flight) = flight {
                core.answer(
                    flight,
                    Err(Fault::Hung {
                        after: started.elapsed(),
                    }),
                );
            }
        }
    }
    if slot.is_finished() {
        slot.stop.store(true, Ordering::Release);
        core.inbox.wake_all();
    }
}
