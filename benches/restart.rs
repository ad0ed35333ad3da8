//! What a crash costs: a cell of a supervised process beside a daemon of its own that is started again. Time from the crash to
//! the next answer, and how many of the requests under way are lost. See `benches/README.md`.
//!
//! `cargo bench --bench restart`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and ends when something is wrong"
)]

#[path = "support/figures.rs"]
mod figures;
#[path = "support/process.rs"]
mod process;
#[path = "support/statistics.rs"]
mod statistics;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Barrier;
use std::time::Instant;

use figures::figure;
use process::{Server, boathouse};
use statistics::{median, spread};

const ROUNDS: usize = 20;
/// Requests under way when it crashes.
const WAITING: usize = 32;
/// Texts of each of them: some milliseconds of work, so that most are waiting.
const TEXTS: usize = 512;

fn start(folder: &Path) -> Server {
    std::fs::create_dir_all(folder).unwrap();
    Server::start(&mut boathouse(
        folder,
        &[
            ("SUPERVISORS__ALLOW_CRASH", "true"),
            // As many crashes as rounds, and more.
            ("SUPERVISORS__DEFAULTS__INTENSITY", "1000000"),
            // Each is a first one: a cell that crashes again and again is left alone for longer and longer.
            ("SUPERVISORS__DEFAULTS__BACKOFF__RESET_AFTER_MS", "1"),
            // What memory grows by is what crashes leave.
            ("EMBEDDING__CACHE_BYTES", "0"),
        ],
    ))
}

fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A request whose texts no cache knows.
fn fresh(round: usize, request: usize, texts: usize) -> Vec<u8> {
    let texts: Vec<String> = (0..texts)
        .map(|text| format!("{request} boats of round {round} carry load {text} up the river"))
        .collect();
    let body = serde_json::json!({"model": "static-minilm", "input": texts});
    post("/v1/embeddings", &body.to_string())
}

/// Whether it was answered with success; a connection that is refused or breaks is a no. `sent` is called once, also when
/// nothing could be sent: others may wait for it.
fn answered(address: SocketAddr, request: &[u8], sent: impl FnOnce()) -> bool {
    let exchange = || -> std::io::Result<[u8; 12]> {
        let stream = TcpStream::connect(address).and_then(|mut stream| {
            stream.write_all(request)?;
            Ok(stream)
        });
        sent();
        let mut stream = stream?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    exchange().is_ok_and(|answer| answer.ends_with(b"200"))
}

/// Has the embedding cell panic at its next request.
fn arm(address: SocketAddr) {
    let request = post("/v1/supervisors/embedding/crash", "");
    assert!(answered(address, &request, || {}));
}

/// Milliseconds until a new text is embedded again.
fn until_answered(address: SocketAddr, since: Instant, round: usize) -> f64 {
    for attempt in 0.. {
        if answered(address, &fresh(round, 1_000 + attempt, 1), || {}) {
            break;
        }
    }
    since.elapsed().as_secs_f64() * 1e3
}

/// How many of the waiting requests are lost when `crash` happens.
fn lost(address: SocketAddr, round: usize, crash: impl FnOnce()) -> f64 {
    let all_sent = Barrier::new(WAITING + 1);
    std::thread::scope(|scope| {
        let all_sent = &all_sent;
        let asked: Vec<_> = (0..WAITING)
            .map(|number| {
                let request = fresh(round, number, TEXTS);
                scope.spawn(move || {
                    answered(address, &request, || {
                        all_sent.wait();
                    })
                })
            })
            .collect();
        all_sent.wait();
        crash();
        let answers = asked.into_iter().map(|asked| asked.join().unwrap());
        answers.filter(|answered| !answered).count() as f64
    })
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let (mut cell, mut daemon) = (Vec::new(), Vec::new());
    let (mut lost_by_cell, mut lost_by_daemon) = (Vec::new(), Vec::new());
    let supervised = start(&folder.path().join("supervised"));
    let alone = folder.path().join("alone");
    let mut process = start(&alone);
    let (mut cpu, mut memory) = (0.0, 0.0);
    for round in 0..ROUNDS {
        let address = supervised.address;
        arm(address);
        let since = Instant::now();
        assert!(!answered(address, &fresh(round, 0, 1), || {}));
        cell.push(until_answered(address, since, round));
        lost_by_cell.push(lost(address, ROUNDS + round, || arm(address)));
        if round == 0 {
            // What the load itself takes is there from now on.
            (cpu, memory) = (supervised.cpu_us(), supervised.memory_mb("VmRSS"));
        }

        // A dropped server is killed, and waited for; who restarts it at once does as well as can be.
        let since = Instant::now();
        drop(process);
        process = start(&alone);
        daemon.push(until_answered(process.address, since, round));
        let address = process.address;
        lost_by_daemon.push(lost(address, ROUNDS + round, || drop(process)));
        process = start(&alone);
    }
    let times: Vec<f64> = daemon
        .iter()
        .zip(&cell)
        .map(|(daemon, cell)| daemon / cell)
        .collect();
    figure("restart.ratio", &times);
    figure("restart.lost.cell", &lost_by_cell);
    figure("restart.lost.daemon", &lost_by_daemon);
    println!(
        "from the crash to the next answer: a cell {:.2} ms, a daemon that is started again at once {:.0} ms: {} times",
        median(&cell),
        median(&daemon),
        spread(&times)
    );
    println!(
        "of {WAITING} requests under way are lost: {} by the cell, {} by the daemon (medians of {ROUNDS} rounds)",
        median(&lost_by_cell),
        median(&lost_by_daemon)
    );
    println!(
        "the supervised process after {} crashes more: {:.1} MB resident before, {:.1} MB after; {:.1} s of cpu in all",
        2 * (ROUNDS - 1),
        memory,
        supervised.memory_mb("VmRSS"),
        (supervised.cpu_us() - cpu) / 1e6
    );
    supervised.stop();
    drop(process);
}
