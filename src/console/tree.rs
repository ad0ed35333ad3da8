//! The supervision tree, live, with its crash reports and dead letters. It asks no cell, so it is there while workers hang.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use maud::{Markup, html};
use serde::Deserialize;
use supervisors::{CrashSummary, DeadLetter, NodeKind, TreeSnapshot};

use super::figures::{count, moment, size};
use super::form::TimedForm;
use super::page::{alert, page, see, table, told};
use crate::services::collections::encoded;
use crate::services::{ServiceError, Services, health, supervision};

const HERE: &str = "/console/tree";
const TITLE: &str = "Supervision tree";

/// What a button asked for and was done.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    restarted: String,
    #[serde(default)]
    released: String,
    #[serde(default)]
    forgotten: String,
}

/// What a restart button sends.
#[derive(Debug, Deserialize)]
pub(super) struct Cell {
    id: String,
}

/// What the buttons of a dead letter send.
#[derive(Debug, Deserialize)]
pub(super) struct Letter {
    digest: String,
}

pub(super) async fn show(services: Data<Services>, done: Query<Done>) -> HttpResponse {
    let text = match done.into_inner() {
        Done { restarted, .. } if !restarted.is_empty() => {
            Some(format!("Restarted {restarted}; its queue was kept."))
        }
        Done { released, .. } if !released.is_empty() => {
            Some(format!("Released {released}: it may be asked again."))
        }
        Done { forgotten, .. } if !forgotten.is_empty() => {
            Some(format!("Forgot {forgotten} and its crashes."))
        }
        Done { .. } => None,
    };
    whole(&services, text.as_deref(), None)
}

pub(super) async fn restart(services: Data<Services>, cell: TimedForm<Cell>) -> HttpResponse {
    let id = &cell.id;
    match supervision::restart(&services, id).await {
        Ok(()) => see(&format!("{HERE}?restarted={}", encoded(id))),
        Err(error) => whole(&services, None, Some(&error)),
    }
}

pub(super) async fn release(services: Data<Services>, letter: TimedForm<Letter>) -> HttpResponse {
    match supervision::release(&services, &letter.digest) {
        Ok(()) => see(&format!("{HERE}?released={}", encoded(&letter.digest))),
        Err(error) => whole(&services, None, Some(&error)),
    }
}

pub(super) async fn forget(services: Data<Services>, letter: TimedForm<Letter>) -> HttpResponse {
    match supervision::forget(&services, &letter.digest) {
        Ok(()) => see(&format!("{HERE}?forgotten={}", encoded(&letter.digest))),
        Err(error) => whole(&services, None, Some(&error)),
    }
}

fn whole(services: &Services, done: Option<&str>, error: Option<&ServiceError>) -> HttpResponse {
    let letters = supervision::dead_letters(services);
    let mut rows = Vec::new();
    walk(&supervision::tree(services), "", 0, &mut rows);
    page(
        HERE,
        TITLE,
        &html! {
            (told(done))
            div #wrong { @if let Some(error) = error { (alert(error)) } }
            div #live hx-get=(HERE) hx-trigger="every 2s" hx-select="#live" hx-swap="outerHTML" {
                (summary(services))
                (table("Supervision tree", &[
                    "Cell", "State", "#Restarts", "#Queue", "#Running", "#Stuck", "Last crash", "",
                ], &html! { @for row in &rows { (row) } }))
                h2 { "Dead letters" }
                p.note { "Requests that crashed their cell too often. They are refused until somebody releases them." }
                @if letters.is_empty() {
                    p.empty { "None." }
                } @else {
                    (table("Dead letters", &["Request", "Cell", "#Crashes", "Reports", ""], &html! {
                        @for letter in &letters { (dead(letter)) }
                    }))
                }
            }
        },
    )
}

/// Whether all is well, in a line.
pub(super) fn summary(services: &Services) -> Markup {
    let health = health::health(services);
    html! {
        p.health {
            @if !health.ready {
                span.state.s-open { "not ready" }
            } @else if !health.degraded.is_empty() {
                span.state.s-backoff { "degraded" }
            } @else {
                span.state.s-ready { "all ready" }
            }
            @if !health.degraded.is_empty() { " Not ready: " (health.degraded.join(", ")) }
        }
    }
}

fn walk(node: &TreeSnapshot, above: &str, depth: usize, rows: &mut Vec<Markup>) {
    let path = match above {
        "" => node.id.clone(),
        above => format!("{above}/{}", node.id),
    };
    rows.push(row(node, &path, depth));
    for child in &node.children {
        walk(child, &path, depth + 1, rows);
    }
}

fn row(node: &TreeSnapshot, path: &str, depth: usize) -> Markup {
    let is_cell = node.kind != NodeKind::Supervisor;
    let state = serde_json::to_value(node.state).unwrap_or_default();
    let state = state.as_str().unwrap_or_default();
    let number = |number: Option<usize>| number.map_or_else(String::new, size);
    html! {
        tr.group[!is_cell] {
            th scope="row" class={ "d" (depth.min(4)) } { (node.id) }
            td { span class={ "state s-" (state) } { (state) } }
            td.n { (count(node.restarts)) }
            td.n {
                (number(node.queue))
                @if let Some(capacity) = node.capacity { span.of { " / " (size(capacity)) } }
            }
            td.n { (number(node.in_flight)) }
            td.n { (number(node.zombies)) }
            td {
                @if let Some(failure) = &node.start_failure { span.bad { "did not start: " (failure) } }
                @if let Some(crash) = &node.last_crash { (report(crash, path)) }
            }
            td.act {
                // The root cannot be told to: it is what restarts.
                @if depth > 0 {
                    (button("/console/tree/restart", "id", path, &format!("restart-{path}"), "Restart", &node.id))
                }
            }
        }
    }
}

/// A crash, with its details folded away. `of` tells it from the others on the page.
fn report(crash: &CrashSummary, of: &str) -> Markup {
    html! {
        details id={ "crash-" (of) "-" (crash.id) } {
            summary { (crash.message) }
            dl {
                dt { "Crash" } dd { code { (crash.id) } }
                dt { "When" } dd { (moment(crash.at_ms)) " UTC" }
                dt { "Where" } dd { code { (crash.location) } }
            }
        }
    }
}

fn dead(letter: &DeadLetter) -> Markup {
    let digest = letter.digest.to_string();
    html! {
        tr {
            th scope="row" { code { (digest) } }
            td { (letter.child) }
            td.n { (letter.crashes) }
            td { @for crash in &letter.reports { (report(crash, &digest)) } }
            td.act {
                (button("/console/dead-letters/release", "digest", &digest, &format!("release-{digest}"), "Release", &digest))
                (button("/console/dead-letters/forget", "digest", &digest, &format!("forget-{digest}"), "Forget", &digest))
            }
        }
    }
}

/// A form of one button. The page is shown anew around it without being loaded anew.
fn button(action: &str, name: &str, value: &str, id: &str, word: &str, what: &str) -> Markup {
    html! {
        form method="post" action=(action) hx-post=(action) hx-target="#live" hx-select="#live" hx-swap="outerHTML"
            hx-select-oob="#told:innerHTML,#wrong:innerHTML" {
            input type="hidden" name=(name) value=(value);
            button id=(id) aria-label={ (word) " " (what) } { (word) }
        }
    }
}
