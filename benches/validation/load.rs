//! Loading a roster from each kind of file, beside Python's own means.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use boathouse::actors::tables::read_table;
use boathouse::engines::validation::Roster;

use crate::fill::SEED;

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

pub(crate) fn run(rows: u32) {
    let folder = tempfile::tempdir().unwrap();
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
        }
    }
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

/// Prints seconds and megabytes of one load.
pub(crate) fn once(file: &Path) {
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
