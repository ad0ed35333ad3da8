//! The queue of a cell. It belongs to the cell, not to a worker, so it outlives every crash.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::call::Job;
use crate::cell::Protocol;

/// What waits, and who waits for it.
struct Queue<P: Protocol> {
    jobs: VecDeque<Job<P>>,
    /// Threads waiting on `filled`. Its notification is a system call even when nobody waits.
    sleepers: usize,
}

/// A bounded queue that threads and tasks pull from.
pub(crate) struct Inbox<P: Protocol> {
    queue: Mutex<Queue<P>>,
    /// Queued and running. Invariant: an admission never takes it above `capacity`.
    admitted: AtomicUsize,
    capacity: AtomicUsize,
    filled: Condvar,
    notify: Notify,
}

impl<P: Protocol> Inbox<P> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            queue: Mutex::new(Queue {
                jobs: VecDeque::new(),
                sleepers: 0,
            }),
            admitted: AtomicUsize::new(0),
            capacity: AtomicUsize::new(capacity),
            filled: Condvar::new(),
            notify: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<P>> {
        // No user code runs under this lock, so a poisoned one is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a job, or gives it back when the cell has enough to do.
    pub(crate) fn push(&self, job: Job<P>) -> Result<(), Job<P>> {
        let capacity = self.capacity();
        let admitted = self
            .admitted
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                (count < capacity).then_some(count + 1)
            });
        if admitted.is_err() {
            return Err(job);
        }
        let mut queue = self.lock();
        queue.jobs.push_back(job);
        self.announce(queue);
        Ok(())
    }

    /// Wakes one who waits for the job just queued.
    fn announce(&self, queue: MutexGuard<'_, Queue<P>>) {
        let sleepers = queue.sleepers;
        drop(queue);
        if sleepers > 0 {
            self.filled.notify_one();
        }
        self.notify.notify_one();
    }

    /// Frees the place of an answered job.
    pub(crate) fn release(&self) {
        self.admitted.fetch_sub(1, Ordering::AcqRel);
    }

    /// Waits on a thread for a job; `None` when `stop` is set.
    pub(crate) fn pop(&self, stop: &AtomicBool) -> Option<Job<P>> {
        let mut queue = self.lock();
        loop {
            if stop.load(Ordering::Acquire) {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue.sleepers += 1;
            queue = self
                .filled
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
            queue.sleepers -= 1;
        }
    }

    /// Waits on a thread for a job, then takes up to `max` at once, waiting for more no longer than `window`.
    pub(crate) fn pop_batch(
        &self,
        stop: &AtomicBool,
        max: usize,
        window: Duration,
    ) -> Option<Vec<Job<P>>> {
        let mut jobs = vec![self.pop(stop)?];
        let until = Instant::now() + window;
        let mut queue = self.lock();
        loop {
            let more = queue.jobs.len().min(max.saturating_sub(jobs.len()));
            jobs.extend(queue.jobs.drain(..more));
            let left = until.saturating_duration_since(Instant::now());
            if jobs.len() >= max || left.is_zero() || stop.load(Ordering::Acquire) {
                return Some(jobs);
            }
            queue.sleepers += 1;
            (queue, _) = self
                .filled
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner);
            queue.sleepers -= 1;
        }
    }

    /// Gives back a job that was taken and not run; it is the next.
    pub(crate) fn put_back(&self, job: Job<P>) {
        let mut queue = self.lock();
        queue.jobs.push_front(job);
        self.announce(queue);
    }

    /// Waits in a task for a job; `None` when `stop` is set.
    pub(crate) async fn pop_async(&self, stop: &AtomicBool) -> Option<Job<P>> {
        loop {
            if stop.load(Ordering::Acquire) {
                return None;
            }
            if let Some(job) = self.lock().jobs.pop_front() {
                return Some(job);
            }
            let notified = self.notify.notified();
            // Looked at once more: what came before `notified` would not wake it.
            if stop.load(Ordering::Acquire) || !self.lock().jobs.is_empty() {
                continue;
            }
            notified.await;
        }
    }

    /// Wakes whoever waits, to look at its stop flag.
    pub(crate) fn wake_all(&self) {
        // Taken so that a thread between its check and its wait cannot miss this.
        drop(self.lock());
        self.filled.notify_all();
        self.notify.notify_waiters();
        self.notify.notify_one();
    }

    /// Takes out what has waited past its deadline.
    pub(crate) fn expired(&self, now: Instant) -> Vec<Job<P>> {
        let jobs = &mut self.lock().jobs;
        if jobs.iter().all(|job| job.deadline.0 > now) {
            return Vec::new();
        }
        let (expired, kept) = jobs.drain(..).partition(|job| job.deadline.0 <= now);
        *jobs = kept;
        Vec::from(expired)
    }

    /// Takes out everything.
    pub(crate) fn drain(&self) -> Vec<Job<P>> {
        self.lock().jobs.drain(..).collect()
    }

    pub(crate) fn queued(&self) -> usize {
        self.lock().jobs.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Acquire)
    }

    /// What is admitted already stays, also above a smaller capacity.
    pub(crate) fn set_capacity(&self, capacity: usize) {
        self.capacity.store(capacity, Ordering::Release);
    }
}
