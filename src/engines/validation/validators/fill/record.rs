//! One proposed assignment against the record of its worker.

use std::cell::OnceCell;
use std::collections::HashSet;

use super::proposal::{Proposal, When};
use super::rules;
use crate::engines::validation::roster::{Need, Roster, Worker, folded};
use crate::engines::validation::shown::quoted;
use crate::types::validation::Finding;

/// Searches for near workers in one payload: each costs up to some milliseconds.
const MAX_NEAR_SEARCHES: usize = 50;
/// Other workers named in a suggestion.
const MAX_OTHERS: usize = 3;

/// The roster, in the light of one opening and of who is proposed for it.
pub(super) struct Records<'a> {
    roster: &'a Roster,
    need: &'a Need,
    proposed: HashSet<&'a str>,
    /// Workers who would do, in words; found at the first need.
    others: OnceCell<Option<String>>,
    near_searches: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(roster: &'a Roster, need: &'a Need, proposals: &[Proposal<'_>]) -> Self {
        let proposed = proposals
            .iter()
            .filter_map(|proposal| roster.find(proposal.worker_id))
            .map(Worker::id);
        let proposed = proposed.collect();
        Self {
            roster,
            need,
            proposed,
            others: OnceCell::new(),
            near_searches: 0,
        }
    }

    /// Workers who fit the opening and are not proposed yet, in words.
    pub(super) fn others(&self) -> Option<String> {
        let find = || {
            let free = |worker: &Worker| !self.proposed.contains(worker.id());
            let found = self.roster.fitting(self.need, free).take(MAX_OTHERS);
            joined(found)
        };
        self.others.get_or_init(find).clone()
    }

    /// Adds what is wrong with one assignment.
    pub(super) fn check(&mut self, proposal: &Proposal<'_>, findings: &mut Vec<Finding>) {
        match self.roster.find(proposal.worker_id) {
            Some(worker) => {
                self.check_identity(proposal, worker, findings);
                self.check_fit(proposal, worker, findings);
            }
            None => findings.push(self.unknown(proposal)),
        }
    }

    fn unknown(&mut self, proposal: &Proposal<'_>) -> Finding {
        let searched = self.near_searches < MAX_NEAR_SEARCHES;
        self.near_searches += 1;
        let near = match searched {
            true => joined(
                self.roster
                    .near(proposal.worker_id, proposal.name.unwrap_or_default()),
            ),
            false => None,
        };
        let suggestion = match near {
            Some(near) => Some(format!("did you mean {near}?")),
            None => self.others().map(|others| format!("propose {others}")),
        };
        let message = format!("no worker {} on the roster", quoted(proposal.worker_id));
        let path = format!("{}/worker_id", proposal.path);
        rules::WORKER_UNKNOWN.suggesting(path, message, suggestion)
    }

    /// Whether id and name are those of one worker.
    fn check_identity(
        &self,
        proposal: &Proposal<'_>,
        worker: &Worker,
        findings: &mut Vec<Finding>,
    ) {
        if proposal.worker_id != worker.id() {
            findings.push(rules::ID_FORM.suggesting(
                format!("{}/worker_id", proposal.path),
                format!("worker_id is written {}", quoted(proposal.worker_id)),
                Some(worker.id().to_owned()),
            ));
        }
        let Some(name) = proposal
            .name
            .filter(|name| folded(name) != folded(worker.name()))
        else {
            return;
        };
        let suggestion = match joined(self.roster.named(name).take(MAX_OTHERS)) {
            Some(named) => format!("{} for {}, or {named}", worker.name(), worker.id()),
            None => worker.name().to_owned(),
        };
        findings.push(rules::NAME_MISMATCH.suggesting(
            format!("{}/name", proposal.path),
            format!("{} is {}, not {}", worker.id(), worker.name(), quoted(name)),
            Some(suggestion),
        ));
    }

    /// Whether the worker may do this work, there, for this client, at that time.
    fn check_fit(&self, proposal: &Proposal<'_>, worker: &Worker, findings: &mut Vec<Finding>) {
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
            let wanted: Vec<String> = [city, state].into_iter().flatten().map(quoted).collect();
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
            let message = format!("{who} is barred by client {}", quoted(client));
            findings.push(rules::BARRED.suggesting(path("worker_id"), message, other()));
        }
        let days = match proposal.when {
            When::During(period) => Some(period.days()),
            When::Unsaid => self.need.date.map(|date| (date, date)),
            When::Unreadable => None,
        };
        if let Some((first, last)) = days
            && !worker.is_available(first, last)
        {
            let has = worker.availability();
            let message = format!("{who} is available {has}, the work is from {first} to {last}");
            findings.push(rules::UNAVAILABLE.suggesting(path("worker_id"), message, other()));
        }
    }

    fn check_role(&self, proposal: &Proposal<'_>, worker: &Worker, findings: &mut Vec<Finding>) {
        let wanted = self.need.role.as_deref();
        let path = |field: &str| format!("{}/{field}", proposal.path);
        if let Some(wanted) = wanted.filter(|role| !worker.has_role(role)) {
            findings.push(rules::ROLE_MISMATCH.suggesting(
                path("worker_id"),
                format!(
                    "{} is {}, the opening is for {}",
                    described(worker),
                    quoted(worker.role()),
                    quoted(wanted)
                ),
                self.others().map(|others| format!("propose {others}")),
            ));
        } else if let Some(role) = proposal.role.filter(|role| !worker.has_role(role)) {
            findings.push(rules::ROLE_MISMATCH.suggesting(
                path("role"),
                format!(
                    "role is {}, {} is on record with another",
                    quoted(role),
                    worker.id()
                ),
                Some(worker.role().to_owned()),
            ));
        }
    }
}

/// How a worker is named in messages.
pub(super) fn described(worker: &Worker) -> String {
    format!("{} ({})", worker.id(), worker.name())
}

fn joined<'w>(workers: impl Iterator<Item = &'w Worker>) -> Option<String> {
    let all: Vec<String> = workers.map(described).collect();
    (!all.is_empty()).then(|| all.join(" or "))
}
