//! Two replicas that push to a folder that stands for a bucket, and a third data folder that joins what they hold.

use std::path::Path;
use std::process::Command;

use boathouse::types::http::Method;
use serde_json::{Value, json};

use crate::harness::{Api, Process, command, finish};

/// A command with a bucket and a replica's name in its environment.
fn of(bucket: &Path, replica: &str) -> Command {
    let mut command = command();
    command
        .env(
            "BOATHOUSE__OBJECT_STORAGE__URL",
            format!("file://{}", bucket.display()),
        )
        .env("BOATHOUSE__OBJECT_STORAGE__REPLICA", replica)
        .env("BOATHOUSE__OBJECT_STORAGE__PUSH_EVERY_MS", "0");
    command
}

fn serving(bucket: &Path, replica: &str, data: &Path) -> Process {
    let mut command = of(bucket, replica);
    Process::of(command.args(["serve", "--port", "0", "--data"]).arg(data))
}

/// The JSON that a command prints.
fn told(command: &mut Command, data: &Path, arguments: &[&str]) -> Value {
    command
        .arg("--data")
        .arg(data)
        .args(arguments)
        .arg("--json");
    let (status, shown, said) = finish(command);
    assert_eq!(status, Some(0), "{arguments:?}: {said}");
    serde_json::from_str(&shown).unwrap()
}

#[test]
fn feedback_at_one_replica_is_of_the_task_that_another_one_answered() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let bucket = at("bucket");
    let (one, two) = (
        serving(&bucket, "one", &at("one")),
        serving(&bucket, "two", &at("two")),
    );
    actix_web::rt::System::new().block_on(async {
        let (one, two) = (Api::new(one.address), Api::new(two.address));
        one.collection("docs", &["The ferry leaves at nine."]).await;
        let body = json!({
            "model": "extractive",
            "messages": [{"role": "user", "content": "When does the ferry leave?"}],
            "retrieval": {"collection": "docs", "k": 1},
        });
        let answer = one.ok("/v1/chat/completions", body).await;
        let said = json!({"target": answer["id"], "rating": "accepted"});
        two.ok("/v1/feedback", said).await;
        for api in [&one, &two] {
            let pushed = api.ok("/v1/push", json!({})).await;
            assert!(pushed["sent"].as_u64().unwrap() > 2, "{pushed}");
            assert_eq!(api.ok("/v1/push", json!({})).await["sent"], 0);
        }
        let status = one.get("/v1/push").await.json();
        assert_eq!(
            (&status["replica"], &status["pushes"], &status["under_way"]),
            (&json!("one"), &json!(2), &Value::Null)
        );
        let metrics = one.get("/metrics").await.text();
        assert!(
            metrics.contains("boathouse_pushes_total{outcome=\"ok\"} 2"),
            "{metrics}"
        );
        assert_eq!(one.send(Method::Delete, "/v1/push", "").await.status, 404);
    });

    let receipt = told(
        &mut of(&bucket, "three"),
        &at("three"),
        &["materialize", "--pull"],
    );
    assert_eq!(receipt["counts"]["tasks"], 1, "{receipt}");
    assert_eq!(receipt["outcomes"]["accepted"], 1, "{receipt}");
    let replicas = receipt["replicas"].as_array().unwrap();
    let names: Vec<&Value> = replicas.iter().map(|one| &one["replica"]).collect();
    assert_eq!(names, ["one", "two"]);
    let exported = told(&mut of(&bucket, "three"), &at("three"), &["export", "sft"]);
    assert_eq!(exported["rows"], 1);
    let pushed = told(&mut of(&bucket, "three"), &at("three"), &["push"]);
    assert!(
        bucket
            .join("exports/replica=three/sft/receipt.json")
            .is_file(),
        "{pushed}"
    );
    let audited = told(&mut of(&bucket, "three"), &at("three"), &["audit"]);
    assert_eq!(audited["sound"], true, "{audited}");

    // What was changed in the bucket is not taken, and the command says so.
    let journal = bucket.join("journal/replica=one");
    std::fs::write(journal.join("manifest.json"), "{}").unwrap();
    let mut pull = of(&bucket, "three");
    let (status, shown, _) = finish(pull.arg("--data").arg(at("three")).arg("pull"));
    assert_eq!(status, Some(1));
    assert!(shown.contains("not taken"), "{shown}");
}
