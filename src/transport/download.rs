//! Fetching a file: redirects are followed, and a download goes on where it broke off.

use std::time::{Duration, Instant};

use reqwest::Url;

use super::client::Transport;
use super::error::TransportError;
use super::stream::HttpStream;
use crate::types::http::{HttpCall, Method, Timeouts};

/// Redirects in a row; the Hugging Face hub has two.
const MAX_HOPS: usize = 5;

/// Longest download.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Bounds of each silence, milliseconds.
const SILENCE_MS: u64 = 30_000;

/// A file as it comes.
pub struct Download {
    /// The answer; its status may be any.
    pub stream: HttpStream,
    /// Where in the file its first byte belongs.
    pub from: u64,
}

impl Transport {
    /// Asks for the file at `url` from byte `from` on; it has `bytes` in all.
    ///
    /// Sends nothing but the range: no header, so no secret, crosses a redirect.
    ///
    /// Errors: as for [`Transport::stream`]; a redirect that leads from https to http, in circles,
    /// or nowhere.
    pub async fn download(
        &self,
        url: &str,
        from: u64,
        bytes: u64,
    ) -> Result<Download, TransportError> {
        let bad = |what: &str| TransportError::BadCall(what.to_owned());
        let mut url = Url::parse(url).map_err(|_| bad("the URL is malformed"))?;
        for _ in 0..=MAX_HOPS {
            let range = (from > 0).then(|| ("range".to_owned(), format!("bytes={from}-")));
            let call = HttpCall {
                method: Method::Get,
                url: url.to_string(),
                headers: range.into_iter().collect(),
                body: Vec::new(),
                timeouts: Timeouts {
                    first_byte_ms: SILENCE_MS,
                    idle_ms: SILENCE_MS,
                    total_ms: u64::MAX,
                },
            };
            let stream = self.stream(call, Instant::now() + LONGEST).await?;
            let head = stream.head();
            if !matches!(head.status, 301 | 302 | 303 | 307 | 308) {
                let from = match head.status {
                    206 => first_byte(head.header("content-range"))
                        .filter(|&first| first == from)
                        .ok_or_else(|| {
                            TransportError::Broken("the server sent another part".to_owned())
                        })?,
                    _ => 0,
                };
                let limit = usize::try_from(bytes.saturating_add(1)).unwrap_or(usize::MAX);
                let stream = stream.allow(limit);
                return Ok(Download { stream, from });
            }
            let next = head.header("location").and_then(|to| url.join(to).ok());
            let next = next.ok_or_else(|| bad("the server redirects to nowhere"))?;
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(bad("the server redirects from https to http"));
            }
            url = next;
        }
        Err(bad("the server redirects in circles"))
    }
}

/// Reads `bytes 5-9/10`.
fn first_byte(range: Option<&str>) -> Option<u64> {
    range?
        .strip_prefix("bytes ")?
        .split('-')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::loopback::{Server, Step};

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(work)
    }

    async fn fetch(
        replies: &[&'static str],
        from: u64,
    ) -> (Result<Download, TransportError>, Vec<String>) {
        let server = Server::start(
            replies
                .iter()
                .map(|reply| vec![Step::Send(reply)])
                .collect(),
        );
        let transport = Transport::new(Duration::from_secs(5));
        let got = transport
            .download(&format!("{}/a/file", server.url()), from, 5)
            .await;
        (got, server.requests())
    }

    const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    const REST: &str =
        "HTTP/1.1 206 Partial\r\ncontent-range: bytes 2-4/5\r\ncontent-length: 3\r\n\r\nllo";
    const AWAY: &str = "HTTP/1.1 302 Found\r\nlocation: ../b?x=1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

    #[test]
    fn redirects_are_followed_with_the_range() {
        run(async {
            let (got, requests) = fetch(&[AWAY, REST], 2).await;
            let download = got.unwrap();
            assert_eq!(download.from, 2);
            assert_eq!(download.stream.into_reply().await.unwrap().body, b"llo");
            assert!(requests[1].starts_with("GET /b?x=1 "), "{requests:?}");
            assert!(
                requests
                    .iter()
                    .all(|request| request.contains("range: bytes=2-"))
            );
        });
    }

    #[test]
    fn a_server_without_ranges_sends_the_whole() {
        run(async {
            let (got, _) = fetch(&[WHOLE], 2).await;
            assert_eq!(got.unwrap().from, 0);
        });
    }

    #[test]
    fn what_is_not_asked_for_is_refused() {
        run(async {
            let cases: [(&[&'static str], u64, &str); 4] = [
                (&[REST], 1, "another part"),
                (&[AWAY; 6], 0, "in circles"),
                (
                    &["HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n"],
                    0,
                    "to nowhere",
                ),
                (
                    &["HTTP/1.1 302 Found\r\nlocation: http://\r\ncontent-length: 0\r\n\r\n"],
                    0,
                    "to nowhere",
                ),
            ];
            for (replies, from, expected) in cases {
                let (got, _) = fetch(replies, from).await;
                let error = got.err().unwrap().to_string();
                assert!(error.contains(expected), "{expected}: {error}");
            }
            let long = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ntoo long!";
            let (got, _) = fetch(&[long], 0).await;
            let read = got.unwrap().stream.into_reply().await;
            assert!(
                matches!(read, Err(TransportError::TooLarge { .. })),
                "{read:?}"
            );
        });
    }
}
