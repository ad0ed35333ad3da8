//! Commands on a data folder that no server has, and what they say when one has it.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Process, command, feed, finish};

/// Runs a command on a data folder.
fn on(data: &Path, arguments: &[&str], stdin: &str) -> (Option<i32>, String, String) {
    let mut command = command();
    command.args(arguments).arg("--data").arg(data);
    feed(&mut command, stdin.as_bytes())
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn a_folder_is_worked_on_without_a_server_and_a_server_finds_it_all() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (status, shown, said) = on(&data, &["collection", "create", "docs"], "");
    assert_eq!(status, Some(0), "{said}");
    assert!(shown.starts_with("docs: made; 256 dimensions"), "{shown}");
    assert_eq!(said, "");

    let points = "{\"id\": \"a\", \"text\": \"The ferry leaves at nine.\", \"payload\": {\"lang\": \"en\"}}\n\
                  {\"id\": \"b\", \"text\": \"The museum opens at ten.\"}\n";
    let (status, shown, said) = on(&data, &["points", "upsert", "docs", "-", "--json"], points);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(lines(&shown), [serde_json::json!({"upserted": 2})]);

    let question = ["search", "docs", "when does the ferry leave?", "--json"];
    let (status, offline, said) = on(&data, &question, "");
    assert_eq!(status, Some(0), "{said}");
    let offline = &lines(&offline)[0];
    assert_eq!(offline["hits"][0]["id"], "a");

    // The same of a server on the folder, found by the folder although its port is any.
    let server = Process::start(&data);
    let (status, online, said) = on(&data, &question, "");
    assert_eq!((status, said.as_str()), (Some(0), ""));
    let online = &lines(&online)[0];
    assert_eq!(online["hits"], offline["hits"]);
    // Both searches are in the journal, and nothing was lost between.
    let (status, journal, said) = on(&data, &["evidence", "list", "--json"], "");
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(lines(&journal).len(), 2, "{journal}");
    drop(server);

    let (status, sound, said) = on(&data, &["audit"], "");
    assert_eq!(status, Some(0), "{sound}{said}");
    let (status, shown, _) = on(&data, &["collection", "list", "--json", "--offline"], "");
    assert_eq!(status, Some(0));
    assert_eq!(lines(&shown)[0]["collections"][0]["points"], 2);
}

#[test]
fn offline_says_who_has_the_folder_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path());
    let (status, shown, said) = on(
        folder.path(),
        &["collection", "create", "docs", "--offline"],
        "",
    );
    assert_eq!((status, shown.as_str()), (Some(1), ""));
    for part in [
        "in use by another boathouse process".to_owned(),
        format!("pid {}", server.child.id()),
        format!("http://{}", server.address),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
    let (_, shown, _) = on(folder.path(), &["collection", "list", "--json"], "");
    assert_eq!(lines(&shown)[0]["collections"], serde_json::json!([]));
    // --url and --offline contradict each other.
    let (status, _, said) = on(
        folder.path(),
        &["collection", "list", "--offline", "--url", "http://x"],
        "",
    );
    assert_eq!(status, Some(2), "{said}");
}

#[test]
fn without_server_and_folder_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let mut listing = command();
    listing
        .current_dir(folder.path())
        .args(["collection", "list", "--json", "--port", &port]);
    let (status, shown, said) = finish(&mut listing);
    assert_eq!((status, shown.as_str()), (Some(1), ""));
    assert!(
        said.contains("nobody serves") && said.contains("there is no data folder"),
        "{said}"
    );
    assert!(!folder.path().join("data").exists());

    // With the folder of the settings there, it is opened, and stderr says so.
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let (status, shown, said) = finish(&mut listing);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(lines(&shown)[0]["collections"], serde_json::json!([]));
    assert!(said.contains("without a server"), "{said}");
}

#[test]
fn commands_at_the_same_time_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, said) = on(folder.path(), &["collection", "create", "docs"], "");
    assert_eq!(status, Some(0), "{said}");
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..3)
            .map(|number| {
                let data = folder.path();
                scope.spawn(move || {
                    let point = format!("{{\"id\": {number}, \"text\": \"a boat\"}}");
                    on(data, &["points", "upsert", "docs", "-"], &point)
                })
            })
            .collect();
        for one in all {
            let (status, _, said) = one.join().unwrap();
            assert_eq!(status, Some(0), "{said}");
        }
    });
    let (_, counted, _) = on(folder.path(), &["points", "count", "docs"], "");
    assert_eq!(counted, "3\n");
}

#[test]
fn a_conversation_and_its_evidence_need_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let notes = folder.path().join("notes.md");
    std::fs::write(&notes, "# Ferry\nThe ferry to the island leaves at nine.\n").unwrap();
    let (status, shown, said) = on(&data, &["ingest", notes.to_str().unwrap(), "--json"], "");
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(lines(&shown)[0]["stored"], 1);

    let ask = ["chat", "-", "--collection", "docs", "--model", "extractive"];
    let (status, shown, said) = on(&data, &ask, "When does the ferry leave?\n");
    assert_eq!(status, Some(0), "{said}");
    assert!(
        shown.contains("leaves at nine") && shown.contains("[1] "),
        "{shown}"
    );
    let id = said
        .lines()
        .find_map(|line| line.strip_prefix("id "))
        .unwrap();
    let judged = ["feedback", id, "accepted", "--json"];
    let (status, shown, said) = on(&data, &judged, "");
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(lines(&shown)[0]["seq"], 2);
    let (status, shown, said) = on(&data, &["materialize"], "");
    assert_eq!(status, Some(0), "{said}");
    assert!(shown.contains("1 accepted"), "{shown}");
    let (status, shown, said) = on(&data, &["usage", "--by", "model"], "");
    assert_eq!(status, Some(0), "{said}");
    assert!(shown.contains("extractive"), "{shown}");
}

#[test]
fn who_has_the_folder_needs_no_key_of_it_and_a_server_wants_one() {
    let folder = tempfile::tempdir().unwrap();
    let make = ["keys", "new", "app", "--scope", "read"];
    let (status, key, said) = on(folder.path(), &make, "");
    assert_eq!(status, Some(0), "{said}");
    let (status, _, said) = on(folder.path(), &["collection", "create", "docs"], "");
    assert_eq!(status, Some(0), "{said}");
    let (_, keys, _) = on(folder.path(), &["keys", "list", "--json"], "");
    let keys: Value = serde_json::from_str(&keys).unwrap();
    assert_eq!(keys.as_array().unwrap().len(), 1, "the own key is kept");

    let _server = Process::start(folder.path());
    let list = ["collection", "list", "--json"];
    let (status, _, said) = on(folder.path(), &list, "");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("401"), "{said}");
    let mut listing = command();
    listing.args(list).arg("--data").arg(folder.path());
    listing.env("BOATHOUSE_API_KEY", key.trim());
    let (status, shown, said) = finish(&mut listing);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(lines(&shown)[0]["collections"][0]["name"], "docs");
}
