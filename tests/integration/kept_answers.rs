//! Answers that are given again.

use std::path::Path;

use boathouse::config::Settings;
use boathouse::types::http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, serve_with, settings};
use crate::upstream::{Reply, Upstream};

const CHAT: &str = "/v1/chat/completions";

/// What an upstream says, and why it stopped.
fn said(text: &str, finish: &str) -> Reply {
    Reply::json(
        200,
        &json!({
            "choices": [{
                "message": {"role": "assistant", "content": text}, "finish_reason": finish
            }],
            "usage": {"prompt_tokens": 1_000, "completion_tokens": 1_000},
        }),
    )
}

fn with_upstream(folder: &Path, upstream: &Upstream, more: &str) -> Settings {
    let mut settings = settings(folder);
    settings.chat = toml::from_str(&format!(
        "[retry]\nmax_attempts = 1\n\
         [providers.up]\nkind = \"openai\"\nbase_url = \"{}\"\n\
         [prices]\n\"up/*\" = {{ input = 1, output = 1 }}\n{more}",
        upstream.base_url()
    ))
    .unwrap();
    settings
}

fn hello(cache: Value) -> Value {
    ask("Hello there", cache)
}

fn ask(question: &str, cache: Value) -> Value {
    json!({"model": "up/m", "messages": [{"role": "user", "content": question}], "cache": cache})
}

/// The header of an answer that is expected to be one.
fn told(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-boathouse-cache")
}

async fn post(api: &Api, body: Value) -> Answer {
    api.post(CHAT, body).await
}

#[test]
fn an_equal_request_of_any_client_gets_the_same_answer_at_no_cost() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(said("Ahoy. And welcome.", "stop"));
    serve_with(with_upstream(folder.path(), &upstream, ""), async |api| {
        let first = post(&api, hello(json!({}))).await;
        assert_eq!(told(&first), "miss");
        assert_eq!(first.header("x-boathouse-attempts"), "1");
        let again = post(&api, hello(json!({"mode": "exact"}))).await;
        assert_eq!(told(&again), "hit");
        assert_eq!(again.header("x-boathouse-attempts"), "0");
        let (first, again) = (first.json(), again.json());
        assert_ne!(first["id"], again["id"]);
        for field in ["choices", "usage", "model"] {
            assert_eq!(first[field], again[field], "{field}");
        }
        // The same messages, by other surfaces, plain and as streams.
        let messages = json!([{"role": "user", "content": "Hello there"}]);
        for (path, body, done) in [
            (CHAT, json!({"messages": messages}), "[DONE]"),
            (
                "/v1/responses",
                json!({"input": "Hello there"}),
                "response.completed",
            ),
            ("/api/chat", json!({"messages": messages}), "\"done\":true"),
            (
                "/api/generate",
                json!({"prompt": "Hello there"}),
                "\"done\":true",
            ),
        ] {
            for stream in [false, true] {
                let mut body = body.clone();
                body["model"] = "up/m".into();
                body["cache"] = json!({});
                body["stream"] = stream.into();
                let answer = api.post(path, body).await;
                assert_eq!(told(&answer), "hit", "{path} {stream}");
                let text = answer.text();
                assert!(text.contains("welcome."), "{path}: {text}");
                assert!(!stream || text.contains(done), "{path}: {text}");
            }
        }
        let mut by_anthropic = json!({"model": "up/m", "max_tokens": 50, "messages": messages,
            "cache": {}});
        for (stream, expected) in [(false, "miss"), (true, "hit")] {
            // Its bound on tokens makes it another request.
            by_anthropic["stream"] = stream.into();
            let answer = api.post("/v1/messages", by_anthropic.clone()).await;
            assert_eq!(told(&answer), expected);
        }
        assert_eq!(upstream.requests().len(), 2);
        let usage = api.get("/v1/usage").await.json();
        let total = &usage["total"];
        assert_eq!(
            (&total["requests"], &total["cache_hits"]),
            (&json!(12), &json!(10))
        );
        assert_eq!(
            total["prompt_tokens"], 2_000,
            "those of the upstream's answers alone"
        );
        assert_eq!(total["cost_usd"], json!(0.004));
        let page = api.get("/metrics").await.text();
        for line in [
            "cache_hits_total 10",
            "cache_misses_total 2",
            "cache_evictions_total 0",
        ] {
            let line = format!("boathouse_response_{line}");
            assert!(page.contains(&line), "{line}");
        }
        assert!(!page.contains("boathouse_response_cache_bytes 0"));
    });
    let journal = folder.path().join("data/evidence/evidence-00000001.jsonl");
    let journal = std::fs::read_to_string(journal).unwrap();
    let bodies = journal.lines().map(|line| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["body"].clone()
    });
    let hits: Vec<Value> = bodies.filter(|body| body["cache"] == "hit").collect();
    assert_eq!(hits.len(), 10);
    for hit in hits {
        assert_eq!(hit["cost_usd"], json!(0.0));
        assert_eq!(
            (&hit["attempts"], &hit["answered_by"]),
            (&json!([]), &json!("up/m"))
        );
        assert_eq!(hit["answer"], "Ahoy. And welcome.");
    }
}

#[test]
fn who_does_not_want_the_cache_is_asked_for_anew() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(said("Ahoy.", "stop"));
    let routes = "[routes.kept]\ncandidates = [\"up/m\"]\ncache = \"exact\"\n";
    serve_with(
        with_upstream(folder.path(), &upstream, routes),
        async |api| {
            let expect = async |body: Value, header: Option<&str>, expected: &str, asked: usize| {
                let header = header.map(|value| ("cache-control", value));
                let headers: Vec<_> = header.into_iter().collect();
                let answer = api.post_with(&headers, CHAT, body).await;
                assert_eq!(told(&answer), expected, "{header:?}");
                assert_eq!(upstream.requests().len(), asked, "{header:?}");
            };
            let kept = || {
                let mut body = hello(Value::Null);
                body["model"] = "kept".into();
                body
            };
            expect(hello(Value::Null), None, "", 1).await;
            expect(hello(json!({"mode": "off"})), None, "", 2).await;
            expect(hello(json!({})), Some("no-store"), "miss", 3).await;
            // Nothing was kept of all this; now it is, also by a request that does not look.
            expect(hello(json!({})), Some("no-cache"), "miss", 4).await;
            expect(hello(json!({})), None, "hit", 4).await;
            expect(hello(json!({})), Some("no-cache"), "miss", 5).await;
            // The route says so, and who answers is the same.
            expect(kept(), None, "hit", 5).await;
            let mut off = kept();
            off["cache"] = json!({"mode": "off"});
            expect(off, None, "", 6).await;
            for (cache, words) in [
                (json!({"mode": "sometimes"}), "unknown variant"),
                (json!({"mod": "exact"}), "unknown field"),
                (
                    json!({"threshold": 0.2}),
                    "cache.threshold: must be 0.5 to 1",
                ),
            ] {
                let answer = post(&api, hello(cache)).await;
                assert_eq!(answer.status, 400);
                assert!(answer.text().contains(words), "{}", answer.text());
            }
        },
    );
    let mut without = with_upstream(folder.path(), &upstream, "");
    without.chat.cache.bytes = 0;
    serve_with(without, async |api| {
        for _ in 0..2 {
            assert_eq!(told(&post(&api, hello(json!({}))).await), "");
        }
    });
}

#[test]
fn a_write_to_the_collection_makes_a_difference() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(said("At nine [1].", "stop"));
    serve_with(with_upstream(folder.path(), &upstream, ""), async |api| {
        api.collection(
            "docs",
            &["The ferry leaves at nine.", "The museum opens at ten."],
        )
        .await;
        let expect = async |k: usize, expected: &str| {
            let mut body = ask("When does the ferry leave?", json!({}));
            body["retrieval"] = json!({"collection": "docs", "k": k});
            let answer = post(&api, body).await;
            assert_eq!(told(&answer), expected);
            let cited = &answer.json()["choices"][0]["message"]["annotations"][0];
            assert_eq!(cited["collection"], "docs", "{}", answer.text());
        };
        expect(1, "miss").await;
        expect(1, "hit").await;
        expect(2, "miss").await;
        // A point that is not found changes nothing of the question, and is a write all the same.
        let far = json!({"points": [{"id": "far", "text": "Bananas are yellow."}]});
        api.ok("/v1/collections/docs/points", far).await;
        expect(1, "miss").await;
        expect(1, "hit").await;
        let delete = json!({"ids": ["far"]});
        api.ok("/v1/collections/docs/points/delete", delete).await;
        expect(1, "miss").await;
        // Made anew with another text, it is another collection to the same question.
        let gone = api.send(Method::Delete, "/v1/collections/docs", "").await;
        assert!(gone.status < 300, "{}", gone.text());
        api.collection("docs", &["The ferry leaves at noon."]).await;
        expect(1, "miss").await;
    });
}

#[test]
fn what_is_not_whole_is_not_kept() {
    let calls = json!({"choices": [{
        "message": {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        "finish_reason": "tool_calls",
    }]});
    let half = "data: {\"choices\":[{\"delta\":{\"content\":\"Half a\"}}]}\n\n";
    for (reply, stream, cache, kept) in [
        (said("It was lo", "length"), false, json!({}), false),
        (said("I may not", "content_filter"), false, json!({}), false),
        (said("", "stop"), false, json!({}), false),
        (Reply::cut(half), true, json!({}), false),
        (Reply::json(200, &calls), false, json!({}), false),
        (
            Reply::json(200, &calls),
            false,
            json!({"tool_calls": true}),
            true,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::start(reply);
        serve_with(with_upstream(folder.path(), &upstream, ""), async |api| {
            let mut body = hello(cache.clone());
            body["stream"] = stream.into();
            for expected in ["miss", if kept { "hit" } else { "miss" }] {
                assert_eq!(told(&post(&api, body.clone()).await), expected, "{cache}");
            }
            assert_eq!(upstream.requests().len(), if kept { 1 } else { 2 });
        });
    }
    // An error is none either.
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(Reply::json(500, &json!({"error": {"message": "oh"}})));
    serve_with(with_upstream(folder.path(), &upstream, ""), async |api| {
        for _ in 0..2 {
            assert_eq!(post(&api, hello(json!({}))).await.status, 502);
        }
        assert_eq!(upstream.requests().len(), 2);
    });
}

#[test]
fn a_similar_question_is_answered_where_all_else_is_equal() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(said("At nine.", "stop"));
    serve_with(with_upstream(folder.path(), &upstream, ""), async |api| {
        let similar = json!({"mode": "semantic", "threshold": 0.8});
        let expect = async |headers: &[(&str, &str)], body: Value, expected: &str| {
            let answer = api.post_with(headers, CHAT, body.clone()).await;
            assert_eq!(told(&answer), expected, "{body}");
        };
        let first = "When does the ferry to the island leave?";
        expect(&[], ask(first, similar.clone()), "miss").await;
        expect(&[], ask(first, similar.clone()), "hit").await;
        let other = "When does the ferry leave to the island";
        expect(&[], ask(other, json!({})), "miss").await;
        let another = "when will the ferry leave to the island?";
        let strict = json!({"mode": "semantic", "threshold": 1.0});
        expect(&[], ask(another, similar.clone()), "semantic").await;
        expect(
            &[],
            ask("Who painted the ceiling?", similar.clone()),
            "miss",
        )
        .await;
        expect(&[], ask(another, strict), "miss").await;
        let mut rude = ask("when will the ferry leave for the island?", similar.clone());
        rude["temperature"] = json!(0.1);
        expect(&[], rude, "miss").await;
        // Nobody gets what was told to another who asked something similar.
        let token = [("x-api-key", "another")];
        let third = ask("when will the ferry leave for the island?", similar.clone());
        expect(&token, third, "miss").await;
        let usage = api.get("/v1/usage?key=anonymous").await.json();
        assert_eq!(usage["total"]["cache_hits"], 2);
    });
}

#[test]
fn the_answer_of_a_stand_in_does_not_outlive_the_fault() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(Reply::json(500, &json!({"error": {"message": "oh"}})));
    let routes = "default = \"main\"\n[routes.main]\ncandidates = [\"up/m\", \"extractive\"]\ncache = \"exact\"\n\
         [routes.any]\ncandidates = [\"up/m\", \"extractive\"]\nprefer = \"latency\"\ncache = \"exact\"\n";
    let mut settings = settings(folder.path());
    settings.chat = toml::from_str(&format!(
        "{}[retry]\nmax_attempts = 1\n[providers.up]\nkind = \"openai\"\nbase_url = \"{}\"\n{}",
        &routes[..routes.find('[').unwrap()],
        upstream.base_url(),
        &routes[routes.find('[').unwrap()..],
    ))
    .unwrap();
    serve_with(settings, async |api| {
        // Without a model, the default is the route with its stand-in.
        let mut body = hello(Value::Null);
        body.as_object_mut().unwrap().remove("model");
        for _ in 0..2 {
            let answer = post(&api, body.clone()).await;
            assert_eq!(told(&answer), "miss");
            assert_eq!(answer.json()["model"], "extractive");
        }
        body["model"] = "any".into();
        assert_eq!(told(&post(&api, body.clone()).await), "miss");
        assert_eq!(told(&post(&api, body).await), "hit");
    });
}
