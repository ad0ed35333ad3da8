//! Server-sent events, cut out of the bytes of an answer as they come.

use serde_json::Value;

use crate::cli::error::CliError;

/// The part of an event that has come.
#[derive(Debug, Default)]
pub(super) struct Events {
    bytes: Vec<u8>,
}

/// What the server sent.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// A chunk of the answer.
    Chunk(Value),
    /// The regular end.
    Done,
}

impl Events {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next event that is there whole; comments, which keep connections alive, are none.
    ///
    /// Errors: data that is no JSON, or that tells of an error.
    pub(super) fn next(&mut self) -> Result<Option<Event>, CliError> {
        while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
            let rest = self.bytes.split_off(end + 1);
            let line = std::mem::replace(&mut self.bytes, rest);
            let line = line.trim_ascii_end();
            let Some(data) = line.strip_prefix(b"data:") else {
                continue;
            };
            let data = data.trim_ascii_start();
            if data == b"[DONE]" {
                return Ok(Some(Event::Done));
            }
            let chunk: Value = serde_json::from_slice(data)
                .map_err(|error| CliError::failed(format!("the stream is damaged: {error}")))?;
            if let Some(said) = chunk.pointer("/error/message") {
                let said = said.as_str().unwrap_or_default();
                return Err(CliError::failed(format!("the answer broke off: {said}")));
            }
            return Ok(Some(Event::Chunk(chunk)));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_found_however_the_bytes_are_cut() {
        let stream =
            "data: {\"a\":\"é\"}\r\n\r\n: keep-alive\n\ndata:{\"a\":2}\n\ndata: [DONE]\n\n";
        for size in [1, 3, 1_000] {
            let mut events = Events::default();
            let mut found = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                events.push(piece);
                while let Some(event) = events.next().unwrap() {
                    found.push(event);
                }
            }
            assert_eq!(
                found,
                [
                    Event::Chunk(json!({"a": "é"})),
                    Event::Chunk(json!({"a": 2})),
                    Event::Done
                ]
            );
        }
    }

    #[test]
    fn an_error_in_the_stream_is_an_error() {
        for (line, says) in [
            (
                "data: {\"error\": {\"message\": \"up broke off\"}}\n",
                "up broke off",
            ),
            ("data: {\n", "damaged"),
        ] {
            let mut events = Events::default();
            events.push(line.as_bytes());
            let error = events.next().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
