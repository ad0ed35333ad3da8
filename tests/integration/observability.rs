//! Metrics, readiness, request ids, and what a collector is sent.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, serve, serve_with, settings};

fn shipped(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    std::fs::read_to_string(root.join(name)).unwrap()
}

/// The expressions of a dashboard, or of anything in it.
fn expressions(json: &Value, found: &mut Vec<String>) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text)
                        if ["expr", "query", "definition"].contains(&name.as_str()) =>
                    {
                        found.push(text.clone());
                    }
                    value => expressions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

/// The names of series, and each with its labels, as `name{label`.
fn exported(page: &str) -> BTreeSet<String> {
    let label = Regex::new(r#"([a-z_]+)=""#).unwrap();
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let types = types.filter_map(|line| line.split(' ').next());
    let mut known: BTreeSet<String> = types.map(str::to_owned).collect();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        known.insert(name.to_owned());
        let labels = line.split(' ').next().unwrap();
        for found in label.captures_iter(labels) {
            known.insert(format!("{name}{{{}", &found[1]));
        }
    }
    known
}

#[test]
fn the_dashboard_and_the_alerts_use_what_is_exported() {
    serve(async |api| {
        api.collection("docs", &["The ferry leaves at nine."]).await;
        let asked = json!({"model": "extractive", "messages": [{"role": "user", "content": "ferry?"}],
            "retrieval": {"collection": "docs"}});
        api.ok("/v1/chat/completions", asked).await;
        let known = exported(&api.get("/metrics").await.text());

        let dashboard: Value = serde_json::from_str(&shipped("grafana/boathouse.json")).unwrap();
        let mut used = Vec::new();
        expressions(&dashboard, &mut used);
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<u64> = panels
            .iter()
            .map(|panel| panel["id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids.len(), panels.len());
        assert!(used.len() > 20, "{used:?}");
        used.extend(shipped("prometheus/alerts.yml").lines().map(str::to_owned));

        let series = Regex::new(r"boathouse_[a-z_]+(\{[^}]*\})?").unwrap();
        let label = Regex::new(r#"([a-z_]+)(?:=~|!=|!~|=)""#).unwrap();
        let mut seen = 0;
        for found in used.iter().flat_map(|text| series.find_iter(text)) {
            let (name, labels) = match found.as_str().split_once('{') {
                Some((name, labels)) => (name, labels),
                None => (found.as_str(), ""),
            };
            assert!(known.contains(name), "{name} is not in /metrics");
            // Prometheus itself adds instance and job.
            for own in label
                .captures_iter(labels)
                .filter(|own| &own[1] != "instance")
            {
                let own = format!("{name}{{{}", &own[1]);
                assert!(known.contains(&own), "{own} is not in /metrics");
            }
            seen += 1;
        }
        assert!(seen > 40, "{seen}");
    });
}

/// Waits until the tree has heard of the crash.
async fn degraded(api: &Api, id: &str) -> Answer {
    loop {
        let ready = api.get("/readyz").await;
        if ready.json()["degraded"].to_string().contains(id) {
            return ready;
        }
    }
}

#[test]
fn a_cell_that_is_not_critical_is_told_and_costs_no_readiness() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    // The second restart waits.
    let waits = json!({"first_ms": 0, "base_ms": 30_000, "max_ms": 30_000, "jitter": "none", "reset_after_ms": 60_000});
    settings.supervisors.defaults.backoff = serde_json::from_value(waits).unwrap();
    serve_with(settings, async |api| {
        let metric = async |line: &str| {
            let page = api.get("/metrics").await.text();
            assert!(page.lines().any(|found| found == line), "{line}: {page}");
        };
        metric("boathouse_ready 1").await;
        for turn in 0..2 {
            let chat = json!({"model": "extractive", "messages": [{"role": "user", "content": format!("hi {turn}")}]});
            api.ok("/v1/supervisors/extractive/crash", json!({})).await;
            assert_eq!(api.post("/v1/chat/completions", chat).await.status, 500);
        }
        let ready = degraded(&api, "extractive").await;
        assert_eq!(ready.status, 200, "{}", ready.text());
        metric("boathouse_cell_ready{cell=\"root/chat/extractive\"} 0").await;
        metric("boathouse_ready 1").await;
    });
}

#[test]
fn a_critical_cell_that_rests_costs_readiness_until_it_is_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    // One crash is too many, and what rests does so for longer than this test runs.
    let waits = json!({"first_ms": 0, "base_ms": 600_000, "max_ms": 600_000, "jitter": "none", "reset_after_ms": 600_000});
    settings.supervisors.defaults.backoff = serde_json::from_value(waits).unwrap();
    settings.supervisors.defaults.intensity = 0;
    serve_with(settings, async |api| {
        let email = json!({"kind": "email", "payload": {"to": "a@example.com", "subject": "Hello", "body": "The boat is ready."}});
        let text = json!({"model": "static-minilm", "input": "a boat"});
        assert_eq!(api.get("/readyz").await.status, 200);
        api.ok("/v1/supervisors/validation/crash", json!({})).await;
        assert_eq!(api.post("/v1/validate", email.clone()).await.status, 500);
        let down = degraded(&api, "validation").await;
        assert_eq!(down.status, 503, "{}", down.text());
        let expected = json!({"live": true, "ready": false, "degraded": ["validation"]});
        assert_eq!(down.json(), expected);
        let page = api.get("/metrics").await.text();
        assert!(
            page.lines().any(|line| line == "boathouse_ready 0"),
            "{page}"
        );
        // The process lives, so nobody is to kill it, and the rest of it serves.
        assert_eq!(api.get("/healthz").await.status, 200);
        assert_eq!(api.post("/v1/validate", email.clone()).await.status, 503);
        api.ok("/v1/embeddings", text).await;

        api.ok("/v1/supervisors/validation/restart", json!({}))
            .await;
        let up = loop {
            let ready = api.get("/readyz").await;
            if ready.status != 503 {
                break ready;
            }
        };
        let expected = json!({"live": true, "ready": true, "degraded": []});
        assert_eq!((up.status, up.json()), (200, expected));
        api.ok("/v1/validate", email).await;
    });
}
