//! Conversations of other systems, by the command line and over HTTP.

use std::path::{Path, PathBuf};

use boathouse::types::http::Method;
use serde_json::{Value, json};

use crate::harness::{Api, Process, command, finish, serve, serve_with, settings, tasks_of};

fn conversation(id: &str, question: &str, answer: &str) -> Value {
    json!({
        "id": id, "ts": 1_766_000_068_284_u64, "model": "m", "answered_by": "up/m", "finish_reason": "stop",
        "messages": [{"role": "user", "content": question}], "answer": answer,
        "usage": {"prompt_tokens": 3, "completion_tokens": 2}, "cost_usd": 0.5, "tags": ["prod"],
    })
}

async fn import(api: &Api, source: &str, conversations: Value) -> Value {
    let body = json!({"source": source, "conversations": conversations});
    api.ok("/v1/evidence/import", body).await
}

async fn head(api: &Api) -> u64 {
    let head = api.get("/v1/evidence/head").await.json();
    head["seq"].as_u64().unwrap()
}

/// The rows of an export of what is in the journal now.
async fn sft(api: &Api) -> Vec<Value> {
    api.ok("/v1/materialize", json!({})).await;
    let export = api.ok("/v1/exports", json!({"kind": "sft"})).await;
    let data = Path::new(export["path"].as_str().unwrap()).join("data");
    let mut rows = Vec::new();
    for name in ["train.jsonl", "test.jsonl"] {
        let text = std::fs::read_to_string(data.join(name)).unwrap_or_default();
        rows.extend(
            text.lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()),
        );
    }
    rows
}

#[test]
fn what_is_imported_with_a_good_score_becomes_training_data() {
    serve(async |api| {
        let mut good = conversation("1", "When does the ferry leave?", "At nine.");
        good["feedback"] = json!({"rating": "accepted", "score": 0.9, "comment": "right"});
        good["scores"] = json!([{"name": "quality", "value": 9}]);
        let mut bad = conversation("2", "Where is the museum?", "I do not know.");
        bad["feedback"] = json!({"rating": "rejected"});
        let open = conversation("3", "Who are you?", "A clerk.");
        let told = import(&api, "old-house", json!([good, bad, open])).await;
        assert_eq!(
            told,
            json!({"imported": 3, "known": 0, "feedback": 2, "refused": []})
        );
        let receipt = api.ok("/v1/materialize", json!({})).await;
        assert_eq!(
            receipt["outcomes"],
            json!({"accepted": 1, "needs_review": 1, "partially_accepted": 0, "rejected": 1})
        );
        let tasks = tasks_of(&receipt);
        let task: Value = serde_json::from_str(tasks.lines().next().unwrap()).unwrap();
        // When it was there stands beside when it came here.
        assert_eq!(
            task["imported"],
            json!({"source": "old-house", "id": "1", "ts": 1_766_000_068_284_u64, "tags": ["prod"],
                   "scores": [{"name": "quality", "value": 9.0}]})
        );
        assert!(task["ts"].as_u64().unwrap() > 1_766_000_068_284);
        let rows = sft(&api).await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(rows[0]["messages"][1]["content"], "At nine.");
        // It was paid elsewhere.
        let usage = api.get("/v1/usage").await.json();
        assert_eq!(usage["total"]["requests"], 0, "{usage}");
    });
}

#[test]
fn the_same_source_and_id_come_in_once_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let both = || {
        let mut one = conversation("1", "q", "a");
        one["feedback"] = json!({"rating": "accepted"});
        json!([
            one,
            conversation("2", "r", "b"),
            conversation("2", "r", "b")
        ])
    };
    serve_with(settings(folder.path()), async |api| {
        let told = import(&api, "s", both()).await;
        assert_eq!((&told["imported"], &told["known"]), (&json!(2), &json!(1)));
        let seq = head(&api).await;
        let again = import(&api, "s", both()).await;
        assert_eq!(
            again,
            json!({"imported": 0, "known": 3, "feedback": 0, "refused": []})
        );
        assert_eq!(head(&api).await, seq, "nothing was written");
    });
    serve_with(settings(folder.path()), async |api| {
        let seq = head(&api).await;
        let again = import(&api, "s", both()).await;
        assert_eq!(
            (&again["imported"], &again["feedback"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(head(&api).await, seq);
        // Another source is another conversation; a new word on a known one comes in alone.
        assert_eq!(import(&api, "t", both()).await["imported"], 2);
        let mut judged = conversation("1", "q", "a");
        judged["feedback"] = json!({"rating": "rejected"});
        let told = import(&api, "s", json!([judged])).await;
        assert_eq!(
            told,
            json!({"imported": 0, "known": 1, "feedback": 1, "refused": []})
        );
        let receipt = api.ok("/v1/materialize", json!({})).await;
        assert_eq!(receipt["counts"]["tasks"], 4, "{receipt}");
        assert_eq!(receipt["counts"]["duplicates"], 0, "{receipt}");
        assert_eq!(receipt["outcomes"]["rejected"], 1, "{receipt}");
    });
}

#[test]
fn two_imports_of_the_same_at_once_add_it_once() {
    serve(async |api| {
        let all: Vec<Value> = (0..100)
            .map(|at| conversation(&at.to_string(), "q", "a"))
            .collect();
        let all = Value::from(all);
        let (one, two) = futures_util::future::join(
            import(&api, "s", all.clone()),
            import(&api, "s", all.clone()),
        )
        .await;
        let count = |told: &Value| told["imported"].as_u64().unwrap();
        assert_eq!(count(&one) + count(&two), 100);
        assert_eq!(head(&api).await, 100);
    });
}

#[test]
fn an_id_that_a_client_chose_hides_no_conversation() {
    serve(async |api| {
        let told = import(&api, "s", json!([conversation("1", "q", "a")])).await;
        assert_eq!(told["imported"], 1);
        let receipt = api.ok("/v1/materialize", json!({})).await;
        let task = tasks_of(&receipt);
        let task: Value = serde_json::from_str(task.lines().next().unwrap()).unwrap();
        let id = task["id"].as_str().unwrap().to_owned();
        // A server of its own, where the id was used before.
        serve_other(&id);
    });

    fn serve_other(id: &str) {
        let id = id.to_owned();
        std::thread::spawn(move || {
            serve(async |api| {
                let body = json!({"target": "x", "rating": "accepted"}).to_string();
                api.send_as(Some(&id), Method::Post, "/v1/feedback", body)
                    .await;
                let told = import(&api, "s", json!([conversation("1", "q", "a")])).await;
                assert_eq!(told["imported"], 1, "{told}");
            });
        })
        .join()
        .unwrap();
    }
}

#[test]
fn what_cannot_be_recorded_is_refused_alone_and_the_whole_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.evidence.max_record_bytes = 4_096;
    serve_with(settings, async |api| {
        let with = |name: &str, value: Value| {
            let mut one = conversation(name, "q", "a");
            one[name] = value;
            one["id"] = name.into();
            one
        };
        let mut judged = conversation("judged", "q", "a");
        judged["feedback"] = json!({"rating": "accepted", "comment": "x".repeat(5_000)});
        let told = import(
            &api,
            "s",
            json!([
                conversation("good", "q", "a"),
                conversation("large", &"x".repeat(5_000), "a"),
                judged,
                with("messages", json!([])),
                with("messages", json!([{"content": "x"}])),
                with("answer", json!(" ")),
                with("cost_usd", json!(-1)),
                conversation("", "q", "a"),
            ]),
        )
        .await;
        assert_eq!(
            (&told["imported"], &told["feedback"]),
            (&json!(1), &json!(0))
        );
        let refused: Vec<(u64, &str)> = told["refused"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (
                    one["index"].as_u64().unwrap(),
                    one["reason"].as_str().unwrap(),
                )
            })
            .collect();
        let expected = [
            (1, "larger than max_record_bytes = 4096"),
            (2, "larger than max_record_bytes = 4096"),
            (3, "messages must not be empty"),
            (4, "messages[0] has no role"),
            (5, "neither an answer nor a tool call"),
            (6, "cost_usd must not be negative"),
            (7, "id must be 1 to 1024 bytes, got 0"),
        ];
        for ((at, reason), (index, part)) in refused.iter().zip(expected) {
            assert!(
                *at == index && reason.contains(part),
                "{at} {reason}: {part}"
            );
        }
        assert_eq!(refused.len(), expected.len());
        assert_eq!(
            head(&api).await,
            1,
            "a judgement that is too large keeps its answer out"
        );
        let all = |source: &str, list: Value| json!({"source": source, "conversations": list});
        for (body, part) in [
            (
                all("", json!([conversation("1", "q", "a")])),
                "source must be 1 to 64",
            ),
            (
                all("a b", json!([conversation("1", "q", "a")])),
                "source must be 1 to 64",
            ),
            (
                all("s", json!([])),
                "conversations must be 1 to 1000, got 0",
            ),
            (all("s", json!([{"id": "1"}])), "missing field `messages`"),
            (
                all("s", json!([{"id": "1", "messages": [], "anser": ""}])),
                "unknown field `anser`",
            ),
        ] {
            let answer = api.post("/v1/evidence/import", body).await;
            assert_eq!(answer.status, 400, "{}", answer.text());
            assert!(answer.text().contains(part), "{part}: {}", answer.text());
        }
    });
}

#[test]
fn what_was_erased_does_not_come_in_again() {
    let folder = tempfile::tempdir().unwrap();
    let both = || {
        let mut ann = conversation("1", "Where do I live?", "At the harbour.");
        ann["user"] = "ann".into();
        ann["feedback"] = json!({"rating": "accepted"});
        json!([ann, conversation("2", "q", "a")])
    };
    serve_with(settings(folder.path()), async |api| {
        assert_eq!(import(&api, "s", both()).await["imported"], 2);
        let asked = json!({"user": "ann", "reason": "request 17"});
        let done = api.ok("/v1/evidence/erase", asked).await;
        assert_eq!(done["kinds"], json!({"chat": 1, "feedback": 1}), "{done}");
    });
    // A process that has seen none of it.
    serve_with(settings(folder.path()), async |api| {
        let told = import(&api, "s", both()).await;
        assert_eq!(
            told,
            json!({"imported": 0, "known": 2, "feedback": 0, "refused": []})
        );
        assert!(!api.get("/v1/evidence").await.text().contains("harbour"));
    });
}

/// A server as a process, and a folder for files.
struct Place {
    folder: tempfile::TempDir,
    process: Process,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start(&folder.path().join("data"));
        Self { folder, process }
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn import(&self, file: &Path, more: &[&str]) -> (Option<i32>, String, String) {
        let url = format!("http://{}", self.process.address);
        let mut command = command();
        let command = command.arg("import").arg(file).args(more);
        finish(command.args(["--url", &url]))
    }

    fn ask<T>(&self, test: impl AsyncFnOnce(Api) -> T) -> T {
        let api = Api::new(self.process.address);
        actix_web::rt::System::new().block_on(test(api))
    }
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/import")
        .join(name)
}

#[test]
fn the_command_imports_every_kind_of_file_once_and_names_what_does_not_map() {
    let place = Place::new();
    for (file, map, imported, named) in [
        (
            "openai.jsonl",
            "openai",
            8,
            vec!["line 10: no answer", "line 11: no messages"],
        ),
        ("litellm.jsonl", "litellm", 2, vec!["line 3: no messages"]),
        (
            "langfuse.jsonl",
            "langfuse",
            4,
            vec!["line 6: no messages", "line 7: the score \"rating\" is 4"],
        ),
        (
            "sharegpt.json",
            "sharegpt",
            4,
            vec![
                "line 24: no answer",
                "line 25: /conversations: message 0 has the role",
            ],
        ),
    ] {
        let (status, said, told) = place.import(&sample(file), &["--map", map]);
        let all = format!("{said}{told}");
        assert_eq!(status, Some(1), "{all}");
        assert!(
            said.contains(&format!("{imported} conversations of {map} imported")),
            "{all}"
        );
        for part in named {
            assert!(told.contains(part), "{part}: {all}");
        }
        let (_, said, _) = place.import(&sample(file), &["--map", map]);
        assert!(
            said.contains(&format!(
                "0 conversations of {map} imported with 0 judgements, {imported} there already"
            )),
            "{said}"
        );
    }
    place.ask(async |api| {
        let rows = sft(&api).await;
        let answers: Vec<&str> = rows
            .iter()
            .map(|row| {
                let messages = row["messages"].as_array().unwrap();
                messages.last().unwrap()["content"].as_str().unwrap()
            })
            .collect();
        // One of each with a good score: OpenAI, LiteLLM and Langfuse.
        assert_eq!(rows.len(), 3, "{answers:?}");
        for answer in ["At nine.", "hi", "Hello! How can I assist you today?"] {
            assert!(answers.contains(&answer), "{answer}: {answers:?}");
        }
    });
}

#[test]
fn a_dry_run_shows_and_sends_nothing() {
    let place = Place::new();
    let (status, said, told) =
        place.import(&sample("litellm.jsonl"), &["--map", "litellm", "--dry-run"]);
    assert_eq!(status, Some(1));
    assert!(
        said.contains("\"id\": \"chatcmpl-2299b6a2\"") && said.contains("\"rating\": \"accepted\""),
        "{said}"
    );
    assert!(
        said.contains("5 lines, 2 conversations of litellm; 2 left out as something else"),
        "{said}"
    );
    assert!(
        told.contains("1 of 5 lines could not be imported"),
        "{told}"
    );
    assert_eq!(place.ask(async |api| head(&api).await), 0);
}

#[test]
fn a_map_of_ones_own_and_a_source_of_ones_own() {
    let place = Place::new();
    let map = place.file(
        "map.toml",
        "version = 1\n[fields]\nid = \"/n\"\nmessages = \"/q\"\nanswer = \"/a\"\n[defaults]\nfinish_reason = \"stop\"\n\
         [feedback]\nscores = \"/stars\"\n[[feedback.rules]]\nscale = [1, 5]\naccept = 4\nreject = 2\n",
    );
    let file = place.file(
        "file.jsonl",
        "{\"n\": 1, \"q\": \"one?\", \"a\": \"one\", \"stars\": 5}\n{\"n\": 2, \"q\": \"two?\", \"a\": \"two\", \"stars\": 1}\n",
    );
    let map = map.to_str().unwrap();
    let (status, _, told) = place.import(&file, &["--map", map]);
    assert_eq!(status, Some(1));
    assert!(told.contains("give one with --source"), "{told}");
    let (status, said, told) = place.import(&file, &["--map", map, "--source", "stars"]);
    assert_eq!(status, Some(0), "{said}{told}");
    assert!(
        said.contains("2 conversations of stars imported with 2 judgements"),
        "{said}"
    );
    let (status, _, told) = place.import(&file, &["--map", map, "--source", "two words"]);
    assert_eq!(status, Some(1));
    assert!(told.contains("source must be 1 to 64"), "{told}");
    place.ask(async |api| assert_eq!(sft(&api).await.len(), 1));
}

#[test]
fn wrong_maps_and_files_are_told_before_anything_is_sent() {
    let place = Place::new();
    let file = place.file(
        "file.jsonl",
        "{\"messages\": \"q\", \"completion\": \"a\"}\n",
    );
    let bad = place.file("bad.toml", "version = 1\n[fields]\nmesages = \"/m\"\n");
    let none = place.file("none.jsonl", "\n\n");
    let gone = place.folder.path().join("gone.jsonl");
    for (file, map, part) in [
        (
            &file,
            bad.to_str().unwrap(),
            "fields.mesages: unknown key; did you mean messages?",
        ),
        (
            &file,
            "openia",
            "a map is a file, or one of langfuse, litellm, openai, sharegpt",
        ),
        (&none, "openai", "nothing to import"),
        (&gone, "openai", "gone.jsonl: "),
    ] {
        let (status, said, told) = place.import(file, &["--map", map]);
        assert_eq!(status, Some(1), "{said}");
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(place.ask(async |api| head(&api).await), 0);
}

#[test]
fn hostile_lines_cost_themselves_alone() {
    let place = Place::new();
    let mut text = b"{\"id\": \"\xff\"}\n".to_vec();
    let deep = format!(
        "{{\"messages\": \"q\", \"completion\": \"a\", \"tools\": {}{}}}\n",
        "[".repeat(125),
        "]".repeat(125)
    );
    text.extend_from_slice(deep.as_bytes());
    text.extend_from_slice(
        b"{\"messages\": \"q\"\n{\"messages\": \"q\", \"completion\": \"a\"}\n7\n",
    );
    let large = format!(
        "{{\"messages\": \"q\", \"completion\": \"{}\"}}\n",
        "x".repeat(40 << 20)
    );
    text.extend_from_slice(large.as_bytes());
    let file = place.file("file.jsonl", text);
    let (status, said, told) = place.import(&file, &["--map", "openai"]);
    assert_eq!(status, Some(1));
    assert!(
        said.contains("1 conversation of openai imported"),
        "{said}{told}"
    );
    for part in [
        "line 1: not UTF-8: bad byte at 9",
        "line 2: ",
        "line 3: not JSON: EOF",
        "line 5: a number, not a JSON object",
        "line 6: the body is larger than http.max_body_bytes",
        "5 of 6 lines could not be imported",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn an_import_that_was_ended_in_the_middle_goes_on() {
    let place = Place::new();
    let lines = |count: usize| {
        let line =
            |at| format!("{{\"id\": \"{at}\", \"prompt\": \"q{at}\", \"completion\": \"a\"}}\n");
        (0..count).map(line).collect::<String>()
    };
    // The first half of the file came in, the command was ended, and is given again.
    let half = place.file("half.jsonl", lines(450));
    place.import(&half, &["--map", "openai"]);
    let whole = place.file("whole.jsonl", lines(1_000));
    let (status, said, _) = place.import(&whole, &["--map", "openai"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("550 conversations of openai imported with 0 judgements, 450 there already"),
        "{said}"
    );
    assert_eq!(place.ask(async |api| head(&api).await), 1_000);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_an_import_and_says_how_to_go_on() {
    // A server that takes the request and never answers: the import is under way for sure.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let child = command()
        .arg("import")
        .arg(sample("litellm.jsonl"))
        .args(["--map", "litellm", "--url", &url])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let _connection = silent.accept().unwrap();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("stopped: ") && told.contains("the same command again goes on"),
        "{told}"
    );
}
