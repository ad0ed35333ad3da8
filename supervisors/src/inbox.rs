//! The queue of a cell. It belongs to the cell, not to a worker, so it outlives every crash.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering};

/// What waits, and who waits for it.
struct Queue<T> {
    jobs: VecDeque<T>,
    /// Threads waiting on `filled`.
    sleepers: usize,
    /// How many of them are on their way: to notify those again is a system call for nothing.
    notified: usize,
    /// Tasks that wait. Seldom more than one: a cell has one async worker at a time.
    tasks: Vec<Waker>,
}

impl<T> Queue<T> {
    /// A thread has stopped waiting, notified or not.
    fn woke(&mut self) {
        self.sleepers -= 1;
        self.notified = self.notified.saturating_sub(1);
    }
}

/// A bounded queue that threads and tasks pull from.
pub(crate) struct Inbox<T> {
    queue: Mutex<Queue<T>>,
    /// Queued and running. Invariant: an admission never takes it above `capacity`.
    admitted: AtomicUsize,
    capacity: AtomicUsize,
    filled: Condvar,
}

impl<T> Inbox<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            queue: Mutex::new(Queue {
                jobs: VecDeque::new(),
                sleepers: 0,
                notified: 0,
                tasks: Vec::new(),
            }),
            admitted: AtomicUsize::new(0),
            capacity: AtomicUsize::new(capacity),
            filled: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        // No user code runs under this lock, so a poisoned one is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a job, or gives it back when the cell has enough to do.
    pub(crate) fn push(&self, job: T) -> Result<(), T> {
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

    /// Wakes one thread for the job just queued, and every task: one that was woken may be gone.
    fn announce(&self, mut queue: MutexGuard<'_, Queue<T>>) {
        let notify = queue.sleepers > queue.notified;
        queue.notified += usize::from(notify);
        let task = queue.tasks.pop();
        let others = match queue.tasks.is_empty() {
            true => Vec::new(),
            false => std::mem::take(&mut queue.tasks),
        };
        drop(queue);
        if notify {
            self.filled.notify_one();
        }
        task.into_iter().chain(others).for_each(Waker::wake);
    }

    /// Frees the place of an answered job.
    pub(crate) fn release(&self) {
        self.admitted.fetch_sub(1, Ordering::AcqRel);
    }

    /// Waits on a thread for a job; `None` when `stop` is set.
    pub(crate) fn pop(&self, stop: &AtomicBool) -> Option<T> {
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
            queue.woke();
        }
    }

    /// Waits on a thread for a job, then takes up to `max` at once, waiting for more no longer than `window`.
    pub(crate) fn pop_batch(
        &self,
        stop: &AtomicBool,
        max: usize,
        window: Duration,
    ) -> Option<Vec<T>> {
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
            queue.woke();
        }
    }

    /// Gives back a job that was taken and not run; it is the next.
    pub(crate) fn put_back(&self, job: T) {
        let mut queue = self.lock();
        queue.jobs.push_front(job);
        self.announce(queue);
    }

    /// Waits in a task for a job; `None` when `stop` is set.
    pub(crate) async fn pop_async(&self, stop: &AtomicBool) -> Option<T> {
        poll_fn(|cx| self.poll_pop(stop, cx)).await
    }

    fn poll_pop(&self, stop: &AtomicBool, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut queue = self.lock();
        if stop.load(Ordering::Acquire) {
            return Poll::Ready(None);
        }
        if let Some(job) = queue.jobs.pop_front() {
            return Poll::Ready(Some(job));
        }
        if !queue.tasks.iter().any(|task| task.will_wake(cx.waker())) {
            queue.tasks.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Wakes whoever waits, to look at its stop flag.
    pub(crate) fn wake_all(&self) {
        // Under the lock, so that a thread between its check and its wait cannot miss this.
        let mut queue = self.lock();
        queue.notified = queue.sleepers;
        let tasks = std::mem::take(&mut queue.tasks);
        drop(queue);
        self.filled.notify_all();
        tasks.into_iter().for_each(Waker::wake);
    }

    /// Takes out the queued jobs that pass `test`.
    pub(crate) fn take_if(&self, test: impl Fn(&T) -> bool) -> Vec<T> {
        let jobs = &mut self.lock().jobs;
        if !jobs.iter().any(&test) {
            return Vec::new();
        }
        let (taken, kept) = jobs.drain(..).partition(test);
        *jobs = kept;
        Vec::from(taken)
    }

    /// Takes out everything.
    pub(crate) fn drain(&self) -> Vec<T> {
        self.lock().jobs.drain(..).collect()
    }

    /// Looks at the job that is the next.
    pub(crate) fn first<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.lock().jobs.front().map(look)
    }

    /// Queued and running.
    pub(crate) fn admitted(&self) -> usize {
        self.admitted.load(Ordering::Acquire)
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
