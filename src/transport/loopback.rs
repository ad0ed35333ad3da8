//! A scripted HTTP server on a port of its own, for tests.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

/// Between two drops.
const DRIP: Duration = Duration::from_millis(20);

/// What the server does on a connection, after it has read the request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Sends these bytes.
    Send(&'static str),
    /// Waits until the client closes the connection.
    Hold,
    /// Sends these bytes again and again until the client closes the connection.
    Drip(&'static str),
}

/// One script for each connection, in the order in which they come; each connection takes one
/// request. Say `connection: close` in an answer that another request follows: else that may be sent
/// on the connection that is just being closed, and is lost.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    closed: mpsc::UnboundedReceiver<()>,
}

impl Server {
    pub(crate) fn start(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (sender, closed) = mpsc::unbounded_channel();
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for script in scripts {
                let Ok((socket, _)) = listener.accept() else {
                    return;
                };
                let (seen, sender) = (Arc::clone(&seen), sender.clone());
                std::thread::spawn(move || serve(socket, &script, &seen, &sender));
            }
        });
        Self {
            address,
            requests,
            closed,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, each with its headers and its body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits until a client has closed a connection that the script holds.
    pub(crate) async fn closed_by_client(&mut self) {
        let closed = tokio::time::timeout(std::time::Duration::from_secs(10), self.closed.recv());
        closed
            .await
            .expect("the client did not close the connection")
            .unwrap();
    }
}

fn serve(
    mut socket: TcpStream,
    script: &[Step],
    seen: &Mutex<Vec<String>>,
    closed: &mpsc::UnboundedSender<()>,
) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_complete(&request) {
        match socket.read(&mut buffer) {
            Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    seen.lock()
        .unwrap()
        .push(String::from_utf8_lossy(&request).into_owned());
    for step in script {
        match step {
            Step::Send(bytes) => {
                if socket.write_all(bytes.as_bytes()).is_err() {
                    return;
                }
            }
            Step::Hold => {
                // A read ends when the client closes, in order or not.
                while matches!(socket.read(&mut buffer), Ok(1..)) {}
                let _ = closed.send(());
            }
            Step::Drip(bytes) => {
                // The bound on reading paces the sending.
                let _ = socket.set_read_timeout(Some(DRIP));
                let waits = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                loop {
                    match socket.read(&mut buffer) {
                        Ok(1..) => {}
                        Err(error) if waits.contains(&error.kind()) => {
                            if socket.write_all(bytes.as_bytes()).is_err() {
                                break;
                            }
                        }
                        _ => break,
                    }
                }
                let _ = closed.send(());
            }
        }
    }
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .filter_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .next()
        .unwrap_or(0);
    body.len() >= length
}
