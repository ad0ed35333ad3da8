use std::path::Path;
use std::time::Duration;

use boathouse::config::Settings;
use boathouse::engines::chat::ProviderConfig;
use serde_json::{Value, json};

use crate::harness::{Api, serve, serve_with, settings};
use crate::upstream::{Reply, Upstream};

const BAD: &str = r#"{"to": "dana@example.com", "subject": "Your shift {{date}}", "body": "See you on Friday at eight."}"#;
const GOOD: &str =
    r#"{"to": "dana@example.com", "subject": "Your shift", "body": "See you on Friday at eight."}"#;

/// A completion of an upstream of kind `openai`.
fn says(text: &str) -> Reply {
    Reply::json(
        200,
        &json!({
            "id": "x", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }),
    )
}

fn streams(text: &str) -> Reply {
    let chunk = |delta: Value, finish: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        format!("data: {}\n\n", json!({"id": "x", "choices": choices}))
    };
    let body = chunk(json!({"content": text}), Value::Null) + &chunk(json!({}), json!("stop"));
    Reply::stream("text/event-stream", &(body + "data: [DONE]\n\n"))
}

fn with_upstream(folder: &Path, upstream: &Upstream) -> Settings {
    let mut settings = settings(folder);
    let provider = ProviderConfig {
        kind: Some("openai".to_owned()),
        base_url: Some(format!("{}/v1", upstream.base_url())),
        ..ProviderConfig::default()
    };
    settings.chat.providers.insert("up".to_owned(), provider);
    settings.chat.retry.max_attempts = 1;
    settings
}

fn ask(validation: Value) -> Value {
    json!({
        "model": "up/m", "messages": [{"role": "user", "content": "Write to Dana, as JSON."}],
        "validation": validation,
    })
}

/// Runs a test against a server before an upstream that gives these replies.
fn before(replies: Vec<Reply>, test: impl AsyncFnOnce(Api, Upstream)) {
    let upstream = Upstream::start_each(replies);
    let folder = tempfile::tempdir().unwrap();
    serve_with(with_upstream(folder.path(), &upstream), async |api| {
        test(api, upstream).await
    });
}

async fn records(api: &Api, kind: &str) -> Vec<Value> {
    let found = api
        .get(&format!("/v1/evidence?kind={kind}&order=oldest"))
        .await
        .json();
    found["records"].as_array().unwrap().clone()
}

#[test]
fn an_answer_is_asked_for_again_until_it_passes() {
    before(vec![says(BAD), says(GOOD)], async |api, upstream| {
        let done = api
            .ok("/v1/iterate", ask(json!({"kinds": ["email"]})))
            .await;
        assert_eq!(
            (&done["end"], &done["verdict"]),
            (&json!("passed"), &json!("pass"))
        );
        assert_eq!(done["answer"], GOOD);
        let attempts = done["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 2);
        assert_eq!(attempts[0]["findings"][0]["path"], "/subject");
        assert_ne!(attempts[0]["verdict"], "pass");
        assert_eq!(done["usage"]["prompt_tokens"], 200);
        let gone: Vec<&Value> = done["changes"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|change| change["op"] == "delete")
            .collect();
        assert!(
            gone[0]["text"].as_str().unwrap().contains("{{date}}"),
            "{gone:?}"
        );
        // The model heard what was wrong, after the user's own words.
        let requests = upstream.requests();
        assert!(!requests[0].contains("earlier_answer"));
        assert!(
            requests[1].contains("Write to Dana, as JSON.\\n\\nAn earlier answer"),
            "{}",
            requests[1]
        );
        assert!(requests[1].contains("email.placeholder"), "{}", requests[1]);
        // Every attempt is evidence: the second names the first, and each has its verdict.
        let chats = records(&api, "chat").await;
        assert_eq!(chats.len(), 2);
        assert_eq!(chats[1]["body"]["repairs"], chats[0]["id"]);
        assert!(chats[0]["body"].get("repairs").is_none());
        assert_eq!(done["id"], chats[1]["id"]);
        let validations = records(&api, "validation").await;
        let said: Vec<(&Value, &Value)> = validations
            .iter()
            .map(|one| (&one["body"]["target"], &one["body"]["verdict"]))
            .collect();
        assert_eq!(
            said,
            [
                (&chats[0]["id"], &attempts[0]["verdict"]),
                (&chats[1]["id"], &json!("pass"))
            ]
        );
    });
}

#[test]
fn each_bound_ends_it_and_is_named() {
    for (replies, bounds, end, count) in [
        (vec![says(BAD)], json!({"max_attempts": 2}), "attempts", 2),
        (vec![says(BAD)], json!({"max_tokens": 100}), "tokens", 1),
        (
            vec![says(BAD), Reply::hang_after("")],
            json!({"deadline_ms": 2_000}),
            "deadline",
            1,
        ),
        (
            vec![
                says(BAD),
                Reply::json(400, &json!({"error": {"message": "no"}})),
            ],
            json!({}),
            "failed",
            1,
        ),
    ] {
        before(replies, async |api, _| {
            let mut validation = json!({"kinds": ["email"]});
            for (name, value) in bounds.as_object().unwrap() {
                validation[name] = value.clone();
            }
            let done = api.ok("/v1/iterate", ask(validation)).await;
            assert_eq!(done["end"], end, "{done}");
            assert_eq!(done["attempts"].as_array().unwrap().len(), count, "{done}");
            assert_ne!(done["verdict"], "pass");
            assert_eq!(done["error"].is_object(), end == "failed", "{done}");
            assert_eq!(done["answer"], BAD);
        });
    }
}

#[test]
fn without_any_answer_it_is_an_error() {
    let refusal = Reply::json(400, &json!({"error": {"message": "no"}}));
    before(vec![refusal], async |api, _| {
        let failed = api
            .post("/v1/iterate", ask(json!({"kinds": ["email"]})))
            .await;
        assert!(failed.status >= 400, "{}", failed.text());
        assert!(failed.header("content-type").contains("problem+json"));
    });
    before(vec![Reply::hang_after("")], async |api, _| {
        let late = ask(json!({"kinds": ["email"], "deadline_ms": 100}));
        let failed = api.post("/v1/iterate", late).await;
        assert_eq!(failed.status, 504, "{}", failed.text());
        assert_eq!(failed.json()["code"], "validation_deadline");
        // It is recorded beside the answer.
        let chat = loop {
            if let Some(chat) = records(&api, "chat").await.first() {
                break chat["body"].clone();
            }
        };
        assert_eq!(chat["error"], "no answer within validation.deadline_ms");
    });
}

#[test]
fn what_makes_no_sense_is_refused_before_anyone_is_asked() {
    before(vec![says(GOOD)], async |api, upstream| {
        for (validation, expected) in [
            (json!(null), "name the validators"),
            (json!({"kinds": []}), "must name 1 to 16"),
            (
                json!({"kinds": ["emial"]}),
                "unknown validator \"emial\": known are fill, email",
            ),
            (
                json!({"kinds": ["email"], "max_attempts": 11}),
                "use 1 to 10",
            ),
            (
                json!({"kinds": ["email"], "deadline_ms": 0}),
                "use 1 to 600000",
            ),
            (
                json!({"kinds": ["email"], "on_fail": "reject"}),
                "always iterates",
            ),
            (
                json!({"kinds": [{"kind": "email", "extract": "xml"}]}),
                "extract \"xml\"",
            ),
            (json!({"kinds": [3]}), "names, or objects"),
            (
                json!({"kinds": ["email"], "tries": 3}),
                "unknown field `tries`",
            ),
        ] {
            let refused = api.post("/v1/iterate", ask(validation.clone())).await;
            assert_eq!(refused.status, 400, "{validation}: {}", refused.text());
            assert!(
                refused.text().replace("\\\"", "\"").contains(expected),
                "{}",
                refused.text()
            );
        }
        assert!(upstream.requests().is_empty());
    });
}

#[test]
fn progress_is_told_as_it_goes() {
    before(vec![says(BAD), says(GOOD)], async |api, _| {
        let mut body = ask(json!({"kinds": ["email"]}));
        body["stream"] = json!(true);
        let answer = api.post("/v1/iterate", body).await;
        assert!(
            answer
                .header("content-type")
                .starts_with("text/event-stream")
        );
        let text = answer.text();
        let events: Vec<(&str, Value)> = text
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("event: ")?.split_once("\ndata: "))
            .map(|(name, data)| (name, serde_json::from_str(data).unwrap()))
            .collect();
        let names: Vec<&str> = events.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["attempt", "verdict", "attempt", "verdict", "done"]);
        assert_eq!(events[2].1["attempt"], 2);
        assert_eq!(events[3].1["verdict"], "pass");
        assert_eq!(events[4].1["end"], "passed");
    });
}

#[test]
fn a_client_that_leaves_ends_the_upstreams_call() {
    for stream in [false, true] {
        before(
            vec![says(BAD), Reply::hang_after("")],
            async |api, upstream| {
                use std::io::{Read as _, Write as _};
                let mut body = ask(json!({"kinds": ["email"]}));
                body["stream"] = json!(stream);
                let body = body.to_string();
                let mut socket = std::net::TcpStream::connect(api.address).unwrap();
                write!(
                socket,
                "POST /v1/iterate HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
                upstream.wait_asked().await;
                upstream.wait_asked().await;
                if stream {
                    let read = actix_web::rt::task::spawn_blocking(move || {
                        let (mut seen, mut buffer) = (String::new(), [0; 1024]);
                        while !seen.contains("event: verdict") {
                            let count = socket.read(&mut buffer).unwrap();
                            assert!(count > 0);
                            seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
                        }
                    });
                    read.await.unwrap();
                } else {
                    drop(socket);
                }
                // Far below every other bound: only the client's leaving can end the call.
                let closed = tokio::time::timeout(Duration::from_secs(20), upstream.wait_closed());
                closed.await.expect("the upstream was still being called");
            },
        );
    }
}

#[test]
fn a_chat_answer_can_be_annotated_refused_or_mended() {
    let demand = |on_fail: &str| json!({"kinds": ["email"], "on_fail": on_fail, "max_attempts": 2});
    before(
        vec![says(BAD), says(BAD), says(BAD), says(GOOD), says(BAD)],
        async |api, _| {
            let annotated = api
                .ok("/v1/chat/completions", ask(demand("annotate")))
                .await;
            assert_eq!(annotated["choices"][0]["message"]["content"], BAD);
            assert_eq!(annotated["validation"]["findings"][0]["path"], "/subject");
            let refused = api
                .post("/v1/chat/completions", ask(demand("reject")))
                .await;
            assert_eq!(refused.status, 422);
            let error = &refused.json()["error"];
            assert_eq!(error["code"], "validation_failed");
            assert_eq!(error["findings"], annotated["validation"]["findings"]);
            let mended = api.ok("/v1/chat/completions", ask(demand("iterate"))).await;
            assert_eq!(mended["choices"][0]["message"]["content"], GOOD);
            assert_eq!(
                mended["validation"],
                json!({"verdict": "pass", "findings": [], "attempts": 2})
            );
            let given_up = api
                .post("/v1/chat/completions", ask(demand("iterate")))
                .await;
            assert_eq!(given_up.status, 422);
            assert!(
                given_up.text().contains("after 2 attempts"),
                "{}",
                given_up.text()
            );
        },
    );
}

#[test]
fn a_stream_is_annotated_at_its_end_or_held_back() {
    let ask = |on_fail: &str| {
        let mut body = ask(json!({"kinds": ["email"], "on_fail": on_fail}));
        body["stream"] = json!(true);
        body
    };
    before(vec![streams(BAD)], async |api, _| {
        let text = api
            .post("/v1/chat/completions", ask("annotate"))
            .await
            .text();
        let events: Vec<&str> = text
            .split("\n\n")
            .filter_map(|one| one.strip_prefix("data: "))
            .collect();
        let [.., last, done] = events.as_slice() else {
            panic!("{text}")
        };
        assert_eq!(*done, "[DONE]");
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!(last["choices"][0]["finish_reason"], "stop");
        assert_eq!(last["validation"]["findings"][0]["path"], "/subject");
        assert_eq!(text.matches("\"validation\"").count(), 1, "{text}");
    });
    before(vec![says(BAD), says(GOOD)], async |api, _| {
        // Nothing of it has left, so that there is still a status.
        let refused = api.post("/v1/chat/completions", ask("reject")).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(!refused.text().contains("data: "));
        let passed = api.post("/v1/chat/completions", ask("reject")).await.text();
        assert!(
            passed.contains("Friday") && passed.ends_with("data: [DONE]\n\n"),
            "{passed}"
        );
    });
}

#[test]
fn a_route_demands_it_of_every_surface() {
    let upstream = Upstream::start(says(BAD));
    let folder = tempfile::tempdir().unwrap();
    let mut settings = with_upstream(folder.path(), &upstream);
    for on_fail in ["annotate", "reject"] {
        let route =
            json!({"candidates": ["up/m"], "validation": {"kinds": ["email"], "on_fail": on_fail}});
        settings
            .chat
            .routes
            .insert(on_fail.to_owned(), serde_json::from_value(route).unwrap());
    }
    serve_with(settings, async |api| {
        let messages = json!([{"role": "user", "content": "q"}]);
        for (path, more) in [
            ("/v1/chat/completions", json!({"messages": messages})),
            (
                "/v1/messages",
                json!({"messages": messages, "max_tokens": 50}),
            ),
            ("/v1/responses", json!({"input": "q"})),
            ("/api/chat", json!({"messages": messages, "stream": false})),
            ("/api/generate", json!({"prompt": "q", "stream": false})),
        ] {
            let mut body = more;
            body["model"] = json!("annotate");
            let annotated = api.ok(path, body.clone()).await;
            assert_eq!(
                annotated["validation"]["findings"][0]["path"], "/subject",
                "{path}: {annotated}"
            );
            body["model"] = json!("reject");
            let refused = api.post(path, body.clone()).await;
            assert_eq!(refused.status, 422, "{path}: {}", refused.text());
            assert!(
                refused.text().contains("\"findings\":[{\"rule\":\"email."),
                "{}",
                refused.text()
            );
            // A request's own demand goes before its route's.
            body["validation"] = json!({"kinds": ["email"], "on_fail": "annotate"});
            assert_eq!(api.post(path, body).await.status, 200, "{path}");
        }
    });
}

#[test]
fn a_route_with_an_unknown_validator_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    let route = json!({"candidates": ["extractive"], "validation": {"kinds": ["nobody"]}});
    settings
        .chat
        .routes
        .insert("main".to_owned(), serde_json::from_value(route).unwrap());
    actix_web::rt::System::new().block_on(async {
        let again = settings.clone();
        let source = Box::new(move || Ok(again.clone()));
        let error = boathouse::app::App::start(settings, source)
            .await
            .err()
            .unwrap();
        assert!(
            error.to_string().contains("routes.main.validation.kinds"),
            "{error}"
        );
    });
}

#[test]
fn the_schema_of_the_response_format_is_the_one_to_follow() {
    before(
        vec![says("{\"age\": \"old\"}"), says("{\"age\": 7}")],
        async |api, _| {
            let mut body = ask(json!({"kinds": ["json_schema"], "on_fail": "iterate"}));
            let schema = json!({"type": "object", "properties": {"age": {"type": "integer"}}});
            body["response_format"] =
                json!({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}});
            let answer = api.ok("/v1/chat/completions", body).await;
            assert_eq!(answer["choices"][0]["message"]["content"], "{\"age\": 7}");
            assert_eq!(answer["validation"]["attempts"], 2);
        },
    );
}

#[test]
fn the_answer_to_passages_is_judged_by_them_and_asked_for_again_from_the_same() {
    let upstream = Upstream::start_each(vec![
        says("The ferry leaves at eleven from the north pier [1]."),
        says("The ferry to the island leaves at nine from the north pier [1]."),
    ]);
    let folder = tempfile::tempdir().unwrap();
    serve_with(with_upstream(folder.path(), &upstream), async |api| {
        api.collection(
            "docs",
            &["The ferry to the island leaves at nine from the north pier."],
        )
        .await;
        let body = json!({
            "model": "up/m", "messages": [{"role": "user", "content": "When does the ferry leave?"}],
            "retrieval": {"collection": "docs"}, "validation": {"kinds": ["grounding"]},
        });
        let done = api.ok("/v1/iterate", body).await;
        assert_eq!(done["end"], "passed", "{done}");
        assert_eq!(
            done["attempts"][0]["findings"][0]["rule"],
            "grounding.number_differs"
        );
        assert_eq!(done["citations"][0]["id"], "0");
        assert!(upstream.requests()[1].contains("[1] The ferry to the island leaves"));
        let chats = records(&api, "chat").await;
        assert_eq!(chats[1]["body"]["passages"], chats[0]["body"]["passages"]);
        // Passages are looked for once.
        assert_eq!(chats.len(), 2);
    });
}

#[test]
fn nothing_found_is_no_claim() {
    serve(async |api| {
        api.put("/v1/collections/docs", json!({})).await;
        let body = json!({
            "model": "extractive", "messages": [{"role": "user", "content": "When does the ferry leave?"}],
            "retrieval": {"collection": "docs"}, "validation": {"kinds": ["grounding"]},
        });
        let done = api.ok("/v1/iterate", body).await;
        assert_eq!(
            (&done["end"], &done["changes"]),
            (&json!("passed"), &Value::Null)
        );
    });
}

#[test]
fn a_context_without_its_role_gate_is_caught() {
    serve(async |api| {
        let made = api.put("/v1/collections/docs", json!({})).await;
        assert_eq!(made.status, 201);
        let point = json!({"id": "1", "text": "Night shifts are planned by the board.", "payload": {"role": "board"}});
        api.ok("/v1/collections/docs/points", json!({"points": [point]}))
            .await;
        let ask = |retrieval: Value, role: &str| {
            json!({
                "model": "extractive", "messages": [{"role": "user", "content": "Who plans night shifts?"}],
                "retrieval": retrieval,
                "validation": {"kinds": [{"kind": "role_gate", "context": {"role": role}}], "on_fail": "reject"},
            })
        };
        let open = api
            .post(
                "/v1/chat/completions",
                ask(json!({"collection": "docs"}), "nurse"),
            )
            .await;
        assert_eq!(open.status, 422, "{}", open.text());
        assert!(
            open.text().contains("role_gate.other_role"),
            "{}",
            open.text()
        );
        let gated = json!({"collection": "docs", "role": "nurse"});
        assert_eq!(
            api.post("/v1/chat/completions", ask(gated, "nurse"))
                .await
                .status,
            200
        );
        assert_eq!(
            api.post(
                "/v1/chat/completions",
                ask(json!({"collection": "docs"}), "board")
            )
            .await
            .status,
            200
        );
    });
}
