//! `pii::find` on the labelled texts: speed and F1 for each kind, beside Microsoft Presidio on the
//! same texts in the same run, where `just bench-pii` installed it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use boathouse::engines::validation::pii::{self, PiiKind};
use serde_json::Value;

use crate::figures::figure;

const TEXTS: [&str; 2] = [
    "tests/data/validation/pii.jsonl",
    "tests/data/validation/presidio.jsonl",
];
const PRESIDIO: &str = "target/presidio/bin/python";
/// Texts of people without personal data: what is found there is wrong.
const REAL: [&str; 2] = [
    "config/demo/trecqa/corpus.jsonl",
    "tests/data/eval/banking77/corpus.jsonl",
];
const ROUND: Duration = Duration::from_millis(500);
const ROUNDS: usize = 5;

pub(crate) fn run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in TEXTS {
        compare(root, path);
    }
    for path in REAL {
        false_alarms(&root.join(path));
    }
}

fn compare(root: &Path, path: &str) {
    println!("{path}");
    let rows = lines(&root.join(path));
    let texts: Vec<&str> = rows
        .iter()
        .map(|row| row["text"].as_str().unwrap())
        .collect();
    let ours = scores(&rows, |text| {
        let found = pii::find(text).into_iter();
        found
            .map(|found| (found.kind.id().to_owned(), text[found.span].to_owned()))
            .collect()
    });
    let speed = speed(&texts);
    let presidio = presidio(root, path);
    println!("{:16} {:>8} {:>10}", "kind", "ours F1", "Presidio F1");
    for kind in PiiKind::ALL {
        if !ours.contains_key(kind.id()) {
            continue;
        }
        let theirs = presidio
            .as_ref()
            .and_then(|all| all["f1"][kind.id()].as_f64());
        let theirs = theirs.map_or("-".to_owned(), |f1| format!("{f1:.3}"));
        println!(
            "{:16} {:>8.3} {theirs:>10}",
            kind.id(),
            ours.get(kind.id()).copied().unwrap_or(0.0)
        );
    }
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    let mean = bytes / texts.len();
    println!(
        "ours      {speed:>9.0} texts/s on one core (of {mean} bytes; {:.1} MB/s)",
        speed * mean as f64 / 1e6
    );
    match presidio {
        Some(all) => {
            let theirs = all["texts_per_second"].as_f64().unwrap();
            println!(
                "Presidio  {theirs:>9.0} texts/s on one core ({})",
                all["version"].as_str().unwrap()
            );
            let set = Path::new(path).file_stem().unwrap().to_string_lossy();
            figure(&format!("validation.pii.{set}.ratio"), &[speed / theirs]);
            println!("ratio     {:>9.0}", speed / theirs);
        }
        None => println!("Presidio is not installed: just bench-pii"),
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn speed(texts: &[&str]) -> f64 {
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (start, mut done) = (Instant::now(), 0_usize);
            while start.elapsed() < ROUND {
                for text in texts {
                    std::hint::black_box(pii::find(text));
                }
                done += texts.len();
            }
            done as f64 / start.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[ROUNDS / 2]
}

/// F1 of each kind; a number counts where both its kind and its text are right.
fn scores(
    rows: &[Value],
    find: impl Fn(&str) -> BTreeSet<(String, String)>,
) -> BTreeMap<String, f64> {
    let mut counts: BTreeMap<String, [f64; 3]> = BTreeMap::new();
    for row in rows {
        let labelled: BTreeSet<(String, String)> = row["found"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (
                    one["kind"].as_str().unwrap().to_owned(),
                    one["value"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        let found = find(row["text"].as_str().unwrap());
        for one in found.union(&labelled) {
            let at = match (found.contains(one), labelled.contains(one)) {
                (true, true) => 0,
                (true, false) => 1,
                _ => 2,
            };
            counts.entry(one.0.clone()).or_default()[at] += 1.0;
        }
    }
    let f1 = |[right, wrong, missed]: [f64; 3]| 2.0 * right / (2.0 * right + wrong + missed);
    counts
        .into_iter()
        .map(|(kind, counts)| (kind, f1(counts)))
        .collect()
}

fn presidio(root: &Path, texts: &str) -> Option<Value> {
    let python = root.join(PRESIDIO);
    if !python.exists() {
        return None;
    }
    let script = root.join("benches/validation/presidio_side.py");
    let output = Command::new(python)
        .arg(script)
        .arg(root.join(texts))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    Some(serde_json::from_str(text.lines().last().unwrap()).unwrap())
}

fn false_alarms(path: &Path) {
    let rows = lines(path);
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        for one in pii::find(row["text"].as_str().unwrap_or_default()) {
            *found.entry(one.kind.id()).or_default() += 1;
        }
    }
    let name = path
        .parent()
        .and_then(Path::file_name)
        .unwrap()
        .to_string_lossy();
    println!(
        "found in {} texts of {name}, which hold none by intent: {found:?}",
        rows.len()
    );
}
