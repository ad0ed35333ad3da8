//! Other gateways before the same upstream, those that `just gateways` has installed under `target/`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{body, succeeded};
use crate::support::half;
use crate::support::load::{self, Connection};
use crate::support::process::{Server, memory_mb};

/// How a gateway is started and asked.
pub(crate) struct Gateway {
    pub(crate) name: &'static str,
    pub(crate) command: Command,
    how: How,
}

enum How {
    /// It listens here, and wants these headers.
    Http {
        address: SocketAddr,
        model: &'static str,
        headers: String,
    },
    /// A Python program that asks it in its own process, for so many seconds as a line of its input says, and answers
    /// with requests/s.
    Embedded,
}

/// A gateway that runs.
pub(crate) enum Running {
    Http {
        server: Server,
        request: Vec<u8>,
        connections: usize,
    },
    Embedded {
        child: Child,
        lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    },
}

/// An address of loopback that nobody listens at.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap()
}

/// What is installed, and what is not.
pub(crate) fn gateways(upstream: &Server, folder: &Path) -> Vec<Result<Gateway, String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = root.join("target/bench-gateways");
    let upstream = upstream.address;
    let python = |program: &str| home.join("venv/bin").join(program);
    let http = |model, headers: &str| How::Http {
        address: free_address(),
        model,
        headers: headers.to_owned(),
    };
    let write = |name: &str, text: String| {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        file
    };

    let mut litellm = Command::new(python("litellm"));
    let how_litellm = http("mock", "authorization: Bearer none\r\n");
    litellm
        .arg("--config")
        .arg(write(
            "litellm.yaml",
            format!(
                "model_list:\n  - model_name: mock\n    litellm_params:\n      model: openai/plain\n      api_base: \
                 http://{upstream}/v1\n      api_key: none\n"
            ),
        ))
        .args(["--host", "127.0.0.1", "--telemetry", "False"])
        .args(["--num_workers", &half().to_string()])
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("LITELLM_LOG", "ERROR");

    let mut portkey = Command::new("node");
    let how_portkey = http(
        "plain",
        &format!(
            "authorization: Bearer none\r\nx-portkey-provider: openai\r\nx-portkey-custom-host: http://{upstream}/v1\r\n"
        ),
    );
    portkey
        .arg(home.join("node_modules/@portkey-ai/gateway/build/start-server.js"))
        .arg("--headless")
        .env("NODE_ENV", "production");

    let mut router = Command::new(python("smg"));
    let how_router = http("plain", "");
    router
        .args([
            "launch",
            "--host",
            "127.0.0.1",
            "--policy",
            "round_robin",
            "--log-level",
            "error",
        ])
        .args(["--worker-urls", &format!("http://{upstream}")]);

    let mut tensorzero = Command::new(python("python"));
    tensorzero
        .arg(root.join("benches/chat/tensorzero_embedded.py"))
        .arg(write(
            "tensorzero.toml",
            format!(
                "[gateway]\nobservability.enabled = false\n[models.mock]\nrouting = [\"mock\"]\n\
                 [models.mock.providers.mock]\ntype = \"openai\"\nmodel_name = \"plain\"\napi_base = \
                 \"http://{upstream}/v1/\"\napi_key_location = \"none\"\n"
            ),
        ))
        .arg(body("mock", false));

    let mut found = Vec::new();
    for (name, program, mut command, how, port) in [
        ("LiteLLM", python("litellm"), litellm, how_litellm, "--port"),
        (
            "Portkey",
            home.join("node_modules"),
            portkey,
            how_portkey,
            "--port=",
        ),
        ("sglang-router", python("smg"), router, how_router, "--port"),
        (
            "TensorZero, embedded",
            python("python"),
            tensorzero,
            How::Embedded,
            "",
        ),
    ] {
        if !program.exists() {
            found.push(Err(format!(
                "{name} is not installed: `just gateways` does"
            )));
            continue;
        }
        if let How::Http { address, .. } = &how {
            let number = address.port().to_string();
            match port.ends_with('=') {
                true => command.arg(format!("{port}{number}")),
                false => command.args([port, &number]),
            };
        }
        command.stderr(std::fs::File::create(folder.join(format!("{name}.log"))).unwrap());
        found.push(Ok(Gateway { name, command, how }));
    }
    found
}

impl Gateway {
    /// Starts it by `command`, which is its own or one around that, and waits until it answers.
    pub(crate) fn start(&self, mut command: Command, connections: usize) -> Running {
        match &self.how {
            How::Http {
                address,
                model,
                headers,
            } => {
                let body = body(model, false);
                let request = format!(
                    "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\n{headers}content-type: application/json\r\n\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let server = listening(*address, &mut command);
                wait(&server, request.as_bytes());
                Running::Http {
                    server,
                    request: request.into_bytes(),
                    connections,
                }
            }
            How::Embedded => {
                let mut child = command
                    .arg(connections.to_string())
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                let lines = BufReader::new(child.stdout.take().unwrap()).lines();
                Running::Embedded { child, lines }
            }
        }
    }
}

/// Starts a server, and waits until something listens at the port that it was told.
fn listening(address: SocketAddr, command: &mut Command) -> Server {
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    while TcpStream::connect(address).is_err() {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "{command:?} ended: {ended:?}");
        load::block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
    }
    Server::of(child, address)
}

/// Asks until an answer is a success, for a minute at most: some listen before they know their upstream.
fn wait(server: &Server, request: &[u8]) {
    let until = Instant::now() + Duration::from_secs(60);
    load::block_on(async {
        loop {
            let mut connection = Connection::open(server.address).await;
            let answer = connection.exchange(request, || {}).await;
            if answer.status == 200 {
                return;
            }
            assert!(
                Instant::now() < until,
                "{}",
                String::from_utf8_lossy(answer.body)
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
}

impl Running {
    /// Requests/s of a round.
    pub(crate) fn round(&mut self, time: Duration) -> f64 {
        match self {
            Self::Http {
                server,
                request,
                connections,
            } => load::run(
                server.address,
                *connections,
                time,
                None,
                |_, _| Some(request),
                succeeded,
            )
            .per_second(),
            Self::Embedded { child, lines } => {
                let input = child.stdin.as_mut().unwrap();
                writeln!(input, "{}", time.as_secs_f64()).unwrap();
                // It logs to the same place.
                let rate = lines.find_map(|line| line.unwrap().parse().ok());
                rate.unwrap()
            }
        }
    }

    pub(crate) fn memory_mb(&self) -> f64 {
        match self {
            Self::Http { server, .. } => server.memory_mb("VmRSS"),
            Self::Embedded { child, .. } => memory_mb(child.id(), "VmRSS"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Embedded { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
