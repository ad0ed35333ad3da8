//! A stand-in for a provider: gives prepared replies, one to every request or one after the other, also broken ones.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::Value;
use tokio::sync::Notify;

/// What every request gets.
#[derive(Clone)]
pub(crate) struct Reply {
    head: String,
    body: String,
    /// Wait for the other side to leave, instead of closing.
    hang: bool,
}

impl Reply {
    /// A complete JSON answer.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        Self {
            head,
            body,
            hang: false,
        }
    }

    /// A complete stream.
    pub(crate) fn stream(content_type: &str, body: &str) -> Self {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        Self {
            head,
            body: body.to_owned(),
            hang: false,
        }
    }

    /// A stream that begins with `body` and breaks off.
    pub(crate) fn cut(body: &str) -> Self {
        Self {
            head: streaming(),
            body: body.to_owned(),
            hang: false,
        }
    }

    /// A stream that begins with `body` and falls silent.
    pub(crate) fn hang_after(body: &str) -> Self {
        Self {
            hang: true,
            ..Self::cut(body)
        }
    }
}

fn streaming() -> String {
    // A length that is never reached: closing early is a cut, as with chunked encoding.
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 1000000\r\n\r\n"
        .to_owned()
}

/// The stand-in. Its threads end with the process.
pub(crate) struct Upstream {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    asked: Arc<Notify>,
    closed: Arc<Notify>,
    gate: Arc<Gate>,
}

/// Holds replies back until it is opened.
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn pass(&self) {
        let open = self.0.lock().unwrap();
        drop(self.1.wait_while(open, |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}

impl Upstream {
    pub(crate) fn start(reply: Reply) -> Self {
        Self::start_each(vec![reply])
    }

    /// The same with a reply for each request; the last one is for all that follow.
    pub(crate) fn start_each(replies: Vec<Reply>) -> Self {
        Self::start_with(replies, true)
    }

    /// The same with a reply that nobody gets until [`Upstream::release`].
    pub(crate) fn start_held(reply: Reply) -> Self {
        Self::start_with(vec![reply], false)
    }

    /// Gives the replies that were held back, and from now on all others at once.
    pub(crate) fn release(&self) {
        self.gate.open();
    }

    fn start_with(replies: Vec<Reply>, open: bool) -> Self {
        let gate = Arc::new(Gate(Mutex::new(open), Condvar::new()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (asked, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (seen, came, gone) = (
            Arc::clone(&requests),
            Arc::clone(&asked),
            Arc::clone(&closed),
        );
        let of_thread = Arc::clone(&gate);
        std::thread::spawn(move || {
            for (at, socket) in listener.incoming().enumerate() {
                let reply = replies.get(at).or(replies.last()).unwrap().clone();
                let seen = Arc::clone(&seen);
                let (came, gone) = (Arc::clone(&came), Arc::clone(&gone));
                let gate = Arc::clone(&of_thread);
                std::thread::spawn(move || {
                    answer(socket.unwrap(), &reply, &seen, &came, &gone, &gate);
                });
            }
        });
        Self {
            address,
            requests,
            asked,
            closed,
            gate,
        }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Resolves when a request has come.
    pub(crate) async fn wait_asked(&self) {
        self.asked.notified().await;
    }

    /// Resolves when a caller has closed its connection while the reply hung.
    pub(crate) async fn wait_closed(&self) {
        self.closed.notified().await;
    }
}

fn answer(
    mut socket: TcpStream,
    reply: &Reply,
    seen: &Mutex<Vec<String>>,
    came: &Notify,
    gone: &Notify,
    gate: &Gate,
) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_complete(&request) {
        match socket.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    seen.lock()
        .unwrap()
        .push(String::from_utf8_lossy(&request).into_owned());
    came.notify_one();
    gate.pass();
    // The caller may be gone already: then there is nobody to disappoint.
    let _ = socket.write_all(format!("{}{}", reply.head, reply.body).as_bytes());
    if reply.hang {
        while matches!(socket.read(&mut buffer), Ok(count) if count > 0) {}
        gone.notify_one();
    }
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse::<usize>().unwrap());
    body.len() >= length
}
