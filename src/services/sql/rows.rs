//! What DataFusion answers, as rows of JSON.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::json::WriterBuilder;
use datafusion::arrow::json::writer::LineDelimited;
use datafusion::error::{DataFusionError, Result};
use serde_json::{Map, Value};

use super::{Row, SqlColumn};

/// The columns of an answer.
pub(super) fn columns(schema: &Schema) -> Vec<SqlColumn> {
    let names = names(schema);
    let fields = schema.fields().iter();
    let columns = fields.zip(names).map(|(field, name)| SqlColumn {
        name,
        number: field.data_type().is_numeric(),
    });
    columns.collect()
}

/// The rows of a batch: times as in RFC 3339, what has no shape in JSON as text.
pub(super) fn of(batch: &RecordBatch) -> Result<Vec<Row>> {
    let schema = batch.schema();
    let names = names(&schema);
    let fields = schema.fields().iter().zip(&names);
    let fields: Vec<Field> = fields
        .map(|(field, name)| field.as_ref().clone().with_name(name))
        .collect();
    let batch = RecordBatch::try_new_with_options(
        Arc::new(Schema::new(fields)),
        batch.columns().to_vec(),
        &datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
    )?;
    let mut lines = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, LineDelimited>(Vec::new());
    lines.write(&batch)?;
    lines.finish()?;
    let lines = lines.into_inner();
    let rows = serde_json::Deserializer::from_slice(&lines).into_iter::<Map<String, Value>>();
    let rows = rows.map(|row| {
        let mut row = row.map_err(|error| DataFusionError::External(error.into()))?;
        let values = names.iter();
        let values = values.map(|name| row.remove(name).unwrap_or_default());
        Ok(values.collect())
    });
    rows.collect()
}

/// The names of the columns, each another: a join may give two of one name.
fn names(schema: &Schema) -> Vec<String> {
    let fields = schema.fields().iter();
    let own: HashSet<&str> = fields.map(|field| field.name().as_str()).collect();
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for field in schema.fields() {
        let mut name = field.name().clone();
        let mut next = 2;
        while seen.contains(&name) || (next > 2 && own.contains(name.as_str())) {
            name = format!("{}_{next}", field.name());
            next += 1;
        }
        seen.insert(name.clone());
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;

    use super::*;

    #[test]
    fn every_column_has_a_name_of_its_own() {
        let fields = ["a", "a", "a_2", "a", "b"];
        let fields = fields.map(|name| Field::new(name, DataType::Int64, true));
        let names = names(&Schema::new(fields.to_vec()));
        assert_eq!(names, ["a", "a_3", "a_2", "a_4", "b"]);
    }
}
