//! Texts that the cache does not hold: the engine on one core, over HTTP in lists, one by one, and one by one beside a
//! list of 10,000. See `benches/README.md`.
//!
//! `cargo bench --bench embed_cold`

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and ends when something is wrong"
)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use boathouse::engines::embedding::{
    EmbedError, Embedder, Embedders, EmbeddingConfig, WordPieceTokenizer,
};
use serde_json::{Value, json};
use support::load::{self, Connection, Outcome, post};
use support::process::{self, Server};
use support::{cores, figure, median, quantile};
use tokenizers::Tokenizer;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

const VOCABULARY: &str = include_str!("../config/models/static-minilm/vocab.txt");
const WORDS: usize = 20;
const LIST: usize = 64;

/// Words of the demo's sentences; texts of 20 of them, all different.
struct Corpus {
    words: Vec<String>,
    sentences: Vec<String>,
    given: AtomicUsize,
}

impl Corpus {
    fn read() -> Self {
        let file = include_str!("../config/demo/trecqa/corpus.jsonl");
        let sentences: Vec<String> = file
            .lines()
            .map(|line| {
                let record: Value = serde_json::from_str(line).unwrap();
                record["text"].as_str().unwrap().to_owned()
            })
            .collect();
        let words = sentences.iter().flat_map(|text| text.split(' '));
        Self {
            words: words.map(str::to_owned).collect(),
            given: AtomicUsize::new(0),
            sentences,
        }
    }

    /// The text number `at`: two pieces of running text, a pair that no other number has.
    fn text(&self, at: usize) -> String {
        let len = self.words.len();
        let (first, lap) = (at % len, at / len);
        let second = (first + WORDS / 2 + 7_919 * lap) % len;
        let piece = |from: usize| self.words.iter().cycle().skip(from).take(WORDS / 2);
        let words: Vec<&str> = piece(first)
            .chain(piece(second))
            .map(String::as_str)
            .collect();
        words.join(" ")
    }

    fn texts(&self, count: usize) -> Vec<String> {
        let from = self.given.fetch_add(count, Ordering::Relaxed);
        (from..from + count).map(|at| self.text(at)).collect()
    }

    fn requests(&self, lists: usize, texts: usize, format: &str) -> Vec<Vec<u8>> {
        (0..lists)
            .map(|_| {
                let input = self.texts(texts);
                let body = match &input[..] {
                    [text] => json!({"input": text, "encoding_format": format}),
                    texts => json!({"input": texts, "encoding_format": format}),
                };
                post("/v1/embeddings", &body.to_string())
            })
            .collect()
    }
}

/// Compares the ids of our tokenizer with those of the `tokenizers` crate; returns how many texts differ.
fn mismatches(texts: &[String]) -> Result<usize, EmbedError> {
    let ours = WordPieceTokenizer::new(VOCABULARY)?;
    let vocabulary = WordPiece::read_bytes(VOCABULARY.as_bytes()).unwrap();
    let model = WordPiece::builder()
        .vocab(vocabulary)
        .unk_token("[UNK]".to_owned())
        .max_input_chars_per_word(100)
        .build()
        .unwrap();
    let mut theirs = Tokenizer::new(model);
    theirs
        .with_normalizer(Some(BertNormalizer::default()))
        .unwrap()
        .with_pre_tokenizer(Some(BertPreTokenizer));
    let mut ids = Vec::new();
    let mut different = 0;
    for text in texts {
        ours.tokenize(text, usize::MAX, &mut ids)?;
        different += usize::from(ids != theirs.encode(text.as_str(), false).unwrap().get_ids());
    }
    Ok(different)
}

/// Texts per second of one thread, in messages of 64.
fn engine(embedder: &dyn Embedder, texts: &[String]) -> f64 {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let started = Instant::now();
    for message in texts.chunks(LIST) {
        std::hint::black_box(embedder.embed(message).unwrap());
    }
    texts.len() as f64 / started.elapsed().as_secs_f64()
}

/// Sends each request once over `connections`.
fn send(server: &Server, connections: usize, requests: &[Vec<u8>]) -> Outcome {
    let next = AtomicUsize::new(0);
    load::run(
        server.address,
        connections,
        Duration::from_secs(600),
        None,
        |_, _| {
            requests
                .get(next.fetch_add(1, Ordering::Relaxed))
                .map(Vec::as_slice)
        },
        |answer| {
            answer.success();
        },
    )
}

fn quantiles(values: &[f64]) -> String {
    format!(
        "p50 {:.3}  p99 {:.3}  max {:.3} ms",
        median(values),
        quantile(values, 0.99),
        quantile(values, 1.0)
    )
}

/// Latencies of single texts over one connection, while `beside` runs; warm ones between cold ones.
fn singles(
    server: &Server,
    requests: &[Vec<u8>],
    warm: &[u8],
    until: impl Fn() -> bool,
) -> [Vec<f64>; 2] {
    load::block_on(async {
        let mut connection = Connection::open(server.address).await;
        let mut latencies = [Vec::new(), Vec::new()];
        connection.ask(warm).await;
        for cold in requests {
            if until() {
                break;
            }
            for (request, latencies) in [cold, warm].into_iter().zip(&mut latencies) {
                let started = Instant::now();
                connection.ask(request).await;
                latencies.push(started.elapsed().as_secs_f64() * 1_000.0);
            }
        }
        latencies
    })
}

fn main() {
    let corpus = Corpus::read();
    let embedders = Embedders::new(&EmbeddingConfig::default()).unwrap();
    let embedder = embedders.local("static-minilm").unwrap();

    let texts = corpus.texts(corpus.words.len());
    let all = [&texts[..], &corpus.sentences[..]].concat();
    println!(
        "ids: {} of {} texts differ from the tokenizers crate",
        mismatches(&all).unwrap(),
        all.len()
    );
    let rates: Vec<f64> = (0..9).map(|_| engine(&*embedder, &texts)).collect();
    let in_engine = median(&rates);
    println!(
        "engine, one core, texts of {WORDS} words: {}/s",
        support::spread(&rates)
    );

    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut process::boathouse(folder.path(), &[]));
    for format in ["base64", "float"] {
        for connections in [1, 8] {
            let requests = corpus.requests(1_500, LIST, format);
            let cpu = server.cpu_us();
            let done = send(&server, connections, &requests);
            let texts = (requests.len() * LIST) as f64;
            let rate = LIST as f64 * done.per_second();
            figure(
                &format!("embed.cold.of_engine.{connections}.{format}"),
                &[rate / in_engine],
            );
            println!(
                "http, lists of {LIST}, {format:<6} {connections} connection(s): {rate:.0} texts/s = {:.2} of the engine's; {:.2} us of cpu a text",
                rate / in_engine,
                (server.cpu_us() - cpu) / texts
            );
        }
    }

    let warm = corpus.requests(1, 1, "float").remove(0);
    let requests = corpus.requests(20_000, 1, "float");
    let [cold, hot] = singles(&server, &requests, &warm, || false);
    println!("single text, cold: {}", quantiles(&cold));
    println!("single text, warm: {}", quantiles(&hot));
    println!(
        "added by being cold: p99 {:.3} ms",
        quantile(&cold, 0.99) - quantile(&hot, 0.99)
    );

    fairness(&server, &corpus, &warm);
    println!(
        "memory after that, {} MB of it the cache at most: {:.0} MB resident",
        EmbeddingConfig::default().cache_bytes / 1_000_000,
        server.memory_mb("VmRSS")
    );
    server.stop();
}

/// Single cold texts alone, and while 10,000 texts at a time are embedded or ingested.
fn fairness(server: &Server, corpus: &Corpus, warm: &[u8]) {
    let own: Vec<f64> = {
        let requests = corpus.requests(500, LIST, "float");
        send(server, 1, &requests).latencies_ms
    };
    println!("a list of {LIST}, which is one batch: {}", quantiles(&own));
    load::block_on(async {
        let mut connection = Connection::open(server.address).await;
        connection.ask(&put("/v1/collections/bench")).await;
    });
    let alone = singles(server, &corpus.requests(10_000, 1, "float"), warm, || false);
    println!("single cold text alone: {}", quantiles(&alone[0]));
    let points = |texts: Vec<String>| {
        let points: Vec<Value> = texts
            .into_iter()
            .enumerate()
            .map(|(id, text)| json!({"id": id.to_string(), "text": text}))
            .collect();
        post(
            "/v1/collections/bench/points",
            &json!({"points": points}).to_string(),
        )
    };
    let of_lists = || corpus.requests(5, 2_000, "float");
    let of_points = || (0..5).map(|_| points(corpus.texts(2_000))).collect();
    beside(
        server,
        corpus,
        warm,
        "10,000 texts in 5 lists",
        &alone,
        &of_lists,
    );
    beside(
        server,
        corpus,
        warm,
        "an ingest of 10,000 texts in 5 writes",
        &alone,
        &of_points,
    );
}

fn put(path: &str) -> Vec<u8> {
    format!("PUT {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

/// Repeats a long job until there are enough single requests beside it.
fn beside(
    server: &Server,
    corpus: &Corpus,
    warm: &[u8],
    name: &str,
    alone: &[Vec<f64>; 2],
    job: &dyn Fn() -> Vec<Vec<u8>>,
) {
    const ROUNDS: usize = 12;
    let (mut cold, mut hot, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let job = job();
        let requests = corpus.requests(4_000, 1, "float");
        let ended = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                let done = send(server, 1, &job);
                ended.store(true, Ordering::Release);
                done.seconds * 1_000.0
            });
            let [one, two] = singles(server, &requests, warm, || ended.load(Ordering::Acquire));
            cold.extend(one);
            hot.extend(two);
            took.push(work.join().unwrap());
        });
    }
    println!(
        "beside {name} (median {:.0} ms, {} cores): single cold text {}; p99 {:+.3} ms; warm {}",
        median(&took),
        cores(),
        quantiles(&cold),
        quantile(&cold, 0.99) - quantile(&alone[0], 0.99),
        quantiles(&hot)
    );
}
