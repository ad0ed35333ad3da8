//! What a collection declares of its payloads, and the forms that a search may take.

use boathouse::types::http::Method;
use serde_json::{Value, json};

use crate::harness::{Api, serve};

fn ids(found: &Value) -> Vec<&str> {
    let hits = found["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

/// A collection of given vectors in the plane, `declared` beside that.
async fn plane(api: &Api, declared: Value, points: Value) {
    let mut body = json!({"dim": 2, "embedder": null});
    for (key, value) in declared.as_object().unwrap() {
        body[key] = value.clone();
    }
    let made = api.put("/v1/collections/v", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    api.ok("/v1/collections/v/points", json!({"points": points}))
        .await;
}

async fn search(api: &Api, body: Value) -> Value {
    api.ok("/v1/collections/v/search", body).await
}

#[test]
fn fields_are_indexed_as_declared_and_later() {
    serve(async |api| {
        let points: Vec<Value> = (0..20)
            .map(|n| json!({"id": n, "vector": [1, n], "payload": {"n": n, "tag": if n % 2 == 0 { "even" } else { "odd" }}}))
            .collect();
        plane(&api, json!({"fields": {"n": "integer"}}), json!(points)).await;
        let body =
            json!({"vector": [1, 0], "filter": {"n": {"$lt": 9}, "tag": "even"}, "explain": true});
        let found = search(&api, body.clone()).await;
        assert_eq!(ids(&found), ["0", "2", "4", "6", "8"]);
        let used = &found["plan"]["filter"];
        assert_eq!(
            *used,
            json!({"indexed": ["n"], "read": ["tag"], "payloads_read": 9})
        );

        let tag = json!({"field_name": "tag", "field_schema": "keyword"});
        let indexed = api.put("/v1/collections/v/index", tag).await;
        assert_eq!(indexed.status, 200, "{}", indexed.text());
        assert_eq!(
            indexed.json()["fields"],
            json!({"n": "integer", "tag": "keyword"})
        );
        let again = search(&api, body.clone()).await;
        assert_eq!(again["hits"], found["hits"]);
        assert_eq!(
            again["plan"]["filter"],
            json!({"indexed": ["n", "tag"], "payloads_read": 0})
        );
        // The first declaration still holds, and is still the same; another is not.
        for (fields, status) in [
            (json!({"n": "integer"}), 200),
            (json!({}), 200),
            (json!({"n": "float"}), 409),
            (json!({"m": "float"}), 409),
        ] {
            let body = json!({"dim": 2, "embedder": null, "fields": fields});
            assert_eq!(
                api.put("/v1/collections/v", body).await.status,
                status,
                "{fields}"
            );
        }
        let dropped = api
            .send(Method::Delete, "/v1/collections/v/index/tag", "")
            .await;
        assert_eq!(dropped.json()["fields"], json!({"n": "integer"}));
        let gone = api
            .send(Method::Delete, "/v1/collections/v/index/tag", "")
            .await;
        assert_eq!(gone.status, 404, "{}", gone.text());
        assert_eq!(search(&api, body).await["hits"], found["hits"]);
    });
}

#[test]
fn a_collection_with_roles_keeps_them_apart() {
    serve(async |api| {
        plane(
            &api,
            json!({"role_field": "who"}),
            json!([
                {"id": "n1", "vector": [1, 0], "payload": {"who": "nurse"}},
                {"id": "d1", "vector": [1, 0.1], "payload": {"who": "doctor"}},
                {"id": "both", "vector": [1, 0.2], "payload": {"who": ["nurse", "doctor"]}},
                {"id": "all", "vector": [1, 0.3]},
            ]),
        )
        .await;
        let info = api.get("/v1/collections/v").await.json();
        assert_eq!(info["fields"], json!({"who": "keyword"}));
        assert_eq!(
            (&info["role_field"], &info["role_required"]),
            (&json!("who"), &json!(true))
        );

        let refused = api
            .post("/v1/collections/v/search", json!({"vector": [1, 0]}))
            .await;
        assert_eq!(refused.status, 400);
        assert!(
            refused.text().contains("needs a role"),
            "{}",
            refused.text()
        );
        let found = search(&api, json!({"vector": [1, 0], "role": "nurse"})).await;
        assert_eq!(ids(&found), ["n1", "both", "all"]);
        // Asking for the others by a filter does not bring them.
        let body = json!({"vector": [1, 0], "role": "nurse", "filter": {"who": "doctor"}});
        assert_eq!(ids(&search(&api, body).await), ["both"]);
        let count =
            async |body| api.ok("/v1/collections/v/points/count", body).await["count"].clone();
        assert_eq!(count(json!({"role": "doctor"})).await, 3);
        assert_eq!(count(json!({})).await, 4);
        let page = api
            .ok("/v1/collections/v/points/scroll", json!({"role": "nobody"}))
            .await;
        assert_eq!(page["points"][0]["id"], "all");
        let recommend = async |role: &str| {
            let body = json!({"positive": ["d1"], "role": role});
            api.post("/v1/collections/v/recommend", body).await
        };
        assert_eq!(ids(&recommend("doctor").await.json()), ["both", "all"]);
        assert_eq!(recommend("nurse").await.status, 400);
        let batch = json!({"searches": [{"vector": [1, 0], "role": "doctor"}, {"vector": [1, 0]}]});
        let results = api.ok("/v1/collections/v/search/batch", batch).await;
        assert_eq!(ids(&results["results"][0]), ["d1", "both", "all"]);
        assert_eq!(results["results"][1]["error"]["status"], 400);
    });
}

#[test]
fn a_chat_reads_the_passages_of_its_role_from_a_collection_with_roles() {
    serve(async |api| {
        let made = api
            .put("/v1/collections/docs", json!({"role_field": "who"}))
            .await;
        assert_eq!(made.status, 201, "{}", made.text());
        let points = json!([
            {"id": "a", "text": "The night code of the door is 4711.", "payload": {"who": "guard"}},
            {"id": "b", "text": "The door is opened at eight in the morning.", "payload": {"who": "visitor"}},
        ]);
        api.ok("/v1/collections/docs/points", json!({"points": points}))
            .await;
        let ask = async |role: Value| {
            let body = json!({
                "model": "extractive", "messages": [{"role": "user", "content": "What is the night code of the door?"}],
                "retrieval": {"collection": "docs", "role": role},
            });
            api.post("/v1/chat/completions", body).await
        };
        assert!(ask(json!("guard")).await.text().contains("4711"));
        let visitor = ask(json!("visitor")).await;
        assert_eq!(visitor.status, 200, "{}", visitor.text());
        assert!(!visitor.text().contains("4711"), "{}", visitor.text());
        let nobody = ask(json!(null)).await;
        assert_eq!(nobody.status, 400, "{}", nobody.text());
        assert!(nobody.text().contains("needs a role"), "{}", nobody.text());
    });
}

#[test]
fn an_expired_point_is_nowhere_to_be_found() {
    serve(async |api| {
        plane(
            &api,
            json!({"ttl_field": "meta.until"}),
            json!([
                {"id": "past", "vector": [1, 0], "payload": {"meta": {"until": "2020-01-01T00:00:00Z"}}},
                {"id": "seconds", "vector": [1, 0], "payload": {"meta": {"until": 1_000_000_000}}},
                {"id": "future", "vector": [1, 0], "payload": {"meta": {"until": "2999-01-01T00:00:00+02:00"}}},
                {"id": "ever", "vector": [1, 0]},
            ]),
        )
        .await;
        assert_eq!(
            ids(&search(&api, json!({"vector": [1, 0]})).await),
            ["ever", "future"]
        );
        assert_eq!(api.get("/v1/collections/v/points/past").await.status, 404);
        assert_eq!(api.get("/v1/collections/v/points/future").await.status, 200);
        let count = api.ok("/v1/collections/v/points/count", json!({})).await;
        assert_eq!(count["count"], 2);
        assert_eq!(api.get("/v1/collections/v").await.json()["points"], 2);
        // It can be written anew.
        let again = json!({"points": [{"id": "past", "vector": [1, 0]}]});
        api.ok("/v1/collections/v/points", again).await;
        assert_eq!(api.get("/v1/collections/v/points/past").await.status, 200);
    });
}

#[test]
fn hits_are_fused_spread_grouped_and_cut_as_asked() {
    serve(async |api| {
        let texts = [
            "boats on the lake",
            "a boat on a lake",
            "the lake and its boats",
            "a train in the mountains",
        ];
        api.collection("docs", &texts).await;
        let ask = async |more: Value| {
            let mut body = json!({"query": "boats on a lake", "explain": true});
            for (key, value) in more.as_object().unwrap() {
                body[key] = value.clone();
            }
            api.ok("/v1/collections/docs/search", body).await
        };
        let weighted = ask(json!({"fusion": {"method": "weighted", "dense_weight": 0.3}})).await;
        assert!(
            weighted["plan"]["reason"]
                .as_str()
                .unwrap()
                .contains("weighted")
        );
        let rrf = ask(json!({"fusion": {"method": "rrf", "k": 10}})).await;
        assert_ne!(weighted["hits"][1]["score"], rrf["hits"][1]["score"]);
        let spread = ask(json!({"mode": "dense", "k": 2, "mmr": {"lambda": 0.1}})).await;
        assert_eq!(ids(&spread)[1], "3", "{spread}");
        let all = ask(json!({"mode": "dense"})).await;
        let bar = &all["hits"][2]["score"];
        for more in [json!({}), json!({"mmr": {"lambda": 0.1}})] {
            let mut more = more;
            more["mode"] = json!("dense");
            more["min_score"] = bar.clone();
            let cut = ask(more).await;
            assert!(!ids(&cut).contains(&"3"), "{cut}");
        }
    });
    serve(async |api| {
        let points: Vec<Value> = (0..9)
            .map(|n| json!({"id": n, "vector": [1, n], "payload": {"doc": format!("d{}", n / 3)}}))
            .collect();
        plane(&api, json!({}), json!(points)).await;
        let body =
            json!({"vector": [1, 0], "k": 2, "group_by": "doc", "group_size": 2, "with": []});
        let found = search(&api, body).await;
        assert_eq!(found["hits"], json!([]));
        let groups = found["groups"].as_array().unwrap();
        let told: Vec<_> = groups
            .iter()
            .map(|group| (group["id"].clone(), ids(group)))
            .collect();
        assert_eq!(
            told,
            [(json!("d0"), vec!["0", "1"]), (json!("d1"), vec!["3", "4"])]
        );
        let like = json!({"positive": [8], "negative": ["0"], "k": 3, "strategy": "best_score", "explain": true});
        let found = api.ok("/v1/collections/v/recommend", like).await;
        assert_eq!(ids(&found)[0], "7", "{found}");
        assert_eq!(found["plan"]["path"], "exact_scan");
        // What was given as an example is no hit.
        assert!(!ids(&found).contains(&"8"));
    });
}

#[test]
fn searches_of_a_batch_are_answered_or_fail_by_themselves() {
    serve(async |api| {
        api.collection("docs", &["a boat on the lake", "a train in the mountains"])
            .await;
        let body = json!({"searches": [
            {"query": "boats", "k": 1},
            {"query": "trains", "k": 1, "mode": "lexical", "explain": true},
            {"query": "trains", "kk": 1},
            {"query": ""},
            7,
            {"vector": [1, 2]},
            {"query": "trains", "k": 1},
        ]});
        let answer = api.ok("/v1/collections/docs/search/batch", body).await;
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), 7);
        for (at, best) in [(0, "0"), (1, "1"), (6, "1")] {
            assert_eq!(ids(&results[at]), [best], "{answer}");
            assert!(
                results[at]["id"]
                    .as_str()
                    .unwrap()
                    .ends_with(&format!("-{at}"))
            );
        }
        assert_eq!(results[1]["plan"]["path"], "lexical");
        for (at, said) in [
            (2, "kk"),
            (3, "query is empty"),
            (4, "invalid type"),
            (5, "wrong dimension"),
        ] {
            let error = &results[at]["error"];
            assert_eq!(error["status"], 400);
            assert!(error["detail"].as_str().unwrap().contains(said), "{error}");
        }
        // A search of a batch is evidence like any other: feedback finds it.
        let feedback = json!({"target": results[0]["id"], "rating": "accepted"});
        api.ok("/v1/feedback", feedback).await;
        for count in [0, 101] {
            let searches = vec![json!({"query": "x"}); count];
            let refused = api
                .post(
                    "/v1/collections/docs/search/batch",
                    json!({"searches": searches}),
                )
                .await;
            assert_eq!(refused.status, 400, "{}", refused.text());
        }
    });
}

#[test]
fn what_cannot_be_done_is_refused_with_what_to_change() {
    serve(async |api| {
        plane(&api, json!({}), json!([{"id": "a", "vector": [1, 0]}])).await;
        let refused = async |path: &str, body: Value, said: &str| {
            let answer = match path.ends_with("/index") || !path.contains("/v/") {
                true => api.put(path, body).await,
                false => api.post(path, body).await,
            };
            assert_eq!(answer.status, 400, "{}", answer.text());
            assert!(answer.text().contains(said), "{} / {said}", answer.text());
        };
        let vector = json!({"vector": [1, 0]});
        for (more, said) in [
            (json!({"fusion": {"method": "rrf"}}), "nothing to fuse"),
            (json!({"fusion": {"method": "borda"}}), "borda"),
            (json!({"mmr": {"lambda": 2}}), "mmr.lambda must be 0 to 1"),
            (json!({"mmr": {}}), "lambda"),
            (
                json!({"mmr": {"lambda": 0.5, "candidates": 3}}),
                "mmr.candidates must be k",
            ),
            (
                json!({"group_size": 2}),
                "group_size says nothing without group_by",
            ),
            (
                json!({"group_by": "a", "group_size": 0}),
                "group_size must be 1 to 100",
            ),
            (json!({"role": "x"}), "has no role_field"),
        ] {
            let mut body = vector.clone();
            for (key, value) in more.as_object().unwrap() {
                body[key] = value.clone();
            }
            refused("/v1/collections/v/search", body, said).await;
        }
        for (fusion, said) in [
            (
                json!({"method": "rrf", "dense_weight": 0.5}),
                "dense_weight belongs to weighted",
            ),
            (json!({"method": "weighted", "k": 60}), "k belongs to rrf"),
            (
                json!({"method": "weighted", "dense_weight": 1.5}),
                "must be 0 to 1",
            ),
            (
                json!({"method": "rrf", "k": 0}),
                "fusion.k must be 1 to 1000",
            ),
        ] {
            let body = json!({"query": "x", "vector": [1, 0], "mode": "hybrid", "fusion": fusion});
            refused("/v1/collections/v/search", body, said).await;
        }
        for (body, said) in [
            (json!({}), "positive needs at least one id"),
            (json!({"positive": ["zebra"]}), "no point zebra"),
            (json!({"positive": ["a"], "strategy": "best"}), "best"),
        ] {
            refused("/v1/collections/v/recommend", body, said).await;
        }
        for (body, said) in [
            (json!({"field_name": "a", "field_schema": "uuid"}), "uuid"),
            (
                json!({"field_name": "", "field_schema": "bool"}),
                "not empty",
            ),
        ] {
            refused("/v1/collections/v/index", body, said).await;
        }
        for (more, said) in [
            (
                json!({"role_required": true}),
                "role_required says nothing without role_field",
            ),
            (
                json!({"ttl_field": "a", "fields": {"a": "keyword"}}),
                "ttl_field a must be a datetime",
            ),
            (
                json!({"role_field": "a", "fields": {"a": "bool"}}),
                "role_field a must be a keyword",
            ),
            (json!({"fields": {"a": "geo"}}), "geo"),
        ] {
            let mut body = json!({"dim": 2, "embedder": null});
            for (key, value) in more.as_object().unwrap() {
                body[key] = value.clone();
            }
            refused("/v1/collections/new", body, said).await;
        }
    });
}
