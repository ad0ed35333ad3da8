//! Tables out of files: the same columns and the same errors from CSV, JSON lines and whoever has rows.

mod csv;
mod error;
mod jsonl;

use std::collections::HashSet;

use serde_json::Value;

pub use csv::read_csv;
pub use error::TableError;
pub use jsonl::{add_object, read_jsonl};

use crate::engines::nearest::nearest;
use crate::engines::validation::fields::kind_of;
use crate::engines::validation::shown::quoted;

/// A table that is made row by row.
pub trait Table: Default {
    /// What errors call it when it has no file.
    const NAME: &'static str;
    /// Columns that must be there and filled.
    const REQUIRED: &'static [&'static str];
    /// Columns that may be there.
    const OPTIONAL: &'static [&'static str];

    /// Adds a row: the texts of the required columns, then of the optional ones, trimmed, empty where there is none.
    ///
    /// Errors: the column, and what is wrong with it.
    fn add(&mut self, row: &[String]) -> Result<(), (&'static str, String)>;

    /// Makes it ready to be read.
    fn finish(&mut self);
}

/// A table on its way.
pub struct Filling<T> {
    table: T,
    source: String,
    /// What rows are counted as: line, row, point.
    unit: &'static str,
    row: Vec<String>,
}

impl<T: Table> Filling<T> {
    /// Begins a table. `source` is what errors name, `unit` what rows are counted in.
    pub fn new(source: &str, unit: &'static str) -> Self {
        Self {
            table: T::default(),
            source: source.to_owned(),
            unit,
            row: vec![String::new(); T::REQUIRED.len() + T::OPTIONAL.len()],
        }
    }

    /// The place in a row of the column of this name; `None`: nothing reads it.
    pub fn column(name: &str) -> Option<usize> {
        let name = name.trim();
        let mut known = T::REQUIRED.iter().chain(T::OPTIONAL);
        known.position(|column| column.eq_ignore_ascii_case(name))
    }

    /// Finds the columns of a header.
    ///
    /// Errors: a required one is missing, or one is there twice.
    pub fn columns<'h>(
        &self,
        header: impl Iterator<Item = &'h str>,
    ) -> Result<Vec<Option<usize>>, TableError> {
        let names: Vec<String> = header.map(|name| name.trim().to_lowercase()).collect();
        let wrong = |problem| {
            let required = T::REQUIRED.join(", ");
            let problem = format!("{problem}; the columns {required} must be there");
            Err(self.wrong_as_a_whole(problem))
        };
        for wanted in T::REQUIRED {
            if !names.iter().any(|name| name == wanted) {
                let strangers = names.iter().map(String::as_str);
                let strangers = strangers.filter(|name| Self::column(name).is_none());
                let meant = nearest(wanted, strangers)
                    .map(|name| format!(", rename {} to {wanted}", quoted(name)))
                    .unwrap_or_default();
                return wrong(format!("no column {wanted}{meant}"));
            }
        }
        let mut seen = HashSet::new();
        if let Some(twice) = names
            .iter()
            .find(|name| !name.is_empty() && !seen.insert(*name))
        {
            return wrong(format!("two columns {}", quoted(twice)));
        }
        Ok(names.iter().map(|name| Self::column(name)).collect())
    }

    /// Begins the next row, with nothing in it.
    pub fn clear(&mut self) {
        self.row.iter_mut().for_each(String::clear);
    }

    /// Gives the row a text.
    pub fn set(&mut self, column: usize, text: &str) {
        if let Some(place) = self.row.get_mut(column) {
            place.push_str(text.trim());
        }
    }

    /// Gives the row a value of JSON: a text or a number; lists of them are joined by `;`, as are objects of `name`
    /// and `expires`.
    ///
    /// Errors: what is wrong, at `number`.
    pub fn set_json(&mut self, number: u64, name: &str, value: &Value) -> Result<(), TableError> {
        let Some(column) = Self::column(name) else {
            return Ok(());
        };
        let mut text = String::new();
        if let Err(problem) = write(value, &mut text) {
            return Err(self.wrong(number, name, problem));
        }
        self.set(column, &text);
        Ok(())
    }

    /// Adds the row that was begun last; `number` counts in the unit.
    pub fn add(&mut self, number: u64) -> Result<(), TableError> {
        let required = T::REQUIRED.iter().zip(&self.row);
        if let Some((name, _)) = required.into_iter().find(|(_, text)| text.is_empty()) {
            return Err(self.wrong(number, name, "is empty"));
        }
        let added = self.table.add(&self.row);
        added.map_err(|(column, problem)| self.wrong(number, column, problem))
    }

    /// Makes the table ready.
    pub fn finish(mut self) -> T {
        self.table.finish();
        self.table
    }

    /// Says what is wrong with one column of one row.
    pub fn wrong(&self, number: u64, column: &str, problem: impl Into<String>) -> TableError {
        TableError {
            source: self.source.clone(),
            place: Some((self.unit, number)),
            column: Some(column.to_owned()),
            problem: problem.into(),
        }
    }

    /// Says what is wrong with a row.
    pub fn wrong_row(&self, number: u64, problem: impl Into<String>) -> TableError {
        TableError {
            column: None,
            ..self.wrong(number, "", problem)
        }
    }

    /// Says what is wrong with all of it.
    pub fn wrong_as_a_whole(&self, problem: impl Into<String>) -> TableError {
        TableError {
            place: None,
            ..self.wrong_row(0, problem)
        }
    }
}

fn write(value: &Value, text: &mut String) -> Result<(), String> {
    use std::fmt::Write as _;
    match value {
        Value::Null => {}
        Value::String(string) => text.push_str(string),
        Value::Number(number) => {
            // Writing to a String cannot fail.
            let _ = write!(text, "{number}");
        }
        Value::Array(items) => {
            for item in items {
                if !text.is_empty() {
                    text.push(';');
                }
                match item {
                    Value::Array(_) => return Err("is a list of lists".to_owned()),
                    Value::String(item) if item.contains(';') => {
                        return Err(format!("{} holds a ;, which splits lists", quoted(item)));
                    }
                    item => write(item, text)?,
                }
            }
        }
        Value::Object(fields) => {
            let field = |name: &str| fields.get(name).and_then(Value::as_str);
            let name = field("name").ok_or("is an object without a name")?;
            text.push_str(name);
            match fields.get("expires") {
                None | Some(Value::Null) => {}
                Some(Value::String(expires)) => {
                    text.push(':');
                    text.push_str(expires);
                }
                Some(other) => {
                    return Err(format!(
                        "has an expires that is {}, not a date",
                        kind_of(other)
                    ));
                }
            }
        }
        Value::Bool(_) => return Err(format!("must be a text, is {}", kind_of(value))),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
