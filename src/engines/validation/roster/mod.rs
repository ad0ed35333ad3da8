//! The workers of record, found by id, by name and by what is near to either.
//!
//! Half a million of them are some 80 MB: ids and names lie in one text, what many share is kept once, and the indexes
//! are lists of numbers.

mod calendar;
mod folded;
mod generate;
mod ids;
mod near;
mod place;
mod postings;
mod row;
mod table;
mod vocabulary;
mod words;
mod worker;

use std::io::Cursor;

use self::ids::IdTable;
use self::postings::{Postings, hash};
use self::row::{Held, Row};
use self::vocabulary::Vocabulary;
use self::words::Words;
use super::ValidationError;

pub(super) use calendar::Booked;
pub use calendar::Calendar;
pub(super) use folded::{folded, same_but_accents};
pub use generate::generate;
pub use table::{Filling, Table, TableError, add_object, read_csv, read_jsonl};
pub(super) use worker::Need;
pub use worker::Worker;

/// Sixty invented workers, for demonstrations and first steps.
pub const DEMO_ROSTER: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/config/demo/roster.csv"
));

/// Workers looked at when searching for some who fit.
const MAX_SEARCHED: usize = 5_000;

/// Every known worker. Built once, then only read.
///
/// Columns: `worker_id, name, role, city, state, status`, and optional `barred_clients` and `certificates` (lists split
/// by `;`, a certificate as `name` or `name:2027-01-31`), `available_from` and `available_to` (dates). Others are
/// left alone.
#[derive(Debug)]
pub struct Roster {
    rows: Vec<Row>,
    /// Id and name of each row, one after the other.
    texts: String,
    /// Roles, cities, statuses, clients and certificates.
    words: Words,
    states: Words,
    barred: Vec<u32>,
    certificates: Vec<Held>,
    by_id: IdTable,
    /// By all words of the name in any order, and by the first and the last.
    by_name: Postings,
    vocabulary: Vocabulary,
    by_role: Postings,
    by_role_and_city: Postings,
}

impl Default for Roster {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            texts: String::new(),
            words: Words::new(folded),
            states: Words::new(place::state_key),
            barred: Vec::new(),
            certificates: Vec::new(),
            by_id: IdTable::default(),
            by_name: Postings::default(),
            vocabulary: Vocabulary::default(),
            by_role: Postings::default(),
            by_role_and_city: Postings::default(),
        }
    }
}

impl Roster {
    /// Reads a roster from CSV text whose first line names the columns.
    ///
    /// Errors: [`ValidationError::Table`] with line and column.
    pub fn parse_csv(text: &str) -> Result<Self, ValidationError> {
        Ok(read_csv("roster", Cursor::new(text))?)
    }

    /// Number of workers.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nobody is on it.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The worker with this id; case and surrounding space do not matter.
    pub fn find(&self, worker_id: &str) -> Option<Worker<'_>> {
        let key = id_key(worker_id);
        self.with_id(hash(&key), |id| same_id(id, &key))
    }

    /// The workers of this name; case and spacing do not matter.
    pub fn named(&self, name: &str) -> impl Iterator<Item = Worker<'_>> {
        let words = folded::plain_words(name);
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        let key = (!words.is_empty()).then(|| row::name_hash(&mut words));
        let name = folded(name);
        key.into_iter()
            .flat_map(|key| self.by_name.of(key))
            .filter_map(|at| self.at(at))
            .filter(move |worker| folded(worker.name()) == name)
    }

    /// Up to `most` workers who fit `need` and satisfy `also`, in the order of the roster.
    ///
    /// Looks at a bounded part of a large roster.
    pub(super) fn fitting(
        &self,
        need: &Need,
        most: usize,
        also: impl Fn(Worker<'_>) -> bool,
    ) -> Vec<Worker<'_>> {
        // What nobody on the roster is or holds, nobody fits.
        let known = |wanted: Option<&str>| match wanted {
            Some(text) => self.words.key_of(text).map(Some),
            None => Some(None),
        };
        let keys = (known(need.role.as_deref()), known(need.city.as_deref()));
        let (Some(role), Some(city)) = keys else {
            return Vec::new();
        };
        let fits = |worker: &Worker<'_>| fits(*worker, need) && also(*worker);
        match (role, city) {
            (Some(role), Some(city)) => {
                let found = self.by_role_and_city.of(row::role_and_city(role, city));
                self.first(found, most, fits)
            }
            (Some(role), None) => self.first(self.by_role.of(role), most, fits),
            (None, _) => {
                let all = 0..u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
                self.first(all, most, fits)
            }
        }
    }

    fn first(
        &self,
        rows: impl Iterator<Item = u32>,
        most: usize,
        fits: impl Fn(&Worker<'_>) -> bool,
    ) -> Vec<Worker<'_>> {
        let workers = rows.take(MAX_SEARCHED).filter_map(|at| self.at(at));
        workers.filter(fits).take(most).collect()
    }

    fn with_id(&self, hash: u32, same: impl Fn(&str) -> bool) -> Option<Worker<'_>> {
        let is = |at: u32| self.at(at).is_some_and(|worker| same(worker.id()));
        self.by_id.find(hash, is).and_then(|at| self.at(at))
    }

    fn at(&self, at: u32) -> Option<Worker<'_>> {
        let row = self.rows.get(at as usize)?;
        Some(Worker {
            roster: self,
            at,
            row,
        })
    }

    fn id(&self, row: &Row) -> &str {
        let from = row.text as usize;
        let to = from + usize::from(row.id_len);
        self.texts.get(from..to).unwrap_or_default()
    }

    fn name(&self, row: &Row) -> &str {
        let from = row.text as usize + usize::from(row.id_len);
        let to = from + usize::from(row.name_len);
        self.texts.get(from..to).unwrap_or_default()
    }

    fn barred_of(&self, worker: Worker<'_>) -> &[u32] {
        let next = self.rows.get(worker.at as usize + 1);
        let end = next.map_or(self.barred.len(), |next| next.barred as usize);
        let from = worker.row.barred as usize;
        self.barred.get(from..end).unwrap_or_default()
    }

    fn certificates_of(&self, worker: Worker<'_>) -> &[Held] {
        let next = self.rows.get(worker.at as usize + 1);
        let end = next.map_or(self.certificates.len(), |next| next.certificates as usize);
        let from = worker.row.certificates as usize;
        self.certificates.get(from..end).unwrap_or_default()
    }
}

/// Whether the worker may be assigned to the opening.
fn fits(worker: Worker<'_>, need: &Need) -> bool {
    let certified = |certificate: &String| {
        let until = worker.certified_until(certificate);
        until.is_some_and(|until| need.date.is_none_or(|date| date <= until))
    };
    worker.is_active()
        && need
            .role
            .as_deref()
            .is_none_or(|role| worker.has_role(role))
        && worker.works_in(need.city.as_deref(), need.state.as_deref())
        && need
            .client_id
            .as_deref()
            .is_none_or(|client| !worker.is_barred_by(client))
        && need.date.is_none_or(|date| worker.is_available(date, date))
        && need.certificates.iter().all(certified)
}

/// The form in which ids are compared.
fn id_key(worker_id: &str) -> String {
    worker_id.trim().to_uppercase()
}

/// Whether an id has this form.
fn same_id(id: &str, key: &str) -> bool {
    match id.is_ascii() {
        true => id.eq_ignore_ascii_case(key),
        false => id.to_uppercase() == key,
    }
}

#[cfg(test)]
mod tests;
