//! What the edge bounds, and which pages it serves: heads, addresses, slow clients, other origins.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use boathouse::types::http::Method;

use crate::harness::{Api, serve, serve_with, settings};

/// Sends bytes as they are, and reads until the server closes.
async fn raw(api: &Api, bytes: Vec<u8>) -> String {
    let address = api.address;
    let reply = actix_web::rt::task::spawn_blocking(move || exchange(address, &bytes));
    reply.await.unwrap()
}

fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    // The server may answer and close before it has read all: what it said is still there.
    let _ = socket.write_all(bytes);
    let mut reply = Vec::new();
    let _ = socket.read_to_end(&mut reply);
    let _ = socket.shutdown(Shutdown::Both);
    String::from_utf8_lossy(&reply).into_owned()
}

fn head(lines: &str) -> Vec<u8> {
    format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\r\n")
        .into_bytes()
}

#[test]
fn a_head_that_comes_too_slowly_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    // The server reads its clock twice a second: less would cut off honest clients too.
    settings.http.header_timeout_ms = 1_000;
    serve_with(settings, async |api| {
        // Begun and never ended: the reading returns because the server closes.
        let begun = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: ".to_vec();
        let reply = raw(&api, begun).await;
        assert!(
            reply.is_empty() || reply.starts_with("HTTP/1.1 408"),
            "{reply}"
        );
        // Not even begun.
        let reply = raw(&api, Vec::new()).await;
        assert!(
            reply.is_empty() || reply.starts_with("HTTP/1.1 408"),
            "{reply}"
        );
        assert_eq!(api.get("/healthz").await.status, 200);
    });
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    serve(async |api| {
        assert!(
            raw(&api, head("x: y\r\n"))
                .await
                .starts_with("HTTP/1.1 200")
        );
        let many: String = (0..200)
            .map(|number| format!("x-{number}: y\r\n"))
            .collect();
        let long = format!("x: {}\r\n", "y".repeat(200_000));
        for lines in [many, long] {
            let reply = raw(&api, head(&lines)).await;
            let refused = reply.is_empty() || reply.starts_with("HTTP/1.1 4");
            assert!(refused, "{}", reply.chars().take(200).collect::<String>());
        }
        assert_eq!(api.get("/healthz").await.status, 200);
    });
}

#[test]
fn an_address_that_is_too_long_is_refused_with_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.http.max_uri_bytes = 1_000;
    serve_with(settings, async |api| {
        let path = |bytes: usize| format!("/healthz?{}", "x".repeat(bytes - "/healthz?".len()));
        assert_eq!(api.get(&path(1_000)).await.status, 200);
        let answer = api.get(&path(1_001)).await;
        assert_eq!(answer.status, 414);
        assert_eq!(answer.json()["code"], "uri_too_long");
        assert!(
            answer.text().contains("max_uri_bytes, 1000"),
            "{}",
            answer.text()
        );
        // More than any address of HTTP's library.
        let huge = format!(
            "GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n",
            "x".repeat(100_000)
        );
        let reply = raw(&api, huge.into_bytes()).await;
        assert!(
            reply.is_empty() || reply.starts_with("HTTP/1.1 4"),
            "{reply}"
        );
    });
}

#[test]
fn json_that_nests_too_deeply_is_refused_and_costs_no_stack() {
    serve(async |api| {
        let deep = format!(
            "{{\"input\": {}{}}}",
            "[".repeat(1_000_000),
            "]".repeat(1_000_000)
        );
        let answer = api.send(Method::Post, "/v1/embeddings", deep).await;
        assert_eq!(answer.status, 400);
        assert!(
            answer.text().contains("recursion limit"),
            "{}",
            answer.text()
        );
        assert_eq!(api.get("/healthz").await.status, 200);
    });
}

#[test]
fn other_origins_are_served_only_when_they_are_named() {
    let preflight = |origin: &'static str| {
        [
            ("origin", origin),
            ("sec-fetch-site", "cross-site"),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "authorization,x-stainless-os",
            ),
        ]
    };
    // By default nobody.
    serve(async |api| {
        let answer = options(&api, &preflight("https://app.example")).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(!answer.contains("access-control-allow"), "{answer}");
    });
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.http.cors_origins = vec!["https://app.example".to_owned()];
    settings.http.require_keys = boathouse::config::RequireKeys::Always;
    serve_with(settings, async |api| {
        let answer = options(&api, &preflight("https://app.example")).await;
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
        for line in [
            "access-control-allow-origin: https://app.example\r\n",
            "access-control-allow-headers: authorization,x-stainless-os\r\n",
            "access-control-allow-methods: GET, POST, PUT, DELETE\r\n",
            "vary: origin\r\n",
        ] {
            assert!(answer.contains(line), "{line}: {answer}");
        }
        assert!(!answer.contains("allow-credentials"), "{answer}");
        let other = options(&api, &preflight("https://app.example.evil.example")).await;
        assert!(other.starts_with("HTTP/1.1 403"), "{other}");
        assert!(!other.contains("access-control-allow"), "{other}");
        // The page may read why it was refused, too.
        let named = [
            ("origin", "https://app.example"),
            ("sec-fetch-site", "cross-site"),
        ];
        let refused = api.send_with(&named, Method::Get, "/v1/models", "").await;
        assert_eq!(refused.status, 401);
        assert_eq!(
            refused.header("access-control-allow-origin"),
            "https://app.example"
        );
        // No page, no word of it.
        assert_eq!(
            api.get("/healthz")
                .await
                .header("access-control-allow-origin"),
            ""
        );
    });
}

async fn options(api: &Api, headers: &[(&str, &str)]) -> String {
    let mut text =
        "OPTIONS /v1/embeddings HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n".to_owned();
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    raw(api, text.into_bytes()).await
}
