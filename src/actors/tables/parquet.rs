//! Tables out of Parquet: columns of strings, whole numbers, dates, and lists of strings.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use parquet::basic::ConvertedType;
use parquet::column::reader::ColumnReader;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

use crate::engines::validation::{Filling, Table, TableError};

/// Rows that are in memory at a time.
const BATCH: usize = 4_096;

/// Reads a table; `source` is what errors name.
pub(super) fn read<T: Table>(source: &str, file: File) -> Result<T, TableError> {
    // The reader of a mangled file may panic.
    catch_unwind(AssertUnwindSafe(|| rows(source, file)))
        .unwrap_or_else(|_| Err(TableError::unread(source, "the file is damaged")))
}

fn rows<T: Table>(source: &str, file: File) -> Result<T, TableError> {
    let unread = |error: ParquetError| TableError::unread(source, error);
    let reader = SerializedFileReader::new(file).map_err(unread)?;
    let mut filling = Filling::<T>::new(source, "row");
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let header = schema.root_schema().get_fields().iter();
    filling.columns(header.map(|field| field.name()))?;
    for field in schema.root_schema().get_fields() {
        let name = field.name();
        if Filling::<T>::column(name).is_some() && !is_plain(&schema, name) {
            return Err(filling.wrong_as_a_whole(format!(
                "column {name} is a map or has parts: use strings, or a list of strings"
            )));
        }
    }
    let mut number = 0;
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(unread)?;
        let mut columns = Vec::new();
        for (at, described) in schema.columns().iter().enumerate() {
            let name = described.path().parts().first();
            let name = name.map(String::as_str).unwrap_or_default();
            let Some(place) = Filling::<T>::column(name) else {
                continue;
            };
            let reader = group.get_column_reader(at).map_err(unread)?;
            columns.push(Column::new(place, described, reader));
        }
        loop {
            let mut counts = Vec::with_capacity(columns.len());
            for column in &mut columns {
                let read = column.fill();
                counts.push(read.map_err(|error| {
                    filling.wrong(number + column.len() as u64, &column.name, error)
                })?);
            }
            let count = counts.first().copied().unwrap_or(0);
            if counts.iter().any(|other| *other != count) {
                return Err(filling.wrong_as_a_whole("its columns are of different lengths"));
            }
            if count == 0 {
                break;
            }
            for at in 0..count {
                number += 1;
                filling.clear();
                for column in &columns {
                    filling.set(column.place, column.text(at));
                }
                filling.add(number)?;
            }
        }
    }
    Ok(filling.finish())
}

/// Whether a column holds one value a row, or a list of them.
fn is_plain(schema: &SchemaDescriptor, name: &str) -> bool {
    let of_name =
        |column: &&ColumnDescPtr| column.path().parts().first().map(String::as_str) == Some(name);
    let mut columns = schema.columns().iter().filter(of_name);
    let (Some(column), None) = (columns.next(), columns.next()) else {
        return false;
    };
    // Lists are written as `name`, `name.array` or `name.list.element`.
    match column.path().parts().len() {
        1 => true,
        2 | 3 => column.max_rep_level() == 1,
        _ => false,
    }
}

/// One column of a group of rows, a batch at a time.
struct Column {
    place: usize,
    name: String,
    described: ColumnDescPtr,
    reader: ColumnReader,
    /// The texts of the batch, one after the other, and where each ends.
    texts: String,
    ends: Vec<usize>,
}

impl Column {
    fn new(place: usize, described: &ColumnDescPtr, reader: ColumnReader) -> Self {
        let name = described.path().parts().first().cloned();
        Self {
            place,
            name: name.unwrap_or_default(),
            described: described.clone(),
            reader,
            texts: String::new(),
            ends: Vec::new(),
        }
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn text(&self, at: usize) -> &str {
        let from = match at.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or_default(),
            None => 0,
        };
        let to = self.ends.get(at).copied().unwrap_or(from);
        self.texts.get(from..to).unwrap_or_default()
    }

    /// Reads the next batch. Returns how many rows it has.
    fn fill(&mut self) -> Result<usize, String> {
        self.texts.clear();
        self.ends.clear();
        let (mut present, mut repeated) = (Vec::new(), Vec::new());
        macro_rules! batch {
            ($reader:expr) => {{
                let mut values = Vec::new();
                let levels = (Some(&mut present), Some(&mut repeated));
                $reader
                    .read_records(BATCH, levels.0, levels.1, &mut values)
                    .map_err(|error| error.to_string())?;
                values
            }};
        }
        let is_date = self.described.converted_type() == ConvertedType::DATE;
        match &mut self.reader {
            ColumnReader::ByteArrayColumnReader(reader) => {
                let values: Vec<ByteArray> = batch!(reader);
                self.spread(&values, (&present, &repeated), |value, text| {
                    let value = std::str::from_utf8(value.data());
                    text.push_str(value.map_err(|_| "is not UTF-8".to_owned())?);
                    Ok(())
                })?;
            }
            ColumnReader::Int32ColumnReader(reader) => {
                let values: Vec<i32> = batch!(reader);
                self.spread(&values, (&present, &repeated), |value, text| {
                    match is_date {
                        true => text.push_str(&day(*value)?.to_string()),
                        false => text.push_str(&value.to_string()),
                    }
                    Ok(())
                })?;
            }
            ColumnReader::Int64ColumnReader(reader)
                if self.described.converted_type() == ConvertedType::NONE
                    || self.described.converted_type() == ConvertedType::INT_64 =>
            {
                let values: Vec<i64> = batch!(reader);
                self.spread(&values, (&present, &repeated), |value, text| {
                    text.push_str(&value.to_string());
                    Ok(())
                })?;
            }
            _ => {
                let physical = self.described.physical_type();
                return Err(format!("is of type {physical}: use strings"));
            }
        }
        Ok(self.ends.len())
    }

    /// Gives each row its value, nothing, or the values of its list with `;` between them.
    fn spread<V>(
        &mut self,
        values: &[V],
        (present, repeated): (&[i16], &[i16]),
        write: impl Fn(&V, &mut String) -> Result<(), String>,
    ) -> Result<(), String> {
        let (deepest, lists) = (
            self.described.max_def_level(),
            self.described.max_rep_level(),
        );
        if lists > 1 {
            return Err("is a list of lists: use a list of strings".to_owned());
        }
        let mut values = values.iter();
        let slots = match deepest {
            0 => values.len(),
            _ => present.len(),
        };
        for slot in 0..slots {
            let goes_on = lists == 1 && repeated.get(slot).is_some_and(|level| *level > 0);
            match goes_on {
                true => self.texts.push(';'),
                false if slot > 0 => self.ends.push(self.texts.len()),
                false => {}
            }
            if deepest == 0 || present.get(slot) == Some(&deepest) {
                let value = values.next().ok_or("has fewer values than it says")?;
                write(value, &mut self.texts)?;
            }
        }
        if slots > 0 {
            self.ends.push(self.texts.len());
        }
        Ok(())
    }
}

fn day(days: i32) -> Result<Date, String> {
    date(1970, 1, 1)
        .checked_add(i64::from(days).days())
        .map_err(|_| "is no date of our time".to_owned())
}
