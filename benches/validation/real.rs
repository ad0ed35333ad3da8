//! `email` on real mails: which rules speak up, and how often, with examples. What they say of a mail that a person wrote
//! is to be looked at; much of it is true.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use boathouse::engines::validation::{Roster, ValidationConfig, Validators};
use boathouse::types::validation::Finding;
use serde_json::{Value, json};

const MAILS: &str = "target/real-mails/mails.jsonl";
/// Findings shown of each rule.
const SHOWN: usize = 5;

pub(crate) fn run(words: &[String]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(root.join(MAILS)) else {
        println!("real mails are not here: just bench-mails");
        return;
    };
    let shown = words.iter().find_map(|word| word.parse().ok());
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let validators = Validators::new(&ValidationConfig::default(), Roster::default()).unwrap();
    let mut rules: BTreeMap<String, Vec<(&str, Finding)>> = BTreeMap::new();
    let (mut quiet, began) = (0, Instant::now());
    for row in &rows {
        let report = validators
            .run("email", &row["payload"], &json!(null))
            .unwrap();
        quiet += usize::from(report.findings.is_empty());
        for finding in report.findings {
            let found = rules.entry(finding.rule.clone()).or_default();
            found.push((row["name"].as_str().unwrap(), finding));
        }
    }
    let bytes: usize = text.len();
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} real mails, {quiet} without a finding; {:.0}/s, {:.1} MB/s",
        rows.len(),
        rows.len() as f64 / seconds,
        bytes as f64 / seconds / 1e6
    );
    for (rule, found) in rules {
        let mut mails: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        mails.dedup();
        println!("{rule}: {} mails", mails.len());
        let step = (found.len() / shown.unwrap_or(SHOWN).max(1)).max(1);
        for (name, finding) in found.iter().step_by(step) {
            println!("    {name} {} {}", finding.path, finding.message);
        }
    }
}
