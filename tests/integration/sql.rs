//! `boathouse sql` beside a running server, on what it materialized and exported.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Api, Process, command, feed, finish};

const QUESTIONS: usize = 12;

/// Questions that are each answered three times: to be accepted, to be rejected with a better answer, and without.
async fn fill(api: &Api) {
    api.collection(
        "docs",
        &["The ferry leaves at nine.", "The museum opens at ten."],
    )
    .await;
    for n in 0..QUESTIONS {
        for (rating, edit) in [
            ("accepted", None),
            ("rejected", Some("At ten.")),
            ("rejected", None),
        ] {
            let body = json!({
                "model": "extractive",
                "messages": [
                    {"role": "system", "content": "Be short."},
                    {"role": "user", "content": format!("When does the ferry leave on day {n}?")},
                ],
                "retrieval": {"collection": "docs", "k": 2},
            });
            let answer = api.ok("/v1/chat/completions", body).await;
            let said = json!({"target": answer["id"], "rating": rating, "edited_answer": edit});
            api.ok("/v1/feedback", said).await;
        }
    }
    api.ok("/v1/materialize", json!({})).await;
    for kind in ["sft", "preference", "kto", "rag", "triplets"] {
        let body = json!({"kind": kind, "test_fraction": 0.4});
        let receipt = api.ok("/v1/exports", body).await;
        assert_ne!(receipt["rows"], 0, "{receipt}");
    }
    let body = json!({"kind": "sft", "flavour": "openai"});
    api.ok("/v1/exports", body).await;
}

/// A server on `data` with all that, still running.
fn filled(data: &Path) -> Process {
    let server = Process::start(data);
    actix_web::rt::System::new().block_on(fill(&Api::new(server.address)));
    server
}

fn sql(data: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = command();
    finish(command.args(["sql", "--data"]).arg(data).args(arguments))
}

/// The rows of a statement, as objects.
fn rows(data: &Path, statement: &str) -> Vec<Value> {
    let (status, shown, said) = sql(data, &[statement, "--json"]);
    assert_eq!((status, said.as_str()), (Some(0), ""), "{statement}");
    let lines = shown.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn lines(data: &Path, export: &str, side: &str) -> Vec<Value> {
    let path = data.join(format!("datasets/exports/{export}/data/{side}.jsonl"));
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn tasks_and_exports_are_asked_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let server = filled(data);
    // Twice: an export that is replaced is another folder.
    for _ in 0..2 {
        let by_outcome = "SELECT outcome, count(*) AS tasks, min(answered_by) AS by FROM tasks GROUP BY outcome ORDER BY outcome";
        let (status, shown, said) = sql(data, &[by_outcome]);
        assert_eq!((status, said.as_str()), (Some(0), ""));
        let shown: Vec<Vec<&str>> = shown
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(shown[0], ["outcome", "tasks", "by"]);
        assert_eq!(shown[1][..2], ["accepted", "24"], "{shown:?}");

        // What SQL reads out of Parquet is what the lines say.
        for export in ["sft", "preference", "kto", "rag"] {
            for side in ["train", "test"] {
                let read = rows(
                    data,
                    &format!("SELECT * FROM {export} WHERE split = '{side}'"),
                );
                let mut expected = lines(data, export, side);
                assert!(!expected.is_empty(), "{export} {side}");
                for row in &mut expected {
                    row["split"] = side.into();
                }
                let mut read: Vec<Value> = read;
                let key = |row: &Value| {
                    let mut row: Vec<(String, String)> = row
                        .as_object()
                        .unwrap()
                        .iter()
                        .map(|(name, value)| (name.clone(), value.to_string()))
                        .collect();
                    row.sort();
                    row
                };
                read.sort_by_key(key);
                expected.sort_by_key(key);
                assert_eq!(read, expected, "{export} {side}");
            }
        }
        let openai = rows(data, "SELECT count(*) AS rows FROM sft_openai");
        assert_eq!(
            openai,
            [json!({"rows": lines(data, "sft-openai", "train").len()
            + lines(data, "sft-openai", "test").len()})]
        );
        actix_web::rt::System::new().block_on(async {
            let body = json!({"kind": "sft", "test_fraction": 0.3});
            Api::new(server.address).ok("/v1/exports", body).await
        });
    }
    let (status, shown, said) = sql(data, &[]);
    assert_eq!((status, said.as_str()), (Some(0), ""));
    let tables: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let all = [
        "table",
        "kto",
        "preference",
        "rag",
        "sft",
        "sft-openai",
        "tasks",
        "triplets",
    ];
    assert_eq!(tables, all);
}

#[test]
fn every_statement_of_the_docs_runs() {
    let text = include_str!("../../docs/SQL.md");
    let statements: Vec<&str> = text
        .split("```sql datafusion\n")
        .skip(1)
        .map(|rest| rest.split("\n```").next().unwrap())
        .collect();
    assert!(statements.len() > 5, "{statements:?}");
    let folder = tempfile::tempdir().unwrap();
    let server = filled(folder.path());
    for statement in statements {
        assert!(!rows(folder.path(), statement).is_empty(), "{statement}");
    }
    drop(server);
    // The columns that it tells of are those that there are.
    for (table, columns) in [("tasks", "| `tasks` |")] {
        let told = text.lines().find(|line| line.starts_with(columns)).unwrap();
        for column in rows(folder.path(), &format!("DESCRIBE {table}")) {
            let name = column["column_name"].as_str().unwrap();
            assert!(told.contains(&format!("`{name}`")), "{name}: {told}");
        }
    }
}

#[test]
fn rows_come_as_a_table_as_json_and_as_csv() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let odd = "SELECT 7 AS n, 'a\u{1b}[2J, \"b\"\nc' AS text, [1, NULL] AS list, NULL AS nothing, 0.5 AS half";
    let (status, shown, said) = sql(data, &[odd]);
    assert_eq!((status, said.as_str()), (Some(0), ""));
    assert_eq!(
        shown,
        "n  text         list      nothing  half\n7  a[2J, \"b\" c  [1,null]            0.5\n"
    );
    let (_, shown, _) = sql(data, &[odd, "--json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&shown).unwrap(),
        json!({"n": 7, "text": "a\u{1b}[2J, \"b\"\nc", "list": [1, null], "nothing": null, "half": 0.5})
    );
    let (_, shown, _) = sql(data, &[odd, "--csv"]);
    assert_eq!(
        shown,
        "n,text,list,nothing,half\n7,\"a\u{1b}[2J, \"\"b\"\"\nc\",\"[1,null]\",,0.5\n"
    );

    let many = "SELECT value FROM generate_series(1, 5000)";
    let (_, shown, said) = sql(data, &[many]);
    assert_eq!(shown.lines().count(), 1001, "{said}");
    assert!(said.contains("only the first 1000 rows"), "{said}");
    let (_, shown, said) = sql(data, &[many, "--limit", "2000"]);
    assert_eq!((shown.lines().count(), said.as_str()), (2001, ""));
    let (_, shown, said) = sql(data, &[many, "--json"]);
    assert_eq!((shown.lines().count(), said.as_str()), (5000, ""));
    let (_, shown, _) = sql(data, &[many, "--csv", "--limit", "1"]);
    assert_eq!(shown, "value\n1\n");
    let (_, shown, _) = sql(data, &["EXPLAIN SELECT 1"]);
    assert!(shown.contains("Projection: Int64(1)\n"), "{shown}");

    let mut stdin = command();
    stdin
        .args(["sql", "--json", "--file", "-", "--data"])
        .arg(data);
    let (status, shown, said) = feed(&mut stdin, b"SELECT 1 AS one;\n");
    assert_eq!(
        (status, shown.as_str()),
        (Some(0), "{\"one\":1}\n"),
        "{said}"
    );
}

#[test]
fn errors_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("none");
    for (arguments, expected) in [
        (&["SELECT * FROM tasks"][..], "run `boathouse materialize`"),
        (&["COPY (SELECT 1) TO 'x.csv'"], "only statements that read"),
        (&["SELECT * FROM '/etc/passwd'"], "below datasets/"),
        (
            &[
                "SELECT value FROM generate_series(1, 100000000) ORDER BY value DESC",
                "--memory",
                "8",
            ],
            "more than the 8 MiB of memory that it may",
        ),
    ] {
        let (status, shown, said) = sql(&data, arguments);
        assert_eq!((status, shown.as_str()), (Some(1), ""), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let (status, _, said) = sql(&data, &["SELECT 1", "--memory", "0"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(!data.exists());
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_statement_without_end() {
    use std::io::{BufRead as _, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let mut command = command();
    command
        .args(["sql", "--csv", "--data"])
        .arg(folder.path())
        .arg("WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "n");
    assert_eq!(lines.next().unwrap().unwrap(), "1");
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    // What was on its way is read to its end, so that the command is not waiting for us.
    for line in lines {
        line.unwrap();
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
