//! Invented rosters of any size: the same number and seed give the same rows.
//!
//! Some names are common and some rare, as they are; so there are namesakes, accents, suffixes, names of several words.
//! No clock: dates stand around the start of 2027.

mod lists;
mod rng;

use jiff::ToSpan as _;
use jiff::civil::{Date, date};

use self::lists::{CITIES, FIRST, LAST, ROLES};
use self::rng::Rng;
use crate::types::roster::RosterRow;

/// The day around which availability and certificates are.
const AROUND: Date = date(2027, 1, 1);
/// Clients that refuse somebody.
const CLIENTS: u64 = 400;

/// Invents `rows` workers; each has the id that its place gives it.
pub fn generate(rows: u32, seed: u64) -> impl Iterator<Item = RosterRow> {
    (0..rows).map(move |at| worker(at, &mut Rng::new(seed, u64::from(at))))
}

fn worker(at: u32, rng: &mut Rng) -> RosterRow {
    // Every other number is taken, so that a slip in an id is sometimes nobody's.
    let number = 100_000 + u64::from(at) * 2 + rng.below(2);
    let (role, certificates) = split(rng.common(ROLES));
    let (city, state) = split(rng.common(CITIES));
    let (available_from, available_to) = availability(rng);
    RosterRow {
        worker_id: format!("W-{number}"),
        name: name(rng),
        role: role.to_owned(),
        city: city.to_owned(),
        state: state.to_owned(),
        status: status(rng).to_owned(),
        barred_clients: barred(rng),
        certificates: held(certificates, rng),
        available_from,
        available_to,
    }
}

/// First name, and a last name; now and then more.
fn name(rng: &mut Rng) -> String {
    let mut name = rng.common(FIRST).to_owned();
    match rng.below(100) {
        0..=9 => {
            let letter = b'A' + u8::try_from(rng.below(26)).unwrap_or(0);
            name.extend([' ', char::from(letter), '.']);
        }
        10..=14 => {
            name.push(' ');
            name.push_str(rng.common(FIRST));
        }
        15..=16 => {
            name.push('-');
            name.push_str(rng.common(FIRST));
        }
        _ => {}
    }
    name.push(' ');
    match rng.below(100) {
        0..=2 => name.push_str(rng.any(&["de la ", "van der ", "von ", "al-", "O'", "Mac"])),
        3..=8 => {
            name.push_str(rng.common(LAST));
            name.push('-');
        }
        9..=12 => {
            name.push_str(rng.common(LAST));
            name.push(' ');
        }
        _ => {}
    }
    name.push_str(rng.common(LAST));
    match rng.below(100) {
        0 => name.push_str(" Jr."),
        1 => name.push_str(rng.any(&[" Sr.", " II", " III"])),
        _ => {}
    }
    name
}

fn status(rng: &mut Rng) -> &'static str {
    match rng.below(100) {
        0..=4 => "inactive",
        5..=8 => "on_leave",
        9..=11 => "terminated",
        _ => "active",
    }
}

fn barred(rng: &mut Rng) -> Vec<String> {
    let count = match rng.below(100) {
        0..=3 => 1,
        4 => 2,
        5 => 3,
        _ => 0,
    };
    let mut clients: Vec<u64> = (0..count).map(|_| 1 + rng.below(CLIENTS)).collect();
    clients.sort_unstable();
    clients.dedup();
    clients.iter().map(|client| format!("C-{client}")).collect()
}

/// Most of the certificates of the role, most with a last day.
fn held(certificates: &str, rng: &mut Rng) -> Vec<String> {
    let mut held = Vec::new();
    for name in certificates.split('|').filter(|name| !name.is_empty()) {
        match rng.below(100) {
            0..=14 => {}
            15..=24 => held.push(name.to_owned()),
            _ => held.push(format!("{name}:{}", day(rng, -300, 1_200))),
        }
    }
    held
}

fn availability(rng: &mut Rng) -> (Option<String>, Option<String>) {
    match rng.below(100) {
        0..=3 => (Some(day(rng, -400, 90).to_string()), None),
        4..=7 => (None, Some(day(rng, 0, 700).to_string())),
        8..=10 => {
            let from = day(rng, -400, 90).to_string();
            (Some(from), Some(day(rng, 100, 700).to_string()))
        }
        _ => (None, None),
    }
}

fn day(rng: &mut Rng, first: i64, last: i64) -> Date {
    let span = u64::try_from(last - first).unwrap_or(1);
    let days = first + i64::try_from(rng.below(span)).unwrap_or(0);
    AROUND.saturating_add(days.days())
}

fn split(entry: &str) -> (&str, &str) {
    entry.split_once(':').unwrap_or((entry, ""))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn one_seed_is_one_roster_and_another_another() {
        let names = |seed| generate(50, seed).map(|row| row.name).collect::<Vec<_>>();
        assert_eq!(names(7), names(7));
        assert_ne!(names(7), names(8));
        let longer: Vec<RosterRow> = generate(80, 7).take(50).collect();
        assert_eq!(longer, generate(50, 7).collect::<Vec<_>>());
    }

    #[test]
    fn rows_are_as_various_as_rosters_are() {
        let rows: Vec<RosterRow> = generate(20_000, 7).collect();
        let count = |is: fn(&RosterRow) -> bool| rows.iter().filter(|row| is(row)).count();
        let ids: HashSet<&str> = rows.iter().map(|row| row.worker_id.as_str()).collect();
        assert_eq!(ids.len(), rows.len());
        let names: HashSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert!((8_000..19_700).contains(&names.len()), "{}", names.len());
        assert!(count(|row| !row.name.is_ascii()) > 400);
        assert!(count(|row| row.name.ends_with("Jr.") || row.name.ends_with("III")) > 100);
        assert!((16_000..19_000).contains(&count(|row| row.status == "active")));
        assert!((600..2_000).contains(&count(|row| !row.barred_clients.is_empty())));
        let expired = count(|row| row.certificates.iter().any(|held| held.contains(":2026-")));
        assert!(expired > 1_000, "{expired}");
        assert!(count(|row| row.available_to.is_some()) > 800);
    }
}
