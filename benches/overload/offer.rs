//! Requests that fall due by the clock, whatever becomes of those before them.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::half;
use crate::support::load::{Connection, block_on};

/// A request that was answered.
pub(crate) struct Asked {
    /// When it fell due, since the beginning.
    pub(crate) due: Duration,
    /// How long after that it was sent: no connection was free, or the tool was busy.
    pub(crate) late: Duration,
    /// From when it fell due to the end of its answer.
    pub(crate) took: Duration,
    pub(crate) status: u16,
}

impl Asked {
    pub(crate) fn served(&self) -> bool {
        self.status == 200
    }

    /// Whether it was told to come again later.
    pub(crate) fn refused(&self) -> bool {
        matches!(self.status, 429 | 503)
    }

    pub(crate) fn took_ms(&self) -> f64 {
        self.took.as_secs_f64() * 1_000.0
    }
}

/// A load: `rate` requests a second, until so long after the beginning.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) rate: f64,
    pub(crate) until: Duration,
}

/// The time at which request `number` of `steps` falls due; none once all of them are over.
fn due(steps: &[Step], number: u64) -> Option<Duration> {
    let (mut from, mut before) = (Duration::ZERO, 0.0);
    for step in steps {
        let count = step.rate * (step.until - from).as_secs_f64();
        let within = number as f64 - before;
        if within < count {
            return Some(from + Duration::from_secs_f64(within / step.rate));
        }
        (from, before) = (step.until, before + count);
    }
    None
}

/// Offers the loads one after another over `connections`, which stay open, and returns what became of each request.
pub(crate) fn offer(
    address: SocketAddr,
    connections: usize,
    steps: &[Step],
    requests: &[Vec<u8>],
) -> Vec<Asked> {
    let threads = half();
    let (open, next) = (Barrier::new(threads), AtomicU64::new(0));
    let (open, next) = (&open, &next);
    let of_thread = move |thread: usize| {
        block_on(async move {
            let mut own = Vec::new();
            for _ in (thread..connections).step_by(threads) {
                own.push(Connection::open(address).await);
            }
            open.wait();
            let begun = Instant::now();
            let each = own.into_iter().map(|mut connection| async move {
                let mut asked = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(due) = due(steps, number) else {
                        return asked;
                    };
                    let mut from = begun + due;
                    if from > Instant::now() {
                        tokio::time::sleep_until(from.into()).await;
                        // Timers are a millisecond coarse; that is ours.
                        from = Instant::now();
                    }
                    let late = from.elapsed();
                    let request = &requests[number as usize % requests.len()];
                    let status = connection.exchange(request, || {}).await.status;
                    asked.push(Asked {
                        due,
                        late,
                        took: from.elapsed(),
                        status,
                    });
                }
            });
            let all = futures_util::future::join_all(each).await;
            all.into_iter().flatten().collect::<Vec<_>>()
        })
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || of_thread(thread)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}
