//! Settings that change while the server goes on, and what systemd is told.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use boathouse::engines::chat::ProviderConfig;
use boathouse::engines::embedding::EmbedderConfig;
use serde_json::{Value, json};

use crate::harness::{Process, command, serve_from, settings};

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args([name, &id])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_reload_takes_over_what_it_can_and_names_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let file = Arc::new(Mutex::new(settings.clone()));
    let source = Arc::clone(&file);
    let source = Box::new(move || {
        let settings = source.lock().unwrap().clone();
        settings.validate().map(|()| settings)
    });
    serve_from(settings, source, async move |api| {
        let same = api.ok("/v1/reload", json!({})).await;
        assert_eq!(
            (&same["applied"], &same["needs_restart"]),
            (&json!([]), &json!([]))
        );
        assert_eq!(same["tables"][0]["table"], "roster");
        {
            let mut settings = file.lock().unwrap();
            settings.supervisors.defaults.inbox = 77;
            settings.http.drain_ms = 1;
            settings.chat.aliases = [("other".to_owned(), "extractive".to_owned())].into();
        }
        for applied in [json!(["supervisors.defaults.inbox"]), json!([])] {
            let told = api.ok("/v1/reload", json!({})).await;
            assert_eq!(told["applied"], applied, "{told}");
            // Until the restart it is told again.
            let waits = json!(["chat.aliases.other", "http.drain_ms"]);
            assert_eq!(told["needs_restart"], waits, "{told}");
        }
        let tree = api.get("/v1/supervisors").await.json();
        let evidence = tree["children"][0]["children"][0].clone();
        assert_eq!(evidence["capacity"], 77, "{evidence}");
        file.lock().unwrap().supervisors.defaults.inbox = 0;
        let refused = api.post("/v1/reload", json!({})).await;
        assert_eq!(refused.status, 400);
        let text = refused.text();
        assert!(
            text.contains("inbox") && text.contains("nothing was changed"),
            "{text}"
        );
        // The log's filter is the command line's to change; a server inside another program leaves it.
        file.lock().unwrap().supervisors.defaults.inbox = 78;
        file.lock().unwrap().log.filter = "debug".to_owned();
        let told = api.ok("/v1/reload", json!({})).await;
        assert_eq!(told["applied"], json!(["supervisors.defaults.inbox"]));
        assert!(
            told["failed"][0].as_str().unwrap().contains("log.filter"),
            "{told}"
        );
    });
}

#[test]
fn a_reload_leaves_upstreams_with_the_bounds_of_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    let provider = |calls| ProviderConfig {
        kind: Some("openai".to_owned()),
        base_url: Some("http://127.0.0.1:9/v1".to_owned()),
        max_concurrency: calls,
        ..ProviderConfig::default()
    };
    settings.chat.providers = [
        ("kept".to_owned(), provider(3)),
        ("gone".to_owned(), provider(4)),
    ]
    .into();
    settings.embedding.embedders = [(
        "far".to_owned(),
        EmbedderConfig {
            kind: "openai".to_owned(),
            base_url: "http://127.0.0.1:9/v1".to_owned(),
            model: "m".to_owned(),
            max_concurrency: 5,
            ..EmbedderConfig::default()
        },
    )]
    .into();
    let mut later = settings.clone();
    later.chat.providers = [("kept".to_owned(), provider(30))].into();
    later
        .embedding
        .embedders
        .get_mut("far")
        .unwrap()
        .max_concurrency = 50;
    later.supervisors.defaults.inbox = 77;
    later.supervisors.defaults.workers = 3;
    let source = Box::new(move || Ok(later.clone()));
    serve_from(settings, source, async move |api| {
        let told = api.ok("/v1/reload", json!({})).await;
        assert_eq!(told["applied"], json!(["supervisors.defaults.inbox"]));
        let waits = told["needs_restart"].to_string();
        for key in [
            "chat.providers.kept.max_concurrency",
            "embedding.embedders.far.max_concurrency",
            "supervisors.defaults.workers",
        ] {
            assert!(waits.contains(key), "{waits}");
        }
        let tree = api.get("/v1/supervisors").await.json();
        let capacity = |group: &str, cell: &str| {
            let of = |children: &Value, id: &str| {
                let mut children = children["children"].as_array().unwrap().iter();
                children.find(|child| child["id"] == id).unwrap().clone()
            };
            of(&of(&tree, group), cell)["capacity"].clone()
        };
        for (group, cell, calls) in [
            ("chat", "kept", 3),
            ("chat", "gone", 4),
            ("engines", "embedder.far", 5),
            ("chat", "extractive", 77),
        ] {
            assert_eq!(capacity(group, cell), calls, "{cell}");
        }
        assert_eq!(api.get("/readyz").await.status, 200);
    });
}

#[cfg(unix)]
#[test]
fn a_hangup_reloads_the_file_and_says_so_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("boathouse.toml");
    std::fs::write(&file, "[log]\nfilter = \"info\"\n").unwrap();
    let mut child = command()
        .args(["serve", "--port", "0", "--config"])
        .arg(&file)
        .arg("--data")
        .arg(folder.path().join("data"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut until = |part: &str| -> Vec<String> {
        let mut seen = Vec::new();
        for line in lines.by_ref() {
            seen.push(line.unwrap());
            if seen.last().unwrap().contains(part) {
                return seen;
            }
        }
        panic!("the log ended without {part:?}: {seen:?}");
    };
    until("serving");
    std::fs::write(
        &file,
        "[log]\nfilter = \"info,boathouse=debug\"\n[http]\nworkers = 3\n",
    )
    .unwrap();
    signal(&child, "-HUP");
    let line = until("settings reloaded").pop().unwrap();
    assert!(
        line.contains("log.filter") && line.contains("http.workers"),
        "{line}"
    );
    std::fs::write(&file, "[htp]\n").unwrap();
    signal(&child, "-HUP");
    let line = until("settings not reloaded").pop().unwrap();
    assert!(
        line.contains("did you mean") && line.contains("nothing was changed"),
        "{line}"
    );
    signal(&child, "-TERM");
    until("drained");
    assert!(child.wait().unwrap().success());
}

#[cfg(unix)]
#[test]
fn systemd_is_told_of_start_reload_life_and_stop() {
    use std::os::unix::net::UnixDatagram;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut server = command();
    server
        .args(["serve", "--port", "0", "--data"])
        .arg(folder.path().join("data"))
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000");
    let mut process = Process::of(&mut server);
    let until = |wanted: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length = socket.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains(wanted) {
                return text;
            }
        }
    };
    assert!(until("READY=1").contains("serving on"));
    until("WATCHDOG=1");
    signal(&process.child, "-HUP");
    assert!(until("RELOADING=1").contains("MONOTONIC_USEC="));
    until("READY=1");
    signal(&process.child, "-TERM");
    until("STOPPING=1");
    assert!(process.child.wait().unwrap().success());
}
