//! Jobs on real folders: determinism, idempotence, receipts that reconcile.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::engines::dataset::{DEFAULT_RECIPE, Receipt};
use crate::storage::dataset_store::sha256;
use crate::storage::evidence_log::{Body, EvidenceConfig, EvidenceLog, NewRecord, Salt};
use crate::storage::replicas::Replicas;
use crate::types::evidence::Kind;

pub(super) const SALT: Salt = Salt::new([1; 16]);

pub(super) struct World {
    root: TempDir,
    pub(super) paths: DatasetPaths,
}

pub(super) fn record(n: u64, kind: Kind, id: &str, body: Value) -> NewRecord {
    NewRecord {
        ts_ms: 1_000 + n,
        kind,
        id: id.to_owned(),
        body: Body::of(&body, SALT).unwrap(),
    }
}

pub(super) fn chat(n: u64) -> NewRecord {
    let body = json!({
        "request_id": format!("req-{n}"),
        "model": "main",
        "answered_by": "extractive",
        "messages": [{"role": "user", "content": format!("Question {n} by me@example.com?")}],
        "answer": format!("Answer {n} [1]"),
        "finish_reason": "stop",
        "passages": [{"collection": "docs", "id": "p1", "score": 0.5, "text": "t", "cited": true}],
        "usage": null,
        "attempts": [],
        "stream": false,
        "latency_ms": 5,
    });
    record(n, Kind::Chat, &format!("chatcmpl-{n}"), body)
}

pub(super) fn feedback(n: u64, rating: &str) -> NewRecord {
    let target = format!("chatcmpl-{n}");
    record(
        n,
        Kind::Feedback,
        &format!("f-{n}"),
        json!({"target": target, "rating": rating}),
    )
}

impl World {
    pub(super) fn new() -> Self {
        let root = TempDir::new().unwrap();
        let paths = DatasetPaths {
            evidence: root.path().join("evidence"),
            datasets: root.path().join("datasets"),
            replicas: Replicas::new(root.path(), ""),
            recipe: DEFAULT_RECIPE.to_owned(),
            threads: 2,
            parquet: false,
            progress: std::sync::Arc::default(),
        };
        Self { root, paths }
    }

    /// Answers 1 to `count`: of each four, one rejected, one without feedback, two accepted.
    pub(super) fn filled(count: u64) -> Self {
        let world = Self::new();
        let mut batch: Vec<_> = (1..=count).map(chat).collect();
        for n in 1..=count {
            match n % 4 {
                0 => batch.push(feedback(n, "rejected")),
                1 => {}
                _ => batch.push(feedback(n, "accepted")),
            }
        }
        world.append(batch);
        world
    }

    pub(super) fn append(&self, batch: Vec<NewRecord>) {
        Self::append_to(&self.paths.evidence, batch);
    }

    /// Appends to the journal in a folder.
    pub(super) fn append_to(dir: &Path, batch: Vec<NewRecord>) {
        let config = EvidenceConfig {
            segment_bytes: 4096,
            ..EvidenceConfig::default()
        };
        let (mut log, _) = EvidenceLog::open(dir, config).unwrap();
        for one in batch {
            log.append(&one).unwrap();
        }
    }

    pub(super) fn run(&self, job: DatasetJob) -> Result<Value, DatasetError> {
        run(&self.paths, job, &mut || ()).map(|reply| reply.0)
    }

    pub(super) fn materialize(&self, force: bool) -> Value {
        self.run(DatasetJob::Materialize { force }).unwrap()
    }

    pub(super) fn export(
        &self,
        kind: &str,
        test_fraction: Option<f64>,
    ) -> Result<Value, DatasetError> {
        self.export_as(kind, "trl", kind, test_fraction)
    }

    fn export_as(
        &self,
        kind: &str,
        flavour: &str,
        name: &str,
        test_fraction: Option<f64>,
    ) -> Result<Value, DatasetError> {
        self.run(DatasetJob::Export {
            kind: kind.to_owned(),
            flavour: flavour.to_owned(),
            name: name.to_owned(),
            test_fraction,
            mining: None,
        })
    }

    fn files(&self) -> BTreeMap<String, String> {
        fn walk(dir: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let hidden = path.file_name().unwrap().as_encoded_bytes()[0] == b'.';
                if path.is_dir() {
                    walk(&path, root, found);
                } else if !hidden {
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    let bytes = fs::read(&path).unwrap();
                    let text = String::from_utf8(bytes).unwrap_or_else(|error| {
                        // What is no text stands for itself by its length and its sum.
                        let bytes = error.into_bytes();
                        format!("{} {}", bytes.len(), sha256_of(&bytes))
                    });
                    found.insert(name, text);
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.paths.datasets, &self.paths.datasets, &mut found);
        found
    }
}

fn sha256_of(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_outputs(receipt: &Value, folder: &str, files: &BTreeMap<String, String>) {
    for output in receipt["outputs"].as_array().unwrap() {
        let path = output["path"].as_str().unwrap();
        let text = &files[&format!("{folder}/{path}")];
        if path.ends_with(".parquet") {
            let sum = output["sha256"].as_str().unwrap();
            assert_eq!(*text, format!("{} {sum}", output["bytes"]));
            continue;
        }
        assert_eq!(output["sha256"], sha256(text));
        assert_eq!(output["bytes"], text.len());
        assert_eq!(output["rows"], text.lines().count());
    }
}

#[test]
fn materializing_is_deterministic_and_idempotent() {
    let world = World::filled(20);
    let first = world.materialize(false);
    assert_eq!(first["unchanged"], false);
    assert_eq!(first["counts"]["tasks"], 20);
    assert_eq!(first["counts"]["feedback"], 15);
    assert_eq!(first["counts"]["in"], 35);
    let intact = json!({"intact": true, "problem_count": 0, "problems": []});
    assert_eq!(first["chain"], intact);
    let outcomes =
        json!({"accepted": 10, "needs_review": 5, "partially_accepted": 0, "rejected": 5});
    assert_eq!(first["outcomes"], outcomes);
    assert_eq!(first["journal"]["head"]["seq"], 35);
    assert_eq!(first["as_of_ms"], 1_020);
    assert!(first["journal"]["segments"].as_array().unwrap().len() > 1);
    let files = world.files();
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "tasks/date=1970-01-01/tasks.jsonl",
            "tasks/quarantine.jsonl",
            "tasks/receipt.json"
        ]
    );
    check_outputs(&first, "tasks", &files);
    for segment in first["journal"]["segments"].as_array().unwrap() {
        let path = world.paths.evidence.join(segment["path"].as_str().unwrap());
        assert_eq!(
            segment["sha256"],
            sha256(&fs::read_to_string(path).unwrap())
        );
    }

    let again = world.materialize(false);
    assert_eq!(again["unchanged"], true);
    assert_eq!(again["outputs"], first["outputs"]);
    assert_eq!(world.materialize(true)["unchanged"], false);
    assert_eq!(world.files(), files);
    assert_eq!(
        World::filled(20).materialize(false)["outputs"],
        first["outputs"]
    );
}

#[test]
fn a_change_of_anything_is_noticed() {
    let mut world = World::filled(4);
    world.materialize(false);
    let tasks = world
        .paths
        .datasets
        .join("tasks/date=1970-01-01/tasks.jsonl");
    let whole = fs::read_to_string(&tasks).unwrap();
    fs::write(&tasks, "").unwrap();
    assert!(matches!(
        world.export("sft", None),
        Err(DatasetError::TasksChanged(_))
    ));
    fs::remove_file(&tasks).unwrap();
    let error = world.export("sft", None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("materialize again"), "{error}");
    assert_eq!(world.materialize(false)["unchanged"], false);
    assert_eq!(fs::read_to_string(&tasks).unwrap(), whole);

    world.append(vec![feedback(1, "accepted")]);
    let grown = world.materialize(false);
    assert_eq!(
        (&grown["unchanged"], &grown["outcomes"]["accepted"]),
        (&json!(false), &json!(3))
    );

    world.paths.recipe = "[score]\naccept_without_feedback = true".to_owned();
    let error = world.export("sft", None).unwrap_err();
    assert!(error.to_string().contains("another recipe"), "{error}");
    assert_eq!(world.materialize(false)["unchanged"], false);
    assert!(world.export("sft", None).is_ok());
}

#[test]
fn bad_lines_go_to_quarantine_and_the_rest_goes_on() {
    let world = World::filled(2);
    let path = world.paths.evidence.join("evidence-00000001.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replacen("Answer 1", "Answer X", 1) + "no json\n",
    )
    .unwrap();
    let receipt = world.materialize(false);
    assert_eq!(receipt["counts"]["quarantined"], 2);
    assert_eq!(receipt["counts"]["tasks"], 1);
    let files = world.files();
    let lines: Vec<Value> = files["tasks/quarantine.jsonl"]
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["line"], &lines[1]["line"]),
        (&json!(1), &json!(4))
    );
    assert_eq!(lines[1]["excerpt"], "no json");
    check_outputs(&receipt, "tasks", &files);
}

#[test]
fn exports_are_whole_folders_that_reconcile() {
    let world = World::filled(40);
    world.materialize(false);
    for kind in ["rag", "sft"] {
        let receipt = world.export(kind, Some(0.3)).unwrap();
        let files = world.files();
        let folder = format!("exports/{kind}");
        check_outputs(&receipt, &folder, &files);
        assert_eq!(receipt["rows"], 20);
        assert_eq!(receipt["counts"]["in"], 40);
        assert_eq!(
            receipt["counts"]["skipped"],
            json!({"needs_review": 10, "rejected": 10})
        );
        assert_eq!(receipt["redactions"]["email"], 20);
        assert!(receipt.get("note").is_none());
        let train = &files[&format!("{folder}/data/train.jsonl")];
        let test = &files[&format!("{folder}/data/test.jsonl")];
        assert_eq!(train.lines().count() + test.lines().count(), 20);
        assert_eq!(receipt["counts"]["test"], test.lines().count());
        assert!(!train.contains("example.com") && train.contains("[EMAIL]"));
        assert!(files[&format!("{folder}/README.md")].contains("split: test"));
        let manifest: Value =
            serde_json::from_str(&files[&format!("{folder}/manifest.json")]).unwrap();
        assert_eq!(manifest["kind"], kind);

        let again = world.export(kind, Some(0.3)).unwrap();
        assert_eq!((again, world.files()), (receipt, files));
        // Replaced whole: nothing of the old split stays.
        world.export(kind, Some(0.0)).unwrap();
        assert!(
            !world
                .files()
                .contains_key(&format!("{folder}/data/test.jsonl"))
        );
    }
    let listed = world.run(DatasetJob::List).unwrap();
    assert_eq!(listed["exports"][0]["name"], "rag");
    assert_eq!(listed["exports"][1]["rows"], 20);
    assert_eq!(listed["tasks"]["counts"]["tasks"], 40);
    assert!(world.root.path().join("datasets/exports/sft").is_dir());
}

#[test]
fn every_kind_in_every_flavour_is_a_whole_folder() {
    let world = World::new();
    let mut batch = Vec::new();
    for n in 1..=24_u64 {
        // Twelve questions, each answered well and badly; every third is edited too.
        let (question, good) = (n.div_ceil(2), n % 2 == 0);
        let mut body = json!({
            "request_id": format!("req-{n}"),
            "model": "main",
            "answered_by": format!("p/{}", n % 3),
            "messages": [{"role": "user", "content": format!("Question {question}?")}],
            "answer": format!("Answer {n} [1]"),
            "finish_reason": "stop",
            "passages": [
                {"collection": "docs", "id": "p1", "score": 0.5, "text": "cited", "cited": true},
                {"collection": "docs", "id": "p2", "score": 0.4, "text": "not cited", "cited": false},
            ],
            "usage": null, "attempts": [], "stream": false, "latency_ms": 5,
        });
        if question % 4 == 0 {
            body["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
        }
        batch.push(record(n, Kind::Chat, &format!("chatcmpl-{n}"), body));
        let mut said = json!({"target": format!("chatcmpl-{n}"),
            "rating": if good { "accepted" } else { "rejected" }});
        if !good && question % 3 == 0 {
            said["edited_answer"] = json!(format!("Edit {n}"));
        }
        batch.push(record(n, Kind::Feedback, &format!("f-{n}"), said));
    }
    world.append(batch);
    assert_eq!(world.materialize(false)["counts"]["tasks"], 24);
    for (kind, flavour, rows) in [
        ("rag", "trl", 16),
        ("triplets", "trl", 12),
        ("sft", "trl", 16),
        ("sft", "openai", 16),
        ("sft", "sharegpt", 12),
        ("preference", "trl", 12),
        ("preference", "openai", 12),
        ("kto", "trl", 28),
    ] {
        let name = format!("{kind}-{flavour}");
        let receipt = world.export_as(kind, flavour, &name, Some(0.3)).unwrap();
        assert_eq!(receipt["rows"], rows, "{receipt}");
        assert_eq!(
            (&receipt["kind"], &receipt["flavour"]),
            (&json!(kind), &json!(flavour))
        );
        let files = world.files();
        let folder = format!("exports/{name}");
        check_outputs(&receipt, &folder, &files);
        let manifest: Value =
            serde_json::from_str(&files[&format!("{folder}/manifest.json")]).unwrap();
        assert_eq!(manifest["kind"], kind);
        for side in ["train", "test"] {
            let lines = |of: &str| {
                files[&format!("{folder}/{of}/{side}.jsonl")]
                    .lines()
                    .count()
            };
            assert_eq!(lines("data"), lines("origin"), "{name}");
            assert_eq!(manifest["rows"][side], lines("data"));
        }
        let own = Receipt::parse(files[&format!("{folder}/receipt.json")].as_bytes());
        assert_eq!(own.unwrap().unreconciled(), Vec::<String>::new());
        let again = world.export_as(kind, flavour, &name, Some(0.3)).unwrap();
        assert_eq!((again, world.files()), (receipt, files));
    }
    let listed = world.run(DatasetJob::List).unwrap();
    assert_eq!(listed["exports"].as_array().unwrap().len(), 8);
    assert_eq!(listed["exports"][0]["flavour"], "trl");
}

#[test]
fn what_is_dropped_is_counted_and_told() {
    let mut world = World::new();
    let again = |n: u64, like: u64| {
        let mut body = json!({
            "request_id": "r", "model": "main", "answered_by": "p/m",
            "answer": format!("Answer {like}"), "finish_reason": "stop",
            "messages": [{"role": "user", "content": format!("Question {like}?")}],
            "usage": null, "attempts": [], "stream": false, "latency_ms": 5,
        });
        if n == 3 {
            body["answer"] = json!("Answer, 1!");
        }
        record(n, Kind::Chat, &format!("c{n}"), body)
    };
    let mut batch = vec![
        again(1, 1),
        again(2, 1),
        again(3, 1),
        again(4, 4),
        again(5, 5),
    ];
    batch.extend((1..=5).map(|n| {
        let said = json!({"target": format!("c{n}"), "rating": "accepted"});
        record(n, Kind::Feedback, &format!("f{n}"), said)
    }));
    world.append(batch);
    world.paths.recipe = "[caps]\nper_model = 2".to_owned();
    world.materialize(false);
    let receipt = world.export_as("sft", "openai", "sft", Some(0.0)).unwrap();
    let expected = json!({"in": 5, "further": 0, "train": 2, "test": 0, "duplicates": 1,
        "near_duplicates": 1, "paired": 0, "capped": {"model": 1}, "skipped": {}});
    assert_eq!(receipt["counts"], expected);
    let note = receipt["note"].as_str().unwrap();
    assert!(note.starts_with("2 rows to learn from"), "{note}");
    let files = world.files();
    let told: Vec<_> = files["exports/sft/origin/dropped.jsonl"]
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| {
            (
                line["id"].clone(),
                line["why"].clone(),
                line["kept"].clone(),
            )
        })
        .collect();
    let expected = [
        (json!("c2"), json!("duplicate"), json!("c1")),
        (json!("c3"), json!("near_duplicate"), json!("c1")),
        (json!("c5"), json!("capped_model"), Value::Null),
    ];
    assert_eq!(told, expected);
}

#[test]
fn wrong_requests_are_refused_and_leave_nothing() {
    let world = World::filled(4);
    let error = world.export("sft", None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("materialize first"), "{error}");
    world.materialize(false);
    let before = world.files();
    let export = |kind: &str, flavour: &str, name: &str, test_fraction| {
        let refused = world.export_as(kind, flavour, name, test_fraction);
        refused.unwrap_err()
    };
    for (error, text) in [
        (
            export("nothing", "trl", "a", None),
            "known are rag, triplets, sft, preference, kto",
        ),
        (
            export("sft", "qwen", "a", None),
            "unknown flavour \"qwen\": known are trl, openai, sharegpt",
        ),
        (
            export("preference", "sharegpt", "a", None),
            "a preference export has no sharegpt shape: it has trl, openai",
        ),
        (export("kto", "openai", "a", None), "it has trl"),
        (export("rag", "openai", "a", None), "it has trl"),
        (export("sft", "trl", "../a", None), "the name must be"),
        (export("sft", "trl", "", None), "the name must be"),
        (
            export("sft", "trl", "a", Some(0.6)),
            "test_fraction must be 0 to 0.5, got 0.6",
        ),
        (export("sft", "trl", "a", Some(f64::NAN)), "got NaN"),
    ] {
        assert_eq!(error.kind(), ErrorKind::BadRequest);
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(world.files(), before);
}

#[test]
fn empty_worlds_give_empty_answers_that_say_why() {
    let world = World::new();
    assert_eq!(
        world.run(DatasetJob::List).unwrap(),
        json!({"exports": [], "tasks": null})
    );
    let receipt = world.materialize(false);
    assert_eq!(
        (&receipt["counts"]["in"], &receipt["journal"]["head"]["seq"]),
        (&json!(0), &json!(0))
    );
    let exported = world.export("sft", None).unwrap();
    assert_eq!(exported["rows"], 0);
    assert!(
        exported["note"]
            .as_str()
            .unwrap()
            .contains("no answered chat completions")
    );

    world.append(vec![chat(1), feedback(1, "rejected"), chat(2)]);
    world.materialize(false);
    let exported = world.export("sft", None).unwrap();
    let note = exported["note"].as_str().unwrap();
    assert!(
        note.contains("left out of 2 tasks: 1 needs_review, 1 rejected"),
        "{note}"
    );
}

#[test]
fn jobs_give_signs_of_life() {
    let world = World::filled(4);
    let mut ticks = 0;
    run(
        &world.paths,
        DatasetJob::Materialize { force: false },
        &mut || ticks += 1,
    )
    .unwrap();
    assert!(ticks >= 3, "{ticks}");
}

#[test]
fn a_disk_that_refuses_is_no_crash() {
    let world = World::filled(4);
    // A file where a folder belongs fails as a full disk does.
    fs::write(&world.paths.datasets, "").unwrap();
    let job = DatasetJob::Materialize { force: false };
    let error = world.run(job).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[test]
fn a_record_that_was_removed_from_an_older_segment_is_told() {
    let world = World::filled(20);
    let name = "evidence-00000002.jsonl";
    let path = world.paths.evidence.join(name);
    let text = fs::read_to_string(&path).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let (second, rest) = rest.split_once('\n').unwrap();
    let seq = serde_json::from_str::<Value>(second).unwrap()["seq"].clone();
    fs::write(&path, format!("{first}\n{rest}")).unwrap();
    let receipt = world.materialize(false);
    assert_eq!(receipt["chain"]["intact"], false);
    assert_eq!(receipt["chain"]["problem_count"], 1, "{receipt}");
    let problem = &receipt["chain"]["problems"][0];
    assert_eq!(problem["kind"], "removed");
    assert_eq!(
        (&problem["segment"], &problem["line"], &problem["seq"]),
        (&json!(name), &json!(2), &seq)
    );
    assert_eq!(world.materialize(false)["chain"], receipt["chain"]);

    // A line that is still being written is no damage.
    let world = World::filled(2);
    let path = world.paths.evidence.join("evidence-00000001.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text + "{\"body\":").unwrap();
    let receipt = world.materialize(false);
    assert_eq!(receipt["chain"]["intact"], true, "{receipt}");
}

#[test]
fn a_cancelled_job_leaves_what_was_there() {
    let world = World::filled(8);
    world.materialize(false);
    let before = world.files();
    world.append((9..=400).map(chat).collect());
    // 400 answers and the feedback on six of the first eight, each read twice; what is known of an earlier run once.
    for (job, lines) in [
        (DatasetJob::Materialize { force: false }, 392),
        (DatasetJob::Materialize { force: true }, 406),
    ] {
        let mut heard = None;
        let stopped = run(&world.paths, job, &mut || {
            // As soon as it is known how much there is to do.
            let running = world.paths.progress.running().unwrap();
            if running.of > 0 && heard.is_none() {
                heard = Some((running.job, running.of));
                assert!(world.paths.progress.cancel());
            }
        });
        assert!(
            matches!(stopped, Err(DatasetError::Cancelled)),
            "{stopped:?}"
        );
        assert_eq!(heard, Some(("materialize".to_owned(), 2 * lines)));
        assert_eq!(world.paths.progress.running(), None);
        assert_eq!(world.files(), before);
    }
    world.materialize(false);
}

#[test]
fn tasks_of_an_older_version_are_told_and_replaced() {
    let world = World::filled(4);
    let older = DatasetStore::new(&world.paths.datasets);
    let staging = older.stage(&older.tasks()).unwrap();
    staging.write("tasks.jsonl", "{}").unwrap();
    staging.write("quarantine.jsonl", "").unwrap();
    let receipt =
        json!({"format": 3, "job": "materialize", "recipe": {"sha256": sha256(DEFAULT_RECIPE)}});
    staging.write(RECEIPT, &pretty(&receipt)).unwrap();
    staging.commit().unwrap();
    let error = world.export("sft", None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("another version of boathouse: materialize again"),
        "{error}"
    );
    assert_eq!(world.materialize(false)["unchanged"], false);
    let names: Vec<_> = world.files().into_keys().collect();
    let expected = [
        "tasks/date=1970-01-01/tasks.jsonl",
        "tasks/quarantine.jsonl",
        "tasks/receipt.json",
    ];
    assert_eq!(names, expected);
    assert!(world.export("sft", None).is_ok());
}
