use boathouse::types::http::Method;
use serde_json::{Value, json};

use crate::harness::{serve, serve_with, settings};

fn ids(found: &Value) -> Vec<&str> {
    found["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["id"].as_str().unwrap())
        .collect()
}

#[test]
fn a_collection_is_made_described_and_removed() {
    serve(async |api| {
        let made = api.put("/v1/collections/docs", json!({})).await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert_eq!(made.json()["dim"], 256);
        assert_eq!(api.put("/v1/collections/docs", json!({})).await.status, 200);
        let other = api
            .put("/v1/collections/docs", json!({"metric": "dot"}))
            .await;
        assert_eq!(other.status, 409, "{}", other.text());
        let all = api.get("/v1/collections").await.json();
        assert_eq!(all["collections"][0]["name"], "docs");
        assert_eq!(
            api.send(Method::Delete, "/v1/collections/docs", "")
                .await
                .status,
            200
        );
        assert_eq!(api.get("/v1/collections/docs").await.status, 404);
        // The name is free again, and empty.
        api.put("/v1/collections/docs", json!({"dim": 2, "embedder": null}))
            .await;
        assert_eq!(api.get("/v1/collections/docs").await.json()["points"], 0);
    });
}

#[test]
fn every_mode_finds_the_right_text() {
    serve(async |api| {
        let texts = [
            "the cat sleeps on the sofa",
            "interest rates rose again",
            "a ship left the harbour",
        ];
        api.collection("docs", &texts).await;
        for (mode, query, best) in [
            ("dense", "a kitten naps", "0"),
            ("lexical", "harbour ships", "2"),
            ("hybrid", "banks and interest rates", "1"),
        ] {
            let body = json!({"query": query, "mode": mode, "k": 2, "explain": true});
            let found = api.ok("/v1/collections/docs/search", body).await;
            assert_eq!(ids(&found)[0], best, "{mode}: {found}");
            assert!(found["plan"].is_object());
        }
        let body = json!({"query": "a kitten naps", "mode": "dense", "k": 1, "with": ["vector"]});
        let found = api.ok("/v1/collections/docs/search", body).await;
        assert_eq!(found["hits"][0]["vector"].as_array().unwrap().len(), 256);
        assert!(found["hits"][0].get("text").is_none());
    });
}

#[test]
fn points_are_read_counted_scrolled_filtered_and_deleted() {
    serve(async |api| {
        api.put("/v1/collections/v", json!({"dim": 2, "embedder": null}))
            .await;
        let points: Vec<Value> = (0..10)
            .map(|n| json!({"id": n, "vector": [1.0, f64::from(n)], "payload": {"n": n, "even": n % 2 == 0}}))
            .collect();
        let upserted = api
            .ok("/v1/collections/v/points", json!({"points": points}))
            .await;
        assert_eq!(upserted, json!({"upserted": 10}));
        assert_eq!(
            api.get("/v1/collections/v/points/3").await.json()["payload"]["n"],
            3
        );
        let count = async |filter: Value| {
            api.ok("/v1/collections/v/points/count", json!({"filter": filter}))
                .await["count"]
                .clone()
        };
        for (filter, expected) in [
            (json!({"even": true}), 5),
            (json!({"n": {"$gte": 3, "$lt": 7}}), 4),
            (json!({"$or": [{"n": 1}, {"n": {"$in": [2, 3]}}]}), 3),
            (json!({"$not": {"n": {"$gt": 1}}}), 2),
            (
                json!({"$and": [{"even": {"$ne": true}}, {"n": {"$nin": [1, 3]}}]}),
                3,
            ),
            (json!({"absent": {"$exists": false}}), 10),
        ] {
            assert_eq!(count(filter.clone()).await, expected, "{filter}");
        }
        let mut seen = Vec::new();
        let mut after = Value::Null;
        loop {
            let page = api
                .ok(
                    "/v1/collections/v/points/scroll",
                    json!({"limit": 4, "after": after}),
                )
                .await;
            seen.extend(
                page["points"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|point| point["id"].clone()),
            );
            after = page["next"].clone();
            if after.is_null() {
                break;
            }
        }
        assert_eq!(seen.len(), 10);
        let gone = api
            .ok(
                "/v1/collections/v/points/delete",
                json!({"ids": [0, "1", "nobody"]}),
            )
            .await;
        assert_eq!(gone, json!({"deleted": 2}));
        let gone = api
            .ok(
                "/v1/collections/v/points/delete",
                json!({"filter": {"even": true}}),
            )
            .await;
        assert_eq!(gone, json!({"deleted": 4}));
        assert_eq!(api.get("/v1/collections/v/points/0").await.status, 404);
        let body = json!({"vector": [1.0, 9.0], "k": 100});
        let found = api.ok("/v1/collections/v/search", body).await;
        assert_eq!(ids(&found), ["9", "7", "5", "3"]);
        let body =
            json!({"vector": [1.0, 9.0], "k": 100, "filter": {"n": {"$lt": 6}}, "exact": true});
        assert_eq!(
            ids(&api.ok("/v1/collections/v/search", body).await),
            ["5", "3"]
        );
    });
}

#[test]
fn an_upsert_replaces() {
    serve(async |api| {
        api.collection("docs", &["old words"]).await;
        let body = json!({"points": [{"id": "0", "text": "entirely different"}]});
        api.ok("/v1/collections/docs/points", body).await;
        assert_eq!(api.get("/v1/collections/docs").await.json()["points"], 1);
        let found = api
            .ok(
                "/v1/collections/docs/search",
                json!({"query": "old", "mode": "lexical"}),
            )
            .await;
        assert_eq!(ids(&found), Vec::<&str>::new());
    });
}

#[test]
fn a_client_that_leaves_neither_bricks_nor_orphans_a_collection() {
    use std::io::Write as _;
    serve(async |api| {
        let abandon = |method: &str, name: &str| {
            let mut socket = std::net::TcpStream::connect(api.address).unwrap();
            let head = format!("{method} /v1/collections/{name} HTTP/1.1\r\nhost: localhost\r\n");
            write!(socket, "{head}content-length: 2\r\n\r\n{{}}").unwrap();
            // Dropped here: nobody waits for the answer.
        };
        for round in 0..20 {
            let name = format!("c{round}");
            abandon("PUT", &name);
            // Made by the one who left, or by us.
            let made = api.put(&format!("/v1/collections/{name}"), json!({})).await;
            assert!(made.status == 201 || made.status == 200, "{}", made.text());
            abandon("DELETE", &name);
            let gone = api
                .send(Method::Delete, &format!("/v1/collections/{name}"), "")
                .await;
            assert!(gone.status == 200 || gone.status == 404, "{}", gone.text());
            let again = api.put(&format!("/v1/collections/{name}"), json!({})).await;
            assert!(
                again.status == 201 || again.status == 200,
                "{}",
                again.text()
            );
            let points = json!({"points": [{"id": "a", "text": "alive"}]});
            let stored = api
                .post(&format!("/v1/collections/{name}/points"), points)
                .await;
            // The abandoned removal may come last of all; then it is gone, not half there.
            assert!(stored.status == 200 || stored.status == 404 || stored.status == 503);
        }
    });
}

#[test]
fn a_creation_that_meets_a_removal_still_gives_a_collection() {
    serve(async |api| {
        for round in 0..100 {
            api.put("/v1/collections/c", json!({})).await;
            let (removed, made) = futures_util::join!(
                api.send(Method::Delete, "/v1/collections/c", ""),
                api.put("/v1/collections/c", json!({})),
            );
            assert_eq!(removed.status, 200, "round {round}: {}", removed.text());
            let status = made.status;
            assert!(
                matches!(status, 200 | 201),
                "round {round}: {}",
                made.text()
            );
        }
    });
}

#[test]
fn a_refiner_ranks_the_first_hits_once_its_vectors_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.storage.maintenance_ms = 100;
    serve_with(settings, async |api| {
        let refused = api
            .put("/v1/collections/r", json!({"refiner": "gone"}))
            .await;
        assert_eq!(refused.status, 404, "{}", refused.text());
        assert!(
            refused.text().contains("static-minilm"),
            "{}",
            refused.text()
        );
        let spec = json!({"embedder": null, "dim": 2, "refiner": "static-minilm"});
        let made = api.put("/v1/collections/r", spec.clone()).await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert_eq!(made.json()["refiner"]["dim"], 256);
        assert_eq!(api.put("/v1/collections/r", spec).await.status, 200);
        // The first vectors say the opposite of the texts; one text has no word that the model knows.
        let points = json!({"points": [
            {"id": "rates", "vector": [1, 0], "text": "interest rates rose again"},
            {"id": "cat", "vector": [0, 1], "text": "the cat sleeps on the sofa"},
            {"id": "empty", "vector": [0.1, 1], "text": "\u{0}"},
            {"id": "bare", "vector": [0.2, 1]},
        ]});
        api.ok("/v1/collections/r/points", points).await;
        loop {
            let state = api.get("/v1/collections/r").await.json();
            if state["refinement"]["pending"] == 0 {
                assert_eq!(state["refinement"]["done"], 3);
                break;
            }
        }
        let query = json!({
            "query": "a kitten naps", "vector": [1, 0], "mode": "hybrid", "explain": true
        });
        let found = api.ok("/v1/collections/r/search", query.clone()).await;
        assert_eq!(ids(&found)[0], "cat", "{found}");
        assert_eq!(found["plan"]["refined"], 3);
        let mut plain = query.clone();
        plain["refine"] = false.into();
        let found = api.ok("/v1/collections/r/search", plain).await;
        assert_eq!(ids(&found)[0], "rates", "{found}");
        let no_query = json!({"vector": [1, 0], "refine": true});
        let refused = api.post("/v1/collections/r/search", no_query).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        api.collection("plain", &["a boat"]).await;
        let no_refiner = json!({"query": "boats", "refine": true});
        let refused = api.post("/v1/collections/plain/search", no_refiner).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert_eq!(refused.json()["param"], "refine", "{}", refused.text());
    });
}
