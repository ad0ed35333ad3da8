//! A connection for load: one request in flight, kept open, over plain HTTP/1.1.
//!
//! Lighter than `Transport`, since what the tool computes is taken from the server when both share a machine.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::error::TransportError;
use crate::types::http::{HttpCall, Method};

/// A call that is sent again and again.
#[derive(Debug, Clone)]
pub struct LoadCall(Request<Full<Bytes>>);

impl LoadCall {
    /// `call`, as it goes to a server that is asked for as `host`. Its timeouts are not heeded: the connection has its own.
    ///
    /// Errors: a path or a header that HTTP does not allow.
    pub fn new(call: HttpCall, host: &str) -> Result<Self, TransportError> {
        let method = match call.method {
            Method::Get => hyper::Method::GET,
            Method::Post => hyper::Method::POST,
            Method::Put => hyper::Method::PUT,
            Method::Delete => hyper::Method::DELETE,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(call.url)
            .header("host", host);
        for (name, value) in call.headers {
            // The value may be a secret: it is not told.
            let mut value = HeaderValue::from_str(&value).map_err(|_| {
                TransportError::BadCall("the value of a header holds a control character".into())
            })?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(call.body)));
        request
            .map(Self)
            .map_err(|error| TransportError::BadCall(error.to_string()))
    }
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadReply {
    /// The HTTP status.
    pub status: u16,
    /// When the first bytes of the body came; its end where it has none.
    pub first_byte: Instant,
    /// Bytes of the body.
    pub bytes: u64,
}

/// One kept connection.
pub struct LoadConnection(SendRequest<Full<Bytes>>);

impl LoadConnection {
    /// Connects. The connection is moved by a task beside, so this needs a `LocalSet`.
    ///
    /// Errors: nobody listens there, or takes the connection within `timeout`.
    pub async fn open(address: SocketAddr, timeout: Duration) -> Result<Self, TransportError> {
        let refused = |error: std::io::Error| TransportError::Connect(error.to_string());
        let stream = match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
            Ok(stream) => stream.map_err(refused)?,
            Err(_) => return Err(late("connecting", timeout)),
        };
        stream.set_nodelay(true).map_err(refused)?;
        let (sender, io) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| TransportError::Connect(error.to_string()))?;
        // Why it ends is told by the request that meets it.
        tokio::task::spawn_local(io);
        Ok(Self(sender))
    }

    /// Sends `call` and reads the whole answer, whatever its status. After an error the connection is of no use.
    ///
    /// Errors: no whole answer within `timeout`, or a connection that broke.
    pub async fn ask(
        &mut self,
        call: &LoadCall,
        timeout: Duration,
    ) -> Result<LoadReply, TransportError> {
        let exchange = exchange(&mut self.0, call.0.clone());
        match tokio::time::timeout(timeout, exchange).await {
            Ok(reply) => reply.map_err(|error| TransportError::Broken(error.to_string())),
            Err(_) => Err(late("the answer", timeout)),
        }
    }
}

fn late(phase: &'static str, timeout: Duration) -> TransportError {
    TransportError::Timeout {
        phase,
        after_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
    }
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<LoadReply, hyper::Error> {
    sender.ready().await?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let (mut first_byte, mut bytes) = (None, 0);
    while let Some(frame) = body.frame().await {
        let data = frame?.data_ref().map_or(0, Bytes::len);
        if data > 0 && first_byte.is_none() {
            first_byte = Some(Instant::now());
        }
        bytes += data as u64;
    }
    Ok(LoadReply {
        status,
        first_byte: first_byte.unwrap_or_else(Instant::now),
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::loopback::{Server, Step};
    use crate::types::http::Timeouts;

    fn call(path: &str) -> LoadCall {
        let call = HttpCall {
            method: Method::Post,
            url: path.to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: b"{}".to_vec(),
            timeouts: Timeouts {
                first_byte_ms: 0,
                idle_ms: 0,
                total_ms: 0,
            },
        };
        LoadCall::new(call, "127.0.0.1").unwrap()
    }

    async fn asked(script: Vec<Step>, timeout: Duration) -> Result<LoadReply, TransportError> {
        let server = Server::start(vec![script]);
        let address = server.url()["http://".len()..].parse().unwrap();
        let work = async {
            let mut connection = LoadConnection::open(address, LONG).await.unwrap();
            connection.ask(&call("/v1/embeddings"), timeout).await
        };
        let reply = tokio::task::LocalSet::new().run_until(work).await;
        if reply.is_ok() {
            let requests = server.requests();
            let head = requests[0].split_once("\r\n").unwrap();
            assert_eq!(head.0, "POST /v1/embeddings HTTP/1.1");
            assert!(head.1.contains("host: 127.0.0.1\r\n"), "{requests:?}");
        }
        reply
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn an_answer_is_counted_whatever_its_status() {
        let script = vec![Step::Send(
            "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\n\r\nlate",
        )];
        let reply = asked(script, LONG).await.unwrap();
        assert_eq!((reply.status, reply.bytes), (429, 4));
    }

    #[tokio::test]
    async fn what_breaks_or_takes_too_long_is_told_apart() {
        let broken = vec![Step::Send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha")];
        let broken = asked(broken, LONG).await.unwrap_err();
        assert!(matches!(broken, TransportError::Broken(_)), "{broken:?}");
        let held = asked(vec![Step::Hold], Duration::from_millis(1)).await;
        let held = held.unwrap_err();
        assert!(matches!(held, TransportError::Timeout { .. }), "{held:?}");
    }

    #[test]
    fn what_http_does_not_allow_is_no_call() {
        let call = HttpCall {
            method: Method::Get,
            url: "/a b".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            timeouts: Timeouts {
                first_byte_ms: 0,
                idle_ms: 0,
                total_ms: 0,
            },
        };
        assert!(LoadCall::new(call, "127.0.0.1").is_err());
    }
}
