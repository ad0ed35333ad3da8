//! Payloads and filters for tests: few keys and values, so that they meet, and all that is odd.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..3).prop_map(Value::from),
        (-2_i64..3).prop_map(|whole| Value::from(whole as f64)),
        prop_oneof![
            Just(0.5),
            Just(-0.0),
            Just(1.5),
            Just(1e11),
            Just(1.1e11),
            Just(-1e300)
        ]
        .prop_map(Value::from),
        (0_u64..4).prop_map(|more| Value::from(9_007_199_254_740_991 + more)),
        (0_u64..2).prop_map(|less| Value::from(u64::MAX - less)),
        (0_i64..2).prop_map(|more| Value::from(i64::MIN + more)),
        "[ab]{0,2}".prop_map(Value::from),
        "a{5,7}b?".prop_map(Value::from),
        "a{28,32}".prop_map(Value::from),
        "(\u{0}|é|\u{10ffff}){0,4}".prop_map(Value::from),
        prop_oneof![
            Just("1970-01-01"),
            Just("1970-01-01T00:00:01Z"),
            Just("1970-01-01T01:00:01+01:00"),
            Just("1970-01-01T00:00:00.000001Z"),
            Just("1969-12-31T23:59:59.5Z"),
            Just("2300-01-01"),
            Just("2300-01-01T00:00:00.000001Z"),
            Just("1500-01-01"),
            Just("1970-01"),
        ]
        .prop_map(Value::from),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]",
        1 => "[ab]\\.[ab]",
        1 => Just(String::new()),
        1 => Just("a.".to_owned()),
    ]
}

/// A value of a payload.
pub(crate) fn stored() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            object(inner).prop_map(Value::Object),
        ]
    })
}

/// An object of these.
pub(crate) fn object(
    value: impl Strategy<Value = Value>,
) -> impl Strategy<Value = Map<String, Value>> {
    proptest::collection::vec((key(), value), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec(key(), 1..4).prop_map(|keys| keys.join("."))
}

fn test() -> impl Strategy<Value = Value> {
    let values = || proptest::collection::vec(stored(), 0..4);
    let plain = prop_oneof![
        stored().prop_map(|value| json!({ "$eq": value })),
        stored().prop_map(|value| json!({ "$ne": value })),
        values().prop_map(|values| json!({ "$in": values })),
        values().prop_map(|values| json!({ "$nin": values })),
        any::<bool>().prop_map(|there| json!({ "$exists": there })),
        ("\\$(gt|gte|lt|lte)", leaf()).prop_map(|(order, value)| json!({ order: value })),
        (leaf(), leaf()).prop_map(|(low, high)| json!({ "$gte": low, "$lt": high })),
    ];
    prop_oneof![
        4 => plain.clone(),
        1 => plain.prop_map(|test| json!({ "$not": test })),
    ]
}

/// A filter that has a chance to match one.
pub(crate) fn filter() -> impl Strategy<Value = Value> {
    let field = (path(), test()).prop_map(|(path, test)| json!({ path: test }));
    field.prop_recursive(3, 12, 3, |inner| {
        let some = || proptest::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            some().prop_map(|all| json!({ "$and": all })),
            some().prop_map(|any| json!({ "$or": any })),
            inner.prop_map(|not| json!({ "$not": not })),
        ]
    })
}
