//! A change, and its bytes in the log.

use std::cell::Cell;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

use super::Refinement;
use crate::storage::codec;
use crate::storage::disk::StorageError;
use crate::types::point::Point;

/// One change of a collection: logged as one record, applied as one.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Insert or replace these points, whose ids differ.
    Upsert(Vec<Point>),
    /// Delete the points of these ids.
    Delete(Vec<String>),
    /// Give these points their second vectors, where their text is still the same.
    Refine(Vec<Refinement>),
}

const UPSERT: u8 = 1;
const DELETE: u8 = 2;
const REFINE: u8 = 3;

impl Op {
    /// Returns the type byte of its record.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Upsert(_) => UPSERT,
            Self::Delete(_) => DELETE,
            Self::Refine(_) => REFINE,
        }
    }

    /// Returns the body of its record.
    pub fn encode(&self) -> Result<Vec<u8>, StorageError> {
        match self {
            Self::Upsert(points) => {
                codec::encode(&points.iter().map(StoredPoint::from).collect::<Vec<_>>())
            }
            Self::Delete(ids) => codec::encode(ids),
            Self::Refine(refined) => codec::encode(refined),
        }
    }

    /// Reads a record.
    pub fn decode(kind: u8, body: &[u8]) -> Result<Self, StorageError> {
        match kind {
            UPSERT => {
                let points: Vec<StoredPoint> = codec::decode(body)?;
                points
                    .into_iter()
                    .map(StoredPoint::into_point)
                    .collect::<Result<_, _>>()
                    .map(Self::Upsert)
            }
            DELETE => codec::decode(body).map(Self::Delete),
            REFINE => codec::decode(body).map(Self::Refine),
            other => Err(StorageError::Codec {
                action: "decode",
                reason: format!("unknown record type {other}"),
            }),
        }
    }
}

/// A point as it is written.
#[derive(Serialize, Deserialize)]
struct StoredPoint {
    id: String,
    vector: Vec<f32>,
    text: Option<String>,
    payload: Vec<(String, StoredValue)>,
}

/// A JSON value as it is written: numbers keep their exact bits, objects their order.
#[derive(Serialize, Deserialize)]
enum StoredValue {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    List(Vec<Nested>),
    Object(Vec<(String, Nested)>),
}

/// A value inside another, read only so deep: a record made up to nest without end must not end the stack.
#[derive(Serialize)]
#[serde(transparent)]
struct Nested(StoredValue);

/// More than is ever [admitted](super::admit).
const MAX_DEPTH: usize = 128;

thread_local! {
    /// How deep in a value this thread reads.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let depth = DEPTH.get();
        if depth >= MAX_DEPTH {
            return Err(D::Error::custom(format!(
                "a payload is nested deeper than {MAX_DEPTH} levels"
            )));
        }
        DEPTH.set(depth + 1);
        let value = StoredValue::deserialize(deserializer);
        DEPTH.set(depth);
        value.map(Self)
    }
}

impl From<&Point> for StoredPoint {
    fn from(point: &Point) -> Self {
        Self {
            id: point.id.clone(),
            vector: point.vector.clone(),
            text: point.text.clone(),
            payload: object(&point.payload),
        }
    }
}

impl StoredPoint {
    fn into_point(self) -> Result<Point, StorageError> {
        let payload = read_object(self.payload)?;
        Ok(Point {
            id: self.id,
            vector: self.vector,
            text: self.text,
            payload,
        })
    }
}

fn object(map: &Map<String, Value>) -> Vec<(String, StoredValue)> {
    map.iter()
        .map(|(key, value)| (key.clone(), StoredValue::from(value)))
        .collect()
}

fn read_object(
    pairs: impl IntoIterator<Item = (String, StoredValue)>,
) -> Result<Map<String, Value>, StorageError> {
    pairs
        .into_iter()
        .map(|(key, value)| Ok((key, value.into_json()?)))
        .collect()
}

impl From<&Value> for StoredValue {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(bit) => Self::Bool(*bit),
            Value::Number(number) => {
                if let Some(signed) = number.as_i64() {
                    Self::Signed(signed)
                } else if let Some(unsigned) = number.as_u64() {
                    Self::Unsigned(unsigned)
                } else {
                    Self::Float(number.as_f64().unwrap_or(0.0))
                }
            }
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => {
                Self::List(items.iter().map(|item| Nested(item.into())).collect())
            }
            Value::Object(map) => Self::Object(
                map.iter()
                    .map(|(key, value)| (key.clone(), Nested(value.into())))
                    .collect(),
            ),
        }
    }
}

impl StoredValue {
    fn into_json(self) -> Result<Value, StorageError> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(bit) => Value::Bool(bit),
            Self::Signed(number) => Value::Number(number.into()),
            Self::Unsigned(number) => Value::Number(number.into()),
            Self::Float(number) => {
                Number::from_f64(number)
                    .map(Value::Number)
                    .ok_or_else(|| StorageError::Codec {
                        action: "decode",
                        reason: format!("{number} in a payload"),
                    })?
            }
            Self::Text(text) => Value::String(text),
            Self::List(items) => Value::Array(
                items
                    .into_iter()
                    .map(|Nested(item)| item.into_json())
                    .collect::<Result<_, _>>()?,
            ),
            Self::Object(pairs) => {
                let pairs = pairs.into_iter().map(|(key, Nested(value))| (key, value));
                Value::Object(read_object(pairs)?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Code;
    use super::*;

    #[test]
    fn a_change_survives_its_bytes_exactly() {
        let payload = json!({
            "z": null, "a": [true, -1, u64::MAX, 0.1, -0.0, 1e300, 2.0],
            "nested": {"b": {"": "ü"}, "a": []}
        });
        let point = Point {
            id: "a/1 ü".to_owned(),
            vector: vec![f32::MIN_POSITIVE, -0.0, 1.0],
            text: Some(String::new()),
            payload: payload.as_object().unwrap().clone(),
        };
        let bare = Point {
            id: "b".to_owned(),
            vector: vec![],
            text: None,
            payload: Map::new(),
        };
        for op in [
            Op::Upsert(vec![point, bare]),
            Op::Delete(vec!["x".to_owned()]),
            Op::Refine(vec![Refinement {
                id: "a/1 ü".to_owned(),
                text: u64::MAX,
                code: Code::of(&[0.6, -0.8]),
            }]),
        ] {
            let back = Op::decode(op.kind(), &op.encode().unwrap()).unwrap();
            assert_eq!(back, op);
            assert_eq!(
                format!("{back:?}"),
                format!("{op:?}"),
                "order and sign of zero too"
            );
        }
    }

    #[test]
    fn a_value_that_nests_without_end_is_an_error() {
        // One point with one payload field, a list of one list of one list…
        let mut body = [1_u64, 0, 0].map(u64::to_le_bytes).concat();
        body.push(0);
        body.extend([1_u64, 1].map(u64::to_le_bytes).concat());
        body.push(b'k');
        let level = [&6_u32.to_le_bytes()[..], &1_u64.to_le_bytes()].concat();
        for (depth, good) in [(100, true), (1_000_000, false)] {
            let mut body = body.clone();
            body.extend(level.repeat(depth));
            body.extend(0_u32.to_le_bytes());
            let read = Op::decode(UPSERT, &body);
            assert_eq!(read.is_ok(), good, "{depth}");
            if let Err(error) = read {
                assert!(error.to_string().contains("deeper than 128"), "{error}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_change_are_an_error() {
        let body = Op::Delete(vec!["x".to_owned()]).encode().unwrap();
        assert!(
            Op::decode(9, &body)
                .unwrap_err()
                .to_string()
                .contains("unknown record type 9")
        );
        assert!(Op::decode(UPSERT, &body).is_err());
        assert!(Op::decode(DELETE, &body[..body.len() - 1]).is_err());
    }
}
