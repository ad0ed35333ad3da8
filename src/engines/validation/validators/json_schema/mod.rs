//! `json_schema`: any JSON, or a text that holds JSON, by a schema of the request.
//!
//! The schema may come from whoever the payload comes from, so it is hostile too: nothing is fetched, patterns run in
//! time linear in the text, and a schema that would take too long is refused before it is run.

mod bounds;

#[cfg(test)]
mod tests;

use jsonschema::{Draft, PatternOptions, ValidationError};
use serde_json::{Value, json};

use super::Parts;
use crate::engines::validation::fields::{Fields, kind_of};
use crate::engines::validation::shown::{quoted, sensitive};
use crate::engines::validation::{JsonSchemaConfig, Rule, Validator, held_json};
use crate::types::validation::Finding;

const CONTEXT: Rule = Rule::critical(
    "json_schema.context",
    "the context holds the schema, and nothing unknown",
);
const SCHEMA: Rule = Rule::critical(
    "json_schema.schema",
    "the schema is one of its draft, within bounds, and refers only to itself",
);
const TOO_COMPLEX: Rule = Rule::critical(
    "json_schema.too_complex",
    "the schema can be judged on this payload in bounded time",
);
const NO_JSON: Rule = Rule::error("json_schema.no_json", "a text holds JSON");
const VIOLATION: Rule = Rule::error("json_schema.violation", "the payload is as the schema says");
const CUT: Rule = Rule::warning("json_schema.cut", "all violations are told");

const ALL: &[Rule] = &[CONTEXT, SCHEMA, TOO_COMPLEX, NO_JSON, VIOLATION, CUT];

/// Bytes of one compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;
/// Characters of a message of the engine that are shown.
const MAX_MESSAGE: usize = 400;
/// Longest pointer that is told; more of a name says nothing.
const MAX_PATH: usize = 1_000;

struct JsonSchema {
    config: JsonSchemaConfig,
}

pub(super) fn build(parts: &Parts<'_>) -> Box<dyn Validator> {
    Box::new(JsonSchema {
        config: parts.config.json_schema.clone(),
    })
}

impl Validator for JsonSchema {
    fn name(&self) -> &'static str {
        "json_schema"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object",
            "required": ["payload", "context"],
            "properties": {
                "payload": {"description": "Any JSON. A text is searched for JSON: the whole, fenced code, or the first object or list in it."},
                "context": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["schema"],
                    "properties": {
                        "schema": {"type": ["object", "boolean"], "description": "A JSON Schema."},
                        "draft": {
                            "enum": ["7", "2019-09", "2020-12"],
                            "description": "Default: what $schema says, else 2020-12.",
                        },
                        "as": {
                            "enum": ["text", "value"],
                            "description": "Whether a text is searched for JSON, the default, or is the value itself.",
                        },
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
        let Some(task) = read(context, &mut findings) else {
            return findings;
        };
        let held;
        let value = match payload {
            Value::String(text) if task.searched => match held_json(text) {
                Ok(found) => {
                    held = found;
                    &held
                }
                Err(problem) => {
                    findings.push(NO_JSON.suggesting(
                        "",
                        problem,
                        Some("answer with the JSON only".to_owned()),
                    ));
                    return findings;
                }
            },
            other => other,
        };
        if let Err(refused) = bounds::check(task.schema, value, self.config.max_schema_nodes) {
            let rule = match refused {
                bounds::Refused::Schema(_) => SCHEMA,
                bounds::Refused::TooComplex(_) => TOO_COMPLEX,
            };
            findings.push(rule.finding("", refused.to_string()));
            return findings;
        }
        judge(&task, value, self.config.max_findings, &mut findings);
        findings
    }
}

struct Task<'a> {
    schema: &'a Value,
    draft: Option<Draft>,
    searched: bool,
}

fn read<'a>(context: &'a Value, findings: &mut Vec<Finding>) -> Option<Task<'a>> {
    let mut fields = Fields::of_context(context, CONTEXT, findings);
    fields.only(&["schema", "draft", "as"], CONTEXT, Some(CONTEXT));
    fields.required("schema");
    let draft = match fields.text("draft") {
        None => None,
        Some("7") => Some(Draft::Draft7),
        Some("2019-09") => Some(Draft::Draft201909),
        Some("2020-12") => Some(Draft::Draft202012),
        Some(other) => {
            let problem = format!("is {}: use 7, 2019-09 or 2020-12", quoted(other));
            fields.wrong("draft", &problem);
            None
        }
    };
    let searched = match fields.text("as") {
        None | Some("text") => true,
        Some("value") => false,
        Some(other) => {
            fields.wrong("as", &format!("is {}: use text or value", quoted(other)));
            true
        }
    };
    let schema = fields.get("schema");
    if let Some(other) = schema.filter(|schema| !schema.is_object() && !schema.is_boolean()) {
        let problem = format!("must be an object or a boolean, is {}", kind_of(other));
        fields.wrong("schema", &problem);
    }
    if context.is_null() {
        findings.push(CONTEXT.finding("", "context.schema is missing"));
    }
    let schema = schema.filter(|_| findings.is_empty())?;
    Some(Task {
        schema,
        draft,
        searched,
    })
}

/// Compiles the schema and tells what violates it.
fn judge(task: &Task<'_>, value: &Value, max_findings: usize, findings: &mut Vec<Finding>) {
    let patterns = PatternOptions::regex()
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES);
    let mut options = jsonschema::options().with_pattern_options(patterns);
    if let Some(draft) = task.draft {
        options = options.with_draft(draft);
    }
    let validator = match options.build(task.schema) {
        Ok(validator) => validator,
        Err(error) => {
            let at = match error.instance_path().to_string() {
                path if path.is_empty() => String::new(),
                path => format!(" at {}", pointer(&path)),
            };
            let message = format!("the schema cannot be used{at}: {}", message(&error));
            findings.push(SCHEMA.finding("", message));
            return;
        }
    };
    let mut errors = validator.iter_errors(value);
    for error in errors.by_ref().take(max_findings) {
        let told = message(&error);
        let keyword = pointer(&error.schema_path().to_string());
        let told = format!("{told} (schema: {keyword})");
        findings.push(VIOLATION.finding(pointer(&error.instance_path().to_string()), told));
    }
    if errors.next().is_some() {
        let message = format!("there are more than {max_findings} violations");
        findings.push(CUT.finding("", message));
    }
}

/// The engine's words without the payload's values, which may be long or private.
fn message(error: &ValidationError<'_>) -> String {
    let told = error.masked().to_string();
    if sensitive(&told) {
        return format!("violates {}", error.kind().keyword());
    }
    match told.char_indices().nth(MAX_MESSAGE) {
        Some((cut, _)) => format!("{}…", &told[..cut]),
        None => told,
    }
}

/// A pointer that is fit to be shown; what is too long or hides a secret points at the whole.
fn pointer(path: &str) -> String {
    if path.len() > MAX_PATH || sensitive(path) {
        return String::new();
    }
    path.to_owned()
}
