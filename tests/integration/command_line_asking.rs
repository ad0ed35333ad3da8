//! The commands that ask and change a running server.

use serde_json::{Value, json};

use crate::harness::{Process, command, feed};

/// A server with a collection of three points, and commands that ask it.
struct House {
    _folder: tempfile::TempDir,
    _process: Process,
    url: String,
}

impl House {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start(&folder.path().join("data"));
        let url = format!("http://{}", process.address);
        let house = Self {
            _folder: folder,
            _process: process,
            url,
        };
        house.fine(&["collection", "create", "docs", "--field", "lang=keyword"]);
        let points = "{\"id\": \"a\", \"text\": \"The ferry leaves at nine.\", \"payload\": {\"lang\": \"en\"}}\n\n\
                      {\"id\": \"b/1\", \"text\": \"The museum opens at ten.\", \"payload\": {\"lang\": \"en\"}}\n\
                      {\"id\": \"c\", \"text\": \"Das Boot fährt um neun.\", \"payload\": {\"lang\": \"de\"}}\n";
        let (status, shown, said) =
            house.run(&["points", "upsert", "docs", "-"], points.as_bytes());
        assert_eq!(status, Some(0), "{said}");
        assert_eq!(shown, "3 points stored in collection docs\n");
        house
    }

    fn run(&self, arguments: &[&str], stdin: &[u8]) -> (Option<i32>, String, String) {
        let mut command = command();
        command.args(arguments).args(["--url", &self.url]);
        feed(&mut command, stdin)
    }

    /// Runs a command that must succeed; returns stdout.
    fn fine(&self, arguments: &[&str]) -> String {
        let (status, shown, said) = self.run(arguments, b"");
        assert_eq!(status, Some(0), "{arguments:?}: {shown}{said}");
        shown
    }

    /// The same with --json, which prints one document.
    fn json(&self, arguments: &[&str]) -> Value {
        let shown = self.fine(&[arguments, &["--json"]].concat());
        serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{error}: {shown}"))
    }

    /// Runs a command that must fail; returns what it said, and checks that stdout stays empty.
    fn refused(&self, arguments: &[&str], stdin: &[u8], status: i32) -> String {
        let (found, shown, said) = self.run(arguments, stdin);
        assert_eq!(found, Some(status), "{arguments:?}: {said}");
        assert_eq!(shown, "", "{arguments:?}");
        said
    }
}

#[test]
fn collections_are_made_shown_and_removed() {
    let house = House::open();
    let again = house.fine(&["collection", "create", "docs"]);
    assert!(again.contains("is there already"), "{again}");
    house.fine(&["collection", "index-field", "docs", "year", "integer"]);
    let shown = house.json(&["collection", "show", "docs"]);
    assert_eq!(
        shown["fields"],
        json!({"lang": "keyword", "year": "integer"})
    );
    house.fine(&["collection", "drop-index", "docs", "year"]);
    let shown = house.fine(&["collection", "show", "docs"]);
    assert!(
        shown.contains("points") && shown.contains("fields.lang"),
        "{shown}"
    );
    assert!(!shown.contains("fields.year"), "{shown}");

    let own = [
        "collection",
        "create",
        "own",
        "--no-embedder",
        "--dim",
        "3",
        "--metric",
        "l2",
    ];
    assert_eq!(house.json(&own)["embedder"], Value::Null);
    let listed = house.fine(&["collection", "list"]);
    let rows: Vec<&str> = listed.lines().collect();
    assert!(rows[0].starts_with("name"), "{listed}");
    assert!(
        rows[1].starts_with("docs") && rows[2].starts_with("own"),
        "{listed}"
    );

    // Nobody can be asked here.
    let said = house.refused(&["collection", "delete", "own"], b"", 1);
    assert!(said.contains("--yes"), "{said}");
    house.fine(&["collection", "delete", "own", "--yes"]);
    let said = house.refused(&["collection", "show", "own"], b"", 1);
    assert!(said.contains("no collection named own"), "{said}");
    let said = house.refused(&["collection", "show", "dosc"], b"", 1);
    assert!(said.contains("did you mean docs?"), "{said}");
    for wrong in [
        &["collection", "create", "a/b"][..],
        &["collection", "create", "x", "--field", "year=number"],
        &["collection", "create", "x", "--no-embedder"],
    ] {
        house.refused(wrong, b"", 2);
    }
}

#[test]
fn points_are_read_counted_and_deleted() {
    let house = House::open();
    assert_eq!(house.fine(&["points", "count", "docs"]), "3\n");
    let filter = ["points", "count", "docs", "--filter", "{\"lang\": \"de\"}"];
    assert_eq!(house.json(&filter), json!({"count": 1}));
    let point = house.json(&["points", "get", "docs", "b/1"]);
    assert_eq!(point["text"], "The museum opens at ten.");

    let (_, page, said) = house.run(&["points", "scroll", "docs", "--limit", "2", "--json"], b"");
    assert_eq!(page.lines().count(), 2, "{page}");
    assert!(said.contains("--after b/1"), "{said}");
    let rest = house.fine(&["points", "scroll", "docs", "--after", "b/1", "--json"]);
    let rest: Value = serde_json::from_str(&rest).unwrap();
    assert_eq!(rest["id"], "c");
    let all = house.fine(&["points", "scroll", "docs", "--all"]);
    assert_eq!(all.lines().count(), 4, "{all}");

    // What is wrong with a file is told before anything is sent.
    let half = b"{\"id\": \"d\", \"text\": \"x\"}\n{\"id\": ";
    let said = house.refused(&["points", "upsert", "docs", "-"], half, 1);
    assert!(said.contains("line 2 is no JSON"), "{said}");
    assert_eq!(house.fine(&["points", "count", "docs"]), "3\n");
    for (stdin, says) in [(&b""[..], "no points"), (b"{\"id\": \"\xff\"}", "no UTF-8")] {
        let said = house.refused(&["points", "upsert", "docs", "-"], stdin, 1);
        assert!(said.contains(says), "{said}");
    }

    let said = house.refused(
        &["points", "delete", "docs", "--filter", "{\"lang\": \"en\"}"],
        b"",
        1,
    );
    assert!(said.contains("--yes"), "{said}");
    assert_eq!(
        house.json(&["points", "delete", "docs", "a"]),
        json!({"deleted": 1})
    );
    let rest = [
        "points",
        "delete",
        "docs",
        "--filter",
        "{\"lang\": \"en\"}",
        "--yes",
    ];
    assert_eq!(house.json(&rest), json!({"deleted": 1}));
    assert_eq!(house.fine(&["points", "count", "docs"]), "1\n");
}

#[test]
fn searches_are_asked_in_every_way() {
    let house = House::open();
    let shown = house.fine(&["search", "docs", "when does the ferry leave?", "--explain"]);
    assert!(shown.lines().next().unwrap().ends_with("  a"), "{shown}");
    assert!(
        shown.contains("The ferry leaves at nine.") && shown.contains("lang=en"),
        "{shown}"
    );
    assert!(shown.contains("plan.path"), "{shown}");
    let found = house.json(&[
        "search",
        "docs",
        "boat",
        "--filter",
        "{\"lang\": \"de\"}",
        "-k",
        "2",
    ]);
    assert_eq!(found["hits"].as_array().unwrap().len(), 1);
    let grouped = house.json(&["search", "docs", "at nine", "--group-by", "lang"]);
    assert_eq!(grouped["groups"].as_array().unwrap().len(), 2);
    let (status, shown, _) = house.run(&["search", "docs", "-", "--json"], b"the ferry\n");
    assert_eq!(status, Some(0));
    assert!(shown.contains("\"hits\""), "{shown}");

    let vector = house.json(&["points", "get", "docs", "c"])["vector"].to_string();
    let found = house.json(&["search", "docs", "--vector", &vector]);
    assert_eq!(found["hits"][0]["id"], "c");
    let found = house.json(&["recommend", "docs", "a", "--unlike", "c"]);
    assert_eq!(found["hits"][0]["id"], "b/1");

    let (status, shown, said) = house.run(
        &["search", "docs", "--each", "-", "--json"],
        b"the ferry\n\nthe museum\n",
    );
    assert_eq!(status, Some(0), "{said}");
    let best: Vec<Value> = shown
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["hits"][0]["id"].clone())
        .collect();
    assert_eq!(best, ["a", "b/1"]);

    for (arguments, says) in [
        (
            &["search", "docs", "x", "--filter", "{lang}"][..],
            "the filter is no JSON",
        ),
        (
            &["search", "docs", "x", "--filter", "@/nonexistent.json"],
            "/nonexistent.json",
        ),
        (
            &[
                "search",
                "docs",
                "x",
                "--filter",
                "{\"lang\": {\"$near\": 1}}",
            ],
            "$near",
        ),
        (&["search", "docs", "--each", "-"], "no question"),
        (&["search", "doc", "x"], "did you mean docs?"),
    ] {
        let said = house.refused(arguments, b"", 1);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn a_question_is_answered_with_citations() {
    let house = House::open();
    let ask = [
        "chat",
        "When does the ferry leave?",
        "--collection",
        "docs",
        "--model",
        "extractive",
    ];
    let (status, shown, said) = house.run(&ask, b"");
    assert_eq!(status, Some(0), "{said}");
    assert!(
        shown.contains("leaves at nine") && shown.contains("\n[1] a  "),
        "{shown}"
    );
    assert!(said.starts_with("id chatcmpl-"), "{said}");
    let whole = house.json(&ask);
    assert_eq!(whole["choices"][0]["message"]["annotations"][0]["id"], "a");
    // What is piped in is the question.
    let (status, shown, said) = house.run(&["chat", "--collection", "docs"], b"the museum?\n");
    assert_eq!(status, Some(0), "{said}");
    assert!(shown.contains("museum"), "{shown}");
    for (arguments, stdin, says) in [
        (&["chat", "-"][..], &b" \n"[..], "the question is empty"),
        (&["chat", "-"], b"\xff", "no UTF-8"),
        (
            &["chat", "x", "--model", "extractiv"],
            b"",
            "did you mean extractive?",
        ),
        (
            &["chat", "x", "--collection", "nodocs"],
            b"",
            "no collection named nodocs",
        ),
    ] {
        let said = house.refused(arguments, stdin, 1);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn texts_become_vectors_a_line_each() {
    let house = House::open();
    let two = house.fine(&["embed", "a boat", "a ship", "--dimensions", "4"]);
    let vectors: Vec<Vec<f64>> = two
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((vectors.len(), vectors[0].len()), (2, 4));
    let texts = "a boat\n".repeat(300);
    let (status, many, said) =
        house.run(&["embed", "--dimensions", "4", "--json"], texts.as_bytes());
    assert_eq!(status, Some(0), "{said}");
    let last: Value = serde_json::from_str(many.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["index"], &last["text"]),
        (&json!(299), &json!("a boat"))
    );
    assert_eq!(last["embedding"], json!(vectors[0]));
    let encoded = house.fine(&["embed", "a boat", "--dimensions", "4", "--base64"]);
    assert_eq!(encoded.trim().len(), 24, "{encoded}");
    assert!(house.refused(&["embed"], b"\n", 1).contains("no text"));
    let said = house.refused(&["embed", "x", "--model", "static-minlm"], b"", 1);
    assert!(said.contains("did you mean static-minilm?"), "{said}");
}

#[test]
fn models_usage_validators_and_jobs_are_shown() {
    let house = House::open();
    let models = house.fine(&["models", "served"]);
    assert!(
        models.contains("static-minilm") && models.contains("extractive"),
        "{models}"
    );
    assert_eq!(
        house.json(&["models", "served", "static-minilm"])["dim"],
        256
    );
    house.fine(&["chat", "x", "--collection", "docs"]);
    let usage = house.json(&["usage"]);
    assert_eq!(usage["total"]["requests"], 1);
    let table = house.fine(&["usage", "--by", "key"]);
    assert!(
        table.contains("anonymous") && table.lines().last().unwrap().starts_with("total"),
        "{table}"
    );
    let said = house.refused(&["usage", "--from", "May"], b"", 1);
    assert!(said.contains("is no day"), "{said}");

    let kinds = house.fine(&["validators", "list"]);
    assert!(kinds.contains("email") && kinds.contains("fill"), "{kinds}");
    let rules = house.fine(&["validators", "list", "--rules", "email"]);
    assert!(rules.contains("email.pii"), "{rules}");
    house.fine(&["validators", "reload"]);
    let said = house.refused(&["validate", "emial", "-"], b"{}", 1);
    assert!(said.contains("did you mean email?"), "{said}");

    assert_eq!(house.fine(&["jobs", "list"]), "nothing is under way\n");
    house.refused(&["jobs", "cancel", "datasets"], b"", 1);
    let said = house.refused(&["review", "show", "nothing"], b"", 1);
    assert!(said.contains("materialize first"), "{said}");
}

#[test]
fn supervision_is_steered() {
    let house = House::open();
    assert_eq!(
        house.json(&["supervisors", "restart", "embedding"]),
        json!({"restarted": "embedding"})
    );
    let tree = house.json(&["tree"]);
    assert_eq!(tree["id"], "root");
    assert_eq!(
        house.fine(&["supervisors", "dead-letters"]),
        "no request is refused\n"
    );
    house.fine(&["supervisors", "reload"]);
    let said = house.refused(&["supervisors", "release", "0123"], b"", 1);
    assert!(said.contains("no dead letter 0123"), "{said}");
    let said = house.refused(&["supervisors", "restart", "nobody"], b"", 1);
    assert!(said.contains("404"), "{said}");
}

#[test]
fn any_route_can_be_asked() {
    let house = House::open();
    let document: Value =
        serde_json::from_str(&house.fine(&["api", "get", "/openapi.json"])).unwrap();
    assert!(document["paths"]["/v1/embeddings"].is_object());
    let metrics = house.fine(&["api", "GET", "/metrics"]);
    assert!(metrics.contains("# TYPE"), "{metrics}");
    let (status, shown, said) = house.run(
        &["api", "post", "/v1/embeddings", "-"],
        b"{\"input\": \"a boat\"}",
    );
    assert_eq!(status, Some(0), "{said}");
    assert!(shown.contains("\"embedding\""), "{shown}");
    let (status, shown, said) = house.run(&["api", "get", "/v1/nothing"], b"");
    assert_eq!(status, Some(1));
    assert!(
        shown.contains("no route") && said.contains("answered 404"),
        "{shown}{said}"
    );
    house.refused(&["api", "get", "v1/models"], b"", 2);
    house.refused(&["api", "post", "/v1/embeddings", "{"], b"", 1);
}
