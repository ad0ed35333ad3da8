//! The pages of the review queue: what waits, one task with everything of it, and buttons that decide.

use std::fmt::Write as _;

use actix_web::web::{Data, Form, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::html::{Escaped, frame};
use super::{html_reply, request_id};
use crate::services::review::{self, Decision, ReviewInput, ReviewPage, ReviewQuery, ReviewTask};
use crate::services::{ServiceError, Services};

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
    let page = review::list(&services, query).await;
    html_reply(frame(&match &page {
        Ok(page) => waiting(page),
        Err(error) => failure(error),
    }))
}

pub(super) async fn task(services: Data<Services>, task: Path<String>) -> HttpResponse {
    let found = review::read(&services, &task).await;
    html_reply(frame(&match &found {
        Ok(found) => one(found, None),
        Err(error) => failure(error),
    }))
}

pub(super) async fn decide(
    request: HttpRequest,
    services: Data<Services>,
    task: Path<String>,
    decided: Form<Decided>,
) -> HttpResponse {
    let Form(decided) = decided;
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
    match review::decide(&services, &request_id(&request), &task, input).await {
        Ok(_) => HttpResponse::SeeOther()
            .insert_header(("location", "/console/review"))
            .finish(),
        Err(error) => {
            let found = review::read(&services, &task).await;
            html_reply(frame(&match &found {
                Ok(found) => one(found, Some(&error)),
                Err(_) => failure(&error),
            }))
        }
    }
}

fn failure(error: &ServiceError) -> String {
    format!(
        "<section><h2>Review</h2><p class=bad role=alert>{}</p>\
         <p><a href=\"/console/review\">What waits</a></p></section>",
        Escaped(&error.message)
    )
}

fn waiting(page: &ReviewPage) -> String {
    let mut rows = String::new();
    for ReviewTask { prompt, task } in &page.tasks {
        let link = format!("/console/review/{}", task.id);
        // Writing to a String cannot fail, here and below.
        let _ = write!(
            rows,
            "<tr><td><a href=\"{}\">{}</a></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            Escaped(&link),
            Escaped(&short(&task.id)),
            Escaped(&short(prompt)),
            Escaped(&short(&task.answer)),
            Escaped(&task.reasons.join(", ")),
        );
    }
    if rows.is_empty() {
        rows.push_str("<tr><td colspan=4>nothing waits</td></tr>");
    }
    let next = page.next.map_or_else(String::new, |next| {
        format!("<p><a href=\"/console/review?after={next}\">The next</a></p>")
    });
    format!(
        "<section><h2>Review: {} wait</h2><table><thead><tr><th>task<th>asked<th>answer<th>why</thead>\
         <tbody>{rows}</tbody></table>{next}</section>",
        page.total
    )
}

fn one(found: &ReviewTask, error: Option<&ServiceError>) -> String {
    let task = &found.task;
    let alert = error.map_or_else(String::new, |error| {
        format!("<p class=bad role=alert>{}</p>", Escaped(&error.message))
    });
    let mut turns = String::new();
    for (role, text) in found.turns() {
        let _ = write!(
            turns,
            "<dt>{}</dt><dd class=text>{}</dd>",
            Escaped(&role),
            Escaped(&text)
        );
    }
    let mut calls = String::new();
    for call in &task.tool_calls {
        let _ = write!(calls, "<dd class=text>{}</dd>", Escaped(&call.to_string()));
    }
    let mut passages = String::new();
    for passage in &task.passages {
        let cited = if passage.cited { ", cited" } else { "" };
        let _ = write!(
            passages,
            "<li><b>{}/{}</b>{cited}<br>{}</li>",
            Escaped(&passage.collection),
            Escaped(&passage.id),
            Escaped(&passage.text)
        );
    }
    if !passages.is_empty() {
        passages = format!("<h3>Passages</h3><ol>{passages}</ol>");
    }
    let by = task.answered_by.as_deref().unwrap_or(&task.model);
    let from = task.imported.as_ref().map_or_else(String::new, |from| {
        format!(
            ", imported from {} as {}",
            Escaped(&from.source),
            Escaped(&from.id)
        )
    });
    let action = format!("/console/review/{}", task.id);
    format!(
        "<section><h2>{id}</h2>{alert}<p>{why}; by {by}{from}</p><dl>{turns}<dt>answer</dt>\
         <dd class=text>{answer}</dd>{calls}</dl>{passages}\
         <form method=post action=\"{action}\">\
         <p><label>Reviewer <input name=reviewer maxlength=200></label> <label>Note <input name=note></label></p>\
         <p><button name=decision value=accept>Accept</button> \
         <button name=decision value=partially_accept>Accept in part</button> \
         <button name=decision value=reject>Reject</button></p>\
         <p><label>As it should have been<br><textarea name=answer rows=8>\n{answer}</textarea></label></p>\
         <p><button name=decision value=edit>Accept as corrected</button></p></form>\
         <p><a href=\"/console/review\">What waits</a></p></section>",
        id = Escaped(&task.id),
        why = Escaped(&task.reasons.join(", ")),
        by = Escaped(by),
        answer = Escaped(&task.answer),
        action = Escaped(&action),
    )
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
