//! The least and the most of what a field holds: of a list, one item is beyond a bound when its extreme is.

use lancedb::arrow::arrow_schema::DataType;
use serde_json::Value;

use super::terms;
use crate::engines::index::{Micros, moment};

/// What is kept of a declared field, each in a column of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extreme {
    /// Its strings.
    Text(Side),
    /// Its whole numbers that are an `i64`.
    Whole(Side),
    /// Its other numbers.
    Number(Side),
    /// Its moments.
    Moment(Side),
    /// Its strings that are no moments.
    Other(Side),
}

/// Which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Least,
    Most,
}

use Extreme::{Moment, Number, Other, Text, Whole};
use Side::{Least, Most};

/// Those of every field.
pub(super) const PLAIN: [Extreme; 6] = [
    Text(Least),
    Text(Most),
    Whole(Least),
    Whole(Most),
    Number(Least),
    Number(Most),
];

/// Those of a field of moments besides.
pub(super) const DATED: [Extreme; 4] = [Moment(Least), Moment(Most), Other(Least), Other(Most)];

impl Extreme {
    /// How its columns' names end.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Text(Least) => "text_least",
            Text(Most) => "text_most",
            Whole(Least) => "whole_least",
            Whole(Most) => "whole_most",
            Number(Least) => "number_least",
            Number(Most) => "number_most",
            Moment(Least) => "moment_least",
            Moment(Most) => "moment_most",
            Other(Least) => "other_least",
            Other(Most) => "other_most",
        }
    }

    /// What its columns hold.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Text(_) | Other(_) => DataType::Utf8,
            Whole(_) | Moment(_) => DataType::Int64,
            Number(_) => DataType::Float64,
        }
    }
}

/// What the values of one field amount to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Extremes<'a> {
    texts: Option<(&'a str, &'a str)>,
    wholes: Option<(i64, i64)>,
    numbers: Option<(f64, f64)>,
    moments: Option<(i64, i64)>,
    others: Option<(&'a str, &'a str)>,
    /// All of them.
    pub(super) every_moment: Vec<Micros>,
}

impl<'a> Extremes<'a> {
    /// Reads the values that a path leads to.
    pub(super) fn of(values: &[&'a Value]) -> Self {
        let mut found = Self::default();
        for value in terms::items(values) {
            let at = moment(value);
            if let Some(at) = at {
                widen(&mut found.moments, at);
                found.every_moment.push(at);
            }
            match value {
                Value::String(text) => {
                    widen(&mut found.texts, text.as_str());
                    if at.is_none() {
                        widen(&mut found.others, text.as_str());
                    }
                }
                Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                    (Some(whole), _) => widen(&mut found.wholes, whole),
                    // Adding zero turns -0 into 0: the engine tells them apart.
                    (None, Some(float)) => widen(&mut found.numbers, float + 0.0),
                    (None, None) => {}
                },
                _ => {}
            }
        }
        found
    }

    pub(super) fn text(&self, which: Extreme) -> Option<&'a str> {
        match which {
            Text(side) => end(self.texts, side),
            Other(side) => end(self.others, side),
            _ => None,
        }
    }

    pub(super) fn whole(&self, which: Extreme) -> Option<i64> {
        match which {
            Whole(side) => end(self.wholes, side),
            Moment(side) => end(self.moments, side),
            _ => None,
        }
    }

    pub(super) fn number(&self, which: Extreme) -> Option<f64> {
        match which {
            Number(side) => end(self.numbers, side),
            _ => None,
        }
    }
}

fn end<T>(range: Option<(T, T)>, side: Side) -> Option<T> {
    range.map(|(least, most)| match side {
        Least => least,
        Most => most,
    })
}

fn widen<T: PartialOrd + Copy>(range: &mut Option<(T, T)>, value: T) {
    *range = Some(match *range {
        None => (value, value),
        Some((least, most)) => (
            if value < least { value } else { least },
            if value > most { value } else { most },
        ),
    });
}
