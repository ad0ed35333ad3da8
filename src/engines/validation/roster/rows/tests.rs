use std::fmt::Write as _;

use super::*;
use crate::engines::validation::DEMO_ROSTER;
use crate::types::error_kind::ErrorKind;

const HEADER: &str = "worker_id,name,role,city,state,status";

#[test]
fn rows_are_read_with_their_optional_columns() {
    let text = "\u{feff}status,Name,role,city,state,worker_id,phone,barred_clients,certificates,\
                available_from,available_to\r\n\
                Active,\"Lopez, Ana\",Welder,Joliet,IL, W-1 ,555,C-1; C-2,MIG;TIG,2026-01-01,\r\n";
    let roster = Roster::parse_csv(text).unwrap();
    let worker = roster.find("w-1").unwrap();
    assert_eq!(
        (worker.id(), worker.name(), worker.role()),
        ("W-1", "Lopez, Ana", "Welder")
    );
    assert!(worker.is_active());
    assert!(worker.is_barred_by("c-2") && !worker.is_barred_by("C-3"));
    assert_eq!(worker.certificates().collect::<Vec<_>>(), ["MIG", "TIG"]);
    let date = |text: &str| text.parse::<Date>().unwrap();
    assert!(worker.is_available(date("2026-01-01"), date("2030-01-01")));
    assert!(!worker.is_available(date("2025-12-31"), date("2026-01-02")));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let cases = [
        ("", "no column worker_id"),
        ("worker_id,name,role,city,state", "no column status"),
        (
            "workerid,name,role,city,state,status",
            "rename \"workerid\" to worker_id",
        ),
        (
            "worker_id,name,role,city,state,status,role",
            "two columns \"role\"",
        ),
        (
            "H\nW-1,A,r,c,s,active\nW-2,,r,c,s,active",
            "roster line 3: name is empty",
        ),
        (
            "H\nW-1,A,r,c,s,active\n\nw-1,B,r,c,s,active",
            "roster line 4: worker_id \"w-1\" is taken",
        ),
        (
            "H\nW-1,A,r,c,s",
            "roster line 2: 5 fields, the header has 6",
        ),
        (
            "H,available_to\nW-1,A,r,c,s,active,soon",
            "available_to is \"soon\": use a date",
        ),
        (
            "H,available_from,available_to\nW-1,A,r,c,s,active,2026-02-01,2026-01-01",
            "roster line 2: available_to 2026-01-01 is before available_from 2026-02-01",
        ),
    ];
    for (text, expected) in cases {
        let error = Roster::parse_csv(&text.replace('H', HEADER)).unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
        assert_eq!(error.kind(), ErrorKind::BadRequest);
    }
}

#[test]
fn the_demo_has_workers_of_every_sort() {
    let roster = Roster::parse_csv(DEMO_ROSTER).unwrap();
    assert_eq!(roster.len(), 60);
    let all = |test: fn(&Worker) -> bool| roster.workers.iter().filter(|w| test(w)).count();
    assert!(all(Worker::is_active) >= 40);
    assert!(all(|worker| !worker.is_active()) >= 8);
    assert!(all(|worker| !worker.barred_clients.is_empty()) >= 5);
    assert!(all(|worker| worker.available_to.is_some()) >= 5);
    assert!(roster.by_role.len() >= 6);
}

#[test]
fn a_large_roster_is_searched_by_id_and_name() {
    let mut text = HEADER.to_owned();
    for at in 0..20_000 {
        let _ = write!(
            text,
            "\nW-{at},Ann{} Lee{},welder,Joliet,IL,active",
            at % 100,
            at / 100
        );
    }
    let roster = Roster::parse_csv(&text).unwrap();
    assert_eq!(roster.find("W-19999").unwrap().name(), "Ann99 Lee199");
    assert_eq!(
        roster
            .named("ann7  LEE42")
            .map(Worker::id)
            .collect::<Vec<_>>(),
        ["W-4207"]
    );
    assert_eq!(roster.find("W-20000"), None);
    assert!(
        roster
            .near("W-2000O", "Ann7 Lee42x")
            .any(|worker| worker.id() == "W-4207")
    );
}
