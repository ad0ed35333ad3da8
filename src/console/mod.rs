//! The web console, server-rendered: the live tree, the collections and a search box.
//!
//! It works without scripts; a small one refreshes the tree. No external requests; a strict policy says so.

mod html;
mod page;

use actix_web::web::{self, Data, Query, ServiceConfig};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::services::search::SearchInput;
use crate::services::{Services, collections, search, supervision};

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");

/// Mounts the console.
pub fn mount(app: &mut ServiceConfig) {
    app.route("/", web::get().to(root))
        .route("/console", web::get().to(console))
        .route("/console/live", web::get().to(live))
        .route(
            "/console/console.css",
            web::get().to(|| asset("text/css; charset=utf-8", STYLE)),
        )
        .route(
            "/console/console.js",
            web::get().to(|| asset("text/javascript; charset=utf-8", SCRIPT)),
        );
}

/// What the search box sends.
#[derive(Debug, Default, Deserialize)]
struct Ask {
    #[serde(default)]
    collection: String,
    #[serde(default)]
    q: String,
}

async fn root() -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header(("location", "/console"))
        .finish()
}

async fn console(request: HttpRequest, services: Data<Services>, ask: Query<Ask>) -> HttpResponse {
    let tree = serde_json::to_value(supervision::tree(&services)).unwrap_or_default();
    let all = collections::list(&services).await;
    let found = match ask.q.trim() {
        "" => None,
        query => {
            let input = SearchInput {
                query: Some(query.to_owned()),
                ..SearchInput::default()
            };
            // The edge's middleware has named the request; a search here is evidence like any other.
            let id = request
                .headers()
                .get("x-request-id")
                .and_then(|id| id.to_str().ok())
                .map_or_else(
                    || format!("console-{:p}", &raw const *request.extensions()),
                    str::to_owned,
                );
            Some(search::search(&services, &id, &ask.collection, input).await)
        }
    };
    html_reply(page::page(
        &tree,
        &all,
        &ask.collection,
        &ask.q,
        found.as_ref(),
    ))
}

async fn live(services: Data<Services>) -> HttpResponse {
    let tree = serde_json::to_value(supervision::tree(&services)).unwrap_or_default();
    html_reply(page::tree(&tree))
}

async fn asset(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("content-type", kind))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("cache-control", "no-cache"))
        .body(text)
}

fn html_reply(body: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("content-type", "text/html; charset=utf-8"))
        .insert_header(("content-security-policy", POLICY))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("referrer-policy", "no-referrer"))
        .body(body)
}
