//! `email` on drafted mails of about 2 KB: judged a second on one core.

use std::time::{Duration, Instant};

use boathouse::engines::validation::{Roster, ValidationConfig, Validators};
use serde_json::{Value, json};

use crate::figures::figure;
use crate::statistics::spread;

const EMAILS: &str = include_str!("../../tests/data/validation/emails.jsonl");
const ROSTER: &str = include_str!("../../tests/data/validation/roster.csv");
/// Bytes of a body.
const BYTES: usize = 2_048;
const ROUND: Duration = Duration::from_millis(500);
const ROUNDS: usize = 5;

pub(crate) fn run() {
    let roster = Roster::parse_csv(ROSTER).unwrap();
    let validators = Validators::new(&ValidationConfig::default(), roster).unwrap();
    let rows: Vec<Value> = EMAILS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let clean: Vec<&Value> = rows
        .iter()
        .filter(|row| row["rules"] == json!([]))
        .collect();
    let plain: Vec<(Value, Value)> = (0..50).map(|at| mail(&clean, at, false)).collect();
    let html: Vec<(Value, Value)> = (0..50).map(|at| mail(&clean, at, true)).collect();
    let faulty: Vec<(Value, Value)> = rows
        .iter()
        .map(|row| (row["payload"].clone(), row["context"].clone()))
        .collect();
    for (id, name, mails) in [
        ("plain", "2 KB, plain", &plain),
        ("html", "2 KB, with html of 2 KB", &html),
        ("labelled", "labelled set, 0.4 KB, most faulty", &faulty),
    ] {
        let rates: Vec<f64> = (0..ROUNDS).map(|_| rate(&validators, mails)).collect();
        figure(&format!("validation.email.{id}"), &rates);
        println!(
            "email {name:36} {} thousand mails/s on one core",
            spread(&rates.iter().map(|rate| rate / 1e3).collect::<Vec<_>>())
        );
    }
}

/// Bodies of clean mails, one after the other up to the size.
fn mail(clean: &[&Value], at: usize, html: bool) -> (Value, Value) {
    let first = clean[at % clean.len()];
    let mut body = String::new();
    let mut next = at;
    while body.len() < BYTES {
        body.push_str(
            clean[next % clean.len()]["payload"]["body"]
                .as_str()
                .unwrap(),
        );
        next += 7;
    }
    let mut payload = first["payload"].clone();
    payload.as_object_mut().unwrap().remove("html");
    if html {
        let text = body
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('\n', "<br>");
        payload["html"] =
            format!("<html><body style='color:#222'><div>{text}</div></body></html>").into();
    }
    payload["body"] = body.into();
    (payload, first["context"].clone())
}

fn rate(validators: &Validators, mails: &[(Value, Value)]) -> f64 {
    let (start, mut done) = (Instant::now(), 0_u32);
    while start.elapsed() < ROUND {
        for (payload, context) in mails {
            std::hint::black_box(validators.run("email", payload, context).unwrap());
            done += 1;
        }
    }
    f64::from(done) / start.elapsed().as_secs_f64()
}
