//! `boathouse audit`, on what a server wrote and made of it.

use std::path::Path;

use boathouse::storage::dataset_store::task_files;
use boathouse::storage::evidence_log::{Body, EvidenceConfig, EvidenceLog, NewRecord, Salt};
use boathouse::types::evidence::{ChatEvidence, Kind};
use serde_json::{Value, json};

use crate::harness::{Api, Process, command, finish};

fn audit(data: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    finish(command().args(["audit", "--data"]).arg(data).args(more))
}

fn journal(data: &Path) -> std::path::PathBuf {
    data.join("evidence/evidence-00000001.jsonl")
}

#[test]
fn what_was_changed_or_cut_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (status, _, said) = audit(&data, &[]);
    assert_eq!(status, Some(1));
    assert!(said.contains("is no folder"), "{said}");

    let mut process = Process::start(&data);
    let kept = folder.path().join("head.json");
    actix_web::rt::System::new().block_on(async {
        let api = Api::new(process.address);
        for question in ["one", "two", "three"] {
            let asked = json!({"messages": [{"role": "user", "content": question}]});
            api.ok("/v1/chat/completions", asked).await;
        }
        let head = api.get("/v1/evidence/head").await.json();
        std::fs::write(&kept, head.to_string()).unwrap();
    });
    let kept = ["--head", kept.to_str().unwrap()];
    // Beside the server.
    let (status, told, said) = audit(&data, &kept);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        told.starts_with("3 records in 1 file, the last is 3 "),
        "{told}"
    );
    process.child.kill().unwrap();
    process.child.wait().unwrap();

    let whole = std::fs::read_to_string(journal(&data)).unwrap();
    std::fs::write(journal(&data), whole.replace("\"two\"", "\"six\"")).unwrap();
    let (status, told, said) = audit(&data, &["--json"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("one thing"), "{said}");
    let report: Value = serde_json::from_str(&told).unwrap();
    let problem = &report["chain"]["problems"][0];
    assert_eq!(
        (&problem["kind"], &problem["seq"]),
        (&json!("changed"), &json!(2))
    );
    assert_eq!(problem["line"], 2);

    // Cut cleanly, it is whole to itself; not beside what was kept.
    let first = whole.split_inclusive('\n').take(2).collect::<String>();
    std::fs::write(journal(&data), first).unwrap();
    assert_eq!(audit(&data, &[]).0, Some(0));
    let (status, told, _) = audit(&data, &kept);
    assert_eq!(status, Some(1));
    assert!(told.contains("the head that was kept is of 3"), "{told}");

    let (status, _, said) = audit(&data, &["--head", "absent.json"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("absent.json is no head"), "{said}");
}

fn report(data: &Path, more: &[&str]) -> (Option<i32>, Value, String) {
    let (status, told, said) = audit(data, &[&["--json"], more].concat());
    let report = serde_json::from_str(&told).unwrap_or_default();
    (status, report, said)
}

/// Answers, judges, materializes and exports.
fn produce(data: &Path) {
    let mut process = Process::start(data);
    actix_web::rt::System::new().block_on(async {
        let api = Api::new(process.address);
        api.collection("docs", &["The ferry leaves at nine."]).await;
        let asked = json!({
            "model": "extractive",
            "messages": [{"role": "user", "content": "When does the ferry leave?"}],
            "retrieval": {"collection": "docs"},
        });
        let answer = api.ok("/v1/chat/completions", asked).await;
        let said = json!({"target": answer["id"], "rating": "accepted"});
        api.ok("/v1/feedback", said).await;
        api.ok("/v1/materialize", json!({})).await;
        api.ok("/v1/exports", json!({"kind": "sft"})).await;
    });
    process.child.kill().unwrap();
    process.child.wait().unwrap();
}

/// Replaces a text in a file, and leaves the file as it was at the end.
fn with(path: &Path, from: &str, to: &str, then: impl FnOnce()) {
    let whole = std::fs::read_to_string(path).unwrap();
    assert!(whole.contains(from), "{from} is not in {whole}");
    std::fs::write(path, whole.replacen(from, to, 1)).unwrap();
    then();
    std::fs::write(path, whole).unwrap();
}

#[test]
fn what_was_made_of_the_journal_is_held_against_its_receipts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    produce(&data);
    let (status, found, said) = report(&data, &[]);
    assert_eq!(status, Some(0), "{said} {found}");
    assert_eq!(found["sound"], true);
    let names: Vec<_> = [0, 1]
        .map(|at| found["datasets"][at]["name"].clone())
        .into();
    assert_eq!(names, ["tasks", "exports/sft"]);
    for at in [0, 1] {
        assert_eq!(found["datasets"][at]["current"], true, "{found}");
    }
    assert_eq!(found["profile"]["outcomes"], json!({"accepted": 1}));

    let (tasks, export) = (
        data.join("datasets/tasks"),
        data.join("datasets/exports/sft"),
    );
    let problems = |at: usize| {
        let (status, found, said) = report(&data, &[]);
        assert_eq!(status, Some(1), "{said}");
        let problems = found["datasets"][at]["problems"].as_array().unwrap();
        let other = found["datasets"][1 - at]["problems"].as_array().unwrap();
        assert_eq!(other.len(), 0, "{other:?}");
        let named = problems.iter().map(|one| {
            let word = |name: &str| one[name].as_str().unwrap().to_owned();
            (word("check"), word("file"), word("message"))
        });
        named.collect::<Vec<_>>()
    };
    let check = |at: usize, path: &Path, (from, to): (&str, &str), expected: (&str, &str, &str)| {
        with(path, from, to, || {
            let problems = problems(at);
            let (check, file, message) = &problems[0];
            assert_eq!((check.as_str(), file.as_str()), (expected.0, expected.1));
            assert!(message.contains(expected.2), "{problems:?}");
        });
    };
    let file = "data/train.jsonl";
    let changed = ("file", file, "was changed: its sha256 is ");
    check(1, &export.join(file), ("nine", "nina"), changed);
    let lines = task_files(&tasks).unwrap().remove(0);
    let longer = ("file", lines.as_str(), " bytes, had ");
    check(0, &tasks.join(&lines), ("nine", "eleven"), longer);
    let sums = ("counts", "receipt.json", "in is 3, the sum of the rest 2");
    check(
        0,
        &tasks.join("receipt.json"),
        ("\"in\": 2", "\"in\": 3"),
        sums,
    );
    let sums = (
        "counts",
        "receipt.json",
        "in and further is 1, the sum of the rest 6",
    );
    check(
        1,
        &export.join("receipt.json"),
        ("\"duplicates\": 0", "\"duplicates\": 5"),
        sums,
    );
    let none = ("receipt", "receipt.json", "cannot be read");
    check(1, &export.join("receipt.json"), ("{", "["), none);
    let head = ("journal", "evidence", "has another record 2");
    check(
        1,
        &export.join("receipt.json"),
        ("\"hash\": \"", "\"hash\": \"0"),
        head,
    );

    std::fs::write(export.join("data/more.jsonl"), "{}\n").unwrap();
    assert_eq!(problems(1)[0].2, "is in no receipt");
    std::fs::remove_file(export.join("data/more.jsonl")).unwrap();
    std::fs::rename(export.join(file), folder.path().join("kept")).unwrap();
    assert_eq!(problems(1)[0].2, "is gone");
    std::fs::rename(folder.path().join("kept"), export.join(file)).unwrap();
    let (status, told, _) = audit(&data, &[]);
    assert_eq!(status, Some(0));
    assert!(told.contains("datasets/exports/sft: "), "{told}");
}

#[test]
fn an_erasure_is_no_fault_of_the_datasets_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    produce(&data);
    let mut process = Process::start(&data);
    actix_web::rt::System::new().block_on(async {
        let api = Api::new(process.address);
        let wanted = json!({"seqs": [1], "reason": "asked"});
        api.ok("/v1/evidence/erase", wanted).await;
    });
    let (status, found, said) = report(&data, &[]);
    assert_eq!(status, Some(0), "{said} {found}");
    for (at, again) in [
        (0, "materialize again"),
        (1, "materialize and export again"),
    ] {
        let notes = found["datasets"][at]["notes"].to_string();
        assert!(
            notes.contains("made before an erasure (record 3)"),
            "{notes}"
        );
        assert!(notes.contains(again), "{notes}");
    }
    actix_web::rt::System::new().block_on(async {
        let api = Api::new(process.address);
        api.ok("/v1/materialize", json!({})).await;
    });
    let (status, found, said) = report(&data, &[]);
    assert_eq!(status, Some(0), "{said} {found}");
    assert_eq!(found["datasets"][0]["notes"], json!([]));
    let notes = found["datasets"][1]["notes"].to_string();
    assert!(
        notes.contains("other tasks than the present ones"),
        "{notes}"
    );
    process.child.kill().unwrap();
    process.child.wait().unwrap();
}

/// Writes records as the server does.
fn write(data: &Path, records: &[(u64, Kind, Value)]) {
    let dir = data.join("evidence");
    let (mut log, _) = EvidenceLog::open(&dir, EvidenceConfig::default()).unwrap();
    for (ts_ms, kind, body) in records {
        let record = NewRecord {
            ts_ms: *ts_ms,
            kind: *kind,
            id: format!("record of {ts_ms}"),
            body: Body::of(body, Salt::new([7; 16])).unwrap(),
        };
        log.append(&record).unwrap();
    }
}

fn chat(model: &str, latency_ms: u64) -> Value {
    let chat = ChatEvidence {
        answered_by: Some(model.to_owned()),
        finish_reason: Some("stop".to_owned()),
        latency_ms,
        ..ChatEvidence::default()
    };
    serde_json::to_value(chat).unwrap()
}

#[test]
fn a_record_of_a_wrong_shape_is_named_though_the_chain_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut wrong = chat("up/a", 5);
    wrong["latency_ms"] = json!("secret");
    let mut more = chat("up/a", 5);
    more["colour"] = json!("secret");
    let bodies = [chat("up/a", 5), wrong, more];
    let records = [1, 2, 3].map(|at| (at, Kind::Chat, bodies[at as usize - 1].clone()));
    write(&data, &records);
    let (status, found, _) = report(&data, &[]);
    assert_eq!(status, Some(1));
    assert_eq!(found["chain"]["intact"], true);
    assert_eq!(found["schemas"]["checked"], 3);
    let problems = found["schemas"]["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    let first = json!({
        "file": "evidence-00000001.jsonl", "line": 2, "seq": 2, "kind": "chat",
        "path": "/latency_ms", "message": "is string, must be integer",
    });
    assert_eq!(problems[0], first);
    assert_eq!(problems[1]["message"], "has an unknown member \"colour\"");
    let (status, told, said) = audit(&data, &[]);
    assert_eq!(status, Some(1));
    assert!(said.contains("2 things are not"), "{said}");
    assert!(
        told.contains("record 2, a chat: body/latency_ms is string"),
        "{told}"
    );
    assert!(!told.contains("secret"), "{told}");
}

#[test]
fn drift_is_found_where_production_is_another_and_only_there() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let early = (0..4).map(|at| (at, Kind::Chat, chat("up/a", 100)));
    let late = (10..14).map(|at| (at, Kind::Chat, chat("elsewhere/b", 300)));
    write(&data, &early.chain(late).collect::<Vec<_>>());
    let (early, late) = ("1970-01-01", "1970-01-01T00:00:00.01Z");
    let (status, found, said) = report(&data, &["--until", late, "--save-baseline", "then"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(found["profile"]["models"], json!({"up/a": 4}));
    let kept = std::fs::read_to_string(data.join("datasets/baselines/then.json")).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&kept).unwrap(),
        found["profile"]
    );

    let compare = |more: &[&str]| {
        let fixed = [
            "--baseline",
            "then",
            "--drift-least",
            "4",
            "--fail-on-drift",
        ];
        report(&data, &[&fixed[..], more].concat())
    };
    let (status, found, said) = compare(&["--since", early, "--until", late]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(found["drift"]["drifted"], json!([]));
    let (status, found, said) = compare(&["--since", late]);
    assert_eq!(status, Some(1));
    let drifted = "providers, models, latency_p50_ms, latency_p95_ms";
    assert!(said.contains(&format!("drifted: {drifted}")), "{said}");
    assert_eq!(found["sound"], true);
    assert_eq!(found["drift"]["measures"][1]["value"], 1.0);
    // Half of all is elsewhere.
    let (_, found, _) = compare(&["--drift-threshold", "latency_p95_ms=4"]);
    let drifted = ["providers", "models"];
    assert_eq!(found["drift"]["drifted"], json!(drifted), "{found}");
    let (status, told, _) = audit(&data, &["--baseline", "then", "--drift-least", "4"]);
    assert_eq!(status, Some(0), "drift alone is no failure");
    assert!(
        told.contains("models: DRIFTED, distance 0.500 of 0.15"),
        "{told}"
    );
    // Too few by default.
    let (status, told, _) = audit(&data, &["--baseline", "then", "--fail-on-drift"]);
    assert_eq!(status, Some(0));
    assert!(
        told.contains("models: too few to tell, 4 then and 8 now"),
        "{told}"
    );

    let wrong: [(&[&str], &str); 4] = [
        (&["--baseline", "never"], "there is no baseline \"never\""),
        (&["--baseline", "../x"], "the name must be 1 to 64"),
        (&["--save-baseline", "a/b"], "the name must be 1 to 64"),
        (
            &["--baseline", "then", "--drift-threshold", "colour=1"],
            "no such measure: colour",
        ),
    ];
    for (more, expected) in wrong {
        let (status, _, said) = audit(&data, more);
        assert_eq!(status, Some(1), "{more:?}");
        assert!(said.contains(expected), "{said}");
    }
}
