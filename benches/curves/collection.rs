//! One collection that grows: searches over HTTP, memory, time until its graph serves.

use std::time::{Duration, Instant};

use boathouse::engines::index::IndexConfig;
use serde_json::{Value, json};

use crate::plot::{Curve, draw};
use crate::support::load::{self, post};
use crate::support::process::{self, Server};
use crate::support::{median, quantile, spread};
use crate::{ask, get};

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Points of one write.
const WRITE: usize = 1_000;
const SEARCHES: usize = 2_000;
/// Two sentences that make others: each text takes its words from here, so that a million of them can be had.
const WORDS: &str = "the lock at the mill opens in april after the winter repairs and boats wait below the bridge until \
    the keeper lets them pass with cargo for the harbour market where crews sell rope timber grain salt coal and letters \
    while pilots read the tide before a storm moves up the river past islands farms chapels towers and quiet villages";

pub(crate) fn run(asked: Option<Vec<usize>>) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut process::boathouse(folder.path(), &[]));
    let put = "PUT /v1/collections/curve HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n";
    ask(server.address, put.as_bytes());
    let idle = server.memory_mb("RssAnon");
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let (mut half_of, mut tail, mut rate) = (Vec::new(), Vec::new(), Vec::new());
    let (mut memory, mut ready, mut filled) = (Vec::new(), Vec::new(), 0);
    for size in asked.unwrap_or(SIZES.to_vec()) {
        let started = Instant::now();
        fill(&server, &words, filled, size);
        filled = size;
        wait(&server);
        let at = size as f64;
        ready.push((at, started.elapsed().as_secs_f64()));
        memory.push((at, server.memory_mb("RssAnon") - idle));
        // Texts that no cache knows, and that are in no collection.
        let requests: Vec<Vec<u8>> = (0..SEARCHES)
            .map(|number| {
                let query = text(&words, (10_000_000 + size + number) as u64);
                let body = json!({"query": query, "mode": "dense", "k": 10, "with": []});
                post("/v1/collections/curve/search", &body.to_string())
            })
            .collect();
        let one = |number: usize| requests.get(number).map(Vec::as_slice);
        let done = load::run(
            server.address,
            1,
            Duration::from_secs(120),
            None,
            |_, number| one(number),
            |answer| {
                answer.success();
            },
        );
        println!(
            "{size} points: a search takes {} ms",
            spread(&done.latencies_ms)
        );
        half_of.push((at, median(&done.latencies_ms)));
        tail.push((at, quantile(&done.latencies_ms, 0.99)));
        rate.push((at, done.per_second()));
    }
    let curve = |name, points| Curve { name, points };
    let title = "Dense search of a collection, one connection, new texts, evidence on";
    let latency = [curve("p50", half_of), curve("p99", tail)];
    draw("collection-latency", title, "points", "ms", &latency);
    let rate = [curve("searches/s", rate)];
    draw("collection-rate", title, "points", "searches/s", &rate);
    let title = "Memory of a collection of 256 numbers a point, texts and their words included";
    draw(
        "collection-memory",
        title,
        "points",
        "MB",
        &[curve("memory", memory)],
    );
    let title = "Filling a collection: texts embedded, written durably, graph built";
    draw(
        "collection-fill",
        title,
        "points",
        "s",
        &[curve("since the size before", ready)],
    );
    server.stop();
}

/// Fourteen words that the number decides.
fn text(words: &[&str], number: u64) -> String {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let drawn: Vec<&str> = (0..14)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            words[(state % words.len() as u64) as usize]
        })
        .collect();
    drawn.join(" ")
}

fn fill(server: &Server, words: &[&str], from: usize, to: usize) {
    for start in (from..to).step_by(WRITE) {
        let points: Vec<Value> = (start..to.min(start + WRITE))
            .map(|at| json!({"id": at.to_string(), "text": text(words, at as u64)}))
            .collect();
        let body = json!({"points": points}).to_string();
        ask(server.address, &post("/v1/collections/curve/points", &body));
    }
}

/// Until the graph is there, if there is to be one, and over all points but those that may come after it.
fn wait(server: &Server) {
    let IndexConfig {
        hnsw_threshold,
        rebuild_ratio,
        ..
    } = IndexConfig::default();
    let info = || ask(server.address, &get("/v1/collections/curve"));
    let busy = |info: &Value| {
        let count = |of: &Value| of.as_u64().unwrap_or(0);
        let (points, graph) = (count(&info["points"]), &info["graph"]);
        let due = rebuild_ratio * count(&graph["points"]) as f64;
        graph["state"] == "building"
            || (points >= hnsw_threshold as u64
                && (graph["state"] != "ready" || count(&graph["tail"]) as f64 >= due))
    };
    while busy(&info()) {
        load::block_on(async { tokio::time::sleep(Duration::from_millis(200)).await });
    }
}
