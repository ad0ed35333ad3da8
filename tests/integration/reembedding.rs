//! Collections of another version of their model, and how they come to the present one.

use std::path::Path;

use boathouse::actors::index::collection::DurableCollection;
use boathouse::engines::embedding::EmbedderConfig;
use boathouse::engines::index::IndexConfig;
use boathouse::types::collection::{CollectionSpec, Schema};
use boathouse::types::http::Method;
use boathouse::types::point::{Metric, Point};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Process, command, finish, serve, serve_with, settings};
use crate::upstream::{Reply, Upstream};

const DOCS: &str = "/v1/collections/docs";
const REEMBED: &str = "/v1/collections/docs/reembed";
const TEXTS: [&str; 3] = [
    "the cat sleeps on the sofa",
    "interest rates rose again",
    "a ship left the harbour",
];

/// Leaves a collection of an older version of `static-minilm` in a data folder, as an older release would have.
fn older(data: &Path, name: &str, texts: &[&str]) {
    let spec = CollectionSpec {
        name: name.to_owned(),
        dim: 256,
        metric: Metric::Cosine,
        embedder: Some("static-minilm".to_owned()),
        fingerprint: Some("00000000deadbeef".to_owned()),
        refiner: None,
        schema: Schema::default(),
        backend: Default::default(),
        created_ms: 1_700_000_000_000,
    };
    let folder = data.join("collections");
    std::fs::create_dir_all(&folder).unwrap();
    let made = DurableCollection::create(&folder.join(name), spec, IndexConfig::default());
    let points = texts.iter().enumerate().map(|(at, text)| Point {
        id: at.to_string(),
        // Where no text would be.
        vector: (0..256)
            .map(|x| f32::from(u8::from(x == at % 256)))
            .collect(),
        text: Some((*text).to_owned()),
        payload: json!({"n": at}).as_object().unwrap().clone(),
    });
    made.unwrap().upsert(points.collect()).unwrap();
}

async fn ended(api: &Api) -> Value {
    loop {
        let run = api.get(REEMBED).await.json();
        if run["state"] != "running" {
            return run;
        }
    }
}

fn said(answer: &Answer) -> String {
    answer.json()["detail"]
        .as_str()
        .unwrap_or_else(|| panic!("{}", answer.text()))
        .to_owned()
}

fn texts() -> Value {
    let points = TEXTS.iter().enumerate();
    points
        .map(|(id, text)| json!({"id": id, "text": text}))
        .collect()
}

async fn vector(api: &Api, id: &str) -> Value {
    let point = api.get(&format!("{DOCS}/points/{id}")).await.json();
    point["vector"].clone()
}

#[test]
fn a_collection_of_an_older_model_serves_what_it_can_and_is_embedded_anew() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    older(&settings.storage.data_dir, "docs", &TEXTS);
    serve_with(settings.clone(), async |api| {
        let told = api.get(DOCS).await.json();
        let outdated = told["outdated"].as_str().unwrap();
        assert!(
            outdated.contains("`boathouse collection reembed docs`"),
            "{outdated}"
        );
        // The same request as ever finds it, and makes no second one.
        let made = api.put(DOCS, json!({})).await;
        assert_eq!(made.status, 200, "{}", made.text());
        assert_eq!(made.json()["outdated"], told["outdated"]);
        let other = api.put(DOCS, json!({"metric": "dot"})).await;
        assert_eq!(other.status, 409);

        for (path, body) in [
            ("search", json!({"query": "cats"})),
            ("search", json!({"query": "cats", "mode": "dense"})),
            ("points", json!({"points": [{"id": "9", "text": "new"}]})),
        ] {
            let answer = api.post(&format!("{DOCS}/{path}"), body).await;
            assert_eq!(answer.status, 409, "{path}");
            assert_eq!(answer.json()["code"], "model_changed", "{}", answer.text());
            assert_eq!(said(&answer), outdated);
        }
        let lexical = json!({"query": "harbour", "mode": "lexical"});
        let mut axis = vec![0.0; 256];
        axis[1] = 1.0;
        for (body, best) in [(lexical, "2"), (json!({"vector": axis}), "1")] {
            let found = api.ok(&format!("{DOCS}/search"), body).await;
            assert_eq!(found["hits"][0]["id"], best);
        }
        let body = json!({"positive": ["0"], "k": 1});
        api.ok(&format!("{DOCS}/recommend"), body).await;
        assert_eq!(api.get(&format!("{DOCS}/points/0")).await.status, 200);
        let gone = json!({"ids": ["1"]});
        api.ok(&format!("{DOCS}/points/delete"), gone).await;

        let begun = api.post(REEMBED, json!({})).await;
        assert_eq!(begun.status, 202, "{}", begun.text());
        assert_eq!(
            (&begun.json()["of"], &begun.json()["done"]),
            (&json!(2), &json!(0))
        );
        let run = ended(&api).await;
        assert_eq!(run["state"], "done", "{run}");
        assert_eq!(
            (&run["done"], &run["embedder"]),
            (&json!(2), &json!("static-minilm"))
        );
        let now = api.get(DOCS).await.json();
        assert!(now.get("outdated").is_none(), "{now}");
        assert_eq!(now["created_ms"], told["created_ms"]);
        assert_eq!(now["reembedding"]["state"], "done");

        // The points are what a new collection of these texts would have.
        let new = "/v1/collections/new";
        api.collection("new", &TEXTS).await;
        for id in ["0", "2"] {
            let fresh = api.get(&format!("{new}/points/{id}")).await.json();
            assert_eq!(vector(&api, id).await, fresh["vector"]);
        }
        let found = api
            .ok(
                &format!("{DOCS}/search"),
                json!({"query": "a kitten naps", "mode": "dense"}),
            )
            .await;
        assert_eq!(found["hits"][0]["id"], "0");
        assert_eq!(found["hits"][0]["payload"], json!({"n": 0}));
    });
    serve_with(settings, async |api| {
        let now = api.get(DOCS).await.json();
        assert!(
            now.get("outdated").is_none() && now.get("reembedding").is_none(),
            "{now}"
        );
        assert_eq!(api.get(REEMBED).await.json(), json!({"collection": "docs"}));
        let points = json!({"points": [{"id": "9", "text": "new"}]});
        api.ok(&format!("{DOCS}/points"), points).await;
    });
}

#[test]
fn what_cannot_be_embedded_anew_is_refused_or_fails_whole() {
    serve(async |api| {
        let made = json!({"dim": 2, "embedder": null});
        assert_eq!(api.put(DOCS, made).await.status, 201);
        let points = json!([
            {"id": "a", "text": "boats", "vector": [1, 0]},
            {"id": "b", "vector": [0, 1]},
        ]);
        api.ok(&format!("{DOCS}/points"), json!({"points": points}))
            .await;
        let nobody = api.post("/v1/collections/none/reembed", json!({})).await;
        assert_eq!(nobody.status, 404);
        let unsaid = api.post(REEMBED, json!({})).await;
        assert_eq!(unsaid.status, 400);
        assert!(
            said(&unsaid).contains("has no embedder"),
            "{}",
            unsaid.text()
        );
        let unknown = api.post(REEMBED, json!({"embedder": "ada"})).await;
        assert_eq!(
            (unknown.status, &unknown.json()["param"]),
            (404, &json!("embedder"))
        );
        let by = json!({"embedder": "static-minilm"});
        let textless = api.post(REEMBED, by.clone()).await;
        assert_eq!(textless.status, 409, "{}", textless.text());
        assert!(
            said(&textless).contains("without a text and so not to be embedded anew: 1 point:"),
            "{}",
            textless.text()
        );
        assert!(said(&textless).contains(": b;"), "{}", textless.text());

        // A text that says nothing to the model is seen only when it is read.
        let odd = json!({"points": [{"id": "b", "text": "\u{1f980}", "vector": [0, 1]}]});
        api.ok(&format!("{DOCS}/points"), odd).await;
        assert_eq!(api.post(REEMBED, by.clone()).await.status, 202);
        let run = ended(&api).await;
        assert_eq!(run["state"], "failed", "{run}");
        let why = run["error"].as_str().unwrap();
        assert!(why.starts_with("point b cannot be embedded"), "{why}");
        assert_eq!(vector(&api, "a").await, json!([1.0, 0.0]));

        api.ok(&format!("{DOCS}/points/delete"), json!({"ids": ["b"]}))
            .await;
        assert_eq!(api.post(REEMBED, by).await.status, 202);
        assert_eq!(ended(&api).await["state"], "done");
        let now = api.get(DOCS).await.json();
        assert_eq!(
            (&now["dim"], &now["embedder"]),
            (&json!(256), &json!("static-minilm"))
        );
        let query = json!({"query": "ships", "mode": "dense"});
        let found = api.ok(&format!("{DOCS}/search"), query).await;
        assert_eq!(found["hits"][0]["id"], "a");
    });
}

#[test]
fn while_it_runs_points_may_go_but_not_come_and_it_can_be_cancelled() {
    let upstream = Upstream::start(Reply::hang_after("{"));
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    let far = EmbedderConfig {
        kind: "ollama".into(),
        base_url: upstream.base_url(),
        model: "m".into(),
        dim: Some(2),
        ..EmbedderConfig::default()
    };
    settings.embedding.embedders.insert("far".into(), far);
    serve_with(settings, async |api| {
        api.collection("docs", &TEXTS).await;
        let before = vector(&api, "0").await;
        let begun = api.post(REEMBED, json!({"embedder": "far"})).await;
        assert_eq!(begun.status, 202, "{}", begun.text());
        upstream.wait_asked().await;
        let now = api.get(DOCS).await.json();
        assert_eq!(now["reembedding"]["state"], "running");
        assert_eq!(now["embedder"], "static-minilm");
        for (path, body) in [
            (REEMBED.to_owned(), json!({})),
            (format!("{DOCS}/points"), json!({"points": texts()})),
        ] {
            let refused = api.post(&path, body).await;
            assert_eq!(refused.status, 409, "{path}: {}", refused.text());
            assert!(
                said(&refused).contains("0 of 3 points done"),
                "{}",
                refused.text()
            );
        }
        api.ok(&format!("{DOCS}/points/delete"), json!({"ids": ["1"]}))
            .await;
        let query = json!({"query": "a kitten naps", "mode": "dense"});
        let found = api.ok(&format!("{DOCS}/search"), query).await;
        assert_eq!(found["hits"][0]["id"], "0");

        let cancelled = api.send(Method::Delete, REEMBED, "").await;
        assert_eq!(
            cancelled.json()["state"],
            "cancelled",
            "{}",
            cancelled.text()
        );
        assert_eq!(vector(&api, "0").await, before);
        let points = json!({"points": texts()});
        api.ok(&format!("{DOCS}/points"), points).await;
    });
}

#[test]
fn the_command_line_embeds_anew_shows_the_end_and_cancels_nothing_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    older(folder.path(), "docs", &TEXTS);
    let process = Process::start(folder.path());
    let url = format!("http://{}", process.address);
    let run = |more: &[&str]| {
        let mut command = command();
        let command = command.args(["collection", "reembed", "docs", "--url", &url]);
        let (status, shown, said) = finish(command.args(more));
        (status, shown + &said)
    };
    let (status, shown) = run(&[]);
    assert_eq!(status, Some(0), "{shown}");
    assert!(
        shown.contains("docs: 3 points embedded anew by static-minilm"),
        "{shown}"
    );
    let (status, shown) = run(&["--cancel"]);
    assert_eq!(status, Some(1), "{shown}");
    assert!(shown.contains("nothing is under way"), "{shown}");
    let (status, shown) = run(&["--embedder", "ada"]);
    assert_eq!(status, Some(1), "{shown}");
    assert!(shown.contains("answered 404"), "{shown}");
}

#[test]
fn a_server_killed_meanwhile_has_the_old_points_or_the_new() {
    let folder = tempfile::tempdir().unwrap();
    let many: Vec<String> = (0..700).map(|n| format!("passage {n} of many")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    older(folder.path(), "docs", &many);
    let (mut old, mut polls) = (0, 0);
    // The kills are no fault of the texts that are being embedded, which a second one would tell of them.
    let start = || {
        let mut server = command();
        server
            .args(["serve", "--port", "0", "--data"])
            .arg(folder.path());
        Process::of(server.env("BOATHOUSE__SUPERVISORS__BLACK_BOX", "false"))
    };
    loop {
        let mut process = start();
        let outcome = actix_web::rt::System::new().block_on(async {
            let api = Api::new(process.address);
            let now = api.get(DOCS).await.json();
            assert_eq!(now["points"], 700);
            now.get("outdated")?;
            old += 1;
            assert_eq!(api.post(REEMBED, json!({})).await.status, 202);
            // A little later with each kill, until it was done before.
            for _ in 0..polls {
                api.get(REEMBED).await;
            }
            Some(())
        });
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        polls = polls * 2 + 1;
        if outcome.is_none() {
            break;
        }
    }
    assert!(old > 0);
    let process = Process::start(folder.path());
    actix_web::rt::System::new().block_on(async {
        let api = Api::new(process.address);
        let query = json!({"query": "passage 69 of many", "k": 1});
        let found = api.ok(&format!("{DOCS}/search"), query).await;
        assert_eq!(found["hits"][0]["id"], "69");
    });
}
