//! Tables out of CSV.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use csv::{ReaderBuilder, StringRecord};

use super::{Filling, Table, TableError};
use crate::types::plain::counted;

/// Reads a table from CSV whose first line names the columns; `source` is what errors name.
///
/// Columns that nothing reads are left alone. Errors: the line, counted from 1, and the column.
pub fn read_csv<T: Table>(source: &str, file: impl Read + Seek) -> Result<T, TableError> {
    let mut filling = Filling::<T>::new(source, "line");
    let mut reader = ReaderBuilder::new()
        .buffer_capacity(1 << 17)
        .from_reader(file);
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => return Err(filling.wrong_row(1, unread(&error))),
    };
    let columns = filling.columns(header.iter())?;
    let mut record = StringRecord::new();
    loop {
        let start = reader.position().byte();
        let added = match reader.read_record(&mut record) {
            Ok(false) => return Ok(filling.finish()),
            Ok(true) => {
                filling.clear();
                for (column, text) in columns.iter().zip(&record) {
                    if let Some(column) = column {
                        filling.set(*column, text);
                    }
                }
                filling.add(0)
            }
            Err(error) => Err(filling.wrong_row(0, unread(&error))),
        };
        if let Err(mut error) = added {
            let mut file = reader.into_inner();
            let line = line_of(&mut file, start).unwrap_or_default();
            error.place = error.place.map(|(unit, _)| (unit, line));
            return Err(error);
        }
    }
}

/// The line of the row that starts at byte `start`, or after the line ends that are there.
fn line_of(file: &mut (impl Read + Seek), start: u64) -> std::io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut file = BufReader::new(file);
    let (mut line, mut at) = (1, 0);
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(line);
        }
        for byte in bytes {
            if at >= start && !byte.is_ascii_whitespace() {
                return Ok(line);
            }
            line += u64::from(*byte == b'\n');
            at += 1;
        }
        let read = bytes.len();
        file.consume(read);
    }
}

fn unread(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!(
                "{}, the header has {expected_len}; quote fields that hold commas",
                counted(len, "field")
            )
        }
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}
