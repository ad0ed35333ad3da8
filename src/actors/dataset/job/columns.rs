//! The rows of an export once more, as Parquet: beside each file of lines, the same rows in the same order.

use serde_json::Value;

use super::{DatasetError, TICK_LINES};
use crate::engines::dataset::exporters::Exporter;
use crate::engines::dataset::{Flavour, Held, Shape};
use crate::storage::dataset_store::{FileReceipt, Staging};
use crate::storage::parquet_file::{ParquetColumn, ParquetFile, ParquetType};

/// Key of a file's metadata, with the kind and the flavour of the export.
const KEY: &str = "boathouse.export";

/// Writes `parquet/SIDE.parquet` for each of `sides`, which are finished as `data/SIDE.jsonl`.
///
/// They are read again, because what the columns hold is only known at the end.
pub(super) fn write(
    staging: &Staging,
    (exporter, flavour): (&dyn Exporter, Flavour),
    held: Held,
    sides: &[&str],
    tick: &mut dyn FnMut(),
) -> Result<Vec<FileReceipt>, DatasetError> {
    let columns = exporter.columns(flavour).iter().filter_map(|column| {
        let shape = column.feature.shape(held)?;
        Some(ParquetColumn::new(column.name, of_shape(&shape)))
    });
    let columns: Vec<ParquetColumn> = columns.collect();
    let told = [(KEY, format!("{} {flavour}", exporter.kind()))];
    let mut written = Vec::new();
    for side in sides {
        let file = staging.create(&format!("parquet/{side}.parquet"))?;
        let mut file = ParquetFile::create(file, &columns, &told)?;
        let mut lines = staging.lines(&format!("data/{side}.jsonl"))?;
        let mut line = Vec::new();
        let mut at = 0_u64;
        while lines.next(&mut line)? {
            if at.is_multiple_of(TICK_LINES) {
                tick();
            }
            at += 1;
            let row: Value = serde_json::from_slice(&line)
                .map_err(|error| DatasetError::Encode(error.to_string()))?;
            file.row(&row)?;
        }
        written.push(file.finish()?);
    }
    Ok(written)
}

fn of_shape(shape: &Shape) -> ParquetType {
    match shape {
        Shape::Text => ParquetType::Text,
        Shape::Json => ParquetType::Json,
        Shape::Float => ParquetType::Float,
        Shape::Bool => ParquetType::Bool,
        Shape::List(of) => of_shape(of).list(),
        Shape::Struct(members) => ParquetType::Struct(
            members
                .iter()
                .map(|(name, shape)| ParquetColumn::new(name, of_shape(shape)))
                .collect(),
        ),
    }
}
