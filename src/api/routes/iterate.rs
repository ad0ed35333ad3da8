//! `POST /v1/iterate`: asking a model until its answer passes.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, Result};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::api::answers::ServerSentEvent;
use crate::api::body::Body;
use crate::api::context::Context;
use crate::api::error_body::problem_body;
use crate::api::streams::event;
use crate::services::complete::ChatInput;
use crate::services::iterate::{self, IterateOutput, Progress, Told};
use crate::services::{ServiceError, Services};
use crate::types::error_kind::ErrorKind;

/// A silence that some proxies would take for the end.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Answers a conversation, has the answer judged, and asks again with what was found, within bounds.
#[utoipa::path(
    post, path = "/v1/iterate", tag = "validation", operation_id = "iterate",
    request_body = ChatInput,
    responses(
        (status = 200,
         description = "The last answer with all attempts; with `stream`, events: attempt, verdict, done",
         content((IterateOutput = "application/json"), (ServerSentEvent = "text/event-stream")))
    )
)]
pub(crate) async fn iterate(
    context: Context,
    services: Data<Services>,
    body: Body<Box<ChatInput>>,
) -> Result<HttpResponse> {
    let (services, input) = (services.into_inner(), body.0);
    if !input.wants_stream() {
        let answered = iterate::iterate(services, context.caller(), input).await;
        return Ok(context.json(answered)?);
    }
    let told =
        iterate::stream(services, context.caller(), input).map_err(|error| context.fail(error))?;
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        // nginx would hold the events back.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events(told, context.request_id())))
}

fn events(
    told: UnboundedReceiver<Told>,
    request_id: String,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    unfold(Some((told, request_id)), |state| async move {
        let (mut told, request_id) = state?;
        let (text, ended) = match tokio::time::timeout(KEEP_ALIVE, told.recv()).await {
            Err(_) => (": keep-alive\n\n".to_owned(), false),
            Ok(Some(Told::Progress(Progress::Started(attempt)))) => {
                (event("attempt", &json!({"attempt": attempt})), false)
            }
            Ok(Some(Told::Progress(Progress::Judged(attempt)))) => {
                (event("verdict", &json!(attempt)), false)
            }
            Ok(Some(Told::Done(output))) => (event("done", &json!(output)), true),
            Ok(Some(Told::Failed(error))) => {
                (event("error", &problem_body(&error, &request_id)), true)
            }
            Ok(None) => {
                // The task ended before its last word, which only a panic in it can do.
                let error = ServiceError::new(ErrorKind::Internal, "the answer broke off");
                (
                    event("error", &problem_body(&error.code("lost"), &request_id)),
                    true,
                )
            }
        };
        Some((
            Ok(Bytes::from(text)),
            (!ended).then_some((told, request_id)),
        ))
    })
}
