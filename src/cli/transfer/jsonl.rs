//! JSON lines, as the server exports them or as somebody else wrote them.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Head, Row, Source, failed};
use crate::cli::error::CliError;
use crate::types::export::{EXPORT_FORMAT, ExportHead, ExportLine};
use crate::types::plain::counted;

/// Longest line: some times what a point may hold.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// Reads the first line; the others as they are asked for.
pub(super) fn open(path: &Path) -> Result<Source, CliError> {
    let mut lines = Lines {
        file: BufReader::with_capacity(
            1 << 20,
            File::open(path).map_err(|error| failed(path)(&error))?,
        ),
        path: path.to_owned(),
        number: 0,
        head: None,
        points: 0,
        ended: false,
        first: None,
    };
    let head = match lines.read()? {
        Some(ExportLine {
            export: Some(head), ..
        }) => Some(checked(head).map_err(|error| lines.wrong(error))?),
        first => {
            lines.first = first;
            None
        }
    };
    lines.head.clone_from(&head);
    let rows = Box::new(lines);
    Ok(Source { head, rows })
}

/// Refuses what only a newer version can read.
pub(super) fn checked(head: ExportHead) -> Result<ExportHead, String> {
    match head.format {
        EXPORT_FORMAT => Ok(head),
        found => Err(format!(
            "the export has format {found}, this version reads {EXPORT_FORMAT}; use a newer version"
        )),
    }
}

/// Reads a point's line.
pub(super) fn row(line: ExportLine) -> Result<Row, String> {
    let id = match line.id {
        Some(Value::String(id)) => id,
        Some(Value::Number(id)) if id.is_u64() => id.to_string(),
        _ => return Err("id must be a string or a whole number".to_owned()),
    };
    if line.vector.is_none() && line.text.is_none() {
        return Err(format!("point {id} has neither vector nor text"));
    }
    Ok(Row {
        id,
        vector: line.vector,
        text: line.text,
        payload: line.payload.unwrap_or_default(),
        refined: line.refined,
    })
}

/// A file on its way.
struct Lines {
    file: BufReader<File>,
    path: PathBuf,
    number: usize,
    head: Head,
    points: usize,
    ended: bool,
    /// Read already, and a point.
    first: Option<ExportLine>,
}

impl Lines {
    fn read(&mut self) -> Result<Option<ExportLine>, CliError> {
        loop {
            let mut line = Vec::new();
            let read = self
                .file
                .by_ref()
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line)
                .map_err(|error| failed(&self.path)(&error))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if read as u64 == MAX_LINE_BYTES {
                return Err(self.wrong(format!("longer than {MAX_LINE_BYTES} bytes")));
            }
            if !line.trim_ascii().is_empty() {
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|error| self.wrong(error));
            }
        }
    }

    fn wrong(&self, error: impl std::fmt::Display) -> CliError {
        failed(&self.path)(&format_args!("line {}: {error}", self.number))
    }

    fn point(&mut self) -> Result<Option<Row>, CliError> {
        let line = match self.first.take() {
            Some(first) => Some(first),
            None => self.read()?,
        };
        match line {
            Some(line) if self.ended => {
                drop(line);
                Err(self.wrong("more after the end"))
            }
            Some(ExportLine { end: Some(end), .. }) => {
                if end.points != self.points {
                    let before = counted(self.points, "point");
                    let reason = format!("the end counts {}, before it: {before}", end.points);
                    return Err(self.wrong(reason));
                }
                self.ended = true;
                self.point()
            }
            Some(line) => {
                self.points += 1;
                row(line).map(Some).map_err(|error| self.wrong(error))
            }
            None if self.head.is_some() && !self.ended => {
                let reason = "the end is missing: the export was cut short; export again";
                Err(failed(&self.path)(&reason))
            }
            None => Ok(None),
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Row, CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.point().transpose()
    }
}
