//! A set of fills whose labels are known by how they were made: precision and recall of each rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::engines::validation::{
    Calendar, Filling, Live, Roster, Tables, ValidationConfig, Validators, generate,
};
use crate::types::roster::RosterRow;

const ROWS: u32 = 4_000;
const SEED: u64 = 11;
/// Fills of each kind.
const OF_EACH: usize = 20;
/// A working week on which the set stands.
const WEEK: (&str, &str) = ("2027-03-01", "2027-03-05");

/// One judgement: what is proposed for what, and the rules that must be named.
struct Case {
    kind: &'static str,
    payload: Value,
    context: Value,
    expected: BTreeSet<&'static str>,
    /// Who was meant, where the worker is unknown.
    meant: Option<String>,
}

fn validators(rows: &[RosterRow], booked: &str) -> Validators {
    let mut filling = Filling::<Roster>::new("generated", "row");
    for (row, number) in rows.iter().zip(1..) {
        filling.clear();
        for (column, text) in row.texts().iter().enumerate() {
            filling.set(column, text);
        }
        filling.add(number).unwrap();
    }
    let tables = Tables {
        roster: Arc::new(Live::new(filling.finish())),
        calendar: Arc::new(Live::new(Calendar::parse_csv(booked).unwrap())),
    };
    Validators::with_rules(&ValidationConfig::default(), &tables, &[]).unwrap()
}

/// A fill of this worker that is right, for an opening that the worker fits.
fn right(row: &RosterRow) -> (Value, Value) {
    let fill = json!({
        "worker_id": row.worker_id, "name": row.name, "role": row.role, "start": WEEK.0, "end": WEEK.1,
    });
    let context = json!({
        "role": row.role, "city": row.city, "state": row.state, "client_id": "C-999", "target_count": 1,
    });
    (fill, context)
}

/// Last days of the certificates that have one.
fn dated(row: &RosterRow) -> Option<(&str, &str)> {
    row.certificates
        .iter()
        .find_map(|held| held.split_once(':'))
}

type Fits = fn(&RosterRow) -> bool;
type Make = fn(&RosterRow, &RosterRow, &mut Value, &mut Value) -> &'static [&'static str];

/// Kind, which workers it can be made of, and how it is made: of the worker, another one, the fill and the context.
#[rustfmt::skip]
const KINDS: &[(&str, Fits, Make)] = &[
    ("right", |_| true, |_, _, _, _| &[]),
    ("without a time", |_| true, |_, _, fill, context| {
        fill["start"] = Value::Null; fill["end"] = Value::Null; context["date"] = json!(WEEK.0); &[]
    }),
    ("name in other case", |_| true, |row, _, fill, _| {
        fill["name"] = json!(format!("  {} ", row.name.to_uppercase().replace(' ', "  "))); &[]
    }),
    ("state by its name", |row| row.state == "IL", |_, _, _, context| { context["state"] = json!("illinois"); &[] }),
    ("id slipped to nobody", |_| true, |row, _, fill, _| {
        fill["worker_id"] = json!(row.worker_id.replace("W-", "W-0")); &["worker_unknown"]
    }),
    ("id slipped, name slipped", |row| row.name.is_ascii() && row.name.len() > 10, |row, _, fill, _| {
        let mut name = row.name.clone();
        let last = name.pop().unwrap_or_default();
        let before = name.pop().unwrap_or_default();
        name.extend([last, before]);
        fill["worker_id"] = json!(format!("{}X", row.worker_id)); fill["name"] = json!(name); &["worker_unknown"]
    }),
    ("invented", |_| true, |row, _, fill, _| {
        fill["worker_id"] = json!(format!("T{}", row.worker_id.len() * 1_000)); fill["name"] = json!("Qwxyz Vbnmk");
        &["worker_unknown"]
    }),
    ("name of another", |_| true, |_, other, fill, _| { fill["name"] = json!(other.name); &["name_mismatch"] }),
    ("name without a letter", |row| row.name.len() > 8, |row, _, fill, _| {
        let mut letters: Vec<char> = row.name.chars().collect();
        letters.remove(1);
        fill["name"] = json!(letters.into_iter().collect::<String>()); &["name_mismatch"]
    }),
    ("name without accents", |row| row.name.contains(['é', 'ñ', 'í', 'ó']), |row, _, fill, _| {
        let name = row.name.replace('é', "e").replace('ñ', "n").replace('í', "i").replace('ó', "o");
        fill["name"] = json!(name); &["name_form"]
    }),
    ("name in separate accents", |row| row.name.contains('é'), |row, _, fill, _| {
        fill["name"] = json!(row.name.replace('é', "e\u{301}")); &["name_form"]
    }),
    ("id in lower case", |_| true, |row, _, fill, _| {
        fill["worker_id"] = json!(row.worker_id.to_lowercase()); &["id_form"]
    }),
    ("id with space", |_| true, |row, _, fill, _| {
        fill["worker_id"] = json!(format!(" {}", row.worker_id)); &["id_form"]
    }),
    ("role of the opening is another", |row| row.role != "valet", |_, _, fill, context| {
        fill["role"] = Value::Null; context["role"] = json!("valet"); &["role_mismatch"]
    }),
    ("role is claimed", |row| row.role != "valet", |_, _, fill, _| { fill["role"] = json!("valet"); &["role_mismatch"] }),
    ("city is another", |row| row.city != "Reno", |_, _, _, context| { context["city"] = json!("Reno"); &["place_mismatch"] }),
    ("state is another", |row| row.state != "NV", |_, _, _, context| {
        context["state"] = json!("Nevada"); &["place_mismatch"]
    }),
    ("barred", |row| !row.barred_clients.is_empty(), |row, _, _, context| {
        context["client_id"] = json!(row.barred_clients[0].to_lowercase()); &["barred"]
    }),
    ("barred by another", |row| !row.barred_clients.is_empty(), |row, _, _, context| {
        context["client_id"] = json!(format!("{}0", row.barred_clients[0])); &[]
    }),
    ("no date", |_| true, |_, _, fill, _| { fill["start"] = json!("next Monday"); &["bad_date"] }),
    ("end before start", |_| true, |_, _, fill, _| { fill["end"] = json!("2027-02-28"); &["bad_date"] }),
    ("role misspelt", |_| true, |_, _, fill, _| {
        let role = fill.as_object_mut().unwrap().remove("role").unwrap();
        fill["rôle"] = role; &["misspelt_field"]
    }),
    ("more fields", |_| true, |_, _, fill, _| { fill["confidence"] = json!(0.9); &["unknown_field"] }),
    ("no name", |_| true, |_, _, fill, _| { fill["name"] = Value::Null; &["shape"] }),
    ("id is a number", |_| true, |_, _, fill, _| { fill["worker_id"] = json!(100_001); &["shape"] }),
    ("too few", |_| true, |_, _, _, context| { context["target_count"] = json!(2); &["count"] }),
    ("target is a text", |_| true, |_, _, _, context| { context["target_count"] = json!("1"); &["context"] }),
    ("zone is none", |_| true, |_, _, _, context| { context["time_zone"] = json!("Mars/Olympus"); &["context"] }),
    ("certificate held", |row| dated(row).is_some_and(|(_, until)| until >= WEEK.1), |row, _, _, context| {
        context["certificates"] = json!([dated(row).unwrap().0.to_uppercase()]); &[]
    }),
    ("certificate for its last day", |row| dated(row).is_some_and(|(_, until)| until > "2027-01-01"), |row, _, fill, context| {
        let (name, until) = dated(row).unwrap();
        fill["start"] = json!(until); fill["end"] = json!(until); context["certificates"] = json!([name]); &[]
    }),
    ("certificate missing", |_| true, |_, _, _, context| {
        context["certificates"] = json!(["Astronaut"]); &["certificate_missing"]
    }),
    ("certificate expired", |row| dated(row).is_some_and(|(_, until)| until < WEEK.0), |row, _, _, context| {
        context["certificates"] = json!([dated(row).unwrap().0]); &["certificate_expired"]
    }),
    ("certificate expires", |row| dated(row).is_some_and(|(_, until)| until > "2027-01-01"), |row, _, fill, context| {
        let (name, until) = dated(row).unwrap();
        fill["start"] = json!(until); fill["end"] = json!("2031-01-01"); context["certificates"] = json!([name]);
        &["certificate_expires"]
    }),
];

/// Those that need several fills, or workers who are not free.
fn special(row: &RosterRow, other: &RosterRow, kind: usize) -> Option<Case> {
    let (fill, mut context) = right(row);
    let mut fills = vec![fill.clone()];
    let mut at = |start: &str, end: &str| {
        let mut again = fill.clone();
        again["start"] = json!(start);
        again["end"] = json!(end);
        fills.push(again);
    };
    let (name, expected): (&str, &[&str]) = match kind {
        0 => {
            at(WEEK.0, WEEK.1);
            ("proposed twice", &["duplicate"])
        }
        1 => {
            at("2027-03-05", "2027-03-08");
            ("weeks overlap", &["double_booked"])
        }
        2 => {
            at("2027-03-06", "2027-03-08");
            ("weeks touch", &[])
        }
        3 => {
            at("2027-03-05T18:00:00-06:00", "2027-03-05T23:00:00-06:00");
            ("a shift in the week", &["double_booked"])
        }
        _ => {
            fills.push(right(other).0);
            context = json!({});
            ("two workers", &[])
        }
    };
    context["target_count"] = json!(fills.len());
    Some(Case {
        kind: name,
        payload: json!({ "fills": fills }),
        context,
        expected: expected.iter().copied().collect(),
        meant: None,
    })
}

fn cases(rows: &[RosterRow]) -> (Vec<Case>, String) {
    let free = |row: &&RosterRow| {
        row.status == "active" && row.available_from.is_none() && row.available_to.is_none()
    };
    let good: Vec<&RosterRow> = rows.iter().filter(free).collect();
    let mut booked = "worker_id,start,end,client_id\n".to_owned();
    let (mut cases, mut next) = (Vec::new(), 0);
    // The last are kept for those that need a calendar of their own.
    let pool = good.len() - 10 * OF_EACH;
    let mut take = |fits: &dyn Fn(&RosterRow) -> bool| {
        let (at, row) =
            (next..pool).find_map(|at| Some((at, *good.get(at)?)).filter(|(_, row)| fits(row)))?;
        next = at + 1;
        Some(row)
    };
    let other_of = |row: &RosterRow| {
        let differs =
            |other: &&&RosterRow| other.name.split(' ').all(|word| !row.name.contains(word));
        good.iter().find(differs).copied().unwrap()
    };
    for _ in 0..OF_EACH {
        for (kind, fits, make) in KINDS {
            // Kinds that few workers serve for begin anew at the first.
            let Some(row) = take(fits).or_else(|| good.iter().copied().find(|row| fits(row)))
            else {
                continue;
            };
            let (mut fill, mut context) = right(row);
            let expected = make(row, other_of(row), &mut fill, &mut context);
            let meant = (expected == ["worker_unknown"] && *kind != "invented")
                .then(|| row.worker_id.clone());
            cases.push(Case {
                kind,
                payload: json!({ "fills": [fill] }),
                context,
                expected: expected.iter().copied().collect(),
                meant,
            });
        }
    }
    let states: [(&str, Fits, &[&'static str]); 4] = [
        (
            "inactive",
            |row| {
                row.status != "active" && row.available_from.is_none() && row.available_to.is_none()
            },
            &["inactive"],
        ),
        (
            "not yet",
            |row| row.status == "active" && row.available_from.as_deref() > Some(WEEK.0),
            &["unavailable"],
        ),
        (
            "no more",
            |row| {
                row.status == "active"
                    && row.available_from.is_none()
                    && row.available_to.as_deref().is_some_and(|to| to < WEEK.1)
            },
            &["unavailable"],
        ),
        (
            "until the last day",
            |row| {
                row.status == "active"
                    && row.available_from.is_none()
                    && row.available_to.as_deref() > Some("2027-01-01")
            },
            &[],
        ),
    ];
    for (kind, fits, expected) in states {
        for row in rows.iter().filter(|row| fits(row)).take(OF_EACH) {
            let (mut fill, context) = right(row);
            if kind == "until the last day" {
                fill["start"] = json!("2027-01-01");
                fill["end"] = json!(row.available_to);
            }
            cases.push(Case {
                kind,
                payload: json!({ "fills": [fill] }),
                context,
                expected: expected.iter().copied().collect(),
                meant: None,
            });
        }
    }
    for (at, row) in good.iter().rev().take(6 * OF_EACH).enumerate() {
        cases.extend(special(row, other_of(row), at % 5));
    }
    // Workers of their own, so that nobody else is booked.
    for (at, row) in rows
        .iter()
        .rev()
        .filter(free)
        .skip(6 * OF_EACH)
        .take(3 * OF_EACH)
        .enumerate()
    {
        let (start, end, expected): (_, _, &[&str]) = match at % 3 {
            0 => (
                "2027-03-05T22:00:00Z",
                "2027-03-06T06:00:00Z",
                &["double_booked"],
            ),
            1 => ("2027-03-06", "2027-03-07", &[]),
            _ => ("2027-02-20", "", &[]),
        };
        let _ = writeln!(booked, "{},{start},{end},C-1", row.worker_id.to_lowercase());
        let (fill, mut context) = right(row);
        context["time_zone"] = json!("America/Chicago");
        cases.push(Case {
            kind: "booked",
            payload: json!({ "fills": [fill] }),
            context,
            expected: expected.iter().copied().collect(),
            meant: None,
        });
    }
    (cases, booked)
}

#[test]
fn each_rule_finds_what_was_put_in_and_nothing_else() {
    let rows: Vec<RosterRow> = generate(ROWS, SEED).collect();
    let (cases, booked) = cases(&rows);
    let validators = validators(&rows, &booked);
    // Rightly found, wrongly found, not found.
    let mut counts: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    let (mut fills, mut wrong) = (0, Vec::new());
    let (mut meant, mut named) = (0, 0);
    for case in &cases {
        fills += case.payload["fills"].as_array().unwrap().len();
        let report = validators
            .run("fill", &case.payload, &case.context)
            .unwrap();
        let found = report.findings.iter();
        let found: BTreeSet<&str> = found
            .map(|finding| finding.rule.strip_prefix("fill.").unwrap())
            .collect();
        for rule in found.union(&case.expected) {
            let at = match (found.contains(rule), case.expected.contains(rule)) {
                (true, true) => 0,
                (true, false) => 1,
                _ => 2,
            };
            counts.entry((*rule).to_owned()).or_default()[at] += 1;
        }
        if found != case.expected {
            wrong.push(format!(
                "{}: {found:?} {} {}",
                case.kind, case.payload, case.context
            ));
        }
        if let Some(id) = &case.meant {
            meant += 1;
            let suggestion = report.findings[0].suggestion.as_deref().unwrap_or_default();
            named += usize::from(suggestion.contains(id.as_str()));
        }
    }
    let mut table = format!("{} judgements of {fills} fills\n", cases.len());
    for (rule, [right, false_alarms, missed]) in &counts {
        let share = |of: usize| *right as f64 / (right + of).max(1) as f64;
        let (precision, recall) = (share(*false_alarms), share(*missed));
        let _ = writeln!(
            table,
            "{rule:<20} {right:>4}  precision {precision:.3}  recall {recall:.3}"
        );
    }
    let _ = writeln!(
        table,
        "the worker who was meant is named: {named} of {meant}"
    );
    println!("{table}");
    assert!(fills >= 600, "{table}");
    assert_eq!(wrong, Vec::<String>::new(), "{table}");
    let rules: BTreeSet<String> = super::rules::ALL
        .iter()
        // It takes more than a hundred findings, and has a test of its own.
        .filter(|rule| rule.id != super::rules::CUT.id)
        .map(|rule| rule.id.replace("fill.", ""))
        .collect();
    assert_eq!(
        counts.into_keys().collect::<BTreeSet<_>>(),
        rules,
        "{table}"
    );
    // Not all: a slip can lead nearer to somebody else's.
    assert!(named * 100 >= meant * 95, "{table}");
}
