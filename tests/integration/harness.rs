//! A server of its own for each test, and a client.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use boathouse::app::{App, SettingsSource};
use boathouse::config::Settings;
use boathouse::transport::{Transport, TransportError};
use boathouse::types::http::{HttpCall, Method, Timeouts};
use serde_json::{Value, json};

/// Asks one server.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    transport: Transport,
}

/// Status, headers and body of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

impl Api {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            transport: Transport::new(Duration::from_secs(5)),
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        self.send_as(None, method, path, body).await
    }

    /// The same with a request id of the test's own.
    pub(crate) async fn send_as(
        &self,
        request_id: Option<&str>,
        method: Method,
        path: &str,
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(request_id.map(|id| ("x-request-id".to_owned(), id.to_owned())));
        self.call(headers, method, path, body.into()).await.unwrap()
    }

    /// The same to a server that may go away meanwhile.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Vec<u8>>,
    ) -> Result<Answer, TransportError> {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        self.call(headers, method, path, body.into()).await
    }

    async fn call(
        &self,
        headers: Vec<(String, String)>,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Answer, TransportError> {
        let call = HttpCall {
            method,
            url: format!("http://{}{path}", self.address),
            headers,
            body,
            timeouts: Timeouts {
                first_byte_ms: 60_000,
                idle_ms: 60_000,
                total_ms: 60_000,
            },
        };
        let reply = self
            .transport
            .call(call, Instant::now() + Duration::from_secs(60))
            .await?;
        Ok(Answer {
            status: reply.head.status,
            headers: reply.head.headers,
            bytes: reply.body,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::Get, path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::Post, path, body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::Put, path, body.to_string()).await
    }

    /// Posts with headers of the test's own.
    pub(crate) async fn post_with(
        &self,
        headers: &[(&str, &str)],
        path: &str,
        body: Value,
    ) -> Answer {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let body = body.to_string().into_bytes();
        self.call(headers.collect(), Method::Post, path, body)
            .await
            .unwrap()
    }

    /// Sends with headers of the test's own.
    pub(crate) async fn send_with(
        &self,
        headers: &[(&str, &str)],
        method: Method,
        path: &str,
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.call(headers.collect(), method, path, body.into())
            .await
            .unwrap()
    }

    /// Posts a form.
    pub(crate) async fn form(&self, headers: &[(&str, &str)], path: &str, form: &str) -> Answer {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let body = form.as_bytes().to_vec();
        self.call(headers.collect(), Method::Post, path, body)
            .await
            .unwrap()
    }

    /// Posts, expects 200, and returns the body.
    pub(crate) async fn ok(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Makes a collection that embeds, with these texts under the ids 0, 1, 2…
    pub(crate) async fn collection(&self, name: &str, texts: &[&str]) {
        let made = self
            .put(&format!("/v1/collections/{name}"), json!({}))
            .await;
        assert_eq!(made.status, 201, "{}", made.text());
        let points: Vec<Value> = texts
            .iter()
            .enumerate()
            .map(|(id, text)| json!({"id": id.to_string(), "text": text}))
            .collect();
        self.ok(
            &format!("/v1/collections/{name}/points"),
            json!({"points": points}),
        )
        .await;
    }
}

/// Settings of a server on a free port that keeps its data in `folder`.
pub(crate) fn settings(folder: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.http.port = 0;
    settings.http.workers = 2;
    settings.storage.data_dir = folder.join("data");
    settings.supervisors.allow_crash = true;
    settings
}

/// Starts a server, runs `test` against it, stops it.
pub(crate) fn serve(test: impl AsyncFnOnce(Api)) {
    let folder = tempfile::tempdir().unwrap();
    serve_with(settings(folder.path()), test);
}

/// The same with settings of the test's own.
pub(crate) fn serve_with(settings: Settings, test: impl AsyncFnOnce(Api)) {
    let again = settings.clone();
    serve_from(settings, Box::new(move || Ok(again.clone())), test);
}

/// The same with a source of settings for reloads.
pub(crate) fn serve_from(settings: Settings, source: SettingsSource, test: impl AsyncFnOnce(Api)) {
    actix_web::rt::System::new().block_on(async {
        let app = App::start(settings, source).await.unwrap();
        test(Api::new(app.address())).await;
        app.stop().await;
    });
}

/// The binary, running as a process of its own.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts `boathouse serve` on `data` and waits until it says where it listens.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(data: &Path, arguments: &[&OsStr]) -> Self {
        let mut server = command();
        server.args(["serve", "--port", "0", "--data"]).arg(data);
        Self::of(server.args(arguments))
    }

    /// Starts a server by a command of the test's own.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::logging(command, Stdio::null())
    }

    /// The same with its log going somewhere.
    pub(crate) fn logging(command: &mut Command, log: impl Into<Stdio>) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let address = address
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .parse()
            .unwrap();
        Self { child, address }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already where a test has ended it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary, away from the project's folder and the user's settings.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_boathouse"));
    command
        .current_dir(std::env::temp_dir())
        .env_clear()
        .env("HOME", "/nonexistent");
    command
}

/// Runs a command to its end with this on stdin; returns the same as [`finish`].
pub(crate) fn feed(command: &mut Command, stdin: &[u8]) -> (Option<i32>, String, String) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(stdin).unwrap();
    file.rewind().unwrap();
    finish(command.stdin(file))
}

/// Runs a command to its end; returns its status and what it said on stdout and stderr.
pub(crate) fn finish(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The lines of all tasks that a materialization's receipt is about.
pub(crate) fn tasks_of(receipt: &Value) -> String {
    let dir = Path::new(receipt["path"].as_str().unwrap());
    let files = boathouse::storage::dataset_store::task_files(dir).unwrap();
    let texts = files
        .iter()
        .map(|file| std::fs::read_to_string(dir.join(file)).unwrap());
    texts.collect()
}
