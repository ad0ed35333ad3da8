//! `email`: a drafted mail, before it is sent.
//!
//! What a model can write better is an error; what would leak, inject or run something, or reach
//! someone it must not, is critical.

mod addresses;
mod attachments;
mod domains;
mod draft;
mod greeting;
mod headers;
mod html;
mod links;
mod markup;
mod placeholders;
mod recipients;
mod rules;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::Parts;
use crate::engines::validation::shown::{masked, with_article};
use crate::engines::validation::{EmailConfig, Live, Roster, Rule, Validator, pii, secrets};
use crate::types::validation::Finding;
use domains::Known;
use draft::{Draft, Task};
use links::Judge;

/// Findings of one rule in one text: more say nothing new.
const MAX_PER_RULE: usize = 20;
/// Allowed domains that others are compared with.
const MAX_KNOWN: usize = 50;

/// Judges drafted mail.
struct Email {
    roster: Arc<Live<Roster>>,
    config: EmailConfig,
}

pub(super) fn build(parts: &Parts<'_>) -> Box<dyn Validator> {
    Box::new(Email {
        roster: Arc::clone(&parts.tables.roster),
        config: parts.config.email.clone(),
    })
}

impl Validator for Email {
    fn name(&self) -> &'static str {
        "email"
    }

    fn schema(&self) -> Value {
        draft::schema(&self.config)
    }

    fn rules(&self) -> &'static [Rule] {
        rules::ALL
    }

    fn validate(&self, payload: &Value, context: &Value) -> Vec<Finding> {
        let mut findings = Vec::new();
        let roster = self.roster.current();
        let task = Task::read(context, &self.config, &roster, &mut findings);
        let draft = Draft::read(payload, &mut findings);
        let allowed = task.allowed_domains.iter().flatten().take(MAX_KNOWN);
        let mut known: Vec<Known> = allowed.map(|name| Known::new(name, true)).collect();
        let recipients = recipients::check(&draft, &task, &known, &mut findings);
        known.extend(recipients.iter().map(|name| Known::new(name, false)));
        let judge = Judge {
            lists: &task.allowed_domains,
            known,
        };
        if let Some(subject) = draft.subject {
            check_subject(subject, task.max_subject, &mut findings);
            check_text("/subject", subject, &judge, &mut findings);
        }
        if let Some(body) = draft.body {
            check_body(&draft, body, task.max_body, &mut findings);
            greeting::check(body, task.worker, &mut findings);
            check_text("/body", body, &judge, &mut findings);
        }
        if let Some(html) = draft.html {
            check_length(
                "/html",
                html,
                task.max_body,
                rules::BODY_LONG,
                &mut findings,
            );
            check_html(html, &draft, &judge, &mut findings);
        }
        let texts = [draft.subject, draft.body, draft.html];
        let has_password = !draft.attachments.is_empty()
            && texts.into_iter().flatten().any(attachments::names_password);
        for (path, name) in &draft.attachments {
            attachments::check(path, name, has_password, &mut findings);
        }
        findings
    }
}

fn check_html(html: &str, draft: &Draft<'_>, judge: &Judge<'_>, findings: &mut Vec<Finding>) {
    const PATH: &str = "/html";
    let page = html::read(html);
    placeholders::check(PATH, &without_code(html), findings);
    // A number can be split by tags, and stand where nobody sees it.
    for text in [&page.text, &page.unseen] {
        check_leaks(PATH, text, findings);
    }
    links::check(PATH, &page.unlinked, judge, findings);
    markup::check_invisible(PATH, &page.text, findings);
    markup::check(PATH, &page, judge, findings);
    let body = draft.body.unwrap_or_default();
    if !body.trim().is_empty() {
        markup::check_differs(body, &page, findings);
    }
}

/// Blanks what browsers do not show as text but compile: its brackets are no placeholders.
fn without_code(html: &str) -> Cow<'_, str> {
    let mut plain = Cow::Borrowed(html);
    for name in ["style", "script"] {
        let (open, close) = (format!("<{name}"), format!("</{name}"));
        let mut at = 0;
        while let Some(start) = plain.get(at..).and_then(|rest| rest.find(&open)) {
            let start = at + start;
            let length = plain.get(start..).and_then(|rest| rest.find(&close));
            let end = length.map_or(plain.len(), |length| start + length);
            let blank = " ".repeat(end - start);
            plain.to_mut().replace_range(start..end, &blank);
            at = end;
        }
    }
    plain
}

fn check_subject(subject: &str, max: usize, findings: &mut Vec<Finding>) {
    if subject.trim().is_empty() {
        findings.push(rules::SUBJECT_EMPTY.finding("/subject", "the subject is empty"));
    }
    if let Some(how) = headers::injection(subject) {
        findings.push(rules::HEADER_INJECTION.finding("/subject", format!("the subject {how}")));
    }
    check_length("/subject", subject, max, rules::SUBJECT_LONG, findings);
}

fn check_body(draft: &Draft<'_>, body: &str, max: usize, findings: &mut Vec<Finding>) {
    let html = draft.html.unwrap_or_default();
    if body.trim().is_empty() && html.trim().is_empty() {
        findings.push(rules::BODY_EMPTY.finding("/body", "the body is empty"));
    }
    check_length("/body", body, max, rules::BODY_LONG, findings);
}

fn check_length(path: &str, text: &str, max: usize, rule: Rule, findings: &mut Vec<Finding>) {
    let length = text.chars().count();
    if length > max {
        let message = format!("{length} characters, the limit is {max}");
        findings.push(rule.suggesting(path, message, Some(format!("cut {}", length - max))));
    }
}

/// What must not be in any text of a mail.
fn check_text(path: &str, text: &str, judge: &Judge<'_>, findings: &mut Vec<Finding>) {
    placeholders::check(path, text, findings);
    check_leaks(path, text, findings);
    links::check(path, text, judge, findings);
    markup::check_invisible(path, text, findings);
}

/// What must not be given away.
fn check_leaks(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for found in pii::find_identities(text).into_iter().take(MAX_PER_RULE) {
        let number = text.get(found.span.clone()).unwrap_or_default();
        let shown = masked(number, 0, found.kind.shown_tail());
        let message = format!(
            "{} at byte {}: {shown}",
            with_article(found.kind.name()),
            found.span.start
        );
        let suggestion = Some("leave it out, or show its last four digits".to_owned());
        findings.push(rules::PII.suggesting(path, message, suggestion));
    }
    for found in secrets::find(text).into_iter().take(MAX_PER_RULE) {
        let secret = text.get(found.span.clone()).unwrap_or_default();
        let shown = masked(
            secret.lines().next().unwrap_or_default(),
            found.shown_head,
            0,
        );
        let message = format!(
            "{} at byte {}: {shown}",
            with_article(found.kind),
            found.span.start
        );
        let suggestion = Some("leave it out, and revoke it".to_owned());
        findings.push(rules::SECRET.suggesting(path, message, suggestion));
    }
}

#[cfg(test)]
mod tests;
