//! A collection on its way to another place: JSON objects, one a line.
//!
//! ```text
//! {"export": {"format": 1, "points": 2, "spec": {…}}}
//! {"id": "a", "vector": [0.6, 0.8], "text": "…", "payload": {…}, "refined": {"scale": 0.007, "codes": "…"}}
//! {"id": "b", "vector": [1.0, 0.0], "payload": {}}
//! {"end": {"points": 2}}
//! ```
//!
//! Numbers keep their exact bits. Lines that somebody else wrote need neither the first nor the last.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::collection::CollectionSpec;
use super::point::Point;

/// The newest format that this version reads, and the one that it writes.
pub const EXPORT_FORMAT: u32 = 1;

/// What an export begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ExportHead {
    /// How the lines are to be read.
    pub format: u32,
    /// How many points follow.
    pub points: usize,
    /// The collection's properties, with the fingerprints of the models that made its vectors.
    pub spec: CollectionSpec,
}

/// What an export ends with: without it, it is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ExportEnd {
    /// How many points there were.
    pub points: usize,
}

/// A vector of the better model, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SecondVector {
    /// `number = scale * code`.
    pub scale: f32,
    /// One byte for each number, signed, in base64.
    pub codes: String,
}

/// A line of an export.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExportLine {
    /// Only in the first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<ExportHead>,
    /// A string; a number that somebody wrote counts as its digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// `[dim]`; without it the text is embedded where it arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Map<String, Value>>,
    /// The vector of the better model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refined: Option<SecondVector>,
    /// Only in the last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<ExportEnd>,
}

impl ExportLine {
    /// The line of a point.
    pub fn of(point: Point, refined: Option<SecondVector>) -> Self {
        Self {
            id: Some(Value::String(point.id)),
            vector: Some(point.vector),
            text: point.text,
            payload: Some(point.payload),
            refined,
            ..Self::default()
        }
    }

    /// The first line.
    pub fn head(head: ExportHead) -> Self {
        Self {
            export: Some(head),
            ..Self::default()
        }
    }

    /// The last line.
    pub fn end(points: usize) -> Self {
        Self {
            end: Some(ExportEnd { points }),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_survives_a_line_bit_by_bit(bits in proptest::collection::vec(any::<u32>(), 1..9), number: f64) {
            prop_assume!(number.is_finite());
            let vector: Vec<f32> = bits.into_iter().map(f32::from_bits).filter(|x| x.is_finite()).collect();
            let payload: Map<String, Value> = [("n".to_owned(), number.into())].into_iter().collect();
            let point = Point { id: "a".to_owned(), vector: vector.clone(), text: None, payload };
            let line = serde_json::to_string(&ExportLine::of(point, None)).unwrap();
            let back: ExportLine = serde_json::from_str(&line).unwrap();
            let bits = |vector: &[f32]| vector.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back.vector.unwrap()), bits(&vector));
            let back = back.payload.unwrap()["n"].as_f64().unwrap();
            prop_assert_eq!(back.to_bits(), number.to_bits());
        }

        #[test]
        fn lines_that_are_none_are_an_error_and_never_a_panic(text: String) {
            drop(serde_json::from_str::<ExportLine>(&text));
        }
    }

    #[test]
    fn a_number_between_two_is_rounded_once() {
        // Rounded to 64 bits first it would become the next number.
        let text = r#"{"id": "a", "vector": [7.038531e-26, 3.4028235e38, -0.0, 1e-45]}"#;
        let line: ExportLine = serde_json::from_str(text).unwrap();
        let bits: Vec<u32> = line.vector.unwrap().iter().map(|x| x.to_bits()).collect();
        assert_eq!(bits, [0x15ae_43fd, 0x7f7f_ffff, 0x8000_0000, 1]);
    }
}
