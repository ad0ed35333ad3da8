use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Filter;
use super::arbitrary::{filter, object, stored};
use super::{Marks, Word, words};
use crate::engines::index::fields::Fields;
use crate::types::collection::FieldKind;

/// Whether a filter matches, said by itself and by marks.
fn both(filter: &Value, payload: &Value, kinds: &BTreeMap<String, FieldKind>) -> (bool, bool) {
    let filter = bound(filter, kinds);
    let payload = payload.as_object().unwrap();
    let marked = filter.on_marks().unwrap();
    (filter.matches(payload), marked.holds(&Marks::of(payload)))
}

/// A filter that knows which fields are moments.
fn bound(filter: &Value, kinds: &BTreeMap<String, FieldKind>) -> Filter {
    let parsed = Filter::parse(filter).unwrap();
    parsed.bound(&Fields::new(kinds)).into_owned()
}

fn dated() -> BTreeMap<String, FieldKind> {
    [("b".to_owned(), FieldKind::Datetime)].into()
}

#[test]
fn numbers_are_equal_as_they_are_compared_also_where_not_every_one_is_a_float() {
    let two = 9_007_199_254_740_992_u64;
    let numbers = [
        json!(two - 1),
        json!(two),
        json!(two + 1),
        json!(two + 2),
        json!(two as f64),
        json!((two + 2) as f64),
        json!(u64::MAX),
        json!(u64::MAX as f64),
        json!(i64::MIN),
        json!(i64::MIN as f64),
        json!(1),
        json!(1.0),
        json!(0),
        json!(-0.0),
        json!(5e-324),
        json!(1e300),
        json!(0.5),
    ];
    for stored in &numbers {
        for wanted in &numbers {
            let payload = json!({"a": [stored, "x"]});
            let filter = json!({ "a": wanted });
            let (own, marked) = both(&filter, &payload, &BTreeMap::new());
            assert_eq!(own, marked, "{stored} {wanted}");
        }
    }
}

#[test]
fn what_marks_cannot_tell_is_refused_and_says_why() {
    let long = "x".repeat(words::LONGEST + 1);
    for (filter, reason) in [
        (json!({"a": {"$gt": 9_007_199_254_740_992_u64}}), "2^53"),
        (json!({"a": {"$eq": [9_007_199_254_740_993_u64]}}), "2^53"),
        (
            json!({"a": {"$in": [{"k": 9_007_199_254_740_993_u64}]}}),
            "2^53",
        ),
        (json!({"a": {"$lt": long}}), "more than 29 bytes"),
        (json!({"b": {"$lt": "9000-12-31"}}), "after 2255"),
        (json!({"$not": {"b": {"$lt": "1066-10-14"}}}), "before 1684"),
    ] {
        let error = bound(&filter, &dated()).on_marks().unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    // A float is compared as one, and a far moment is found.
    for filter in [
        json!({"a": {"$gt": 1e300}}),
        json!({"b": "9999-12-31"}),
        json!({"a": {"$lt": "9999-12-31"}}),
    ] {
        assert!(bound(&filter, &dated()).on_marks().is_ok());
    }
}

#[test]
fn a_word_is_as_long_as_it_must_be() {
    assert_eq!(Word::of("", false).parts, [0.0]);
    assert_eq!(Word::of("a", false).parts.len(), 1);
    assert_eq!(Word::of("abcdefg", false).parts.len(), 2);
    assert_eq!(Word::of(&"x".repeat(500), false).parts.len(), 5);
    assert!(
        Word::of("\u{10ffff}\u{10ffff}", false)
            .parts
            .iter()
            .all(|part| *part < super::EXACT)
    );
}

#[test]
fn a_payload_of_one_value_has_few_marks() {
    let payload = json!({"a": 1});
    let marks = Marks::of(payload.as_object().unwrap());
    assert_eq!(
        (
            marks.keys.len(),
            marks.numbers.len(),
            marks.moments.len(),
            marks.words.len()
        ),
        (2, 1, 1, 0)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn marks_match_where_the_payload_does(payload in object(stored()), filters in proptest::collection::vec(filter(), 1..8)) {
        let kinds = dated();
        let (marks, fields) = (Marks::of(&payload), Fields::new(&kinds));
        for filter in filters {
            let Ok(parsed) = Filter::parse(&filter) else { continue };
            let bound = parsed.bound(&fields);
            if let Ok(marked) = bound.on_marks() {
                let (own, told) = (marked.holds(&marks), bound.matches(&payload));
                prop_assert_eq!(own, told, "{} of {:?}", filter, payload);
            }
        }
    }

    #[test]
    fn a_value_is_found_by_itself_at_each_of_its_paths(payload in object(stored())) {
        let marks = Marks::of(&payload);
        for (key, value) in &payload {
            let filter = Filter::parse(&json!({ key: { "$eq": value } })).unwrap();
            if let Ok(marked) = filter.on_marks() {
                prop_assert!(marked.holds(&marks));
            }
        }
    }

    #[test]
    fn words_are_in_the_order_of_their_bytes(a in "[ab\u{0}é]{0,31}", b in "[ab\u{0}é]{0,14}") {
        let bound = words::bound(&b).unwrap();
        let word = Word::of(&a, false);
        for (order, holds) in [
            (super::super::Order::Greater, a > b),
            (super::super::Order::GreaterOrEqual, a >= b),
            (super::super::Order::Less, a < b),
            (super::super::Order::LessOrEqual, a <= b),
        ] {
            prop_assert_eq!(word.is(order, &bound), holds);
        }
    }
}
