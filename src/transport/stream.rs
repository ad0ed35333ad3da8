//! Reading an answer as it comes.

use std::time::Instant;

use bytes::Bytes;
use reqwest::Response;

use super::client::{later, over};
use super::error::TransportError;
use crate::types::http::{HttpHead, HttpReply};

/// Largest answer, bytes: some images in base64, not the whole web.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// An answer whose head is there. Dropping it closes the connection.
pub struct HttpStream {
    head: HttpHead,
    response: Response,
    idle_ms: u64,
    started: Instant,
    /// When the first byte must be there; `None` once it is.
    first: Option<Instant>,
    end: Instant,
    read: usize,
    limit_bytes: usize,
}

impl HttpStream {
    pub(super) fn new(
        head: HttpHead,
        response: Response,
        idle_ms: u64,
        started: Instant,
        first: Instant,
        end: Instant,
    ) -> Self {
        Self {
            head,
            response,
            idle_ms,
            started,
            first: Some(first),
            end,
            read: 0,
            limit_bytes: MAX_BODY_BYTES,
        }
    }

    /// Lets the answer have this many bytes instead of 64 MiB, for one that is not kept in memory.
    pub fn allow(mut self, limit_bytes: usize) -> Self {
        self.limit_bytes = limit_bytes;
        self
    }

    /// Status and headers.
    pub fn head(&self) -> &HttpHead {
        &self.head
    }

    /// Waits for the next bytes; `None` is the regular end of the body.
    ///
    /// Time between two calls does not count as the upstream's silence.
    pub async fn next(&mut self) -> Result<Option<Bytes>, TransportError> {
        let (phase, since, phase_end) = match self.first {
            Some(first) => ("waiting for the first byte", self.started, first),
            None => {
                let now = Instant::now();
                ("waiting for the next bytes", now, later(now, self.idle_ms))
            }
        };
        let until = phase_end.min(self.end);
        let chunk = match tokio::time::timeout_at(until.into(), self.response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| TransportError::of(error, 0))?,
            Err(_) if phase_end < self.end => {
                return Err(over(phase_end, self.end, since, phase));
            }
            Err(_) => return Err(over(self.end, self.end, self.started, phase)),
        };
        self.first = None;
        self.read += chunk.as_ref().map_or(0, Bytes::len);
        if self.read > self.limit_bytes {
            return Err(TransportError::TooLarge {
                limit_bytes: self.limit_bytes,
            });
        }
        Ok(chunk)
    }

    /// Reads the rest.
    pub async fn into_reply(mut self) -> Result<HttpReply, TransportError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.next().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(HttpReply {
            head: self.head,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::transport::Transport;
    use crate::transport::loopback::{Server, Step};
    use crate::types::http::{HttpCall, Method, Timeouts};

    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

    fn call(server: &Server, first_byte_ms: u64, idle_ms: u64, total_ms: u64) -> HttpCall {
        HttpCall {
            method: Method::Post,
            url: format!("{}/x", server.url()),
            headers: vec![("authorization".into(), "Bearer k".into())],
            body: b"question".to_vec(),
            timeouts: Timeouts {
                first_byte_ms,
                idle_ms,
                total_ms,
            },
        }
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(work)
    }

    fn transport() -> Transport {
        Transport::new(Duration::from_secs(5))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn a_call_brings_status_headers_and_body() {
        run(async {
            let reply = "HTTP/1.1 418 Odd\r\nX-A: b\r\ncontent-length: 5\r\n\r\nhello";
            let server = Server::start(vec![vec![Step::Send(reply)]]);
            let reply = transport()
                .call(call(&server, 5_000, 5_000, 5_000), soon())
                .await
                .unwrap();
            assert_eq!(
                (reply.head.status, reply.body.as_slice()),
                (418, &b"hello"[..])
            );
            assert_eq!(reply.head.header("x-a"), Some("b"));
            let sent = server.requests();
            assert!(sent[0].contains("authorization: Bearer k") && sent[0].ends_with("question"));
        });
    }

    #[test]
    fn each_silence_has_its_own_bound() {
        for (script, (first, idle, total), phase) in [
            (
                vec![Step::Hold],
                (40, 5_000, 5_000),
                "waiting for the first byte",
            ),
            (
                vec![Step::Send(CHUNKED), Step::Hold],
                (40, 5_000, 5_000),
                "waiting for the first byte",
            ),
            (
                vec![Step::Send(CHUNKED), Step::Send("2\r\nhi\r\n"), Step::Hold],
                (5_000, 40, 5_000),
                "waiting for the next bytes",
            ),
            (
                vec![Step::Send(CHUNKED), Step::Send("2\r\nhi\r\n"), Step::Hold],
                (5_000, 5_000, 60),
                "the answer",
            ),
        ] {
            run(async {
                let server = Server::start(vec![script]);
                let failed = transport()
                    .call(call(&server, first, idle, total), soon())
                    .await;
                match failed {
                    Err(TransportError::Timeout {
                        phase: found,
                        after_ms,
                    }) => {
                        assert_eq!(found, phase);
                        assert!(after_ms <= 60, "{after_ms}");
                    }
                    other => panic!("{phase}: {other:?}"),
                }
            });
        }
    }

    #[test]
    fn a_body_that_breaks_off_is_an_error() {
        for script in [
            format!("{HEAD}content-length: 9\r\n\r\nhel"),
            format!("{CHUNKED}5\r\nhello\r\n"),
        ] {
            run(async {
                let script: &'static str = script.leak();
                let server = Server::start(vec![vec![Step::Send(script)]]);
                let failed = transport()
                    .call(call(&server, 5_000, 5_000, 5_000), soon())
                    .await;
                assert!(
                    matches!(failed, Err(TransportError::Broken(_))),
                    "{failed:?}"
                );
            });
        }
    }

    #[test]
    fn nobody_there_and_a_passed_deadline_are_told_apart() {
        run(async {
            let server = Server::start(Vec::new());
            let mut nobody = call(&server, 5_000, 5_000, 5_000);
            // A port that was free a moment ago.
            let free = std::net::TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap();
            nobody.url = format!("http://{free}/x?key=hidden");
            let failed = transport().call(nobody, soon()).await.unwrap_err();
            assert!(matches!(failed, TransportError::Connect(_)), "{failed:?}");
            assert!(!failed.to_string().contains("hidden"), "{failed}");
            let server = Server::start(vec![vec![Step::Hold]]);
            let past = Instant::now() + Duration::from_millis(30);
            let failed = transport()
                .call(call(&server, 5_000, 5_000, 5_000), past)
                .await;
            assert!(matches!(
                failed,
                Err(TransportError::Timeout {
                    phase: "the answer",
                    ..
                })
            ));
        });
    }

    #[test]
    fn dropping_the_stream_closes_the_connection() {
        run(async {
            let script = vec![Step::Send(CHUNKED), Step::Send("2\r\nhi\r\n"), Step::Hold];
            let mut server = Server::start(vec![script]);
            let transport = transport();
            let mut stream = transport
                .stream(call(&server, 5_000, 5_000, 5_000), soon())
                .await
                .unwrap();
            assert_eq!(stream.next().await.unwrap().unwrap(), "hi");
            drop(stream);
            server.closed_by_client().await;
        });
    }

    #[test]
    fn a_redirect_is_not_followed() {
        run(async {
            let reply =
                "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
            let server = Server::start(vec![vec![Step::Send(reply)]]);
            let reply = transport()
                .call(call(&server, 5_000, 5_000, 5_000), soon())
                .await
                .unwrap();
            assert_eq!(reply.head.status, 302);
        });
    }
}
