//! The HTTP edge: parse, call one service, shape the answer.
//!
//! Errors are the OpenAI error object under the routes that OpenAI clients call, Anthropic's under `/v1/messages`,
//! Ollama's bare string under `/api/`, JSON-RPC's under `/mcp`, and RFC 9457 problem+json elsewhere; each carries the request's id, which is also in the header `x-request-id`.

mod access;
mod admission;
mod answers;
mod body;
mod context;
mod edge;
mod error;
mod error_body;
mod mcp;
mod metrics;
mod objects;
mod openapi;
mod origin;
mod parameters;
mod request_id;
pub mod routes;
mod scopes;
mod streams;

use std::sync::Arc;

use actix_web::web;

pub use admission::Connections;
pub use context::EdgeLimits;
pub use edge::Edge;
pub use metrics::Metrics;
pub use openapi::document;
pub use origin::Origins;

use crate::services::Services;

/// What every handler can reach.
#[derive(Clone)]
pub struct EdgeState {
    /// The use cases' handles.
    pub services: Arc<Services>,
    /// Counters of this edge.
    pub metrics: Arc<Metrics>,
    /// Bounds of this edge.
    pub limits: EdgeLimits,
}

/// Mounts every route on an actix-web application.
pub fn configure(app: &mut web::ServiceConfig, state: &EdgeState) {
    app.app_data(web::Data::from(Arc::clone(&state.services)))
        .app_data(web::Data::from(Arc::clone(&state.metrics)))
        .app_data(state.limits)
        .app_data(web::PayloadConfig::new(state.limits.max_body_bytes));
    routes::mount(app, &state.limits);
}
