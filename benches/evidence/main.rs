//! The evidence journal: appending, auditing and materializing it, each beside what the machine can do. See
//! `benches/README.md`.
//!
//! `cargo bench --bench evidence`, and `cargo bench --bench evidence -- 500000` for so many records

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and ends when something is wrong"
)]

#[path = "../support/figures.rs"]
mod figures;
#[path = "../support/process.rs"]
mod process;
mod records;
#[path = "../support/statistics.rs"]
mod statistics;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use boathouse::storage::evidence_log::{EvidenceConfig, EvidenceLog, NewRecord, segments};
use figures::figure;
use process::{Server, boathouse};
use records::{record, sentences};
use statistics::{median, spread};

const RECORDS: u64 = 250_000;
/// Records that share a sync, as those of requests that end at the same time do.
const GROUP: u64 = 256;
const ROUNDS: usize = 5;

fn main() {
    let count = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let count: u64 = count.unwrap_or(RECORDS);
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("data/evidence");
    append(&journal, count);
    audit(folder.path(), &journal, count);
    materialize(folder.path(), count);
}

/// Appends in groups that share a sync, beside the same bytes written in the same groups without a journal.
fn append(journal: &Path, count: u64) {
    let sentences = sentences();
    let (mut log, _) = EvidenceLog::open(journal, EvidenceConfig::default()).unwrap();
    let mut plain = File::create(journal.parent().unwrap().join("plain")).unwrap();
    let (mut ours, mut bare, mut ratios) = (0.0, 0.0, Vec::new());
    let mut at = 0;
    while at < count {
        let group: Vec<NewRecord> = (at..(at + GROUP).min(count))
            .map(|n| record(n, &sentences))
            .collect();
        let before = written(journal);
        let started = Instant::now();
        for record in &group {
            log.append(record).unwrap();
        }
        if let Some(unsynced) = log.unsynced().unwrap() {
            log.synced(&unsynced.sync()).unwrap();
        }
        let own = started.elapsed().as_secs_f64();
        let block = vec![b'x'; written(journal) - before];
        let started = Instant::now();
        plain.write_all(&block).unwrap();
        plain.sync_data().unwrap();
        let alone = started.elapsed().as_secs_f64();
        ours += own;
        bare += alone;
        ratios.push(alone / own);
        at += GROUP;
    }
    figure("evidence.append", &[count as f64 / ours]);
    println!(
        "append and sync, groups of {GROUP}: {:.0} records/s; writing and syncing as many bytes alone would allow {:.0}/s; ratio {}",
        count as f64 / ours,
        count as f64 / bare,
        spread(&ratios)
    );
    fs::remove_file(journal.parent().unwrap().join("plain")).unwrap();
}

/// Bytes of the journal's files.
fn written(journal: &Path) -> usize {
    let sizes = segments(journal).unwrap().into_iter();
    sizes
        .map(|segment| segment.bytes)
        .sum::<u64>()
        .try_into()
        .unwrap()
}

/// Walks the journal by `boathouse audit`, in turns with `sha256sum` over the same files.
fn audit(folder: &Path, journal: &Path, count: u64) {
    let files: Vec<PathBuf> = segments(journal)
        .unwrap()
        .into_iter()
        .map(|segment| journal.join(segment.name))
        .collect();
    let mut bytes = 0;
    for file in &files {
        // Read once, so that both find it in memory.
        bytes += File::open(file)
            .unwrap()
            .read_to_end(&mut Vec::new())
            .unwrap();
    }
    let timed = |command: &mut Command| {
        let started = Instant::now();
        let ran = command.output().unwrap();
        assert!(
            ran.status.success(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        started.elapsed().as_secs_f64()
    };
    let (mut ours, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut audit = Command::new(env!("CARGO_BIN_EXE_boathouse"));
        let own = timed(audit.args(["audit", "--data"]).arg(folder.join("data")));
        let sum = timed(Command::new("sha256sum").args(&files));
        ours.push(own);
        ratios.push(sum / own);
    }
    figure("evidence.audit", &ratios);
    println!(
        "audit of {count} records, {:.0} MB: {:.0} MB/s, {:.0} records/s; ratio to sha256sum {}",
        bytes as f64 / 1e6,
        bytes as f64 / 1e6 / median(&ours),
        count as f64 / median(&ours),
        spread(&ratios)
    );
}

/// Has servers materialize it: on one thread, on two, then the little that came since; and DuckDB do the same reading and
/// joining.
fn materialize(folder: &Path, count: u64) {
    let (mut one, mut two) = (Vec::new(), Vec::new());
    let (mut most, mut cores) = (0.0_f64, 0.0);
    for _ in 0..ROUNDS {
        for (threads, minutes) in [("1", &mut one), ("2", &mut two)] {
            let server = Server::start(&mut boathouse(folder, &[("DATASET__THREADS", threads)]));
            let (before, started) = (server.cpu_us(), Instant::now());
            ask(&server, "{\"force\": true}");
            let seconds = started.elapsed().as_secs_f64();
            minutes.push(seconds / 60.0);
            cores = (server.cpu_us() - before) / 1e6 / seconds;
            most = most.max(server.memory_mb("VmHWM"));
            server.stop();
        }
    }
    let speedup: Vec<f64> = one.iter().zip(&two).map(|(one, two)| one / two).collect();
    figure("evidence.materialize.one", &[count as f64 / median(&one)]);
    figure("evidence.materialize.two", &[count as f64 / median(&two)]);
    figure("evidence.materialize.speedup", &speedup);
    figure("evidence.materialize.memory_mb", &[most]);
    println!(
        "materialize: {:.0} records/min on 1 thread, {:.0} on 2, which took {cores:.2} cores; ratio {}; {most:.0} MB at most",
        count as f64 / median(&one),
        count as f64 / median(&two),
        spread(&speedup)
    );
    let added = (count / 100).max(1);
    more(&folder.join("data/evidence"), count, added);
    let server = Server::start(&mut boathouse(folder, &[("DATASET__THREADS", "2")]));
    let idle = server.memory_mb("VmRSS");
    let started = Instant::now();
    let told = ask(&server, "{}");
    println!(
        "materialize {added} records more: {:.1} s, {} lines read, {} partitions written; memory {idle:.0} MB before, {:.0} MB at most",
        started.elapsed().as_secs_f64(),
        told["lines_read"],
        told["partitions_written"],
        server.memory_mb("VmHWM")
    );
    server.stop();
    duckdb(folder);
}

/// Appends records after the first `count`.
fn more(journal: &Path, count: u64, added: u64) {
    let sentences = sentences();
    let (mut log, _) = EvidenceLog::open(journal, EvidenceConfig::default()).unwrap();
    for at in count..count + added {
        log.append(&record(at, &sentences)).unwrap();
    }
}

/// Asks for a materialization; returns its receipt.
fn ask(server: &Server, body: &str) -> serde_json::Value {
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "POST /v1/materialize HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, json) = answer.split_once("\r\n\r\n").unwrap();
    let (from, to) = (json.find('{').unwrap(), json.rfind('}').unwrap());
    serde_json::from_str(&json[from..=to]).unwrap()
}

/// The same files read, joined and written as Parquet by DuckDB, which checks no hash and knows no rules; left out where
/// `benches/evidence/setup.sh` has not installed it.
fn duckdb(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/bench-evidence/bin/python");
    if !python.is_file() {
        println!("duckdb: not installed (benches/evidence/setup.sh)");
        return;
    }
    for threads in ["1", "2"] {
        let mut command = Command::new(&python);
        command.arg(root.join("benches/evidence/duckdb_join.py"));
        command.arg(folder.join("data/evidence")).arg(threads);
        let ran = command.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(
            ran.status.success(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        let rate = said.split(' ').next().and_then(|rate| rate.parse().ok());
        figure(&format!("evidence.duckdb.{threads}"), &[rate.unwrap()]);
        print!("duckdb: {said}");
    }
}
