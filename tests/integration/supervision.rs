use std::sync::{Arc, Mutex};

use boathouse::types::http::Method;
use serde_json::{Value, json};

use crate::harness::{Api, serve, serve_from, serve_with, settings};

fn find(node: &Value, id: &str) -> Option<Value> {
    if node["id"] == id {
        return Some(node.clone());
    }
    node["children"]
        .as_array()?
        .iter()
        .find_map(|child| find(child, id))
}

async fn cell(api: &Api, id: &str) -> Value {
    let tree = api.get("/v1/supervisors").await.json();
    find(&tree, id).unwrap_or_else(|| panic!("no {id} in {tree}"))
}

#[test]
fn the_tree_has_the_documented_shape() {
    serve(async |api| {
        api.collection("docs", &["x marks the spot"]).await;
        let tree = api.get("/v1/supervisors").await.json();
        assert_eq!(tree["id"], "root");
        let groups: Vec<_> = tree["children"]
            .as_array()
            .unwrap()
            .iter()
            .map(|child| child["id"].clone())
            .collect();
        assert_eq!(
            groups,
            ["storage", "engines", "collections", "chat", "datasets"]
        );
        for id in [
            "evidence",
            "embedding",
            "validation",
            "tables",
            "docs",
            "extractive",
            "dataset",
        ] {
            assert_eq!(cell(&api, id).await["state"], "ready", "{id}");
        }
    });
}

#[test]
fn a_crash_costs_one_request_in_every_cell() {
    serve(async |api| {
        api.collection("docs", &["the ferry leaves at nine"]).await;
        let chat = json!({"model": "extractive", "messages": [{"role": "user", "content": "hi"}]});
        let email =
            json!({"kind": "email", "payload": {"to": "a@b.example", "subject": "s", "body": "b"}});
        for (id, path, body) in [
            (
                "embedding",
                "/v1/embeddings",
                json!({"model": "static-minilm", "input": "never seen before"}),
            ),
            ("validation", "/v1/validate", email),
            (
                "docs",
                "/v1/collections/docs/search",
                json!({"query": "ferry", "mode": "lexical"}),
            ),
            ("extractive", "/v1/chat/completions", chat),
            (
                "evidence",
                "/v1/feedback",
                json!({"target": "x", "rating": "accepted"}),
            ),
            ("dataset", "/v1/materialize", json!({})),
        ] {
            let before = cell(&api, id).await["restarts"].as_u64().unwrap();
            let armed = api
                .post(&format!("/v1/supervisors/{id}/crash"), json!({}))
                .await;
            assert_eq!(armed.status, 200, "{}", armed.text());
            let crashed = api.post(path, body.clone()).await;
            assert_eq!(crashed.status, 500, "{id}: {}", crashed.text());
            assert!(crashed.text().contains("crash-"), "{}", crashed.text());
            let next = api.post(path, body).await;
            assert_eq!(next.status, 200, "{id}: {}", next.text());
            // Another worker of a pool may have answered before the tree hears of the crash.
            let after = loop {
                let after = cell(&api, id).await;
                if after["restarts"] != before && after["state"] == "ready" {
                    break after;
                }
            };
            assert_eq!(after["restarts"].as_u64().unwrap(), before + 1, "{after}");
            assert_eq!(after["last_crash"]["message"], "crashed on purpose");
        }
        assert_eq!(api.get("/readyz").await.status, 200);
    });
}

#[test]
fn an_operator_restarts_a_cell_and_a_whole_branch() {
    serve(async |api| {
        api.collection("docs", &["the ferry leaves at nine"]).await;
        for id in ["docs", "embedding", "engines"] {
            let done = api
                .post(&format!("/v1/supervisors/{id}/restart"), json!({}))
                .await;
            assert_eq!(done.status, 200, "{id}: {}", done.text());
            let body = json!({"query": format!("ferry {id}"), "k": 1});
            let found = api.ok("/v1/collections/docs/search", body).await;
            assert_eq!(found["hits"][0]["id"], "0");
        }
    });
}

#[test]
fn crashing_on_purpose_is_off_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.supervisors.allow_crash = false;
    serve_with(settings, async |api| {
        let refused = api.post("/v1/supervisors/embedding/crash", json!({})).await;
        assert_eq!(refused.status, 422);
        assert!(refused.text().contains("allow_crash"));
    });
}

#[test]
fn poison_is_quarantined_listed_and_released() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.supervisors.defaults.intensity = 100;
    serve_with(settings, async |api| {
        let poison = json!({"model": "static-minilm", "input": "the same poison"});
        for _ in 0..3 {
            api.ok("/v1/supervisors/embedding/crash", json!({})).await;
            assert_eq!(api.post("/v1/embeddings", poison.clone()).await.status, 500);
        }
        let refused = api.post("/v1/embeddings", poison.clone()).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert_eq!(refused.json()["error"]["code"], "quarantined");
        let letters = api.get("/v1/dead-letters").await.json();
        let letter = &letters["dead_letters"][0];
        assert_eq!(
            (&letter["child"], &letter["crashes"]),
            (&json!("embedding"), &json!(3))
        );
        let digest = letter["digest"].as_str().unwrap();
        assert!(refused.text().contains(digest), "{}", refused.text());
        // Others are served all the while.
        let other = json!({"model": "static-minilm", "input": "something else"});
        api.ok("/v1/embeddings", other).await;
        api.ok(&format!("/v1/dead-letters/{digest}/release"), json!({}))
            .await;
        api.ok("/v1/embeddings", poison).await;
        let again = api
            .post(&format!("/v1/dead-letters/{digest}/release"), json!({}))
            .await;
        assert_eq!(again.status, 404);
        let letter = format!("/v1/dead-letters/{digest}");
        assert_eq!(api.send(Method::Delete, &letter, "").await.status, 404);
    });
}

#[test]
fn policies_are_reloaded_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let file = Arc::new(Mutex::new(settings.clone()));
    let source = Arc::clone(&file);
    let source = Box::new(move || {
        let settings = source.lock().unwrap().clone();
        settings.validate().map(|()| settings)
    });
    serve_from(settings, source, async move |api| {
        api.collection("docs", &["the ferry leaves at nine"]).await;
        file.lock().unwrap().supervisors.defaults.inbox = 77;
        assert_eq!(cell(&api, "evidence").await["capacity"], 1024);
        api.ok("/v1/supervisors/reload", json!({})).await;
        assert_eq!(cell(&api, "evidence").await["capacity"], 77);
        assert_eq!(cell(&api, "docs").await["capacity"], 77);
        // What is set for a cell itself stays.
        assert_eq!(cell(&api, "embedding").await["capacity"], 4096);
        file.lock().unwrap().supervisors.defaults.inbox = 0;
        let refused = api.post("/v1/supervisors/reload", json!({})).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains("inbox"), "{}", refused.text());
        assert_eq!(cell(&api, "evidence").await["capacity"], 77);
    });
}

#[test]
fn a_damaged_collection_says_what_is_wrong_and_the_others_serve() {
    let folder = tempfile::tempdir().unwrap();
    serve_with(settings(folder.path()), async |api| {
        api.collection("good", &["the ferry leaves at nine"]).await;
        api.collection("bad", &["one"]).await;
        for id in 0..3 {
            let points = json!({"points": [{"id": id, "text": "more"}]});
            api.ok("/v1/collections/bad/points", points).await;
        }
    });
    let log = folder
        .path()
        .join("data/collections/bad/wal-000000000001.log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[60] ^= 0xff;
    std::fs::write(&log, bytes).unwrap();
    serve_with(settings(folder.path()), async |api| {
        let refused = loop {
            let refused = api.get("/v1/collections/bad").await;
            if refused.text().contains("cannot start") {
                break refused;
            }
        };
        assert_eq!(refused.status, 503);
        assert!(
            refused.text().contains("wal-000000000001.log"),
            "{}",
            refused.text()
        );
        assert!(!refused.header("retry-after").is_empty());
        let damaged = cell(&api, "bad").await;
        assert!(
            damaged["start_failure"].as_str().unwrap().contains("wal-"),
            "{damaged}"
        );
        let found = api
            .ok("/v1/collections/good/search", json!({"query": "ferry"}))
            .await;
        assert_eq!(found["hits"][0]["id"], "0");
        assert_eq!(api.get("/readyz").await.status, 200);
    });
}
