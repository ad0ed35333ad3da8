//! Personal data and secrets taken out of texts; each is replaced by its name in brackets.
//!
//! Patterns, not understanding: names and addresses stay. Linear in the text's length.

use std::collections::BTreeMap;
use std::ops::Range;

use regex::Regex;
use serde_json::Value;

use super::recipe::RedactRules;
use crate::types::error_kind::ErrorKind;

mod numbers;
#[cfg(test)]
mod tests;

use numbers::{card, phone, ssn};

/// A pattern that does not compile: a fault of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("redaction pattern does not compile: {0}")]
pub struct RedactError(String);

impl RedactError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

/// Keys and tokens that are known by their shape.
const SECRETS: [(&str, Accept); 12] = [
    (r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}", mixed),
    (r"\bgh[opusr]_[A-Za-z0-9]{30,}", any),
    (r"\bgithub_pat_[A-Za-z0-9_]{22,}", any),
    (r"\bglpat-[A-Za-z0-9_-]{20,}", any),
    (r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", any),
    (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", any),
    (r"\bAIza[0-9A-Za-z_-]{35}", any),
    (r"\bhf_[A-Za-z0-9]{30,}", any),
    (
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
        any,
    ),
    (
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
        any,
    ),
    (r"(?i)\bbearer +(?P<value>[A-Za-z0-9._~+/=-]{16,})", mixed),
    // The word stays, its value goes.
    (
        concat!(
            r"(?i)\b(?:api[_-]?key|secret|(?:access|auth|secret)[_-]?(?:token|key)|token|",
            r#"password|passwd|pwd)\b["']?\s*[:=]\s*["']?(?P<value>[^\s"',;<>]{8,})"#,
        ),
        mixed,
    ),
];
const EMAIL: &str = r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+";
const CARD: &str = r"[0-9](?:[ -]?[0-9]){12,63}";
const SSN: &str = r"[0-9]{3}-[0-9]{2}-[0-9]{4}";
/// International; with the area in brackets; in pairs; in three groups.
const PHONE: &str = concat!(
    r"\+[0-9]{1,3}(?:[ .-]?\(?[0-9]{1,4}\)?){2,6}",
    r"|(?:[0-9]{1,3}[ .-])?\([0-9]{2,4}\)[ .-]?[0-9]{3,4}[ .-]?[0-9]{3,4}",
    r"|0[0-9](?:[ .-][0-9]{2}){4}",
    r"|(?:1[ .-])?[0-9]{2,4}[ .-][0-9]{3,4}[ .-][0-9]{3,4}",
);

/// A refused match up to this long is looked into again one character on; a longer one is passed,
/// so that time stays linear. The longest number of any pattern is shorter.
const MAX_RETRIED_BYTES: usize = 64;

/// Replacements by what was replaced.
pub type Redactions = BTreeMap<&'static str, u64>;

/// Whether a match is meant, and which part of the text to replace.
type Accept = fn(&str, Range<usize>) -> Option<Range<usize>>;

/// One pattern.
#[derive(Debug)]
struct Rule {
    name: &'static str,
    label: &'static str,
    pattern: Regex,
    accept: Accept,
}

/// Replaces personal data and secrets, and counts them.
#[derive(Debug)]
pub struct Redactor {
    rules: Vec<Rule>,
    counts: Redactions,
}

impl Redactor {
    /// Compiles the patterns that the rules switch on.
    pub fn new(on: &RedactRules) -> Result<Self, RedactError> {
        let mut rules = Vec::new();
        let mut add = |on: bool, name, label, pattern: &str, accept: Accept| {
            if on {
                let pattern =
                    Regex::new(pattern).map_err(|error| RedactError(error.to_string()))?;
                rules.push(Rule {
                    name,
                    label,
                    pattern,
                    accept,
                });
            }
            Ok(())
        };
        // Secrets first: their digits would look like something else.
        for (pattern, accept) in SECRETS {
            add(on.secret, "secret", "[SECRET]", pattern, accept)?;
        }
        add(on.email, "email", "[EMAIL]", EMAIL, any)?;
        add(on.card, "card", "[CARD]", CARD, card)?;
        add(on.ssn, "ssn", "[SSN]", SSN, ssn)?;
        add(on.phone, "phone", "[PHONE]", PHONE, phone)?;
        let names = [
            ("secret", on.secret),
            ("email", on.email),
            ("card", on.card),
            ("ssn", on.ssn),
            ("phone", on.phone),
        ];
        let counts = names
            .into_iter()
            .filter(|name| name.1)
            .map(|name| (name.0, 0))
            .collect();
        Ok(Self { rules, counts })
    }

    /// Replacements so far, also the kinds that never occurred.
    pub fn counts(&self) -> &Redactions {
        &self.counts
    }

    /// Replaces in a text.
    pub fn text(&mut self, text: &str) -> String {
        let (text, found) = self.uncounted(text);
        for (name, count) in found {
            *self.counts.entry(name).or_default() += count;
        }
        text
    }

    /// Replaces in a text that is not written anywhere; returns the replacements beside it.
    pub(super) fn uncounted(&self, text: &str) -> (String, Redactions) {
        let mut text = text.to_owned();
        let mut found = Redactions::new();
        for rule in &self.rules {
            if let Some((replaced, count)) = rule.replace(&text) {
                *found.entry(rule.name).or_default() += count;
                text = replaced;
            }
        }
        (text, found)
    }

    /// Replaces in the texts of a row; members that name or link things stay as they are.
    pub fn row(&mut self, row: &mut Value) {
        match row {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.row(item)),
            Value::Object(members) => {
                for (key, member) in members.iter_mut() {
                    match (key.as_str(), member) {
                        (
                            "role" | "type" | "id" | "tool_call_id" | "collection",
                            Value::String(_),
                        ) => {}
                        ("arguments", Value::String(arguments)) => self.arguments(arguments),
                        (_, member) => self.row(member),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Replaces in the JSON of a tool call's arguments, which must stay JSON.
    fn arguments(&mut self, arguments: &mut String) {
        let Ok(mut parsed) = serde_json::from_str::<Value>(arguments) else {
            *arguments = self.text(arguments);
            return;
        };
        let before = parsed.clone();
        self.leaves(&mut parsed);
        if parsed != before {
            *arguments = parsed.to_string();
        }
    }

    fn leaves(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Number(number) => {
                let text = number.to_string();
                let redacted = self.text(&text);
                if redacted != text {
                    *value = redacted.into();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.leaves(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.leaves(member)),
            Value::Null | Value::Bool(_) => {}
        }
    }
}

impl Rule {
    /// Replaces every accepted match; `None` when there is none.
    fn replace(&self, text: &str) -> Option<(String, u64)> {
        let (mut out, mut done, mut count) = (String::new(), 0, 0);
        let mut at = 0;
        while let Some(found) = self.pattern.captures_at(text, at) {
            let whole = found.get(0)?.range();
            let part = found
                .name("value")
                .map_or(whole.clone(), |value| value.range());
            if let Some(accepted) = (self.accept)(text, part) {
                out.push_str(text.get(done..accepted.start)?);
                out.push_str(self.label);
                done = accepted.end;
                count += 1;
                // The rest of a longer match may hold another one.
                at = accepted.end;
            } else if whole.len() > MAX_RETRIED_BYTES {
                at = whole.end;
            } else {
                at = whole.start + text.get(whole.clone())?.chars().next()?.len_utf8();
            }
        }
        out.push_str(text.get(done..)?);
        (count > 0).then_some((out, count))
    }
}

fn any(_: &str, found: Range<usize>) -> Option<Range<usize>> {
    Some(found)
}

/// A secret has letters and digits; words and column names have only letters.
fn mixed(text: &str, found: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(found.clone())?;
    let letters = value.contains(|c: char| c.is_ascii_alphabetic());
    (letters && value.contains(|c: char| c.is_ascii_digit())).then_some(found)
}
