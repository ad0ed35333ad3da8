use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::engines::index::{Contents, Filter, Op, Scope};
use crate::types::collection::{CollectionSpec, Schema};
use crate::types::point::{Metric, Point};

const KINDS: [(&str, FieldKind); 6] = [
    ("word", FieldKind::Keyword),
    ("whole", FieldKind::Integer),
    ("real", FieldKind::Float),
    ("bit", FieldKind::Bool),
    ("at", FieldKind::Datetime),
    ("in.word", FieldKind::Keyword),
];

fn contents(kinds: &[(&str, FieldKind)]) -> Contents {
    Contents::new(CollectionSpec {
        name: "docs".to_owned(),
        dim: 1,
        metric: Metric::Dot,
        embedder: None,
        fingerprint: None,
        refiner: None,
        schema: schema(kinds),
        backend: Default::default(),
        created_ms: 0,
    })
}

fn schema(kinds: &[(&str, FieldKind)]) -> Schema {
    Schema {
        fields: kinds
            .iter()
            .map(|(path, kind)| ((*path).to_owned(), *kind))
            .collect(),
        ..Schema::default()
    }
}

fn point(id: usize, payload: &Map<String, Value>) -> Point {
    Point {
        id: id.to_string(),
        vector: vec![1.0],
        text: None,
        payload: payload.clone(),
    }
}

/// Values of every kind, so that each is the wrong one for some field, and those that are hard to tell apart.
fn simple() -> Vec<Value> {
    vec![
        json!("a"),
        json!("b"),
        json!("ab"),
        json!(""),
        json!(null),
        json!(true),
        json!(false),
        json!("2026-03-01"),
        json!("2026-03-01T00:00:00Z"),
        json!("2026-03-01T01:00:00+01:00"),
        json!("2026-03-01T00:00:00.5Z"),
        json!("2025-12-31"),
        json!(1_772_323_200),
        json!(1_772_323_200.5),
        json!(0),
        json!(-0.0),
        json!(0.5),
        json!(1),
        json!(1.0),
        json!(-1),
        json!(1_u64 << 53),
        json!((1_u64 << 53) + 1),
        json!(9_007_199_254_740_992.0),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e300),
        json!({"a": 1}),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let simple = prop_oneof![
        prop::sample::select(simple()),
        (-3_i64..3).prop_map(Value::from)
    ];
    let list = prop::collection::vec(simple.clone(), 0..3).prop_map(Value::from);
    prop_oneof![4 => simple.clone(), 1 => list.clone(), 1 => prop::collection::vec(list, 0..2).prop_map(Value::from)]
}

#[test]
fn every_value_meets_every_operand_as_when_it_is_read() {
    let operands = simple();
    let payloads: Vec<Value> = operands
        .iter()
        .flat_map(|value| [value.clone(), json!([value])])
        .map(|value| json!({"word": value, "whole": value, "real": value, "bit": value, "at": value}))
        .collect();
    let contents = of(&payloads, &KINDS);
    for (path, _) in &KINDS[..5] {
        for operand in &operands {
            for operator in ["$eq", "$ne", "$in", "$gt", "$gte", "$lt", "$lte"] {
                let filter = match operator {
                    "$in" => json!({*path: {operator: [operand, "b"]}}),
                    _ => json!({*path: {operator: operand}}),
                };
                // Not everything has an order.
                let Ok(parsed) = Filter::parse(&filter) else {
                    continue;
                };
                assert_eq!(
                    selected(&contents, &parsed),
                    plainly(&contents, &parsed),
                    "{filter}"
                );
            }
        }
    }
}

fn payload() -> impl Strategy<Value = Map<String, Value>> {
    let fields = ["word", "whole", "real", "bit", "at", "in.word", "other"];
    let field = (
        prop::sample::select(fields.to_vec()),
        value(),
        any::<bool>(),
    );
    prop::collection::vec(field, 0..6).prop_map(|fields| {
        let mut map = Map::new();
        for (path, value, nested) in fields {
            match path {
                // Both ways to have it: a key with a dot, and an object, or a list of them.
                "in.word" if nested => {
                    map.insert("in".to_owned(), json!([{"word": value}, {"word": "b"}, 7]));
                }
                path => {
                    map.insert(path.to_owned(), value);
                }
            }
        }
        map
    })
}

fn condition() -> impl Strategy<Value = Value> {
    let paths = ["word", "whole", "real", "bit", "at", "in.word", "other"];
    let test = prop_oneof![
        value().prop_map(|v| json!({"$eq": v})),
        value().prop_map(|v| json!({"$ne": v})),
        prop::collection::vec(value(), 0..4).prop_map(|v| json!({"$in": v})),
        prop::collection::vec(value(), 0..4).prop_map(|v| json!({"$nin": v})),
        (
            prop::sample::select(vec!["$gt", "$gte", "$lt", "$lte"]),
            value()
        )
            .prop_filter("ordered", |(_, v)| v.is_number() || v.is_string())
            .prop_map(|(op, v)| json!({op: v})),
        any::<bool>().prop_map(|there| json!({"$exists": there})),
    ];
    let leaf =
        (prop::sample::select(paths.to_vec()), test).prop_map(|(path, test)| json!({path: test}));
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({"$and": all})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|any| json!({"$or": any})),
            inner.prop_map(|not| json!({"$not": not})),
        ]
    })
}

/// The ids that match, read one after the other.
fn plainly(contents: &Contents, filter: &Filter) -> BTreeSet<String> {
    let filter = filter.bound(&contents.fields);
    let rows = contents.rows.points();
    rows.filter(|point| filter.matches(&point.payload))
        .map(|point| point.id)
        .collect()
}

fn selected(contents: &Contents, filter: &Filter) -> BTreeSet<String> {
    let found = contents.ids_where(filter, Scope::at(0)).unwrap();
    found.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_index_finds_what_reading_finds(
        payloads in prop::collection::vec(payload(), 1..30),
        replaced in prop::collection::vec((0_usize..30, payload()), 0..8),
        deleted in prop::collection::vec(0_usize..30, 0..8),
        conditions in prop::collection::vec(condition(), 1..8),
        late: bool,
    ) {
        let mut indexed = contents(if late { &[] } else { &KINDS });
        let points = payloads.iter().enumerate().map(|(id, payload)| point(id, payload)).collect();
        indexed.apply(Op::Upsert(points).into()).unwrap();
        if late {
            let declared = indexed.undeclared(&schema(&KINDS)).indexed();
            indexed.declare(declared);
        }
        for (id, payload) in &replaced {
            indexed.apply(Op::Upsert(vec![point(*id, payload)]).into()).unwrap();
        }
        let ids = deleted.iter().map(ToString::to_string).collect();
        indexed.apply(Op::Delete(ids).into()).unwrap();
        let compacted = Contents::compacted(indexed.spec(), &indexed.view());
        for condition in &conditions {
            let filter = Filter::parse(condition).unwrap();
            let expected = plainly(&indexed, &filter);
            prop_assert_eq!(&selected(&indexed, &filter), &expected, "{}", condition);
            prop_assert_eq!(&selected(&compacted, &filter), &expected, "compacted, {}", condition);
            let count = indexed.count(Some(&filter), Scope::at(0)).unwrap();
            prop_assert_eq!(count, expected.len());
            let (page, _) = indexed.scroll(None, 1_000, Some(&filter), Scope::at(0)).unwrap();
            let page: BTreeSet<String> = page.into_iter().map(|point| point.id).collect();
            prop_assert_eq!(&page, &expected);
        }
    }

    /// Where no field is a datetime, an index changes nothing at all.
    #[test]
    fn without_datetimes_a_filter_means_the_same_as_without_a_schema(
        payloads in prop::collection::vec(payload(), 1..20), condition in condition(),
    ) {
        let kinds: Vec<_> = KINDS.into_iter().filter(|(_, kind)| *kind != FieldKind::Datetime).collect();
        let (mut with, mut without) = (contents(&kinds), contents(&[]));
        let points: Vec<_> = payloads.iter().enumerate().map(|(id, payload)| point(id, payload)).collect();
        with.apply(Op::Upsert(points.clone()).into()).unwrap();
        without.apply(Op::Upsert(points).into()).unwrap();
        let filter = Filter::parse(&condition).unwrap();
        prop_assert_eq!(selected(&with, &filter), selected(&without, &filter));
    }
}

fn of(payloads: &[Value], kinds: &[(&str, FieldKind)]) -> Contents {
    let mut made = contents(kinds);
    let points = payloads.iter().enumerate();
    let points = points.map(|(id, payload)| point(id, payload.as_object().unwrap()));
    made.apply(Op::Upsert(points.collect()).into()).unwrap();
    made
}

#[test]
fn a_filter_over_indexed_fields_reads_no_payload() {
    let payloads: Vec<Value> = (0..100)
        .map(|n| json!({"word": format!("w{}", n % 5), "whole": n, "at": 1_000 + n, "other": n}))
        .collect();
    let contents = of(&payloads, &KINDS);
    let explain = |filter: Value| {
        let filter = Filter::parse(&filter).unwrap();
        let alive = contents.rows.alive();
        let (found, used) = filter.select(&contents.rows, &contents.fields, alive);
        (found.count(), used)
    };
    let (count, used) = explain(json!({
        "word": "w1", "whole": {"$lt": 50}, "$not": {"at": {"$gte": 1_040}}, "in.word": {"$exists": false}
    }));
    assert_eq!(count, 8);
    assert_eq!((used.payloads_read, used.read.len()), (0, 0), "{used:?}");
    assert_eq!(used.indexed, ["word", "whole", "at", "in.word"]);
    // What is not indexed is read in what the others have left, wherever it stands.
    let (count, used) = explain(json!({"other": {"$gt": 9}, "word": "w1"}));
    assert_eq!((count, used.payloads_read), (18, 20));
    assert_eq!(
        (used.indexed, used.read),
        (vec!["word".into()], vec!["other".into()])
    );
}

#[test]
fn a_value_of_another_kind_is_stored_found_and_told() {
    let contents = of(
        &[
            json!({"whole": 1}),
            json!({"whole": "1"}),
            json!({"whole": [2, "x"]}),
            json!({"whole": 1.0}),
            json!({}),
            json!({"whole": null}),
        ],
        &[("whole", FieldKind::Integer)],
    );
    let ids = |filter: Value| {
        contents
            .ids_where(&Filter::parse(&filter).unwrap(), Scope::at(0))
            .unwrap()
    };
    assert_eq!(ids(json!({"whole": 1})), ["0", "3"]);
    assert_eq!(ids(json!({"whole": "1"})), ["1"]);
    assert_eq!(ids(json!({"whole": {"$in": ["x"]}})), ["2"]);
    assert_eq!(
        ids(json!({"whole": {"$exists": true}})),
        ["0", "1", "2", "3", "5"]
    );
    assert_eq!(ids(json!({"whole": {"$ne": 1}})), ["1", "2", "4", "5"]);
    assert_eq!(contents.odd(), BTreeMap::from([("whole".to_owned(), 3)]));
}

#[test]
fn moments_compare_as_moments_where_the_field_is_declared_one() {
    let payloads = [
        json!({"at": "2026-03-01T12:00:00+02:00"}),
        json!({"at": "2026-03-01T11:00:00Z"}),
        json!({"at": 1_772_359_200}),
        json!({"at": "later"}),
    ];
    let declared = of(&payloads, &[("at", FieldKind::Datetime)]);
    let plain = of(&payloads, &[]);
    let ids = |contents: &Contents, filter: Value| {
        let filter = Filter::parse(&filter).unwrap();
        contents.ids_where(&filter, Scope::at(0)).unwrap()
    };
    let before = json!({"at": {"$lt": "2026-03-01T10:30:00Z"}});
    assert_eq!(ids(&declared, before.clone()), ["0", "2"]);
    assert_eq!(ids(&plain, before), [""; 0]);
    assert_eq!(
        ids(&declared, json!({"at": "2026-03-01T10:00:00Z"})),
        ["0", "2"]
    );
    // What is no moment is a text as ever.
    assert_eq!(ids(&declared, json!({"at": "later"})), ["3"]);
}

#[test]
fn an_index_that_is_dropped_or_of_another_kind_leaves_what_is_found() {
    let payloads: Vec<Value> = (0..10).map(|n| json!({"whole": n % 3})).collect();
    let mut contents = of(&payloads, &[("whole", FieldKind::Integer)]);
    let filter = Filter::parse(&json!({"whole": 1})).unwrap();
    let expected = selected(&contents, &filter);
    assert_eq!(expected.len(), 3);
    for kinds in [
        &[("whole", FieldKind::Keyword)][..],
        &[][..],
        &[("whole", FieldKind::Float)],
    ] {
        let declared = contents.undeclared(&schema(kinds)).indexed();
        contents.declare(declared);
        assert_eq!(selected(&contents, &filter), expected, "{kinds:?}");
        assert_eq!(
            contents.fields.kind("whole"),
            kinds.first().map(|(_, kind)| *kind)
        );
        assert_eq!(contents.spec().schema, schema(kinds));
    }
}

#[test]
fn a_field_that_is_declared_during_a_compaction_is_in_what_comes_of_it() {
    let payloads: Vec<Value> = (0..10).map(|n| json!({"whole": n % 3})).collect();
    let mut now = of(&payloads, &[]);
    let view = now.view();
    let mut fresh = Contents::compacted(&Arc::clone(now.spec()), &view);
    let declared = now
        .undeclared(&schema(&[("whole", FieldKind::Integer)]))
        .indexed();
    now.declare(declared);
    fresh.catch_up(&view, &now);
    assert_eq!(fresh.spec(), now.spec());
    let filter = Filter::parse(&json!({"whole": 1})).unwrap();
    assert!(filter.is_indexed(&fresh.fields));
    assert_eq!(selected(&fresh, &filter).len(), 3);
}
