//! Many requests of every kind and ending, and what memory does meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::support::load::{self, Answer, Connection, post};
use super::support::process::Server;
use super::{boathouse, chat, start_upstream};

const CONNECTIONS: usize = 32;
/// Memory is read so many times.
const PARTS: usize = 20;

/// Requests of each kind in turn, and the statuses that they may have.
fn kinds() -> Vec<(Vec<u8>, u16)> {
    let retrieval = json!({"collection": "docs", "k": 3});
    let grounded = json!({
        "model": "extractive",
        "messages": [{"role": "user", "content": "When does the ferry leave?"}],
        "retrieval": retrieval
    });
    vec![
        (chat("mock/plain", false), 200),
        (chat("mock/plain", true), 200),
        (chat("mock/busy", false), 429),
        (chat("mock/plain", false), 200),
        (chat("mock/cut", true), 200),
        (post("/v1/chat/completions", &grounded.to_string()), 200),
        (post("/v1/chat/completions", "{\"messages\": 1}"), 400),
    ]
}

pub(crate) fn soak(requests: usize) {
    let folder = tempfile::tempdir().unwrap();
    let upstream = start_upstream();
    // What fails on purpose must reach the upstream, not an open breaker.
    let settings = [
        ("CHAT__BREAKER__FAILURES", "1000000000"),
        ("CHAT__RETRY__MAX_ATTEMPTS", "1"),
        ("LOG__FILTER", "error"),
    ];
    let server = Server::start(&mut boathouse(folder.path(), &upstream, &settings));
    fill(&server);
    let kinds = kinds();
    let mut memory = vec![server.memory_mb("RssAnon")];
    println!(
        "{:>9} requests  {:.1} MB of memory of its own",
        0, memory[0]
    );
    let mut wrong = 0;
    for part in 1..=PARTS {
        let (next, bad) = (AtomicUsize::new(0), AtomicUsize::new(0));
        // The order of kinds is every connection's own: all of them meet all.
        let each = |number: usize, asked: usize| {
            let left = next.fetch_add(1, Ordering::Relaxed) < requests / PARTS;
            left.then(|| &kinds[(number + asked) % kinds.len()].0[..])
        };
        let check = |answer: &Answer<'_>| {
            let expected = kinds.iter().any(|(_, status)| *status == answer.status);
            bad.fetch_add(usize::from(!expected), Ordering::Relaxed);
        };
        let done = load::run(
            server.address,
            CONNECTIONS,
            Duration::from_secs(3_600),
            None,
            each,
            check,
        );
        wrong += bad.into_inner();
        memory.push(server.memory_mb("RssAnon"));
        println!(
            "{:>9} requests  {:.1} MB  {:.0}/s",
            part * (requests / PARTS),
            memory[part],
            done.per_second()
        );
    }
    println!(
        "from the first fifth to the end: {:+.1} MB; answers of other statuses than expected: {wrong}",
        memory[PARTS] - memory[PARTS / 5]
    );
    server.stop();
}

/// Makes the collection that `extractive` quotes.
fn fill(server: &Server) {
    load::block_on(async {
        let mut connection = Connection::open(server.address).await;
        let put =
            "PUT /v1/collections/docs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n";
        connection.ask(put.as_bytes()).await;
        let points =
            json!({"points": [{"id": "1", "text": "The ferry to the island leaves at nine."}]});
        connection
            .ask(&post("/v1/collections/docs/points", &points.to_string()))
            .await;
    });
}
