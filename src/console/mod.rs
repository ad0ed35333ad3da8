//! The web console, server-rendered: one file for each page, over what the services answer.
//!
//! Every page and button works without scripts, but for the chat playground. htmx refreshes what is live and shows in place what
//! a form brought. No external requests, no script or style in a page; a strict policy says so.

mod assets;
mod chart;
mod chat;
mod collections;
mod datasets;
mod evidence;
mod examples;
mod figures;
mod form;
pub mod login;
mod overview;
mod page;
mod replays;
mod review;
mod search;
mod tree;
mod validators;

use actix_web::HttpResponse;
use actix_web::web::{FormConfig, ServiceConfig, get, post, resource};

pub use form::Surroundings;

/// Largest form: some corrected answers of the longest kind, with every byte escaped.
const MAX_FORM_BYTES: usize = 2 << 20;

/// Mounts the console.
pub fn mount(app: &mut ServiceConfig, surroundings: Surroundings) {
    app.app_data(FormConfig::default().limit(MAX_FORM_BYTES))
        .app_data(surroundings)
        .route("/", get().to(root))
        .route("/console", get().to(overview::show))
        .route("/console/login", get().to(login::form))
        .route("/console/login", post().to(login::log_in))
        .route("/console/logout", post().to(login::log_out))
        .route("/console/tree", get().to(tree::show))
        .route("/console/tree/restart", post().to(tree::restart))
        .route("/console/dead-letters/release", post().to(tree::release))
        .route("/console/dead-letters/forget", post().to(tree::forget))
        .route("/console/collections", get().to(collections::list))
        .route("/console/collections/{name}", get().to(collections::one))
        .route(
            "/console/collections/{name}/points/{id:.+}",
            get().to(collections::point),
        )
        .route("/console/search", get().to(search::show))
        .route("/console/chat", get().to(chat::show))
        .service(
            resource("/console/validators")
                .route(get().to(validators::show))
                .route(post().to(validators::judge)),
        )
        .route("/console/evidence", get().to(evidence::list))
        .route("/console/evidence/{seq}", get().to(evidence::one))
        .route("/console/review", get().to(review::list))
        .service(
            resource("/console/review/{task}")
                .route(get().to(review::task))
                .route(post().to(review::decide)),
        )
        .route("/console/datasets", get().to(datasets::show))
        .route("/console/datasets/job", get().to(datasets::job))
        .route(
            "/console/datasets/materialize",
            post().to(datasets::materialize),
        )
        .route("/console/datasets/export", post().to(datasets::export))
        .route("/console/datasets/cancel", post().to(datasets::cancel))
        .route("/console/replays", get().to(replays::list))
        .route("/console/replays/{name}", get().to(replays::one));
    assets::mount(app);
}

async fn root() -> HttpResponse {
    page::see("/console")
}
