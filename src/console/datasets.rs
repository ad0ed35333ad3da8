//! What was made of the journal: tasks by day and exports, with their receipts; the job under way; and forms that begin one.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{Data, Query};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::figures::{bytes, count, moment, pretty, size};
use super::form::TimedForm;
use super::page::{alert, page, see, table, told};
use crate::services::collections::encoded;
use crate::services::dataset::{self, ExportInput, Folder, Folders, JobOutput, MaterializeInput};
use crate::services::{ServiceError, Services};
use crate::types::plain::counted;

const HERE: &str = "/console/datasets";
/// By which htmx hears of an event, and the event.
const TRIGGER: HeaderName = HeaderName::from_static("hx-trigger");
const ENDED: &str = "job-ended";
const KINDS: [&str; 5] = ["sft", "preference", "kto", "rag", "triplets"];
const FLAVOURS: [&str; 3] = ["trl", "openai", "sharegpt"];

/// What was done before this page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
}

/// What the button of the tasks sends.
#[derive(Debug, Deserialize)]
pub(super) struct Materialize {
    force: Option<String>,
}

/// What the form of an export sends.
#[derive(Debug, Deserialize)]
pub(super) struct Export {
    kind: String,
    flavour: String,
    #[serde(default)]
    name: String,
}

/// Whether a job was under way when the page asks.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Before {
    running: Option<String>,
}

pub(super) async fn show(services: Data<Services>, done: Query<Done>) -> HttpResponse {
    let text = match done.done.as_str() {
        "" => None,
        "tasks" => Some("The tasks are up to date.".to_owned()),
        "cancelled" => Some("The job was told to stop; what was there before stays.".to_owned()),
        name => Some(format!("The export {name} is written.")),
    };
    whole(&services, text.as_deref(), None).await
}

/// The job's line alone, which asks for itself again.
pub(super) async fn job(services: Data<Services>, before: Query<Before>) -> HttpResponse {
    let now = dataset::job(&services);
    let mut reply = page(HERE, "Dataset job", &progress(&now));
    if before.running.is_some() && now.job.is_none() {
        // What the rest of the page shows is of before.
        let headers = reply.headers_mut();
        headers.insert(TRIGGER, HeaderValue::from_static(ENDED));
    }
    reply
}

pub(super) async fn materialize(
    services: Data<Services>,
    form: TimedForm<Materialize>,
) -> HttpResponse {
    let input = MaterializeInput {
        force: form.force.is_some(),
        pull: false,
    };
    match dataset::materialize(&services, input).await {
        Ok(_) => see(&format!("{HERE}?done=tasks")),
        Err(error) => whole(&services, None, Some(&error)).await,
    }
}

pub(super) async fn export(services: Data<Services>, form: TimedForm<Export>) -> HttpResponse {
    let TimedForm(Export {
        kind,
        flavour,
        name,
    }) = form;
    let input = ExportInput {
        kind,
        flavour: Some(flavour),
        name: Some(name).filter(|name| !name.is_empty()),
        test_fraction: None,
        negatives: None,
    };
    match dataset::export(&services, input).await {
        Ok(receipt) => {
            let name = receipt["name"].as_str().unwrap_or_default();
            see(&format!("{HERE}?done={}", encoded(name)))
        }
        Err(error) => whole(&services, None, Some(&error)).await,
    }
}

pub(super) async fn cancel(services: Data<Services>) -> HttpResponse {
    match dataset::cancel_job(&services) {
        Ok(_) => see(&format!("{HERE}?done=cancelled")),
        Err(error) => whole(&services, None, Some(&error)).await,
    }
}

async fn whole(
    services: &Services,
    done: Option<&str>,
    error: Option<&ServiceError>,
) -> HttpResponse {
    let folders = dataset::folders(services).await;
    page(
        HERE,
        "Datasets",
        &html! {
            (told(done))
            div #wrong { @if let Some(error) = error { (alert(error)) } }
            (progress(&dataset::job(services)))
            (forms())
            div #folders hx-get=(HERE) hx-trigger={ (ENDED) " from:body" } hx-select="#folders" hx-swap="outerHTML" {
                @match &folders {
                    Ok(folders) => { (listed(folders)) }
                    Err(error) => { (alert(error)) }
                }
            }
        },
    )
}

fn progress(job: &JobOutput) -> Markup {
    let address = match job.job {
        Some(_) => "/console/datasets/job?running=1",
        None => "/console/datasets/job",
    };
    html! {
        div #job hx-get=(address) hx-trigger="every 2s" hx-select="#job" hx-swap="outerHTML" {
            @if let Some(name) = &job.job {
                div.panel.running {
                    label { "Under way: " b { (name) }
                        @if job.of > 0 { progress max=(job.of) value=(job.done) {} } @else { progress {} }
                    }
                    span.of { (count(job.done)) " of " (counted(count(job.of), "line")) }
                    @if job.cancelled {
                        span.state.s-stopping { "stopping" }
                    } @else {
                        form method="post" action="/console/datasets/cancel" hx-post="/console/datasets/cancel" hx-target="#job"
                            hx-select="#job" hx-swap="outerHTML" hx-select-oob="#told:innerHTML,#wrong:innerHTML" {
                            button #cancel { "Cancel" }
                        }
                    }
                }
            }
        }
    }
}

fn forms() -> Markup {
    let swap = "#told:innerHTML,#wrong:innerHTML";
    html! {
        div.halves {
            form.panel method="post" action="/console/datasets/materialize" hx-post="/console/datasets/materialize"
                hx-target="#folders" hx-select="#folders" hx-swap="outerHTML" hx-select-oob=(swap) hx-disabled-elt="find button" {
                h2 { "Tasks" }
                p.note { "Turns the journal into scored tasks; only what is new is read." }
                div.row {
                    button.primary { "Materialize" }
                    label.check { input type="checkbox" name="force" value="1"; "Read everything again" }
                }
            }
            form.panel method="post" action="/console/datasets/export" hx-post="/console/datasets/export"
                hx-target="#folders" hx-select="#folders" hx-swap="outerHTML" hx-select-oob=(swap) hx-disabled-elt="find button" {
                h2 { "Export" }
                div.fields {
                    label { "Kind" select name="kind" { @for kind in KINDS { option value=(kind) { (kind) } } } }
                    label { "Shape" select name="flavour" { @for flavour in FLAVOURS { option value=(flavour) { (flavour) } } } }
                    label { "Name" input name="name" maxlength="64" placeholder="as the kind" autocomplete="off"; }
                }
                div.row { button.primary { "Export" } }
            }
        }
    }
}

fn listed(folders: &Folders) -> Markup {
    html! {
        h2 { "Tasks" }
        @match &folders.tasks {
            None => { p.empty { "Nothing is materialized yet." } }
            Some(folder) => { (tasks(folder)) }
        }
        h2 { "Exports" }
        @if folders.exports.is_empty() { p.empty { "None yet." } }
        @for folder in &folders.exports { (one_export(folder)) }
    }
}

/// Numbers by name, in a line.
fn counts(value: &Value) -> Markup {
    html! {
        @if let Some(counts) = value.as_object() {
            ul.counts {
                @for (name, value) in counts {
                    @if let Some(value) = value.as_u64() {
                        li { (name.replace('_', " ")) " " b { (count(value)) } }
                    }
                }
            }
        }
    }
}

fn files(value: &Value) -> Markup {
    let files = value.as_array().map_or(&[][..], Vec::as_slice);
    html! {
        (table("Files", &["File", "#Rows", "#Size", "sha256"], &html! {
            @for file in files {
                tr {
                    th scope="row" { (file["path"].as_str().unwrap_or("")) }
                    td.n { (file["rows"].as_u64().map_or_else(String::new, count)) }
                    td.n { (file["bytes"].as_u64().map_or_else(String::new, bytes)) }
                    td { code.hash { (file["sha256"].as_str().unwrap_or("")) } }
                }
            }
        }))
    }
}

fn receipt(value: &Value, folder: &Folder) -> Markup {
    html! {
        details { summary { "Receipt" } pre.code { (pretty(value)) } }
        p.note { "In " code { (folder.path.display()) } }
    }
}

fn tasks(folder: &Folder) -> Markup {
    let value = match &folder.receipt {
        Ok(value) => value,
        Err(error) => return html! { p.alert { (error) } },
    };
    let outputs = value["outputs"].as_array().map_or(0, Vec::len);
    html! {
        section.panel {
            @if let Some(as_of) = value["as_of_ms"].as_u64() { p.note { "As of " (moment(as_of)) " UTC" } }
            h3 { "What became of them" } (counts(&value["outcomes"]))
            h3 { "What was read" } (counts(&value["counts"]))
            details { summary { (counted(size(outputs), "file")) ", by day" } (files(&value["outputs"])) }
            (receipt(value, folder))
        }
    }
}

fn one_export(folder: &Folder) -> Markup {
    html! {
        section.panel {
            h3 { (folder.name) }
            @match &folder.receipt {
                Err(error) => { p.alert { (error) } }
                Ok(value) => {
                    p.note {
                        (value["kind"].as_str().unwrap_or("")) ", " (value["flavour"].as_str().unwrap_or(""))
                        @if let Some(rows) = value["rows"].as_u64() { ", " (counted(count(rows), "row")) }
                        @if let Some(as_of) = value["as_of_ms"].as_u64() { ", as of " (moment(as_of)) " UTC" }
                    }
                    (counts(&value["counts"]))
                    @if value["outputs"].is_array() {
                        details { summary { "Files" } (files(&value["outputs"])) }
                    }
                    (receipt(value, folder))
                }
            }
        }
    }
}
