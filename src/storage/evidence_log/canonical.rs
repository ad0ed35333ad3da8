//! The one way to write a JSON value, so that its hash means something.

use serde_json::Value;

/// Deepest nesting of a record's body: what parses back with room for the record around it.
pub(super) const MAX_DEPTH: usize = 120;

/// Writes a value as canonical JSON; the module's documentation defines it.
///
/// ```
/// use boathouse::storage::evidence_log::canonical;
/// let value = serde_json::json!({"b": [1, 2.5, "é\n"], "a": null});
/// assert_eq!(canonical(&value), r#"{"a":null,"b":[1,2.5,"é\n"]}"#);
/// ```
pub fn canonical(value: &Value) -> String {
    let mut out = Vec::new();
    write(&mut out, value);
    // JSON of a value is UTF-8.
    String::from_utf8(out).unwrap_or_default()
}

/// Appends a value in canonical form.
pub(super) fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by(|a, b| a.0.cmp(b.0));
            out.push(b'{');
            for (at, (key, member)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                text(out, key);
                out.push(b':');
                write(out, member);
            }
            out.push(b'}');
        }
        Value::String(string) => text(out, string),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            // Writing to memory cannot fail.
            let _ = serde_json::to_writer(out, value);
        }
    }
}

/// Appends a string with its quotes.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Whether a value nests deeper than `left` levels; looks no deeper than that.
pub(super) fn deeper_than(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(items) => left == 0 || items.iter().any(|item| deeper_than(item, left - 1)),
        Value::Object(members) => {
            left == 0 || members.values().any(|member| deeper_than(member, left - 1))
        }
        _ => false,
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
        assert!(!deeper_than(&json!(1), 0));
        assert!(deeper_than(&json!([]), 0));
        assert!(!deeper_than(&json!([[1], {"a": 2}]), 2));
        assert!(deeper_than(&json!([{"a": [2]}]), 2));
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
