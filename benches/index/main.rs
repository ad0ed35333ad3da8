//! The index on embeddings of real texts: build time, searches a second, recall, memory.
//!
//! `cargo bench --no-default-features --bench index` measures ours alone on the bundled texts.
//! `just bench-index` has `compare.py` ask this program and other libraries in turns, over the same
//! vectors: `-- make DIR COUNT FOLDER…` writes them, `-- serve DIR` answers one JSON line with one.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

mod texts;
mod vectors;

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use boathouse::engines::index::{
    Contents, Filter, IndexConfig, Op, Scope, SearchPath, SearchRequest,
};
use boathouse::types::collection::{CollectionSpec, FieldKind, Schema};
use boathouse::types::point::{Metric, Point};
use serde_json::{Value, json};
use vectors::Vectors;

const K: usize = 10;

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", dir, count, ref folders @ ..] => {
            println!(
                "{}",
                vectors::make(Path::new(dir), count.parse().unwrap(), folders)
            );
        }
        ["serve", dir] => {
            let mut bench = Bench::over(Vectors::load(Path::new(dir)));
            for line in std::io::stdin().lock().lines() {
                println!(
                    "{}",
                    bench.answer(&serde_json::from_str(&line.unwrap()).unwrap())
                );
            }
        }
        _ => alone(),
    }
}

/// Ours alone, on what is in the repository.
fn alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = root.join("target/bench-index/alone");
    let folders = ["config/demo/trecqa", "tests/data/eval/banking77"]
        .map(|folder| root.join(folder).to_string_lossy().into_owned());
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    println!("{}", vectors::make(&dir, 20_000, &folders));
    let mut bench = Bench::over(Vectors::load(&dir));
    for (name, config) in [("f32", json!({"quantise": false})), ("int8", json!({}))] {
        println!(
            "{}",
            bench.answer(&json!({"do": "build", "name": name, "config": config}))
        );
        for ef in [16, 32, 64, 128] {
            println!(
                "{}",
                bench.answer(&json!({"do": "search", "name": name, "ef": ef}))
            );
        }
        for (field, top) in [
            ("random", 1_000_000.0),
            ("near", bench.vectors.base.len() as f64),
        ] {
            for share in [1.0, 0.5, 0.1, 0.01, 0.001] {
                let filter = json!({field: {"$lt": share * top}});
                let mut told =
                    bench.answer(&json!({"do": "filtered", "name": name, "filter": filter}));
                (told["field"], told["share"]) = (json!(field), json!(share));
                println!("{told}");
            }
        }
    }
}

/// Collections over the same vectors, by name.
struct Bench {
    vectors: Vectors,
    truth: Vec<Vec<u32>>,
    /// The same points with no field indexed.
    plain: Contents,
    built: BTreeMap<String, (Contents, IndexConfig)>,
}

impl Bench {
    fn over(vectors: Vectors) -> Self {
        let plain = collection(&vectors, Schema::default());
        let mut bench = Self {
            vectors,
            truth: Vec::new(),
            plain,
            built: BTreeMap::new(),
        };
        bench.truth = bench
            .run(&bench.plain, &IndexConfig::default(), None, true)
            .found;
        bench
    }

    fn answer(&mut self, ask: &Value) -> Value {
        let name = ask["name"].as_str().unwrap_or_default().to_owned();
        match ask["do"].as_str().unwrap() {
            "build" => {
                let mut config = IndexConfig {
                    hnsw_threshold: 100,
                    ..IndexConfig::default()
                };
                let mut fields = serde_json::to_value(&config).unwrap();
                for (key, value) in ask["config"].as_object().unwrap() {
                    fields[key] = value.clone();
                }
                config = serde_json::from_value(fields).unwrap();
                let mut contents = collection(&self.vectors, schema());
                let started = clock();
                let graph = Contents::graph_of(
                    &contents.view(),
                    Metric::Cosine,
                    &config,
                    &AtomicUsize::new(0),
                )
                .unwrap();
                let seconds = clock() - started;
                let (links, bytes) = (graph.links(), graph.bytes());
                contents.set_graph(graph);
                self.built.insert(name.clone(), (contents, config));
                json!({"name": name, "seconds": seconds, "links": links, "bytes": bytes})
            }
            "search" => {
                let (contents, config) = &self.built[&name];
                let config = IndexConfig {
                    ef_search: usize::try_from(ask["ef"].as_u64().unwrap()).unwrap(),
                    ..config.clone()
                };
                let run = self.run(contents, &config, None, false);
                json!({
                    "name": name, "ef": config.ef_search, "seconds": run.seconds,
                    "recall": recall(&run.found, &self.truth), "compared": run.compared,
                })
            }
            "filtered" => {
                let (contents, config) = &self.built[&name];
                let filter: Filter = Filter::parse(&ask["filter"]).unwrap();
                let (matches, filtering) = matching(contents, &filter);
                let (_, reading) = matching(&self.plain, &filter);
                let exact = self.run(contents, config, Some(&filter), true);
                let run = self.run(contents, config, Some(&filter), false);
                json!({
                    "name": name, "matches": matches, "walked": run.walked,
                    "recall": recall(&run.found, &exact.found),
                    "filtering": filtering, "reading": reading,
                    "seconds": run.seconds / run.found.len() as f64,
                    "exact": exact.seconds / exact.found.len() as f64,
                })
            }
            "fields" => {
                let random: Vec<u64> = (0..self.vectors.base.len()).map(random).collect();
                json!({"random": random, "near": self.vectors.ranks()})
            }
            other => json!({"error": format!("cannot {other}")}),
        }
    }

    /// All queries once, one after the other.
    fn run(
        &self,
        contents: &Contents,
        config: &IndexConfig,
        filter: Option<&Filter>,
        exact: bool,
    ) -> Run {
        // Beside each there is an exact search: fewer queries will do.
        let count = if filter.is_some() { 100 } else { usize::MAX };
        let requests: Vec<SearchRequest> = self
            .vectors
            .queries
            .iter()
            .take(count)
            .map(|query| SearchRequest {
                query_vector: Some(query.clone()),
                k: K,
                filter: filter.cloned(),
                exact,
                ..SearchRequest::default()
            })
            .collect();
        let started = clock();
        let results: Vec<_> = requests
            .iter()
            .map(|request| contents.search(request, config, 0).unwrap())
            .collect();
        let seconds = clock() - started;
        let compared: usize = results.iter().map(|result| result.plan.candidates).sum();
        let walked = results
            .iter()
            .filter(|result| result.plan.path == SearchPath::Hnsw)
            .count();
        let found = results
            .iter()
            .map(|result| {
                result
                    .hits
                    .iter()
                    .map(|hit| hit.id.parse().unwrap())
                    .collect()
            })
            .collect();
        Run {
            seconds,
            compared: compared / results.len(),
            walked,
            found,
        }
    }
}

fn schema() -> Schema {
    let fields = ["random", "near"].map(|name| (name.to_owned(), FieldKind::Integer));
    Schema {
        fields: fields.into(),
        ..Schema::default()
    }
}

fn collection(vectors: &Vectors, schema: Schema) -> Contents {
    let mut contents = Contents::new(CollectionSpec {
        name: "bench".to_owned(),
        dim: vectors.dim,
        metric: Metric::Cosine,
        embedder: None,
        fingerprint: None,
        refiner: None,
        schema,
        backend: Default::default(),
        created_ms: 0,
    });
    let ranks = vectors.ranks();
    let points = vectors.base.iter().enumerate().map(|(at, vector)| {
        let payload = [
            ("random".to_owned(), json!(random(at))),
            ("near".to_owned(), json!(ranks[at])),
        ];
        Point {
            id: at.to_string(),
            vector: vector.clone(),
            text: None,
            payload: payload.into_iter().collect(),
        }
    });
    contents.apply(Op::Upsert(points.collect()).into()).unwrap();
    contents
}

/// The field `random` of a point.
fn random(at: usize) -> u64 {
    texts::mixed(at as u64) % 1_000_000
}

/// Time that this thread has had of a processor, where the system tells it, else the time of day: other
/// programs that run meanwhile count less.
fn clock() -> f64 {
    let had = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match had
        .split(' ')
        .next()
        .and_then(|nanos| nanos.parse::<f64>().ok())
    {
        Some(nanos) => nanos / 1e9,
        None => Instant::now().duration_since(*STARTED).as_secs_f64(),
    }
}

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

struct Run {
    seconds: f64,
    /// Points compared, a query.
    compared: usize,
    /// Queries that the graph answered.
    walked: usize,
    found: Vec<Vec<u32>>,
}

/// How many points match, and the seconds that it takes to find them: the mean of as many as the clock can tell.
fn matching(contents: &Contents, filter: &Filter) -> (usize, f64) {
    let (started, mut rounds) = (clock(), 0.0);
    loop {
        let matches = contents.count(Some(filter), Scope::at(0)).unwrap();
        rounds += 1.0;
        let seconds = clock() - started;
        if seconds > 0.2 {
            return (matches, seconds / rounds);
        }
    }
}

fn recall(found: &[Vec<u32>], truth: &[Vec<u32>]) -> f64 {
    let (mut hits, mut all) = (0, 0);
    for (found, truth) in found.iter().zip(truth) {
        hits += truth.iter().filter(|row| found.contains(row)).count();
        all += truth.len();
    }
    hits as f64 / all as f64
}
