//! One worker of record, and what an opening needs of one.

use std::sync::Arc;

use jiff::civil::Date;

use super::folded;
use super::place::same_state;

/// A row of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    pub(super) id: Box<str>,
    pub(super) name: Box<str>,
    // Few distinct values: shared among the rows.
    pub(super) role: Arc<str>,
    pub(super) city: Arc<str>,
    pub(super) state: Arc<str>,
    pub(super) status: Arc<str>,
    pub(super) barred_clients: Box<[Arc<str>]>,
    pub(super) certificates: Box<[Arc<str>]>,
    pub(super) available_from: Option<Date>,
    pub(super) available_to: Option<Date>,
}

impl Worker {
    /// Unique in the roster, such as `W-1001`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Full name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the worker does.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Where the worker works.
    pub fn city(&self) -> &str {
        &self.city
    }

    /// The state of that city.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// `active`, or why not.
    pub fn status(&self) -> &str {
        &self.status
    }

    /// What the worker is certified for.
    pub fn certificates(&self) -> impl Iterator<Item = &str> {
        self.certificates.iter().map(AsRef::as_ref)
    }

    /// Whether the worker may be assigned at all.
    pub fn is_active(&self) -> bool {
        self.status.eq_ignore_ascii_case("active")
    }

    /// Whether this client refuses the worker.
    pub fn is_barred_by(&self, client_id: &str) -> bool {
        !self.barred_clients.is_empty()
            && self
                .barred_clients
                .iter()
                .any(|barred| folded(barred) == folded(client_id))
    }

    /// Whether the worker is available on each day from `first` to `last`.
    pub fn is_available(&self, first: Date, last: Date) -> bool {
        self.available_from.is_none_or(|from| from <= first)
            && self.available_to.is_none_or(|to| last <= to)
    }

    /// Whether the worker does this.
    pub(in crate::engines::validation) fn has_role(&self, role: &str) -> bool {
        folded(&self.role) == folded(role)
    }

    /// Whether the worker works there; what is not asked for matches.
    pub(in crate::engines::validation) fn works_in(
        &self,
        city: Option<&str>,
        state: Option<&str>,
    ) -> bool {
        city.is_none_or(|city| folded(&self.city) == folded(city))
            && state.is_none_or(|state| same_state(&self.state, state))
    }

    /// The days of availability, in words.
    pub(in crate::engines::validation) fn availability(&self) -> String {
        match (self.available_from, self.available_to) {
            (Some(from), Some(to)) => format!("from {from} to {to}"),
            (Some(from), None) => format!("from {from}"),
            (None, Some(to)) => format!("until {to}"),
            (None, None) => "always".to_owned(),
        }
    }

    /// Whether the worker may be assigned to the opening.
    pub(super) fn fits(&self, need: &Need) -> bool {
        self.is_active()
            && need.role.as_deref().is_none_or(|role| self.has_role(role))
            && self.works_in(need.city.as_deref(), need.state.as_deref())
            && need
                .client_id
                .as_deref()
                .is_none_or(|client| !self.is_barred_by(client))
            && need.date.is_none_or(|date| self.is_available(date, date))
    }
}

/// What an opening needs of a worker; what is none does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::engines::validation) struct Need {
    /// What has to be done.
    pub(in crate::engines::validation) role: Option<String>,
    /// Where.
    pub(in crate::engines::validation) city: Option<String>,
    /// Where, at large.
    pub(in crate::engines::validation) state: Option<String>,
    /// For whom.
    pub(in crate::engines::validation) client_id: Option<String>,
    /// When, if the assignment does not say.
    pub(in crate::engines::validation) date: Option<Date>,
}
