//! Answers in pieces, each in the form that one API's clients expect.
//!
//! A stream that broke off ends with that API's error and without its mark of completeness.

pub(super) mod completions;
pub(super) mod messages;
pub(super) mod ollama;
pub(super) mod responses;

use std::convert::Infallible;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::Value;

use super::routes::chat::told;
use crate::services::ServiceError;
use crate::services::complete::{CompletionStream, Piece};
use crate::types::error_kind::ErrorKind;

/// A silence that some proxies would take for the end.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Pieces that are ready are written together until they are so many bytes.
const WRITE_BYTES: usize = 16 * 1024;

/// Writes pieces in the form of one API.
pub(super) trait Writer: 'static {
    /// The media type.
    const CONTENT_TYPE: &'static str;

    /// Writes what stands before the first piece.
    fn begin(&mut self) -> String;

    /// Writes a piece. `Piece::Done` and `Piece::Failed` are the last.
    fn write(&mut self, piece: Piece) -> String;

    /// Writes something that means nothing.
    fn keep_alive(&self) -> String;
}

/// One server-sent event with a name.
pub(super) fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// Answers with the stream's pieces as they come. Dropping the answer cancels the upstream's call.
pub(super) fn response<W: Writer>(stream: CompletionStream, writer: W) -> HttpResponse {
    told(&mut HttpResponse::Ok(), stream.attempts, stream.cache)
        .content_type(W::CONTENT_TYPE)
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        // nginx would hold the events back.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body(stream, writer))
}

enum State<W> {
    Start(W, CompletionStream),
    Open(W, CompletionStream),
    End,
}

fn body<W: Writer>(
    stream: CompletionStream,
    writer: W,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    unfold(State::Start(writer, stream), |state| async move {
        let (text, next) = match state {
            State::Start(mut writer, stream) => (writer.begin(), State::Open(writer, stream)),
            State::Open(mut writer, mut stream) => {
                let piece = tokio::time::timeout(KEEP_ALIVE, stream.next()).await;
                match piece {
                    Err(_) => (writer.keep_alive(), State::Open(writer, stream)),
                    Ok(piece) => {
                        let mut piece = piece.unwrap_or_else(|| Piece::Failed(broken()));
                        let mut text = String::new();
                        // Pieces that came together leave together.
                        let open = loop {
                            let last = matches!(piece, Piece::Done | Piece::Failed(_));
                            text.push_str(&writer.write(piece));
                            if last {
                                break State::End;
                            }
                            let room = text.len() < WRITE_BYTES;
                            match room.then(|| stream.next_ready()).flatten() {
                                Some(next) => piece = next,
                                None => break State::Open(writer, stream),
                            }
                        };
                        (text, open)
                    }
                }
            }
            State::End => return None,
        };
        Some((Ok(Bytes::from(text)), next))
    })
}

/// The task that writes the pieces ended before its last, which only a panic in it can do.
fn broken() -> ServiceError {
    ServiceError::new(ErrorKind::Internal, "the answer broke off").code("lost")
}
