//! `fill`: judging twenty proposals against a large roster, beside looking up their ids; with the feature `server` also
//! loading such a roster from each kind of file.

use std::collections::HashMap;
use std::hint::black_box;
use std::io::Cursor;
use std::time::Instant;

use boathouse::engines::validation::{Roster, ValidationConfig, Validators, generate, read_csv};
use boathouse::types::roster::RosterRow;
use serde_json::{Value, json};

use crate::figures::figure;
#[cfg(feature = "server")]
use crate::load;
use crate::statistics::{median, quantile};

const ROWS: u32 = 500_000;
pub(crate) const SEED: u64 = 7;
const PROPOSALS: usize = 20;
const PAYLOADS: usize = 1_000;

pub(crate) fn run(words: &[String]) {
    // A process of its own for each load, so that memory is its own.
    #[cfg(feature = "server")]
    if let [load, file] = words
        && load == "load"
    {
        return load::once(std::path::Path::new(file));
    }
    let rows = words.iter().find_map(|word| word.parse().ok());
    let rows: u32 = rows.unwrap_or(ROWS);
    println!("fill: {rows} workers");
    #[cfg(feature = "server")]
    load::run(rows);
    let workers: Vec<RosterRow> = generate(rows, SEED).collect();
    let roster = read(&workers);
    judge(&workers, roster);
}

fn read(workers: &[RosterRow]) -> Roster {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(RosterRow::COLUMNS).unwrap();
    for row in workers {
        writer.write_record(row.texts()).unwrap();
    }
    let text = writer.into_inner().unwrap();
    read_csv("generated", Cursor::new(text)).unwrap()
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
        let id = format!("validation.fill.{}.p99_us", kind.replace(' ', "_"));
        figure(&id, &[quantile(&judged, 0.99)]);
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
