use std::io::Cursor;

use serde_json::json;

use super::*;
use crate::engines::validation::{Calendar, Roster};

const HEADER: &str = "worker_id,name,role,city,state,status";

#[test]
fn what_is_wrong_is_named_with_line_and_column() {
    let cases = [
        ("", "no column worker_id"),
        ("worker_id,name,role,city,state", "no column status"),
        (
            "workerid,name,role,city,state,status",
            "r.csv: no column worker_id, rename \"workerid\" to worker_id",
        ),
        (
            "worker_id,name,role,city,state,status,role",
            "two columns \"role\"",
        ),
        (
            "H\nW-1,A,r,c,s,active\nW-2,,r,c,s,active",
            "r.csv line 3, column name: is empty",
        ),
        (
            "H\r\nW-1,A,r,c,s,active\r\n\r\nw-1,B,r,c,s,active",
            "r.csv line 4, column worker_id: \"w-1\" is taken",
        ),
        (
            "H\nW-1,\"A\nB\",r,c,s,active\nW-2,B,r,c,,active",
            "r.csv line 4, column state: is empty",
        ),
        ("H\nW-1,A,r,c,s", "r.csv line 2: 5 fields, the header has 6"),
        (
            "H,available_to\nW-1,A,r,c,s,active,soon",
            "r.csv line 2, column available_to: is \"soon\": use a date",
        ),
        (
            "H,available_from,available_to\nW-1,A,r,c,s,active,2026-02-01,2026-01-01",
            "r.csv line 2, column available_to: 2026-01-01 is before available_from 2026-02-01",
        ),
        (
            "H,certificates\nW-1,A,r,c,s,active,CPR; MIG:2027-13-01",
            "r.csv line 2, column certificates: \"MIG:2027-13-01\": \"2027-13-01\" is no date",
        ),
        (
            "H,certificates\nW-1,A,r,c,s,active,:2027-01-01",
            "has no name",
        ),
    ];
    for (text, expected) in cases {
        let text = text.replace('H', HEADER);
        let error = read_csv::<Roster>("r.csv", Cursor::new(&text)).unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
    let latin = b"worker_id,name,role,city,state,status\nW-1,Jos\xe9,r,c,s,active\n";
    let error = read_csv::<Roster>("r.csv", Cursor::new(latin)).unwrap_err();
    assert_eq!(error.to_string(), "r.csv line 2: is not UTF-8");
}

#[test]
fn json_lines_are_read_as_csv_is() {
    let worker = json!({
        "worker_id": 17, "name": "Ana Lopez", "role": "welder", "city": "Gary", "state": "IN", "status": "active",
        "barred_clients": ["C-1", "C-2"], "phone": {"not": "read"},
        "certificates": ["MIG", {"name": "OSHA 10", "expires": "2027-01-31"}], "available_from": null,
    });
    let text = format!("\u{feff}{worker}\n\n{worker}\n").replacen("17", "18", 1);
    let roster = read_jsonl::<Roster>("r.jsonl", text.as_bytes()).unwrap();
    let worker = roster.find("18").unwrap();
    assert!(worker.is_barred_by("c-2") && !worker.is_barred_by("C-3"));
    let certificates: Vec<String> = worker
        .certificates()
        .map(|(name, until)| format!("{name} {until:?}"))
        .collect();
    assert_eq!(certificates, ["MIG None", "OSHA 10 Some(2027-01-31)"]);
    assert_eq!(roster.len(), 2);
}

#[test]
fn wrong_json_lines_are_named() {
    let good = json!({
        "worker_id": "W-1", "name": "A", "role": "r", "city": "c", "state": "s", "status": "active",
    });
    let with = |name: &str, value: Value| {
        let mut row = good.clone();
        row[name] = value;
        row.to_string()
    };
    let mut without = good.clone();
    without.as_object_mut().unwrap().remove("name");
    without["nmae"] = json!("A");
    let cases = [
        (
            "[1]".to_owned(),
            "r.jsonl line 2: must be an object, is a list",
        ),
        (
            "{\"a\":".to_owned(),
            "r.jsonl line 2: is no JSON at character 5: EOF while parsing a value",
        ),
        (
            without.to_string(),
            "r.jsonl line 2: no column name, rename \"nmae\" to name",
        ),
        (
            with("worker_id", json!("w-1")),
            "column worker_id: \"w-1\" is taken",
        ),
        (
            with("name", json!(true)),
            "column name: must be a text, is a boolean",
        ),
        (
            with("certificates", json!([["x"]])),
            "column certificates: is a list of lists",
        ),
        (
            with("certificates", json!([{"expires": "2027-01-01"}])),
            "an object without a name",
        ),
        (
            with(
                "certificates",
                json!([{"name": "MIG", "expires": 20_270_131}]),
            ),
            "has an expires that is a number, not a date",
        ),
        (with("barred_clients", json!(["a;b"])), "holds a ;"),
        (
            with("city", json!("  ")),
            "r.jsonl line 2, column city: is empty",
        ),
    ];
    for (line, expected) in cases {
        let text = format!("{good}\n{line}\n");
        let error = read_jsonl::<Roster>("r.jsonl", text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(expected), "{line}: {error}");
    }
    let endless = "x".repeat(2 << 20);
    let error = read_jsonl::<Roster>("r.jsonl", endless.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[test]
fn calendars_are_read_and_refused_alike() {
    let text = "worker_id,start,end,client_id\nW-1,2027-01-04,,C-1\nw-1 ,2027-01-05T08:00Z,2027-01-05T16:00Z,\n";
    let calendar = Calendar::parse_csv(text).unwrap();
    assert_eq!(calendar.len(), 2);
    let cases = [
        ("worker_id\nW-1", "calendar: no column start"),
        (
            "worker_id,start\nW-1,soon",
            "calendar line 2, column start: is \"soon\": use a date",
        ),
        (
            "worker_id,start,end\nW-1,2027-01-04,2027-01-03",
            "calendar line 2, column end: is not after start",
        ),
    ];
    for (text, expected) in cases {
        let error = Calendar::parse_csv(text).unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
}
