//! The table of routes. One file for each resource; a path is mounted here and documented beside its handler.

pub(super) mod backup;
pub(super) mod chat;
pub(super) mod collections;
pub(super) mod datasets;
pub(super) mod embeddings;
pub(super) mod evidence;
pub(super) mod iterate;
pub(super) mod messages;
pub(super) mod ollama;
pub(super) mod ollama_chat;
pub(super) mod operations;
pub(super) mod points;
pub(super) mod push;
pub(super) mod responses;
pub(super) mod review;
pub(super) mod supervision;
pub(super) mod transfer;
pub(super) mod usage;
pub(super) mod validation;

use actix_web::web::{self, ServiceConfig, delete, get, post, put};
use actix_web::{Resource, Route};

use super::context::{Context, EdgeLimits};
use super::error::{no_method, no_route, refused};
use super::mcp;
use crate::console::{self, Surroundings};

/// Mounts every route.
pub(super) fn mount(app: &mut ServiceConfig, limits: &EdgeLimits) {
    app.app_data(
        web::PathConfig::default()
            .error_handler(|error, request| refused(request, error.to_string())),
    )
    .app_data(
        web::QueryConfig::default()
            .error_handler(|error, request| refused(request, error.to_string())),
    );
    for (path, routes) in table() {
        app.service(resource(path, routes));
    }
    let surroundings = Surroundings {
        form_timeout: limits.body_timeout,
        request_id: |request| Context::of(request).request_id(),
        fail: |request, error| Context::of(request).fail(error).into(),
    };
    console::mount(app, surroundings);
    app.service(
        utoipa_swagger_ui::SwaggerUi::new("/docs/{_:.*}")
            .config(utoipa_swagger_ui::Config::from("/openapi.json")),
    )
    .service(web::redirect("/docs", "/docs/"))
    .default_service(web::to(no_route));
}

fn table() -> Vec<(&'static str, Vec<Route>)> {
    vec![
        ("/v1/embeddings", vec![post().to(embeddings::create)]),
        ("/api/embed", vec![post().to(ollama::embed)]),
        ("/api/embeddings", vec![post().to(ollama::embeddings)]),
        ("/v1/models", vec![get().to(embeddings::models)]),
        ("/v1/models/{model:.+}", vec![get().to(embeddings::model)]),
        ("/v1/chat/completions", vec![post().to(chat::complete)]),
        ("/v1/responses", vec![post().to(responses::create)]),
        ("/v1/messages", vec![post().to(messages::create)]),
        ("/api/chat", vec![post().to(ollama_chat::chat)]),
        ("/api/generate", vec![post().to(ollama_chat::generate)]),
        ("/api/tags", vec![get().to(ollama_chat::tags)]),
        ("/api/version", vec![get().to(ollama_chat::version)]),
        ("/v1/collections", vec![get().to(collections::list)]),
        (
            "/v1/collections/{name}",
            vec![
                get().to(collections::read),
                put().to(collections::create),
                delete().to(collections::remove),
            ],
        ),
        (
            "/v1/collections/{name}/search",
            vec![post().to(collections::search)],
        ),
        (
            "/v1/collections/{name}/search/batch",
            vec![post().to(collections::search_all)],
        ),
        (
            "/v1/collections/{name}/recommend",
            vec![post().to(collections::recommend)],
        ),
        (
            "/v1/collections/{name}/index",
            vec![put().to(collections::index_field)],
        ),
        (
            "/v1/collections/{name}/index/{field:.+}",
            vec![delete().to(collections::drop_index)],
        ),
        (
            "/v1/collections/{name}/move",
            vec![
                get().to(collections::get_moving),
                post().to(collections::start_moving),
                delete().to(collections::cancel_moving),
            ],
        ),
        (
            "/v1/collections/{name}/reembed",
            vec![
                get().to(collections::reembedding),
                post().to(collections::reembed),
                delete().to(collections::cancel_reembed),
            ],
        ),
        (
            "/v1/collections/{name}/export",
            vec![get().to(transfer::export)],
        ),
        (
            "/v1/collections/{name}/import",
            vec![post().to(transfer::import)],
        ),
        (
            "/v1/collections/{name}/points",
            vec![post().to(points::upsert)],
        ),
        (
            "/v1/collections/{name}/points/delete",
            vec![post().to(points::delete)],
        ),
        (
            "/v1/collections/{name}/points/scroll",
            vec![post().to(points::scroll)],
        ),
        (
            "/v1/collections/{name}/points/count",
            vec![post().to(points::count)],
        ),
        (
            "/v1/collections/{name}/points/{id:.+}",
            vec![get().to(points::read)],
        ),
        ("/v1/validate", vec![post().to(validation::validate)]),
        ("/v1/iterate", vec![post().to(iterate::iterate)]),
        ("/v1/validators", vec![get().to(validation::list)]),
        ("/v1/validators/reload", vec![post().to(validation::reload)]),
        ("/v1/feedback", vec![post().to(validation::feedback)]),
        ("/v1/evidence", vec![get().to(evidence::list)]),
        ("/v1/evidence/head", vec![get().to(evidence::head)]),
        ("/v1/evidence/erase", vec![post().to(evidence::erase)]),
        ("/v1/evidence/import", vec![post().to(review::import)]),
        ("/v1/review", vec![get().to(review::list)]),
        (
            "/v1/review/{task}",
            vec![get().to(review::read), post().to(review::decide)],
        ),
        (
            "/v1/datasets/job",
            vec![get().to(datasets::job), delete().to(datasets::cancel_job)],
        ),
        ("/v1/materialize", vec![post().to(datasets::materialize)]),
        (
            "/v1/exports",
            vec![get().to(datasets::list), post().to(datasets::export)],
        ),
        ("/v1/usage", vec![get().to(usage::read)]),
        ("/v1/supervisors", vec![get().to(supervision::tree)]),
        (
            "/v1/supervisors/reload",
            vec![post().to(supervision::reload)],
        ),
        (
            "/v1/supervisors/{id:.+}/restart",
            vec![post().to(supervision::restart)],
        ),
        (
            "/v1/supervisors/{id:.+}/chaos",
            vec![post().to(supervision::inject)],
        ),
        (
            "/v1/supervisors/{id:.+}/crash",
            vec![post().to(supervision::crash)],
        ),
        (
            "/v1/dead-letters",
            vec![get().to(supervision::dead_letters)],
        ),
        (
            "/v1/dead-letters/{digest}",
            vec![delete().to(supervision::forget)],
        ),
        (
            "/v1/dead-letters/{digest}/release",
            vec![post().to(supervision::release)],
        ),
        ("/mcp", vec![post().to(mcp::serve)]),
        ("/v1/backup", vec![get().to(backup::read)]),
        (
            "/v1/push",
            vec![
                get().to(push::status),
                post().to(push::push),
                delete().to(push::cancel),
            ],
        ),
        ("/v1/pull", vec![post().to(push::pull)]),
        ("/v1/reload", vec![post().to(operations::reload)]),
        ("/healthz", vec![get().to(operations::healthz)]),
        ("/readyz", vec![get().to(operations::readyz)]),
        ("/metrics", vec![get().to(operations::metrics)]),
        ("/openapi.json", vec![get().to(operations::openapi)]),
    ]
}

fn resource(path: &'static str, routes: Vec<Route>) -> Resource {
    routes
        .into_iter()
        .fold(web::resource(path), Resource::route)
        .default_service(web::to(no_method))
}

#[cfg(test)]
mod tests {
    use crate::api::openapi::path_of;

    #[test]
    fn every_route_is_documented_and_every_documented_path_is_mounted() {
        let paths = crate::api::document()["paths"].as_object().unwrap();
        let mounted: Vec<(String, usize)> = super::table()
            .into_iter()
            .map(|(path, routes)| (path_of(path), routes.len()))
            .collect();
        for (path, methods) in &mounted {
            let described = paths.get(path).and_then(|entry| entry.as_object());
            assert_eq!(described.map_or(0, |entry| entry.len()), *methods, "{path}");
        }
        assert_eq!(paths.len(), mounted.len());
    }
}
