//! What payloads say as flat marks, for engines whose filters are poorer than ours.
//!
//! A payload becomes [`Marks`], a filter a [`Marked`] over them: it [holds](Marked::holds) for the marks of
//! a payload just where the filter matches the payload. An engine stores the marks beside the payload, and looks up
//! keys and compares numbers; paths, lists, kinds and equality are settled here. What cannot be said so is refused.

#[cfg(test)]
pub(crate) mod arbitrary;
mod canonical;
mod condition;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

pub use condition::Marked;
pub use words::Word;

use super::instant;
use super::parse::{MAX_PATH_BYTES, MAX_PATH_DOTS};

/// Tells that a path is there, or what it holds: 128 bits of a hash, so that no two are ever the same.
pub type Key = [u8; 16];

/// A path in as many letters as any other, none of them special to an engine.
pub type PathKey = String;

/// From here on not every whole number is a `f64` of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What a payload says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marks {
    /// What it holds where, and which paths there are.
    pub keys: BTreeSet<Key>,
    /// Its numbers, by path.
    pub numbers: BTreeMap<PathKey, Vec<f64>>,
    /// Its moments, microseconds of Unix time, by path.
    pub moments: BTreeMap<PathKey, Vec<f64>>,
    /// Its strings as what orders them, by path.
    pub words: BTreeMap<PathKey, Vec<Word>>,
}

impl Marks {
    /// Reads a payload.
    pub fn of(payload: &Map<String, Value>) -> Self {
        let mut marks = Self::default();
        marks.object(payload, "", 0);
        marks
    }

    /// Marks what every path below `before` leads to.
    fn object(&mut self, map: &Map<String, Value>, before: &str, dots: usize) {
        for (key, value) in map {
            let path = format!("{before}{key}");
            let dots = dots + key.matches('.').count();
            // No filter can name a longer one.
            if path.len() > MAX_PATH_BYTES || dots > MAX_PATH_DOTS {
                continue;
            }
            self.keys.insert(canonical::present(&path));
            self.value(&path, value);
            let below = format!("{path}.");
            match value {
                Value::Object(inner) => self.object(inner, &below, dots + 1),
                Value::Array(items) => {
                    for item in items {
                        self.value(&path, item);
                        if let Value::Object(inner) = item {
                            self.object(inner, &below, dots + 1);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn value(&mut self, path: &str, value: &Value) {
        self.keys.extend(canonical::stored(path, value));
        let moment = instant::read(value);
        if let Some(moment) = moment {
            let exact = moment as f64;
            if exact.abs() >= EXACT {
                self.keys.insert(canonical::moment(path, moment));
            }
            add(&mut self.moments, path, exact);
        }
        match value {
            // Adding zero turns -0 into 0: an engine may tell them apart.
            Value::Number(number) => {
                if let Some(number) = number.as_f64() {
                    add(&mut self.numbers, path, number + 0.0);
                }
            }
            Value::String(text) => {
                let word = Word::of(text, moment.is_some());
                add(&mut self.words, path, word);
            }
            _ => {}
        }
    }
}

/// A path as the name of its marks.
pub fn path_key(path: &str) -> PathKey {
    let hash = blake3::hash(path.as_bytes());
    let hex = hash.to_hex();
    format!("p{}", hex.get(..16).unwrap_or_default())
}

fn add<T: PartialEq>(marks: &mut BTreeMap<PathKey, Vec<T>>, path: &str, mark: T) {
    let all = marks.entry(path_key(path)).or_default();
    // Lists are mostly short; a long one is kept with what comes twice.
    if all.len() > 64 || !all.contains(&mark) {
        all.push(mark);
    }
}
