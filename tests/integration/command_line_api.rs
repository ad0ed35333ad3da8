//! The tables of docs/CLI.md that say which command asks which operation, against a server and its own description.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Api, Process, command, feed};

const REFERENCE: &str = include_str!("../../docs/CLI.md");

/// The rows of a table, as written, by the start of its head.
fn rows(head: &str) -> Vec<(&'static str, &'static str)> {
    let at = REFERENCE.find(&format!("\n| {head}")).unwrap();
    let table = REFERENCE[at + 1..].lines().skip(2);
    let table = table.take_while(|line| line.starts_with('|'));
    table
        .map(|line| {
            let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
            let (first, second) = (cells.next().unwrap(), cells.next().unwrap());
            (first.trim_matches('`'), second.trim_matches('`'))
        })
        .collect()
}

/// An operation of the served description.
struct Operation {
    id: String,
    method: String,
    path: String,
}

impl Operation {
    fn all(document: &Value) -> Vec<Self> {
        let mut all = Vec::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, described) in operations.as_object().unwrap() {
                all.push(Self {
                    id: described["operationId"].as_str().unwrap().to_owned(),
                    method: method.to_ascii_uppercase(),
                    path: path.clone(),
                });
            }
        }
        all
    }

    /// Whether a request asked it.
    fn is_of(&self, method: &str, path: &str) -> bool {
        let (wanted, found) = (self.path.split('/'), path.split('/'));
        let part = |(wanted, found): (&str, &str)| wanted == found || wanted.starts_with('{');
        self.method == method
            && wanted.clone().count() == found.clone().count()
            && wanted.zip(found).all(part)
    }
}

/// Files that the commands name.
fn lay_out(folder: &Path) {
    let conversations = include_str!("../data/import/openai.jsonl");
    for (name, text) in [
        (
            "points.jsonl",
            "{\"id\": \"a\", \"text\": \"a boat\", \"payload\": {\"year\": 1}}\n",
        ),
        ("questions.txt", "a boat\na ship\n"),
        (
            "draft.json",
            "{\"to\": \"a@example.com\", \"subject\": \"Hello\", \"body\": \"The boat is ready.\"}",
        ),
        ("conversations.jsonl", conversations),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// Method and path of the requests that the server's log tells of.
fn asked(log: &str) -> Vec<(String, String)> {
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told = lines.filter(|line| line["fields"]["message"] == "request answered");
    told.map(|line| {
        let field = |name: &str| line["fields"][name].as_str().unwrap().to_owned();
        (field("method"), field("path"))
    })
    .collect()
}

#[test]
fn every_operation_has_a_command_that_asks_it_or_a_reason_to_have_none() {
    let folder = tempfile::tempdir().unwrap();
    lay_out(folder.path());
    let log = folder.path().join("log");
    let mut server = command();
    server
        .env("BOATHOUSE__LOG__FORMAT", "json")
        .env("BOATHOUSE__LOG__FILTER", "off,boathouse::api=debug")
        .args(["serve", "--port", "0", "--data"])
        .arg(folder.path().join("data"));
    let server = Process::logging(&mut server, std::fs::File::create(&log).unwrap());
    let document = actix_web::rt::System::new()
        .block_on(async { Api::new(server.address).get("/openapi.json").await.json() });
    let operations = Operation::all(&document);

    let (commands, without) = (rows("operation | command"), rows("operation without"));
    let mut listed = BTreeSet::new();
    for (id, _) in commands.iter().chain(&without) {
        assert!(listed.insert(*id), "{id} is listed twice");
    }
    let served: BTreeSet<&str> = operations.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(
        listed, served,
        "src/cli/operations.rs, and then docs/CLI.md"
    );

    let mut seen = asked(&std::fs::read_to_string(&log).unwrap()).len();
    for (id, line) in commands {
        let mut asking = command();
        asking
            .args(line.split(' ').skip(1))
            .current_dir(folder.path())
            .env("BOATHOUSE__HTTP__PORT", server.address.port().to_string());
        // Whether it succeeds is for other tests.
        let (_, shown, said) = feed(
            &mut asking,
            b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"ping\"}\n",
        );
        let all = asked(&std::fs::read_to_string(&log).unwrap());
        let operation = operations.iter().find(|one| one.id == id).unwrap();
        let own = &all[seen..];
        let hit = own
            .iter()
            .any(|(method, path)| operation.is_of(method, path));
        assert!(hit, "`{line}` does not ask {id}: {own:?}\n{shown}{said}");
        seen = all.len();
    }
}
