//! Models of upstreams, played by a stand-in.

use boathouse::config::Settings;
use boathouse::engines::embedding::EmbedderConfig;
use boathouse::engines::upstream::RetryConfig;
use serde_json::{Value, json};

use crate::harness::{serve_with, settings};
use crate::upstream::{Reply, Upstream};

/// One vector, [0.6, 0.8] when normalised.
fn one() -> Reply {
    Reply::json(
        200,
        &json!({"model": "m", "embeddings": [[3, 4]], "prompt_eval_count": 5}),
    )
}

fn embedder(base_url: &str) -> EmbedderConfig {
    EmbedderConfig {
        kind: "ollama".into(),
        base_url: base_url.into(),
        model: "m".into(),
        ..EmbedderConfig::default()
    }
}

/// Settings with an embedder `far` that is asked once.
fn far(folder: &tempfile::TempDir, embedder: EmbedderConfig) -> Settings {
    let mut settings = settings(folder.path());
    settings.embedding.embedders.insert("far".into(), embedder);
    settings.embedding.retry = RetryConfig {
        max_attempts: 1,
        base_ms: 1,
        max_ms: 1,
    };
    settings
}

fn ask() -> Value {
    json!({"model": "far", "input": "a boat"})
}

#[test]
fn a_remote_model_is_asked_once_for_each_text_and_tells_its_dimension() {
    let upstream = Upstream::start(one());
    let folder = tempfile::tempdir().unwrap();
    serve_with(far(&folder, embedder(&upstream.base_url())), async |api| {
        let unknown = api.get("/v1/models/far").await.json();
        assert_eq!(
            (&unknown["dim"], &unknown["type"]),
            (&Value::Null, &"embedding".into())
        );
        assert!(
            upstream.requests().is_empty(),
            "nothing is asked at the start"
        );
        for _ in 0..2 {
            let answer = api.ok("/v1/embeddings", ask()).await;
            let floats: Vec<f32> =
                serde_json::from_value(answer["data"][0]["embedding"].clone()).unwrap();
            assert_eq!(floats, [0.6, 0.8]);
            assert_eq!(
                (&answer["model"], &answer["usage"]["total_tokens"]),
                (&"far".into(), &5.into())
            );
        }
        let requests = upstream.requests();
        assert_eq!(requests.len(), 2, "the dimension, then the text");
        assert!(
            requests[1].starts_with("POST /api/embed "),
            "{}",
            requests[1]
        );
        assert!(requests[1].ends_with(r#"{"model":"m","input":["a boat"],"truncate":false}"#));
        let traced = requests
            .iter()
            .any(|request| request.contains("traceparent"));
        assert!(!traced, "nobody wants traces");
        assert_eq!(api.get("/v1/models/far").await.json()["dim"], 2);
        let tokens = api
            .post("/v1/embeddings", json!({"model": "far", "input": [1, 2]}))
            .await;
        assert_eq!(tokens.status, 400);
        assert!(tokens.text().contains("send text"), "{}", tokens.text());
    });
    // What it gave is known to the next process before the upstream is asked.
    serve_with(far(&folder, embedder(&upstream.base_url())), async |api| {
        let page = api.get("/metrics").await.text();
        assert!(
            page.contains("boathouse_embedding_cache_entries 1"),
            "{page}"
        );
    });
}

#[test]
fn a_failing_upstream_has_the_status_of_its_kind() {
    let failing = |status| Reply::json(status, &json!({"error": "no"}));
    let wrong = Reply::json(200, &json!({"embeddings": [[1, 2], [3, 4]]}));
    for (reply, status) in [
        (failing(200), 502),
        (failing(400), 400),
        (failing(401), 502),
        (failing(404), 404),
        (failing(429), 429),
        (failing(500), 502),
        (failing(503), 503),
        (wrong, 502),
        (Reply::cut("{"), 502),
        (Reply::hang_after("{"), 504),
    ] {
        let upstream = Upstream::start(reply);
        let folder = tempfile::tempdir().unwrap();
        let config = EmbedderConfig {
            idle_timeout_ms: 100,
            ..embedder(&upstream.base_url())
        };
        serve_with(far(&folder, config), async |api| {
            let answer = api.post("/v1/embeddings", ask()).await;
            assert_eq!(answer.status, status, "{}", answer.text());
            let error = &answer.json()["error"];
            assert!(
                error["message"].as_str().unwrap().contains("far"),
                "{error}"
            );
            // It is no part of being ready.
            assert_eq!(api.get("/readyz").await.status, 200);
        });
    }
}

#[test]
fn a_dead_upstream_rests_and_a_fallback_answers_for_it() {
    let dead = Upstream::start(Reply::json(500, &json!({"error": "oops"})));
    let alive = Upstream::start(one());
    let folder = tempfile::tempdir().unwrap();
    let with_dim = |base_url: &str| EmbedderConfig {
        dim: Some(2),
        ..embedder(base_url)
    };
    let mut settings = far(&folder, with_dim(&dead.base_url()));
    settings.embedding.breaker.failures = 2;
    serve_with(settings.clone(), async |api| {
        for expected in [502, 502, 503, 503] {
            assert_eq!(api.post("/v1/embeddings", ask()).await.status, expected);
        }
        assert_eq!(dead.requests().len(), 2, "it is left alone");
    });
    let own = settings.embedding.embedders.get_mut("far").unwrap();
    own.fallback = Some("near".into());
    settings
        .embedding
        .embedders
        .insert("near".into(), with_dim(&alive.base_url()));
    serve_with(settings, async |api| {
        let answer = api.ok("/v1/embeddings", ask()).await;
        assert_eq!(answer["model"], "far");
        assert_eq!((dead.requests().len(), alive.requests().len()), (3, 1));
    });
}

#[test]
fn a_collection_of_a_remote_model_is_searched_after_a_restart() {
    let upstream = Upstream::start(one());
    let folder = tempfile::tempdir().unwrap();
    let settings = || far(&folder, embedder(&upstream.base_url()));
    serve_with(settings(), async |api| {
        let made = api
            .put("/v1/collections/docs", json!({"embedder": "far"}))
            .await;
        assert_eq!(made.status, 201, "{}", made.text());
        let points = json!({"points": [{"id": "1", "text": "a boat"}]});
        api.ok("/v1/collections/docs/points", points).await;
    });
    serve_with(settings(), async |api| {
        let query = json!({"query": "ships", "mode": "dense"});
        let found = api.ok("/v1/collections/docs/search", query).await;
        assert_eq!(found["hits"][0]["id"], "1");
    });
    let mut other = settings();
    other.embedding.embedders.get_mut("far").unwrap().model = "m2".into();
    serve_with(other, async |api| {
        let query = json!({"query": "ships", "mode": "dense"});
        let answer = api.post("/v1/collections/docs/search", query).await;
        assert_eq!(answer.status, 409, "{}", answer.text());
    });
}
