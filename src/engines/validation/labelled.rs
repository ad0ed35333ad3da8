//! Precision and recall on the labelled sets of `tests/data/validation`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{Roster, ValidationConfig, Validators, pii};

const EMAILS: &str = include_str!("../../../tests/data/validation/emails.jsonl");
const PII: &str = include_str!("../../../tests/data/validation/pii.jsonl");
const PRESIDIO: &str = include_str!("../../../tests/data/validation/presidio.jsonl");
const ROSTER: &str = include_str!("../../../tests/data/validation/roster.csv");

#[derive(Deserialize)]
struct Email {
    payload: Value,
    context: Value,
    rules: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    found: Vec<Labelled>,
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord, Clone, Debug)]
struct Labelled {
    kind: String,
    value: String,
}

/// What was found rightly, found wrongly, and missed.
#[derive(Default)]
struct Counts {
    right: usize,
    wrong: usize,
    missed: usize,
}

fn count<T: Ord>(
    counts: &mut BTreeMap<String, Counts>,
    found: &BTreeSet<T>,
    labelled: &BTreeSet<T>,
    name: impl Fn(&T) -> String,
) {
    for item in found {
        let counts = counts.entry(name(item)).or_default();
        match labelled.contains(item) {
            true => counts.right += 1,
            false => counts.wrong += 1,
        }
    }
    for item in labelled.difference(found) {
        counts.entry(name(item)).or_default().missed += 1;
    }
}

/// Says each name's figures, and which of them are below the floor.
fn judge(counts: &BTreeMap<String, Counts>, floor: f64) -> (String, Vec<&str>) {
    let mut table = String::new();
    let mut low = Vec::new();
    for (
        name,
        Counts {
            right,
            wrong,
            missed,
        },
    ) in counts
    {
        let share = |of: usize| *right as f64 / (right + of).max(1) as f64;
        let (precision, recall) = (share(*wrong), share(*missed));
        table.push_str(&format!(
            "{name:24} precision {precision:.3} recall {recall:.3} ({right} right, {wrong} wrong, {missed} missed)\n"
        ));
        if precision < floor || recall < floor {
            low.push(name.as_str());
        }
    }
    (table, low)
}

fn lines<'a, T: Deserialize<'a>>(text: &'a str) -> Vec<T> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn labelled_mails_get_the_findings_that_they_were_made_for() {
    let validators = Validators::new(
        &ValidationConfig::default(),
        Roster::parse_csv(ROSTER).unwrap(),
    )
    .unwrap();
    let (mut counts, mut errors) = (BTreeMap::new(), String::new());
    let emails: Vec<Email> = lines(EMAILS);
    assert!(emails.len() >= 300);
    for email in &emails {
        let report = validators
            .run("email", &email.payload, &email.context)
            .unwrap();
        let found = report
            .findings
            .iter()
            .map(|finding| &finding.rule["email.".len()..]);
        let found: BTreeSet<String> = found.map(str::to_owned).collect();
        if found != email.rules {
            errors.push_str(&format!(
                "{:?}: {:#?}\n{}\n",
                email.rules, report.findings, email.payload
            ));
        }
        count(&mut counts, &found, &email.rules, Clone::clone);
    }
    let (table, low) = judge(&counts, 0.98);
    // `cargo test -- --nocapture` shows it.
    println!("{table}");
    assert!(low.is_empty(), "{low:?} below the floor\n{table}\n{errors}");
    let labelled: BTreeSet<&str> = counts.keys().map(String::as_str).collect();
    let described = validators.describe();
    let email = described
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["name"] == "email");
    for rule in email.unwrap()["rules"].as_array().unwrap() {
        let id = &rule["id"].as_str().unwrap()["email.".len()..];
        assert!(labelled.contains(id), "no mail was made for {id}");
    }
}

#[test]
fn labelled_texts_have_the_personal_data_that_was_put_there() {
    assert_eq!(kinds_found(PII, 0.97), pii::PiiKind::ALL.len());
    // Sentences that others wrote.
    assert_eq!(kinds_found(PRESIDIO, 0.95), 6);
}

/// Holds the floor for each kind of a set. Returns how many kinds there are.
fn kinds_found(texts: &str, floor: f64) -> usize {
    let (mut counts, mut errors) = (BTreeMap::new(), String::new());
    for text in lines::<Text>(texts) {
        let found = pii::find(&text.text).into_iter().map(|found| Labelled {
            kind: found.kind.id().to_owned(),
            value: text.text[found.span].to_owned(),
        });
        let found: BTreeSet<Labelled> = found.collect();
        let labelled: BTreeSet<Labelled> = text.found.iter().cloned().collect();
        if found != labelled {
            errors.push_str(&format!(
                "{found:?} in {:?}, put there: {labelled:?}\n",
                text.text
            ));
        }
        count(&mut counts, &found, &labelled, |one| one.kind.clone());
    }
    let (table, low) = judge(&counts, floor);
    println!("{table}");
    assert!(low.is_empty(), "{low:?} below the floor\n{table}\n{errors}");
    counts.len()
}
