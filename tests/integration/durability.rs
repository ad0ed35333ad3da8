//! What was acknowledged is there after the process was killed.

use serde_json::{Value, json};

use crate::harness::{Api, Process};

fn block_on<T>(work: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(work)
}

#[test]
fn acknowledged_writes_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path());
    let head = block_on(async {
        let api = Api::new(process.address);
        api.collection("docs", &["the ferry leaves at nine"]).await;
        for batch in 0..20 {
            let points: Vec<Value> = (0..10)
                .map(|n| json!({"id": format!("{batch}-{n}"), "text": format!("passage {batch} {n}"), "payload": {"batch": batch}}))
                .collect();
            api.ok("/v1/collections/docs/points", json!({"points": points}))
                .await;
        }
        api.ok(
            "/v1/collections/docs/points/delete",
            json!({"filter": {"batch": 3}}),
        )
        .await;
        api.ok("/v1/feedback", json!({"target": "x", "rating": "accepted"}))
            .await["hash"]
            .clone()
    });
    // SIGKILL: no drain, no chance to write anything more.
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    let process = Process::start(folder.path());
    block_on(async {
        let api = Api::new(process.address);
        let count = api.ok("/v1/collections/docs/points/count", json!({})).await;
        assert_eq!(count["count"], 191);
        let found = api
            .ok(
                "/v1/collections/docs/search",
                json!({"query": "when does the ferry leave", "k": 1}),
            )
            .await;
        assert_eq!(found["hits"][0]["id"], "0");
        // The search above has moved the head; the chain goes on from the record of before.
        assert!(head.as_str().is_some_and(|hash| !hash.is_empty()));
        let receipt = api.ok("/v1/materialize", json!({})).await;
        assert!(receipt["counts"].is_object());
    });
}

#[test]
fn a_data_folder_has_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Process::start(folder.path());
    let second = crate::harness::command()
        .args(["serve", "--port", "0", "--data"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("in use by another"), "{said}");
}

#[cfg(unix)]
#[test]
fn sigterm_drains_and_ends_with_success() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path());
    block_on(async {
        Api::new(process.address)
            .collection("docs", &["kept"])
            .await;
    });
    let id = process.child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status()
        .unwrap();
    assert!(sent.success());
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_damaged_collection_is_told_and_repaired_while_the_server_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = crate::harness::command()
            .args(arguments)
            .arg("--data")
            .arg(folder.path())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let mut process = Process::start(folder.path());
    block_on(async {
        let api = Api::new(process.address);
        for (name, texts) in [("good", ["a"].as_slice()), ("bad", &["b"])] {
            api.collection(name, texts).await;
        }
        for id in ["1", "2"] {
            let points = json!({"points": [{"id": id, "text": "the ferry"}]});
            api.ok("/v1/collections/bad/points", points).await;
        }
    });
    let (status, said) = run(&["collection", "check"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("in use by another"), "{said}");
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    assert_eq!(run(&["collection", "check"]).0, Some(0));
    let log = folder.path().join("collections/bad/wal-000000000001.log");
    let mut bytes = std::fs::read(&log).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let (status, said) = run(&["collection", "check"]);
    assert_eq!(status, Some(1), "{said}");
    for part in [
        "good: sound; 1 point",
        "bad: damaged in one place; 2 points",
        "one record is lost",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let (status, said) = run(&["collection", "repair", "bad"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("--yes"), "{said}");
    // Who is asked is told of what, also where stdout is for JSON.
    let (status, said) = run(&["collection", "repair", "bad", "--json"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("one record is lost"), "{said}");
    let (status, said) = run(&["collection", "repair", "bad", "--yes"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("bad: repaired, 2 points"), "{said}");
    let (status, said) = run(&["collection", "check", "bad", "gone"]);
    assert_eq!(status, Some(1));
    assert!(
        said.contains("bad: sound") && said.contains("there are: bad, good"),
        "{said}"
    );
    let process = Process::start(folder.path());
    block_on(async {
        let api = Api::new(process.address);
        let found = api.get("/v1/collections/bad").await.json();
        assert_eq!(found["points"], 2);
    });
}
