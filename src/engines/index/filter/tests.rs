use proptest::prelude::*;
use serde_json::{Value, json};

use super::Filter;
use crate::types::error_kind::ErrorKind;

fn matches(filter: &Value, payload: &Value) -> bool {
    Filter::parse(filter)
        .unwrap()
        .matches(payload.as_object().unwrap())
}

#[test]
fn each_operator_matches_what_it_says() {
    let payload = json!({
        "city": "Bern", "year": 2021, "price": 2.0, "on": true, "none": null, "date": "2024-05-01",
        "tags": ["a", "b"], "sizes": [1, 5], "big": 9_007_199_254_740_993_u64,
        "owner": {"name": "Ann", "home": {"zip": "3000"}}, "a.b": "dotted",
        "items": [{"sku": "x", "n": 1}, {"sku": "y", "n": 7}, "loose"], "empty": [],
    });
    let cases = [
        (true, json!({"city": "Bern"})),
        (false, json!({"city": "bern"})),
        (
            true,
            json!({"city": {"$eq": "Bern"}, "year": {"$gte": 2021, "$lt": 2022}}),
        ),
        (false, json!({"city": "Bern", "year": {"$gt": 2021}})),
        (true, json!({"year": 2021.0})),
        (true, json!({"price": 2})),
        (true, json!({"price": {"$lte": 2, "$gt": 1.5}})),
        (false, json!({"big": 9_007_199_254_740_992_u64})),
        (true, json!({"big": {"$gt": 9_007_199_254_740_992_u64}})),
        (
            true,
            json!({"date": {"$gte": "2024-01-01", "$lt": "2024-06"}}),
        ),
        (false, json!({"date": {"$gt": 2024}})),
        (false, json!({"year": {"$gt": "2000"}})),
        (false, json!({"on": {"$gt": 0}})),
        (true, json!({"on": true})),
        (false, json!({"on": 1})),
        (true, json!({"none": null})),
        (false, json!({"missing": null})),
        (true, json!({"none": {"$exists": true}})),
        (true, json!({"missing": {"$exists": false}})),
        (false, json!({"city": {"$exists": false}})),
        (true, json!({"city": {"$in": ["Basel", "Bern"]}})),
        (false, json!({"city": {"$in": []}})),
        (true, json!({"year": {"$in": ["2021", 2021.0]}})),
        (true, json!({"tags": "a"})),
        (true, json!({"tags": ["a", "b"]})),
        (false, json!({"tags": ["b", "a"]})),
        (true, json!({"tags": {"$in": ["z", "b"]}})),
        (true, json!({"sizes": {"$gt": 4}})),
        (false, json!({"sizes": {"$gt": 5}})),
        (false, json!({"empty": {"$in": ["a"]}})),
        (true, json!({"city": {"$ne": "Basel"}})),
        (true, json!({"missing": {"$ne": "x"}})),
        (false, json!({"tags": {"$ne": "a"}})),
        (true, json!({"missing": {"$nin": ["x"]}})),
        (false, json!({"tags": {"$nin": ["a"]}})),
        (true, json!({"owner.name": "Ann"})),
        (true, json!({"owner.home.zip": {"$exists": true}})),
        (true, json!({"owner.home": {"zip": "3000"}})),
        (false, json!({"owner.home": {"zip": 3000}})),
        (false, json!({"owner.age": {"$gt": 1}})),
        (true, json!({"a.b": "dotted"})),
        (true, json!({"items.sku": "y"})),
        (true, json!({"items.n": {"$gt": 6}})),
        (false, json!({"items.sku": "z"})),
        (true, json!({"$or": [{"city": "Basel"}, {"year": 2021}]})),
        (false, json!({"$and": [{"city": "Bern"}, {"year": 1}]})),
        (true, json!({"$not": {"city": "Basel"}})),
        (false, json!({"$not": {"city": "Bern"}})),
        (true, json!({"year": {"$not": {"$gt": 2021}}})),
        (
            true,
            json!({"$not": {"$or": [{"city": "Basel"}, {"tags": "c"}]}, "on": true}),
        ),
    ];
    for (expected, filter) in cases {
        assert_eq!(matches(&filter, &payload), expected, "{filter}");
    }
}

#[test]
fn what_cannot_be_read_says_where_and_what_would_be_right() {
    let mut deep = json!({"a": 1});
    for _ in 0..40 {
        deep = json!({ "$not": deep });
    }
    let cases = [
        (json!(null), "filter at /: expected an object", "got null"),
        (
            json!([{"a": 1}]),
            "filter at /: expected an object",
            "got a list",
        ),
        (json!({}), "filter at /: empty", "leave the filter out"),
        (
            json!({"$or": []}),
            "filter at /$or: expected at least one filter",
            "",
        ),
        (
            json!({"$and": {"a": 1}}),
            "filter at /$and: expected a list",
            "got an object",
        ),
        (
            json!({"$or": [{"a": 1}, 2]}),
            "filter at /$or/1: expected an object",
            "got a number",
        ),
        (
            json!({"$nor": [{"a": 1}]}),
            "/$nor: unknown operator $nor",
            "$and $or $not",
        ),
        (
            json!({"$eq": 1}),
            "filter at /$eq: $eq belongs inside a field",
            "",
        ),
        (
            json!({"y": {"$regex": "a"}}),
            "/y/$regex: unknown operator $regex",
            "$eq $ne $gt",
        ),
        (
            json!({"y": {"$gt": 1, "z": 2}}),
            "/y/z: a field's operators start with $",
            "",
        ),
        (
            json!({"y": {"$gt": null}}),
            "/y/$gt: expected a number or a string",
            "got null",
        ),
        (
            json!({"y": {"$lt": [1]}}),
            "/y/$lt: expected a number or a string",
            "got a list",
        ),
        (
            json!({"y": {"$in": "a"}}),
            "/y/$in: expected a list of values",
            "got a string",
        ),
        (
            json!({"y": {"$exists": 1}}),
            "/y/$exists: expected true or false",
            "got a number",
        ),
        (
            json!({"y": {"$not": 3}}),
            "/y/$not: expected operators",
            "got a number",
        ),
        (
            json!({"y": {"$not": {}}}),
            "/y/$not: expected an operator",
            "",
        ),
        (
            json!({"y": {"$in": vec![0; 10_001]}}),
            "more than 10000",
            "",
        ),
        (
            json!({".".repeat(17): 1}),
            "at most 512 bytes and 16 dots",
            "",
        ),
        (deep, "nested deeper than 16 levels", ""),
    ];
    for (filter, start, end) in cases {
        let error = Filter::parse(&filter).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(start) && text.contains(end), "{text}");
        assert_eq!(error.kind(), ErrorKind::BadRequest);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let keys = prop_oneof![
        "[ab.]{1,3}",
        "\\$(eq|ne|gt|gte|lt|lte|in|nin|exists|and|or|not|x)".prop_map(|key| key),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((keys.clone(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused_and_not_is_the_opposite(
        filter in any_json(), stored in any_json()
    ) {
        if let Ok(parsed) = Filter::parse(&filter) {
            let payload = json!({"a": stored, "b": {"a": 1}});
            let payload = payload.as_object().unwrap();
            let opposite = Filter::parse(&json!({ "$not": filter }));
            if let Ok(opposite) = opposite {
                prop_assert_ne!(parsed.matches(payload), opposite.matches(payload));
            }
        }
    }

    #[test]
    fn a_payload_matches_its_own_value(stored in any_json()) {
        let payload = json!({ "a": stored });
        let filter = Filter::parse(&json!({ "a": { "$eq": stored } })).unwrap();
        prop_assert!(filter.matches(payload.as_object().unwrap()));
    }
}
