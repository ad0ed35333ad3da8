//! What `pii` and `secrets` share: which kinds are left out, and how many finds are told.

use serde_json::{Value, json};

use crate::engines::validation::Rule;
use crate::engines::validation::fields::Fields;
use crate::types::validation::Finding;

/// Finds that are told each; more are only counted.
const TOLD: usize = 100;

/// The finds of one payload.
pub(super) struct Sought {
    except: Vec<String>,
    findings: Vec<Finding>,
    told: usize,
    untold: usize,
}

impl Sought {
    /// Reads the context: `{"except": [kind]}`.
    pub(super) fn read(context: &Value, rule: Rule) -> Self {
        let mut findings = Vec::new();
        let mut fields = Fields::of_context(context, rule, &mut findings);
        fields.only(&["except"], rule, Some(rule));
        let except = fields.texts("except", true);
        Self {
            except: except.into_iter().map(|(_, kind)| plain(kind)).collect(),
            findings,
            told: 0,
            untold: 0,
        }
    }

    /// Whether the caller does not want finds of this kind.
    pub(super) fn is_left_out(&self, kind: &str) -> bool {
        !self.except.is_empty() && self.except.contains(&plain(kind))
    }

    /// Notes a find.
    pub(super) fn found(&mut self, finding: Finding) {
        if self.told < TOLD {
            self.told += 1;
            self.findings.push(finding);
        } else {
            self.untold += 1;
        }
    }

    /// All that is to be told.
    pub(super) fn findings(mut self, rule: Rule) -> Vec<Finding> {
        if self.untold > 0 {
            let message = format!("{} more like these were found", self.untold);
            self.findings.push(rule.finding("", message));
        }
        self.findings
    }
}

/// `Card number`, `card-number` and `card_number` are one kind.
fn plain(kind: &str) -> String {
    let letters = kind.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// The schema of `{payload, context}`; `example` is what could be left out.
pub(super) fn schema(example: Value) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["payload"],
        "properties": {
            "payload": {"description": "any JSON: all its texts, numbers and names of members are looked through"},
            "context": {
                "type": "object",
                "properties": {"except": {
                    "description": "kinds that are left out, as the messages name them",
                    "type": "array",
                    "items": {"type": "string"},
                    "examples": [example],
                }},
                "additionalProperties": false,
            },
        },
    })
}
