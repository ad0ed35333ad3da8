//! Whatever a client sends gets a typed 4xx that says what to change, and changes nothing.

use boathouse::types::http::Method;
use serde_json::{Value, json};

use crate::harness::{Api, serve, serve_with, settings};

/// Sends `body`, expects `status`, and that the message holds `says`.
async fn refused(api: &Api, method: Method, path: &str, body: &[u8], status: u16, says: &str) {
    let answer = api.send(method, path, body).await;
    let shown: String = String::from_utf8_lossy(body).chars().take(80).collect();
    assert_eq!(answer.status, status, "{path} {shown}: {}", answer.text());
    let json = answer.json();
    let message = json
        .get("detail")
        .or_else(|| json.pointer("/error/message"));
    let message = message
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no message: {json}"));
    assert!(message.contains(says), "{path} {shown}: {message}");
    let id = json
        .get("request_id")
        .or_else(|| json.pointer("/error/request_id"))
        .unwrap();
    assert_eq!(id, answer.header("x-request-id"));
}

#[test]
fn what_is_not_set_up_is_refused_and_leaves_nothing_behind() {
    serve(async |api| {
        api.collection("docs", &["some text"]).await;
        let storage = "no object storage is set";
        let there = "/v1/collections/docs/move";
        let cases = [
            (there, r#"{"to":"lance"}"#, 422, "no lance is set up here"),
            (there, r#"{"to":"hnsw"}"#, 409, "kept by hnsw already"),
            ("/v1/push", "{}", 422, storage),
            ("/v1/pull", "{}", 422, storage),
            ("/v1/materialize", r#"{"pull":true}"#, 422, storage),
        ];
        for (path, body, status, says) in cases {
            refused(&api, Method::Post, path, body.as_bytes(), status, says).await;
        }
        let removed = api.send(Method::Delete, "/v1/collections/docs", "").await;
        assert_eq!(removed.status, 200, "{}", removed.text());
    });
}

#[test]
fn requests_that_make_no_sense_are_refused_with_the_reason() {
    serve(async |api| {
        api.collection("docs", &["some text"]).await;
        api.put("/v1/collections/v", json!({"dim": 2, "embedder": null}))
            .await;
        let embed = "/v1/embeddings";
        let points = "/v1/collections/v/points";
        let search = "/v1/collections/v/search";
        let chat = "/v1/chat/completions";
        let huge = json!({"model": "static-minilm", "input": "a ".repeat(300_000)}).to_string();
        let many = json!({"model": "static-minilm", "input": vec!["x"; 5_000]}).to_string();
        let long_id = json!({"points": [{"id": "i".repeat(600), "vector": [1, 2]}]}).to_string();
        let cases: Vec<(&str, &[u8], u16, &str)> = vec![
            (embed, b"{", 400, "not JSON"),
            (embed, b"[]", 400, ""),
            (embed, b"\xff{}", 400, "UTF-8"),
            (embed, br#"{"model":"static-minilm"}"#, 400, "input"),
            (embed, br#"{"model":"static-minilm","input":[]}"#, 400, "empty"),
            (embed, br#"{"model":"static-minilm","input":""}"#, 400, ""),
            (embed, br#"{"model":"static-minilm","input":["a",""]}"#, 400, "1"),
            (embed, "{\"model\":\"static-minilm\",\"input\":[\"a\",\"\u{1f6a3}\"]}".as_bytes(), 400, "1"),
            (embed, br#"{"model":"static-minilm","input":{"a":1}}"#, 400, "input must be"),
            (embed, br#"{"model":"static-minilm","input":[1,"a"]}"#, 400, "input must be"),
            (embed, br#"{"model":"static-minilm","input":[99999999]}"#, 400, "99999999"),
            (embed, br#"{"model":"static-minilm","input":"a","dimensions":0}"#, 400, "dim"),
            (embed, br#"{"model":"static-minilm","input":"a","dimensions":9999}"#, 400, "dim"),
            (embed, br#"{"model":"static-minilm","input":"a","inptu":1}"#, 400, "unknown field `inptu`"),
            (embed, br#"{"model":"nobody","input":"a"}"#, 404, "static-minilm"),
            (embed, huge.as_bytes(), 413, "bytes"),
            (embed, many.as_bytes(), 413, "5000"),
            (points, br#"{"points":[]}"#, 400, "empty"),
            (points, br#"{"points":[{"id":"a"}]}"#, 400, "points[0]"),
            (points, br#"{"points":[{"id":"a","text":"t"}]}"#, 400, "no embedder"),
            (points, br#"{"points":[{"id":"a","vector":[1]}]}"#, 400, "expected 2, got 1"),
            (points, br#"{"points":[{"id":"a","vector":[0,0]}]}"#, 400, "zero"),
            (points, br#"{"points":[{"id":"a","vector":[1,1e39]}]}"#, 400, ""),
            (points, br#"{"points":[{"id":"a","vector":[1,NaN]}]}"#, 400, "not JSON"),
            (points, br#"{"points":[{"id":"","vector":[1,2]}]}"#, 400, "id"),
            (points, br#"{"points":[{"id":-1,"vector":[1,2]}]}"#, 400, "id"),
            (points, br#"{"points":[{"id":"ok","vector":[1,2]},{"id":"a","vector":[1]}]}"#, 400, "1"),
            (points, long_id.as_bytes(), 400, "id"),
            ("/v1/collections/nobody/points", br#"{"points":[{"id":"a","text":"t"}]}"#, 404, "docs"),
            ("/v1/collections/v/points/delete", b"{}", 400, "ids or filter"),
            ("/v1/collections/v/points/delete", br#"{"filter":{"a":{"$like":1}}}"#, 400, "$like"),
            ("/v1/collections/v/points/scroll", br#"{"limit":0}"#, 400, "limit"),
            (search, b"{}", 400, "query"),
            (search, br#"{"vector":[1,2],"k":0}"#, 400, "k"),
            (search, br#"{"vector":[1,2],"k":100000}"#, 400, "k"),
            (search, br#"{"vector":[1,2,3]}"#, 400, "expected 2, got 3"),
            (search, br#"{"vector":[0,0]}"#, 400, "zero"),
            (search, br#"{"query":"a"}"#, 400, "no embedder"),
            (search, br#"{"query":" "}"#, 400, "empty"),
            (search, br#"{"vector":[1,2],"mode":"hybrid"}"#, 400, "query"),
            (search, br#"{"vector":[1,2],"mode":"psychic"}"#, 400, "psychic"),
            (search, br#"{"vector":[1,2],"filter":{"$and":1}}"#, 400, "$and"),
            (chat, b"{}", 400, "messages"),
            (chat, br#"{"model":"extractive","messages":[]}"#, 400, "messages"),
            (chat, br#"{"model":"nobody/x","messages":[{"role":"user","content":"hi"}]}"#, 404, "extractive"),
            (chat, br#"{"model":"extractive","messages":[{"role":"wizard","content":"hi"}]}"#, 400, "wizard"),
            (chat, br#"{"model":"extractive","messages":[{"role":"user","content":"hi"}],"n":2}"#, 400, "n"),
            (
                chat,
                br#"{"model":"extractive","messages":[{"role":"user","content":"hi"}],"retrieval":{"collection":"nobody"}}"#,
                404,
                "nobody",
            ),
            ("/v1/validate", br#"{"kind":"poem","payload":{}}"#, 404, "email"),
            ("/v1/validate", br#"{"payload":{}}"#, 400, "kind"),
            ("/v1/feedback", br#"{"target":"","rating":"accepted"}"#, 400, "target"),
            ("/v1/feedback", br#"{"target":"x","rating":"meh"}"#, 400, "meh"),
            ("/v1/exports", br#"{"kind":"poem"}"#, 400, "poem"),
            ("/v1/exports", br#"{"kind":"rag","name":"../../etc"}"#, 400, "name"),
            ("/v1/exports", br#"{"kind":"rag","test_fraction":7}"#, 400, "test_fraction"),
            ("/v1/supervisors/nobody/restart", b"", 404, "nobody"),
            ("/v1/supervisors/engines/crash", b"", 400, "supervisor"),
            ("/v1/nowhere", b"{}", 404, "no route"),
        ];
        for (path, body, status, says) in cases {
            refused(&api, Method::Post, path, body, status, says).await;
        }
        for (name, body, status, says) in [
            ("v", json!({"dim": 3, "embedder": null}), 409, "exists"),
            ("w", json!({"dim": 0, "embedder": null}), 400, "dim"),
            ("w", json!({"dim": 1_000_000, "embedder": null}), 400, "dim"),
            ("w", json!({"embedder": null}), 400, "dim"),
            ("w", json!({"embedder": "nobody"}), 404, "nobody"),
            (
                "w",
                json!({"dim": 7, "embedder": "static-minilm"}),
                400,
                "256",
            ),
            (".hidden", json!({}), 400, "name"),
            ("%2e%2e%2fetc", json!({}), 400, "name"),
            ("a%20b", json!({}), 400, "name"),
        ] {
            let path = format!("/v1/collections/{name}");
            refused(
                &api,
                Method::Put,
                &path,
                body.to_string().as_bytes(),
                status,
                says,
            )
            .await;
        }
        refused(
            &api,
            Method::Put,
            "/v1/embeddings",
            b"{}",
            405,
            "PUT is not allowed",
        )
        .await;
        // Nothing of all that was half-applied.
        let count = api.ok("/v1/collections/v/points/count", json!({})).await;
        assert_eq!(count["count"], 0);
        assert_eq!(
            api.get("/v1/collections").await.json()["collections"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        assert_eq!(api.get("/healthz").await.status, 200);
    });
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.http.max_body_bytes = 2_000;
    serve_with(settings, async |api| {
        let body = json!({"model": "static-minilm", "input": "x".repeat(3_000)}).to_string();
        refused(
            &api,
            Method::Post,
            "/v1/embeddings",
            body.as_bytes(),
            413,
            "2000",
        )
        .await;
        let deep = "[".repeat(1_900);
        refused(
            &api,
            Method::Post,
            "/v1/embeddings",
            deep.as_bytes(),
            400,
            "",
        )
        .await;
    });
}
