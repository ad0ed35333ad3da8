//! The one way to write JSON, so that its hash means something.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Write};
use std::ops::Range;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// Deepest nesting of a record's body: what parses back with room for the record around it.
pub(super) const MAX_DEPTH: usize = 120;
/// What is written is mostly shorter than this, bytes.
const USUAL_BYTES: usize = 2048;

/// Writes a value as canonical JSON; the module's documentation defines it.
///
/// ```
/// use boathouse::storage::evidence_log::canonical;
/// let value = serde_json::json!({"b": [1, 2.5, "é\n"], "a": null});
/// assert_eq!(canonical(&value), r#"{"a":null,"b":[1,2.5,"é\n"]}"#);
/// ```
pub fn canonical(value: &Value) -> String {
    // A value holds nothing that JSON has not, and who parsed it has bounded its depth.
    let written = write(value, usize::MAX).unwrap_or_default();
    // JSON is UTF-8.
    String::from_utf8(written).unwrap_or_default()
}

/// Writes whatever is JSON in canonical form, with at most `depth` containers in each other.
///
/// Errors: deeper than that, or no JSON.
pub(super) fn write<T: Serialize + ?Sized>(value: &T, depth: usize) -> serde_json::Result<Vec<u8>> {
    let out = RefCell::new(Vec::with_capacity(USUAL_BYTES));
    let order = Order {
        out: &out,
        depth,
        places: Vec::new(),
        open: Vec::new(),
    };
    value.serialize(&mut Serializer::with_formatter(Shared(&out), order))?;
    Ok(out.into_inner())
}

/// Appends a string with its quotes.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// What serde writes to, and members are put in order in.
struct Shared<'a>(&'a RefCell<Vec<u8>>);

impl Write for Shared<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts the members of each object in order when it is whole.
struct Order<'a> {
    out: &'a RefCell<Vec<u8>>,
    /// Containers that may still be opened in each other.
    depth: usize,
    /// Where the members of the objects under way stand, those of the inner ones last.
    places: Vec<Range<usize>>,
    /// For each object under way, how many of `places` are not its own.
    open: Vec<usize>,
}

impl Order<'_> {
    fn deeper(&mut self) -> io::Result<()> {
        let left = self.depth.checked_sub(1);
        self.depth = left.ok_or_else(|| io::Error::other("nested too deeply"))?;
        Ok(())
    }

    /// Sorts the members of the innermost object; of several of one name the last counts, as in a map.
    fn sort(&mut self) {
        let from = self.open.pop().unwrap_or_default();
        let mut out = self.out.borrow_mut();
        let members = self.places.get(from..).unwrap_or_default();
        let begun = members.first().map_or(out.len(), |first| first.start);
        let members = members.iter().map(|place| &out[place.clone()]);
        let mut named: Vec<(Cow<[u8]>, &[u8])> = members.map(|it| (name(it), it)).collect();
        if !named.is_sorted_by(|a, b| a.0 < b.0) {
            named.reverse();
            named.sort_by(|a, b| a.0.cmp(&b.0));
            named.dedup_by(|later, kept| later.0 == kept.0);
            let sorted: Vec<&[u8]> = named.into_iter().map(|(_, member)| member).collect();
            let joined = sorted.join(&b","[..]);
            out.truncate(begun);
            out.extend_from_slice(&joined);
        }
        self.places.truncate(from);
    }
}

/// A member's name as it is read back.
fn name(member: &[u8]) -> Cow<'_, [u8]> {
    let quoted = member.get(1..).unwrap_or_default();
    match quoted.iter().position(|sign| b"\"\\".contains(sign)) {
        Some(at) if quoted[at] == b'"' => Cow::Borrowed(&quoted[..at]),
        _ => {
            let mut read = serde_json::Deserializer::from_slice(member).into_iter::<String>();
            let name = read.next().and_then(Result::ok).unwrap_or_default();
            Cow::Owned(name.into_bytes())
        }
    }
}

impl Formatter for Order<'_> {
    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        // What is read back is a binary64.
        self.write_f64(writer, f64::from(value))
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.deeper()?;
        CompactFormatter.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        CompactFormatter.end_array(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.deeper()?;
        self.open.push(self.places.len());
        CompactFormatter.begin_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        CompactFormatter.begin_object_key(writer, first)?;
        let at = self.out.borrow().len();
        self.places.push(at..at);
        Ok(())
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        if let Some(place) = self.places.last_mut() {
            place.end = self.out.borrow().len();
        }
        Ok(())
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.sort();
        CompactFormatter.end_object(writer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_what_the_definition_says() {
        let table = [
            (
                json!({"b": 1, "a": {"d": 2, "c": 3}}),
                r#"{"a":{"c":3,"d":2},"b":1}"#,
            ),
            (json!([]), "[]"),
            (json!({}), "{}"),
            (
                json!([null, true, -7, 0.1, 1e300]),
                "[null,true,-7,0.1,1e+300]",
            ),
            (
                json!("\u{1}\u{8}\t\n\"\\/é🦀"),
                "\"\\u0001\\b\\t\\n\\\"\\\\/é🦀\"",
            ),
            // By bytes: upper case first, then lower case, then what is not ASCII.
            (
                json!({"é": 1, "a": 2, "B": 3, "": 4}),
                r#"{"":4,"B":3,"a":2,"é":1}"#,
            ),
        ];
        for (value, expected) in table {
            assert_eq!(canonical(&value), expected);
        }
    }

    #[test]
    fn depth_is_counted_in_containers() {
        for (value, deepest) in [
            (json!(1), 0),
            (json!([]), 1),
            (json!([[1], {"a": 2}, {}]), 2),
            (json!([{"a": [2]}, 3]), 3),
        ] {
            assert!(write(&value, deepest).is_ok(), "{value}");
            assert!(
                deepest == 0 || write(&value, deepest - 1).is_err(),
                "{value}"
            );
        }
    }

    #[test]
    fn what_serialises_is_written_as_its_value() {
        #[derive(Serialize)]
        struct Inner {
            z: Option<u8>,
            b: (i64, char),
            a: f32,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Choice {
            Unit,
            Tuple(u8, bool),
            Fields { y: u8, x: u8 },
        }
        #[derive(Serialize)]
        struct Outer<'a> {
            list: Vec<Inner>,
            choices: [Choice; 3],
            #[serde(flatten)]
            more: &'a Value,
        }
        let inner = |a| Inner {
            z: None,
            b: (-1, '"'),
            a,
        };
        let more = json!({"y\n": 1, "y!": {"d": 1, "c": f64::MAX}, "": 3, "\u{1}": 4, "y\"": 5});
        let outer = Outer {
            list: vec![inner(0.1), inner(f32::NAN)],
            choices: [
                Choice::Unit,
                Choice::Tuple(1, true),
                Choice::Fields { y: 1, x: 2 },
            ],
            more: &more,
        };
        let written = String::from_utf8(write(&outer, MAX_DEPTH).unwrap()).unwrap();
        assert_eq!(written, canonical(&serde_json::to_value(&outer).unwrap()));
        assert_eq!(
            written,
            r#"{"":3,"\u0001":4,"choices":["unit",{"tuple":[1,true]},{"fields":{"x":2,"y":1}}],"list":[{"a":0.10000000149011612,"b":[-1,"\""],"z":null},{"a":null,"b":[-1,"\""],"z":null}],"y\n":1,"y!":{"c":1.7976931348623157e+308,"d":1},"y\"":5}"#
        );
    }

    #[test]
    fn of_two_members_of_a_name_the_last_counts() {
        struct Twice;
        impl Serialize for Twice {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map([("b", 1), ("a", 2), ("b", 3)])
            }
        }
        assert_eq!(write(&Twice, 1).unwrap(), br#"{"a":2,"b":3}"#);
    }

    proptest! {
        #[test]
        fn order_of_members_does_not_matter(
            keys in proptest::collection::btree_set(".{0,8}", 0..8),
        ) {
            let forward: serde_json::Map<_, _> =
                keys.iter().map(|key| (key.clone(), json!(key))).collect();
            let backward: serde_json::Map<_, _> =
                keys.iter().rev().map(|key| (key.clone(), json!(key))).collect();
            let forward = canonical(&Value::Object(forward));
            prop_assert_eq!(&forward, &canonical(&Value::Object(backward)));
            let back: Value = serde_json::from_str(&forward).unwrap();
            prop_assert_eq!(canonical(&back), forward);
        }
    }
}
