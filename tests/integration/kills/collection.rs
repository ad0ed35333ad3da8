//! One collection, opened in a child process that is killed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use boathouse::actors::index::collection::DurableCollection;
use boathouse::engines::index::{Filter, Scope};

use super::work::{Dice, Model, Step, config, settle, spec};

const WRITERS: usize = 2;
const KILLS: usize = 200;
/// The child's orders: the folder, and the steps that its writers begin with.
const ORDERS: &str = "BOATHOUSE_TEST_KILLED_WRITER";
/// Stands before each acknowledgement: the test harness writes lines of its own.
const DONE: &str = "done:";
/// The child's graph is on the disk, or was when it started.
const GRAPH: &str = "graph";

/// Does nothing in an ordinary run. In a child of the test below it writes until it is killed.
#[test]
fn killed_writer() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let mut orders = orders.split('|');
    let collection = DurableCollection::open(Path::new(orders.next().unwrap()), config());
    let collection = Arc::new(collection.unwrap());
    let maintained = Arc::clone(&collection);
    let maintainer = std::thread::spawn(move || {
        let mut told = false;
        loop {
            maintained.maintain(0).unwrap();
            if !told && maintained.info(0).unwrap().graph.is_some() {
                told = true;
                say(GRAPH);
            }
        }
    });
    for (writer, first) in orders.enumerate() {
        let (collection, first) = (Arc::clone(&collection), first.parse().unwrap());
        std::thread::spawn(move || {
            for number in first.. {
                match Step::of(writer, number) {
                    Step::Upsert(points) => collection.upsert(points).unwrap(),
                    Step::DeleteIds(ids) => collection.delete_ids(&ids).unwrap(),
                    Step::DeleteWhere(filter, _) => collection
                        .delete_where(&Filter::parse(&filter).unwrap(), Scope::at(0))
                        .unwrap(),
                };
                say(&format!("{DONE}{writer}:{number}"));
            }
        });
    }
    // A failed thread ends the process, which the parent takes for what it is.
    maintainer.join().unwrap();
}

/// Writes a line at once, which a kill does not cut in two.
fn say(line: &str) {
    let line = format!("\n{line}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// Runs a child until it has acknowledged `acks` steps, and, where `graph` says so, has a graph; and kills it. Returns each writer's count of steps.
fn run_and_kill(dir: &Path, models: &[Model], acks: u64, graph: bool) -> Vec<u64> {
    let mut steps: Vec<u64> = models.iter().map(|model| model.steps).collect();
    let mut orders = dir.to_str().unwrap().to_owned();
    for step in &steps {
        orders.push_str(&format!("|{step}"));
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "kills::collection::killed_writer"])
        .env(ORDERS, orders)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut seen, mut graphed, mut killed) = (0, !graph, false);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        graphed |= line == GRAPH;
        let Some((writer, number)) = line
            .strip_prefix(DONE)
            .and_then(|rest| rest.split_once(':'))
        else {
            continue;
        };
        let (writer, number): (usize, u64) = (writer.parse().unwrap(), number.parse().unwrap());
        assert_eq!(number, steps[writer], "writer {writer}");
        steps[writer] += 1;
        seen += 1;
        if seen >= acks && graphed && !killed {
            child.kill().unwrap();
            killed = true;
        }
        // What it has acknowledged before the kill is still in the pipe.
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(killed, "the child ended by itself: {said}");
    steps
}

#[test]
fn two_hundred_kills_under_load_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("docs");
    drop(DurableCollection::create(&dir, spec(), config()).unwrap());
    let mut models = vec![Model::default(); WRITERS];
    let mut dice = Dice::new(7);
    let (mut generations, mut graphs) = (0, 0);
    for kill in 0..KILLS {
        let acknowledged = run_and_kill(&dir, &models, 1 + dice.below(30), kill % 8 == 7);
        let collection = DurableCollection::open(&dir, config())
            .unwrap_or_else(|error| panic!("after kill {kill}: {error}"));
        let (found, next) = collection.scroll(None, 1_000, None, Scope::at(0)).unwrap();
        assert!(next.is_none());
        settle(&mut models, &acknowledged, &found);
        let info = collection.info(0).unwrap();
        generations = info.generation;
        graphs += usize::from(info.graph.is_some());
        // One snapshot, one manifest, and nothing half written.
        let names = std::fs::read_dir(&dir).unwrap();
        let names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let count = |prefix: &str| names.iter().filter(|name| name.starts_with(prefix)).count();
        assert_eq!((count("snapshot-"), count("MANIFEST")), (1, 1), "{names:?}");
    }
    // The kills met snapshots, compactions and graphs, too.
    assert!(generations > 100, "{generations} generations");
    assert!(graphs > 10, "{graphs} starts with a graph");
}
