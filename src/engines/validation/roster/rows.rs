//! A roster out of CSV text.

use std::collections::HashSet;
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord};
use jiff::civil::Date;

use super::{Roster, Worker};
use crate::engines::validation::ValidationError;
use crate::engines::validation::nearest::nearest;
use crate::engines::validation::shown::quoted;

const REQUIRED: [&str; 6] = ["worker_id", "name", "role", "city", "state", "status"];

/// Where each column is.
struct Columns {
    required: [usize; 6],
    barred_clients: Option<usize>,
    certificates: Option<usize>,
    available_from: Option<usize>,
    available_to: Option<usize>,
}

pub(super) fn parse(text: &str) -> Result<Roster, ValidationError> {
    let mut reader = ReaderBuilder::new().from_reader(text.as_bytes());
    let header = reader
        .headers()
        .map_err(|error| row_error(text, 0, unread(&error)))?;
    let columns = Columns::find(header)?;
    let mut roster = Roster::default();
    let mut words = HashSet::new();
    let mut record = StringRecord::new();
    loop {
        let start = reader.position().byte();
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(roster),
            Err(error) => return Err(row_error(text, start, unread(&error))),
        }
        columns
            .worker(&record, &mut words)
            .and_then(|worker| roster.add(worker).map_err(|taken| taken_by(&taken)))
            .map_err(|problem| row_error(text, start, problem))?;
    }
}

/// Names the line of the row that starts at byte `start`, or after the line ends that are there.
fn row_error(text: &str, start: u64, problem: String) -> ValidationError {
    let start = usize::try_from(start).unwrap_or(usize::MAX).min(text.len());
    let (head, rest) = text.as_bytes().split_at(start);
    let ends = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
    let line = 1 + head
        .iter()
        .chain(ends)
        .filter(|byte| **byte == b'\n')
        .count();
    ValidationError::RosterRow {
        line: u64::try_from(line).unwrap_or(u64::MAX),
        problem,
    }
}

fn unread(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("{len} fields, the header has {expected_len}; quote fields that hold commas")
        }
        _ => error.to_string(),
    }
}

fn taken_by(worker: &Worker) -> String {
    format!(
        "worker_id {} is taken by an earlier line: ids are unique",
        quoted(worker.id())
    )
}

impl Columns {
    fn find(header: &StringRecord) -> Result<Self, ValidationError> {
        let names: Vec<String> = header
            .iter()
            .map(|name| name.trim().to_lowercase())
            .collect();
        let wrong = |problem| {
            Err(ValidationError::RosterHeader {
                problem,
                required: REQUIRED.join(", "),
            })
        };
        let find = |wanted: &str| names.iter().position(|name| name == wanted);
        let mut required = [0; 6];
        for (at, wanted) in required.iter_mut().zip(REQUIRED) {
            match find(wanted) {
                Some(found) => *at = found,
                None => {
                    let strangers = names.iter().map(String::as_str);
                    let strangers = strangers.filter(|name| !REQUIRED.contains(name));
                    let meant = nearest(wanted, strangers)
                        .map(|name| format!(", rename {} to {wanted}", quoted(name)))
                        .unwrap_or_default();
                    return wrong(format!("no column {wanted}{meant}"));
                }
            }
        }
        let mut seen = HashSet::new();
        if let Some(twice) = names
            .iter()
            .find(|name| !name.is_empty() && !seen.insert(*name))
        {
            return wrong(format!("two columns {}", quoted(twice)));
        }
        Ok(Self {
            required,
            barred_clients: find("barred_clients"),
            certificates: find("certificates"),
            available_from: find("available_from"),
            available_to: find("available_to"),
        })
    }

    fn worker(
        &self,
        record: &StringRecord,
        words: &mut HashSet<Arc<str>>,
    ) -> Result<Worker, String> {
        let field = |at: usize| record.get(at).unwrap_or_default().trim();
        for (at, name) in self.required.iter().zip(REQUIRED) {
            if field(*at).is_empty() {
                return Err(format!("{name} is empty"));
            }
        }
        let optional = |at: Option<usize>| at.map(field).unwrap_or_default();
        let date = |name: &str, at: Option<usize>| match optional(at) {
            "" => Ok(None),
            text => text
                .parse::<Date>()
                .map(Some)
                .map_err(|_| format!("{name} is {}: use a date such as 2026-03-01", quoted(text))),
        };
        let available_from = date("available_from", self.available_from)?;
        let available_to = date("available_to", self.available_to)?;
        if let (Some(from), Some(to)) = (available_from, available_to)
            && to < from
        {
            return Err(format!("available_to {to} is before available_from {from}"));
        }
        let [id, name, role, city, state, status] = self.required.map(field);
        Ok(Worker {
            id: Box::from(id),
            name: Box::from(name),
            role: shared(words, role),
            city: shared(words, city),
            state: shared(words, state),
            status: shared(words, status),
            barred_clients: list(words, optional(self.barred_clients)),
            certificates: list(words, optional(self.certificates)),
            available_from,
            available_to,
        })
    }
}

fn list(words: &mut HashSet<Arc<str>>, text: &str) -> Box<[Arc<str>]> {
    let items = text
        .split(';')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    items.map(|item| shared(words, item)).collect()
}

fn shared(words: &mut HashSet<Arc<str>>, word: &str) -> Arc<str> {
    if let Some(known) = words.get(word) {
        return Arc::clone(known);
    }
    let word: Arc<str> = Arc::from(word);
    words.insert(Arc::clone(&word));
    word
}

#[cfg(test)]
mod tests;
