//! Equal values, equal keys.
//!
//! `1` and `1.0` are equal, and so are objects whose keys are in another order. Whole numbers are compared exactly with each
//! other, and as `f64` with those that are not: from 2^53 on that is no equivalence, so that a number there has several keys,
//! and what is sought chooses among them.

use serde_json::{Number, Value};

use super::super::whole;
use super::{EXACT, Key};

/// The key of a path that is there.
pub(super) fn present(path: &str) -> Key {
    Text::new(path, b'p').key()
}

/// The key of a moment at a path.
pub(super) fn moment(path: &str, micros: i64) -> Key {
    let mut text = Text::new(path, b'm');
    text.0.update(&micros.to_le_bytes());
    text.key()
}

/// The keys of a value that is stored.
pub(super) fn stored(path: &str, value: &Value) -> Vec<Key> {
    let own = own(path, value);
    match value {
        Value::Number(number) => match great(number) {
            Some(float) => vec![own, near(path, float)],
            None => vec![own],
        },
        _ => vec![own],
    }
}

/// The keys of which a stored value that is equal has one; `None`: no key can tell.
pub(super) fn sought(path: &str, value: &Value) -> Option<Vec<Key>> {
    if let Value::Number(number) = value
        && let Some(float) = great(number)
    {
        return Some(match whole(value) {
            Some(_) => vec![own(path, value), own(path, &Value::from(float))],
            None => vec![near(path, float)],
        });
    }
    (!has_great(value)).then(|| vec![own(path, value)])
}

/// A number from 2^53 on.
fn great(number: &Number) -> Option<f64> {
    number.as_f64().filter(|float| float.abs() >= EXACT)
}

fn has_great(value: &Value) -> bool {
    match value {
        Value::Number(number) => great(number).is_some(),
        Value::Array(items) => items.iter().any(has_great),
        Value::Object(map) => map.values().any(has_great),
        _ => false,
    }
}

fn own(path: &str, value: &Value) -> Key {
    let mut text = Text::new(path, b'v');
    text.value(value);
    text.key()
}

/// The key of a number that is the same `f64`.
fn near(path: &str, float: f64) -> Key {
    let mut text = Text::new(path, b'f');
    text.0.update(&float.to_bits().to_le_bytes());
    text.key()
}

/// A value in the one way to write it.
struct Text(blake3::Hasher);

impl Text {
    fn new(path: &str, what: u8) -> Self {
        let mut text = Self(blake3::Hasher::new());
        text.0.update(&[what]);
        text.text(path);
        text
    }

    fn text(&mut self, text: &str) {
        self.size(text.len());
        self.0.update(text.as_bytes());
    }

    fn size(&mut self, size: usize) {
        self.0.update(&(size as u64).to_le_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => {
                self.0.update(b"0");
            }
            Value::Bool(bit) => {
                self.0.update(if *bit { b"t" } else { b"f" });
            }
            Value::Number(number) => self.number(number),
            Value::String(text) => {
                self.0.update(b"s");
                self.text(text);
            }
            Value::Array(items) => {
                self.0.update(b"a");
                self.size(items.len());
                for item in items {
                    self.value(item);
                }
            }
            Value::Object(map) => {
                self.0.update(b"o");
                self.size(map.len());
                let mut keys: Vec<_> = map.iter().collect();
                keys.sort_unstable_by_key(|(key, _)| key.as_str());
                for (key, value) in keys {
                    self.text(key);
                    self.value(value);
                }
            }
        }
    }

    fn number(&mut self, number: &Number) {
        let whole = number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from));
        let float = number.as_f64().unwrap_or_default();
        match whole.or_else(|| small(float)) {
            Some(whole) => {
                self.0.update(b"i");
                self.0.update(&whole.to_le_bytes());
            }
            None => {
                self.0.update(b"d");
                self.0.update(&float.to_bits().to_le_bytes());
            }
        }
    }

    fn key(self) -> Key {
        let mut key = Key::default();
        self.0.finalize_xof().fill(&mut key);
        key
    }
}

/// A whole number that is written as a float.
#[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
fn small(float: f64) -> Option<i128> {
    (float.abs() < EXACT && float.fract() == 0.0).then(|| i128::from(float as i64))
}
