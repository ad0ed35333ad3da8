//! The inbox and the slots, with every order of their steps tried by loom: nothing queued is lost or run twice,
//! whoever is to wake wakes, and each flight is answered once, by its worker or by who gave that up.

#[path = "../src/inbox.rs"]
#[expect(dead_code, reason = "time is not modelled, so batches are not tried")]
mod inbox;
#[path = "../src/slot.rs"]
#[expect(dead_code, reason = "flags that only other files read")]
mod slot;
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
}

use inbox::Inbox;
use loom::future::block_on;
use loom::thread;
use slot::Slot;
use sync::{Arc, AtomicBool, AtomicUsize, Ordering};

#[test]
fn threads_take_each_job_once_and_in_order() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::new(2));
        let stop = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (inbox, stop) = (Arc::clone(&inbox), Arc::clone(&stop));
                thread::spawn(move || inbox.pop(&stop).unwrap())
            })
            .collect();
        inbox.push(1).unwrap();
        inbox.push(2).unwrap();
        let mut taken: Vec<i32> = workers.into_iter().map(|w| w.join().unwrap()).collect();
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
    });
}

#[test]
fn one_worker_keeps_the_order() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::new(2));
        let queue = Arc::clone(&inbox);
        let worker = thread::spawn(move || {
            let stop = AtomicBool::new(false);
            [queue.pop(&stop), queue.pop(&stop)]
        });
        inbox.push(1).unwrap();
        inbox.push(2).unwrap();
        assert_eq!(worker.join().unwrap(), [Some(1), Some(2)]);
    });
}

#[test]
fn a_task_that_waits_is_woken() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::new(2));
        let queue = Arc::clone(&inbox);
        let worker = thread::spawn(move || {
            let stop = AtomicBool::new(false);
            let first = block_on(queue.pop_async(&stop));
            [first, block_on(queue.pop_async(&stop))]
        });
        inbox.push(1).unwrap();
        inbox.push(2).unwrap();
        assert_eq!(worker.join().unwrap(), [Some(1), Some(2)]);
    });
}

#[test]
fn whoever_waits_hears_of_a_stop() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::<i32>::new(1));
        let stop = Arc::new(AtomicBool::new(false));
        let (queue, flag) = (Arc::clone(&inbox), Arc::clone(&stop));
        let waiting_thread = thread::spawn(move || queue.pop(&flag));
        let (queue, flag) = (Arc::clone(&inbox), Arc::clone(&stop));
        let waiting_task = thread::spawn(move || block_on(queue.pop_async(&flag)));
        stop.store(true, Ordering::Release);
        inbox.wake_all();
        assert_eq!(waiting_thread.join().unwrap(), None);
        assert_eq!(waiting_task.join().unwrap(), None);
    });
}

#[test]
fn admission_is_bounded_and_a_released_place_is_free() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::new(1));
        let callers: Vec<_> = (0..2)
            .map(|n| {
                let inbox = Arc::clone(&inbox);
                thread::spawn(move || inbox.push(n).is_ok())
            })
            .collect();
        let admitted = callers.into_iter().map(|caller| caller.join().unwrap());
        assert_eq!(admitted.filter(|admitted| *admitted).count(), 1);
        assert_eq!(inbox.queued(), 1);
        assert!(inbox.push(2).is_err());
        inbox.drain();
        inbox.release();
        assert!(inbox.push(3).is_ok());
    });
}

/// Counts the answers of one request, and tells when it is the last of all.
struct Answer {
    own: Arc<AtomicUsize>,
    all: Arc<AtomicUsize>,
}

const REQUESTS: usize = 2;

impl Answer {
    /// Returns whether every request has its answer.
    fn send(self) -> bool {
        self.own.fetch_add(1, Ordering::AcqRel);
        self.all.fetch_add(1, Ordering::AcqRel) + 1 == REQUESTS
    }
}

/// The loop of a worker, until it is stopped or given up: `Core::admit` and `run_sync` without user code. Whoever
/// sends the last answer stops `last`.
fn work(inbox: &Inbox<Answer>, slot: &Slot<Answer>, last: &Slot<Answer>) {
    while let Some(job) = inbox.pop(&slot.stop) {
        let key = match slot.begin(job) {
            Ok(key) => key,
            Err(job) => return inbox.put_back(job),
        };
        // Here the request runs, however long.
        let Some(flight) = slot.take(key) else {
            assert!(slot.is_abandoned());
            return;
        };
        answer(inbox, flight, last);
    }
}

fn answer(inbox: &Inbox<Answer>, flight: Answer, last: &Slot<Answer>) {
    inbox.release();
    if flight.send() {
        last.stop.store(true, Ordering::Release);
        inbox.wake_all();
    }
}

#[test]
fn a_worker_that_is_given_up_and_its_successor_answer_each_request_once() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let inbox = Arc::new(Inbox::new(REQUESTS));
        let (stale, next) = (
            Arc::new(Slot::new("cell".into(), 1)),
            Arc::new(Slot::new("cell".into(), 2)),
        );
        let start = |slot: &Arc<Slot<Answer>>| {
            let (inbox, slot, last) = (Arc::clone(&inbox), Arc::clone(slot), Arc::clone(&next));
            thread::spawn(move || work(&inbox, &slot, &last))
        };
        let first = start(&stale);
        let all = Arc::new(AtomicUsize::new(0));
        let answers: Vec<_> = (0..REQUESTS)
            .map(|_| Arc::new(AtomicUsize::new(0)))
            .collect();
        for own in &answers {
            let (own, all) = (Arc::clone(own), Arc::clone(&all));
            assert!(inbox.push(Answer { own, all }).is_ok());
        }
        // The watchdog, as `Core::abandon_slot`; then the next epoch takes over while the zombie lives.
        let flights = stale.give_up();
        stale.stop.store(true, Ordering::Release);
        for flight in flights {
            answer(&inbox, flight, &next);
        }
        inbox.wake_all();
        let second = start(&next);
        first.join().unwrap();
        second.join().unwrap();
        for answer in answers {
            assert_eq!(answer.load(Ordering::Acquire), 1);
        }
        assert_eq!((stale.in_flight(), next.in_flight()), (0, 0));
        assert_eq!(inbox.queued(), 0);
    });
}

#[test]
fn a_flight_is_taken_once() {
    loom::model(|| {
        let slot = Arc::new(Slot::new("cell".into(), 1));
        let key = slot.begin(()).unwrap();
        let watched = Arc::clone(&slot);
        let watchdog = thread::spawn(move || watched.give_up().len());
        let worker = usize::from(slot.take(key).is_some());
        // Whoever finds its flight gone sees that it was given up.
        if worker == 0 {
            assert!(slot.is_abandoned());
        }
        assert_eq!(worker + watchdog.join().unwrap(), 1);
        assert!(slot.begin(()).is_err());
    });
}

#[test]
fn a_request_that_begins_as_its_worker_is_given_up_is_not_forgotten() {
    loom::model(|| {
        let slot = Arc::new(Slot::new("cell".into(), 1));
        let worker = Arc::clone(&slot);
        // From here it hangs: only who gives it up can answer.
        let begins = thread::spawn(move || worker.begin(()).is_ok());
        let taken = slot.give_up().len();
        assert_eq!(usize::from(begins.join().unwrap()), taken);
        assert_eq!(slot.in_flight(), 0);
    });
}
