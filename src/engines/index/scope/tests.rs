use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::engines::index::{
    Code, Fusion, GroupBy, IndexConfig, Like, Mmr, Mode, Op, Refine, Refinement, SearchRequest,
    SearchResult, Strategy as Examples, With, text_hash,
};
use crate::types::collection::{CollectionSpec, FieldKind, Refiner, Schema};
use crate::types::point::{Metric, Point};

const NOW: u64 = 1_000_000;

fn contents(role_required: bool) -> Contents {
    Contents::new(CollectionSpec {
        name: "docs".to_owned(),
        dim: 2,
        metric: Metric::Cosine,
        embedder: None,
        fingerprint: None,
        refiner: Some(Refiner {
            model: "m".to_owned(),
            fingerprint: "f".to_owned(),
            dim: 2,
        }),
        schema: Schema {
            fields: [
                ("who".to_owned(), FieldKind::Keyword),
                ("until".to_owned(), FieldKind::Datetime),
            ]
            .into(),
            role_field: Some("who".to_owned()),
            role_required,
            ttl_field: Some("until".to_owned()),
        },
        backend: Default::default(),
        created_ms: 0,
    })
}

fn fill(contents: &mut Contents, payloads: &[Value]) {
    let points: Vec<Point> = payloads
        .iter()
        .enumerate()
        .map(|(at, payload)| Point {
            id: format!("{at:03}"),
            vector: if at % 2 == 0 {
                vec![1.0, 0.0]
            } else {
                vec![0.6, 0.8]
            },
            text: Some(format!("boat {}", "lake ".repeat(at % 5))),
            payload: payload.as_object().unwrap().clone(),
        })
        .collect();
    let refined = points.iter().map(|point| Refinement {
        id: point.id.clone(),
        text: text_hash(point.text.as_ref().unwrap()),
        code: Code::of(&point.vector),
    });
    let refined = refined.collect();
    contents.apply(Op::Upsert(points).into()).unwrap();
    contents.apply(Op::Refine(refined).into()).unwrap();
}

/// A search in every way that there is, with the same restrictions.
fn every_way(role: Option<&str>, filter: Option<&Value>) -> Vec<(&'static str, SearchRequest)> {
    let base = || SearchRequest {
        query_vector: Some(vec![1.0, 0.2]),
        query_text: Some("boat lake".to_owned()),
        k: 100,
        role: role.map(str::to_owned),
        filter: filter.map(|filter| Filter::parse(filter).unwrap()),
        with: With {
            payload: true,
            ..With::default()
        },
        ..SearchRequest::default()
    };
    let hybrid = || SearchRequest {
        mode: Mode::Hybrid,
        ..base()
    };
    let refine = || {
        Some(Refine {
            vector: vec![0.0, 1.0],
            depth: 50,
        })
    };
    vec![
        ("dense", base()),
        (
            "exact",
            SearchRequest {
                exact: true,
                ..base()
            },
        ),
        (
            "lexical",
            SearchRequest {
                mode: Mode::Lexical,
                ..base()
            },
        ),
        ("hybrid", hybrid()),
        (
            "weighted",
            SearchRequest {
                fusion: Fusion::Weighted { dense: 0.5 },
                ..hybrid()
            },
        ),
        (
            "refined",
            SearchRequest {
                refine: refine(),
                ..hybrid()
            },
        ),
        (
            "mmr",
            SearchRequest {
                mmr: Some(Mmr {
                    lambda: 0.3,
                    candidates: 100,
                }),
                ..base()
            },
        ),
        (
            "groups",
            SearchRequest {
                group: Some(GroupBy {
                    path: "n".to_owned(),
                    size: 50,
                }),
                ..hybrid()
            },
        ),
    ]
}

fn ids(found: &SearchResult) -> Vec<String> {
    let groups = found.groups.iter().flatten().flat_map(|group| &group.hits);
    let mut ids: Vec<_> = found
        .hits
        .iter()
        .chain(groups)
        .map(|hit| hit.id.clone())
        .collect();
    ids.sort_unstable();
    ids
}

fn who() -> impl Strategy<Value = Option<Value>> {
    let values = vec![
        json!("a"),
        json!("b"),
        json!("a b"),
        json!(["a", "b"]),
        json!(["b"]),
        json!([]),
        json!(null),
        json!(1),
        json!({"a": "a"}),
        json!([["a"]]),
        json!(""),
    ];
    prop::option::of(prop::sample::select(values))
}

fn until() -> impl Strategy<Value = Option<Value>> {
    let values = vec![
        json!(999),
        json!(1_000),
        json!(1_000.5),
        json!(2_000),
        json!("1970-01-01T00:16:40Z"),
        json!("1970-01-01T00:16:41Z"),
        json!("never"),
        json!(null),
        json!([5_000, 10]),
    ];
    prop::option::of(prop::sample::select(values))
}

/// Said once more, by hand: of no role, or of this one.
fn is_of(payload: &serde_json::Map<String, Value>, role: &str) -> bool {
    match payload.get("who") {
        None => true,
        Some(Value::String(own)) => own == role,
        Some(Value::Array(own)) => own.iter().any(|own| own == role),
        Some(_) => false,
    }
}

fn is_over(payload: &serde_json::Map<String, Value>) -> bool {
    let over = |value: &Value| match value {
        Value::String(text) => text == "1970-01-01T00:16:40Z",
        value => value.as_f64().is_some_and(|seconds| seconds <= 1_000.0),
    };
    match payload.get("until") {
        Some(Value::Array(items)) => items.iter().any(over),
        value => value.is_some_and(over),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_way_of_reading_leads_to_another_roles_or_an_expired_point(
        points in prop::collection::vec((who(), until(), 0_u8..3), 1..30),
        graph: bool, role in prop::sample::select(vec!["a", "b", "c", ""]), filtered: bool,
    ) {
        let payloads: Vec<Value> = points.iter().map(|(who, until, n)| {
            let mut payload = json!({"n": n});
            if let Some(who) = who { payload["who"] = who.clone(); }
            if let Some(until) = until { payload["until"] = until.clone(); }
            payload
        }).collect();
        let mut contents = contents(true);
        fill(&mut contents, &payloads);
        let config = IndexConfig { hnsw_threshold: if graph { 1 } else { 1_000 }, ..IndexConfig::default() };
        if graph {
            let built = Contents::graph_of(&contents.view(), Metric::Cosine, &config, &AtomicUsize::new(0)).unwrap();
            contents.set_graph(built);
        }
        // A filter that asks for another role's points by name does not open them.
        let filter = filtered.then(|| json!({"$or": [{"who": {"$exists": true}}, {"n": {"$gte": 0}}]}));
        let may_see = |row: usize| {
            let payload = payloads[row].as_object().unwrap();
            is_of(payload, role) && !is_over(payload)
        };
        let expected: Vec<String> = (0..payloads.len()).filter(|row| may_see(*row)).map(|row| format!("{row:03}")).collect();
        for (way, request) in every_way(Some(role), filter.as_ref()) {
            let found = contents.search(&request, &config, NOW).unwrap();
            prop_assert_eq!(&ids(&found), &expected, "{}", way);
        }
        let scope = Scope { role: Some(role), now_ms: NOW };
        let parsed = filter.as_ref().map(|filter| Filter::parse(filter).unwrap());
        let page = contents.scroll(None, 1_000, parsed.as_ref(), scope).unwrap().0;
        prop_assert_eq!(&page.into_iter().map(|point| point.id).collect::<Vec<_>>(), &expected);
        prop_assert_eq!(contents.count(parsed.as_ref(), scope).unwrap(), expected.len());
        for row in 0..payloads.len() {
            let id = format!("{row:03}");
            prop_assert_eq!(contents.get(&id, scope).unwrap().is_some(), may_see(row));
            for strategy in [Examples::AverageVector, Examples::BestScore] {
                let request = SearchRequest {
                    like: Some(Like { positive: vec![id.clone()], negative: vec![], strategy }),
                    role: Some(role.to_owned()), k: 100, ..SearchRequest::default()
                };
                match contents.search(&request, &config, NOW) {
                    Ok(found) => {
                        let others: Vec<_> = expected.iter().filter(|other| **other != id).cloned().collect();
                        prop_assert!(may_see(row));
                        prop_assert_eq!(ids(&found), others);
                    }
                    // What may not be seen cannot be an example either.
                    Err(_) => prop_assert!(!may_see(row)),
                }
            }
        }
        // Whoever manages the collection sees every role, but nothing that has expired.
        let there = payloads.iter().filter(|payload| !is_over(payload.as_object().unwrap())).count();
        prop_assert_eq!(contents.count(None, Scope::at(NOW)).unwrap(), there);
        prop_assert_eq!(contents.expired(NOW, 1_000).len(), payloads.len() - there);
    }
}

#[test]
fn a_search_without_a_role_is_refused_or_sees_all_as_the_collection_says() {
    for required in [true, false] {
        let mut contents = contents(required);
        fill(
            &mut contents,
            &[
                json!({"who": "a", "n": 1}),
                json!({"who": "b", "n": 1}),
                json!({"n": 2}),
            ],
        );
        for (way, request) in every_way(None, None) {
            let found = contents.search(&request, &IndexConfig::default(), NOW);
            match (required, found) {
                (true, Err(error)) => assert_eq!(
                    error.to_string(),
                    "a search of collection docs needs a role: give role, as in the payload's field who"
                ),
                (false, Ok(found)) => assert_eq!(ids(&found).len(), 3, "{way}"),
                (_, other) => panic!("{way}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_point_is_there_until_the_millisecond_in_which_it_expires() {
    let mut contents = contents(false);
    fill(
        &mut contents,
        &[
            json!({"until": 1.5}),
            json!({"until": "1970-01-01T00:00:02Z"}),
        ],
    );
    let count = |now_ms| contents.count(None, Scope::at(now_ms)).unwrap();
    assert_eq!(
        [0, 1_499, 1_500, 1_999, 2_000, u64::MAX].map(count),
        [2, 2, 1, 1, 0, 0]
    );
    assert_eq!(contents.expired(1_500, 9), ["000"]);
    assert_eq!(contents.expired(9_000, 1).len(), 1);
}
