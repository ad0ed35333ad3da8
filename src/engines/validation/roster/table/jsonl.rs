//! Tables out of JSON lines.

use std::io::BufRead;

use serde_json::{Map, Value};

use super::{Filling, Table, TableError};
use crate::engines::validation::fields::kind_of;

/// Longest line, bytes.
const MAX_LINE: usize = 1 << 20;

/// Reads a table from one JSON object a line; `source` is what errors name. Blank lines are left out.
///
/// Names that nothing reads are left alone. Errors: the line, counted from 1, and the name.
pub fn read_jsonl<T: Table>(source: &str, mut file: impl BufRead) -> Result<T, TableError> {
    let mut filling = Filling::<T>::new(source, "line");
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = std::io::Read::take(&mut file, MAX_LINE as u64).read_until(b'\n', &mut line);
        match read {
            Ok(0) => break,
            Ok(read) if read == MAX_LINE => {
                let problem = format!("longer than {MAX_LINE} bytes");
                return Err(filling.wrong_row(number, problem));
            }
            Ok(_) => {}
            Err(error) => return Err(TableError::unread(source, error)),
        }
        let text = match number {
            1 => line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&line),
            _ => &line,
        };
        let text = text.trim_ascii_end();
        if text.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Value>(text) {
            Ok(Value::Object(object)) => add_object(&mut filling, number, &object)?,
            Ok(other) => {
                let problem = format!("must be an object, is {}", kind_of(&other));
                return Err(filling.wrong_row(number, problem));
            }
            Err(error) => {
                let (what, at) = (error.to_string(), error.column());
                // It tells of a place of its own, in this line.
                let what = what.split(" at line ").next().unwrap_or_default();
                let problem = format!("is no JSON at character {at}: {what}");
                return Err(filling.wrong_row(number, problem));
            }
        }
    }
    Ok(filling.finish())
}

/// Adds a row that is a JSON object.
pub fn add_object<T: Table>(
    filling: &mut Filling<T>,
    number: u64,
    object: &Map<String, Value>,
) -> Result<(), TableError> {
    filling.clear();
    for (name, value) in object {
        filling.set_json(number, name, value)?;
    }
    if let Some(name) = T::REQUIRED.iter().find(|name| !object.contains_key(**name)) {
        // Only where it is missing: names may be written in another case.
        let there = object
            .keys()
            .any(|key| key.trim().eq_ignore_ascii_case(name));
        if !there {
            return filling
                .columns(object.keys().map(String::as_str))
                .map(|_| ())
                .map_err(|error| filling.wrong_row(number, error.problem));
        }
    }
    filling.add(number)
}
