//! The workers of record, found by id, by name and by what is near to either.

mod folded;
mod near;
mod place;
mod rows;
mod worker;

use std::collections::HashMap;

use super::ValidationError;

pub(super) use folded::folded;
pub(super) use worker::Need;
pub use worker::Worker;

/// Sixty invented workers, for demonstrations and first steps.
pub const DEMO_ROSTER: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/config/demo/roster.csv"
));

/// Workers looked at when searching for some who fit.
const MAX_SEARCHED: usize = 20_000;

/// Every known worker. Built once, then only read.
#[derive(Debug, Default)]
pub struct Roster {
    workers: Vec<Worker>,
    // Invariant: each value below is an index into `workers`.
    by_id: HashMap<Box<str>, u32>,
    by_name: HashMap<Box<str>, Vec<u32>>,
    by_name_word: HashMap<Box<str>, Vec<u32>>,
    by_role: HashMap<Box<str>, Vec<u32>>,
}

impl Roster {
    /// Reads a roster from CSV text whose first line names the columns.
    ///
    /// Required: `worker_id, name, role, city, state, status`. Optional: `barred_clients` and
    /// `certificates` (lists split by `;`), `available_from` and `available_to` (dates). Others are
    /// ignored.
    ///
    /// Errors: [`ValidationError::RosterHeader`], [`ValidationError::RosterRow`] with its line.
    pub fn parse_csv(text: &str) -> Result<Self, ValidationError> {
        rows::parse(text)
    }

    /// Number of workers.
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Whether nobody is on it.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// The worker with this id; case and surrounding space do not matter.
    pub fn find(&self, worker_id: &str) -> Option<&Worker> {
        self.by_id
            .get(id_key(worker_id).as_str())
            .and_then(|at| self.at(*at))
    }

    /// The workers of this name; case and spacing do not matter.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Worker> {
        let found = self
            .by_name
            .get(folded(name).as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        found.iter().filter_map(|at| self.at(*at))
    }

    /// Workers who fit `need` and satisfy `also`, in the order of the roster.
    ///
    /// Looks at a bounded part of a large roster.
    pub(super) fn fitting(
        &self,
        need: &Need,
        also: impl Fn(&Worker) -> bool,
    ) -> impl Iterator<Item = &Worker> {
        let of_role = need.role.as_deref().map(|role| {
            self.by_role
                .get(folded(role).as_str())
                .map(Vec::as_slice)
                .unwrap_or_default()
        });
        let all = if of_role.is_some() {
            &[][..]
        } else {
            &self.workers[..]
        };
        let of_role = of_role
            .unwrap_or_default()
            .iter()
            .filter_map(|at| self.at(*at));
        of_role
            .chain(all)
            .take(MAX_SEARCHED)
            .filter(move |worker| worker.fits(need) && also(worker))
    }

    /// Adds a worker; gives it back if its id is taken.
    fn add(&mut self, worker: Worker) -> Result<(), Box<Worker>> {
        let id = id_key(worker.id());
        // More rows than u32 counts do not fit in memory.
        let at = u32::try_from(self.workers.len()).unwrap_or(u32::MAX);
        if self.by_id.contains_key(id.as_str()) {
            return Err(Box::new(worker));
        }
        let name = folded(worker.name());
        for word in name.split(' ') {
            push(&mut self.by_name_word, word, at);
        }
        push(&mut self.by_name, &name, at);
        push(&mut self.by_role, &folded(worker.role()), at);
        self.by_id.insert(id.into_boxed_str(), at);
        self.workers.push(worker);
        Ok(())
    }

    fn at(&self, at: u32) -> Option<&Worker> {
        self.workers.get(usize::try_from(at).ok()?)
    }
}

fn push(index: &mut HashMap<Box<str>, Vec<u32>>, key: &str, at: u32) {
    match index.get_mut(key) {
        Some(found) => found.push(at),
        None => {
            index.insert(Box::from(key), vec![at]);
        }
    }
}

/// The form in which ids are compared.
fn id_key(worker_id: &str) -> String {
    worker_id.trim().to_uppercase()
}
