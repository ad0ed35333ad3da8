//! The workers of a cell: started, counted, stopped, given up. All under one lock, so that what they report
//! has an order: each stop gets one `Stopped`, and what happened before it is told before it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::call::Flight;
use crate::cell::{Core, Protocol};
use crate::fault::Fault;
use crate::kernel::Event;
use crate::slot::Slot;

/// A slot of a cell with this protocol.
pub(crate) type CrewSlot<P> = Slot<Flight<P>>;

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As it was told to, or after its supervisor has heard why.
    Quiet,
    /// Normally, by itself.
    Ended,
    /// It crashed or could not start.
    Failed,
}

/// The workers of a cell and where their start or stop stands.
pub(crate) struct Crew<P: Protocol> {
    pub(crate) slots: Vec<Arc<CrewSlot<P>>>,
    epoch: u64,
    /// Factories that have not returned.
    pending: usize,
    /// The start under way has failed already: a pool's other workers need not tell it again.
    start_failed: bool,
    stopping: bool,
    /// Counts stops: a shutdown budget ends only the stop that it was given for.
    stops: u64,
}

impl<P: Protocol> Crew<P> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Vec::new(),
            epoch: 0,
            pending: 0,
            start_failed: false,
            stopping: false,
            stops: 0,
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes a slot out; `false` when it is gone already.
    fn part(&mut self, slot: &Arc<CrewSlot<P>>) -> bool {
        let before = self.slots.len();
        self.slots.retain(|known| !Arc::ptr_eq(known, slot));
        self.slots.len() < before
    }

    /// The factory of a slot has returned, or is no longer waited for; `false` when this was known.
    fn settle_start(&mut self, slot: &CrewSlot<P>) -> bool {
        // Not `swap(false)` and `pending -= usize::from(first)`: optimised by rustc 1.95.0 (LLVM 22.1.2), that pair
        // followed by `first && pending == 0` is false where it must be true.
        let first = slot.starting.load(Ordering::Acquire);
        if first {
            slot.starting.store(false, Ordering::Release);
            self.pending -= 1;
        }
        first
    }
}

impl<P: Protocol> Core<P> {
    /// Makes room for the workers that a start must build: as many as are missing.
    pub(crate) fn prepare_start(&self, workers: usize) -> Vec<Arc<CrewSlot<P>>> {
        let mut crew = self.crew();
        crew.stopping = false;
        self.admit_again();
        crew.epoch += 1;
        let running = crew.slots.iter().filter(|slot| !slot.is_retired()).count();
        let fresh: Vec<_> = (running..workers)
            .map(|_| Arc::new(Slot::new(Arc::clone(&self.id), crew.epoch)))
            .collect();
        crew.slots.extend(fresh.iter().map(Arc::clone));
        crew.start_failed = false;
        crew.pending += fresh.len();
        if crew.pending == 0 {
            self.emit(Event::Started(Arc::clone(&self.id)));
        }
        fresh
    }

    /// One worker of a start runs.
    pub(crate) fn worker_started(&self, slot: &CrewSlot<P>) {
        let mut crew = self.crew();
        if crew.settle_start(slot) && crew.pending == 0 && !crew.start_failed {
            *self
                .start_failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = None;
            self.emit(Event::Started(Arc::clone(&self.id)));
        }
    }

    /// One worker of a start could not be built. Only the first of a start counts as a failure.
    pub(crate) fn worker_not_started(&self, slot: &Arc<CrewSlot<P>>, reason: &str) {
        tracing::warn!(cell = &*self.id, reason, "a worker could not start");
        *self
            .start_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(reason.into());
        let first = {
            let mut crew = self.crew();
            crew.settle_start(slot) && !std::mem::replace(&mut crew.start_failed, true)
        };
        self.leave(slot, if first { Exit::Failed } else { Exit::Quiet });
    }

    /// A worker has ended.
    pub(crate) fn leave(&self, slot: &Arc<CrewSlot<P>>, exit: Exit) {
        let mut crew = self.crew();
        if !crew.part(slot) {
            self.zombies.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        if crew.stopping {
            return self.tell_when_stopped(&crew);
        }
        let child = Arc::clone(&self.id);
        match exit {
            Exit::Quiet => {}
            Exit::Ended => self.emit(Event::Ended(child)),
            Exit::Failed => self.emit(Event::Failed {
                child,
                final_straw: false,
            }),
        }
    }

    fn tell_when_stopped(&self, crew: &Crew<P>) {
        if crew.slots.is_empty() {
            self.emit(Event::Stopped(Arc::clone(&self.id)));
        }
    }

    /// An async worker's state crashed: the supervisor builds another, what is in flight finishes.
    pub(crate) fn retire(&self, slot: &CrewSlot<P>) {
        let crew = self.crew();
        if slot.retired.swap(true, Ordering::AcqRel) || slot.is_abandoned() {
            return;
        }
        slot.stop.store(true, Ordering::Release);
        self.inbox.wake_all();
        if !crew.stopping {
            self.emit(Event::Failed {
                child: Arc::clone(&self.id),
                final_straw: false,
            });
        }
    }

    /// Tells all workers to stop; returns the number of this stop.
    pub(crate) fn stop_crew(&self) -> u64 {
        let mut crew = self.crew();
        crew.stopping = true;
        crew.stops += 1;
        for slot in &crew.slots {
            slot.stop.store(true, Ordering::Release);
        }
        self.inbox.wake_all();
        self.tell_when_stopped(&crew);
        crew.stops
    }

    /// The budget of a stop is over: whoever still runs is given up.
    pub(crate) fn abandon_crew(&self, stop: u64) {
        let slots = {
            let crew = self.crew();
            if !crew.stopping || crew.stops != stop {
                return;
            }
            crew.slots.clone()
        };
        for slot in &slots {
            self.abandon_slot(slot, |_| Fault::ShuttingDown);
        }
    }

    /// Gives a stuck worker up: its callers are answered, its late effects refused. Its supervisor hears of
    /// it, unless that has replaced it already.
    pub(crate) fn abandon_slot(
        &self,
        slot: &Arc<CrewSlot<P>>,
        fault: impl Fn(&Flight<P>) -> Fault<P::Err>,
    ) {
        let flights = {
            let mut crew = self.crew();
            if !crew.part(slot) {
                return;
            }
            crew.settle_start(slot);
            let flights = slot.give_up();
            slot.stop.store(true, Ordering::Release);
            let zombies = self.zombies.fetch_add(1, Ordering::AcqRel) + 1;
            if crew.stopping {
                self.tell_when_stopped(&crew);
            } else if !slot.is_retired() {
                self.emit(Event::Failed {
                    child: Arc::clone(&self.id),
                    final_straw: zombies > self.policy().max_zombies,
                });
            }
            flights
        };
        for flight in flights {
            let fault = fault(&flight);
            self.answer(flight, Err(fault));
        }
        self.inbox.wake_all();
    }
}
