//! `fill`: proposed assignments of workers to openings, against the roster.
//!
//! What proposing another worker, or writing a field right, would mend is an error; a person who is
//! not on the roster, or whom the client refuses, is critical, and so is what cannot be read.

mod proposal;
mod record;
mod rules;
mod schedule;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Parts;
use crate::engines::validation::{Calendar, Live, Roster, Rule, Validator};
use crate::types::validation::Finding;
use proposal::{Opening, Proposal};
use record::Records;

/// Findings of one rule that are told.
const MAX_PER_RULE: usize = 100;

/// Judges proposed assignments.
struct Fill {
    roster: Arc<Live<Roster>>,
    calendar: Arc<Live<Calendar>>,
    max_fills: usize,
}

pub(super) fn build(parts: &Parts<'_>) -> Box<dyn Validator> {
    let max_fills = parts.config.fill.max_fills;
    Box::new(Fill {
        roster: Arc::clone(&parts.tables.roster),
        calendar: Arc::clone(&parts.tables.calendar),
        max_fills,
    })
}

impl Validator for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn schema(&self) -> Value {
        proposal::schema(self.max_fills)
    }

    fn rules(&self) -> &'static [Rule] {
        rules::ALL
    }

    fn validate(&self, payload: &Value, context: &Value) -> Vec<Finding> {
        let mut findings = Vec::new();
        let opening = Opening::read(context, &mut findings);
        let read = Proposal::read_all(payload, &opening, self.max_fills, &mut findings);
        let Some((proposals, proposed)) = read else {
            return findings;
        };
        // One state of both for the whole judgement.
        let (roster, calendar) = (self.roster.current(), self.calendar.current());
        let mut records = Records::new(&roster, &calendar, &opening, &proposals);
        findings.extend(opening.check_count(proposed, &records));
        for (proposal, worker) in records.known(&proposals) {
            records.check(proposal, worker, &mut findings);
        }
        schedule::check(&proposals, &roster, &mut findings);
        schedule::check_booked(&proposals, &opening, &roster, &calendar, &mut findings);
        // Stable: the whole first, then fill by fill, each in the order of the checks.
        findings.sort_by_key(|finding| fill_of(&finding.path));
        cut(&mut findings);
        findings
    }
}

/// Keeps the first findings of each rule: ten thousand fills that are all wrong say no more than a hundred.
fn cut(findings: &mut Vec<Finding>) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    findings.retain(|finding| {
        let count = counts.entry(finding.rule.clone()).or_default();
        *count += 1;
        *count <= MAX_PER_RULE
    });
    for (rule, count) in counts {
        if count > MAX_PER_RULE {
            let message = format!("{} more of {rule} are not told", count - MAX_PER_RULE);
            findings.push(rules::CUT.finding("/fills", message));
        }
    }
}

fn fill_of(path: &str) -> Option<usize> {
    path.strip_prefix("/fills/")?
        .split('/')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod labelled;
#[cfg(test)]
mod tests;
