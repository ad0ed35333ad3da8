//! Every API that is served, before every kind of provider: a client of any may reach a provider of
//! any.

mod dialects;
mod upstreams;

use boathouse::types::http::Method;
use serde_json::{Value, json};

use crate::harness::{Api, serve};
use dialects::{Call, DIALECTS, Dialect};
use upstreams::{KINDS, Script, serve_kinds};

const TEXT: &str = "Hello, wörld! How can I help?";

async fn ask(api: &Api, dialect: &Dialect, body: Value) -> dialects::Answer {
    let answer = api.post(dialect.path, body.clone()).await;
    assert_eq!(answer.status, 200, "{}: {}", dialect.path, answer.text());
    assert_eq!(answer.header("x-boathouse-attempts"), "1");
    let streams = body["stream"] == true;
    (dialect.read)(&answer.text(), streams)
}

#[test]
fn any_client_gets_a_plain_answer_of_any_kind() {
    serve_kinds(async |api, _| {
        for dialect in &DIALECTS {
            for kind in &KINDS {
                for stream in [false, true] {
                    let model = kind.model(Script::Plain, stream);
                    let body = (dialect.ask)(&model, stream);
                    let found = ask(&api, dialect, body).await;
                    let of = format!("{} of {} stream {stream}", dialect.path, kind.name);
                    assert_eq!(found.text, TEXT, "{of}");
                    assert_eq!(found.usage, (19, 10), "{of}");
                    assert_eq!(found.finish, dialect.stop, "{of}");
                    assert!(found.calls.is_empty(), "{of}");
                }
            }
        }
    });
}

#[test]
fn any_client_calls_tools_with_any_kind_and_answers_them() {
    serve_kinds(async |api, upstreams| {
        for dialect in DIALECTS.iter().filter(|dialect| dialect.has_tools()) {
            for kind in &KINDS {
                for stream in [false, true] {
                    let of = format!("{} of {} stream {stream}", dialect.path, kind.name);
                    let model = kind.model(Script::Tools, stream);
                    let body = (dialect.ask)(&model, stream);
                    let found = ask(&api, dialect, body).await;
                    let calls: Vec<(&str, Value)> = found
                        .calls
                        .iter()
                        .map(|call| (call.name.as_str(), call.arguments.clone()))
                        .collect();
                    let expected = [
                        ("get_weather", json!({"city": "Paris"})),
                        ("get_time", json!({})),
                    ];
                    assert_eq!(calls, expected, "{of}");
                    assert_eq!(found.finish, dialect.tool_calls, "{of}");
                    assert_eq!(found.usage, (82, 17), "{of}");
                    assert_ne!(found.calls[0].id, found.calls[1].id, "{of}");
                    // The client makes the calls and sends all of it back, to another kind too.
                    for next in &KINDS {
                        let model = next.model(Script::Plain, stream);
                        let body = (dialect.follow)(&model, stream, &found.calls);
                        assert_eq!(ask(&api, dialect, body).await.text, TEXT, "{of}");
                        let sent = upstreams.last(next, Script::Plain, stream);
                        (next.check_results)(&sent, &of);
                    }
                }
            }
        }
    });
}

#[test]
fn any_client_is_told_of_failures_in_its_own_words() {
    serve_kinds(async |api, _| {
        for dialect in &DIALECTS {
            for kind in &KINDS {
                for stream in [false, true] {
                    let of = format!("{} of {} stream {stream}", dialect.path, kind.name);
                    let body = (dialect.ask)(&kind.model(Script::Busy, stream), stream);
                    let answer = api.post(dialect.path, body).await;
                    assert_eq!(answer.status, 429, "{of}: {}", answer.text());
                    let message = (dialect.error)(&answer.json());
                    assert!(message.contains("slow down"), "{of}: {message}");
                }
                let of = format!("{} of {}", dialect.path, kind.name);
                let body = (dialect.ask)(&kind.model(Script::Cut, true), true);
                let answer = api.post(dialect.path, body).await;
                assert_eq!(answer.status, 200, "{of}");
                let text = answer.text();
                assert!(text.contains("Hel"), "{of}: {text}");
                assert!(text.contains("broke off"), "{of}: {text}");
                assert!(!text.contains(dialect.complete), "{of}: {text}");
            }
        }
    });
}

#[test]
fn wrong_requests_are_told_in_each_clients_words() {
    serve(async |api| {
        for dialect in &DIALECTS {
            let mut odd = (dialect.ask)("extractive", false);
            odd["odd_field"] = 1.into();
            let unknown = (dialect.ask)("nobody", false);
            for (body, status, words) in [(odd, 400, "odd_field"), (unknown, 404, "nobody")] {
                let answer = api.post(dialect.path, body).await;
                assert_eq!(answer.status, status, "{}: {}", dialect.path, answer.text());
                let message = (dialect.error)(&answer.json());
                assert!(message.contains(words), "{}: {message}", dialect.path);
            }
            let answer = api.send(Method::Post, dialect.path, "{").await;
            let message = (dialect.error)(&answer.json());
            assert!(message.contains("not JSON"), "{}: {message}", dialect.path);
        }
    });
}

#[test]
fn any_client_may_ask_for_passages_and_is_told_what_is_cited() {
    serve(async |api| {
        api.collection("docs", &["The ferry to the island leaves at nine."])
            .await;
        for dialect in &DIALECTS {
            for stream in [false, true] {
                let mut body = (dialect.question)("When does the ferry leave?", stream);
                body["retrieval"] = json!({"collection": "docs"});
                let answer = api.post(dialect.path, body).await;
                let text = answer.text();
                assert_eq!(answer.status, 200, "{}: {text}", dialect.path);
                let found = (dialect.read)(&text, stream);
                assert!(found.text.contains("at nine"), "{}: {text}", dialect.path);
                assert!(
                    text.contains("/v1/collections/docs/points/0"),
                    "{} stream {stream}: {text}",
                    dialect.path
                );
            }
        }
    });
}

#[test]
fn ollamas_small_routes_answer() {
    serve(async |api| {
        let tags = api.get("/api/tags").await.json();
        let names = tags["models"].as_array().unwrap().iter();
        let names: Vec<&str> = names
            .map(|model| model["model"].as_str().unwrap())
            .collect();
        assert!(
            names.contains(&"extractive") && names.contains(&"static-minilm"),
            "{names:?}"
        );
        let version = api.get("/api/version").await.json();
        assert_eq!(version["boathouse"], env!("CARGO_PKG_VERSION"));
        for (path, empty) in [
            ("/api/chat", json!({"model": "extractive", "messages": []})),
            ("/api/generate", json!({"model": "extractive"})),
        ] {
            let loaded = api.ok(path, empty).await;
            assert_eq!(loaded["done_reason"], "load");
            let unknown = api.post(path, json!({"model": "nobody"})).await;
            assert_eq!(unknown.status, 404, "{}", unknown.text());
        }
        let tagged = json!({"model": "extractive:latest", "prompt": "hi", "stream": false});
        assert_eq!(api.ok("/api/generate", tagged).await["done"], true);
    });
}

#[test]
fn a_response_that_needs_a_memory_is_refused() {
    serve(async |api| {
        let body = json!({"model": "extractive", "input": "hi", "previous_response_id": "resp_1"});
        let answer = api.post("/v1/responses", body).await;
        assert_eq!(answer.status, 400);
        let error = &answer.json()["error"];
        assert_eq!(error["param"], "previous_response_id");
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("whole conversation"),
            "{error}"
        );
    });
}

/// What the tests answer to each call.
fn result_of(call: &Call) -> &'static str {
    if call.name == "get_weather" {
        "7 degrees"
    } else {
        "noon"
    }
}
