//! How the server behaves as load and data grow, as pictures in `docs/img/`. See `benches/README.md`.
//!
//! `cargo bench --bench curves`; `-- connections` for one of them, `-- collection 1000,10000,100000` for other sizes

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and ends when something is wrong"
)]

#[path = "../support/mod.rs"]
mod support;

mod collection;
mod connections;
mod journal;
mod plot;
#[path = "../evidence/records.rs"]
mod records;

use std::net::SocketAddr;

use serde_json::Value;
use support::load::{self, Connection};

type Run = fn(Option<Vec<usize>>);

/// The curves, with what draws each.
const CURVES: [(&str, Run); 3] = [
    ("connections", connections::run),
    ("collection", collection::run),
    ("journal", journal::run),
];

fn main() {
    // Cargo itself adds --bench.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let sizes = words.iter().find_map(|word| {
        let sizes: Result<Vec<usize>, _> = word.split(',').map(str::parse).collect();
        sizes.ok()
    });
    let named = |name: &str| words.iter().any(|word| word == name);
    let all = !CURVES.iter().any(|(name, _)| named(name));
    for (name, run) in CURVES {
        if all || named(name) {
            run(sizes.clone());
        }
    }
}

/// The answer to one request, which must be a success.
fn ask(address: SocketAddr, request: &[u8]) -> Value {
    load::block_on(async {
        let mut connection = Connection::open(address).await;
        let body = connection.ask(request).await;
        serde_json::from_slice(body).unwrap_or_default()
    })
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").into_bytes()
}
