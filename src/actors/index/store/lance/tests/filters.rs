//! Filters over random payloads.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

fn text() -> impl Strategy<Value = String> {
    let hostile = [
        "",
        "a",
        "b",
        "'",
        "''",
        "\"",
        "a' OR '1'='1",
        "'; DROP TABLE docs; --",
        "\\",
        "\0",
        "%",
        "_",
        "é",
        "\u{1F600}",
        "2026-03-01",
        "2026-03-01T01:00:00+01:00",
        "2025-01-01",
        "soon",
        "{}",
        "[1]",
        "1",
        "null",
    ];
    prop_oneof![
        8 => prop::sample::select(hostile.to_vec()).prop_map(str::to_owned),
        1 => ".{0,8}",
        1 => "[ab]{120,140}",
    ]
}

fn number() -> impl Strategy<Value = Value> {
    let numbers = vec![
        json!(0),
        json!(-0.0),
        json!(1),
        json!(1.0),
        json!(-1),
        json!(1.5),
        json!(2),
        json!(1e300),
        json!(-1e300),
        json!(9_007_199_254_740_992_u64),
        json!(9_007_199_254_740_993_u64),
        json!(9_007_199_254_740_992.0),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(9.223_372_036_854_776e18),
        json!(1_772_323_200),
        json!(1_772_323_200.5),
        json!(200_000_000_000_i64),
    ];
    prop::sample::select(numbers)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        3 => number(),
        3 => text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(key(), inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["n", "s", "d", "a", "a.b", "it's \"x\"", "\0"])
        .prop_map(str::to_owned)
}

fn condition_of() -> impl Strategy<Value = Value> {
    let path = prop::sample::select(vec![
        "n",
        "s",
        "d",
        "a",
        "a.b",
        "a.n",
        "it's \"x\"",
        "\0",
        "d.d",
    ]);
    let ordered = prop::sample::select(vec!["n", "s", "d", "a"]);
    let order = prop::sample::select(vec!["$gt", "$gte", "$lt", "$lte"]);
    let bound = prop_oneof![number(), text().prop_map(Value::from)];
    let leaf = prop_oneof![
        3 => (path.clone(), value()).prop_map(|(path, value)| json!({path: {"$eq": value}})),
        1 => (path.clone(), value()).prop_map(|(path, value)| json!({path: {"$ne": value}})),
        1 => (path.clone(), prop::collection::vec(value(), 0..4))
            .prop_map(|(path, values)| json!({path: {"$in": values}})),
        1 => (path.clone(), prop::collection::vec(value(), 0..4))
            .prop_map(|(path, values)| json!({path: {"$nin": values}})),
        1 => (path, any::<bool>()).prop_map(|(path, there)| json!({path: {"$exists": there}})),
        6 => (ordered, order, bound).prop_map(|(path, order, bound)| json!({path: {order: bound}})),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({"$and": all})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({"$or": all})),
            inner.prop_map(|one| json!({"$not": one})),
        ]
    })
}

/// A filter finds what it finds in our own collections, whatever is stored and sought: with indexes, and in rows that
/// none has.
#[test]
fn filters_find_what_they_match() {
    let folder = TempDir::new().unwrap();
    let declared = [
        ("n", FieldKind::Integer),
        ("s", FieldKind::Keyword),
        ("d", FieldKind::Datetime),
    ];
    let spec = spec(Metric::Cosine, &declared);
    let mut runner = TestRunner::deterministic();
    let mut payload = || {
        let tree = prop::collection::hash_map(key(), value(), 0..5).new_tree(&mut runner);
        let map = tree.unwrap().current();
        Value::Object(map.into_iter().collect())
    };
    let all: Vec<Value> = (0..300).map(|_| payload()).collect();
    let points = payloads(all);
    block_on(async {
        let store = filled(&folder, &spec, &points[..200]).await;
        store.upsert(&spec, points[200..].to_vec()).await.unwrap();
        let store = Arc::new(store);
        let mut runner = TestRunner::new_with_rng(
            Config::with_cases(1),
            prop::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha),
        );
        for _ in 0..300 {
            let asked = condition_of().new_tree(&mut runner).unwrap().current();
            let Ok(parsed) = Filter::parse(&asked) else {
                continue;
            };
            let scoped = Filter::scoped(Some(&parsed), &spec.schema, Scope::at(0)).unwrap();
            let wanted: Vec<&str> = points
                .iter()
                .filter(|point| scoped.matches(&point.payload))
                .map(|point| point.id.as_str())
                .collect();
            let found = matching(&store, &spec, &scoped).await.unwrap();
            assert_eq!(found, wanted, "{asked}");
        }
    });
}
