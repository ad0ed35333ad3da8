//! What chat calls cost, what is told of it, and what a budget allows.

use std::panic::{catch_unwind, resume_unwind};
use std::path::Path;

use boathouse::config::Settings;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::harness::{Api, serve_with, settings};
use crate::upstream::{Reply, Upstream};

/// A million tokens read, of which a quarter was cached, and half a million written.
fn answer() -> Value {
    json!({
        "choices": [{"message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 500_000,
            "prompt_tokens_details": {"cached_tokens": 250_000}},
    })
}

const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi.\"}}]}\n\n\
    data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000000,\"completion_tokens\":0}}\n\n\
    data: [DONE]\n\n";

/// `up/priced*` costs 2, 1 cached, and 4 dollars; `up/odd` has no price.
fn with_upstream(folder: &Path, upstream: &Upstream, more: &str) -> Settings {
    let mut settings = settings(folder);
    settings.chat = toml::from_str(&format!(
        "[providers.up]\nkind = \"openai\"\nbase_url = \"{}\"\n\
         [prices]\n\"up/priced*\" = {{ input = 2, cached_input = 1, output = 4 }}\n{more}",
        upstream.base_url()
    ))
    .unwrap();
    settings
}

fn hello(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]})
}

/// The label of the token `sk-test`: printf %s sk-test | sha256sum
const LABEL: &str = "key-f3abf2a6cc4f0098";

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// Runs a test whose sums are those of one day; one that midnight fell into runs again.
fn within_a_day(test: fn()) {
    let begun = today();
    let outcome = catch_unwind(test);
    if today() != begun {
        return test();
    }
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

async fn ask_as(api: &Api, token: &str, model: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let answer = api.post_with(&headers, "/v1/chat/completions", hello(model));
    answer.await.status
}

#[test]
fn calls_are_summed_by_day_key_and_model_and_outlive_the_process() {
    within_a_day(calls_are_summed);
}

fn calls_are_summed() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(Reply::json(200, &answer()));
    let settings = with_upstream(folder.path(), &upstream, "");
    let mut told = Value::Null;
    serve_with(settings.clone(), async |api| {
        let empty = api.get("/v1/usage").await.json();
        assert_eq!(empty["rows"], json!([]));
        assert_eq!(empty["total"]["cost_usd"], Value::Null);
        assert_eq!(ask_as(&api, "sk-test", "up/priced-1").await, 200);
        let key = [("x-api-key", "sk-test")];
        let body = json!({"model": "up/priced-1", "max_tokens": 9,
            "messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(api.post_with(&key, "/v1/messages", body).await.status, 200);
        api.ok("/v1/chat/completions", hello("up/odd")).await;
        api.ok("/v1/chat/completions", hello("extractive")).await;

        told = api.get("/v1/usage").await.json();
        let rows = told["rows"].as_array().unwrap();
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| json!([row["key"], row["model"], row["requests"], row["cost_usd"]]))
            .collect();
        // 0.75 of 2, 0.25 of 1, half of 4: 3.75 each.
        let expected = [
            json!(["anonymous", "extractive", 1, 0.0]),
            json!(["anonymous", "up/odd", 1, null]),
            json!([LABEL, "up/priced-1", 2, 7.5]),
        ];
        assert_eq!(rows, expected, "{told}");
        assert_eq!(told["rows"][1]["unpriced"], 1);
        assert_eq!(told["left_out"], 0);
        let total = &told["total"];
        assert_eq!(
            (&total["requests"], &total["unpriced"]),
            (&json!(4), &json!(1))
        );
        assert_eq!(
            (&total["cost_usd"], &total["cached_tokens"]),
            (&json!(7.5), &json!(750_000))
        );

        let page = api.get("/metrics").await.text();
        for line in [
            format!("boathouse_chat_cost_usd_total{{key=\"{LABEL}\",model=\"up/priced-1\"}} 7.5"),
            "boathouse_chat_unpriced_total{key=\"anonymous\",model=\"up/odd\"} 1".to_owned(),
            "boathouse_chat_requests_total{key=\"anonymous\",model=\"extractive\",outcome=\"ok\"} 1"
                .to_owned(),
        ] {
            assert!(page.contains(&line), "{line}: {page}");
        }
        let unknown = "boathouse_chat_cost_usd_total{key=\"anonymous\",model=\"up/odd\"}";
        assert!(!page.contains(unknown), "a cost that is not known is not 0");
    });
    serve_with(settings, async |api| {
        assert_eq!(api.get("/v1/usage").await.json(), told);
        let day = told["rows"][0]["day"].as_str().unwrap();
        for (query, rows) in [
            (format!("from={day}&to={day}"), 3),
            ("to=2020-01-01".to_owned(), 0),
            (format!("key={LABEL}"), 1),
            ("model=up/odd&key=anonymous".to_owned(), 1),
        ] {
            let found = api.get(&format!("/v1/usage?{query}")).await.json();
            assert_eq!(found["rows"].as_array().unwrap().len(), rows, "{query}");
        }
        for (query, words) in [("from=yesterday", "no day"), ("form=2026-03-01", "form")] {
            let refused = api.get(&format!("/v1/usage?{query}")).await;
            assert_eq!(refused.status, 400);
            assert!(refused.text().contains(words), "{}", refused.text());
        }
    });
}

#[test]
fn a_stream_and_a_failure_are_counted_too() {
    within_a_day(streams_and_failures);
}

fn streams_and_failures() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(Reply::stream("text/event-stream", STREAM));
    serve_with(with_upstream(folder.path(), &upstream, ""), async |api| {
        let mut body = hello("up/priced");
        body["stream"] = true.into();
        let text = api.post("/v1/chat/completions", body).await.text();
        assert!(text.contains("[DONE]"), "{text}");
        let wrong = json!({"model": "up/priced", "messages": [{"role": "user", "content": "hi"}],
            "retrieval": {"collection": "nowhere"}});
        assert_eq!(api.post("/v1/chat/completions", wrong).await.status, 404);
        let rows = api.get("/v1/usage").await.json()["rows"].clone();
        assert_eq!(rows[0]["model"], "up/priced", "{rows}");
        assert_eq!(
            (&rows[0]["requests"], &rows[0]["failed"]),
            (&json!(2), &json!(1))
        );
        assert_eq!(
            (&rows[0]["cost_usd"], &rows[0]["unpriced"]),
            (&json!(2.0), &json!(0))
        );
    });
    let journal = folder.path().join("data/evidence/evidence-00000001.jsonl");
    let journal = std::fs::read_to_string(journal).unwrap();
    let costs: Vec<Value> = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["body"]["cost_usd"].clone())
        .collect();
    assert_eq!(costs, [json!(2.0), Value::Null]);
}

#[test]
fn a_budget_that_is_used_up_is_told_in_each_clients_words() {
    within_a_day(budgets);
}

fn budgets() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(Reply::json(200, &answer()));
    let budgets = format!(
        "[budgets]\n{LABEL} = {{ usd = 1, period = \"month\" }}\n\
         \"*\" = {{ usd = 3.76, period = \"day\" }}\n"
    );
    let settings = with_upstream(folder.path(), &upstream, &budgets);
    serve_with(settings.clone(), async |api| {
        assert_eq!(ask_as(&api, "sk-test", "up/priced").await, 200);
        assert_eq!(ask_as(&api, "sk-test", "up/priced").await, 429);
        // Each other key has its own, which one call does not reach.
        for status in [200, 200, 429] {
            assert_eq!(ask_as(&api, "sk-other", "up/priced").await, status);
        }
        assert_eq!(
            api.post("/v1/chat/completions", hello("up/priced"))
                .await
                .status,
            200
        );
        assert_eq!(upstream.requests().len(), 4);
    });
    // The journal remembers what was spent.
    serve_with(settings, async |api| {
        let token = [("authorization", "bearer sk-test")];
        let messages = json!([{"role": "user", "content": "hi"}]);
        for (path, body, at) in [
            (
                "/v1/chat/completions",
                json!({"messages": messages}),
                "/error/message",
            ),
            ("/v1/responses", json!({"input": "hi"}), "/error/message"),
            (
                "/v1/messages",
                json!({"messages": messages, "max_tokens": 9}),
                "/error/message",
            ),
            ("/api/chat", json!({"messages": messages}), "/error"),
            ("/api/generate", json!({"prompt": "hi"}), "/error"),
        ] {
            for stream in [false, true] {
                let mut body = body.clone();
                body["model"] = "up/priced".into();
                body["stream"] = stream.into();
                let refused = api.post_with(&token, path, body).await;
                assert_eq!(refused.status, 429, "{path}: {}", refused.text());
                let wait: u64 = refused.header("retry-after").parse().unwrap();
                assert!((1..=31 * 86_400).contains(&wait), "{wait}");
                let message = refused.json().pointer(at).cloned().unwrap_or_default();
                let message = message.as_str().unwrap();
                assert!(
                    message.contains("1 US dollars a month, is used up"),
                    "{message}"
                );
                assert!(message.contains("-01T00:00:00Z"), "{message}");
            }
        }
        let refused = api
            .post_with(&token, "/v1/chat/completions", hello("up/priced"))
            .await;
        assert_eq!(refused.json()["error"]["code"], "insufficient_quota");
    });
    assert_eq!(upstream.requests().len(), 4, "nobody was asked");
}
