//! What a parser says is wrong, in words of JSON instead of names of Rust types.

use std::fmt::Display;

/// Forms of names of types, each with what people call it. The name of a type of ours follows those that end with a space.
const NAMES: &[(&str, &str)] = &[
    ("internally tagged enum ", "an object"),
    ("adjacently tagged enum ", "an object"),
    ("tuple struct ", "a list"),
    ("newtype struct ", "a value"),
    ("unit struct ", "null"),
    ("struct ", "an object"),
    ("enum ", "a text"),
    ("a map", "an object"),
    ("map", "an object"),
    ("a sequence", "a list"),
    ("sequence", "a list"),
    ("a string", "a text"),
    ("string", "a text"),
    ("a boolean", "true or false"),
    ("f32", "a number"),
    ("f64", "a number"),
    ("i8", "a whole number"),
    ("i16", "a whole number"),
    ("i32", "a whole number"),
    ("i64", "a whole number"),
    ("isize", "a whole number"),
    ("u8", "a whole number from 0"),
    ("u16", "a whole number from 0"),
    ("u32", "a whole number from 0"),
    ("u64", "a whole number from 0"),
    ("usize", "a whole number from 0"),
];
const EXPECTED: &str = ", expected ";
const UNTAGGED: &str = "data did not match any variant of untagged enum ";

/// A number of things: `1 finding`, `2 findings`.
///
/// ```
/// use boathouse::types::plain::counted;
///
/// let said = [counted(1, "query"), counted(2, "query"), counted(0, "search"), counted(3, "tool call")];
/// assert_eq!(said, ["1 query", "2 queries", "0 searches", "3 tool calls"]);
/// ```
pub fn counted(count: impl Display, thing: &str) -> String {
    let count = count.to_string();
    if count == "1" {
        return format!("1 {thing}");
    }
    match thing.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{count} {stem}ies"),
        _ if thing.ends_with(['s', 'x']) || thing.ends_with("ch") => format!("{count} {thing}es"),
        _ => format!("{count} {thing}s"),
    }
}

/// Puts a message of serde into words that do not name types of Rust.
///
/// ```
/// use boathouse::types::plain::plain;
///
/// let said = plain("invalid type: string \"x\", expected f64 at line 1 column 9");
/// assert_eq!(said, "invalid type: string \"x\", expected a number at line 1 column 9");
/// ```
pub fn plain(message: &str) -> String {
    if let Some((before, rest)) = message.split_once(UNTAGGED) {
        let rest = after_name(rest);
        return format!("{before}a value has none of the forms that it can have{rest}");
    }
    // The last one: what was given stands before, and may hold anything.
    let Some((before, rest)) = message.rsplit_once(EXPECTED) else {
        return message.to_owned();
    };
    let known = NAMES.iter().find_map(|(name, said)| {
        let rest = rest.strip_prefix(name)?;
        let rest = if name.ends_with(' ') {
            after_name(rest)
        } else {
            rest
        };
        let whole = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        whole.then(|| format!("{before}{EXPECTED}{said}{rest}"))
    });
    known.unwrap_or_else(|| message.to_owned())
}

fn after_name(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '<' | '>'))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "only parsed")]
        count: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only parsed")]
    enum Either {
        One(u32),
        Many(Vec<u32>),
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Sample {
        inner: Option<Inner>,
        share: Option<f64>,
        name: Option<String>,
        list: Option<Vec<String>>,
        either: Option<Either>,
    }

    #[test]
    fn types_are_named_as_json_has_them() {
        for (json, expected) in [
            (r#"{"inner": 5}"#, "integer `5`, expected an object at line"),
            (
                r#"{"inner": {"count": -1}}"#,
                "integer `-1`, expected a whole number from 0 at",
            ),
            (
                r#"{"share": ", expected f64"}"#,
                "\", expected f64\", expected a number at",
            ),
            (r#"{"name": []}"#, "sequence, expected a text at"),
            (r#"{"list": 1}"#, "integer `1`, expected a list at"),
            (
                r#"{"either": "x"}"#,
                "a value has none of the forms that it can have at line",
            ),
            (
                r#"{"other": 1}"#,
                "unknown field `other`, expected one of `inner`",
            ),
            ("{", "EOF while parsing an object at line 1"),
        ] {
            let said = plain(
                &serde_json::from_str::<Sample>(json)
                    .unwrap_err()
                    .to_string(),
            );
            assert!(said.contains(expected), "{json}: {said}");
        }
    }
}
