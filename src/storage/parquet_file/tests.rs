use std::fs::File;
use std::path::Path;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::json;
use tempfile::TempDir;

use super::super::dataset_store::DatasetStore;
use super::ParquetType as T;
use super::*;

/// Every type, in lists and structs of lists.
fn columns() -> Vec<ParquetColumn> {
    let message = vec![
        ParquetColumn::new("role", T::Text),
        ParquetColumn::new("parts", T::Text.list()),
    ];
    vec![
        ParquetColumn::new("id", T::Text),
        ParquetColumn::new("seq", T::Int),
        ParquetColumn::new("ts", T::Time),
        ParquetColumn::new("score", T::Float),
        ParquetColumn::new("good", T::Bool),
        ParquetColumn::new("open", T::Json),
        ParquetColumn::new("messages", T::Struct(message).list()),
        ParquetColumn::new("grid", T::Int.list().list()),
    ]
}

fn rows() -> Vec<Value> {
    vec![
        json!({"id": "a", "seq": 1, "ts": 1_793_491_200_000_u64, "score": 0.5, "good": true, "open": {"b": [1]},
            "messages": [{"role": "user", "parts": ["x", "y"]}, {"role": "assistant", "parts": []},
                {"role": null}, null],
            "grid": [[1, 2], [], null, [3]]}),
        json!({}),
        json!({"id": "é", "messages": [], "grid": [[]], "open": "text", "score": 2}),
    ]
}

fn write(dir: &Path, rows: &[Value]) -> Result<FileReceipt, DatasetStoreError> {
    write_by(dir, rows, false)
}

fn write_by(dir: &Path, rows: &[Value], beside: bool) -> Result<FileReceipt, DatasetStoreError> {
    let store = DatasetStore::new(dir);
    let staging = store.stage(&store.tasks())?;
    let file = staging.create("rows.parquet")?;
    let mut file = ParquetFile::create(file, &columns(), &[("boathouse", "{}".to_owned())])?;
    file = file.beside(beside);
    rows.iter().try_for_each(|row| file.row(row))?;
    let receipt = file.finish()?;
    staging.commit()?;
    Ok(receipt)
}

#[test]
fn what_was_written_is_read_back() {
    let dir = TempDir::new().unwrap();
    let receipt = write(dir.path(), &rows()).unwrap();
    let path = dir.path().join("tasks/rows.parquet");
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!((receipt.rows, receipt.bytes), (3, bytes.len() as u64));
    assert_eq!(receipt.path, "rows.parquet");
    let hashed = super::super::dataset_store::hash_file(
        &dir.path().join("tasks"),
        "rows.parquet",
        u64::MAX,
        &mut || (),
    );
    assert_eq!(receipt.sha256, hashed.unwrap().sha256);

    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let read: Vec<String> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().to_string())
        .collect();
    assert_eq!(
        read,
        [
            "{id: \"a\", seq: 1, ts: 2026-11-01 00:00:00.000 +00:00, score: 0.5, good: true, open: \"{\"b\":[1]}\", \
             messages: [{role: \"user\", parts: [\"x\", \"y\"]}, {role: \"assistant\", parts: []}, \
             {role: null, parts: null}, null], grid: [[1, 2], [], null, [3]]}",
            "{id: null, seq: null, ts: null, score: null, good: null, open: null, messages: null, grid: null}",
            "{id: \"é\", seq: null, ts: null, score: 2.0, good: null, open: \"\"text\"\", messages: [], grid: [[]]}",
        ]
    );
}

#[test]
fn the_same_rows_give_the_same_bytes_in_groups_of_bounded_size() {
    let text = "0123456789abcdef".repeat(4096);
    let many: Vec<Value> = (0..300)
        .map(|n| json!({"id": format!("{n} {text}"), "seq": n}))
        .collect();
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    assert_eq!(
        write(one.path(), &many).unwrap(),
        write_by(two.path(), &many, true).unwrap(),
        "written in turn and beside"
    );
    let file = File::open(one.path().join("tasks/rows.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let groups = reader.metadata().row_groups().iter();
    let rows: Vec<i64> = groups.map(|group| group.num_rows()).collect();
    assert!(
        rows.len() == 3 && rows.iter().sum::<i64>() == 300,
        "{rows:?}"
    );

    // A file without rows still has its columns.
    let none = TempDir::new().unwrap();
    assert_eq!(write(none.path(), &[]).unwrap().rows, 0);
    let file = File::open(none.path().join("tasks/rows.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let schema = reader.metadata().file_metadata().schema();
    assert_eq!(schema.get_fields().len(), columns().len());
}

#[test]
fn a_row_that_does_not_fit_is_told_with_its_column() {
    for (row, expected) in [
        (json!(1), "it is no object"),
        (json!({"id": 1}), "id: a number is no text"),
        (json!({"seq": u64::MAX}), "seq: a number is no whole number"),
        (json!({"score": "x"}), "score: a text is no number"),
        (json!({"good": {}}), "good: an object is no true or false"),
        (json!({"grid": [1]}), "grid: a number is no list"),
        (json!({"messages": [[]]}), "messages: a list is no object"),
        (
            json!({"messages": [{"role": "a", "x": 1}]}),
            "no column for \"x\"",
        ),
    ] {
        let dir = TempDir::new().unwrap();
        let error = write(dir.path(), &[json!({}), row])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(expected) && error.contains("row 2"),
            "{error}"
        );
    }
    let dir = TempDir::new().unwrap();
    let store = DatasetStore::new(dir.path());
    let staging = store.stage(&store.tasks()).unwrap();
    for (columns, expected) in [
        (vec![], "needs a member"),
        (
            vec![ParquetColumn::new("a", T::Int); 2],
            "two columns are called \"a\"",
        ),
    ] {
        let file = staging.create("a.parquet").unwrap();
        let error = ParquetFile::create(file, &columns, &[]).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
