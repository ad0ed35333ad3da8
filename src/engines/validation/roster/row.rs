//! How a worker is kept: forty bytes, and the texts elsewhere.

use jiff::civil::Date;

use super::{Roster, id_key, same_id};
use crate::engines::validation::roster::folded::plain_words;
use crate::engines::validation::roster::postings::hash;
use crate::engines::validation::roster::table::Table;
use crate::engines::validation::shown::quoted;

/// Longest id and longest name, bytes.
const MAX_TEXT: usize = 1_000;
/// Texts of all ids and names, bytes: places in them are `u32`.
const MAX_TEXTS: usize = u32::MAX as usize;

/// One worker. Texts are numbers of words; what there are several of ends where that of the next row begins.
#[derive(Debug)]
pub(super) struct Row {
    /// Where id and name are in the texts of the roster, one after the other.
    pub(super) text: u32,
    pub(super) id_len: u16,
    pub(super) name_len: u16,
    pub(super) role: u32,
    pub(super) city: u32,
    pub(super) state: u32,
    pub(super) status: u32,
    pub(super) barred: u32,
    pub(super) certificates: u32,
    /// `Date::MIN` and `Date::MAX` where there is no bound.
    pub(super) available_from: Date,
    pub(super) available_to: Date,
}

/// A certificate that a worker holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) word: u32,
    /// The last day; `Date::MAX` without end.
    pub(super) until: Date,
}

impl Table for Roster {
    const NAME: &'static str = "roster";
    const REQUIRED: &'static [&'static str] =
        &["worker_id", "name", "role", "city", "state", "status"];
    const OPTIONAL: &'static [&'static str] = &[
        "barred_clients",
        "certificates",
        "available_from",
        "available_to",
    ];

    fn add(&mut self, row: &[String]) -> Result<(), (&'static str, String)> {
        let [
            id,
            name,
            role,
            city,
            state,
            status,
            barred,
            certificates,
            from,
            to,
        ] = row
        else {
            return Err(("worker_id", "is of another table".to_owned()));
        };
        let available_from = bound("available_from", from)?.unwrap_or(Date::MIN);
        let available_to = bound("available_to", to)?.unwrap_or(Date::MAX);
        if available_to < available_from {
            let problem = format!("{available_to} is before available_from {available_from}");
            return Err(("available_to", problem));
        }
        for (column, text) in [("worker_id", id), ("name", name)] {
            if text.len() > MAX_TEXT {
                return Err((column, format!("is longer than {MAX_TEXT} bytes")));
            }
        }
        let key = id_key(id);
        let key_hash = hash(&key);
        if self
            .by_id
            .find(key_hash, |row| self.is_id(row, &key))
            .is_some()
        {
            let problem = format!("{} is taken by an earlier row: ids are unique", quoted(id));
            return Err(("worker_id", problem));
        }
        let too_many = |_| {
            (
                "worker_id",
                "is one too many: the roster is full".to_owned(),
            )
        };
        let at = u32::try_from(self.rows.len()).map_err(too_many)?;
        if self.texts.len() + id.len() + name.len() > MAX_TEXTS {
            return Err(("name", "is one too many: 4 GiB of ids and names".to_owned()));
        }
        let row = Row {
            text: u32::try_from(self.texts.len()).map_err(too_many)?,
            id_len: u16::try_from(id.len()).map_err(too_many)?,
            name_len: u16::try_from(name.len()).map_err(too_many)?,
            role: self.words.add(role),
            city: self.words.add(city),
            state: self.states.add(state),
            status: self.words.add(status),
            barred: u32::try_from(self.barred.len()).map_err(too_many)?,
            certificates: u32::try_from(self.certificates.len()).map_err(too_many)?,
            available_from,
            available_to,
        };
        for client in items(barred) {
            let client = self.words.add(client);
            self.barred.push(client);
        }
        for item in items(certificates) {
            let held = self.held(item)?;
            self.certificates.push(held);
        }
        self.texts.push_str(id);
        self.texts.push_str(name);
        self.by_id.insert(key_hash, at);
        self.index_name(name, at);
        if let Some(role) = self.words.key(row.role) {
            self.by_role.add(role, at);
            if let Some(city) = self.words.key(row.city) {
                self.by_role_and_city.add(role_and_city(role, city), at);
            }
        }
        self.rows.push(row);
        Ok(())
    }

    fn finish(&mut self) {
        self.rows.shrink_to_fit();
        self.texts.shrink_to_fit();
        self.barred.shrink_to_fit();
        self.certificates.shrink_to_fit();
        self.by_name.finish();
        self.by_role.finish();
        self.by_role_and_city.finish();
        self.vocabulary.finish();
    }
}

impl Roster {
    fn is_id(&self, row: u32, key: &str) -> bool {
        let row = self.rows.get(row as usize);
        row.is_some_and(|row| same_id(self.id(row), key))
    }

    fn index_name(&mut self, name: &str, at: u32) {
        let words = plain_words(name);
        for word in &words {
            self.vocabulary.add(word);
        }
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let [first, _, .., last] = words.as_slice() {
            self.by_name.add(name_hash(&mut [*first, *last]), at);
        }
        self.by_name.add(name_hash(&mut words), at);
    }

    /// Reads `name` or `name:2027-01-31`.
    fn held(&mut self, item: &str) -> Result<Held, (&'static str, String)> {
        let (name, until) = match item.rsplit_once(':') {
            Some((name, date)) if date.trim().starts_with(|c: char| c.is_ascii_digit()) => {
                let wrong = |_| {
                    let (item, date) = (quoted(item), quoted(date.trim()));
                    let problem = format!("{item}: {date} is no date; use NAME or NAME:2027-01-31");
                    ("certificates", problem)
                };
                (name.trim(), date.trim().parse::<Date>().map_err(wrong)?)
            }
            _ => (item, Date::MAX),
        };
        if name.is_empty() {
            return Err(("certificates", format!("{} has no name", quoted(item))));
        }
        let word = self.words.add(name);
        Ok(Held { word, until })
    }
}

/// What the words of a name, in any order, are looked up by.
pub(super) fn name_hash(words: &mut [&str]) -> u32 {
    words.sort_unstable();
    let mut of_all = super::postings::Hash::new();
    for word in words {
        of_all = of_all.bytes(word.as_bytes()).bytes(b" ");
    }
    of_all.finish()
}

/// One key of two; who looks it up checks both.
pub(super) fn role_and_city(role: u32, city: u32) -> u32 {
    role.wrapping_mul(0x9e37_79b1) ^ city
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(';')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// A date, or none where the column is empty.
fn bound(column: &'static str, text: &str) -> Result<Option<Date>, (&'static str, String)> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<Date>() {
        Ok(date) => Ok(Some(date)),
        Err(_) => {
            let problem = format!("is {}: use a date such as 2026-03-01", quoted(text));
            Err((column, problem))
        }
    }
}
