//! `fill`: loading a roster from each kind of file, and judging twenty proposals against it.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use boathouse::actors::tables::read_table;
use boathouse::engines::validation::{Roster, ValidationConfig, Validators, generate};
use boathouse::types::roster::RosterRow;
use serde_json::{Value, json};

use crate::statistics::{median, quantile};

const ROWS: u32 = 500_000;
const SEED: u64 = 7;
const PROPOSALS: usize = 20;
const PAYLOADS: usize = 200;
/// Loads of each file; the best counts, as the others share the machine.
const LOADS: usize = 3;
/// The same with Python's own means.
const PYTHON: &str = "
import csv, resource, sys, time
began = time.perf_counter()
with open(sys.argv[1], newline='', encoding='utf-8') as file:
    roster = {row['worker_id'].upper(): row for row in csv.DictReader(file)}
took = time.perf_counter() - began
print(f'{took:.3f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f} {len(roster)}')
";

pub(crate) fn run(words: &[String]) {
    // A process of its own for each load, so that memory is its own.
    if let [load, file] = words
        && load == "load"
    {
        return load_once(Path::new(file));
    }
    let rows = words.iter().find_map(|word| word.parse().ok());
    let rows: u32 = rows.unwrap_or(ROWS);
    let folder = tempfile::tempdir().unwrap();
    let workers: Vec<RosterRow> = generate(rows, SEED).collect();
    println!("fill: {rows} workers");
    let mut loaded = None;
    for ending in ["csv", "jsonl", "parquet"] {
        let file = folder.path().join(format!("roster.{ending}"));
        write(&file, rows);
        let best = (0..LOADS)
            .map(|_| load_apart(&file))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let (seconds, megabytes) = best.unwrap();
        let size = file.metadata().unwrap().len() as f64 / 1e6;
        println!(
            "  load {ending:<8} {seconds:.3} s   memory {megabytes:.1} MB   file {size:.1} MB"
        );
        if ending == "csv" {
            python(&file, seconds);
            loaded = Some(read_table::<Roster>(&file).unwrap());
        }
    }
    judge(&workers, loaded.unwrap());
}

/// Writes the generated rows by the command of the product.
fn write(file: &Path, rows: u32) {
    let status = Command::new(env!("CARGO_BIN_EXE_boathouse"))
        .args(["roster", "generate", "--rows", &rows.to_string()])
        .args(["--seed", &SEED.to_string(), "--out"])
        .arg(file)
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

fn load_once(file: &Path) {
    let before = resident_mb();
    let began = Instant::now();
    let roster = read_table::<Roster>(file).unwrap();
    let took = began.elapsed().as_secs_f64();
    println!("{took} {}", resident_mb() - before);
    black_box(roster);
}

fn load_apart(file: &Path) -> (f64, f64) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["fill", "load"]).arg(file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// Most memory that the process has had resident.
fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) / 1_024.0
}

fn python(file: &Path, seconds: f64) {
    let output = Command::new("python3")
        .args(["-c", PYTHON])
        .arg(file)
        .output();
    let Ok(output) = output else {
        println!("       python3 is not here");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().flat_map(str::parse).collect();
    if let [took, megabytes, _] = numbers[..] {
        println!(
            "       python csv + dict {took:.3} s   memory {megabytes:.1} MB   ratio of time {:.3}",
            seconds / took
        );
    }
}

/// What payloads are made of: of a worker and the place in the payload.
type Make = fn(&RosterRow, usize) -> Value;

fn fill(id: &str, name: &str) -> Value {
    json!({"worker_id": id, "name": name, "start": "2027-03-01", "end": "2027-03-05"})
}

/// The name with two letters exchanged.
fn slipped(name: &str) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    let at = letters.len() / 2;
    letters.swap(at - 1, at);
    letters.into_iter().collect()
}

const KINDS: &[(&str, Make)] = &[
    ("good", |row, _| fill(&row.worker_id, &row.name)),
    ("bad", |row, at| match at % 4 {
        0 => fill(&row.worker_id, "Somebody Else"),
        1 => fill(&row.worker_id.to_lowercase(), &row.name),
        2 => json!({"worker_id": row.worker_id, "name": row.name, "start": "soon"}),
        _ => fill("T-1", "Qwxyz Vbnmk"),
    }),
    ("near names", |row, _| {
        fill(&format!("{}7", row.worker_id), &slipped(&row.name))
    }),
    ("near ids", |row, _| {
        fill(&row.worker_id.replace("W-1", "W1"), "Nobody Known")
    }),
];

fn judge(workers: &[RosterRow], roster: Roster) {
    let by_id: HashMap<&str, &RosterRow> = workers
        .iter()
        .map(|row| (row.worker_id.as_str(), row))
        .collect();
    let validators = Validators::new(&ValidationConfig::default(), roster).unwrap();
    let steps = workers.len() / 7 + 1;
    for (kind, make) in KINDS {
        let (mut judged, mut looked_up) = (Vec::new(), Vec::new());
        let mut findings = 0;
        for payload in 0..PAYLOADS {
            let chosen: Vec<&RosterRow> = (0..PROPOSALS)
                .map(|at| &workers[(payload * 7_919 + at * steps) % workers.len()])
                .collect();
            let first = chosen[0];
            let fills = chosen.iter().enumerate();
            let fills: Vec<Value> = fills.map(|(at, row)| make(row, at)).collect();
            let payload = json!({ "fills": fills });
            let context = json!({
                "role": first.role, "city": first.city, "state": first.state, "client_id": "C-7",
                "target_count": PROPOSALS, "time_zone": "America/Chicago",
            });
            let began = Instant::now();
            let report = validators
                .run("fill", black_box(&payload), &context)
                .unwrap();
            judged.push(began.elapsed().as_secs_f64() * 1e6);
            findings += report.findings.len();
            let began = Instant::now();
            for row in &chosen {
                black_box(by_id.get(black_box(row.worker_id.as_str())));
            }
            looked_up.push(began.elapsed().as_secs_f64() * 1e6);
        }
        println!(
            "  {PROPOSALS} proposals, {kind:<10} p50 {:>7.1} us  p99 {:>7.1} us   {:.1} findings; HashMap of the ids alone p50 {:.2} us  p99 {:.2} us",
            median(&judged),
            quantile(&judged, 0.99),
            findings as f64 / PAYLOADS as f64,
            median(&looked_up),
            quantile(&looked_up, 0.99),
        );
    }
}
