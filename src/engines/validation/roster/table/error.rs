//! What is wrong with a file of rows, and where.

use std::fmt;

/// A table that cannot be used as it is; change the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableError {
    pub(super) source: String,
    /// Unit and number, counted from 1.
    pub(super) place: Option<(&'static str, u64)>,
    pub(super) column: Option<String>,
    pub(super) problem: String,
}

impl TableError {
    /// A file that cannot be read at all.
    pub fn unread(source: &str, problem: impl fmt::Display) -> Self {
        Self {
            source: source.to_owned(),
            place: None,
            column: None,
            problem: format!("cannot be read: {problem}"),
        }
    }

    /// Names the point that the row is, instead of counting it.
    #[must_use]
    pub fn of_point(mut self, id: &str) -> Self {
        self.place = None;
        self.source = format!("{} point {id}", self.source);
        self
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.source)?;
        if let Some((unit, number)) = self.place {
            write!(out, " {unit} {number}")?;
        }
        if let Some(column) = &self.column {
            write!(out, ", column {column}")?;
        }
        write!(out, ": {}", self.problem)
    }
}

impl std::error::Error for TableError {}
