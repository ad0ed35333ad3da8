//! What may become part of a collection: checked whole before anything is written.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::filter::check_path;
use super::{IndexConfig, IndexError, distance};
use crate::types::collection::{CollectionSpec, FieldKind, Schema};
use crate::types::point::{Metric, Point};

const MAX_ID_BYTES: usize = 512;
const MAX_DIM: usize = 8192;
/// Each is looked for in every point that comes.
const MAX_FIELDS: usize = 64;

/// Checks the properties of a collection to be created.
pub fn check_spec(spec: &CollectionSpec) -> Result<(), IndexError> {
    let name = spec.name.as_str();
    if !is_collection_name(name) {
        let shown: String = name.chars().take(80).filter(|c| !c.is_control()).collect();
        return Err(IndexError::BadSpec(format!(
            "collection name must be 1 to 64 of a-z A-Z 0-9 _ -, not starting with -, got {shown:?}"
        )));
    }
    if !(1..=MAX_DIM).contains(&spec.dim) {
        return Err(IndexError::BadSpec(format!(
            "dim must be 1 to {MAX_DIM}, got {}",
            spec.dim
        )));
    }
    check_schema(&spec.schema)
}

/// Checks what a collection declares of its payloads.
pub fn check_schema(schema: &Schema) -> Result<(), IndexError> {
    let bad = |reason: String| Err(IndexError::BadSpec(reason));
    if schema.fields.len() > MAX_FIELDS {
        let got = schema.fields.len();
        return bad(format!(
            "at most {MAX_FIELDS} fields can be indexed, got {got}"
        ));
    }
    for path in schema.fields.keys() {
        check_path(path).or_else(|reason| bad(format!("fields: {reason}")))?;
        if path.is_empty() || path.starts_with('$') {
            return bad("fields: a field's path is not empty and does not start with $".to_owned());
        }
    }
    for (what, path, kind) in [
        ("role_field", &schema.role_field, FieldKind::Keyword),
        ("ttl_field", &schema.ttl_field, FieldKind::Datetime),
    ] {
        let Some(path) = path else { continue };
        let indexed = schema.fields.get(path).copied();
        if indexed != Some(kind) {
            return bad(format!(
                "{what} {path} must be a {} in fields, got {}",
                kind.as_str(),
                indexed.map_or("none", FieldKind::as_str)
            ));
        }
    }
    if schema.role_required && schema.role_field.is_none() {
        return bad("role_required says nothing without role_field".to_owned());
    }
    Ok(())
}

/// Whether a collection can have this name, which is also its folder's.
pub fn is_collection_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(letters) && !name.starts_with('-')
}

/// Checks a batch of points and makes them ready to be stored, or refuses it whole.
///
/// Of points with the same id the last one stays. Cosine vectors are normalised.
pub fn admit(
    points: Vec<Point>,
    spec: &CollectionSpec,
    config: &IndexConfig,
) -> Result<Vec<Point>, IndexError> {
    within("points of one write", points.len(), config.max_batch_points)?;
    for (at, point) in points.iter().enumerate() {
        let place = || format!("points[{at}]");
        check_id(&point.id).map_err(|reason| IndexError::BadPoint {
            place: place(),
            reason,
        })?;
        let text = point.text.as_ref().map_or(0, String::len);
        within_at(&place, "text bytes", text, config.max_text_bytes)?;
        let depth_limit = config.max_payload_depth;
        let size = measure(&point.payload, depth_limit).ok_or_else(|| IndexError::BadPoint {
            place: place(),
            reason: format!("payload is nested deeper than {depth_limit} levels"),
        })?;
        within_at(&place, "payload bytes", size, config.max_payload_bytes)?;
    }
    let mut last = HashMap::with_capacity(points.len());
    for (at, point) in points.iter().enumerate() {
        last.insert(point.id.clone(), at);
    }
    let mut admitted = Vec::with_capacity(last.len());
    for (at, mut point) in points.into_iter().enumerate() {
        let ready = prepare(point.vector, spec, &format!("points[{at}]"))?;
        if last.get(&point.id) == Some(&at) {
            point.vector = ready;
            admitted.push(point);
        }
    }
    Ok(admitted)
}

/// Checks a vector against the collection and makes it ready to be compared.
pub(super) fn prepare(
    mut vector: Vec<f32>,
    spec: &CollectionSpec,
    place: &str,
) -> Result<Vec<f32>, IndexError> {
    let bad = |reason: String| IndexError::BadPoint {
        place: place.to_owned(),
        reason,
    };
    if vector.len() != spec.dim {
        return Err(IndexError::WrongDimension {
            place: place.to_owned(),
            expected: spec.dim,
            got: vector.len(),
        });
    }
    if let Some(at) = vector.iter().position(|x| !x.is_finite()) {
        return Err(bad(format!(
            "vector[{at}] is {}, it must be a finite number",
            vector[at]
        )));
    }
    match spec.metric {
        Metric::Cosine => {
            if !distance::normalise(&mut vector) {
                return Err(bad(
                    "vector is all zeros, which has no direction; use metric dot or l2".to_owned(),
                ));
            }
        }
        Metric::Dot | Metric::L2 => {
            let squares: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            // Beyond this a sum of products may overflow, and the order of scores with it.
            if squares > f64::from(f32::MAX) / 8.0 {
                return Err(bad(format!(
                    "vector is too long: its length is {:e}, at most {:e} can be compared",
                    squares.sqrt(),
                    (f64::from(f32::MAX) / 8.0).sqrt()
                )));
            }
        }
    }
    Ok(vector)
}

fn check_id(id: &str) -> Result<(), String> {
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        return Err(format!(
            "id must be 1 to {MAX_ID_BYTES} bytes, got {}",
            id.len()
        ));
    }
    match id.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("id has the control character {c:?}; remove it")),
        None => Ok(()),
    }
}

pub(super) fn within(what: &str, got: usize, limit: usize) -> Result<(), IndexError> {
    if got > limit {
        return Err(IndexError::TooLarge {
            what: what.to_owned(),
            got,
            limit,
        });
    }
    Ok(())
}

fn within_at(
    place: &dyn Fn() -> String,
    what: &str,
    got: usize,
    limit: usize,
) -> Result<(), IndexError> {
    if got > limit {
        return within(&format!("{} {what}", place()), got, limit);
    }
    Ok(())
}

/// Bytes that a point takes, about.
pub fn size_of(point: &Point) -> usize {
    let text = point.text.as_ref().map_or(0, String::len);
    // A stored payload is no deeper than it was allowed to be.
    let payload = measure(&point.payload, usize::MAX).unwrap_or(usize::MAX);
    (point.id.len() + 4 * point.vector.len() + text).saturating_add(payload)
}

/// Bytes that a payload takes, about as JSON; `None` when it is nested too deep.
fn measure(map: &Map<String, Value>, depth_left: usize) -> Option<usize> {
    let mut bytes = 2;
    for (key, value) in map {
        bytes += key.len() + 4 + measure_value(value, depth_left.checked_sub(1)?)?;
    }
    Some(bytes)
}

fn measure_value(value: &Value, depth_left: usize) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.len() + 2),
        Value::Array(items) => {
            let deeper = depth_left.checked_sub(1)?;
            items
                .iter()
                .try_fold(2, |sum, item| Some(sum + 1 + measure_value(item, deeper)?))
        }
        Value::Object(map) => measure(map, depth_left),
        _ => Some(8),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::types::error_kind::ErrorKind;

    fn spec(metric: Metric) -> CollectionSpec {
        CollectionSpec {
            name: "docs".to_owned(),
            dim: 2,
            metric,
            embedder: None,
            fingerprint: None,
            refiner: None,
            schema: Schema::default(),
            backend: Default::default(),
            created_ms: 0,
        }
    }

    fn point(id: &str, vector: &[f32]) -> Point {
        Point {
            id: id.to_owned(),
            vector: vector.to_vec(),
            text: None,
            payload: Map::new(),
        }
    }

    fn refused(point: Point, metric: Metric) -> IndexError {
        let config = IndexConfig {
            max_text_bytes: 9,
            max_payload_bytes: 99,
            ..Default::default()
        };
        let good = self::point("ok", &[1.0, 0.0]);
        admit(vec![good, point], &spec(metric), &config).unwrap_err()
    }

    #[test]
    fn every_bad_point_is_named_with_what_to_change() {
        let mut deep = json!(1);
        for _ in 0..20 {
            deep = json!({ "a": deep });
        }
        let with = |payload: Value| Point {
            payload: payload.as_object().unwrap().clone(),
            ..point("a", &[1.0, 0.0])
        };
        let text = Point {
            text: Some("ten bytes!".to_owned()),
            ..point("a", &[1.0, 0.0])
        };
        let cases = [
            (
                point("", &[1.0, 0.0]),
                "points[1]: id must be 1 to 512 bytes, got 0",
            ),
            (
                point(&"x".repeat(513), &[1.0, 0.0]),
                "id must be 1 to 512 bytes, got 513",
            ),
            (
                point("a\u{0}b", &[1.0, 0.0]),
                "id has the control character '\\0'",
            ),
            (
                point("a", &[1.0]),
                "points[1]: wrong dimension: expected 2, got 1",
            ),
            (
                point("a", &[]),
                "points[1]: wrong dimension: expected 2, got 0",
            ),
            (point("a", &[1.0, f32::NAN]), "points[1]: vector[1] is NaN"),
            (point("a", &[f32::NEG_INFINITY, 0.0]), "vector[0] is -inf"),
            (point("a", &[0.0, -0.0]), "vector is all zeros"),
            (with(deep), "payload is nested deeper than 16 levels"),
            (
                with(json!({"a": "x".repeat(99)})),
                "points[1] payload bytes: 108 is over the limit of 99",
            ),
            (text, "points[1] text bytes: 10 is over the limit of 9"),
        ];
        for (bad, expected) in cases {
            let error = refused(bad, Metric::Cosine);
            assert!(error.to_string().contains(expected), "{error} / {expected}");
            assert!(matches!(
                error.kind(),
                ErrorKind::BadRequest | ErrorKind::TooLarge
            ));
        }
        let error = refused(point("a", &[1e19, 1e19]), Metric::L2);
        assert!(error.to_string().contains("vector is too long"), "{error}");
    }

    #[test]
    fn the_last_of_equal_ids_stays_and_cosine_is_normalised() {
        let batch = vec![
            point("a", &[1.0, 0.0]),
            point("b", &[0.0, 2.0]),
            point("a", &[3.0, 4.0]),
        ];
        let admitted = admit(
            batch.clone(),
            &spec(Metric::Cosine),
            &IndexConfig::default(),
        )
        .unwrap();
        assert_eq!(admitted, [point("b", &[0.0, 1.0]), point("a", &[0.6, 0.8])]);
        let admitted = admit(batch, &spec(Metric::Dot), &IndexConfig::default()).unwrap();
        assert_eq!(admitted, [point("b", &[0.0, 2.0]), point("a", &[3.0, 4.0])]);
    }

    #[test]
    fn a_bad_point_that_a_later_one_replaces_still_refuses_the_batch() {
        let batch = vec![point("a", &[f32::NAN, 0.0]), point("a", &[1.0, 0.0])];
        assert!(admit(batch, &spec(Metric::Cosine), &IndexConfig::default()).is_err());
    }

    #[test]
    fn names_and_dimensions_are_bounded() {
        for name in ["a", "A_b-9", &"x".repeat(64), "_"] {
            check_spec(&CollectionSpec {
                name: name.to_owned(),
                ..spec(Metric::Dot)
            })
            .unwrap();
        }
        for name in [
            "",
            "-a",
            "a/b",
            "..",
            "a.b",
            "ä",
            "a b",
            &"x".repeat(65),
            "a\0",
        ] {
            let bad = CollectionSpec {
                name: name.to_owned(),
                ..spec(Metric::Dot)
            };
            assert!(check_spec(&bad).is_err(), "{name:?}");
        }
        for dim in [0, 8193, usize::MAX] {
            assert!(
                check_spec(&CollectionSpec {
                    dim,
                    ..spec(Metric::Dot)
                })
                .is_err()
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_admitted_compares_to_finite_scores(
            a in proptest::collection::vec(any::<f32>(), 2),
            b in proptest::collection::vec(any::<f32>(), 2),
            metric in prop_oneof![Just(Metric::Cosine), Just(Metric::Dot), Just(Metric::L2)],
        ) {
            let ready = |v| prepare(v, &spec(metric), "v");
            if let (Ok(a), Ok(b)) = (ready(a), ready(b)) {
                prop_assert!(distance::likeness(metric, &a, &b).is_finite());
            }
        }
    }
}
