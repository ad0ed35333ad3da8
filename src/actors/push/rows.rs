//! Evidence as Parquet: of each segment one file for each day of its records.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::PushError;
use crate::engines::dataset::Day;
use crate::storage::dataset_store::{FileReceipt, Staging};
use crate::storage::evidence_log::{Segment, records};
use crate::storage::parquet_file::ParquetType::{Int, Json, Struct, Text, Time};
use crate::storage::parquet_file::{ParquetColumn, ParquetFile};
use crate::types::evidence::EvidenceRecord;

/// Files that are written at the same time: what was imported may be of thousands of days.
const DAYS_AT_A_TIME: usize = if cfg!(test) { 2 } else { 64 };

/// The columns: a record's members, and the `key` of its body.
pub(super) fn columns() -> Vec<ParquetColumn> {
    let column = ParquetColumn::new;
    let erased = vec![
        column("at", Time),
        column("by", Int),
        column("reason", Text),
    ];
    vec![
        column("seq", Int),
        column("ts", Time),
        column("schema", Int),
        column("kind", Text),
        column("id", Text),
        column("key", Text),
        column("body", Json),
        column("content", Text),
        column("salt", Text),
        column("erased", Struct(erased)),
        column("prev", Text),
        column("hash", Text),
    ]
}

fn row(record: EvidenceRecord) -> Value {
    let number = |number: u64| i64::try_from(number).map_or(Value::Null, Value::from);
    let mut row = Map::new();
    let mut member = |name: &str, value: Value| {
        if !value.is_null() {
            row.insert(name.to_owned(), value);
        }
    };
    member("seq", number(record.seq));
    member("ts", number(record.ts));
    member("schema", record.schema.into());
    member("kind", record.kind.name().into());
    member("id", record.id.into());
    let key = record.body.get("key").and_then(Value::as_str);
    member("key", key.map_or(Value::Null, Value::from));
    member("body", record.body);
    member("content", record.content.into());
    member("salt", record.salt.into());
    let erased = record.erased.map(
        |erased| json!({"at": number(erased.at), "by": number(erased.by), "reason": erased.reason}),
    );
    member("erased", erased.into());
    member("prev", record.prev.into());
    member("hash", record.hash.into());
    Value::Object(row)
}

/// Writes the records of a segment as `DATE/NAME`, by date. Lines that are no records are left out: the segment has them.
pub(super) fn write(
    journal: &Path,
    segment: &Segment,
    (staging, name): (&Staging, &str),
    tick: &mut dyn FnMut() -> Result<(), PushError>,
) -> Result<Vec<FileReceipt>, PushError> {
    let lines = || records(journal, vec![segment.clone()]);
    let mut days = BTreeSet::new();
    for line in lines() {
        if let Ok(record) = line?.record {
            days.insert(Day::of(record.ts));
        }
    }
    tick()?;
    let days: Vec<Day> = days.into_iter().collect();
    let columns = columns();
    let mut written = Vec::new();
    for some in days.chunks(DAYS_AT_A_TIME) {
        let mut files = BTreeMap::new();
        for day in some {
            let file = staging.create(&format!("{day}/{name}"))?;
            files.insert(*day, ParquetFile::create(file, &columns, &[])?);
        }
        for (at, line) in lines().enumerate() {
            if at.is_multiple_of(1_000) {
                tick()?;
            }
            let Ok(record) = line?.record else { continue };
            if let Some(file) = files.get_mut(&Day::of(record.ts)) {
                file.row(&row(record))?;
            }
        }
        for file in files.into_values() {
            written.push(file.finish()?);
        }
    }
    Ok(written)
}
