use std::time::Duration;

use boathouse::config::Settings;
use boathouse::engines::chat::ProviderConfig;
use serde_json::{Value, json};

use crate::harness::{Api, serve, serve_with, settings};
use crate::upstream::{Reply, Upstream};

const DOCS: [&str; 3] = [
    "The ferry to the island leaves at nine from the north pier.",
    "The museum opens at ten and closes at six.",
    "Bicycles may be taken on the ferry for two coins.",
];

fn question(text: &str) -> Value {
    json!({
        "model": "extractive",
        "messages": [{"role": "user", "content": text}],
        "retrieval": {"collection": "docs", "k": 3},
    })
}

/// The data of each server-sent event.
fn events(text: &str) -> Vec<&str> {
    text.split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .collect()
}

#[test]
fn an_answer_quotes_and_cites() {
    serve(async |api| {
        api.collection("docs", &DOCS).await;
        let answer = api
            .ok(
                "/v1/chat/completions",
                question("When does the ferry leave?"),
            )
            .await;
        assert_eq!(answer["object"], "chat.completion");
        assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
        let message = &answer["choices"][0]["message"];
        let content = message["content"].as_str().unwrap();
        assert!(
            content.contains("nine") && content.contains("[1]"),
            "{content}"
        );
        assert!(
            message["annotations"][0]["url_citation"]["title"].is_string(),
            "{message}"
        );
        assert!(
            message["annotations"].to_string().contains("\"0\""),
            "{message}"
        );
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    });
}

#[test]
fn a_stream_has_openais_order_and_the_same_text() {
    serve(async |api| {
        api.collection("docs", &DOCS).await;
        let plain = api
            .ok(
                "/v1/chat/completions",
                question("When does the ferry leave?"),
            )
            .await;
        let mut body = question("When does the ferry leave?");
        body["stream"] = true.into();
        let answer = api.post("/v1/chat/completions", body.clone()).await;
        assert_eq!(answer.status, 200);
        assert!(
            answer
                .header("content-type")
                .starts_with("text/event-stream")
        );
        let text = answer.text();
        let events = events(&text);
        assert_eq!(events.last(), Some(&"[DONE]"));
        let chunks: Vec<Value> = events[..events.len() - 1]
            .iter()
            .map(|event| serde_json::from_str(event).unwrap())
            .collect();
        assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
        assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"]));
        // Without include_usage no chunk lacks choices: clients read choices[0].
        assert!(
            chunks
                .iter()
                .all(|chunk| chunk["choices"].as_array().unwrap().len() == 1)
        );
        let joined: String = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
            .collect();
        assert_eq!(
            joined,
            plain["choices"][0]["message"]["content"].as_str().unwrap()
        );
        assert_eq!(
            chunks.last().unwrap()["choices"][0]["finish_reason"],
            "stop"
        );
        body["stream_options"] = json!({"include_usage": true});
        let text = api.post("/v1/chat/completions", body).await.text();
        assert_eq!(
            text.matches("\"finish_reason\":\"stop\"").count(),
            1,
            "{text}"
        );
    });
}

#[test]
fn nothing_found_is_said_and_roles_are_kept_apart() {
    serve(async |api| {
        api.put("/v1/collections/docs", json!({})).await;
        let points = json!({"points": [
            {"id": "hr", "text": "The salary of the captain is nine thousand.", "payload": {"role": "hr"}},
            {"id": "all", "text": "The captain has a dog."},
        ]});
        api.ok("/v1/collections/docs/points", points).await;
        let ask = async |role: &str| {
            let mut body = question("What is the salary of the captain?");
            body["retrieval"]["role"] = role.into();
            let answer = api.ok("/v1/chat/completions", body).await;
            answer["choices"][0]["message"]["content"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert!(ask("hr").await.contains("nine thousand"));
        let crew = ask("crew").await;
        assert!(!crew.contains("nine thousand"), "{crew}");
        let mut body = question("What is the salary of the captain?");
        body["retrieval"]["filter"] = json!({"role": "nobody"});
        let answer = api.ok("/v1/chat/completions", body).await;
        let message = &answer["choices"][0]["message"];
        assert!(
            message["content"].as_str().unwrap().contains("no passages"),
            "{message}"
        );
    });
}

/// Settings with an upstream of kind `openai` named `up`.
fn with_upstream(folder: &std::path::Path, base_url: &str, silence_ms: u64) -> Settings {
    let mut settings = settings(folder);
    let provider = ProviderConfig {
        kind: Some("openai".to_owned()),
        base_url: Some(format!("{base_url}/v1")),
        first_token_timeout_ms: silence_ms,
        idle_timeout_ms: silence_ms,
        // Without a stream the first byte comes with the whole answer, so only this bounds the wait.
        total_timeout_ms: silence_ms * 4,
        ..ProviderConfig::default()
    };
    settings.chat.providers.insert("up".to_owned(), provider);
    settings.chat.retry.max_attempts = 1;
    let route = boathouse::engines::chat::RouteConfig {
        candidates: vec!["up/some-model".to_owned(), "extractive".to_owned()],
        ..boathouse::engines::chat::RouteConfig::default()
    };
    settings.chat.routes.insert("main".to_owned(), route);
    settings
}

/// Runs `test` against a server whose upstream gives `reply` to every request.
fn upstream(reply: Reply, test: impl AsyncFnOnce(Api, Upstream)) {
    patient_upstream(reply, 300, test);
}

/// The same, with the silence after which an upstream is given up.
fn patient_upstream(reply: Reply, silence_ms: u64, test: impl AsyncFnOnce(Api, Upstream)) {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(reply);
    let settings = with_upstream(folder.path(), &upstream.base_url(), silence_ms);
    serve_with(settings, async move |api| test(api, upstream).await);
}

fn to_upstream(stream: bool) -> Value {
    json!({"model": "up/some-model", "messages": [{"role": "user", "content": "hi"}], "stream": stream})
}

const CHUNKS: &str = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hel\"}}]}\n\n\
    data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"}}]}\n\n";

#[test]
fn an_upstream_is_asked_in_its_own_words() {
    let body = json!({
        "id": "x", "object": "chat.completion", "model": "some-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    });
    upstream(Reply::json(200, &body), async |api, upstream| {
        let answer = api.post("/v1/chat/completions", to_upstream(false)).await;
        assert_eq!(answer.header("x-boathouse-attempts"), "1");
        let answer = answer.json();
        assert_eq!(answer["choices"][0]["message"]["content"], "Hello");
        assert_eq!(answer["usage"]["total_tokens"], 4);
        let seen = upstream.requests();
        assert!(seen[0].starts_with("POST /v1/chat/completions"), "{seen:?}");
        assert!(seen[0].contains("\"model\":\"some-model\""), "{seen:?}");
    });
}

#[test]
fn a_stream_that_is_cut_ends_with_an_error_never_with_done() {
    upstream(Reply::cut(CHUNKS), async |api, _| {
        let text = api
            .post("/v1/chat/completions", to_upstream(true))
            .await
            .text();
        assert!(text.contains("Hel") && text.contains("\"error\""), "{text}");
        assert!(!text.contains("[DONE]"), "{text}");
    });
}

#[test]
fn silence_after_the_first_piece_is_an_error_too() {
    upstream(Reply::hang_after(CHUNKS), async |api, _| {
        let text = api
            .post("/v1/chat/completions", to_upstream(true))
            .await
            .text();
        assert!(
            text.contains("lo") && text.contains("\"error\"") && !text.contains("[DONE]"),
            "{text}"
        );
    });
}

#[test]
fn before_the_first_piece_the_next_candidate_answers() {
    let broken = json!({"error": {"message": "on fire", "type": "server_error"}});
    for reply in [
        Reply::json(500, &broken),
        Reply::cut(""),
        Reply::hang_after(""),
    ] {
        upstream(reply, async |api, _| {
            api.collection("docs", &DOCS).await;
            for stream in [false, true] {
                let mut body = question("When does the ferry leave?");
                body["model"] = "main".into();
                body["stream"] = stream.into();
                let answer = api.post("/v1/chat/completions", body).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert_eq!(answer.header("x-boathouse-attempts"), "2");
                assert!(answer.text().contains("nine"), "{}", answer.text());
            }
        });
    }
}

#[test]
fn a_failed_upstream_is_a_typed_error_and_the_key_is_never_shown() {
    let refused = json!({"error": {"message": "no such model", "type": "invalid_request_error", "code": "x"}});
    for (status, expected) in [(400, 400), (401, 502), (429, 429), (500, 502), (503, 503)] {
        upstream(Reply::json(status, &refused), async |api, _| {
            let answer = api.post("/v1/chat/completions", to_upstream(false)).await;
            assert_eq!(answer.status, expected, "{status}: {}", answer.text());
            assert!(answer.json()["error"]["message"].is_string());
        });
    }
}

#[test]
fn a_client_that_leaves_takes_the_upstream_call_with_it() {
    // A stream that has begun, and a plain answer that is still awaited.
    for (stream, sent) in [(true, CHUNKS), (false, "")] {
        patient_upstream(Reply::hang_after(sent), 100_000, async |api, upstream| {
            use std::io::{Read as _, Write as _};
            let body = to_upstream(stream).to_string();
            let mut socket = std::net::TcpStream::connect(api.address).unwrap();
            write!(
                socket,
                "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
            upstream.wait_asked().await;
            if stream {
                let read = actix_web::rt::task::spawn_blocking(move || {
                    let mut seen = Vec::new();
                    let mut buffer = [0; 1024];
                    while !String::from_utf8_lossy(&seen).contains("lo") {
                        let count = socket.read(&mut buffer).unwrap();
                        assert!(count > 0);
                        seen.extend_from_slice(&buffer[..count]);
                    }
                });
                read.await.unwrap();
            } else {
                drop(socket);
            }
            // Far below the upstream's own timeouts: only the client's leaving can end the call.
            let closed = tokio::time::timeout(Duration::from_secs(20), upstream.wait_closed());
            closed.await.unwrap();
        });
    }
}

#[test]
fn an_answer_too_large_for_the_journal_is_given_whole_and_recorded_shortened() {
    let long = "word ".repeat(5_000);
    let body = json!({
        "id": "x", "object": "chat.completion", "model": "some-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": long}, "finish_reason": "stop"}],
    });
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(Reply::json(200, &body));
    let mut settings = with_upstream(folder.path(), &upstream.base_url(), 2_000);
    settings.evidence.max_record_bytes = 4_096;
    serve_with(settings, async |api| {
        let answer = api.ok("/v1/chat/completions", to_upstream(false)).await;
        assert_eq!(answer["choices"][0]["message"]["content"], long);
        assert_eq!(upstream.requests().len(), 1);
        let mut asking = to_upstream(false);
        asking["messages"][0]["content"] = "q".repeat(5_000).into();
        for stream in [false, true] {
            asking["stream"] = stream.into();
            let refused = api.post("/v1/chat/completions", asking.clone()).await;
            assert_eq!(refused.status, 413, "{}", refused.text());
            assert!(refused.text().contains("max_record_bytes"));
        }
        assert_eq!(upstream.requests().len(), 1, "nobody is asked in vain");
    });
    let journal = folder.path().join("data/evidence/evidence-00000001.jsonl");
    let journal = std::fs::read_to_string(journal).unwrap();
    assert_eq!(journal.lines().count(), 1);
    assert!(journal.len() <= 4_096 && journal.contains("recorded shortened"));
}
