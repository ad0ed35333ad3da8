//! One worker of record, and what an opening needs of one.

use std::fmt;

use jiff::civil::Date;

use super::Roster;
use super::row::Row;

/// A row of a roster.
#[derive(Clone, Copy)]
pub struct Worker<'r> {
    pub(super) roster: &'r Roster,
    pub(super) at: u32,
    pub(super) row: &'r Row,
}

impl PartialEq for Worker<'_> {
    /// One worker is one id of one roster.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.roster, other.roster) && self.at == other.at
    }
}

impl fmt::Debug for Worker<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.id(), self.name())
    }
}

impl<'r> Worker<'r> {
    /// Unique in the roster, such as `W-1001`.
    pub fn id(&self) -> &'r str {
        self.roster.id(self.row)
    }

    /// Full name.
    pub fn name(&self) -> &'r str {
        self.roster.name(self.row)
    }

    /// What the worker does.
    pub fn role(&self) -> &'r str {
        self.roster.words.text(self.row.role)
    }

    /// Where the worker works.
    pub fn city(&self) -> &'r str {
        self.roster.words.text(self.row.city)
    }

    /// The state of that city.
    pub fn state(&self) -> &'r str {
        self.roster.states.text(self.row.state)
    }

    /// `active`, or why not.
    pub fn status(&self) -> &'r str {
        self.roster.words.text(self.row.status)
    }

    /// What the worker is certified for, each with the last day of it, where it has one.
    pub fn certificates(&self) -> impl Iterator<Item = (&'r str, Option<Date>)> {
        let roster = self.roster;
        roster.certificates_of(*self).iter().map(|held| {
            let until = (held.until != Date::MAX).then_some(held.until);
            (roster.words.text(held.word), until)
        })
    }

    /// The last day of the certificate that is asked for, `Date::MAX` without end; none if the worker lacks it.
    ///
    /// Of several of one name the one that lasts longest counts.
    pub(in crate::engines::validation) fn certified_until(
        &self,
        certificate: &str,
    ) -> Option<Date> {
        let words = &self.roster.words;
        let wanted = words.key_of(certificate)?;
        let held = self.roster.certificates_of(*self).iter();
        held.filter(|held| words.key(held.word) == Some(wanted))
            .map(|held| held.until)
            .max()
    }

    /// Whether the worker may be assigned at all.
    pub fn is_active(&self) -> bool {
        self.status().eq_ignore_ascii_case("active")
    }

    /// Whether this client refuses the worker.
    pub fn is_barred_by(&self, client_id: &str) -> bool {
        let barred = self.roster.barred_of(*self);
        if barred.is_empty() {
            return false;
        }
        let words = &self.roster.words;
        let client = words.key_of(client_id);
        client.is_some() && barred.iter().any(|word| words.key(*word) == client)
    }

    /// Whether the worker is available on each day from `first` to `last`.
    pub fn is_available(&self, first: Date, last: Date) -> bool {
        self.row.available_from <= first && last <= self.row.available_to
    }

    /// Whether the worker does this.
    pub(in crate::engines::validation) fn has_role(&self, role: &str) -> bool {
        let words = &self.roster.words;
        words.key(self.row.role) == words.key_of(role)
    }

    /// Whether the worker works there; what is not asked for matches.
    pub(in crate::engines::validation) fn works_in(
        &self,
        city: Option<&str>,
        state: Option<&str>,
    ) -> bool {
        let (words, states) = (&self.roster.words, &self.roster.states);
        city.is_none_or(|city| words.key(self.row.city) == words.key_of(city))
            && state.is_none_or(|state| states.key(self.row.state) == states.key_of(state))
    }

    /// The days of availability, in words.
    pub(in crate::engines::validation) fn availability(&self) -> String {
        let (from, to) = (self.row.available_from, self.row.available_to);
        match (from != Date::MIN, to != Date::MAX) {
            (true, true) => format!("from {from} to {to}"),
            (true, false) => format!("from {from}"),
            (false, true) => format!("until {to}"),
            (false, false) => "always".to_owned(),
        }
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
    /// What the worker must be certified for.
    pub(in crate::engines::validation) certificates: Vec<String>,
}
