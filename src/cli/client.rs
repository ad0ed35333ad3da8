//! A small client of our own HTTP API, for the commands that talk to a running server.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::error::CliError;
use super::server::url_of;
use crate::app::App;
use crate::transport::{HttpStream, Transport, TransportError};
use crate::types::http::{HttpCall, HttpHead, HttpReply, Method, Timeouts};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest time that a streamed answer may take.
const STREAM: Duration = Duration::from_secs(24 * 3_600);
/// Longest wait for one answer.
const CALL: Duration = Duration::from_secs(600);
const TIMEOUT_MS: u64 = 600_000;
/// Tries of a request that is shed under load.
const TRIES: u32 = 6;

/// The variable with the key that is sent, unless a file with one is named.
const KEY_VARIABLE: &str = "BOATHOUSE_API_KEY";

/// The API key of this run. Never on the command line, where other users see it.
static KEY: OnceLock<Option<String>> = OnceLock::new();

/// Takes the key that every question is sent with: of `file`, else of the environment.
///
/// Errors: a file that cannot be read or is empty; a key that cannot stand in a header.
pub(super) fn take_key(file: Option<&Path>) -> Result<(), CliError> {
    let key = match file {
        Some(file) => {
            let shown = file.display();
            let text = std::fs::read_to_string(file)
                .map_err(|error| CliError::failed(format!("--api-key-file {shown}: {error}")))?;
            if text.trim().is_empty() {
                return Err(CliError::failed(format!("--api-key-file {shown} is empty")));
            }
            Some(text)
        }
        None => std::env::var(KEY_VARIABLE).ok(),
    };
    let key = key
        .map(|key| key.trim().to_owned())
        .filter(|key| !key.is_empty());
    let sane = |key: &String| key.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if !key.as_ref().is_none_or(sane) {
        return Err(CliError::failed(
            "the API key holds characters that no key has",
        ));
    }
    // The first of a process stays.
    let _ = KEY.set(key);
    Ok(())
}

/// The header with the key of this run, if it has one.
pub(super) fn authorization() -> Option<(String, String)> {
    KEY.get().cloned().flatten().map(|key| bearer(&key))
}

fn bearer(key: &str) -> (String, String) {
    ("authorization".to_owned(), format!("Bearer {key}"))
}

/// Talks to one server.
#[derive(Clone)]
pub(super) struct Client {
    base: String,
    transport: Arc<Transport>,
    headers: Vec<(String, String)>,
    own: bool,
}

/// An answer of the API.
#[derive(Debug)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// The JSON body.
    pub(super) body: Value,
    head: HttpHead,
}

impl Answer {
    /// The first header of this (lowercase) name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The server's reason, out of either of its two forms of error.
    pub(super) fn said(&self) -> String {
        let said = self
            .body
            .get("detail")
            .or_else(|| self.body.pointer("/error/message"));
        said.and_then(Value::as_str)
            .map_or_else(|| self.body.to_string(), str::to_owned)
    }
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:8642`.
    pub(super) fn new(base: impl Into<String>) -> Self {
        Self::with_key(base, KEY.get().cloned().flatten())
    }

    /// The same with this key, or none.
    fn with_key(base: impl Into<String>, key: Option<String>) -> Self {
        let base: String = base.into();
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(key.map(|key| bearer(&key)));
        Self {
            base: base.trim_end_matches('/').to_owned(),
            transport: Arc::new(Transport::new(CONNECT)),
            headers,
            own: false,
        }
    }

    /// Whether its server runs in this process, and ends with the command.
    pub(super) fn is_own(&self) -> bool {
        self.own
    }

    /// A client of a server in this process, which it lets in whatever keys the folder has.
    pub(super) fn of(app: &App) -> Result<Self, CliError> {
        let base = url_of(app.address());
        let client = match app.owner_key()? {
            Some(key) => Self::with_key(base, Some(key)),
            None => Self::new(base),
        };
        Ok(Self {
            own: true,
            ..client
        })
    }

    /// Sends this header with every question.
    pub(super) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Asks once and returns whatever comes.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, CliError> {
        self.ask_with(method, path, body, Vec::new()).await
    }

    /// The same with headers of this question alone.
    pub(super) async fn ask_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: Vec<(String, String)>,
    ) -> Result<Answer, CliError> {
        let reply = self.reply(method, path, body, headers).await?;
        Ok(Answer {
            status: reply.head.status,
            body: json_of(&reply.body),
            head: reply.head,
        })
    }

    /// Asks once, for status and bytes.
    pub(super) async fn raw(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>), CliError> {
        let reply = self.reply(method, path, body, Vec::new()).await?;
        Ok((reply.head.status, reply.body))
    }

    async fn reply(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: Vec<(String, String)>,
    ) -> Result<HttpReply, CliError> {
        let url = format!("{}{path}", self.base);
        let call = HttpCall {
            method,
            url: url.clone(),
            headers: self.headers.iter().cloned().chain(headers).collect(),
            body: body
                .map(|body| body.to_string().into_bytes())
                .unwrap_or_default(),
            timeouts: Timeouts {
                first_byte_ms: TIMEOUT_MS,
                idle_ms: TIMEOUT_MS,
                total_ms: TIMEOUT_MS,
            },
        };
        let reply = self.transport.call(call, Instant::now() + CALL).await;
        reply.map_err(|error| unreachable(&url, error))
    }

    /// Asks for an answer that is read as it comes, however long it is. Fails unless it is a success.
    pub(super) async fn stream(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<HttpStream, CliError> {
        let url = format!("{}{path}", self.base);
        let call = HttpCall {
            method,
            url: url.clone(),
            headers: self.headers.clone(),
            body: body
                .map(|body| body.to_string().into_bytes())
                .unwrap_or_default(),
            timeouts: Timeouts {
                first_byte_ms: TIMEOUT_MS,
                idle_ms: TIMEOUT_MS,
                total_ms: u64::MAX,
            },
        };
        let stream = self.transport.stream(call, Instant::now() + STREAM).await;
        let stream = stream.map_err(|error| unreachable(&url, error))?;
        let head = stream.head().clone();
        let status = head.status;
        if (200..300).contains(&status) {
            return Ok(stream.allow(usize::MAX));
        }
        let reply = stream.into_reply().await;
        let body = json_of(&reply.map_err(|error| unreachable(&url, error))?.body);
        Err(refused(path, &Answer { status, body, head }))
    }

    /// Asks, waits and tries again while the server sheds load, and returns what comes then.
    pub(super) async fn settled(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, CliError> {
        let mut wait = Duration::from_millis(100);
        for _ in 1..TRIES {
            let answer = self.ask(method, path, body).await?;
            if !matches!(answer.status, 429 | 503) {
                return Ok(answer);
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        self.ask(method, path, body).await
    }

    /// The same, and fails unless the answer is a success.
    pub(super) async fn must(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, CliError> {
        let answer = self.settled(method, path, body).await?;
        if (200..300).contains(&answer.status) {
            Ok(answer.body)
        } else {
            Err(refused(path, &answer))
        }
    }
}

fn unreachable(url: &str, error: TransportError) -> CliError {
    CliError::failed(format!(
        "{url}: {error}; is the server running? start it with `boathouse`"
    ))
}

/// What is no JSON is shown as it is.
fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let shown = String::from_utf8_lossy(body);
        Value::String(shown.chars().take(500).collect())
    })
}

/// Says what the server said, and to what.
pub(super) fn refused(path: &str, answer: &Answer) -> CliError {
    let said = answer.said();
    CliError::failed(format!("{path} answered {}: {said}", answer.status))
}

/// An id as part of a path or of a query: everything but what is harmless there in `%XX`.
pub(super) fn escaped(id: &str) -> String {
    let mut path = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}
