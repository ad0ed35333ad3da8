//! The texts of any JSON, each with its JSON Pointer.

use std::borrow::Cow;

use serde_json::Value;

use crate::engines::validation::shown::sensitive;

/// Calls `see` with each text, number and name of a member, in the order of the payload. A name is told at its
/// object's pointer, since it may be what must not be repeated.
pub(super) fn each<'v>(payload: &'v Value, see: &mut impl FnMut(&str, Cow<'v, str>)) {
    walk(payload, &mut String::new(), see);
}

fn walk<'v>(value: &'v Value, path: &mut String, see: &mut impl FnMut(&str, Cow<'v, str>)) {
    let length = path.len();
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => see(path, Cow::Owned(number.to_string())),
        Value::String(text) => see(path, Cow::Borrowed(text)),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                path.push('/');
                path.push_str(&at.to_string());
                walk(item, path, see);
                path.truncate(length);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                see(path, Cow::Borrowed(name));
                // A pointer as long as a text says nothing, and may hold what a name hides.
                if name.len() <= 200 && !sensitive(name) {
                    path.push('/');
                    path.push_str(&name.replace('~', "~0").replace('/', "~1"));
                }
                walk(member, path, see);
                path.truncate(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_numbers_and_names_are_seen_with_their_pointers() {
        let payload = json!({"a/b": ["x", null, 7], "card 4111 1111 1111 1111": {"c": "y"}});
        let mut seen = Vec::new();
        each(&payload, &mut |path, text| {
            seen.push(format!("{path} {text}"));
        });
        assert_eq!(
            seen,
            [
                " a/b",
                "/a~1b/0 x",
                "/a~1b/2 7",
                " card 4111 1111 1111 1111",
                " c",
                "/c y",
            ]
        );
    }
}
