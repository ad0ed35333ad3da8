//! The assignments of one worker against each other, and against what the worker is booked for.

use std::collections::HashMap;

use super::proposal::{Opening, Proposal, When};
use super::record::described;
use super::rules;
use crate::engines::validation::period::{Period, overlaps};
use crate::engines::validation::roster::{Booked, Calendar, Roster, Worker};
use crate::types::validation::Finding;

/// Adds a finding for each assignment that repeats an earlier one of its worker, or overlaps one.
///
/// Several shifts of one worker are fine as long as each has its time and none overlap. Workers who
/// are not on the roster are reported as such, and not here.
pub(super) fn check(proposals: &[Proposal<'_>], roster: &Roster, findings: &mut Vec<Finding>) {
    let mut of_worker: HashMap<&str, (Worker<'_>, Vec<&Proposal<'_>>)> = HashMap::new();
    for proposal in proposals {
        if let Some(worker) = roster.find(proposal.worker_id) {
            of_worker
                .entry(worker.id())
                .or_insert((worker, Vec::new()))
                .1
                .push(proposal);
        }
    }
    // The caller sorts the findings by assignment, so the order of the map does not show.
    for (worker, proposals) in of_worker.into_values().filter(|(_, all)| all.len() > 1) {
        check_one(&worker, &proposals, findings);
    }
}

fn check_one(worker: &Worker<'_>, proposals: &[&Proposal<'_>], findings: &mut Vec<Finding>) {
    let who = described(worker);
    let suggestion = |text: &str| Some(text.to_owned());
    let mut timed: Vec<(&Proposal<'_>, Period)> = Vec::new();
    let mut by_period: HashMap<Period, &Proposal<'_>> = HashMap::new();
    let mut first: Option<&Proposal<'_>> = None;
    let mut timeless: Option<&Proposal<'_>> = None;
    for &proposal in proposals {
        let earlier = match proposal.when {
            When::During(period) => by_period.get(&period).copied().or(timeless),
            When::Unsaid => first,
            // Reported as such; whether it clashes is unknown.
            When::Unreadable => continue,
        };
        first = first.or(Some(proposal));
        if let Some(earlier) = earlier {
            let message = format!("{who} is proposed already, at {}", earlier.path);
            let mend = suggestion("propose another worker, or give each shift its own time");
            let path = format!("{}/worker_id", proposal.path);
            findings.push(rules::DUPLICATE.suggesting(path, message, mend));
        } else if let When::During(period) = proposal.when {
            by_period.insert(period, proposal);
            timed.push((proposal, period));
        } else {
            timeless = Some(proposal);
        }
    }
    let periods: Vec<Period> = timed.iter().map(|(_, period)| *period).collect();
    for (earlier, later) in overlaps(&periods) {
        if let (Some((earlier, _)), Some((later, _))) = (timed.get(earlier), timed.get(later)) {
            let message = format!(
                "{who} is booked at {} for an overlapping time",
                earlier.path
            );
            let mend = suggestion("propose another worker, or another time");
            let path = format!("{}/start", later.path);
            findings.push(rules::DOUBLE_BOOKED.suggesting(path, message, mend));
        }
    }
}

/// Adds a finding for each assignment whose time, or the day of the opening, its worker is booked for already.
pub(super) fn check_booked(
    proposals: &[Proposal<'_>],
    opening: &Opening,
    roster: &Roster,
    calendar: &Calendar,
    findings: &mut Vec<Finding>,
) {
    if calendar.is_empty() {
        return;
    }
    for proposal in proposals {
        let worker = roster.find(proposal.worker_id);
        let Some((worker, period)) = worker.zip(opening.period(proposal)) else {
            continue;
        };
        let bookings = calendar.of(worker.id(), opening.zone.as_ref());
        let mut booked = bookings.filter(|booked| booked.period.overlaps(&period));
        let Some(first) = booked.next() else { continue };
        let more = match booked.count() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let message = format!(
            "{} is booked already {}{more}",
            described(&worker),
            in_words(&first)
        );
        let field = match proposal.when {
            When::During(_) => "start",
            When::Unsaid | When::Unreadable => "worker_id",
        };
        let mend = Some("propose another worker, or another time".to_owned());
        let path = format!("{}/{field}", proposal.path);
        findings.push(rules::DOUBLE_BOOKED.suggesting(path, message, mend));
    }
}

fn in_words(booked: &Booked<'_>) -> String {
    match booked.client_id {
        Some(client) => format!("{} for client {client}", booked.period.in_words()),
        None => booked.period.in_words(),
    }
}
