//! Sends the load and measures what comes back.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hdrhistogram::Histogram;
use tokio::sync::watch;

use super::workload::Load;
use crate::cli::error::CliError;
use crate::transport::{LoadCall, LoadConnection, LoadReply, TransportError};
use crate::types::http::{HttpCall, Timeouts};

/// Longest that a histogram tells apart, microseconds: an hour.
const LONGEST_US: u64 = 3_600_000_000;
/// Before a connection that failed is opened again.
const PAUSE: Duration = Duration::from_millis(50);

/// One run.
pub(super) struct Plan<'p> {
    pub(super) address: SocketAddr,
    /// What the server is asked for as.
    pub(super) host: &'p str,
    pub(super) headers: &'p [(String, String)],
    pub(super) load: &'p Load,
    pub(super) connections: usize,
    pub(super) threads: usize,
    /// Requests a second that fall due; none: each connection sends the next when it has its answer.
    pub(super) rate: Option<f64>,
    pub(super) warm_up: Duration,
    pub(super) time: Duration,
    pub(super) timeout: Duration,
    /// Makes new texts differ from those of other runs.
    pub(super) run: u64,
}

/// What a run brought, without its warm-up.
pub(super) struct Measured {
    /// How long was measured: the planned time, unless somebody ended it.
    pub(super) seconds: f64,
    /// Successes that were whole within that time.
    pub(super) in_time: u64,
    /// Requests that were sent, those of the warm-up among them.
    pub(super) sent: u64,
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Requests without an answer, by why.
    pub(super) failures: BTreeMap<String, u64>,
    /// Microseconds from when a request fell due to the end of its answer; successes only.
    pub(super) latency: Histogram<u64>,
    /// The same to the first bytes of the answer.
    pub(super) first_byte: Histogram<u64>,
    /// Latency of answers that are no success.
    pub(super) refused: Histogram<u64>,
}

impl Measured {
    fn new() -> Result<Self, CliError> {
        let histogram = || {
            Histogram::new_with_bounds(1, LONGEST_US, 3)
                .map_err(|error| CliError::failed(error.to_string()))
        };
        Ok(Self {
            seconds: 0.0,
            in_time: 0,
            sent: 0,
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            latency: histogram()?,
            first_byte: histogram()?,
            refused: histogram()?,
        })
    }

    /// Takes in what another part of the run brought.
    pub(super) fn add(&mut self, other: &Self) {
        // A part that had nothing more to do does not know of an early end.
        self.seconds = self.seconds.min(other.seconds);
        self.in_time += other.in_time;
        self.sent += other.sent;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (why, count) in &other.failures {
            *self.failures.entry(why.clone()).or_default() += count;
        }
        // All have the same bounds, so that adding cannot fail.
        let _ = self.latency.add(&other.latency);
        let _ = self.first_byte.add(&other.first_byte);
        let _ = self.refused.add(&other.refused);
    }
}

/// What the threads of a run share.
pub(super) struct Shared {
    /// The number of the next request.
    next: AtomicU64,
    /// Answers so far, those of the warm-up among them.
    pub(super) answers: AtomicU64,
    open: Barrier,
    stop: watch::Receiver<bool>,
}

impl Shared {
    /// For so many threads, which end early when `stop` turns true.
    pub(super) fn new(threads: usize, stop: watch::Receiver<bool>) -> Self {
        Self {
            next: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            open: Barrier::new(threads),
            stop,
        }
    }
}

/// The part of `thread`: every so manieth connection.
///
/// Errors: a connection that cannot be opened at the beginning.
pub(super) fn of_thread(
    plan: &Plan<'_>,
    shared: &Shared,
    thread: usize,
) -> Result<Measured, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| CliError::failed(format!("no event loop: {error}")))?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let own = (thread..plan.connections).step_by(plan.threads);
        let opening = join_all(own.map(|_| LoadConnection::open(plan.address, plan.timeout)));
        let mut stop = shared.stop.clone();
        let opened: Result<Vec<_>, _> = tokio::select! {
            opened = opening => opened.into_iter().collect(),
            _ = stop.wait_for(|stop| *stop) => Ok(Vec::new()),
        };
        // The others wait here, also for one that failed.
        shared.open.wait();
        let opened = opened.map_err(|error| CliError::failed(error.to_string()))?;
        let started = Instant::now();
        let measured = RefCell::new(Measured::new()?);
        let clients = opened.into_iter().map(|connection| Client {
            plan,
            shared,
            started,
            measured: &measured,
            connection: Some(connection),
        });
        for ended in join_all(clients.map(Client::run)).await {
            ended?;
        }
        let mut measured = measured.into_inner();
        let time = match *shared.stop.borrow() {
            true => Instant::now()
                .saturating_duration_since(started + plan.warm_up)
                .min(plan.time),
            false => plan.time,
        };
        measured.seconds = time.as_secs_f64();
        Ok(measured)
    })
}

/// When request `number` falls due, from the beginning.
fn due(number: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(number as f64 / rate)
}

/// How many requests fall due within `time`.
pub(super) fn due_within(time: Duration, rate: f64) -> u64 {
    let mut count = (rate * time.as_secs_f64()).ceil() as u64;
    // What was rounded there is set right.
    while count > 0 && due(count - 1, rate) >= time {
        count -= 1;
    }
    while due(count, rate) < time {
        count += 1;
    }
    count
}

/// One connection at work.
struct Client<'p> {
    plan: &'p Plan<'p>,
    shared: &'p Shared,
    started: Instant,
    /// What the connections of its thread bring: a histogram for each would fill the memory.
    measured: &'p RefCell<Measured>,
    connection: Option<LoadConnection>,
}

impl Client<'_> {
    async fn run(mut self) -> Result<(), CliError> {
        let mut stop = self.shared.stop.clone();
        let warm = self.started + self.plan.warm_up;
        let until = warm + self.plan.time;
        let fixed = self.plan.load.only_body();
        let fixed = fixed.map(|body| self.call(body.to_vec())).transpose()?;
        loop {
            let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
            let now = Instant::now();
            let due = self
                .plan
                .rate
                .map_or(now, |rate| self.started + due(number, rate));
            // What is due and was not sent by then is counted, not sent: a server that is too slow would never come to an end.
            if due.max(now) >= until {
                break;
            }
            let call = match &fixed {
                Some(call) => call.clone(),
                None => self.call(self.plan.load.body(self.plan.run, number))?,
            };
            let exchange = async {
                let begun = turn(due).await;
                self.measured.borrow_mut().sent += 1;
                (begun, self.exchange(&call).await)
            };
            let (begun, reply) = tokio::select! {
                done = exchange => done,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let now = Instant::now();
            self.shared.answers.fetch_add(1, Ordering::Relaxed);
            if now >= warm {
                note(&mut self.measured.borrow_mut(), &reply, begun, now, until);
            }
            if reply.is_err() {
                self.connection = None;
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    fn call(&self, body: Vec<u8>) -> Result<LoadCall, CliError> {
        let call = HttpCall {
            method: self.plan.load.method,
            url: self.plan.load.path.clone(),
            headers: self.plan.headers.to_vec(),
            body,
            timeouts: Timeouts {
                first_byte_ms: 0,
                idle_ms: 0,
                total_ms: 0,
            },
        };
        LoadCall::new(call, self.plan.host).map_err(|error| CliError::failed(error.to_string()))
    }

    async fn exchange(&mut self, call: &LoadCall) -> Result<LoadReply, TransportError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let opened = LoadConnection::open(self.plan.address, self.plan.timeout).await?;
                self.connection.insert(opened)
            }
        };
        connection.ask(call, self.plan.timeout).await
    }
}

/// Waits until `due` and returns when the request began. One that is late began when it was due: its wait for a connection
/// is the server's, not to be left out.
async fn turn(due: Instant) -> Instant {
    if due <= Instant::now() {
        return due;
    }
    tokio::time::sleep_until(due.into()).await;
    // Timers are a millisecond coarse; that is ours.
    Instant::now()
}

/// Notes what came at `now` of a request that fell due at `begun`.
fn note(
    measured: &mut Measured,
    reply: &Result<LoadReply, TransportError>,
    begun: Instant,
    now: Instant,
    until: Instant,
) {
    let since = |moment: Instant| {
        let us = moment.saturating_duration_since(begun).as_micros();
        u64::try_from(us).unwrap_or(LONGEST_US)
    };
    match reply {
        Ok(reply) => {
            *measured.statuses.entry(reply.status).or_default() += 1;
            if (200..300).contains(&reply.status) {
                measured.in_time += u64::from(now < until);
                measured.latency.saturating_record(since(now));
                let first = since(reply.first_byte);
                measured.first_byte.saturating_record(first);
            } else {
                measured.refused.saturating_record(since(now));
            }
        }
        Err(error) => *measured.failures.entry(error.to_string()).or_default() += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_fall_due_from_the_beginning_until_before_the_end() {
        let seconds = Duration::from_secs_f64;
        for (time, rate, count) in [
            (1.0, 3.0, 3),
            (1.0, 2.5, 3),
            (10.0, 1.1, 11),
            (0.5, 0.1, 1),
            (11.0, 0.1, 2),
            (0.0, 5.0, 0),
            (3_600.0, 1e-5, 1),
        ] {
            assert_eq!(due_within(seconds(time), rate), count, "{time} s at {rate}");
        }
    }

    #[test]
    fn first_bytes_count_from_when_a_request_fell_due_and_late_answers_not_for_the_rate() {
        let mut measured = Measured::new().unwrap();
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let reply = Ok(LoadReply {
            status: 200,
            first_byte: at(40),
            bytes: 1,
        });
        note(&mut measured, &reply, begun, at(50), at(100));
        note(&mut measured, &reply, begun, at(100), at(100));
        assert_eq!((measured.in_time, measured.latency.len()), (1, 2));
        assert_eq!(measured.first_byte.min() / 1_000, 40);
    }
}
