//! Points as Qdrant keeps them, and back.

use std::collections::HashMap;

use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vector::Vector as VectorKind;
use qdrant_client::qdrant::vector_output::Vector as OutputKind;
use qdrant_client::qdrant::vectors_output::VectorsOptions as OutputOptions;
use qdrant_client::qdrant::{
    DenseVector, ListValue, NamedVectors, PointId, PointStruct, SparseVector, Struct,
    Value as Kept, Vector, Vectors, VectorsOutput,
};
use serde_json::{Map, Number, Value};

use super::order;
use crate::engines::index::{Key, Marks, PathKey, Word, sparse};
use crate::types::point::Point;

/// The name of the vector of a point.
pub(super) const DENSE: &str = "dense";
/// The name of the vector of its words.
pub(super) const LEXICAL: &str = "words";

/// Fields of a point in Qdrant: what the point is.
pub(super) const ID: &str = "id";
/// The parts of its id, by their places.
pub(super) const ORDER: &str = "o";
pub(super) const TEXT: &str = "text";
pub(super) const PAYLOAD: &str = "payload";
/// The payload as JSON, where Qdrant would keep a number of it only nearly.
pub(super) const JSON: &str = "json";
/// And what filters go by: see [`Marks`].
pub(super) const KEYS: &str = "keys";
pub(super) const NUMBERS: &str = "n";
/// Numbers that Qdrant would keep only nearly, in two halves each.
pub(super) const EXACT: &str = "x";
pub(super) const MOMENTS: &str = "t";
pub(super) const WORDS: &str = "w";
/// Stands in a word that is a moment.
pub(super) const IS_MOMENT: &str = "m";

/// The id that Qdrant knows a point by: it has only numbers and UUIDs.
pub(super) fn id_of(id: &str) -> PointId {
    let hash = blake3::hash(id.as_bytes());
    let mut bytes: Key = Key::default();
    for (to, from) in bytes.iter_mut().zip(hash.as_bytes()) {
        *to = *from;
    }
    // A UUID of version 8: its bits are of its maker's choosing (RFC 9562, section 5.8).
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    uuid(key_text(&bytes))
}

fn uuid(text: String) -> PointId {
    PointId {
        point_id_options: Some(PointIdOptions::Uuid(text)),
    }
}

/// A key as a UUID is written.
pub(super) fn key_text(key: &Key) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in key.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
    }
    text
}

/// Writes a point.
pub(super) fn written(point: Point) -> PointStruct {
    let marks = Marks::of(&point.payload);
    let mut vectors = HashMap::new();
    if let Some(text) = &point.text {
        let (indices, values): (Vec<u32>, Vec<f32>) = sparse::weights(text).into_iter().unzip();
        // A text without words is in no list of theirs.
        if !indices.is_empty() {
            let words = VectorKind::Sparse(SparseVector { values, indices });
            vectors.insert(LEXICAL.to_owned(), vector(words));
        }
    }
    let dense = VectorKind::Dense(DenseVector { data: point.vector });
    vectors.insert(DENSE.to_owned(), vector(dense));
    let id = id_of(&point.id);
    let mut fields = HashMap::new();
    let order = order::parts(&point.id).into_iter().enumerate();
    let order = order.map(|(at, part)| (at.to_string(), number(part)));
    fields.insert(ORDER.to_owned(), object(order.collect()));
    fields.insert(ID.to_owned(), text(point.id));
    if let Some(own) = point.text {
        fields.insert(TEXT.to_owned(), text(own));
    }
    if !point.payload.values().all(survives) {
        let json = Value::Object(point.payload.clone()).to_string();
        fields.insert(JSON.to_owned(), text(json));
    }
    if !point.payload.is_empty() {
        fields.insert(PAYLOAD.to_owned(), kept(Value::Object(point.payload)));
        marked(marks, &mut fields);
    }
    PointStruct {
        id: Some(id),
        payload: fields,
        vectors: Some(Vectors::from(NamedVectors { vectors })),
    }
}

fn vector(kind: VectorKind) -> Vector {
    Vector {
        vector: Some(kind),
        ..Vector::default()
    }
}

/// Adds the fields that filters go by.
fn marked(marks: Marks, fields: &mut HashMap<String, Kept>) {
    let keys = marks.keys.iter().map(|key| text(key_text(key)));
    fields.insert(KEYS.to_owned(), list(keys));
    let (mut plain, mut exact) = (HashMap::new(), HashMap::new());
    for (path, numbers) in marks.numbers {
        let (whole, rest): (Vec<f64>, Vec<f64>) = numbers.into_iter().partition(|n| is_plain(*n));
        insert(&mut plain, &path, whole.into_iter().map(number));
        insert(
            &mut exact,
            &path,
            rest.into_iter().map(|n| parts(&sortable(n), false)),
        );
    }
    add(fields, NUMBERS, plain);
    add(fields, EXACT, exact);
    let mut moments = HashMap::new();
    for (path, at) in marks.moments {
        insert(&mut moments, &path, at.into_iter().map(number));
    }
    add(fields, MOMENTS, moments);
    let mut words = HashMap::new();
    for (path, own) in marks.words {
        let own = own.into_iter();
        let own = own.map(
            |Word {
                 parts: own,
                 is_moment,
             }| parts(&own, is_moment),
        );
        insert(&mut words, &path, own);
    }
    add(fields, WORDS, words);
}

fn insert(to: &mut HashMap<String, Kept>, path: &PathKey, all: impl Iterator<Item = Kept>) {
    let all: Vec<Kept> = all.collect();
    if !all.is_empty() {
        to.insert(path.clone(), list(all));
    }
}

fn add(fields: &mut HashMap<String, Kept>, name: &str, paths: HashMap<String, Kept>) {
    if !paths.is_empty() {
        fields.insert(name.to_owned(), object(paths));
    }
}

/// The parts of an item, by their places.
fn parts(parts: &[f64], is_moment: bool) -> Kept {
    let numbered = parts.iter().enumerate();
    let mut fields: HashMap<String, Kept> = numbered
        .filter(|(at, part)| *at == 0 || **part > 0.0)
        .map(|(at, part)| (at.to_string(), number(*part)))
        .collect();
    if is_moment {
        fields.insert(IS_MOMENT.to_owned(), number(1.0));
    }
    object(fields)
}

/// Two whole numbers that are ordered, the first before the second, as the floats are.
pub(super) fn sortable(float: f64) -> [f64; 2] {
    let bits = float.to_bits();
    let ordered = match bits >> 63 {
        0 => bits | 1 << 63,
        _ => !bits,
    };
    [(ordered >> 32) as f64, (ordered & 0xffff_ffff) as f64]
}

/// Whether Qdrant, which reads JSON with its fast reader, gives a float back as it was.
fn is_plain(float: f64) -> bool {
    is_whole(float).is_some() || Number::from_f64(float).is_some_and(|number| is_short(&number))
}

/// A float that is a whole number of 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^63")]
fn is_whole(float: f64) -> Option<i64> {
    (float.fract() == 0.0 && float.abs() < 9.2e18).then_some(float as i64)
}

/// Whether a number has so few digits that any reader reads it rightly: both its digits and the power of ten are floats
/// themselves, so that one operation, rounded once, makes it (Clinger, PLDI 1990).
fn is_short(number: &Number) -> bool {
    let text = number.to_string();
    let text = text.trim_start_matches('-');
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, broken) = digits.split_once('.').unwrap_or((digits, ""));
    let Ok(digits) = format!("{whole}{broken}").parse::<u64>() else {
        return false;
    };
    let Ok(exponent) = exponent.parse::<i64>() else {
        return false;
    };
    let power = exponent - i64::try_from(broken.len()).unwrap_or(i64::MAX);
    digits < 1 << 53 && power.abs() <= 22
}

/// Whether every number of a value comes back as it was.
fn survives(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_i64() || (number.is_f64() && is_short(number)),
        Value::Array(items) => items.iter().all(survives),
        Value::Object(map) => map.values().all(survives),
        _ => true,
    }
}

fn value(kind: Kind) -> Kept {
    Kept { kind: Some(kind) }
}

fn text(text: String) -> Kept {
    value(Kind::StringValue(text))
}

fn number(float: f64) -> Kept {
    match is_whole(float) {
        Some(whole) => value(Kind::IntegerValue(whole)),
        None => value(Kind::DoubleValue(float)),
    }
}

fn list(values: impl IntoIterator<Item = Kept>) -> Kept {
    let values = values.into_iter().collect();
    value(Kind::ListValue(ListValue { values }))
}

fn object(fields: HashMap<String, Kept>) -> Kept {
    value(Kind::StructValue(Struct { fields }))
}

fn kept(json: Value) -> Kept {
    match json {
        Value::Null => value(Kind::NullValue(0)),
        Value::Bool(bit) => value(Kind::BoolValue(bit)),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => value(Kind::IntegerValue(whole)),
            None => value(Kind::DoubleValue(number.as_f64().unwrap_or_default())),
        },
        Value::String(own) => text(own),
        Value::Array(items) => list(items.into_iter().map(kept)),
        Value::Object(map) => object(map.into_iter().map(|(key, own)| (key, kept(own))).collect()),
    }
}

fn json(kept: Kept) -> Value {
    match kept.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(bit)) => Value::Bool(bit),
        Some(Kind::IntegerValue(whole)) => Value::from(whole),
        Some(Kind::DoubleValue(float)) => Value::from(float),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json).collect(),
        Some(Kind::StructValue(fields)) => Value::Object(map(fields)),
    }
}

fn map(fields: Struct) -> Map<String, Value> {
    let mut pairs: Vec<_> = fields.fields.into_iter().collect();
    // They come in no order: this one is the same each time.
    pairs.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    pairs
        .into_iter()
        .map(|(key, own)| (key, json(own)))
        .collect()
}

/// What of a point came back.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) id: String,
    pub(super) text: Option<String>,
    pub(super) payload: Map<String, Value>,
    pub(super) vector: Vec<f32>,
}

impl From<Read> for Point {
    fn from(read: Read) -> Self {
        Self {
            id: read.id,
            vector: read.vector,
            text: read.text,
            payload: read.payload,
        }
    }
}

/// Reads a point. `None`: it is none of ours.
pub(super) fn read(
    mut fields: HashMap<String, Kept>,
    vectors: Option<VectorsOutput>,
) -> Option<Read> {
    let mut string = |name: &str| match fields.remove(name)?.kind {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    };
    let (id, text, exact) = (string(ID)?, string(TEXT), string(JSON));
    let exact = exact.and_then(|json| serde_json::from_str(&json).ok());
    let payload = exact.or_else(|| match fields.remove(PAYLOAD)?.kind {
        Some(Kind::StructValue(fields)) => Some(map(fields)),
        _ => None,
    });
    Some(Read {
        id,
        text,
        payload: payload.unwrap_or_default(),
        vector: vectors.and_then(dense).unwrap_or_default(),
    })
}

fn dense(vectors: VectorsOutput) -> Option<Vec<f32>> {
    let own = match vectors.vectors_options? {
        OutputOptions::Vector(own) => own,
        OutputOptions::Vectors(mut named) => named.vectors.remove(DENSE)?,
    };
    match own.vector {
        Some(OutputKind::Dense(dense)) => Some(dense.data),
        #[expect(deprecated, reason = "servers before 1.16 answer so")]
        None => Some(own.data),
        Some(_) => None,
    }
}
