use serde_json::{Map, json};

use super::*;
use crate::types::collection::Refiner;

const NOW: Scope<'_> = Scope {
    role: None,
    now_ms: 1_000,
};

fn spec() -> CollectionSpec {
    CollectionSpec {
        name: "docs".to_owned(),
        dim: 1,
        metric: Metric::Dot,
        embedder: None,
        fingerprint: None,
        refiner: None,
        schema: Schema::default(),
        backend: Default::default(),
        created_ms: 0,
    }
}

fn point(id: &str, n: i32) -> Point {
    let mut payload = Map::new();
    payload.insert("n".to_owned(), json!(n));
    let text = Some(format!("word{n} common"));
    Point {
        id: id.to_owned(),
        vector: vec![n as f32],
        text,
        payload,
    }
}

fn upsert(contents: &mut Contents, points: &[Point]) {
    contents.apply(Op::Upsert(points.to_vec()).into()).unwrap();
}

fn all(contents: &Contents) -> Vec<(String, f32)> {
    let points = contents.scroll(None, 99, None, NOW).unwrap().0;
    points
        .into_iter()
        .map(|point| (point.id, point.vector[0]))
        .collect()
}

#[test]
fn a_page_ends_where_the_next_begins() {
    let mut contents = Contents::new(spec());
    upsert(&mut contents, &["d", "a", "c", "b"].map(|id| point(id, 1)));
    let page = |after, limit| {
        let (points, next) = contents.scroll(after, limit, None, NOW).unwrap();
        (
            points.into_iter().map(|point| point.id).collect::<Vec<_>>(),
            next,
        )
    };
    assert_eq!(
        page(None, 2),
        (vec!["a".into(), "b".into()], Some("b".into()))
    );
    assert_eq!(page(Some("b"), 2), (vec!["c".into(), "d".into()], None));
    assert_eq!(page(Some("bb"), 1), (vec!["c".into()], Some("c".into())));
    assert_eq!(page(Some("z"), 2), (vec![], None));
    let filter = Filter::parse(&json!({"n": 2})).unwrap();
    assert_eq!(contents.scroll(None, 9, Some(&filter), NOW).unwrap().0, []);
}

#[test]
fn a_change_that_does_not_fit_is_not_applied() {
    let mut contents = Contents::new(spec());
    let bad = Point {
        vector: vec![1.0, 2.0],
        ..point("b", 1)
    };
    let error = contents
        .apply(Op::Upsert(vec![point("a", 1), bad]).into())
        .unwrap_err();
    assert!(matches!(
        error,
        IndexError::WrongDimension {
            expected: 1,
            got: 2,
            ..
        }
    ));
    assert_eq!(contents.live(), 0);
}

#[test]
fn compaction_keeps_what_was_written_meanwhile() {
    let mut contents = Contents::new(spec());
    upsert(
        &mut contents,
        &[point("a", 1), point("b", 2), point("c", 3), point("d", 4)],
    );
    contents
        .apply(Op::Delete(vec!["a".to_owned(), "nobody".to_owned()]).into())
        .unwrap();
    let view = contents.view();
    let mut fresh = Contents::compacted(contents.spec(), &view);
    assert_eq!((fresh.live(), fresh.tombstones()), (3, 0));

    upsert(
        &mut contents,
        &[point("b", 20), point("e", 5), point("f", 6)],
    );
    contents
        .apply(Op::Delete(vec!["c".to_owned(), "f".to_owned()]).into())
        .unwrap();
    upsert(&mut contents, &[point("a", 10)]);
    fresh.catch_up(&view, &contents);
    assert_eq!(all(&fresh), all(&contents));
    assert_eq!(fresh.words(), contents.words());
    assert!(fresh.tombstones() < contents.tombstones());
}

#[test]
fn work_is_due_at_the_configured_shares() {
    let config = IndexConfig {
        hnsw_threshold: 100,
        ..IndexConfig::default()
    };
    let mut contents = Contents::new(spec());
    let ids: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let points: Vec<Point> = ids.iter().map(|id| point(id, 1)).collect();
    upsert(&mut contents, &points[..99]);
    assert!(!contents.graph_is_due(&config) && !contents.compaction_is_due(&config));
    upsert(&mut contents, &points[99..]);
    assert!(contents.graph_is_due(&config));
    contents
        .apply(Op::Delete(ids[..19].to_vec()).into())
        .unwrap();
    assert!(!contents.compaction_is_due(&config));
    contents
        .apply(Op::Delete(ids[19..20].to_vec()).into())
        .unwrap();
    assert!(contents.compaction_is_due(&config));
}

fn refinable() -> Contents {
    Contents::new(CollectionSpec {
        refiner: Some(Refiner {
            model: "better".to_owned(),
            fingerprint: "1".to_owned(),
            dim: 1,
        }),
        ..spec()
    })
}

fn refinement(point: &Point) -> Refinement {
    Refinement {
        id: point.id.clone(),
        text: text_hash(point.text.as_deref().unwrap()),
        code: Code::of(&[1.0]),
    }
}

fn refine(contents: &mut Contents, points: &[Point]) -> usize {
    let refined = points.iter().map(refinement).collect();
    contents.apply(Op::Refine(refined).into()).unwrap()
}

fn progress(contents: &Contents) -> (usize, usize) {
    let Progress { done, pending } = contents.refinable();
    (done, pending)
}

#[test]
fn a_second_vector_belongs_to_the_text_that_it_was_made_of() {
    let mut contents = refinable();
    let (a, b) = (point("a", 1), point("b", 2));
    let bare = Point {
        text: None,
        ..point("bare", 3)
    };
    upsert(&mut contents, &[a.clone(), b.clone(), bare]);
    let waiting = contents.unrefined(9);
    assert_eq!(
        waiting,
        [
            ("a".to_owned(), a.text.clone().unwrap()),
            ("b".to_owned(), b.text.clone().unwrap())
        ]
    );
    assert_eq!(contents.unrefined(1).len(), 1);
    // Replaced and deleted while their vectors were made.
    upsert(&mut contents, &[point("a", 7)]);
    assert_eq!(refine(&mut contents, &[a, b.clone(), point("x", 1)]), 1);
    assert_eq!(progress(&contents), (1, 1));
    assert_eq!(contents.unrefined(9)[0].0, "a");
    // The same text again is a new row, which waits again.
    upsert(&mut contents, std::slice::from_ref(&b));
    assert_eq!(progress(&contents), (0, 2));
    refine(&mut contents, &[point("a", 7), b]);
    assert_eq!(progress(&contents), (2, 0));
    contents
        .apply(Op::Delete(vec!["a".to_owned()]).into())
        .unwrap();
    assert_eq!(progress(&contents), (1, 0));
    assert_eq!(contents.unrefined(9), []);
}

#[test]
fn a_second_vector_of_another_length_is_not_applied() {
    let mut contents = refinable();
    upsert(&mut contents, &[point("a", 1)]);
    let long = Refinement {
        code: Code::of(&[1.0, 0.0]),
        ..refinement(&point("a", 1))
    };
    let error = contents.apply(Op::Refine(vec![long]).into()).unwrap_err();
    assert!(error.to_string().contains("second vector of a"), "{error}");
    assert_eq!(progress(&contents), (0, 1));
}

#[test]
fn compaction_keeps_second_vectors_also_those_that_came_meanwhile() {
    let mut contents = refinable();
    let points: Vec<Point> = (0..4).map(|n| point(&n.to_string(), n)).collect();
    upsert(&mut contents, &points);
    refine(&mut contents, &points[..1]);
    let view = contents.view();
    let spec = contents.spec.clone();
    let mut fresh = Contents::compacted(&spec, &view);
    assert_eq!(progress(&fresh), (1, 3));
    refine(&mut contents, &points[1..3]);
    upsert(&mut contents, &[point("4", 4), point("2", 9)]);
    refine(&mut contents, &[point("4", 4)]);
    fresh.catch_up(&view, &contents);
    assert_eq!(progress(&fresh), progress(&contents));
    let ids = |contents: &Contents| {
        let mut ids: Vec<String> = contents.view().refinements().map(|one| one.id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(&fresh), ["0", "1", "4"]);
    assert_eq!(ids(&contents), ["0", "1", "4"]);
}
