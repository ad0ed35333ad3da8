//! What becomes of a server that is offered more than it can serve: how much it still serves, how long those that it
//! takes and those that it refuses wait, and how soon it is itself again. See `benches/README.md`.
//!
//! `cargo bench --bench overload`; one load alone: `-- search`

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and ends when something is wrong"
)]

#[path = "../chat/cores.rs"]
mod cores;
mod offer;
#[path = "../support/mod.rs"]
mod support;
#[path = "../index/texts.rs"]
mod texts;

use std::path::Path;
use std::time::Duration;

use cores::{numbered, pin_self, pinned};
use offer::{Asked, Step, offer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use support::load::{self, Connection, post};
use support::process::{self, Server};
use support::{cores as all_cores, figure, half, median, quantile, spread};

/// Of the collection, so that a search is a walk through its graph.
const POINTS: usize = 25_000;
/// Points of one write.
const WRITE: usize = 500;
/// Texts of one request to `/v1/embeddings`, none of which the cache knows.
const TEXTS: usize = 256;
/// Of each vector, in the answer: the load tool has one core, and whole vectors of five times capacity are more than that reads.
const DIMENSIONS: usize = 32;
/// Enough to keep the server busy, few enough that nothing waits long.
const CLOSED: usize = 32;
/// For each worker: twice as many as it takes at once, so that connections are not what bounds the load.
const OPEN: usize = 2_048;
const ROUNDS: usize = 3;
/// Of capacity: what is offered before and after an overload.
const NORMAL: f64 = 0.5;
const OFFERED: [f64; 3] = [1.0, 2.0, 5.0];
const MEASURED: Duration = Duration::from_secs(5);
/// An overload, and as long before and after it.
const OVERLOAD: Duration = Duration::from_secs(6);
const AROUND: Duration = Duration::from_secs(3);
/// Until queues are as full as they get, at the beginning of an overload: not counted.
const SETTLES: Duration = Duration::from_secs(2);
/// The server is itself again when all requests of such a time are served, none slower than normal.
const WINDOW: Duration = Duration::from_millis(50);

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let files = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: files.maximum,
        maximum: files.maximum,
    };
    // A connection is a file.
    setrlimit(Resource::Nofile, all).unwrap();
    let of_server = numbered(0, half());
    pin_self(&numbered(all_cores() - half(), half()));
    let folder = tempfile::tempdir().unwrap();
    let workers = half().to_string();
    let settings = [
        ("HTTP__WORKERS", workers.as_str()),
        // Connections without a request must last from one step to the next.
        ("HTTP__HEADER_TIMEOUT_MS", "60000"),
        // So that the same texts can be sent again and be new.
        ("EMBEDDING__CACHE_BYTES", "0"),
    ];
    let command = process::boathouse(folder.path(), &settings);
    let server = Server::start(&mut pinned(&command, &of_server));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["config/demo/trecqa", "tests/data/eval/banking77"]
        .map(|folder| root.join(folder).to_string_lossy().into_owned());
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    let (texts, queries) = texts::cut(&folders, POINTS);
    println!(
        "{} cores: {workers} worker(s) on {of_server}, the load tool on the others; {OPEN} connections for each worker",
        all_cores()
    );
    for (name, requests) in [
        ("search", searches(&queries)),
        ("embed", embeddings(&texts)),
    ] {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            if name == "search" {
                fill(&server, &texts);
            }
            overload(&server, name, &requests);
        }
    }
    server.stop();
}

/// Searches by meaning and words at once.
fn searches(queries: &[String]) -> Vec<Vec<u8>> {
    let of_query = |query: &String| {
        let body = json!({"query": query, "k": 10, "with": []});
        post("/v1/collections/bench/search", &body.to_string())
    };
    queries.iter().map(of_query).collect()
}

fn embeddings(texts: &[String]) -> Vec<Vec<u8>> {
    let of_texts = |texts: &[String]| {
        let body = json!({"model": "static-minilm", "input": texts, "encoding_format": "base64", "dimensions": DIMENSIONS});
        post("/v1/embeddings", &body.to_string())
    };
    texts.chunks_exact(TEXTS).map(of_texts).collect()
}

/// Makes the collection and waits for its graph.
fn fill(server: &Server, texts: &[String]) {
    load::block_on(async {
        let mut connection = Connection::open(server.address).await;
        let put =
            "PUT /v1/collections/bench HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n";
        connection.ask(put.as_bytes()).await;
        for (write, texts) in texts.chunks(WRITE).enumerate() {
            let points: Vec<Value> = texts
                .iter()
                .enumerate()
                .map(|(at, text)| json!({"id": (write * WRITE + at).to_string(), "text": text}))
                .collect();
            let body = json!({"points": points}).to_string();
            let request = post("/v1/collections/bench/points", &body);
            connection.ask(&request).await;
        }
        let get = "GET /v1/collections/bench HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
        loop {
            let info: Value = serde_json::from_slice(connection.ask(get.as_bytes()).await).unwrap();
            if info["graph"]["state"] == "ready" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

fn overload(server: &Server, name: &str, requests: &[Vec<u8>]) {
    let connections = OPEN * half();
    let capacity = |time: Duration| {
        let done = load::run(
            server.address,
            CLOSED,
            time,
            None,
            |connection, number| {
                // Each connection goes through all of them, from a place of its own.
                let at = connection * requests.len() / CLOSED + number;
                Some(&requests[at % requests.len()][..])
            },
            |answer| {
                answer.success();
            },
        );
        (done.per_second(), quantile(&done.latencies_ms, 0.99))
    };
    capacity(Duration::from_secs(1));
    let mut sides: Vec<Side> = OFFERED.into_iter().map(Side::new).collect();
    let (mut capacities, mut recovered) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for side in &mut sides {
            // Just before: what a machine with other work on it can do changes.
            let (capacity, _) = capacity(MEASURED);
            capacities.push(capacity);
            let begin = AROUND;
            let end = begin + OVERLOAD;
            let step = |share: f64, until| Step {
                rate: share * capacity,
                until,
            };
            let steps = [
                step(NORMAL, begin),
                step(side.offered, end),
                step(NORMAL, end + AROUND),
            ];
            let cpu = server.cpu_us();
            let asked = offer(server.address, connections, &steps, requests);
            let computed = (server.cpu_us() - cpu) / 1e6 / (end + AROUND).as_secs_f64();
            side.take(&asked, capacity, (begin + SETTLES, end), computed);
            if side.offered > 1.0 {
                let again = recovery(&asked, begin, end);
                side.recovered_ms.push(again);
                recovered.push(again);
            }
        }
    }
    println!(
        "\n{name}: capacity {}/s over {CLOSED} connections",
        spread(&capacities)
    );
    for side in &sides {
        side.show(name);
    }
    println!(
        "  memory: {:.0} MB resident, {:.0} MB at most since the start",
        server.memory_mb("VmRSS"),
        server.memory_mb("VmHWM")
    );
}

/// What was offered at one multiple of capacity; a value for each round.
struct Side {
    offered: f64,
    /// Sent in time to count as offered, of capacity.
    sent: Vec<f64>,
    goodput: Vec<f64>,
    served_p50_ms: Vec<f64>,
    served_p99_ms: Vec<f64>,
    refused_p50_ms: Vec<f64>,
    refused_p99_ms: Vec<f64>,
    refused: Vec<f64>,
    late_p99_ms: Vec<f64>,
    cores: Vec<f64>,
    recovered_ms: Vec<f64>,
}

impl Side {
    fn new(offered: f64) -> Self {
        Self {
            offered,
            sent: Vec::new(),
            goodput: Vec::new(),
            served_p50_ms: Vec::new(),
            served_p99_ms: Vec::new(),
            refused_p50_ms: Vec::new(),
            refused_p99_ms: Vec::new(),
            refused: Vec::new(),
            late_p99_ms: Vec::new(),
            cores: Vec::new(),
            recovered_ms: Vec::new(),
        }
    }

    /// Takes in a round. `between`: what of it counts.
    fn take(
        &mut self,
        asked: &[Asked],
        capacity: f64,
        (from, to): (Duration, Duration),
        cores: f64,
    ) {
        let seconds = (to - from).as_secs_f64();
        for other in asked {
            let known = other.served() || other.refused();
            assert!(known, "status {} under load", other.status);
        }
        // By the time of the answer: what is served while the overload lasts.
        let answered = |asked: &&Asked| (from..to).contains(&(asked.due + asked.took));
        let took = |of: &dyn Fn(&Asked) -> bool| -> Vec<f64> {
            let those = asked.iter().filter(answered).filter(|asked| of(asked));
            those.map(Asked::took_ms).collect()
        };
        let (served, refused) = (took(&Asked::served), took(&Asked::refused));
        let sent = |asked: &&Asked| (from..to).contains(&(asked.due + asked.late));
        let sent: Vec<f64> = asked
            .iter()
            .filter(sent)
            .map(|asked| asked.late.as_secs_f64() * 1_000.0)
            .collect();
        self.sent.push(sent.len() as f64 / seconds / capacity);
        self.late_p99_ms.push(quantile(&sent, 0.99));
        self.goodput.push(served.len() as f64 / seconds / capacity);
        self.served_p50_ms.push(median(&served));
        self.served_p99_ms.push(quantile(&served, 0.99));
        self.refused
            .push(refused.len() as f64 / (served.len() + refused.len()) as f64);
        if !refused.is_empty() {
            self.refused_p50_ms.push(median(&refused));
            self.refused_p99_ms.push(quantile(&refused, 0.99));
        }
        self.cores.push(cores);
    }

    fn show(&self, name: &str) {
        let id = |what: &str| format!("overload.{name}.{}.{what}", self.offered);
        figure(&id("goodput"), &self.goodput);
        figure(&id("served_p99_ms"), &self.served_p99_ms);
        println!(
            "  {} x offered: sent {:.2} x, {:.1} ms late at p99; goodput {} of capacity; served p50 {:.1}  p99 {:.1} ms",
            self.offered,
            median(&self.sent),
            median(&self.late_p99_ms),
            spread(&self.goodput),
            median(&self.served_p50_ms),
            median(&self.served_p99_ms),
        );
        if !self.refused_p99_ms.is_empty() {
            figure(&id("refused_p99_ms"), &self.refused_p99_ms);
            println!(
                "      refused {:.0} %: p50 {:.1}  p99 {:.1} ms; {:.2} cores of the server's computed",
                100.0 * median(&self.refused),
                median(&self.refused_p50_ms),
                median(&self.refused_p99_ms),
                median(&self.cores)
            );
        }
        if !self.recovered_ms.is_empty() {
            figure(&id("recovered_ms"), &self.recovered_ms);
            println!(
                "      itself again {} ms after the overload's end",
                spread(&self.recovered_ms)
            );
        }
    }
}

/// Milliseconds from the end of an overload until all requests that fall due are served again, as fast as before it.
fn recovery(asked: &[Asked], begin: Duration, end: Duration) -> f64 {
    let within =
        |from: Duration, to: Duration| move |asked: &&Asked| asked.due >= from && asked.due < to;
    // The first part of it is the server's start of this load.
    let before = asked.iter().filter(within(begin / 3, begin));
    let before: Vec<f64> = before.map(Asked::took_ms).collect();
    let normal = 2.0 * quantile(&before, 0.99);
    let mut from = end;
    while from < end + AROUND {
        let mut those = asked.iter().filter(within(from, from + WINDOW)).peekable();
        let any = those.peek().is_some();
        if any && those.all(|asked| asked.served() && asked.took_ms() <= normal) {
            return (from - end).as_secs_f64() * 1_000.0;
        }
        from += WINDOW;
    }
    AROUND.as_secs_f64() * 1_000.0
}
