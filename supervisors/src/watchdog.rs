//! One thread that looks at every cell for messages that ran or waited too long.

use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::control::CellControl;

/// How often it looks. Deadlines are tens of milliseconds at least; the scan costs microseconds.
const TICK: Duration = Duration::from_millis(10);

type Watched = Vec<Weak<dyn CellControl>>;

/// Watches cells until it is dropped.
pub(crate) struct Watchdog {
    watched: Arc<Mutex<Watched>>,
    stop: Arc<(Mutex<bool>, Condvar)>,
}

impl Watchdog {
    /// Starts the thread.
    pub(crate) fn start() -> std::io::Result<Self> {
        let watched = Arc::new(Mutex::new(Watched::new()));
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let (cells, flag) = (Arc::clone(&watched), Arc::clone(&stop));
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || {
                loop {
                    let (stopped, condition) = &*flag;
                    let stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
                    let (stopped, _) = condition
                        .wait_timeout_while(stopped, TICK, |stopped| !*stopped)
                        .unwrap_or_else(PoisonError::into_inner);
                    if *stopped {
                        return;
                    }
                    drop(stopped);
                    let now = Instant::now();
                    let snapshot = {
                        let mut cells = cells.lock().unwrap_or_else(PoisonError::into_inner);
                        cells.retain(|cell| cell.strong_count() > 0);
                        cells.clone()
                    };
                    for cell in snapshot.iter().filter_map(Weak::upgrade) {
                        cell.check(now);
                    }
                }
            })?;
        Ok(Self { watched, stop })
    }

    /// Watches one more cell, for as long as it exists.
    pub(crate) fn watch(&self, cell: &Arc<dyn CellControl>) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let known = watched
            .iter()
            .any(|known| std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(cell)));
        if !known {
            watched.push(Arc::downgrade(cell));
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
    }
}
