//! Work on several threads, whose results come in the order of the work.

use std::any::Any;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use super::DatasetError;

/// Results that each thread may be ahead: what is in memory at a time.
const AHEAD: usize = 2;
/// How long nothing may come before the caller is told.
const WAIT: Duration = Duration::from_millis(50);

/// What comes of the work.
#[derive(Debug)]
pub(super) enum Came<'a, T, R> {
    /// The next result, with what it is of.
    Result(&'a T, R),
    /// Nothing for a while.
    Nothing,
}

/// Does `work` on each item, on `threads` threads named after `name`, and gives the results to `take` in the order of the
/// items: what `take` does is the same at any number of threads.
///
/// Errors: what `take` returns; the threads stop then. *Panics*: as `work` does, with the thread's name.
pub(super) fn ordered<T: Sync, R: Send>(
    (name, threads): (&str, usize),
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(Came<'_, T, R>) -> Result<(), DatasetError>,
) -> Result<(), DatasetError> {
    let threads = threads.min(items.len());
    if threads <= 1 {
        return items
            .iter()
            .try_for_each(|item| take(Came::Result(item, work(item))));
    }
    let work = &work;
    thread::scope(|scope| {
        let (mut lanes, mut workers) = (Vec::new(), Vec::new());
        for lane in 0..threads {
            let (sender, results) = sync_channel(AHEAD);
            let run = move || {
                // Whoever takes may have stopped.
                let mut own = items.iter().skip(lane).step_by(threads);
                let _ = own.try_for_each(|item| sender.send(work(item)));
            };
            let thread = thread::Builder::new().name(format!("{name}-{}", lane + 1));
            workers.push(thread.spawn_scoped(scope, run).map_err(no_thread)?);
            lanes.push(results);
        }
        let mut taken = Ok(());
        'items: for (item, results) in items.iter().zip(lanes.iter().cycle()) {
            loop {
                let came = match results.recv_timeout(WAIT) {
                    Ok(result) => Came::Result(item, result),
                    Err(RecvTimeoutError::Timeout) => Came::Nothing,
                    // The thread panicked: told below.
                    Err(RecvTimeoutError::Disconnected) => break 'items,
                };
                let whole = matches!(came, Came::Result(..));
                taken = take(came);
                match (&taken, whole) {
                    (Err(_), _) => break 'items,
                    (Ok(()), true) => break,
                    (Ok(()), false) => {}
                }
            }
        }
        drop(lanes);
        for (lane, worker) in (1..).zip(workers) {
            if let Err(panic) = worker.join() {
                let told = told(panic.as_ref());
                resume_unwind(Box::new(format!("thread {name}-{lane}: {told}")));
            }
        }
        taken
    })
}

fn no_thread(error: std::io::Error) -> DatasetError {
    DatasetError::Thread(error.to_string())
}

fn told(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panicked")
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn results(threads: usize, items: &[u64]) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        ordered(
            ("test", threads),
            items,
            |item| item * 2,
            |came| {
                if let Came::Result(item, result) = came {
                    found.push((*item, result));
                }
                Ok(())
            },
        )
        .unwrap();
        found
    }

    #[test]
    fn results_come_in_order_at_any_number_of_threads() {
        for count in [0, 1, 2, 7, 100] {
            let items: Vec<u64> = (0..count).collect();
            let expected: Vec<_> = items.iter().map(|item| (*item, item * 2)).collect();
            for threads in [0, 1, 2, 3, 7, 200] {
                assert_eq!(results(threads, &items), expected, "{count} on {threads}");
            }
        }
    }

    #[test]
    fn who_stops_taking_stops_the_threads() {
        let items: Vec<u64> = (0..10_000).collect();
        for threads in [1, 3] {
            let mut left = 5;
            let stopped = ordered(
                ("test", threads),
                &items,
                |item| *item,
                |_| {
                    left -= 1;
                    if left == 0 {
                        Err(DatasetError::Cancelled)
                    } else {
                        Ok(())
                    }
                },
            );
            assert!(matches!(stopped, Err(DatasetError::Cancelled)));
        }
    }

    #[test]
    fn a_panic_is_the_callers_with_the_threads_name() {
        let items: Vec<u64> = (0..100).collect();
        let run = || {
            let work = |item: &u64| assert!(*item != 40, "cannot do {item}");
            ordered(("test", 3), &items, work, |_| Ok(()))
        };
        let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert_eq!(text, "thread test-2: cannot do 40");
    }

    #[test]
    fn a_caller_that_waits_is_told() {
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = std::sync::Mutex::new(gate);
        let work = |item: &u64| {
            if *item == 0 {
                gate.lock().unwrap().recv().unwrap();
            }
        };
        let (mut open, mut waits, mut came) = (Some(open), 0, 0);
        ordered(("test", 2), &[0, 1, 2], work, |what| {
            match what {
                Came::Nothing => {
                    waits += 1;
                    if let Some(open) = open.take() {
                        open.send(()).unwrap();
                    }
                }
                Came::Result(..) => came += 1,
            }
            Ok(())
        })
        .unwrap();
        assert!(waits >= 1 && came == 3, "{waits} {came}");
    }
}
