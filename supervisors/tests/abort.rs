//! What no fence contains ends the process, as promised; the black box then names what ran.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;

use supervisors::{
    AsyncWorker, BatchCx, BatchWorker, BlackBox, CellRef, ChildPolicy, ChildSpec, Cx, Deadline,
    Digest, Fault, Policy, Protocol, SupervisorSpec, Suspect, Tree, TreeOptions, Worker,
};

const PATH: &str = "BLACK_BOX_OF_THE_CHILD";
const WAY: &str = "WAY_OF_THE_CHILD";
const CELL: &str = "CELL_OF_THE_CHILD";

/// Ends the process, or not, in the way asked for.
struct Killer;

impl Protocol for Killer {
    type Req = String;
    type Rep = ();
    type Err = String;

    fn digest(request: &String) -> Option<Digest> {
        Some(Digest::of(request.as_bytes()))
    }
}

struct Bomb;
impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("while unwinding");
    }
}

fn deeper(depth: u64) -> u64 {
    let ballast = std::hint::black_box([depth; 64]);
    if ballast[0] == u64::MAX {
        return depth;
    }
    deeper(depth + 1) + ballast[1]
}

fn go(way: &str) {
    match way {
        "fine" => {}
        "panic" => panic!("contained"),
        "abort" => std::process::abort(),
        "double panic" => {
            let _bomb = Bomb;
            panic!("first");
        }
        "stack overflow" => {
            std::hint::black_box(deeper(0));
        }
        "kill" => {
            let me = std::process::id().to_string();
            Command::new("kill").args(["-9", &me]).status().unwrap();
        }
        other => panic!("no such way: {other}"),
    }
}

impl Worker for Killer {
    fn handle(&mut self, way: String, _: &Cx) -> Result<(), String> {
        go(&way);
        Ok(())
    }
}

impl AsyncWorker for Killer {
    async fn handle(self: Rc<Self>, way: String, _: Cx) -> Result<(), String> {
        go(&way);
        Ok(())
    }
}

impl BatchWorker for Killer {
    const IDEMPOTENT: bool = true;
    fn handle(&mut self, batch: &[String], _: &BatchCx) -> Vec<Result<(), String>> {
        batch.iter().for_each(|way| go(way));
        batch.iter().map(|_| Ok(())).collect()
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

async fn start(black_box: BlackBox) -> (Tree, Vec<CellRef<Killer>>) {
    let policy = ChildPolicy::default;
    let children = [
        ChildSpec::sync("sync", policy(), |_| Ok(Killer)),
        ChildSpec::asynchronous("async", policy(), |_| Ok(Killer)),
        ChildSpec::batch("batch", policy(), 8, |_| Ok(Killer)),
    ];
    let mut root = SupervisorSpec::new("root", Policy::default());
    let mut cells = Vec::new();
    for (spec, cell) in children {
        root = root.child(spec);
        cells.push(cell);
    }
    let options = TreeOptions {
        black_box: Some(black_box),
        ..TreeOptions::default()
    };
    (Tree::start_with(root, options).await.unwrap(), cells)
}

/// Not a test: the process that the others start, and which may die here.
#[test]
fn child() {
    let (Ok(path), Ok(way)) = (std::env::var(PATH), std::env::var(WAY)) else {
        return;
    };
    let id = std::env::var(CELL).unwrap();
    actix::System::new().block_on(async {
        let (black_box, _) = BlackBox::open(path).unwrap();
        let (tree, cells) = start(black_box).await;
        let cell = cells.iter().find(|cell| cell.id() == id).unwrap();
        cell.ask("fine".to_owned(), soon()).await.unwrap();
        let answer = cell.ask(way, soon()).await;
        assert!(matches!(answer, Ok(()) | Err(Fault::Crashed(_))));
        assert!(tree.drain(Duration::from_secs(20)).await.complete);
    });
}

fn run_child(path: &Path, cell: &str, way: &str) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child"])
        .env(PATH, path)
        .env(WAY, way)
        .env(CELL, cell)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

fn named(suspects: &[Suspect]) -> Vec<(&str, Digest, u32)> {
    suspects
        .iter()
        .map(|suspect| (&*suspect.cell, suspect.digest, suspect.times))
        .collect()
}

fn check_death(cell: &str, way: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("box");
    let status = run_child(&path, cell, way);
    assert!(status.signal().is_some(), "{way}: {status}");
    let (_, suspects) = BlackBox::open(&path).unwrap();
    assert_eq!(named(&suspects), [(cell, Digest::of(way.as_bytes()), 1)]);
}

#[test]
fn an_abort_is_traced_in_every_kind_of_cell() {
    for cell in ["sync", "async", "batch"] {
        check_death(cell, "abort");
    }
}

#[test]
fn a_double_panic_ends_the_process_and_is_traced() {
    check_death("sync", "double panic");
}

#[test]
fn a_stack_overflow_ends_the_process_and_is_traced() {
    check_death("sync", "stack overflow");
}

#[test]
fn a_kill_from_outside_is_traced() {
    check_death("async", "kill");
}

#[test]
fn a_panic_is_contained_and_leaves_nobody_suspect() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("box");
    for cell in ["sync", "async", "batch"] {
        assert!(run_child(&path, cell, "panic").success(), "{cell}");
        assert_eq!(BlackBox::open(&path).unwrap().1, []);
    }
}

#[test]
fn what_ended_the_process_twice_is_refused_until_released() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("box");
    for _ in 0..2 {
        assert!(run_child(&path, "sync", "abort").signal().is_some());
    }
    actix::System::new().block_on(async {
        let (black_box, suspects) = BlackBox::open(&path).unwrap();
        let poison = Digest::of(b"abort");
        assert_eq!(named(&suspects), [("sync", poison, 2)]);
        let (tree, cells) = start(black_box.clone()).await;
        let refused = cells[0].ask("abort".to_owned(), soon()).await;
        assert!(matches!(refused, Err(Fault::Quarantined(digest)) if digest == poison));
        let letters = tree.dead_letters();
        assert_eq!((letters.len(), letters[0].digest), (1, poison));
        assert!(letters[0].reports[0].message.contains("died 2 times"));
        cells[0].ask("fine".to_owned(), soon()).await.unwrap();
        assert!(tree.release(&poison.to_string()));
        assert!(tree.dead_letters().is_empty());
        assert_eq!(black_box.suspects(), []);
    });
}
