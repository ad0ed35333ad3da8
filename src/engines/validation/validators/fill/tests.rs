use std::sync::Arc;

use serde_json::{Value, json};

use crate::engines::validation::{
    Calendar, DEMO_ROSTER, Live, Roster, Tables, ValidationConfig, Validators,
};
use crate::types::validation::{Report, Verdict};

const ROSTER: &str = "\
worker_id,name,role,city,state,status,barred_clients,available_from,available_to
W-1001,Maria Alvarez,welder,Joliet,IL,active,,,
W-1002,Daniel Okafor,welder,Joliet,IL,active,C-9;C-8,,
W-1003,Aisha Rahman,welder,Gary,IN,active,,,
W-1004,Tomas Novak,driver,Joliet,IL,active,,,
W-1005,Grace Whitfield,welder,Joliet,IL,on_leave,,,
W-1006,Hector Ruiz,welder,Joliet,IL,active,,2026-03-01,2026-03-31
W-1007,Owen Gallagher,welder,Joliet,IL,active,,,
";

fn run(roster: &str, payload: &Value, context: &Value) -> Report {
    booked(roster, "worker_id,start", payload, context)
}

/// The same beside a calendar.
fn booked(roster: &str, calendar: &str, payload: &Value, context: &Value) -> Report {
    let mut config = ValidationConfig::default();
    config.fill.max_fills = 20;
    let tables = Tables {
        roster: Arc::new(Live::new(Roster::parse_csv(roster).unwrap())),
        calendar: Arc::new(Live::new(Calendar::parse_csv(calendar).unwrap())),
    };
    let validators = Validators::with_rules(&config, &tables, &[]).unwrap();
    validators.run("fill", payload, context).unwrap()
}

/// The rules that are named, without the prefix.
fn rules(report: &Report) -> Vec<&str> {
    let found = report.findings.iter();
    found
        .map(|finding| finding.rule.strip_prefix("fill.").unwrap())
        .collect()
}

/// Runs `fills` in `context` and compares rules (without the prefix) with paths, and the verdict.
fn check(fills: Value, context: Value, expected: &[(&str, &str)]) -> Report {
    let report = run(ROSTER, &json!({ "fills": fills }), &context);
    let found: Vec<(&str, &str)> = report
        .findings
        .iter()
        .map(|found| {
            (
                found.rule.strip_prefix("fill.").unwrap(),
                found.path.as_str(),
            )
        })
        .collect();
    assert_eq!(found, expected, "{fills} in {context}: {report:#?}");
    let critical = ["shape", "context", "worker_unknown", "barred"];
    let verdict = if expected.iter().any(|(rule, _)| critical.contains(rule)) {
        Verdict::Fail
    } else if expected.iter().any(|(rule, _)| *rule != "unknown_field") {
        Verdict::Repairable
    } else {
        Verdict::Pass
    };
    assert_eq!(report.verdict, verdict, "{fills} in {context}");
    report
}

fn maria() -> Value {
    json!({"worker_id": "W-1001", "name": "Maria Alvarez"})
}

/// Maria, with one more field.
fn with(fields: Value) -> Value {
    let mut fill = maria();
    fill.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    fill
}

fn fill(worker_id: &str, name: &str) -> Value {
    json!([{"worker_id": worker_id, "name": name}])
}

#[test]
fn a_good_proposal_passes() {
    let context = json!({
        "role": "Welder", "city": "joliet", "state": "Illinois", "target_count": 2,
        "client_id": "C-1", "date": "2026-03-02", "note": "ignored",
    });
    let fills = json!([
        {"worker_id": "W-1001", "name": "maria  ALVAREZ", "role": "welder",
         "start": "2026-03-02", "end": "2026-03-06"},
        {"worker_id": "W-1006", "name": "Hector Ruiz", "role": null, "start": null, "end": null},
    ]);
    check(fills, context, &[]);
    check(json!([maria()]), json!(null), &[]);
    check(json!([]), json!({"target_count": 0}), &[]);
}

#[test]
fn wrong_shapes_are_findings() {
    for (payload, path) in [
        (json!(null), ""),
        (json!([maria()]), ""),
        (json!("W-1001"), ""),
        (json!({}), "/fills"),
        (json!({"fills": null}), "/fills"),
        (json!({"fills": {"0": maria()}}), "/fills"),
        (json!({"fills": vec![maria(); 21]}), "/fills"),
    ] {
        let report = run(ROSTER, &payload, &json!({}));
        assert_eq!(report.verdict, Verdict::Fail, "{payload}");
        assert_eq!(report.findings[0].rule, "fill.shape");
        assert_eq!(report.findings[0].path, path, "{payload}");
    }
    check(json!([7]), json!({}), &[("shape", "/fills/0")]);
    check(
        json!([{"worker_id": "W-1001"}]),
        json!({}),
        &[("shape", "/fills/0/name")],
    );
    check(
        json!([{"name": "Maria Alvarez"}]),
        json!({}),
        &[("shape", "/fills/0/worker_id")],
    );
    let wrong = json!([{"worker_id": 1001, "name": " "}]);
    check(
        wrong,
        json!({}),
        &[("shape", "/fills/0/worker_id"), ("shape", "/fills/0/name")],
    );
    check(
        json!([with(json!({"end": 5}))]),
        json!({}),
        &[("shape", "/fills/0/end")],
    );
    // One that cannot be read does not hide what is wrong with another.
    let both = [
        ("shape", "/fills/0"),
        ("worker_unknown", "/fills/1/worker_id"),
    ];
    check(
        json!([null, {"worker_id": "Z", "name": "Z"}]),
        json!({}),
        &both,
    );
}

#[test]
fn fields_are_known() {
    let report = check(
        json!([with(json!({"strat": "2026-03-01", "score": 0.9}))]),
        json!({}),
        &[
            ("misspelt_field", "/fills/0/strat"),
            ("unknown_field", "/fills/0/score"),
        ],
    );
    assert_eq!(
        report.findings[0].suggestion.as_deref(),
        Some("rename it to start")
    );
    check(
        json!([with(json!({"score": 1, "a/b~": 2}))]),
        json!({}),
        &[
            ("unknown_field", "/fills/0/score"),
            ("unknown_field", "/fills/0/a~1b~0"),
        ],
    );
    let report = run(ROSTER, &json!({"fils": []}), &json!({}));
    assert_eq!(report.findings[0].rule, "fill.misspelt_field");
}

#[test]
fn a_context_that_cannot_be_checked_fails() {
    for (context, expected) in [
        (json!([]), "context must be an object, is a list"),
        (
            json!({"target_count": "2"}),
            "context.target_count must be a whole number",
        ),
        (json!({"target_count": -1}), "context.target_count must be"),
        (json!({"role": ""}), "context.role must not be empty"),
        (json!({"city": 5}), "context.city must be a text"),
        (json!({"date": "soon"}), "context.date is \"soon\""),
        (json!({"citty": "Joliet"}), "unknown field \"citty\""),
    ] {
        let report = check(json!([maria()]), context, &[("context", "")]);
        assert!(report.findings[0].message.contains(expected), "{report:?}");
    }
}

#[test]
fn the_target_is_met() {
    let target = |count: u64| json!({"target_count": count, "role": "welder", "city": "Joliet"});
    let report = check(json!([maria()]), target(2), &[("count", "/fills")]);
    let suggestion = report.findings[0].suggestion.clone().unwrap();
    assert!(suggestion.starts_with("propose 1 more, such as W-1002 (Daniel Okafor)"));
    assert!(
        !suggestion.contains("W-1001") && !suggestion.contains("W-1005"),
        "{suggestion}"
    );
    let report = check(
        json!([maria()]),
        json!({"target_count": 0}),
        &[("count", "/fills")],
    );
    assert_eq!(report.findings[0].suggestion.as_deref(), Some("remove 1"));
    check(json!([maria()]), target(1), &[]);
    check(json!([]), json!({}), &[("count", "/fills")]);
}

#[test]
fn workers_are_who_they_are_said_to_be() {
    let cases = [
        (
            fill("W-1O01", "Maria Alvarez"),
            "worker_unknown",
            "did you mean W-1001 (Maria Alvarez)?",
        ),
        (
            fill("X-77", "Maria Alvares"),
            "worker_unknown",
            "did you mean W-1001 (Maria Alvarez)?",
        ),
        (fill("w-1001 ", "Maria Alvarez"), "id_form", "W-1001"),
        (
            fill("W-1001", "Maria Lopez"),
            "name_mismatch",
            "Maria Alvarez",
        ),
        (
            fill("W-1001", "aisha rahman"),
            "name_mismatch",
            "Maria Alvarez for W-1001, or W-1003 (Aisha Rahman)",
        ),
    ];
    for (fills, rule, suggestion) in cases {
        let field = if rule == "name_mismatch" {
            "name"
        } else {
            "worker_id"
        };
        let path = format!("/fills/0/{field}");
        let report = check(fills, json!({}), &[(rule, path.as_str())]);
        assert_eq!(report.findings[0].suggestion.as_deref(), Some(suggestion));
    }
    // Near nobody: others who would do are named.
    let report = check(
        fill("Z", "Z"),
        json!({"role": "driver"}),
        &[("worker_unknown", "/fills/0/worker_id")],
    );
    assert_eq!(
        report.findings[0].suggestion.as_deref(),
        Some("propose W-1004 (Tomas Novak)")
    );
}

#[test]
fn workers_fit_the_opening() {
    let at = "/fills/0/worker_id";
    let welder = json!({"role": "welder", "city": "Joliet", "state": "IL"});
    let report = check(
        fill("W-1005", "Grace Whitfield"),
        welder.clone(),
        &[("inactive", at)],
    );
    assert!(report.findings[0].message.contains("on_leave"));
    let suggestion = report.findings[0].suggestion.as_deref().unwrap();
    assert!(
        suggestion.starts_with("propose W-1001 (Maria Alvarez) or W-1002"),
        "{suggestion}"
    );

    check(
        fill("W-1004", "Tomas Novak"),
        welder.clone(),
        &[("role_mismatch", at)],
    );
    check(
        fill("W-1003", "Aisha Rahman"),
        welder,
        &[("place_mismatch", at)],
    );
    check(
        fill("W-1003", "Aisha Rahman"),
        json!({"state": "Ohio"}),
        &[("place_mismatch", at)],
    );
    check(
        fill("W-1003", "Aisha Rahman"),
        json!({"state": "Indiana"}),
        &[],
    );

    // A role that is claimed for a worker has to be on record too.
    let report = check(
        json!([with(json!({"role": "driver"}))]),
        json!({}),
        &[("role_mismatch", "/fills/0/role")],
    );
    assert_eq!(report.findings[0].suggestion.as_deref(), Some("welder"));

    check(
        fill("W-1002", "Daniel Okafor"),
        json!({"client_id": "c-8"}),
        &[("barred", at)],
    );
    check(
        fill("W-1002", "Daniel Okafor"),
        json!({"client_id": "C-88"}),
        &[],
    );
}

#[test]
fn times_are_read_and_available() {
    let bad = |field: &str, fields: Value| {
        let path = format!("/fills/0/{field}");
        check(
            json!([with(fields)]),
            json!({}),
            &[("bad_date", path.as_str())],
        );
    };
    bad("start", json!({"start": "03/02/2026"}));
    bad("end", json!({"start": "2026-03-02", "end": "tomorrow"}));
    bad("end", json!({"start": "2026-03-02", "end": "2026-03-01"}));
    bad("end", json!({"end": "2026-03-01"}));

    let hector = |start: &str, end: &str| {
        let (worker_id, name) = ("W-1006", "Hector Ruiz");
        json!([{"worker_id": worker_id, "name": name, "start": start, "end": end}])
    };
    let late = [("unavailable", "/fills/0/worker_id")];
    check(hector("2026-03-01", "2026-03-31"), json!({}), &[]);
    check(
        hector("2026-03-31T22:00:00-06:00", "2026-04-01T00:00:00-06:00"),
        json!({}),
        &[],
    );
    check(hector("2026-02-28", "2026-03-05"), json!({}), &late);
    check(hector("2026-03-30", "2026-04-01"), json!({}), &late);
    // Without times of its own, the day of the context counts; with bad ones, no day does.
    check(
        fill("W-1006", "Hector Ruiz"),
        json!({"date": "2026-03-15"}),
        &[],
    );
    check(
        fill("W-1006", "Hector Ruiz"),
        json!({"date": "2026-04-15T08:00:00Z"}),
        &late,
    );
    let unread = [("bad_date", "/fills/0/start")];
    check(
        hector("x", "2026-03-31"),
        json!({"date": "2026-04-15"}),
        &unread,
    );
}

#[test]
fn nobody_is_in_two_places() {
    let shift = |start: &str, end: &str| with(json!({"start": start, "end": end}));
    let (early, late) = ("2026-03-02T06:00:00-06:00", "2026-03-02T14:00:00-06:00");
    let twice = [("duplicate", "/fills/1/worker_id")];
    let overlap = [("double_booked", "/fills/1/start")];
    let cases: [(Value, &[(&str, &str)]); 8] = [
        (json!([maria(), maria()]), &twice),
        (json!([shift("2026-03-02", "2026-03-03"), maria()]), &twice),
        (json!([maria(), shift("2026-03-02", "2026-03-03")]), &twice),
        (json!([shift(early, late), shift(early, late)]), &twice),
        (
            json!([
                shift("2026-03-02", "2026-03-03"),
                shift("2026-03-03", "2026-03-04")
            ]),
            &overlap,
        ),
        (
            json!([
                shift("2026-03-03", "2026-03-04"),
                shift("2026-03-02", "2026-03-03")
            ]),
            &overlap,
        ),
        (
            json!([shift(early, late), shift(late, "2026-03-02T22:00:00-06:00")]),
            &[],
        ),
        (
            json!([
                shift("2026-03-02", "2026-03-03"),
                shift("2026-03-04", "2026-03-05")
            ]),
            &[],
        ),
    ];
    for (fills, expected) in cases {
        check(fills, json!({}), expected);
    }
    let grace = json!({"worker_id": "W-1007", "name": "Owen Gallagher"});
    check(
        json!([maria(), grace, maria()]),
        json!({}),
        &[("duplicate", "/fills/2/worker_id")],
    );
    // Unknown workers are reported once each, not as repetitions.
    let stranger = json!({"worker_id": "Z", "name": "Z"});
    check(
        json!([stranger, stranger]),
        json!({}),
        &[
            ("worker_unknown", "/fills/0/worker_id"),
            ("worker_unknown", "/fills/1/worker_id"),
        ],
    );
}

#[test]
fn findings_are_in_the_order_of_the_payload() {
    let fills = json!([
        maria(),
        {"worker_id": "W-1005", "name": "Grace Whitfield"},
        maria(),
        {"worker_id": "Z", "name": "Z"},
    ]);
    check(
        fills,
        json!({"target_count": 3}),
        &[
            ("count", "/fills"),
            ("inactive", "/fills/1/worker_id"),
            ("duplicate", "/fills/2/worker_id"),
            ("worker_unknown", "/fills/3/worker_id"),
        ],
    );
}

#[test]
fn the_demo_roster_fills_an_opening() {
    let payload = json!({"fills": [{"worker_id": "W-1001", "name": "Maria Alvarez"}]});
    let context = json!({"role": "forklift operator", "city": "Joliet", "state": "IL"});
    assert_eq!(run(DEMO_ROSTER, &payload, &context).verdict, Verdict::Pass);
}

#[test]
fn certificates_count_by_the_days_of_the_work() {
    const ROSTER: &str = "\
worker_id,name,role,city,state,status,certificates
W-1,Ann Lee,welder,Gary,IN,active,MIG:2027-03-31;OSHA 10;TIG:2026-01-01;TIG:2027-06-30
";
    let cases: [(&str, &str, Value, &[&str]); 14] = [
        ("2027-03-01", "2027-03-31", json!(["MIG"]), &[]),
        (
            "2027-03-01",
            "2027-03-31",
            json!(["mig", "OSHA  10", "TIG"]),
            &[],
        ),
        (
            "2027-03-01",
            "2027-04-01",
            json!(["MIG"]),
            &["certificate_expires"],
        ),
        (
            "2027-03-31",
            "2027-04-01",
            json!(["MIG"]),
            &["certificate_expires"],
        ),
        (
            "2027-04-01",
            "2027-04-01",
            json!(["MIG"]),
            &["certificate_expired"],
        ),
        // A night that ends at midnight does not touch the next day.
        ("2027-03-31T16:00", "2027-04-01T00:00", json!(["MIG"]), &[]),
        (
            "2027-03-31T16:00",
            "2027-04-01T00:01",
            json!(["MIG"]),
            &["certificate_expires"],
        ),
        (
            "2027-03-01",
            "2027-03-02",
            json!(["CPR"]),
            &["certificate_missing"],
        ),
        (
            "2027-03-01",
            "2027-03-02",
            json!(["CPR", "MIG", "BLS"]),
            &["certificate_missing", "certificate_missing"],
        ),
        // Of two of one name, the one that lasts longer.
        ("2027-03-01", "2027-06-30", json!(["TIG"]), &[]),
        (
            "2027-07-01",
            "",
            json!(["TIG", "MIG"]),
            &["certificate_expired", "certificate_expired"],
        ),
        // The name of a role is no certificate.
        (
            "2027-03-01",
            "",
            json!(["welder"]),
            &["certificate_missing"],
        ),
        ("2027-03-01", "", json!([" ", ""]), &[]),
        ("soon", "", json!(["MIG"]), &["bad_date"]),
    ];
    for (start, end, certificates, expected) in cases {
        let end = (!end.is_empty()).then_some(end);
        let fill = json!({"worker_id": "W-1", "name": "Ann Lee", "start": start, "end": end});
        let context = json!({"certificates": certificates});
        let report = run(ROSTER, &json!({"fills": [fill]}), &context);
        assert_eq!(rules(&report), expected, "{start} {end:?} {context}");
    }
    // Without a day of its own, that of the opening; without any, only whether there is one.
    for (context, expected) in [
        (
            json!({"certificates": ["MIG"], "date": "2027-03-31"}),
            vec![],
        ),
        (
            json!({"certificates": ["MIG"], "date": "2027-04-01"}),
            vec!["certificate_expired"],
        ),
        (json!({"certificates": ["MIG"]}), vec![]),
        (
            json!({"certificates": ["CPR"]}),
            vec!["certificate_missing"],
        ),
        (json!({"certificates": "MIG"}), vec!["context"]),
        (json!({"certificates": [7]}), vec!["context"]),
    ] {
        let fill = json!({"worker_id": "W-1", "name": "Ann Lee"});
        let report = run(ROSTER, &json!({"fills": [fill]}), &context);
        assert_eq!(rules(&report), expected, "{context}");
    }
}

#[test]
fn nobody_is_proposed_who_is_booked() {
    const CALENDAR: &str = "\
worker_id,start,end,client_id
w-1001,2027-03-01T06:00,2027-03-01T14:00,C-7
W-1001,2027-03-08,2027-03-12,
W-1002,2027-03-01T12:00:00Z,2027-03-01T20:00:00Z,
W-7777,2027-03-01,,
";
    let at = |id: &str, name: &str, start: &str, end: &str| json!({"worker_id": id, "name": name, "start": start, "end": end});
    let maria = |start, end| at("W-1001", "Maria Alvarez", start, end);
    let daniel = |start, end| at("W-1002", "Daniel Okafor", start, end);
    let chicago = json!({"time_zone": "America/Chicago"});
    let cases = [
        (maria("2027-03-01", "2027-03-01"), json!({}), true),
        (
            maria("2027-03-01T14:00", "2027-03-01T22:00"),
            json!({}),
            false,
        ),
        (
            maria("2027-03-01T13:59", "2027-03-01T22:00"),
            json!({}),
            true,
        ),
        (maria("2027-03-02", "2027-03-07"), json!({}), false),
        (
            maria("2027-03-12T23:00", "2027-03-13T07:00"),
            json!({}),
            true,
        ),
        // Written with an offset against a local time: instants where there is a zone.
        (
            maria("2027-03-01T12:00Z", "2027-03-01T13:00Z"),
            chicago.clone(),
            true,
        ),
        (
            maria("2027-03-01T20:00Z", "2027-03-01T23:00Z"),
            chicago.clone(),
            false,
        ),
        (
            daniel("2027-03-01T14:00", "2027-03-01T15:00"),
            chicago.clone(),
            false,
        ),
        (
            daniel("2027-03-01T13:00", "2027-03-01T15:00"),
            chicago.clone(),
            true,
        ),
        (
            daniel("2027-03-01T06:00-06:00", "2027-03-01T07:00-06:00"),
            json!({}),
            true,
        ),
        (daniel("soon", "2027-03-01"), json!({}), false),
    ];
    for (fill, context, clashes) in cases {
        let report = booked(ROSTER, CALENDAR, &json!({"fills": [fill]}), &context);
        let found = rules(&report).contains(&"double_booked");
        assert_eq!(found, clashes, "{fill} {context}: {report:?}");
    }
    // By the day of the opening, where a fill does not say when.
    let fills = json!({"fills": [{"worker_id": "W-1001", "name": "Maria Alvarez"}]});
    let report = booked(ROSTER, CALENDAR, &fills, &json!({"date": "2027-03-01"}));
    let finding = &report.findings[0];
    assert_eq!(
        (finding.rule.as_str(), finding.path.as_str()),
        ("fill.double_booked", "/fills/0/worker_id")
    );
    assert_eq!(
        finding.message,
        "W-1001 (Maria Alvarez) is booked already from 2027-03-01 06:00 to 2027-03-01 14:00 for client C-7"
    );
    assert_eq!(
        rules(&booked(
            ROSTER,
            CALENDAR,
            &fills,
            &json!({"date": "2027-03-02"})
        )),
        [""; 0]
    );
    // Nor is anybody suggested who is booked that day.
    let stranger = json!({"fills": [{"worker_id": "Z", "name": "Z"}]});
    let context = json!({"role": "welder", "city": "Joliet", "date": "2027-03-09"});
    let report = booked(ROSTER, CALENDAR, &stranger, &context);
    assert_eq!(
        report.findings[0].suggestion.as_deref(),
        Some("propose W-1002 (Daniel Okafor) or W-1007 (Owen Gallagher)")
    );
}

#[test]
fn times_are_those_of_the_place() {
    let shifts = |shifts: &[(&str, &str)]| {
        let shifts = shifts.iter();
        let fills: Vec<Value> = shifts
            .map(|(start, end)| with(json!({"start": start, "end": end})))
            .collect();
        json!({ "fills": fills })
    };
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
    );
    // 2026: forward on 8 March at 02:00, back on 1 November at 02:00.
    let cases: [Case; 9] = [
        (
            "America/Chicago",
            &[
                ("2026-03-07T22:00", "2026-03-08T06:00"),
                ("2026-03-08T06:00", "2026-03-08T14:00"),
            ],
            &[],
        ),
        // No clock shows 02:30: it is 03:30.
        (
            "America/Chicago",
            &[
                ("2026-03-08T00:00", "2026-03-08T02:30"),
                ("2026-03-08T02:30", "2026-03-08T06:00"),
            ],
            &[],
        ),
        (
            "America/Chicago",
            &[
                ("2026-03-08T00:00", "2026-03-08T02:30"),
                ("2026-03-08T03:00", "2026-03-08T06:00"),
            ],
            &["double_booked"],
        ),
        // Clocks show 01:30 twice: it is the first. Who meets on the clock meets in truth.
        (
            "America/Chicago",
            &[
                ("2026-11-01T00:00", "2026-11-01T01:30"),
                ("2026-11-01T01:30", "2026-11-01T06:00"),
            ],
            &[],
        ),
        (
            "America/Chicago",
            &[
                ("2026-11-01T00:00", "2026-11-01T01:30"),
                ("2026-11-01T01:30:00-06:00", "2026-11-01T06:00"),
            ],
            &[],
        ),
        (
            "America/Chicago",
            &[
                ("2026-11-01T00:00", "2026-11-01T01:45:00-06:00"),
                ("2026-11-01T01:30:00-06:00", "2026-11-01T06:00"),
            ],
            &["double_booked"],
        ),
        (
            "America/Chicago",
            &[("2026-11-01T01:45", "2026-11-01T01:15")],
            &["bad_date"],
        ),
        (
            "America/Chicago",
            &[("2026-11-01T01:45:00-05:00", "2026-11-01T01:15:00-06:00")],
            &[],
        ),
        (
            "Europe/Berlin",
            &[
                ("2026-03-01T08:00", "2026-03-01T12:00"),
                ("2026-03-01T11:30Z", "2026-03-01T12:00Z"),
            ],
            &[],
        ),
    ];
    for (zone, times, expected) in cases {
        let context = json!({ "time_zone": zone });
        let report = run(ROSTER, &shifts(times), &context);
        assert_eq!(rules(&report), expected, "{zone} {times:?}: {report:?}");
    }
    // Days are those of the place: this is the evening of 31 March there, and Hector is free until then.
    let hector = |end: &str| json!({"fills": [{"worker_id": "W-1006", "name": "Hector Ruiz", "start": "2026-03-31T23:00Z", "end": end}]});
    let chicago = json!({"time_zone": "America/Chicago"});
    assert_eq!(
        rules(&run(ROSTER, &hector("2026-04-01T04:00Z"), &chicago)),
        [""; 0]
    );
    assert_eq!(
        rules(&run(ROSTER, &hector("2026-04-01T06:00Z"), &chicago)),
        ["unavailable"]
    );
    assert_eq!(
        rules(&run(ROSTER, &hector("2026-04-01T04:00Z"), &json!({}))),
        ["unavailable"]
    );
    // Zones in brackets are read, and those that do not exist are told.
    let bracket = shifts(&[(
        "2026-03-01T08:00[America/Chicago]",
        "2026-03-01T16:00[America/Chicago]",
    )]);
    assert_eq!(rules(&run(ROSTER, &bracket, &json!({}))), [""; 0]);
    let bracket = shifts(&[("2026-03-01T08:00[Mars/Olympus]", "2026-03-01T16:00")]);
    assert_eq!(rules(&run(ROSTER, &bracket, &json!({}))), ["bad_date"]);
    for zone in [
        json!("Mars/Olympus"),
        json!(""),
        json!(5),
        json!("../../etc/passwd"),
        json!("\u{0}"),
    ] {
        let report = run(
            ROSTER,
            &json!({"fills": [maria()]}),
            &json!({ "time_zone": zone }),
        );
        assert_eq!(rules(&report), ["context"], "{zone}");
    }
}

#[test]
fn many_findings_of_a_rule_are_cut_and_the_verdict_stays() {
    let mut fills = vec![json!({"worker_id": "W-1003", "name": "Aisha Rahman"}); 300];
    fills.push(json!({"worker_id": "X-1", "name": "Nobody Known"}));
    let roster = Roster::parse_csv(DEMO_ROSTER).unwrap();
    let validators = Validators::new(&ValidationConfig::default(), roster).unwrap();
    let report = validators
        .run("fill", &json!({"fills": fills}), &json!({}))
        .unwrap();
    let of = |rule: &str| {
        report
            .findings
            .iter()
            .filter(|one| one.rule == rule)
            .count()
    };
    assert_eq!(of("fill.duplicate"), 100);
    assert_eq!(of("fill.worker_unknown"), 1);
    assert_eq!(report.verdict, Verdict::Fail);
    let cut = report.findings.last().unwrap();
    assert_eq!(cut.rule, "fill.cut");
    assert!(
        cut.message.starts_with("199 more of fill.duplicate"),
        "{}",
        cut.message
    );
}

#[test]
fn names_differ_by_accents_or_in_truth() {
    const ROSTER: &str = "\
worker_id,name,role,city,state,status
W-1,José Núñez,welder,Gary,IN,active
W-2,Ann O'Neill Jr.,welder,Gary,IN,active
W-3,Łukasz Groß,welder,Gary,IN,active
";
    let cases: [(&str, &str, &[&str]); 12] = [
        ("W-1", "José Núñez", &[]),
        ("W-1", "JOSÉ  NÚÑEZ", &[]),
        ("W-1", "Jose Nunez", &["name_form"]),
        ("W-1", "Jose\u{301} Nu\u{301}n\u{303}ez", &["name_form"]),
        ("W-1", "Núñez José", &["name_mismatch"]),
        ("W-1", "José Núñes", &["name_mismatch"]),
        ("W-1", "José", &["name_mismatch"]),
        ("W-2", "Ann O’Neill Jr.", &[]),
        ("W-2", "Ann O'Neill", &["name_mismatch"]),
        ("W-3", "Lukasz Gross", &["name_form"]),
        ("W-3", "\u{202e}Łukasz Groß", &["name_mismatch"]),
        ("W-3", "Łukasz Gr0ß", &["name_mismatch"]),
    ];
    for (id, name, expected) in cases {
        let fills = json!({"fills": [{"worker_id": id, "name": name}]});
        assert_eq!(
            rules(&run(ROSTER, &fills, &json!({}))),
            expected,
            "{id} {name}"
        );
    }
}
