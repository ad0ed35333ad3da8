//! The web console, server-rendered: the live tree, the collections and a search box, and the review queue.
//!
//! It works without scripts; a small one refreshes the tree. No external requests; a strict policy says so.

mod html;
pub mod login;
mod page;
mod review;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::web::{self, Data, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::services::search::SearchInput;
use crate::services::{Services, collections, search, supervision};

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Largest form: some corrected answers of the longest kind, with every byte escaped.
const MAX_FORM_BYTES: usize = 2 << 20;
const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");

/// Mounts the console.
pub fn mount(app: &mut ServiceConfig) {
    app.route("/", web::get().to(root))
        .route("/console", web::get().to(console))
        .route("/console/live", web::get().to(live))
        .route("/console/login", web::get().to(login::form))
        .route("/console/login", web::post().to(login::log_in))
        .route("/console/logout", web::post().to(login::log_out))
        .route("/console/review", web::get().to(review::list))
        .service(
            web::resource("/console/review/{task}")
                .app_data(web::FormConfig::default().limit(MAX_FORM_BYTES))
                .route(web::get().to(review::task))
                .route(web::post().to(review::decide)),
        )
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
            // A search here is evidence like any other.
            let id = request_id(&request);
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

/// The client's own name of a request, or one of ours: the edge's stands in the answer only.
fn request_id(request: &HttpRequest) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static PREFIX: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    let sent = request.headers().get("x-request-id");
    sent.and_then(|id| id.to_str().ok()).map_or_else(
        || {
            let count = NEXT.fetch_add(1, Ordering::Relaxed);
            format!("console-{:016x}-{count:x}", *PREFIX)
        },
        str::to_owned,
    )
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
        // Not "no-referrer": a browser then sends its forms with `origin: null`, as a foreign page's.
        .insert_header(("referrer-policy", "same-origin"))
        .body(body)
}
