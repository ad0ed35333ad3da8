//! Judging an answer by validators before it counts.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::caller::Caller;
use super::input::{CacheInput, ChatInput};
use crate::engines::chat::CacheMode;
use crate::engines::validation::{Levels, held_json};
use crate::services::validate::{self, ValidateInput};
use crate::services::{Asker, ServiceError, Services, evidence};
use crate::types::chat::{ChatReply, Passage, Role};
use crate::types::demand::{Demand, Judgement, OnFail};
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::{Kind, ValidationEvidence};
use crate::types::plain::counted;
use crate::types::validation::{Finding, Report, Severity};

/// Most validators of one demand.
const MAX_KINDS: usize = 16;
/// The rule of an answer that holds no payload for its validator.
const NO_PAYLOAD: &str = "answer.no_payload";

/// What of an answer a validator is given.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// Its text.
    Text,
    /// `{"text"}`, where the validator's payload has that field.
    TextField,
    /// The JSON in it, or what a pointer finds there.
    Json(String),
    /// `{"answer", "passages", "question"}`.
    Passages,
}

struct One {
    kind: String,
    context: Map<String, Value>,
    form: Form,
}

/// A demand on the answers to one request.
pub(in crate::services) struct Judge {
    kinds: Vec<One>,
    pub(super) on_fail: OnFail,
    pub(super) max_attempts: u32,
    pub(super) max_tokens: u64,
    pub(super) deadline_ms: u64,
    asker: Asker,
    question: String,
}

impl Judge {
    /// The demand of a request, else that of its route; `None`: neither has one.
    ///
    /// Errors: a demand that cannot be met, before anyone is asked.
    pub(in crate::services) fn of(
        services: &Services,
        caller: &Caller,
        input: &mut ChatInput,
    ) -> Result<Option<Self>, ServiceError> {
        let demand = match input.validation.take() {
            Some(demand) => demand,
            None => {
                let model = input.model.as_deref().unwrap_or_default();
                match services.chat.demand(model) {
                    Some(demand) => demand.clone(),
                    None => return Ok(None),
                }
            }
        };
        let judge = Self::new(services, caller, input, demand)?;
        if judge.on_fail != OnFail::Annotate {
            // What was kept may be what was refused.
            input.cache = Some(CacheInput {
                mode: Some(CacheMode::Off),
                // The rest is checked as ever.
                ..input.cache.take().unwrap_or_default()
            });
        }
        Ok(Some(judge))
    }

    fn new(
        services: &Services,
        caller: &Caller,
        input: &ChatInput,
        demand: Demand,
    ) -> Result<Self, ServiceError> {
        if !(1..=MAX_KINDS).contains(&demand.kinds.len()) {
            let message = format!("validation.kinds: must name 1 to {MAX_KINDS} validators");
            return Err(ServiceError::bad_request(message).param("validation.kinds"));
        }
        let limits = &services.limits.iterate;
        let within = |name: &str, given: Option<u64>, default: u64, max: u64| match given {
            None => Ok(default),
            Some(given) if (1..=max).contains(&given) => Ok(given),
            Some(given) => {
                let param = format!("validation.{name}");
                let message = format!(
                    "{param} is {given}: use 1 to {max} (validation.iterate.{name} of the settings)"
                );
                Err(ServiceError::bad_request(message).param(param))
            }
        };
        let attempts = u64::from(limits.max_attempts);
        let max_attempts = within(
            "max_attempts",
            demand.max_attempts.map(u64::from),
            attempts.min(DEFAULT_ATTEMPTS),
            attempts,
        )?;
        let described = services.validators.describe();
        let kinds = demand.kinds.into_iter().map(|one| {
            let schema = described
                .as_array()
                .into_iter()
                .flatten()
                .find(|entry| entry["name"] == one.kind.as_str())
                .map(|entry| &entry["schema"]["properties"]);
            let Some(schema) = schema else {
                let known: Vec<&str> = services.validators.names().collect();
                let kind: String = one.kind.chars().take(100).collect();
                let message = format!(
                    "validation.kinds: unknown validator {kind:?}: known are {}",
                    known.join(", ")
                );
                return Err(ServiceError::bad_request(message).param("validation.kinds"));
            };
            let form = form(one.extract.as_deref(), &schema["payload"])?;
            let mut context = one.context;
            complete_context(&mut context, &schema["context"], &form, input);
            Ok(One {
                kind: one.kind,
                context,
                form,
            })
        });
        let mut newest = input.messages.iter().rev();
        let question = newest
            .find(|message| message.role == Role::User)
            .map(|message| message.text().into_owned());
        Ok(Self {
            kinds: kinds.collect::<Result<_, _>>()?,
            on_fail: demand.on_fail.unwrap_or_default(),
            max_attempts: u32::try_from(max_attempts).unwrap_or(u32::MAX),
            max_tokens: within(
                "max_tokens",
                demand.max_tokens,
                limits.max_tokens,
                limits.max_tokens,
            )?,
            deadline_ms: within(
                "deadline_ms",
                demand.deadline_ms,
                limits.deadline_ms,
                limits.deadline_ms,
            )?,
            asker: caller.asker(),
            question: question.unwrap_or_default(),
        })
    }

    /// Judges an answer and leaves the evidence; `None` for one that calls tools, which is not the last word.
    ///
    /// Errors: a validator did not answer, or the journal could not be written.
    pub(super) async fn judge(
        &self,
        services: &Arc<Services>,
        id: &str,
        reply: &ChatReply,
        passages: &[Passage],
    ) -> Result<Option<Judgement>, ServiceError> {
        if !reply.tool_calls.is_empty() {
            return Ok(None);
        }
        let mut findings = Vec::new();
        for one in &self.kinds {
            let report = match one.payload(&reply.text, passages, &self.question) {
                Ok(payload) => {
                    let input = ValidateInput {
                        kind: one.kind.clone(),
                        payload,
                        context: one.context.clone(),
                        rules: Levels::default(),
                        target: Some(id.to_owned()),
                    };
                    let output = validate::validate(services, self.asker.clone(), input);
                    Box::pin(output).await?.report
                }
                Err(problem) => {
                    self.without_payload(services, one, id, reply, problem)
                        .await?
                }
            };
            findings.extend(report.findings);
        }
        let Report { verdict, findings } = Report::new(findings);
        Ok(Some(Judgement {
            verdict,
            findings,
            attempts: None,
        }))
    }

    /// Records that an answer holds nothing that its validator could judge.
    async fn without_payload(
        &self,
        services: &Services,
        one: &One,
        id: &str,
        reply: &ChatReply,
        problem: String,
    ) -> Result<Report, ServiceError> {
        let report = Report::new(vec![Finding {
            rule: NO_PAYLOAD.to_owned(),
            severity: Severity::Error,
            path: String::new(),
            message: format!("{problem}; {} judges JSON", one.kind),
            suggestion: Some("answer with the JSON only".to_owned()),
        }]);
        let digest = Sha256::digest(reply.text.as_bytes());
        let Asker {
            request_id, key, ..
        } = self.asker.clone();
        let record = ValidationEvidence {
            request_id: request_id.clone(),
            kind: one.kind.clone(),
            verdict: report.verdict,
            findings: report.findings.clone(),
            payload_sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            target: Some(id.to_owned()),
            key: Some(key),
        };
        evidence::record(services, Kind::Validation, &request_id, &record).await?;
        Ok(report)
    }
}

/// Answers that are asked for when a request does not say.
const DEFAULT_ATTEMPTS: u64 = 3;

/// The error of an answer that did not pass.
pub(super) fn refused(judgement: Judgement) -> ServiceError {
    let tried = match judgement.attempts {
        Some(1) => " after 1 attempt".to_owned(),
        Some(attempts) => format!(" after {attempts} attempts"),
        None => String::new(),
    };
    let first = judgement.findings.first();
    let told = first.map_or_else(String::new, |finding| {
        format!("; first: {}: {}", finding.rule, finding.message)
    });
    let message = format!(
        "the answer was refused by its validation{tried}: {}{told}",
        counted(judgement.findings.len(), "finding")
    );
    ServiceError {
        findings: judgement.findings,
        ..ServiceError::new(ErrorKind::Unprocessable, message)
    }
    .code("validation_failed")
}

/// Reads `extract`, else tells from the payload's schema what is wanted.
fn form(extract: Option<&str>, payload: &Value) -> Result<Form, ServiceError> {
    let fields = &payload["properties"];
    let has = |name: &str| fields.get(name).is_some();
    match extract {
        Some("text") => Ok(Form::Text),
        Some("json") => Ok(Form::Json(String::new())),
        Some("passages") => Ok(Form::Passages),
        Some(pointer) if pointer.starts_with('/') => Ok(Form::Json(pointer.to_owned())),
        Some(other) => {
            let other: String = other.chars().take(100).collect();
            let message = format!(
                "validation.kinds: extract {other:?} is none of text, json, passages, and no JSON Pointer such as /email"
            );
            Err(ServiceError::bad_request(message).param("validation.kinds"))
        }
        None if has("answer") && has("passages") => Ok(Form::Passages),
        None if has("text") => Ok(Form::TextField),
        None if payload["type"] == "object" => Ok(Form::Json(String::new())),
        None => Ok(Form::Text),
    }
}

/// What the request says anyway need not be said again.
fn complete_context(
    context: &mut Map<String, Value>,
    schema: &Value,
    form: &Form,
    input: &ChatInput,
) {
    let knows = |name: &str| schema["properties"].get(name).is_some();
    let role = input
        .retrieval
        .as_ref()
        .and_then(|retrieval| retrieval.role.as_ref());
    if let Some(role) = role
        && *form == Form::Passages
        && knows("role")
    {
        context.entry("role").or_insert_with(|| json!(role));
    }
    let schema = input.response_format.as_ref();
    if let Some(schema) = schema.and_then(|format| format.pointer("/json_schema/schema"))
        && knows("schema")
    {
        context.entry("schema").or_insert_with(|| schema.clone());
    }
}

impl One {
    fn payload(&self, answer: &str, passages: &[Passage], question: &str) -> Result<Value, String> {
        match &self.form {
            Form::Text => Ok(json!(answer)),
            Form::TextField => Ok(json!({"text": answer})),
            Form::Json(pointer) => {
                let held = held_json(answer)?;
                let found = held.pointer(pointer).cloned();
                found.ok_or_else(|| format!("the JSON of the answer has nothing at {pointer}"))
            }
            Form::Passages => {
                let passages: Vec<Value> = passages
                    .iter()
                    .map(|passage| {
                        let mut written = json!({"id": passage.id, "text": passage.text});
                        if let Some(role) = &passage.role {
                            written["role"] = json!(role);
                        }
                        written
                    })
                    .collect();
                Ok(json!({"answer": answer, "passages": passages, "question": question}))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_follows_from_what_the_validator_describes() {
        let object = |fields: Value| json!({"type": "object", "properties": fields});
        let grounded = object(json!({"answer": {}, "passages": {}}));
        for (extract, payload, expected) in [
            (None, &grounded, Some(Form::Passages)),
            (None, &object(json!({"text": {}})), Some(Form::TextField)),
            (
                None,
                &object(json!({"to": {}})),
                Some(Form::Json(String::new())),
            ),
            (None, &json!({}), Some(Form::Text)),
            (Some("text"), &grounded, Some(Form::Text)),
            (Some("/a/0"), &json!({}), Some(Form::Json("/a/0".into()))),
            (Some("xml"), &json!({}), None),
        ] {
            assert_eq!(
                form(extract, payload).ok(),
                expected,
                "{extract:?} {payload}"
            );
        }
    }

    #[test]
    fn payloads_are_cut_out_of_the_answer() {
        let one = |form| One {
            kind: "k".into(),
            context: Map::new(),
            form,
        };
        let answer = "Here:\n```json\n{\"mail\": {\"to\": \"a@b.c\"}}\n```";
        let mail = one(Form::Json("/mail".into()));
        assert_eq!(
            mail.payload(answer, &[], "").unwrap(),
            json!({"to": "a@b.c"})
        );
        let none = one(Form::Json("/post".into()))
            .payload(answer, &[], "")
            .unwrap_err();
        assert!(none.contains("nothing at /post"), "{none}");
        assert!(
            mail.payload("No.", &[], "")
                .unwrap_err()
                .contains("holds no JSON")
        );
        let passage = Passage {
            collection: "c".into(),
            id: "p".into(),
            score: 1.0,
            text: "t".into(),
            title: None,
            role: Some("nurse".into()),
        };
        assert_eq!(
            one(Form::Passages).payload("a", &[passage], "q").unwrap(),
            json!({"answer": "a", "question": "q", "passages": [{"id": "p", "text": "t", "role": "nurse"}]})
        );
    }
}
