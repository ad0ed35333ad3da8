//! Payload and context of `email`, read from JSON.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{domains, rules};
use crate::engines::validation::fields::Fields;
use crate::engines::validation::shown::quoted;
use crate::engines::validation::{EmailConfig, Roster, Worker};
use crate::types::validation::Finding;

const FIELDS: [&str; 6] = ["to", "cc", "subject", "body", "html", "attachments"];
const CONTEXT_FIELDS: [&str; 4] = ["worker_id", "max_subject", "max_body", "allowed_domains"];

pub(super) fn schema(config: &EmailConfig) -> Value {
    let texts = json!({"type": "array", "items": {"type": "string"}, "maxItems": 1_000});
    let addresses = json!({"anyOf": [{"type": "string"}, texts]});
    let optional = |form: Value| json!({"anyOf": [form, {"type": "null"}]});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["payload"],
        "properties": {
            "payload": {
                "type": "object",
                "required": ["to", "subject", "body"],
                "properties": {
                    "to": addresses,
                    "cc": optional(addresses.clone()),
                    "subject": {"type": "string", "maxLength": config.max_subject},
                    "body": {"type": "string", "maxLength": config.max_body},
                    "html": optional(json!({"type": "string", "maxLength": config.max_body})),
                    "attachments": optional(texts.clone()),
                },
            },
            "context": {
                "type": "object",
                "properties": {
                    "worker_id": {"type": "string", "description": "who the mail is about"},
                    "max_subject": {"type": "integer", "minimum": 0},
                    "max_body": {"type": "integer", "minimum": 0},
                    "allowed_domains": texts,
                },
            },
        },
    })
}

/// A mail as it was drafted; what is absent or of a wrong type was reported.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// Each with its JSON Pointer, as are the texts of the other lists.
    pub(super) to: Vec<(String, &'a str)>,
    /// Whether there was a `to` at all.
    pub(super) has_to: bool,
    pub(super) cc: Vec<(String, &'a str)>,
    pub(super) subject: Option<&'a str>,
    pub(super) body: Option<&'a str>,
    pub(super) html: Option<&'a str>,
    pub(super) attachments: Vec<(String, &'a str)>,
}

impl<'a> Draft<'a> {
    pub(super) fn read(payload: &'a Value, findings: &mut Vec<Finding>) -> Self {
        let mut fields = Fields::of_payload(payload, String::new(), rules::SHAPE, findings);
        fields.only(&FIELDS, rules::MISSPELT_FIELD, Some(rules::UNKNOWN_FIELD));
        for name in ["to", "subject", "body"] {
            fields.required(name);
        }
        Self {
            has_to: fields
                .get("to")
                .is_some_and(|to| to.is_string() || to.is_array()),
            to: fields.texts("to", true),
            cc: fields.texts("cc", true),
            subject: fields.text("subject"),
            body: fields.text("body"),
            html: fields.text("html"),
            attachments: fields.texts("attachments", false),
        }
    }
}

/// What is known about the mail to be written.
#[derive(Debug)]
pub(super) struct Task<'a> {
    pub(super) worker: Option<Worker<'a>>,
    pub(super) max_subject: usize,
    pub(super) max_body: usize,
    /// Each list that is not empty has to hold a domain for it to be allowed.
    pub(super) allowed_domains: Vec<Vec<String>>,
}

impl<'a> Task<'a> {
    pub(super) fn read(
        context: &Value,
        config: &EmailConfig,
        roster: &'a Roster,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut fields = Fields::of_context(context, rules::CONTEXT, findings);
        fields.only(&CONTEXT_FIELDS, rules::CONTEXT, None);
        let worker_id = fields.filled("worker_id");
        let worker = worker_id.and_then(|id| {
            let worker = roster.find(id);
            if worker.is_none() {
                fields.wrong(
                    "worker_id",
                    &format!("is {}, not on the roster", quoted(id)),
                );
            }
            worker
        });
        let max_subject = fields
            .count("max_subject")
            .unwrap_or(usize::MAX)
            .min(config.max_subject);
        let max_body = fields
            .count("max_body")
            .unwrap_or(usize::MAX)
            .min(config.max_body);
        let asked = fields.texts("allowed_domains", false);
        let asked: Vec<String> = asked
            .into_iter()
            .map(|(_, domain)| domain.to_owned())
            .collect();
        let allowed_domains = [config.allowed_domains.clone(), asked]
            .into_iter()
            .filter(|list| !list.is_empty())
            .map(|list| list.iter().map(|domain| plain(domain)).collect())
            .collect();
        Self {
            worker,
            max_subject,
            max_body,
            allowed_domains,
        }
    }
}

/// What is not a domain allows nothing.
fn plain(domain: &str) -> String {
    let domain = domain.trim().trim_start_matches(['@', '.']);
    domains::ascii(domain).map_or_else(|| domain.to_lowercase(), Cow::into_owned)
}
