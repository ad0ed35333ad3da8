//! What stands around every page, and the parts that several of them have.

use actix_web::HttpResponse;
use maud::{DOCTYPE, Markup, html};

use super::assets::address;
use crate::services::ServiceError;

/// Nothing but what this server sends is loaded or run; no script and no style stands in a page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// htmx must neither evaluate text nor write styles into the page, asks nobody but us, and keeps no pages.
const HTMX: &str = r#"{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false,"selfRequestsOnly":true,"historyEnabled":false}"#;

/// The pages that the navigation names: address, title.
const PLACES: [(&str, &str); 10] = [
    ("/console", "Overview"),
    ("/console/tree", "Tree"),
    ("/console/collections", "Collections"),
    ("/console/search", "Search"),
    ("/console/chat", "Chat"),
    ("/console/validators", "Validators"),
    ("/console/evidence", "Evidence"),
    ("/console/review", "Review"),
    ("/console/datasets", "Datasets"),
    ("/console/replays", "Replays"),
];

/// A page below one of the places of the navigation. `at` is the place's address.
pub(super) fn page(at: &str, title: &str, main: &Markup) -> HttpResponse {
    respond(frame(at, title, None, main))
}

/// The same with a script of its own.
pub(super) fn page_with(at: &str, title: &str, script: &str, main: &Markup) -> HttpResponse {
    respond(frame(at, title, Some(script), main))
}

/// A page that says why there is nothing else to show.
pub(super) fn failure(at: &str, title: &str, error: &ServiceError) -> HttpResponse {
    page(at, title, &alert(error))
}

/// Sends the browser to another page after what it asked for was done.
pub(super) fn see(place: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header(("location", place))
        .finish()
}

fn respond(body: Markup) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("content-type", "text/html; charset=utf-8"))
        .insert_header(("content-security-policy", POLICY))
        .insert_header(("x-content-type-options", "nosniff"))
        // With "no-referrer" browsers send "origin: null" with a form, which the edge rightly refuses.
        .insert_header(("referrer-policy", "same-origin"))
        .insert_header(("cache-control", "no-store"))
        .body(body.into_string())
}

fn frame(at: &str, title: &str, script: Option<&str>, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="htmx-config" content=(HTMX);
                title { (title) " · Boathouse" }
                link rel="icon" href=(address("icon.svg"));
                link rel="stylesheet" href=(address("console.css"));
                script src=(address("htmx.min.js")) defer {}
                script src=(address("console.js")) defer {}
                @if let Some(script) = script {
                    script src=(address(script)) defer {}
                }
            }
            body {
                a.skip href="#main" { "Skip to the page" }
                header {
                    a.brand href="/console" {
                        img src=(address("icon.svg")) alt="" width="24" height="24";
                        "Boathouse"
                    }
                    nav aria-label="Console" {
                        @for (place, name) in PLACES {
                            a href=(place) aria-current=[(place == at).then_some("page")] { (name) }
                        }
                    }
                    nav.more aria-label="For machines" {
                        a href="/docs/" { "API" }
                        a href="/metrics" { "Metrics" }
                        a href="/console/login" { "Log in or out" }
                    }
                }
                main #main tabindex="-1" {
                    h1 { (title) }
                    (main)
                }
            }
        }
    }
}

/// Tells what went wrong.
pub(super) fn alert(error: &ServiceError) -> Markup {
    html! { p.alert role="alert" { (error.message) } }
}

/// Where what was done is told, also to who cannot see it change.
pub(super) fn told(text: Option<&str>) -> Markup {
    html! { p #told .told role="status" { @if let Some(text) = text { (text) } } }
}

/// A table that scrolls inside itself where it is too wide. `name` tells what it is a table of.
pub(super) fn table(name: &str, heads: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll role="region" aria-label=(name) tabindex="0" {
            table {
                thead {
                    tr {
                        @for head in heads {
                            // A head that begins with # is that of a column of numbers.
                            @match head.strip_prefix('#') {
                                Some(head) => { th.n scope="col" { (head) } }
                                None if head.is_empty() => { td {} }
                                None => { th scope="col" { (head) } }
                            }
                        }
                    }
                }
                tbody { (rows) }
            }
        }
    }
}
