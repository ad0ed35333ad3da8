use std::fs;
use std::path::Path;

use datafusion::object_store::ObjectStoreExt as _;
use serde_json::{Value, json};

use super::files::{OpenFile, OpenFiles};
use super::{LIST, Row, SqlInput, query};
use crate::engines::dataset::FORMAT_VERSION;
use crate::storage::dataset_store::DatasetStore;
use crate::storage::parquet_file::{ParquetColumn, ParquetFile, ParquetType};

const MEMORY: usize = 64 << 20;
const DAYS: [&str; 2] = ["2026-11-01", "2026-11-02"];

/// Tasks of two days and exports. Their columns are fewer than those of real ones, which tests/integration reads.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let days = [
        vec![(1, "accepted"), (2, "rejected")],
        vec![(3, "accepted")],
    ];
    let days = DAYS.into_iter().zip(days).collect::<Vec<_>>();
    tasks(folder.path(), &days);
    export(
        folder.path(),
        "sft",
        &[("train", &["one", "two"]), ("test", &["three"])],
    );
    export(folder.path(), "sft-openai", &[("train", &["four"])]);
    folder
}

fn tasks(data: &Path, days: &[(&str, Vec<(u64, &str)>)]) {
    let store = DatasetStore::new(&data.join("datasets"));
    let staging = store.stage(&store.tasks()).unwrap();
    let mut files = Vec::new();
    for (day, tasks) in days {
        let columns = [
            ParquetColumn::new("seq", ParquetType::Int),
            ParquetColumn::new("ts", ParquetType::Time),
            ParquetColumn::new("id", ParquetType::Text),
            ParquetColumn::new("outcome", ParquetType::Text),
        ];
        let file = staging
            .create(&format!("date={day}/tasks.parquet"))
            .unwrap();
        let mut file = ParquetFile::create(file, &columns, &[]).unwrap();
        let mut lines = String::new();
        for (seq, outcome) in tasks {
            let ts = 1_793_491_200_000 + seq;
            let row = json!({"seq": seq, "ts": ts, "id": format!("c{seq}"), "outcome": outcome});
            file.row(&row).unwrap();
            lines.push_str(&format!("{row}\n"));
        }
        files.push(file.finish().unwrap());
        files.push(
            staging
                .write(&format!("date={day}/tasks.jsonl"), &lines)
                .unwrap(),
        );
    }
    let receipt = json!({"format": FORMAT_VERSION, "outputs": files});
    staging.write("receipt.json", &receipt.to_string()).unwrap();
    staging.commit().unwrap();
}

fn export(data: &Path, name: &str, sides: &[(&str, &[&str])]) {
    let store = DatasetStore::new(&data.join("datasets"));
    let staging = store.stage(&store.export(name).unwrap()).unwrap();
    for (side, texts) in sides {
        let file = staging.create(&format!("parquet/{side}.parquet")).unwrap();
        let columns = [
            ParquetColumn::new("text", ParquetType::Text),
            ParquetColumn::new("words", ParquetType::Text.list()),
        ];
        let mut file = ParquetFile::create(file, &columns, &[("made", side.to_string())]).unwrap();
        for text in *texts {
            file.row(&json!({"text": text, "words": [text, "more"]}))
                .unwrap();
        }
        file.finish().unwrap();
    }
    staging.write("receipt.json", "{}").unwrap();
    staging.commit().unwrap();
}

/// The rows of a statement, or what is said instead.
fn ask_with(data: &Path, statement: &str, memory_bytes: usize) -> Result<Vec<Row>, String> {
    let input = SqlInput {
        statement: statement.to_owned(),
        memory_bytes,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut rows = query(data, input).await.map_err(|error| error.message)?;
        let mut all = Vec::new();
        while let Some(some) = rows.next().await.map_err(|error| error.message)? {
            all.extend(some);
        }
        Ok(all)
    })
}

fn ask(data: &Path, statement: &str) -> Result<Vec<Row>, String> {
    ask_with(data, statement, MEMORY)
}

/// Asserts the rows, as JSON.
fn check(data: &Path, statement: &str, expected: Value) {
    let rows = ask(data, statement).unwrap_or_else(|said| panic!("{statement}: {said}"));
    assert_eq!(json!(rows), expected, "{statement}");
}

#[test]
fn tasks_are_a_table_with_their_days() {
    let folder = folder();
    let data = folder.path();
    for (statement, expected) in [
        (
            "SELECT outcome, count(*) FROM tasks GROUP BY outcome ORDER BY outcome",
            json!([["accepted", 2], ["rejected", 1]]),
        ),
        ("SELECT count(*) FROM tasks", json!([[3]])),
        (
            "SELECT * FROM tasks WHERE seq < 3 ORDER BY seq",
            json!([
                [
                    1,
                    "2026-11-01T00:00:00.001Z",
                    "c1",
                    "accepted",
                    "2026-11-01"
                ],
                [
                    2,
                    "2026-11-01T00:00:00.002Z",
                    "c2",
                    "rejected",
                    "2026-11-01"
                ],
            ]),
        ),
        (
            "SELECT date, count(*) FROM tasks GROUP BY date ORDER BY date",
            json!([["2026-11-01", 2], ["2026-11-02", 1]]),
        ),
        ("SELECT id FROM tasks LIMIT 0", json!([])),
        (
            "SELECT count(*) FROM 'datasets/tasks/*/*.jsonl' a JOIN tasks USING (seq)",
            json!([[3]]),
        ),
        (
            "SELECT id FROM tasks WHERE ts < '2026-11-01T00:00:00.002Z'",
            json!([["c1"]]),
        ),
        (
            "SELECT id FROM tasks WHERE date >= DATE '2026-11-01' + INTERVAL '1 day'",
            json!([["c3"]]),
        ),
        (
            "SELECT a.id, b.id, a.seq + b.seq FROM tasks a JOIN tasks b ON a.seq = b.seq + 2",
            json!([["c3", "c1", 4]]),
        ),
    ] {
        check(data, statement, expected);
    }
}

#[test]
fn days_that_are_not_asked_for_are_not_read() {
    let folder = folder();
    let data = folder.path();
    let day = |day: &str| data.join(format!("datasets/tasks/date={day}/tasks.parquet"));
    fs::write(day(DAYS[1]), "PAR1, and what no reader knows").unwrap();
    check(
        data,
        "SELECT id FROM tasks WHERE date = '2026-11-01' ORDER BY id",
        json!([["c1"], ["c2"]]),
    );
    check(
        data,
        "SELECT count(*) FROM tasks WHERE date < '2026-11-02' AND seq = 1",
        json!([[1]]),
    );
    check(
        data,
        "SELECT count(*) FROM tasks WHERE date < '2000-01-01'",
        json!([[0]]),
    );
    let said = ask(data, "SELECT id FROM tasks WHERE date >= '2026-11-02'").unwrap_err();
    assert!(said.contains("arquet"), "{said}");
}

#[test]
fn tasks_that_cannot_be_read_say_what_to_do() {
    let folder = folder();
    let data = folder.path();
    let said = |expected: &str| {
        let said = ask(data, "SELECT * FROM tasks").unwrap_err();
        assert!(said.contains(expected), "{said}");
    };
    let day = data.join(format!("datasets/tasks/date={}", DAYS[1]));
    fs::remove_file(day.join("tasks.parquet")).unwrap();
    said("date=2026-11-02/tasks.parquet cannot be read");
    fs::remove_file(data.join(format!("datasets/tasks/date={}/tasks.parquet", DAYS[0]))).unwrap();
    said("set dataset.parquet = true");
    tasks(data, &[]);
    said("there are no tasks");
    fs::write(data.join("datasets/tasks/receipt.json"), "{\"format\": 1}").unwrap();
    said("another version");
}

#[test]
fn exports_are_tables_with_their_sides() {
    let folder = folder();
    let data = folder.path();
    check(
        data,
        "SELECT split, text FROM sft ORDER BY text",
        json!([["train", "one"], ["test", "three"], ["train", "two"]]),
    );
    check(
        data,
        "SELECT words[-1] FROM sft WHERE split = 'test'",
        json!([["more"]]),
    );
    check(
        data,
        "SELECT * FROM sft_openai",
        json!([["train", "four", ["four", "more"]]]),
    );
    check(
        data,
        "SELECT * FROM \"sft-openai\"",
        json!([["train", "four", ["four", "more"]]]),
    );
    check(data, "SELECT count(*) FROM sft, sft_openai", json!([[3]]));
    check(
        data,
        "SELECT sft.text FROM sft WHERE sft.split = 'test'",
        json!([["three"]]),
    );
    let all = "SELECT text FROM 'datasets/exports/*/parquet/*.parquet' ORDER BY text";
    check(data, all, json!([["four"], ["one"], ["three"], ["two"]]));
    check(
        data,
        "SELECT id FROM 'datasets/tasks/date=2026-11-02/*.jsonl'",
        json!([["c3"]]),
    );
    let tables = ask(data, LIST).unwrap();
    let names: Vec<&Value> = tables.iter().map(|row| &row[0]).collect();
    assert_eq!(json!(names), json!(["sft", "sft-openai", "tasks"]));
    assert_eq!(tables[0][1], "split, text, words");
    let shown = json!(ask(data, "SHOW TABLES").unwrap()).to_string();
    assert!(shown.contains("sft-openai"), "{shown}");
    check(
        data,
        "DESCRIBE sft",
        json!([
            ["split", "Utf8", "NO"],
            ["text", "Utf8", "YES"],
            ["words", "List(Utf8, field: 'element')", "YES"]
        ]),
    );
    // Another of the same letters: only the own name says which is meant.
    export(data, "sft_openai", &[("train", &["five"])]);
    check(data, "SELECT text FROM sft_openai", json!([["five"]]));
    check(data, "SELECT text FROM \"sft-openai\"", json!([["four"]]));
    let said = ask(data, "SELECT text FROM \"SFT_openai\"").unwrap_err();
    assert!(said.starts_with("there is no table SFT_openai: "), "{said}");
    // What is broken is named, also where the reader of Parquet panics.
    fs::write(
        data.join("datasets/exports/sft/parquet/test.parquet"),
        "PAR1 broken PAR1",
    )
    .unwrap();
    let said = ask(data, "SELECT * FROM sft").unwrap_err();
    assert!(
        said.contains("datasets/exports/sft/parquet/test.parquet cannot be read"),
        "{said}"
    );
}

#[test]
fn a_file_is_read_as_it_was_when_it_was_opened() {
    let folder = folder();
    let data = folder.path();
    let path = "datasets/exports/sft/parquet/train.parquet";
    let whole = fs::read(data.join(path)).unwrap();
    let files = OpenFiles::default();
    files.admit(path, OpenFile::open(data, path).unwrap());
    export(data, "sft", &[("train", &["another"])]);
    assert_ne!(fs::read(data.join(path)).unwrap(), whole);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let location = path.into();
        let all = files.get(&location).await.unwrap().bytes().await.unwrap();
        assert_eq!(all, whole);
        let some = files.get_range(&location, 4..9).await.unwrap();
        assert_eq!(some, whole[4..9]);
        let size = files.head(&location).await.unwrap().size;
        assert_eq!(size, whole.len() as u64);
        let other = files.get(&"datasets/tasks/receipt.json".into()).await;
        assert!(other.is_err(), "it was not opened");
        files.put(&location, "x".into()).await.unwrap_err();
        files.delete(&location).await.unwrap_err();
        files.copy(&location, &"x".into()).await.unwrap_err();
    });
}

#[cfg(unix)]
#[test]
fn what_is_no_file_of_the_folder_is_not_opened() {
    let folder = folder();
    let data = folder.path();
    let outside = tempfile::NamedTempFile::with_suffix(".parquet").unwrap();
    let link = data.join("datasets/exports/sft/parquet/link.parquet");
    std::os::unix::fs::symlink(outside.path(), &link).unwrap();
    let path = "datasets/exports/sft/parquet/link.parquet";
    let said = ask(data, &format!("SELECT * FROM '{path}'")).unwrap_err();
    assert!(said.contains("leads out"), "{said}");
    let said = OpenFile::open(data, "datasets/exports")
        .unwrap_err()
        .to_string();
    assert!(said.contains("no file"), "{said}");
}

#[test]
fn statements_that_do_more_than_read_are_refused() {
    let folder = folder();
    let data = folder.path();
    let before = crate::storage::dataset_store::files(data).unwrap();
    let out = data.join("out.parquet");
    let out = out.display();
    for (statement, expected) in [
        ("CREATE TABLE x AS SELECT 1", "only statements that read"),
        ("CREATE VIEW x AS SELECT 1", "only statements that read"),
        (
            "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
            "only statements that read",
        ),
        ("CREATE SCHEMA x", "only statements that read"),
        ("DROP TABLE tasks", "only statements that read"),
        (
            "INSERT INTO tasks (id) VALUES ('x')",
            "only statements that read",
        ),
        (
            "INSERT INTO 'datasets/exports/sft/parquet/train.parquet' SELECT * FROM 'datasets/exports/sft/parquet/train.parquet'",
            "only statements that read",
        ),
        ("UPDATE tasks SET id = 'x'", "only statements that read"),
        ("DELETE FROM tasks", "only statements that read"),
        (
            &format!("COPY tasks TO '{out}'"),
            "only statements that read",
        ),
        (
            &format!("EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'"),
            "only statements that read",
        ),
        (
            &format!("EXPLAIN COPY (SELECT 1) TO '{out}'"),
            "only statements that read",
        ),
        (
            "SET datafusion.execution.batch_size = 1",
            "only statements that read",
        ),
        (
            "RESET datafusion.execution.batch_size",
            "only statements that read",
        ),
        ("PREPARE x AS SELECT 1", "only statements that read"),
        ("START TRANSACTION", "only statements that read"),
        ("BEGIN", "Unsupported SQL statement"),
        ("SELECT * FROM '/etc/passwd'", "below datasets/"),
        (
            "SELECT * FROM '../datasets/tasks/receipt.json'",
            "below datasets/",
        ),
        (
            "SELECT * FROM 'datasets/../../etc/passwd'",
            "below datasets/",
        ),
        ("SELECT * FROM 'file:///etc/passwd'", "below datasets/"),
        (
            "SELECT * FROM 'http://127.0.0.1/x.parquet'",
            "below datasets/",
        ),
        ("SELECT * FROM \"/etc/passwd\"", "below datasets/"),
        ("SELECT * FROM 'datasets/tasks/receipt.json'", ".parquet"),
        ("SELECT * FROM 'datasets/**'", ".parquet"),
        (
            "SELECT * FROM 'datasets/none.parquet'",
            "no file of the data folder",
        ),
        ("SELECT * FROM read_parquet('/etc/passwd')", "read_parquet"),
        ("SELECT 1; SELECT 2", "single SQL statement"),
        ("", "No SQL statements"),
        ("SELEC 1", "SELEC"),
        ("SELECT 'x", "nterminated"),
        ("\u{0}\u{1b}[2J\u{feff}", ""),
        ("SELECT nowhere FROM tasks", "nowhere"),
        ("SELECT outcom FROM tasks", "outcome"),
        ("SELECT * FROM task", "did you mean tasks?"),
        ("SELECT * FROM other.tasks", "other"),
        ("SELECT 1/0", "ivide by zero"),
        ("SELECT nothing(1)", "nothing"),
    ] {
        let said = ask(data, statement).expect_err(statement);
        assert!(said.contains(expected), "{statement}: {said}");
    }
    let said = ask(data, &format!("SELECT '{}'", "x".repeat(40_000))).unwrap_err();
    assert!(said.contains("at most 32768 bytes"), "{said}");
    assert_eq!(crate::storage::dataset_store::files(data).unwrap(), before);
}

#[test]
fn without_tables_it_is_said_how_to_make_them() {
    let folder = tempfile::tempdir().unwrap();
    for data in [folder.path().to_owned(), folder.path().join("none")] {
        let said = ask(&data, "SELECT * FROM tasks").unwrap_err();
        assert!(
            said.contains("boathouse materialize") && said.contains("boathouse export"),
            "{said}"
        );
        check(&data, LIST, json!([]));
        check(&data, "SELECT 1 AS one", json!([[1]]));
    }
    assert!(!folder.path().join("none").exists());
}

#[test]
fn deep_statements_end_in_an_answer_or_an_error() {
    let folder = folder();
    let data = folder.path();
    let many = |one: &str, count: usize| one.repeat(count);
    for (statement, expected) in [
        (
            format!("SELECT max(seq{}) FROM tasks", many("+seq", 400)),
            "",
        ),
        (
            format!("SELECT max(seq{}) FROM tasks", many("+seq", 7_000)),
            "500 operators",
        ),
        (format!("SELECT 1{}", many("+1", 15_000)), "500 operators"),
        (
            format!("EXPLAIN SELECT 1{}", many("+1", 15_000)),
            "500 operators",
        ),
        (
            format!("COPY (SELECT 1{}) TO 'x'", many("+1", 15_000)),
            "only statements that read",
        ),
        (
            format!("CREATE TABLE x AS SELECT 1{}", many("+1", 15_000)),
            "500 operators",
        ),
        (
            format!("SELECT id FROM tasks WHERE true{}", many(" IS TRUE", 4_000)),
            "500 operators",
        ),
        (
            format!(
                "SELECT id FROM tasks WHERE seq IN (1{})",
                many(",1", 10_000)
            ),
            "",
        ),
        (
            format!("SELECT id FROM tasks WHERE seq=1{}", many(" OR seq=1", 400)),
            "",
        ),
        (
            format!("SELECT {}1{}", many("(", 15_000), many(")", 15_000)),
            "nested too deeply",
        ),
        (format!("SELECT {}1", many("-", 15_000)), "Expected"),
        (
            format!("SELECT * FROM {}tasks", many("(SELECT * FROM ", 2_000)),
            "nested too deeply",
        ),
        (format!("SELECT 1{}", many(" UNION ALL SELECT 1", 100)), ""),
        (
            format!("SELECT 1{}", many(" UNION ALL SELECT 1", 1_500)),
            "250 SELECTs",
        ),
        (
            format!("SELECT 1 FROM tasks{}", many(",tasks", 5_000)),
            "250 tables",
        ),
        (
            format!("SELECT id{} FROM tasks", many("[1]", 9_000)),
            "50 steps",
        ),
        (
            format!("SELECT id{} FROM tasks", many(".id", 9_000)),
            "nested too deeply",
        ),
        (
            format!("SELECT * FROM 'datasets/{}x.parquet'", many("**/", 9_000)),
            "below datasets/",
        ),
    ] {
        let said = ask(data, &statement).err().unwrap_or_default();
        let start: String = statement.chars().take(40).collect();
        assert!(
            said.contains(expected) && said.is_empty() == expected.is_empty(),
            "{start}: {said}"
        );
    }
}

#[test]
fn what_takes_too_much_memory_fails_and_what_takes_for_ever_can_be_left() {
    let folder = folder();
    let data = folder.path();
    for statement in [
        "SELECT count(DISTINCT a.value * 100003 + b.value) FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
        "SELECT array_agg(value) FROM generate_series(1, 1000000000)",
        "SELECT value FROM generate_series(1, 1000000000) ORDER BY value DESC",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + value FROM t, generate_series(1, 10)) SELECT max(n) FROM t",
    ] {
        let said = ask_with(data, statement, 1 << 20).expect_err(statement);
        assert!(
            said.contains("more than the 1 MiB of memory"),
            "{statement}: {said}"
        );
    }
    // Without end: the rows that come are read, and dropping the rest ends it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for statement in [
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t",
        "SELECT a.value FROM generate_series(1, 9999) a, generate_series(1, 1000000000000) b",
    ] {
        let input = SqlInput {
            statement: statement.to_owned(),
            memory_bytes: MEMORY,
        };
        runtime.block_on(async {
            let mut rows = query(data, input).await.unwrap();
            assert!(
                rows.next()
                    .await
                    .unwrap()
                    .is_some_and(|some| !some.is_empty())
            );
        });
    }
}

#[test]
fn columns_of_one_name_and_odd_types_are_told_apart() {
    let folder = folder();
    let data = folder.path();
    check(
        data,
        "SELECT a.seq, b.seq, true, 1.5, DATE '2026-11-01', INTERVAL '1 day', X'ff', named_struct('a', [1, NULL]), NULL, 9007199254740993 FROM tasks a, tasks b LIMIT 1",
        json!([[1, 1, true, 1.5, "2026-11-01", "1 days", "ff", {"a": [1, null]}, null, 9_007_199_254_740_993_i64]]),
    );
}
