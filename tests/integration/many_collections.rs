//! A thousand collections in one process, within bounds.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use boathouse::actors::index::collection::DurableCollection;
use boathouse::engines::index::IndexConfig;
use boathouse::storage::snapshot::Manifest;
use boathouse::types::collection::{CollectionSpec, Schema};
use boathouse::types::point::{Metric, Point};
use serde_json::json;

use crate::harness::{Api, Process, command};

const MANY: usize = 1_000;

fn name(number: usize) -> String {
    format!("c{number:04}")
}

/// Makes so many collections of one point each, without a server.
fn make(data: &Path, count: usize) {
    let root = data.join("collections");
    fs::create_dir_all(&root).unwrap();
    let spec = CollectionSpec {
        name: name(0),
        dim: 2,
        metric: Metric::Dot,
        embedder: None,
        fingerprint: None,
        refiner: None,
        schema: Schema::default(),
        backend: Default::default(),
        created_ms: 0,
    };
    let first = root.join(name(0));
    let collection =
        DurableCollection::create(&first, spec.clone(), IndexConfig::default()).unwrap();
    let point = Point {
        id: "a".to_owned(),
        vector: vec![1.0, 2.0],
        text: Some("the ferry".to_owned()),
        payload: serde_json::Map::new(),
    };
    collection.upsert(vec![point]).unwrap();
    drop(collection);
    for number in 1..count {
        let folder = root.join(name(number));
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(&first).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        let manifest = Manifest::load(&folder).unwrap();
        let spec = CollectionSpec {
            name: name(number),
            ..spec.clone()
        };
        Manifest { spec, ..manifest }.store(&folder).unwrap();
    }
}

/// What a process takes.
#[derive(Debug)]
struct Use {
    memory_kib: usize,
    threads: usize,
    files: usize,
    /// What it computed until it listened: the clock would count what else the machine does.
    start: Duration,
}

/// Starts a server that may have few open files, unless it asks for more; uses every collection; tells what it takes.
fn measure(data: &Path, count: usize) -> Use {
    let server = command();
    let mut shell = command_of("sh");
    shell
        .args(["-c", "ulimit -Sn 256; exec \"$@\"", "sh"])
        .arg(server.get_program())
        .args(["serve", "--port", "0", "--data"])
        .arg(data);
    let process = Process::of(&mut shell);
    let start = computed(process.child.id());
    actix_web::rt::System::new().block_on(async {
        let api = Api::new(process.address);
        let ready = api.get("/readyz").await;
        assert_eq!(ready.status, 200, "{}", ready.text());
        for number in 0..count {
            let path = format!("/v1/collections/{}", name(number));
            let point = json!({"points": [{"id": "b", "vector": [2, 1]}]});
            api.ok(&format!("{path}/points"), point).await;
            let found = api
                .ok(&format!("{path}/search"), json!({"vector": [1, 2]}))
                .await;
            assert_eq!(found["hits"][0]["id"], "a", "{found}");
        }
    });
    let proc = Path::new("/proc").join(process.child.id().to_string());
    let status = fs::read_to_string(proc.join("status")).unwrap();
    let number = |key: &str| -> usize {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let number = line.unwrap().split_whitespace().next();
        number.unwrap().parse().unwrap()
    };
    Use {
        memory_kib: number("VmRSS:"),
        threads: number("Threads:"),
        files: fs::read_dir(proc.join("fd")).unwrap().count(),
        start,
    }
}

/// Processor time of all threads of a process.
fn computed(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // After the name: the 14th and 15th field, in hundredths of a second.
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let ticks = rest.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// As [`command`], of another program.
fn command_of(program: &str) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command
        .current_dir(std::env::temp_dir())
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("PATH", "/usr/bin:/bin");
    command
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_collections_take_little_each() {
    let folder = tempfile::tempdir().unwrap();
    let (few, many) = (folder.path().join("one"), folder.path().join("many"));
    make(&few, 1);
    make(&many, MANY);
    let begun = Instant::now();
    for _ in 0..20 {
        let opened = DurableCollection::open(
            &few.join("collections").join(name(0)),
            IndexConfig::default(),
        );
        drop(opened.unwrap());
    }
    let opening = begun.elapsed() / 20;
    let (one, all) = (measure(&few, 1), measure(&many, MANY));
    let more = |of: fn(&Use) -> usize| of(&all).saturating_sub(of(&one));
    let told = format!("one: {one:?}, opening one: {opening:?}, {MANY}: {all:?}");
    println!("{told}");
    assert!(more(|it| it.files) <= 2 * MANY + 50, "{told}");
    assert!(more(|it| it.threads) <= 2 * MANY, "{told}");
    assert!(more(|it| it.memory_kib) <= 400 * MANY, "{told}");
    // Each costs what one costs: a start that grew with the square of their number would take hundreds of times that.
    let linear = one.start + opening * u32::try_from(MANY).unwrap();
    assert!(all.start <= linear * 10, "{told}");
}
