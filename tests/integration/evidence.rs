//! Reading the journal, erasing from it and letting it grow old, over HTTP and by the commands.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Api, Process, command, finish, serve, serve_with, settings};

/// Answers a question of somebody; returns the answer's id.
async fn ask(api: &Api, question: &str, user: &str, token: &str) -> String {
    let bearer = format!("Bearer {token}");
    let body = json!({
        "model": "extractive",
        "messages": [{"role": "user", "content": question}],
        "retrieval": {"collection": "docs", "k": 1},
        "user": user,
    });
    let headers = [
        ("content-type", "application/json"),
        ("authorization", &bearer),
    ];
    let answer = api.post_with(&headers, "/v1/chat/completions", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn seqs(api: &Api, query: &str) -> Vec<u64> {
    let answer = api.get(&format!("/v1/evidence?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let records = answer.json()["records"].clone();
    let records = records.as_array().unwrap().iter();
    records
        .map(|record| record["seq"].as_u64().unwrap())
        .collect()
}

/// Ann asks twice, Bob once; both are told what people thought. Records 1 to 5.
async fn town(api: &Api) {
    api.collection(
        "docs",
        &["The ferry leaves at nine.", "The museum opens at ten."],
    )
    .await;
    let ferry = ask(api, "When does the ferry leave?", "ann", "a").await;
    let museum = ask(api, "When does the museum open?", "bob", "b").await;
    ask(api, "Does the ferry leave at nine?", "ann", "a").await;
    for target in [&ferry, &museum] {
        api.ok(
            "/v1/feedback",
            json!({"target": target, "rating": "accepted"}),
        )
        .await;
    }
}

#[test]
fn records_are_listed_by_what_they_hold() {
    serve(async |api| {
        town(&api).await;
        assert_eq!(seqs(&api, "").await, [5, 4, 3, 2, 1]);
        assert_eq!(seqs(&api, "order=oldest&limit=2").await, [1, 2]);
        assert_eq!(seqs(&api, "order=oldest&after=3").await, [4, 5]);
        assert_eq!(seqs(&api, "after=3").await, [2, 1]);
        assert_eq!(seqs(&api, "user=ann").await, [3, 1]);
        assert_eq!(seqs(&api, "kind=feedback").await, [5, 4]);
        assert_eq!(seqs(&api, "kind=chat&model=extractive&user=bob").await, [2]);
        assert!(seqs(&api, "to=2020-01-01").await.is_empty());
        assert_eq!(seqs(&api, "from=2020-01-01T00:00:00Z").await.len(), 5);
        let page = api.get("/v1/evidence?limit=1").await.json();
        assert_eq!((&page["next"], &page["unreadable"]), (&json!(5), &json!(0)));
        let record = &page["records"][0];
        assert_eq!(
            (&record["schema"], &record["kind"]),
            (&json!(2), &json!("feedback"))
        );
        let target = record["body"]["target"].as_str().unwrap();
        assert_eq!(seqs(&api, &format!("id={target}")).await, [5, 2]);
        let key = api.get("/v1/evidence?user=bob").await.json();
        let key = key["records"][0]["body"]["key"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(seqs(&api, &format!("key={key}")).await, [2]);
        for (wrong, said) in [
            ("kind=talk", "kind"),
            ("from=soon", "from"),
            ("order=up", "order"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("x=1", "unknown field `x`"),
            ("after=-1", "invalid digit"),
        ] {
            let answer = api.get(&format!("/v1/evidence?{wrong}")).await;
            assert_eq!(answer.status, 400, "{wrong}");
            assert!(answer.text().contains(said), "{}", answer.text());
        }
    });
}

#[test]
fn what_is_erased_leaves_the_journal_the_tasks_and_the_exports() {
    serve(async |api| {
        town(&api).await;
        api.ok("/v1/materialize", json!({})).await;
        let export = api.ok("/v1/exports", json!({"kind": "sft"})).await;
        assert_eq!(export["rows"], 2, "{export}");
        let head = api.get("/v1/evidence/head").await.json();
        let asked = json!({"user": "ann", "reason": "request 17", "dry_run": true});
        let would = api.ok("/v1/evidence/erase", asked).await;
        assert_eq!(
            (&would["erased"], &would["dry_run"]),
            (&json!(3), &json!(true))
        );
        assert_eq!(would["records"], json!([[1, 1], [3, 4]]));
        assert_eq!(would["kinds"], json!({"chat": 2, "feedback": 1}));
        assert_eq!(
            api.get("/v1/evidence/head").await.json(),
            head,
            "nothing was done"
        );

        let asked = json!({"user": "ann", "reason": "request 17"});
        let done = api.ok("/v1/evidence/erase", asked.clone()).await;
        assert_eq!((&done["erased"], &done["by"]), (&json!(3), &json!([6])));
        let all = api.get("/v1/evidence").await.text();
        assert!(!all.contains("ferry") && all.contains("museum"), "{all}");
        assert!(!all.contains("\"ann\""), "nor whose it was: {all}");
        let erased = api
            .get("/v1/evidence?after=2&order=oldest&limit=1")
            .await
            .json();
        let erased = &erased["records"][0];
        assert_eq!(
            (&erased["body"], &erased["erased"]["reason"]),
            (&Value::Null, &json!("request 17"))
        );
        let again = api.ok("/v1/evidence/erase", asked).await;
        assert_eq!((&again["erased"], &again["by"]), (&json!(0), &json!([])));
        let named = json!({"seqs": [1, 6], "reason": "again", "dry_run": true});
        let named = api.ok("/v1/evidence/erase", named).await;
        assert_eq!(
            (&named["erased"], &named["already_erased"]),
            (&json!(0), &json!(1))
        );

        let receipt = api.ok("/v1/materialize", json!({})).await;
        assert_eq!(receipt["unchanged"], false);
        let counts = &receipt["counts"];
        assert_eq!(
            (&counts["erased"], &counts["changes"], &counts["tasks"]),
            (&json!(3), &json!(1), &json!(1))
        );
        assert_eq!(
            (&counts["quarantined"], &counts["in"]),
            (&json!(0), &json!(6))
        );
        assert_eq!(receipt["chain"]["intact"], true, "{receipt}");
        api.ok("/v1/exports", json!({"kind": "sft"})).await;
        let datasets = Path::new(receipt["path"].as_str().unwrap())
            .parent()
            .unwrap();
        assert!(!holds(datasets, "ferry") && holds(datasets, "museum"));
    });
}

/// Whether a text stands in any file below a folder.
fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, text),
            false => std::fs::read_to_string(path)
                .unwrap_or_default()
                .contains(text),
        }
    })
}

#[test]
fn wrong_erasures_are_refused() {
    serve(async |api| {
        for (wrong, said) in [
            (json!({"reason": "r"}), "exactly one of"),
            (
                json!({"user": "u", "key": "k", "reason": "r"}),
                "exactly one of",
            ),
            (json!({"user": "u"}), "reason must be"),
            (
                json!({"user": "u", "reason": "x".repeat(501)}),
                "reason must be",
            ),
            (json!({"ids": [], "reason": "r"}), "ids must be"),
            (json!({"everything": true, "reason": "r"}), "unknown field"),
        ] {
            let answer = api.post("/v1/evidence/erase", wrong.clone()).await;
            assert_eq!(answer.status, 400, "{wrong}");
            assert!(answer.text().contains(said), "{wrong}: {}", answer.text());
        }
        let nobody = json!({"user": "nobody", "reason": "r"});
        let nothing = api.ok("/v1/evidence/erase", nobody).await;
        assert_eq!(nothing["erased"], 0);
        assert_eq!(api.get("/v1/evidence/head").await.json()["seq"], 0);
    });
}

#[test]
fn appends_go_on_while_contents_are_erased() {
    serve(async |api| {
        town(&api).await;
        let said = |n: u64| {
            let body = json!({"target": format!("t{n}"), "rating": "rejected", "user": format!("u{}", n % 2)});
            api.ok("/v1/feedback", body)
        };
        for n in 0..40 {
            said(n).await;
        }
        let erase = api.ok("/v1/evidence/erase", json!({"user": "u1", "reason": "r"}));
        let more = async {
            for n in 40..60 {
                said(n).await;
            }
        };
        let (done, ()) = tokio::join!(erase, more);
        assert!(done["erased"].as_u64().unwrap() >= 20, "{done}");
        let left = api
            .ok("/v1/evidence/erase", json!({"user": "u1", "reason": "r"}))
            .await;
        let both = done["erased"].as_u64().unwrap() + left["erased"].as_u64().unwrap();
        assert_eq!(both, 30);
        assert_eq!(seqs(&api, "user=u0").await.len(), 30);
        let receipt = api.ok("/v1/materialize", json!({})).await;
        assert_eq!(receipt["chain"]["intact"], true, "{receipt}");
    });
}

#[test]
fn old_files_go_at_the_start_when_the_settings_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut small = settings(folder.path());
    small.evidence.segment_bytes = 4_096;
    small.evidence.max_record_bytes = 4_096;
    serve_with(small.clone(), async |api| {
        for n in 0..60 {
            let said = json!({"target": format!("t{n}"), "rating": "rejected"});
            api.ok("/v1/feedback", said).await;
        }
    });
    small.evidence.retain_bytes = Some(8_192);
    serve_with(small.clone(), async |api| {
        // The removal is a record, made right after the start.
        let removed = loop {
            let page = api.get("/v1/evidence?kind=retention").await.json();
            if let Some(record) = page["records"].as_array().unwrap().first() {
                break record["body"].clone();
            }
        };
        // A further request for the right to change files waits for the end of it.
        let nobody = json!({"user": "nobody", "reason": "r"});
        api.ok("/v1/evidence/erase", nobody).await;
        let oldest = seqs(&api, "order=oldest&limit=1").await[0];
        assert_eq!(oldest, removed["last"].as_u64().unwrap() + 1);
        assert!(removed["files"].as_u64().unwrap() >= 2, "{removed}");
        let receipt = api.ok("/v1/materialize", json!({})).await;
        assert_eq!(receipt["chain"]["intact"], true, "{receipt}");
    });
    let data = small.storage.data_dir;
    let (status, told, _) = finish(command().args(["audit", "--data"]).arg(&data));
    assert_eq!(status, Some(0), "{told}");
    assert!(
        told.contains("begins at record") && told.contains("retain_bytes"),
        "{told}"
    );
}

#[test]
fn the_commands_list_and_erase_and_the_audit_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // A journal of a version before erasure.
    std::fs::create_dir_all(data.join("evidence")).unwrap();
    let old = include_bytes!("../data/evidence-v1/evidence-00000001.jsonl");
    std::fs::write(data.join("evidence/evidence-00000001.jsonl"), old).unwrap();
    let process = Process::start(&data);
    actix_web::rt::System::new().block_on(async {
        let api = Api::new(process.address);
        let said = json!({"target": "somewhere", "rating": "rejected", "user": "ann & bob", "comment": "no ferry"});
        api.ok("/v1/feedback", said).await;
    });
    let url = format!("http://{}", process.address);
    let run = |arguments: &[&str]| {
        finish(
            command()
                .arg("evidence")
                .args(arguments)
                .args(["--url", &url]),
        )
    };
    let (status, told, said) = run(&["list"]);
    assert_eq!((status, told.lines().count()), (Some(0), 8), "{said}");
    assert!(
        told.contains("feedback") && told.contains("rejected of somewhere"),
        "{told}"
    );
    let (_, told, _) = run(&["list", "--user", "ann & bob", "--json"]);
    let record: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&record["seq"], &record["schema"]), (&json!(8), &json!(2)));
    let (_, told, _) = run(&["list", "--oldest", "--limit", "3", "--kind", "chat"]);
    assert_eq!(told.lines().count(), 1, "{told}");
    let (status, _, said) = run(&["list", "--kind", "talk"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("one of chat"), "{said}");
    let (_, head, _) = run(&["head"]);
    let kept = folder.path().join("head.json");
    std::fs::write(&kept, &head).unwrap();

    let erase = ["erase", "--seq", "2", "--seq", "8", "--reason", "asked"];
    let (status, told, _) = run(&[&erase[..], &["--dry-run"]].concat());
    assert_eq!(status, Some(0));
    assert!(
        told.starts_with("3 records (1 chat, 2 feedback) would be erased"),
        "{told}"
    );
    let (status, _, said) = run(&erase);
    assert_eq!(status, Some(1));
    assert!(said.contains("give --yes"), "{said}");
    let (status, told, said) = run(&[&erase[..], &["--json"]].concat());
    assert_eq!((status, told.as_str()), (Some(1), ""), "stdout is for JSON");
    assert!(said.contains("would be erased"), "{said}");
    let (status, told, said) = run(&[&erase[..], &["--yes", "--json"]].concat());
    assert_eq!(status, Some(0), "{said}");
    let done: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&done["erased"], &done["unverifiable"]),
        (&json!(3), &json!(2))
    );
    let (_, told, _) = run(&["list", "--limit", "2"]);
    assert!(told.contains("erased by 9: asked"), "{told}");
    assert_eq!(run(&["erase", "--reason", "r"]).0, Some(2), "of nobody");

    let audit = |more: &[&str]| finish(command().args(["audit", "--data"]).arg(&data).args(more));
    let (status, told, said) = audit(&["--head", kept.to_str().unwrap()]);
    assert_eq!(status, Some(0), "{told}{said}");
    assert!(
        told.contains("3 erased, chain intact through them; 2 of them"),
        "{told}"
    );
    let journal = data.join("evidence/evidence-00000001.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    assert!(!text.contains("no ferry"));
    // Somebody empties another record.
    let line = text.lines().nth(2).unwrap();
    let rest = line.split_once(",\"hash\":").unwrap().1;
    let erased = text.lines().nth(1).unwrap();
    let erased = erased.split_once(",\"hash\":").unwrap().0;
    let forged = text.replacen(line, &format!("{erased},\"hash\":{rest}"), 1);
    std::fs::write(&journal, forged).unwrap();
    let (status, told, _) = audit(&["--json"]);
    assert_eq!(status, Some(1));
    let report: Value = serde_json::from_str(&told).unwrap();
    let problem = &report["chain"]["problems"][0];
    assert_eq!(
        (&problem["kind"], &problem["seq"]),
        (&json!("erased"), &json!(3))
    );
}
