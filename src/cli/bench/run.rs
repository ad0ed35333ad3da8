//! Sends the load and measures what comes back.

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
    pub(super) seconds: f64,
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
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            latency: histogram()?,
            first_byte: histogram()?,
            refused: histogram()?,
        })
    }

    /// Takes in what another part of the run brought.
    pub(super) fn add(&mut self, other: &Self) {
        self.seconds = self.seconds.max(other.seconds);
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
        let opened = join_all(own.map(|_| LoadConnection::open(plan.address))).await;
        let opened: Result<Vec<_>, _> = opened.into_iter().collect();
        // The others wait here, also for one that failed.
        shared.open.wait();
        let opened = opened.map_err(|error| CliError::failed(error.to_string()))?;
        let started = Instant::now();
        let clients = opened.into_iter().map(|connection| Client {
            plan,
            shared,
            started,
            connection: Some(connection),
        });
        let mut all = Measured::new()?;
        for measured in join_all(clients.map(Client::run)).await {
            all.add(&measured?);
        }
        Ok(all)
    })
}

/// One connection at work.
struct Client<'p> {
    plan: &'p Plan<'p>,
    shared: &'p Shared,
    started: Instant,
    connection: Option<LoadConnection>,
}

impl Client<'_> {
    async fn run(mut self) -> Result<Measured, CliError> {
        let mut measured = Measured::new()?;
        let mut stop = self.shared.stop.clone();
        let warm = self.started + self.plan.warm_up;
        let until = warm + self.plan.time;
        let fixed = self.plan.load.only_body();
        let fixed = fixed.map(|body| self.call(body.to_vec())).transpose()?;
        loop {
            let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
            let due = match self.plan.rate {
                Some(rate) => self.started + Duration::from_secs_f64(number as f64 / rate),
                None => Instant::now(),
            };
            if due >= until {
                break;
            }
            let call = match &fixed {
                Some(call) => call.clone(),
                None => self.call(self.plan.load.body(self.plan.run, number))?,
            };
            let exchange = async {
                let begun = turn(due).await;
                (begun, self.exchange(&call).await)
            };
            let (begun, reply) = tokio::select! {
                done = exchange => done,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let now = Instant::now();
            self.shared.answers.fetch_add(1, Ordering::Relaxed);
            if now >= warm {
                measured.seconds = now.duration_since(warm).as_secs_f64();
                let waited = now.duration_since(begun);
                note(&mut measured, reply.as_ref(), waited);
            }
            if reply.is_err() {
                self.connection = None;
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(measured)
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
                let opened = LoadConnection::open(self.plan.address).await?;
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

fn note(measured: &mut Measured, reply: Result<&LoadReply, &TransportError>, waited: Duration) {
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(LONGEST_US);
    match reply {
        Ok(reply) => {
            *measured.statuses.entry(reply.status).or_default() += 1;
            if (200..300).contains(&reply.status) {
                measured.latency.saturating_record(us(waited));
                measured.first_byte.saturating_record(us(reply.first_byte));
            } else {
                measured.refused.saturating_record(us(waited));
            }
        }
        Err(error) => *measured.failures.entry(error.to_string()).or_default() += 1,
    }
}
