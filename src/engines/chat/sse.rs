//! Server-sent events, as the WHATWG HTML standard, section 9.2.6, reads them.

use super::lines::{Halt, Lines, MAX_LINE_BYTES};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SseEvent {
    /// Its name; empty when it has none.
    pub(super) name: String,
    /// Its data lines, joined by line breaks.
    pub(super) data: String,
}

/// Reads events from chunks that are split anywhere, also inside a character.
#[derive(Debug, Default)]
pub(super) struct SseParser {
    lines: Lines,
    name: String,
    data: Option<String>,
    started: bool,
}

impl SseParser {
    /// Calls `each` with every event that `bytes` complete. Comments and unknown fields are
    /// skipped.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(SseEvent) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let Self {
            lines,
            name,
            data,
            started,
        } = self;
        lines.feed(bytes, |line| {
            // A byte order mark may stand before the first line.
            let line = if std::mem::replace(started, true) {
                line
            } else {
                line.trim_start_matches('\u{feff}')
            };
            if line.is_empty() {
                let name = std::mem::take(name);
                return match data.take() {
                    Some(data) => each(SseEvent { name, data }),
                    None => Ok(()),
                };
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => {
                    let data = match data {
                        Some(data) => {
                            data.push('\n');
                            data
                        }
                        None => data.insert(String::new()),
                    };
                    if data.len() + value.len() > MAX_LINE_BYTES {
                        return Err(Halt::LineTooLong);
                    }
                    data.push_str(value);
                }
                "event" => value.clone_into(name),
                _ => {}
            }
            Ok(())
        })
    }

    /// Returns the event that the body's end left without its empty line: some servers send none
    /// after the last.
    pub(super) fn rest(&mut self) -> Option<SseEvent> {
        let mut last = None;
        // Two: one ends the line, one ends the event.
        for end in [b"\n", b"\n"] {
            let fed = self.feed(end, |event| {
                last = Some(event);
                Ok(())
            });
            if fed.is_err() {
                return None;
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(chunks: &[&[u8]]) -> Vec<SseEvent> {
        let (mut parser, mut found) = (SseParser::default(), Vec::new());
        for chunk in chunks {
            let fed = parser.feed(chunk, |event| {
                found.push(event);
                Ok(())
            });
            fed.unwrap();
        }
        found.extend(parser.rest());
        found
    }

    const SAMPLE: &str = "\u{feff}: OPENROUTER PROCESSING\n\ndata: one\r\n\r\nevent: ping\r\
        data:two\r\
        data:  drei ä\r\rid: 7\nretry: 9\ndata\n\ndata: last";

    #[test]
    fn events_are_read_however_they_are_split() {
        let event = |name: &str, data: &str| SseEvent {
            name: name.into(),
            data: data.into(),
        };
        let expected = [
            event("", "one"),
            event("ping", "two\n drei ä"),
            event("", ""),
            event("", "last"),
        ];
        let bytes = SAMPLE.as_bytes();
        assert_eq!(parse(&[bytes]), expected);
        for at in 0..=bytes.len() {
            assert_eq!(
                parse(&[&bytes[..at], &bytes[at..]]),
                expected,
                "split at {at}"
            );
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_do_no_harm(bytes: Vec<u8>, at: prop::sample::Index) {
            let at = at.index(bytes.len() + 1);
            prop_assert_eq!(parse(&[&bytes]), parse(&[&bytes[..at], &bytes[at..]]));
        }
    }
}
