use base64::Engine as _;
use serde_json::{Value, json};

use crate::harness::{Api, serve, serve_with, settings};

#[test]
fn floats_and_base64_are_the_same_unit_vector() {
    serve(async |api| {
        let ask = |format: &str| json!({"model": "static-minilm", "input": "a boat", "encoding_format": format});
        let floats = api.ok("/v1/embeddings", ask("float")).await;
        let coded = api.ok("/v1/embeddings", ask("base64")).await;
        let floats: Vec<f32> =
            serde_json::from_value(floats["data"][0]["embedding"].clone()).unwrap();
        let bytes = base64::prelude::BASE64_STANDARD
            .decode(coded["data"][0]["embedding"].as_str().unwrap())
            .unwrap();
        let decoded: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
            .collect();
        assert_eq!(floats, decoded);
        assert_eq!(floats.len(), 256);
        let norm: f32 = floats.iter().map(|x| x * x).sum();
        assert!((norm - 1.0).abs() < 1e-4);
        assert_eq!(coded["object"], "list");
        assert_eq!(
            coded["usage"],
            json!({"prompt_tokens": 2, "total_tokens": 2})
        );
    });
}

#[test]
fn order_is_kept_and_equal_texts_are_computed_once() {
    serve(async |api| {
        let body = json!({"model": "static-minilm", "input": ["one", "two", "one", "three"]});
        let answer = api.ok("/v1/embeddings", body).await;
        let data = answer["data"].as_array().unwrap();
        assert_eq!(
            data.iter()
                .map(|one| one["index"].as_u64().unwrap())
                .collect::<Vec<_>>(),
            [0, 1, 2, 3]
        );
        assert_eq!(data[0]["embedding"], data[2]["embedding"]);
        assert_ne!(data[0]["embedding"], data[1]["embedding"]);
        // A list with one new text costs one text.
        let body = json!({"model": "static-minilm", "input": ["one", "four"]});
        api.ok("/v1/embeddings", body).await;
        let page = api.get("/metrics").await.text();
        assert!(
            page.contains("boathouse_embedding_cache_entries 4"),
            "{page}"
        );
        assert!(
            page.contains("boathouse_embedding_cache_hits_total 1"),
            "{page}"
        );
    });
}

#[test]
fn token_arrays_and_fewer_dimensions_are_served() {
    serve(async |api| {
        let text = api
            .ok(
                "/v1/embeddings",
                json!({"model": "static-minilm", "input": "boat"}),
            )
            .await;
        // 4049 is "boat" in the model's vocabulary.
        for input in [json!([4049]), json!([[4049]])] {
            let tokens = api
                .ok(
                    "/v1/embeddings",
                    json!({"model": "static-minilm", "input": input}),
                )
                .await;
            assert_eq!(tokens["data"][0]["embedding"], text["data"][0]["embedding"]);
        }
        let body = json!({"model": "static-minilm", "input": "boat", "dimensions": 64});
        let short = api.ok("/v1/embeddings", body).await;
        let short: Vec<f32> =
            serde_json::from_value(short["data"][0]["embedding"].clone()).unwrap();
        assert_eq!(short.len(), 64);
        assert!((short.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4);
    });
}

#[test]
fn models_are_listed_and_described() {
    serve(async |api| {
        let list = api.get("/v1/models").await.json();
        let ids: Vec<&str> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["id"].as_str().unwrap())
            .collect();
        assert!(
            ids.contains(&"static-minilm") && ids.contains(&"extractive"),
            "{ids:?}"
        );
        assert_eq!(api.get("/v1/models/static-minilm").await.json()["dim"], 256);
        let unknown = api.get("/v1/models/gpt-9").await;
        assert_eq!(unknown.status, 404);
        assert_eq!(unknown.json()["error"]["code"], "model_not_found");
    });
}

async fn metric(api: &Api, name: &str) -> u64 {
    let page = api.get("/metrics").await.text();
    let line = page
        .lines()
        .find(|line| line.starts_with(&format!("boathouse_embedding_cache_{name} ")));
    let value = line.and_then(|line| line.rsplit(' ').next()).unwrap();
    value.parse().unwrap()
}

#[test]
fn the_cache_outlives_the_process_and_a_damaged_one_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data/embedding-cache.bin");
    let body = json!({"model": "static-minilm", "input": ["one", "two"]});
    let mut first = None;
    serve_with(settings(folder.path()), async |api| {
        first = Some(api.ok("/v1/embeddings", body.clone()).await);
        assert_eq!(metric(&api, "evictions_total").await, 0);
    });
    serve_with(settings(folder.path()), async |api| {
        assert_eq!(metric(&api, "entries").await, 2);
        let again = api.ok("/v1/embeddings", body.clone()).await;
        assert_eq!(Some(again), first);
        assert_eq!(metric(&api, "hits_total").await, 2);
        assert_eq!(metric(&api, "misses_total").await, 0);
    });
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    serve_with(settings(folder.path()), async |api| {
        assert_eq!(metric(&api, "entries").await, 0);
        api.ok("/v1/embeddings", body.clone()).await;
    });
    let mut never = settings(folder.path());
    never.embedding.cache_save_ms = 0;
    serve_with(never, async |api| {
        assert_eq!(metric(&api, "entries").await, 0);
    });
}

#[test]
fn clients_of_ollama_are_served_in_its_shapes() {
    serve(async |api| {
        let own = json!({"model": "static-minilm", "input": ["a boat", "ships"]});
        let own = api.ok("/v1/embeddings", own).await;
        let body = json!({"model": "static-minilm:latest", "input": ["a boat", "ships"], "keep_alive": "5m", "options": {}});
        let answer = api.ok("/api/embed", body).await;
        assert_eq!(answer["model"], "static-minilm:latest");
        // The same numbers, whatever their digits.
        let numbers = |list: &Value| -> Vec<f32> { serde_json::from_value(list.clone()).unwrap() };
        for at in 0..2 {
            let embedding = numbers(&own["data"][at]["embedding"]);
            assert_eq!(numbers(&answer["embeddings"][at]), embedding);
        }
        assert_eq!(answer["prompt_eval_count"], own["usage"]["total_tokens"]);
        let short = json!({"model": "static-minilm", "input": "a boat", "dimensions": 8});
        let short = api.ok("/api/embed", short).await;
        assert_eq!(short["embeddings"][0].as_array().unwrap().len(), 8);
        let older = json!({"model": "static-minilm", "prompt": "a boat"});
        let older = api.ok("/api/embeddings", older).await;
        assert_eq!(
            numbers(&older["embedding"]),
            numbers(&own["data"][0]["embedding"])
        );
        // So clients have a model loaded.
        let nothing = api
            .ok("/api/embed", json!({"model": "static-minilm"}))
            .await;
        assert_eq!(nothing["embeddings"], json!([]));
    });
}

#[test]
fn errors_under_api_are_a_bare_string() {
    serve(async |api| {
        for (path, body, status, expected) in [
            (
                "/api/embed",
                json!({"model": "no", "input": "x"}),
                404,
                "no embedding model named no",
            ),
            (
                "/api/embed",
                json!({"model": "static-minilm", "input": 7}),
                400,
                "input must be",
            ),
            (
                "/api/embed",
                json!({"model": "static-minilm", "imput": "x"}),
                400,
                "unknown field",
            ),
            ("/api/embeddings", json!({"prompt": "x"}), 400, "model"),
            ("/api/nothing", json!({}), 404, "no route"),
        ] {
            let answer = api.post(path, body).await;
            assert_eq!(answer.status, status, "{}", answer.text());
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(error.contains(expected), "{error}");
        }
    });
}

#[test]
fn a_text_that_is_too_long_is_refused_unless_it_may_be_cut() {
    serve(async |api| {
        let long = "boat ".repeat(513);
        let fits = "boat ".repeat(512);
        let ask = |texts: [&str; 2]| json!({"model": "static-minilm", "input": texts});
        api.ok("/v1/embeddings", ask(["river", &fits])).await;
        // Also after its beginning was cached.
        for _ in 0..2 {
            let refused = api.post("/v1/embeddings", ask(["river", &long])).await;
            assert_eq!(refused.status, 400);
            let message = refused.json()["error"]["message"].to_string();
            assert!(
                message.contains("text 1 is too long: more than 512 tokens"),
                "{message}"
            );
            let cut = api.ok("/api/embed", ask(["river", &long])).await;
            assert_eq!(cut["prompt_eval_count"], 513);
        }
        let mut no = ask(["river", &long]);
        no["truncate"] = false.into();
        assert_eq!(api.post("/api/embed", no).await.status, 400);

        api.collection("docs", &["a boat"]).await;
        let mut points = json!({"points": [{"id": "long", "text": long}]});
        let path = "/v1/collections/docs/points";
        assert_eq!(api.post(path, points.clone()).await.status, 400);
        points["truncate"] = true.into();
        api.ok(path, points).await;
        let query = json!({"query": long, "k": 2});
        let found = api.ok("/v1/collections/docs/search", query).await;
        assert_eq!(found["hits"][0]["text"], long);
    });
}

#[test]
fn who_names_no_model_gets_the_default() {
    serve(async |api| {
        for body in [
            json!({"input": "boat"}),
            json!({"input": "boat", "model": null}),
        ] {
            assert_eq!(
                api.ok("/v1/embeddings", body).await["model"],
                "static-minilm"
            );
        }
        api.put("/v1/collections/empty", json!({})).await;
        let messages = json!([{"role": "user", "content": "is anybody there?"}]);
        let body = json!({"messages": messages, "retrieval": {"collection": "empty"}});
        assert_eq!(
            api.ok("/v1/chat/completions", body).await["model"],
            "extractive"
        );
    });
}
