//! `email`: a drafted mail, before it is sent.
//!
//! What a model can write better is an error; what would leak, inject or run something, or reach
//! someone it must not, is critical.

mod draft;
mod greeting;
mod links;
mod placeholders;
mod recipients;
mod rules;

use std::sync::Arc;

use serde_json::Value;

use super::Parts;
use crate::engines::validation::shown::{masked, quoted};
use crate::engines::validation::{EmailConfig, Roster, Rule, Validator, pii, secrets};
use crate::types::validation::Finding;
use draft::{Draft, Task};

/// Findings of one rule in one text: more say nothing new.
const MAX_PER_RULE: usize = 20;

/// Extensions of files that run something when they are opened.
const RUNNABLE: &str = "ade adp apk app appimage bat chm cmd com cpl deb dll dmg docm dotm exe hta \
    img iso jar js jse lnk msc msi msp mst pif pkg ppam pptm ps1 psm1 py reg rpm scf scr sh svg \
    sys vb vbe vbs vhd vhdx wsc wsf wsh xlam xll xlsm xltm";

/// Judges drafted mail.
struct Email {
    roster: Arc<Roster>,
    config: EmailConfig,
}

pub(super) fn build(parts: &Parts<'_>) -> Box<dyn Validator> {
    Box::new(Email {
        roster: Arc::clone(&parts.roster),
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
        let task = Task::read(context, &self.config, &self.roster, &mut findings);
        let draft = Draft::read(payload, &mut findings);
        recipients::check(&draft, &task, &mut findings);
        if let Some(subject) = draft.subject {
            check_subject(subject, task.max_subject, &mut findings);
            check_text("/subject", subject, &task, &mut findings);
        }
        if let Some(body) = draft.body {
            check_body(&draft, body, task.max_body, &mut findings);
            greeting::check(body, task.worker, &mut findings);
            check_text("/body", body, &task, &mut findings);
        }
        if let Some(html) = draft.html {
            check_length(
                "/html",
                html,
                task.max_body,
                rules::BODY_LONG,
                &mut findings,
            );
            check_text("/html", html, &task, &mut findings);
            links::check_attributes("/html", html, &mut findings);
        }
        for (path, name) in &draft.attachments {
            findings.extend(attachment(path, name));
        }
        findings
    }
}

fn check_subject(subject: &str, max: usize, findings: &mut Vec<Finding>) {
    if subject.trim().is_empty() {
        findings.push(rules::SUBJECT_EMPTY.finding("/subject", "the subject is empty"));
    }
    if recipients::injects(subject) {
        let message = "the subject holds a line break or another control character";
        findings.push(rules::HEADER_INJECTION.finding("/subject", message));
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
fn check_text(path: &str, text: &str, task: &Task<'_>, findings: &mut Vec<Finding>) {
    placeholders::check(path, text, findings);
    for found in pii::find(text).into_iter().take(MAX_PER_RULE) {
        let number = text.get(found.span.clone()).unwrap_or_default();
        let shown = masked(number, 0, found.kind.shown_tail());
        let message = format!(
            "a {} at byte {}: {shown}",
            found.kind.name(),
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
        let message = format!("a {} at byte {}: {shown}", found.kind, found.span.start);
        let suggestion = Some("leave it out, and revoke it".to_owned());
        findings.push(rules::SECRET.suggesting(path, message, suggestion));
    }
    links::check(path, text, &task.allowed_domains, findings);
}

fn attachment(path: &str, name: &str) -> Option<Finding> {
    // Windows drops trailing dots and spaces; a direction override shows "fdp.exe" as "exe.pdf".
    let plain = name.trim_end_matches(['.', ' ']);
    let hides = name
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}'));
    let problem = if plain.is_empty() {
        "has no name".to_owned()
    } else if hides || plain.contains(['/', '\\']) {
        "has a path, a control or a direction character in its name".to_owned()
    } else {
        let (_, extension) = plain.rsplit_once('.')?;
        let extension = extension.to_lowercase();
        if !RUNNABLE.split_whitespace().any(|known| known == extension) {
            return None;
        }
        format!("is a .{extension} file, which runs something when it is opened")
    };
    Some(rules::ATTACHMENT.finding(path, format!("attachment {} {problem}", quoted(name))))
}

#[cfg(test)]
mod tests;
