//! Nested rows taken apart into columns of values and levels.
//!
//! Source: Melnik et al., Dremel, VLDB 2010: a definition level says how much of the path to a value is there, a
//! repetition level which list goes on with it.

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedColumnWriter;
use serde_json::Value;

use super::{ParquetColumn, ParquetType};

/// Bytes that a level and a value's place take, about.
const LEAF_BYTES: usize = 16;

/// Where the values of a row's part go.
#[derive(Debug)]
pub(super) enum Node {
    /// Into this column.
    Leaf(usize),
    List(Box<Node>),
    /// By name.
    Struct(Vec<(String, Node)>),
}

/// How deep something stands in a row.
#[derive(Debug, Clone, Copy)]
struct Levels {
    /// Parts of the path that are there.
    defined: i16,
    /// The list that goes on.
    repeated: i16,
    /// Lists around it.
    lists: i16,
}

impl Levels {
    fn deeper(self, by: i16) -> Self {
        let defined = self.defined + by;
        Self { defined, ..self }
    }
}

impl Node {
    /// Errors: no members, or two of one name.
    pub(super) fn of_members(
        members: &[ParquetColumn],
        leaves: &mut Vec<Leaf>,
    ) -> Result<Self, String> {
        if members.is_empty() {
            return Err("a struct needs a member".to_owned());
        }
        let mut nodes: Vec<(String, Self)> = Vec::with_capacity(members.len());
        for member in members {
            if nodes.iter().any(|(name, _)| *name == member.name) {
                return Err(format!("two columns are called {:?}", member.name));
            }
            nodes.push((member.name.clone(), Self::of(&member.kind, leaves)?));
        }
        Ok(Self::Struct(nodes))
    }

    fn of(kind: &ParquetType, leaves: &mut Vec<Leaf>) -> Result<Self, String> {
        let values = match kind {
            ParquetType::List(of) => return Ok(Self::List(Box::new(Self::of(of, leaves)?))),
            ParquetType::Struct(members) => return Self::of_members(members, leaves),
            ParquetType::Text => Values::Texts(Vec::new()),
            ParquetType::Json => Values::Json(Vec::new()),
            ParquetType::Int | ParquetType::Time => Values::Ints(Vec::new()),
            ParquetType::Float => Values::Floats(Vec::new()),
            ParquetType::Bool => Values::Bools(Vec::new()),
        };
        leaves.push(Leaf::of(values));
        Ok(Self::Leaf(leaves.len() - 1))
    }

    /// Adds a row; returns about how many bytes it takes. Errors: in words.
    pub(super) fn shred_row(&self, row: &Value, leaves: &mut [Leaf]) -> Result<usize, String> {
        let whole = Levels {
            // The row itself is always there.
            defined: -1,
            repeated: 0,
            lists: 0,
        };
        match row {
            Value::Object(_) => self.shred(Some(row), whole, leaves),
            _ => Err("it is no object".to_owned()),
        }
    }

    fn shred(
        &self,
        value: Option<&Value>,
        at: Levels,
        leaves: &mut [Leaf],
    ) -> Result<usize, String> {
        let value = value.filter(|value| !value.is_null());
        match (self, value) {
            (Self::Leaf(index), value) => match leaves.get_mut(*index) {
                Some(leaf) => leaf.push(value, at),
                None => Err("no such column".to_owned()),
            },
            (Self::List(of), None) => of.shred(None, at, leaves),
            (Self::List(of), Some(Value::Array(items))) if items.is_empty() => {
                of.shred(None, at.deeper(1), leaves)
            }
            (Self::List(of), Some(Value::Array(items))) => {
                let mut bytes = 0;
                let mut within = Levels {
                    lists: at.lists + 1,
                    ..at.deeper(2)
                };
                for item in items {
                    bytes += of.shred(Some(item), within, leaves)?;
                    within.repeated = within.lists;
                }
                Ok(bytes)
            }
            (Self::List(_), Some(other)) => Err(format!("{} is no list", word(other))),
            (Self::Struct(members), None) => {
                let nothing = members.iter();
                nothing.map(|(_, node)| node.shred(None, at, leaves)).sum()
            }
            (Self::Struct(members), Some(Value::Object(object))) => {
                let mut bytes = 0;
                let mut found = 0;
                for (name, node) in members {
                    let member = object.get(name);
                    found += usize::from(member.is_some());
                    let added = node.shred(member, at.deeper(1), leaves);
                    bytes += added.map_err(|reason| format!("{name}: {reason}"))?;
                }
                if found < object.len() {
                    let known = |key: &&String| members.iter().any(|(name, _)| name == *key);
                    let stray = object.keys().find(|key| !known(key));
                    return Err(format!("no column for {:?}", stray.map_or("", |key| key)));
                }
                Ok(bytes)
            }
            (Self::Struct(_), Some(other)) => Err(format!("{} is no object", word(other))),
        }
    }
}

/// One column of a group of rows.
#[derive(Debug)]
pub(super) struct Leaf {
    values: Values,
    defined: Vec<i16>,
    repeated: Vec<i16>,
}

#[derive(Debug)]
enum Values {
    Texts(Vec<ByteArray>),
    Json(Vec<ByteArray>),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Bools(Vec<bool>),
}

impl Leaf {
    fn of(values: Values) -> Self {
        Self {
            values,
            defined: Vec::new(),
            repeated: Vec::new(),
        }
    }

    /// The same column without values.
    pub(super) fn empty(&self) -> Self {
        Self::of(match self.values {
            Values::Texts(_) => Values::Texts(Vec::new()),
            Values::Json(_) => Values::Json(Vec::new()),
            Values::Ints(_) => Values::Ints(Vec::new()),
            Values::Floats(_) => Values::Floats(Vec::new()),
            Values::Bools(_) => Values::Bools(Vec::new()),
        })
    }

    fn push(&mut self, value: Option<&Value>, at: Levels) -> Result<usize, String> {
        self.repeated.push(at.repeated);
        let Some(value) = value else {
            self.defined.push(at.defined);
            return Ok(LEAF_BYTES);
        };
        self.defined.push(at.defined + 1);
        let wrong = |wanted: &str| format!("{} is no {wanted}", word(value));
        let mut bytes = LEAF_BYTES;
        match &mut self.values {
            Values::Texts(texts) => {
                let text = value.as_str().ok_or_else(|| wrong("text"))?;
                bytes += text.len();
                texts.push(text.into());
            }
            Values::Json(texts) => {
                let text = value.to_string();
                bytes += text.len();
                texts.push(text.into_bytes().into());
            }
            Values::Ints(ints) => {
                ints.push(
                    value
                        .as_i64()
                        .ok_or_else(|| wrong("whole number of 64 bits"))?,
                );
            }
            Values::Floats(floats) => {
                floats.push(value.as_f64().ok_or_else(|| wrong("number"))?);
            }
            Values::Bools(bools) => {
                bools.push(value.as_bool().ok_or_else(|| wrong("true or false"))?);
            }
        }
        Ok(bytes)
    }

    /// Writes what it holds.
    pub(super) fn write(self, mut column: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let (defined, repeated) = (Some(&self.defined[..]), Some(&self.repeated[..]));
        match &self.values {
            Values::Texts(values) | Values::Json(values) => {
                let typed = column.typed::<ByteArrayType>();
                typed.write_batch(values, defined, repeated)?;
            }
            Values::Ints(values) => {
                let typed = column.typed::<Int64Type>();
                typed.write_batch(values, defined, repeated)?;
            }
            Values::Floats(values) => {
                let typed = column.typed::<DoubleType>();
                typed.write_batch(values, defined, repeated)?;
            }
            Values::Bools(values) => {
                let typed = column.typed::<BoolType>();
                typed.write_batch(values, defined, repeated)?;
            }
        }
        column.close()
    }
}

fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a flag",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
