//! What every operation may answer beside its own: errors in the form of its path, and headers.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::api::error::{Flavor, status};
use crate::api::error_body::{anthropic_body, ollama_body, openai_body, problem_body, rpc_body};
use crate::services::ServiceError;
use crate::types::error_kind::ErrorKind;

/// Operations that ask no cell: they are answered while everything else hangs.
const ASK_NOBODY: [&str; 12] = [
    "cancel_push",
    "get_dataset_job",
    "get_liveness",
    "get_metrics",
    "get_model",
    "get_openapi",
    "get_push",
    "get_readiness",
    "get_supervisors",
    "list_models",
    "ollama_tags",
    "ollama_version",
];

/// Operations that need no key, even where others do.
const OPEN: [&str; 2] = ["get_liveness", "get_readiness"];

/// Operations behind which an upstream may stand: a chat model, or an embedder of one.
const ASK_UPSTREAMS: [&str; 15] = [
    "create_chat_completion",
    "create_collection",
    "create_embeddings",
    "create_export",
    "create_message",
    "create_response",
    "import_points",
    "iterate",
    "ollama_chat",
    "ollama_embed",
    "ollama_embeddings",
    "ollama_generate",
    "search_collection",
    "search_collection_batch",
    "upsert_points",
];

/// Operations that answer from a collection, which may be of another version of its model, or in the name of an earlier
/// answer, which must be one that can be repaired.
const MAY_RETRIEVE: [&str; 6] = [
    "create_chat_completion",
    "create_message",
    "create_response",
    "iterate",
    "ollama_chat",
    "ollama_generate",
];

const FORMS: [Flavor; 5] = [
    Flavor::Problem,
    Flavor::JsonRpc,
    Flavor::OpenAi,
    Flavor::Anthropic,
    Flavor::Ollama,
];

const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

/// Adds the responses, the headers of all responses, and the bodies of errors that handlers only name.
pub(super) fn complete(document: &mut Value) {
    let shared: Map<String, Value> = FORMS
        .into_iter()
        .flat_map(|form| KINDS.map(|kind| (name(form, kind), response(form, kind))))
        .collect();
    document["components"]["responses"] = Value::Object(shared);
    let headers = [
        (
            "RequestId",
            "The request's id: the client's own, if it sent a sane one.",
            json!({"type": "string"}),
        ),
        (
            "RetryAfter",
            "Seconds after which a retry makes sense.",
            json!({"type": "integer", "minimum": 1}),
        ),
    ];
    for (name, description, schema) in headers {
        document["components"]["headers"][name] =
            json!({"description": description, "schema": schema});
    }
    let schemas = document["components"]["schemas"].clone();
    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    for (path, operations) in paths {
        let form = Flavor::of(path);
        for method in METHODS {
            if let Some(operation) = operations.get_mut(method) {
                of_operation(operation, form, &schemas);
            }
        }
    }
}

fn of_operation(operation: &mut Value, form: Flavor, schemas: &Value) {
    // An empty body counts as an empty object.
    if let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") {
        let named = schema["$ref"]
            .as_str()
            .and_then(|name| name.rsplit('/').next());
        let schema = named.map_or(schema, |name| &schemas[name]);
        let needed = schema["required"].is_array() || schema["oneOf"].is_array();
        operation["requestBody"]["required"] = json!(needed);
    }
    // The arguments of a handler follow what is said of the path, without their meaning.
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    if let Some(parameters) = parameters {
        let mut seen = BTreeSet::new();
        parameters.retain(|parameter| seen.insert(parameter["name"].to_string()));
    }
    let kinds: Vec<ErrorKind> = KINDS
        .into_iter()
        .filter(|kind| may_fail(operation, *kind))
        .collect();
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for kind in kinds {
        let code = status(kind).as_u16().to_string();
        if !responses.contains_key(&code) {
            let reference = format!("#/components/responses/{}", name(form, kind));
            responses.insert(code, json!({"$ref": reference}));
        }
    }
    for (code, response) in responses.iter_mut() {
        if response.get("$ref").is_some() {
            continue;
        }
        let kind = KINDS
            .into_iter()
            .find(|kind| status(*kind).as_str() == code);
        if let Some(kind) = kind.filter(|_| response.get("content").is_none()) {
            let description = response["description"].take();
            *response = self::response(form, kind);
            response["description"] = description;
        }
        response["headers"]["x-request-id"] = json!({"$ref": "#/components/headers/RequestId"});
    }
    responses.sort_keys();
}

/// Whether an operation may fail so.
fn may_fail(operation: &Value, kind: ErrorKind) -> bool {
    let id = operation["operationId"].as_str().unwrap_or_default();
    let body = operation.get("requestBody").is_some();
    let parameters = operation["parameters"].as_array();
    let has_parameters = parameters.is_some_and(|parameters| !parameters.is_empty());
    let asks = !ASK_NOBODY.contains(&id);
    match kind {
        ErrorKind::BadRequest | ErrorKind::NotFound => body || has_parameters,
        ErrorKind::TooLarge => body,
        // Others have an address that is as long as it is.
        ErrorKind::UriTooLong => has_parameters,
        ErrorKind::Unprocessable | ErrorKind::Timeout => asks || body,
        ErrorKind::TooManyRequests | ErrorKind::Internal | ErrorKind::Unavailable => asks,
        ErrorKind::Upstream => ASK_UPSTREAMS.contains(&id),
        ErrorKind::Forbidden => true,
        ErrorKind::Conflict => MAY_RETRIEVE.contains(&id),
        ErrorKind::Unauthorized => !OPEN.contains(&id),
        // A method that is not there has no operation.
        ErrorKind::MethodNotAllowed => false,
    }
}

/// The kinds of failure that are described.
const KINDS: [ErrorKind; 13] = [
    ErrorKind::BadRequest,
    ErrorKind::Unauthorized,
    ErrorKind::Forbidden,
    ErrorKind::NotFound,
    ErrorKind::Conflict,
    ErrorKind::TooLarge,
    ErrorKind::UriTooLong,
    ErrorKind::Unprocessable,
    ErrorKind::TooManyRequests,
    ErrorKind::Internal,
    ErrorKind::Upstream,
    ErrorKind::Unavailable,
    ErrorKind::Timeout,
];

/// What each kind means to the caller, an error such as it has, its code and its field.
fn meaning(kind: ErrorKind) -> (&'static str, ServiceError) {
    let error = |message: &str| ServiceError::new(kind, message);
    match kind {
        ErrorKind::Unauthorized => (
            "No API key, or one that opens nothing",
            error("no such API key").code("invalid_api_key"),
        ),
        ErrorKind::Forbidden => (
            "A key without the scope; or a foreign page's request, or one to a foreign host",
            error("requests of other sites' pages are not served").code("foreign_origin"),
        ),
        ErrorKind::NotFound => (
            "What the request names does not exist; the message lists what does",
            error("no collection named dosc; there are docs"),
        ),
        ErrorKind::Conflict => (
            "It is not as the request needs it",
            error("collection docs exists with other properties"),
        ),
        ErrorKind::TooLarge => (
            "Larger than a limit, which the message names",
            error("the body is larger than http.max_body_bytes, 33554432"),
        ),
        ErrorKind::UriTooLong => (
            "Path and query are longer than http.max_uri_bytes",
            error("path and query are longer than http.max_uri_bytes, 16384").code("uri_too_long"),
        ),
        ErrorKind::Unprocessable => (
            "Well-formed but refused: quarantined, rejected by validators, switched off, or not set up",
            error("this request crashed validation repeatedly and is quarantined as 5f2c")
                .code("quarantined"),
        ),
        ErrorKind::TooManyRequests => (
            "A queue is full, an upstream wants less, or a budget is used up",
            error("embedding is busy: its queue is full; retry in a second").code("busy"),
        ),
        ErrorKind::Internal => (
            "The request crashed a worker, or the disk failed; the next request is served",
            error("validation crashed on this request and was restarted; crash id c-1")
                .code("crashed"),
        ),
        ErrorKind::Upstream => (
            "An upstream answered with an error, or broke off",
            error("openai answered 500"),
        ),
        ErrorKind::Unavailable => (
            "Overloaded, restarting or draining; or the disk refuses",
            error("validation failed too often and rests; retry later").code("unavailable"),
        ),
        ErrorKind::Timeout => (
            "The deadline passed",
            error("the deadline passed while waiting for embedding").code("expired"),
        ),
        _ => (
            "The request is wrong; the message says what to change",
            error("unknown field `querry`, expected `query`").code("invalid_json"),
        ),
    }
}

fn name(form: Flavor, kind: ErrorKind) -> String {
    format!("{}{}", schema_of(form), status(kind).as_u16())
}

fn schema_of(form: Flavor) -> &'static str {
    match form {
        Flavor::Problem => "Problem",
        Flavor::OpenAi => "OpenAiError",
        Flavor::Anthropic => "AnthropicError",
        Flavor::Ollama => "OllamaError",
        Flavor::JsonRpc => "JsonRpcError",
    }
}

/// The response of a kind of failure.
fn response(form: Flavor, kind: ErrorKind) -> Value {
    const ID: &str = "req-6a1f0c9be3d2714f-2a";
    let (description, error) = meaning(kind);
    let (media_type, example) = match form {
        Flavor::Problem => ("application/problem+json", problem_body(&error, ID)),
        Flavor::OpenAi => ("application/json", openai_body(&error, ID)),
        Flavor::Anthropic => ("application/json", anthropic_body(&error, ID)),
        Flavor::Ollama => ("application/json", ollama_body(&error)),
        Flavor::JsonRpc => ("application/json", rpc_body(&error, ID)),
    };
    let schema = format!("#/components/schemas/{}", schema_of(form));
    let mut headers = json!({"x-request-id": {"$ref": "#/components/headers/RequestId"}});
    if matches!(kind, ErrorKind::TooManyRequests | ErrorKind::Unavailable) {
        headers["retry-after"] = json!({"$ref": "#/components/headers/RetryAfter"});
    }
    json!({
        "description": description,
        "headers": headers,
        "content": {media_type: {"schema": {"$ref": schema}, "example": example}},
    })
}
