use std::collections::HashMap;

use proptest::prelude::*;
use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{Condition, Filter as Said, ListValue, Range, Struct, Value as Kept};
use serde_json::{Map, Value, json};

use super::*;
use crate::engines::index::arbitrary::{filter, object, stored};
use crate::engines::index::{Filter, Scope};

/// Reads JSON as Qdrant does: without the care that makes the last bit of every float right.
fn hasty(value: Kept) -> Kept {
    let kind = match value.kind {
        Some(Kind::DoubleValue(float)) => {
            let text = Value::from(float).to_string();
            let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
            let (whole, broken) = digits.split_once('.').unwrap_or((digits, ""));
            let significand: f64 = format!("{whole}{broken}").parse().unwrap();
            let power = exponent.parse::<i32>().unwrap() - i32::try_from(broken.len()).unwrap();
            let scale = 10_f64.powi(power.abs());
            let read = match power < 0 {
                true => significand / scale,
                false => significand * scale,
            };
            Kind::DoubleValue(if read.is_finite() { read } else { 0.0 })
        }
        Some(Kind::ListValue(list)) => Kind::ListValue(ListValue {
            values: list.values.into_iter().map(hasty).collect(),
        }),
        Some(Kind::StructValue(map)) => Kind::StructValue(Struct {
            fields: map.fields.into_iter().map(|(k, v)| (k, hasty(v))).collect(),
        }),
        other => other.unwrap_or(Kind::NullValue(0)),
    };
    Kept { kind: Some(kind) }
}

/// What a path of keys leads to, items of a list each by itself.
fn values<'a>(fields: &'a HashMap<String, Kept>, path: &str) -> Vec<&'a Kept> {
    let (key, rest) = path
        .split_once('.')
        .map_or((path, None), |(a, b)| (a, Some(b)));
    let Some(value) = fields.get(key) else {
        return Vec::new();
    };
    match (&value.kind, rest) {
        (Some(Kind::StructValue(map)), Some(rest)) => values(&map.fields, rest),
        (_, Some(_)) => Vec::new(),
        (Some(Kind::ListValue(list)), None) => list.values.iter().collect(),
        (_, None) => vec![value],
    }
}

/// Whether Qdrant would find a point of these fields.
fn finds(filter: &Said, fields: &HashMap<String, Kept>) -> bool {
    let holds = |condition: &Condition| meets(condition, fields);
    filter.must.iter().all(holds)
        && !filter.must_not.iter().any(holds)
        && (filter.should.is_empty() || filter.should.iter().any(holds))
}

fn meets(condition: &Condition, fields: &HashMap<String, Kept>) -> bool {
    match condition.condition_one_of.as_ref().unwrap() {
        ConditionOneOf::Filter(filter) => finds(filter, fields),
        ConditionOneOf::Nested(nested) => {
            let items = values(fields, &nested.key).into_iter();
            items.filter_map(|item| item.kind.as_ref()).any(|kind| {
                let Kind::StructValue(map) = kind else {
                    return false;
                };
                finds(nested.filter.as_ref().unwrap(), &map.fields)
            })
        }
        ConditionOneOf::Field(field) => {
            values(fields, &field.key).into_iter().any(|value| {
                match (&field.r#match, &field.range) {
                    (Some(wanted), None) => {
                        let Some(MatchValue::Keywords(all)) = &wanted.match_value else {
                            panic!("{wanted:?}");
                        };
                        let Some(Kind::StringValue(text)) = &value.kind else {
                            return false;
                        };
                        all.strings.contains(text)
                    }
                    (None, Some(range)) => within(range, value),
                    other => panic!("{other:?}"),
                }
            })
        }
        other => panic!("{other:?}"),
    }
}

fn within(range: &Range, value: &Kept) -> bool {
    let number = match value.kind {
        Some(Kind::IntegerValue(whole)) => whole as f64,
        Some(Kind::DoubleValue(float)) => float,
        _ => return false,
    };
    range.gt.is_none_or(|bound| number > bound)
        && range.gte.is_none_or(|bound| number >= bound)
        && range.lt.is_none_or(|bound| number < bound)
        && range.lte.is_none_or(|bound| number <= bound)
}

fn fields(payload: Map<String, Value>) -> HashMap<String, Kept> {
    let point = Point {
        id: "a".to_owned(),
        vector: vec![1.0],
        text: None,
        payload,
    };
    let written = point::written(point).payload.into_iter();
    written.map(|(key, value)| (key, hasty(value))).collect()
}

fn schema() -> Schema {
    Schema {
        fields: [("b".to_owned(), FieldKind::Datetime)].into(),
        ..Schema::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn qdrant_finds_what_the_filter_matches(
        payload in object(stored()),
        more in proptest::collection::vec(any::<f64>(), 0..3),
        filters in proptest::collection::vec(filter(), 1..8),
    ) {
        let mut payload = payload;
        let finite = more.iter().copied().filter(|float| float.is_finite());
        let finite: Vec<f64> = finite.collect();
        payload.insert("f".to_owned(), json!(finite));
        let orders = finite.iter().flat_map(|bound| {
            ["$gt", "$gte", "$lt", "$lte"].map(|order| json!({"f": {order: bound}}))
        });
        let filters: Vec<Value> = filters.into_iter().chain(orders).collect();
        let fields = fields(payload.clone());
        for filter in filters {
            let Ok(parsed) = Filter::parse(&filter) else { continue };
            let bound = Filter::scoped(Some(&parsed), &schema(), Scope::at(0)).unwrap();
            if let Ok(marked) = bound.on_marks() {
                let said = condition::filter(&marked);
                prop_assert_eq!(
                    finds(&said, &fields), bound.matches(&payload), "{} of {:?}: {:?}", filter, payload, said
                );
            }
        }
    }

    #[test]
    fn a_payload_comes_back_as_it_was(payload in object(stored()), float in any::<f64>()) {
        let mut payload = payload;
        if float.is_finite() {
            payload.insert("f".to_owned(), json!([float, {"deep": float}]));
        }
        let read = point::read(fields(payload.clone()), None).unwrap();
        prop_assert_eq!(&read.payload, &payload);
        // 1 and 1.0 are different numbers to who reads them.
        prop_assert_eq!(
            sorted_text(&Value::Object(read.payload)), sorted_text(&Value::Object(payload))
        );
    }

    #[test]
    fn halves_are_in_the_order_of_the_floats(a in any::<f64>(), b in any::<f64>()) {
        prop_assume!(!a.is_nan() && !b.is_nan());
        let (a, b) = (a + 0.0, b + 0.0);
        let found = point::sortable(a).partial_cmp(&point::sortable(b));
        prop_assert_eq!(found, a.partial_cmp(&b));
    }
}

fn sorted_text(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().map(|(k, v)| (k, sorted_text(v))).collect();
            pairs.sort();
            format!("{pairs:?}")
        }
        Value::Array(items) => format!("{:?}", items.iter().map(sorted_text).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}

#[test]
fn an_id_is_a_uuid_of_its_hash() {
    let id = |text: &str| format!("{:?}", point::id_of(text));
    assert_ne!(id("a"), id("b"));
    // Stored points are found by it: it is the same for ever.
    assert!(id("a").contains("17762fdd-d969-8453-925d-65717ac3eea2"));
}

#[test]
fn a_declared_field_is_indexed_by_what_orders_it() {
    let of = |kind| fields_of("a.b", kind);
    let path = path_key("a.b");
    assert_eq!(of(FieldKind::Integer), [format!("n.{path}")]);
    assert_eq!(of(FieldKind::Float), of(FieldKind::Integer));
    assert_eq!(of(FieldKind::Datetime), [format!("t.{path}")]);
    assert_eq!(of(FieldKind::Keyword), [format!("w.{path}[].0")]);
    assert!(of(FieldKind::Bool).is_empty());
}

#[test]
fn scores_are_as_they_are_told_of() {
    assert_eq!(score(Metric::Cosine, 1.000_001), 1.0);
    assert_eq!(score(Metric::Dot, -0.0).to_bits(), 0.0_f32.to_bits());
    assert_eq!(score(Metric::L2, 5.0), 1.0 / 6.0);
}

#[test]
fn a_call_that_fails_says_whether_to_come_again() {
    let told = |error| fault("docs", error);
    assert_eq!(told(CallError::NotFound("x".to_owned())), gone("docs"));
    for (error, wait) in [
        (CallError::Resting(7), Some(7)),
        (CallError::Timeout(9), Some(RETRY_AFTER_MS)),
        (CallError::Denied("no key".to_owned()), None),
    ] {
        assert_eq!(told(error).retry_after_ms(), wait);
    }
    let refused = told(CallError::Refused("strict mode".to_owned())).to_string();
    assert!(
        refused.contains("which cannot do this: strict mode"),
        "{refused}"
    );
}
