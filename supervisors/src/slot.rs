//! One incarnation of one worker, and the requests that it is to answer.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::PoisonError;

use crate::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering};

/// What the requests of a worker know of it.
pub(crate) struct Incarnation {
    pub(crate) cell: std::sync::Arc<str>,
    pub(crate) epoch: u64,
    /// Given up: whoever still runs here is a zombie.
    pub(crate) abandoned: AtomicBool,
    /// A request asked for a normal end.
    pub(crate) finished: AtomicBool,
}

/// Keys are counted up, so they spread by themselves.
#[derive(Default)]
struct Counted(u64);

impl Hasher for Counted {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        // The table reads the low bits and the seven highest.
        self.0 = key ^ key.rotate_right(7);
    }
}

struct Flights<F> {
    by_key: HashMap<u64, F, BuildHasherDefault<Counted>>,
    next_key: u64,
}

/// What a worker and those who watch it share. Each flight of type `F` is taken by one of them, once.
pub(crate) struct Slot<F> {
    pub(crate) incarnation: Arc<Incarnation>,
    /// Take no further request.
    pub(crate) stop: AtomicBool,
    /// Its state crashed: it only finishes what is in flight.
    pub(crate) retired: AtomicBool,
    /// Its factory has not returned yet. Changes under the crew's lock.
    pub(crate) starting: AtomicBool,
    flights: Mutex<Flights<F>>,
}

impl<F> Slot<F> {
    pub(crate) fn new(cell: std::sync::Arc<str>, epoch: u64) -> Self {
        Self {
            incarnation: Arc::new(Incarnation {
                cell,
                epoch,
                abandoned: AtomicBool::new(false),
                finished: AtomicBool::new(false),
            }),
            stop: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            starting: AtomicBool::new(true),
            flights: Mutex::new(Flights {
                by_key: HashMap::default(),
                next_key: 0,
            }),
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.incarnation.epoch
    }

    fn lock(&self) -> MutexGuard<'_, Flights<F>> {
        // No user code runs under this lock, so a poisoned one is whole.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request that is about to run and returns its key; gives it back when this worker was given up.
    pub(crate) fn begin(&self, flight: F) -> Result<u64, F> {
        let mut flights = self.lock();
        if self.is_abandoned() {
            return Err(flight);
        }
        let key = flights.next_key;
        flights.next_key += 1;
        flights.by_key.insert(key, flight);
        Ok(key)
    }

    /// Takes the right to answer; `None` when it was answered already.
    pub(crate) fn take(&self, key: u64) -> Option<F> {
        self.lock().by_key.remove(&key)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.lock().by_key.len()
    }

    pub(crate) fn holds(&self, key: u64) -> bool {
        self.lock().by_key.contains_key(&key)
    }

    pub(crate) fn any(&self, test: impl FnMut(&F) -> bool) -> bool {
        self.lock().by_key.values().any(test)
    }

    pub(crate) fn take_all(&self) -> Vec<F> {
        self.lock()
            .by_key
            .drain()
            .map(|(_, flight)| flight)
            .collect()
    }

    /// Takes those that pass `test`, unless all do.
    pub(crate) fn take_some(&self, test: impl Fn(&F) -> bool) -> Vec<F> {
        let flights = &mut self.lock().by_key;
        if flights.values().all(&test) {
            return Vec::new();
        }
        let taken = flights.extract_if(|_, flight| test(flight));
        taken.map(|(_, flight)| flight).collect()
    }

    /// Marks it as given up and takes all that it was to answer, under one lock: a worker that sees that it was
    /// given up finds nothing left to answer.
    pub(crate) fn give_up(&self) -> Vec<F> {
        let mut flights = self.lock();
        self.incarnation.abandoned.store(true, Ordering::Release);
        flights.by_key.drain().map(|(_, flight)| flight).collect()
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.incarnation.abandoned.load(Ordering::Acquire)
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.incarnation.finished.load(Ordering::Acquire)
    }
}
