use std::path::Path;

use boathouse::types::http::Method;
use serde_json::{Value, json};

use crate::harness::{Api, serve};

/// One answered question, with its completion's id.
async fn answer(api: &Api, question: &str) -> String {
    let body = json!({
        "model": "extractive",
        "messages": [{"role": "user", "content": question}],
        "retrieval": {"collection": "docs", "k": 2},
    });
    let answer = api.ok("/v1/chat/completions", body).await;
    answer["id"].as_str().unwrap().to_owned()
}

fn rows(folder: &Value) -> Vec<Value> {
    let data = Path::new(folder.as_str().unwrap()).join("data");
    let mut rows = Vec::new();
    for name in ["train.jsonl", "test.jsonl"] {
        let text = std::fs::read_to_string(data.join(name)).unwrap_or_default();
        rows.extend(
            text.lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()),
        );
    }
    rows
}

#[test]
fn only_what_was_accepted_becomes_training_data() {
    serve(async |api| {
        api.collection(
            "docs",
            &["The ferry leaves at nine.", "The museum opens at ten."],
        )
        .await;
        let good = answer(&api, "When does the ferry leave?").await;
        let bad = answer(&api, "When does the museum open?").await;
        api.ok(
            "/v1/feedback",
            json!({"target": good, "rating": "accepted"}),
        )
        .await;
        api.ok("/v1/feedback", json!({"target": bad, "rating": "rejected"}))
            .await;
        let receipt = api.ok("/v1/materialize", json!({})).await;
        assert!(receipt["counts"].is_object(), "{receipt}");
        let again = api.ok("/v1/materialize", json!({})).await;
        assert_eq!(again["unchanged"], true, "{again}");
        for kind in ["rag", "sft"] {
            let export = api.ok("/v1/exports", json!({"kind": kind})).await;
            assert_eq!(export["rows"], 1, "{export}");
            let rows = rows(&export["path"]);
            assert_eq!(rows.len(), 1);
            let text = rows[0].to_string();
            assert!(
                text.contains("ferry") && !text.contains("does the museum open"),
                "{text}"
            );
        }
        let sft = api
            .ok("/v1/exports", json!({"kind": "sft", "name": "again"}))
            .await;
        let messages = rows(&sft["path"])[0]["messages"].clone();
        assert_eq!(
            messages.as_array().unwrap().last().unwrap()["role"],
            "assistant"
        );
        let all = api.get("/v1/exports").await.text();
        for name in ["rag", "sft", "again"] {
            assert!(all.contains(name), "{all}");
        }
    });
}

#[test]
fn an_edit_becomes_the_answer() {
    serve(async |api| {
        api.collection("docs", &["The ferry leaves at nine."]).await;
        let id = answer(&api, "When does the ferry leave?").await;
        let edit = "At nine in the morning, from the north pier.";
        let body = json!({"target": id, "rating": "partially_accepted", "edited_answer": edit});
        api.ok("/v1/feedback", body).await;
        api.ok("/v1/materialize", json!({})).await;
        let export = api.ok("/v1/exports", json!({"kind": "sft"})).await;
        assert_eq!(
            rows(&export["path"])[0]["messages"]
                .as_array()
                .unwrap()
                .last()
                .unwrap()["content"],
            edit
        );
    });
}

#[test]
fn judged_answers_become_pairs_and_labels_in_the_flavour_that_is_asked_for() {
    serve(async |api| {
        api.collection("docs", &["The ferry leaves at nine."]).await;
        let good = answer(&api, "When does the ferry leave?").await;
        let bad = answer(&api, "When does the ferry leave?").await;
        let edit = "At ten.";
        for (target, rating, edit) in [(good, "accepted", None), (bad, "rejected", Some(edit))] {
            let body = json!({"target": target, "rating": rating, "edited_answer": edit});
            api.ok("/v1/feedback", body).await;
        }
        api.ok("/v1/materialize", json!({})).await;
        let body = json!({"kind": "preference", "flavour": "openai"});
        let export = api.ok("/v1/exports", body).await;
        assert_eq!(export["name"], "preference-openai");
        let pairs = rows(&export["path"]);
        assert_eq!(pairs.len(), 1, "{export}");
        let asked = &pairs[0]["input"]["messages"][0]["content"];
        assert_eq!(asked, "When does the ferry leave?");
        assert_eq!(pairs[0]["preferred_output"][0]["content"], edit);
        let worse = pairs[0]["non_preferred_output"][0]["content"].as_str();
        assert!(worse.unwrap().contains("nine"), "{pairs:?}");
        let export = api.ok("/v1/exports", json!({"kind": "kto"})).await;
        let mut labels: Vec<_> = rows(&export["path"])
            .iter()
            .map(|row| row["label"].as_bool().unwrap())
            .collect();
        labels.sort_unstable();
        assert_eq!(labels, [false, true, true]);
        let body = json!({"kind": "kto", "flavour": "sharegpt"});
        let refused = api.post("/v1/exports", body).await;
        assert_eq!(refused.status, 400);
        let said = refused.text();
        assert!(
            said.contains("a kto export has no sharegpt shape"),
            "{said}"
        );
    });
}

#[test]
fn an_export_needs_materialized_evidence() {
    serve(async |api| {
        let early = api.post("/v1/exports", json!({"kind": "sft"})).await;
        assert!((400..500).contains(&early.status), "{}", early.text());
        assert!(early.text().contains("materialize"), "{}", early.text());
    });
}

#[test]
fn the_head_moves_with_every_record() {
    serve(async |api| {
        let before = api.get("/v1/evidence/head").await.json();
        let receipt = api
            .ok("/v1/feedback", json!({"target": "x", "rating": "accepted"}))
            .await;
        let after = api.get("/v1/evidence/head").await.json();
        assert_eq!(after["hash"], receipt["hash"]);
        assert_ne!(before["hash"], after["hash"]);
    });
}

#[test]
fn feedback_on_a_reused_request_id_means_the_newest_answer() {
    serve(async |api| {
        api.collection("docs", &["The ferry leaves at nine."]).await;
        let mut ids = Vec::new();
        for question in ["When does the ferry leave?", "What leaves at nine?"] {
            let body = json!({
                "model": "extractive",
                "messages": [{"role": "user", "content": question}],
                "retrieval": {"collection": "docs"},
            });
            let path = "/v1/chat/completions";
            let answer = api
                .send_as(Some("same"), Method::Post, path, body.to_string())
                .await;
            assert_eq!(answer.header("x-request-id"), "same");
            ids.push(answer.json()["id"].as_str().unwrap().to_owned());
        }
        assert_ne!(ids[0], ids[1]);
        let body = json!({"target": "same", "rating": "accepted"});
        api.ok("/v1/feedback", body).await;
        let receipt = api.ok("/v1/materialize", json!({})).await;
        assert_eq!(receipt["outcomes"]["accepted"], 1, "{receipt}");
        let export = api.ok("/v1/exports", json!({"kind": "sft"})).await;
        let rows = rows(&export["path"]);
        assert_eq!(rows.len(), 1);
        assert!(rows[0].to_string().contains("What leaves at nine?"));
        let guess = json!({"target": "chatcmpl-same", "rating": "accepted"});
        api.ok("/v1/feedback", guess).await;
        let receipt = api.ok("/v1/materialize", json!({})).await;
        assert_eq!(receipt["feedback_without_task"], 1, "{receipt}");
    });
}

#[test]
fn hard_negatives_are_mined_from_a_collection_and_recorded() {
    serve(async |api| {
        let texts = [
            "The ferry to the island leaves at nine.",
            "The ferry to the mainland leaves at noon.",
            "The ferry to the city is out of order.",
            "Bread is sold from seven.",
        ];
        api.collection("docs", &texts).await;
        let body = json!({
            "model": "extractive",
            "messages": [{"role": "user", "content": "When does the ferry to the island leave?"}],
            "retrieval": {"collection": "docs", "k": 1},
        });
        let answer = api.ok("/v1/chat/completions", body).await;
        let said = json!({"target": answer["id"], "rating": "accepted"});
        api.ok("/v1/feedback", said).await;
        api.ok("/v1/materialize", json!({})).await;
        // Nothing was retrieved that is not cited.
        let export = api.ok("/v1/exports", json!({"kind": "triplets"})).await;
        assert_eq!(export["counts"]["skipped"]["no_negatives"], 1, "{export}");

        let mine = json!({"kind": "triplets", "test_fraction": 0.0,
            "negatives": {"collection": "docs", "k": 2, "margin": 0.0}});
        let export = api.ok("/v1/exports", mine.clone()).await;
        let found = rows(&export["path"]);
        assert_eq!(found.len(), 2, "{export}");
        for row in &found {
            assert_eq!(row["positive"], texts[0]);
            let negative = row["negative"].as_str().unwrap();
            assert!(texts[1..3].contains(&negative), "{row}");
        }
        let folder = Path::new(export["path"].as_str().unwrap());
        let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["negatives"], export["negatives"]);
        let state = api.get("/v1/collections/docs").await.json();
        assert_eq!(export["negatives"]["lsn"], state["lsn"], "{export}");
        assert_eq!(export["negatives"]["margin"], 0.0);
        let again = api.ok("/v1/exports", mine).await;
        assert_eq!(again["outputs"], export["outputs"]);

        let refused = |negatives: Value| json!({"kind": "triplets", "negatives": negatives});
        for (body, status, said) in [
            (
                json!({"kind": "sft", "negatives": {"collection": "docs"}}),
                400,
                "only triplets have",
            ),
            (refused(json!({"collection": "none"})), 404, "none"),
            (
                refused(json!({"collection": "docs", "k": 0})),
                400,
                "negatives.k must be 1 to 64",
            ),
            (
                refused(json!({"collection": "docs", "depth": 5, "min_rank": 6})),
                400,
                "the depth, 5",
            ),
            (
                refused(json!({"collection": "docs", "deep": 5})),
                400,
                "deep",
            ),
        ] {
            let answer = api.post("/v1/exports", body).await;
            assert_eq!(answer.status, status, "{}", answer.text());
            assert!(answer.text().contains(said), "{}", answer.text());
        }
        api.put("/v1/collections/roles", json!({"role_field": "who"}))
            .await;
        let answer = api
            .post("/v1/exports", refused(json!({"collection": "roles"})))
            .await;
        assert!(
            answer.text().contains("keeps roles apart"),
            "{}",
            answer.text()
        );
    });
}

#[test]
fn an_answer_that_repairs_another_makes_a_pair() {
    serve(async |api| {
        api.collection(
            "docs",
            &["The ferry leaves at nine.", "The ferry leaves at ten."],
        )
        .await;
        let ask = async |question: &str| {
            let body = json!({
                "model": "extractive",
                "messages": [{"role": "user", "content": question}],
                "retrieval": {"collection": "docs", "k": 1},
            });
            api.ok("/v1/chat/completions", body).await
        };
        let judge = async |id: &Value, to: &str| {
            let payload = json!({"to": [to], "subject": "Ferry", "body": "It leaves."});
            let body = json!({"kind": "email", "payload": payload, "target": id});
            api.ok("/v1/validate", body).await["verdict"].clone()
        };
        let first = ask("When does the ferry leave?").await;
        assert_ne!(judge(&first["id"], "nobody").await, "pass");
        let body = json!({
            "model": "extractive",
            "messages": [{"role": "user", "content": "The ferry at ten, when?"}],
            "retrieval": {"collection": "docs", "k": 1},
        });
        let id = first["id"].as_str().unwrap();
        let headers = [("x-boathouse-repairs", id)];
        let second = api
            .post_with(&headers, "/v1/chat/completions", body)
            .await
            .json();
        assert_eq!(judge(&second["id"], "ann@example.com").await, "pass");
        api.ok("/v1/materialize", json!({})).await;
        let body = json!({"kind": "preference", "test_fraction": 0.0});
        let export = api.ok("/v1/exports", body).await;
        assert_eq!(
            (&export["rows"], &export["counts"]["paired"]),
            (&json!(1), &json!(1)),
            "{export}"
        );
        let origin = Path::new(export["path"].as_str().unwrap()).join("origin/train.jsonl");
        let origin = std::fs::read_to_string(origin).unwrap();
        let origin: Value = serde_json::from_str(origin.trim()).unwrap();
        assert_eq!(
            (&origin["pair"], &origin["link"], &origin["chosen_id"]),
            (&json!("repair"), &json!("named"), &second["id"])
        );
    });
}
