use std::fmt::Write as _;

use jiff::civil::Date;

use super::*;

const HEADER: &str = "worker_id,name,role,city,state,status";

#[test]
fn rows_are_read_with_their_optional_columns() {
    let text = "\u{feff}status,Name,role,city,state,worker_id,phone,barred_clients,certificates,\
                available_from,available_to\r\n\
                Active,\"Lopez, Ana\",Welder,Joliet,IL, W-1 ,555,C-1; C-2,MIG;TIG : 2027-01-31,2026-01-01,\r\n";
    let roster = Roster::parse_csv(text).unwrap();
    let worker = roster.find("w-1").unwrap();
    assert_eq!(
        (worker.id(), worker.name(), worker.role()),
        ("W-1", "Lopez, Ana", "Welder")
    );
    assert!(worker.is_active());
    assert!(worker.is_barred_by("c-2") && !worker.is_barred_by("C-3"));
    let date = |text: &str| text.parse::<Date>().unwrap();
    assert_eq!(worker.certified_until("mig"), Some(Date::MAX));
    assert_eq!(worker.certified_until("TIG"), Some(date("2027-01-31")));
    assert_eq!(worker.certified_until("Welder"), None);
    assert!(worker.is_available(date("2026-01-01"), date("2030-01-01")));
    assert!(!worker.is_available(date("2025-12-31"), date("2026-01-02")));
}

#[test]
fn lists_of_neighbouring_rows_are_kept_apart() {
    let text = format!(
        "{HEADER},barred_clients,certificates\nW-1,A,r,c,s,active,C-1,X\nW-2,B,r,c,s,active,,\n\
         W-3,C,r,c,s,active,C-2;C-3,Y:2027-01-01;Z;Y:2028-01-01"
    );
    let roster = Roster::parse_csv(&text).unwrap();
    let of = |id| roster.find(id).unwrap();
    assert!(of("W-1").is_barred_by("C-1") && !of("W-1").is_barred_by("C-2"));
    assert!(!of("W-2").is_barred_by("C-1") && !of("W-2").is_barred_by("C-2"));
    assert!(of("W-3").is_barred_by("C-3") && !of("W-3").is_barred_by("C-1"));
    assert_eq!(of("W-2").certificates().count(), 0);
    assert_eq!(of("W-3").certificates().count(), 3);
    // The one that lasts longest counts.
    assert_eq!(
        of("W-3").certified_until("y"),
        Some("2028-01-01".parse().unwrap())
    );
}

#[test]
fn the_demo_has_workers_of_every_sort() {
    let roster = Roster::parse_csv(DEMO_ROSTER).unwrap();
    assert_eq!(roster.len(), 60);
    let workers = (0..60).filter_map(|at| roster.at(at));
    let workers: Vec<Worker<'_>> = workers.collect();
    let all = |test: fn(&Worker<'_>) -> bool| workers.iter().filter(|w| test(w)).count();
    assert!(all(|worker| worker.is_active()) >= 40);
    assert!(all(|worker| !worker.is_active()) >= 8);
    assert!(all(|worker| !worker.roster.barred_of(*worker).is_empty()) >= 5);
    assert!(all(|worker| worker.row.available_to < Date::MAX) >= 5);
    let roles: std::collections::HashSet<&str> = workers.iter().map(Worker::role).collect();
    assert!(roles.len() >= 6);
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
    for at in (0..20_000).step_by(37) {
        let name = format!("Ann{} Lee{}", at % 100, at / 100);
        assert_eq!(roster.find(&format!("W-{at}")).unwrap().name(), name);
    }
    assert_eq!(
        roster
            .named("ann7  LEE42")
            .map(|worker| worker.id().to_owned())
            .collect::<Vec<_>>(),
        ["W-4207"]
    );
    assert_eq!(roster.find("W-20000"), None);
    let near = roster.near("W-2000O", "Ann7 Lee42x");
    assert!(near.iter().any(|worker| worker.id() == "W-4207"));
}

#[test]
fn those_who_fit_are_found_by_role_place_and_certificate() {
    let text = format!(
        "{HEADER},certificates\nW-1,A,welder,Joliet,IL,active,MIG:2027-01-31\nW-2,B,welder,Gary,IN,active,MIG\n\
         W-3,C,driver,Joliet,IL,active,\nW-4,D,Welder,JOLIET,Illinois,active,\nW-5,E,welder,Joliet,IL,inactive,MIG"
    );
    let roster = Roster::parse_csv(&text).unwrap();
    let need = |role: &str, city: &str, certificate: &str, date: &str| Need {
        role: (!role.is_empty()).then(|| role.to_owned()),
        city: (!city.is_empty()).then(|| city.to_owned()),
        certificates: certificate
            .split_terminator(',')
            .map(str::to_owned)
            .collect(),
        date: date.parse().ok(),
        ..Need::default()
    };
    let cases: [(Need, &[&str]); 9] = [
        (need("WELDER", "joliet", "", ""), &["W-1", "W-4"]),
        (need("welder", "", "", ""), &["W-1", "W-2", "W-4"]),
        (need("", "Joliet", "", ""), &["W-1", "W-3", "W-4"]),
        (need("", "", "mig", ""), &["W-1", "W-2"]),
        (need("", "", "mig", "2027-01-31"), &["W-1", "W-2"]),
        (need("", "", "mig", "2027-02-01"), &["W-2"]),
        (need("pilot", "", "", ""), &[]),
        (need("welder", "Paris", "", ""), &[]),
        (need("welder", "", "PILOT", ""), &[]),
    ];
    for (need, expected) in cases {
        let found = roster.fitting(&need, 5, |_| true);
        let found: Vec<&str> = found.iter().map(Worker::id).collect();
        assert_eq!(found, expected, "{need:?}");
    }
}
