//! `boathouse audit`, on a journal that a server wrote.

use std::path::Path;

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
        told.starts_with("3 records in 1 files, the last is 3 "),
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
    let problem = &report["problems"][0];
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
