//! Backups of a server that goes on serving, and what comes of them.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::harness::{Api, Process, command, finish, serve_with, settings};

fn block_on<T>(work: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(work)
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    finish(command().args(arguments))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A few of everything: points, an answered question, feedback, tasks and an export. Returns the journal's head.
async fn produce(api: &Api) -> Value {
    api.collection("docs", &["the ferry leaves at nine", "the harbour is deep"])
        .await;
    let chat = json!({"messages": [{"role": "user", "content": "When does the ferry leave?"}],
                      "retrieval": {"collection": "docs"}});
    let answer = api.ok("/v1/chat/completions", chat).await;
    let feedback = json!({"target": answer["id"], "rating": "accepted"});
    api.ok("/v1/feedback", feedback).await;
    api.ok("/v1/materialize", json!({})).await;
    api.ok("/v1/exports", json!({"kind": "sft"})).await;
    api.get("/v1/evidence/head").await.json()
}

async fn found(api: &Api) -> Value {
    let search = json!({"query": "when does the ferry leave", "k": 5, "mode": "hybrid"});
    let mut found = api.ok("/v1/collections/docs/search", search).await;
    found["hits"].take()
}

async fn scrolled(api: &Api) -> Vec<Value> {
    let (mut points, mut after) = (Vec::new(), Value::Null);
    loop {
        let mut page = api
            .ok(
                "/v1/collections/docs/points/scroll",
                json!({"limit": 1000, "after": after}),
            )
            .await;
        points.extend(page["points"].as_array().unwrap().clone());
        after = page["next"].take();
        if after.is_null() {
            return points;
        }
    }
}

#[test]
fn a_backup_under_writes_has_all_that_was_acknowledged_before_it() {
    const CLIENTS: u64 = 3;
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("boathouse.toml");
    // Logs turn, snapshots come and segments fill while the backup reads.
    fs::write(
        &settings,
        "[index]\nsnapshot_wal_bytes = 4096\n[storage]\nmaintenance_ms = 100\n[evidence]\nsegment_bytes = 4096\n",
    )
    .unwrap();
    let arguments = ["--config".as_ref(), settings.as_ref()];
    let process = Process::start_with(&folder.path().join("data"), &arguments);
    let backup = folder.path().join("house.tar");
    let (before, mut hits, head) = block_on(async {
        let api = Api::new(process.address);
        produce(&api).await;
        let (acknowledged, stop) = (Cell::new(0_u64), Cell::new(false));
        let writers = (0..CLIENTS).map(|client| {
            let (api, acknowledged, stop) = (&api, &acknowledged, &stop);
            async move {
                let mut step = 0;
                while !stop.get() {
                    let points: Vec<Value> = (0..5)
                        .map(|n| json!({"id": format!("{client}-{step:05}-{n}"), "text": format!("passage {step} {n}")}))
                        .collect();
                    api.ok("/v1/collections/docs/points", json!({"points": points}))
                        .await;
                    let feedback = json!({"target": format!("t-{client}-{step}"), "rating": "rejected"});
                    api.ok("/v1/feedback", feedback).await;
                    step += 1;
                    acknowledged.set(acknowledged.get() + 1);
                }
            }
        });
        let backing_up = async {
            while acknowledged.get() < 20 {
                tokio::task::yield_now().await;
            }
            let before = scrolled(&api).await;
            let hits = found(&api).await;
            let head = api.get("/v1/evidence/head").await.json();
            let (url, to) = (format!("http://{}", api.address), backup.clone());
            let told = actix_web::rt::task::spawn_blocking(move || {
                run(&["backup", "--url", &url, "--to", text(&to)])
            });
            let (status, shown, said) = told.await.unwrap();
            assert_eq!(status, Some(0), "{said}");
            assert!(shown.contains("collections: 1 (docs)"), "{shown}");
            stop.set(true);
            (before, hits, head)
        };
        join(backing_up, join_all(writers)).await.0
    });
    drop(process);

    let data = folder.path().join("restored");
    let (status, shown, said) = run(&["restore", text(&backup), "--data", text(&data)]);
    assert_eq!(status, Some(0), "{said}");
    assert!(shown.contains("restored into"), "{shown}");
    // What is there is what was written: the chain up to its end, the records, tasks and export by their receipts.
    let kept = folder.path().join("head.json");
    fs::write(&kept, head.to_string()).unwrap();
    let (status, shown, said) = run(&["audit", "--data", text(&data), "--head", text(&kept)]);
    assert_eq!(status, Some(0), "{shown}{said}");
    let process = Process::start(&data);
    block_on(async {
        let api = Api::new(process.address);
        assert_eq!(api.get("/readyz").await.status, 200);
        let restored = scrolled(&api).await;
        let missing: Vec<&Value> = before
            .iter()
            .filter(|point| !restored.contains(point))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
        // A write is there whole or not at all.
        assert_eq!((restored.len() - 2) % 5, 0);
        let mut again = found(&api).await;
        assert_eq!(again[0]["id"], hits[0]["id"]);
        assert_eq!(again[0]["text"].take(), hits[0]["text"].take());
        let exports = api.get("/v1/exports").await.json();
        assert_eq!(exports["exports"][0]["name"], "sft");
    });
}

#[test]
fn a_damaged_backup_is_refused_by_the_name_of_the_file_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let process = Process::start(&data);
    block_on(async { produce(&Api::new(process.address)).await });
    let backup = folder.path().join("house.tar");
    let url = format!("http://{}", process.address);
    let (status, _, said) = run(&["backup", "--url", &url, "--to", text(&backup)]);
    assert_eq!(status, Some(0), "{said}");
    drop(process);
    let (status, shown, _) = run(&["backup", "verify", text(&backup)]);
    assert_eq!(status, Some(0));
    assert!(shown.contains("is whole"), "{shown}");

    let good = fs::read(&backup).unwrap();
    let at = good.windows(5).position(|five| five == b"ferry").unwrap();
    let mut bad = good.clone();
    bad[at] ^= 1;
    fs::write(&backup, &bad).unwrap();
    let target = folder.path().join("restored");
    for (content, told) in [
        (bad, "collections/docs/"),
        (good[..at].to_vec(), "cut short"),
    ] {
        fs::write(&backup, &content).unwrap();
        let (status, _, said) = run(&["backup", "verify", text(&backup)]);
        assert_eq!(status, Some(1));
        assert!(said.contains(told), "{said}");
        let (status, _, said) = run(&["restore", text(&backup), "--data", text(&target)]);
        assert_eq!(status, Some(1));
        assert!(said.contains(told), "{said}");
        assert!(!target.exists());
    }
    let (status, _, said) = run(&["restore", text(&backup), "--data", text(&data)]);
    assert_eq!(status, Some(1));
    assert!(said.contains("is not empty"), "{said}");
}

#[test]
fn a_folder_without_a_server_is_backed_up_and_restored_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let process = Process::start(&data);
    let (head, hits) = block_on(async {
        let api = Api::new(process.address);
        produce(&api).await;
        let hits = found(&api).await;
        (api.get("/v1/evidence/head").await.json(), hits)
    });
    // A server that somebody else's data folder is asked of has the lock.
    let to = folder.path().join("kept");
    fs::create_dir(&to).unwrap();
    drop(process);
    fs::write(data.join("later.toml"), "hashes").unwrap();
    let (status, shown, said) = run(&["backup", "--to", text(&to), "--data", text(&data)]);
    assert_eq!(status, Some(0), "{said}");
    let names: Vec<PathBuf> = fs::read_dir(&to)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(shown.contains(text(&names[0])), "{shown}");
    assert!(shown.contains(head["hash"].as_str().unwrap()), "{shown}");
    let restored = folder.path().join("restored");
    let (status, _, said) = run(&["restore", text(&names[0]), "--data", text(&restored)]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(fs::read(restored.join("later.toml")).unwrap(), b"hashes");
    let process = Process::start(&restored);
    block_on(async {
        let api = Api::new(process.address);
        assert_eq!(
            api.get("/v1/evidence/head").await.json()["hash"],
            head["hash"]
        );
        assert_eq!(found(&api).await, hits);
    });
    let (status, _, said) = run(&["backup", "--to", text(&names[0]), "--data", text(&data)]);
    assert_eq!(status, Some(1));
    assert!(said.contains("is there already"), "{said}");
    let absent = folder.path().join("absent");
    let (status, _, said) = run(&["backup", "--to", text(&to), "--data", text(&absent)]);
    assert_eq!(status, Some(1));
    assert!(
        said.contains("no data folder") && !absent.exists(),
        "{said}"
    );
}

#[test]
fn a_collection_that_cannot_open_is_kept_as_it_lies_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let data = settings.storage.data_dir.clone();
    serve_with(settings.clone(), async |api| {
        api.collection("docs", &["kept"]).await;
        api.collection("hurt", &["lost"]).await;
    });
    let manifest = data.join("collections/hurt/MANIFEST");
    let mut bytes = fs::read(&manifest).unwrap();
    bytes[40] ^= 1;
    fs::write(&manifest, &bytes).unwrap();
    serve_with(settings, async |api| {
        let answer = api.get("/v1/backup").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/x-tar");
        let file = folder.path().join("house.tar");
        fs::write(&file, &answer.bytes).unwrap();
        let shown = actix_web::rt::task::spawn_blocking(move || {
            run(&["backup", "verify", "--json", text(&file)])
        });
        let (status, shown, said) = shown.await.unwrap();
        assert_eq!(status, Some(0), "{said}");
        let manifest: Value = serde_json::from_str(&shown).unwrap();
        let warning = manifest["warnings"][0].as_str().unwrap();
        assert!(warning.contains("collection hurt"), "{warning}");
        assert_eq!(manifest["collections"], json!(["docs", "hurt"]));
        let files = manifest["files"].as_array().unwrap();
        let has = |path: &str| files.iter().any(|file| file["path"] == path);
        assert!(has("collections/hurt/MANIFEST") && has("collections/docs/MANIFEST"));
        assert!(!has("collections/hurt/LOCK"), "{files:?}");
        let wrong = api.get("/v1/backup?modles=true").await;
        assert_eq!(wrong.status, 400);
    });
}

#[test]
fn the_server_is_asked_that_has_the_folder_and_backups_hold_no_backups() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| folder.path().join(name));
    let [house, other] = [&ours, &theirs].map(|data| Process::start(data));
    block_on(async {
        Api::new(house.address).collection("ours", &["a"]).await;
        Api::new(other.address).collection("theirs", &["b"]).await;
    });
    let back_up = |to: &Path| {
        let mut command = command();
        // The other one is where the settings say that a server is.
        command
            .env("BOATHOUSE__STORAGE__DATA_DIR", &ours)
            .env("BOATHOUSE__HTTP__PORT", other.address.port().to_string());
        finish(command.args(["backup", "--to", text(to)]))
    };
    let (status, _, said) = back_up(&ours.join("house.tar"));
    assert_eq!(status, Some(1));
    assert!(said.contains("in the data folder"), "{said}");
    fs::write(ours.join("house.tar"), "of before").unwrap();
    let to = folder.path().join("house.tar");
    let (status, shown, said) = back_up(&to);
    assert_eq!(status, Some(0), "{said}");
    assert!(shown.contains("collections: 1 (ours)"), "{shown}");
    assert!(said.contains("house.tar is left out"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_restored_folder_is_its_owners_only_and_its_good_keys_are_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let process = Process::start(&data);
    block_on(async { Api::new(process.address).collection("docs", &["a"]).await });
    drop(process);
    for name in ["app", "guest"] {
        let (status, _, said) = run(&[
            "keys",
            "new",
            name,
            "--scope",
            "read",
            "--data",
            text(&data),
        ]);
        assert_eq!(status, Some(0), "{said}");
    }
    run(&["keys", "revoke", "guest", "--data", text(&data)]);
    let tar = folder.path().join("house.tar");
    let (status, _, said) = run(&["backup", "--to", text(&tar), "--data", text(&data)]);
    assert_eq!(status, Some(0), "{said}");
    let restored = folder.path().join("restored");
    let mut shell = std::process::Command::new("/bin/sh");
    shell
        .env_clear()
        .current_dir(folder.path())
        .args(["-c", "umask 022 && exec \"$0\" \"$@\""])
        .args([env!("CARGO_BIN_EXE_boathouse"), "restore", text(&tar)])
        .args(["--data", text(&restored)]);
    let (status, _, said) = finish(&mut shell);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("good API keys") && said.contains("app (") && !said.contains("guest ("),
        "{said}"
    );
    for path in ["", "collections", "collections/docs"] {
        let path = restored.join(path);
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}: {mode:o}", path.display());
    }
}

#[cfg(unix)]
#[test]
fn a_backup_that_is_stopped_leaves_nothing() {
    use std::process::Stdio;
    let folder = tempfile::tempdir().unwrap();
    // A server that never ends its answer: what has come so far is in the file when the signal comes.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let to = folder.path().join("house.tar");
    let part = folder.path().join("house.tar.part");
    let mut child = command()
        .args(["backup", "--url", &url, "--to", text(&to)])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut socket, _) = listener.accept().unwrap();
    let mut request = [0; 4096];
    std::io::Read::read(&mut socket, &mut request).unwrap();
    std::io::Write::write_all(
        &mut socket,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    )
    .unwrap();
    // The handler of the signal is there once the first piece was taken.
    while fs::metadata(&part).map_or(0, |found| found.len()) < 5 {
        std::thread::yield_now();
    }
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(!to.exists() && !part.exists());
}
