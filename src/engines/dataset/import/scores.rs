//! Foreign scores, and the judgement that they amount to.

use serde_json::Value;

use super::path::decoded;
use crate::types::evidence::{ImportedScore, Rating};

/// Members of a score that hold its number or word.
const VALUES: [&str; 3] = ["value", "score", "rating"];
/// Those that hold a word beside a number.
const LABELS: [&str; 3] = ["stringValue", "string_value", "label"];

/// Those that are a name as well, and say no more than none.
const NAMES: [&str; 2] = ["rating", "score"];
/// Those that say why.
const COMMENTS: [&str; 4] = ["comment", "reason", "reasoning", "explanation"];

/// How one kind of score becomes a rating.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    /// The scores that it is for, without regard to case, `_` and `-`; none: those without a name, or of the name
    /// `score` or `rating`.
    pub(super) names: Vec<String>,
    /// Worst and best number.
    pub(super) scale: [f64; 2],
    /// From here on accepted.
    pub(super) accept: f64,
    /// Up to here rejected; between the two partially accepted.
    pub(super) reject: f64,
    /// Words that accept, in lower case.
    pub(super) accepted: Vec<String>,
    /// Words that accept partially.
    pub(super) partially_accepted: Vec<String>,
    /// Words that reject.
    pub(super) rejected: Vec<String>,
}

/// A score with what was said beside it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Score {
    pub(super) score: ImportedScore,
    pub(super) comment: Option<String>,
}

/// What scores amount to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub(super) rating: Rating,
    /// From 0 to 1.
    pub(super) score: Option<f64>,
    pub(super) comment: Option<String>,
}

/// Reads scores in any of their shapes: one value; an object with the value beside its name and comment; a list of
/// those; an object of name and value, or of name and values, of which the last counts.
///
/// Errors: what is none.
pub(super) fn read(found: &Value) -> Result<Vec<Score>, String> {
    let inner = decoded(found);
    let found = inner.as_ref().unwrap_or(found);
    match found {
        Value::Array(items) => items.iter().map(|item| one("", item)).collect(),
        Value::Object(members) if !is_score(found) => {
            let last = |value: &Value| match value {
                Value::Array(values) => values.last().cloned(),
                Value::Null => None,
                value => Some(value.clone()),
            };
            let named = members.iter();
            let named = named.filter_map(|(name, value)| Some((name, last(value)?)));
            named.map(|(name, value)| one(name, &value)).collect()
        }
        one_of_them => Ok(vec![one("", one_of_them)?]),
    }
}

/// Whether an object is a score itself, not scores by their names.
fn is_score(value: &Value) -> bool {
    let plain = |name: &str| {
        value
            .get(name)
            .is_some_and(|it| !it.is_array() && !it.is_object())
    };
    let has_value = VALUES.iter().chain(&LABELS).any(|name| plain(name));
    let beside = |name: &str| {
        let known = [&VALUES[..], &LABELS, &COMMENTS, &["user", "id"]];
        known.iter().any(|names| names.contains(&name))
    };
    let named = value.get("name").is_some_and(Value::is_string);
    let mut members = value.as_object().into_iter().flatten();
    has_value && (named || members.all(|(name, _)| beside(name)))
}

fn one(name: &str, found: &Value) -> Result<Score, String> {
    let text = |members: &[&str]| {
        let texts = members
            .iter()
            .filter_map(|member| found.get(member)?.as_str());
        texts
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .next()
    };
    let (value, label, comment) = match found {
        Value::Object(_) => {
            let mut values = VALUES.iter().filter_map(|member| found.get(member));
            let (value, word) = plain(values.find(|value| !value.is_null()));
            let comment = text(&COMMENTS);
            (value, text(&LABELS).or(word), comment)
        }
        Value::Array(_) => return Err("a score is a list".to_owned()),
        value => {
            let (value, word) = plain(Some(value));
            (value, word, None)
        }
    };
    let name = match name {
        // `{"rating": 4}` is the score of that name too.
        "" => text(&["name", "key"]).unwrap_or_else(|| {
            let member = NAMES.iter().find(|member| found.get(member).is_some());
            member.copied().unwrap_or_default().to_owned()
        }),
        name => name.to_owned(),
    };
    if value.is_none() && label.is_none() {
        return Err(format!(
            "the score {name:?} has neither a number nor a word"
        ));
    }
    let score = ImportedScore { name, value, label };
    Ok(Score { score, comment })
}

/// A number, or a word.
fn plain(value: Option<&Value>) -> (Option<f64>, Option<String>) {
    match value {
        Some(Value::Number(number)) => (number.as_f64(), None),
        Some(Value::Bool(flag)) => (Some(f64::from(u8::from(*flag))), Some(flag.to_string())),
        Some(Value::String(text)) => match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => (Some(number), None),
            _ if text.trim().is_empty() => (None, None),
            _ => (None, Some(text.clone())),
        },
        _ => (None, None),
    }
}

/// Judges by the first rule that one of the scores is for, and by the last of these scores. `None` where no rule is,
/// or where it does not know the word.
///
/// Errors: a number that is not on the rule's scale.
pub(super) fn judge(scores: &[Score], rules: &[Rule]) -> Result<Option<Judged>, String> {
    for (at, rule) in rules.iter().enumerate() {
        let mut found = scores.iter().rev();
        let Some(found) = found.find(|score| rule.is_for(&score.score.name)) else {
            continue;
        };
        let judged = rule.judge(&found.score);
        let judged =
            judged.map_err(|reason| format!("{reason}: see scale of feedback.rules[{at}]"))?;
        if let Some((rating, score)) = judged {
            let comment = found.comment.clone();
            return Ok(Some(Judged {
                rating,
                score,
                comment,
            }));
        }
    }
    Ok(None)
}

impl Rule {
    fn is_for(&self, name: &str) -> bool {
        let plain = |name: &str| name.to_lowercase().replace(['_', '-', ' '], "");
        match self.names.is_empty() {
            true => name.is_empty() || NAMES.contains(&name),
            false => self.names.iter().any(|own| plain(own) == plain(name)),
        }
    }

    fn judge(&self, score: &ImportedScore) -> Result<Option<(Rating, Option<f64>)>, String> {
        let [low, high] = self.scale;
        if let Some(label) = &score.label {
            let label = label.trim().to_lowercase();
            for (words, rating) in [
                (&self.accepted, Rating::Accepted),
                (&self.partially_accepted, Rating::PartiallyAccepted),
                (&self.rejected, Rating::Rejected),
            ] {
                if words.contains(&label) {
                    return Ok(Some((rating, None)));
                }
            }
        }
        let Some(value) = score.value else {
            return Ok(None);
        };
        if !(low..=high).contains(&value) {
            let name = &score.name;
            return Err(format!(
                "the score {name:?} is {value}, not from {low} to {high}"
            ));
        }
        let rating = if value >= self.accept {
            Rating::Accepted
        } else if value <= self.reject {
            Rating::Rejected
        } else {
            Rating::PartiallyAccepted
        };
        Ok(Some((rating, Some((value - low) / (high - low)))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(names: &[&str]) -> Rule {
        Rule {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            scale: [1.0, 5.0],
            accept: 4.0,
            reject: 2.0,
            accepted: vec!["good".to_owned()],
            partially_accepted: vec!["so-so".to_owned()],
            rejected: vec!["bad".to_owned()],
        }
    }

    #[test]
    fn scores_are_read_in_all_their_shapes() {
        for (found, expected) in [
            (json!(0.5), json!([["", 0.5, null, null]])),
            (json!("4"), json!([["", 4.0, null, null]])),
            (json!(true), json!([["", 1.0, "true", null]])),
            (json!("good"), json!([["", null, "good", null]])),
            (
                json!({"quality": [0.1, 0.9], "tone": ["dry"], "none": [], "gone": null}),
                json!([["quality", 0.9, null, null], ["tone", null, "dry", null]]),
            ),
            (
                json!([{"name": "user-feedback", "value": 1, "stringValue": "True", "comment": "nice", "id": "s", "source": "API"}]),
                json!([["user-feedback", 1.0, "True", "nice"]]),
            ),
            (
                json!({"rating": "good", "comment": "c"}),
                json!([["rating", null, "good", "c"]]),
            ),
            (json!({"rating": 4}), json!([["rating", 4.0, null, null]])),
            (
                json!({"rating": 4, "tone": 1}),
                json!([["rating", 4.0, null, null], ["tone", 1.0, null, null]]),
            ),
            (
                json!("[{\"name\": \"a\", \"value\": 2}]"),
                json!([["a", 2.0, null, null]]),
            ),
        ] {
            let read = read(&found).unwrap();
            let shown = read.iter().map(|Score { score, comment }| {
                json!([score.name, score.value, score.label, comment])
            });
            assert_eq!(shown.collect::<Value>(), expected, "{found}");
        }
        for wrong in [json!([[1]]), json!([{"name": "a"}]), json!([null])] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_judges() {
        let rules = [rule(&["User Feedback"]), rule(&["quality"]), rule(&[])];
        for (scores, expected) in [
            (
                json!({"quality": 1, "user_feedback": 5}),
                Some((Rating::Accepted, Some(1.0))),
            ),
            (
                json!({"quality": 3}),
                Some((Rating::PartiallyAccepted, Some(0.5))),
            ),
            (json!({"quality": 2}), Some((Rating::Rejected, Some(0.25)))),
            (json!({"quality": "Good"}), Some((Rating::Accepted, None))),
            (
                json!({"quality": "so-so"}),
                Some((Rating::PartiallyAccepted, None)),
            ),
            // What the first rule does not know is left to the next.
            (
                json!({"user feedback": "?", "quality": "bad"}),
                Some((Rating::Rejected, None)),
            ),
            (json!({"toxicity": 5}), None),
            (json!(4), Some((Rating::Accepted, Some(0.75)))),
            (json!({"score": 4}), Some((Rating::Accepted, Some(0.75)))),
        ] {
            let scores_read = read(&scores).unwrap();
            let judged = judge(&scores_read, &rules).unwrap();
            let judged = judged.map(|judged| (judged.rating, judged.score));
            assert_eq!(judged, expected, "{scores}");
        }
        let off = judge(&read(&json!({"quality": 7})).unwrap(), &rules).unwrap_err();
        assert!(
            off.contains("\"quality\" is 7, not from 1 to 5") && off.contains("rules[1]"),
            "{off}"
        );
    }
}
