//! Parquet, for DuckDB, Arrow, Spark and whoever else reads it: one row a point.
//!
//! Columns: `id` string, `vector` list of float, `text` string, `payload` JSON in a string, `refined_scale` float and
//! `refined_codes` binary for second vectors. The collection's properties are in the file's metadata.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row as Record};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use super::{Row, Source, failed, jsonl};
use crate::cli::error::CliError;
use crate::types::export::{ExportHead, SecondVector};

const SCHEMA: &str = "message points {
    REQUIRED BYTE_ARRAY id (UTF8);
    REQUIRED GROUP vector (LIST) { REPEATED GROUP list { REQUIRED FLOAT element; } }
    OPTIONAL BYTE_ARRAY text (UTF8);
    REQUIRED BYTE_ARRAY payload (UTF8);
    OPTIONAL FLOAT refined_scale;
    OPTIONAL BYTE_ARRAY refined_codes;
}";
/// Key of the file's metadata, with [`ExportHead`] as JSON.
const HEAD: &str = "boathouse.export";
/// Bytes of a group of rows, about: what is in memory at a time.
const GROUP_BYTES: usize = 16 << 20;

/// Writes a file, a group of rows at a time.
pub(super) struct ParquetWriter {
    /// `None` before the first row: the head comes first.
    file: Option<SerializedFileWriter<File>>,
    unopened: Option<File>,
    head: Option<KeyValue>,
    group: Group,
}

/// Rows of one group, by column.
#[derive(Default)]
struct Group {
    bytes: usize,
    ids: Vec<ByteArray>,
    numbers: Vec<f32>,
    /// 0 where a vector begins, 1 where it goes on; and 0 where one is empty, 1 where a number is.
    repetitions: Vec<i16>,
    present: Vec<i16>,
    texts: Optional<ByteArray>,
    payloads: Vec<ByteArray>,
    scales: Optional<f32>,
    codes: Optional<ByteArray>,
}

struct Optional<T> {
    values: Vec<T>,
    /// 1 where there is a value.
    levels: Vec<i16>,
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        let (values, levels) = (Vec::new(), Vec::new());
        Self { values, levels }
    }
}

impl<T> Optional<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

fn wrong(error: impl std::fmt::Display) -> CliError {
    CliError::failed(error.to_string())
}

impl ParquetWriter {
    pub(super) fn new(file: File) -> Self {
        Self {
            file: None,
            unopened: Some(file),
            head: None,
            group: Group::default(),
        }
    }

    /// Takes the collection's properties. They must come before the points.
    pub(super) fn head(&mut self, head: &ExportHead) -> Result<(), CliError> {
        let head = serde_json::to_string(head).map_err(wrong)?;
        self.head = Some(KeyValue::new(HEAD.to_owned(), head));
        Ok(())
    }

    /// Adds a point.
    pub(super) fn push(&mut self, row: Row) -> Result<(), CliError> {
        self.group.push(row)?;
        match self.group.bytes >= GROUP_BYTES {
            true => self.flush().map_err(wrong),
            false => Ok(()),
        }
    }

    /// Ends the file and waits until it is on the disk.
    pub(super) fn finish(mut self) -> Result<(), CliError> {
        self.flush().map_err(wrong)?;
        let file = self.file.take().map(SerializedFileWriter::into_inner);
        match file {
            Some(file) => file.map_err(wrong)?.sync_all().map_err(wrong),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        if let Some(file) = self.unopened.take() {
            // Vectors hold no repetition to squeeze, and ids none to look up.
            let (vector, id) = ("vector.list.element", "id");
            let properties = WriterProperties::builder()
                .set_compression(Compression::SNAPPY)
                .set_column_compression(ColumnPath::from(vector), Compression::UNCOMPRESSED)
                .set_column_dictionary_enabled(ColumnPath::from(vector), false)
                .set_column_dictionary_enabled(ColumnPath::from(id), false)
                .set_key_value_metadata(self.head.take().map(|head| vec![head]))
                .build();
            let schema = Arc::new(parse_message_type(SCHEMA)?);
            let file = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
            self.file = Some(file);
        }
        let group = std::mem::take(&mut self.group);
        if let (Some(file), false) = (&mut self.file, group.ids.is_empty()) {
            let mut columns = file.next_row_group()?;
            group.write(&mut columns)?;
            columns.close()?;
        }
        Ok(())
    }
}

impl Group {
    fn push(&mut self, row: Row) -> Result<(), CliError> {
        let payload = serde_json::to_vec(&row.payload).map_err(wrong)?;
        let vector = row.vector.unwrap_or_default();
        self.bytes += row.id.len() + 8 * vector.len() + payload.len();
        self.bytes += row.text.as_ref().map_or(0, String::len);
        self.ids.push(row.id.into_bytes().into());
        if vector.is_empty() {
            self.repetitions.push(0);
            self.present.push(0);
        }
        for at in 0..vector.len() {
            self.repetitions.push(i16::from(at > 0));
            self.present.push(1);
        }
        self.numbers.extend(vector);
        self.texts
            .push(row.text.map(|text| text.into_bytes().into()));
        self.payloads.push(payload.into());
        let (scale, codes) = match row.refined {
            Some(SecondVector { scale, codes }) => {
                (Some(scale), Some(STANDARD.decode(codes).map_err(wrong)?))
            }
            None => (None, None),
        };
        self.scales.push(scale);
        self.codes.push(codes.map(ByteArray::from));
        Ok(())
    }

    /// Writes the columns in the order of [`SCHEMA`].
    fn write(self, columns: &mut SerializedRowGroupWriter<'_, File>) -> Result<(), ParquetError> {
        bytes(columns, &self.ids, None)?;
        let levels = (Some(&self.present[..]), Some(&self.repetitions[..]));
        floats(columns, &self.numbers, levels)?;
        bytes(columns, &self.texts.values, Some(&self.texts.levels))?;
        bytes(columns, &self.payloads, None)?;
        floats(
            columns,
            &self.scales.values,
            (Some(&self.scales.levels), None),
        )?;
        bytes(columns, &self.codes.values, Some(&self.codes.levels))
    }
}

fn bytes(
    columns: &mut SerializedRowGroupWriter<'_, File>,
    values: &[ByteArray],
    present: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let column = columns.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("no column left".to_owned()))?;
    column
        .typed::<ByteArrayType>()
        .write_batch(values, present, None)?;
    column.close()
}

fn floats(
    columns: &mut SerializedRowGroupWriter<'_, File>,
    values: &[f32],
    (present, repetitions): (Option<&[i16]>, Option<&[i16]>),
) -> Result<(), ParquetError> {
    let column = columns.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("no column left".to_owned()))?;
    column
        .typed::<FloatType>()
        .write_batch(values, present, repetitions)?;
    column.close()
}

/// Reads what stands before the rows; the rows as they are asked for.
pub(super) fn open(path: &Path) -> Result<Source, CliError> {
    let wrong = failed(path);
    let file = File::open(path).map_err(|error| wrong(&error))?;
    // The reader of a mangled file may panic.
    let reader = fenced(|| SerializedFileReader::new(file)).map_err(|error| wrong(&error))?;
    let metadata = reader.metadata().file_metadata();
    let head = metadata
        .key_value_metadata()
        .and_then(|pairs| pairs.iter().find(|pair| pair.key == HEAD))
        .and_then(|pair| pair.value.as_deref());
    let head = head
        .map(|head| {
            serde_json::from_str(head)
                .map_err(|error| error.to_string())
                .and_then(jsonl::checked)
        })
        .transpose()
        .map_err(|error| wrong(&error))?;
    let rows = RowIter::from_file_into(Box::new(reader));
    Ok(Source {
        head,
        rows: Box::new(Records {
            rows: AssertUnwindSafe(rows),
            number: 0,
            over: false,
            path: path.to_owned(),
        }),
    })
}

fn fenced<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ParquetError::General("the file is damaged".to_owned())))
}

/// A file on its way.
struct Records {
    rows: AssertUnwindSafe<RowIter<'static>>,
    number: usize,
    /// After an error nothing more is read.
    over: bool,
    path: PathBuf,
}

impl Iterator for Records {
    type Item = Result<Row, CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        self.number += 1;
        let read = match fenced(|| self.rows.next().transpose()) {
            Ok(None) => return None,
            Ok(Some(record)) => row(record),
            Err(error) => Err(error.to_string()),
        };
        self.over = read.is_err();
        let number = self.number;
        Some(read.map_err(|error| failed(&self.path)(&format_args!("row {number}: {error}"))))
    }
}

/// Reads a row by the names of its columns; others are left alone.
fn row(record: Record) -> Result<Row, String> {
    let (mut id, mut vector, mut text, mut payload) = (None, None, None, None);
    let (mut scale, mut codes) = (None, None);
    for (name, field) in record.into_columns() {
        match (name.as_str(), field) {
            (_, Field::Null) => {}
            ("id", field) => id = Some(id_of(field)?),
            ("text", field) => text = Some(string("text", field)?),
            ("vector", Field::ListInternal(list)) => {
                let numbers = list.elements().iter().map(number);
                vector = Some(numbers.collect::<Result<Vec<f32>, String>>()?);
            }
            ("payload", field) => {
                let read = serde_json::from_str(&string("payload", field)?);
                payload =
                    Some(read.map_err(|error| format!("payload is no JSON object: {error}"))?);
            }
            ("refined_scale", Field::Float(number)) => scale = Some(number),
            ("refined_codes", Field::Bytes(bytes)) => codes = Some(STANDARD.encode(bytes.data())),
            ("vector" | "refined_scale" | "refined_codes", field) => {
                return Err(format!("{name} is of another type: {field}"));
            }
            _ => {}
        }
    }
    let id = id.ok_or("there is no id")?;
    let vector = vector.filter(|vector: &Vec<f32>| !vector.is_empty());
    if vector.is_none() && text.is_none() {
        return Err(format!("point {id} has neither vector nor text"));
    }
    let refined = scale.zip(codes);
    Ok(Row {
        id,
        vector,
        text,
        payload: payload.unwrap_or_default(),
        refined: refined.map(|(scale, codes)| SecondVector { scale, codes }),
    })
}

fn id_of(field: Field) -> Result<String, String> {
    match field {
        Field::Long(number) if number >= 0 => Ok(number.to_string()),
        Field::Int(number) if number >= 0 => Ok(number.to_string()),
        Field::ULong(number) => Ok(number.to_string()),
        Field::UInt(number) => Ok(number.to_string()),
        other => string("id", other),
    }
}

fn string(name: &str, field: Field) -> Result<String, String> {
    match field {
        Field::Str(text) => Ok(text),
        Field::Bytes(bytes) => String::from_utf8(bytes.data().to_vec())
            .map_err(|error| format!("{name} is no text: {error}")),
        other => Err(format!("{name} is no string: {other}")),
    }
}

fn number(field: &Field) -> Result<f32, String> {
    match field {
        Field::Float(number) => Ok(*number),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "vectors are kept in single precision"
        )]
        Field::Double(number) => Ok(*number as f32),
        other => Err(format!("a vector holds {other}, which is no float")),
    }
}
