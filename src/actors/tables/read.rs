//! A table out of a file, by the ending of its name.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::parquet;
use crate::engines::validation::{Table, TableError, read_csv, read_jsonl};

/// Reads `.parquet`, `.jsonl` or `.ndjson` as such, and everything else as CSV.
///
/// Errors: the file, the line or row counted from 1, and the column.
pub fn read_table<T: Table>(path: &Path) -> Result<T, TableError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| TableError::unread(&name, error))?;
    let ending = path
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("parquet") => parquet::read(&name, file),
        Some("jsonl" | "ndjson") => read_jsonl(&name, BufReader::with_capacity(1 << 17, file)),
        _ => read_csv(&name, file),
    }
}
