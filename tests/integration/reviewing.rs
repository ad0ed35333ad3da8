//! The review queue over HTTP, by the command line and in the console.

use serde_json::{Value, json};

use crate::harness::{Api, Process, command, finish, serve, serve_with, settings, tasks_of};

/// Brings answers that nobody judged, and materializes.
async fn doubtful(api: &Api, questions: &[&str]) -> Vec<String> {
    let conversations: Vec<Value> = questions
        .iter()
        .map(|question| {
            json!({
                "id": question, "messages": [{"role": "user", "content": question}], "answer": format!("re: {question}"),
                "answered_by": "up/m", "finish_reason": "stop",
            })
        })
        .collect();
    let body = json!({"source": "s", "conversations": conversations});
    api.ok("/v1/evidence/import", body).await;
    api.ok("/v1/materialize", json!({})).await;
    waiting(api).await
}

async fn waiting(api: &Api) -> Vec<String> {
    let answer = api.get("/v1/review").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    ids(&answer.json())
}

fn ids(page: &Value) -> Vec<String> {
    let tasks = page["tasks"].as_array().unwrap().iter();
    tasks
        .map(|task| task["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn outcomes(api: &Api) -> Value {
    api.ok("/v1/materialize", json!({})).await["outcomes"].clone()
}

#[test]
fn what_waits_is_listed_with_its_reasons_page_by_page() {
    serve(async |api| {
        let early = api.get("/v1/review").await;
        assert_eq!(early.status, 409, "{}", early.text());
        assert!(
            early.text().contains("materialize first"),
            "{}",
            early.text()
        );
        let all = doubtful(&api, &["one", "two", "three"]).await;
        assert_eq!(all.len(), 3);
        let page = api.get("/v1/review?limit=2").await.json();
        assert_eq!((ids(&page), &page["total"]), (all[..2].to_vec(), &json!(3)));
        let task = &page["tasks"][0];
        assert_eq!(task["prompt"], "one");
        assert_eq!(task["answer"], "re: one");
        assert_eq!(task["reasons"], json!(["no_feedback"]));
        let next = page["next"].as_u64().unwrap();
        let page = api
            .get(&format!("/v1/review?limit=2&after={next}"))
            .await
            .json();
        assert_eq!(
            (ids(&page), &page["next"]),
            (all[2..].to_vec(), &Value::Null)
        );
        let one = api.get(&format!("/v1/review/{}", all[1])).await.json();
        assert_eq!(one["prompt"], "two");
        assert_eq!(api.get("/v1/review/nobody").await.status, 404);
        for query in ["limit=0", "limit=101", "limit=x", "befor=1"] {
            assert_eq!(
                api.get(&format!("/v1/review?{query}")).await.status,
                400,
                "{query}"
            );
        }
    });
}

#[test]
fn a_decision_is_evidence_and_takes_the_task_off_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut ids = Vec::new();
    serve_with(settings(folder.path()), async |api| {
        ids = doubtful(&api, &["good", "partly", "bad", "wrong", "open"]).await;
        for (id, body) in ids.iter().zip([
            json!({"decision": "accept", "note": "fine", "reviewer": "ada"}),
            json!({"decision": "partially_accept"}),
            json!({"decision": "reject"}),
            json!({"decision": "edit", "answer": "better"}),
        ]) {
            let path = format!("/v1/review/{id}");
            let before = waiting(&api).await.len();
            let told = api.ok(&path, body.clone()).await;
            assert_eq!(told["left"].as_u64().unwrap() as usize, before - 1);
            // Before the next materialization, and for whoever decides after.
            assert!(!waiting(&api).await.contains(id));
            assert_eq!(api.get(&path).await.status, 404);
            let late = api.post(&path, body).await;
            assert_eq!(
                (late.status, &late.json()["code"]),
                (404, &json!("not_waiting"))
            );
        }
        assert_eq!(waiting(&api).await, ids[4..]);
    });
    // Also for the next process, which has the old tasks.
    serve_with(settings(folder.path()), async |api| {
        assert_eq!(waiting(&api).await, ids[4..]);
        assert_eq!(
            outcomes(&api).await,
            json!({"accepted": 2, "needs_review": 1, "partially_accepted": 1, "rejected": 1})
        );
        assert_eq!(waiting(&api).await, ids[4..]);
        let export = api.ok("/v1/exports", json!({"kind": "sft"})).await;
        let data = std::path::Path::new(export["path"].as_str().unwrap()).join("data");
        let rows: String = ["train.jsonl", "test.jsonl"]
            .iter()
            .map(|name| std::fs::read_to_string(data.join(name)).unwrap_or_default())
            .collect();
        assert!(
            rows.contains("re: good") && rows.contains("better"),
            "{rows}"
        );
        assert!(
            !rows.contains("re: bad") && !rows.contains("re: wrong"),
            "{rows}"
        );
    });
}

#[test]
fn a_decision_goes_before_automatic_verdicts() {
    serve(async |api| {
        let ids = doubtful(&api, &["q"]).await;
        // A validator that doubts: what people think of the answer alone does not settle it.
        let payload = json!({"fills": [
            {"worker_id": "W-1017", "name": "Owen Galagher"}]});
        let body = json!({"kind": "fill", "payload": payload, "target": ids[0], "context": {"target_count": 1}});
        let verdict = api.ok("/v1/validate", body).await;
        assert_ne!(verdict["verdict"], "pass", "{verdict}");
        let before = outcomes(&api).await;
        assert_eq!(before["accepted"], 0, "{before}");
        if before["needs_review"] == 1 {
            let path = format!("/v1/review/{}", ids[0]);
            api.ok(&path, json!({"decision": "accept"})).await;
        } else {
            panic!("the verdict must leave the task in doubt: {before} {verdict}");
        }
        assert_eq!(outcomes(&api).await["accepted"], 1);
    });
}

#[test]
fn feedback_from_elsewhere_settles_a_task_too() {
    serve(async |api| {
        let ids = doubtful(&api, &["one", "two"]).await;
        api.ok(
            "/v1/feedback",
            json!({"target": ids[0], "rating": "rejected"}),
        )
        .await;
        assert_eq!(waiting(&api).await, ids[1..]);
        let mut judged = json!({"id": "two", "messages": [{"role": "user", "content": "two"}], "answer": "re: two"});
        judged["feedback"] = json!({"rating": "accepted"});
        let body = json!({"source": "s", "conversations": [judged]});
        assert_eq!(api.ok("/v1/evidence/import", body).await["feedback"], 1);
        assert!(waiting(&api).await.is_empty());
    });
}

#[test]
fn wrong_decisions_are_refused_and_the_task_waits_on() {
    serve(async |api| {
        let ids = doubtful(&api, &["q"]).await;
        let path = format!("/v1/review/{}", ids[0]);
        for (body, status, part) in [
            (json!({"decision": "maybe"}), 400, "unknown variant `maybe`"),
            (json!({}), 400, "missing field `decision`"),
            (json!({"decision": "edit"}), 400, "an edit needs answer"),
            (
                json!({"decision": "edit", "answer": " "}),
                400,
                "answer is blank",
            ),
            (
                json!({"decision": "accept", "answer": "x"}),
                400,
                "answer belongs to the decision edit",
            ),
            (
                json!({"decision": "accept", "who": "x"}),
                400,
                "unknown field `who`",
            ),
            (
                json!({"decision": "accept", "reviewer": "x".repeat(201)}),
                413,
                "reviewer is longer than 200",
            ),
            (
                json!({"decision": "reject", "note": "x".repeat(300_000)}),
                413,
                "note is longer",
            ),
        ] {
            let answer = api.post(&path, body).await;
            assert_eq!(answer.status, status, "{}", answer.text());
            assert!(answer.text().contains(part), "{part}: {}", answer.text());
        }
        assert_eq!(waiting(&api).await, ids);
    });
}

#[test]
fn the_console_lists_shows_and_decides() {
    serve(async |api| {
        let early = api.get("/console/review").await;
        assert!(early.text().contains("materialize first"));
        let ids = doubtful(&api, &["<script>alert(1)</script>", "two"]).await;
        let list = api.get("/console/review").await;
        assert!(
            list.header("content-security-policy")
                .contains("form-action 'self'")
        );
        let text = list.text();
        assert!(
            text.contains("Waiting for a person: 2 tasks.")
                && text.contains("&lt;script&gt;")
                && text.contains("no_feedback"),
            "{text}"
        );
        assert!(!text.contains("<script>alert"), "{text}");
        let path = format!("/console/review/{}", ids[0]);
        assert!(text.contains(&format!("href=\"{path}\"")), "{text}");
        let page = api.get(&path).await.text();
        assert!(
            page.contains(&format!("method=\"post\" action=\"{path}\"")),
            "{page}"
        );
        assert!(
            page.contains("imported from s as &lt;script&gt;") && !page.contains("<script>alert"),
            "{page}"
        );
        let post = async |path: &str, form: &str| {
            let headers = [("content-type", "application/x-www-form-urlencoded")];
            api.form(&headers, path, form).await
        };
        // A blank correction is told on the page, and the task waits.
        let told = post(&path, "decision=edit&answer=+&note=&reviewer=").await;
        assert!(told.text().contains("answer is blank"), "{}", told.text());
        let done = post(
            &path,
            "decision=edit&answer=line+one%0D%0Aline+two&note=&reviewer=ada",
        )
        .await;
        assert_eq!(
            (done.status, done.header("location")),
            (303, "/console/review")
        );
        assert_eq!(waiting(&api).await, ids[1..]);
        let receipt = api.ok("/v1/materialize", json!({})).await;
        let tasks = tasks_of(&receipt);
        let task: Value = serde_json::from_str(tasks.lines().next().unwrap()).unwrap();
        assert_eq!(task["answer"], "line one\nline two");
        assert_eq!(task["feedback"]["user"], "ada");
        assert_eq!(task["feedback"].get("comment"), None);
        let late = post(&path, "decision=accept&answer=&note=&reviewer=").await;
        assert!(late.text().contains("does not wait"), "{}", late.text());
    });
}

#[test]
fn another_site_decides_nothing() {
    serve(async |api| {
        let ids = doubtful(&api, &["q"]).await;
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "http://evil.example"),
        ];
        let path = format!("/console/review/{}", ids[0]);
        let refused = api.form(&headers, &path, "decision=accept").await;
        assert_eq!(refused.status, 403);
        assert_eq!(waiting(&api).await, ids);
    });
}

#[test]
fn the_commands_list_and_decide() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder.path().join("data"));
    let api = Api::new(process.address);
    let url = format!("http://{}", process.address);
    let ids = actix_web::rt::System::new().block_on(doubtful(&api, &["one", "two"]));
    let run = |arguments: &[&str]| {
        finish(
            command()
                .arg("review")
                .args(arguments)
                .args(["--url", &url]),
        )
    };
    let (status, said, _) = run(&["list", "--limit", "1"]);
    assert_eq!(status, Some(0));
    for part in [
        &ids[0],
        "asked   one",
        "answer  re: one",
        "why     no_feedback",
        "2 wait; the next: --after",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (_, said, _) = run(&["list", "--json"]);
    let page: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(page["total"], 2);
    let file = folder.path().join("answer.txt");
    std::fs::write(&file, "better\n").unwrap();
    let file = file.to_str().unwrap();
    let (status, said, told) = run(&[
        "decide",
        &ids[0],
        "edit",
        "--answer-file",
        file,
        "--reviewer",
        "ada",
    ]);
    assert_eq!(status, Some(0), "{told}");
    assert!(said.contains("edit, 1 wait still"), "{said}");
    let (status, _, told) = run(&["decide", &ids[0], "accept"]);
    assert_eq!(status, Some(1));
    assert!(told.contains("does not wait"), "{told}");
    let (status, said, _) = run(&["decide", &ids[1], "partially-accept", "--note", "so-so"]);
    assert!(status == Some(0) && said.contains("0 wait still"), "{said}");
    let (_, said, _) = run(&["list"]);
    assert!(said.contains("nothing waits"), "{said}");
    assert_eq!(run(&["decide", "x", "maybe"]).0, Some(2));
}
