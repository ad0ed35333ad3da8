//! A collection over HTTP: filling it with texts, starting again, and searches beside the same ones in this process. See
//! `benches/README.md`.
//!
//! `cargo bench --bench collection -- 20000`; more texts need more folders: `-- 100000 FOLDER…`

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and ends when something is wrong"
)]

#[path = "../support/mod.rs"]
mod support;
#[path = "../index/texts.rs"]
mod texts;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use boathouse::engines::embedding::{Embedders, EmbeddingConfig};
use boathouse::engines::index::{Contents, IndexConfig, Op, SearchRequest};
use boathouse::types::collection::{CollectionSpec, Schema};
use boathouse::types::point::{Metric, Point};
use serde_json::{Value, json};
use support::load::{self, Connection, post};
use support::process::{self, Server};
use support::{figure, half, median, quantile, spread};

/// Points of one write.
const WRITE: usize = 500;
const CONNECTIONS: usize = 32;
const ROUNDS: usize = 15;
const K: usize = 10;
/// Bytes of a log without records: its header.
const EMPTY_LOG: u64 = 28;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = ["config/demo/trecqa", "tests/data/eval/banking77"]
        .map(|folder| root.join(folder).to_string_lossy().into_owned());
    let mut arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let count = match arguments.is_empty() {
        true => 20_000,
        false => arguments.remove(0).parse().unwrap(),
    };
    let folders: Vec<&str> = own.iter().chain(&arguments).map(String::as_str).collect();
    let (texts, queries) = texts::cut(&folders, count);
    println!("{} texts of 8 to 20 words", texts.len());

    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut process::boathouse(folder.path(), &[]));
    fill(&server, &texts);
    wait_for_graph(&server);
    println!("memory: {:.0} MB resident", server.memory_mb("VmRSS"));
    server.stop();

    let started = Instant::now();
    let server = Server::start(&mut process::boathouse(folder.path(), &[]));
    let info = info(&server);
    println!(
        "started again: {:.2} s to the first answer, {} points, graph over {}",
        started.elapsed().as_secs_f64(),
        info["points"],
        info["graph"]["points"]
    );
    server.stop();

    // Half of the cores answer, as in the other benches.
    let workers = half().to_string();
    let server = Server::start(&mut process::boathouse(
        folder.path(),
        &[("HTTP__WORKERS", &workers)],
    ));
    search(&server, &texts, &queries);
}

/// Writes all texts over 4 connections, each write durable before the next one of its connection.
fn fill(server: &Server, texts: &[String]) {
    load::block_on(async {
        let mut connection = Connection::open(server.address).await;
        let put =
            "PUT /v1/collections/bench HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n";
        connection.ask(put.as_bytes()).await;
    });
    let requests: Vec<Vec<u8>> = texts
        .chunks(WRITE)
        .enumerate()
        .map(|(write, texts)| {
            let points: Vec<Value> = texts
                .iter()
                .enumerate()
                .map(|(at, text)| json!({"id": (write * WRITE + at).to_string(), "text": text}))
                .collect();
            post(
                "/v1/collections/bench/points",
                &json!({"points": points}).to_string(),
            )
        })
        .collect();
    let (next, cpu) = (AtomicUsize::new(0), server.cpu_us());
    let done = load::run(
        server.address,
        4,
        Duration::from_secs(3_600),
        None,
        |_, _| {
            requests
                .get(next.fetch_add(1, Ordering::Relaxed))
                .map(Vec::as_slice)
        },
        |answer| {
            answer.success();
        },
    );
    println!(
        "filled in {:.2} s: {:.0} texts/s, embedded and durable; {:.1} us of cpu a text; a write of {WRITE}: p50 {:.1}  p99 {:.1} ms",
        done.seconds,
        texts.len() as f64 / done.seconds,
        (server.cpu_us() - cpu) / texts.len() as f64,
        median(&done.latencies_ms),
        quantile(&done.latencies_ms, 0.99)
    );
}

fn info(server: &Server) -> Value {
    load::block_on(async {
        let mut connection = Connection::open(server.address).await;
        let get = "GET /v1/collections/bench HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
        serde_json::from_slice(connection.ask(get.as_bytes()).await).unwrap()
    })
}

fn wait_for_graph(server: &Server) {
    let started = Instant::now();
    while info(server)["graph"]["state"] != "ready"
        || info(server)["wal_bytes"].as_u64() > Some(EMPTY_LOG)
    {
        if started.elapsed() > Duration::from_secs(600) {
            break;
        }
        load::block_on(async { tokio::time::sleep(Duration::from_millis(100)).await });
    }
    println!(
        "graph and snapshot after {:.1} s more",
        started.elapsed().as_secs_f64()
    );
}

/// The same vectors searched over HTTP and in this process, in turns.
fn search(server: &Server, texts: &[String], queries: &[String]) {
    let model = Embedders::new(&EmbeddingConfig::default())
        .unwrap()
        .local("static-minilm")
        .unwrap();
    let vector = |text: &String| {
        model
            .embed(&[text])
            .map(|mut found| found.vectors.remove(0))
    };
    let config = IndexConfig::default();
    let mut contents = Contents::new(CollectionSpec {
        name: "bench".to_owned(),
        dim: model.info().dim,
        metric: Metric::Cosine,
        embedder: None,
        fingerprint: None,
        refiner: None,
        schema: Schema::default(),
        backend: Default::default(),
        created_ms: 0,
    });
    let points = texts.iter().enumerate().filter_map(|(at, text)| {
        Some(Point {
            id: at.to_string(),
            vector: vector(text).ok()?,
            text: Some(text.clone()),
            payload: serde_json::Map::new(),
        })
    });
    contents.apply(Op::Upsert(points.collect()).into()).unwrap();
    if texts.len() >= config.hnsw_threshold {
        let graph = Contents::graph_of(
            &contents.view(),
            Metric::Cosine,
            &config,
            &AtomicUsize::new(0),
        );
        contents.set_graph(graph.unwrap());
    }
    let vectors: Vec<Vec<f32>> = queries
        .iter()
        .filter_map(|text| vector(text).ok())
        .collect();
    let requests: Vec<Vec<u8>> = vectors
        .iter()
        .map(|vector| {
            let body = json!({"vector": vector, "k": K, "with": []});
            post("/v1/collections/bench/search", &body.to_string())
        })
        .collect();
    let mut here = Vec::new();
    let (mut http, mut ratios, mut asked) = (Vec::new(), Vec::new(), 0.0);
    let mut cpu = 0.0;
    for _ in 0..=ROUNDS {
        let started = Instant::now();
        for vector in &vectors {
            let request = SearchRequest {
                query_vector: Some(vector.clone()),
                k: K,
                ..SearchRequest::default()
            };
            std::hint::black_box(contents.search(&request, &config, 0).unwrap());
        }
        let own = vectors.len() as f64 / started.elapsed().as_secs_f64();
        let (next, before) = (AtomicUsize::new(0), server.cpu_us());
        let done = load::run(
            server.address,
            CONNECTIONS,
            Duration::from_secs(60),
            None,
            |_, _| {
                requests
                    .get(next.fetch_add(1, Ordering::Relaxed))
                    .map(Vec::as_slice)
            },
            |answer| {
                answer.success();
            },
        );
        cpu += server.cpu_us() - before;
        asked += done.latencies_ms.len() as f64;
        here.push(own);
        http.push(done.per_second());
        ratios.push(done.per_second() / own);
    }
    figure("collection.search.http", &ratios);
    println!("search, in this process, one thread: {}/s", spread(&here));
    println!(
        "search, http, {CONNECTIONS} connections, {} workers: {}/s, ratio {}; {:.1} us of cpu against {:.1}",
        half(),
        spread(&http),
        spread(&ratios),
        cpu / asked,
        1e6 / median(&here)
    );
}
