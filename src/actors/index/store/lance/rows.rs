//! Points as rows, and back.

use std::collections::HashMap;
use std::sync::Arc;

use lancedb::arrow::arrow_array::builder::{
    Float32Builder, Float64Builder, Int64Builder, ListBuilder, StringBuilder,
};
use lancedb::arrow::arrow_array::cast::AsArray;
use lancedb::arrow::arrow_array::types::Float32Type;
use lancedb::arrow::arrow_array::{Array, ArrayRef, FixedSizeListArray, RecordBatch, StringArray};
use lancedb::arrow::arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use serde_json::{Map, Value};

use super::extremes::{DATED, Extreme, Extremes, PLAIN};
use super::{layout, terms};
use crate::engines::index::{reached, words_of};
use crate::types::point::Point;

type Payload = Map<String, Value>;

/// No moment: a list of moments is never empty, so that the engine needs no word on those that are.
const NO_MOMENT: i64 = i64::MIN;

/// The rows of points in a table with these columns.
pub(super) fn batch(schema: &SchemaRef, points: &[Point]) -> Result<RecordBatch, ArrowError> {
    let reached: Vec<_> = points.iter().map(|point| reached(&point.payload)).collect();
    let strings = |of: &dyn Fn(&Point) -> Option<String>| -> ArrayRef {
        Arc::new(StringArray::from_iter(points.iter().map(of)))
    };
    let mut columns: HashMap<String, ArrayRef> = HashMap::from([
        (
            layout::ID.to_owned(),
            strings(&|point| Some(point.id.clone())),
        ),
        (
            layout::TEXT.to_owned(),
            strings(&|point| point.text.clone()),
        ),
        (
            layout::PAYLOAD.to_owned(),
            strings(&|point| serde_json::to_string(&point.payload).ok()),
        ),
        (
            layout::WORDS.to_owned(),
            strings(&|point| point.text.as_deref().map(words)),
        ),
    ]);
    let mut list = ListBuilder::new(StringBuilder::new());
    for reached in &reached {
        for term in terms::of(reached) {
            list.values().append_value(term);
        }
        list.append(true);
    }
    columns.insert(layout::TERMS.to_owned(), Arc::new(list.finish()));
    if let Ok(field) = schema.field_with_name(layout::VECTOR) {
        columns.insert(layout::VECTOR.to_owned(), vectors(field, points)?);
    }
    columns.extend(declared(schema.fields(), &reached));
    let all = schema.fields().iter().map(|field| {
        let column = columns.remove(field.name());
        column.ok_or_else(|| {
            ArrowError::SchemaError(format!(
                "the table has a column of its own: {}",
                field.name()
            ))
        })
    });
    RecordBatch::try_new(Arc::clone(schema), all.collect::<Result<_, _>>()?)
}

/// Columns of declared fields for rows that are there already.
pub(super) fn added(schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let payloads: Vec<Payload> = strings(rows, layout::PAYLOAD)?
        .iter()
        .map(|text| text.map_or_else(|| Ok(Payload::new()), serde_json::from_str))
        .collect::<Result<_, _>>()
        .map_err(|error| ArrowError::JsonError(error.to_string()))?;
    let reached: Vec<_> = payloads.iter().map(reached).collect();
    let mut columns = declared(schema.fields(), &reached);
    let all = schema.fields().iter().map(|field| {
        let column = columns.remove(field.name());
        column.ok_or_else(|| ArrowError::SchemaError(format!("no such column: {}", field.name())))
    });
    RecordBatch::try_new(Arc::clone(schema), all.collect::<Result<_, _>>()?)
}

/// The words of a text, each as often as it occurs.
fn words(text: &str) -> String {
    let mut out = String::new();
    for (word, count) in words_of(text) {
        for _ in 0..count {
            out.push_str(&word);
            out.push(' ');
        }
    }
    out
}

fn vectors(field: &Field, points: &[Point]) -> Result<ArrayRef, ArrowError> {
    let DataType::FixedSizeList(item, dim) = field.data_type() else {
        return Err(ArrowError::SchemaError("vector is no list".to_owned()));
    };
    let length: usize = points.iter().map(|point| point.vector.len()).sum();
    let mut values = Float32Builder::with_capacity(length);
    for point in points {
        values.append_slice(&point.vector);
    }
    let list =
        FixedSizeListArray::try_new(Arc::clone(item), *dim, Arc::new(values.finish()), None)?;
    Ok(Arc::new(list))
}

/// The columns of declared fields, by their names.
fn declared(
    fields: &Fields,
    reached: &[std::collections::BTreeMap<String, Vec<&Value>>],
) -> HashMap<String, ArrayRef> {
    let by_prefix = layout::by_prefix(fields);
    if by_prefix.is_empty() {
        return HashMap::new();
    }
    // Points are mostly alike: a path is hashed once.
    let mut prefixes: HashMap<&str, String> = HashMap::new();
    let mut extremes: HashMap<String, Vec<Extremes<'_>>> = by_prefix
        .keys()
        .map(|prefix| (prefix.clone(), vec![Extremes::default(); reached.len()]))
        .collect();
    for (row, reached) in reached.iter().enumerate() {
        for (path, values) in reached {
            let prefix = prefixes
                .entry(path.as_str())
                .or_insert_with(|| layout::prefix(path));
            if let Some(rows) = extremes.get_mut(prefix.as_str()) {
                rows[row] = Extremes::of(values);
            }
        }
    }
    let columns = by_prefix.iter().flat_map(|(prefix, fields)| {
        let rows = extremes.get(prefix).map(Vec::as_slice).unwrap_or_default();
        fields.iter().filter_map(move |field| {
            let suffix = field.name().get(prefix.len()..)?;
            Some((field.name().clone(), column(suffix, rows)?))
        })
    });
    columns.collect()
}

fn column(suffix: &str, rows: &[Extremes<'_>]) -> Option<ArrayRef> {
    if suffix == "moments" {
        let mut list = ListBuilder::new(Int64Builder::new());
        for row in rows {
            list.values().append_value(NO_MOMENT);
            list.values().append_slice(&row.every_moment);
            list.append(true);
        }
        return Some(Arc::new(list.finish()));
    }
    let mut all = PLAIN.into_iter().chain(DATED);
    let which: Extreme = all.find(|which| which.suffix() == suffix)?;
    Some(match which.data_type() {
        DataType::Int64 => {
            let mut out = Int64Builder::with_capacity(rows.len());
            rows.iter()
                .for_each(|row| out.append_option(row.whole(which)));
            Arc::new(out.finish())
        }
        DataType::Float64 => {
            let mut out = Float64Builder::with_capacity(rows.len());
            rows.iter()
                .for_each(|row| out.append_option(row.number(which)));
            Arc::new(out.finish())
        }
        _ => Arc::new(StringArray::from_iter(
            rows.iter().map(|row| row.text(which)),
        )),
    })
}

/// The points of rows; without vectors where they were not read.
pub(super) fn points(rows: &RecordBatch) -> Result<Vec<Point>, ArrowError> {
    let ids = strings(rows, layout::ID)?;
    let texts = strings(rows, layout::TEXT)?;
    let payloads = strings(rows, layout::PAYLOAD)?;
    let vectors = rows.column_by_name(layout::VECTOR);
    let vectors = vectors.and_then(|vectors| vectors.as_fixed_size_list_opt());
    let points = (0..rows.num_rows()).map(|row| {
        let vector = vectors.map(|vectors| {
            let vector = vectors.value(row);
            let values = vector.as_primitive_opt::<Float32Type>();
            values.map(|values| values.values().to_vec())
        });
        let text = texts.is_valid(row).then(|| texts.value(row).to_owned());
        let payload = match payloads.is_valid(row) {
            true => serde_json::from_str(payloads.value(row))
                .map_err(|error| ArrowError::JsonError(error.to_string()))?,
            false => Payload::new(),
        };
        Ok(Point {
            id: ids.value(row).to_owned(),
            vector: vector.flatten().unwrap_or_default(),
            text,
            payload,
        })
    });
    points.collect()
}

/// A column of strings.
pub(super) fn strings<'a>(
    rows: &'a RecordBatch,
    name: &str,
) -> Result<&'a StringArray, ArrowError> {
    let column = rows.column_by_name(name).and_then(|it| it.as_string_opt());
    column.ok_or_else(|| ArrowError::SchemaError(format!("no column {name} of strings")))
}

/// A column of numbers that a search adds.
pub(super) fn numbers<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a [f32], ArrowError> {
    let column = rows.column_by_name(name);
    let column = column.and_then(|it| it.as_primitive_opt::<Float32Type>());
    let column = column.map(|column| &column.values()[..]);
    column.ok_or_else(|| ArrowError::SchemaError(format!("no column {name} of numbers")))
}

/// The schema of these columns alone.
pub(super) fn only(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}
