//! The search playground: a form whose address is the search, and what was found, with its plan.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::form::Asking;
use super::page::{alert, page};
use crate::services::collections::{self, point_path};
use crate::services::search::{self, SearchInput, SearchOutput};
use crate::services::{ServiceError, Services};
use crate::types::point::Hit;

const HERE: &str = "/console/search";
const MODES: [(&str, &str); 4] = [
    ("", "as it suits"),
    ("hybrid", "meaning and words"),
    ("dense", "meaning"),
    ("lexical", "words"),
];

/// What the form sends; a field may be empty, as forms send it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ask {
    collection: String,
    q: String,
    k: String,
    mode: String,
    role: String,
    filter: String,
    explain: String,
    exact: String,
}

impl Ask {
    /// The search that it means.
    fn input(&self) -> Result<SearchInput, ServiceError> {
        let wrong = |name: &str, why: String| {
            Err(ServiceError::bad_request(format!("{name}: {why}")).param(name))
        };
        let mut body = json!({
            "query": self.q,
            "explain": !self.explain.is_empty(),
            "exact": !self.exact.is_empty(),
        });
        match self.k.trim() {
            "" => {}
            k => match k.parse::<usize>() {
                Ok(k) => body["k"] = json!(k),
                Err(_) => return wrong("k", format!("{k:?} is no whole number")),
            },
        }
        for (name, value) in [("mode", &self.mode), ("role", &self.role)] {
            if !value.trim().is_empty() {
                body[name] = json!(value.trim());
            }
        }
        if !self.filter.trim().is_empty() {
            match serde_json::from_str::<Value>(&self.filter) {
                Ok(filter) => body["filter"] = filter,
                Err(error) => return wrong("filter", format!("no JSON: {error}")),
            }
        }
        serde_json::from_value(body).map_err(|error| ServiceError::bad_request(error.to_string()))
    }
}

pub(super) async fn show(
    asking: Asking,
    services: Data<Services>,
    ask: Query<Ask>,
) -> HttpResponse {
    let names = collections::names(&services);
    let found = if ask.q.trim().is_empty() {
        None
    } else {
        Some(match ask.input() {
            // A search here is evidence like any other.
            Ok(input) => search::search(&services, asking.0, &ask.collection, input).await,
            Err(error) => Err(error),
        })
    };
    page(
        HERE,
        "Search",
        &html! {
            @if names.is_empty() {
                p.empty { "There is no collection to search yet." }
            }
            (form(&ask, &names))
            section #found {
                @match &found {
                    None => {}
                    Some(Ok(found)) => { (hits(&ask.collection, found)) }
                    Some(Err(error)) => { (alert(error)) }
                }
            }
        },
    )
}

fn form(ask: &Ask, names: &[String]) -> Markup {
    // Explaining is what a playground is for, until it is switched off.
    let fresh = ask.collection.is_empty() && ask.q.is_empty();
    html! {
        form.panel method="get" action=(HERE) {
            div.fields {
                label { "Collection"
                    select name="collection" {
                        @for name in names { option value=(name) selected[*name == ask.collection] { (name) } }
                    }
                }
                label.wide { "Query" input name="q" type="search" value=(ask.q) required autofocus; }
                label { "Mode"
                    select name="mode" {
                        @for (mode, name) in MODES { option value=(mode) selected[mode == ask.mode] { (name) } }
                    }
                }
                label.narrow { "Hits" input name="k" type="number" min="1" max="1000" placeholder="10" value=(ask.k); }
                label { "Role" input name="role" value=(ask.role) autocomplete="off"; }
                label.wide { "Filter (JSON over the payload)"
                    input name="filter" value=(ask.filter) placeholder=r#"{"lang": {"$eq": "en"}}"# autocomplete="off" spellcheck="false";
                }
            }
            div.row {
                button.primary { "Search" }
                label.check { input name="explain" type="checkbox" value="1" checked[fresh || !ask.explain.is_empty()]; "Explain" }
                label.check { input name="exact" type="checkbox" value="1" checked[!ask.exact.is_empty()]; "Compare with every point" }
            }
        }
    }
}

fn hits(collection: &str, found: &SearchOutput) -> Markup {
    let best = found.hits.first().map_or(0.0, |hit| hit.score);
    html! {
        @if let Some(plan) = &found.plan { (explained(&json!(plan))) }
        @if found.hits.is_empty() {
            p.empty { "Nothing was found." }
        } @else {
            ol.hits { @for hit in &found.hits { (one(collection, hit, best)) } }
        }
        p.note { "Request " code { (found.id) } }
    }
}

fn one(collection: &str, hit: &Hit, best: f32) -> Markup {
    html! {
        li {
            div.head {
                a href={ "/console" (point_path(collection, &hit.id)) } { (hit.id) }
                span.score {
                    meter min="0" max=(best.max(f32::MIN_POSITIVE)) value=(hit.score.max(0.0)) aria-hidden="true" {}
                    " " (format!("{:.4}", hit.score))
                }
            }
            @if let Some(text) = &hit.text { p.text { (text) } }
            @if let Some(payload) = hit.payload.as_ref().filter(|payload| !payload.is_empty()) {
                p.payload { code { (Value::Object(payload.clone())) } }
            }
        }
    }
}

/// How a search was planned.
fn explained(plan: &Value) -> Markup {
    let text = |name: &str| match plan.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    html! {
        div.panel.plan {
            h2 { "Plan" }
            dl.facts {
                @for (name, title) in [
                    ("path", "Way"), ("reason", "Why"), ("candidates", "Compared"), ("ef", "Width of the walk"),
                    ("matches", "Match the filter"), ("filter", "Filter"), ("refined", "Refined"),
                ] {
                    @if let Some(text) = text(name) { dt { (title) } dd { (text) } }
                }
            }
        }
    }
}
