//! The collections, one of them with its points page by page, and one point.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::figures::{beginning, bytes, count, moment, pretty, size};
use super::page::{failure, page, table};
use crate::services::collections::{
    self, CollectionState, ScrollInput, ScrollOutput, encoded, point_path,
};
use crate::services::{ServiceError, Services};
use crate::types::point::Point;

const HERE: &str = "/console/collections";
/// Points of a page.
const POINTS: usize = 25;
/// Characters of a text in a list.
const SHOWN: usize = 160;

/// Where a page of points goes on.
#[derive(Debug, Default, Deserialize)]
pub(super) struct From {
    after: Option<String>,
}

pub(super) async fn list(services: Data<Services>) -> HttpResponse {
    let all = collections::list(&services).await;
    page(
        HERE,
        "Collections",
        &html! {
            @if all.is_empty() {
                p.empty {
                    "There are none yet. " code { "boathouse ingest DIR --collection docs" } " makes one of documents, "
                    code { "PUT /v1/collections/docs" } " an empty one."
                }
            } @else {
                (table("Collections", &[
                    "Name", "#Points", "#Dimensions", "Metric", "Embedder", "#Indexed fields", "#On disk", "State",
                ], &html! { @for (name, state) in &all { (row(name, state)) } }))
            }
        },
    )
}

fn row(name: &str, state: &Result<CollectionState, ServiceError>) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ (HERE) "/" (encoded(name)) } { (name) } }
            @match state {
                Ok(CollectionState { info, outdated }) => {
                    td.n { (size(info.points)) }
                    td.n { (info.spec.dim) }
                    td { (word(&json!(info.spec.metric))) }
                    td { (info.spec.embedder.as_deref().unwrap_or("given vectors")) }
                    td.n { (info.spec.schema.fields.len()) }
                    td.n { (bytes(info.snapshot_bytes + info.wal_bytes)) }
                    td { @if let Some(why) = outdated { (outdated_note(why)) } @else { span.state.s-ready { "ready" } } }
                }
                Err(error) => { td.bad colspan="7" { (error.message) } }
            }
        }
    }
}

fn outdated_note(why: &str) -> Markup {
    html! { details { summary.bad { "outdated" } (why) } }
}

/// The word of a value that is a text.
fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) async fn one(
    services: Data<Services>,
    name: Path<String>,
    from: Query<From>,
) -> HttpResponse {
    let state = match collections::get(&services, &name).await {
        Ok(state) => state,
        Err(error) => return failure(HERE, "Collection", &error),
    };
    let input = ScrollInput {
        after: from.into_inner().after,
        limit: Some(POINTS),
        ..ScrollInput::default()
    };
    let points = collections::scroll(&services, &name, input).await;
    let points = match &points {
        Ok(points) => listed(&name, points),
        Err(error) => return failure(HERE, &name, error),
    };
    page(
        HERE,
        &name,
        &html! {
            p { a href={ "/console/search?collection=" (encoded(&name)) } { "Search it" } }
            (about(&state))
            h2 { "Points" }
            (points)
        },
    )
}

fn about(CollectionState { info, outdated }: &CollectionState) -> Markup {
    let spec = &info.spec;
    html! {
        @if let Some(why) = outdated { p.alert role="alert" { (why) } }
        dl.facts {
            dt { "Points" } dd { (size(info.points)) @if info.expired > 0 { ", " (size(info.expired)) " expired" } }
            dt { "Vectors" } dd { (spec.dim) " dimensions, " (word(&json!(spec.metric))) }
            dt { "Embedder" } dd { (spec.embedder.as_deref().unwrap_or("none: vectors are given")) }
            @if let Some(refiner) = &spec.refiner { dt { "Refiner" } dd { (refiner.model) } }
            @if let Some(refinement) = &info.refinement {
                dt { "Refined" } dd { code { (json!(refinement)) } }
            }
            @if let Some(reembedding) = &info.reembedding {
                dt { "Embedding anew" } dd { code { (json!(reembedding)) } }
            }
            dt { "Fields" }
            dd {
                @if spec.schema.fields.is_empty() { "none is indexed" }
                @for (at, (path, kind)) in spec.schema.fields.iter().enumerate() {
                    @if at > 0 { ", " }
                    code { (path) } " " (word(&json!(kind)))
                }
            }
            @if let Some(field) = &spec.schema.role_field { dt { "Roles" } dd { "by " code { (field) } } }
            @if let Some(field) = &spec.schema.ttl_field { dt { "Expiry" } dd { "by " code { (field) } } }
            @match &info.engine {
                Some(engine) => {
                    dt { "Kept by" } dd { (spec.backend.as_str()) ", " (engine.state) ", " (size(engine.indexed)) " indexed" }
                }
                None => {
                    dt { "Graph" }
                    dd { @match &info.graph { Some(graph) => { code { (json!(graph)) } } None => { "none: every search is exact" } } }
                    dt { "Words" } dd { (size(info.words)) }
                    dt { "On disk" } dd { (bytes(info.snapshot_bytes)) " snapshot, " (bytes(info.wal_bytes)) " log, change " (count(info.lsn)) }
                }
            }
            dt { "Made" } dd { (moment(spec.created_ms)) " UTC" }
        }
    }
}

fn listed(name: &str, found: &ScrollOutput) -> Markup {
    if found.points.is_empty() {
        return html! { p.empty { "No points here." } };
    }
    html! {
        (table("Points", &["Id", "Text", "Payload"], &html! {
            @for point in &found.points {
                tr {
                    th scope="row" { a href={ "/console" (point_path(name, &point.id)) } { (point.id) } }
                    td { (beginning(point.text.as_deref().unwrap_or(""), SHOWN)) }
                    td { code { (beginning(&Value::Object(point.payload.clone()).to_string(), SHOWN)) } }
                }
            }
        }))
        @if let Some(next) = &found.next {
            p.pages { a href={ (HERE) "/" (encoded(name)) "?after=" (encoded(next)) } rel="next" { "Next page" } }
        }
    }
}

pub(super) async fn point(services: Data<Services>, asked: Path<(String, String)>) -> HttpResponse {
    let (name, id) = asked.into_inner();
    match collections::point(&services, &name, &id).await {
        Ok(found) => page(HERE, &id, &content(&name, &found)),
        Err(error) => failure(HERE, "Point", &error),
    }
}

fn content(name: &str, point: &Point) -> Markup {
    html! {
        p { "In " a href={ (HERE) "/" (encoded(name)) } { (name) } }
        h2 { "Text" }
        @match &point.text {
            Some(text) => { pre.text { (text) } }
            None => { p.empty { "None." } }
        }
        h2 { "Payload" }
        pre.code { (pretty(&Value::Object(point.payload.clone()))) }
        h2 { "Vector" }
        details { summary { (point.vector.len()) " numbers" } pre.code { (json!(point.vector)) } }
    }
}
