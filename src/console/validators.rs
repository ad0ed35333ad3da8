//! The validators playground: a payload, what it is judged by, and the findings; and the rules of every kind.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::examples;
use super::figures::{pretty, size};
use super::form::{Asking, TimedForm};
use super::page::{alert, page, table};
use crate::services::validate::{self, ValidateInput, ValidateOutput};
use crate::services::{ServiceError, Services, tables};
use crate::types::plain::counted;

const HERE: &str = "/console/validators";

/// Which kind's example is shown.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Chosen {
    #[serde(default)]
    kind: String,
}

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Given {
    kind: String,
    payload: String,
    context: String,
    target: String,
}

impl Given {
    /// The example of a kind, or of the first one that has any.
    fn example(kind: &str) -> Self {
        let kind = if kind.is_empty() { "email" } else { kind };
        let (payload, context) = examples::of(kind).unwrap_or_default();
        Self {
            kind: kind.to_owned(),
            payload: pretty(&payload),
            context: pretty(&Value::Object(context)),
            target: String::new(),
        }
    }

    fn input(&self) -> Result<ValidateInput, ServiceError> {
        let wrong = |name: &str, error: serde_json::Error| {
            ServiceError::bad_request(format!("{name} is no JSON: {error}")).param(name)
        };
        let context = match self.context.trim() {
            "" => Map::new(),
            text => serde_json::from_str(text).map_err(|error| wrong("context", error))?,
        };
        Ok(ValidateInput {
            kind: self.kind.clone(),
            payload: serde_json::from_str(&self.payload)
                .map_err(|error| wrong("payload", error))?,
            context,
            rules: Default::default(),
            target: Some(self.target.trim().to_owned()).filter(|target| !target.is_empty()),
        })
    }
}

pub(super) async fn show(services: Data<Services>, chosen: Query<Chosen>) -> HttpResponse {
    whole(&services, &Given::example(&chosen.kind), None)
}

pub(super) async fn judge(
    asking: Asking,
    services: Data<Services>,
    given: TimedForm<Given>,
) -> HttpResponse {
    let judged = match given.input() {
        Ok(input) => validate::validate(&services, asking.0, input).await,
        Err(error) => Err(error),
    };
    whole(&services, &given, Some(&judged))
}

fn whole(
    services: &Services,
    given: &Given,
    judged: Option<&Result<ValidateOutput, ServiceError>>,
) -> HttpResponse {
    let known = validate::validators(services);
    let known = known.as_array().map_or(&[][..], Vec::as_slice);
    page(
        HERE,
        "Validators",
        &html! {
            (form(known, given))
            section #judged aria-live="polite" {
                @match judged {
                    None => {}
                    Some(Ok(judged)) => { (report(judged)) }
                    Some(Err(error)) => { (alert(error)) }
                }
            }
            h2 { "Rules" }
            @for validator in known { (rules(validator)) }
            (looked_up(services))
        },
    )
}

fn name(validator: &Value) -> &str {
    validator["name"].as_str().unwrap_or_default()
}

fn form(known: &[Value], given: &Given) -> Markup {
    html! {
        p.note { "Examples: "
            @for validator in known {
                @if examples::of(name(validator)).is_some() {
                    a href={ (HERE) "?kind=" (name(validator)) } { (name(validator)) } " "
                }
            }
        }
        form.panel method="post" action=(HERE) hx-post=(HERE) hx-target="#judged" hx-select="#judged" hx-swap="outerHTML" {
            div.fields {
                label { "Kind"
                    select name="kind" {
                        @for validator in known {
                            option value=(name(validator)) selected[name(validator) == given.kind] { (name(validator)) }
                        }
                    }
                }
                label.wide { "Answer that it came from (optional)" input name="target" value=(given.target) autocomplete="off"; }
            }
            div.halves {
                label { "Payload" textarea.code name="payload" rows="14" spellcheck="false" required { (given.payload) } }
                label { "Context" textarea.code name="context" rows="14" spellcheck="false" { (given.context) } }
            }
            div.row { button.primary { "Validate" } }
        }
    }
}

fn report(judged: &ValidateOutput) -> Markup {
    let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let verdict = word(json!(judged.report.verdict));
    let findings = &judged.report.findings;
    html! {
        h2 { "Verdict: " span class={ "state v-" (verdict) } { (verdict) } }
        @if findings.is_empty() {
            p.empty { "No findings." }
        } @else {
            (table("Findings", &["Severity", "Rule", "Where", "What", "Suggestion"], &html! {
                @for finding in findings {
                    @let severity = word(json!(finding.severity));
                    tr {
                        td { span class={ "state v-" (severity) } { (severity) } }
                        th scope="row" { code { (finding.rule) } }
                        td { code { @if finding.path.is_empty() { "the whole" } @else { (finding.path) } } }
                        td.prose { (finding.message) }
                        td.prose { (finding.suggestion.as_deref().unwrap_or("")) }
                    }
                }
            }))
        }
        p.note { "Request " code { (judged.id) } }
    }
}

fn rules(validator: &Value) -> Markup {
    let rules = validator["rules"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |rule: &Value, field: &str| rule[field].as_str().unwrap_or_default().to_owned();
    html! {
        details {
            summary { (name(validator)) span.of { " " (counted(size(rules.len()), "rule")) } }
            (table(name(validator), &["Rule", "Counts as", "What it is about"], &html! {
                @for rule in rules {
                    tr {
                        th scope="row" { code { (text(rule, "id")) } }
                        td { (text(rule, "effective")) }
                        td.prose { (text(rule, "description")) }
                    }
                }
            }))
            details { summary { "Schema" } pre.code { (pretty(&validator["schema"])) } }
        }
    }
}

/// The tables that validators look things up in.
fn looked_up(services: &Services) -> Markup {
    let status = tables::status(services);
    html! {
        @if !status.is_empty() {
            h2 { "Tables" }
            @for table in &status { pre.code { (pretty(&json!(table))) } }
        }
    }
}
