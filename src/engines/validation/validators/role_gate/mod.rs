//! `role_gate`: what is meant for one role stays out of the answers to another.
//!
//! Passages that are marked with another role must not be in the context, and the answer must not repeat them word for
//! word. A paraphrase it cannot see.

mod runs;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Parts;
use crate::engines::validation::fields::{Fields, kind_of};
use crate::engines::validation::shown::quoted;
use crate::engines::validation::{RoleGateConfig, Rule, Validator};
use crate::types::validation::Finding;
use runs::{Seen, longest_run};

const SHAPE: Rule = Rule::critical(
    "role_gate.shape",
    "payload and context have the fields of the schema, of their types",
);
const OTHER_ROLE: Rule = Rule::critical(
    "role_gate.other_role",
    "no passage or message of the context is marked with another role",
);
const UNMARKED: Rule = Rule::error(
    "role_gate.unmarked",
    "where context.strict is set, each passage is marked with a role",
);
const LEAK: Rule = Rule::critical(
    "role_gate.leak",
    "the answer repeats no long run of words of a passage of another role",
);
const ALL: &[Rule] = &[SHAPE, OTHER_ROLE, UNMARKED, LEAK];

/// Roles of a conversation: they say who speaks, not whom it is for.
const SPEAKERS: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];
/// Findings of one rule.
const MAX_FINDINGS: usize = 50;

struct RoleGate {
    config: RoleGateConfig,
}

pub(super) fn build(parts: &Parts<'_>) -> Box<dyn Validator> {
    Box::new(RoleGate {
        config: parts.config.role_gate.clone(),
    })
}

impl Validator for RoleGate {
    fn name(&self) -> &'static str {
        "role_gate"
    }

    fn schema(&self) -> Value {
        let marks = json!({"type": ["string", "array"], "items": {"type": "string"}});
        let field = self.config.role_field.as_str();
        let item = |text: &str| {
            json!({
                "type": "object", "required": [text],
                "properties": {
                    text: {"type": "string"}, "id": {"type": "string"}, field: marks,
                    "payload": {"type": "object", "properties": {field: marks}},
                    "metadata": {"type": "object", "properties": {field: marks}},
                },
            })
        };
        json!({
            "type": "object",
            "required": ["payload", "context"],
            "properties": {
                "payload": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "passages": {"type": "array", "maxItems": self.config.max_passages, "items": item("text")},
                        "messages": {
                            "type": "array", "maxItems": self.config.max_passages, "items": item("content"),
                            "description": "A role such as user or system says who speaks and is no mark.",
                        },
                        "answer": {"type": "string"},
                        "question": {"type": "string", "description": "What it holds may stand in the answer."},
                    },
                },
                "context": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["role"],
                    "properties": {
                        "role": {"type": ["string", "array"], "items": {"type": "string"}, "description": "Who asks."},
                        "strict": {"type": "boolean", "default": false, "description": "Whether what has no mark is a finding."},
                    },
                },
            },
        })
    }

    fn rules(&self) -> &'static [Rule] {
        ALL
    }

    fn validate(&self, payload: &Value, context: &Value) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut fields = Fields::of_context(context, SHAPE, &mut findings);
        fields.only(&["role", "strict"], SHAPE, Some(SHAPE));
        let roles: BTreeSet<&str> = fields
            .texts("role", true)
            .into_iter()
            .map(|(_, role)| role)
            .filter(|role| !role.trim().is_empty())
            .collect();
        let strict = match fields.get("strict") {
            None => false,
            Some(Value::Bool(strict)) => *strict,
            Some(other) => {
                fields.wrong(
                    "strict",
                    &format!("must be a boolean, is {}", kind_of(other)),
                );
                false
            }
        };
        if roles.is_empty() {
            fields.wrong("role", "must name who asks");
        }
        let mut fields = Fields::of_payload(payload, String::new(), SHAPE, &mut findings);
        fields.only(
            &["passages", "messages", "answer", "question"],
            SHAPE,
            Some(SHAPE),
        );
        if payload.is_object()
            && fields.get("passages").is_none()
            && fields.get("messages").is_none()
        {
            fields.wrong("passages", "is missing: give passages or messages");
        }
        let answer = fields.text("answer").unwrap_or_default();
        let question = fields.text("question").unwrap_or_default();
        let (passages, messages) = (fields.get("passages"), fields.get("messages"));
        let mut items = self.read("passages", "text", passages, &mut findings);
        items.extend(self.read("messages", "content", messages, &mut findings));
        let gate = Gate { roles, strict };
        gate.marks(&items, &mut findings);
        gate.leaks(&items, answer, question, self.config.min_run, &mut findings);
        findings
    }
}

/// A passage or message.
struct Item<'a> {
    path: String,
    text: &'a str,
    /// Whom it is for; `None`: everyone. A mark that cannot be read is for nobody, as in searches.
    marks: Option<Vec<&'a str>>,
}

impl RoleGate {
    fn read<'a>(
        &self,
        name: &str,
        text: &str,
        items: Option<&'a Value>,
        findings: &mut Vec<Finding>,
    ) -> Vec<Item<'a>> {
        let items = match items {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                let message = format!("{name} must be a list, is {}", kind_of(other));
                findings.push(SHAPE.finding(format!("/{name}"), message));
                return Vec::new();
            }
        };
        let max = self.config.max_passages;
        if items.len() > max {
            let message = format!("there are {} {name}, the limit is {max}", items.len());
            findings.push(SHAPE.finding(format!("/{name}"), message));
        }
        let mut read = Vec::new();
        let mut wrong = 0;
        for (at, item) in items.iter().take(max).enumerate() {
            let path = format!("/{name}/{at}");
            let said = item.get(text).and_then(Value::as_str);
            if said.is_none() && wrong < MAX_FINDINGS {
                wrong += 1;
                let message = format!("has no {text}");
                findings.push(SHAPE.finding(path.as_str(), message));
            }
            read.push(Item {
                marks: marks(item, &self.config.role_field),
                text: said.unwrap_or_default(),
                path,
            });
        }
        read
    }
}

/// The roles that an item is for: of its payload or metadata, else its own.
fn marks<'i>(item: &'i Value, field: &str) -> Option<Vec<&'i str>> {
    let nested = ["payload", "metadata"].into_iter();
    let nested = nested.map(|part| item.get(part)?.get(field));
    let own = item.get(field).filter(|role| {
        let said = role.as_str();
        let speaks = field == "role" && item.get("content").is_some();
        !said.is_some_and(|said| speaks && SPEAKERS.contains(&said))
    });
    let mut said = nested.chain([own]).flatten();
    match said.find(|said| !said.is_null())? {
        Value::String(role) => Some(vec![role.as_str()]),
        Value::Array(roles) => Some(roles.iter().filter_map(Value::as_str).collect()),
        _ => Some(Vec::new()),
    }
}

/// Who may see what.
struct Gate<'a> {
    roles: BTreeSet<&'a str>,
    strict: bool,
}

impl Gate<'_> {
    fn lets(&self, item: &Item<'_>) -> bool {
        let marks = item.marks.as_ref();
        marks.is_none_or(|marks| marks.iter().any(|mark| self.roles.contains(mark)))
    }

    fn marks(&self, items: &[Item<'_>], findings: &mut Vec<Finding>) {
        let others = items.iter().filter(|item| !self.lets(item));
        for item in others.take(MAX_FINDINGS) {
            let marks = item.marks.iter().flatten().take(5);
            let marks: Vec<String> = marks.map(|mark| quoted(mark)).collect();
            let message = match marks[..] {
                [] => "has a mark that names no role: use a text or a list of texts".to_owned(),
                _ => format!("is for {}, not for who asks", marks.join(", ")),
            };
            let suggestion = Some("leave it out of the context".to_owned());
            findings.push(OTHER_ROLE.suggesting(item.path.as_str(), message, suggestion));
        }
        if self.strict {
            let unmarked = items
                .iter()
                .filter(|item| item.marks.is_none() && !item.text.is_empty());
            for item in unmarked.take(MAX_FINDINGS) {
                findings.push(UNMARKED.finding(item.path.as_str(), "is marked with no role"));
            }
        }
    }

    fn leaks(
        &self,
        items: &[Item<'_>],
        answer: &str,
        question: &str,
        min_run: usize,
        findings: &mut Vec<Finding>,
    ) {
        if answer.is_empty() {
            return;
        }
        let open = items
            .iter()
            .filter(|item| self.lets(item))
            .map(|item| item.text);
        let open = Seen::of(open.chain([question]), min_run);
        let others = items.iter().filter(|item| !self.lets(item));
        for item in others.take(MAX_FINDINGS) {
            if let Some(run) = longest_run(answer, item.text, &open, min_run) {
                let message = format!(
                    "repeats {} words of {}: {}",
                    run.words,
                    item.path,
                    quoted(run.text)
                );
                findings.push(LEAK.finding("/answer", message));
            }
        }
    }
}
