//! Chat dispatch before a scripted upstream, beside a bare pass-through and beside other gateways. See
//! `benches/README.md`.
//!
//! `cargo bench --bench chat`, and `cargo bench --bench chat -- soak 360000`

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and ends when something is wrong"
)]

#[path = "../support/mod.rs"]
mod support;

mod cores;
mod gateways;
mod sides;
mod soak;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cores::{numbered, pin_self, pinned};
use gateways::{Gateway, gateways};
use sides::{UPSTREAM_CHUNKS, bare, upstream};
use support::load::{self, Answer, Connection, post};
use support::process::{self, Server};
use support::{cores, figure, half, median, quantile, spread};

const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// Short and many: whatever else the machine does then hits both sides of a pair alike.
const ROUNDS: usize = 30;
const ROUND: Duration = Duration::from_millis(200);
/// Of the slower gateways, which need longer to show a rate.
const LONG_ROUNDS: usize = 5;
const LONG_ROUND: Duration = Duration::from_secs(2);
const STREAMS: usize = 500;

fn body(model: &str, stream: bool) -> String {
    serde_json::json!({
        "model": model,
        "messages": [
            {"role": "system", "content": "You answer questions of boat owners, briefly and in plain words."},
            {"role": "user", "content": "Where can I moor a narrow boat for the winter if the lock at the mill stays \
             closed until spring comes, and whom do I have to tell?"}
        ],
        "temperature": 0.2,
        "max_tokens": 256,
        "stream": stream
    })
    .to_string()
}

fn chat(model: &str, stream: bool) -> Vec<u8> {
    post("/v1/chat/completions", &body(model, stream))
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--upstream", workers] => upstream(workers.parse().unwrap()),
        ["--bare", base, workers] => bare(base, workers.parse().unwrap()),
        ["soak", requests] => soak::soak(requests.parse().unwrap()),
        [] => compare(),
        _ => panic!("nothing, or: soak REQUESTS"),
    }
}

/// A role of this program, in a process of its own.
fn role(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments);
    command
}

fn start_upstream() -> Server {
    Server::start(&mut role(&["--upstream", &half().to_string()]))
}

/// Writes the settings of a server that asks the upstream, and returns its command.
fn boathouse(folder: &Path, upstream: &Server, settings: &[(&str, &str)]) -> Command {
    let text = format!(
        "[chat.providers.mock]\nkind = \"openai\"\nbase_url = \"http://{}/v1\"\nmax_concurrency = 1024\n\
         [chat.prices]\n\"mock/*\" = {{ input = 1, output = 2 }}\n",
        upstream.address
    );
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("boathouse.toml"), text).unwrap();
    let workers = half().to_string();
    let mut settings = settings.to_vec();
    settings.push(("HTTP__WORKERS", &workers));
    process::boathouse(folder, &settings)
}

/// Half of the cores are the gateway's, the others the upstream's and the load tool's.
fn compare() {
    let workers = half();
    let of_gateway = numbered(0, workers);
    pin_self(&numbered(cores() - workers, workers));
    let start = |command: &Command| Server::start(&mut pinned(command, &of_gateway));
    let folder = tempfile::tempdir().unwrap();
    let upstream = start_upstream();
    let base = format!("http://{}", upstream.address);
    let ours = start(&boathouse(&folder.path().join("written"), &upstream, &[]));
    let synced = start(&boathouse(
        &folder.path().join("synced"),
        &upstream,
        &[("EVIDENCE__ACK", "synced")],
    ));
    let bare = start(&role(&["--bare", &base, &workers.to_string()]));
    println!(
        "{workers} core(s) of a gateway, as many of the upstream and the load tool; {ROUNDS} rounds of {} ms in turns",
        ROUND.as_millis()
    );
    let idle = ours.memory_mb("VmRSS");
    figure("chat.memory.idle", &[idle]);
    println!("memory of the idle server: {idle:.1} MB");
    let rate = plain(&ours, &synced, &bare);
    added(&ours, &synced, &bare, rate / 2.0);
    first_token(&ours, &bare);
    many_streams(&ours);
    drop((synced, bare));
    for gateway in gateways(&upstream, folder.path()) {
        match gateway {
            Ok(gateway) => beside(&ours, &gateway, pinned(&gateway.command, &of_gateway)),
            Err(missing) => println!("{missing}"),
        }
    }
    ours.stop();
}

/// What a side did in all rounds of one setting.
#[derive(Default)]
struct Side {
    per_second: Vec<f64>,
    latencies_ms: Vec<f64>,
    cpu_us: f64,
}

impl Side {
    fn round(
        &mut self,
        server: &Server,
        connections: usize,
        round: Duration,
        pace: Option<Duration>,
        request: &[u8],
    ) {
        let cpu = server.cpu_us();
        let done = load::run(
            server.address,
            connections,
            round,
            pace,
            |_, _| Some(request),
            succeeded,
        );
        self.cpu_us += server.cpu_us() - cpu;
        self.per_second.push(done.per_second());
        self.latencies_ms.extend(done.latencies_ms);
    }

    fn show(&self) -> String {
        format!(
            "{:.0}/s, p50 {:.2} p99 {:.2} ms, {:.1} us of cpu",
            median(&self.per_second),
            median(&self.latencies_ms),
            quantile(&self.latencies_ms, 0.99),
            self.cpu_us / self.latencies_ms.len() as f64
        )
    }
}

fn succeeded(answer: &Answer<'_>) {
    answer.success();
}

/// Rounds of `sides` in turns, after one that does not count.
fn rounds<const N: usize>(
    servers: [&Server; N],
    connections: usize,
    pace: Option<Duration>,
    request: &[u8],
) -> [Side; N] {
    let mut sides = [(); N].map(|()| Side::default());
    for server in servers {
        Side::default().round(server, connections, ROUND, pace, request);
    }
    for round in 0..ROUNDS {
        for step in 0..N {
            let at = (round + step) % N;
            sides[at].round(servers[at], connections, ROUND, pace, request);
        }
    }
    sides
}

fn ratios(us: &Side, them: &Side) -> Vec<f64> {
    let pairs = us.per_second.iter().zip(&them.per_second);
    pairs.map(|(us, them)| us / them).collect()
}

/// As many whole answers as can be had; returns our rate at the most connections.
fn plain(ours: &Server, synced: &Server, bare: &Server) -> f64 {
    let request = chat("mock/plain", false);
    let mut rate = f64::INFINITY;
    for connections in CONNECTIONS {
        let [us, on_disk, them] = rounds([ours, synced, bare], connections, None, &request);
        rate = median(&us.per_second);
        figure(&format!("chat.bare.{connections}"), &ratios(&us, &them));
        println!(
            "{connections:>3} connections  ratio {}  boathouse {}; synced {}; bare {}",
            spread(&ratios(&us, &them)),
            us.show(),
            on_disk.show(),
            them.show()
        );
    }
    rate
}

/// The latency that is added below saturation: `rate` requests/s over 64 connections.
fn added(ours: &Server, synced: &Server, bare: &Server, rate: f64) {
    let connections = CONNECTIONS[2];
    let pace = Duration::from_secs_f64(connections as f64 / rate);
    let [us, on_disk, them] = rounds(
        [ours, synced, bare],
        connections,
        Some(pace),
        &chat("mock/plain", false),
    );
    let p = |side: &Side, share: f64| quantile(&side.latencies_ms, share);
    for (name, side) in [("written", &us), ("synced", &on_disk)] {
        let added = p(side, 0.99) - p(&them, 0.99);
        figure(&format!("chat.added.p99_ms.{name}"), &[added]);
        println!(
            "{rate:.0} requests/s over {connections} connections, ack = {name}: added p50 {:.3} ms, p99 {:.3} ms (bare: {:.3}, {:.3})",
            p(side, 0.5) - p(&them, 0.5),
            p(side, 0.99) - p(&them, 0.99),
            p(&them, 0.5),
            p(&them, 0.99)
        );
    }
}

/// How long after its request the first bytes of a stream are there: of one whose pieces come one by one, and of one that
/// comes at once.
fn first_token(ours: &Server, bare: &Server) {
    for (model, streams, told) in [
        ("mock/trickle", 500, "that comes in pieces"),
        ("mock/plain", 2_000, "that comes at once"),
    ] {
        let request = chat(model, true);
        let mut waits = [Vec::new(), Vec::new()];
        load::block_on(async {
            let mut connections = [
                Connection::open(ours.address).await,
                Connection::open(bare.address).await,
            ];
            for _ in 0..streams {
                for (connection, waits) in connections.iter_mut().zip(&mut waits) {
                    let started = std::time::Instant::now();
                    let note = || waits.push(started.elapsed().as_secs_f64() * 1_000.0);
                    connection.exchange(&request, note).await.success();
                }
            }
        });
        let [us, them] = waits;
        let p = |waits: &[f64], share: f64| quantile(waits, share);
        let id = format!("chat.first_token.p50_ms.{}", model.replace('/', "."));
        figure(&id, &[p(&us, 0.5) - p(&them, 0.5)]);
        println!(
            "first token of a stream {told}, one at a time: added p50 {:.3} ms, p99 {:.3} ms (bare: {:.3}, {:.3})",
            p(&us, 0.5) - p(&them, 0.5),
            p(&us, 0.99) - p(&them, 0.99),
            p(&them, 0.5),
            p(&them, 0.99)
        );
    }
}

/// Slow streams, many at once: each has all of its pieces, and memory stays.
fn many_streams(ours: &Server) {
    let request = chat("mock/drip", true);
    let mut memory = vec![ours.memory_mb("RssAnon")];
    for _ in 0..5 {
        let each = |_, asked: usize| (asked == 0).then_some(&request[..]);
        let whole = |answer: &Answer<'_>| {
            let text = String::from_utf8_lossy(answer.success());
            assert!(
                text.matches("\"content\"").count() >= UPSTREAM_CHUNKS,
                "{text}"
            );
            assert!(text.contains("data: [DONE]"), "{text}");
        };
        let done = load::run(
            ours.address,
            STREAMS,
            Duration::from_secs(60),
            None,
            each,
            whole,
        );
        assert_eq!(done.latencies_ms.len(), STREAMS);
        memory.push(ours.memory_mb("RssAnon"));
    }
    let memory: Vec<String> = memory.iter().map(|mb| format!("{mb:.1}")).collect();
    println!(
        "{STREAMS} streams at once, before and after each of 5 rounds: {} MB",
        memory.join(", ")
    );
}

/// The same request to another gateway and to ours, in turns.
fn beside(ours: &Server, gateway: &Gateway, command: Command) {
    let connections = CONNECTIONS[2];
    let mine = chat("mock/plain", false);
    let mut them = gateway.start(command, connections);
    let (mut us, mut rates) = (Side::default(), Vec::new());
    for round in 0..=LONG_ROUNDS {
        if round == 1 {
            (us, rates) = (Side::default(), Vec::new());
        }
        us.round(ours, connections, LONG_ROUND, None, &mine);
        rates.push(them.round(LONG_ROUND));
    }
    let pairs = us.per_second.iter().zip(&rates);
    let ratios: Vec<f64> = pairs.map(|(us, them)| us / them).collect();
    let id = |what: &str| format!("chat.gateway.{}.{what}", gateway.name.replace(' ', "_"));
    figure(&id("ratio"), &ratios);
    figure(&id("memory_mb"), &[them.memory_mb()]);
    figure(&id("our_memory_mb"), &[ours.memory_mb("VmRSS")]);
    println!(
        "{connections:>3} connections  {} {:.0}/s, {:.0} MB; boathouse {:.0}/s, {:.0} MB; ratio {}",
        gateway.name,
        median(&rates),
        them.memory_mb(),
        median(&us.per_second),
        ours.memory_mb("VmRSS"),
        spread(&ratios)
    );
}
