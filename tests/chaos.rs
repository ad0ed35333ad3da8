//! The storm over the whole product: requests to every cell while their workers panic and hang.
//!
//! Each request gets one answer; only those that met a fault fail, with a crash id or a timeout; what was
//! answered is right and in the journal; afterwards everything serves and nothing is stuck.

#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use boathouse::app::App;
use boathouse::config::Settings;
use boathouse::transport::Transport;
use boathouse::types::http::{HttpCall, Method, Timeouts};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

const REQUESTS: usize = 10_000;
const CALLERS: usize = 32;
const CELLS: [&str; 5] = ["embedding", "validation", "docs", "extractive", "evidence"];

struct Api {
    address: SocketAddr,
    transport: Transport,
}

impl Api {
    async fn send(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let call = HttpCall {
            method,
            url: format!("http://{}{path}", self.address),
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
            timeouts: Timeouts {
                first_byte_ms: 60_000,
                idle_ms: 60_000,
                total_ms: 60_000,
            },
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let reply = self.transport.call(call, deadline).await.unwrap();
        (
            reply.head.status,
            serde_json::from_slice(&reply.body).unwrap(),
        )
    }

    async fn ok(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(Method::Post, path, &body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }
}

/// What is asked, and whether an answer to it is right. Also whether it leaves a record in the journal.
fn request(number: usize) -> (&'static str, Value, fn(&Value) -> bool, bool) {
    match number % 5 {
        0 => {
            let body =
                json!({"model": "static-minilm", "input": format!("a boat number {number}")});
            let right = |answer: &Value| {
                answer["data"][0]["embedding"]
                    .as_array()
                    .is_some_and(|vector| vector.len() == 256)
            };
            ("/v1/embeddings", body, right, false)
        }
        1 => {
            let payload =
                json!({"to": "a@example.com", "subject": format!("s{number}"), "body": "See you."});
            let body = json!({"kind": "email", "payload": payload});
            (
                "/v1/validate",
                body,
                |answer| answer["verdict"] == "pass",
                true,
            )
        }
        2 => {
            let body = json!({"query": "ferry", "mode": "lexical", "k": 1});
            let right = |answer: &Value| answer["hits"][0]["id"] == "ferry";
            ("/v1/collections/docs/search", body, right, true)
        }
        3 => {
            let body = json!({"model": "extractive", "messages": [{"role": "user", "content": format!("hello {number}")}]});
            let right = |answer: &Value| answer["choices"][0]["message"]["content"].is_string();
            ("/v1/chat/completions", body, right, true)
        }
        _ => {
            let body = json!({"target": format!("t{number}"), "rating": "accepted"});
            ("/v1/feedback", body, |answer| answer["seq"].is_u64(), true)
        }
    }
}

fn zombies(node: &Value) -> u64 {
    let below = node["children"]
        .as_array()
        .map_or(0, |all| all.iter().map(zombies).sum());
    node["zombies"].as_u64().unwrap_or(0) + below
}

#[test]
fn only_what_met_a_fault_fails_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.http.port = 0;
    settings.http.deadline_ms = 2_000;
    settings.storage.data_dir = folder.path().join("data");
    settings.supervisors.allow_crash = true;
    // One crash in a hundred must not look like a cell that is broken for good.
    settings.supervisors.defaults.intensity = u32::MAX;
    settings.supervisors.defaults.backoff.base_ms = 1;
    settings.supervisors.defaults.backoff.max_ms = 1;
    let again = settings.clone();
    actix_web::rt::System::new().block_on(async move {
        let app = App::start(settings, Box::new(move || Ok(again.clone())))
            .await
            .unwrap();
        let transport = Transport::new(Duration::from_secs(5));
        let api = Rc::new(Api {
            address: app.address(),
            transport,
        });
        let (status, _) = api
            .send(Method::Put, "/v1/collections/docs", &json!({}))
            .await;
        assert_eq!(status, 201);
        let points = json!({"points": [{"id": "ferry", "text": "the ferry leaves at nine"},
                                       {"id": "museum", "text": "the museum opens at ten"}]});
        api.ok("/v1/collections/docs/points", points).await;
        for (seed, cell) in CELLS.into_iter().enumerate() {
            let chaos = json!({"fault": "panic", "probability": 0.01, "seed": seed + 1});
            api.ok(&format!("/v1/supervisors/{cell}/chaos"), chaos)
                .await;
        }
        let answers = futures_util::stream::iter(0..REQUESTS).map(|number| {
            let api = Rc::clone(&api);
            async move {
                if number % 4_000 == 1_000 {
                    let hang = json!({"fault": "hang"});
                    api.ok("/v1/supervisors/embedding/chaos", hang).await;
                }
                let (path, body, right, recorded) = request(number);
                let (status, answer) = api.send(Method::Post, path, &body).await;
                match status {
                    200 => assert!(right(&answer), "{path}: {answer}"),
                    500 => assert!(answer.to_string().contains("crash-"), "{path}: {answer}"),
                    504 => assert!(answer.to_string().contains("embedding"), "{path}: {answer}"),
                    _ => panic!("{path}: {status} {answer}"),
                }
                (status, recorded)
            }
        });
        let mut answers = answers.buffer_unordered(CALLERS);
        let (mut counts, mut records) = (BTreeMap::<u16, usize>::new(), 0);
        while let Some((status, recorded)) = answers.next().await {
            *counts.entry(status).or_default() += 1;
            records += usize::from(recorded && status == 200);
        }
        assert_eq!(counts.values().sum::<usize>(), REQUESTS);
        let crashed = counts.get(&500).copied().unwrap_or(0);
        // A request passes one or two cells, each of which crashes on one in a hundred.
        assert!(
            (REQUESTS / 200..REQUESTS / 25).contains(&crashed),
            "{counts:?}"
        );
        assert!(
            (1..=3).contains(&counts.get(&504).copied().unwrap_or(0)),
            "{counts:?}"
        );

        for cell in CELLS {
            api.ok(&format!("/v1/supervisors/{cell}/chaos"), json!({}))
                .await;
        }
        for number in 0..5 {
            let (path, body, right, recorded) = request(number);
            assert!(right(&api.ok(path, body).await), "{path}");
            records += usize::from(recorded);
        }
        // What was acknowledged is in the journal, and nothing else. A failed chat leaves a record of its failure.
        let receipt = api.ok("/v1/materialize", json!({})).await;
        assert_eq!(receipt["chain"]["intact"], true, "{receipt}");
        let count = |field: &str| receipt["counts"][field].as_u64().unwrap();
        assert_eq!(count("in") - count("failed"), records as u64, "{receipt}");
        loop {
            let (_, tree) = api.send(Method::Get, "/v1/supervisors", &json!({})).await;
            if zombies(&tree) == 0 {
                break;
            }
        }
        let (status, ready) = api.send(Method::Get, "/readyz", &json!({})).await;
        assert_eq!(status, 200, "{ready}");
        app.stop().await;
    });
}
