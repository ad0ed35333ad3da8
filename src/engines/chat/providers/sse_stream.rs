//! What all streams of server-sent events share: bytes become events, and one API's reader makes sense of each.

use crate::engines::chat::lines::Halt;
use crate::engines::chat::sse::SseParser;
use crate::engines::chat::{ChatError, StreamDecoder};
use crate::engines::upstream::Upstream;
use crate::types::chat::ChatEvent;

/// Reads the events of one API.
pub(super) trait Reader: Default {
    /// Takes the data of an event.
    fn event(
        &mut self,
        upstream: &Upstream,
        data: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), ChatError>;

    /// Whether the answer is complete, whatever still comes.
    fn is_done(&self) -> bool;

    /// Takes the end of the body.
    ///
    /// Errors: the answer is not complete.
    fn end(&mut self, upstream: &Upstream, events: &mut Vec<ChatEvent>) -> Result<(), ChatError>;
}

/// One streamed answer.
pub(super) struct SseStream<R> {
    upstream: Upstream,
    parser: SseParser,
    reader: R,
}

impl<R: Reader> SseStream<R> {
    pub(super) fn new(upstream: Upstream) -> Self {
        Self {
            upstream,
            parser: SseParser::default(),
            reader: R::default(),
        }
    }
}

impl<R: Reader> StreamDecoder for SseStream<R> {
    fn feed(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), ChatError> {
        let Self {
            upstream,
            parser,
            reader,
        } = self;
        parser
            .feed(bytes, |event| {
                let read = reader.event(upstream, &event.data, events);
                read.map_err(Halt::Error)
            })
            .map_err(|halt| halt.error(&upstream.name))
    }

    fn is_done(&self) -> bool {
        self.reader.is_done()
    }

    fn finish(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), ChatError> {
        if let Some(event) = self.parser.rest() {
            self.reader.event(&self.upstream, &event.data, events)?;
        }
        self.reader.end(&self.upstream, events)
    }
}
