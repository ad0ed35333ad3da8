//! Where a value stands in a foreign line: JSON Pointers, several of them in order of preference.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

/// Most steps of a path.
const MAX_STEPS: usize = 32;

/// A JSON Pointer (RFC 6901) with two freedoms: `-1` is a list's last element, `-2` the one before; and where it goes
/// on inside a text, the text is read as JSON, for logs keep JSON in columns of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    text: String,
    steps: Vec<String>,
}

impl Pointer {
    /// Reads a pointer; `""` is the whole line.
    ///
    /// Errors: what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return match text {
                "" => Ok(Self {
                    text: String::new(),
                    steps: Vec::new(),
                }),
                _ => Err(format!("the path {text:?} must begin with /")),
            };
        };
        let steps: Vec<String> = rest
            .split('/')
            .map(|step| unescaped(step).ok_or(format!("~ in {text:?} must be written ~0, / ~1")))
            .collect::<Result<_, _>>()?;
        if steps.len() > MAX_STEPS {
            return Err(format!("a path has {MAX_STEPS} steps at most"));
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }

    /// Finds the value; `None` where there is nothing, or what says nothing: `null`, an empty text, list or object.
    pub(super) fn find<'a>(&self, line: &'a Value) -> Option<Cow<'a, Value>> {
        let mut at = Cow::Borrowed(line);
        for step in &self.steps {
            at = below(at, step)?;
        }
        let empty = match &*at {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            _ => false,
        };
        (!empty).then_some(at)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.as_str() {
            "" => formatter.write_str("the line itself"),
            text => formatter.write_str(text),
        }
    }
}

/// Where a value may stand: the first place with something counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Paths(pub(super) Vec<Pointer>);

impl Paths {
    /// Finds the value, and where; `nothing` are texts that say nothing either.
    pub(super) fn find<'a>(
        &self,
        line: &'a Value,
        nothing: &[String],
    ) -> Option<(Cow<'a, Value>, &Pointer)> {
        let says_nothing = |value: &Value| {
            let text = value.as_str();
            text.is_some_and(|text| nothing.iter().any(|one| one == text))
        };
        let mut pointers = self.0.iter();
        pointers.find_map(|pointer| {
            let found = pointer.find(line)?;
            (!says_nothing(&found)).then_some((found, pointer))
        })
    }
}

impl fmt::Display for Paths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, pointer) in self.0.iter().enumerate() {
            let before = match at {
                0 => "",
                _ => ", ",
            };
            write!(formatter, "{before}{pointer}")?;
        }
        Ok(())
    }
}

fn below<'a>(value: Cow<'a, Value>, step: &str) -> Option<Cow<'a, Value>> {
    match value {
        Cow::Borrowed(value) => match decoded(value) {
            Some(inner) => member(&inner, step).cloned().map(Cow::Owned),
            None => member(value, step).map(Cow::Borrowed),
        },
        Cow::Owned(value) => {
            let inner = decoded(&value);
            let found = member(inner.as_ref().unwrap_or(&value), step);
            found.cloned().map(Cow::Owned)
        }
    }
}

/// What a text holds, when that is a JSON object or list.
pub(super) fn decoded(value: &Value) -> Option<Value> {
    let text = value.as_str()?.trim_start();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn member<'a>(value: &'a Value, step: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(step),
        Value::Array(items) => {
            let index = match step.strip_prefix('-') {
                Some(back) => items.len().checked_sub(index(back)?)?,
                None => index(step)?,
            };
            items.get(index)
        }
        _ => None,
    }
}

/// A number as a pointer writes it: digits, without zeros in front.
fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || !step.starts_with('0');
    let digits = plain && step.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| step.parse().ok())?
}

fn unescaped(step: &str) -> Option<String> {
    let mut out = String::with_capacity(step.len());
    let mut characters = step.chars();
    while let Some(character) = characters.next() {
        out.push(match character {
            '~' => match characters.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_find_what_they_name() {
        let line = json!({
            "a": [{"b": 1}, {"b": 2}], "x/y": {"m~n": "t"}, "": 5, "none": null, "empty": "", "no": {}, "f": false,
            "text": "{\"deep\": \"[{\\\"c\\\": 3}]\"}", "plain": "words", "01": 7,
        });
        for (path, expected) in [
            ("/a/0/b", Some(json!(1))),
            ("/a/-1/b", Some(json!(2))),
            ("/a/-2/b", Some(json!(1))),
            ("/a/-3/b", None),
            ("/a/-0", None),
            ("/a/-", None),
            ("/a/00/b", None),
            ("/a/+1/b", None),
            ("/x~1y/m~0n", Some(json!("t"))),
            ("/", Some(json!(5))),
            ("/01", Some(json!(7))),
            ("/none", None),
            ("/empty", None),
            ("/no", None),
            ("/f", Some(json!(false))),
            ("/text/deep/0/c", Some(json!(3))),
            ("/plain/0", None),
            ("/a/99999999999999999999999", None),
        ] {
            let pointer = Pointer::parse(path).unwrap();
            let found = pointer.find(&line).map(Cow::into_owned);
            assert_eq!(found, expected, "{path}");
        }
        assert_eq!(*Pointer::parse("").unwrap().find(&line).unwrap(), line);
        for wrong in ["a", "a/b", "/~", "/~2"] {
            assert!(Pointer::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Pointer::parse(&"/a".repeat(33)).is_err());
    }

    #[test]
    fn the_first_place_with_something_counts() {
        let parse = |path| Pointer::parse(path).unwrap();
        let paths = Paths(vec![parse("/a"), parse("/b"), parse("/c")]);
        let line = json!({"a": [], "b": "x", "c": "y"});
        let (found, place) = paths.find(&line, &[]).unwrap();
        assert_eq!((&*found, place.to_string()), (&json!("x"), "/b".to_owned()));
        assert_eq!(paths.to_string(), "/a, /b, /c");
        assert_eq!(paths.find(&json!({}), &[]), None);
        let (found, _) = paths.find(&line, &["x".to_owned()]).unwrap();
        assert_eq!(*found, json!("y"));
    }
}
