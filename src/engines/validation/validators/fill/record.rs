//! One proposed assignment against the record of its worker.

use std::cell::OnceCell;

use jiff::civil::Date;

use super::proposal::{Opening, Proposal};
use super::rules;
use crate::engines::validation::roster::{
    Calendar, Need, Roster, Worker, folded, same_but_accents,
};
use crate::engines::validation::shown::quoted;
use crate::types::validation::Finding;

/// Searches for near workers in one payload: each costs some ten microseconds.
const MAX_NEAR_SEARCHES: usize = 200;
/// Other workers named in a suggestion.
const MAX_OTHERS: usize = 3;

/// The roster, in the light of one opening and of who is proposed for it.
pub(super) struct Records<'a> {
    roster: &'a Roster,
    calendar: &'a Calendar,
    opening: &'a Opening,
    need: &'a Need,
    /// Of each proposal, in their order.
    workers: Vec<Option<Worker<'a>>>,
    /// Workers who would do, in words; found at the first need.
    others: OnceCell<Option<String>>,
    near_searches: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(
        roster: &'a Roster,
        calendar: &'a Calendar,
        opening: &'a Opening,
        proposals: &[Proposal<'_>],
    ) -> Self {
        let workers = proposals.iter();
        Self {
            roster,
            calendar,
            opening,
            need: &opening.need,
            workers: workers
                .map(|proposal| roster.find(proposal.worker_id))
                .collect(),
            others: OnceCell::new(),
            near_searches: 0,
        }
    }

    /// Each proposal with its worker.
    pub(super) fn known<'p>(
        &self,
        proposals: &'p [Proposal<'p>],
    ) -> Vec<(&'p Proposal<'p>, Option<Worker<'a>>)> {
        proposals.iter().zip(self.workers.iter().copied()).collect()
    }

    /// Workers who fit the opening and are not proposed yet, in words.
    pub(super) fn others(&self) -> Option<String> {
        let find = || {
            let day = self.opening.day();
            let zone = self.opening.zone.as_ref();
            let free = |worker: Worker<'_>| {
                !self.workers.contains(&Some(worker))
                    && day.is_none_or(|day| {
                        let mut booked = self.calendar.of(worker.id(), zone);
                        !booked.any(|booked| booked.period.overlaps(&day))
                    })
            };
            joined(self.roster.fitting(self.need, MAX_OTHERS, free))
        };
        self.others.get_or_init(find).clone()
    }

    /// Adds what is wrong with one assignment.
    pub(super) fn check(
        &mut self,
        proposal: &Proposal<'_>,
        worker: Option<Worker<'_>>,
        findings: &mut Vec<Finding>,
    ) {
        match worker {
            Some(worker) => {
                self.check_identity(proposal, &worker, findings);
                self.check_fit(proposal, &worker, findings);
            }
            None => findings.push(self.unknown(proposal)),
        }
    }

    fn unknown(&mut self, proposal: &Proposal<'_>) -> Finding {
        let searched = self.near_searches < MAX_NEAR_SEARCHES;
        self.near_searches += 1;
        let near = match searched {
            true => {
                let name = proposal.name.unwrap_or_default();
                joined(self.roster.near(proposal.worker_id, name))
            }
            false => None,
        };
        let suggestion = match near {
            Some(near) => Some(format!("did you mean {near}?")),
            None => self.others().map(|others| format!("propose {others}")),
        };
        let message = match self.roster.is_empty() {
            true => "nobody is on the roster".to_owned(),
            false => format!("no worker {} on the roster", shown(proposal.worker_id)),
        };
        let path = format!("{}/worker_id", proposal.path);
        rules::WORKER_UNKNOWN.suggesting(path, message, suggestion)
    }

    /// Whether id and name are those of one worker.
    fn check_identity(
        &self,
        proposal: &Proposal<'_>,
        worker: &Worker<'_>,
        findings: &mut Vec<Finding>,
    ) {
        if proposal.worker_id != worker.id() {
            findings.push(rules::ID_FORM.suggesting(
                format!("{}/worker_id", proposal.path),
                format!("worker_id is written {}", shown(proposal.worker_id)),
                Some(worker.id().to_owned()),
            ));
        }
        let Some(name) = proposal
            .name
            .filter(|name| folded(name) != folded(worker.name()))
        else {
            return;
        };
        if same_but_accents(name, worker.name()) {
            findings.push(rules::NAME_FORM.suggesting(
                format!("{}/name", proposal.path),
                format!("name is written {}", shown(name)),
                Some(worker.name().to_owned()),
            ));
            return;
        }
        let suggestion = match joined(self.roster.named(name).take(MAX_OTHERS)) {
            Some(named) => format!("{} for {}, or {named}", worker.name(), worker.id()),
            None => worker.name().to_owned(),
        };
        findings.push(rules::NAME_MISMATCH.suggesting(
            format!("{}/name", proposal.path),
            format!("{} is {}, not {}", worker.id(), worker.name(), shown(name)),
            Some(suggestion),
        ));
    }

    /// Whether the worker may do this work, there, for this client, at that time.
    fn check_fit(&self, proposal: &Proposal<'_>, worker: &Worker<'_>, findings: &mut Vec<Finding>) {
        let who = described(worker);
        let path = |field: &str| format!("{}/{field}", proposal.path);
        let other = || self.others().map(|others| format!("propose {others}"));
        if !worker.is_active() {
            let message = format!("{who} is {}, not active", worker.status());
            findings.push(rules::INACTIVE.suggesting(path("worker_id"), message, other()));
        }
        self.check_role(proposal, worker, findings);
        let (city, state) = (self.need.city.as_deref(), self.need.state.as_deref());
        if !worker.works_in(city, state) {
            let wanted: Vec<String> = [city, state].into_iter().flatten().map(shown).collect();
            let (has, wanted) = (
                [worker.city(), worker.state()].join(", "),
                wanted.join(", "),
            );
            let message = format!("{who} works in {has}, the opening is in {wanted}");
            findings.push(rules::PLACE_MISMATCH.suggesting(path("worker_id"), message, other()));
        }
        if let Some(client) = self
            .need
            .client_id
            .as_deref()
            .filter(|id| worker.is_barred_by(id))
        {
            let message = format!("{who} is barred by client {}", shown(client));
            findings.push(rules::BARRED.suggesting(path("worker_id"), message, other()));
        }
        let days = self.opening.period(proposal).map(|period| period.days());
        if let Some((first, last)) = days
            && !worker.is_available(first, last)
        {
            let has = worker.availability();
            let message = format!("{who} is available {has}, the work is from {first} to {last}");
            findings.push(rules::UNAVAILABLE.suggesting(path("worker_id"), message, other()));
        }
        for certificate in &self.need.certificates {
            self.check_certificate(proposal, worker, (certificate, days), findings);
        }
    }

    fn check_certificate(
        &self,
        proposal: &Proposal<'_>,
        worker: &Worker<'_>,
        (certificate, days): (&str, Option<(Date, Date)>),
        findings: &mut Vec<Finding>,
    ) {
        let (who, what) = (described(worker), shown(certificate));
        let (rule, message) = match (worker.certified_until(certificate), days) {
            (None, _) => {
                let message = format!("{who} has no certificate {what}");
                (rules::CERTIFICATE_MISSING, message)
            }
            (Some(until), Some((first, _))) if until < first => {
                let message = format!(
                    "certificate {what} of {who} is valid until {until}, the work begins on {first}"
                );
                (rules::CERTIFICATE_EXPIRED, message)
            }
            (Some(until), Some((_, last))) if until < last => {
                let message = format!(
                    "certificate {what} of {who} is valid until {until}, the work ends on {last}"
                );
                (rules::CERTIFICATE_EXPIRES, message)
            }
            // Without a day nothing is said of dates.
            (Some(_), _) => return,
        };
        let suggestion = self.others().map(|others| format!("propose {others}"));
        let path = format!("{}/worker_id", proposal.path);
        findings.push(rule.suggesting(path, message, suggestion));
    }

    fn check_role(
        &self,
        proposal: &Proposal<'_>,
        worker: &Worker<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let wanted = self.need.role.as_deref();
        let path = |field: &str| format!("{}/{field}", proposal.path);
        if let Some(wanted) = wanted.filter(|role| !worker.has_role(role)) {
            findings.push(rules::ROLE_MISMATCH.suggesting(
                path("worker_id"),
                format!(
                    "{} is {}, the opening is for {}",
                    described(worker),
                    shown(worker.role()),
                    shown(wanted)
                ),
                self.others().map(|others| format!("propose {others}")),
            ));
        } else if let Some(role) = proposal.role.filter(|role| !worker.has_role(role)) {
            findings.push(rules::ROLE_MISMATCH.suggesting(
                path("role"),
                format!(
                    "role is {}, {} is on record with another",
                    shown(role),
                    worker.id()
                ),
                Some(worker.role().to_owned()),
            ));
        }
    }
}

/// How a worker is named in messages.
pub(super) fn described(worker: &Worker<'_>) -> String {
    format!("{} ({})", worker.id(), worker.name())
}

fn joined<'w>(workers: impl IntoIterator<Item = Worker<'w>>) -> Option<String> {
    let workers = workers.into_iter();
    let all: Vec<String> = workers.map(|worker| described(&worker)).collect();
    (!all.is_empty()).then(|| all.join(" or "))
}

/// Foreign text in quotes. A few words, or an id of few digits, can hide neither a secret nor a number of a person: most
/// are, and need no search for either.
fn shown(text: &str) -> String {
    let words = |c: char| c.is_ascii_alphabetic() || matches!(c, ' ' | '-' | '\'');
    let id = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let harmless = text.len() <= 24 && text.chars().all(words)
        || text.len() <= 12 && digits <= 7 && text.chars().all(id);
    match harmless {
        true => format!("\"{text}\""),
        false => quoted(text),
    }
}
