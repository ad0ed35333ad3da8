//! The journal: records by filter, page by page, and one record whole.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::figures::{beginning, count, moment, pretty, size};
use super::page::{alert, failure, page, table};
use crate::services::collections::{encoded, point_path};
use crate::services::evidence::{self, EvidenceInput, EvidenceOutput};
use crate::services::{ServiceError, Services};
use crate::types::evidence::{EvidenceRecord, Kind};
use crate::types::plain::counted;

const HERE: &str = "/console/evidence";
/// Records of a page.
const RECORDS: usize = 50;
/// Characters of a summary.
const SHOWN: usize = 160;

/// What the form sends; a field may be empty, as forms send it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    kind: String,
    id: String,
    key: String,
    user: String,
    model: String,
    from: String,
    to: String,
    order: String,
    after: Option<u64>,
}

impl Asked {
    fn fields(&self) -> [(&'static str, &String); 8] {
        [
            ("kind", &self.kind),
            ("id", &self.id),
            ("key", &self.key),
            ("user", &self.user),
            ("model", &self.model),
            ("from", &self.from),
            ("to", &self.to),
            ("order", &self.order),
        ]
    }

    fn input(&self) -> EvidenceInput {
        let given = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        EvidenceInput {
            kind: given(&self.kind),
            id: given(&self.id),
            key: given(&self.key),
            user: given(&self.user),
            model: given(&self.model),
            from: given(&self.from),
            to: given(&self.to),
            order: given(&self.order),
            after: self.after,
            limit: Some(RECORDS),
        }
    }

    /// The address of the page after this one.
    fn next(&self, after: u64) -> String {
        let mut address = format!("{HERE}?after={after}");
        for (name, value) in self.fields() {
            if !value.is_empty() {
                address.push_str(&format!("&{name}={}", encoded(value)));
            }
        }
        address
    }
}

pub(super) async fn list(services: Data<Services>, asked: Query<Asked>) -> HttpResponse {
    let found = evidence::list(&services, asked.input()).await;
    page(
        HERE,
        "Evidence",
        &html! {
            (form(&asked))
            section #records {
                @match &found {
                    Ok(found) => { (records(&asked, found)) }
                    Err(error) => { (alert(error)) }
                }
            }
        },
    )
}

fn form(asked: &Asked) -> Markup {
    html! {
        form.panel method="get" action=(HERE) {
            div.fields {
                label { "Kind"
                    select name="kind" {
                        option value="" { "all" }
                        @for kind in Kind::ALL {
                            option value=(kind.name()) selected[kind.name() == asked.kind] { (kind.name()) }
                        }
                    }
                }
                label.wide { "Id of a record, request or answer" input name="id" value=(asked.id) autocomplete="off"; }
                label { "Model" input name="model" value=(asked.model) autocomplete="off"; }
                label { "Key" input name="key" value=(asked.key) autocomplete="off"; }
                label { "User" input name="user" value=(asked.user) autocomplete="off"; }
                label { "From (UTC)" input name="from" value=(asked.from) placeholder="2026-03-01" autocomplete="off"; }
                label { "To (UTC)" input name="to" value=(asked.to) placeholder="2026-03-31" autocomplete="off"; }
                label { "Order"
                    select name="order" {
                        option value="" { "newest first" }
                        option value="oldest" selected[asked.order == "oldest"] { "oldest first" }
                    }
                }
            }
            div.row { button.primary { "Show" } a href=(HERE) { "All" } }
        }
    }
}

fn records(asked: &Asked, found: &EvidenceOutput) -> Markup {
    html! {
        @if found.records.is_empty() {
            p.empty { "No record here." }
        } @else {
            (table("Records", &["#Number", "When (UTC)", "Kind", "What"], &html! {
                @for record in &found.records {
                    tr {
                        td.n { a href={ (HERE) "/" (record.seq) } { (count(record.seq)) } }
                        td.when { (moment(record.ts)) }
                        td { (record.kind.name()) }
                        td { (beginning(&summary(record), SHOWN)) }
                    }
                }
            }))
        }
        @if found.unreadable > 0 {
            p.alert role="alert" {
                "On the way, not records as they were written: " (counted(count(found.unreadable), "line")) "; " code { "boathouse audit" } " names them."
            }
        }
        @if let Some(next) = found.next {
            p.pages { a href=(asked.next(next)) rel="next" { "Next page" } }
        }
    }
}

/// A record in a line.
fn summary(record: &EvidenceRecord) -> String {
    if let Some(erased) = &record.erased {
        return format!("erased: {}", erased.reason);
    }
    let body = &record.body;
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    match record.kind {
        Kind::Chat => {
            let last = body["messages"].as_array().and_then(|all| all.last());
            let asked = last
                .map(|message| spoken(&message["content"]))
                .unwrap_or_default();
            match text("error") {
                "" => format!("{asked} → {}", text("answer")),
                error => format!("{asked} → failed: {error}"),
            }
        }
        Kind::Search => {
            let hits = body["hits"].as_array().map_or(0, Vec::len);
            format!(
                "{} in {}: {}",
                text("query"),
                text("collection"),
                counted(size(hits), "hit")
            )
        }
        Kind::Validation => {
            let findings = body["findings"].as_array().map_or(0, Vec::len);
            format!(
                "{}: {}, {}",
                text("kind"),
                text("verdict"),
                counted(size(findings), "finding")
            )
        }
        Kind::Feedback => format!("{} {} {}", text("target"), text("rating"), text("comment")),
        Kind::Erasure | Kind::Retention => text("reason").to_owned(),
    }
}

/// What is said in a message, without the shapes of JSON.
fn spoken(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

pub(super) async fn one(services: Data<Services>, seq: Path<String>) -> HttpResponse {
    match record(&services, &seq).await {
        Ok(record) => page(HERE, &format!("Record {}", record.seq), &whole(&record)),
        Err(error) => failure(HERE, "Record", &error),
    }
}

async fn record(services: &Services, seq: &str) -> Result<EvidenceRecord, ServiceError> {
    let absent =
        || ServiceError::not_found(format!("the journal has no record {}", beginning(seq, 20)));
    let seq: u64 = seq.parse().map_err(|_| absent())?;
    let input = EvidenceInput {
        order: Some("oldest".to_owned()),
        after: Some(seq.checked_sub(1).ok_or_else(absent)?),
        limit: Some(1),
        ..EvidenceInput::default()
    };
    let mut found = evidence::list(services, input).await?;
    found
        .records
        .pop()
        .filter(|record| record.seq == seq)
        .ok_or_else(absent)
}

fn whole(record: &EvidenceRecord) -> Markup {
    html! {
        dl.facts {
            dt { "Kind" } dd { (record.kind.name()) }
            dt { "When" } dd { (moment(record.ts)) " UTC" }
            dt { "Id" } dd { code { (record.id) } }
            dt { "Hash" } dd { code.hash { (record.hash) } }
            dt { "After" } dd { code.hash { (record.prev) } }
            dt { "With it" } dd { a href={ (HERE) "?id=" (encoded(&record.id)) } { "all records of this id" } }
        }
        @if let Some(erased) = &record.erased {
            p.alert { "Erased " (moment(erased.at)) " UTC, by record " (erased.by) ": " (erased.reason) }
        }
        @if record.kind == Kind::Chat && record.erased.is_none() { (chat(&record.body)) }
        h2 { "As it stands in the journal" }
        pre.code tabindex="0" { (pretty(&record.body)) }
    }
}

fn chat(body: &Value) -> Markup {
    let list = |name: &str| body[name].as_array().map_or(&[][..], Vec::as_slice);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    html! {
        h2 { "Conversation" }
        div.log {
            @for message in list("messages") {
                @let role = text(&message["role"]);
                article class={ "turn " (role) } { h3.who { (role) } p.text { (spoken(&message["content"])) } }
            }
            article.turn.assistant {
                h3.who { "answer" @if let Some(by) = body["answered_by"].as_str() { " of " (by) } }
                p.text { (text(&body["answer"])) }
                @if let Some(error) = body["error"].as_str() { p.alert { (error) } }
            }
        }
        @if !list("passages").is_empty() {
            h2 { "Passages" }
            ol.hits {
                @for passage in list("passages") {
                    @let (collection, id) = (text(&passage["collection"]), text(&passage["id"]));
                    li {
                        div.head {
                            a href={ "/console" (point_path(&collection, &id)) } { (id) }
                            @if passage["cited"] == true { span.state.s-ready { "cited" } }
                        }
                        p.text { (text(&passage["text"])) }
                    }
                }
            }
        }
    }
}
