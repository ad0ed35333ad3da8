use std::sync::atomic::AtomicUsize;

use serde_json::{Value, json};

use super::*;
use crate::engines::index::{Code, Filter, Op, Refinement, With, text_hash};
use crate::types::collection::{CollectionSpec, Refiner, Schema};
use crate::types::error_kind::ErrorKind;
use crate::types::point::{Metric, Point};

fn spec(dim: usize, metric: Metric) -> CollectionSpec {
    CollectionSpec {
        name: "docs".to_owned(),
        dim,
        metric,
        embedder: None,
        fingerprint: None,
        refiner: None,
        schema: Schema::default(),
        backend: Default::default(),
        created_ms: 0,
    }
}

fn point(id: &str, vector: &[f32], text: &str, payload: Value) -> Point {
    Point {
        id: id.to_owned(),
        vector: vector.to_vec(),
        text: Some(text.to_owned()).filter(|text| !text.is_empty()),
        payload: payload.as_object().unwrap().clone(),
    }
}

fn dense(vector: &[f32], k: usize) -> SearchRequest {
    SearchRequest {
        query_vector: Some(vector.to_vec()),
        k,
        ..SearchRequest::default()
    }
}

fn lexical(text: &str, k: usize) -> SearchRequest {
    SearchRequest {
        query_vector: None,
        query_text: Some(text.to_owned()),
        mode: Mode::Lexical,
        ..dense(&[], k)
    }
}

fn filtered(request: SearchRequest, filter: Value) -> SearchRequest {
    SearchRequest {
        filter: Some(Filter::parse(&filter).unwrap()),
        ..request
    }
}

fn boats(metric: Metric) -> Contents {
    let mut contents = Contents::new(spec(2, metric));
    let points = vec![
        point("b", &[0.6, 0.8], "a boat on the lake", json!({"n": 1})),
        point("a", &[0.6, 0.8], "two boats", json!({"n": 2})),
        point(
            "c",
            &[1.0, 0.0],
            "the boat house by the boats",
            json!({"n": 3}),
        ),
        point("d", &[-1.0, 0.0], "", json!({"n": 4})),
    ];
    contents.apply(Op::Upsert(points).into()).unwrap();
    contents
}

fn run(contents: &Contents, request: &SearchRequest) -> SearchResult {
    contents
        .search(request, &IndexConfig::default(), 0)
        .unwrap()
}

fn ids(result: &SearchResult) -> Vec<&str> {
    result.hits.iter().map(|hit| hit.id.as_str()).collect()
}

#[test]
fn scores_and_order_are_those_of_the_metric_and_ties_go_by_id() {
    let cases = [
        (
            Metric::Cosine,
            [("c", 1.0), ("a", 0.6), ("b", 0.6), ("d", -1.0)],
        ),
        (
            Metric::Dot,
            [("c", 2.0), ("a", 1.2), ("b", 1.2), ("d", -2.0)],
        ),
        (
            Metric::L2,
            [
                ("c", 0.5),
                ("a", 0.382_782_2),
                ("b", 0.382_782_2),
                ("d", 0.25),
            ],
        ),
    ];
    for (metric, expected) in cases {
        let found = run(&boats(metric), &dense(&[2.0, 0.0], 10));
        for (hit, (id, score)) in found.hits.iter().zip(expected) {
            assert_eq!(hit.id, id, "{metric:?}");
            assert!(
                (hit.score - score).abs() < 1e-6,
                "{metric:?} {id} {}",
                hit.score
            );
        }
        assert_eq!(found.hits.len(), 4);
        assert_eq!(
            (found.plan.path, found.plan.candidates),
            (SearchPath::ExactScan, 4)
        );
    }
}

#[test]
fn hits_carry_what_was_asked_for() {
    let contents = boats(Metric::Cosine);
    let bare = &run(&contents, &dense(&[1.0, 0.0], 1)).hits[0];
    assert_eq!(
        (&bare.text, &bare.payload, &bare.vector),
        (&None, &None, &None)
    );
    let with = With {
        text: true,
        payload: true,
        vector: true,
    };
    let full = &run(
        &contents,
        &SearchRequest {
            with,
            ..dense(&[1.0, 0.0], 1)
        },
    )
    .hits[0];
    assert_eq!(full.text.as_deref(), Some("the boat house by the boats"));
    assert_eq!(full.payload, json!({"n": 3}).as_object().cloned());
    assert_eq!(full.vector, Some(vec![1.0, 0.0]));
}

#[test]
fn filters_and_the_least_score_leave_hits_out() {
    let contents = boats(Metric::Cosine);
    let found = run(
        &contents,
        &filtered(dense(&[1.0, 0.0], 10), json!({"n": {"$lte": 2}})),
    );
    assert_eq!(ids(&found), ["a", "b"]);
    assert_eq!(found.plan.matches, Some(2));
    let found = run(
        &contents,
        &SearchRequest {
            refine: None,
            min_score: Some(0.6),
            ..dense(&[1.0, 0.0], 10)
        },
    );
    assert_eq!(ids(&found), ["c", "a", "b"]);
    let found = run(&contents, &filtered(lexical("boat", 10), json!({"n": 3})));
    assert_eq!(ids(&found), ["c"]);
    let found = run(
        &contents,
        &filtered(dense(&[1.0, 0.0], 10), json!({"n": 99})),
    );
    assert!(found.hits.is_empty());
}

#[test]
fn words_find_texts_and_both_lists_are_fused() {
    let contents = boats(Metric::Cosine);
    let found = run(&contents, &lexical("BOATS", 2));
    assert_eq!(found.plan.path, SearchPath::Lexical);
    assert_eq!((found.hits.len(), found.plan.candidates), (2, 3));
    assert!(run(&contents, &lexical("the zebra", 2)).hits.is_empty());

    let hybrid = SearchRequest {
        query_vector: Some(vec![1.0, 0.0]),
        mode: Mode::Hybrid,
        ..lexical("house", 10)
    };
    let found = run(&contents, &hybrid);
    assert_eq!(ids(&found), ["c", "a", "b", "d"]);
    assert!((found.hits[0].score - 1.0).abs() < 1e-6, "first in both");
    assert!(found.hits[1].score < 0.5, "in one list only");
    assert_eq!(found.plan.path, SearchPath::Hybrid);
    assert!(
        found.plan.reason.contains("1 lexical candidates"),
        "{}",
        found.plan.reason
    );
}

#[test]
fn a_search_that_cannot_be_answered_says_what_to_change() {
    let contents = boats(Metric::Cosine);
    let base = || dense(&[1.0, 0.0], 10);
    let cases = [
        (
            SearchRequest { k: 0, ..base() },
            "k must be 1 to 1000, got 0",
        ),
        (
            SearchRequest { k: 1_001, ..base() },
            "k must be 1 to 1000, got 1001",
        ),
        (
            dense(&[1.0], 1),
            "query vector: wrong dimension: expected 2, got 1",
        ),
        (dense(&[f32::NAN, 1.0], 1), "query vector: vector[0] is NaN"),
        (dense(&[0.0, 0.0], 1), "query vector: vector is all zeros"),
        (
            SearchRequest {
                refine: None,
                min_score: Some(f32::NAN),
                ..base()
            },
            "min_score must be finite",
        ),
        (
            SearchRequest {
                query_vector: None,
                ..base()
            },
            "mode dense needs a query vector",
        ),
        (
            SearchRequest {
                mode: Mode::Lexical,
                ..base()
            },
            "mode lexical needs a query text",
        ),
        (
            SearchRequest {
                mode: Mode::Hybrid,
                ..base()
            },
            "mode hybrid needs a query text",
        ),
        (
            SearchRequest {
                mode: Mode::Hybrid,
                ..lexical("a", 1)
            },
            "mode hybrid needs a query vector",
        ),
        (
            lexical(&"x".repeat(2 << 20), 1),
            "query text bytes: 2097152 is over the limit",
        ),
    ];
    for (request, expected) in cases {
        let error = contents
            .search(&request, &IndexConfig::default(), 0)
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(matches!(
            error.kind(),
            ErrorKind::BadRequest | ErrorKind::TooLarge
        ));
    }
    let empty = Contents::new(spec(2, Metric::Cosine));
    assert!(run(&empty, &base()).hits.is_empty());
    assert!(run(&empty, &lexical("boat", 3)).hits.is_empty());
}

/// Points on a circle, `even` every other one; with a graph over the first `built`.
fn circle(count: usize, built: usize) -> (Contents, IndexConfig) {
    let config = IndexConfig {
        hnsw_threshold: 100,
        m: 4,
        ef_construction: 40,
        ef_search: 16,
        ..IndexConfig::default()
    };
    let mut contents = Contents::new(spec(2, Metric::Cosine));
    let points: Vec<Point> = (0..count)
        .map(|at| {
            let angle = at as f32 * 0.000_1;
            let payload = json!({"even": at % 2 == 0, "tenth": at % 10 == 0});
            point(
                &format!("{at:05}"),
                &[angle.cos(), angle.sin()],
                "",
                payload,
            )
        })
        .collect();
    contents
        .apply(Op::Upsert(points[..built].to_vec()).into())
        .unwrap();
    let graph = Contents::graph_of(
        &contents.view(),
        Metric::Cosine,
        &config,
        &AtomicUsize::new(0),
    )
    .unwrap();
    contents.set_graph(graph);
    contents
        .apply(Op::Upsert(points[built..].to_vec()).into())
        .unwrap();
    (contents, config)
}

#[test]
fn a_large_collection_walks_the_graph_and_scans_what_is_newer() {
    let (mut contents, config) = circle(2_000, 1_900);
    let target = 1_899_f32 * 0.000_1;
    let request = dense(&[target.cos(), target.sin()], 4);
    let found = contents.search(&request, &config, 0).unwrap();
    assert_eq!(found.plan.path, SearchPath::Hnsw);
    assert!(found.plan.candidates < 1_000, "{:?}", found.plan);
    assert_eq!(found.plan.ef, Some(16));
    let exact = contents
        .search(
            &SearchRequest {
                exact: true,
                ..request.clone()
            },
            &config,
            0,
        )
        .unwrap();
    assert_eq!(
        (exact.plan.path, exact.plan.candidates),
        (SearchPath::ExactScan, 2_000)
    );
    assert_eq!(ids(&found), ids(&exact));
    assert_eq!(found.hits, exact.hits);

    contents
        .apply(Op::Delete(vec![exact.hits[0].id.clone(), exact.hits[3].id.clone()]).into())
        .unwrap();
    let after = contents.search(&request, &config, 0).unwrap();
    assert_eq!(after.plan.path, SearchPath::Hnsw);
    assert_eq!(ids(&after)[..2], ids(&exact)[1..3]);
}

#[test]
fn a_filter_decides_between_the_graph_and_the_scan() {
    let (contents, config) = circle(2_000, 2_000);
    let request = dense(&[1.0, 0.0], 3);
    let found = contents
        .search(
            &filtered(request.clone(), json!({"even": true})),
            &config,
            0,
        )
        .unwrap();
    assert_eq!(found.plan.path, SearchPath::Hnsw);
    assert_eq!(ids(&found), ["00000", "00002", "00004"]);
    let found = contents
        .search(&filtered(request, json!({"tenth": true})), &config, 0)
        .unwrap();
    assert_eq!(
        (found.plan.path, found.plan.candidates),
        (SearchPath::ExactScan, 200)
    );
    assert_eq!(ids(&found), ["00000", "00010", "00020"]);
}

#[test]
fn a_walk_that_finds_too_few_is_replaced_by_a_scan() {
    let (mut contents, config) = circle(600, 600);
    // All near the query are gone: the walk wades through them until it would cost a scan.
    let gone: Vec<String> = (0..590).map(|at| format!("{at:05}")).collect();
    contents.apply(Op::Delete(gone).into()).unwrap();
    let found = contents
        .search(&dense(&[1.0, 0.0], 10), &config, 0)
        .unwrap();
    assert_eq!(found.plan.path, SearchPath::ExactScan);
    assert_eq!(found.hits.len(), 10);
    assert!(found.plan.reason.contains("graph"), "{:?}", found.plan);
}

#[test]
fn a_plan_tells_only_what_it_knows() {
    let plan = run(&boats(Metric::Cosine), &dense(&[1.0, 0.0], 1)).plan;
    assert_eq!(
        serde_json::to_value(plan).unwrap(),
        json!({"path": "exact_scan", "candidates": 4, "reason": "the collection is small"})
    );
}

/// The boats, with second vectors for all but `b`: `a` is nearest to [1, 0], then `d`, then `c`.
fn refined_boats() -> Contents {
    let refiner = Refiner {
        model: "better".to_owned(),
        fingerprint: "1".to_owned(),
        dim: 2,
    };
    let spec = CollectionSpec {
        refiner: Some(refiner),
        ..spec(2, Metric::Cosine)
    };
    let mut contents = Contents::new(spec);
    let points = boats(Metric::Cosine)
        .scroll(None, 10, None, Scope::at(0))
        .unwrap()
        .0;
    let points = points.into_iter().map(|point| Point {
        text: point.text.or(Some("no word in common".to_owned())),
        ..point
    });
    let points: Vec<Point> = points.collect();
    let refine = |id: &str, vector: [f32; 2]| {
        let found = points.iter().find(|point| point.id == id);
        Refinement {
            id: id.to_owned(),
            text: text_hash(found.and_then(|point| point.text.as_deref()).unwrap()),
            code: Code::of(&vector),
        }
    };
    let refined = vec![
        refine("a", [1.0, 0.0]),
        refine("c", [0.0, 1.0]),
        refine("d", [3.0, 4.0]),
    ];
    contents.apply(Op::Upsert(points).into()).unwrap();
    assert_eq!(contents.apply(Op::Refine(refined).into()).unwrap(), 3);
    contents
}

#[test]
fn second_vectors_rank_anew_and_who_has_none_keeps_its_place() {
    let contents = refined_boats();
    let base = dense(&[1.0, 0.0], 4);
    // By the first vectors: c, a, b, d.
    assert_eq!(ids(&run(&contents, &base)), ["c", "a", "b", "d"]);
    let refine = |depth| SearchRequest {
        refine: Some(Refine {
            vector: vec![2.0, 0.0],
            depth,
        }),
        ..base.clone()
    };
    let found = run(&contents, &refine(50));
    assert_eq!(ids(&found), ["a", "d", "b", "c"]);
    let scores: Vec<f32> = found.hits.iter().map(|hit| hit.score).collect();
    for (score, expected) in scores.iter().zip([1.0, 0.6, 0.6, 0.0]) {
        assert!((score - expected).abs() < 1e-2, "{scores:?}");
    }
    assert_eq!(found.plan.refined, Some(3));
    // The better one is found although the first list has it beyond k.
    let one = SearchRequest { k: 1, ..refine(2) };
    assert_eq!(ids(&run(&contents, &one)), ["a"]);
    let lexical = SearchRequest {
        mode: Mode::Lexical,
        query_text: Some("boats".to_owned()),
        ..refine(50)
    };
    assert_eq!(ids(&run(&contents, &lexical))[0], "a");
    let bar = SearchRequest {
        min_score: Some(0.5),
        ..refine(50)
    };
    assert_eq!(ids(&run(&contents, &bar)), ["a", "d", "b"]);
}

#[test]
fn a_refining_vector_is_checked() {
    let config = IndexConfig::default();
    let refine = |vector: Vec<f32>| SearchRequest {
        refine: Some(Refine { vector, depth: 50 }),
        ..dense(&[1.0, 0.0], 4)
    };
    let error = |contents: &Contents, vector| {
        let error = contents.search(&refine(vector), &config, 0).unwrap_err();
        error.to_string()
    };
    let none = error(&boats(Metric::Cosine), vec![1.0, 0.0]);
    assert!(none.contains("no refiner"), "{none}");
    let short = error(&refined_boats(), vec![1.0]);
    assert!(short.contains("refining vector"), "{short}");
    assert!(error(&refined_boats(), vec![f32::NAN, 0.0]).contains("finite"));
}
