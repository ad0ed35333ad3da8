//! The OpenAPI document, generated from the handlers and the services' types.

mod answers;
mod exact;
mod examples;

use std::sync::LazyLock;

use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::error_body::{AnthropicError, JsonRpcError, OllamaError, OpenAiError, Problem};
use super::mcp;
use super::routes::{
    backup, chat, collections, datasets, embeddings, evidence, iterate, messages, ollama,
    ollama_chat, operations, points, push, responses, review, supervision, transfer, usage,
    validation,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Boathouse",
        description = "Embeddings, vector search, chat dispatch, validation and evidence in one supervised process. \
                       A method that a path does not have gets 405 with `Allow`."
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "models", description = "Embedding models, and what else can be asked"),
        (name = "chat", description = "Answers of chat models, in the languages of several clients"),
        (name = "collections", description = "Collections of points, and searches in them"),
        (name = "points", description = "Points of a collection"),
        (name = "validation", description = "Judging what models write"),
        (name = "evidence", description = "The journal, and what people say of answers"),
        (name = "datasets", description = "From the journal to training data"),
        (name = "supervision", description = "The supervision tree"),
        (name = "operations", description = "Health, metrics, usage, backups"),
        (name = "mcp", description = "Tools for agents and editors, by the Model Context Protocol"),
    ),
    components(schemas(Problem, OpenAiError, AnthropicError, OllamaError, JsonRpcError)),
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
        collections::start_moving,
        collections::get_moving,
        collections::cancel_moving,
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
        push::push,
        push::status,
        push::cancel,
        push::pull,
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

/// Shapes that are other people's, or the supervision tree's: no type here derives them.
const SHAPES: &str = include_str!("shapes.json");

/// The document, built once.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    let shapes: Value = serde_json::from_str(SHAPES).unwrap_or_default();
    if let Value::Object(shapes) = shapes {
        for (name, shape) in shapes {
            document["components"]["schemas"][name] = shape;
        }
    }
    exact::complete(&mut document);
    answers::complete(&mut document);
    examples::insert(&mut document);
    document
});

/// The document: what the handlers say of themselves, with the errors and headers that all of them share.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// The path of a route's pattern, as the document has it: `{id:.+}` is `{id}` there.
pub(super) fn path_of(pattern: &str) -> String {
    pattern.replace(":.+}", "}")
}

/// The methods that are documented of a route's pattern.
pub(super) fn methods(pattern: &str) -> Vec<String> {
    let operations = document()["paths"][path_of(pattern)].as_object();
    let methods = operations
        .into_iter()
        .flat_map(|operations| operations.keys());
    methods.map(|method| method.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests;
