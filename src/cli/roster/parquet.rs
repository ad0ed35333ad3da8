//! Rosters as Parquet: one column of strings for each of CSV, with nothing where CSV has an empty field.

use std::fs::File;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::types::roster::RosterRow;

/// Rows of a group: what is in memory at a time.
const GROUP_ROWS: usize = 65_536;

/// Writes a file, a group of rows at a time.
pub(super) struct ParquetWriter {
    file: SerializedFileWriter<File>,
    /// Of each column the texts that are there, and 1 or 0 for each row.
    columns: Vec<(Vec<ByteArray>, Vec<i16>)>,
}

impl ParquetWriter {
    pub(super) fn new(file: File) -> Result<Self, ParquetError> {
        let fields = RosterRow::COLUMNS.map(|name| format!("OPTIONAL BYTE_ARRAY {name} (UTF8);"));
        let schema = parse_message_type(&format!("message roster {{ {} }}", fields.concat()))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .build();
        let file = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
        Ok(Self {
            file,
            columns: vec![Default::default(); RosterRow::COLUMNS.len()],
        })
    }

    pub(super) fn push(&mut self, row: &RosterRow) -> Result<(), ParquetError> {
        for ((texts, present), text) in self.columns.iter_mut().zip(row.texts()) {
            present.push(i16::from(!text.is_empty()));
            if !text.is_empty() {
                texts.push(text.into_bytes().into());
            }
        }
        let rows = self.columns.first().map_or(0, |(_, present)| present.len());
        match rows >= GROUP_ROWS {
            true => self.flush(),
            false => Ok(()),
        }
    }

    pub(super) fn finish(mut self) -> Result<(), ParquetError> {
        self.flush()?;
        self.file.close().map(|_| ())
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for (texts, present) in &mut self.columns {
            let column = group.next_column()?;
            let mut column =
                column.ok_or_else(|| ParquetError::General("no column left".to_owned()))?;
            let (texts, present) = (std::mem::take(texts), std::mem::take(present));
            column
                .typed::<ByteArrayType>()
                .write_batch(&texts, Some(&present), None)?;
            column.close()?;
        }
        group.close().map(|_| ())
    }
}
