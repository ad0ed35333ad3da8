use serde_json::json;

use crate::harness::serve;

#[test]
fn health_metrics_description_and_pages_are_served() {
    serve(async |api| {
        api.collection("docs", &["<b>bold</b> words about ferries"])
            .await;
        assert_eq!(api.get("/healthz").await.json()["live"], true);
        assert_eq!(api.get("/readyz").await.json()["ready"], true);
        let metrics = api.get("/metrics").await.text();
        for name in [
            "boathouse_http_requests_total{method=\"PUT\",route=\"/v1/collections/{name}\",status=\"201\"} 1",
            "boathouse_cell_restarts_total{cell=\"root/engines/embedding\"} 0",
            "boathouse_collections 1",
        ] {
            assert!(metrics.contains(name), "{name}: {metrics}");
        }
        let document = api.get("/openapi.json").await.json();
        assert!(document["paths"]["/v1/embeddings"]["post"].is_object());
        let docs = api.get("/docs/").await;
        assert_eq!(docs.status, 200);
        assert!(docs.text().contains("swagger"));
    });
}

#[test]
fn the_console_shows_the_tree_and_searches_with_markup_as_text() {
    serve(async |api| {
        api.collection("docs", &["<script>alert(1)</script> ferries"])
            .await;
        let page = api.get("/console?collection=docs&q=ferries").await;
        assert_eq!(page.status, 200);
        let text = page.text();
        for part in [
            "embedding",
            "docs",
            "&lt;script&gt;alert(1)&lt;/script&gt; ferries",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("<script>alert"));
        assert!(
            page.header("content-security-policy")
                .contains("default-src 'none'")
        );
        assert_eq!(api.get("/console?collection=nobody&q=x").await.status, 200);
        assert!(api.get("/console/live").await.text().contains("embedding"));
        assert_eq!(api.get("/console/console.css").await.status, 200);
        assert_eq!(api.get("/console/console.js").await.status, 200);
    });
}

#[test]
fn every_answer_is_named_and_a_client_may_name_its_own() {
    serve(async |api| {
        let one = api.get("/healthz").await;
        let two = api.get("/nowhere").await;
        assert!(!one.header("x-request-id").is_empty());
        assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
        let body = json!({"model": "static-minilm", "input": "x"});
        assert!(
            api.post("/v1/embeddings", body)
                .await
                .header("x-request-id")
                .starts_with("req-")
        );
    });
}
