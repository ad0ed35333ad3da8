//! Fusion, mmr, groups and examples, each against what it is by hand.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::engines::index::Strategy;
use crate::engines::index::{Filter, GroupBy, Like, Mmr, Op, With};
use crate::types::collection::Schema;
use crate::types::error_kind::ErrorKind;
use crate::types::point::Point;

fn contents(metric: Metric, points: &[(&str, [f32; 2], Value)]) -> Contents {
    let mut contents = Contents::new(CollectionSpec {
        name: "docs".to_owned(),
        dim: 2,
        metric,
        embedder: None,
        fingerprint: None,
        refiner: None,
        schema: Schema::default(),
        backend: Default::default(),
        created_ms: 0,
    });
    let points = points.iter().map(|(id, vector, payload)| Point {
        id: (*id).to_owned(),
        vector: prepare(vector.to_vec(), &contents.spec, "").unwrap(),
        text: payload["text"].as_str().map(str::to_owned),
        payload: payload.as_object().cloned().unwrap_or_default(),
    });
    let points = points.collect();
    contents.apply(Op::Upsert(points).into()).unwrap();
    contents
}

fn dense(vector: [f32; 2], k: usize) -> SearchRequest {
    SearchRequest {
        query_vector: Some(vector.to_vec()),
        k,
        ..SearchRequest::default()
    }
}

fn found(contents: &Contents, request: &SearchRequest) -> SearchResult {
    contents
        .search(request, &IndexConfig::default(), 0)
        .unwrap()
}

fn ids(found: &SearchResult) -> Vec<&str> {
    found.hits.iter().map(|hit| hit.id.as_str()).collect()
}

#[test]
fn mmr_takes_the_next_that_differs() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let contents = contents(
            metric,
            &[
                ("best", [1.0, 0.1], json!({})),
                ("twin", [1.0, 0.11], json!({})),
                ("other", [0.8, -0.6], json!({})),
            ],
        );
        let mmr = |lambda, k| SearchRequest {
            mmr: Some(Mmr {
                lambda,
                candidates: 100,
            }),
            ..dense([1.0, 0.0], k)
        };
        let plain = found(&contents, &dense([1.0, 0.0], 3));
        assert_eq!(
            ids(&found(&contents, &mmr(1.0, 2))),
            ["best", "twin"],
            "{metric:?}"
        );
        let diverse = found(&contents, &mmr(0.5, 2));
        assert_eq!(ids(&diverse), ["best", "other"], "{metric:?}");
        // The score is still the likeness to the query.
        let score =
            |result: &SearchResult, id| result.hits.iter().find(|hit| hit.id == id).unwrap().score;
        assert_eq!(score(&diverse, "other"), score(&plain, "other"));
        assert!(
            diverse.plan.reason.contains("3 to choose from by mmr"),
            "{:?}",
            diverse.plan
        );
        // What scores too little is not chosen, however it differs.
        let bar = SearchRequest {
            min_score: Some(score(&plain, "other") + 0.01),
            ..mmr(0.0, 3)
        };
        assert_eq!(ids(&found(&contents, &bar)), ["best", "twin"], "{metric:?}");
    }
}

#[test]
fn mmr_of_words_goes_by_scaled_scores() {
    let contents = contents(
        Metric::Cosine,
        &[
            ("a", [1.0, 0.0], json!({"text": "boat boat boat"})),
            ("b", [1.0, 0.01], json!({"text": "boat boat"})),
            (
                "c",
                [0.0, 1.0],
                json!({"text": "boat and a great many other words beside it"}),
            ),
        ],
    );
    let words = |lambda| SearchRequest {
        mode: Mode::Lexical,
        query_text: Some("boat".to_owned()),
        mmr: Some(Mmr {
            lambda,
            candidates: 10,
        }),
        k: 2,
        ..SearchRequest::default()
    };
    assert_eq!(ids(&found(&contents, &words(0.9))), ["a", "b"]);
    assert_eq!(ids(&found(&contents, &words(0.1))), ["a", "c"]);
}

#[test]
fn hybrid_fuses_as_it_is_asked_to() {
    let contents = contents(
        Metric::Cosine,
        &[
            ("meaning", [1.0, 0.0], json!({"text": "a lake"})),
            (
                "middle",
                [1.0, 0.9],
                json!({"text": "boat house on the lake shore"}),
            ),
            ("words", [0.0, 1.0], json!({"text": "boat"})),
        ],
    );
    let hybrid = |fusion| SearchRequest {
        mode: Mode::Hybrid,
        query_text: Some("boat".to_owned()),
        fusion,
        ..dense([1.0, 0.0], 3)
    };
    let best = |fusion| ids(&found(&contents, &hybrid(fusion)))[0].to_owned();
    assert_eq!(best(Fusion::Weighted { dense: 1.0 }), "meaning");
    assert_eq!(best(Fusion::Weighted { dense: 0.0 }), "words");
    let weighted = found(&contents, &hybrid(Fusion::Weighted { dense: 0.25 }));
    assert!(
        weighted
            .hits
            .iter()
            .all(|hit| (0.0..=1.0).contains(&hit.score))
    );
    assert!(weighted.plan.reason.contains("fused by weighted scores"));
    assert!(
        (weighted.hits[0].score - 0.75).abs() < 1e-6,
        "{:?}",
        weighted.hits
    );
}

#[test]
fn groups_are_in_the_order_of_their_best_hit_and_full_when_they_can_be() {
    // 500 of one group are nearer than all others.
    let mut points = Vec::new();
    let names: Vec<String> = (0..520).map(|n| format!("{n:03}")).collect();
    for (n, name) in names.iter().enumerate() {
        let group = match n {
            0..500 => json!("near"),
            500..505 => json!(["b", 7, "b"]),
            505..510 => json!("7"),
            510..515 => json!(null),
            _ => json!(true),
        };
        points.push((
            name.as_str(),
            [1.0, n as f32 / 100.0],
            json!({"doc": {"id": group}}),
        ));
    }
    let contents = contents(Metric::Cosine, &points);
    let grouped = |k, size| SearchRequest {
        group: Some(GroupBy {
            path: "doc.id".to_owned(),
            size,
        }),
        ..dense([1.0, 0.0], k)
    };
    let result = found(&contents, &grouped(10, 2));
    assert!(result.hits.is_empty());
    let groups = result.groups.unwrap();
    let told: Vec<(Value, Vec<&str>)> = groups
        .iter()
        .map(|group| {
            let ids = group.hits.iter().map(|hit| hit.id.as_str());
            (group.id.clone(), ids.collect())
        })
        .collect();
    assert_eq!(
        told,
        [
            (json!("near"), vec!["000", "001"]),
            (json!("b"), vec!["500", "501"]),
            (json!(7), vec!["500", "501"]),
            (json!("7"), vec!["505", "506"]),
            (json!(true), vec!["515", "516"]),
        ]
    );
    let first = found(&contents, &grouped(1, 3)).groups.unwrap();
    assert_eq!((first.len(), first[0].hits.len()), (1, 3));
}

fn like(positive: &[&str], negative: &[&str], strategy: Strategy) -> SearchRequest {
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    SearchRequest {
        like: Some(Like {
            positive: ids(positive),
            negative: ids(negative),
            strategy,
        }),
        ..SearchRequest::default()
    }
}

#[test]
fn examples_find_what_is_like_them_and_not_themselves() {
    let contents = contents(
        Metric::Cosine,
        &[
            ("east", [1.0, 0.0], json!({})),
            ("north", [0.0, 1.0], json!({})),
            ("northeast", [1.0, 1.0], json!({})),
            ("southeast", [1.0, -1.0], json!({})),
            ("west", [-1.0, 0.1], json!({})),
        ],
    );
    let of = |positive: &[&str], negative: &[&str], strategy| {
        found(&contents, &like(positive, negative, strategy))
    };
    let average = of(&["east", "north"], &[], Strategy::AverageVector);
    assert_eq!(ids(&average), ["northeast", "southeast", "west"]);
    assert!((average.hits[0].score - 1.0).abs() < 1e-6);
    let away = of(&["east"], &["north"], Strategy::AverageVector);
    assert_eq!(ids(&away)[0], "southeast");
    // 2 * (1, 0) - (0, 1) against (1, -1).
    assert!((away.hits[0].score - 3.0 / 10.0_f32.sqrt()).abs() < 1e-6);

    let best = of(&["east"], &["north"], Strategy::BestScore);
    assert_eq!(ids(&best), ["southeast", "west", "northeast"]);
    let squashed = |s: f32| 0.5 * (s / (1.0 + s.abs()) + 1.0);
    let half = 0.5_f32.sqrt();
    for (hit, score) in best.hits.iter().zip([
        squashed(half),
        -squashed(0.1 / 1.01_f32.sqrt()),
        -squashed(half),
    ]) {
        assert!((hit.score - score).abs() < 1e-6, "{hit:?} {score}");
    }
    let unlike = of(&[], &["north"], Strategy::BestScore);
    assert_eq!(ids(&unlike)[0], "southeast");
}

#[test]
fn what_cannot_be_answered_says_why() {
    let contents = contents(
        Metric::Cosine,
        &[("a", [1.0, 0.0], json!({})), ("b", [-1.0, 0.0], json!({}))],
    );
    let base = || dense([1.0, 0.0], 10);
    let group = |path: String, size| Some(GroupBy { path, size });
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cases = [
        (
            SearchRequest {
                mmr: Some(Mmr {
                    lambda: 1.1,
                    candidates: 10,
                }),
                ..base()
            },
            "mmr.lambda must be 0 to 1, got 1.1",
        ),
        (
            SearchRequest {
                mmr: Some(Mmr {
                    lambda: f32::NAN,
                    candidates: 10,
                }),
                ..base()
            },
            "mmr.lambda must be 0 to 1, got NaN",
        ),
        (
            SearchRequest {
                mmr: Some(Mmr {
                    lambda: 0.5,
                    candidates: 9,
                }),
                ..base()
            },
            "mmr.candidates must be k, 10, to 1000, got 9",
        ),
        (
            SearchRequest {
                mmr: Some(Mmr {
                    lambda: 0.5,
                    candidates: 1_001,
                }),
                ..base()
            },
            "got 1001",
        ),
        (
            SearchRequest {
                fusion: Fusion::Rrf { k: 0 },
                ..base()
            },
            "fusion.k must be 1 to 1000, got 0",
        ),
        (
            SearchRequest {
                fusion: Fusion::Weighted { dense: -0.1 },
                ..base()
            },
            "fusion.dense_weight must be 0 to 1, got -0.1",
        ),
        (
            SearchRequest {
                group: group("a".into(), 0),
                ..base()
            },
            "group_size must be 1 to 100, got 0",
        ),
        (
            SearchRequest {
                group: group("a".into(), 100),
                k: 101,
                ..base()
            },
            "k * group_size must be at most 10000, got 10100",
        ),
        (
            SearchRequest {
                group: group("a.".repeat(20), 1),
                ..base()
            },
            "group_by: a field's path",
        ),
        (
            SearchRequest {
                group: group("a".into(), 1),
                mmr: Some(Mmr {
                    lambda: 0.5,
                    candidates: 10,
                }),
                ..base()
            },
            "mmr and group_by cannot be had together",
        ),
        (
            SearchRequest {
                role: Some("x".into()),
                ..base()
            },
            "collection docs has no role_field",
        ),
        (
            like(&[], &[], Strategy::BestScore),
            "positive needs at least one id",
        ),
        (
            like(&[], &["a"], Strategy::AverageVector),
            "positive needs at least one id",
        ),
        (
            like(&["zebra"], &[], Strategy::AverageVector),
            "no point zebra to recommend by",
        ),
        (
            like(&["a", "b"], &[], Strategy::AverageVector),
            "the mean of the examples: vector is all zeros",
        ),
        (
            like(&many, &[], Strategy::BestScore),
            "at most 100 ids together, got 101",
        ),
        (
            SearchRequest {
                mode: Mode::Hybrid,
                ..like(&["a"], &[], Strategy::BestScore)
            },
            "leave mode out",
        ),
    ];
    for (request, expected) in cases {
        let error = contents
            .search(&request, &IndexConfig::default(), 0)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest);
        assert!(error.to_string().contains(expected), "{error} / {expected}");
    }
}

proptest! {
    /// Groups are what comes of walking down the whole ranking.
    #[test]
    fn groups_are_the_ranking_gathered(
        points in proptest::collection::vec((-9_i8..9, -9_i8..9, 0_u8..6), 1..60),
        k in 1_usize..5, size in 1_usize..4, below in 0_u8..6,
    ) {
        let names: Vec<String> = (0..points.len()).map(|n| format!("{n:02}")).collect();
        let points: Vec<_> = points.iter().zip(&names).map(|((x, y, group), name)| {
            (name.as_str(), [f32::from(*x), f32::from(*y)], json!({"g": group}))
        }).collect();
        let contents = contents(Metric::L2, &points);
        let filter = Filter::parse(&json!({"g": {"$lte": below}})).unwrap();
        let all = SearchRequest {
            filter: Some(filter), with: With { payload: true, ..With::default() }, ..dense([1.0, 2.0], 1_000)
        };
        let mut expected: Vec<(Value, Vec<String>)> = Vec::new();
        for hit in found(&contents, &all).hits {
            let id = hit.payload.unwrap()["g"].clone();
            match expected.iter_mut().find(|(group, _)| *group == id) {
                Some((_, hits)) if hits.len() < size => hits.push(hit.id),
                Some(_) => {}
                None => expected.push((id, vec![hit.id])),
            }
        }
        expected.truncate(k);
        let group = Some(GroupBy { path: "g".to_owned(), size });
        let groups = found(&contents, &SearchRequest { group, k, ..all }).groups.unwrap();
        let told: Vec<_> = groups.into_iter().map(|group| {
            let hits: Vec<String> = group.hits.into_iter().map(|hit| hit.id).collect();
            (group.id, hits)
        }).collect();
        prop_assert_eq!(told, expected);
    }

    /// `lambda` 1 is the plain order; any other chooses among the same candidates, each once.
    #[test]
    fn mmr_chooses_among_the_candidates(
        points in proptest::collection::vec((-9_i8..9, 1_i8..9), 1..30), lambda in 0.0_f32..=1.0, k in 1_usize..12,
    ) {
        let names: Vec<String> = (0..points.len()).map(|n| format!("{n:02}")).collect();
        let points: Vec<_> = points.iter().zip(&names).map(|((x, y), name)| {
            (name.as_str(), [f32::from(*x), f32::from(*y)], Value::Object(Map::new()))
        }).collect();
        let contents = contents(Metric::Cosine, &points);
        let plain = found(&contents, &dense([1.0, 1.0], k));
        let first = found(&contents, &dense([1.0, 1.0], k.max(15)));
        let scores: BTreeMap<_, _> = first.hits.iter().map(|hit| (hit.id.clone(), hit.score)).collect();
        for lambda in [lambda, 1.0] {
            let mmr = Some(Mmr { lambda, candidates: k.max(15) });
            let chosen = found(&contents, &SearchRequest { mmr, ..dense([1.0, 1.0], k) });
            prop_assert_eq!(chosen.hits.len(), k.min(points.len()));
            let different: std::collections::BTreeSet<_> = chosen.hits.iter().map(|hit| &hit.id).collect();
            prop_assert_eq!(different.len(), chosen.hits.len());
            for hit in &chosen.hits {
                prop_assert_eq!(scores.get(&hit.id), Some(&hit.score));
            }
            if lambda == 1.0 {
                prop_assert_eq!(&chosen.hits[0].id, &plain.hits[0].id);
                let of = |result: &SearchResult| result.hits.iter().map(|hit| hit.score).collect::<Vec<_>>();
                prop_assert_eq!(of(&chosen), of(&plain));
            }
        }
    }
}
