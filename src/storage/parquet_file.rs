//! Rows of JSON as a Parquet file with typed columns, hashed as it is written.
//!
//! The same rows and columns give the same bytes. Rows wait in memory until they are a group of some 8 MiB; a group can be
//! written beside, while the next one gathers.
//!
//! Every column may be null: JSON leaves out what is not there. A list is `optional group (LIST) { repeated group list {
//! optional … element } }`, as DuckDB, Arrow, Spark and Hugging Face's `datasets` read it.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::Value;

use super::dataset_store::{DatasetStoreError, FileReceipt, HashedFile};
use shred::{Leaf, Node};

mod shred;
#[cfg(test)]
mod tests;

/// Bytes of a group of rows, about.
const GROUP_BYTES: usize = 8 << 20;
/// What the file says wrote it: no version, so that the bytes do not change with it.
const CREATED_BY: &str = "boathouse";

/// A member of every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: ParquetType,
}

impl ParquetColumn {
    /// Names a column.
    pub fn new(name: &str, kind: ParquetType) -> Self {
        let name = name.to_owned();
        Self { name, kind }
    }
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParquetType {
    /// A string.
    Text,
    /// Any JSON, as its text.
    Json,
    /// A whole number, 64 bits.
    Int,
    /// A number, binary64.
    Float,
    /// True or false.
    Bool,
    /// Unix milliseconds, as a time in UTC.
    Time,
    /// Many of one type.
    List(Box<ParquetType>),
    /// An object with these members and no others.
    Struct(Vec<ParquetColumn>),
}

impl ParquetType {
    /// A list of these.
    #[must_use]
    pub fn list(self) -> Self {
        Self::List(Box::new(self))
    }
}

/// A Parquet file in the making.
pub struct ParquetFile {
    /// `None` after an error.
    writer: Option<Writer>,
    /// Whether groups are written on a thread of their own.
    beside: bool,
    path: String,
    row: Node,
    leaves: Vec<Leaf>,
    rows: u64,
    /// Bytes that wait, about.
    bytes: usize,
}

type Open = SerializedFileWriter<HashedFile>;

enum Writer {
    Idle(Box<Open>),
    /// A group is being written.
    Busy(JoinHandle<Result<Box<Open>, ParquetError>>),
}

impl ParquetFile {
    /// Begins a file; `metadata` is kept in it by key.
    ///
    /// Errors: two columns of a name, a struct without members, or the disk failed.
    pub fn create(
        file: HashedFile,
        columns: &[ParquetColumn],
        metadata: &[(&str, String)],
    ) -> Result<Self, DatasetStoreError> {
        let path = file.path().to_owned();
        let failed = |error: ParquetError| unwritten(&path, &error);
        let pairs = metadata
            .iter()
            .map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
        let pairs: Vec<_> = pairs.collect();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(CREATED_BY.to_owned())
            .set_key_value_metadata((!pairs.is_empty()).then_some(pairs))
            .build();
        let mut leaves = Vec::new();
        let row = Node::of_members(columns, &mut leaves)
            .map_err(|reason| unwritten(&path, &ParquetError::General(reason)))?;
        let fields = columns
            .iter()
            .map(|column| field(&column.name, &column.kind));
        let fields = fields.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let schema = Type::group_type_builder("row").with_fields(fields).build();
        let schema = Arc::new(schema.map_err(failed)?);
        let file = SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(failed)?;
        Ok(Self {
            writer: Some(Writer::Idle(Box::new(file))),
            beside: false,
            path,
            row,
            leaves,
            rows: 0,
            bytes: 0,
        })
    }

    /// Writes each group on a thread of its own while the next one gathers, which takes the memory of two.
    #[must_use]
    pub fn beside(self, beside: bool) -> Self {
        Self { beside, ..self }
    }

    /// Adds a row, an object.
    ///
    /// Errors: a member is of another type than its column, or has none; or the disk failed.
    pub fn row(&mut self, row: &Value) -> Result<(), DatasetStoreError> {
        self.rows += 1;
        let added = self.row.shred_row(row, &mut self.leaves);
        self.bytes += added.map_err(|reason| DatasetStoreError::Row {
            path: self.path.clone(),
            row: self.rows,
            reason,
        })?;
        match self.bytes >= GROUP_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Ends the file and forces it to the disk; returns what was written, its rows as `rows`.
    pub fn finish(mut self) -> Result<FileReceipt, DatasetStoreError> {
        self.flush()?;
        let file = self.writer().and_then(|file| file.into_inner());
        let file = file.map_err(|error| unwritten(&self.path, &error))?;
        file.finish_rows(self.rows)
    }

    fn flush(&mut self) -> Result<(), DatasetStoreError> {
        if self.bytes == 0 {
            return Ok(());
        }
        self.bytes = 0;
        self.group().map_err(|error| unwritten(&self.path, &error))
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        let mut file = self.writer()?;
        let next = self.leaves.iter().map(Leaf::empty).collect();
        let leaves = std::mem::replace(&mut self.leaves, next);
        let write = move || -> Result<Box<Open>, ParquetError> {
            let mut columns = file.next_row_group()?;
            for leaf in leaves {
                let column = columns.next_column()?;
                let missing = || ParquetError::General("no column left".to_owned());
                leaf.write(column.ok_or_else(missing)?)?;
            }
            columns.close()?;
            Ok(file)
        };
        self.writer = Some(match self.beside {
            true => Writer::Busy(thread::Builder::new().name("parquet".into()).spawn(write)?),
            false => Writer::Idle(write()?),
        });
        Ok(())
    }

    /// Takes the file, when the group that is being written is.
    fn writer(&mut self) -> Result<Box<Open>, ParquetError> {
        match self.writer.take() {
            Some(Writer::Idle(file)) => Ok(file),
            Some(Writer::Busy(thread)) => {
                thread.join().unwrap_or_else(|panic| resume_unwind(panic))
            }
            None => Err(ParquetError::General("an earlier write failed".to_owned())),
        }
    }
}

fn unwritten(path: &str, error: &ParquetError) -> DatasetStoreError {
    DatasetStoreError::Io {
        action: "write",
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// The column's type in Parquet's words.
fn field(name: &str, kind: &ParquetType) -> Result<Arc<Type>, ParquetError> {
    let primitive = |physical, converted| {
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_converted_type(converted)
            .build()
    };
    let group = |fields, repetition, converted| {
        Type::group_type_builder(name)
            .with_repetition(repetition)
            .with_converted_type(converted)
            .with_fields(fields)
            .build()
    };
    match kind {
        ParquetType::Text | ParquetType::Json => {
            primitive(Physical::BYTE_ARRAY, ConvertedType::UTF8)
        }
        ParquetType::Int => primitive(Physical::INT64, ConvertedType::NONE),
        ParquetType::Time => primitive(Physical::INT64, ConvertedType::TIMESTAMP_MILLIS),
        ParquetType::Float => primitive(Physical::DOUBLE, ConvertedType::NONE),
        ParquetType::Bool => primitive(Physical::BOOLEAN, ConvertedType::NONE),
        ParquetType::List(of) => {
            let many = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![field("element", of)?])
                .build()?;
            let many = vec![Arc::new(many)];
            group(many, Repetition::OPTIONAL, ConvertedType::LIST)
        }
        ParquetType::Struct(members) => {
            let fields = members
                .iter()
                .map(|member| field(&member.name, &member.kind));
            let fields = fields.collect::<Result<Vec<_>, _>>()?;
            group(fields, Repetition::OPTIONAL, ConvertedType::NONE)
        }
    }
    .map(Arc::new)
}
