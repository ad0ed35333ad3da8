//! Whole collections out and in, by the command line and over HTTP.

use std::path::{Path, PathBuf};

use boathouse::types::http::Method;
use serde_json::{Value, json};

use crate::harness::{Api, Process, command, finish, serve};

const WORDS: [&str; 5] = ["ferry", "museum", "harbour", "lighthouse", "rope"];

/// A server, and a folder for files.
struct Place {
    folder: tempfile::TempDir,
    process: Process,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("boathouse.toml");
        // Second vectors come at once.
        std::fs::write(&settings, "[storage]\nmaintenance_ms = 100\n").unwrap();
        let arguments = ["--config".as_ref(), settings.as_ref()];
        let process = Process::start_with(&folder.path().join("data"), &arguments);
        Self { folder, process }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ask<T>(&self, test: impl AsyncFnOnce(Api) -> T) -> T {
        let api = Api::new(self.process.address);
        actix_web::rt::System::new().block_on(test(api))
    }

    fn export(&self, name: &str, file: &Path) -> (Option<i32>, String) {
        self.run(&["export", name, "--to", file.to_str().unwrap()])
    }

    fn import(&self, name: &str, file: &Path, more: &[&str]) -> (Option<i32>, String) {
        let arguments = ["import", name, "--from", file.to_str().unwrap()];
        self.run(&[&arguments, more].concat())
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let url = format!("http://{}", self.process.address);
        let command = &mut command();
        let command = command.arg("collection").args(arguments);
        let (status, shown, said) = finish(command.args(["--url", &url]));
        (status, shown + &said)
    }
}

async fn points(api: &Api, name: &str) -> Value {
    let path = format!("/v1/collections/{name}/points/scroll");
    let page = api.ok(&path, json!({"limit": 1000})).await;
    assert!(page["next"].is_null());
    page["points"].clone()
}

/// Lines of an export but the first, which holds its collection's name and age.
fn body(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn what_is_exported_comes_back_bit_by_bit_by_either_format() {
    let place = Place::new();
    let (jsonl, parquet) = (place.file("docs.jsonl"), place.file("docs.parquet"));
    let expected = place.ask(async |api| {
        let spec = json!({
            "refiner": "static-minilm", "fields": {"at": "integer"}, "role_field": "who",
            "role_required": false, "ttl_field": "until",
        });
        let made = api.put("/v1/collections/docs", spec).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let mut all: Vec<Value> = (0..300)
            .map(|at| {
                let text = format!("{} {at} {}", WORDS[at % 5], WORDS[at / 5 % 5]);
                json!({"id": format!("p/{at} ü"), "text": text, "payload": {
                    "at": at, "share": at as f64 / 7.0, "none": null, "deep": {"list": [-0.0, 1e300, "x\n"]},
                }})
            })
            .collect();
        // Without a text, and with a vector whose numbers are hard to write.
        let mut vector = vec![0.0; 256];
        vector[..4].copy_from_slice(&[1.0, 7.038531e-26, -1e-45, 1.0 / 3.0]);
        all.push(json!({"id": "bare", "vector": vector}));
        api.ok("/v1/collections/docs/points", json!({"points": all})).await;
        let gone = json!({"ids": ["p/3 ü", "p/250 ü"]});
        api.ok("/v1/collections/docs/points/delete", gone).await;
        loop {
            let state = api.get("/v1/collections/docs").await.json();
            if state["refinement"]["pending"] == 0 {
                break;
            }
        }
        points(&api, "docs").await
    });
    for (file, copy) in [(&jsonl, "one"), (&parquet, "two")] {
        let (status, said) = place.export("docs", file);
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("299 points of collection docs"), "{said}");
        let (status, said) = place.import(copy, file, &[]);
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("299 points"), "{said}");
        let again = place.file("again.jsonl");
        let (status, said) = place.export(copy, &again);
        assert_eq!(status, Some(0), "{said}");
        // Vectors, second vectors, payloads, and even the order.
        assert_eq!(body(&again), body(&jsonl), "{copy}");
        place.ask(async |api| {
            assert_eq!(points(&api, copy).await, expected);
            let info = |name: &str| format!("/v1/collections/{name}");
            let (own, theirs) = (api.get(&info(copy)).await, api.get(&info("docs")).await);
            for field in [
                "dim",
                "metric",
                "embedder",
                "fingerprint",
                "refiner",
                "refinement",
                "fields",
                "role_field",
                "role_required",
                "ttl_field",
            ] {
                assert_eq!(own.json()[field], theirs.json()[field], "{field}");
            }
            assert_eq!(own.json()["fields"]["until"], "datetime");
        });
    }
    assert!(!place.file("docs.jsonl.partial").exists());
    // Once more changes nothing; a part of it neither.
    for more in [&[][..], &["--skip", "298"]] {
        let (status, said) = place.import("one", &jsonl, more);
        assert_eq!(status, Some(0), "{said}");
        place.ask(async |api| assert_eq!(points(&api, "one").await, expected));
    }
}

#[test]
fn a_file_that_is_wrong_anywhere_is_refused_before_anything_is_written() {
    let place = Place::new();
    let file = place.file("docs.jsonl");
    place.ask(async |api| {
        api.collection("docs", &["the ferry leaves", "rope", "sail"])
            .await
    });
    assert_eq!(place.export("docs", &file).0, Some(0));
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let fingerprint = serde_json::from_str::<Value>(lines[0]).unwrap();
    let fingerprint = fingerprint["export"]["spec"]["fingerprint"].clone();
    let fingerprint = fingerprint.as_str().unwrap();
    let other = lines[0].replace(fingerprint, "of-another-model");
    let twice = lines[2].replace("\"id\":\"1\"", "\"id\":\"0\"");
    let short = "{\"id\":\"1\",\"vector\":[1.0,2.0]}";
    let cases: [(&[&str], &str); 6] = [
        (
            &[lines[0], lines[1], &twice, lines[3], lines[4]],
            "point 2: the id 0 stands there twice",
        ),
        (
            &[lines[0], lines[1], short, lines[3], lines[4]],
            "wrong dimension: expected 256, got 2",
        ),
        (
            &[&other, lines[1], lines[2], lines[3], lines[4]],
            "of-another-model",
        ),
        (&[lines[0], lines[1], lines[2]], "the end is missing"),
        (
            &[lines[0], lines[1], "{\"id\":", lines[3], lines[4]],
            "line 3: ",
        ),
        (
            &["{\"id\":\"1\",\"vector\":[1.0,2.0]}"],
            "does not fit into collection docs: wrong dimension",
        ),
    ];
    let before = place.ask(async |api| points(&api, "docs").await);
    for (lines, expected) in cases {
        std::fs::write(&file, lines.join("\n")).unwrap();
        for name in ["docs", "fresh"] {
            if name == "fresh" && expected.contains("collection docs") {
                continue;
            }
            let (status, said) = place.import(name, &file, &[]);
            assert_eq!(status, Some(1), "{said}");
            assert!(said.contains(expected), "{expected}: {said}");
        }
        place.ask(async |api| {
            assert_eq!(points(&api, "docs").await, before, "{expected}");
            let fresh = api.get("/v1/collections/fresh").await;
            assert_eq!(fresh.status, 404, "{expected}: {}", fresh.text());
        });
    }
    let (status, said) = place.export("gone", &file);
    assert_eq!(status, Some(1));
    assert!(said.contains("no collection named gone"), "{said}");
    let (_, said) = place.export("docs", &place.file("docs.csv"));
    assert!(said.contains("must end in .jsonl or .parquet"), "{said}");
    let (_, said) = place.import("docs", &place.file("gone.parquet"), &[]);
    assert!(said.contains("gone.parquet"), "{said}");
}

#[test]
fn lines_of_somebody_else_become_a_collection() {
    let place = Place::new();
    let file = place.file("theirs.jsonl");
    std::fs::write(
        &file,
        "{\"id\": 1, \"vector\": [3, 4]}\n{\"id\": 2, \"vector\": [1, 0], \"text\": \"x\"}\n",
    )
    .unwrap();
    let (status, said) = place.import("vectors", &file, &[]);
    assert_eq!(status, Some(0), "{said}");
    std::fs::write(
        &file,
        "{\"id\": \"a\", \"text\": \"the ferry\", \"payload\": {\"n\": 1}}\n",
    )
    .unwrap();
    let (status, said) = place.import("texts", &file, &[]);
    assert_eq!(status, Some(0), "{said}");
    place.ask(async |api| {
        let found = points(&api, "vectors").await;
        assert_eq!(
            found[0],
            json!({"id": "1", "vector": [0.6, 0.8], "payload": {}})
        );
        let found = api
            .ok("/v1/collections/texts/search", json!({"query": "ferries"}))
            .await;
        assert_eq!(found["hits"][0]["id"], "a");
    });
}

#[test]
fn an_export_over_http_is_of_one_moment_and_an_import_says_what_does_not_fit() {
    serve(async |api| {
        api.collection("docs", &["the ferry leaves", "rope"]).await;
        let exported = api.get("/v1/collections/docs/export").await;
        assert_eq!(exported.status, 200);
        assert!(
            exported
                .header("content-type")
                .starts_with("application/x-ndjson")
        );
        let text = exported.text();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["export"]["points"], 2);
        assert_eq!(lines[1]["id"], "0");
        assert_eq!(lines[3], json!({"end": {"points": 2}}));
        let path = "/v1/collections/docs/import";
        let point = json!({"id": "new", "vector": lines[1]["vector"], "text": "copied"});
        let fingerprint = &lines[0]["export"]["spec"]["fingerprint"];
        let good = json!({"fingerprint": fingerprint, "points": [point]});
        assert_eq!(api.ok(path, good).await, json!({"imported": 1}));
        let mut refined = point.clone();
        refined["refined"] = json!({"scale": 1, "codes": ""});
        for (body, status, expected) in [
            (
                json!({"fingerprint": "other", "points": [point]}),
                409,
                "of fingerprint other",
            ),
            (
                json!({"points": [refined]}),
                400,
                "points[0].refined: the collection has no refiner",
            ),
            (json!({"points": []}), 400, "points is empty"),
            (
                json!({"points": [{"id": "x", "vector": [1]}]}),
                400,
                "wrong dimension",
            ),
        ] {
            let refused = api.post(path, body).await;
            assert_eq!(refused.status, status, "{}", refused.text());
            assert!(refused.text().contains(expected), "{}", refused.text());
        }
        let absent = api
            .send(Method::Get, "/v1/collections/gone/export", "")
            .await;
        assert_eq!(absent.status, 404);
    });
}

#[test]
fn second_vectors_that_do_not_fit_are_refused_and_harm_nothing() {
    serve(async |api| {
        let spec = json!({"embedder": null, "dim": 2, "refiner": "static-minilm"});
        let made = api.put("/v1/collections/docs", spec).await.json();
        let fingerprint = made["refiner"]["fingerprint"].clone();
        let path = "/v1/collections/docs/import";
        let body = |fingerprint: &Value, refined: Value| {
            let point = json!({"id": "a", "vector": [1, 0], "text": "x", "refined": refined});
            json!({"refiner_fingerprint": fingerprint, "points": [point]})
        };
        for (fingerprint, refined, expected) in [
            (
                &json!(null),
                json!({"scale": 1, "codes": ""}),
                "refiner_fingerprint must be",
            ),
            (
                &fingerprint,
                json!({"scale": 1, "codes": "AAAA"}),
                "wrong dimension: expected 256, got 3",
            ),
            (
                &fingerprint,
                json!({"scale": 1, "codes": "?"}),
                "not base64",
            ),
            (
                &fingerprint,
                json!({"scale": -1, "codes": "A".repeat(344)}),
                "wrong dimension",
            ),
        ] {
            let refused = api.post(path, body(fingerprint, refined)).await;
            assert_eq!(refused.status, 400, "{}", refused.text());
            assert!(refused.text().contains(expected), "{}", refused.text());
        }
        let info = api.get("/v1/collections/docs").await.json();
        assert_eq!(info["points"], 0, "{info}");
    });
}
