//! `boathouse replay`, on what a server was asked.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Api, Process, command, finish};

const QUESTIONS: [(&str, &str); 3] = [
    ("When does the ferry leave?", "The ferry leaves at nine."),
    ("When does the museum open?", "The museum opens at ten."),
    (
        "Who keeps the lighthouse?",
        "Mrs Bell keeps the lighthouse.",
    ),
];

fn served(data: &Path) -> Process {
    let process = Process::start(data);
    actix_web::rt::System::new().block_on(async {
        let api = Api::new(process.address);
        api.collection("docs", &QUESTIONS.map(|(_, text)| text))
            .await;
        for (question, _) in QUESTIONS {
            let asked = json!({
                "model": "extractive",
                "messages": [{"role": "user", "content": question}],
                "retrieval": {"collection": "docs", "k": 1},
            });
            let answer = api.ok("/v1/chat/completions", asked).await;
            let said = json!({"target": answer["id"], "rating": "accepted"});
            api.ok("/v1/feedback", said).await;
        }
        api.ok("/v1/materialize", json!({})).await;
    });
    process
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_candidate_is_compared_with_what_was_accepted_and_leaves_no_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let process = served(&data);
    let url = format!("http://{}", process.address);
    let replay = |name: &str, more: &[&str]| {
        let mut command = command();
        command.args(["replay", name, "--url", &url, "--data"]);
        finish(command.arg(&data).args(more))
    };
    let own = data.join("datasets/replays/same");

    let (status, told, said) = replay(
        "same",
        &[
            "--json",
            "--fail-under",
            "similarity=0.999",
            "--fail-under",
            "total_cost_usd=0",
        ],
    );
    assert_eq!(status, Some(0), "{said}");
    let summary: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&summary["tasks"], &summary["failed"]),
        (&json!(3), &json!(0))
    );
    for measure in ["answered", "overlap", "citations"] {
        assert_eq!(
            summary["candidate"][measure]["mean"], 1.0,
            "{measure}: {told}"
        );
    }
    assert_eq!(summary["difference"]["overlap"]["mean"], 0.0);
    // Nobody has to be paid for what the passages themselves answer, and that is known.
    assert_eq!(summary["cost"]["candidate"]["unknown"], 0, "{told}");
    assert_eq!(summary["cost"]["recorded"]["sum"]["mean"], 0.0, "{told}");
    let page = std::fs::read_to_string(own.join("report.html")).unwrap();
    assert!(page.contains("When does the ferry leave?"), "{page}");

    // Stopped in the middle of its second line, it goes on with what is left.
    let results = own.join("results.jsonl");
    let whole = std::fs::read_to_string(&results).unwrap();
    let first = whole.find('\n').unwrap() + 1;
    std::fs::write(&results, &whole[..first + 10]).unwrap();
    let (status, told, said) = replay("same", &["--json"]);
    assert_eq!(status, Some(0), "{said}");
    let again: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(again["tasks"], 3);
    let ids = |lines: &[Value]| {
        let mut ids: Vec<String> = lines.iter().map(|line| line["id"].to_string()).collect();
        ids.sort();
        ids
    };
    let lines = lines(&results);
    assert_eq!(lines[0].to_string() + "\n", whole[..first]);
    assert_eq!(ids(&lines).len(), 3);

    // Another candidate needs another name, or to begin anew.
    let none = ["--no-retrieval", "--fail-under", "citations=0.5"];
    let (status, _, said) = replay("same", &none);
    assert_eq!(status, Some(1));
    assert!(said.contains("another candidate"), "{said}");
    let (status, told, said) = replay("same", &[&none[..], &["--fresh"]].concat());
    assert_eq!(status, Some(1));
    assert!(said.contains("citations is 0.000, less than 0.5"), "{said}");
    assert!(told.contains("task by task: "), "{told}");

    // What nobody can answer counts as the worst.
    let (status, _, said) = replay(
        "lost",
        &["--model", "nobody/none", "--fail-under", "cost_usd=1"],
    );
    assert_eq!(status, Some(1));
    assert!(
        said.contains("what 3 of 3 answers cost is not known"),
        "{said}"
    );
    let (status, told, said) = replay("lost", &["--model", "nobody/none", "--json"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("no question was answered"), "{said}");
    let lost: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&lost["failed"], &lost["candidate"]["similarity"]["mean"]),
        (&json!(3), &json!(0.0))
    );

    actix_web::rt::System::new().block_on(async {
        let receipt = Api::new(process.address)
            .ok("/v1/materialize", json!({}))
            .await;
        assert_eq!(receipt["counts"]["tasks"], 3, "{receipt}");
        // Three, two after the stop, three without retrieval.
        assert_eq!(receipt["counts"]["replayed"], 8, "{receipt}");
    });
}

#[test]
fn bad_requests_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("rows.jsonl");
    std::fs::write(&file, "{\"messages\": []}\n").unwrap();
    let file = file.to_str().unwrap();
    for (arguments, expected) in [
        (vec!["x"], "materialize first"),
        (vec!["../x"], "must be 1 to 64"),
        (
            vec!["x", "--from", file],
            "rows.jsonl line 1: it is neither a task nor a row",
        ),
        (vec!["x", "--outcome", "good"], "known are accepted"),
        (vec!["x", "--fail-under", "similarity"], "MEASURE=VALUE"),
        (vec!["x", "--since", "yesterday"], "--since"),
        (vec!["x", "-k", "3"], "--collection"),
    ] {
        let mut command = command();
        command
            .args(["replay", "--data"])
            .arg(&data)
            .args(&arguments);
        let (status, _, said) = finish(&mut command);
        assert!(matches!(status, Some(1 | 2)), "{arguments:?}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}
