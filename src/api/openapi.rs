//! The OpenAPI document, generated from the handlers and the services' types.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::mcp;
use super::routes::{
    backup, chat, collections, datasets, embeddings, evidence, iterate, messages, ollama,
    ollama_chat, operations, points, responses, review, supervision, transfer, usage, validation,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Boathouse",
        description = "Embeddings, vector search, chat dispatch, validation and evidence in one supervised process."
    ),
    paths(
        embeddings::create,
        embeddings::models,
        embeddings::model,
        ollama::embed,
        ollama::embeddings,
        chat::complete,
        responses::create,
        messages::create,
        ollama_chat::chat,
        ollama_chat::generate,
        ollama_chat::tags,
        ollama_chat::version,
        collections::list,
        collections::read,
        collections::create,
        collections::remove,
        collections::search,
        collections::search_all,
        collections::recommend,
        collections::index_field,
        collections::drop_index,
        collections::reembedding,
        collections::reembed,
        collections::cancel_reembed,
        transfer::export,
        transfer::import,
        points::upsert,
        points::read,
        points::delete,
        points::scroll,
        points::count,
        validation::validate,
        validation::list,
        iterate::iterate,
        validation::reload,
        validation::feedback,
        evidence::list,
        evidence::head,
        evidence::erase,
        review::import,
        review::list,
        review::read,
        review::decide,
        datasets::materialize,
        datasets::list,
        datasets::export,
        datasets::job,
        datasets::cancel_job,
        usage::read,
        supervision::tree,
        supervision::restart,
        supervision::crash,
        supervision::dead_letters,
        supervision::release,
        supervision::forget,
        supervision::reload,
        supervision::inject,
        mcp::serve,
        backup::read,
        operations::reload,
        operations::healthz,
        operations::readyz,
        operations::metrics,
        operations::openapi,
    ),
    modifiers(&ApiKeys),
    // A server on loopback without keys asks for none.
    security((), ("api_key" = []))
)]
struct Document;

/// Says how a key is sent.
struct ApiKeys;

impl Modify for ApiKeys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let scheme = SecurityScheme::Http(bearer.build());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", scheme);
    }
}

/// Builds the document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
