//! `POST /mcp`: the Model Context Protocol over streamable HTTP, for agents and editors.
//!
//! The official SDK speaks the protocol, without sessions: every request stands for itself and is answered by one JSON
//! object. Tools and resources go through the same services as the other routes, with the same evidence.

mod desk;
mod resources;
mod server;
mod tools;

use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, Result};
use bytes::Bytes;
use http::header::ACCEPT;
use http_body_util::BodyExt as _;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Map, Value};

use super::body::Body;
use super::context::Context;
use super::error_body::{JsonRpcError, rpc_body};
use crate::services::{ServiceError, Services};
use desk::Desk;
use server::Server;

/// The SDK's side. Bodies, hosts and origins are bounded and checked by our own edge, before it.
static ENDPOINT: LazyLock<StreamableHttpService<Server, NeverSessionManager>> =
    LazyLock::new(|| {
        let mut config = StreamableHttpServerConfig::default().disable_allowed_hosts();
        config.legacy_session_mode = false;
        config.json_response = true;
        config.max_request_body_bytes = usize::MAX;
        StreamableHttpService::new(|| Ok(Server), Arc::default(), config)
    });

/// What a client of the protocol takes.
const BOTH: http::HeaderValue =
    http::HeaderValue::from_static("application/json, text/event-stream");

/// What a tool or a resource can reach.
pub(super) struct Visit {
    services: Arc<Services>,
    context: Context,
}

/// Answers one message of the Model Context Protocol.
#[utoipa::path(
    post, path = "/mcp", tag = "mcp", operation_id = "mcp",
    request_body = ref("#/components/schemas/JsonRpcMessage"),
    responses(
        (status = 200, body = Object, description = "The JSON-RPC response"),
        (status = 202, description = "A notification was taken"),
        (status = 406, body = JsonRpcError,
         description = "`Accept` is there and does not take both application/json and text/event-stream"),
        (status = 415, body = JsonRpcError, description = "`Content-Type` is not application/json")
    )
)]
pub(crate) async fn serve(
    context: Context,
    request: HttpRequest,
    services: Data<Services>,
    body: Body<Map<String, Value>>,
) -> Result<HttpResponse> {
    let message = Value::Object(body.0);
    let text = message.to_string();
    if let Err(error) = serde_json::from_value::<ClientJsonRpcMessage>(message) {
        let message = format!("the body is no JSON-RPC 2.0 message: {error}");
        return Err(context.fail(ServiceError::bad_request(message)).into());
    }
    let (desk, mut asked) = Desk::new();
    let request = handed_over(&request, text, desk);
    let visit = Rc::new(Visit {
        services: services.into_inner(),
        context: context.clone(),
    });
    // The SDK's work and what it asks for of ours, side by side; all of it ends with the client.
    let answer = Box::pin(async {
        let (head, body) = ENDPOINT.handle(request).await.into_parts();
        let Ok(collected) = body.collect().await;
        (head, collected.to_bytes())
    });
    let (head, bytes) = asked.until(visit, answer).await;
    Ok(answered(&context, &head, bytes))
}

/// The request in the SDK's types: the headers that the protocol knows, and the body.
fn handed_over(request: &HttpRequest, text: String, desk: Desk) -> http::Request<String> {
    let mut handed = http::Request::new(text);
    *handed.method_mut() = http::Method::POST;
    for (name, value) in request.headers() {
        let known = ["accept", "content-type", "host"].contains(&name.as_str());
        if !known && !name.as_str().starts_with("mcp-") {
            continue;
        }
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes());
        let value = http::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            handed.headers_mut().append(name, value);
        }
    }
    // The protocol has clients name both; to HTTP this is as good.
    let accepted = handed.headers().get_all(ACCEPT).iter();
    if accepted
        .map(|accept| accept.as_bytes())
        .all(|accept| accept == b"*/*")
    {
        handed.headers_mut().insert(ACCEPT, BOTH);
    }
    handed.extensions_mut().insert(desk);
    handed
}

/// The SDK's answer; what it refuses in plain text becomes an error object like ours.
fn answered(context: &Context, head: &http::response::Parts, bytes: Bytes) -> HttpResponse {
    let status = head.status.as_u16();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    let kind = head.headers.get(http::header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    if status.is_success() || kind.is_some_and(|kind| kind.starts_with("application/json")) {
        if let Some(kind) = kind {
            response.insert_header((CONTENT_TYPE, kind));
        }
        return response.body(bytes);
    }
    let said = ServiceError::bad_request(String::from_utf8_lossy(&bytes));
    let mut body = rpc_body(&said, &context.request_id());
    let problem = &mut body["error"]["data"];
    problem["status"] = status.as_u16().into();
    problem["title"] = status.canonical_reason().into();
    response.json(body)
}
