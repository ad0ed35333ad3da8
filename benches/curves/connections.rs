//! Warm embeddings over more and more connections: requests a second and their latency.

use std::time::Duration;

use crate::plot::{Curve, draw};
use crate::support::load::{self, post};
use crate::support::process::{self, Server};
use crate::support::{half, median as half_of, quantile};

const CONNECTIONS: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const TIME: Duration = Duration::from_secs(3);

pub(crate) fn run(asked: Option<Vec<usize>>) {
    let folder = tempfile::tempdir().unwrap();
    let workers = half().to_string();
    let server = Server::start(&mut process::boathouse(
        folder.path(),
        &[("HTTP__WORKERS", &workers)],
    ));
    let body =
        r#"{"model": "static-minilm", "input": "Where can I moor a narrow boat for the winter?"}"#;
    let request = post("/v1/embeddings", body);
    let (mut rates, mut median, mut tail) = (Vec::new(), Vec::new(), Vec::new());
    let mut cpu = Vec::new();
    for connections in asked.unwrap_or(CONNECTIONS.to_vec()) {
        let before = server.cpu_us();
        let done = load::run(
            server.address,
            connections,
            TIME,
            None,
            |_, _| Some(&request[..]),
            |answer| {
                answer.success();
            },
        );
        let at = connections as f64;
        rates.push((at, done.per_second()));
        cpu.push((
            at,
            (server.cpu_us() - before) / done.latencies_ms.len() as f64,
        ));
        median.push((at, half_of(&done.latencies_ms)));
        tail.push((at, quantile(&done.latencies_ms, 0.99)));
    }
    let title = format!("Warm embeddings, {workers} worker(s), the load tool on as many cores");
    let rates = Curve {
        name: "requests/s",
        points: rates,
    };
    draw(
        "connections-rate",
        &title,
        "connections",
        "requests/s",
        &[rates],
    );
    let latency = [("p50", median), ("p99", tail)].map(|(name, points)| Curve { name, points });
    draw("connections-latency", &title, "connections", "ms", &latency);
    let cpu = Curve {
        name: "processor time",
        points: cpu,
    };
    draw(
        "connections-cpu",
        &title,
        "connections",
        "us a request",
        &[cpu],
    );
    server.stop();
}
