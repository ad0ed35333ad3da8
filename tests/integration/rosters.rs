//! Where the roster comes from, and what happens when it changes.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Api, command, finish, serve_with, settings};

/// Has the binary invent 300 workers.
fn generate(path: &Path) {
    let mut roster = command();
    roster.args([
        "roster", "generate", "--rows", "300", "--seed", "5", "--out",
    ]);
    let (status, _, said) = finish(roster.arg(path));
    assert_eq!(status, Some(0), "{said}");
}

async fn verdict(api: &Api, id: &str, name: &str) -> Value {
    let fills = json!({"fills": [{"worker_id": id, "name": name}]});
    let report = api
        .ok("/v1/validate", json!({"kind": "fill", "payload": fills}))
        .await;
    report["verdict"].clone()
}

async fn tables(api: &Api) -> Value {
    api.get("/v1/validators").await.json()["tables"].clone()
}

#[test]
fn every_format_is_one_roster() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let csv = path("roster.csv");
    generate(&csv);
    let text = fs::read_to_string(&csv).unwrap();
    // The same numbers, the same file.
    generate(&path("again.csv"));
    assert_eq!(text, fs::read_to_string(path("again.csv")).unwrap());
    let workers: Vec<Vec<&str>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(workers.len(), 300);
    for name in ["roster.csv", "roster.jsonl", "roster.parquet"] {
        let file = path(name);
        generate(&file);
        let mut settings = settings(&path(&format!("{name}.house")));
        settings.validation.fill.roster = Some(file.display().to_string());
        serve_with(settings, async |api| {
            let told = tables(&api).await;
            assert_eq!(
                (&told[0]["rows"], &told[0]["error"]),
                (&json!(300), &Value::Null),
                "{name}"
            );
            for worker in workers.iter().step_by(29) {
                let (id, name) = (worker[0], worker[1]);
                let expected = if worker[5] == "active" {
                    "pass"
                } else {
                    "repairable"
                };
                assert_eq!(verdict(&api, id, name).await, expected, "{name} {id}");
                let fills = json!({"fills": [{"worker_id": id, "name": name}]});
                let context = json!({"certificates": ["Astronaut"], "client_id": worker[6].split(';').next()});
                let body = json!({"kind": "fill", "payload": fills, "context": context});
                let report = api.ok("/v1/validate", body).await;
                let barred = report.to_string().contains("fill.barred");
                assert_eq!(barred, !worker[6].is_empty(), "{name} {report}");
            }
        });
    }
    let mut roster = command();
    roster.args(["roster", "generate", "--rows", "3", "--out", "roster.xlsx"]);
    let (status, _, said) = finish(&mut roster);
    assert_eq!(status, Some(1));
    assert!(said.contains(".csv, .jsonl or .parquet"), "{said}");
}

#[test]
fn a_reload_takes_what_is_right_and_tells_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roster.csv");
    let header = "worker_id,name,role,city,state,status\n";
    fs::write(
        &file,
        format!("{header}W-1,Ann Lee,welder,Gary,IN,active\n"),
    )
    .unwrap();
    let mut settings = settings(folder.path());
    settings.validation.fill.roster = Some(file.display().to_string());
    // Only when it is asked to.
    settings.validation.fill.reload_ms = 0;
    serve_with(settings, async |api| {
        assert_eq!(verdict(&api, "W-2", "Bo Lund").await, "fail");
        fs::write(
            &file,
            format!("{header}W-2,Bo Lund,welder,Gary,IN,active\n"),
        )
        .unwrap();
        assert_eq!(verdict(&api, "W-2", "Bo Lund").await, "fail");
        let reloaded = api.ok("/v1/validators/reload", json!({})).await;
        assert_eq!(reloaded["tables"][0]["rows"], 1);
        assert_eq!(verdict(&api, "W-2", "Bo Lund").await, "pass");

        fs::write(&file, format!("{header}W-3,Cy Moss,welder,Gary\n")).unwrap();
        let refused = api.post("/v1/validators/reload", json!({})).await;
        assert_eq!(refused.status, 400);
        let said = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(said.contains("roster.csv line 2: 4 fields"), "{said}");
        assert_eq!(verdict(&api, "W-2", "Bo Lund").await, "pass");
        let told = tables(&api).await;
        assert!(
            told[0]["error"].as_str().unwrap().contains("line 2"),
            "{told}"
        );
    });
}

#[test]
fn a_changed_file_is_noticed_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roster.csv");
    let header = "worker_id,name,role,city,state,status\n";
    fs::write(
        &file,
        format!("{header}W-1,Ann Lee,welder,Gary,IN,active\n"),
    )
    .unwrap();
    let mut settings = settings(folder.path());
    settings.validation.fill.roster = Some(file.display().to_string());
    settings.validation.fill.reload_ms = 100;
    serve_with(settings, async |api| {
        fs::write(
            &file,
            format!("{header}W-22,Bo Lund,welder,Gary,IN,active\n"),
        )
        .unwrap();
        while verdict(&api, "W-22", "Bo Lund").await != "pass" {}
    });
}

#[test]
fn a_collection_is_a_roster() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.validation.fill.roster = Some("collection:staff".to_owned());
    settings.validation.fill.reload_ms = 0;
    let again = settings.clone();
    let worker = |id: &str, name: &str| {
        json!({
            "worker_id": id, "name": name, "role": "welder", "city": "Gary", "state": "IN", "status": "active",
            "certificates": ["MIG:2027-01-31"],
        })
    };
    serve_with(settings, async |api| {
        // There is none yet: nobody is known, and it is told.
        assert_eq!(verdict(&api, "W-1", "Ann Lee").await, "fail");
        let told = tables(&api).await;
        assert!(
            told[0]["error"]
                .as_str()
                .unwrap()
                .contains("no collection named staff"),
            "{told}"
        );

        let made = api
            .put("/v1/collections/staff", json!({"dim": 2, "embedder": null}))
            .await;
        assert_eq!(made.status, 201, "{}", made.text());
        let points = json!({"points": [
            {"id": "a", "vector": [1, 0], "payload": worker("W-1", "Ann Lee")},
            {"id": "b", "vector": [0, 1], "payload": worker("W-2", "Bo Lund")},
        ]});
        api.ok("/v1/collections/staff/points", points).await;
        api.ok("/v1/validators/reload", json!({})).await;
        assert_eq!(verdict(&api, "W-1", "Ann Lee").await, "pass");
        assert_eq!(verdict(&api, "W-2", "Ann Lee").await, "repairable");

        let wrong =
            json!({"points": [{"id": "c", "vector": [1, 1], "payload": worker("w-1", "Cy Moss")}]});
        api.ok("/v1/collections/staff/points", wrong).await;
        let refused = api.post("/v1/validators/reload", json!({})).await;
        let said = refused.text();
        assert!(
            said.contains("collection:staff point c, column worker_id"),
            "{said}"
        );
        assert_eq!(verdict(&api, "W-1", "Ann Lee").await, "pass");
        let right =
            json!({"points": [{"id": "c", "vector": [1, 1], "payload": worker("W-3", "Cy Moss")}]});
        api.ok("/v1/collections/staff/points", right).await;
    });
    // A start reads what is on the disk.
    serve_with(again, async |api| {
        assert_eq!(verdict(&api, "W-3", "Cy Moss").await, "pass");
        assert_eq!(tables(&api).await[0]["rows"], 3);
    });
}
