//! `/v1/embeddings` with one text that is in the cache, against a bare actix-web handler that parses the same body and
//! returns the same bytes precomputed, and against a Python sidecar if there is one. See `benches/README.md`.
//!
//! `cargo bench --bench embed_warm`

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and ends when something is wrong"
)]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use serde::Deserialize;
use support::load::{self, Connection, post};
use support::process::{self, Server};
use support::{figure, half, median, quantile, spread};

const TEXT: &str = "Where can I moor a narrow boat for the winter if the lock at the mill stays closed until spring comes?";
const FORMATS: [&str; 2] = ["float", "base64"];
const CONNECTIONS: [usize; 2] = [32, 128];
/// Short and many: whatever else the machine does then hits both sides of a pair alike.
const ROUNDS: usize = 80;
const ROUND: Duration = Duration::from_millis(100);

fn body(format: &str) -> String {
    serde_json::json!({"model": "static-minilm", "input": TEXT, "encoding_format": format})
        .to_string()
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    model: &'a str,
    #[serde(borrow)]
    input: &'a str,
    #[serde(borrow)]
    encoding_format: &'a str,
}

struct Answers {
    float: web::Bytes,
    base64: web::Bytes,
}

async fn answer(body: web::Bytes, answers: web::Data<Answers>) -> HttpResponse {
    let request: Request<'_> = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return HttpResponse::BadRequest().body(error.to_string()),
    };
    if request.model != "static-minilm" || request.input.is_empty() {
        return HttpResponse::BadRequest().finish();
    }
    let bytes = match request.encoding_format {
        "base64" => &answers.base64,
        _ => &answers.float,
    };
    HttpResponse::Ok()
        .content_type("application/json")
        .body(bytes.clone())
}

/// The other side, in a process of its own.
fn bare(folder: &Path) {
    let read = |format: &str| web::Bytes::from(std::fs::read(folder.join(format)).unwrap());
    let answers = web::Data::new(Answers {
        float: read("float"),
        base64: read("base64"),
    });
    actix_web::rt::System::new().block_on(async {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(answers.clone())
                .route("/v1/embeddings", web::post().to(answer))
        });
        let server = server.workers(half()).bind(("127.0.0.1", 0)).unwrap();
        println!("bare http://{}", server.addrs()[0]);
        server.run().await.unwrap();
    });
}

/// What a side did in all rounds of one setting.
#[derive(Default)]
struct Side {
    per_second: Vec<f64>,
    p99_ms: Vec<f64>,
    requests: f64,
    cpu_us: f64,
}

impl Side {
    fn round(&mut self, server: &Server, connections: usize, request: &[u8], expected: &[u8]) {
        let cpu = server.cpu_us();
        let outcome = load::run(
            server.address,
            connections,
            ROUND,
            None,
            |_, _| Some(request),
            |answer| {
                let body = answer.success();
                assert!(body == expected, "{}", String::from_utf8_lossy(body));
            },
        );
        self.cpu_us += server.cpu_us() - cpu;
        self.requests += outcome.latencies_ms.len() as f64;
        self.per_second.push(outcome.per_second());
        self.p99_ms.push(quantile(&outcome.latencies_ms, 0.99));
    }

    fn show(&self) -> String {
        format!(
            "{:.0}/s, p99 {:.2} ms, {:.2} us of cpu",
            median(&self.per_second),
            median(&self.p99_ms),
            self.cpu_us / self.requests
        )
    }
}

fn memory(server: &Server, when: &str) {
    println!(
        "memory {when}: {:.1} MB resident ({:.1} MB of it our own, {:.1} MB the program's file)",
        server.memory_mb("VmRSS"),
        server.memory_mb("RssAnon"),
        server.memory_mb("RssFile")
    );
}

/// The sidecar, when `just sidecar` has made its environment.
fn sidecar() -> Option<Server> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/sidecar/bin/python");
    python.exists().then(|| {
        Server::start(
            Command::new(python)
                .arg(root.join("benches/sidecar.py"))
                .arg(half().to_string()),
        )
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--bare") {
        return bare(Path::new(&arguments[at + 1]));
    }
    let folder = tempfile::tempdir().unwrap();
    let workers = half().to_string();
    let ours = Server::start(&mut process::boathouse(
        folder.path(),
        &[("HTTP__WORKERS", workers.as_str())],
    ));
    memory(&ours, "of the idle server");
    let expected = FORMATS.map(|format| {
        let request = post("/v1/embeddings", &body(format));
        let answer = load::block_on(async {
            let mut connection = Connection::open(ours.address).await;
            connection.ask(&request).await.to_vec()
        });
        std::fs::write(folder.path().join(format), &answer).unwrap();
        answer
    });
    let bare = Server::start(
        Command::new(std::env::current_exe().unwrap())
            .arg("--bare")
            .arg(folder.path()),
    );
    println!(
        "{} cores: {workers} worker(s) on each side, {} thread(s) of the load tool; {ROUNDS} rounds of {} ms in turns",
        support::cores(),
        half(),
        ROUND.as_millis()
    );
    for connections in CONNECTIONS {
        for (format, expected) in FORMATS.iter().zip(&expected) {
            let request = post("/v1/embeddings", &body(format));
            let (mut us, mut them) = (Side::default(), Side::default());
            for server in [&ours, &bare] {
                Side::default().round(server, connections, &request, expected);
            }
            for round in 0..ROUNDS {
                let mut sides = [(&mut us, &ours), (&mut them, &bare)];
                if round % 2 == 1 {
                    sides.reverse();
                }
                for (side, server) in sides {
                    side.round(server, connections, &request, expected);
                }
            }
            let pairs = us.per_second.iter().zip(&them.per_second);
            let ratios: Vec<f64> = pairs.map(|(us, them)| us / them).collect();
            figure(&format!("embed.warm.bare.{connections}.{format}"), &ratios);
            println!(
                "{connections:>3} connections {format:<6}  ratio {}  boathouse {}; bare {}",
                spread(&ratios),
                us.show(),
                them.show()
            );
        }
    }
    memory(&ours, "after that");
    let Some(sidecar) = sidecar() else {
        return println!("no Python sidecar: `just sidecar` makes one");
    };
    for (connections, format) in [(1, "float"), (32, "float"), (32, "base64")] {
        let request = post("/v1/embeddings", &body(format));
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..20 {
            for (server, rates) in [&ours, &sidecar].into_iter().zip(&mut rates) {
                let done = load::run(
                    server.address,
                    connections,
                    ROUND,
                    None,
                    |_, _| Some(&request[..]),
                    |answer| {
                        answer.success();
                    },
                );
                rates.push(done.per_second());
            }
        }
        let [us, them] = rates.map(|rates| median(&rates));
        figure(
            &format!("embed.warm.sidecar.{connections}.{format}"),
            &[us / them],
        );
        println!(
            "{connections:>3} connections {format:<6}  boathouse {us:.0}/s, Python sidecar {them:.0}/s: {:.0} times",
            us / them
        );
    }
    ours.stop();
}
