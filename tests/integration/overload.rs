//! More than the server has room for: refused at once, while what it has taken goes on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use boathouse::config::Settings;
use boathouse::engines::chat::ProviderConfig;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, serve_with, settings};
use crate::upstream::{Reply, Upstream};

const SLOTS: usize = 3;

fn held() -> Upstream {
    Upstream::start_held(Reply::json(
        200,
        &json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "At nine."}, "finish_reason": "stop"}],
        }),
    ))
}

fn with(folder: &Path, upstream: &Upstream, max_concurrency: Option<Value>) -> Settings {
    let mut settings = settings(folder);
    settings.http.workers = 1;
    let mut provider = json!({"kind": "openai", "base_url": upstream.base_url()});
    if let Some(max) = max_concurrency {
        provider["max_concurrency"] = max;
    }
    let provider: ProviderConfig = serde_json::from_value(provider).unwrap();
    settings.chat.providers.insert("up".to_owned(), provider);
    settings
}

fn question() -> Value {
    json!({"model": "up/m", "messages": [{"role": "user", "content": "When does the ferry leave?"}]})
}

fn retries(answer: &Answer) {
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

/// Fills all slots, has `refused` look at what is refused meanwhile, and sees that nothing of what was taken is lost.
fn overload(settings: Settings, upstream: &Upstream, refused: impl AsyncFn(&Api)) {
    serve_with(settings, async |api| {
        let path = "/v1/chat/completions";
        let taken = join_all((0..SLOTS).map(|_| api.post(path, question())));
        let others = async {
            while upstream.requests().len() < SLOTS {
                upstream.wait_asked().await;
            }
            refused(&api).await;
            upstream.release();
        };
        let (taken, ()) = tokio::join!(taken, others);
        for answer in taken {
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.text().contains("At nine."));
        }
        let after = api.post(path, question()).await;
        assert_eq!(after.status, 200, "{}", after.text());
    });
}

#[test]
fn what_the_edge_has_no_slot_for_is_refused_while_the_rest_goes_on() {
    let (folder, upstream) = (tempfile::tempdir().unwrap(), held());
    let mut settings = with(folder.path(), &upstream, None);
    settings.http.max_in_flight = SLOTS;
    overload(settings, &upstream, async |api| {
        // These are answered before anything is released.
        for (path, body, code) in [
            ("/v1/chat/completions", question(), "/error/code"),
            ("/v1/embeddings", json!({"input": "a"}), "/error/code"),
            (
                "/v1/validate",
                json!({"kind": "email", "payload": {}}),
                "/code",
            ),
        ] {
            let answer = api.post(path, body).await;
            assert_eq!(answer.status, 503, "{path}: {}", answer.text());
            let code = answer.json().pointer(code).cloned();
            assert_eq!(code, Some("overloaded".into()), "{path}");
            retries(&answer);
        }
        for path in ["/healthz", "/readyz", "/metrics", "/v1/supervisors"] {
            assert_eq!(api.get(path).await.status, 200, "{path}");
        }
    });
}

#[test]
fn what_an_upstream_has_no_room_for_is_refused_while_the_rest_goes_on() {
    let (folder, upstream) = (tempfile::tempdir().unwrap(), held());
    let settings = with(folder.path(), &upstream, Some(SLOTS.into()));
    overload(settings, &upstream, async |api| {
        for _ in 0..5 {
            let answer = api.post("/v1/chat/completions", question()).await;
            assert_eq!(answer.status, 429, "{}", answer.text());
            retries(&answer);
        }
        let other = api.post("/v1/embeddings", json!({"input": "a"})).await;
        assert_eq!(other.status, 200, "{}", other.text());
    });
    assert_eq!(upstream.requests().len(), SLOTS + 1);
}

/// Requests that a cell takes however long they wait.
const FEW: usize = 32;

/// How many requests wait for a cell.
async fn queue(api: &Api, id: &str) -> u64 {
    fn of(node: &Value, id: &str) -> Option<u64> {
        let here = (node["id"] == id).then(|| node["queue"].as_u64()).flatten();
        let below = || {
            node["children"]
                .as_array()?
                .iter()
                .find_map(|node| of(node, id))
        };
        here.or_else(below)
    }
    of(&api.get("/v1/supervisors").await.json(), id).unwrap()
}

#[test]
fn a_search_that_would_wait_for_long_is_refused_while_others_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.http.max_wait_ms = 1;
    settings.http.workers = 1;
    settings.storage.maintenance_ms = 3_600_000;
    settings.supervisors.allow_crash = true;
    let cell = settings.supervisors.children.get_mut("collection").unwrap();
    cell.workers = Some(1);
    cell.shutdown_ms = Some(1);
    serve_with(settings, async |api| {
        let search = || json!({"query": "ferry", "mode": "lexical"});
        for name in ["docs", "others"] {
            api.collection(name, &["The ferry leaves at nine."]).await;
        }
        // The only thread is busy with the first of these.
        let hang = json!({"fault": "hang"});
        api.ok("/v1/supervisors/docs/chaos", hang).await;
        let path = "/v1/collections/docs/search";
        let taken = join_all((0..=FEW).map(|_| api.post(path, search())));
        let refused = async {
            while queue(&api, "docs").await < FEW as u64 {}
            let waited = Instant::now() + Duration::from_millis(3);
            while Instant::now() < waited {
                assert_eq!(api.get("/healthz").await.status, 200);
            }
            for path in ["search", "search/batch", "recommend"] {
                let path = format!("/v1/collections/docs/{path}");
                let answer = api.post(&path, search()).await;
                assert_eq!(answer.status, 429, "{path}: {}", answer.text());
                assert_eq!(answer.json()["code"], "busy", "{path}");
                assert!(!answer.header("x-request-id").is_empty());
                retries(&answer);
            }
            api.ok("/v1/collections/others/search", search()).await;
            let point =
                json!({"points": [{"id": "late", "text": "The late ferry leaves at ten."}]});
            let write = api.ok("/v1/collections/docs/points", point);
            // The thread is given up, and the next one takes over what waits.
            let restart = async {
                while queue(&api, "docs").await <= FEW as u64 {}
                api.ok("/v1/supervisors/docs/restart", json!({})).await;
            };
            tokio::join!(write, restart);
        };
        let (taken, ()) = tokio::join!(taken, refused);
        let served = taken.iter().filter(|answer| answer.status == 200);
        assert_eq!(served.count(), FEW);
        let after = api.ok(path, search()).await;
        assert_eq!(after["hits"].as_array().unwrap().len(), 2, "{after}");
    });
}

#[test]
fn vectors_that_would_be_waited_for_are_refused_and_known_texts_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.http.max_wait_ms = 1;
    settings.http.workers = 1;
    settings.supervisors.allow_crash = true;
    let cell = settings.supervisors.children.get_mut("embedding").unwrap();
    cell.workers = Some(1);
    cell.shutdown_ms = Some(1);
    serve_with(settings, async |api| {
        let path = "/v1/embeddings";
        let of = |text: String| json!({"model": "static-minilm", "input": text});
        let known = || of("a ferry that is known".to_owned());
        api.ok(path, known()).await;
        let hang = json!({"fault": "hang"});
        api.ok("/v1/supervisors/embedding/chaos", hang).await;
        let new = |number: usize| api.post(path, of(format!("ferry number {number}")));
        let taken = join_all((0..=FEW).map(new));
        let refused = async {
            while queue(&api, "embedding").await < FEW as u64 {}
            let waited = Instant::now() + Duration::from_millis(3);
            while Instant::now() < waited {
                assert_eq!(api.get("/healthz").await.status, 200);
            }
            for input in [
                json!("a ferry that is known"),
                json!(["a ferry that is known"]),
            ] {
                let known = json!({"model": "static-minilm", "input": input});
                api.ok(path, known).await;
            }
            // Without a look at its body, and with one.
            for input in ["ferry ".repeat(300), "another ferry".to_owned()] {
                let answer = api.post(path, of(input)).await;
                assert_eq!(answer.status, 429, "{}", answer.text());
                let code = answer.json().pointer("/error/code").cloned();
                assert_eq!(code, Some("busy".into()));
                retries(&answer);
            }
            api.ok("/v1/supervisors/embedding/restart", json!({})).await;
        };
        let (taken, ()) = tokio::join!(taken, refused);
        let served = taken.iter().filter(|answer| answer.status == 200);
        assert_eq!(served.count(), FEW);
    });
}

/// Asks over a connection that is open.
fn ask(connection: &mut TcpStream, path: &str) -> String {
    exchange(
        connection,
        &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    )
}

/// Sends a request, and returns its answer up to the end of its body where that is short.
fn exchange(connection: &mut TcpStream, request: &str) -> String {
    connection.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while !is_whole(&answer) {
        match connection.read(&mut buffer).unwrap() {
            0 => break,
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|end| end == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&answer[..end]);
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    answer.len() >= end + 4 + length
}

#[test]
fn a_refusal_leaves_the_connection_open_when_its_body_is_small() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    // A page of another site is refused by the edge, as is what there is no slot for.
    settings.http.workers = 1;
    serve_with(settings, async |api| {
        let address = api.address;
        let asked = tokio::task::spawn_blocking(move || {
            let refused = |length: usize| {
                format!(
                    "POST /v1/validate HTTP/1.1\r\nhost: localhost\r\norigin: http://other.example\r\ncontent-length: {length}\r\n\r\n{}",
                    "x".repeat(length.min(1_000))
                )
            };
            let mut connection = TcpStream::connect(address).unwrap();
            for _ in 0..3 {
                let answer = exchange(&mut connection, &refused(100));
                assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
            }
            let answer = ask(&mut connection, "/healthz");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            // What did not come with the head is not waited for, and closes the connection.
            for length in [2_000, 1 << 20] {
                let mut connection = TcpStream::connect(address).unwrap();
                let answer = exchange(&mut connection, &refused(length));
                assert!(answer.starts_with("HTTP/1.1 403"), "{length}: {answer}");
                assert!(
                    answer.contains("\r\nconnection: close\r\n"),
                    "{length}: {answer}"
                );
            }
        });
        asked.await.unwrap();
    });
}

#[test]
fn a_connection_above_the_bound_is_told_so_and_closed() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.http.workers = 1;
    settings.http.max_connections = 2;
    serve_with(settings, async |api| {
        let address = api.address;
        let asked = tokio::task::spawn_blocking(move || {
            let connect = || TcpStream::connect(address).unwrap();
            let mut served = [connect(), connect()];
            for connection in &mut served {
                let answer = ask(connection, "/v1/models");
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
            let mut above = connect();
            let answer = ask(&mut above, "/v1/models");
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
            assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
            // The end, after what is left of the body.
            above.read_to_end(&mut Vec::new()).unwrap();
            let mut health = connect();
            let answer = ask(&mut health, "/healthz");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            for connection in &mut served {
                let answer = ask(connection, "/v1/models");
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
        });
        asked.await.unwrap();
    });
}
