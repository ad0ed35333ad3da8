use std::time::Duration;

use serde_json::json;

use crate::harness::{serve, serve_with, settings};

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
        let page = api.get("/console/search?collection=docs&q=ferries").await;
        assert_eq!(page.status, 200);
        let text = page.text();
        for part in ["docs", "&lt;script&gt;alert(1)&lt;/script&gt; ferries"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("<script>alert"));
        assert!(
            page.header("content-security-policy")
                .contains("default-src 'none'")
        );
        let unknown = api.get("/console/search?collection=nobody&q=x").await;
        assert_eq!(unknown.status, 200);
        assert!(api.get("/console/tree").await.text().contains("embedding"));
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

#[test]
fn pages_of_other_sites_are_refused() {
    use std::io::{Read as _, Write as _};
    serve(async |api| {
        let address = api.address;
        let ask = |headers: &'static str| {
            actix_web::rt::task::spawn_blocking(move || {
                let mut socket = std::net::TcpStream::connect(address).unwrap();
                write!(
                    socket,
                    "GET /v1/collections HTTP/1.1\r\n{headers}connection: close\r\n\r\n"
                )
                .unwrap();
                let mut reply = String::new();
                socket.read_to_string(&mut reply).unwrap();
                reply
            })
        };
        for (headers, status) in [
            ("host: localhost\r\n", "200"),
            ("host: evil.example\r\n", "403"),
            ("host: localhost\r\norigin: http://evil.example\r\n", "403"),
            ("host: localhost\r\nsec-fetch-site: cross-site\r\n", "403"),
        ] {
            let reply = ask(headers).await.unwrap();
            assert!(
                reply.starts_with(&format!("HTTP/1.1 {status}")),
                "{headers}: {reply}"
            );
            assert!(reply.contains("x-request-id"), "{reply}");
        }
    });
}

#[test]
fn what_is_no_collection_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data/collections");
    std::fs::create_dir_all(root.join(".git")).unwrap();
    std::fs::create_dir_all(root.join("lost+found")).unwrap();
    std::fs::write(root.join(".DS_Store"), "").unwrap();
    std::fs::write(root.join("README"), "").unwrap();
    serve_with(settings(folder.path()), async |api| {
        assert_eq!(
            api.get("/v1/collections").await.json(),
            json!({"collections": []})
        );
        assert_eq!(api.get("/readyz").await.status, 200);
    });
    for name in [".git", "lost+found", ".DS_Store", "README"] {
        assert!(root.join(name).exists(), "{name}");
    }
}

#[test]
fn a_body_that_does_not_arrive_is_given_up() {
    use std::io::{Read as _, Write as _};
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.http.deadline_ms = 200;
    serve_with(settings, async |api| {
        let address = api.address;
        // The second one is a form that is open to everybody, also where there are keys.
        for head in [
            "POST /v1/feedback HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{",
            "POST /console/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: 9\r\n\r\n",
        ] {
            let reply = actix_web::rt::task::spawn_blocking(move || {
                let mut socket = std::net::TcpStream::connect(address).unwrap();
                socket
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                socket.write_all(head.as_bytes()).unwrap();
                let mut reply = [0; 4096];
                let count = socket.read(&mut reply).unwrap();
                String::from_utf8_lossy(&reply[..count]).into_owned()
            });
            let reply = reply.await.unwrap();
            assert!(
                reply.starts_with("HTTP/1.1 504") && reply.contains("did not arrive"),
                "{head}: {reply}"
            );
        }
    });
}
