//! A load tool: raw HTTP/1.1 over kept connections, each with one request in flight.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

/// What a load brought.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Seconds from the first request to the last answer.
    pub(crate) seconds: f64,
    /// Milliseconds of each request.
    pub(crate) latencies_ms: Vec<f64>,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies_ms.len() as f64 / self.seconds
    }
}

/// The bytes of a POST of `body`.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// One answer, as it came.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// With the lengths of its chunks between, where it came in chunks.
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// The body of what must be a success.
    pub(crate) fn success(&self) -> &[u8] {
        let text = || String::from_utf8_lossy(self.body);
        assert!(
            (200..300).contains(&self.status),
            "{} {}",
            self.status,
            text()
        );
        self.body
    }
}

/// One kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: vec![0; 64 << 10],
            filled: 0,
        }
    }

    /// Sends one request and returns the body of its answer, which must be a success.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> &[u8] {
        let answer = self.exchange(request, || {}).await;
        answer.success();
        answer.body
    }

    /// Sends one request and returns its answer, whatever it says; tells when the first bytes of its body are here.
    pub(crate) async fn exchange(&mut self, request: &[u8], first: impl FnOnce()) -> Answer<'_> {
        let mut sent = 0;
        while sent < request.len() {
            match self.stream.try_write(&request[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.stream.writable().await.unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        self.filled = 0;
        let head = loop {
            self.fill().await;
            if let Some(end) = head_end(&self.buffer[..self.filled]) {
                break end;
            }
        };
        let status = std::str::from_utf8(&self.buffer[9..12]).unwrap();
        let status = status.parse().unwrap();
        let length = content_length(&self.buffer[..head]);
        if self.filled == head && length != Some(0) {
            self.fill().await;
        }
        first();
        let whole = |bytes: &[u8]| match length {
            Some(length) => bytes.len() >= head + length,
            None => bytes.ends_with(b"\r\n0\r\n\r\n"),
        };
        while !whole(&self.buffer[..self.filled]) {
            self.fill().await;
        }
        Answer {
            status,
            body: &self.buffer[head..self.filled],
        }
    }

    async fn fill(&mut self) {
        if self.filled == self.buffer.len() {
            self.buffer.resize(2 * self.filled, 0);
        }
        loop {
            match self.stream.try_read(&mut self.buffer[self.filled..]) {
                Ok(0) => panic!("the server closed the connection"),
                Ok(count) => {
                    self.filled += count;
                    return;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.stream.readable().await.unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    let found = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    found.map(|at| at + 4)
}

/// Bytes of the body; none when it comes in chunks.
fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).unwrap();
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, length) = lengths.next()?;
    Some(length.trim().parse().unwrap())
}

/// Runs `work` on an event loop of this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build();
    tokio::task::LocalSet::new().block_on(&runtime.unwrap(), work)
}

/// Sends requests over `connections` for `time`, counted from when all of them are open. `next` gives the request of a
/// connection and its number, or ends it early with `None`; `check` sees every answer. With a `pace`, a connection has a
/// turn so often; a request whose turn came while the one before it was under way counts from its turn.
pub(crate) fn run<'r>(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    pace: Option<Duration>,
    next: impl Fn(usize, usize) -> Option<&'r [u8]> + Sync,
    check: impl Fn(&Answer<'_>) + Sync,
) -> Outcome {
    let threads = super::half().min(connections);
    let open = Barrier::new(threads);
    let (next, check, open) = (&next, &check, &open);
    let of_thread = move |thread: usize| {
        block_on(async move {
            let mut own = Vec::new();
            for number in (thread..connections).step_by(threads) {
                own.push((number, Connection::open(address).await));
            }
            open.wait();
            let started = Instant::now();
            let until = started + time;
            let each = own.into_iter().map(|(number, mut connection)| async move {
                let mut latencies = Vec::new();
                let mut before = Instant::now();
                // The connections take turns within a pace.
                let mut turn = pace.map(|pace| before + pace * number as u32 / connections as u32);
                while before < until
                    && let Some(request) = next(number, latencies.len())
                {
                    if let (Some(turn), Some(pace)) = (&mut turn, pace) {
                        before = match *turn > before {
                            true => {
                                tokio::time::sleep_until((*turn).into()).await;
                                Instant::now()
                            }
                            false => *turn,
                        };
                        *turn += pace;
                    }
                    check(&connection.exchange(request, || {}).await);
                    let now = Instant::now();
                    latencies.push((now - before).as_secs_f64() * 1_000.0);
                    before = now;
                }
                latencies
            });
            let latencies = futures_util::future::join_all(each).await.concat();
            (started.elapsed().as_secs_f64(), latencies)
        })
    };
    let mut outcome = Outcome::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || of_thread(thread)))
            .collect();
        for thread in threads {
            let (seconds, latencies) = thread.join().unwrap();
            outcome.seconds = outcome.seconds.max(seconds);
            outcome.latencies_ms.extend(latencies);
        }
    });
    outcome
}
