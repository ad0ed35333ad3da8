//! The pages of the review queue: what waits, one task with everything of it, and buttons that decide.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use maud::{Markup, html};
use serde::Deserialize;

use super::figures::{beginning, size};
use super::form::{Asking, TimedForm};
use super::page::{alert, failure, page, see, table};
use crate::services::collections::point_path;
use crate::services::review::{self, Decision, ReviewInput, ReviewPage, ReviewQuery, ReviewTask};
use crate::services::{ServiceError, Services};
use crate::types::plain::counted;

const HERE: &str = "/console/review";
/// Characters of a text in the list.
const SHOWN: usize = 240;

/// Where a list goes on.
#[derive(Debug, Default, Deserialize)]
pub(super) struct From {
    after: Option<u64>,
}

/// What the buttons send.
#[derive(Debug, Deserialize)]
pub(super) struct Decided {
    decision: Decision,
    #[serde(default)]
    answer: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    reviewer: String,
}

pub(super) async fn list(services: Data<Services>, from: Query<From>) -> HttpResponse {
    let query = ReviewQuery {
        limit: None,
        after: from.after,
    };
    match review::list(&services, query).await {
        Ok(found) => page(HERE, "Review", &waiting(&found)),
        Err(error) => failure(HERE, "Review", &error),
    }
}

pub(super) async fn task(services: Data<Services>, task: Path<String>) -> HttpResponse {
    match review::read(&services, &task).await {
        Ok(found) => page(HERE, "Task", &one(&found, None)),
        Err(error) => absent(&error),
    }
}

pub(super) async fn decide(
    asking: Asking,
    services: Data<Services>,
    task: Path<String>,
    decided: TimedForm<Decided>,
) -> HttpResponse {
    let TimedForm(decided) = decided;
    let given = |text: String| Some(text).filter(|text| !text.trim().is_empty());
    // Forms end their lines as networks do.
    let answer = decided.answer.replace("\r\n", "\n");
    let input = ReviewInput {
        decision: decided.decision,
        // The field is there for every button.
        answer: Some(answer).filter(|_| decided.decision == Decision::Edit),
        note: given(decided.note),
        reviewer: given(decided.reviewer),
    };
    match review::decide(&services, asking.0, &task, input).await {
        Ok(_) => see(HERE),
        Err(error) => match review::read(&services, &task).await {
            Ok(found) => page(HERE, "Task", &one(&found, Some(&error))),
            Err(_) => absent(&error),
        },
    }
}

fn absent(error: &ServiceError) -> HttpResponse {
    page(HERE, "Task", &html! { (alert(error)) (back()) })
}

fn back() -> Markup {
    html! { p.pages { a href=(HERE) { "What waits" } } }
}

fn waiting(found: &ReviewPage) -> Markup {
    html! {
        p.note { "Waiting for a person: " (counted(size(found.total), "task")) "." }
        @if found.tasks.is_empty() {
            p.empty { "Nothing waits." }
        } @else {
            (table("Tasks", &["Asked", "Answer", "Why", "Task"], &html! {
                @for ReviewTask { prompt, task } in &found.tasks {
                    tr {
                        td.prose { a href={ (HERE) "/" (task.id) } { (beginning(prompt, SHOWN)) } }
                        td.prose { (beginning(&task.answer, SHOWN)) }
                        td { (task.reasons.join(", ")) }
                        td { code { (beginning(&task.id, SHOWN)) } }
                    }
                }
            }))
        }
        @if let Some(next) = found.next {
            p.pages { a href={ (HERE) "?after=" (next) } rel="next" { "Next page" } }
        }
    }
}

fn one(found: &ReviewTask, error: Option<&ServiceError>) -> Markup {
    let task = &found.task;
    let by = task.answered_by.as_deref().unwrap_or(&task.model);
    html! {
        @if let Some(error) = error { (alert(error)) }
        p.note {
            code { (task.id) } "; " (task.reasons.join(", ")) "; by " (by)
            @if let Some(from) = &task.imported { ", imported from " (from.source) " as " (from.id) }
        }
        div.log {
            @for (role, text) in found.turns() {
                article class={ "turn " (role) } { h2.who { (role) } p.text { (text) } }
            }
            article.turn.assistant {
                h2.who { "answer" }
                p.text { (task.answer) }
                @for call in &task.tool_calls { pre.code { (call) } }
            }
        }
        @if !task.passages.is_empty() {
            h2 { "Passages" }
            ol.hits {
                @for passage in &task.passages {
                    li {
                        div.head {
                            a href={ "/console" (point_path(&passage.collection, &passage.id)) } {
                                (passage.collection) "/" (passage.id)
                            }
                            @if passage.cited { span.state.s-ready { "cited" } }
                        }
                        p.text { (passage.text) }
                    }
                }
            }
        }
        h2 { "Decision" }
        form.panel method="post" action={ (HERE) "/" (task.id) } {
            div.fields {
                label { "Reviewer" input name="reviewer" maxlength="200" autocomplete="name"; }
                label.wide { "Note" input name="note"; }
            }
            div.row {
                button.primary name="decision" value="accept" { "Accept" }
                button name="decision" value="partially_accept" { "Accept in part" }
                button name="decision" value="reject" { "Reject" }
            }
            label { "As it should have been" textarea name="answer" rows="8" { "\n" (task.answer) } }
            div.row { button name="decision" value="edit" { "Accept as corrected" } }
        }
        (back())
    }
}
