//! JSON Pointers in which `*` stands for each item of a list.

use serde_json::Value;

/// Most segments.
const MAX_SEGMENTS: usize = 32;

/// Where a rule looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<String>);

impl Path {
    /// Reads a JSON Pointer; the empty one is the whole payload.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let rest = text.strip_prefix('/').ok_or_else(|| {
            format!("{text:?} is no JSON Pointer: begin it with /, as in /lines/*/amount")
        })?;
        let segments = rest.split('/').map(|segment| {
            let tildes = segment.replace("~0", "").replace("~1", "");
            match tildes.contains('~') {
                true => Err(format!("{text:?}: write ~ as ~0, and / in a name as ~1")),
                false => Ok(segment.replace("~1", "/").replace("~0", "~")),
            }
        });
        let segments: Vec<String> = segments.collect::<Result<_, _>>()?;
        if segments.len() > MAX_SEGMENTS {
            return Err(format!("{text:?} has more than {MAX_SEGMENTS} parts"));
        }
        Ok(Self(segments))
    }

    /// Whether it names one place only.
    pub(super) fn is_single(&self) -> bool {
        !self.0.iter().any(|segment| segment == "*")
    }

    /// The values there, each with its JSON Pointer. A place without `*` is always listed, one below `*` once for each
    /// item: without a value where there is none.
    pub(super) fn select<'v>(&self, payload: &'v Value) -> Vec<(String, Option<&'v Value>)> {
        let mut found = Vec::new();
        walk(&self.0, Some(payload), &mut String::new(), &mut found);
        found
    }
}

fn walk<'v>(
    left: &[String],
    value: Option<&'v Value>,
    path: &mut String,
    found: &mut Vec<(String, Option<&'v Value>)>,
) {
    let Some((segment, left)) = left.split_first() else {
        found.push((path.clone(), value));
        return;
    };
    let length = path.len();
    match value {
        Some(Value::Array(items)) if segment == "*" => {
            for (at, item) in items.iter().enumerate() {
                path.push('/');
                path.push_str(&at.to_string());
                walk(left, Some(item), path, found);
                path.truncate(length);
            }
        }
        _ if segment == "*" => {}
        _ => {
            let below = match value {
                Some(Value::Object(members)) => members.get(segment),
                Some(Value::Array(items)) => index(segment).and_then(|at| items.get(at)),
                _ => None,
            };
            path.push('/');
            path.push_str(&segment.replace('~', "~0").replace('/', "~1"));
            walk(left, below, path, found);
            path.truncate(length);
        }
    }
}

/// As RFC 6901 has it: no sign, no leading zero.
fn index(segment: &str) -> Option<usize> {
    let plain = segment == "0" || !segment.starts_with(['0', '+']);
    segment.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stars_are_items_and_absent_places_are_listed() {
        let payload = json!({"lines": [{"a/b": 1}, {}, 3], "m": {"x": 1}, "none": []});
        for (path, expected) in [
            ("", vec![""]),
            (
                "/lines/*/a~1b",
                vec!["/lines/0/a~1b", "/lines/1/a~1b -", "/lines/2/a~1b -"],
            ),
            ("/lines/0", vec!["/lines/0"]),
            ("/lines/00", vec!["/lines/00 -"]),
            ("/lines/9", vec!["/lines/9 -"]),
            ("/x/y", vec!["/x/y -"]),
            ("/none/*", vec![]),
            ("/m/*", vec![]),
            ("/x/*/y", vec![]),
        ] {
            let path = Path::parse(path).unwrap();
            let found = path.select(&payload).into_iter();
            let found: Vec<String> = found
                .map(|(path, value)| match value {
                    Some(_) => path,
                    None => format!("{path} -"),
                })
                .collect();
            assert_eq!(found, expected, "{path:?}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for (text, expected) in [
            ("lines", "begin it with /"),
            ("$.lines", "begin it with /"),
            ("/a~b", "~0"),
            (&"/a".repeat(33), "more than 32"),
        ] {
            let said = Path::parse(text).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
    }
}
